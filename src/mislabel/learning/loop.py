"""The one training loop.

The data lie on the device, order and augmentation have seeds of their own, nothing waits for the
device inside an epoch, and the curves of training are made from the predictions that training
makes anyway.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mislabel.errors import InputError
from mislabel.learning.objective import Objective
from mislabel.learning.recipes import Recipe
from mislabel.learning.resident import ResidentExamples
from mislabel.seeds import TrainingSeeds

EVALUATION_BATCH = 250
"Small enough that activations stay in memory that the allocator reuses."


@dataclass(frozen=True, kw_only=True)
class TrainingProblem:
    """Everything but the network and the objective. N examples, M test examples.

    labels: (N,) as given. clean_labels: (N,) or None; test_labels: (M,) or None, both only for
    the curves.
    """

    examples: ResidentExamples
    labels: Tensor
    clean_labels: Tensor | None = None
    test_examples: ResidentExamples | None = None
    test_labels: Tensor | None = None


@dataclass(kw_only=True)
class Training:
    """What a training leaves: the network and its curves, one value per epoch."""

    network: nn.Module
    curves: dict[str, list[float | None]] = field(default_factory=dict)
    test_predictions: NDArray[np.int64] | None = None


EpochWatcher = Callable[[int, dict[str, float | None]], None]


def choose_device(device: str) -> torch.device:
    """The device of ``auto`` (a GPU when there is one), ``cpu`` or ``cuda``."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device not in ("cpu", "cuda"):
        raise InputError("device", device, "must be auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device", device, "PyTorch finds no CUDA device here")
    return torch.device(device)


@contextlib.contextmanager
def initialisation_seed(seed: int) -> Iterator[None]:
    """Draw initial weights from `seed`; the global random state is as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def train(
    network: nn.Module,
    problem: TrainingProblem,
    objective: Objective,
    recipe: Recipe,
    seeds: TrainingSeeds,
    *,
    watch: EpochWatcher | None = None,
) -> Training:
    """Train `network` in place and return it with its curves.

    watch: called after each epoch with its number and the values of the curves.
    """
    examples, device = problem.examples, problem.examples.device
    network = network.to(device)
    if examples.is_image:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = _optimizer(network, recipe)
    order = torch.Generator().manual_seed(seeds.order)
    augmentation = torch.Generator(device).manual_seed(seeds.augmentation)
    training = Training(network=network)
    for epoch in range(recipe.epochs):
        batches = _batches(len(examples), recipe.batch_size, order, device)
        loss, predicted = _train_epoch(
            network, problem, objective, recipe, optimizer, batches, augmentation, epoch
        )
        objective.end_epoch(epoch, predicted)
        _record(training, problem, recipe, loss, predicted)
        if watch is not None:
            watch(epoch, {name: curve[-1] for name, curve in training.curves.items()})
    return training


def _train_epoch(
    network: nn.Module,
    problem: TrainingProblem,
    objective: Objective,
    recipe: Recipe,
    optimizer: torch.optim.Optimizer,
    batches: list[Tensor],
    augmentation: torch.Generator,
    epoch: int,
) -> tuple[Tensor, Tensor]:
    """One pass over the data; the mean loss and the predicted classes (N,), on the device."""
    device = problem.examples.device
    predicted = torch.empty(len(problem.examples), dtype=torch.long, device=device)
    total = torch.zeros((), device=device)
    network.train()
    for number, index in enumerate(batches):
        rate = recipe.learning_rate_at(epoch * len(batches) + number, len(batches))
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs = problem.examples.batch(index, augmentation)
        with autocast(device, recipe):
            logits = network(inputs)
        loss = objective.loss(logits.float(), index)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            total += loss.detach() * len(index)
            predicted[index] = logits.argmax(dim=1)
    return total / len(problem.examples), predicted


def autocast(device: torch.device, recipe: Recipe) -> Any:
    """Mixed precision in bfloat16 where the recipe says so."""
    mixed = recipe.precision == "bfloat16" or (recipe.precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed)


def predict_logits(network: nn.Module, examples: ResidentExamples, recipe: Recipe) -> Tensor:
    """(N, C) float32 logits without augmentation, on the device."""
    network.eval()
    found = []
    with torch.inference_mode(), autocast(examples.device, recipe):
        for start in range(0, len(examples), EVALUATION_BATCH):
            found.append(network(examples.slice(start, start + EVALUATION_BATCH)).float())
    return torch.cat(found)


def _batches(
    n_examples: int, batch_size: int, order: torch.Generator, device: torch.device
) -> list[Tensor]:
    """A random order cut into batches; a single last example joins the batch before it."""
    shuffled = torch.randperm(n_examples, generator=order).to(device)
    batches = list(torch.split(shuffled, batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "adam":
        return torch.optim.Adam(
            network.parameters(),
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def _record(
    training: Training,
    problem: TrainingProblem,
    recipe: Recipe,
    loss: Tensor,
    predicted: Tensor,
) -> None:
    """Add one epoch to the curves; see `mislabel.benchmark.results.CURVES`."""
    values: dict[str, Tensor | None] = {
        "train_loss": loss,
        "train_accuracy": (predicted == problem.labels).float().mean(),
    }
    if problem.clean_labels is not None:
        flipped = problem.labels != problem.clean_labels
        wrong = bool(flipped.any())
        fitted, corrected = predicted == problem.labels, predicted == problem.clean_labels
        values["wrong_fitted"] = fitted[flipped].float().mean() if wrong else None
        values["wrong_corrected"] = corrected[flipped].float().mean() if wrong else None
    if problem.test_examples is not None and problem.test_labels is not None:
        answers = predict_logits(training.network, problem.test_examples, recipe).argmax(dim=1)
        values["test_accuracy"] = (answers == problem.test_labels).float().mean()
        training.test_predictions = answers.cpu().numpy()
    for name, value in values.items():
        number = None if value is None else float(value)
        training.curves.setdefault(name, []).append(number)
