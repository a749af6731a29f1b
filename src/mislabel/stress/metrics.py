"""Metrics that are made from predictions, whatever the training reports itself."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Metric = Callable[[NDArray[Any], NDArray[Any]], float]
"A user's own: called with clean classes and predictions of the test examples, (M,) each."


def confusion(clean: Ints, predicted: Ints, n_classes: int) -> Ints:
    """(C, C) number of test examples by [clean, predicted] class."""
    flat = np.bincount(clean * n_classes + predicted, minlength=n_classes**2)
    return flat.reshape(n_classes, n_classes).astype(np.int64)


def accuracy_per_class(counts: Ints) -> list[float | None]:
    """(C,) share of each class that is predicted right; None of a class without examples."""
    totals, right = counts.sum(axis=1), counts.diagonal()
    return [float(r / t) if t else None for r, t in zip(right, totals, strict=True)]


def _accuracy(counts: Ints) -> float:
    return float(counts.diagonal().sum() / counts.sum())


def _balanced_accuracy(counts: Ints) -> float:
    return float(np.mean([a for a in accuracy_per_class(counts) if a is not None]))


def _macro_f1(counts: Ints) -> float:
    """Mean over classes, predicted ones too, of the harmonic mean of precision and recall."""
    both = counts.sum(axis=0) + counts.sum(axis=1)
    there = both > 0
    return float((2 * counts.diagonal()[there] / both[there]).mean())


def _worst_class(counts: Ints) -> float:
    return min(a for a in accuracy_per_class(counts) if a is not None)


METRICS: Mapping[str, Callable[[Ints], float]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
    "worst_class": _worst_class,
}
"Metrics by name, of the (C, C) counts by [clean, predicted] class."
FITTED = ("wrong_fitted", "wrong_corrected")
"Metrics of the training examples: see `fitted`."


def figures(counts: Ints) -> dict[str, float]:
    """Every metric of `METRICS`."""
    return {name: metric(counts) for name, metric in METRICS.items()}


def fitted(labels: Ints, clean: Ints, predicted: Ints) -> dict[str, float]:
    """Shares of the wrong labels that are predicted as given, and as their clean label.

    labels, clean, predicted: (N,) of the training examples. Empty where no label is wrong.
    """
    wrong = labels != clean
    if not wrong.any():
        return {}
    shares = (float((predicted == truth)[wrong].mean()) for truth in (labels, clean))
    return dict(zip(FITTED, shares, strict=True))


def known_metrics() -> Sequence[str]:
    """Names of all metrics that we make; every one is a share."""
    return (*METRICS, *FITTED)
