"""The contract for noise models.

A noise model is a frozen dataclass of keyword-only parameters with one method to write,
`NoiseModel._corrupt`: it gets a checked `Problem` and returns labels. `NoiseModel.corrupt`
validates, calls it and attaches the receipt.

To add one: copy ``symmetric.py``, write the class and its ``RECORD``, and add the record to the
list in ``mislabel/noise/__init__.py``. The command line, the benchmark, the report and the
contract tests then know it.
"""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.errors import InputError
from mislabel.files import hash_array
from mislabel.labels import NoisyLabels, Receipt, as_array, check_count, check_labels
from mislabel.registry import Record
from mislabel.seeds import check_seed, generator
from mislabel.versions import library_versions

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
PointArray = NDArray[np.float32] | NDArray[np.float64]
Points = TypeVar("Points", bound=NDArray[Any])


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Checked inputs of one draw. N examples, C classes.

    clean_labels: (N,). positions: (N, d) points in which distances mean something, a 2-D map or an
    embedding. probabilities: (N, C), rows sum to 1. indices: (N,) positions of the examples in the
    full data set of n_total. features: (N, d). What was not given is None. Matrices are float32
    where they came as that, which spares a large copy, and float64 otherwise.
    """

    clean_labels: IntArray
    n_classes: int
    positions: PointArray | None
    probabilities: PointArray | None
    indices: IntArray
    n_total: int
    seed: int
    rng: np.random.Generator
    features: PointArray | None = None


@dataclass(frozen=True, kw_only=True)
class NoiseModel(ABC):
    """Base class of noise models; see the module for how to write one."""

    name: ClassVar[str]
    reads_file: ClassVar[bool] = False
    "Whether the labels come from a file, which may change, rather than from a draw."

    def corrupt(
        self,
        clean_labels: ArrayLike,
        *,
        n_classes: int | None = None,
        positions: ArrayLike | None = None,
        probabilities: ArrayLike | None = None,
        features: ArrayLike | None = None,
        indices: ArrayLike | None = None,
        n_total: int | None = None,
        seed: int = 0,
    ) -> NoisyLabels:
        """Draw noisy labels for `clean_labels`, which are left as they are.

        clean_labels: (N,). n_classes: C, by default one more than the largest label.
        positions: (N, d) a 2-D map or an embedding; `cluster` needs it.
        probabilities: (N, C) class probabilities of a classifier; `pmd` needs them.
        features: (N, d) any numbers that describe the examples; `instance` needs them. They also
            stand in for positions that are not given, and probabilities that are not given are
            cross-fitted from them, so that labels and features are enough for every kind.
        indices, n_total: which examples of the full data set these are, for label files that
            hold the full set; by default all of them in order.
        seed: the same seed gives the same labels; the global random state is not used.

        Errors: `InputError` for inputs that do not fit, or a rate that cannot be reached.
        """
        self.check_parameters()
        problem = check_problem(
            clean_labels, n_classes, positions, probabilities, indices, n_total, seed, self.name,
            features=features,
        )  # fmt: skip
        problem = self._with_stand_ins(problem)
        for name in self.used_inputs():
            needed(getattr(problem, name), name, self.name)
        labels = self._corrupt(problem)
        return NoisyLabels(
            labels,
            clean_labels=problem.clean_labels,
            n_classes=problem.n_classes,
            receipt=self._receipt(problem),
        )

    @abstractmethod
    def _corrupt(self, problem: Problem) -> IntArray:
        """(N,) noisy labels for a checked problem."""

    def check_parameters(self) -> None:  # noqa: B027 - a model may have none
        """Raise `InputError` for a parameter that breaks its rule, whatever the data."""

    def used_inputs(self) -> tuple[str, ...]:
        """Names of the fields of `Problem` that the model reads besides the labels."""
        return ()

    def _with_stand_ins(self, problem: Problem) -> Problem:
        """Features for what the model needs and was not given; see `corrupt`."""
        changes: dict[str, PointArray] = {}
        used = self.used_inputs()
        if problem.features is not None:
            if "positions" in used and problem.positions is None:
                changes["positions"] = problem.features
            if "probabilities" in used and problem.probabilities is None:
                from mislabel.noise.eta import cross_fitted_probabilities

                changes["probabilities"] = cross_fitted_probabilities(
                    problem.features,
                    problem.clean_labels,
                    n_classes=problem.n_classes,
                    seed=problem.seed,
                )
        return replace(problem, **changes)  # type: ignore[arg-type]

    def _input_hashes(self, problem: Problem) -> dict[str, str]:
        """SHA-256 of what the draw depends on, by name; numbers count as float64."""
        given = {name: getattr(problem, name) for name in self.used_inputs()}
        hashes = {"clean_labels": hash_array(problem.clean_labels)}
        return hashes | {
            name: hash_array(value, as_type=np.float64)
            for name, value in given.items()
            if value is not None
        }

    def _receipt(self, problem: Problem) -> Receipt:
        return Receipt(
            generator=self.name,
            parameters=self.parameters(),
            seed=problem.seed,
            versions=library_versions("numpy"),
            inputs=self._input_hashes(problem),
        )

    def parameters(self) -> dict[str, Any]:
        """The parameters as JSON values; of a path the file's name."""
        return {k: v.name if isinstance(v, Path) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, kw_only=True)
