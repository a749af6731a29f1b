"""Class probabilities for `pmd` when none are given: a quick classifier, cross-fitted.

An RBF kernel (Nyström approximation, 300 landmarks) with multinomial logistic regression, fitted
on the clean labels of the other folds, so that no example is predicted by a model that has seen
its label. PLC records the probabilities of a network in training instead, which has nearly
fitted each example; out-of-sample probabilities leave more examples ambiguous.

The kernel's width is the better of two by held-out log-loss: 1/d, which suits embeddings, and
8/d, which suits two-dimensional maps with their small islands.
"""

import numpy as np
from numpy.typing import ArrayLike

from mislabel.errors import InputError
from mislabel.labels import check_count, check_labels
from mislabel.noise.base import FloatArray, IntArray, check_matrix
from mislabel.seeds import child_state, generator

LANDMARKS = 300
GAMMAS = (1.0, 8.0)
SELECTION_SIZE = 5_000


def cross_fitted_probabilities(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    n_classes: int | None = None,
    folds: int = 5,
    seed: int = 0,
) -> FloatArray:
    """(N, C) probabilities of each example by a classifier that was not fitted on it.

    features: (N, d). labels: (N,), every class that occurs at least twice. folds: at most; fewer
    when the smallest class has fewer examples.
    """
    if check_count(folds, "folds") < 2:
        raise InputError("folds", folds, "must be at least 2")
    given = check_labels(labels, n_classes=n_classes)
    matrix = check_matrix(features, "features", len(given))
    n_classes = int(given.max()) + 1 if n_classes is None else n_classes
    sizes = np.bincount(given, minlength=n_classes)
    if (sizes == 1).any():
        rule = "has 1 example; cross-fitted probabilities need at least 2 of each class"
        raise InputError("labels", f"class {int(np.flatnonzero(sizes == 1)[0])}", rule)
    folds = min(folds, int(sizes[sizes > 0].min()))
    classes = np.flatnonzero(sizes)
    if len(classes) < 2:
        raise InputError("labels", f"class {classes[0]} only", "need two classes that occur")
    gamma = _choose_gamma(matrix, given, folds, seed)
    found = _cross_fit(matrix, given, gamma, folds, seed)
    probabilities = np.zeros((len(given), n_classes))
    probabilities[:, classes] = found
    return probabilities


def _choose_gamma(features: FloatArray, labels: IntArray, folds: int, seed: int) -> float:
    """The kernel width with the smaller cross-fitted log-loss, on at most 5,000 examples."""
    rows = generator(seed, "eta", "selection").permutation(len(labels))[:SELECTION_SIZE]
    sizes = np.bincount(labels[rows])
    rows = np.sort(rows[sizes[labels[rows]] >= folds])
    if len(np.unique(labels[rows])) < 2:
        return GAMMAS[0]
    losses = []
    for gamma in GAMMAS:
        found = _cross_fit(features[rows], labels[rows], gamma, folds, seed)
        column = np.searchsorted(np.unique(labels[rows]), labels[rows])
        chance = found[np.arange(len(rows)), column]
        losses.append(-np.log(np.maximum(chance, 1e-12)).mean())
    return GAMMAS[int(np.argmin(losses))]


def _cross_fit(
    features: FloatArray, labels: IntArray, gamma: float, folds: int, seed: int
) -> FloatArray:
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    state = child_state(seed, "eta")
    smallest_fit = len(labels) - -(-len(labels) // folds)
    kernel = Nystroem(
        gamma=gamma / features.shape[1],
        n_components=max(1, min(LANDMARKS, smallest_fit - 1)),
        random_state=state,
    )
    model = make_pipeline(StandardScaler(), kernel, LogisticRegression(C=10.0, max_iter=1000))
    split = StratifiedKFold(folds, shuffle=True, random_state=state)
    found: FloatArray = cross_val_predict(model, features, labels, cv=split, method="predict_proba")
    return found
