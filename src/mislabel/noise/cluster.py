"""Cluster-Based Noise (CBN): whole patches of a class take the label of a neighbouring class.

Source: Lim, Larson and Leach, "Robust Testing for Deep Learning using Human Label Noise",
DeepTest 2025 (arXiv 2412.00244). Of each class, n examples are drawn without replacement as
centres. Every example of that class closer than r (strictly) to one of its class's centres gets
the label of the other class whose centroid is nearest to the example itself.

Ours beyond: ``rate`` in place of ``r``. With the centres drawn, the examples with the smallest
distance to a centre of their class flip, as many as the rate says, so that any rate is met
exactly and without a search. Pitfall: r is in the units of the map. Maps made here have the scale
of the published one, others may have any; a rate means the same on every map.

Exactness. A distance is the square root of the sum of squared differences, dimension by dimension
in order, in float64, also where positions are float32. Products of float32 matrices sift: they
leave per example the few centres (mostly one) that their rounding errors do not rule out, by a
proven bound, and among those the float64 distances decide. Many centres on a map (up to three
dimensions) are searched by a k-d tree instead, in float64. So near-ties, the strict radius and the
order at a rate are those of a plain loop; float32 only ever costs time. Where positions are float32
the numbers themselves were rounded before they came here, and two equal distances may be rounding's
work: they count as equal, and are served in random order.
"""

import contextlib
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError, did_you_mean
from mislabel.labels import check_count
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
    BoolArray,
    check_positive,
    check_rate,
    flip_smallest,
    members_of_classes,
)

EXAMPLES_PER_CENTRE = 88
"One centre per so many examples of a class, as in the published CIFAR-10 35 % file (5000 / 57)."
MAP_DIMENSIONS, FEW_CENTRES = 3, 256
"Up to so many dimensions, and from more centres than this, the nearest comes from a k-d tree."
SPACES = {"map": "positions", "features": "features"}
"Which input distances are taken in, by the name of the space."
LEAF = 16
"Points in a leaf of the tree: the fastest of 4 to 64."


@dataclass(frozen=True, kw_only=True)
class Cluster(NoiseModel):
    """Cluster-Based Noise, at an exact rate or by the published (n, r).

    rate: share of flipped examples, 0 to 1; or
    r: radius in the units of the positions (then `n` is needed, and the rate is what it is).
    n: centres per class; by default one per 88 examples of the class, at least one.
    per_class: meet the rate in each class, not only overall.
    space: where distances are taken, "map" (the positions) or "features" (the embedding itself,
    without a map).
    """

    name: ClassVar[str] = "cluster"
    rate: float | None = None
    n: int | None = None
    r: float | None = None
    per_class: bool = False
    space: str = "map"

    def used_inputs(self) -> tuple[str, ...]:
        return (SPACES[self.space],)

    def _corrupt(self, problem: Problem) -> IntArray:
        need_two_classes(problem)
        given = SPACES[self.space]
        positions = needed(getattr(problem, given), given, self.name)
        centres = _centres_per_class(problem, self.n)
        if self.rate is not None:
            flipped = flip_smallest(
                distance_to_centres(problem, positions, centres),
                problem.clean_labels, problem.n_classes, self.rate,
                per_class=self.per_class, rng=problem.rng,
            )  # fmt: skip
        else:
            flipped = closer_to_centres(problem, positions, centres, float(self.r or 0.0))
        labels = problem.clean_labels.copy()
        labels[flipped] = nearest_other_class(problem, positions, flipped)
        return labels

    def check_parameters(self) -> None:
        if self.space not in SPACES:
            hint = did_you_mean(self.space, SPACES)
            raise InputError("space", self.space, f"unknown choice; {hint}")
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
    members = members_of_classes(problem.clean_labels, problem.n_classes)
    sizes = np.array([len(group) for group in members])
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
    problem: Problem, positions: PointArray, centres: list[IntArray]
) -> FloatArray:
    """(N,) distance of each example to the nearest centre of its own class."""
    distance = np.empty(len(positions))
    for group, chosen in _classes(problem, centres):
        if _by_tree(positions, chosen):
            distance[group] = _tree_distance(positions[group], positions[chosen], math.inf)
        else:
            distance[group] = np.sqrt(_sifted(positions, group, positions[chosen])[1])
    return distance


