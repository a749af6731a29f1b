"""The contract for cheap estimators of memorization.

An estimator is a frozen dataclass of keyword-only parameters with one method to write,
`Estimator._estimate`: it gets a checked `Problem` and returns an `Estimate`. Calling it validates,
estimates and wraps the result as `MemorizationScores`, as a held-out study has them.

To add one: copy ``neighbors.py``, write the class and its ``RECORD``, and add the record to the
list in ``estimators.py``. The command line and the contract tests then know it.

Pitfall: classes that occur in no label are left out of `Problem`, or an estimator would give them
probability; its labels are positions among the classes that do.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.files import hash_array
from mislabel.labels import NoisyLabels, as_array
from mislabel.memorization.aggregate import PLACES, Sums
from mislabel.memorization.scores import Floats, MemorizationScores
from mislabel.registry import Record
from mislabel.seeds import check_seed
from mislabel.versions import library_versions

Progress = Callable[[int, int], None]
"Told how much is done and of how much."
FEWEST_EXAMPLES = 4


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Checked inputs of an estimate. N examples, C classes that occur.

    given: the labels as they came. labels: (N,) positions from 0 to C - 1 among the classes that
    occur. features: (N, d) finite float32, or uint8 images (N, h, w, c) for those that train on
    them. index: (M,) ascending, the examples asked for, or None for all.
    """

    given: NoisyLabels
    labels: NDArray[np.int64]
    n_classes: int
    features: NDArray[Any]
    index: NDArray[np.int64] | None
    seed: int
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What an estimator found, about the examples at `index` (None: about all).

    more: errors, counts and halves as in `MemorizationScores`. notes: what it chose on the way (a
    penalty, say), JSON values.
    """

    inclusion: Floats
    exclusion: Floats
    index: NDArray[np.int64] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Estimator(ABC):
    """Base class of estimators; see the module for how to write one."""

    name: ClassVar[str]
    title: ClassVar[str]
    takes_images: ClassVar[bool] = False
    "Whether images may stand in for features."

    def __call__(
        self,
        labels: NoisyLabels,
        features: NDArray[Any],
        *,
        index: NDArray[np.int64] | None = None,
        class_names: Sequence[str] | None = None,
        seed: int = 0,
        progress: Progress = lambda done, total: None,
    ) -> MemorizationScores:
        """Estimate memorization of the given labels.

        features: (N, d) finite numbers, a map or an embedding; or uint8 images (N, h, w, c) where
        the estimator trains on them. index: ascending positions of the examples to estimate, by
        default all. class_names: C, for figures and lists. seed: of all that is drawn.
        Errors: `InputError` for inputs that do not fit, or fewer than two classes.
        """
        problem = self.problem(labels, features, index=index, seed=seed, progress=progress)
        return self.scores(problem, self._estimate(problem), class_names)

    def problem(
        self,
        labels: NoisyLabels,
        features: NDArray[Any],
        *,
        index: NDArray[np.int64] | None,
        seed: int,
        progress: Progress,
    ) -> Problem:
        """The inputs of a call, checked."""
        classes, own = np.unique(labels.labels, return_inverse=True)
        if len(classes) < 2:
            raise InputError("labels", int(classes[0]), "has 1 class; at least 2 are needed")
        return Problem(
            given=labels,
            labels=own.astype(np.int64),
            n_classes=len(classes),
            features=check_features(features, len(labels), images=self.takes_images),
            index=None if index is None else check_index(index, len(labels)),
            seed=check_seed(seed),
            progress=progress,
        )

    def scores(
        self, problem: Problem, found: Estimate, class_names: Sequence[str] | None
    ) -> MemorizationScores:
        """What was found as scores of the examples that were asked for."""
        scores = MemorizationScores.of(
            problem.given,
            inclusion=found.inclusion,
            exclusion=found.exclusion,
            index=found.index,
            class_names=class_names,
            provenance=self._provenance(problem) | {"notes": dict(found.notes)},
            **found.more,
        )
        return scores if problem.index is None else scores.select(problem.index)

    @abstractmethod
    def _estimate(self, problem: Problem) -> Estimate:
        """The probabilities for a checked problem."""

    def _provenance(self, problem: Problem) -> dict[str, Any]:
        hashes = {"labels": problem.given.labels, "features": problem.features}
        return {
            "estimator": self.name,
            "title": self.title,
            "parameters": asdict(self),
            "seed": problem.seed,
            "versions": library_versions("numpy", "scipy"),
            "inputs": {name: hash_array(value) for name, value in hashes.items()},
        }


@dataclass(frozen=True, kw_only=True)
class EstimatorRecord(Record):
    """An estimator in the registry.

    positional: the parameter that stands first in a spec. uses: what it is best given, "map",
    "features", or "training" for the examples themselves. cost: what it takes, in words.
    """

    build: Callable[..., Estimator]
    positional: str | None = None
    uses: str
    cost: str
    example: str


def estimate_of(sums: Sums, index: NDArray[np.int64], notes: dict[str, Any]) -> Estimate:
    """What runs with and without each example say of those at `index`."""
    means, errors, counts, halves = sums.means(), sums.errors(), sums.counts(), sums.halves()
    more = {
        f"{name}_{kind}": value
        for place, name in enumerate(PLACES)
        for kind, value in (
            ("error", errors[place]), ("count", counts[place]), ("halves", halves[:, place]),
        )
    }  # fmt: skip
    named = dict(zip(PLACES, means, strict=True))
    return Estimate(
        inclusion=named["inclusion"],
        exclusion=named["exclusion"],
        index=index,
        more=more,
        notes=notes,
    )


def check_features(features: Any, n_examples: int, *, images: bool = False) -> NDArray[Any]:
    """(N, d) finite float32, or with `images` also uint8 (N, h, w, c); else an `InputError`."""
    array = as_array(features, "features")
    is_image = images and array.ndim == 4 and array.dtype == np.uint8
    if not is_image and (array.ndim != 2 or array.dtype.kind not in "fiu" or not array.shape[1]):
        also = " or uint8 images (N, h, w, c)" if images else ""
        rule = f"must be a matrix of numbers (N, d){also}"
        raise InputError("features", f"{array.dtype} {array.shape}", rule)
    if len(array) != n_examples:
        rule = f"must have one row per label: {n_examples}"
        raise InputError("features", f"{len(array)} rows", rule)
    if n_examples < FEWEST_EXAMPLES:
        raise InputError("features", f"{n_examples} rows", f"must be at least {FEWEST_EXAMPLES}")
    if is_image:
        return array
    with np.errstate(over="ignore"):
        points = np.ascontiguousarray(array, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise InputError("features", f"row {bad[0]}", "must be finite")
    if (points == points[0]).all():
        raise InputError("features", f"{points.shape}", "must not be the same for all examples")
    return points


def check_index(index: Any, n_examples: int) -> NDArray[np.int64]:
    """(M,) ascending positions below N without repetition, or an `InputError`."""
    array = as_array(index, "index")
    if array.ndim != 1 or array.dtype.kind not in "iu" or not len(array):
        rule = "must be a list of whole numbers"
        raise InputError("index", f"{array.dtype} {array.shape}", rule)
    outside = array[(array < 0) | (array >= n_examples)]
    if len(outside):
        raise InputError("index", int(outside[0]), f"must be between 0 and {n_examples - 1}")
    ordered = array.astype(np.int64)
    if (np.diff(ordered) <= 0).any():
        raise InputError("index", f"{len(ordered)} positions", "must be ascending without repeats")
    return ordered


def check_number(name: str, value: Any, *, above: float = 0.0, below: float = np.inf) -> None:
    """Raise `InputError` unless `value` is a number strictly between the two bounds."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not (number and above < value < below):
        upper = "" if below == np.inf else f" and below {below:g}"
        raise InputError(name, value, f"must be a number above {above:g}{upper}")
