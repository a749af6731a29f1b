"""Adaptive targets: by hand, against a slow plain twin, and on data whose classes are known."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cleaning_examples import (
    blobs,
    flip_patches,
    flip_some,
    plain_adaptive_targets,
    plain_posterior,
    rings,
)
from numpy.testing import assert_allclose, assert_array_equal

from mislabel.cleaning import AdaptiveTargets, adaptive, adaptive_targets, neighbors_needed
from mislabel.errors import InputError
from mislabel.features import load_map, nearest_neighbors
from mislabel.labels import load_labels
from mislabel.learning.targets import soft_neighbor_targets
from thread_limits import one_thread  # noqa: F401

Array = np.ndarray


def wrong(found: AdaptiveTargets, clean: Array) -> float:
    """Share of corrected labels that are wrong."""
    return float((found.corrected_labels != clean).mean())


def ball_wrong(points: Array, labels: Array, clean: Array, size: int) -> float:
    """Share that a vote of that many nearest neighbours gets wrong."""
    near = nearest_neighbors(points, size)[1]
    votes = np.array([np.bincount(labels[row]).argmax() for row in near])
    return float((votes != clean).mean())


# By hand


def test_confusions_by_hand() -> None:
    """Rates are drawn to the mean, 2/6, by 50 examples; wrong classes share 10 more evenly."""
    true, seen = np.array([0, 0, 0, 0, 2, 2]), np.array([0, 0, 1, 1, 2, 2])
    a, b, c = (2 + 50 / 3) / 54, (50 / 3) / 50, (50 / 3) / 52
    wanted = [[1 - a, a * 7 / 12, a * 5 / 12], [b / 2, 1 - b, b / 2], [c / 2, c / 2, 1 - c]]
    assert_allclose(adaptive._confusion(true, seen, 3), wanted, rtol=1e-6)


def test_confusions_of_nothing_wrong_or_nothing_seen() -> None:
    nobody, everyone = np.array([], dtype=np.int64), np.arange(3).repeat(5)
    assert_array_equal(adaptive._confusion(nobody, nobody, 3), np.eye(3))
    assert_array_equal(adaptive._confusion(everyone, everyone, 3), np.eye(3))
    assert_array_equal(adaptive._confusion(nobody, nobody, 1), [[1]])


def test_rates_are_believed_above_two_standard_errors() -> None:
    """A mean rate of 0.15 from 10,000: its standard error is 0.00357."""
    given = np.float32([[0.9, 0.1], [0.2, 0.8]])
    kept = 1 - (0.02 / (0.15 - 2 * math.sqrt(0.15 * 0.85 / 10_000))) ** 2
    assert kept == pytest.approx(0.9804, abs=1e-4)
    wanted = [[1 - 0.1 * kept, 0.1 * kept], [0.2 * kept, 1 - 0.2 * kept]]
    assert_allclose(adaptive._believed(given, 0.15, 10_000, 0.02), wanted, rtol=1e-6)


@pytest.mark.parametrize("seen", [0, 1, 10, 60])
def test_rates_of_few_examples_are_not_believed(seen: int) -> None:
    """0.15 less two standard errors is below 0.06 from 60."""
    given = np.float32([[0.9, 0.1], [0.2, 0.8]])
    assert_array_equal(adaptive._believed(given, 0.15, seen, 0.06), np.eye(2))
    assert_array_equal(adaptive._believed(np.eye(2, dtype=np.float32), 0.0, seen, 0.06), np.eye(2))


def test_nothing_is_unmixed_where_nothing_is_mixed() -> None:
    shares = np.random.default_rng(0).dirichlet(np.ones(4), 20).astype(np.float32)
    assert_allclose(adaptive._unmix(shares, np.eye(4, dtype=np.float32)), shares, atol=1e-6)


def test_unmixing_two_classes_by_hand() -> None:
    """0.6 of the first class is seen as 0.6 * 0.8 + 0.4 * 0.3 = 0.6.

    There each step of EM keeps 1 - 0.6 * 0.4 * (0.25 / 0.6 + 0.25 / 0.4) = 3/4 of the error, which
    is 0.1 before the first: after 30 steps 0.1 * 0.75^30 = 2e-5.
    """
    confusion = np.float32([[0.8, 0.2], [0.3, 0.7]])
    found = adaptive._unmix(np.float32([[0.6, 0.4], [0.8, 0.2]]), confusion)
    assert_allclose(found[0], [0.6, 0.4], atol=4e-5)
    assert found[1, 0] > 0.9  # what the first class alone looks like; EM is slow at the border


def evidence(patches: Any, noise: Any, in_patch: Any, seen: int = 10**12) -> adaptive._Evidence:
    return adaptive._Evidence(
        patches=np.array(patches, dtype=np.float32),
        noise=np.array(noise, dtype=np.float32),
        patch_rate=float(1 - np.diagonal(patches).mean()),
        noise_rate=float(1 - np.diagonal(noise).mean()),
        n_middle=seen,
        n_pure=seen,
        falling=0.0,
        in_patch=in_patch,
    )


def test_noise_that_falls_towards_the_middle_is_put_down_to_overlap() -> None:
    given = np.float32([[0.9, 0.1], [0.2, 0.8]])
    wanted = 1 - (0.02 / (0.15 - 0.05 - 2 * math.sqrt(0.15 * 0.85 / 10_000))) ** 2
    found = adaptive._believed(given, 0.15, 10_000, 0.02, 0.05)
    assert_allclose(found[0, 1], 0.1 * wanted, rtol=1e-6)
    assert_array_equal(adaptive._believed(given, 0.15, 10_000, 0.02, 0.14), np.eye(2))
    rising = adaptive._believed(given, 0.15, 10_000, 0.02, -0.05)
    assert_array_equal(rising, adaptive._believed(given, 0.15, 10_000, 0.02))


def test_bayes_by_hand() -> None:
    """Two classes; the place is torn between them, so noise is doubted in full.

    Of the rates 0.2 and 0.1, kept for 0.99, remain 0.198 and 0.099; the own label's exponent is
    1 - (0.5 + 0.198) = 0.302. The region's shares 0.75 and 0.25 become 0.7375 and 0.2625.
    """
    seen = evidence([[0.9, 0.1], [0.1, 0.9]], [[0.8, 0.2], [0.2, 0.8]], (0.7, 0.2, 0.1))
    found = adaptive._combine(
        np.array([1]), np.float32([[0.75, 0.25]]), np.float32([[0.5, 0.5]]), seen
    )
    first_expected, second_expected = 0.690475, 0.309525  # 0.7375 * 0.901 + 0.2625 * 0.099, rest
    first = 0.5 * 0.901 / first_expected * 0.198**0.302 + 0.5 * 0.099 / second_expected * 0.7
    second = 0.5 * 0.901 / second_expected * 0.802**0.302 + 0.5 * 0.099 / first_expected * 0.2
    both = 0.7375 * first, 0.2625 * second
    assert_allclose(found, [[both[0] / sum(both), both[1] / sum(both)]], atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_bayes_against_the_plain_twin(n_classes: int) -> None:
    rng = np.random.default_rng(n_classes)
    near_one = [np.eye(n_classes) * 3 + rng.random((n_classes, n_classes)) for _ in range(2)]
    patches, noise = (table / table.sum(axis=1, keepdims=True) for table in near_one)
    labels = rng.integers(0, n_classes, 40)
    around, places = (
        rng.dirichlet(np.full(n_classes, 0.3), 40).astype(np.float32) for _ in range(2)
    )
    seen = evidence(patches, noise, (0.6, 0.3, 0.1), 5000)
    found = adaptive._combine(labels, around, places, seen)
    by_patches, by_noise = seen.believed()
    unmixed = adaptive._unmix(places, by_noise)
    for i, z in enumerate(labels.tolist()):
        wanted = plain_posterior(
            z, around[i].tolist(), unmixed[i].tolist(), by_patches.tolist(), by_noise.tolist(),
            seen.in_patch,
        )  # fmt: skip
        assert_allclose(found[i], wanted, atol=2e-5)


def test_kappa_by_hand() -> None:
    """8 of 10 agree where 5 of 10 would by chance: 3 of the 5 that could."""
    assert adaptive._kappa(0.8, 0.5) == pytest.approx(0.6)
    assert adaptive._kappa(0.5, 0.5) == adaptive._kappa(0.3, 0.5) == 0
    assert adaptive._kappa(1.0, 0.9) == 1


def test_chance_to_lead_by_hand() -> None:
    """Of 16 labels half and a quarter: ahead by 1/4 with variance (3/4 - 1/16) / 16.

    That is 1.206 standard errors: 0.8861 of the normal distribution.
    """
    shares = np.float32([[0.25, 0.5, 0.25], [0.4, 0.2, 0.4], [0, 0, 1]])
    assert_allclose(adaptive._chance_to_lead(shares, 16.0), [0.8861, 0.5, 1], atol=1e-4)


# Against the twin


def small(kind: str, seed: int) -> tuple[Array, Array, int]:
    """Features, labels and number of classes."""
    if kind == "noise":
        points, clean = blobs(120, 4, apart=4, seed=seed)
        return points, flip_some(clean, 4, 0.25, seed), 4
    if kind == "patches":
        points, clean = blobs(90, 3, apart=5, seed=seed)
        return points, flip_patches(points, clean, 3, patches=1, size=12, seed=seed), 3
    if kind == "clean":
        return *blobs(80, 3, apart=6, seed=seed), 3
    if kind == "many features":
        points, clean = blobs(60, 3, apart=4, d=5, seed=seed)
        return points, flip_some(clean, 3, 0.1, seed), 4
    points, clean = blobs(100, 4, apart=1, seed=seed)
    return points, flip_some(clean, 4, 0.25, seed), 4


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("kind", "determined"),
    [
        ("noise", True),
        ("clean", True),
        ("many features", True),
        ("patches", False),
        ("hopeless", False),
    ],
)
def test_against_the_plain_twin(kind: str, determined: bool, seed: int) -> None:
    """To 1e-4: walks are exact to that, all else to float32."""
    points, labels, n_classes = small(kind, seed)
    found = adaptive_targets(points, labels, n_classes=n_classes, seed=seed)
    wanted = plain_adaptive_targets(points, labels, n_classes, seed)
    assert found.determined == wanted.determined == determined
    assert_allclose(found.targets, wanted.targets, atol=1e-4)
    assert found.stability == pytest.approx(wanted.stability, abs=2 / len(labels))
    assert found.regions.tolist() == wanted.regions
    assert list(found.scales) == wanted.scales
    assert_allclose(found.weights, wanted.weights, atol=1e-3)
    assert_allclose(found.patches, wanted.patches, atol=1e-6)
    assert_allclose(found.noise, wanted.noise, atol=1e-6)
    assert found.patch_rate == pytest.approx(wanted.patch_rate)
    assert found.scattered_rate == pytest.approx(wanted.scattered_rate)


# Data whose classes are known


@pytest.mark.parametrize("seed", [0, 1])
def test_flipped_islands_are_corrected(seed: int) -> None:
    """12 % wrong labels, in groups of 30 inside clusters of 500."""
    points, clean = blobs(2_000, 4, seed=seed)
    labels = flip_patches(points, clean, 4, patches=2, size=30, seed=seed)
    found = adaptive_targets(points, labels)
    assert found.determined
    assert_array_equal(found.corrected_labels, clean)
    assert (
        found.noise_scores[labels != clean].min() > 0.5 > found.noise_scores[labels == clean].max()
    )


@pytest.mark.parametrize("gap", [0.5, 1.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_true_islands_are_kept(seed: int, gap: float) -> None:
    """60 examples of the second class inside the first, in an empty ring: so it says itself."""
    points, clean = blobs(2_000, 4, apart=12, seed=seed)
    rng = np.random.default_rng(seed)
    centre = points[clean == 0].mean(axis=0) + np.float32([1, 0])
    away = np.sqrt(((points - centre) ** 2).sum(axis=1))
    points, clean = points[away > 0.5 + gap], clean[away > 0.5 + gap]
    turn, radius = rng.uniform(0, 2 * np.pi, 60), 0.5 * np.sqrt(rng.uniform(0, 1, 60))
    island = centre + radius[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    points, clean = np.concatenate([points, island]), np.concatenate([clean, np.ones(60, int)])
    found = adaptive_targets(points, clean)
    assert found.determined
    assert_array_equal(found.corrected_labels, clean)
    assert (found.regions[-60:] == 1).mean() > 0.5


@pytest.mark.parametrize("seed", [0, 1])
def test_rings_are_followed(seed: int) -> None:
    """30 % of the labels wrong, or 13 % in groups of 30: a vote in a ball of that size fails."""
    points, clean = rings(2_000, 3, seed=seed)
    for labels in (
        flip_some(clean, 3, 0.3, seed),
        flip_patches(points, clean, 3, patches=3, size=30, seed=seed),
    ):
        found = adaptive_targets(points, labels)
        assert found.determined
        assert_array_equal(found.corrected_labels, clean)
        assert_array_equal(found.regions, clean)
        assert ball_wrong(points, labels, clean, round(found.region_size)) > 0.05


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pure_noise_determines_nothing(n_classes: int, seed: int) -> None:
    """Labels without regard to one cloud; shuffled labels of clusters that lie apart."""
    rng = np.random.default_rng(seed)
    points, clean = blobs(900, n_classes, seed=seed)
    clouds = rng.normal(size=(900, 2)), rng.integers(0, n_classes, 900)
    for features, labels in (clouds, (points, rng.permutation(clean))):
        found = adaptive_targets(features, labels, n_classes=n_classes)
        assert not found.determined
        assert found.stability < adaptive.STABLE
        assert_array_equal(found.corrected_labels, labels)


@pytest.mark.parametrize(("n_classes", "islands"), [(2, 4), (4, 6), (10, 2), (10, 4)])
@pytest.mark.parametrize("seed", [0, 1])
def test_pure_noise_on_islands_determines_nothing(n_classes: int, islands: int, seed: int) -> None:
    """Where no walk leads off an island, wider regions are the same: then few labels decide."""
    points, _ = blobs(2_000, n_classes * islands, apart=20, seed=seed)
    labels = np.random.default_rng(seed).integers(0, n_classes, 2_000)
    found = adaptive_targets(points, labels, n_classes=n_classes)
    assert not found.determined
    assert_array_equal(found.corrected_labels, labels)


@pytest.mark.parametrize("n_classes", [4, 10])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_classes_far_apart_are_determined(n_classes: int, seed: int) -> None:
    """Some clusters are joined by a chance example: walks as long as it takes would mix those."""
    points, clean = blobs(2_000, n_classes, seed=seed)
    for labels in (clean, flip_some(clean, n_classes, 0.4, seed)):
        found = adaptive_targets(points, labels)
        assert found.determined


def test_one_region_for_all() -> None:
    """It is right only where there is one class: 90 % of one cloud is not."""
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(900, 2)), (rng.random(900) < 0.1).astype(int)
    found = adaptive_targets(points, labels)
    assert_array_equal(found.regions, 0)
    assert (found.stability, found.determined) == (0, False)
    for only in (np.zeros(900, dtype=int), np.ones(900, dtype=int)):
        found = adaptive_targets(points, only, n_classes=3)
        assert (found.stability, found.determined) == (1, True)
        assert_array_equal(found.corrected_labels, only)


def test_what_is_undetermined_is_a_broad_vote() -> None:
    """0.7 times the region's shares, 0.3 on the own label, and 0.02 spread over all."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 900)
    found = adaptive_targets(rng.normal(size=(900, 2)), labels)
    voted = (found.targets - 0.02 / 4) / 0.98 - 0.3 * np.eye(4)[labels]
    assert voted.min() > -1e-6
    assert_allclose(voted.sum(axis=1), 0.7, atol=1e-5)
    assert_array_equal(voted.argmax(axis=1), found.regions)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_patches_over_most_of_every_class_determine_nothing(seed: int) -> None:
    """70 % wrong, in groups of 25 that get any other class."""
    points, clean = blobs(2_000, 4, seed=seed)
    rng, labels = np.random.default_rng(seed), clean.copy()
    for c in range(4):
        members = np.flatnonzero(clean == c)
        while (labels[members] != c).mean() < 0.7:
            away = ((points[members] - points[rng.choice(members)]) ** 2).sum(axis=1)
            labels[members[np.argsort(away)[:25]]] = (c + rng.integers(1, 4)) % 4
    found = adaptive_targets(points, labels)
    assert not found.determined
    assert_array_equal(found.corrected_labels, labels)


