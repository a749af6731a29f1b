"""The contract for encoders, and the files that may stand in for them.

An encoder turns examples (uint8 images (N, h, w, c) or float features (N, d)) into float32
features (N, k) in which distances mean something. It is deterministic for a seed; what it needs
to know of its settings is in `key`, so that its output can be cached by content.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mislabel.cache import cached_array
from mislabel.errors import InputError
from mislabel.files import hash_array
from mislabel.registry import Record
from mislabel.versions import library_versions

Features = NDArray[np.float32]


class Encoder(Protocol):
    """Turns examples into features; see the module."""

    def key(self) -> dict[str, Any]:
        """Settings that the features depend on, as JSON values."""
        ...

    def __call__(self, examples: NDArray[Any]) -> Features:
        """(N, k) float32 features of N examples."""
        ...


@dataclass(frozen=True, kw_only=True)
class EncoderRecord(Record):
    """An encoder in the registry. libraries: those whose version its output depends on."""

    build: Callable[..., Encoder]
    libraries: tuple[str, ...] = ("numpy",)


def encode(record: EncoderRecord, examples: NDArray[Any], **settings: Any) -> Features:
    """Features of `examples` by a registered encoder, from the cache when they are there."""
    encoder = record.build(**settings)
    key = {
        "encoder": record.name,
        "settings": encoder.key(),
        "examples": hash_array(examples),
        "versions": library_versions(*record.libraries),
    }
    return cached_array(f"features-{record.name}", key, lambda: encoder(examples))


def load_features(path: Path, argument: str = "features") -> Features:
    """(N, d) finite float32 features of an ``.npy``, ``.npz`` or ``.parquet`` file.

    ``.npz`` needs one array, or one called ``features``; of a Parquet file all numeric columns
    are taken in their order. Nothing in the file is executed.
    """
    if not path.is_file():
        raise InputError(argument, str(path), "no such file")
    readers = {".npy": _read_npy, ".npz": _read_npz, ".parquet": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(argument, str(path), f"unknown format; use {', '.join(readers)}")
    try:
        array = reader(path, argument)
    except InputError:
        raise
    except (ValueError, OSError, EOFError) as error:
        raise InputError(argument, str(path), f"cannot be read ({_line(error)})") from error
    if array.ndim != 2 or array.dtype.kind not in "fiu" or 0 in array.shape:
        found = f"{array.dtype} {array.shape}"
        raise InputError(argument, str(path), f"must hold a matrix of numbers (N, d), not {found}")
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(bad):
        raise InputError(argument, str(path), f"must be finite; row {bad[0]} is not")
    return np.ascontiguousarray(array, dtype=np.float32)


def load_map(path: Path) -> Features:
    """(N, 2) float32 map from a file as in `load_features`; a Parquet file has columns x, y."""
    found = load_features(path, "map")
    if found.shape[1] != 2:
        raise InputError("map", str(path), f"must have 2 columns, not {found.shape[1]}")
    return found


def _read_npy(path: Path, argument: str) -> NDArray[Any]:
    array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise InputError(argument, str(path), "is an archive; rename it to .npz")
    return array


def _read_npz(path: Path, argument: str) -> NDArray[Any]:
    with np.load(path, allow_pickle=False) as archive:
        names = archive.files
        name = names[0] if len(names) == 1 else "features"
        if name not in names:
            raise InputError(argument, str(path), f"has no array 'features', only {names}")
        array: NDArray[Any] = archive[name]
        return array


def _read_parquet(path: Path, argument: str) -> NDArray[Any]:
    import pyarrow.types
    from pyarrow import parquet

    table = parquet.read_table(path)
    if {"x", "y"} <= set(table.column_names):
        names = ["x", "y"]
    else:
        kinds = (pyarrow.types.is_floating, pyarrow.types.is_integer)
        names = [f.name for f in table.schema if any(kind(f.type) for kind in kinds)]
    if not names:
        raise InputError(argument, str(path), "has no numeric columns")
    return np.stack([table[name].to_numpy() for name in names], axis=1)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
