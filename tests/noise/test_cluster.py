"""Cluster-Based Noise against a plain twin, by hand, and against the published files."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mislabel.errors import InputError
from mislabel.features import load_map
from mislabel.files import hash_array
from mislabel.noise import Cluster, make_noise
from mislabel.noise import cluster as module
from mislabel.noise.base import check_problem

modest = settings(deadline=None, derandomize=True, max_examples=60)


@pytest.fixture(scope="module")
def drawn_centres() -> Iterator[list[list[np.ndarray]]]:
    """The centres of every draw in this module, in order."""
    drawn: list[list[np.ndarray]] = []
    draw = module._centres_per_class

    def record(*arguments: Any) -> list[np.ndarray]:
        drawn.append(draw(*arguments))
        return drawn[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_centres_per_class", record)
        yield drawn


def slow_distances(positions: np.ndarray, labels: np.ndarray, centres: list[np.ndarray]) -> Any:
    """(N,) to the nearest centre of the own class, by three loops."""
    found = []
    for point, label in zip(positions, labels, strict=True):
        nearest = math.inf
        for centre in centres[label]:
            squared = 0.0
            for a, b in zip(point.tolist(), positions[centre].tolist(), strict=True):
                squared += (a - b) * (a - b)
            nearest = min(nearest, math.sqrt(squared))
        found.append(nearest)
    return np.array(found)


def slow_targets(positions: np.ndarray, labels: np.ndarray) -> list[set[int]]:
    """Per example the other classes whose centroid is nearest to it, ties included."""
    centroids = {int(c): positions[labels == c].mean(axis=0) for c in np.unique(labels)}
    found = []
    for point, label in zip(positions, labels, strict=True):
        far = {c: math.dist(point, m) for c, m in centroids.items() if c != label}
        least = min(far.values())
        found.append({c for c, distance in far.items() if distance <= least + 1e-9})
    return found


def agree(noisy: Any, flips: np.ndarray, positions: np.ndarray) -> None:
    clean = noisy.clean_labels
    np.testing.assert_array_equal(noisy.flipped, flips)
    allowed = slow_targets(positions, clean)
    assert all(noisy.labels[i] in allowed[i] for i in np.flatnonzero(flips))


@st.composite
def scenes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels of up to four classes, one perhaps absent, on whole-number points."""
    labels = draw(st.lists(st.sampled_from([0, 1, 3]), min_size=4, max_size=40).filter(
        lambda chosen: len(set(chosen)) > 1))  # fmt: skip
    d = draw(st.sampled_from([1, 2, 3, 8, 9, 12]))
    seed = draw(st.integers(0, 10**6))
    positions = np.random.default_rng(seed).integers(-4, 5, size=(len(labels), d))
    return np.array(labels), positions.astype(float)


@modest
@given(scene=scenes(), data=st.data(), seed=st.integers(0, 1000))
def test_radius_mode_against_the_slow_twin(
    drawn_centres: list[list[np.ndarray]], scene: Any, data: st.DataObject, seed: int
) -> None:
    labels, positions = scene
    smallest = min(np.bincount(labels)[np.unique(labels)])
    n = data.draw(st.integers(1, int(smallest)))
    r = data.draw(st.sampled_from([1.0, 2.0, 5.0, math.sqrt(2), 3.3]))
    noisy = Cluster(n=n, r=r).corrupt(labels, n_classes=4, positions=positions, seed=seed)
    centres = drawn_centres[-1]
    for label, chosen in enumerate(centres):
        assert (labels[chosen] == label).all()
        assert len(set(chosen.tolist())) == len(chosen) == (n if label in labels else 0)
    agree(noisy, slow_distances(positions, labels, centres) < r, positions)


@modest
@given(scene=scenes(), rate=st.floats(0, 1), seed=st.integers(0, 1000))
@pytest.mark.parametrize("per_class", [False, True])
def test_rate_mode_flips_the_smallest_distances(
    drawn_centres: list[list[np.ndarray]], scene: Any, per_class: bool, rate: float, seed: int
) -> None:
    labels, positions = scene
    model = Cluster(rate=rate, n=1, per_class=per_class)
    noisy = model.corrupt(labels, n_classes=4, positions=positions, seed=seed)
    distance = slow_distances(positions, labels, drawn_centres[-1])
    agree(noisy, noisy.flipped, positions)
    groups = [labels == c for c in range(4)] if per_class else [labels >= 0]
    for group in groups:
        count = int(noisy.flipped[group].sum())
        np.testing.assert_allclose(
            np.sort(distance[group & noisy.flipped]), np.sort(distance[group])[:count], rtol=1e-12
        )


