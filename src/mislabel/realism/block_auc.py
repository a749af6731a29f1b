"""The AUC of held-out scores, and how it would be with other blocks.

An AUC is a mean over pairs of rows, one of the candidate and one of the reference. Summed by the
blocks that the two are of, it is a quadratic form: after one pass over the scores, thousands of
replicates with resampled or exchanged blocks are small products of matrices.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mislabel.features.neighborhood import ranks_in_class

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class BlockAUC:
    """The held-out scores of one fold, summed by pairs of blocks. B blocks of the fold.

    wins: (2B, 2B) number of pairs in which a row of group i scores above a row of group j, ties
    half. Groups are the blocks under the reference, then the blocks under the candidate.
    sizes: (B,) examples of each block.
    """

    wins: FloatArray
    sizes: NDArray[np.int64]

    @classmethod
    def of(
        cls, reference: FloatArray, candidate: FloatArray, block: NDArray[np.int64]
    ) -> "BlockAUC":
        """reference, candidate: (n,) scores of the same examples. block: (n,) any numbers."""
        _, block = np.unique(block, return_inverse=True)
        sizes = np.bincount(block)
        group = np.r_[block, block + len(sizes)]
        _, value = np.unique(np.r_[reference, candidate], return_inverse=True)
        counts = np.zeros((int(value.max()) + 1, 2 * len(sizes)))
        np.add.at(counts, (value, group), 1)
        below_or_half = counts.cumsum(axis=0) - counts / 2
        return cls(counts.T @ below_or_half, sizes.astype(np.int64))

    @property
    def auc(self) -> float:
        """The AUC as it is."""
        return float(self.exchanged(np.zeros((1, len(self.sizes)), dtype=bool))[0])

    def exchanged(self, swapped: NDArray[np.bool_]) -> FloatArray:
        """(R,) the AUC with reference and candidate exchanged in the blocks of `swapped` (R, B)."""
        candidate = np.hstack([swapped, ~swapped]).astype(np.float64)
        pairs = (candidate @ self.wins * (1 - candidate)).sum(axis=1)
        return np.asarray(pairs / float(self.sizes.sum()) ** 2)

    def resampled(self, times: NDArray[np.int64]) -> FloatArray:
        """(R,) the AUC where block b occurs as often as `times` (R, B) says."""
        n_blocks = len(self.sizes)
        pairs = (times @ self.wins[n_blocks:, :n_blocks] * times).sum(axis=1)
        return np.asarray(pairs / (times @ self.sizes).astype(np.float64) ** 2)


def exchange_replicates(folds: list[BlockAUC], count: int, rng: np.random.Generator) -> FloatArray:
    """(count,) mean AUC over folds, each block exchanged with probability one half."""
    drawn = [fold.exchanged(rng.random((count, len(fold.sizes))) < 0.5) for fold in folds]
    mean: FloatArray = np.mean(drawn, axis=0)
    return mean


def bootstrap_replicates(folds: list[BlockAUC], count: int, rng: np.random.Generator) -> FloatArray:
    """(count,) mean AUC over folds, the blocks of each fold drawn anew with replacement."""
    drawn = []
    for fold in folds:
        n_blocks = len(fold.sizes)
        chances = np.full(n_blocks, 1 / n_blocks)
        drawn.append(fold.resampled(rng.multinomial(n_blocks, chances, size=count)))
    mean: FloatArray = np.mean(drawn, axis=0)
    return mean


def group_aucs(
    reference: FloatArray, candidate: FloatArray, group: NDArray[np.int64], n_groups: int
) -> tuple[FloatArray, FloatArray]:
    """(G,) the AUC within each group of examples, NaN for an empty one, and (G,) its pairs.

    reference, candidate: (n,) scores of the same examples. group: (n,) 0 to G - 1.
    """
    both = np.r_[group, group]
    sizes = np.bincount(group, minlength=n_groups).astype(np.float64)
    shares = ranks_in_class(np.r_[reference, candidate], both)
    ranks = shares * (2 * sizes[both]) + 0.5  # within the group, from 1
    sums = np.bincount(group, weights=ranks[len(group) :], minlength=n_groups)
    pairs = sizes**2
    with np.errstate(invalid="ignore"):
        aucs: FloatArray = (sums - sizes * (sizes + 1) / 2) / pairs
    return aucs, pairs
