"""`Exploration`: examples with a place on a map, and all that is known of their labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.errors import InputError
from mislabel.features.neighbors import nearest_neighbors
from mislabel.files import hash_array, hash_json
from mislabel.labels import NoisyLabels
from mislabel.memorization.scores import THRESHOLD
from mislabel.noise.base import check_points

if TYPE_CHECKING:
    from mislabel.cleaning import CleanedLabels
    from mislabel.data import Dataset
    from mislabel.memorization import MemorizationScores

NEIGHBORS = 8
"Nearest examples that are shown of each."
SUSPICIOUS = 0.5
"Noise score above which a label is ringed as probably wrong."
RINGS = {
    "flipped": "given label is not the clean one",
    "incorrect-learned": "flipped, and predicted whether trained on or not",
    "memorized": "predicted only when trained on",
    "changed": "corrected label is not the given one",
    "noisy": "noise score is high",
}
"Sets of examples that can be ringed or shown alone, and what they are."


@dataclass(frozen=True, kw_only=True, eq=False)
class Exploration:
    """N examples of C classes.

    name: of the data. class_names: C. positions: (N, 2) map. labels: sets of N labels by name, in
    the order of the page. clean_labels: (N,) or None. indices: (N,) positions in the full training
    set, ascending. neighbors: (N, k) nearest other examples, nearest first; neighbors_in: where
    they are near, "features" or "map". images: (N, height, width, channels) uint8, or None.
    scores, scored: memorization, and the set of labels that it is of. cleaned, cleaned_set:
    likewise for cleaned labels. fingerprint: of the data, hex.
    """

    name: str
    class_names: tuple[str, ...]
    positions: NDArray[np.float32]
    labels: Mapping[str, NoisyLabels]
    clean_labels: NDArray[np.int64] | None
    indices: NDArray[np.int64]
    neighbors: NDArray[np.int64]
    neighbors_in: str
    fingerprint: str
    images: NDArray[np.uint8] | None = None
    scores: "MemorizationScores | None" = None
    scored: str | None = None
    cleaned: "CleanedLabels | None" = None
    cleaned_set: str | None = None

    @classmethod
    def of(
        cls,
        positions: ArrayLike,
        labels: Mapping[str, NoisyLabels],
        *,
        name: str = "the data",
        class_names: Sequence[str] | None = None,
        images: NDArray[np.uint8] | None = None,
        features: ArrayLike | None = None,
        indices: NDArray[np.int64] | None = None,
        scores: "MemorizationScores | None" = None,
        cleaned: "CleanedLabels | None" = None,
        neighbors: int = NEIGHBORS,
        fingerprint: str | None = None,
    ) -> "Exploration":
        """An exploration of examples on a map, by one or several sets of labels.

        positions: (N, 2). labels: by name, one at least. class_names: C, by default the numbers.
        images: (N, height, width, channels). features: (N, d) in which neighbours are found, by
        default the map. indices: (N,) by which examples are called, ascending, by default 0 to
        N - 1. scores, cleaned: of the examples of one of the sets. neighbors: k. fingerprint: hash
        of the data, by which marks in a browser are kept; by default of the positions.
        Errors: `InputError` for what does not go together.
        """
        if not labels:
            raise InputError("labels", None, "must be one set at least")
        count = len(next(iter(labels.values())))
        if count < 2:
            raise InputError("labels", f"{count} example", "must be of 2 examples at least")
        places = check_points(positions, "map", count).astype(np.float32, copy=False)
        if places.shape[1] != 2:
            raise InputError("map", f"{places.shape[1]} columns", "must have two")
        n_classes = max(one.n_classes for one in labels.values())
        names = tuple(map(str, range(n_classes) if class_names is None else class_names))
        for title, one in labels.items():
            if len(one) != count:
                raise InputError("labels", title, f"must have {count} labels")
            if one.n_classes > len(names):
                raise InputError("labels", title, f"must be of {len(names)} classes")
        if images is not None and (images.ndim != 4 or len(images) != count):
            rule = f"must be ({count}, height, width, channels)"
            raise InputError("images", f"shape {images.shape}", rule)
        rows = places if features is None else check_points(features, "features", count)
        return cls(
            name=name,
            class_names=names,
            positions=places,
            labels=dict(labels),
            clean_labels=_clean_labels(labels),
            indices=np.arange(count) if indices is None else indices,
            neighbors=nearest_neighbors(rows, min(neighbors, count - 1))[1],
            neighbors_in="map" if features is None else "features",
            fingerprint=hash_array(places) if fingerprint is None else fingerprint,
            images=images,
            scores=scores,
            scored=None if scores is None else _set_of_scores(labels, scores),
            cleaned=cleaned,
            cleaned_set=None if cleaned is None else _set_of_cleaned(labels, cleaned),
        )

    @classmethod
    def of_dataset(
        cls,
        dataset: "Dataset",
        positions: ArrayLike,
        labels: Mapping[str, NoisyLabels],
        *,
        features: ArrayLike | None = None,
        scores: "MemorizationScores | None" = None,
        cleaned: "CleanedLabels | None" = None,
    ) -> "Exploration":
        """An exploration of the training examples of a data set; scores may be of a larger one."""
        from mislabel.memorization.suspects import on_dataset

        if len(positions := np.asarray(positions)) != len(dataset):
            rule = f"must have one row per example: {len(dataset)}"
            raise InputError("map", f"{len(positions)} rows", rule)
        return cls.of(
            positions,
            labels,
            name=dataset.name,
            class_names=dataset.class_names,
            images=dataset.x_train if dataset.is_image else None,
            features=features,
            indices=dataset.train_indices,
            scores=None if scores is None else on_dataset(scores, dataset),
            cleaned=cleaned,
            fingerprint=dataset.fingerprint,
        )

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    @cached_property
    def key(self) -> str:
        """Hash of data and labels, hex: marks in a browser are kept under it."""
        sets = {name: hash_array(one.labels) for name, one in self.labels.items()}
        return hash_json([self.fingerprint, sets])

    def column(self, name: str) -> NDArray[np.float64]:
        """(N,) a score of memorization, such as "inclusion", NaN where there is none."""
        if self.scores is None:
            raise InputError("scores", None, "are needed for this and were not given")
        values = np.full(len(self), np.nan)
        values[self.scores.index] = getattr(self.scores, name)
        return values

    def rings(
        self,
        labels: str,
        *,
        inclusion: float = THRESHOLD,
        exclusion: float = THRESHOLD,
        memorization: float = THRESHOLD,
        noise: float = SUSPICIOUS,
    ) -> dict[str, NDArray[np.bool_]]:
        """(N,) masks by the names of `RINGS`, as far as what they need is known of these labels.

        inclusion, exclusion, memorization, noise: values above them count as high.
        """
        chosen = self.labels[labels].labels
        found: dict[str, NDArray[np.bool_]] = {}
        flipped = None if self.clean_labels is None else chosen != self.clean_labels
        if flipped is not None:
            found["flipped"] = flipped
        if self.scored == labels:
            included, excluded = self.column("inclusion"), self.column("exclusion")
            if flipped is not None:
                learned = (included > inclusion) & (excluded > exclusion)
                found["incorrect-learned"] = flipped & learned
            found["memorized"] = included - excluded > memorization
        if self.cleaned is not None and self.cleaned_set == labels:
            found["changed"] = self.cleaned.changed
            found["noisy"] = self.cleaned.noise_scores > noise
        return found

    def summary(self) -> dict[str, Any]:
        """Counts by set of labels, JSON values."""
        sets = {
            name: {
                "rate": None if self.clean_labels is None else _rate(one.labels, self.clean_labels),
                **{ring: int(mask.sum()) for ring, mask in self.rings(name).items()},
            }
            for name, one in self.labels.items()
        }
        return {
            "data": self.name,
            "n_examples": len(self),
            "n_classes": self.n_classes,
            "images": self.images is not None,
            "labels": sets,
        }


def _rate(labels: NDArray[np.int64], clean: NDArray[np.int64]) -> float:
    return float((labels != clean).mean())


def _clean_labels(sets: Mapping[str, NoisyLabels]) -> NDArray[np.int64] | None:
    """The clean labels that the sets agree on, or None where none has any."""
    known = {name: one.clean_labels for name, one in sets.items() if one.clean_labels is not None}
    if not known:
        return None
    clean = next(iter(known.values()))
    for name, found in known.items():
        if not np.array_equal(found, clean):
            raise InputError("labels", name, "has other clean labels than the set before")
    return clean


def _set_of_scores(sets: Mapping[str, NoisyLabels], scores: "MemorizationScores") -> str:
    for name, one in sets.items():
        whole = scores.n_total == len(one)
        if whole and np.array_equal(one.labels[scores.index], scores.labels):
            return name
    rule = "are of other labels than all that are shown; give theirs with --labels"
    raise InputError("scores", scores.title, rule)


def _set_of_cleaned(sets: Mapping[str, NoisyLabels], cleaned: "CleanedLabels") -> str:
    for name, one in sets.items():
        if np.array_equal(one.labels, cleaned.labels):
            return name
    rule = "were cleaned from other labels than all that are shown; give theirs with --labels"
    raise InputError("targets", f"{len(cleaned)} labels", rule)
