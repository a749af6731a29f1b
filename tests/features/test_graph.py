"""Walks on the neighbour graph: by hand, on a ring, and against dense matrices."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import expm
from scipy.special import ive

from mislabel.features import graph, nearest_neighbors
from mislabel.features.graph import NeighborGraph

TIMES = [0.0, 0.3, 1.0, 2.5, 17.0, 300.0]
RING = 400


def cloud(n: int = 120, seed: int = 0) -> np.ndarray:
    """(n, K) neighbours in three clouds that touch, and the graph of 15 of them."""
    rng = np.random.default_rng(seed)
    points = 3 * np.eye(3)[rng.integers(0, 3, n)] + rng.normal(size=(n, 3))
    return nearest_neighbors(points, 20)[1]


def slow_walk(neighbors: np.ndarray, time: float, k: int = 15) -> np.ndarray:
    """(N, N) dense, in float64: exp of -t (I - P)."""
    joins = np.zeros((len(neighbors), len(neighbors)))
    for i, near in enumerate(neighbors):
        for j in near[:k]:
            joins[i, j] += 1
            joins[j, i] += 1
    degrees = joins.sum(axis=1)
    joins /= np.outer(degrees, degrees)
    step = joins / joins.sum(axis=1, keepdims=True)
    return np.asarray(expm(time * (step - np.eye(len(step)))))


def ring() -> NeighborGraph:
    """Each joined to the one before and the one after: a step is left or right, with 1/2."""
    here = np.arange(RING)
    return NeighborGraph.of(np.stack([here - 1, here + 1], axis=1) % RING)


def two_islands() -> np.ndarray:
    """Neighbours of 30 and 50 examples that are not joined."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(80, 2)) + 100 * (np.arange(80) >= 30)[:, None]
    return nearest_neighbors(points, 15)[1]


def promised(time: float) -> float:
    """The largest error of a walk, relative to the largest value."""
    return 1e-4 + 1e-7 * time


def estimate_error(matrix: np.ndarray, probes: int = graph.PROBES) -> float:
    """Five deviations of Hutchinson's estimate of the mean diagonal of a matrix.

    With random signs v the variance of v'Bv is twice the sum of the squares beside the diagonal of
    B, made symmetric. Five deviations are passed once in 25 seeds at most (Chebyshev).
    """
    beside = (matrix + matrix.T) / 2
    np.fill_diagonal(beside, 0)
    return 5 * math.sqrt(2 * float((beside**2).sum()) / probes) / len(matrix)


def test_four_on_a_line_by_hand() -> None:
    """At 0, 1, 2.5 and 4.5 with two neighbours each.

    Joins are 01: 2, 02: 1, 12: 2, 23: 2, 13: 1, so the degrees are 3, 5, 5, 3.
    """
    near = nearest_neighbors([[0.0], [1.0], [2.5], [4.5]], 2)[1]
    assert near.tolist() == [[1, 2], [0, 2], [1, 3], [2, 1]]
    wanted = [
        [0, 2 / 3, 1 / 3, 0],
        [10 / 21, 0, 6 / 21, 5 / 21],
        [5 / 21, 6 / 21, 0, 10 / 21],
        [0, 1 / 3, 2 / 3, 0],
    ]
    assert_allclose(NeighborGraph.of(near).step.toarray(), wanted, atol=1e-6)


@pytest.mark.parametrize("time", TIMES)
def test_three_on_a_line_by_hand(time: float) -> None:
    """From the ends one can only go to the middle, from there to both with 1/2.

    The step has eigenvalues 1, 0 and -1, so terms decay as 1, exp(-t) and exp(-2t).
    """
    near = np.array(
        [[1], [0], [1]]
    )  # at 0, 1 and 3; the join 01 is double, the degrees are 2, 3, 1
    a, b = math.exp(-time), math.exp(-2 * time)
    end, other, middle = (1 + b + 2 * a) / 4, (1 + b - 2 * a) / 4, (1 - b) / 2
    wanted = [[end, middle, other], [(1 - b) / 4, (1 + b) / 2, (1 - b) / 4], [other, middle, end]]
    found = NeighborGraph.of(near).diffuse(np.eye(3, dtype=np.float32), time)
    assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("time", TIMES)