@pytest.mark.parametrize(("apart", "overlap"), [(8, 0.0), (4, 0.04), (3, 0.1), (2.5, 0.17)])
def test_clean_labels_stay_as_they_are(apart: float, overlap: float) -> None:
    """Also where that share of the examples lies amid another class."""
    for seed in (0, 1):
        points, clean = blobs(1_200, 4, apart=apart, seed=seed)
        found = adaptive_targets(points, clean)
        assert (found.regions != clean).mean() >= overlap
        assert_array_equal(found.corrected_labels, clean)


def test_clean_labels_of_classes_of_other_sizes_stay() -> None:
    """About 500, 200, 75 and 25."""
    points, clean = blobs(2_000, 4, seed=0)
    keep = np.random.default_rng(0).random(2_000) < np.array([1, 0.4, 0.15, 0.05])[clean]
    found = adaptive_targets(points[keep], clean[keep])
    assert found.determined
    assert_array_equal(found.corrected_labels, clean[keep])


def test_clusters_whose_examples_are_all_alike() -> None:
    """20 examples each, so far apart that every neighbour is of the same region: all is middle."""
    points, clean = blobs(60, 3, apart=100.0, seed=0)
    labels = flip_some(clean, 3, 0.2)
    found = adaptive_targets(points, labels)
    assert found.determined
    assert 1 - found.noise.diagonal().mean() == pytest.approx(0.2, abs=1e-6)  # 12 of 60
    assert_array_equal(found.corrected_labels, clean)


