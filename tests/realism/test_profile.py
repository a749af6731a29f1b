"""Profiles: by hand, against a plain twin, and against the published figures."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from mislabel.errors import InputError
from mislabel.features import load_map, nearest_neighbors
from mislabel.features.neighborhood import Neighborhood
from mislabel.labels import NoisyLabels, load_labels
from mislabel.realism import clustering_index, describe_labels, row_entropy
from mislabel.realism.profile import Profile, Spatial, interval_blocks, profile_labels
from mislabel.report.figures import save_figure
from mislabel.report.realism_profile import profile_figure


def test_row_entropy_by_hand() -> None:
    labels = NoisyLabels([0, 1, 1, 1], clean_labels=[0, 0, 1, 1], n_classes=3)
    assert row_entropy(labels) == 0.5  # rows (1/2, 1/2): 1 bit, (0, 1): 0 bits, no third row
    assert str(row_entropy(NoisyLabels([0, 1], clean_labels=[0, 1]))) == "0.0"


def test_clustering_index_by_hand() -> None:
    flipped = np.array([True, True, False, False, False])
    neighbors = np.array([[1, 2], [0, 2], [3, 4], [2, 4], [2, 3]])
    # Of the two neighbours of each flipped example one is flipped: 1/2, against a rate of 2/5.
    assert clustering_index(flipped, neighbors) == pytest.approx(0.5 / 0.4)
    assert np.isnan(clustering_index(np.zeros(5, dtype=bool), neighbors))


def test_clustering_index_equals_a_plain_twin() -> None:
    rng = np.random.default_rng(3)
    flipped = rng.random(60) < 0.3
    _, neighbors = nearest_neighbors(rng.normal(size=(60, 2)), 7)
    shares = [np.mean([flipped[j] for j in neighbors[i]]) for i in range(60) if flipped[i]]
    assert clustering_index(flipped, neighbors) == pytest.approx(np.mean(shares) / flipped.mean())


def test_description_without_positions_or_of_an_absent_class_has_none() -> None:
    found = describe_labels(NoisyLabels([0, 1], clean_labels=[0, 0], n_classes=3))
    assert found["clustering_index"] is None
    assert found["transition_matrix"] == [[0.5, 0.5, 0.0], [None] * 3, [None] * 3]
    assert found["n_flipped"] == 1
    assert found["rate"] == 0.5


LINE = np.array([[0.0], [1.0], [2.1], [10.0], [11.0], [12.1]])
SIX = NoisyLabels([1, 0, 0, 1, 0, 1], clean_labels=[0, 0, 0, 1, 1, 2], n_classes=3)
"Wrong are the first and the last two: 0 to 1, 1 to 0, 2 to 1."


def place_of(positions: NDArray[np.float64], labels: NoisyLabels, k: int = 100) -> Neighborhood:
    assert labels.clean_labels is not None
    return Neighborhood.of(positions, labels.clean_labels, labels.n_classes, k=k)


def spatial(found: Profile) -> Spatial:
    assert found.spatial is not None
    return found.spatial


def made_up(n: int = 240, seed: int = 0, n_classes: int = 4) -> tuple[NoisyLabels, Neighborhood]:
    """Overlapping blobs, and labels wrong more often in the last classes."""
    rng = np.random.default_rng(seed)
    clean = rng.integers(n_classes, size=n)
    positions = rng.normal(size=(n, 2)) + np.stack([clean, clean % 2], axis=1) * 1.5
    wrong = rng.random(n) < 0.1 + 0.15 * clean
    noisy = np.where(wrong, (clean + rng.integers(1, n_classes, size=n)) % n_classes, clean)
    labels = NoisyLabels(noisy, clean_labels=clean, n_classes=n_classes)
    return labels, place_of(positions, labels)


def test_profile_of_six_examples_by_hand() -> None:
    """Neighbours, nearest first: 1 2, 0 2, 1 0, 4 5, 3 5, 4 3."""
    found = profile_labels(SIX, place_of(LINE, SIX, k=2), ks=(2, 1, 30), n_bins=2)
    assert (found.n, found.flips, found.n_classes) == (6, 3, 3)
    assert found.rate.value == 0.5
    np.testing.assert_allclose(found.rate_per_class.value, [1 / 3, 1 / 2, 1])
    place = spatial(found)
    assert (place.ks, place.n_neighbors, place.n_blocks) == ((1, 2), 2, 1)
    np.testing.assert_allclose(place.clustering.value, [1 / 3 / 0.5, (0 + 0.5 + 0.5) / 3 / 0.5])
    # Both of a pair are wrong: 0 within a class (each has one), 1/2 for classes 1 and 2. Such
    # pairs of example and neighbour: 5-4 for k = 1; 3-5, 4-5 and 5-3 besides for k = 2.
    np.testing.assert_allclose(place.clustering_by_class, [0.5 / 3 / 0.5, 2 / 2 / 3 / 0.5])
    # The centres are 1.03, 10.5 and 12.1: 0 to 1 is rank 1, 1 to 0 rank 2, 2 to 1 rank 1.
    np.testing.assert_allclose(place.target_rank.value, [2 / 3, 1 / 3])
    assert place.mean_target_rank.value == pytest.approx(4 / 3)
    assert place.target_nearby.value == pytest.approx(1 / 3)  # only of the last
    # Distances to the second neighbour: 2.1 1.1 2.1 | 2.1 1.1 | 2.1, so that typicality is
    # 1/3 5/6 1/3 | 1/4 3/4 | 1/2.
    np.testing.assert_array_equal(place.typicality.count, [4, 2])
    np.testing.assert_allclose(place.typicality.rate.value, [2 / 4, 1 / 2])
    assert place.typicality.trend.value == pytest.approx((1 / 3 + 3 / 4 + 1 / 2) / 3)
    # Shares of other classes: 0 0 0 | 1/2 1/2 | 1, within classes all the same.
    np.testing.assert_array_equal(place.other_share.count, [3, 0, 0, 0, 2, 1])
    rates = [1 / 3, np.nan, np.nan, np.nan, 1 / 2, 1]
    np.testing.assert_allclose(place.other_share.rate.value, rates)
    assert place.other_share.trend.value == 0.5
    assert np.isnan(place.clustering.low).all()  # a single block says nothing of the spread


def test_profile_equals_a_plain_twin() -> None:
    labels, place = made_up()
    found = spatial(profile_labels(labels, place))
    clean, flips = place.clean_labels, np.flatnonzero(labels.flipped)
    rank = [place.closeness_rank[clean[i], labels.labels[i]] for i in flips]
    np.testing.assert_allclose(
        found.target_rank.value, [np.mean([r == wanted for r in rank]) for wanted in (1, 2, 3)]
    )
    assert found.mean_target_rank.value == pytest.approx(np.mean(rank))
    nearby = [labels.labels[i] in clean[place.neighbors[i]] for i in flips]
    assert found.target_nearby.value == pytest.approx(np.mean(nearby))
    for k, index in zip(found.ks, found.clustering.value, strict=True):
        assert index == pytest.approx(clustering_index(labels.flipped, place.neighbors[:, :k]))
    for values, dependence in (
        (place.typicality, found.typicality),
        (place.other_share(), found.other_share),
    ):
        start = -1.0
        for bin_, end in enumerate(dependence.edges):
            inside = [i for i in range(240) if start < values[i] <= end]
            assert dependence.count[bin_] == len(inside)
            expected = np.mean([labels.flipped[i] for i in inside]) if inside else np.nan
            assert dependence.rate.value[bin_] == pytest.approx(expected, nan_ok=True)
            start = end
        above = []
        for i in flips:
            others = values[clean == clean[i]]
            above.append(np.mean(others < values[i]) + np.mean(others == values[i]) / 2)
        assert dependence.trend.value == pytest.approx(np.mean(above))


def test_clustering_by_class_is_the_mean_over_all_ways_to_place_the_flips() -> None:
    """Every way to place two flips among four of class 0 and one among three of class 1."""
    clean = np.array([0, 1, 0, 0, 1, 0, 1])
    positions = np.random.default_rng(1).normal(size=(7, 2))
    indices = []
    for zeros in itertools.combinations(np.flatnonzero(clean == 0), 2):
        for one in np.flatnonzero(clean == 1):
            noisy = clean.copy()
            noisy[[*zeros, one]] = 1 - clean[[*zeros, one]]
            labels = NoisyLabels(noisy, clean_labels=clean)
            found = spatial(profile_labels(labels, place_of(positions, labels), ks=(1, 3, 5)))
            indices.append(found.clustering.value)
    assert len(indices) == 18
    np.testing.assert_allclose(found.clustering_by_class, np.mean(indices, axis=0))


def test_intervals_cover_the_truth_of_clustered_noise() -> None:
    """Cells of the map, far smaller than blocks, are twice as wrong as their mean or not at all.

    Besides, the rate depends on class and typicality. 200 draws; a calibrated interval misses in
    5 % of them, and more than the binomial bound for all seven together happens once in a million.
    """
    rng = np.random.default_rng(0)
    n, cells, draws, ks = 1500, 15, 200, (5, 30)
    positions = rng.random((n, 2))
    clean = (positions[:, 0] * 2 + rng.normal(0, 0.3, n)).clip(0, 1.9).astype(int)
    place = Neighborhood.of(positions, clean, 2)
    chance = np.array([0.1, 0.3])[clean] * (1.5 - place.typicality)
    cell = (positions * cells).astype(int) @ [cells, 1]
    pairs = (
        chance[:, None] * chance[place.neighbors] * (1 + (cell[:, None] == cell[place.neighbors]))
    )
    index = [pairs[:, :k].sum() / k / chance.sum() / chance.mean() for k in ks]
    quarter = np.ceil(place.typicality * 4).astype(int) - 1
    by_bin = [chance[quarter == b].mean() for b in range(4)]
    trend = (chance * place.typicality).sum() / chance.sum()
    blocks = interval_blocks(place)
    misses = np.zeros(7)
    for seed in range(draws):
        wrong = rng.random(n) < chance * 2 * (rng.random(cells**2) < 0.5)[cell]
        labels = NoisyLabels(np.where(wrong, 1 - clean, clean), clean_labels=clean, n_classes=2)
        options = {"n_bins": 4, "blocks": blocks, "n_resamples": 199, "seed": seed}
        found = spatial(profile_labels(labels, place, ks=ks, **options))
        estimates = (found.clustering, found.typicality.rate, found.typicality.trend)
        low, high = (
            np.concatenate([np.atleast_1d(getattr(e, end)) for e in estimates])
            for end in ("low", "high")
        )
        truth = np.array([*index, *by_bin, trend])
        misses += (truth < low) | (truth > high)
    assert (misses <= binom.ppf(1 - 1e-6 / 7, draws, 0.05)).all()


def test_without_a_place_there_are_only_rates() -> None:
    found = profile_labels(SIX)
    assert found.spatial is None and found.to_json()["spatial"] is None
    assert found.to_json()["rate_per_class"]["value"][2] == 1
    assert found.row_entropy == row_entropy(SIX)


def test_without_flips_figures_of_them_are_none_in_json() -> None:
    clean = NoisyLabels([0, 0, 0, 1, 1, 1], clean_labels=[0, 0, 0, 1, 1, 1], n_classes=3)
    found = profile_labels(clean, place_of(LINE, clean), blocks=[0, 0, 0, 1, 1, 1]).to_json()
    place = json.loads(json.dumps(found, allow_nan=False))["spatial"]
    assert place["clustering"] == {"value": [None], "low": [None], "high": [None]}
    assert place["clustering_by_class"] == [None]
    assert place["mean_target_rank"]["value"] is None
    assert place["target_nearby"]["value"] is None
    assert place["typicality"]["trend"]["high"] is None
    assert place["typicality"]["rate"]["value"][9] in (0, None)
    assert found["rate"]["value"] == 0 and found["rate"]["high"] > 0
    assert found["transition_matrix"][2] == [None] * 3


def test_one_class_has_no_ranks() -> None:
    labels = NoisyLabels([0] * 6, clean_labels=[0] * 6)
    found = spatial(profile_labels(labels, place_of(LINE, labels)))
    assert found.target_rank.value.shape == (0,)


def test_the_same_seed_gives_the_same_intervals() -> None:
    labels, place = made_up()
    first, again, other = (profile_labels(labels, place, seed=s).to_json() for s in (1, 1, 2))
    assert first == again != other
    assert first["spatial"]["clustering"]["value"] == other["spatial"]["clustering"]["value"]


def test_coinciding_positions_are_fewer_blocks() -> None:
    labels, _ = made_up(n=60)
    positions = np.repeat(LINE[:4], 15, axis=0)
    assert spatial(profile_labels(labels, place_of(positions, labels))).n_blocks == 4


SHORT = NoisyLabels([0, 1, 1], clean_labels=[0, 1, 2], n_classes=3)
OTHER = NoisyLabels(SIX.labels, clean_labels=[0, 0, 1, 1, 1, 2], n_classes=3)
WIDER = NoisyLabels(SIX.labels, clean_labels=SIX.clean_labels, n_classes=4)
ERRORS: dict[str, tuple[NoisyLabels, dict[str, Any], str]] = {
    "clean": (NoisyLabels([0, 1]), {}, "clean_labels=None: are needed for this and were not given"),
    "length": (SHORT, {}, "place='6 examples': must be of the 3 labels"),
    "other": (OTHER, {}, "place='clean labels': must be those of the labels"),
    "classes": (WIDER, {}, "place='3 classes': must have as many as the labels: 4"),
    "ks": (SIX, {"ks": (5, 0)}, "ks=0: must be a whole number of at least 1"),
    "no ks": (SIX, {"ks": ()}, "ks=(): must be at least one number of neighbours"),
    "bins": (SIX, {"n_bins": 0}, "n_bins=0: must be a whole number of at least 1"),
    "level": (SIX, {"level": 1}, "level=1: must be between 0 and 1"),
    "resamples": (SIX, {"n_resamples": 0}, "n_resamples=0: must be a whole number of at least 1"),
    "blocks": (SIX, {"blocks": [0, 1]}, "blocks='2 labels': must have length 6"),
    "seed": (SIX, {"seed": -1}, "seed=-1: must be a whole number from 0 to 2**63 - 1"),
}


def test_blocks_are_worth_computing_once() -> None:
    labels, place = made_up()
    blocks = interval_blocks(place, seed=3)
    assert len(np.unique(blocks)) == 30
    expected = profile_labels(labels, place, seed=3).to_json()
    assert profile_labels(labels, place, seed=3, blocks=blocks).to_json() == expected


@pytest.mark.parametrize("name", ERRORS)
def test_bad_input_is_named(name: str) -> None:
    labels, options, message = ERRORS[name]
    with pytest.raises(InputError) as error:
        profile_labels(labels, place_of(LINE, SIX), **options)
    assert str(error.value) == message


def test_figure_has_all_panels_for_all_sets() -> None:
    labels, place = made_up()
    some, other = profile_labels(labels, place), profile_labels(labels, place, seed=1)
    figure = profile_figure({"[one]\x1b": some, "$two$": other})
    upper, lower = figure.subfigs
    assert [axes.get_title() for axes in upper.axes] == [
        "Clustering index",
        "Wrong labels by closeness, %",
        "",
        "Wrong by typicality, %",
        "Wrong by other classes around, %",
        "Wrong by class, %",
    ]
    assert [axes.get_title() for axes in lower.axes] == ["[one]\\x1b", "$two$", ""]
    shown = [text.get_text() for text in upper.axes[2].get_legend().get_texts()]
    assert [text.partition(":")[0] for text in shown] == ["[one]\\x1b", "$two$"]


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_figure_without_a_place_or_flips_is_saved_alike_each_time(
    suffix: str, tmp_path: Path
) -> None:
    clean = NoisyLabels([0, 1, 1], clean_labels=[0, 1, 1], n_classes=20)
    found = {"clean": profile_labels(clean)}
    files = [save_figure(profile_figure(found), tmp_path / f"{i}.{suffix}") for i in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_figure_of_nothing_or_of_a_mixture_is_refused() -> None:
    labels, place = made_up(n=60)
    with pytest.raises(InputError, match=r"profiles={}: must be at least one"):
        profile_figure({})
    with pytest.raises(InputError, match="must all have a neighbourhood, or none"):
        profile_figure({"a": profile_labels(labels), "b": profile_labels(labels, place)})


@pytest.mark.data
@pytest.mark.parametrize(
    ("column", "published"),
    [
        ("aggre_label", 1.73),
        ("random_label1", 1.22),
        ("random_label2", 1.18),
        ("random_label3", 1.22),
        ("worse_label", 1.10),
    ],
)
def test_human_clustering_is_as_published(data_folder: Path, column: str, published: float) -> None:
    """The figures of the first study, which gives two decimals."""
    positions = load_map(data_folder / "cifar10" / "clip_tsne_train.parquet")
    labels = load_labels(data_folder / "cifar-n" / "CIFAR-10_human.pt", column=column)
    found = describe_labels(labels, positions)["clustering_index"]
    assert found == pytest.approx(published, abs=0.005)
