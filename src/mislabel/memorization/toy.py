"""A problem whose memorization is known exactly: a majority rule on groups of equal examples.

Examples come in groups; within a group all look the same. Trained on some of them, the rule
predicts for a group the label, 1 or 0, that most of its training examples have; a tie, and a group
without training examples, is 0. With probability, it gives label 1 ``(ones + 1) / (n + 2)`` where
`ones` of the group's `n` training examples say so.

A run trains on m of the N examples, drawn without replacement. Given that example i is in, the
numbers of other training examples of its group that say 1 and 0 are hypergeometric, m - 1 drawn
from N - 1; given that it is out, m from N - 1. Summing over both numbers gives the inclusion and
exclusion probability, and likewise the influence on a test example of any group, as fractions of
whole numbers. A lone wrong label among many is never learnt without itself and hardly with it; in a
group of two it is all memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.labels import NoisyLabels
from mislabel.memorization.design import Design, Run, make_design
from mislabel.memorization.store import Answer
from mislabel.memorization.study import StudyPlan

Floats = NDArray[np.float64]
Value = Callable[[int, int], float]
"Of the numbers of ones and zeros in a group's training examples."


@dataclass(frozen=True)
class MajorityToy:
    """ones, zeros: per group, how many examples are labelled 1 and 0. Test examples: one a group.

    Clean labels, and those of the test, are 1 where more than half of a group is.
    """

    ones: tuple[int, ...]
    zeros: tuple[int, ...]

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """(N,) the group of each example; in a group the ones come first."""
        sizes = np.add(self.ones, self.zeros)
        return np.repeat(np.arange(len(sizes)), sizes)

    @cached_property
    def labels(self) -> NoisyLabels:
        """(N,) labels, and the majority's as clean ones."""
        pairs = zip(self.ones, self.zeros, strict=True)
        given = np.concatenate([np.repeat([1, 0], pair) for pair in pairs])
        return NoisyLabels(given, clean_labels=self.test_labels[self.groups], n_classes=2)

    @property
    def test_labels(self) -> NDArray[np.int64]:
        """(G,) the majority of each group."""
        return np.greater(self.ones, self.zeros).astype(np.int64)

    def __call__(self, run: Run) -> Answer:
        """What the rule predicts, trained on a run's examples."""
        labels, groups, n_groups = self.labels.labels, self.groups, len(self.ones)
        both = np.bincount(groups[run.mask], minlength=n_groups)
        ones = np.bincount(groups[run.mask & (labels == 1)], minlength=n_groups)
        says = (ones > both - ones).astype(np.int64)
        chance = ((ones + 1) / (both + 2))[groups]
        return Answer(
            train=says[groups], test=says, probability=np.where(labels == 1, chance, 1 - chance)
        )

    def plan(self, *, keep_share: float = 0.7, seed: int = 0, **options: Any) -> StudyPlan:
        """A study over all examples. options: of `StudyPlan`."""
        design = make_design(self.labels, "all", keep=keep_share, seed=seed)
        identity = {"method": "majority toy", "ones": list(self.ones), "zeros": list(self.zeros)}
        given = {"title": "majority toy", **options}
        return StudyPlan(
            train=self, design=design, labels=self.labels, test_labels=self.test_labels,
            identity=identity, **given,
        )  # fmt: skip

    def exact(self, design: Design, measure: str = "correctness") -> tuple[Floats, Floats]:
        """(N,) inclusion and exclusion probability under a design over all examples."""
        found = np.zeros((2, len(self.groups)))
        for example, (group, label) in enumerate(zip(self.groups, self.labels.labels, strict=True)):
            value = _right(int(label)) if measure == "correctness" else _chance(int(label))
            found[:, example] = self._conditional(example, int(group), value, design)
        return found[0], found[1]

    def exact_influence(self, design: Design) -> Floats:
        """(G, N) influence of each training example on each group's test example."""
        found = np.zeros((len(self.ones), len(self.groups)))
        for group, label in enumerate(self.test_labels):
            for example in range(len(self.groups)):
                inside, outside = self._conditional(example, group, _right(int(label)), design)
                found[group, example] = inside - outside
        return found

    def _conditional(
        self, example: int, group: int, value: Value, design: Design
    ) -> tuple[float, float]:
        """Expected value for a group, given that an example is in and that it is out."""
        label, member = int(self.labels.labels[example]), self.groups[example] == group
        own = (int(member and label == 1), int(member and label == 0))
        ones, zeros = self.ones[group] - own[0], self.zeros[group] - own[1]
        others, drawn = len(self.groups) - 1, design.n_kept
        inside = expected(
            lambda a, b: value(a + own[0], b + own[1]), ones, zeros, others, drawn - 1
        )
        return inside, expected(value, ones, zeros, others, drawn)


def expected(value: Value, ones: int, zeros: int, total: int, drawn: int) -> float:
    """Mean of value(a, b) where a of `ones` and b of `zeros` are among `drawn` of `total`."""
    rest = total - ones - zeros
    ways = [
        (comb(ones, a) * comb(zeros, b) * comb(rest, drawn - a - b), value(a, b))
        for a in range(ones + 1)
        for b in range(zeros + 1)
        if 0 <= drawn - a - b <= rest
    ]
    every = comb(total, drawn)
    return sum(count / every * found for count, found in ways)


def _right(label: int) -> Value:
    return lambda ones, zeros: float((ones > zeros) == (label == 1))


def _chance(label: int) -> Value:
    return lambda ones, zeros: ((ones, zeros)[1 - label] + 1) / (ones + zeros + 2)
