"""Nearest neighbours against looking at every pair."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mislabel.errors import InputError
from mislabel.features import nearest_neighbors, neighbors
from thread_limits import one_thread  # noqa: F401

modest = settings(deadline=None, derandomize=True, max_examples=50)


def slow_distances(points: np.ndarray) -> np.ndarray:
    """(N, N) distances by a loop over rows in float64, infinite to oneself."""
    points = points.astype(np.float32).astype(np.float64)
    table = np.array([np.sqrt(((points - row) ** 2).sum(axis=1)) for row in points])
    np.fill_diagonal(table, np.inf)
    return table


def check(points: np.ndarray, k: int, tolerance: float) -> None:
    """Distances are the k smallest, indices fit them, nobody is their own neighbour."""
    distances, indices = nearest_neighbors(points, k)
    assert distances.shape == indices.shape == (len(points), k)
    assert (distances.dtype, indices.dtype) == (np.float32, np.int64)
    table = slow_distances(points)
    np.testing.assert_allclose(distances, np.sort(table, axis=1)[:, :k], atol=tolerance)
    found = np.take_along_axis(table, indices, axis=1)
    np.testing.assert_allclose(distances, found, atol=tolerance)
    assert (indices != np.arange(len(points))[:, None]).all()
    assert all(len(set(row)) == k for row in indices.tolist())
    assert (np.diff(distances, axis=1) >= 0).all()


@pytest.mark.parametrize("d", [1, 2, 3, 4, 40])
@pytest.mark.parametrize("k", [1, 10, 299])
def test_against_every_pair(d: int, k: int) -> None:
    """Float32 keeps squared norms of about 100 to 1e-5, so distances to 1e-3 where near 0."""
    points = np.random.default_rng(d).normal(size=(300, d))
    check(points, k, 1e-6 if d <= 3 else 1e-3)


@modest
@given(st.integers(0, 10**6), st.integers(2, 40), st.sampled_from([1, 2, 3, 5]), st.data())
def test_whole_number_points_with_duplicates(
    seed: int, n: int, d: int, data: st.DataObject
) -> None:
    """Small whole numbers are exact in float32, ties and duplicates abound."""
    points = np.random.default_rng(seed).integers(-2, 3, size=(n, d)).astype(float)
    check(points, data.draw(st.integers(1, n - 1)), 1e-6)


@pytest.mark.parametrize("d", [2, 40])
def test_all_examples_alike(d: int) -> None:
    check(np.ones((50, d)), 5, 0)


@pytest.mark.parametrize("approximate", [False, True])
@pytest.mark.parametrize("k", [0, 5, -1, 2.0, True])
def test_bounds_of_k(k: Any, approximate: bool) -> None:
    with pytest.raises(InputError) as caught:
        nearest_neighbors(np.eye(5), k, approximate=approximate)
    assert str(caught.value) == (f"k={k!r}: must be between 1 and 4, the number of other examples")


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros(5), "features='shape (5,)': must be a matrix (N, d)"),
        (np.where(np.eye(5) > 0, np.nan, 1), "features='row 0': must be finite"),
        ([[0, 0], [1, 1], [np.inf, 0]], "features='row 2': must be finite"),
    ],
)
def test_bad_features(points: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        nearest_neighbors(points, 1)
    assert str(caught.value) == message


def groups(n: int) -> np.ndarray:
    """(n, 10) points in 20 groups, eight deviations apart."""
    rng = np.random.default_rng(0)
    points = 8 * rng.normal(size=(20, 10))[rng.integers(0, 20, n)]
    return (points + rng.normal(size=points.shape)).astype(np.float32)


def test_approximate_search_recalls_what_it_promises() -> None:
    """0.99 of 500 x 11 neighbours of the sample; Hoeffding over its 500 rows: 0.05 less, 1 in 12.

    Rows come from one draw of the sample at a fixed seed, so the test either fails or does not.
    """
    points = groups(3_000)
    _, exact = nearest_neighbors(points, 10)
    _, found = nearest_neighbors(points, 10, approximate=True)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, found, strict=True)])
    assert recall >= neighbors.RECALL - 0.05
    assert (found != np.arange(3_000)[:, None]).all()
    index = neighbors._inverted_file(points, 11)
    assert index is not None and index.nprobe <= neighbors.LARGEST_SHARE * index.nlist


def test_approximate_search_is_exact_where_lists_do_not_help() -> None:
    """One round cloud of 60 dimensions: neighbours lie in all directions."""
    points = np.random.default_rng(0).normal(size=(2_000, 60)).astype(np.float32)
    assert neighbors._inverted_file(points, 11) is None
    for found, wanted in zip(
        nearest_neighbors(points, 10, approximate=True), nearest_neighbors(points, 10), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


def test_approximate_search_for_more_than_the_lists_hold() -> None:
    """16 of 44 lists hold fewer than 1,500 of 2,000: all are searched then, and none is missing."""
    points = np.random.default_rng(0).normal(size=(2_000, 8))
    distances, indices = nearest_neighbors(points, 1_500, approximate=True)
    assert indices.min() >= 0
    np.testing.assert_allclose(distances, nearest_neighbors(points, 1_500)[0], atol=1e-3)