@modest
@given(scene=scenes(), seed=st.integers(0, 1000))
def test_many_dimensions_and_few_agree(scene: Any, seed: int) -> None:
    """The same points with zeros in nine more dimensions take the other code path."""
    labels, positions = scene
    wide = np.pad(positions, ((0, 0), (0, 9)))
    first = Cluster(n=1, r=3.0).corrupt(labels, positions=positions, seed=seed)
    second = Cluster(n=1, r=3.0).corrupt(labels, positions=wide, seed=seed)
    np.testing.assert_array_equal(first.flipped, second.flipped)


@pytest.mark.parametrize("d", [8, 9, 30])
def test_many_centres_in_many_dimensions(drawn_centres: list[list[np.ndarray]], d: int) -> None:
    """Matrix products from nine dimensions on, a tree below: both find the nearest of 12."""
    labels = np.arange(120) % 3
    positions = np.random.default_rng(d).normal(size=(120, d)) * np.arange(1, d + 1) + 3
    noisy = Cluster(rate=0.4, n=12).corrupt(labels, positions=positions, seed=0)
    distance = slow_distances(positions, labels, drawn_centres[-1])
    flips = np.zeros(120, dtype=bool)
    flips[np.argsort(distance, kind="stable")[:48]] = True
    agree(noisy, flips, positions)


# The sieve and the tree


