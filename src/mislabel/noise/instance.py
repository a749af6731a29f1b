"""Instance-dependent noise: each example has a flip rate and a flip distribution of its own.

Source: Xia et al., "Part-dependent Label Noise: Towards Instance-dependent Label Noise", NeurIPS
2020; also what CIFAR-N is compared with. The flip rate q_i is drawn from a normal with the wanted
rate as mean and deviation 0.1, truncated to (0, 1). A random projection of the features, with one
matrix (d, C) per class, gives by softmax over the other classes where a flip goes.

The original draws each example by itself, so its rate is random. Here the q_i are scaled so that
their sum is the wanted number of flips, and systematic sampling flips exactly so many.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

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
    check_rate,
    flip_count,
    flip_counts_per_class,
    members_of_classes,
    systematic_sample,
)

DEVIATION = 0.1


@dataclass(frozen=True, kw_only=True)
class InstanceDependent(NoiseModel):
    """Part-dependent flips at an exact rate.

    rate: share of flipped examples, 0 to 1. per_class: meet it in each class, not only overall.
    """

    name: ClassVar[str] = "instance"
    rate: float
    per_class: bool = False

    def used_inputs(self) -> tuple[str, ...]:
        return ("features",)

    def check_parameters(self) -> None:
        check_rate(self.rate)

    def _corrupt(self, problem: Problem) -> IntArray:
        need_two_classes(problem)
        features = needed(problem.features, "features", self.name).astype(np.float64, copy=False)
        flipped = self._flips(problem)
        labels = problem.clean_labels.copy()
        spread = features.std(axis=0)
        scaled = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        for label in np.unique(labels[flipped]):
            members = np.flatnonzero(flipped & (problem.clean_labels == label))
            labels[members] = _targets(scaled[members], int(label), problem)
        return labels

    def _flips(self, problem: Problem) -> np.typing.NDArray[np.bool_]:
        clean, rng = problem.clean_labels, problem.rng
        chance = _truncated_normal(self.rate, len(clean), rng)
        if not self.per_class:
            count = flip_count(self.rate, len(clean))
            return systematic_sample(_scaled(chance, count), rng, count=count)
        groups = members_of_classes(clean, problem.n_classes)
        sizes = np.array([len(group) for group in groups])
        flipped = np.zeros(len(clean), dtype=bool)
        counts = flip_counts_per_class(self.rate, sizes, rng)
        for members, count in zip(groups, counts, strict=True):
            if count:
                scaled = _scaled(chance[members], int(count))
                flipped[members] = systematic_sample(scaled, rng, count=int(count))
        return flipped


def _truncated_normal(mean: float, size: int, rng: np.random.Generator) -> FloatArray:
    """(size,) draws from a normal around `mean`, truncated to (0, 1)."""
    from scipy.stats import truncnorm

    low, high = -mean / DEVIATION, (1 - mean) / DEVIATION
    drawn = truncnorm.rvs(low, high, loc=mean, scale=DEVIATION, size=size, random_state=rng)
    return np.asarray(drawn, dtype=np.float64)


def _scaled(chance: FloatArray, count: int) -> FloatArray:
    """Chances times one factor, none above 1, that sum to `count`."""
    if count >= len(chance):
        return np.ones(len(chance))
    order = np.sort(chance)[::-1]
    # With the j largest at 1, the rest share what is left; j is the smallest that fits.
    rest = np.cumsum(order[::-1])[::-1]
    factor = (count - np.arange(count + 1)) / rest[: count + 1]
    j = int(np.argmax(factor * order[: count + 1] <= 1))
    return np.asarray(np.minimum(chance * factor[j], 1.0))


def _targets(features: FloatArray, label: int, problem: Problem) -> IntArray:
    """Where flipped examples (n, d) of one class go: softmax of a projection, by Gumbel noise."""
    projection = problem.rng.standard_normal((features.shape[1], problem.n_classes))
    logits = features @ projection + problem.rng.gumbel(size=(len(features), problem.n_classes))
    logits[:, label] = -np.inf
    return np.asarray(np.argmax(logits, axis=1), dtype=np.int64)


RECORD = NoiseRecord(
    name=InstanceDependent.name,
    title="Instance-dependent",
    paper="Xia et al. 2020",
    model=InstanceDependent,
    positional="rate",
    example="instance:0.2",
    advice="alike examples go to alike wrong classes; which of them flip is nearly random",
)
