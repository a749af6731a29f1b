"""All pairs looked at once, against a sort of every row."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from mislabel.features import nearest_neighbors, neighbors, pairs


def points(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def slow(rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, k) squared distances, ascending, and indices, oneself among them."""
    rows = rows.astype(np.float64)
    table = np.array([((rows - row) ** 2).sum(axis=1) for row in rows])
    order = np.argsort(table, axis=1)[:, :k]
    return np.take_along_axis(table, order, axis=1), order


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("n", "k"), [(300, 5), (257, 40), (97, 97), (20, 3), (1, 1)])
def test_against_a_sort(n: int, k: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 16, so that there are many; squared norms of about 20, in float32."""
    monkeypatch.setattr(pairs, "BLOCK", 16)
    rows = points(n, 20)
    squared, found = pairs.all_neighbors(rows, k, threads=threads)
    wanted, order = slow(rows, k)
    assert_allclose(squared, wanted, atol=1e-4)
    assert_array_equal(found, order)


def test_coarse_distances_are_exact_and_few_neighbours_are_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """bfloat16 rounds to 2^-9, which 25 further candidates make up for in a round cloud."""
    monkeypatch.setattr(pairs, "BLOCK", 128)
    rows = points(2_000, 64)
    squared, found = pairs.all_neighbors(rows, 100, coarse=True, threads=2)
    _, order = slow(rows, 100)
    recall = np.mean([len(np.intersect1d(a, b)) / 100 for a, b in zip(found, order, strict=True)])
    assert recall > neighbors.RECALL
    exact = ((rows[:, None] - rows[found]) ** 2).sum(axis=2)
    assert_allclose(squared, exact, atol=1e-3)
    assert (np.diff(squared, axis=1) >= 0).all()


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "BLOCK", 32)
    before = torch.get_num_threads()
    rows = np.repeat(points(150, 8), 3, axis=0)  # ties
    one, other = (pairs.all_neighbors(rows, 7, threads=count) for count in (1, 4))
    assert_array_equal(one[0], other[0])
    assert_array_equal(one[1], other[1])
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("approximate", [False, True])
def test_nearest_neighbors_use_it(approximate: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors, "PAIRS_FROM", 100)
    monkeypatch.setattr(pairs, "BLOCK", 64)
    rows = points(400, 30)
    asked: list[bool] = []
    search = pairs.all_neighbors

    def spy(*given: object, coarse: bool, threads: int) -> object:
        asked.append(coarse)
        return search(*given, coarse=coarse, threads=threads)

    monkeypatch.setattr(pairs, "all_neighbors", spy)
    monkeypatch.setattr(pairs, "has_fast_bfloat16", lambda: True)
    distances, found = nearest_neighbors(rows, 10, approximate=approximate)
    assert asked == [approximate]
    squared, order = slow(rows, 11)
    assert (found == order[:, 1:]).mean() > neighbors.RECALL
    assert_allclose(distances, np.sqrt(squared[:, 1:]), atol=0.05 if approximate else 1e-3)