def closer_to_centres(
    problem: Problem, positions: PointArray, centres: list[IntArray], radius: float
) -> BoolArray:
    """(N,) whether an example is closer than `radius`, strictly, to a centre of its own class."""
    closer = np.empty(len(positions), dtype=bool)
    for group, chosen in _classes(problem, centres):
        if _by_tree(positions, chosen):
            closer[group] = _tree_distance(positions[group], positions[chosen], radius) < radius
        else:
            closer[group] = _sifted_closer(positions, group, positions[chosen], radius)
    return closer


def _classes(problem: Problem, centres: list[IntArray]) -> Iterator[tuple[IntArray, IntArray]]:
    """The examples and the centres of each class that occurs."""
    groups = members_of_classes(problem.clean_labels, problem.n_classes)
    return ((g, c) for g, c in zip(groups, centres, strict=True) if len(g))


def _by_tree(positions: PointArray, centres: IntArray) -> bool:
    return positions.shape[1] <= MAP_DIMENSIONS and len(centres) > FEW_CENTRES


def _tree_distance(points: PointArray, centres: PointArray, limit: float) -> FloatArray:
    """(n,) distance of points (n, d) to the nearest centre; any from `limit` on may be infinite."""
    from scipy.spatial import KDTree

    # The tree compares squares: neither their rounding nor their underflow must decide.
    above = max(limit * (1 + 1e-9), 1e-100)
    found = KDTree(centres, leafsize=LEAF).query(points, distance_upper_bound=above)[0]
    return np.asarray(found, dtype=np.float64)


def nearest_other_class(problem: Problem, positions: PointArray, flipped: BoolArray) -> IntArray:
    """For each flipped example, the other class whose centroid is nearest to it.

    Of equally near centroids the one of the lower class counts.
    """
    labels = problem.clean_labels
    sizes = np.bincount(labels, minlength=problem.n_classes)
    present = np.flatnonzero(sizes)
    if len(present) < 2:
        raise InputError("clean_labels", f"class {present[0]} only", "need two classes that occur")
    centroids = _class_sums(positions, labels, problem.n_classes)[present] / sizes[present, None]
    rows = np.flatnonzero(flipped)
    own = (np.cumsum(sizes > 0) - 1)[labels[rows]]
    if positions.shape[1] <= MAP_DIMENSIONS:
        return np.asarray(present[_compared(positions, rows, centroids, own)])
    return np.asarray(present[_sifted(positions, rows, centroids, own)[0]])


def _class_sums(positions: PointArray, labels: IntArray, n_classes: int) -> FloatArray:
    """(C, d) sum of the positions of each class, in float64."""
    sums = np.zeros((n_classes, positions.shape[1]))
    for start, stop in _blocks(len(labels), positions.shape[1]):
        columns = np.ascontiguousarray(positions[start:stop].T, dtype=np.float64)
        for column, values in enumerate(columns):
            sums[:, column] += np.bincount(labels[start:stop], values, minlength=n_classes)
    return sums


# The nearest of some targets (m, d) for `points` (N, d) at `rows` (n,): (n,) its index, of equally
# near ones the lowest. skip: (n,) a target that does not count, for each row.


