"""Standard + SNLS: cross-entropy with soft neighbour targets.

Source: Lim, Larson and Leach 2025; see `mislabel.learning.targets`. Labels and features are fixed,
so neighbours and targets are computed once, before training.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from mislabel.features import nearest_neighbors
from mislabel.labels import check_count
from mislabel.learning.base import MethodRecord, NoisyLabelClassifier
from mislabel.learning.objective import CrossEntropy
from mislabel.learning.problem import TrainingProblem
from mislabel.learning.targets import check_alpha, soft_neighbor_targets, usable_neighbors


@dataclass(kw_only=True, eq=False, repr=False)
class SNLS(NoisyLabelClassifier):
    """Soft neighbour targets in the features given to `fit`, or in the examples themselves.

    k: neighbours, capped at half the mean size of a class, so that a small data set does not
    blur its classes into each other. alpha: weight of the example's own label, 0 to 1. Else as
    `NoisyLabelClassifier`.
    """

    name: ClassVar[str] = "snls"
    k: int = 100
    alpha: float = 0.3

    def check_parameters(self) -> None:
        super().check_parameters()
        check_count(self.k, "k")
        check_alpha(self.alpha)

    def _objective(self, problem: TrainingProblem, n_classes: int, features: Any) -> "SoftTargets":
        self.k_ = usable_neighbors(self.k, len(problem.labels), n_classes)
        return neighbor_targets(problem.labels, features, n_classes, k=self.k_, alpha=self.alpha)


class SoftTargets(CrossEntropy):
    """Cross-entropy against soft targets that were made before training, with what they tell.

    targets: (N, C). scores: (N,) noise scores. corrected: (N,) labels.
    """

    def __init__(self, targets: Tensor, scores: Tensor, corrected: Tensor) -> None:
        super().__init__(targets)
        self.scores, self.corrected = scores, corrected

    def noise_scores(self) -> Tensor:
        return self.scores

    def corrected_labels(self) -> Tensor:
        return self.corrected


def neighbor_targets(
    labels: Tensor, features: Any, n_classes: int, *, k: int, alpha: float
) -> SoftTargets:
    """Soft neighbour targets for labels (N,) on a device, from neighbours in features (N, d).

    A noise score is one less the share of neighbours with the same label; a corrected label is the
    class that the target favours.
    """
    _, neighbors = nearest_neighbors(features, k)
    share = torch.from_numpy(
        soft_neighbor_targets(labels.cpu().numpy(), neighbors, n_classes, alpha=0.0)
    ).to(labels.device)
    own = functional.one_hot(labels, n_classes).to(share.dtype)
    targets = (1 - alpha) * share + alpha * own
    scores = 1 - share.gather(1, labels[:, None]).squeeze(1)
    return SoftTargets(targets, scores, targets.argmax(dim=1))


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
