"""Outputs: whether something can be written at a path, found out before any work is done."""

import os
from pathlib import Path

from mislabel.errors import InputError


def check_folder(path: Path, argument: str) -> None:
    """Raise `InputError` where no folder can be made or written at `path`; nothing is changed."""
    if not _is_writable(path):
        raise InputError(argument, str(path), "cannot be written")


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
