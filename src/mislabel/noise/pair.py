"""Pair-flip noise: each class is mistaken for the next one, ``y -> y + 1 mod C``.

``T[y, y + 1 mod C] = rate``. Source: Han et al., "Co-teaching", NeurIPS 2018.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mislabel.noise.base import IntArray, NoiseModel, NoiseRecord, Problem
from mislabel.noise.rates import check_rate
from mislabel.noise.transition import draw_transitions


@dataclass(frozen=True, kw_only=True)
class PairFlip(NoiseModel):
    """Flips to the next class at an exact rate.

    rate: share of flipped examples, 0 to 1. per_class: meet it in each class, not only overall.
    """

    name: ClassVar[str] = "pair"
    rate: float
    per_class: bool = False

    def check_parameters(self) -> None:
        check_rate(self.rate)

    def _corrupt(self, problem: Problem) -> IntArray:
        matrix = np.roll(np.eye(problem.n_classes), 1, axis=1)
        return draw_transitions(problem, matrix, rate=self.rate, per_class=self.per_class)


RECORD = NoiseRecord(
    name=PairFlip.name,
    title="Pair flip",
    paper="Han et al. 2018",
    model=PairFlip,
    positional="rate",
    example="pair:0.2",
    advice="each class is mistaken for one other; hard near 50 %, where the two cannot be told",
)
