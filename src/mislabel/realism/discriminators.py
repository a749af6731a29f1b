"""Discriminators: classifiers that tell two sets of labels apart by the context of examples.

`boosting` is the standard, of which published figures are. `strong` sees a richer context and is an
average of different kinds of classifiers; a generator fitted to pass the standard one has to pass
it too.

To add one: write a function from training rows to a scorer, and a record in the list below.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mislabel.registry import Record, Registry

Rows = NDArray[np.float32]
Scorer = Callable[[Rows], NDArray[np.float64]]
"From rows (M, F) to scores (M,): higher is more like the candidate."


@dataclass(frozen=True, kw_only=True)
class DiscriminatorRecord(Record):
    """A discriminator in the registry.

    fit: (rows (M, F), from_candidate (M,), columns that hold classes, seed of 32 bits) to a
    scorer. rich: whether it sees the rich context. neighbors: how many it needs.
    """

    fit: Callable[[Rows, NDArray[np.bool_], tuple[int, ...], int], Scorer]
    rich: bool
    neighbors: int


def fit_boosting(
    rows: Rows, from_candidate: NDArray[np.bool_], categorical: tuple[int, ...], state: int
) -> Scorer:
    """Gradient boosting on histograms, as in the first table."""
    return _fit_boosting(rows, from_candidate, categorical, state, max_iter=100, learning_rate=0.1)


def fit_strong(
    rows: Rows, from_candidate: NDArray[np.bool_], categorical: tuple[int, ...], state: int
) -> Scorer:
    """Deeper boosting, random trees and a network; the mean of the ranks that they give."""
    scorers = [
        fit(rows, from_candidate, categorical, state)
        for fit in (_fit_deep_boosting, _fit_trees, _fit_network)
    ]

    def score(rows: Rows) -> NDArray[np.float64]:
        from scipy.stats import rankdata

        mean: NDArray[np.float64] = np.mean([rankdata(s(rows)) for s in scorers], axis=0)
        return mean / len(rows)

    return score


def _fit_deep_boosting(
    rows: Rows, from_candidate: NDArray[np.bool_], categorical: tuple[int, ...], state: int
) -> Scorer:
    return _fit_boosting(
        rows,
        from_candidate,
        categorical,
        state,
        max_iter=200,
        learning_rate=0.05,
        max_leaf_nodes=63,
        min_samples_leaf=40,
        l2_regularization=1.0,
        max_features=0.3,
    )


def _fit_boosting(
    rows: Rows,
    from_candidate: NDArray[np.bool_],
    categorical: tuple[int, ...],
    state: int,
    **settings: float,
) -> Scorer:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        categorical_features=list(categorical),
        early_stopping=False,
        random_state=state,
        **settings,
    ).fit(rows, from_candidate)

    def score(rows: Rows) -> NDArray[np.float64]:
        return np.asarray(model.decision_function(rows), dtype=np.float64)

    return score


def _fit_trees(
    rows: Rows, from_candidate: NDArray[np.bool_], categorical: tuple[int, ...], state: int
) -> Scorer:
    from sklearn.ensemble import ExtraTreesClassifier

    model = ExtraTreesClassifier(60, min_samples_leaf=20, random_state=state).fit(
        rows, from_candidate
    )

    def score(rows: Rows) -> NDArray[np.float64]:
        return np.asarray(model.predict_proba(rows)[:, 1], dtype=np.float64)

    return score


def _fit_network(
    rows: Rows, from_candidate: NDArray[np.bool_], categorical: tuple[int, ...], state: int
) -> Scorer:
    """A small regularised network on standardised numbers and indicators of classes."""
    import warnings

    from sklearn.compose import make_column_transformer
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    prepare = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(categorical)),
        remainder=StandardScaler(),
    )
    network = MLPClassifier((64,), alpha=0.01, batch_size=256, max_iter=8, random_state=state)
    model = make_pipeline(prepare, network)
    with warnings.catch_warnings():  # it is stopped after few passes on purpose
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, from_candidate)

    def score(rows: Rows) -> NDArray[np.float64]:
        return np.asarray(model.predict_proba(rows)[:, 1], dtype=np.float64)

    return score


DISCRIMINATORS = Registry[DiscriminatorRecord](
    "discriminator",
    [
        DiscriminatorRecord(
            name="boosting",
            title="Gradient boosting",
            paper="Lopez-Paz & Oquab 2017 (the test); Ke et al. 2017 (the classifier)",
            fit=fit_boosting,
            rich=False,
            neighbors=100,
        ),
        DiscriminatorRecord(
            name="strong",
            title="Boosting, trees and a network on a rich context",
            paper="Lopez-Paz & Oquab 2017 (the test); ours",
            fit=fit_strong,
            rich=True,
            neighbors=300,
        ),
    ],
)
"All discriminators."