def test_against_dense_matrices(time: float) -> None:
    near = cloud()
    values = np.random.default_rng(1).normal(size=(len(near), 3)).astype(np.float32)
    found = NeighborGraph.of(near).diffuse(values, time)
    assert found.dtype == np.float32
    assert_allclose(
        found, slow_walk(near, time) @ values, rtol=0, atol=promised(time) * abs(values).max()
    )


@pytest.mark.parametrize("k", [1, 4, 20, 21, 1000])
def test_neighbours_that_are_joined(k: int) -> None:
    """The k nearest; all of them, if k is more."""
    near = cloud(60)
    walks = NeighborGraph.of(near, k=k)
    values = np.eye(60, dtype=np.float32)
    assert_allclose(walks.diffuse(values, 2.0), slow_walk(near, 2.0, k), atol=1e-4)
    assert len(walks) == 60


@pytest.mark.parametrize("time", TIMES)
def test_constants_stay(time: float) -> None:
    ones = np.full((120, 2), 3.0, dtype=np.float32)
    assert_allclose(NeighborGraph.of(cloud()).diffuse(ones, time), ones, rtol=promised(time))


def test_no_time_changes_nothing_and_nothing_is_changed() -> None:
    values = np.random.default_rng(0).normal(size=(120, 2)).astype(np.float32)
    before, near = values.copy(), cloud()
    near.flags.writeable = values.flags.writeable = False
    walks = NeighborGraph.of(near)
    stayed = walks.diffuse(values, 0.0)
    assert_array_equal(stayed, values)
    assert not np.shares_memory(stayed, values)
    walks.diffuse(values, 5.0)
    assert_array_equal(values, before)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, bool])
def test_walks_are_float32_whatever_is_given(dtype: type) -> None:
    values = (np.arange(120) % 2).astype(dtype)[:, None]
    walks = NeighborGraph.of(cloud())
    assert walks.step.dtype == np.float32
    for time in (0.0, 3.0):
        found = walks.diffuse(values, time)
        assert found.dtype == np.float32
        assert_array_equal(found, walks.diffuse(values.astype(np.float32), time))


def test_islands_never_mix() -> None:
    """Exact zeros at any time, and a time that ends where there is nowhere to go."""
    walks = NeighborGraph.of(two_islands())
    on_first = (np.arange(80) < 30).astype(np.float32)[:, None]
    for time in (1.0, 1e3, graph.LONGEST):
        found = walks.diffuse(on_first, time)
        assert_array_equal(found[30:], 0)
        assert_allclose(found[:30], 1, rtol=promised(time))
    longest = walks.time_for(1e6)
    assert 1 < longest < graph.LONGEST
    assert walks.size(longest) == pytest.approx(walks.size(1e3), rel=2e-4)  # it grows no more


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_sizes_against_dense_matrices(time: float, seed: int) -> None:
    """One over the mean sum of squares, within five deviations of the estimate of that mean."""
    near = cloud()
    walks, dense = NeighborGraph.of(near), slow_walk(near, time)
    squares = dense @ dense.T  # its diagonal holds the sums of squares
    found, wanted = 1 / walks.size(time, seed=seed), np.diagonal(squares).mean()
    assert found == pytest.approx(wanted, abs=estimate_error(dense.T @ dense) + 1e-4)
    stays = walks.own_weight(time, seed=seed)
    assert stays == pytest.approx(np.diagonal(dense).mean(), abs=estimate_error(dense) + 1e-4)


def test_sizes_of_no_walk() -> None:
    walks = NeighborGraph.of(cloud())
    assert walks.size(0.0) == walks.own_weight(0.0) == 1.0


