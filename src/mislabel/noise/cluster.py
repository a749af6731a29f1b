"""Cluster-Based Noise (CBN): whole patches of a class take the label of a neighbouring class.

Source: Lim, Larson and Leach, "Robust Testing for Deep Learning using Human Label Noise",
DeepTest 2025 (arXiv 2412.00244). Of each class, n examples are drawn without replacement as
centres. Every example of that class closer than r (strictly) to one of its class's centres gets
the label of the other class whose centroid is nearest to the example itself.

Ours beyond: ``rate`` in place of ``r``. With the centres drawn, the examples with the smallest
distance to a centre of their class flip, as many as the rate says, so that any rate is met
exactly and without a search. Pitfall: r is in the units of the map, and t-SNE maps of different
data have different scales; a rate means the same on every map.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mislabel.errors import InputError
from mislabel.labels import check_count
from mislabel.noise.base import (
    FloatArray,
    IntArray,
    NoiseModel,
    NoiseRecord,
    Problem,
    need_two_classes,
    needed,
)
from mislabel.noise.rates import check_positive, check_rate, flip_smallest

EXAMPLES_PER_CENTRE = 88
"One centre per so many examples of a class, as in the published CIFAR-10 35 % file (5000 / 57)."


@dataclass(frozen=True, kw_only=True)
class Cluster(NoiseModel):
    """Cluster-Based Noise, at an exact rate or by the published (n, r).

    rate: share of flipped examples, 0 to 1; or
    r: radius in the units of the positions (then `n` is needed, and the rate is what it is).
    n: centres per class; by default one per 88 examples of the class, at least one.
    per_class: meet the rate in each class, not only overall.
    """

    name: ClassVar[str] = "cluster"
    rate: float | None = None
    n: int | None = None
    r: float | None = None
    per_class: bool = False

    def used_inputs(self) -> tuple[str, ...]:
        return ("positions",)

    def _corrupt(self, problem: Problem) -> IntArray:
        need_two_classes(problem)
        positions = needed(problem.positions, "positions", self.name)
        centres = _centres_per_class(problem, self.n)
        distance = distance_to_centres(problem, positions, centres)
        if self.rate is not None:
            flipped = flip_smallest(
                distance, problem.clean_labels, problem.n_classes, self.rate,
                per_class=self.per_class, rng=problem.rng,
            )  # fmt: skip
        else:
            flipped = distance < float(self.r or 0.0)
        labels = problem.clean_labels.copy()
        labels[flipped] = nearest_other_class(problem, positions, flipped)
        return labels

    def check_parameters(self) -> None:
        if (self.rate is None) == (self.r is None):
            raise InputError("rate", self.rate, "give either rate or r (with n), not both")
        if self.rate is not None:
            check_rate(self.rate)
        if self.n is not None:
            check_count(self.n, "n")
        if self.r is not None:
            if self.n is None:
                raise InputError("n", None, "is needed with r")
            check_positive(self.r, "r")
            if self.per_class:
                raise InputError("per_class", True, "goes with rate, not with r")


def _centres_per_class(problem: Problem, n: int | None) -> list[IntArray]:
    """Indices of the centres of each class, drawn without replacement."""
    order = np.argsort(problem.clean_labels, kind="stable")
    sizes = np.bincount(problem.clean_labels, minlength=problem.n_classes)
    members = np.split(order, np.cumsum(sizes)[:-1])
    present = sizes[sizes > 0]
    if n is not None and n > present.min():
        smallest = int(np.flatnonzero(sizes == present.min())[0])
        rule = f"class {smallest} has {present.min()} examples; at most as many centres"
        raise InputError("n", n, rule)
    centres = []
    for group in members:
        default = max(1, round(len(group) / EXAMPLES_PER_CENTRE))
        size = min(len(group), default if n is None else n)
        centres.append(problem.rng.choice(group, size=size, replace=False))
    return centres


def distance_to_centres(
    problem: Problem, positions: FloatArray, centres: list[IntArray]
) -> FloatArray:
    """(N,) distance of each example to the nearest centre of its own class."""
    from scipy.spatial import KDTree

    distance = np.empty(len(positions))
    for label, chosen in enumerate(centres):
        members = np.flatnonzero(problem.clean_labels == label)
        if len(members) == 0:
            continue
        if positions.shape[1] <= 8:
            distance[members] = KDTree(positions[chosen]).query(positions[members])[0]
        else:
            distance[members] = _nearest_distance(positions[members], positions[chosen])
    return distance


def _nearest_distance(points: FloatArray, centres: FloatArray, block: int = 65_536) -> FloatArray:
    """(n,) distance to the nearest of `centres` by matrix products, in blocks of points."""
    norms = (centres**2).sum(axis=1)
    found = np.empty(len(points))
    for start in range(0, len(points), block):
        rows = points[start : start + block]
        nearest = np.argmin(norms - 2 * rows @ centres.T, axis=1)
        found[start : start + block] = np.linalg.norm(rows - centres[nearest], axis=1)
    return found


def nearest_other_class(
    problem: Problem, positions: FloatArray, flipped: np.typing.NDArray[np.bool_]
) -> IntArray:
    """For each flipped example, the other class whose centroid is nearest to it."""
    labels, n_classes = problem.clean_labels, problem.n_classes
    sizes = np.bincount(labels, minlength=n_classes)
    sums = np.stack(
        [np.bincount(labels, weights=column, minlength=n_classes) for column in positions.T],
        axis=1,
    )
    present = np.flatnonzero(sizes)
    if len(present) < 2:
        raise InputError("clean_labels", f"class {present[0]} only", "need two classes that occur")
    centroids = sums[present] / sizes[present, None]
    own = labels[flipped]
    closeness = (centroids**2).sum(axis=1) - 2 * positions[flipped] @ centroids.T
    closeness[present[None, :] == own[:, None]] = np.inf
    nearest: IntArray = present[np.argmin(closeness, axis=1)]
    return nearest


RECORD = NoiseRecord(
    name=Cluster.name,
    title="Cluster-based",
    paper="Lim, Larson & Leach 2025 (CBN)",
    model=Cluster,
    positional="rate",
    example="cluster:0.35",
    advice="patches of alike examples share one wrong label; networks learn it as if it were right",
)
