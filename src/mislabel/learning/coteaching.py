"""Co-teaching: two networks, each learning from what the other finds easiest.

In every batch both networks f and g rank the examples by their own cross-entropy, and each is
updated on the share R(t) that has the smallest loss *for the other*:

    R(t) = 1 - tau * min(t / T_k, 1),       t epochs done, T_k = ramp_epochs
    f <- step on mean of loss_f over the ceil(R(t) B) examples of smallest loss_g, and the reverse

Source: Han et al., "Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy
Labels", NeurIPS 2018, Algorithm 1 (which asks for *at least* R(t) B examples, hence ceil); tau is
the share of wrong labels. Networks fit right labels first, and two of them err differently, so that
an error which one lets through is not strengthened by itself.

Pitfalls. tau is what the method stands on: given too small, wrong labels are fitted; too large,
hard examples are never seen. It is taken as `noise_rate`, or estimated from the noisy labels
(`mislabel.learning.noise_rate`, which says when to mistrust it). At least one example is always
kept. With R(t) = 1 nothing is selected and the networks are two independent Standard trainings.

Departures of the original code that are not copied: it divides the mean loss by the number of
examples again, keeps all of a batch where the number to keep comes to none, begins at the ramp's
second value, and rounds the number kept down. Both networks see the same augmented images, as
there.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mislabel.errors import InputError
from mislabel.learning.base import MethodRecord, NoisyLabelClassifier, Task
from mislabel.learning.learner import Learner, Pass
from mislabel.learning.noise_rate import NoiseRate, estimate_noise_rate
from mislabel.learning.recipes import Recipe, lim2025_coteaching
from mislabel.seeds import child_seed

NETWORKS = ("network", "second")
RAMP_SHARE = 10 / 200
"Of the epochs: T_k as published."
ROUNDING = 1e-9
"How far a product of a share and a count may exceed a whole number and still be that number."


@dataclass(kw_only=True, eq=False, repr=False)
class CoTeaching(NoisyLabelClassifier):
    """Two networks; see the module. The first predicts, `networks_` has both.

    noise_rate: share of wrong labels, 0 to 1; None estimates it from a held-out part of the noisy
    labels before training, or takes 0 where the recipe is "lim2025", since the study ran so.
    ramp_epochs: T_k; None is a twentieth of the epochs (10 of 200, as published), at least 1.
    recipe: "lim2025" is the study's for this method: a LeNet-like network up to 20 classes, beyond
    them six convolutions, Adam, 200 epochs. Else as `NoisyLabelClassifier`.

    After `fit` also `noise_rate_` and `noise_rate_source_`: "given", "estimated on N held-out
    labels", or "preset lim2025". `noise_scores_` is one less the probability of the given label
    while training, mean of both networks and all epochs: what is not selected is not fitted.
    """

    name: ClassVar[str] = "coteaching"
    noise_rate: float | None = None
    ramp_epochs: int | None = None

    def check_parameters(self) -> None:
        super().check_parameters()
        rate = self.noise_rate
        if rate is not None and not (isfinite(rate) and 0 <= rate <= 1):
            raise InputError("noise_rate", rate, "must be between 0 and 1")
        check_epochs("ramp_epochs", self.ramp_epochs, smallest=1)

    def resolve_recipe(self, example_shape: tuple[int, ...]) -> Recipe:
        if self.recipe != "lim2025":
            return super().resolve_recipe(example_shape)
        study = copy.copy(self)
        study.recipe = lim2025_coteaching()
        return study.resolve_recipe(example_shape)

    def _learner(self, task: Task) -> Learner:
        return CoTeachingLearner(task, self._rate(task), ramp_epochs=self._ramp(task.recipe.epochs))

    def _ramp(self, epochs: int) -> int:
        return share_of(epochs, RAMP_SHARE) if self.ramp_epochs is None else self.ramp_epochs

    def _rate(self, task: Task) -> "KnownRate":
        """The noise rate, or how to find it."""
        if self.noise_rate is not None:
            return KnownRate(float(self.noise_rate), "given")
        if self.recipe == "lim2025":
            return KnownRate(0.0, "preset lim2025")
        if len(task.problem.labels) < 2:
            rule = "cannot be estimated on 1 example; give it"
            raise InputError("noise_rate", self.noise_rate, rule)
        return KnownRate(None, "", lambda: self._estimate(task))

    def _estimate(self, task: Task) -> NoiseRate:
        """Estimate the rate on the examples that are trained on, with the method's own network."""
        examples = task.problem.examples
        return estimate_noise_rate(
            examples.raw(),
            task.problem.labels.cpu().numpy(),
            recipe=task.recipe,
            network=self.network,
            augment="crop-flip" if examples.augment else "none",
            seed=child_seed(self.seed, "noise rate"),
            device=examples.device.type,
        )

    def _keep(
        self,
        learner: Learner,
        train_on: NDArray[np.int64],
        validate_on: NDArray[np.int64],
        encoded: NDArray[np.int64],
    ) -> None:
        super()._keep(learner, train_on, validate_on, encoded)
        assert isinstance(learner, CoTeachingLearner) and learner.rate.value is not None
        self.noise_rate_ = learner.rate.value
        self.noise_rate_source_ = learner.rate.source