def _compared(points: PointArray, rows: IntArray, targets: FloatArray, skip: IntArray) -> IntArray:
    """By all distances, for few dimensions and few targets."""
    index = np.empty(len(rows), dtype=np.int64)
    for start, stop in _blocks(len(rows), 4 * len(targets)):
        columns = np.ascontiguousarray(points[rows[start:stop]].T, dtype=np.float64)
        squared = np.empty((len(targets), stop - start))
        for number, target in enumerate(targets):
            squared[number] = _squares(columns, target)
        np.minimum(squared, sys.float_info.max, out=squared)  # so that only `skip` is infinite
        squared[skip[start:stop], np.arange(stop - start)] = math.inf
        index[start:stop] = squared.argmin(axis=0)
    return index


def _sifted(
    points: PointArray, rows: IntArray, targets: PointArray, skip: IntArray | None = None
) -> tuple[IntArray, FloatArray]:
    """By the distances that products of float32 matrices leave undecided; see the module.

    Gives the squared distances (n,) too.
    """
    sieve = Sieve.of(targets)
    index, squared = np.empty(len(rows), dtype=np.int64), np.empty(len(rows))
    with _sifting():
        for start, stop in _blocks(len(rows), len(targets) + points.shape[1]):
            left_out = None if skip is None else skip[start:stop]
            found = sieve.nearest(points[rows[start:stop]], left_out)
            index[start:stop], squared[start:stop] = found
    return index, squared


def _sifted_closer(
    points: PointArray, rows: IntArray, targets: PointArray, radius: float
) -> BoolArray:
    """(n,) whether the nearest target is closer than `radius`, likewise."""
    sieve = Sieve.of(targets)
    closer, unsure = np.empty((2, len(rows)), dtype=bool)
    with _sifting():
        for start, stop in _blocks(len(rows), len(targets) + points.shape[1]):
            found = sieve.closer(points[rows[start:stop]], radius)
            closer[start:stop], unsure[start:stop] = found
    closer[unsure] = np.sqrt(_sifted(points, rows[unsure], targets)[1]) < radius
    return closer


@contextlib.contextmanager
def _sifting() -> Iterator[None]:
    """BLAS on one thread, and no word about overflow, which the sieve takes into account.

    Its products are short: where cores are shared, the threads of BLAS wait for each other much
    longer than they compute.
    """
    with _blas_threads().limit(limits=1, user_api="blas"), np.errstate(all="ignore"):
        yield


