"""The one result of every estimate of memorization: probabilities, errors, counts, provenance.

``mem(i) = P[h(x_i) = z_i | i in the training set] - P[h(x_i) = z_i | i not in it]``, z_i the given
label (Feldman 2020, "Does learning require memorization?"). The two probabilities are called
inclusion and exclusion probability. Held-out studies measure them, cheap estimators approximate
them; both return `MemorizationScores`, so that figures, lists and comparisons work with either.

Pitfalls: an example that was never held out has no exclusion probability: NaN, not 0. Errors are
of the estimate at hand, over the randomness of training; estimators without runs have none (NaN).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.files import UNREADABLE, atomic_path, error_line, open_npz
from mislabel.labels import NoisyLabels

FORMAT = 1
THRESHOLD = 0.6
"""Of the flags, as in Lim, Larson & Leach 2025."""
Floats = NDArray[np.float64]
_FLOATS = ("inclusion", "exclusion", "inclusion_error", "exclusion_error")
_HALVES = ("inclusion_halves", "exclusion_halves")
_COUNTS = ("inclusion_count", "exclusion_count")


@dataclass(frozen=True, kw_only=True, eq=False)
class MemorizationScores:
    """M examples; all arrays are (M,) but for the halves, which are (2, M).

    index: ascending positions in the full training set of `n_total` examples. labels: as given;
    clean_labels: or None. inclusion, exclusion: probabilities from 0 to 1, NaN where unknown, with
    the standard errors inclusion_error, exclusion_error and the numbers of runs behind them.
    inclusion_halves, exclusion_halves: the same estimates from two disjoint halves of the runs, for
    split-half reliability, or None. provenance: where they come from, JSON values, with
    "estimator" and "title".
    """

    index: NDArray[np.int64]
    labels: NDArray[np.int64]
    clean_labels: NDArray[np.int64] | None = None
    inclusion: Floats
    exclusion: Floats
    inclusion_error: Floats
    exclusion_error: Floats
    inclusion_count: NDArray[np.int64]
    exclusion_count: NDArray[np.int64]
    inclusion_halves: Floats | None = None
    exclusion_halves: Floats | None = None
    n_total: int
    class_names: tuple[str, ...]
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.index) and (np.diff(self.index) <= 0).any():
            raise ValueError("index must be ascending without repetition")
        for entry in fields(self):
            value = getattr(self, entry.name)
            halves = entry.name in _HALVES
            wanted = (2, len(self.index)) if halves else (len(self.index),)
            if isinstance(value, np.ndarray) and value.shape != wanted:
                raise ValueError(f"{entry.name} has shape {value.shape}, not {wanted}")

    @classmethod
    def of(
        cls,
        labels: NoisyLabels,
        *,
        inclusion: Floats,
        exclusion: Floats,
        index: NDArray[np.int64] | None = None,
        class_names: Sequence[str] | None = None,
        provenance: Mapping[str, Any],
        **more: Any,
    ) -> "MemorizationScores":
        """Scores of the examples at `index` (by default all) of a set of labels.

        Errors, counts and halves that are not given are unknown: NaN, 0 and None.
        """
        index = np.arange(len(labels)) if index is None else index
        unknown, none = np.full(len(index), np.nan), np.zeros(len(index), dtype=np.int64)
        content = {
            "inclusion_error": unknown, "exclusion_error": unknown,
            "inclusion_count": none, "exclusion_count": none,
        }  # fmt: skip
        return cls(
            index=index,
            labels=labels.labels[index],
            clean_labels=None if labels.clean_labels is None else labels.clean_labels[index],
            inclusion=np.asarray(inclusion, dtype=np.float64),
            exclusion=np.asarray(exclusion, dtype=np.float64),
            n_total=len(labels),
            class_names=tuple(map(str, class_names or range(labels.n_classes))),
            provenance=dict(provenance),
            **(content | more),
        )

    def __len__(self) -> int:
        return len(self.index)

    @property
    def memorization(self) -> Floats:
        """Inclusion less exclusion probability; NaN where either is."""
        return self.inclusion - self.exclusion

    @property
    def memorization_error(self) -> Floats:
        """Its standard error; the two probabilities come from different runs."""
        return np.hypot(self.inclusion_error, self.exclusion_error)

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Where the given label is not the clean one."""
        if self.clean_labels is None:
            raise InputError("scores", self.title, "have no clean labels to tell wrong labels by")
        return np.asarray(self.labels != self.clean_labels)

    @property
    def title(self) -> str:
        return str(self.provenance.get("title", self.provenance.get("estimator", "scores")))

    def learned(self, threshold: float = THRESHOLD) -> NDArray[np.bool_]:
        """Both probabilities above the threshold: predicted whether trained on or not.

        Among wrong labels these are the study's "incorrect learned" examples.
        """
        return (self.inclusion > threshold) & (self.exclusion > threshold)

    def incorrect_learned(self, threshold: float = THRESHOLD) -> NDArray[np.bool_]:
        """Wrong labels that are learned without being memorized."""
        return self.wrong & self.learned(threshold)

    def memorized(self, threshold: float = THRESHOLD) -> NDArray[np.bool_]:
        """Memorization above the threshold: predicted only when trained on."""
        return self.memorization > threshold

    def select(self, index: NDArray[np.int64]) -> "MemorizationScores":
        """The scores of those examples (positions in the training set) that are here."""
        chosen = np.flatnonzero(np.isin(self.index, index))
        content = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        for name, value in content.items():
            if isinstance(value, np.ndarray):
                content[name] = value[..., chosen]
        return MemorizationScores(**content)

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` file, atomically; `load_scores` reads it."""
        path = Path(path)
        if path.suffix != ".npz":
            raise InputError("output", str(path), "must end in .npz")
        header = {
            "format": FORMAT, "n_total": self.n_total, "class_names": list(self.class_names),
            "provenance": self.provenance,
        }  # fmt: skip
        arrays = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        kept: dict[str, Any] = {k: v for k, v in arrays.items() if isinstance(v, np.ndarray)}
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, header=np.array(json.dumps(header)), **kept)


def load_scores(path: str | Path, argument: str = "scores") -> MemorizationScores:
    """Scores from a file that `MemorizationScores.save` wrote; nothing in it is executed."""
    path = Path(path)
    if not path.is_file():
        raise InputError(argument, str(path), "no such file")
    try:
        with open_npz(path) as archive:
            arrays = {name: np.asarray(archive[name]) for name in archive.files}
        header = json.loads(str(arrays.pop("header")[()]))
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']}, this version reads {FORMAT}")
        return _checked(arrays, header)
    except UNREADABLE as error:
        rule = f"is no file of scores ({error_line(error)})"
        raise InputError(argument, str(path), rule) from error


def _checked(arrays: dict[str, NDArray[Any]], header: dict[str, Any]) -> MemorizationScores:
    """Scores of what a file holds; a ValueError, KeyError or TypeError where it breaks a rule."""
    whole = ("index", "labels", "clean_labels", *_COUNTS)
    wanted: dict[str, Any] = dict.fromkeys(whole, np.int64)
    wanted |= dict.fromkeys(_FLOATS + _HALVES, np.float64)
    if unknown := set(arrays) - set(wanted):
        raise ValueError(f"unknown arrays {sorted(unknown)}")
    for name, value in arrays.items():
        if value.dtype != wanted[name]:
            raise ValueError(f"{name} is {value.dtype}, not {np.dtype(wanted[name])}")
    for name in _FLOATS[:2] + _HALVES:
        if name in arrays and ((arrays[name] < 0) | (arrays[name] > 1)).any():
            raise ValueError(f"{name} must be from 0 to 1")
    for name in _FLOATS[2:] + _COUNTS:
        if (arrays[name] < 0).any():
            raise ValueError(f"{name} must not be negative")
    if not isinstance(header["class_names"], list):
        raise TypeError("class_names is no list")
    names, n_total = tuple(map(str, header["class_names"])), int(header["n_total"])
    index = arrays["index"]
    if len(index) and not (index.min() >= 0 and index.max() < n_total):
        raise ValueError(f"index must be from 0 to {n_total - 1}")
    for name in ("labels", "clean_labels"):
        found = arrays.get(name, np.zeros(0))
        if len(found) and not (found.min() >= 0 and found.max() < len(names)):
            raise ValueError(f"{name} must be from 0 to {len(names) - 1}")
    provenance = header["provenance"]
    if not isinstance(provenance, dict):
        raise TypeError("provenance is no mapping")
    return MemorizationScores(
        n_total=n_total, class_names=names, provenance=provenance, **arrays
    )  # fmt: skip
