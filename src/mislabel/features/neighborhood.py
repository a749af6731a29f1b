"""Who lives where: neighbours, their classes, how typical an example is, how close classes are.

What kinds of noise look at, what noise is measured by, and what a generator of human-like noise
flips by. All of it follows from points and clean labels alone, so it is the same for every set of
labels on the same data.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.errors import InputError
from mislabel.features.neighbors import nearest_neighbors

NEIGHBORS = 100
DENSITY_NEIGHBORS = 30
"An example's place among its class goes by the distance to this neighbour."


@dataclass(frozen=True)
class Neighborhood:
    """Neighbours and classes of N examples; see `Neighborhood.of`.

    positions: (N, d). clean_labels: (N,). n_classes: C. distances, neighbors: (N, K), nearest
    first, without the example itself.
    """

    positions: NDArray[np.float32]
    clean_labels: NDArray[np.int64]
    n_classes: int
    distances: NDArray[np.float32]
    neighbors: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        positions: ArrayLike,
        clean_labels: NDArray[np.int64],
        n_classes: int,
        *,
        k: int = NEIGHBORS,
    ) -> "Neighborhood":
        """positions: (N, d) a map or an embedding. k: neighbours, at most N - 1 are taken."""
        points = np.asarray(positions, dtype=np.float32)
        if len(points) < 2:
            raise InputError("positions", f"{len(points)} rows", "needs at least 2 examples")
        distances, neighbors = nearest_neighbors(points, min(k, len(points) - 1))
        return cls(points, clean_labels, n_classes, distances, neighbors)

    def __len__(self) -> int:
        return len(self.clean_labels)

    def class_counts(
        self, k: int = NEIGHBORS, rows: NDArray[np.int64] | slice = slice(None)
    ) -> NDArray[np.int64]:
        """(n, C) how many of the k nearest neighbours of `rows` are of each class."""
        near = self.clean_labels[self.neighbors[rows, :k]]
        flat = (np.arange(len(near))[:, None] * self.n_classes + near).ravel()
        counts = np.bincount(flat, minlength=len(near) * self.n_classes)
        return counts.reshape(len(near), self.n_classes)

    def class_shares(self, k: int = NEIGHBORS) -> NDArray[np.float32]:
        """(N, C) share of each class among the k nearest neighbours (all K, if k is more)."""
        taken = np.float32(self.neighbors[:, :k].shape[1])
        return (self.class_counts(k) / taken).astype(np.float32)

    def other_share(self, k: int = NEIGHBORS) -> NDArray[np.float64]:
        """(N,) share of other classes among the k nearest neighbours."""
        other = self.clean_labels[self.neighbors[:, :k]] != self.clean_labels[:, None]
        shares: NDArray[np.float64] = other.mean(axis=1)
        return shares

    @cached_property
    def typicality(self) -> NDArray[np.float64]:
        """(N,) above 0, below 1: where an example stands in its class, from lonely to crowded.

        One less the rank of its distance to the 30th neighbour among those of its class, as a
        share; equal distances share their rank.
        """
        column = min(DENSITY_NEIGHBORS, self.distances.shape[1]) - 1
        ranks = ranks_in_class(self.distances[:, column], self.clean_labels)
        typical: NDArray[np.float64] = 1 - ranks
        return typical

    @cached_property
    def class_centres(self) -> NDArray[np.float64]:
        """(C, d) mean position of each class; NaN for a class without examples."""
        sums = np.zeros((self.n_classes, self.positions.shape[1]))
        np.add.at(sums, self.clean_labels, self.positions)
        sizes = np.bincount(self.clean_labels, minlength=self.n_classes)
        with np.errstate(invalid="ignore"):
            centres: NDArray[np.float64] = sums / sizes[:, None]
        return centres

    @cached_property
    def closeness_rank(self) -> NDArray[np.int64]:
        """(C, C) rank of class j among the others by closeness to class i: 1 is the closest.

        0 for the class itself. By distance of the class centres; classes without examples come
        last, and equal distances in order.
        """
        centres = self.class_centres
        apart = np.square(centres[:, None] - centres[None]).sum(axis=2)
        apart[np.isnan(apart)] = np.inf
        np.fill_diagonal(apart, -1)
        ranks: NDArray[np.int64] = apart.argsort(axis=1, kind="stable").argsort(axis=1)
        return ranks


def ranks_in_class(
    values: NDArray[np.float32] | NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(N,) rank of each value among those of its class as a share, (rank - 1/2) / size.

    Equal values share their mean rank.
    """
    order = np.lexsort((values, labels))
    held, group = values[order], labels[order]
    new_class = np.r_[True, group[1:] != group[:-1]]
    new_value = new_class | np.r_[True, held[1:] != held[:-1]]
    run = np.cumsum(new_value) - 1
    starts = np.flatnonzero(new_value)
    ends = np.r_[starts[1:], len(order)]
    first = np.flatnonzero(new_class)
    sizes = np.diff(np.r_[first, len(order)])
    of_class = np.cumsum(new_class) - 1
    middle = (starts[run] + ends[run]) / 2 - first[of_class]
    ranks = np.empty(len(order))
    ranks[order] = middle / sizes[of_class]
    return ranks
