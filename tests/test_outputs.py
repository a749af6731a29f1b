"""Folders of ours: which can be begun, or gone on with."""

from pathlib import Path

import pytest

from mislabel.errors import InputError
from mislabel.outputs import check_own_folder


def check(folder: Path, *, begun: bool = False) -> None:
    check_own_folder(
        folder, "out", exists=lambda: begun, leftover=lambda p: p.suffix == ".tmp", kind="a run"
    )


def test_a_folder_with_other_things_is_none(tmp_path: Path) -> None:
    check(tmp_path / "new")
    (tmp_path / "a.tmp").touch()
    check(tmp_path)
    (tmp_path / "a.txt").touch()
    with pytest.raises(InputError, match="holds other things; give a new or empty folder, or one"):
        check(tmp_path)
    check(tmp_path, begun=True)
    with pytest.raises(InputError, match="is a file; must be a folder"):
        check(tmp_path / "a.txt")


def test_another_process_begins_while_it_is_looked_at(tmp_path: Path) -> None:
    """What it wrote is seen; by then so is the file that says whose folder it is."""
    (tmp_path / "map.npy").touch()
    begun = tmp_path / "run.json"

    def leftover(path: Path) -> bool:
        begun.touch()
        return False

    check_own_folder(tmp_path, "out", exists=begun.is_file, leftover=leftover, kind="a run")
