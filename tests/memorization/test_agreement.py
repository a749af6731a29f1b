"""Agreement of two estimates: correlations, reliabilities and intervals worked by hand."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from memorization_examples import correlated, drawn, scores
from mislabel.errors import InputError
from mislabel.memorization import Agreement, MemorizationScores, compare, reliability
from mislabel.memorization.agreement import (
    GROUPS,
    LEVEL,
    SCORES,
    _interval,
    resampled_ranks,
    spearman,
)
from mislabel.seeds import generator

ALL = np.ones(3, dtype=bool)


def array(*values: float) -> Any:
    return np.array(values, dtype=float)


def find(found: list[Agreement], score: str, group: str) -> Agreement:
    [entry] = [entry for entry in found if (entry.score, entry.group) == (score, group)]
    return entry


def test_spearman_with_ties_worked_by_hand() -> None:
    """Ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: 4.5 / sqrt(4.5 x 5)."""
    a, b = array(1, 2, 2, 3), array(10, 30, 20, 40)
    assert spearman(a, b) == pytest.approx(4.5 / np.sqrt(4.5 * 5), abs=1e-15)
    assert spearman(a, -b) == pytest.approx(-4.5 / np.sqrt(4.5 * 5), abs=1e-15)


def test_spearman_equals_the_reference_on_many_ties() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(5, size=(2, 200)).astype(float)
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-14)


def test_spearman_leaves_out_what_one_side_lacks() -> None:
    nan = np.nan
    a, b = array(1, nan, 2, 3, 9), array(2, 7, 1, 3, nan)
    assert spearman(a, b) == pytest.approx(0.5, abs=1e-15)  # 1 - 6 x 2 / (3 x 8)
    assert spearman(array(1, 2, nan), array(1, 2, 3)) is None
    assert spearman(array(1, 1, 1), array(1, 2, 3)) is None


def halves(inclusion: Any, exclusion: Any = None) -> MemorizationScores:
    n = np.shape(inclusion)[1]
    more = {"exclusion_halves": None if exclusion is None else np.asarray(exclusion, float)}
    known = np.arange(n) / n
    return scores(known, known[::-1], inclusion_halves=np.asarray(inclusion, float), **more)


def test_reliability_is_spearman_brown_of_the_halves() -> None:
    """Halves that correlate by 0.5: 2 x 0.5 / 1.5 = 2/3."""
    found = halves([[0.1, 0.2, 0.3], [0.2, 0.1, 0.3]])
    assert reliability(found, "inclusion", ALL) == pytest.approx(2 / 3, abs=1e-15)
    assert reliability(found, "exclusion", ALL) is None
    assert reliability(found, "memorization", ALL) is None


def test_reliability_of_memorization_is_that_of_the_differences() -> None:
    found = halves([[0.9, 0.9, 0.9], [0.9, 0.9, 0.9]], [[0.3, 0.2, 0.1], [0.2, 0.3, 0.1]])
    assert reliability(found, "inclusion", ALL) is None  # constant
    assert reliability(found, "memorization", ALL) == pytest.approx(2 / 3, abs=1e-15)


def test_reliability_is_of_the_chosen_examples_and_never_negative() -> None:
    found = halves([[0.1, 0.2, 0.3, 0.9, 0.5], [0.1, 0.2, 0.3, 0.0, np.nan]])
    assert reliability(found, "inclusion", np.arange(5) < 3) == pytest.approx(1.0, abs=1e-15)
    against = halves([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])
    assert reliability(against, "inclusion", ALL) == 0.0


def test_ceiling_worked_by_hand() -> None:
    """sqrt(2/3 x 1) of two with halves; of one alone the other counts as perfect."""
    some, perfect = halves([[0.1, 0.2, 0.3], [0.2, 0.1, 0.3]]), halves([[1, 0, 0.5]] * 2)
    without = scores([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    for a, b in ((some, perfect), (perfect, some), (some, without), (without, some)):
        entry = find(compare(a, b, bootstrap=0), "inclusion", "all")
        assert entry.ceiling == pytest.approx(np.sqrt(2 / 3), abs=1e-15)
        assert entry.share_of_ceiling == pytest.approx(
            (entry.spearman or 0) / np.sqrt(2 / 3), abs=1e-15
        )
    nothing = find(compare(without, without, bootstrap=0), "inclusion", "all")
    assert nothing.ceiling is None and nothing.share_of_ceiling is None
    assert nothing.to_json() == {
        "score": "inclusion", "group": "all", "count": 3, "spearman": 1.0, "low": None,
        "high": None, "ceiling": None, "share_of_ceiling": None, "mean_a": pytest.approx(0.2),
        "mean_b": pytest.approx(0.2),
    }  # fmt: skip


def test_a_ceiling_of_nothing_gives_no_share() -> None:
    against = halves([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])
    entry = find(compare(against, against, bootstrap=0), "inclusion", "all")
    assert (entry.ceiling, entry.share_of_ceiling) == (0.0, None)


def test_compare_on_partly_overlapping_examples_worked_by_hand() -> None:
    labels, clean = [0, 1, 2, 0, 1, 2], [0, 2, 1, 2, 1, 2]  # wrong: 1, 2, 3
    a = scores([0, 0.1, 0.2, 0.3, 0.4, 0.5], [0.5] * 6, labels=labels, clean_labels=clean)
    b = scores([1, 0.8, 0.9, 0.7, 0.6, 0], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
               labels=labels, clean_labels=clean)  # fmt: skip
    found = compare(
        a.select(np.array([0, 1, 2, 3])), b.select(np.array([1, 2, 3, 4, 5])), bootstrap=0
    )
    assert [(e.score, e.group) for e in found] == [(s, g) for s in SCORES for g in GROUPS]
    entry = find(found, "inclusion", "wrong")  # 0.1, 0.2, 0.3 against 0.8, 0.9, 0.7
    assert (entry.count, entry.low, entry.high) == (3, None, None)
    assert entry.spearman == pytest.approx(-0.5, abs=1e-15)
    assert_allclose([entry.mean_a, entry.mean_b], [0.2, 0.8])
    constant = find(found, "exclusion", "all")
    assert (constant.count, constant.spearman, constant.mean_a) == (3, None, 0.5)
    # memorization: -0.4, -0.3, -0.2 against 0.6, 0.6, 0.3
    tied = find(found, "memorization", "wrong").spearman
    assert tied == pytest.approx(-1.5 / np.sqrt(2 * 1.5), abs=1e-15)
    none = find(found, "inclusion", "right")
    assert (none.count, none.spearman, none.mean_a, none.mean_b) == (0, None, None, None)


def test_examples_without_a_score_are_left_out_score_by_score() -> None:
    nan = np.nan
    a = scores([0.1, 0.2, 0.3, 0.4], [nan, 0.1, 0.2, 0.3])
    b = scores([0.4, 0.3, 0.2, 0.1], [0.9, 0.1, nan, 0.2])
    found = compare(a, b, bootstrap=20)
    assert [entry.count for entry in found] == [4, 2, 2]
    assert [entry.spearman for entry in found] == [pytest.approx(-1.0), None, None]
    assert [entry.low for entry in found][1:] == [None, None]


@pytest.mark.parametrize("first", [0, 1])
def test_groups_need_the_clean_labels_of_one(first: int) -> None:
    labels, clean = [0, 1, 2, 0], [0, 1, 0, 1]
    values = [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4]
    both = [scores(*values, labels=labels, clean_labels=clean), scores(*values, labels=labels)]
    found = compare(both[first], both[1 - first], bootstrap=0)
    assert [entry.group for entry in found[:3]] == ["all", "wrong", "right"]
    assert [entry.count for entry in found[:3]] == [4, 2, 2]
    assert len(compare(both[1], both[1], bootstrap=0)) == len(SCORES)


def test_the_same_seed_gives_the_same_intervals() -> None:
    a, b = drawn(80, seed=1), drawn(80, seed=2)
    first, again, other = (compare(a, b, bootstrap=30, seed=seed) for seed in (5, 5, 6))
    assert first == again
    assert [e.low for e in first] != [e.low for e in other]
    assert [e.spearman for e in first] == [e.spearman for e in other]


def test_resampled_ranks_equal_sorting_again() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(20, size=60) / 7
    codes = np.unique(values, return_inverse=True)[1]
    for _ in range(20):
        draw = rng.integers(60, size=60)
        assert_array_equal(resampled_ranks(codes[draw]), stats.rankdata(values[draw]))


def test_the_interval_equals_its_plain_twin() -> None:
    a, b = np.round(correlated(50, 0.5, 3), 1)
    rng, values = generator(4, "bootstrap"), []
    for _ in range(40):
        draw = rng.integers(50, size=50)
        values.append(spearman(a[draw], b[draw]))
    expected = np.quantile(np.array(values, dtype=float), [0.025, 0.975])
    assert_allclose(_interval(a, b, 40, generator(4, "bootstrap")), expected, rtol=1e-12)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Normal pairs of correlation 0.6 have the rank correlation 6/pi asin(0.3). How often the
    interval holds it is binomial: outside these quantiles once in 1,000 at each end."""
    trials, truth = 400, 6 / np.pi * np.arcsin(0.3)
    hits = 0
    for trial in range(trials):
        a, b = correlated(100, 0.6, trial)
        low, high = _interval(a, b, 100, generator(trial, "bootstrap"))
        assert low is not None and high is not None and low <= high
        hits += low <= truth <= high
    fewest, most = stats.binom(trials, LEVEL).ppf([0.001, 0.999])
    assert fewest <= hits <= most


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0, 1, 1]}, "scores='theirs': 1 of its labels differ from the other's"),
        (
            {"clean_labels": [1, 0, 1]},
            "scores='theirs': 2 of its clean_labels differ from the other's",
        ),
    ],
)
def test_differing_labels_are_refused(change: dict[str, Any], message: str) -> None:
    known = {"labels": [0, 1, 2], "clean_labels": [0, 1, 1]}
    a = scores([0, 0, 0], [1, 1, 1], **known)
    b = scores([0, 0, 0], [1, 1, 1], **(known | change), title="theirs")
    with pytest.raises(InputError) as caught:
        compare(a, b)
    assert str(caught.value) == message


def test_other_training_sets_are_refused() -> None:
    a, b = scores([0, 1], [0, 1]), scores([0, 1, 0], [0, 1, 0], title="theirs")
    with pytest.raises(InputError) as caught:
        compare(a, b)
    rule = "scores='theirs': is of 3 training examples, the other of 2"
    assert str(caught.value) == rule
    with pytest.raises(InputError) as caught:
        compare(b.select(np.array([0])), b.select(np.array([1, 2])))
    assert str(caught.value) == "scores='theirs': has no example in common with the other"


@pytest.mark.parametrize("value", [-1, 1.5, True])
def test_a_bad_number_of_resamples_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="must be a whole number of at least 0"):
        compare(drawn(), drawn(), bootstrap=value)
