"""ELR: early-learning regularisation, which holds a network to what it first believed.

With p the prediction for an example, z its label and t a running mean of its predictions:

    t <- beta * t + (1 - beta) * p,    L = -log p_z + lambda * log(1 - <p, t>)

Source: Liu, Niles-Weed, Razavian and Fernandez-Granda, "Early-Learning Regularization Prevents
Memorization of Noisy Labels", NeurIPS 2020, sections 3 and 4. Networks learn clean labels first.
The second part grows ever steeper as p agrees with t, and so outweighs the pull of a label that
the early network contradicted; t starts at 0, is updated in each batch before the loss, and no
gradient goes through it. Published are lambda = 3, beta = 0.7 for CIFAR-10, the defaults, and
lambda = 7, beta = 0.9 for CIFAR-100.

As in the authors' code, p is kept between 1e-4 and 1 - 1e-4 in the second part, without which
<p, t> reaches 1 in float32 and the loss minus infinity, and what enters t is scaled to sum 1 again.

Pitfalls: the loss becomes negative. Beliefs before the network has learnt anything are held on to
as well: with few steps per epoch, a large lambda and a small beta it stays near its first guess.
ELR+ (two networks, weight averaging, mixup) is not this.

Useful: t is per example what the network believes, so a label is as likely wrong as t does not
give it, and the corrected label is its largest entry.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from mislabel.errors import InputError
from mislabel.learning.base import MethodRecord, NoisyLabelClassifier
from mislabel.learning.objective import Objective
from mislabel.learning.problem import TrainingProblem

SMALLEST_PROBABILITY = 1e-4
"Probabilities are kept from 0 and 1 by this much in the regulariser."


@dataclass(kw_only=True, eq=False, repr=False)
class ELR(NoisyLabelClassifier):
    """Early-learning regularisation.

    weight: of the regulariser (lambda in the paper), from 0. beta: how much of the running mean
    stays at each update, from 0 to below 1. Else as `NoisyLabelClassifier`.
    """

    name: ClassVar[str] = "elr"
    weight: float = 3.0
    beta: float = 0.7

    def check_parameters(self) -> None:
        super().check_parameters()
        if not (self.weight >= 0 and isfinite(self.weight)):
            raise InputError("weight", self.weight, "must be a finite number from 0")
        if not 0 <= self.beta < 1:
            raise InputError("beta", self.beta, "must be at least 0 and below 1")

    def _objective(self, problem: TrainingProblem, n_classes: int, features: Any) -> Objective:
        return EarlyLearning(problem.labels, n_classes, weight=self.weight, beta=self.beta)


class EarlyLearning(Objective):
    """Cross-entropy with labels (N,) and the regulariser; see the module.

    beliefs: (N, C), t of the paper; rows sum to 1 - beta^k after k updates.
    """

    def __init__(self, labels: Tensor, n_classes: int, *, weight: float, beta: float) -> None:
        self.labels, self.weight, self.beta = labels, weight, beta
        self.beliefs = torch.zeros(len(labels), n_classes, device=labels.device)

    def loss(self, logits: Tensor, index: Tensor) -> Tensor:
        chance = kept_from_the_ends(torch.softmax(logits, dim=1))
        beliefs = updated_beliefs(self.beliefs[index], chance.detach(), self.beta)
        self.beliefs[index] = beliefs.to(self.beliefs.dtype)
        return functional.cross_entropy(
            logits, self.labels[index]
        ) + self.weight * early_learning_term(chance, beliefs)

    def noise_scores(self) -> Tensor:
        """One less the share of the label in what the network believes."""
        given = self.beliefs.gather(1, self.labels[:, None]).squeeze(1)
        return 1 - given / self.beliefs.sum(dim=1).clamp(min=torch.finfo(given.dtype).tiny)

    def corrected_labels(self) -> Tensor:
        """The class that the network believes in most."""
        return self.beliefs.argmax(dim=1)

    def state(self) -> dict[str, Any]:
        return {"beliefs": self.beliefs}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.beliefs.copy_(state["beliefs"])


def kept_from_the_ends(chance: Tensor) -> Tensor:
    """Probabilities kept between 1e-4 and 1 - 1e-4."""
    return chance.clamp(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)


def updated_beliefs(beliefs: Tensor, chance: Tensor, beta: float) -> Tensor:
    """beta * t + (1 - beta) * p / sum p, row by row. Both (B, C)."""
    return beta * beliefs + (1 - beta) * chance / chance.sum(dim=1, keepdim=True)


def early_learning_term(chance: Tensor, beliefs: Tensor) -> Tensor:
    """Mean of log(1 - <p, t>) over a batch. Both (B, C)."""
    return (1 - (chance * beliefs).sum(dim=1)).log().mean()


RECORD = MethodRecord(
    name=ELR.name,
    title="ELR",
    paper="Liu et al. 2020",
    estimator=ELR,
    example="elr:weight=3,beta=0.7",
    advice="keeps what was learnt before wrong labels are fitted; needs no noise rate",
)
