"""Standard training that keeps what the network said while it trained.

PMD noise (Zhang et al. 2021) is made of a network's class probabilities, recorded in the last
epoch's training pass: in training mode, on the augmented example, before the step that learns from
it. An objective sees the logits of every batch, so that recording them is an objective.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mislabel.learning.objective import CrossEntropy, Objective
from mislabel.learning.problem import TrainingProblem
from mislabel.learning.standard import Standard


class RecordedCrossEntropy(CrossEntropy):
    """Cross-entropy that keeps `probabilities` (N, C): the last ones that each example had."""

    def __init__(self, labels: Tensor, n_classes: int) -> None:
        super().__init__(labels)
        self.probabilities = labels.new_zeros((len(labels), n_classes)).float()

    def loss(self, logits: Tensor, index: Tensor) -> Tensor:
        self.probabilities[index] = logits.detach().softmax(dim=1)
        return super().loss(logits, index)

    def state(self) -> dict[str, Any]:
        return {"probabilities": self.probabilities}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.probabilities = state["probabilities"].to(self.targets.device)


@dataclass(kw_only=True, eq=False, repr=False)
class RecordedStandard(Standard):
    """Standard training. After `fit` there is also `training_probabilities_` (N, C).

    These are the class probabilities of the last epoch's training pass, columns in the order of
    `classes_`.
    """

    name: ClassVar[str] = "recorded"

    def _objective(self, problem: TrainingProblem, n_classes: int, features: Any) -> Objective:
        self._recorded = RecordedCrossEntropy(problem.labels, n_classes)
        return self._recorded

    @property
    def training_probabilities_(self) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._recorded.probabilities.cpu().numpy()
        return found
