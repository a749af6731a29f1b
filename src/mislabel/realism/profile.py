"""The profile of a set of noisy labels: figures that tell kinds of noise apart.

`profile` gives rates, transitions and entropy and, with a `Neighborhood`, how errors lie:

- **Clustering index** ``mean share of flipped among the k nearest neighbours of flipped examples /
  rate``: how much likelier a neighbour of a flipped example is flipped than any example. It is 1
  where flips fall anywhere. Classes alone raise it, because neighbours are mostly of one class and
  classes have different rates; `Spatial.clustering_by_class` is its exact expectation when each
  class keeps its number of flips and they fall anywhere in it.
- **Closeness rank**: of the wrong label's class among those near the clean class, 1 the closest.
- **Dependence** of the flip rate on typicality and on how many neighbours are of other classes.

On the published map of CIFAR-10 and k = 10, human labels have an index of 1.1 to 1.7 and CBN at
35 % has 2.4. Intervals are Wilson's or from blocks of the embedding; see `realism.intervals`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.errors import InputError
from mislabel.features import nearest_neighbors
from mislabel.features.neighborhood import Neighborhood, ranks_in_class
from mislabel.labels import NoisyLabels, check_count, check_labels
from mislabel.realism.blocks import BLOCKS, EXAMPLES_PER_BLOCK, assign_blocks
from mislabel.realism.intervals import BlockSums, Estimate, Floats, Ints, to_json, wilson
from mislabel.seeds import child_state

NEIGHBORS = 10
KS = (5, 10, 30, 100)
OTHER_EDGES = (0.0, 0.05, 0.15, 0.35, 0.65, 1.0)
"Upper ends of the bins by share of other classes among the neighbours; the first is none at all."
FEW_BLOCKS = 30


@dataclass(frozen=True, kw_only=True)
class Dependence:
    """How the flip rate goes with something, in bins of it.

    edges: (bins,) upper end of each bin. count: (bins,) examples in each. rate: (bins,) of flips.
    trend: the probability that a flipped example has more of it than a random example of its
    class; 1/2 where they have nothing to do with each other.
    """

    edges: Floats
    count: Ints
    rate: Estimate
    trend: Estimate

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "edges": self.edges.tolist(),
            "count": self.count.tolist(),
            "rate": self.rate.to_json(),
            "trend": self.trend.to_json(),
        }


@dataclass(frozen=True, kw_only=True)
class Spatial:
    """How errors lie in a map or an embedding.

    ks: (K,) neighbourhood sizes. clustering: (K,) clustering index. clustering_by_class: (K,) its
    expectation given the classes and their flips alone. target_rank: (C - 1,) share of flips to
    the r-th closest class. mean_target_rank: 1 to C - 1. target_nearby: share of flips to a class
    that is among the example's neighbours. typicality, other_share: dependence of the flip rate.
    n_neighbors: how many neighbours the latter two and `target_nearby` take. n_blocks: blocks of
    the embedding for the intervals.
    """

    ks: tuple[int, ...]
    clustering: Estimate
    clustering_by_class: Floats
    target_rank: Estimate
    mean_target_rank: Estimate
    target_nearby: Estimate
    typicality: Dependence
    other_share: Dependence
    n_neighbors: int
    n_blocks: int

    def to_json(self) -> dict[str, Any]:
        """As JSON values; what is undefined, as without flips, is None."""
        return {
            "ks": list(self.ks),
            "clustering": self.clustering.to_json(),
            "clustering_by_class": to_json(self.clustering_by_class),
            "target_rank": self.target_rank.to_json(),
            "mean_target_rank": self.mean_target_rank.to_json(),
            "target_nearby": self.target_nearby.to_json(),
            "typicality": self.typicality.to_json(),
            "other_share": self.other_share.to_json(),
            "n_neighbors": self.n_neighbors,
            "n_blocks": self.n_blocks,
        }


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What is measured of a set of labels. N examples, C classes.

    n, flips: examples, and those with a wrong label. rate, rate_per_class (C,): their share, with
    Wilson's interval as if each label were wrong or right on its own. class_sizes: (C,).
    transition_matrix: (C, C) by [clean, noisy]. row_entropy: its mean over rows, bits.
    spatial: None without a neighbourhood. level: of all intervals.
    """

    n: int
    flips: int
    rate: Estimate
    rate_per_class: Estimate
    class_sizes: Ints
    transition_matrix: Floats
    row_entropy: float
    spatial: Spatial | None
    level: float

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self.class_sizes)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; what is undefined, as of an absent class, is None."""
        return {
            "n": self.n,
            "flips": self.flips,
            "rate": self.rate.to_json(),
            "rate_per_class": self.rate_per_class.to_json(),
            "class_sizes": self.class_sizes.tolist(),
            "transition_matrix": to_json(self.transition_matrix),
            "row_entropy_bits": self.row_entropy,
            "level": self.level,
            "spatial": None if self.spatial is None else self.spatial.to_json(),
        }


def profile_labels(
    labels: NoisyLabels,
    place: Neighborhood | None = None,
    *,
    ks: Sequence[int] = KS,
    n_bins: int = 10,
    blocks: ArrayLike | None = None,
    level: float = 0.95,
    n_resamples: int = 999,
    seed: int = 0,
) -> Profile:
    """The profile of `labels`, whose clean labels must be known.

    place: where the examples lie; without it there are only rates and transitions.
    ks: neighbourhood sizes of the clustering index; no more neighbours are taken than there are.
    n_bins: of typicality, which is even within each class.
    blocks: (N,) block of each example for the intervals; by default `interval_blocks` of the place,
        which are worth computing once for several sets of labels.
    level: of the intervals. n_resamples: of the blocks. seed: of blocks and resamples.

    Errors: `InputError` without clean labels, or for a place of other examples.
    """
    _check_options(ks, n_bins, level, n_resamples)
    counts, flipped = labels.counts, labels.flipped
    sizes = counts.sum(axis=1)
    spatial = None
    if place is not None:
        _check_place(labels, place)
        of_example = interval_blocks(place, seed=seed) if blocks is None else check_labels(
            blocks, name="blocks", n_examples=len(labels)
        )  # fmt: skip
        drawn = BlockSums.of(of_example, n_resamples=n_resamples, level=level, seed=seed)
        spatial = _spatial(labels, place, drawn, ks, n_bins)
    flips = int(flipped.sum())
    return Profile(
        n=len(labels),
        flips=flips,
        rate=wilson(np.asarray(flips), np.asarray(len(labels)), level),
        rate_per_class=wilson(sizes - counts.diagonal(), sizes, level),
        class_sizes=sizes,
        transition_matrix=labels.transition_matrix,
        row_entropy=row_entropy(labels),
        spatial=spatial,
        level=level,
    )


def interval_blocks(place: Neighborhood, *, seed: int = 0) -> Ints:
    """(N,) k-means block of each example, for the intervals of any labels in this place.

    One block per 300 examples, from 30 to 150; in small sets of at least 5 examples on average.
    """
    n, state = len(place), child_state(seed, "blocks")
    wanted = min(max(n // EXAMPLES_PER_BLOCK, FEW_BLOCKS), BLOCKS, n // 5)
    distinct = len(np.unique(place.positions, axis=0))
    return assign_blocks(place.positions, max(min(wanted, distinct), 1), state)


def row_entropy(labels: NoisyLabels) -> float:
    """Mean entropy in bits of the rows of the transition matrix; 0 when no label is wrong."""
    matrix = labels.transition_matrix
    rows = matrix[np.isfinite(matrix).all(axis=1)]
    logs = np.log2(rows, out=np.zeros_like(rows), where=rows > 0)
    return float(-(rows * logs).sum(axis=1).mean()) + 0.0


def clustering_index(flipped: NDArray[np.bool_], neighbors: NDArray[np.int64]) -> float:
    """How clustered flips are; NaN without flips.

    flipped: (N,). neighbors: (N, k) indices of the nearest other examples.
    """
    if not flipped.any():
        return float("nan")
    return float(flipped[neighbors[flipped]].mean() / flipped.mean())


def clustering_by_class(labels: NoisyLabels, place: Neighborhood, ks: Sequence[int]) -> Floats:
    """(K,) expected clustering index for each k when flips fall anywhere within their class.

    Each class keeps its number of flips F_c of n_c examples, so that two examples are both flipped
    with probability F_c F_d / (n_c n_d), or F_c (F_c - 1) / (n_c (n_c - 1)) within a class. The
    rest is how many neighbours of class d examples of class c have. ks: ascending. NaN without
    flips.
    """
    sizes = labels.counts.sum(axis=1)
    flips = sizes - labels.counts.diagonal()
    both = np.outer(flips, flips) / np.maximum(np.outer(sizes, sizes), 1)
    np.fill_diagonal(both, flips * (flips - 1) / np.maximum(sizes * (sizes - 1), 1))
    row = place.clean_labels[:, None] * labels.n_classes
    hits = [
        np.bincount((row + place.clean_labels[near]).ravel(), minlength=both.size) @ both.ravel()
        for near in np.split(place.neighbors[:, : ks[-1]], ks[:-1], axis=1)
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(_index(np.cumsum(hits) / ks, flips.sum(), len(labels)))


def describe_labels(
    labels: NoisyLabels, positions: ArrayLike | None = None, *, k: int = NEIGHBORS
) -> dict[str, Any]:
    """The profile of `labels` as JSON values, the receipt included.

    positions: (N, d) map or embedding for the clustering index, which is None without it.
    k: neighbours for that. Undefined figures (of an absent class, of no flips) are None.
    """
    index = None
    if positions is not None:
        _, neighbors = nearest_neighbors(positions, min(k, len(labels) - 1))
        index = clustering_index(labels.flipped, neighbors)
    return labels.receipt_json() | {
        "n_flipped": int(labels.flipped.sum()),
        "row_entropy_bits": row_entropy(labels),
        "clustering_index": None if index is None else to_json(np.asarray(index)),
        "transition_matrix": to_json(labels.transition_matrix),
    }


def _spatial(
    labels: NoisyLabels, place: Neighborhood, blocks: BlockSums, ks: Sequence[int], n_bins: int
) -> Spatial:
    width = place.neighbors.shape[1]
    sizes = tuple(sorted({min(k, width) for k in ks}))
    ranks = place.closeness_rank[place.clean_labels, labels.labels][labels.flipped]
    by_rank = blocks.counts(ranks - 1, labels.n_classes - 1, labels.flipped)
    flips = by_rank.sum(axis=1)
    typical, other = place.typicality, place.other_share(width)
    even = np.arange(1, n_bins + 1) / n_bins
    return Spatial(
        ks=sizes,
        clustering=_clustering(labels.flipped, place.neighbors, sizes, blocks),
        clustering_by_class=clustering_by_class(labels, place, sizes),
        target_rank=blocks.share(by_rank, flips[:, None]),
        mean_target_rank=blocks.figure(np.divide, blocks.sums(ranks, labels.flipped), flips),
        target_nearby=_target_nearby(labels, place, blocks),
        typicality=_dependence(labels.flipped, typical, typical, even, blocks),
        other_share=_dependence(
            labels.flipped,
            other,
            ranks_in_class(other, place.clean_labels),
            np.array(OTHER_EDGES),
            blocks,
        ),
        n_neighbors=width,
        n_blocks=blocks.n_blocks,
    )


def _clustering(
    flipped: NDArray[np.bool_], neighbors: Ints, ks: tuple[int, ...], blocks: BlockSums
) -> Estimate:
    """(K,) clustering index of each k, ascending."""
    near = flipped[neighbors[flipped, : ks[-1]]].astype(np.int32)
    hits = np.add.reduceat(near, [0, *ks[:-1]], axis=1).cumsum(axis=1)
    by_k = np.stack([blocks.sums(column, flipped) for column in hits.T], axis=1)
    flips, sizes = blocks.sums(flipped)[:, None], blocks.sums(np.ones(len(flipped)))[:, None]
    return blocks.figure(lambda hits, f, n: _index(hits / ks, f, n), by_k, flips, sizes)


def _index(hits: Floats, flips: Any, n: Any) -> Floats:
    """Clustering index: hits, the sum over flipped examples of the flipped share of neighbours."""
    return np.asarray(hits / flips / (flips / n))


def _target_nearby(labels: NoisyLabels, place: Neighborhood, blocks: BlockSums) -> Estimate:
    near = place.clean_labels[place.neighbors[labels.flipped]]
    found = (near == labels.labels[labels.flipped][:, None]).any(axis=1)
    return blocks.share(blocks.sums(found, labels.flipped), blocks.sums(labels.flipped))


def _dependence(
    flipped: NDArray[np.bool_], values: Floats, ranks: Floats, edges: Floats, blocks: BlockSums
) -> Dependence:
    """values: (N,) what the bins are of. ranks: (N,) of the values within classes."""
    bins, n_bins = np.searchsorted(edges, values), len(edges)
    count = blocks.counts(bins, n_bins)
    trend = blocks.figure(
        _trend,
        blocks.sums(ranks[flipped], flipped),
        blocks.sums(flipped),
        blocks.sums(ranks),
        blocks.sums(np.ones(len(ranks))),
    )
    return Dependence(
        edges=edges,
        count=count.sum(axis=0).astype(np.int64),
        rate=blocks.share(blocks.counts(bins[flipped], n_bins, flipped), count),
        trend=trend,
    )


def _trend(flipped_ranks: Floats, flips: Floats, ranks: Floats, n: Floats) -> Floats:
    """Mean rank of flipped examples; in a resample against that of the examples it happens to have.

    The mean rank within a class is the probability to be above a random member of it.
    """
    return 0.5 + flipped_ranks / flips - ranks / n


def _check_options(ks: Sequence[int], n_bins: int, level: float, n_resamples: int) -> None:
    if not len(ks):
        raise InputError("ks", ks, "must be at least one number of neighbours")
    for k in ks:
        check_count(k, "ks")
    check_count(n_bins, "n_bins")
    check_count(n_resamples, "n_resamples")
    if not 0 < level < 1:
        raise InputError("level", level, "must be between 0 and 1")


def _check_place(labels: NoisyLabels, place: Neighborhood) -> None:
    if len(place) != len(labels):
        raise InputError("place", f"{len(place)} examples", f"must be of the {len(labels)} labels")
    if place.n_classes != labels.n_classes:
        rule = f"must have as many as the labels: {labels.n_classes}"
        raise InputError("place", f"{place.n_classes} classes", rule)
    if not np.array_equal(place.clean_labels, labels.clean_labels):  # type: ignore[arg-type]
        raise InputError("place", "clean labels", "must be those of the labels")
