"""The original CIFAR files: pickles that Python 2 wrote, read without executing anything."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.data.file_labels import check_file_labels
from mislabel.errors import InputError
from mislabel.pickles import read_pickle, text_keys

MAX_FILE_BYTES = 512 * 2**20
_ROW = 3 * 32 * 32


@dataclass(frozen=True, kw_only=True)
class OriginalFiles:
    """Names of the files of one CIFAR set, and of what is in them."""

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    meta: str
    label_key: str
    names_key: str


def read_batches(
    folder: Path, files: OriginalFiles, n_classes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]:
    """Training images (N, 32, 32, 3) and labels (N,), then those for testing."""
    splits = []
    for names in (files.train, files.test):
        parts = [_read_batch(folder / name, files.label_key, n_classes) for name in names]
        splits += [np.concatenate(column) for column in zip(*parts, strict=True)]
    x_train, y_train, x_test, y_test = splits
    return x_train, y_train, x_test, y_test


def read_class_names(folder: Path, files: OriginalFiles, n_classes: int) -> tuple[str, ...]:
    """The `n_classes` class names in the file of names."""
    path = folder / files.meta
    names = _value(_read(path), files.names_key, path)
    if not isinstance(names, list) or len(names) != n_classes:
        raise InputError("data", str(path), f"its {files.names_key} must be {n_classes} names")
    return tuple(n.decode("latin-1") if isinstance(n, bytes) else str(n) for n in names)


def _read_batch(
    path: Path, label_key: str, n_classes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    content = _read(path)
    pixels = _value(content, "data", path)
    good = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.ndim == 2
    if not good or pixels.shape[1] != _ROW:
        raise InputError("data", str(path), f"its data must be uint8 of shape (N, {_ROW})")
    labels = check_file_labels(
        _value(content, label_key, path),
        path=path,
        column=label_key,
        n_examples=len(pixels),
        n_classes=n_classes,
    )
    images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels


def _value(content: dict[str, Any], key: str, path: Path) -> Any:
    if key not in content:
        rule = f"has no entry {key!r}; its entries are {', '.join(sorted(content))}"
        raise InputError("data", str(path), rule)
    return content[key]


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError("data", str(path), "no such file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InputError("data", str(path), f"is larger than {MAX_FILE_BYTES} bytes")
    content = read_pickle(path.read_bytes(), argument="data", source=str(path))
    if not isinstance(content, dict):
        raise InputError("data", str(path), "is no batch of CIFAR: its pickle holds no dictionary")
    return text_keys(content)
