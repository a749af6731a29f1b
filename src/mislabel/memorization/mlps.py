"""`mlps`: a held-out study of many small networks at once, on features.

R multilayer perceptrons with one hidden layer train side by side as one program: their first
layers are one matrix product, ``x (B, d) @ W (d, R h)``, since all see the same batch, their
second layers one batched product. Each has its own initial weights and its own random subset of
the examples; an example that is not in a member's subset has weight 0 in that member's loss. The
estimate is as that of a held-out study (inclusion over the members that had the example, exclusion
over the others), by the mean probability of the given label, which varies less than correctness.

Source: Feldman & Zhang 2020, "What Neural Networks Memorize and Why", for the subsets; the design
is of all examples, of which each member has a random share `keep`.
Pitfalls: order is shared by the members, so that errors count the chance of initial weights and
subset, not of order. Features that were learned with the given labels leak them into the exclusion
probability.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mislabel.errors import InputError
from mislabel.labels import check_count
from mislabel.memorization.aggregate import Sums
from mislabel.memorization.design import make_design
from mislabel.memorization.estimator import (
    Estimate,
    Estimator,
    EstimatorRecord,
    Problem,
    check_number,
    estimate_of,
)
from mislabel.seeds import child_seed

COST = "members x epochs passes of a small network, a fraction of that one after the other"
MOMENTUM = 0.9
EVALUATION_BATCH = 500


@dataclass(frozen=True, kw_only=True)
class Mlps(Estimator):
    """Many perceptrons with one hidden layer.

    members: networks. width: of the hidden layer. keep: share of the examples in each member's
    subset. epochs, batch, learning_rate, weight_decay: of SGD with Nesterov momentum 0.9 and a
    learning rate that falls to zero by a cosine.
    """

    name: ClassVar[str] = "mlps"
    title: ClassVar[str] = "Many small networks"
    members: int = 50
    width: int = 64
    keep: float = 0.7
    epochs: int = 10
    batch: int = 250
    learning_rate: float = 0.1
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        for name in ("members", "width", "epochs", "batch"):
            check_count(getattr(self, name), name)
        if self.members < 2:
            raise InputError("members", self.members, "must be at least 2")
        check_number("keep", self.keep, below=1.0)
        check_number("learning_rate", self.learning_rate)
        if not self.weight_decay >= 0:
            raise InputError("weight_decay", self.weight_decay, "must not be negative")

    def _estimate(self, problem: Problem) -> Estimate:
        design = make_design(problem.given, "all", keep=self.keep, seed=problem.seed)
        masks = np.stack([design.mask(member) for member in range(self.members)])
        chances = train_mlps(self, problem, masks)
        sums = Sums.of(zip(masks, chances, strict=True), len(problem.labels))
        return estimate_of(sums, design.index, {})


def train_mlps(settings: Mlps, problem: Problem, masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(R, N) probability that each trained member gives to the given label of each example."""
    points = torch.tensor(problem.features)
    points = (points - points.mean(0)) / points.std(0).clamp(min=1e-6)
    labels, kept = torch.from_numpy(problem.labels), torch.from_numpy(masks)
    stack = _Stack.draw(settings, points.shape[1], problem.n_classes, problem.seed)
    order = torch.Generator().manual_seed(child_seed(problem.seed, "order"))
    n_steps = settings.epochs * -(-len(points) // settings.batch)
    for step, index in enumerate(_batches(len(points), settings, order)):
        rate = settings.learning_rate * (1 + np.cos(np.pi * step / n_steps)) / 2
        stack.step(points[index], labels[index], kept[:, index], rate)
        problem.progress(step + 1, n_steps)
    return stack.chances(points, labels).numpy()


def _batches(n_examples: int, settings: Mlps, order: torch.Generator) -> Iterator[Tensor]:
    for _ in range(settings.epochs):
        yield from torch.split(torch.randperm(n_examples, generator=order), settings.batch)


@dataclass
class _Stack:
    """R members. weights: (d, R h), (R h,), (R, h, C), (R, 1, C)."""

    settings: Mlps
    weights: list[Tensor]
    momenta: list[Tensor]

    @classmethod
    def draw(cls, settings: Mlps, d: int, n_classes: int, seed: int) -> "_Stack":
        """Initial weights as in PyTorch's Linear, uniform in one over the root of the fan-in; each
        member's from a seed of its own, so that it does not depend on how many others there are."""
        members, width = settings.members, settings.width
        first = torch.empty(d, members, width)
        bias = torch.empty(members, width)
        second = torch.empty(members, width, n_classes)
        last = torch.empty(members, 1, n_classes)
        for member in range(members):
            own = torch.Generator().manual_seed(child_seed(seed, "initialisation", str(member)))
            for weights, fan_in in (
                (first[:, member], d), (bias[member], d), (second[member], width),
                (last[member], width),
            ):  # fmt: skip
                drawn = torch.rand(weights.shape, generator=own)
                weights.copy_((2 * drawn - 1) / fan_in**0.5)
        tensors = [first.flatten(1), bias.flatten(), second, last]
        return cls(settings, tensors, [torch.zeros_like(t) for t in tensors])

    def logits(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden values (R, B, h) and logits (R, B, C) of a batch (B, d)."""
        first, bias, second, last = self.weights
        hidden = torch.relu(torch.addmm(bias, inputs, first))
        hidden = hidden.view(len(inputs), *second.shape[:2]).transpose(0, 1)
        return hidden, torch.baddbmm(last, hidden, second)

    def step(self, inputs: Tensor, labels: Tensor, kept: Tensor, rate: float) -> None:
        """One step of all members on the mean loss over those of the batch that each has."""
        hidden, logits = self.logits(inputs)
        slope = torch.softmax(logits, dim=2)
        slope[:, torch.arange(len(labels)), labels] -= 1
        slope *= (kept / kept.sum(dim=1, keepdim=True).clamp(min=1))[:, :, None]
        back = torch.bmm(slope, self.weights[2].transpose(1, 2))
        back = (back * (hidden > 0)).transpose(0, 1).reshape(len(inputs), -1)
        slopes = [
            inputs.T @ back,
            back.sum(dim=0),
            torch.bmm(hidden.transpose(1, 2), slope),
            slope.sum(dim=1, keepdim=True),
        ]
        for weights, momentum, gradient in zip(self.weights, self.momenta, slopes, strict=True):
            gradient.add_(weights, alpha=self.settings.weight_decay)
            momentum.mul_(MOMENTUM).add_(gradient)
            weights.add_(gradient.add_(momentum, alpha=MOMENTUM), alpha=-rate)

    def chances(self, points: Tensor, labels: Tensor) -> Tensor:
        """(R, N) probability of the given labels."""
        found = []
        for start in range(0, len(points), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            chance = functional.softmax(self.logits(points[part])[1], dim=2)
            index = labels[part].expand(len(chance), -1)[:, :, None]
            found.append(chance.gather(2, index).squeeze(2))
        return torch.cat(found, dim=1)


RECORD = EstimatorRecord(
    name=Mlps.name,
    title=Mlps.title,
    paper="Feldman & Zhang 2020, What Neural Networks Memorize and Why",
    build=Mlps,
    positional="members",
    uses="features",
    cost=COST,
    example="mlps:members=50",
)
