"""Labels that are cleaned in a moment, with known answers."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.cleaning import CleanedLabels, clean_labels
from mislabel.labels import NoisyLabels, Receipt

N, C = 300, 3
NAMES = ("cat", "dog", "cow")


def points() -> NDArray[np.float32]:
    """(300, 2): three clouds far from each other."""
    far = 20 * np.float32([[0, 0], [1, 0], [0, 1]])[clean()]
    return (far + np.random.default_rng(0).normal(size=(N, 2))).astype(np.float32)


def clean() -> NDArray[np.int64]:
    return np.arange(N) % C


def noisy() -> NDArray[np.int64]:
    """Every tenth label is the next class's."""
    return np.where(np.arange(N) % 10 == 0, (clean() + 1) % C, clean())


@cache
def cleaned(known: bool = True) -> CleanedLabels:
    """The noisy labels, cleaned."""
    receipt = Receipt(generator="by hand")
    labels = NoisyLabels(noisy(), clean_labels=clean() if known else None, receipt=receipt)
    return clean_labels(labels, points(), class_names=NAMES, seed=3)


@cache
def undetermined() -> CleanedLabels:
    """Labels drawn at random, without regard to the points."""
    labels = np.random.default_rng(1).integers(0, C, N)
    known = NoisyLabels(labels, clean_labels=clean(), n_classes=C)
    return clean_labels(known, points(), class_names=NAMES)


def by_hand(**changes: Any) -> CleanedLabels:
    """Four labels: 0 is kept, 1 rightly and 2 wrongly changed, 3 is wrong and kept."""
    targets = np.float32([[0.9, 0.1], [0.8, 0.2], [0.25, 0.75], [0.65, 0.35]])
    content: dict[str, Any] = {
        "labels": np.array([0, 1, 0, 0]),
        "corrected_labels": np.array([0, 0, 1, 0]),
        "targets": targets,
        "clean_labels": np.array([0, 0, 0, 1]),
        "class_names": ("a", "b"),
        "determined": True,
        "stability": 0.95,
        "patch_rate": 0.0,
        "scattered_rate": 0.25,
        "receipt": {"generator": "by hand", "seed": 0, "versions": {}, "inputs": {}},
    }
    return CleanedLabels(**content | changes)
