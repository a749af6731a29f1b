"""What a training is given: examples and labels on a device, and where it runs."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mislabel.errors import InputError
from mislabel.learning.recipes import Recipe
from mislabel.learning.resident import ResidentExamples

BatchObserver = Callable[[Tensor, Tensor], None]
"""Called with each batch of training: positions (B,) among the examples trained on, and the logits
(B, C) that they had before the step that learned from them."""
EVALUATION_BATCH = 250
"Small enough that activations stay in memory that the allocator reuses."


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Examples that are predicted after each epoch and never trained on.

    labels: (M,) positions in the classes, -1 for others. features: (M, d), for networks that
    take features beside the examples.
    """

    examples: ResidentExamples
    labels: Tensor
    features: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Part:
    """Where the examples of a training stand in a full set, others of which are left out.

    positions: (N,) ascending. n_total: of the full set.
    """

    positions: Tensor
    n_total: int

    def among(self, order: Tensor) -> Tensor:
        """(N,) the order of these examples in an order (n_total,) of the full set."""
        rank = torch.full((self.n_total,), -1)
        rank[self.positions.cpu()] = torch.arange(len(self.positions))
        ranks = rank[order]
        return ranks[ranks >= 0]


@dataclass(frozen=True, kw_only=True)
class TrainingProblem:
    """Everything but the networks and the method. N examples.

    labels: (N,) as given. clean_labels: (N,) or None, and test: both only for the curves.
    validation: examples with noisy labels, by which an epoch may be selected. features: (N, d)
    for networks that take features beside the examples. part: where these examples are part of a
    set, of which they keep order and augmentation. excluded: examples outside of that part.
    observe: told each batch.
    """

    examples: ResidentExamples
    labels: Tensor
    clean_labels: Tensor | None = None
    features: Tensor | None = None
    validation: HeldOut | None = None
    test: HeldOut | None = None
    part: Part | None = None
    excluded: HeldOut | None = None
    observe: BatchObserver | None = None


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
def random_state(seed: int) -> Iterator[None]:
    """Draw from PyTorch's global generators as seeded here; they are as before afterwards."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_available():
            torch.cuda.manual_seed_all(seed)
        yield


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
