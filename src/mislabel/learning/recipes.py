"""Recipes: how a network is trained, as one frozen value, and the presets.

A preset is a function that returns a whole recipe. ``auto`` takes `mlp` for features and tiny
images and `fast` for other images.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from math import cos, pi
from typing import Any

from mislabel.errors import InputError, did_you_mean

SCHEDULES = ("constant", "cosine", "linear", "step", "one-cycle")
OPTIMIZERS = ("sgd", "adam")
AUGMENTATIONS = ("auto", "none", "crop-flip")
PRECISIONS = ("auto", "float32", "bfloat16")
SMALLEST_CNN_SIDE = 16
ONE_CYCLE_PEAK = 0.25


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Network, optimiser, schedule and augmentation of a training.

    network: name in `mislabel.learning.NETWORKS`. augment: "auto" does what the data set says.
    schedule: "cosine" to zero; "step" multiplies by gamma after each of `milestones` (epochs);
    "one-cycle" rises to the peak over the first quarter and falls to zero, both linearly;
    "linear" is constant for `decay_start` epochs and then falls, once an epoch, by equal steps
    that would reach zero after the last. momentum: of SGD, or Adam's beta1; decay_momentum takes
    its place from epoch `decay_start` on. drop_last: a last batch that is not full is left out.
    precision: "auto" is bfloat16 mixed precision on a GPU and float32 on a CPU.
    """

    network: str
    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: str = "sgd"
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    milestones: Sequence[int] = ()
    gamma: float = 0.1
    decay_start: int = 0
    decay_momentum: float | None = None
    drop_last: bool = False
    augment: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name, known in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("augment", AUGMENTATIONS),
            ("precision", PRECISIONS),
        ):
            value = getattr(self, name)
            if value not in known:
                raise InputError(name, value, f"unknown choice; {did_you_mean(str(value), known)}")
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(name, value, "must be a whole number, at least 1")
        if not self.learning_rate > 0:
            raise InputError("learning_rate", self.learning_rate, "must be positive")
        start, later = self.decay_start, self.decay_momentum
        if isinstance(start, bool) or not isinstance(start, int) or start < 0:
            raise InputError("decay_start", start, "must be a whole number, at least 0")
        if later is not None and not 0 <= later < 1:
            raise InputError("decay_momentum", later, "must be at least 0 and below 1")

    def learning_rate_at(self, step: int, steps_per_epoch: int) -> float:
        """The learning rate of optimiser step `step`, counted from 0."""
        share = step / (self.epochs * steps_per_epoch)
        if self.schedule == "cosine":
            factor = (1 + cos(pi * share)) / 2
        elif self.schedule == "step":
            epoch = step // steps_per_epoch
            factor = self.gamma ** sum(epoch >= milestone for milestone in self.milestones)
        elif self.schedule == "linear":
            left, whole = self.epochs - step // steps_per_epoch, self.epochs - self.decay_start
            factor = min(1.0, left / whole) if whole > 0 else 1.0
        elif self.schedule == "one-cycle":
            rising = (share + 1 / (self.epochs * steps_per_epoch)) / ONE_CYCLE_PEAK
            factor = min(rising, (1 - share) / (1 - ONE_CYCLE_PEAK))
        else:
            factor = 1.0
        return self.learning_rate * factor

    def momentum_at(self, epoch: int) -> float:
        """Momentum, or Adam's beta1, in an epoch counted from 0."""
        if self.decay_momentum is None or epoch < self.decay_start:
            return self.momentum
        return self.decay_momentum

    def to_json(self) -> dict[str, Any]:
        """The recipe as JSON values."""
        return asdict(self) | {"milestones": list(self.milestones)}


def check_augment(augment: str) -> str:
    """One of `AUGMENTATIONS`, or an `InputError`."""
    if augment not in AUGMENTATIONS:
        hint = did_you_mean(augment, AUGMENTATIONS)
        raise InputError("augment", augment, f"unknown choice; {hint}")
    return augment


def mlp() -> Recipe:
    """For features and tiny images: a small MLP, 60 epochs of SGD, cosine."""
    return Recipe(network="mlp", epochs=60, batch_size=64, learning_rate=0.02, nesterov=True)


def fast() -> Recipe:
    """For images on a CPU: a small convolutional network, 24 epochs, one cycle."""
    return Recipe(
        network="cnn",
        epochs=24,
        batch_size=64,
        learning_rate=0.05,
        nesterov=True,
        schedule="one-cycle",
    )


def lim2025() -> Recipe:
    """The study's Standard training: ResNet-34, 200 epochs (Lim, Larson & Leach 2025)."""
    return Recipe(
        network="resnet34",
        epochs=200,
        batch_size=64,
        learning_rate=0.1,
        schedule="step",
        milestones=(50, 100),
        precision="float32",
    )


def lim2025_coteaching() -> Recipe:
    """The study's Co-teaching and Co-teaching+, whose ``recipe="lim2025"`` it is.

    Adam at 1e-3, from epoch 80 linearly to zero with beta1 0.1 in place of 0.9, 200 epochs.
    """
    return Recipe(
        network="lenet_or_conv6",
        epochs=200,
        batch_size=128,
        learning_rate=1e-3,
        optimizer="adam",
        weight_decay=0.0,
        schedule="linear",
        decay_start=80,
        decay_momentum=0.1,
        drop_last=True,
        precision="float32",
    )


def pmd_eta() -> Recipe:
    """The network whose probabilities PMD noise is made of (Zhang et al. 2021, PLC)."""
    return Recipe(
        network="preact_resnet34",
        epochs=25,
        batch_size=128,
        learning_rate=0.001,
        nesterov=True,
        schedule="constant",
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "mlp": mlp,
    "fast": fast,
    "lim2025": lim2025,
    "pmd-eta": pmd_eta,
}
"All presets by name."


def make_recipe(
    recipe: str | Recipe,
    *,
    example_shape: tuple[int, ...],
    network: str | None = None,
    epochs: int | None = None,
    precision: str | None = None,
) -> Recipe:
    """The recipe of a preset's name, or the given one, with what else is given in its place.

    example_shape: (height, width, channels) or (d,), by which "auto" chooses.
    """
    if isinstance(recipe, str):
        name = recipe
        if name == "auto":
            small = len(example_shape) == 1 or min(example_shape[:2]) < SMALLEST_CNN_SIDE
            name = "mlp" if small else "fast"
        if name not in RECIPES:
            raise InputError(
                "recipe", recipe, f"unknown; {did_you_mean(recipe, ['auto', *RECIPES])}"
            )
        recipe = RECIPES[name]()
    return replace(
        recipe,
        network=recipe.network if network is None else network,
        epochs=recipe.epochs if epochs is None else epochs,
        precision=recipe.precision if precision is None else precision,
    )
