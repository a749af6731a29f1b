"""Folds that are kept apart in space: blocks of positions, dealt into folds, with a buffer.

Contexts of neighbouring examples overlap. With random folds a discriminator recognises places
rather than kinds of noise: two draws of one generator then get an AUC of 0.61. So whole blocks are
held out, and training examples too near to them are dropped.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.features.neighborhood import Neighborhood
from mislabel.seeds import child_state, generator

BLOCKS = 150
EXAMPLES_PER_BLOCK = 300
BLOCKS_PER_FOLD = 5
"At least; fewer say too little about how much folds differ."


@dataclass(frozen=True, kw_only=True)
class Folds:
    """Blocks of N examples, dealt into folds.

    block: (N,) 0 to B - 1. fold_of_block: (B,) 0 to n_folds - 1. buffer: a training example has
    none of the held-out examples among that many nearest neighbours.
    """

    block: NDArray[np.int64]
    fold_of_block: NDArray[np.int64]
    n_folds: int
    buffer: int
    neighbors: NDArray[np.int64]

    @property
    def n_blocks(self) -> int:
        return len(self.fold_of_block)

    @property
    def fold(self) -> NDArray[np.int64]:
        """(N,) the fold in which each example is held out."""
        return self.fold_of_block[self.block]

    def split(self, fold: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_], int]:
        """(N,) whether to train on each example, (N,) whether it is held out, and how many the
        buffer dropped."""
        held_out = self.fold == fold
        near = held_out[self.neighbors[:, : self.buffer]].any(axis=1)
        train = ~held_out & ~near
        return train, held_out, int((near & ~held_out).sum())


def make_folds(
    place: Neighborhood,
    *,
    n_blocks: int | None = None,
    n_folds: int = 5,
    buffer: int = 30,
    seed: int = 0,
) -> Folds:
    """Divide examples into blocks by k-means, and deal the blocks into folds at random.

    n_blocks: by default one per 300 examples, at most 150 and at least 5 per fold.
    """
    if n_blocks is None:
        n_blocks = min(max(len(place) // EXAMPLES_PER_BLOCK, BLOCKS_PER_FOLD * n_folds), BLOCKS)
    _check(place, n_blocks, n_folds, buffer)
    block = assign_blocks(place.positions, n_blocks, child_state(seed, "blocks"))
    found = int(block.max()) + 1
    deal = generator(seed, "folds").permutation(found) % n_folds
    return Folds(
        block=block,
        fold_of_block=deal.astype(np.int64),
        n_folds=n_folds,
        buffer=buffer,
        neighbors=place.neighbors,
    )


def assign_blocks(positions: NDArray[np.float32], n_blocks: int, state: int) -> NDArray[np.int64]:
    """(N,) block of each example; numbers without examples are left out."""
    from sklearn.cluster import MiniBatchKMeans

    model = MiniBatchKMeans(n_blocks, n_init=3, batch_size=4096, random_state=state)
    return np.unique(model.fit_predict(positions), return_inverse=True)[1].astype(np.int64)


def _check(place: Neighborhood, n_blocks: int, n_folds: int, buffer: int) -> None:
    numbers = {"n_folds": n_folds, "n_blocks": n_blocks, "buffer": buffer}
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise InputError(name, value, "must be a whole number")
    if n_folds < 2:
        raise InputError("n_folds", n_folds, "must be at least 2")
    if n_blocks < 2 * n_folds:
        raise InputError("n_blocks", n_blocks, f"must be at least two per fold: {2 * n_folds}")
    known = place.neighbors.shape[1]
    if not 0 <= buffer <= known:
        raise InputError("buffer", buffer, f"must be between 0 and the {known} known neighbours")
    distinct = len(np.unique(place.positions, axis=0))
    if distinct < n_blocks:
        rule = f"must be at least as many as blocks: {n_blocks}"
        raise InputError("positions", f"{distinct} different ones", rule)