def test_the_highest_share_by_hand() -> None:
    """Ranks are 1/8, 3/8, 5/8, 7/8 and 1/2, 1/2; the largest is in, whatever its rank."""
    values, regions = np.float32([4, 1, 2, 3, 5, 5]), np.array([0, 0, 0, 0, 2, 2])
    for share, chosen in ((0.0, [0, 4, 5]), (0.3, [0, 4, 5]), (0.5, [0, 3, 4, 5])):
        assert np.flatnonzero(adaptive._highest(values, regions, share)).tolist() == chosen
    assert adaptive._highest(values, regions, 0.9).all()
    assert adaptive._highest(values[:0], regions[:0], 0.5).tolist() == []


def test_digits() -> None:
    """64 features: clean labels stay, 30 % wrong ones go, shuffled ones determine nothing."""
    from sklearn.datasets import load_digits

    points, clean = load_digits(return_X_y=True)
    near = nearest_neighbors(points, neighbors_needed(len(points), 10))[1]
    found = adaptive_targets(points, clean, neighbors=near)
    assert found.determined
    assert_array_equal(found.corrected_labels, clean)
    labels = flip_some(clean, 10, 0.3)
    assert wrong(adaptive_targets(points, labels, neighbors=near), clean) < 0.02
    shuffled = np.random.default_rng(0).permutation(clean)
    assert not adaptive_targets(points, shuffled, neighbors=near).determined


