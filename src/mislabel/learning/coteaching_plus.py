"""Co-teaching+: Co-teaching on the examples that the two networks disagree about.

After `warmup_epochs` of Co-teaching, only the examples D' of a batch are used that the networks
predict differently, and of these each network learns from the share lambda(e) that has the smallest
loss for the other:

    D' = {i: argmax f(x_i) != argmax g(x_i)},   lambda(e) = 1 - tau * min(e / E_k, 1)

Source: Yu et al., "How does Disagreement Help Generalization against Label Corruption?", ICML
2019, Algorithm 1. Two networks trained on the same data grow alike, and Co-teaching becomes
self-training; disagreement keeps them apart. tau, E_k (`ramp_epochs`) and the counting as in
`mislabel.learning.coteaching`. The warm-up is the authors' setting: 20 of 200 epochs for ten
classes, 5 for a hundred, none for simple data.

A batch without disagreement teaches nothing: both networks stay as they are, momentum and weight
decay included. That is decided on the device (`Learner.step` is told through the optimiser's
`found_inf`, which PyTorch's gradient scaler uses for the same end), so that nothing waits for it.

Pitfalls: where the networks agree, they agree on wrong labels too, once fitted: the warm-up should
end before that. With few classes or easy data little disagreement is left to learn from.

Departures of the original code that are not copied: softmax outputs are fed into cross-entropy, so
that its gradient nearly vanishes; the mean is divided by the number of examples again; example 0
is dropped (and where it comes, the wrong one with it); without disagreement all examples are used
for a while (`epoch * batch < 5000`), and then a step with gradient zero is made, by momentum.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mislabel.learning.base import MethodRecord, Task
from mislabel.learning.coteaching import (
    NETWORKS,
    CoTeaching,
    CoTeachingLearner,
    KnownRate,
    check_epochs,
    exchanged_losses,
    share_of,
)
from mislabel.learning.learner import Learner
from mislabel.learning.networks.coteaching_cnn import MANY_CLASSES

WARMUP_SHARE = 20 / 200
"Of the epochs, as published for CIFAR-10."
WARMUP_SHARE_MANY = 5 / 200
"As published for CIFAR-100; taken where the recipe is lim2025 and the classes are many."


@dataclass(kw_only=True, eq=False, repr=False)
class CoTeachingPlus(CoTeaching):
    """Co-teaching, then on disagreement only; see the module.

    warmup_epochs: of Co-teaching, 0 for none; None is a tenth of the epochs (20 of 200), at least
    1, and with the recipe "lim2025" and more than 20 classes a fortieth (5 of 200). Else as
    `CoTeaching`.
    """

    name: ClassVar[str] = "coteaching-plus"
    warmup_epochs: int | None = None

    def check_parameters(self) -> None:
        super().check_parameters()
        check_epochs("warmup_epochs", self.warmup_epochs, smallest=0)

    def _learner(self, task: Task) -> Learner:
        many = self.recipe == "lim2025" and task.n_classes > MANY_CLASSES
        share = WARMUP_SHARE_MANY if many else WARMUP_SHARE
        warmup = self.warmup_epochs
        return CoTeachingPlusLearner(
            task,
            self._rate(task),
            ramp_epochs=self._ramp(task.recipe.epochs),
            warmup_epochs=share_of(task.recipe.epochs, share) if warmup is None else warmup,
        )


class CoTeachingPlusLearner(CoTeachingLearner):
    """After the warm-up, updates on disagreement."""

    def __init__(
        self, task: Task, rate: KnownRate, *, ramp_epochs: int, warmup_epochs: int
    ) -> None:
        super().__init__(task, rate, ramp_epochs=ramp_epochs)
        self.warmup_epochs = warmup_epochs
        for optimizer in self.optimizers.values():
            start_at_rest(optimizer)

    def update(
        self, epoch: int, logits: list[Tensor], labels: Tensor, remember: float
    ) -> list[Tensor]:
        if epoch < self.warmup_epochs:
            return super().update(epoch, logits, labels, remember)
        among = logits[0].argmax(dim=1) != logits[1].argmax(dim=1)
        losses = exchanged_losses(logits, labels, remember, among)
        for name, loss in zip(NETWORKS, losses, strict=True):
            self.step_if(name, loss, among.any())
        return losses

    def step_if(self, name: str, loss: Tensor, wanted: Tensor) -> None:
        """A step where `wanted`, a truth value on the device; else nothing changes."""
        optimizer = self.optimizers[name]
        optimizer.found_inf = 1 - wanted.float()  # type: ignore[attr-defined]
        self.step(name, loss)
        del optimizer.found_inf  # type: ignore[attr-defined]


def start_at_rest(optimizer: torch.optim.Optimizer) -> None:
    """Give SGD the momentum zero that it starts with; else a first step left out would not."""
    if isinstance(optimizer, torch.optim.SGD):
        for group in optimizer.param_groups:
            for weight in group["params"]:
                optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)


RECORD = MethodRecord(
    name=CoTeachingPlus.name,
    title="Co-teaching+",
    paper="Yu et al. 2019",
    estimator=CoTeachingPlus,
    positional="noise_rate",
    example="coteaching-plus:noise_rate=0.3",
    advice="Co-teaching on what the two networks disagree about; for many classes",
)
