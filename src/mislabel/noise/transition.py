"""Draws from a transition matrix, at the matrix's own rate or at any other, exactly.

``T[y, z]`` is the chance that an example of class y is labelled z; rows sum to 1. Class y flips
with propensity ``q_y = 1 - T[y, y]``, and a flip goes to z with chance ``T[y, z] / q_y``. At
another rate all propensities are multiplied by one factor (at most 1 each), so that the pattern
is kept. How many examples flip is fixed, which do is systematic sampling at those propensities.
"""

import numpy as np
from numpy.typing import ArrayLike

from mislabel.errors import InputError
from mislabel.noise.base import FloatArray, IntArray, Problem, need_two_classes
from mislabel.noise.rates import (
    check_rate,
    flip_count,
    flip_smallest,
    members_of_classes,
    systematic_sample,
)

FEW_CLASSES = 64
"Up to so many classes targets are found a class at a time for all examples; it is quicker."


def check_transition_matrix(values: ArrayLike, n_classes: int, name: str) -> FloatArray:
    """(C, C) chances, rows sum to 1 within 0.001, or an `InputError` that names `name`."""
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.shape != (n_classes, n_classes):
        rule = f"must be {n_classes} x {n_classes}, one row and column per class"
        raise InputError(name, f"shape {matrix.shape}", rule)
    good = np.isfinite(matrix).all(axis=1) & (matrix.min(axis=1) >= 0)
    good &= np.abs(matrix.sum(axis=1) - 1) <= 1e-3
    if not good.all():
        rule = "must be at least 0 and sum to 1"
        raise InputError(name, f"row {int(np.flatnonzero(~good)[0])}", rule)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


def draw_transitions(
    problem: Problem, matrix: FloatArray, *, rate: float | None, per_class: bool
) -> IntArray:
    """(N,) labels drawn from a checked transition matrix (C, C).

    rate: share of flipped examples; None for the matrix's own. per_class: the rate holds in each
    class that the matrix flips at all, not only overall.
    """
    need_two_classes(problem)
    labels = problem.clean_labels.copy()
    propensity = 1 - np.diag(matrix)
    flipped = np.flatnonzero(_flips(problem, propensity, rate, per_class))
    labels[flipped] = _targets(labels[flipped], matrix, problem.rng)
    return labels


def _flips(
    problem: Problem, propensity: FloatArray, rate: float | None, per_class: bool
) -> np.typing.NDArray[np.bool_]:
    clean, rng = problem.clean_labels, problem.rng
    if rate is None:
        return systematic_sample(propensity[clean], rng)
    flipping = propensity > 0
    sizes = np.bincount(clean, minlength=problem.n_classes)
    n_flipping = int(sizes[flipping].sum())
    if per_class:
        members = np.flatnonzero(flipping[clean])
        flipped = np.zeros(len(clean), dtype=bool)
        if n_flipping:
            flipped[members] = flip_smallest(
                rng.random(n_flipping), clean[members], problem.n_classes, check_rate(rate),
                per_class=True, rng=rng,
            )  # fmt: skip
        return flipped
    check_rate(rate, maximum=n_flipping / len(clean))
    count = min(flip_count(rate, len(clean)), n_flipping)
    return systematic_sample(propensity[clean], rng, count=count)


def _targets(labels: IntArray, matrix: FloatArray, rng: np.random.Generator) -> IntArray:
    """A wrong label for each of `labels`: how many of its class's cumulative chances are passed."""
    n_classes = len(matrix)
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0.0)
    total = wrong.sum(axis=1, keepdims=True)
    cumulative = np.cumsum(np.divide(wrong, total, out=wrong, where=total > 0), axis=1)
    last = n_classes - 1 - np.argmax(wrong[:, ::-1] > 0, axis=1)
    cumulative[np.arange(n_classes) >= last[:, None]] = 1.0
    drawn = rng.random(len(labels))
    found = np.zeros(len(labels), dtype=np.int64)
    if n_classes <= FEW_CLASSES:
        passed = np.zeros(len(labels), dtype=np.int8)
        for chances in np.ascontiguousarray(cumulative.T):
            passed += drawn >= chances[labels]
        found[:] = passed
    else:
        for chances, group in zip(cumulative, members_of_classes(labels, n_classes), strict=True):
            found[group] = np.searchsorted(chances, drawn[group], side="right")
    return found
