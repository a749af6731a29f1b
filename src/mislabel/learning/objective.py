"""What a method changes about training: its objective.

The training loop asks the objective for the loss of each batch, and tells it when an epoch ends
and what was predicted in it, so that a method may correct labels or reweight examples.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class Objective(ABC):
    """The loss of a method. Tensors it holds per example lie on the training device."""

    @abstractmethod
    def loss(self, logits: Tensor, index: Tensor) -> Tensor:
        """Mean loss of a batch. logits: (B, C); index: (B,) positions of the examples."""

    def end_epoch(self, epoch: int, predicted: Tensor) -> None:  # noqa: B027 - optional hook
        """Called after each epoch with the classes predicted while training, (N,)."""

    def noise_scores(self) -> Tensor | None:
        """(N,) how likely each given label is wrong, or None where the loss has no opinion."""
        return None

    def corrected_labels(self) -> Tensor | None:
        """(N,) labels after correction, or None where there is none."""
        return None

    def state(self) -> dict[str, Any]:
        """What the rest of the training depends on, for checkpoints; see `Learner.extra_state`."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - often nothing
        """Take back what `state` gave; tensors come on the CPU."""


class CrossEntropy(Objective):
    """Cross-entropy against labels (N,) or soft targets (N, C)."""

    def __init__(self, targets: Tensor) -> None:
        self.targets = targets

    def loss(self, logits: Tensor, index: Tensor) -> Tensor:
        return functional.cross_entropy(logits, self.targets[index])


class GeneralisedCrossEntropy(Objective):
    """(1 - p_z^q) / q with p clamped from below, against labels (N,)."""

    def __init__(self, labels: Tensor, q: float) -> None:
        self.labels, self.q = labels, q

    def loss(self, logits: Tensor, index: Tensor) -> Tensor:
        return generalised_cross_entropy(logits, self.labels[index], self.q)


SMALLEST_PROBABILITY = 1e-6


def generalised_cross_entropy(logits: Tensor, labels: Tensor, q: float) -> Tensor:
    """Mean of (1 - p_z^q) / q over a batch; p clamped at 1e-6 (Zhang & Sabuncu 2018)."""
    p = torch.softmax(logits, dim=1).gather(1, labels[:, None]).clamp(min=SMALLEST_PROBABILITY)
    return ((1 - p**q) / q).mean()