@dataclass(slots=True)
class KnownRate:
    """A noise rate, where it is from, and while it is not known, how to find it."""

    value: float | None
    source: str
    find: Callable[[], NoiseRate] | None = None

    def get(self) -> float:
        """The rate; looked for when first asked for."""
        if self.value is None:
            assert self.find is not None
            found = self.find()
            self.value = found.rate
            self.source = f"estimated on {found.n_held_out} held-out labels"
        return self.value


class CoTeachingLearner(Learner):
    """Two networks on the same batches; each selects for the other."""

    def __init__(self, task: Task, rate: KnownRate, *, ramp_epochs: int) -> None:
        super().__init__(task.problem, task.recipe, task.seeds)
        self.rate, self.ramp_epochs = rate, ramp_epochs
        for name in NETWORKS:
            self.add_network(name, task.build(name))
        self.network = self.networks[NETWORKS[0]]
        self._second = Pass(task.problem)

    def train_epoch(self, epoch: int) -> Pass:
        """The pass of the first network, with its loss on what was selected for it."""
        remember = remembered(epoch, self.rate.get(), self.ramp_epochs)
        seen = [Pass(self.problem) for _ in NETWORKS]
        for name in NETWORKS:
            self.networks[name].train()
        batches = self.batches()
        for number, index in enumerate(batches):
            self.set_learning_rate(epoch, number, len(batches))
            inputs = self.problem.examples.batch(index, self.generator("augmentation"))
            logits = [self.forward(self.networks[name], inputs) for name in NETWORKS]
            losses = self.update(epoch, logits, self.problem.labels[index], remember)
            for one, values, loss in zip(seen, logits, losses, strict=True):
                one.add(index, values, loss)
        self._second = seen[1]
        return seen[0]

    def update(
        self, epoch: int, logits: list[Tensor], labels: Tensor, remember: float
    ) -> list[Tensor]:
        """Both networks make a step; their losses. logits: two of (B, C); labels: (B,)."""
        losses = exchanged_losses(logits, labels, remember)
        for name, loss in zip(NETWORKS, losses, strict=True):
            self.step(name, loss)
        return losses

    def end_epoch(self, epoch: int, seen: Pass) -> None:
        super().end_epoch(epoch, seen)
        super().end_epoch(epoch, self._second)

    def extra_state(self) -> dict[str, Any]:
        return {"noise_rate": self.rate.value, "source": self.rate.source}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.rate.value, self.rate.source = state["noise_rate"], state["source"]


def remembered(epoch: int, noise_rate: float, ramp_epochs: int) -> float:
    """R(t) after `epoch` epochs: from 1 to 1 - noise_rate, linearly over the ramp."""
    return 1 - noise_rate * min(epoch / ramp_epochs, 1)


def exchanged_losses(
    logits: list[Tensor], labels: Tensor, remember: float, among: Tensor | None = None
) -> list[Tensor]:
    """Mean cross-entropy of each of two networks over what the other selects.

    logits: two of (B, C). labels: (B,). remember: share that is kept. among: (B,) bool, the
    examples that may be selected; None is all. Where none may, both losses are 0.
    """
    if among is None and remember == 1:
        return [functional.cross_entropy(values, labels) for values in logits]
    own = [functional.cross_entropy(values, labels, reduction="none") for values in logits]
    everything = torch.ones_like(labels, dtype=torch.bool) if among is None else among
    kept = [smallest_losses(losses.detach(), remember, everything) for losses in own]
    return [mean_over(own[0], kept[1]), mean_over(own[1], kept[0])]


def smallest_losses(losses: Tensor, remember: float, among: Tensor) -> Tensor:
    """(B,) bool: of the examples `among`, the share `remember` with the smallest losses.

    Rounded up, at least one if there is one; of equal losses the first. No value leaves the
    device. losses: (B,). among: (B,) bool.
    """
    count = torch.ceil(remember * among.sum().double() - ROUNDING).clamp(min=1)
    order = torch.where(among, losses, torch.inf).argsort(stable=True)
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
    return (rank < count) & among


def mean_over(losses: Tensor, kept: Tensor) -> Tensor:
    """The mean of the losses (B,) that are kept (B,), 0 where none is."""
    return torch.where(kept, losses, 0).sum() / kept.sum().clamp(min=1)


def share_of(epochs: int, share: float) -> int:
    """That share of the epochs, at least 1."""
    return max(1, round(share * epochs))


def check_epochs(name: str, value: int | None, *, smallest: int) -> None:
    """A number of epochs, or None."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if value is not None and (not whole or value < smallest):
        raise InputError(name, value, f"must be a whole number of at least {smallest}, or None")


RECORD = MethodRecord(
    name=CoTeaching.name,
    title="Co-teaching",
    paper="Han et al. 2018",
    estimator=CoTeaching,
    positional="noise_rate",
    example="coteaching:noise_rate=0.3",
    advice="two networks that choose each other's examples; stands or falls with the noise rate",
)
