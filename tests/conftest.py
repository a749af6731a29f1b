"""Fixtures for all tests: a cache of their own, and the folder of real data."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

# Processes of pytest-xdist share the cores: more threads than one each only wait for each other.
# Libraries read this when they are loaded, and so do the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Scripts start commands in the background deaf to Ctrl-C. Processes that tests start would inherit
# that, and those that tests interrupt would go on for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the user's cache out of the tests; children of the tests inherit it too."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MISLABEL_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder that ``$MISLABEL_DATA`` names; without it the test is skipped."""
    name = os.environ.get("MISLABEL_DATA")
    if not name:
        pytest.skip("MISLABEL_DATA is not set")
    folder = Path(name)
    if not folder.is_dir():
        pytest.fail(f"MISLABEL_DATA={name}: no such folder")
    return folder
