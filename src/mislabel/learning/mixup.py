"""mixup: training on mixtures of two examples and of their labels.

    x' = m x_i + (1 - m) x_j,    L = m CE(f(x'), z_i) + (1 - m) CE(f(x'), z_j),    m ~ Beta(a, a)

Source: Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018,
section 2. As published there is one m per batch, and j runs over a random permutation of the same
batch, augmented once. A wrong label hurts less, since it is fitted only along all the lines to
other examples, and no input is ever shown with it alone.

alpha: the larger, the more even the mixtures; 0 is plain training. The paper takes 1 on clean CIFAR
and tries 1, 2, 8 and 32 where labels are wrong, of which 8 and 32 memorise least (section 3.4);
the default is 8, its best at moderate rates. Pitfall: many know mixup with 1 only; say which.

What is recorded: the network never sees an unmixed example, so the predictions of training, their
curves and the noise scores are of mixtures. Here m is the larger of the two shares (m and 1 - m,
and a permutation and its inverse, are equally likely, so mixtures and loss are distributed as
published), and a mixture stands for its dominant example: every example comes once an epoch, with
a share of a half or more. These accuracies are lower than on the examples themselves.

m is the quantile function of the Beta distribution at a uniform number from a generator of the
learner; no global state is touched, and nothing waits for the device.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

import torch
from scipy.special import betaincinv
from torch import Tensor

from mislabel.errors import InputError
from mislabel.learning.base import MethodRecord, NoisyLabelClassifier, Task
from mislabel.learning.learner import SingleNetwork
from mislabel.learning.objective import CrossEntropy, Objective
from mislabel.learning.problem import TrainingProblem

SHARE = "mixing share"


@dataclass(kw_only=True, eq=False, repr=False)
class Mixup(NoisyLabelClassifier):
    """mixup. alpha: of the Beta distribution of shares, from 0. Else as `NoisyLabelClassifier`."""

    name: ClassVar[str] = "mixup"
    alpha: float = 8.0

    def check_parameters(self) -> None:
        super().check_parameters()
        if not (self.alpha >= 0 and isfinite(self.alpha)):
            raise InputError("alpha", self.alpha, "must be a finite number from 0")

    def _objective(self, problem: TrainingProblem, n_classes: int, features: Any) -> Objective:
        return CrossEntropy(problem.labels)

    def _learner(self, task: Task) -> "MixupLearner":
        objective = self._objective(task.problem, task.n_classes, task.features)
        network = task.build("network")
        return MixupLearner(
            network, task.problem, objective, task.recipe, task.seeds, alpha=self.alpha
        )


class MixupLearner(SingleNetwork):
    """One network whose batches are mixed with themselves, in another order."""

    def __init__(self, *arguments: Any, alpha: float) -> None:
        super().__init__(*arguments)
        self.alpha = alpha
        # Made before a state is loaded, and on the CPU, where its numbers are asked for.
        self.generator(SHARE, on_device=False)

    def batch_loss(self, index: Tensor) -> tuple[Tensor, Tensor]:
        share = mixing_share(self.alpha, self.generator(SHARE, on_device=False))
        partner = torch.randperm(
            len(index), generator=self.generator("mixing partner"), device=self.device
        )
        inputs = self.problem.examples.batch(index, self.generator("augmentation"))
        logits = self.forward(self.network, share * inputs + (1 - share) * inputs[partner])
        own = self.objective.loss(logits, index)
        other = self.objective.loss(logits, index[partner])
        return logits, share * own + (1 - share) * other


def mixing_share(alpha: float, generator: torch.Generator) -> float:
    """The larger of m and 1 - m for one m from Beta(alpha, alpha)."""
    uniform = torch.rand((), generator=generator, dtype=torch.float64).item()
    drawn = float(betaincinv(alpha, alpha, uniform)) if alpha > 0 else 1.0
    return max(drawn, 1 - drawn)


RECORD = MethodRecord(
    name=Mixup.name,
    title="mixup",
    paper="Zhang et al. 2018",
    estimator=Mixup,
    positional="alpha",
    example="mixup:alpha=8",
    advice="mixtures of examples and labels; slows the fitting of single wrong labels",
)
