"""`ridge`: leave-one-out of a ridge regression on one-hot labels, in closed form.

``W = (X'X + l I)^-1 X'Y`` with standardised features X (N, d), one-hot given labels Y (N, C) and an
intercept that is not penalised. With the leverage ``h_i = 1/N + x_i'(X'X + l I)^-1 x_i`` the fit
without example i predicts for it ``y_i - (y_i - f_i) / (1 - h_i)``, f_i the prediction with it:
exact, no refit (Allen 1974, PRESS). One eigendecomposition of X'X gives this for a whole grid of
penalties; the one with the least squared leave-one-out error is taken (Golub, Heath & Wahba 1979;
for one-hot targets squared error is a proper score).

Scores become probabilities by softmax(t s). The one scalar t makes the given labels likeliest
under the leave-one-out scores. exclusion: leave-one-out probability of the given label; inclusion:
its probability in the fit with all, at the same t.

Pitfalls: mean and deviation of the features, the penalty and t come from all examples, one left out
or not; each moves by O(1/N) at most. A ridge with many examples per feature hardly memorizes, so
inclusion is near exclusion. Scores are not bounded: where that of the given label is above 1,
leaving the example out raises it, and memorization is below 0.

Cost: `COST`. Agreement with held-out studies: docs/memorization-estimates.md.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

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
    fit_scale,
    given_probability,
    moments,
    one_hot,
)
from mislabel.memorization.scores import Floats

PENALTIES = np.logspace(-6, 2, 25)
"Tried penalties, per example."
COST = "one product of the features with themselves"


@dataclass(frozen=True, kw_only=True)
class Ridge(Estimator):
    """Leave-one-out of a ridge probe.

    penalty: l / N, per example; None chooses among 25 values from 1e-6 to 100.
    """

    name: ClassVar[str] = "ridge"
    title: ClassVar[str] = "Ridge probe, leave-one-out"
    penalty: float | None = None

    def __post_init__(self) -> None:
        if self.penalty is not None:
            check_number("penalty", self.penalty)

    def _estimate(self, problem: Problem) -> Estimate:
        design = design_matrix(problem.features)
        fit = fit_ridge(design, problem.labels, problem.n_classes, tried(self.penalty))
        return Estimate(
            inclusion=given_probability(fit.scale * fit.scores, problem.labels),
            exclusion=given_probability(fit.scale * fit.left_out, problem.labels),
            notes={"penalty": fit.penalty, "scale": fit.scale},
        )


@dataclass(frozen=True, kw_only=True)
class RidgeFit:
    """scores: (N, C) of the fit with all; left_out: (N, C) of the fits without each example;
    penalty: per example; scale: t of the softmax."""

    scores: Floats
    left_out: Floats
    penalty: float
    scale: float


def tried(penalty: float | None) -> Floats:
    """The penalties per example to choose among."""
    return PENALTIES if penalty is None else np.array([penalty])


def fit_ridge(
    design: NDArray[np.float32], labels: NDArray[np.int64], n_classes: int, penalties: Floats
) -> RidgeFit:
    """The ridge probe with the best of the penalties. design: (N, d) standardised."""
    targets = one_hot(labels, n_classes)
    mean, n_examples = targets.mean(axis=0), len(targets)
    centre = design.mean(axis=0, dtype=np.float64)  # 0 but for rounding to float32
    gram, cross = moments(design, targets - mean)
    values, vectors = np.linalg.eigh(gram - n_examples * np.outer(centre, centre))
    rotated = vectors.T @ cross
    inverse = 1 / (np.maximum(values, 0)[:, None] + n_examples * penalties)
    leverage = np.empty((n_examples, len(penalties)))
    errors = np.zeros(len(penalties))
    for rows in blocks(n_examples):
        part = (design[rows] - centre) @ vectors
        leverage[rows] = 1 / n_examples + part**2 @ inverse
        for number, column in enumerate(inverse.T):
            residual = targets[rows] - mean - part @ (column[:, None] * rotated)
            errors[number] += ((residual / (1 - leverage[rows, number, None])) ** 2).sum()
    best = int(errors.argmin())
    weights = vectors @ (inverse[:, best, None] * rotated)
    scores = mean - centre @ weights + design @ weights
    left_out = targets - (targets - scores) / (1 - leverage[:, best, None])
    return RidgeFit(
        scores=scores,
        left_out=left_out,
        penalty=float(penalties[best]),
        scale=fit_scale(left_out, labels),
    )


RECORD = EstimatorRecord(
    name=Ridge.name,
    title=Ridge.title,
    paper="Allen 1974; Golub, Heath & Wahba 1979",
    build=Ridge,
    positional="penalty",
    uses="features",
    cost=COST,
    example="ridge",
)
