"""Outputs: whether something can be written at a path, found out before any work is done."""

import os
from collections.abc import Callable
from pathlib import Path

from mislabel.errors import InputError
from mislabel.files import check_links

ELSEWHERE = "is another folder on the machine of a worker; give one that all share, or new"
"The rule where a worker stored what is not here."


def check_folder(path: Path, argument: str) -> None:
    """Raise `InputError` where no folder can be made or written at `path`; nothing is changed."""
    if not _is_writable(path):
        raise InputError(argument, str(path), "cannot be written")


def check_own_folder(
    path: Path,
    argument: str,
    *,
    exists: Callable[[], bool],
    leftover: Callable[[Path], bool],
    kind: str,
) -> None:
    """Raise `InputError` where no folder of ours can be begun or gone on with; nothing is changed.

    exists: asks whether it holds one already, which another process may begin meanwhile. leftover:
    whether an entry is what a killed process leaves before that. kind: for errors, "a run".
    """
    if path.exists() and not path.is_dir():
        raise InputError(argument, str(path), "is a file; must be a folder")
    if path.is_dir() and not all(map(leftover, path.iterdir())) and not exists():
        rule = f"holds other things; give a new or empty folder, or one with {kind}"
        raise InputError(argument, str(path), rule)
    if path.is_dir():
        check_links(path, argument)
    check_folder(path, argument)


def check_file(path: Path, argument: str) -> None:
    """Raise `InputError` where no file can be made or replaced at `path`; nothing is changed."""
    if path.is_dir():
        raise InputError(argument, str(path), "is a folder; must be a file")
    if not _is_writable(path.parent):
        raise InputError(argument, str(path), "cannot be written")


def _is_writable(folder: Path) -> bool:
    """Whether `folder`, or the nearest one above it that exists, can be written."""
    while not folder.exists():
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
