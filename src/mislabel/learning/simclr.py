"""SimCLR: features learned from the images alone, without labels.

Two random views of each image go through a network and a projection head, and NT-Xent makes the
views of one image each other's nearest among all 2B views of a batch:

    loss(i, j) = -log( exp(z_i . z_j / t) / sum over k != i of exp(z_i . z_k / t) ),

z on the unit sphere, t the temperature, averaged over the 2B views. The features are the
network's, before the projection head, on the unit sphere.

Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations",
ICML 2020; without blur, as there for CIFAR-10. A view is a random resized crop, a flip, colour
jitter and greying. All views of a batch are made at once: crop and flip by one sampling grid, all
colour changes by one matrix per image (so they are clamped once, at the end, and their order is
fixed: brightness, contrast, saturation, hue).

Pitfalls: small batches learn less; features of different trainings are not comparable, so test
images are embedded by the network that was trained on the training images.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mislabel.errors import InputError
from mislabel.files import atomic_path, open_npz
from mislabel.learning.networks import build_network, check_network
from mislabel.learning.problem import autocast, predict_logits, random_state
from mislabel.learning.recipes import Recipe
from mislabel.learning.resident import Normalisation, ResidentExamples
from mislabel.seeds import TrainingSeeds

KEEP_SECONDS = 30.0
"How much training may be lost at most, about."
JITTER_SHARE, GREY_SHARE = 0.8, 0.2
GREY = (0.299, 0.587, 0.114)
YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Views:
    """How views are drawn.

    smallest: share of the image's area that a crop has at least. jitter: strength of the colour
    jitter (brightness, contrast and saturation by up to 0.8 times it, hue by 0.2 times it).
    flip: mirror every other view, which digits and letters do not survive.
    """

    smallest: float = 0.2
    jitter: float = 0.5
    flip: bool = True


@dataclass(frozen=True, kw_only=True)
class SimclrSettings:
    """A training of SimCLR. recipe: network, epochs, batch size (images), optimiser, precision."""

    recipe: Recipe
    temperature: float = 0.5
    projection: int = 128
    views: Views = Views()

    def __post_init__(self) -> None:
        views = self.views
        for name, value, good, rule in (
            ("temperature", self.temperature, self.temperature > 0, "must be positive"),
            ("crop", views.smallest, 0 < views.smallest <= 1, "must be above 0, at most 1"),
            ("jitter", views.jitter, 0 <= views.jitter <= 1, "must be between 0 and 1"),
            ("batch", self.recipe.batch_size, self.recipe.batch_size > 1, "must be at least 2"),
        ):
            if not good:
                raise InputError(name, value, rule)

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return asdict(self) | {"recipe": self.recipe.to_json()}


def simclr_recipe(
    *, network: str = "cnn", epochs: int = 100, batch_size: int = 256, precision: str = "auto"
) -> Recipe:
    """Adam over one cycle, which suits the small batches of one machine."""
    return Recipe(
        network=network,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=3e-3,
        optimizer="adam",
        weight_decay=1e-6,
        schedule="one-cycle",
        precision=precision,
    )


def nt_xent(projections: Tensor, temperature: float = 0.5) -> Tensor:
    """The loss of 2B projections (2B, d), of which i and i + B are views of one image."""
    count = len(projections)
    points = functional.normalize(projections.float(), dim=1)
    similarity = points @ points.T / temperature
    similarity.fill_diagonal_(-torch.inf)
    partners = torch.arange(count, device=points.device).roll(count // 2)
    return functional.cross_entropy(similarity, partners)


def random_views(images: Tensor, views: Views, generator: torch.Generator) -> Tensor:
    """One view of each image (B, c, h, w) in [0, 1], in the same shape and range."""
    grid = functional.affine_grid(
        _crops(len(images), views, generator, images.device),
        list(images.shape),
        align_corners=False,
    )
    cropped = functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    matrix, offset = _colours(cropped, views, generator)
    coloured = torch.einsum("bij,bjhw->bihw", matrix, cropped) + offset[:, :, None, None]
    return coloured.clamp(0, 1)


def _uniform(
    count: int, low: float, high: float, generator: torch.Generator, device: torch.device
) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator, device=device)


def _crops(count: int, views: Views, generator: torch.Generator, device: torch.device) -> Tensor:
    """(B, 2, 3) affine maps of random resized crops, every other one mirrored.

    A crop's area is uniform from `smallest` to 1, the logarithm of its ratio of sides uniform
    from 3/4 to 4/3, its place uniform inside the image.
    """
    area = _uniform(count, views.smallest, 1.0, generator, device)
    ratio = _uniform(count, math.log(3 / 4), math.log(4 / 3), generator, device).exp()
    width = (area * ratio).sqrt().clamp(max=1)
    height = (area / ratio).sqrt().clamp(max=1)
    left = _uniform(count, -1, 1, generator, device) * (1 - width)
    top = _uniform(count, -1, 1, generator, device) * (1 - height)
    mirrored = torch.rand(count, generator=generator, device=device) < 0.5
    sign = torch.where(mirrored, -1.0, 1.0) if views.flip else torch.ones_like(width)
    zero = torch.zeros_like(width)
    rows = [torch.stack(row, dim=1) for row in ((width * sign, zero, left), (zero, height, top))]
    return torch.stack(rows, dim=1)


def _colours(images: Tensor, views: Views, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Matrices (B, c, c) and offsets (B, c) of random colour changes.

    Brightness scales; contrast scales around the image's mean grey. Colour images (c = 3) are
    moved towards or away from grey, turned in hue, and one in five becomes grey.
    """
    count, channels = images.shape[:2]
    device, strength = images.device, 0.8 * views.jitter
    draws = [_uniform(count, 1 - strength, 1 + strength, generator, device) for _ in range(3)]
    turn = _uniform(count, -1, 1, generator, device) * (0.2 * views.jitter * 2 * math.pi)
    changed = torch.rand(count, generator=generator, device=device) < JITTER_SHARE
    greyed = torch.rand(count, generator=generator, device=device) < GREY_SHARE
    brightness, contrast, saturation = (torch.where(changed, draw, 1.0) for draw in draws)
    turn = torch.where(changed, turn, 0.0)
    identity = torch.eye(channels, device=device).expand(count, -1, -1)
    scale = (brightness * contrast)[:, None, None]
    mean = _mean_grey(images) * brightness * (1 - contrast)
    offset = mean[:, None].expand(-1, channels)
    if channels != 3:
        return identity * scale, offset
    grey = torch.tensor(GREY, device=device).expand(3, 3)
    saturation = torch.where(greyed & (views.jitter > 0), 0.0, saturation)[:, None, None]
    mix = _hue(turn) @ (grey + saturation * (identity - grey))
    return mix * scale, offset


