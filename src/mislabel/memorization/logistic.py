"""`logistic`: approximate leave-one-out of a multinomial logistic regression, in closed form.

The fit minimises ``sum_i -log p_i(z_i) + l/2 |theta|^2`` over theta (C, d + 1), p the softmax of
``theta x`` and x the standardised features and a 1 (the intercept is penalised too, which makes the
optimum unique even for a class whose only example is left out). The fit without example i is one
Newton step away, taken from the fit with all (Rad & Maleki 2020, approximate leave-one-out):

    logits without i  =  logits + (I - A_i W_i)^-1 A_i (p_i - y_i)

with ``W_i = diag(p_i) - p_i p_i'`` and ``A_i`` (C, C), whose entry c, c' is ``x_i' B x_i`` for the
block B at c, c' of the inverse Hessian (of size C (d + 1)). Nothing is refitted and nothing loops
over examples. exclusion and inclusion are the probabilities of the given label without and with.

The fit is by L-BFGS in the coordinates in which Boehning's (1992) bound of the Hessian is the unit
matrix; a few dozen steps suffice whatever the features' correlations.

Pitfalls: one Newton step is not the refit; it is worst where one example matters most, in small
classes with a small penalty. The Hessian has C (d + 1) rows; more than 6,000 are refused.

Cost: `COST`. Agreement with held-out studies: docs/memorization-estimates.md.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.memorization.estimator import (
    Estimate,
    Estimator,
    EstimatorRecord,
    Problem,
    check_number,
)
from mislabel.memorization.probe import (
    blocks,
    design_matrix,
    given_probability,
    moments,
    one_hot,
    softmax,
)
from mislabel.memorization.ridge import PENALTIES, fit_ridge
from mislabel.memorization.scores import Floats

LARGEST_HESSIAN = 6_000
TOLERANCE = 1e-6
"Of the gradient, in the coordinates of the fit."
STEPS = 2_000
COST = "dozens of passes over the features, then C (C + 1) / 2 products of them with themselves"


@dataclass(frozen=True, kw_only=True)
class Logistic(Estimator):
    """Approximate leave-one-out of a logistic probe.

    penalty: l / N, per example; None takes 1 / C of what the ridge probe chooses by leave-one-out,
    1 / C being how much flatter the logistic loss is than half the squared error where all classes
    are equally likely.
    """

    name: ClassVar[str] = "logistic"
    title: ClassVar[str] = "Logistic probe, approximate leave-one-out"
    penalty: float | None = None

    def __post_init__(self) -> None:
        if self.penalty is not None:
            check_number("penalty", self.penalty)

    def _estimate(self, problem: Problem) -> Estimate:
        design, labels, n_classes = (
            design_matrix(problem.features),
            problem.labels,
            problem.n_classes,
        )
        unknowns = n_classes * (design.shape[1] + 1)
        if unknowns > LARGEST_HESSIAN:
            rule = (
                f"{n_classes} classes times {design.shape[1] + 1} make a Hessian of {unknowns:,} "
                f"rows; at most {LARGEST_HESSIAN:,}: take fewer features, or ridge"
            )
            raise InputError("features", f"{design.shape[1]} columns", rule)
        penalty = self.penalty
        if penalty is None:
            penalty = fit_ridge(design, labels, n_classes, PENALTIES).penalty / n_classes
        with_all, without = logistic_logits(design, one_hot(labels, n_classes), penalty)
        return Estimate(
            inclusion=given_probability(with_all, labels),
            exclusion=given_probability(without, labels),
            notes={"penalty": penalty},
        )


def logistic_logits(
    design: NDArray[np.float32], targets: Floats, penalty: float
) -> tuple[Floats, Floats]:
    """Logits (N, C) of the fit with all, and of the fits without each example.

    design: (N, d) standardised, without the constant. penalty: per example.
    """
    points, penalties = _coordinates(design, len(design) * penalty)
    weights = _fit(points, targets, penalties)
    logits = points @ weights
    chances = softmax(logits)
    inverse = _inverse_hessian(points, chances, penalties)
    return logits, logits + _left_out(points, chances, targets, inverse)


def _coordinates(design: NDArray[np.float32], penalty: float) -> tuple[Floats, Floats]:
    """Points (N, D) on scaled principal axes, the last of them constant, and their penalties."""
    n_examples = len(design)
    gram, _ = moments(design, np.zeros((n_examples, 0)))
    values, vectors = np.linalg.eigh(gram)
    values = np.append(np.maximum(values, 0), n_examples)
    scale = 1 / np.sqrt(values / 2 + penalty)
    points = np.empty((n_examples, len(values)))
    points[:, :-1] = design @ vectors
    points[:, -1] = 1
    points *= scale
    return points, penalty * scale**2


def _fit(points: Floats, targets: Floats, penalties: Floats) -> Floats:
    """(D, C) weights at the optimum."""
    from scipy.optimize import minimize

    shape = points.shape[1], targets.shape[1]

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(shape)
        logits = points @ weights
        logits -= logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        sums = powers.sum(axis=1, keepdims=True)
        pull = penalties[:, None] * weights
        value = np.log(sums).sum() - (targets * logits).sum() + (pull * weights).sum() / 2
        return float(value), (points.T @ (powers / sums - targets) + pull).ravel()

    options = {"maxiter": STEPS, "maxfun": 2 * STEPS, "gtol": TOLERANCE, "ftol": 0.0, "maxcor": 20}
    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x).reshape(shape)


def _inverse_hessian(points: Floats, chances: Floats, penalties: Floats) -> Floats:
    """(C, D, C, D), by the Cholesky factor; of the blocks (D, D) only those of c <= c' are right.

    Each block of the Hessian is a Gram matrix of weighted points.
    """
    from scipy.linalg import cho_factor
    from scipy.linalg.lapack import dpotri

    width, n_classes = points.shape[1], chances.shape[1]
    hessian = np.zeros((n_classes, width, n_classes, width))
    for first in range(n_classes):
        for second in range(first, n_classes):
            other = 1 - chances[:, first] if first == second else chances[:, second]
            weighted = points * np.sqrt(chances[:, first] * other)[:, None]
            block = weighted.T @ weighted
            block = block + np.diag(penalties) if first == second else -block
            hessian[first, :, second] = hessian[second, :, first] = block
    flat = hessian.reshape(n_classes * width, -1)
    factor, _ = cho_factor(flat, overwrite_a=True, check_finite=False)
    upper, _ = dpotri(factor, overwrite_c=True)
    inverse: Floats = upper.reshape(hessian.shape)
    for number in range(n_classes):
        block = np.triu(inverse[number, :, number])
        inverse[number, :, number] = block + np.triu(block, 1).T
    return inverse


def _left_out(points: Floats, chances: Floats, targets: Floats, inverse: Floats) -> Floats:
    """(N, C) what leaving each example out adds to its own logits."""
    n_classes = chances.shape[1]
    change = np.empty_like(chances)
    for rows in blocks(len(points)):
        part, p = points[rows], chances[rows]
        spread = np.empty((len(part), n_classes, n_classes))
        for first in range(n_classes):
            for second in range(first, n_classes):
                # The quadratic form of a block is that of its transpose.
                form = np.einsum("ij,ij->i", part @ inverse[first, :, second], part)
                spread[:, first, second] = spread[:, second, first] = form
        curvature = p[:, :, None] * (np.eye(n_classes) - p[:, None, :])
        pull = spread @ (p - targets[rows])[:, :, None]
        change[rows] = np.linalg.solve(np.eye(n_classes) - spread @ curvature, pull)[:, :, 0]
    return change


RECORD = EstimatorRecord(
    name=Logistic.name,
    title=Logistic.title,
    paper="Rad & Maleki 2020",
    build=Logistic,
    positional="penalty",
    uses="features",
    cost=COST,
    example="logistic",
)
