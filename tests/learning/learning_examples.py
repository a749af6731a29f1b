"""Small problems for the tests of learning, and objectives that record what training does."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mislabel.learning import METHODS, MethodRecord, NoisyLabelClassifier, Recipe
from mislabel.learning.objective import CrossEntropy
from mislabel.learning.resident import Normalisation, ResidentExamples

RECORDS = tuple(METHODS)
CPU = torch.device("cpu")


def blobs(
    n: int, n_classes: int, *, width: int = 5, spread: float = 1.0, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features (n, width) of round blobs far from each other, and their classes."""
    rng = np.random.default_rng(seed)
    centres = np.eye(n_classes, width) * 6
    labels = rng.permutation(np.arange(n) % n_classes)
    points = centres[labels] + rng.normal(scale=spread, size=(n, width))
    return points.astype(np.float32), labels


def pictures(
    n: int, n_classes: int, side: int, channels: int, *, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images uint8 (n, side, side, channels) whose brightness tells the class."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % n_classes)
    noise = rng.integers(0, 60, size=(n, side, side, channels))
    return (noise + 190 * labels[:, None, None, None] // n_classes).astype(np.uint8), labels


def make(record: MethodRecord, **parameters: Any) -> NoisyLabelClassifier:
    """A method that trains for two epochs on the CPU."""
    return record.estimator(**{"epochs": 2, "device": "cpu", **parameters})


def weights(method: NoisyLabelClassifier) -> dict[str, Tensor]:
    """All weights and statistics of the trained network."""
    return method.network_.state_dict()


def equal_weights(one: NoisyLabelClassifier, other: NoisyLabelClassifier) -> bool:
    """Whether two networks agree bit for bit."""
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def as_they_are(width: int) -> Normalisation:
    """A normalisation that changes nothing."""
    return Normalisation(mean=np.zeros(width, np.float32), deviation=np.ones(width, np.float32))


def resident(examples: NDArray[Any], **options: Any) -> ResidentExamples:
    """Examples on the CPU, not normalised."""
    return ResidentExamples(examples, as_they_are(examples.shape[-1]), CPU, **options)


def recipe(**changes: Any) -> Recipe:
    """A short MLP recipe."""
    settings = {"network": "mlp", "epochs": 3, "batch_size": 5, "learning_rate": 0.01}
    return Recipe(**settings | changes)


class Recorder(CrossEntropy):
    """Cross-entropy that keeps the indices of every batch and the predictions of every epoch."""

    def __init__(self, targets: Tensor) -> None:
        super().__init__(targets)
        self.batches: list[list[int]] = []
        self.predicted: list[NDArray[np.int64]] = []
        self.epochs: list[list[list[int]]] = []

    def loss(self, logits: Tensor, index: Tensor) -> Tensor:
        self.batches.append(index.tolist())
        return super().loss(logits, index)

    def end_epoch(self, epoch: int, predicted: Tensor) -> None:
        assert epoch == len(self.epochs)
        self.epochs.append(self.batches)
        self.predicted.append(predicted.numpy().copy())
        self.batches = []
