"""One small problem that every registered estimator can work on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.labels import NoisyLabels
from mislabel.memorization import MemorizationScores
from mislabel.memorization.estimators import make_estimator

Floats = NDArray[np.float64]
N, C, D = 48, 3, 5
SMALL = {
    "neighbors": "neighbors:k=5",
    "early": "early:epochs=30,early=0.9",
    "subsets": "subsets:runs=40",
    "mlps": "mlps:members=40,epochs=10,width=8,batch=16",
}
"Specs that are quick; of others the record's example."


def features(seed: int = 0) -> NDArray[np.float32]:
    """(N, D) float32, three classes that overlap."""
    rng = np.random.default_rng(seed)
    return (1.5 * np.eye(C, D)[np.arange(N) % C] + rng.normal(size=(N, D))).astype(np.float32)


def noisy_labels(n_classes: int = C) -> NoisyLabels:
    """Every fourth label is wrong."""
    clean = np.arange(N) % C
    labels = np.where(np.arange(N) % 4 == 1, (clean + 1) % C, clean)
    return NoisyLabels(labels, clean_labels=clean, n_classes=n_classes)


def estimate(name: str, **changes: Any) -> MemorizationScores:
    """The estimator of that name on the problem, with other arguments."""
    given: dict[str, Any] = {"labels": noisy_labels(), "features": features(), "seed": 0}
    found = make_estimator(SMALL.get(name, name))
    arguments = given | changes
    return found(arguments.pop("labels"), arguments.pop("features"), **arguments)


def plain_weights(points: Floats, targets: Floats, penalty: float) -> Floats:
    """Ridge weights, the intercept last and not penalised, by least squares on added rows."""
    width = points.shape[1]
    rows = np.hstack([points, np.ones((len(points), 1))])
    added = np.hstack([np.sqrt(penalty) * np.eye(width), np.zeros((width, 1))])
    targets = np.vstack([targets, np.zeros((width, targets.shape[1]))])
    return np.linalg.lstsq(np.vstack([rows, added]), targets, rcond=None)[0]