def test_one_class_has_nothing_to_say() -> None:
    points = blobs(60, 3)[0]
    alone = adaptive_targets(points, np.zeros(60, int))
    assert_array_equal(alone.targets, np.ones((60, 1)))
    assert_array_equal(alone.noise_scores, 0)
    among = adaptive_targets(points, np.full(60, 1), n_classes=3)
    assert among.determined
    assert_allclose(among.targets, np.tile([0.02 / 3, 1 - 0.04 / 3, 0.02 / 3], (60, 1)), atol=1e-6)


def test_an_absent_class_is_never_likely() -> None:
    points, clean = blobs(600, 3, seed=0)
    labels = flip_some(clean, 3, 0.2)
    for names in ([0, 1, 3], [1, 2, 4]):
        found = adaptive_targets(points, np.array(names)[labels], n_classes=5)
        assert_array_equal(found.corrected_labels, np.array(names)[clean])
        absent = sorted(set(range(5)) - set(names))
        assert found.targets[:, absent].max() < 0.02


@pytest.mark.parametrize(
    "labels", [[0, 1], [0, 0], [1, 1], [0, 1, 1], [0, 1, 2], [0, 1, 4], list(range(10)), [0] * 9]
)
@pytest.mark.parametrize("apart", [0.0, 1.0])
@pytest.mark.parametrize("more", [0, 40])
def test_very_few_examples(labels: list[int], apart: float, more: int) -> None:
    """Also on one point, and with more classes than examples: probabilities, whatever they say."""
    points = apart * np.arange(2 * len(labels), dtype=float).reshape(-1, 2)
    n_classes = max(labels) + 1 + more
    check_form(adaptive_targets(points, labels, n_classes=n_classes), np.array(labels), n_classes)


