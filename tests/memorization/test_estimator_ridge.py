"""`ridge`: by hand, and against a refit without each example."""

import numpy as np
import pytest
from estimator_examples import C, N, features, noisy_labels, plain_weights
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.memorization import probe
from mislabel.memorization.probe import (
    LARGEST_SCALE,
    design_matrix,
    fit_scale,
    given_probability,
    moments,
    one_hot,
    softmax,
)
from mislabel.memorization.ridge import PENALTIES, Ridge, fit_ridge
from thread_limits import one_thread  # noqa: F401

Floats = NDArray[np.float64]


def plain_left_out(points: Floats, targets: Floats, penalty: float) -> Floats:
    """(N, C) predictions for each example by the fit without it."""
    found = np.empty_like(targets)
    for i in range(len(points)):
        others = np.arange(len(points)) != i
        weights = plain_weights(points[others], targets[others], penalty)
        found[i] = np.append(points[i], 1) @ weights
    return found


def wide() -> NDArray[np.float32]:
    """(N, 80): more features than examples."""
    return np.random.default_rng(1).normal(size=(N, 80)).astype(np.float32)


@pytest.mark.parametrize("penalty", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("points", [features(), wide()], ids=["tall", "wide"])
def test_left_out_scores_are_those_of_refits(points: NDArray[np.float32], penalty: float) -> None:
    """Leverages up to 1 - 10^-3 cost 3 of 16 digits, and conditions of 10^3 as many."""
    design, labels = design_matrix(points), noisy_labels().labels
    fit = fit_ridge(design, labels, C, np.array([penalty]))
    targets, exact = one_hot(labels, C), design.astype(np.float64)
    slow = plain_left_out(exact, targets, penalty * N)
    np.testing.assert_allclose(fit.left_out, slow, atol=1e-9)
    weights = plain_weights(exact, targets, penalty * N)
    with_all = np.hstack([exact, np.ones((N, 1))]) @ weights
    np.testing.assert_allclose(fit.scores, with_all, atol=1e-9)


def test_the_penalty_has_the_least_left_out_error() -> None:
    design, labels = design_matrix(features()), noisy_labels().labels
    targets, exact = one_hot(labels, C), design.astype(np.float64)
    errors = [((targets - plain_left_out(exact, targets, p * N)) ** 2).sum() for p in PENALTIES]
    assert fit_ridge(design, labels, C, PENALTIES).penalty == PENALTIES[np.argmin(errors)]


def test_by_hand() -> None:
    """x = -1, 1 of classes 0, 1, l = 2: slope 1/4, leverage 3/4; without one, the other's label."""
    fit = fit_ridge(np.array([[-1.0], [1.0]], np.float32), np.array([0, 1]), 2, np.array([1.0]))
    np.testing.assert_allclose(fit.scores, [[0.75, 0.25], [0.25, 0.75]])
    np.testing.assert_allclose(fit.left_out, [[0, 1], [1, 0]], atol=1e-15)
    assert fit.scale == 0


def test_the_whole_estimate_is_made_of_refits() -> None:
    labels = noisy_labels()
    found = Ridge(penalty=0.05)(labels, features())
    design = design_matrix(features()).astype(np.float64)
    left_out = plain_left_out(design, one_hot(labels.labels, C), 0.05 * N)
    scale = fit_scale(left_out, labels.labels)
    assert found.provenance["notes"]["scale"] == pytest.approx(scale, rel=1e-4)
    exclusion = given_probability(scale * left_out, labels.labels)
    np.testing.assert_allclose(found.exclusion, exclusion, atol=1e-4)
    assert np.isnan(found.exclusion_error).all() and (found.exclusion_count == 0).all()


@pytest.mark.parametrize(
    "penalty, shown", [(0, "0"), (-1.0, "-1.0"), (float("nan"), "nan"), (float("inf"), "inf")]
)
def test_bad_penalty(penalty: float, shown: str) -> None:
    with pytest.raises(InputError) as caught:
        Ridge(penalty=penalty)
    assert str(caught.value) == f"penalty={shown}: must be a number above 0"


# Design and scale


def test_design_is_standardised_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ROWS", 7)
    given = np.hstack([1000 + 5 * features(), np.full((N, 1), 3, np.float32)])
    found = design_matrix(given)
    wide = given[:, :-1].astype(np.float64)
    np.testing.assert_allclose(found, (wide - wide.mean(0)) / wide.std(0), atol=1e-5)
    assert found.dtype == np.float32


def test_rotation_keeps_inner_products() -> None:
    given = wide().astype(np.float64)
    standard = (given - given.mean(0)) / given.std(0)
    found = design_matrix(wide())
    assert found.shape == (N, N)
    np.testing.assert_allclose(found @ found.T, standard @ standard.T, atol=1e-3)


def test_moments_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ROWS", 7)
    points, targets = features(), one_hot(noisy_labels().labels, C)
    gram, cross = moments(points, targets)
    exact = points.astype(np.float64)
    np.testing.assert_allclose(gram, exact.T @ exact, rtol=1e-12)
    np.testing.assert_allclose(cross, exact.T @ targets, rtol=1e-12, atol=1e-12)


def test_softmax_by_hand() -> None:
    found = softmax(np.log([[1.0, 3.0], [2e300, 2e300]]))
    np.testing.assert_allclose(found, [[0.25, 0.75], [0.5, 0.5]])
    np.testing.assert_allclose(softmax(np.array([[1e4, 0.0]])), [[1, 0]])


def test_scale_by_hand() -> None:
    """Margins 1, 1, -1: the likelihood s(t)^2 s(-t) is largest where s(t) = 2/3, t = log 2."""
    scores = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert fit_scale(scores, np.array([0, 0, 0])) == pytest.approx(np.log(2), abs=1e-5)


def test_scale_is_the_likeliest() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=200)
    scores = rng.normal(size=(200, 3)) + one_hot(labels, 3)
    tried = np.linspace(0, 3, 3001)
    likelihood = [np.log(given_probability(t * scores, labels)).sum() for t in tried]
    assert fit_scale(scores, labels) == pytest.approx(tried[np.argmax(likelihood)], abs=1e-3)


def test_scale_at_its_ends() -> None:
    scores = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert fit_scale(scores, np.array([0, 1])) == LARGEST_SCALE
    assert fit_scale(scores, np.array([1, 0])) == 0


def test_an_example_alone_in_its_directions() -> None:
    """All columns are one, which only the first example has: its leverage is 1 but for 10^-8, and
    rounding of the design must not push it over. Without it there is nothing to predict from but
    the shares of the classes. Float64 sums of N x 300 terms, over 10^-8, are good to 10^-3."""
    given = np.zeros((N, 300), dtype=np.float32)
    given[0] = 1
    labels = noisy_labels().labels
    fit = fit_ridge(design_matrix(given), labels, C, PENALTIES[:1])
    assert np.isfinite(fit.left_out).all()
    shares = one_hot(labels, C)[1:].mean(axis=0)
    np.testing.assert_allclose(fit.left_out[0], shares, atol=1e-3)
