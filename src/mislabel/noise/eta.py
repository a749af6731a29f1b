"""Class probabilities (eta) for noise that reads them, and the source that needs no network.

Where probabilities come from, when they are not given, is an `EtaSource`: a frozen dataclass of
keyword-only parameters. To add one: write it with its `RECORD` in a file ``eta_NAME.py``, and add
the record to `ETA_SOURCES` in ``eta_sources.py``; ``--eta NAME`` then knows it.

The default is a quick classifier, cross-fitted: an RBF kernel (Nyström approximation, 300
landmarks) with multinomial logistic regression, fitted on the clean labels of the other folds, so
that no example is predicted by a model that has seen its label. PLC records the probabilities of a
network in training instead (``eta_network.py``), which has nearly fitted each example;
out-of-sample probabilities leave more examples ambiguous.

The kernel's width is the better of two by held-out log-loss: 1/d, which suits embeddings, and
8/d, which suits two-dimensional maps with their small islands.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.errors import InputError
from mislabel.labels import check_count, check_labels
from mislabel.noise.base import FloatArray, IntArray, check_matrix
from mislabel.registry import Record
from mislabel.seeds import child_state, generator
from mislabel.versions import library_versions

LANDMARKS = 300
GAMMAS = (1.0, 8.0)
SELECTION_SIZE = 5_000


@dataclass(frozen=True, kw_only=True)
class EtaRun:
    """How an eta source is run.

    augment: whether crop and flip keep an example's class ("crop-flip") or not ("none").
    device: "auto", "cpu" or "cuda". checkpoint: a file that a long computation may be kept in,
    and goes on from. say: told what is being done.
    """

    n_classes: int
    seed: int = 0
    augment: str = "none"
    device: str = "auto"
    checkpoint: Path | None = None
    say: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, kw_only=True)
class EtaSource(ABC):
    """Makes class probabilities of examples with clean labels; see the module."""

    reads: ClassVar[str] = "features"
    "What `probabilities` wants as rows: features (N, d), or the examples themselves."

    def check(self, example_shape: tuple[int, ...]) -> None:  # noqa: B027 - it may take anything
        """Raise `InputError` for parameters that break their rule, before any work."""

    @abstractmethod
    def key(self, example_shape: tuple[int, ...], run: EtaRun) -> dict[str, Any]:
        """All that the probabilities depend on but rows, labels and seed, as JSON values."""

    @abstractmethod
    def probabilities(self, rows: NDArray[Any], labels: IntArray, run: EtaRun) -> FloatArray:
        """(N, C) class probabilities of N rows with clean labels (N,), exact in float32."""


@dataclass(frozen=True, kw_only=True)
class EtaRecord(Record):
    """An eta source in the registry.

    positional: the parameter that stands first in a spec. example: a spec that works.
    """

    source: type[EtaSource]
    positional: str | None = None
    example: str


@dataclass(frozen=True, kw_only=True)
class CrossFitted(EtaSource):
    """Out-of-sample probabilities of a quick classifier on features; see the module.

    folds: at most; fewer when the smallest class has fewer examples.
    """

    folds: int = 5

    def check(self, example_shape: tuple[int, ...]) -> None:
        check_folds(self.folds)

    def key(self, example_shape: tuple[int, ...], run: EtaRun) -> dict[str, Any]:
        return {"folds": self.folds, "versions": library_versions("numpy", "scikit-learn")}

    def probabilities(self, rows: NDArray[Any], labels: IntArray, run: EtaRun) -> FloatArray:
        run.say("Estimating class probabilities (cross-fitted)")
        return cross_fitted_probabilities(
            rows, labels, n_classes=run.n_classes, folds=self.folds, seed=run.seed
        )


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
    when the smallest class has fewer examples. The values are exact in float32, as which files
    of them are read, so that a file of them makes the same noise.
    """
    check_folds(folds)
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
    probabilities[:, classes] = found.astype(np.float32)
    return probabilities


def check_folds(folds: int) -> None:
    """Cross-fitting needs two folds."""
    if check_count(folds, "folds") < 2:
        raise InputError("folds", folds, "must be at least 2")


def describe_probabilities(probabilities: FloatArray, labels: IntArray) -> dict[str, float]:
    """How a classifier sees the clean labels: what decides which examples PMD flips.

    accuracy: share of examples (N,) whose likeliest class is right. mean_margin: of the two
    largest probabilities. neither: share whose two likeliest classes are both wrong, which PMD
    always flips.
    """
    second, first = np.argsort(probabilities, axis=1)[:, -2:].T
    rows = np.arange(len(labels))
    margin = probabilities[rows, first] - probabilities[rows, second]
    return {
        "accuracy": float((first == labels).mean()),
        "mean_margin": float(margin.mean()),
        "neither": float(((first != labels) & (second != labels)).mean()),
    }


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


RECORD = EtaRecord(
    name="cross-fitted",
    title="Cross-fitted kernel classifier",
    paper="Zhang et al. 2021 (PLC) takes any probabilistic classifier",
    source=CrossFitted,
    positional="folds",
    example="cross-fitted",
)
