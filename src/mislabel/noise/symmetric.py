"""Symmetric noise: every wrong label is as likely as any other.

``T[y, z] = rate / (C - 1)`` for z != y. Exactly ``round(rate * N)`` examples are chosen without
replacement and each gets one of the other C - 1 labels, uniformly.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mislabel.noise.base import IntArray, NoiseModel, NoiseRecord, Problem, need_two_classes
from mislabel.noise.rates import check_rate, flip_smallest


@dataclass(frozen=True, kw_only=True)
class Symmetric(NoiseModel):
    """Uniform flips at an exact rate.

    rate: share of flipped examples, 0 to 1. per_class: meet it in each class, not only overall.
    """

    name: ClassVar[str] = "symmetric"
    rate: float
    per_class: bool = False

    def check_parameters(self) -> None:
        check_rate(self.rate)

    def _corrupt(self, problem: Problem) -> IntArray:
        need_two_classes(problem)
        n_examples, n_classes, rng = len(problem.clean_labels), problem.n_classes, problem.rng
        chosen = flip_smallest(
            rng.random(n_examples), problem.clean_labels, n_classes, self.rate,
            per_class=self.per_class, rng=rng,
        )  # fmt: skip
        labels = problem.clean_labels.copy()
        flipped = np.flatnonzero(chosen)
        shift = rng.integers(1, n_classes, size=len(flipped))
        labels[flipped] = (labels[flipped] + shift) % n_classes
        return labels


RECORD = NoiseRecord(
    name=Symmetric.name,
    title="Symmetric",
    paper="Natarajan et al. 2013; the usual uniform noise",
    model=Symmetric,
    positional="rate",
    example="symmetric:0.2",
    advice="wrong labels fall anywhere; the easiest to train through",
)
