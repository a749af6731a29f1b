"""`neighbors`: by hand, against a loop, and the known values on the published study."""

from pathlib import Path

import numpy as np
import pytest
from estimator_examples import N, features, noisy_labels

from mislabel.errors import InputError
from mislabel.features import load_map
from mislabel.labels import NoisyLabels, load_labels
from mislabel.memorization import MemorizationScores, compare
from mislabel.memorization.agreement import spearman
from mislabel.memorization.neighbors import Neighbors
from thread_limits import one_thread  # noqa: F401

LINE = np.array([[0.0], [1.0], [2.5], [10.0], [11.0], [12.5]])
LABELS = NoisyLabels([0, 0, 1, 1, 1, 0])


def test_by_hand() -> None:
    """On a line the two nearest others of each are the rest of its three."""
    found = Neighbors(k=2)(LABELS, LINE)
    np.testing.assert_allclose(found.exclusion, [0.5, 0.5, 0, 0.5, 0.5, 0])
    np.testing.assert_allclose(found.inclusion, np.array([2, 2, 1, 2, 2, 1]) / 3)
    error = np.sqrt(0.25 / 2)
    np.testing.assert_allclose(found.exclusion_error, error * np.array([1, 1, 0, 1, 1, 0]))
    np.testing.assert_allclose(found.inclusion_error, 2 / 3 * found.exclusion_error)
    assert (found.exclusion_count == 2).all() and (found.inclusion_count == 2).all()
    assert found.exclusion_halves is None


def test_a_weight_moves_the_size_and_not_the_order() -> None:
    plain, heavy = (Neighbors(k=2, weight=w)(LABELS, LINE) for w in (1.0, 2.0))
    np.testing.assert_allclose(heavy.inclusion, (2 * plain.exclusion + 2) / 4)
    np.testing.assert_array_equal(heavy.exclusion, plain.exclusion)


def test_a_weight_of_one_is_the_rule_with_the_example_in_it() -> None:
    """k + 1 voters: the k nearest others and the example, which is nearest to itself."""
    points, labels, k = features(), noisy_labels(), 6
    found = Neighbors(k=k)(labels, points)
    for i, point in enumerate(points.astype(np.float64)):
        voters = np.argsort(((points - point) ** 2).sum(axis=1))[: k + 1]
        assert i in voters
        votes = labels.labels[voters] == labels.labels[i]
        assert found.inclusion[i] == pytest.approx(votes.mean())
        assert found.exclusion[i] == pytest.approx((votes.sum() - 1) / k)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"k": 0}, "k=0: must be a whole number of at least 1"),
        ({"k": 2.5}, "k=2.5: must be a whole number of at least 1"),
        ({"weight": 0}, "weight=0: must be a number above 0"),
        ({"weight": float("nan")}, "weight=nan: must be a number above 0"),
        ({"weight": True}, "weight=True: must be a number above 0"),
    ],
)
def test_bad_parameters(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Neighbors(**parameters)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_more_neighbors_than_others() -> None:
    with pytest.raises(InputError) as caught:
        Neighbors()(noisy_labels(), features())
    rule = f"must be between 1 and {N - 1}, the number of other examples"
    assert str(caught.value) == f"k=100: {rule}"


KNOWN = {("exclusion", "all"): 0.84, ("exclusion", "wrong"): 0.56}
"Spearman with the published exclusion probability, to two decimals."
KNOWN_MEMORIZATION = -0.50
"Of the vote with the published memorization, all labels."


@pytest.mark.data
def test_known_values_on_the_published_study(data_folder: Path) -> None:
    """They were found with other draws of the study's examples, so bootstrap intervals of 95 %
    must contain them, give or take the rounding to two decimals."""
    labels = load_labels(data_folder / "cifar-n/CIFAR-10_human.pt", column="random_label1")
    table = np.genfromtxt(
        data_folder / "published/memorization_rand1_dev.csv", delimiter=",", names=True
    )
    published = MemorizationScores.of(
        labels,
        inclusion=table["inclusion_prob"],
        exclusion=table["exclusion_prob"],
        index=table["index"].astype(np.int64),
        provenance={"title": "published"},
    )
    np.testing.assert_array_equal(published.labels, table["noisy_label"])
    points = load_map(data_folder / "cifar10/clip_tsne_train.parquet")
    ours = Neighbors()(labels, points, index=published.index)
    agreements = {(a.score, a.group): a for a in compare(ours, published, bootstrap=200)}
    for key, known in KNOWN.items():
        low, high = agreements[key].low, agreements[key].high
        assert low is not None and high is not None
        assert low - 0.005 <= known <= high + 0.005
    rng = np.random.default_rng(0)
    draws = rng.integers(len(ours), size=(200, len(ours)))
    found = [spearman(ours.exclusion[d], published.memorization[d]) for d in draws]
    low, high = np.quantile([f for f in found if f is not None], [0.025, 0.975])
    assert low - 0.005 <= KNOWN_MEMORIZATION <= high + 0.005
