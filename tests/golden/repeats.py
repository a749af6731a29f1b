"""Trainings that are done again elsewhere, and all that must come out equal."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mislabel.data import load_data
from mislabel.executor import LocalExecutor
from mislabel.files import hash_array
from mislabel.learning import METHODS
from mislabel.learning.base import Evaluation

N, N_TEST = 64, 50


@dataclass(frozen=True)
class Training:
    """Two epochs of a method on some of the digits, a fifth of their labels wrong."""

    method: str
    network: str

    def __str__(self) -> str:
        return f"{self.method} {self.network}"


def train(training: Training) -> dict[str, Any]:
    """Curves, and hashes of all weights, of predictions and of what a method says of labels."""
    digits = load_data("digits")
    x, clean = digits.x_train[:N], digits.y_train[:N]
    labels = np.where(np.arange(N) % 5 == 0, (clean + 1) % 10, clean)
    settings: dict[str, Any] = {"network": training.network, "epochs": 2, "seed": 7}
    method = METHODS[training.method].estimator(device="cpu", **settings)
    tested = Evaluation(
        x_test=digits.x_test[:N_TEST], y_test=digits.y_test[:N_TEST], clean_labels=clean
    )
    method.fit(x, labels, classes=np.arange(10), evaluation=tested)
    found = {
        "test_predictions": method.test_predictions_,
        "probabilities": method.predict_proba(x),
        "noise_scores": method.noise_scores_,
        "corrected_labels": method.corrected_labels_,
    } | {name: weight.numpy() for name, weight in method.network_.state_dict().items()}
    hashes = {name: None if array is None else hash_array(array) for name, array in found.items()}
    return {"threads": method.provenance_["threads"], "curves": method.curves_, **hashes}


class StopsAtTheSecond(LocalExecutor):
    """Fails when the second run is there: one is told of, the others are not."""

    def run(self, *work: Any, **options: Any) -> Iterator[Any]:
        results = super().run(*work, **options)
        yield next(results)
        next(results)
        raise RuntimeError("stopped")
