"""Class-dependent noise: any transition matrix, given or estimated from a pair of label vectors.

``T[y, z]`` from a file, or estimated from a label file that knows its clean labels, CIFAR-N's
say. This is the usual "synthetic counterpart" of human noise: the same confusions between
classes, but blind to what an example looks like.

``compat="cifar-n"`` draws as the authors of CIFAR-N did, example by example from
``RandomState(0).multinomial(1, T[y])``, so that their files are met in every place; the rate is
then random.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from mislabel.errors import InputError
from mislabel.features import load_features
from mislabel.files import hash_file
from mislabel.labels import load_labels
from mislabel.noise.base import (
    FloatArray,
    IntArray,
    NoiseModel,
    NoiseRecord,
    Problem,
    need_two_classes,
)
from mislabel.noise.human import HUMAN_SETS, find_human_file
from mislabel.noise.rates import check_rate
from mislabel.noise.transition import check_transition_matrix, draw_transitions

COMPATIBLE = ("cifar-n",)


@dataclass(frozen=True, kw_only=True)
class ClassDependent(NoiseModel):
    """Draws from a transition matrix.

    like: labels whose matrix is estimated; a set of CIFAR-N ("random_label1") or a label file
    with clean labels; or
    matrix: file of a matrix, C x C, rows (clean) sum to 1 (``.npy``, ``.npz``, ``.parquet``).
    rate: share of flipped examples; by default that of the matrix.
    per_class: meet the rate in each class that flips. compat: "cifar-n" for their very draws.
    """

    name: ClassVar[str] = "class-dependent"
    like: str | None = None
    matrix: Path | None = None
    rate: float | None = None
    per_class: bool = False
    compat: str | None = None

    def check_parameters(self) -> None:
        if (self.like is None) == (self.matrix is None):
            raise InputError("like", self.like, "give either like or matrix")
        if self.rate is not None:
            check_rate(self.rate)
        if self.per_class and self.rate is None:
            raise InputError("per_class", True, "goes with rate")
        if self.compat is not None and self.compat not in COMPATIBLE:
            raise InputError("compat", self.compat, "must be cifar-n")
        if self.compat is not None and self.rate is not None:
            raise InputError("rate", self.rate, "is random in compatible draws; leave it out")

    def _corrupt(self, problem: Problem) -> IntArray:
        need_two_classes(problem)
        matrix = self._matrix(problem.n_classes)
        if self.compat is not None:
            return _draw_as_cifar_n(problem.clean_labels, matrix)
        return draw_transitions(problem, matrix, rate=self.rate, per_class=self.per_class)

    def _matrix(self, n_classes: int) -> FloatArray:
        if self.matrix is not None:
            values = load_features(self.matrix, "matrix").astype(np.float64)
            return check_transition_matrix(values, n_classes, "matrix")
        path, column = self._like_file()
        labels = load_labels(path, column=column, n_classes=n_classes, argument="like")
        if labels.clean_labels is None:
            raise InputError("like", str(path), "holds no clean labels to compare with")
        return estimate_transition_matrix(labels.clean_labels, labels.labels, n_classes)

    def _like_file(self) -> tuple[Path, str | None]:
        like = str(self.like)
        if like in HUMAN_SETS:
            return find_human_file(HUMAN_SETS[like]), like
        return Path(like), None

    def _input_hashes(self, problem: Problem) -> dict[str, str]:
        path = self.matrix if self.matrix is not None else self._like_file()[0]
        return super()._input_hashes(problem) | {"file": hash_file(path)}


def estimate_transition_matrix(
    clean_labels: IntArray, labels: IntArray, n_classes: int
) -> FloatArray:
    """(C, C) shares of `labels` by clean label; a class that does not occur keeps its label."""
    flat = np.bincount(clean_labels * n_classes + labels, minlength=n_classes**2)
    counts = flat.reshape(n_classes, n_classes).astype(np.float64)
    empty = counts.sum(axis=1) == 0
    counts[empty, empty] = 1.0
    matrix: FloatArray = counts / counts.sum(axis=1, keepdims=True)
    return matrix


def _draw_as_cifar_n(clean_labels: IntArray, matrix: FloatArray) -> IntArray:
    """The authors' draws: a private `RandomState(0)` and one multinomial per example, in order."""
    draw = np.random.RandomState(0)
    chosen = [draw.multinomial(1, row).argmax() for row in matrix[clean_labels]]
    return np.array(chosen, dtype=np.int64)


RECORD = NoiseRecord(
    name=ClassDependent.name,
    title="Class-dependent",
    paper="Wei et al. 2022 (the synthetic counterpart of CIFAR-N)",
    model=ClassDependent,
    positional="like",
    example="class-dependent:random_label1",
    advice="human confusions between classes, but blind to what an example looks like",
)
