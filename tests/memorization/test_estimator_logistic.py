"""`logistic`: by hand, against one dense Newton step per example, and against refits."""

import numpy as np
import pytest
from estimator_examples import C, N, features, noisy_labels
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.labels import NoisyLabels
from mislabel.memorization import logistic
from mislabel.memorization.logistic import Logistic, logistic_logits
from mislabel.memorization.probe import design_matrix, one_hot, softmax
from thread_limits import one_thread  # noqa: F401

Floats = NDArray[np.float64]
PENALTY = 0.02
CONVERGED = 1e-11
"Of the gradient, for the comparisons here."


@pytest.fixture(autouse=True)
def exact_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic, "TOLERANCE", CONVERGED)


def rows_and_targets() -> tuple[Floats, Floats]:
    """(N, D + 1) design with its constant, and one-hot targets."""
    design = design_matrix(features()).astype(np.float64)
    return np.hstack([design, np.ones((N, 1))]), one_hot(noisy_labels().labels, C)


def slope(weights: Floats, rows: Floats, targets: Floats, penalty: float) -> Floats:
    """Gradient (C, D) of the penalised loss."""
    return (softmax(rows @ weights.T) - targets).T @ rows + penalty * weights


def plain_step(weights: Floats, rows: Floats, targets: Floats, penalty: float) -> Floats:
    """Weights (C, D) after one Newton step, with the Hessian as a sum of Kronecker products."""
    hessian = penalty * np.eye(weights.size)
    for row, p in zip(rows, softmax(rows @ weights.T), strict=True):
        hessian += np.kron(np.diag(p) - np.outer(p, p), np.outer(row, row))
    gradient = slope(weights, rows, targets, penalty)
    return weights - np.linalg.solve(hessian, gradient.ravel()).reshape(weights.shape)


def plain_fit(rows: Floats, targets: Floats, penalty: float, start: Floats) -> Floats:
    """Weights at the optimum, by Newton steps until the gradient vanishes."""
    weights = start
    for _ in range(30):
        if np.abs(slope(weights, rows, targets, penalty)).max() < CONVERGED:
            return weights
        weights = plain_step(weights, rows, targets, penalty)
    raise AssertionError("no convergence")


def test_against_a_newton_step_and_a_refit_without_each_example() -> None:
    """The loss is strongly convex by the penalty l, so |theta - optimum| <= |gradient| / l, and the
    logits of x are off by |x| times that at most: a bound that needs no optimum."""
    rows, targets = rows_and_targets()
    penalty = PENALTY * N
    weights = plain_fit(rows, targets, penalty, np.zeros((C, rows.shape[1])))
    with_all, without = logistic_logits(rows[:, :-1].astype(np.float32), targets, PENALTY)
    np.testing.assert_allclose(with_all, rows @ weights.T, atol=1e-9)
    for i in range(N):
        others = np.arange(N) != i
        part = rows[others], targets[others], penalty
        stepped = plain_step(weights, *part)
        np.testing.assert_allclose(without[i], stepped @ rows[i], atol=1e-8)
        refitted = plain_fit(*part, start=stepped) @ rows[i]
        bound = np.linalg.norm(rows[i]) * np.linalg.norm(slope(stepped, *part)) / penalty
        assert np.linalg.norm(without[i] - refitted) <= bound + 1e-8
        # The step is of the second order, so it makes up for nearly all of the first.
        assert np.linalg.norm(without[i] - refitted) < 0.2 * np.linalg.norm(with_all[i] - refitted)


def test_by_hand() -> None:
    """Two examples of two classes, nothing but the intercept, l = 1/2: with both the chances are
    even. Without the first the Newton step from 0 has slope 1/2 each way and curvature 1/2 + l = 1,
    so its logits are -1/2 and 1/2."""
    nothing = np.zeros((2, 0), dtype=np.float32)
    with_all, without = logistic_logits(nothing, np.eye(2), 0.25)
    np.testing.assert_allclose(with_all, 0, atol=1e-12)
    np.testing.assert_allclose(without, [[-0.5, 0.5], [0.5, -0.5]])


def test_estimate_is_of_given_labels() -> None:
    labels = noisy_labels()
    found = Logistic(penalty=PENALTY)(labels, features())
    _, targets = rows_and_targets()
    for values, logits in zip(
        (found.inclusion, found.exclusion),
        logistic_logits(design_matrix(features()), targets, PENALTY),
        strict=True,
    ):
        np.testing.assert_array_equal(values, softmax(logits)[np.arange(N), labels.labels])
    assert (found.memorization > 0).all()


def test_blocks_of_rows_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Logistic(penalty=PENALTY)(noisy_labels(), features())
    monkeypatch.setattr("mislabel.memorization.probe.ROWS", 7)
    parts = Logistic(penalty=PENALTY)(noisy_labels(), features())
    np.testing.assert_allclose(whole.exclusion, parts.exclusion, atol=1e-9)


def test_the_penalty_comes_from_the_ridge_probe() -> None:
    from mislabel.memorization.ridge import Ridge

    notes = [e(noisy_labels(), features()).provenance["notes"] for e in (Logistic(), Ridge())]
    assert notes[0]["penalty"] == notes[1]["penalty"] / C


def test_too_large_a_hessian() -> None:
    labels = NoisyLabels(np.arange(200))
    given = np.random.default_rng(0).normal(size=(200, 40))
    with pytest.raises(InputError) as caught:
        Logistic()(labels, given)
    assert str(caught.value) == (
        "features='40 columns': 200 classes times 41 make a Hessian of 8,200 rows; at most 6,000: "
        "take fewer features, or ridge"
    )


def test_bad_penalty() -> None:
    with pytest.raises(InputError) as caught:
        Logistic(penalty=-2.0)
    assert str(caught.value) == "penalty=-2.0: must be a number above 0"
