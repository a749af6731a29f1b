"""Blocks, folds and the buffer between them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from mislabel.errors import InputError
from mislabel.features import Neighborhood
from mislabel.realism.blocks import make_folds

N = 900


def place(n: int = N, dimensions: int = 2) -> Neighborhood:
    rng = np.random.default_rng(0)
    return Neighborhood.of(rng.normal(size=(n, dimensions)), np.arange(n) % 3, 3)


@pytest.mark.parametrize(("n", "wanted"), [(900, 25), (9000, 30)])
def test_number_of_blocks(n: int, wanted: int) -> None:
    assert make_folds(place(n)).n_blocks == wanted


@pytest.mark.parametrize("dimensions", [2, 8])
def test_every_example_is_held_out_once(dimensions: int) -> None:
    folds = make_folds(place(dimensions=dimensions), n_blocks=22, n_folds=4)
    held_out = np.array([folds.split(fold)[1] for fold in range(4)])
    assert_array_equal(held_out.sum(axis=0), 1)
    assert_array_equal(np.bincount(folds.fold_of_block), [6, 6, 5, 5])
    for block in range(folds.n_blocks):  # none is divided
        assert len(np.unique(folds.fold[folds.block == block])) == 1


def test_blocks_are_places() -> None:
    """Examples are nearer to their own block's centre than to any other, nearly all."""
    near = place()
    block = make_folds(near).block
    centres = np.array([near.positions[block == b].mean(axis=0) for b in range(block.max() + 1)])
    apart = np.linalg.norm(near.positions[:, None] - centres, axis=2)
    assert (apart.argmin(axis=1) == block).mean() > 0.9


@pytest.mark.parametrize("buffer", [0, 1, 30])
def test_buffer_by_its_definition(buffer: int) -> None:
    near = place()
    folds = make_folds(near, buffer=buffer)
    for fold in range(folds.n_folds):
        train, held_out, dropped = folds.split(fold)
        for i in range(0, N, 7):
            touching = any(held_out[j] for j in near.neighbors[i, :buffer])
            assert train[i] == (not held_out[i] and not touching)
        assert dropped == N - train.sum() - held_out.sum()
        assert (dropped == 0) == (buffer == 0)


def test_same_seed_same_folds() -> None:
    near = place()
    one, two, other = (make_folds(near, seed=seed) for seed in (1, 1, 2))
    assert_array_equal(one.fold, two.fold)
    assert (one.fold != other.fold).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_folds": 1}, "n_folds=1: must be at least 2"),
        ({"n_folds": 2.5}, "n_folds=2.5: must be a whole number"),
        ({"n_blocks": 9}, "n_blocks=9: must be at least two per fold: 10"),
        ({"n_blocks": True}, "n_blocks=True: must be a whole number"),
        ({"buffer": 101}, "buffer=101: must be between 0 and the 100 known neighbours"),
        (
            {"n_blocks": 901},
            "positions='900 different ones': must be at least as many as blocks: 901",
        ),
    ],
)
def test_what_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_folds(place(), **settings)
    assert str(caught.value) == message