def scattered(kind: str, d: int, seed: int) -> np.ndarray:
    """(90, d) points of three classes in turn, of a kind that makes trouble for float32.

    The first 36 are the centres of `test_distances_are_the_plain_ones_bit_for_bit`.
    """
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(90, d))
    if kind == "far away":  # near-ties in float32, whose last digit is 0.06 here
        return 1e6 + points
    if kind == "on a sphere":  # all centres nearly equally near
        return points / np.linalg.norm(points, axis=1, keepdims=True) + 3
    if kind == "mirrored":  # two centres of each class are nearest, up to 1e-9
        pairs = np.arange(36) // 6 * 6 + np.arange(36) % 3
        points[:36] = points[pairs]
        points[:, 0] = 1e-9 * points[:, 0]
        points[:36, 0] = np.where(np.arange(36) // 3 % 2, 1.0, -1.0)
        return points + 1
    if kind == "dense centres":  # as far as float64 can tell, and less
        points[:36] *= 1e-9
        points[36:] *= 1e6
        return points
    if kind == "equal":
        return np.tile(points[:3], (30, 1))
    if kind == "one far off":
        points[0] *= 1e9
    scales = {"tiny": 1e-25, "underflow": 3e-22, "smallest": 1e-160, "huge": 1e19, "largest": 1e160}
    return points * scales.get(kind, 1.0)


SINGLE = ["plain", "far away", "on a sphere", "mirrored", "dense centres", "equal", "one far off",
          "tiny", "underflow", "huge"]  # fmt: skip
TROUBLES = [(kind, "f4") for kind in SINGLE]
TROUBLES += [(kind, "f8") for kind in (*SINGLE, "smallest", "largest")]


@pytest.mark.parametrize(("kind", "type_"), TROUBLES)
@pytest.mark.parametrize("d", [1, 2, 3, 4, 9, 40])
@pytest.mark.parametrize("few", [0, 256], ids=["tree", "sieve"])
def test_distances_are_the_plain_ones_bit_for_bit(
    kind: str, type_: str, d: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever float32 makes of them; so are the strict radius and the nearest centroids."""
    monkeypatch.setattr(module, "FEW_CENTRES", few)
    labels = np.arange(90) % 3
    positions = scattered(kind, d, d).astype(type_)
    problem = check_problem(labels, 3, positions, None, None, None, 0, "cluster")
    centres = [np.flatnonzero(labels == c)[:12] for c in range(3)]
    exact = positions.astype(np.float64)
    expected = slow_distances(exact, labels, centres)
    found = module.distance_to_centres(problem, problem.positions, centres)
    np.testing.assert_array_equal(found, expected)
    borders = np.sort(expected)[[40, 50, 60, 70, 80]]
    for radius in (*borders.tolist(), *np.nextafter(borders, np.inf).tolist(), 1.0, 1e-300, 1e200):
        closer = module.closer_to_centres(problem, problem.positions, centres, radius)
        np.testing.assert_array_equal(closer, expected < radius)
    flipped = np.arange(90) % 7 < 5
    targets = module.nearest_other_class(problem, problem.positions, flipped)
    np.testing.assert_array_equal(targets, slow_nearest_class(exact, labels)[flipped])


def slow_nearest_class(positions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) the other class of the nearest centroid, by loops; of equal ones the first."""
    rows = positions.tolist()
    sums = {c: [0.0] * len(rows[0]) for c in np.unique(labels).tolist()}
    for x, c in zip(rows, labels.tolist(), strict=True):
        sums[c] = [a + b for a, b in zip(sums[c], x, strict=True)]
    sizes = np.bincount(labels).tolist()
    found = []
    for x, own in zip(rows, labels.tolist(), strict=True):
        best = (math.inf, min(set(sums) - {own}))
        for c, total in sums.items():
            if c != own:
                squared = 0.0
                for a, b in zip(x, total, strict=True):
                    squared += (a - b / sizes[c]) * (a - b / sizes[c])
                best = min(best, (squared, c))
        found.append(best[1])
    return np.array(found)


@pytest.mark.parametrize("d", [2, 5])
def test_of_equally_near_centroids_the_lower_class_counts(d: int) -> None:
    """Class 2 lies in the middle between the centroids of 0, 1 and 3."""
    positions = np.zeros((4, d))
    positions[[0, 1, 3], [0, 1, 0]] = [1, 1, -1]
    for labels, target in (([0, 1, 2, 3], 0), ([3, 1, 2, 0], 0), ([3, 2, 1, 0], 0)):
        problem = check_problem(labels, 4, positions, None, None, None, 0, "cluster")
        flipped = np.array([False, False, True, False])
        found = module.nearest_other_class(problem, problem.positions, flipped)
        assert found.tolist() == [target]


@pytest.mark.parametrize("d", [2, 3, 12])
def test_float32_and_float64_give_the_same_labels_and_receipts(d: int) -> None:
    """The same numbers in either type: they hash alike, and nothing is rounded on the way."""
    labels = np.arange(400) % 4
    single = np.random.default_rng(d).normal(size=(400, d)).astype(np.float32)
    for model in (Cluster(rate=0.3), Cluster(n=20, r=0.3 * d)):
        first, second = (
            model.corrupt(labels, positions=points, seed=1)
            for points in (single, single.astype(np.float64))
        )
        assert 0 < first.rate < 1
        assert first == second and first.receipt == second.receipt
        assert first.receipt.inputs["positions"] == hash_array(single.astype(np.float64))


@pytest.mark.parametrize("n", [5, 400])
@pytest.mark.parametrize("d", [2, 64])
def test_memory_stays_below_a_copy_of_the_features(n: int, d: int) -> None:
    """What a draw takes at its peak, apart from a few numbers per example, fits in 8 MB."""
    import tracemalloc

    size = 60_000
    labels = np.arange(size) % 4
    points = np.random.default_rng(0).standard_normal((size, d), dtype=np.float32)
    model = Cluster(rate=0.3, n=n)
    model.corrupt(labels[:2_000], positions=points[:2_000], seed=0)
    tracemalloc.start()
    try:
        model.corrupt(labels, positions=points, seed=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8e6 + 8 * 12 * size
    assert d == 2 or peak < points.nbytes


# By hand


@pytest.mark.parametrize("d", [2, 12])
@pytest.mark.parametrize(("r", "flips"), [(4.999, 2), (5.0, 2), (5.001, 4)])
def test_the_radius_is_strict(d: int, r: float, flips: int) -> None:
    """Two examples per class at distance 5 = |(3, 4)| exactly, one of each a centre."""
    positions = np.zeros((4, d))
    positions[:, :2] = [[0, 0], [3, 4], [100, 100], [103, 104]]
    noisy = Cluster(n=1, r=r).corrupt([0, 0, 1, 1], positions=positions, seed=0)
    assert noisy.flipped.sum() == flips


def test_the_target_is_nearest_to_the_example_itself() -> None:
    """Both examples of class 0 are centres; one lies near class 1, the other near class 2."""
    positions = [[1.0, 0], [9, 0], [0, 0], [0, 0], [10, 0], [10, 0]]
    clean = [0, 0, 1, 1, 2, 2]
    noisy = Cluster(n=2, r=0.5).corrupt(clean, positions=positions)
    assert noisy.labels[:2].tolist() == [1, 2]
    # Class 1 is closest to the other examples of class 0 by their centroid, at (5, 0); the
    # examples of classes 1 and 2 flip too, to class 0, whose centroid is nearer than the far end.
    assert noisy.labels[2:].tolist() == [0, 0, 0, 0]


def test_centres_of_another_class_flip_nobody() -> None:
    """Class 0 has one example on top of class 1's only place, and one far from it."""
    positions = [[0.0, 0], [100, 0], [100, 0]]
    seen = set()
    for seed in range(20):
        noisy = Cluster(n=1, r=1.0).corrupt([0, 0, 1], positions=positions, seed=seed)
        assert noisy.flipped[2] and noisy.flipped[:2].sum() == 1
        seen.add(bool(noisy.flipped[1]))
    assert seen == {False, True}


def test_default_number_of_centres(drawn_centres: list[list[np.ndarray]]) -> None:
    """One per 88 examples, at least one."""
    sizes = [1, 88, 140, 440, 0]
    labels = np.repeat(np.arange(5), sizes)
    positions = np.random.default_rng(0).normal(size=(len(labels), 2))
    Cluster(rate=0.3).corrupt(labels, n_classes=5, positions=positions)
    assert [len(c) for c in drawn_centres[-1]] == [1, 1, 2, 5, 0]


def test_centres_are_drawn_uniformly(drawn_centres: list[list[np.ndarray]]) -> None:
    """Each of 8 examples is among 3 centres in 3/8 of 2,000 draws (Hoeffding, one in a million)."""
    labels = [0] * 8 + [1] * 3
    positions = np.arange(22.0).reshape(11, 2)
    counts = np.zeros(8)
    for seed in range(2_000):
        Cluster(n=3, r=1.0).corrupt(labels, positions=positions, seed=seed)
        counts[drawn_centres[-1][0]] += 1
    bound = math.sqrt(math.log(2 * 8 / 1e-6) / (2 * 2_000))
    assert np.abs(counts / 2_000 - 3 / 8).max() <= bound


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "rate=None: give either rate or r (with n), not both"),
        ({"rate": 0.1, "r": 1.0, "n": 1}, "rate=0.1: give either rate or r (with n), not both"),
        ({"r": 1.0}, "n=None: is needed with r"),
        ({"r": 1.0, "n": 1, "per_class": True}, "per_class=True: goes with rate, not with r"),
        ({"r": 0.0, "n": 1}, "r=0.0: must be a positive number"),
        ({"r": float("nan"), "n": 1}, "r=nan: must be a positive number"),
        ({"r": "wide", "n": 1}, "r='wide': must be a positive number"),
        ({"rate": 0.1, "n": 0}, "n=0: must be a whole number of at least 1"),
        ({"rate": 0.1, "n": 1.5}, "n=1.5: must be a whole number of at least 1"),
        ({"rate": 0.1, "n": True}, "n=True: must be a whole number of at least 1"),
        ({"rate": 0.1, "n": 3}, "n=3: class 2 has 2 examples; at most as many centres"),
        ({"r": 1.0, "n": 7}, "n=7: class 2 has 2 examples; at most as many centres"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    labels = [0, 0, 0, 0, 2, 2, 3, 3, 3]
    with pytest.raises(InputError) as caught:
        Cluster(**parameters).corrupt(labels, positions=np.arange(18.0).reshape(9, 2))
    assert str(caught.value) == message


def test_a_second_class_must_occur() -> None:
    with pytest.raises(InputError) as caught:
        Cluster(rate=0.5).corrupt([1, 1], n_classes=3, positions=[[0.0, 1], [2, 3]])
    assert str(caught.value) == "clean_labels='class 1 only': need two classes that occur"


# The published settings and files


@pytest.fixture(scope="module")
def published(data_folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Map, clean labels and the published 35 % labels of CIFAR-10."""
    positions = load_map(data_folder / "cifar10" / "clip_tsne_train.parquet")
    clean = np.load(data_folder / "published" / "cifar10-given-labels.npy")
    return positions, clean, np.load(data_folder / "published" / "cifar10-cluster-0.35.npy")


def draws(spec: str, published: Any, seeds: int) -> list[Any]:
    positions, clean, _ = published
    model = make_noise(spec)
    return [model.corrupt(clean, positions=positions, seed=s) for s in range(seeds)]


@pytest.mark.data
@pytest.mark.parametrize(
    ("spec", "rate"), [("cluster:n=57,r=2", 0.352), ("cluster:n=190,r=2", 0.708)]
)
def test_published_settings_give_the_published_rates(
    published: Any, spec: str, rate: float
) -> None:
    """Single draws spread with a deviation of about 0.006, so the mean of 20 is known to 0.0014.

    Over 40 seeds the rates were 0.3453 +- 0.0059 (0.3327 to 0.3561) for 57 centres and 0.7057 +-
    0.0062 for 190. The stated rates are those of one draw each, within two deviations of the
    mean, so the mean must lie within 0.01 of them.
    """
    found = np.array([noisy.rate for noisy in draws(spec, published, 20)])
    assert abs(found.mean() - rate) <= 0.01
    assert 0.003 < found.std(ddof=1) < 0.012


@pytest.mark.data
def test_the_published_labels_could_be_one_of_our_draws(published: Any) -> None:
    """In rate and in where flips go, the published file lies among 20 draws of our own.

    Rate: inside the 99 % prediction interval of a further draw, Student's t with 19 degrees of
    freedom. Flips between classes: were the file a draw like ours, its counts would be the least
    like the others' (mean correlation over the 90 pairs) with probability 1/21.
    """
    _, clean, given = published
    ours = draws("cluster:n=57,r=2", published, 20)
    rates = np.array([noisy.rate for noisy in ours])
    rate = float((given != clean).mean())
    width = 2.861 * rates.std(ddof=1) * math.sqrt(1 + 1 / 20)
    assert abs(rate - rates.mean()) <= width

    flips = np.bincount(clean * 10 + given, minlength=100).reshape(10, 10)
    off = ~np.eye(10, dtype=bool)
    rows = np.array([noisy.counts[off] for noisy in ours] + [flips[off]])
    likeness = (np.corrcoef(rows).sum(axis=1) - 1) / 20
    assert likeness[-1] > likeness[:-1].min()
    expected = np.mean([noisy.counts for noisy in ours], axis=0)
    top = [np.where(off, counts, -1).argmax(axis=1) for counts in (expected, flips)]
    np.testing.assert_array_equal(*top)


@pytest.mark.data
def test_published_flips_go_to_the_nearest_other_centroid(published: Any) -> None:
    """97.1 % do on the published map; the rest lie where two centroids are about equally far.

    Of those, 94 % took the second nearest; the map or the centroids of the study were not quite
    these. By chance one in nine would agree.
    """
    positions, clean, given = published
    problem = check_problem(clean, None, positions, None, None, None, 0, "cluster")
    flipped = given != clean
    target = module.nearest_other_class(problem, problem.positions, flipped)
    assert (target == given[flipped]).mean() == pytest.approx(0.9709, abs=5e-5)


def test_in_the_space_of_the_features_no_map_is_needed() -> None:
    """The same labels as with the features for positions, since the draw is the same."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    features = rng.normal(size=(120, 20)) + 4 * np.eye(3, 20)[labels]
    for chosen in ({"rate": 0.3}, {"n": 4, "r": 5.0}):
        inside = Cluster(**chosen, space="features").corrupt(labels, features=features, seed=1)
        given = Cluster(**chosen).corrupt(labels, positions=features, seed=1)
        np.testing.assert_array_equal(inside.labels, given.labels)
        on_map = rng.normal(size=(120, 2))
        both = Cluster(**chosen, space="features").corrupt(
            labels, features=features, positions=on_map, seed=1
        )
        np.testing.assert_array_equal(inside.labels, both.labels)
        assert list(inside.receipt.inputs) == ["clean_labels", "features"]
    with pytest.raises(InputError) as caught:
        Cluster(rate=0.3, space="features").corrupt(labels, positions=features)
    assert str(caught.value) == "features=None: noise 'cluster' needs them"
    with pytest.raises(
        InputError, match="space='feature': unknown choice; did you mean 'features'"
    ):
        Cluster(rate=0.3, space="feature").corrupt(labels, positions=features)