@cache
def _blas_threads() -> Any:
    """Control of the threads of NumPy's BLAS; finding it takes a millisecond."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


@dataclass(frozen=True, kw_only=True)
class Sieve:
    """Targets prepared for finding the nearest one: x - c is seen from the targets' middle.

    exact: (d, m) the targets in float64. middle: (d,) a float32 vector near their mean.
    table: (m, d + 1) float32, -2 c and |c|^2 of the targets less the middle, so that its product
    with (x, 1), the score, is |x - c|^2 - |x|^2. reach: the largest |c|.

    How far a score may be off, with u = 2^-24 and |x|, |c| seen from the middle: centring errs by
    u of each entry, a product of d + 1 terms by (d + 1) u times the sum of their sizes (Higham
    2002, chapter 3), |c|^2 by 3 u; in all less than (d + 5) u (2 |x| |c| + |c|^2).
    """

    exact: FloatArray
    middle: NDArray[np.float32]
    table: NDArray[np.float32]
    reach: float

    @classmethod
    def of(cls, targets: PointArray) -> "Sieve":
        """A sieve for targets (m, d)."""
        exact = np.ascontiguousarray(targets.T, dtype=np.float64)
        with np.errstate(all="ignore"):
            middle = exact.mean(axis=1).astype(np.float32)
            centred = (exact - middle[:, None]).astype(np.float32).astype(np.float64)
            norms = (centred**2).sum(axis=0)
            table = np.vstack([-2 * centred, norms]).T.astype(np.float32)
            reach = math.sqrt(norms.max())
        return cls(exact=exact, middle=middle, table=table, reach=reach)

    def nearest(self, points: PointArray, skip: IntArray | None) -> tuple[IntArray, FloatArray]:
        """(n,) index of the nearest target to each of `points` (n, d), and its squared distance."""
        target, row = self._candidates(points, skip)
        squared = np.empty(len(row))
        for start, stop in _blocks(len(row), len(self.exact)):
            columns = np.ascontiguousarray(points[row[start:stop]].T, dtype=np.float64)
            squared[start:stop] = _squares(columns, self.exact[:, target[start:stop]])
        best = np.full(len(points), math.inf)
        np.minimum.at(best, row, squared)
        index = np.full(len(points), len(self.table))
        equal = squared == best[row]
        np.minimum.at(index, row[equal], target[equal])
        return index, best

    def closer(self, points: PointArray, radius: float) -> tuple[BoolArray, BoolArray]:
        """(n,) whether a target is surely closer than `radius`, and (n,) whether that is unsure."""
        scores, size = self._scores(points)
        squared = scores.min(axis=0) + size**2
        off = self._slack(size) + 2.0**-23 * (len(self.exact) + 8) * size**2  # of |x|^2, twice
        closer: BoolArray = squared + off < radius * radius * (1 - 1e-9)
        farther: BoolArray = squared - off > radius * radius * (1 + 1e-9)
        return closer, ~(closer | farther)

    def _candidates(self, points: PointArray, skip: IntArray | None) -> tuple[IntArray, IntArray]:
        """Pairs (target, row) among which is the nearest target of every row."""
        scores, size = self._scores(points)
        if skip is not None:
            scores[skip, np.arange(len(points))] = math.inf
        border = (scores.min(axis=0) + self._slack(size)).astype(np.float32)
        near = scores <= border
        near[:, np.isnan(border)] = True
        target, row = np.divmod(np.flatnonzero(near), len(points))
        if skip is not None:
            target, row = target[target != skip[row]], row[target != skip[row]]
        return target, row

    def _scores(self, points: PointArray) -> tuple[NDArray[np.float32], FloatArray]:
        """(m, n) scores of all targets for points (n, d), and (n,) the |x|."""
        x = np.ones((len(points), len(self.exact) + 1), dtype=np.float32)
        centred = np.subtract(points, self.middle, out=x[:, :-1], casting="same_kind")
        size = np.sqrt(np.einsum("ij,ij->i", centred, centred).astype(np.float64))
        return self.table @ x.T, size

    def _slack(self, size: FloatArray) -> FloatArray:
        """(n,) by how much the nearest target's score may exceed the least, given |x|.

        Both may be off, in opposite directions, and their sum is rounded. The float64 sum that
        decides errs by (d + 2) 2^-53 |x - c|^2 likewise. The last term covers underflow; where
        there may be overflow, the slack is NaN: then nothing is known.
        """
        terms = len(self.exact) + 8.0
        slack: FloatArray = 1.01 * 2.0**-23 * terms * (2 * size + self.reach) * self.reach
        slack += 2.0**-51 * terms * (size + self.reach) ** 2 + 2.0**-120 * terms
        slack[~(size + self.reach < 1e18)] = math.nan
        return slack


def _squares(columns: FloatArray, target: FloatArray) -> FloatArray:
    """(n,) squared distances of points (d, n) to a target (d,) or to one each (d, n), in order."""
    total = np.zeros(columns.shape[1])
    with np.errstate(over="ignore"):
        for x, c in zip(columns, target, strict=True):
            difference = x - c
            total += difference * difference
    return total


def _blocks(n_rows: int, width: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows of `width` numbers that fit in a processor's own cache together."""
    rows = max(256, 2**18 // width)
    for start in range(0, n_rows, rows):
        yield start, min(start + rows, n_rows)


RECORD = NoiseRecord(
    name=Cluster.name,
    title="Cluster-based",
    paper="Lim, Larson & Leach 2025 (CBN)",
    model=Cluster,
    positional="rate",
    example="cluster:0.35",
    advice="patches of alike examples share one wrong label; networks learn it as if it were right",
)