@pytest.mark.parametrize("time", [0.5, 3.0, 40.0])
def test_sizes_on_a_ring(time: float) -> None:
    """There the walk comes back with exp(-t) I_0(t), and the sum of squares is that of 2 t."""
    walks, here = ring(), np.eye(RING)
    dense = expm(time * (walks.step.toarray().astype(float) - here))
    assert np.diagonal(dense) == pytest.approx(ive(0, time))
    assert 1 / walks.size(time) == pytest.approx(
        ive(0, 2 * time), abs=estimate_error(dense @ dense) + 1e-4
    )
    assert walks.own_weight(time) == pytest.approx(ive(0, time), abs=estimate_error(dense) + 1e-4)


@pytest.mark.parametrize("size", [2.0, 5.0, 20.0, 60.0])
def test_time_for_a_size_lies_between_the_doublings_around_it(size: float) -> None:
    for walks in (NeighborGraph.of(cloud()), ring()):
        time = walks.time_for(size)
        reached = [0.5, *(2.0**power for power in range(18))]
        low = max((t for t in reached[1:] if walks.size(t) < size), default=0.5)
        assert low <= time <= max(2 * low, 1.0)


@pytest.mark.parametrize("size", [5.0, 20.0])
def test_time_for_a_size_on_a_ring(size: float) -> None:
    """Sizes grow as the root of 4 pi t there: a straight line in the logarithms.

    So only the error of the estimate remains: relative to the mean of squares twice in the time.
    """
    walks, here = ring(), np.eye(RING)
    time = walks.time_for(size)
    dense = expm(time * (walks.step.toarray().astype(float) - here))
    exact = 1 / np.diagonal(dense @ dense).mean()
    error = estimate_error(dense @ dense) * exact
    assert exact == pytest.approx(size, rel=error / (1 - error))


def test_longer_for_larger_sizes() -> None:
    walks = NeighborGraph.of(cloud())
    times = [walks.time_for(size) for size in (2, 3, 5, 8, 13, 21, 34, 55)]
    assert times == sorted(times)


def test_the_longest_walk() -> None:
    """More than there is is never reached: time_for ends, and the walk forgets where it began."""
    walks = NeighborGraph.of(cloud())
    found = walks.diffuse(np.eye(120, dtype=np.float32), walks.time_for(1e9))
    assert np.ptp(found, axis=0).max() < 1e-3


def test_duplicates_of_one_point() -> None:
    near = nearest_neighbors(np.zeros((40, 2)), 15)[1]
    walks = NeighborGraph.of(near)
    assert_allclose(walks.step.sum(axis=1), 1, rtol=1e-6)
    found = walks.diffuse(np.eye(40, dtype=np.float32), 4.0)
    assert_allclose(found, slow_walk(near, 4.0), atol=1e-4)
    assert np.isfinite(walks.time_for(20.0))


def test_two_examples() -> None:
    """They change places: the weight of staying is (1 + exp(-2 t)) / 2."""
    walks = NeighborGraph.of(np.array([[1], [0]]))
    stay = (1 + math.exp(-3.0)) / 2
    found = walks.diffuse(np.eye(2, dtype=np.float32), 1.5)
    assert_allclose(found, [[stay, 1 - stay], [1 - stay, stay]], atol=1e-4)


def test_same_seed_same_sizes() -> None:
    near = cloud()
    first, again = NeighborGraph.of(near), NeighborGraph.of(near)
    for ask in ("size", "own_weight", "time_for"):
        found = [getattr(walks, ask)(9.0, seed=3) for walks in (first, again)]
        assert found[0] == found[1] != getattr(first, ask)(9.0, seed=4)


@pytest.mark.parametrize("time", [0.0, 1e-3, 0.5, 7.0, 1e3, 1e5])
def test_chebyshev_weights(time: float) -> None:
    """Modified Bessel functions, with what is left out made up for.

    All beyond K is below 2 exp(-K^2 / 2t), which says how many there are at most.
    """
    weights = graph._chebyshev_weights(time).astype(float)
    terms = np.arange(len(weights))
    wanted = np.where(terms == 0, 1, 2) * ive(terms, time)
    assert_allclose(weights, wanted / wanted.sum(), atol=1e-7)
    assert wanted.sum() == pytest.approx(1, abs=graph.LEFT_OUT + 1e-7)
    assert len(weights) <= math.sqrt(2 * time * math.log(2 / graph.LEFT_OUT)) + 8
