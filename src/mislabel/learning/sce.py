"""SCE: symmetric cross-entropy, L = alpha * CE + beta * RCE.

With p the prediction, y the label's one-hot vector and log 0 = A:

    CE  = -sum_k y_k log p_k = -log p_z
    RCE = -sum_k p_k log y_k = -A * (1 - p_z)

Source: Wang, Ma, Chen, Luo, Yi and Bailey, "Symmetric Cross Entropy for Robust Learning with Noisy
Labels", ICCV 2019, sections 3.2 and 4; A = -4. Reverse cross-entropy is mean absolute error but
for a factor, hence robust and slow to learn by itself; cross-entropy is what makes it converge.

Published are alpha = 0.1, beta = 1 for CIFAR-10, and alpha = 6, beta = 0.1 for CIFAR-100. The
defaults are those for CIFAR-10, whatever the data, so that a spec always means the same.

Pitfalls: with a hundred classes a fresh network gives each label about 1 %, where the reverse part
hardly pulls (its gradient carries the factor p_z); take ``sce:alpha=6,beta=0.1`` there. With a
large alpha it is cross-entropy and fits wrong labels. beta and A enter only as a product.

Not copied: the authors' code replaces the zeros of y by 1e-4, so that A is in fact log 1e-4 = -9.2
there (that is beta = 2.3 here for their 1), and cuts p off at 1e-7 in the cross-entropy, below
which an example does not pull any more.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional

from mislabel.errors import InputError
from mislabel.learning.base import MethodRecord, NoisyLabelClassifier
from mislabel.learning.objective import Objective
from mislabel.learning.problem import TrainingProblem

LOG_ZERO = -4.0
"A of the paper."


@dataclass(kw_only=True, eq=False, repr=False)
class SCE(NoisyLabelClassifier):
    """Symmetric cross-entropy. alpha, beta: weights of the cross-entropy and of the reverse one,
    from 0, not both 0. Else as `NoisyLabelClassifier`.
    """

    name: ClassVar[str] = "sce"
    alpha: float = 0.1
    beta: float = 1.0

    def check_parameters(self) -> None:
        super().check_parameters()
        for name in ("alpha", "beta"):
            value = getattr(self, name)
            if not (value >= 0 and isfinite(value)):
                raise InputError(name, value, "must be a finite number from 0")
        if self.alpha == self.beta == 0:
            raise InputError("beta", self.beta, "must be above 0 where alpha is 0")

    def _objective(self, problem: TrainingProblem, n_classes: int, features: Any) -> Objective:
        return SymmetricCrossEntropy(problem.labels, alpha=self.alpha, beta=self.beta)


class SymmetricCrossEntropy(Objective):
    """alpha * CE + beta * RCE against labels (N,)."""

    def __init__(self, labels: Tensor, *, alpha: float, beta: float) -> None:
        self.labels, self.alpha, self.beta = labels, alpha, beta

    def loss(self, logits: Tensor, index: Tensor) -> Tensor:
        return symmetric_cross_entropy(logits, self.labels[index], alpha=self.alpha, beta=self.beta)


def symmetric_cross_entropy(logits: Tensor, labels: Tensor, *, alpha: float, beta: float) -> Tensor:
    """Mean of alpha * CE + beta * RCE over a batch. logits: (B, C); labels: (B,)."""
    log_chance = functional.log_softmax(logits, dim=1).gather(1, labels[:, None])
    reverse = LOG_ZERO * log_chance.expm1()  # -A (1 - p_z), exact for p_z near 1
    return (beta * reverse - alpha * log_chance).mean()


RECORD = MethodRecord(
    name=SCE.name,
    title="SCE",
    paper="Wang et al. 2019",
    estimator=SCE,
    example="sce:alpha=0.1,beta=1",
    advice="cross-entropy tempered by a loss that bounds what one wrong label can do",
)
