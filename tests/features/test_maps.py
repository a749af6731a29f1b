"""Maps by t-SNE: deterministic, cached, neighbours kept, small and odd inputs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mislabel.data import load_data
from mislabel.errors import InputError
from mislabel.features import load_map, maps, nearest_neighbors, tsne_map
from mislabel.features.pixels import Pixels
from thread_limits import one_thread  # noqa: F401


@pytest.fixture(autouse=True)
def no_stored_maps(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new cache for each test, so that maps are computed; on one core, which may be busy."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    monkeypatch.setenv("MISLABEL_CACHE", str(tmp_path / "cache"))


def kept(points: np.ndarray, positions: np.ndarray) -> float:
    """Share of the ten nearest neighbours that are still among the ten nearest on the map."""
    _, true = nearest_neighbors(points, 10)
    _, found = nearest_neighbors(positions, 10)
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(true, found, strict=True)]))


def test_digits_keep_their_neighbours() -> None:
    """By chance 10 of 599 are kept, 0.017; principal components keep about 0.1."""
    points = Pixels()(load_data("digits").x_train[:600])
    positions = tsne_map(points, seed=0)
    assert positions.shape == (600, 2) and positions.dtype == np.float32
    assert np.isfinite(positions).all()
    chance = 10 / 599
    assert kept(points, positions) > 20 * chance
    assert kept(points, positions) > 2 * kept(points, points[:, :2])


def test_deterministic_and_seeded(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    points = np.random.default_rng(0).normal(size=(60, 5))
    first = tsne_map(points, seed=1)
    monkeypatch.setenv("MISLABEL_CACHE", str(tmp_path / "other"))
    np.testing.assert_array_equal(first, tsne_map(points, seed=1))
    assert (first != tsne_map(points, seed=2)).any()


def test_a_map_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    seen = []

    def embed(points: Any, perplexity: float, seed: int) -> np.ndarray:
        seen.append((perplexity, seed))
        return points[:, :2] * seed

    monkeypatch.setattr(maps, "embed_tsne", embed)
    wanted = maps.scale_map(points[:, :2])
    np.testing.assert_array_equal(tsne_map(points, perplexity=5, seed=1), wanted)
    np.testing.assert_array_equal(tsne_map(points, perplexity=5.0, seed=1), wanted)
    assert seen == [(5.0, 1)]
    tsne_map(points, perplexity=5, seed=2)
    tsne_map(points, perplexity=4, seed=1)
    tsne_map(points + 1, perplexity=5, seed=1)
    tsne_map(points.tolist(), perplexity=5, seed=1)
    assert seen == [(5.0, 1), (5.0, 2), (4.0, 1), (5.0, 1)]


def test_perplexity_is_reduced_for_few_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    keep = lambda p, perplexity, seed: seen.append(perplexity) or p  # noqa: E731
    monkeypatch.setattr(maps, "embed_tsne", keep)
    for n in (10, 31, 91, 92):
        tsne_map(np.random.default_rng(n).normal(size=(n, 2)))
    assert seen == [3.0, 10.0, 30.0, 30.0]


def affinities_by_bisection(points: np.ndarray, k: int, perplexity: float) -> np.ndarray:
    """The plain twin: row by row, the beta whose entropy is log(perplexity); (N, N), sum 1."""
    total = np.zeros((len(points), len(points)))
    for i, point in enumerate(points):
        squares = ((points - point) ** 2).sum(axis=1)
        nearest = [j for j in np.argsort(squares, kind="stable") if j != i][:k]
        low, high = 1e-12, 1e12
        for _ in range(200):
            beta = np.sqrt(low * high)
            chance = np.exp(-beta * (squares[nearest] - squares[nearest].min()))
            chance /= chance.sum()
            entropy = -(chance * np.log(np.maximum(chance, 1e-300))).sum()
            low, high = (beta, high) if entropy > np.log(perplexity) else (low, beta)
        total[i, nearest] = chance
    return (total + total.T) / total.sum() / 2


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("dimensions", [3, 512])
def test_affinities_have_the_perplexity_asked_for(dimensions: int, scale: float) -> None:
    """In 512 dimensions all neighbours are nearly equally far, and exp(-distance^2) is 0.

    openTSNE's search stops within 1e-8 of the entropy; distances are float32, so that squares of
    about 2 d err by up to d 2^-21, 2e-4 here, beside differences of about 100.
    """
    points = np.random.default_rng(0).normal(size=(150, dimensions)).astype(np.float32)
    found = maps.neighbor_affinities(points * np.float32(scale), 20.0, 0).P.toarray()
    wanted = affinities_by_bisection(points.astype(float), 60, 20.0)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-9)


def test_the_scale_of_maps_is_that_of_the_published_one() -> None:
    points = np.random.default_rng(0).normal(size=(80, 6))
    positions = tsne_map(points, perplexity=8, seed=0)
    distances = np.linalg.norm(positions[:, None] - positions, axis=2)
    thirtieth = np.sort(distances, axis=1)[:, 30]  # the first is the example itself
    assert np.median(thirtieth) == pytest.approx(maps.MEDIAN_RADIUS, rel=1e-5)


def test_the_published_scale(data_folder: Path) -> None:
    published = load_map(data_folder / "cifar10" / "clip_tsne_train.parquet")
    assert round(maps.median_radius(published), 3) == maps.MEDIAN_RADIUS


@pytest.mark.parametrize(
    "points",
    [
        np.random.default_rng(0).normal(size=(10, 3)),
        np.arange(25.0)[:, None],
        np.repeat(np.eye(4), 5, axis=0),
    ],
    ids=["ten", "one column", "duplicates"],
)
def test_small_and_odd_inputs(points: np.ndarray) -> None:
    positions = tsne_map(points, seed=0)
    assert positions.shape == (len(points), 2) and np.isfinite(positions).all()
    assert positions.std(axis=0).min() > 0


def test_examples_that_are_all_alike() -> None:
    """Nothing tells them apart, so they may lie on one point; `NaN` they are not."""
    assert np.isfinite(tsne_map(np.ones((20, 4)), seed=0)).all()


def test_one_column_keeps_its_order() -> None:
    positions = tsne_map(np.arange(40.0)[:, None], perplexity=5, seed=0)
    assert kept(np.arange(40.0)[:, None], positions) > 0.6


@pytest.mark.parametrize(
    ("points", "changes", "message"),
    [
        (np.ones((9, 2)), {}, "features='shape (9, 2)': a map needs 10 rows"),
        (np.ones(20), {}, "features='shape (20,)': a map needs 10 rows"),
        (np.full((20, 3), np.nan), {}, "features='row 0': must be finite"),
        (np.eye(20), {"perplexity": 0.5}, "perplexity=0.5: must be a number of at least 1"),
        (
            np.eye(20),
            {"perplexity": float("nan")},
            "perplexity=nan: must be a number of at least 1",
        ),
        (np.eye(20), {"perplexity": "30"}, "perplexity='30': must be a number of at least 1"),
        (np.eye(20), {"seed": -1}, "seed=-1: must be a whole number from 0 to 2**63 - 1"),
    ],
)
def test_bad_input(points: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        tsne_map(points, **changes)
    assert str(caught.value) == message