def test_duplicates_of_one_point() -> None:
    """Nothing can be told by features: a majority is all there is."""
    labels = np.arange(90) % 3
    check_form(adaptive_targets(np.ones((90, 2)), labels), labels, 3)
    mostly = (np.arange(90) % 10 == 0).astype(int)
    found = adaptive_targets(np.ones((90, 2)), mostly)
    check_form(found, mostly, 2)
    assert_array_equal(found.regions, 0)


# Properties


def check_form(found: AdaptiveTargets, labels: Array, n_classes: int) -> None:
    """What holds of every result."""
    targets = found.targets
    assert (targets.shape, targets.dtype) == ((len(labels), n_classes), np.float32)
    assert_allclose(targets.sum(axis=1), 1, atol=1e-5)
    assert targets.min() >= adaptive.UNCERTAIN / n_classes * (1 - 1e-6)
    assert_array_equal(found.labels, labels)
    assert 0 <= found.stability <= 1
    assert found.determined == (found.stability >= adaptive.STABLE)
    assert 0 <= found.noise_scores.min() <= found.noise_scores.max() <= 1
    likeliest = targets.argmax(axis=1) if found.determined else labels
    assert_array_equal(found.corrected_labels, likeliest)
    assert len(found.scales) == len(found.weights)
    assert found.weights.sum() == pytest.approx(1, abs=1e-5)
    for rates in (found.patches, found.noise):
        assert rates.shape == (n_classes, n_classes)
        assert rates.min() >= 0
        assert_allclose(rates.sum(axis=1), 1, atol=1e-5)