class NoiseRecord(Record):
    """A noise model in the registry.

    positional: the parameter that stands after the colon in a spec ("0.35" in ``cluster:0.35``).
    example: a spec that works. advice: one line on what the noise is like.
    """

    model: type[NoiseModel]
    positional: str | None
    example: str
    advice: str


def check_problem(
    clean_labels: ArrayLike,
    n_classes: int | None,
    positions: ArrayLike | None,
    probabilities: ArrayLike | None,
    indices: ArrayLike | None,
    n_total: int | None,
    seed: int,
    name: str,
    *,
    features: ArrayLike | None = None,
) -> Problem:
    """Check all inputs of a draw at one gate; see `NoiseModel.corrupt` for their meaning."""
    clean = check_labels(clean_labels, name="clean_labels", n_classes=n_classes)
    n_examples = len(clean)
    n_classes = int(clean.max()) + 1 if n_classes is None else n_classes
    total = n_examples if n_total is None else check_count(n_total, "n_total")
    if indices is None and total != n_examples:
        rule = f"are needed: n_total is {total}, and there are {n_examples} labels"
        raise InputError("indices", None, rule)
    where = np.arange(n_examples) if indices is None else as_array(indices, "indices")
    where = check_labels(where, name="indices", n_examples=n_examples, n_classes=total)
    points = None if positions is None else check_points(positions, "positions", n_examples)
    chances = None if probabilities is None else check_chances(
        probabilities, n_examples, n_classes
    )  # fmt: skip
    return Problem(
        clean_labels=clean,
        n_classes=n_classes,
        positions=points,
        probabilities=chances,
        indices=where,
        n_total=total,
        seed=check_seed(seed),
        rng=generator(seed, "noise", name),
        features=None if features is None else check_points(features, "features", n_examples),
    )


def check_points(values: ArrayLike, name: str, n_examples: int) -> PointArray:
    """(N, d) finite numbers, or an `InputError` that names `name`; float64 unless float32."""
    array = as_array(values, name)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or array.shape[1] == 0:
        raise InputError(name, f"{array.dtype} {array.shape}", "must be a matrix of numbers (N, d)")
    if len(array) != n_examples:
        raise InputError(name, f"{len(array)} rows", f"must have one row per label: {n_examples}")
    single = array.dtype == np.float32
    points: PointArray = (
        np.ascontiguousarray(array, np.float32)
        if single
        else np.ascontiguousarray(array, np.float64)
    )
    if not (np.isfinite(points.min()) and np.isfinite(points.max())):  # NaN is passed on by both
        bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
        raise InputError(name, f"row {bad[0]}", "must be finite")
    return points


def check_matrix(values: ArrayLike, name: str, n_examples: int) -> FloatArray:
    """(N, d) finite numbers as float64, or an `InputError` that names `name`."""
    return np.asarray(check_points(values, name, n_examples), dtype=np.float64)


def check_chances(values: ArrayLike, n_examples: int, n_classes: int) -> PointArray:
    """(N, C) rows of probabilities that sum to 1 within 0.001, or an `InputError`.

    As `check_points` they are float64 unless they came as float32.
    """
    name = "probabilities"
    matrix = check_points(values, name, n_examples)
    if matrix.shape[1] != n_classes:
        rule = f"must have one per class: {n_classes}"
        raise InputError(name, f"{matrix.shape[1]} columns", rule)
    sums = np.einsum("ij->i", matrix, dtype=np.float64)  # on short rows faster than sum(axis=1)
    if matrix.min() < 0 or np.abs(sums - 1).max() > 1e-3:
        bad = np.flatnonzero((matrix.min(axis=1) < 0) | (np.abs(sums - 1) > 1e-3))
        raise InputError(name, f"row {bad[0]}", "must be at least 0 and sum to 1")
    return matrix


def check_probabilities(values: ArrayLike, n_examples: int, n_classes: int) -> FloatArray:
    """As `check_chances`, but always float64."""
    return np.asarray(check_chances(values, n_examples, n_classes), dtype=np.float64)


def needed(value: Points | None, name: str, model: str) -> Points:
    """`value`, or an `InputError` that says the model cannot do without it."""
    if value is None:
        raise InputError(name, None, f"noise {model!r} needs them")
    return value


def need_two_classes(problem: Problem) -> None:
    """Noise has nowhere to go with one class."""
    if problem.n_classes < 2:
        raise InputError("n_classes", problem.n_classes, "label noise needs at least 2 classes")
