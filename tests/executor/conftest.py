"""Workers of tests import the modules beside them."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    here = str(Path(__file__).parent)
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", here if before is None else f"{here}{os.pathsep}{before}")