def same(one: AdaptiveTargets, other: AdaptiveTargets) -> bool:
    names = ("targets", "regions", "weights", "patches", "noise")
    return one.stability == other.stability and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in names
    )


@pytest.mark.parametrize("kind", ["noise", "patches", "clean", "many features", "hopeless"])
def test_form(kind: str) -> None:
    points, labels, n_classes = small(kind, 7)
    check_form(adaptive_targets(points, labels, n_classes=n_classes), labels, n_classes)


def test_same_seed_same_targets_and_nothing_given_is_changed() -> None:
    points, labels, _ = small("noise", 0)
    near = nearest_neighbors(points, 40)[1]
    copies = points.copy(), labels.copy(), near.copy()
    for array in (points, labels, near):
        array.flags.writeable = False
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = adaptive_targets(points, labels, seed=5)
    assert same(first, adaptive_targets(points, labels, seed=5))
    assert same(first, adaptive_targets(points, labels, seed=5, neighbors=near))
    assert same(first, adaptive_targets(points.tolist(), labels.tolist(), seed=5, neighbors=near))
    assert not same(first, adaptive_targets(points, labels, seed=6))
    for array, copy in zip((points, labels, near), copies, strict=True):
        assert_array_equal(array, copy)
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    first.corrected_labels[0] = 1 - first.corrected_labels[0]  # a copy
    assert_array_equal(first.labels, labels)


def test_threads_change_nothing() -> None:
    """But the last bits of sums."""
    import faiss
    from threadpoolctl import threadpool_limits

    points, clean = blobs(900, 3, d=6, seed=0)
    labels = flip_some(clean, 3, 0.25)
    one = adaptive_targets(points, labels)
    faiss.omp_set_num_threads(3)
    with threadpool_limits(3):
        other = adaptive_targets(points, labels)
    faiss.omp_set_num_threads(1)
    assert_allclose(one.targets, other.targets, atol=1e-6)
    assert_array_equal(one.regions, other.regions)


