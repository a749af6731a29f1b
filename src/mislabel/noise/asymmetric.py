"""Asymmetric noise: chosen classes are mistaken for one other class that looks like them.

Source: Patrini et al., "Making Deep Neural Networks Robust to Label Noise", CVPR 2017.

| map | flips |
|---|---|
| ``cifar10`` | truck -> automobile, bird -> airplane, cat <-> dog, deer -> horse |
| ``cifar100`` | within each of the 20 superclasses, to the next of its five classes, in a ring |
| ``mnist`` | 7 -> 1, 2 -> 7, 5 <-> 6, 3 -> 8 |

or any map given as ``7>1/2>7``. Pitfall: papers call "40 % asymmetric" a chance of 0.4 for the
classes that flip, which on CIFAR-10 is half as much overall; that is ``per_class=true`` here,
while `rate` by itself is the share of all examples, as for every kind.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mislabel.errors import InputError, did_you_mean
from mislabel.noise.base import (
    FloatArray,
    IntArray,
    NoiseModel,
    NoiseRecord,
    Problem,
    need_two_classes,
)
from mislabel.noise.rates import check_rate
from mislabel.noise.transition import draw_transitions

# The classes of each superclass of CIFAR-100, by number, ascending (Krizhevsky 2009).
CIFAR100_SUPERCLASSES = (
    (4, 30, 55, 72, 95), (1, 32, 67, 73, 91), (54, 62, 70, 82, 92), (9, 10, 16, 28, 61),
    (0, 51, 53, 57, 83), (22, 39, 40, 86, 87), (5, 20, 25, 84, 94), (6, 7, 14, 18, 24),
    (3, 42, 43, 88, 97), (12, 17, 37, 68, 76), (23, 33, 49, 60, 71), (15, 19, 21, 31, 38),
    (34, 63, 64, 66, 75), (26, 45, 77, 79, 99), (2, 11, 35, 46, 98), (27, 29, 44, 78, 93),
    (36, 50, 65, 74, 80), (47, 52, 56, 59, 96), (8, 13, 48, 58, 90), (41, 69, 81, 85, 89),
)  # fmt: skip

CLASS_MAPS: dict[str, tuple[int, Mapping[int, int]]] = {
    "cifar10": (10, {9: 1, 2: 0, 3: 5, 5: 3, 4: 7}),
    "cifar100": (
        100,
        {
            group[i]: group[(i + 1) % len(group)]
            for group in CIFAR100_SUPERCLASSES
            for i in range(len(group))
        },
    ),
    "mnist": (10, {7: 1, 2: 7, 5: 6, 6: 5, 3: 8}),
}
"Number of classes and flips of each named map."


@dataclass(frozen=True, kw_only=True)
class Asymmetric(NoiseModel):
    """Flips between chosen classes at an exact rate.

    rate: share of flipped examples, of all examples. map: "cifar10", "cifar100", "mnist", or
    pairs such as "7>1/2>7". per_class: meet the rate in each class that flips.
    """

    name: ClassVar[str] = "asymmetric"
    rate: float
    map: str = "cifar10"
    per_class: bool = False

    def check_parameters(self) -> None:
        check_rate(self.rate)

    def _corrupt(self, problem: Problem) -> IntArray:
        need_two_classes(problem)
        matrix = class_map_matrix(self.map, problem.n_classes)
        return draw_transitions(problem, matrix, rate=self.rate, per_class=self.per_class)


def class_map_matrix(text: str, n_classes: int) -> FloatArray:
    """(C, C) matrix that sends every class of a map to its target, and keeps the others."""
    flips = _class_map(text, n_classes)
    matrix = np.eye(n_classes)
    for source, target in flips.items():
        matrix[source, source], matrix[source, target] = 0.0, 1.0
    return matrix


def _class_map(text: str, n_classes: int) -> Mapping[int, int]:
    if text in CLASS_MAPS:
        expected, flips = CLASS_MAPS[text]
        if expected != n_classes:
            raise InputError("map", text, f"is for {expected} classes; the data have {n_classes}")
        return flips
    if not re.fullmatch(r"\d+>\d+(/\d+>\d+)*", text):
        hint = did_you_mean(text, CLASS_MAPS)
        raise InputError("map", text, f"must be a name or pairs such as 7>1/2>7; {hint}")
    pairs = [tuple(map(int, pair.split(">"))) for pair in text.split("/")]
    for source, target in pairs:
        if max(source, target) >= n_classes or source == target:
            rule = f"has {source}>{target}; must join two classes from 0 to {n_classes - 1}"
            raise InputError("map", text, rule)
    if len({source for source, _ in pairs}) < len(pairs):
        raise InputError("map", text, "must send each class to one other")
    return dict(pairs)  # type: ignore[arg-type]


RECORD = NoiseRecord(
    name=Asymmetric.name,
    title="Asymmetric",
    paper="Patrini et al. 2017",
    model=Asymmetric,
    positional="rate",
    example="asymmetric:0.2,map=7>1/2>7/5>6/6>5/3>8",
    advice="look-alike classes are mistaken for each other, wherever the examples lie",
)