def _mean_grey(images: Tensor) -> Tensor:
    """(B,) mean grey of each image."""
    means = images.mean(dim=(2, 3))
    if means.shape[1] != 3:
        return means.mean(dim=1)
    return means @ torch.tensor(GREY, device=images.device)


def _hue(turn: Tensor) -> Tensor:
    """(B, 3, 3) rotations by `turn` (radians) around the axis of greys, in YIQ."""
    yiq = torch.tensor(YIQ, device=turn.device)
    cosine, sine = turn.cos(), turn.sin()
    rotation = torch.zeros(len(turn), 3, 3, device=turn.device)
    rotation[:, 0, 0] = 1
    rotation[:, 1, 1] = rotation[:, 2, 2] = cosine
    rotation[:, 1, 2], rotation[:, 2, 1] = -sine, sine
    turned: Tensor = torch.linalg.inv(yiq) @ rotation @ yiq
    return turned


def build_backbone(name: str, example_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """A network of the registry without its last layer, and the width of its features."""
    check_network(name, example_shape)
    network = build_network(name, example_shape, 2)
    last = [key for key, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
    width = network.get_submodule(last).in_features
    network.set_submodule(last, nn.Identity())
    return network, int(width)  # type: ignore[arg-type]


@dataclass(kw_only=True)
class SimclrTraining:
    """A training under way: its network (backbone, then projection head) and its random states."""

    network: nn.Sequential
    optimizer: torch.optim.Optimizer
    order: torch.Generator
    augmentation: torch.Generator
    epoch: int = 0
    losses: list[float]

    @classmethod
    def start(
        cls,
        settings: SimclrSettings,
        example_shape: tuple[int, ...],
        seeds: TrainingSeeds,
        device: torch.device,
    ) -> "SimclrTraining":
        """Fresh weights and seeded generators."""
        recipe = settings.recipe
        with random_state(seeds.initialisation):
            backbone, width = build_backbone(recipe.network, example_shape)
            head = nn.Sequential(
                nn.Linear(width, width), nn.ReLU(), nn.Linear(width, settings.projection)
            )
        network = nn.Sequential(backbone, head).to(device)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        rate, decay = recipe.learning_rate, recipe.weight_decay
        return cls(
            network=network,
            optimizer=torch.optim.Adam(
                network.parameters(), lr=rate, weight_decay=decay, fused=True
            ),
            order=torch.Generator().manual_seed(seeds.order),
            augmentation=torch.Generator(device).manual_seed(seeds.augmentation),
            losses=[],
        )

    def save(self, path: Path) -> None:
        """Everything that goes on from here, as plain arrays; no pickles."""
        arrays = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            arrays |= {f"optimizer.{number}.{k}": v for k, v in state.items()}
        arrays["order"], arrays["augmentation"] = (
            self.order.get_state(),
            self.augmentation.get_state(),
        )
        plain = {name: tensor.detach().cpu().numpy() for name, tensor in arrays.items()}
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, losses=np.array(self.losses), **plain)

    def load(self, path: Path) -> None:
        """Go on from a file that `save` wrote; leaves this as it is where there is none."""
        try:
            with open_npz(path) as archive:
                arrays = {name: archive[name] for name in archive.files}
            self.losses = arrays.pop("losses").tolist()
        except (OSError, ValueError, KeyError):
            return
        self.epoch = len(self.losses)
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        self.order.set_state(tensors.pop("order"))
        self.augmentation.set_state(tensors.pop("augmentation"))
        self.network.load_state_dict(_under("network.", tensors))
        whole = self.optimizer.state_dict()
        parameters = list(self.network.parameters())
        for name, tensor in _under("optimizer.", tensors).items():
            number, _, key = name.partition(".")
            like = parameters[int(number)]
            if tensor.shape == like.shape:  # fused Adam needs the parameter's memory layout
                tensor = torch.empty_like(like).detach().copy_(tensor)
            whole["state"].setdefault(int(number), {})[key] = tensor
        self.optimizer.load_state_dict(whole)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def train_simclr(
    images: NDArray[np.uint8],
    settings: SimclrSettings,
    seeds: TrainingSeeds,
    device: torch.device,
    *,
    kept: Path | None = None,
    keep_seconds: float = KEEP_SECONDS,
    progress: Progress = lambda done, total: None,
) -> SimclrTraining:
    """Train on images (N, h, w, c) from the start, or from where the file `kept` left off.

    Each of the three seeds has its own stream. kept: written every `keep_seconds` and at the
    end; a finished training is read from it. progress: told the epochs done and their number.
    """
    if len(images) < 2:
        raise InputError("examples", len(images), "SimCLR needs at least 2 images")
    normalisation = Normalisation.of(images)
    training = SimclrTraining.start(settings, images.shape[1:], seeds, device)
    if kept is not None:
        training.load(kept)
    resident = torch.from_numpy(np.array(images)).to(device)
    epochs, saved = settings.recipe.epochs, time.monotonic()
    while training.epoch < epochs:
        training.losses.append(_train_epoch(training, resident, normalisation, settings))
        training.epoch += 1
        over = time.monotonic() - saved >= keep_seconds or training.epoch == epochs
        if kept is not None and over:
            training.save(kept)
            saved = time.monotonic()
        progress(training.epoch, epochs)
    return training


def _train_epoch(
    training: SimclrTraining,
    images: Tensor,
    normalisation: Normalisation,
    settings: SimclrSettings,
) -> float:
    """One pass over the images (N, h, w, c) in batches of nearly equal size; the mean loss."""
    recipe, device = settings.recipe, images.device
    mean, deviation = (
        torch.from_numpy(values).to(device)[:, None, None]
        for values in (normalisation.mean, normalisation.deviation)
    )
    shuffled = torch.randperm(len(images), generator=training.order).to(device)
    batches = shuffled.tensor_split(max(1, round(len(images) / recipe.batch_size)))
    total = torch.zeros((), device=device)
    training.network.train()
    for number, index in enumerate(batches):
        rate = recipe.learning_rate_at(training.epoch * len(batches) + number, len(batches))
        for group in training.optimizer.param_groups:
            group["lr"] = rate
        batch = images[index].permute(0, 3, 1, 2).float() / 255
        views = random_views(torch.cat([batch, batch]), settings.views, training.augmentation)
        inputs = ((views * 255 - mean) / deviation).contiguous(memory_format=torch.channels_last)
        with autocast(device, recipe):
            projections = training.network(inputs)
        loss = nt_xent(projections, settings.temperature)
        training.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        training.optimizer.step()
        total += loss.detach() * len(index)
    return float(total / len(images))


def simclr_features(
    training: SimclrTraining,
    images: NDArray[np.uint8],
    fit_on: NDArray[np.uint8],
    recipe: Recipe,
    device: torch.device,
) -> NDArray[np.float32]:
    """(N, d) features of images on the unit sphere, normalised as the training images were."""
    resident = ResidentExamples(images, Normalisation.of(fit_on), device)
    features = predict_logits(training.network[0], resident, recipe)
    found: NDArray[np.float32] = functional.normalize(features, dim=1).cpu().numpy()
    return found