@pytest.mark.parametrize("kind", ["noise", "clean", "hopeless"])
def test_names_of_classes_do_not_matter(kind: str) -> None:
    """Sums over classes change in the last bits."""
    points, labels, n_classes = small(kind, 3)
    names = np.random.default_rng(0).permutation(n_classes)
    found = adaptive_targets(points, labels, n_classes=n_classes)
    renamed = adaptive_targets(points, names[labels], n_classes=n_classes)
    assert found.determined == renamed.determined
    assert_allclose(renamed.targets[:, names], found.targets, atol=1e-5)
    assert_array_equal(renamed.regions, names[found.regions])


def test_order_of_examples_does_not_matter() -> None:
    """Sizes of walks are estimated with other signs, but what is plain stays plain."""
    points, clean = blobs(900, 3, seed=0)
    labels = flip_some(clean, 3, 0.25)
    order = np.random.default_rng(0).permutation(900)
    found, shuffled = (
        adaptive_targets(points, labels),
        adaptive_targets(points[order], labels[order]),
    )
    assert found.determined and shuffled.determined
    assert_array_equal(shuffled.corrected_labels, found.corrected_labels[order])
    assert_array_equal(found.corrected_labels, clean)


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_units_of_features_do_not_matter(scale: float) -> None:
    points, labels, _ = small("noise", 0)
    found = adaptive_targets(points * scale, labels)
    assert_allclose(found.targets, adaptive_targets(points, labels).targets, atol=1e-5)


def test_further_neighbours_are_not_looked_at() -> None:
    points, labels, _ = small("noise", 1)
    needed = neighbors_needed(120, 4)
    near = nearest_neighbors(points, 60)[1]
    assert needed == 15
    found = adaptive_targets(points, labels, neighbors=near.astype(np.int32))
    assert same(found, adaptive_targets(points, labels, neighbors=near[:, :needed]))


@pytest.mark.parametrize(
    ("n_examples", "n_classes", "needed"),
    [(50_000, 10, 200), (50_000, 100, 200), (1_797, 10, 89), (120, 4, 15), (30, 10, 5), (3, 10, 2)],
)
def test_neighbors_needed(n_examples: int, n_classes: int, needed: int) -> None:
    """Half a class's mean size, 5 to 200, as far as there are other examples."""
    assert neighbors_needed(n_examples, n_classes) == needed


def test_progress() -> None:
    points, labels, _ = small("clean", 0)
    steps: list[tuple[int, int]] = []
    adaptive_targets(points, labels, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_approximate_search_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    points, labels, _ = small("noise", 0)
    asked = []

    def search(features: Array, k: int, *, approximate: bool) -> Any:
        asked.append((k, approximate))
        return nearest_neighbors(features, k)

    monkeypatch.setattr(adaptive, "nearest_neighbors", search)
    adaptive_targets(points, labels, approximate=True)
    adaptive_targets(points, labels)
    assert asked == [(15, True), (15, False)]


POINTS, LABELS = blobs(60, 3)
NEAR = nearest_neighbors(POINTS, 10)[1]
HERE = np.arange(60)[:, None]
HOLE = np.where(HERE == 7, np.nan, POINTS)
MATRIX = "must be a matrix of numbers (N, d)"
WHOLE = "must be a matrix of whole numbers (N, K)"
WIDE = "must be (60, 10) or wider"
OTHERS = "must be indices of other examples, 0 to 59"
SEED = "must be a whole number from 0 to 2**63 - 1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": HOLE}, "features='row 7': must be finite"),
        ({"features": HOLE, "neighbors": NEAR}, "features='row 7': must be finite"),
        ({"features": np.full((60, 2), 1e39)}, "features='row 0': must be finite"),
        ({"features": POINTS[:, 0]}, f"features='float32 (60,)': {MATRIX}"),
        ({"features": POINTS[:, :0]}, f"features='float32 (60, 0)': {MATRIX}"),
        ({"features": POINTS + 1j}, f"features='complex64 (60, 2)': {MATRIX}"),
        ({"features": [["a"]] * 60}, f"features='<U1 (60, 1)': {MATRIX}"),
        ({"features": [[1.0], [1.0, 2.0]]}, "features='ragged rows': must have equal lengths"),
        ({"features": POINTS[:59]}, "features='59 rows': must have one row per label: 60"),
        ({"labels": []}, "labels='[]': must not be empty"),
        ({"labels": [0], "features": [[0.0]]}, "labels='1 examples': adaptive targets need 2"),
        ({"labels": [0, -1]}, "labels=-1: at index 1; must be between 0 and 999999"),
        ({"labels": [0, 0.5]}, "labels=0.5: at index 1; must be a whole number"),
        (
            {"labels": [0, 1, 2], "n_classes": 2},
            "labels=2: at index 2; must be between 0 and 1",
        ),
        ({"n_classes": 0}, "n_classes=0: must be a whole number of at least 1"),
        ({"seed": -1}, f"seed=-1: {SEED}"),
        ({"seed": 0.5}, f"seed=0.5: {SEED}"),
        ({"neighbors": NEAR[:, :9]}, f"neighbors='shape (60, 9)': {WIDE}"),
        ({"neighbors": NEAR[:59]}, f"neighbors='shape (59, 10)': {WIDE}"),
        ({"neighbors": NEAR[:, 0]}, f"neighbors='int64 (60,)': {WHOLE}"),
        ({"neighbors": NEAR * 1.0}, f"neighbors='float64 (60, 10)': {WHOLE}"),
        ({"neighbors": np.where(HERE == 8, 60, NEAR)}, f"neighbors='row 8': {OTHERS}"),
        ({"neighbors": np.where(HERE == 9, -1, NEAR)}, f"neighbors='row 9': {OTHERS}"),
        ({"neighbors": np.where(HERE == 5, 5, NEAR)}, f"neighbors='row 5': {OTHERS}"),
    ],
)
def test_bad_input(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"features": POINTS, "labels": LABELS} | changes
    with pytest.raises(InputError) as caught:
        adaptive_targets(**given)
    assert str(caught.value) == message


