"""Fuzzing: whatever is done to a valid file, its reader reads it or says what is wrong.

The budget is small in the suite; ``MISLABEL_FUZZ=5000`` gives every reader as many examples, drawn
anew each time.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hostile_readers import READERS, Reader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import mutated, replaced

BUDGET = int(os.environ.get("MISLABEL_FUZZ", "0"))


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The valid example of each reader, made once."""
    made: dict[str, Path] = {}

    def example(reader: Reader) -> Path:
        if reader.name not in made:
            folder = tmp_path_factory.mktemp("valid") / "example"
            folder.mkdir()
            reader.make(folder)
            reader.read(folder)
            made[reader.name] = folder
        return made[reader.name]

    return example


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name.replace(" ", "-"))
def test_only_documented_errors_come_out(reader: Reader, examples: Any, tmp_path: Path) -> None:
    folder = tmp_path / "example"
    shutil.copytree(examples(reader), folder)

    @settings(
        max_examples=BUDGET or 20,
        derandomize=not BUDGET,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(reader.files(folder)))
        content = mutated(data.draw, path.read_bytes())
        with replaced(path, content):
            try:
                reader.read(folder)
            except reader.errors as error:
                assert "\n" not in str(error) and str(error).isprintable(), repr(str(error))

    check()
