"""PMD noise (poly-margin diminishing): ambiguous examples flip between their two likeliest classes.

Source: Zhang et al., "Learning with Feature-Dependent Label Noise: A Progressive Approach", ICLR
2021 (PLC). With u and s the most and second most likely class of a classifier's probabilities
and d their difference, the noisy label is u with probability p, else s:

    type 1: p = max(1 - (1/2 - d^2/2), 1/2) / factor
    type 2: p = d^3 / factor
    type 3: p = (d^3 + d^2 + d) / (3 factor)

clipped to [0, 1]. Published factors, CIFAR-10 type 1: 1.43 for 35 %, 3.40 for 70 %.

Ours beyond: ``rate`` in place of ``factor``. The expected number of flips is piecewise linear in
1/factor, so the factor that meets the rate is solved for in closed form; then exactly that many
examples are drawn by systematic sampling, which keeps each example's flip probability. Pitfall:
examples whose two likeliest classes are both wrong always flip, so a poor classifier cannot make
a low rate; the error states the range that can be reached. How clustered the flips are depends on
the probabilities: those of a network that has nearly fitted its training data (the published files)
give none, cross-fitted ones on a map crowd them at the borders of classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.noise.base import (
    FloatArray,
    IntArray,
    NoiseModel,
    NoiseRecord,
    PointArray,
    Problem,
    need_two_classes,
    needed,
)
from mislabel.noise.rates import (
    check_positive,
    check_rate,
    flip_count,
    flip_counts_per_class,
    members_of_classes,
    stated_range,
    systematic_sample,
)

MARGIN_POLYNOMIALS: dict[int, Callable[[FloatArray], FloatArray]] = {
    1: lambda d: np.maximum(1 - (0.5 - d * d / 2), 0.5),
    2: lambda d: d * d * d,
    3: lambda d: (d * d * d + d * d + d) / 3,
}
"p times factor, as a function of the margin d, by type. Products, which all platforms round alike."
FEW_CLASSES = 32
"Up to so many classes the two likeliest are found a class at a time."


@dataclass(frozen=True, kw_only=True)
class PMD(NoiseModel):
    """PMD noise, at an exact rate or by the published factor.

    rate: share of flipped examples; or
    factor: above 0, the rate is then random.
    type: 1, 2 or 3, the polynomial of the margin. per_class: meet the rate in each class.
    """

    name: ClassVar[str] = "pmd"
    rate: float | None = None
    type: int = 1
    factor: float | None = None
    per_class: bool = False

    def used_inputs(self) -> tuple[str, ...]:
        return ("probabilities",)

    def _corrupt(self, problem: Problem) -> IntArray:
        need_two_classes(problem)
        probabilities = needed(problem.probabilities, "probabilities", self.name)
        margins = Margins.of(probabilities, problem.clean_labels, self.type)
        if self.factor is not None:
            p = np.minimum(margins.polynomial / self.factor, 1.0)
            first = problem.rng.random(len(p)) < p
            return np.where(first, margins.likeliest, margins.second)
        if self.per_class:
            return self._draw_per_class(problem, margins)
        count = flip_count(self.rate or 0.0, len(problem.clean_labels))
        return margins.draw(problem.clean_labels, count, problem.rng, rate=self.rate)

    def _draw_per_class(self, problem: Problem, margins: "Margins") -> IntArray:
        groups = members_of_classes(problem.clean_labels, problem.n_classes)
        sizes = np.array([len(group) for group in groups])
        counts = flip_counts_per_class(self.rate or 0.0, sizes, problem.rng)
        labels = problem.clean_labels.copy()
        for label, (group, count) in enumerate(zip(groups, counts, strict=True)):
            if len(group):
                labels[group] = margins.take(group).draw(
                    labels[group], int(count), problem.rng, rate=self.rate,
                    where=f" in class {label}",
                )  # fmt: skip
        return labels

    def check_parameters(self) -> None:
        if self.type not in MARGIN_POLYNOMIALS:
            raise InputError("type", self.type, "must be 1, 2 or 3")
        if (self.rate is None) == (self.factor is None):
            raise InputError("rate", self.rate, "give either rate or factor, not both")
        if self.rate is not None:
            check_rate(self.rate)
        if self.factor is not None:
            check_positive(self.factor, "factor")
        if self.per_class and self.rate is None:
            raise InputError("per_class", True, "goes with rate, not with factor")


@dataclass(frozen=True, kw_only=True)
class Margins:
    """Per example (n,): the two likeliest classes u and s, p times factor, and which is right."""

    likeliest: IntArray
    second: IntArray
    polynomial: FloatArray
    first_right: NDArray[np.bool_]
    second_right: NDArray[np.bool_]

    @classmethod
    def of(cls, probabilities: PointArray, clean_labels: IntArray, type_: int) -> "Margins":
        """Margins of classifier probabilities (n, C)."""
        likeliest, second, margin = two_likeliest(probabilities)
        return cls(
            likeliest=likeliest,
            second=second,
            polynomial=MARGIN_POLYNOMIALS[type_](margin),
            first_right=likeliest == clean_labels,
            second_right=second == clean_labels,
        )

    def take(self, group: IntArray) -> "Margins":
        """The margins of some examples."""
        return Margins(**{name: value[group] for name, value in vars(self).items()})

    def draw(
        self,
        clean: IntArray,
        count: int,
        rng: np.random.Generator,
        *,
        rate: float | None = None,
        where: str = "",
    ) -> IntArray:
        """(n,) labels with exactly `count` flips, each example at its flip probability.

        rate, where: what was asked for and of which examples, for the message if it cannot be.
        """
        p = np.minimum(self.polynomial * self.solve(count, rate=rate, where=where), 1.0)
        chance = np.where(self.first_right, 1 - p, np.where(self.second_right, p, 1.0))
        flipped = systematic_sample(chance, rng, count=count)
        first = np.where(self.first_right | self.second_right, self.second_right,
                         rng.random(len(p)) < p)  # fmt: skip
        return np.where(flipped, np.where(first, self.likeliest, self.second), clean)

    def solve(self, count: int, *, rate: float | None = None, where: str = "") -> float:
        """1/factor at which `count` flips are expected; the largest one if there are several.

        The expected number of flips is F(t) = #neither + sum over u right of (1 - min(a t, 1)) +
        sum over s right of min(a t, 1), with t = 1/factor and a the polynomial: linear between
        the breakpoints t = 1/a.
        """
        moving = self.polynomial > 0
        falling = np.sort(self.polynomial[self.first_right & moving])[::-1]
        rising = np.sort(self.polynomial[self.second_right & moving])[::-1]
        a = np.concatenate([falling, rising])
        order = np.argsort(-a, kind="stable")  # merges the two sorted runs
        a, sign = a[order], np.where(order < len(falling), -1.0, 1.0)
        breaks = np.concatenate([[0.0], 1 / a])
        passed = np.concatenate([[0.0], np.cumsum(sign)])
        slope = np.append(np.cumsum((sign * a)[::-1])[::-1], 0.0)
        at_zero = len(self.polynomial) - int(self.second_right.sum())
        expected = at_zero + passed + slope * breaks
        low, high = expected.min(), expected.max()
        if not low - 0.5 <= count <= high + 0.5:
            n = len(self.polynomial)
            rule = f"cannot be reached{where} with these probabilities; between "
            wanted = round(count / n, 4) if rate is None else rate
            raise InputError("rate", wanted, f"{rule}{stated_range(low / n, high / n)} can")
        return _crossing(breaks, expected, count)


def _crossing(breaks: FloatArray, expected: FloatArray, count: int) -> float:
    """The largest t at which the piecewise linear `expected` equals `count`, or comes closest."""
    target = float(np.clip(count, expected.min(), expected.max()))
    if expected[-1] == target:
        return float(breaks[-1])
    left, right = expected[:-1], expected[1:]
    inside = (np.minimum(left, right) <= target) & (target <= np.maximum(left, right))
    last = int(np.flatnonzero(inside)[-1])
    step = right[last] - left[last]
    share = 1.0 if step == 0 else (target - left[last]) / step
    return float(breaks[last] + share * (breaks[last + 1] - breaks[last]))


def two_likeliest(probabilities: PointArray) -> tuple[IntArray, IntArray, FloatArray]:
    """The likeliest class, the second (N,), and the difference of their probabilities (N,).

    probabilities: (N, C). Of equal ones that of the lower class counts as larger.
    """
    n_examples, n_classes = probabilities.shape
    first, second = np.empty((2, n_examples), dtype=np.int64)
    margin = np.empty(n_examples)
    find = _two_by_columns if n_classes <= FEW_CLASSES else _two_by_rows
    rows = max(256, 2**17 // n_classes)
    for start in range(0, n_examples, rows):
        block = slice(start, start + rows)
        first[block], second[block], margin[block] = find(probabilities[block])
    return first, second, margin


def _two_by_rows(probabilities: PointArray) -> tuple[IntArray, IntArray, FloatArray]:
    """The largest of each row, and once more without it."""
    rows, every = probabilities.copy(), np.arange(len(probabilities))
    first = rows.argmax(axis=1)
    largest = rows[every, first]
    rows[every, first] = -1.0
    second = rows.argmax(axis=1)
    return first, second, np.subtract(largest, rows[every, second], dtype=np.float64)


def _two_by_columns(probabilities: PointArray) -> tuple[IntArray, IntArray, FloatArray]:
    """The same a class at a time, which is quicker for few; equal probabilities go by rows."""
    columns = np.ascontiguousarray(probabilities.T)
    largest, next_ = np.maximum(columns[0], columns[1]), np.minimum(columns[0], columns[1])
    for column in columns[2:]:
        np.maximum(next_, np.minimum(largest, column), out=next_)
        np.maximum(largest, column, out=largest)
    index = np.zeros((2, len(probabilities)), dtype=np.int8)
    seen = np.zeros((2, len(probabilities)), dtype=bool)
    tied = largest == next_
    for label, column in enumerate(columns):
        for which, value in enumerate((largest, next_)):
            hit = column == value
            tied |= hit & seen[which]
            seen[which] |= hit
            index[which] += hit.view(np.int8) * np.int8(label)
    first, second = index.astype(np.int64)
    if tied.any():
        first[tied], second[tied], _ = _two_by_rows(probabilities[tied])
    return first, second, np.subtract(largest, next_, dtype=np.float64)


RECORD = NoiseRecord(
    name=PMD.name,
    title="PMD",
    paper="Zhang et al. 2021 (PLC)",
    model=PMD,
    positional="rate",
    example="pmd:0.35",
    advice="ambiguous examples flip to their second likeliest class, at the borders of classes",
)
