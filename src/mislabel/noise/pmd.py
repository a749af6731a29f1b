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
    Problem,
    need_two_classes,
    needed,
)
from mislabel.noise.rates import (
    check_positive,
    check_rate,
    flip_count,
    flip_counts_per_class,
    systematic_sample,
)

MARGIN_POLYNOMIALS: dict[int, Callable[[FloatArray], FloatArray]] = {
    1: lambda d: np.maximum(1 - (0.5 - d**2 / 2), 0.5),
    2: lambda d: d**3,
    3: lambda d: (d**3 + d**2 + d) / 3,
}
"p times factor, as a function of the margin d, by type."


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
        labels = problem.clean_labels.copy()
        for group, count in self._groups(problem):
            labels[group] = margins.take(group).draw(labels[group], count, problem.rng)
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

    def _groups(self, problem: Problem) -> list[tuple[IntArray, int]]:
        """Examples that meet a number of flips together: all, or class by class."""
        rate = 0.0 if self.rate is None else self.rate
        n_examples = len(problem.clean_labels)
        if not self.per_class:
            return [(np.arange(n_examples), flip_count(rate, n_examples))]
        sizes = np.bincount(problem.clean_labels, minlength=problem.n_classes)
        counts = flip_counts_per_class(rate, sizes, problem.rng)
        order = np.argsort(problem.clean_labels, kind="stable")
        members = np.split(order, np.cumsum(sizes)[:-1])
        return [(m, int(c)) for m, c in zip(members, counts, strict=True) if len(m)]


@dataclass(frozen=True, kw_only=True)
class Margins:
    """Per example (n,): the two likeliest classes u and s, p times factor, and which is right."""

    likeliest: IntArray
    second: IntArray
    polynomial: FloatArray
    first_right: NDArray[np.bool_]
    second_right: NDArray[np.bool_]

    @classmethod
    def of(cls, probabilities: FloatArray, clean_labels: IntArray, type_: int) -> "Margins":
        """Margins of classifier probabilities (n, C)."""
        top = np.argpartition(probabilities, -2, axis=1)[:, -2:]
        values = np.take_along_axis(probabilities, top, axis=1)
        swap = values[:, 0] > values[:, 1]
        likeliest = np.where(swap, top[:, 0], top[:, 1])
        second = np.where(swap, top[:, 1], top[:, 0])
        return cls(
            likeliest=likeliest,
            second=second,
            polynomial=MARGIN_POLYNOMIALS[type_](np.abs(values[:, 1] - values[:, 0])),
            first_right=likeliest == clean_labels,
            second_right=second == clean_labels,
        )

    def take(self, group: IntArray) -> "Margins":
        """The margins of some examples."""
        return Margins(**{name: value[group] for name, value in vars(self).items()})

    def draw(self, clean: IntArray, count: int, rng: np.random.Generator) -> IntArray:
        """(n,) labels with exactly `count` flips, each example at its flip probability."""
        p = np.minimum(self.polynomial * self.solve(count), 1.0)
        chance = np.where(self.first_right, 1 - p, np.where(self.second_right, p, 1.0))
        flipped = systematic_sample(chance, rng, count=count)
        first = np.where(self.first_right | self.second_right, self.second_right,
                         rng.random(len(p)) < p)  # fmt: skip
        return np.where(flipped, np.where(first, self.likeliest, self.second), clean)

    def solve(self, count: int) -> float:
        """1/factor at which `count` flips are expected; the largest one if there are several.

        The expected number of flips is F(t) = #neither + sum over u right of (1 - min(a t, 1)) +
        sum over s right of min(a t, 1), with t = 1/factor and a the polynomial: linear between
        the breakpoints t = 1/a.
        """
        sign = np.where(self.first_right, -1.0, np.where(self.second_right, 1.0, 0.0))
        a = self.polynomial
        moving = (sign != 0) & (a > 0)
        order = np.argsort(-a[moving], kind="stable")
        a, sign = a[moving][order], sign[moving][order]
        breaks = np.concatenate([[0.0], 1 / a])
        passed = np.concatenate([[0.0], np.cumsum(sign)])
        slope = np.append(np.cumsum((sign * a)[::-1])[::-1], 0.0)
        at_zero = len(self.polynomial) - int(self.second_right.sum())
        expected = at_zero + passed + slope * breaks
        return _crossing(breaks, expected, count, len(self.polynomial))


def _crossing(breaks: FloatArray, expected: FloatArray, count: int, n_examples: int) -> float:
    """The largest t at which the piecewise linear `expected` equals `count`."""
    low, high = expected.min(), expected.max()
    if not low - 0.5 <= count <= high + 0.5:
        rule = (
            f"cannot be reached with these probabilities; between {low / n_examples:.4g} and "
            f"{high / n_examples:.4g} can"
        )
        raise InputError("rate", round(count / n_examples, 4), rule)
    target = float(np.clip(count, low, high))
    if expected[-1] == target:
        return float(breaks[-1])
    left, right = expected[:-1], expected[1:]
    inside = (np.minimum(left, right) <= target) & (target <= np.maximum(left, right))
    last = int(np.flatnonzero(inside)[-1])
    step = right[last] - left[last]
    share = 1.0 if step == 0 else (target - left[last]) / step
    return float(breaks[last] + share * (breaks[last + 1] - breaks[last]))


RECORD = NoiseRecord(
    name=PMD.name,
    title="PMD",
    paper="Zhang et al. 2021 (PLC)",
    model=PMD,
    positional="rate",
    example="pmd:0.35",
    advice="ambiguous examples flip to their second likeliest class, at the borders of classes",
)
