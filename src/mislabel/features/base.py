"""The contract for encoders, and the files that may stand in for them.

An encoder turns examples (uint8 images (N, h, w, c) or float features (N, d)) into float32
features (N, k) in which distances mean something. It is deterministic for a seed; what it needs
to know of its settings is in `key`, so that its output can be cached by content.

To add one: a file with a frozen dataclass of keyword-only parameters, its `RECORD`, and a line in
``mislabel/features/__init__.py``; ``pixels.py`` is the shortest.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mislabel.cache import cache_folder, cached_array
from mislabel.errors import InputError, did_you_mean
from mislabel.files import UNREADABLE, error_line, hash_array, hash_json, open_npz, read_npy
from mislabel.registry import Record
from mislabel.tables import read_parquet, read_schema
from mislabel.versions import library_versions

Features = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class EncoderRun:
    """How an encoder is run; its features do not depend on it, but for rounding.

    device: "auto", "cpu" or "cuda". batch_size: rows at a time; None lets the encoder choose.
    folder: where it may keep finished rows. fitted: file where it may keep what it has learned.
    progress: told what is done and of how much.
    """

    device: str = "auto"
    batch_size: int | None = None
    folder: Path | None = None
    fitted: Path | None = None
    progress: Callable[[int, int], None] = lambda done, total: None

    def __post_init__(self) -> None:
        size = self.batch_size
        whole = isinstance(size, int | np.integer) and not isinstance(size, bool)
        if size is not None and not (whole and size >= 1):
            raise InputError("batch_size", size, "must be a whole number, at least 1")


class Encoder(Protocol):
    """Turns examples into features; see the module."""

    def key(self) -> dict[str, Any]:
        """Settings that the features depend on, as JSON values."""
        ...

    def __call__(
        self,
        examples: NDArray[Any],
        *,
        fit_on: NDArray[Any] | None = None,
        run: EncoderRun | None = None,
    ) -> Features:
        """(N, k) float32 features of N examples.

        fit_on: examples from which an encoder that learns takes what it learns; by default the
        examples themselves.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class EncoderRecord(Record):
    """An encoder in the registry.

    positional: the parameter that stands first in a spec. libraries: those whose version its
    output depends on. fits: whether it learns from the examples. neural: whether it runs on a
    device, in a precision that depends on it.
    """

    build: Callable[..., Encoder]
    positional: str | None = None
    example: str
    libraries: tuple[str, ...] = ("numpy",)
    fits: bool = False
    neural: bool = False


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """An encoder and what it is to encode; `features` computes, or finds in the cache."""

    record: EncoderRecord
    encoder: Encoder
    examples: NDArray[Any]
    fit_on: NDArray[Any] | None = None
    device: str = "auto"

    @cached_property
    def key(self) -> dict[str, Any]:
        """Everything the features depend on, as JSON values."""
        fitted = {"fit_on": hash_array(self._fit_on)} if self.record.fits else {}
        return self._settings | fitted | {"examples": hash_array(self.examples)}

    @cached_property
    def _settings(self) -> dict[str, Any]:
        settings = {
            "encoder": self.record.name,
            "settings": self.encoder.key(),
            "versions": library_versions(*self.record.libraries),
        }
        if self.record.neural:
            from mislabel.learning.problem import choose_device

            settings["device"] = choose_device(self.device).type
        return settings

    @property
    def _fit_on(self) -> NDArray[Any]:
        return self.examples if self.fit_on is None else self.fit_on

    def features(
        self,
        *,
        batch_size: int | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Features:
        """(N, d); finished parts are kept in the cache's folder until all is done."""
        name, folder = f"features-{self.record.name}", cache_folder()
        rows = folder / f"{name}-{hash_json(self.key)[:32]}.rows"
        learned = {"settings": self._settings, "fit_on": self.key.get("fit_on")}
        run = EncoderRun(
            device=self.device,
            batch_size=batch_size,
            folder=rows,
            fitted=folder / f"fitted-{self.record.name}-{hash_json(learned)[:32]}.npz",
            progress=progress,
        )
        fit_on = self.fit_on if self.record.fits else None
        found: Features = cached_array(
            name, self.key, lambda: self.encoder(self.examples, fit_on=fit_on, run=run)
        )
        shutil.rmtree(rows, ignore_errors=True)
        return found


def check_choice(name: str, value: str, known: Sequence[str]) -> None:
    """Raise `InputError` where `value` is none of the known ones."""
    if value not in known:
        raise InputError(name, value, f"unknown choice; {did_you_mean(value, known)}")


def load_features(path: Path, argument: str = "features") -> Features:
    """(N, d) finite float32 features of a file: .npy, .npz, .parquet or .safetensors.

    ``.npz`` and ``.safetensors`` need one array, or one called ``features``; of a Parquet file
    all numeric columns are taken in their order. Nothing in the file is executed.
    """
    if not path.is_file():
        raise InputError(argument, str(path), "no such file")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(argument, str(path), f"unknown format; use {', '.join(_READERS)}")
    try:
        array = reader(path, argument)
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(argument, str(path), f"cannot be read ({error_line(error)})") from error
    if array.ndim != 2 or array.dtype.kind not in "fiu" or 0 in array.shape:
        found = f"{array.dtype} {array.shape}"
        raise InputError(argument, str(path), f"must hold a matrix of numbers (N, d), not {found}")
    with np.errstate(over="ignore"):
        features = np.ascontiguousarray(array, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        raise InputError(argument, str(path), f"must be finite in float32; row {bad[0]} is not")
    return features


def load_map(path: Path) -> Features:
    """(N, 2) float32 map from a file as in `load_features`; a Parquet file has columns x, y."""
    found = load_features(path, "map")
    if found.shape[1] != 2:
        raise InputError("map", str(path), f"must have 2 columns, not {found.shape[1]}")
    return found


def _read_npz(path: Path, argument: str) -> NDArray[Any]:
    with open_npz(path) as archive:
        names = archive.files
        name = names[0] if len(names) == 1 else "features"
        if name not in names:
            raise InputError(argument, str(path), f"has no array 'features', only {names}")
        return np.asarray(archive[name])


def _read_safetensors(path: Path, argument: str) -> NDArray[Any]:
    from mislabel.features.weights import extra

    try:
        arrays: dict[str, NDArray[Any]] = extra("safetensors.numpy").load_file(path)
    except extra("safetensors").SafetensorError as error:  # no ValueError
        raise ValueError(error_line(error)) from error
    name = next(iter(arrays)) if len(arrays) == 1 else "features"
    if name not in arrays:
        raise InputError(argument, str(path), f"has no array 'features', only {sorted(arrays)}")
    return arrays[name]


def _read_parquet(path: Path, argument: str) -> NDArray[Any]:
    from pyarrow import types

    schema = read_schema(path)
    if {"x", "y"} <= set(schema.names):
        names = ["x", "y"]
    else:
        kinds = (types.is_floating, types.is_integer)
        names = [field.name for field in schema if any(kind(field.type) for kind in kinds)]
    if not names:
        raise InputError(argument, str(path), "has no numeric columns")
    if twice := sorted({name for name in names if schema.names.count(name) > 1}):
        raise InputError(argument, str(path), f"has several columns called {twice[0]!r}")
    table = read_parquet(path, names)
    return np.stack([table[name].to_numpy() for name in names], axis=1)


_READERS: dict[str, Callable[[Path, str], NDArray[Any]]] = {
    ".npy": lambda path, _: read_npy(path),
    ".npz": _read_npz,
    ".parquet": _read_parquet,
    ".safetensors": _read_safetensors,
}
