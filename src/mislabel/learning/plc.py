"""PLC: progressive label correction, by the ratio of two mean probabilities.

After each epoch from the `warmup`-th on, f is the mean of the softmax outputs that the training
passes of the last 5 epochs gave an example (augmented, before the step that learns from it), and::

    where f[z] / max f < theta:  z becomes argmax f

Where fewer than 0.1 % of the labels change, theta rises by 0.1, up to 0.9, from 0.3. The next
epochs train with cross-entropy on the corrected labels; corrections add up.

Source: Zhang, Zheng, Wu, Goswami and Chen, "Learning with Feature-Dependent Label Noise: A
Progressive Approach", ICLR 2021, Algorithm 1; the window of 5 epochs, the ratio for more than two
classes and the numbers are those of their code, which the study ran (180 epochs, 8 of warm-up).

Pitfalls: an epoch without changes raises theta, whatever its reason, so a network that learns
slowly has a high threshold before it knows anything: warm up for longer there. What was corrected
wrongly is then trained on, and is seldom put right again.

Not copied: the original's "PreAct ResNet-34" is in fact a plain ResNet-34, while the preset
``lim2025`` takes the PreAct network (``network="resnet34"`` gives the other). An early version of
its code has ``max`` for ``min`` where theta rises, so that theta is 0.9 after one quiet epoch and
then passes 1. It always trains on nine tenths and keeps the epoch that is best on the rest;
``selection="noisy-validation"`` does that here. It leaves out a single last example; here that
joins the batch before it. Where fewer than 5 epochs were, f is the mean of those.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from mislabel.errors import InputError
from mislabel.labels import check_count
from mislabel.learning.base import MethodRecord, NoisyLabelClassifier
from mislabel.learning.objective import CrossEntropy, Objective
from mislabel.learning.problem import TrainingProblem
from mislabel.learning.recipes import Recipe
from mislabel.learning.warmup import default_warmup

WINDOW = 5
STEP = 0.1
FEW = 0.001
WARMUP = 8


def correct_labels(mean_probabilities: Tensor, labels: Tensor, theta: float) -> Tensor:
    """(N,) labels, each replaced by the most probable class where it is too improbable.

    mean_probabilities: f, (N, C). labels: z, (N,). theta: z becomes argmax f where f[z] is below
    theta * max f; 0 changes nothing. The given labels stay as they are.
    """
    largest, likeliest = mean_probabilities.max(dim=1)
    own = mean_probabilities.gather(1, labels[:, None]).squeeze(1)
    return torch.where(own < theta * largest, likeliest, labels)


def next_theta(theta: float, n_changed: int, n_examples: int, theta_max: float) -> float:
    """The threshold after a correction: higher by 0.1 where fewer than 0.1 % changed."""
    if n_changed >= FEW * n_examples:
        return theta
    return min(round(theta + STEP, 9), theta_max)


@dataclass(kw_only=True, eq=False, repr=False)
class PLC(NoisyLabelClassifier):
    """Progressive label correction. Else as `NoisyLabelClassifier`.

    theta: threshold to begin with. theta_max: where it ends. warmup: epochs before the first
    correction; None takes 8 as published, or a quarter of the epochs where that is less (and at
    least 50 steps of the optimiser); `warmup_` says how many.
    `noise_scores_` are 1 - f[z] of the given labels at the end; `corrected_labels_` those that
    training ended with.
    """

    name: ClassVar[str] = "plc"
    theta: float = 0.3
    theta_max: float = 0.9
    warmup: int | None = None

    def check_parameters(self) -> None:
        super().check_parameters()
        if not 0 <= self.theta <= 1:
            raise InputError("theta", self.theta, "must be between 0 and 1")
        if not self.theta <= self.theta_max <= 1:
            raise InputError("theta_max", self.theta_max, "must be between theta and 1")
        if self.warmup is not None:
            check_count(self.warmup, "warmup")

    def resolve_recipe(self, example_shape: tuple[int, ...]) -> Recipe:
        recipe = super().resolve_recipe(example_shape)
        if self.recipe != "lim2025":
            return recipe
        return replace(
            recipe,
            network="preact_resnet34" if self.network is None else recipe.network,
            epochs=180 if self.epochs is None else recipe.epochs,
            batch_size=128,
            learning_rate=0.01,
            nesterov=True,
            milestones=(40, 80),
            gamma=0.5,
        )

    def _objective(self, problem: TrainingProblem, n_classes: int, features: Any) -> Objective:
        default = default_warmup(WARMUP, self.recipe_, len(problem.labels))
        self.warmup_ = default if self.warmup is None else self.warmup
        return ProgressiveCorrection(
            problem.labels, n_classes, self.warmup_, theta=self.theta, theta_max=self.theta_max
        )


class ProgressiveCorrection(CrossEntropy):
    """Cross-entropy against labels that it corrects; `theta` and `targets` as they now are.

    The window is a ring of the last epochs' probabilities, (5, N, C): a batch writes its own rows
    into one epoch's, and the mean is taken once an epoch.
    """

    def __init__(
        self, labels: Tensor, n_classes: int, warmup: int, *, theta: float, theta_max: float
    ) -> None:
        super().__init__(labels)
        self.given, self.warmup = labels, warmup
        self.theta, self.theta_max = theta, theta_max
        self.epochs_done = 0
        shape = (WINDOW, len(labels), n_classes)
        self._window = torch.zeros(shape, dtype=torch.float32, device=labels.device)

    def loss(self, logits: Tensor, index: Tensor) -> Tensor:
        chances = logits.detach().softmax(dim=1).to(self._window.dtype)
        self._window[self.epochs_done % WINDOW, index] = chances
        return super().loss(logits, index)

    def mean_probabilities(self) -> Tensor:
        """f, (N, C): the mean over the last epochs, 5 where there were as many."""
        return self._window[: max(1, self.epochs_done)].mean(dim=0)

    def end_epoch(self, epoch: int, predicted: Tensor) -> None:
        self.epochs_done = epoch + 1
        if epoch < self.warmup:
            return
        corrected = correct_labels(self.mean_probabilities(), self.targets, self.theta)
        n_changed = int((corrected != self.targets).sum())
        self.theta = next_theta(self.theta, n_changed, len(corrected), self.theta_max)
        self.targets = corrected

    def noise_scores(self) -> Tensor:
        """One less f of the given label."""
        return 1 - self.mean_probabilities().gather(1, self.given[:, None]).squeeze(1)

    def corrected_labels(self) -> Tensor:
        return self.targets

    def state(self) -> dict[str, Any]:
        return {
            "labels": self.targets,
            "theta": self.theta,
            "window": self._window,
            "epochs_done": self.epochs_done,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        device = self.given.device
        self.targets = state["labels"].to(device)
        self._window = state["window"].to(device)
        self.theta, self.epochs_done = float(state["theta"]), int(state["epochs_done"])


RECORD = MethodRecord(
    name=PLC.name,
    title="PLC",
    paper="Zhang et al. 2021",
    estimator=PLC,
    positional="theta",
    example="plc:theta=0.3",
    advice="corrects labels that the network finds improbable; for noise that follows features",
)