# CIFAR-10


Real = tuple[Array, Array, Array, Path]


@pytest.fixture(scope="module")
def cifar(data_folder: Path) -> Real:
    """The published map, its 200 nearest neighbours, clean labels, and where labels are."""
    points = load_map(data_folder / "cifar10" / "clip_tsne_train.parquet")
    clean = np.load(data_folder / "published" / "cifar10-given-labels.npy")
    return points, nearest_neighbors(points, neighbors_needed(50_000, 10))[1], clean, data_folder


def log_loss(targets: Array, clean: Array) -> float:
    return float(-np.log(np.maximum(targets[np.arange(len(clean)), clean], 1e-9)).mean())


@pytest.mark.data
def test_clean_labels_of_cifar_stay(data_folder: Path) -> None:
    points = load_map(data_folder / "cifar10" / "clip_tsne_train.parquet")
    clean = np.load(data_folder / "published" / "cifar10-given-labels.npy")
    some = np.sort(np.random.default_rng(0).choice(50_000, 4_000, replace=False))
    found = adaptive_targets(points[some], clean[some])
    assert found.determined
    assert_array_equal(found.corrected_labels, clean[some])


@pytest.mark.data
def test_clean_labels_stay_though_a_rare_class_lies_amid_others(cifar: Real) -> None:
    """Classes of 5,000 to 50: of a rare one's region many labels are of other classes."""
    points, _, clean, _ = cifar
    order = np.random.default_rng(0).permutation(len(clean))
    sizes = [int(5_000 * 0.01 ** (c / 9)) for c in range(10)]
    some = np.concatenate([order[clean[order] == c][:size] for c, size in enumerate(sizes)])
    found = adaptive_targets(points[some], clean[some])
    assert 1 - found.noise.diagonal().mean() > adaptive.MISPLACED > found.scattered_rate
    assert_array_equal(found.corrected_labels, clean[some])


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("name", "bar"), [("cluster", 0.84), ("random_label1", 0.925)])
def test_cifar(cifar: Real, name: str, bar: float) -> None:
    """The likeliest class is right that often, and the log-loss is better than that of SNLS."""
    points, near, clean, folder = cifar
    if name == "cluster":
        labels = np.load(folder / "published" / "cifar10-cluster-0.35.npy")
    else:
        labels = load_labels(folder / "cifar-n" / "CIFAR-10_human.pt", column=name).labels
    found = adaptive_targets(points, labels, neighbors=near)
    assert found.determined
    assert 1 - wrong(found, clean) >= bar
    fixed = soft_neighbor_targets(labels, near[:, :100], 10)
    assert log_loss(found.targets, clean) < log_loss(fixed, clean)
