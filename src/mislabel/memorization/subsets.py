"""`subsets`: a held-out study with a ridge probe in place of a network; each run costs a downdate.

As in Feldman & Zhang 2020: run s trains on a random 70 % of the held-out set and on everything
else; inclusion and exclusion are the means over the runs with and without an example. The probe is
that of `ridge`, ``(X'X + l I) W = X'Y``, the intercept a column of ones without a penalty. X'X and
X'Y of all rows are computed once; run s takes away those of the m rows it leaves out:

    m >= d:  solve (X'X - L'L + l I) W_s = X'Y - L'Y_L                      m d^2 + d^3 / 3
    m < d:   W_s = W - B L' (I - L B L')^-1 (Y_L - L W), B = (X'X + l I)^-1  m^2 d + m^3 / 3

(Woodbury), which is the cheaper one in each case. Both are exact. Gram matrices, their differences
and the solutions are float64, since a difference of sums over 50,000 rows leaves float32 nothing of
a small penalty; features and the prediction of scores are float32.

`measure` "correctness" averages whether the prediction is the given label, as the studies do, and
"probability" the softmax of the scores at the scale that `ridge` finds by leave-one-out; the latter
has less noise, since the only randomness of a ridge is the subset.

The error of a mean is the standard error over runs. Halves are the even and the odd runs.

Pitfall: with many examples per feature nothing is memorized, however many runs there are.

Cost: `COST`. Agreement with held-out studies: docs/memorization-estimates.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError, did_you_mean
from mislabel.labels import check_count
from mislabel.memorization.aggregate import MEASURES, Sums
from mislabel.memorization.design import DESIGNS, Design, make_design
from mislabel.memorization.estimator import (
    Estimate,
    Estimator,
    EstimatorRecord,
    Problem,
    check_number,
    estimate_of,
)
from mislabel.memorization.probe import design_matrix, moments, one_hot, softmax
from mislabel.memorization.ridge import fit_ridge, tried
from mislabel.memorization.scores import Floats

COST = "a ridge, and per run one product of the left-out rows with themselves"


@dataclass(frozen=True, kw_only=True)
class Subsets(Estimator):
    """Ridge probes on random subsets.

    runs: number of subsets, at least 2. keep: share of the held-out set that a run trains on.
    design: that set, by `mislabel.memorization.design`, "all", "balanced" or "lim2025", or "index"
    for the examples asked for. The others are in every subset and get no scores. measure:
    "probability" or "correctness", see the module. penalty: per example; None lets the ridge probe
    choose.
    """

    name: ClassVar[str] = "subsets"
    title: ClassVar[str] = "Ridge probes on subsets"
    runs: int = 200
    keep: float = 0.7
    design: str = "all"
    measure: str = "probability"
    penalty: float | None = None

    def __post_init__(self) -> None:
        if check_count(self.runs, "runs") < 2:
            raise InputError("runs", self.runs, "must be at least 2")
        check_number("keep", self.keep, below=1.0)
        for name, known in (("design", (*DESIGNS, "index")), ("measure", MEASURES)):
            value = getattr(self, name)
            if value not in known:
                raise InputError(name, value, f"unknown choice; {did_you_mean(str(value), known)}")
        if self.penalty is not None:
            check_number("penalty", self.penalty)

    def _estimate(self, problem: Problem) -> Estimate:
        study = self._design(problem)
        held_out, given = study.index, problem.labels[study.index]
        design = design_matrix(problem.features)
        fit = fit_ridge(design, problem.labels, problem.n_classes, tried(self.penalty))
        size = len(design) - len(held_out) + study.n_kept
        targets = one_hot(problem.labels, problem.n_classes)
        probe = SubsetProbe(design, targets, fit.penalty * size)

        def rows() -> Iterator[tuple[NDArray[np.bool_], Floats]]:
            for run in range(self.runs):
                kept = study.mask(run)
                scores = probe.scores(probe.without(np.flatnonzero(~kept)), held_out)
                yield kept[held_out], self._measured(scores, given, fit.scale)
                problem.progress(run + 1, self.runs)

        sums = Sums.of(rows(), len(held_out))
        return estimate_of(sums, held_out, {"penalty": fit.penalty, "scale": fit.scale})

    def _design(self, problem: Problem) -> Design:
        if self.design != "index":
            return make_design(problem.given, self.design, keep=self.keep, seed=problem.seed)
        if problem.index is None:
            raise InputError("design", self.design, "needs an index of examples")
        return make_design(problem.given, held_out=problem.index, keep=self.keep, seed=problem.seed)

    def _measured(self, scores: Floats, given: NDArray[np.int64], scale: float) -> Floats:
        """(M,) of each example whether its label is predicted, or how probable it is."""
        if self.measure == "correctness":
            return np.asarray(scores.argmax(axis=1) == given, dtype=np.float64)
        return np.asarray(softmax(scale * scores)[np.arange(len(given)), given])


class SubsetProbe:
    """Ridge fits on all rows but some, at a fixed penalty.

    design: (N, d) standardised features; targets: (N, C). penalty: l, of the weights alone.
    """

    def __init__(self, design: NDArray[np.float32], targets: Floats, penalty: float) -> None:
        from scipy.linalg import cho_factor, cho_solve

        ones = np.ones((len(design), 1), dtype=np.float32)
        self.design, self.targets = np.hstack([design, ones]), targets
        gram, self.cross = moments(self.design, targets)
        self.gram = gram + np.diag(np.append(np.full(design.shape[1], penalty), 0.0))
        self._factor = cho_factor(self.gram)
        self.weights: Floats = cho_solve(self._factor, self.cross)

    def without(self, left_out: NDArray[np.int64]) -> Floats:
        """(d + 1, C) weights of the fit without these rows; the intercept comes last."""
        few = len(left_out) < len(self.gram)
        return self._by_woodbury(left_out) if few else self._by_downdate(left_out)

    def _by_downdate(self, left_out: NDArray[np.int64]) -> Floats:
        from scipy.linalg import cho_factor, cho_solve

        gram, cross = moments(self.design[left_out], self.targets[left_out])
        factor = cho_factor(self.gram - gram, overwrite_a=True)
        return np.asarray(cho_solve(factor, self.cross - cross))

    def _by_woodbury(self, left_out: NDArray[np.int64]) -> Floats:
        from scipy.linalg import cho_solve

        rows = self.design[left_out].astype(np.float64)
        spread = cho_solve(self._factor, rows.T)
        residual = self.targets[left_out] - rows @ self.weights
        small = np.eye(len(rows)) - rows @ spread
        return np.asarray(self.weights - spread @ np.linalg.solve(small, residual))

    def scores(self, weights: Floats, index: NDArray[np.int64]) -> Floats:
        """(M, C) predictions for the rows at `index`."""
        rows = self.design if len(index) == len(self.design) else self.design[index]
        return np.asarray(rows @ weights.astype(np.float32), dtype=np.float64)


RECORD = EstimatorRecord(
    name=Subsets.name,
    title=Subsets.title,
    paper="Feldman & Zhang 2020",
    build=Subsets,
    positional="runs",
    uses="features",
    cost=COST,
    example="subsets:runs=20",
)
