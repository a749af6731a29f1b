"""Estimates brought to the scale of a reference."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mislabel.errors import InputError
from mislabel.labels import NoisyLabels
from mislabel.memorization import MemorizationScores, apply_lift, match

N = 400
LABELS = NoisyLabels(np.arange(N) % 3, clean_labels=np.arange(N) // 2 % 3, n_classes=3)
RNG = np.random.default_rng(0)
ODDS = RNG.normal(size=(2, N))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def scores(odds: np.ndarray, title: str, index: np.ndarray | None = None) -> MemorizationScores:
    every = np.arange(N) if index is None else index
    p = sigmoid(odds)[every]
    return MemorizationScores.of(
        LABELS, inclusion=p, exclusion=p, index=every, provenance={"title": title}
    )


ONE, TWO = scores(ODDS[0], "one"), scores(ODDS[1], "two")
SECOND_HALF = np.arange(N // 2, N)


def reference(odds: np.ndarray, lift: float = 1.5) -> MemorizationScores:
    """Measured on the second half only."""
    return apply_lift(scores(odds, "study", SECOND_HALF), lift)


def test_what_made_the_reference_is_found_again() -> None:
    truth = 0.5 + 2 * ODDS[0] - 0.7 * ODDS[1]
    found = match([ONE, TWO], reference(truth))
    assert_allclose(found.provenance["weights"], [2, -0.7], atol=1e-3)
    assert found.provenance["constant"] == pytest.approx(0.5, abs=1e-3)
    assert_array_equal(found.index, np.arange(N))  # the first half too
    assert_allclose(found.exclusion, sigmoid(truth), atol=1e-3)
    assert_allclose(found.inclusion, sigmoid(truth + 1.5), atol=1e-3)
    assert found.title == "one + two, matched"


def test_as_scikit_learns_logistic_regression() -> None:
    """Shares as weighted pairs of a right and a wrong answer, without a penalty."""
    from sklearn.linear_model import LogisticRegression

    truth = ODDS[0] + 0.5 * RNG.normal(size=N)
    found = match([ONE, TWO], reference(truth))
    share, x = sigmoid(truth)[SECOND_HALF], ODDS[:, SECOND_HALF].T
    model = LogisticRegression(C=np.inf, tol=1e-10).fit(
        np.vstack([x, x]),
        np.repeat([1, 0], len(x)),
        sample_weight=np.concatenate([share, 1 - share]),
    )
    assert_allclose(found.provenance["weights"], model.coef_[0], atol=1e-3)


def test_one_estimate_keeps_its_order() -> None:
    found = match([ONE], reference(3 * ODDS[0] - 1))
    assert_array_equal(np.argsort(found.exclusion), np.argsort(ODDS[0]))


def test_only_what_all_estimates_have() -> None:
    part = scores(ODDS[1], "two", np.arange(100, N))
    found = match([ONE, part], reference(ODDS[0]))
    assert_array_equal(found.index, np.arange(100, N))


@pytest.mark.parametrize(
    ("estimates", "like", "message"),
    [
        ([], reference(ODDS[0]), "scores='nothing': give at least one file of scores"),
        (
            [scores(ODDS[0], "one", np.arange(3))],
            reference(ODDS[0]),
            "like='study, lift 1.5': has 0 examples in common; at least 3 are needed",
        ),
    ],
)
def test_refused(
    estimates: list[MemorizationScores], like: MemorizationScores, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        match(estimates, like)
    assert str(caught.value) == message


def test_other_labels_are_refused() -> None:
    other = MemorizationScores.of(
        NoisyLabels(np.arange(N) % 2, n_classes=3),
        inclusion=ONE.inclusion,
        exclusion=ONE.exclusion,
        provenance={"title": "other"},
    )
    with pytest.raises(InputError) as caught:
        match([ONE], other)
    assert str(caught.value) == "like='other': its labels differ from the estimates'"
