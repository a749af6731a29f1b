"""Standard + SNLS: cross-entropy with soft neighbour targets.

Source: Lim, Larson and Leach 2025; see `mislabel.learning.targets`. Labels and features are fixed,
so neighbours and targets are computed once, before training.
"""

from typing import Any, ClassVar

import torch

from mislabel.errors import InputError
from mislabel.features import nearest_neighbors
from mislabel.labels import check_count
from mislabel.learning.base import MethodRecord, NoisyLabelClassifier
from mislabel.learning.loop import TrainingProblem
from mislabel.learning.objective import CrossEntropy, Objective
from mislabel.learning.recipes import Recipe
from mislabel.learning.targets import check_alpha, soft_neighbor_targets


class SNLS(NoisyLabelClassifier):
    """Soft neighbour targets in the features given to `fit`, or in the examples themselves.

    k: neighbours, capped at half the mean size of a class, so that a small data set does not
    blur its classes into each other. alpha: weight of the example's own label, 0 to 1. Else as
    `NoisyLabelClassifier`.
    """

    name: ClassVar[str] = "snls"

    def __init__(
        self,
        *,
        k: int = 100,
        alpha: float = 0.3,
        recipe: str | Recipe = "auto",
        network: str | None = None,
        epochs: int | None = None,
        augment: str = "none",
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        super().__init__(
            recipe=recipe,
            network=network,
            epochs=epochs,
            augment=augment,
            seed=seed,
            device=device,
        )
        self.k = k
        self.alpha = alpha

    def check_parameters(self) -> None:
        super().check_parameters()
        check_count(self.k, "k")
        check_alpha(self.alpha)

    def _objective(self, problem: TrainingProblem, n_classes: int, features: Any) -> Objective:
        n_examples = len(problem.labels)
        if n_examples < 2:
            raise InputError("X", f"{n_examples} examples", "soft neighbour targets need 2")
        self.k_ = min(self.k, max(1, n_examples // (2 * n_classes)))
        _, neighbors = nearest_neighbors(features, self.k_)
        targets = soft_neighbor_targets(
            problem.labels.cpu().numpy(), neighbors, n_classes, alpha=self.alpha
        )
        return CrossEntropy(torch.from_numpy(targets).to(problem.labels.device))


RECORD = MethodRecord(
    name=SNLS.name,
    title="Standard + SNLS",
    paper="Lim, Larson & Leach 2025",
    estimator=SNLS,
    positional="k",
    uses_features=True,
    example="snls:k=100",
    advice="targets from the neighbours' labels; strong where neighbours are mostly right",
)
