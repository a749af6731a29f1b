"""LRA-Diffusion: a diffusion model over label vectors, trained on labels of the neighbours.

Source: Chen, Zhang, Liu, Ma and Chen, "Label-Retrieval-Augmented Diffusion Models for Learning
from Noisy Labels", NeurIPS 2023; + SNLS: Lim, Larson and Leach 2025. For a batch of examples i

    LRA:    y_0 = onehot(l), l drawn from the labels of the k = 10 nearest neighbours and z_i;
            weight w_i = how many of those k + 1 labels are l, over the sum of w in the batch
    + SNLS: y_0 = (1 - alpha) * label frequencies of k = 100 neighbours + alpha * onehot(z_i);
            every w_i = 1/B
    + adaptive: the same with y_0 = adaptive target (`mislabel.cleaning.adaptive`; our own)
    loss = sum_i w_i * mean over entries of (e - e_theta(y_t, t, x, f_p(x)))^2

The first is to draw from the soft targets of SNLS with alpha = 1 / (k + 1), and so it is done. e is
normal and y_t as in `mislabel.learning.diffusion`, times come in antithetic pairs, gradients are
clipped to norm 1. Predictions are DDIM, 10 steps from zero; the class is the entry nearest to 1.
As probabilities serve softmax(-(y - 1)^2 / 0.1): their order is the method's, their size is not
calibrated. Noise scores and corrected labels are those of `SNLS` (the share of neighbours with
another label) and of `Adaptive`.

f_p(x) are the features given to `fit` and `predict`, or the examples flattened. They are centred
and divided by one number, so that distances in them keep their ratios.

The recipe "lim2025" is the study's: Adam, warmed up over a fortieth of the training to 1e-3, then
a cosine over five times the training, batches of 200. The other recipes give network, epochs and
augmentation only; the rest is made for few steps: 3e-3, a cosine to zero, at least 8 batches an
epoch, and at least 128 labels diffused a step, several of each example. Of a `Recipe` of your own
everything is taken as it is.

Departures. The original searches the neighbours of each batch again, with features of augmented
images; here they are searched once, without augmentation, and an example is not among its own
neighbours (its label enters by itself). It never optimises the image network, against the paper:
here it is trained, but not with "lim2025"; `train_image_network` decides. A network that is not
trained is still run in training mode, so that its batch norms take statistics, as there.

Pitfall: curves are made of what is predicted while training, and noise is no prediction; so each
batch is also asked for the mean label at DDIM's first step, which no label has entered.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from math import cos, pi
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from mislabel.labels import check_count
from mislabel.learning.adaptive import Adaptive
from mislabel.learning.base import MethodRecord, NoisyLabelClassifier, Task
from mislabel.learning.diffusion import LabelProcess, antithetic_times
from mislabel.learning.learner import SingleNetwork
from mislabel.learning.networks.label_diffuser import LabelDiffuser, feature_network
from mislabel.learning.problem import (
    EVALUATION_BATCH,
    HeldOut,
    TrainingProblem,
    autocast,
    random_state,
)
from mislabel.learning.recipes import Recipe
from mislabel.learning.snls import SNLS, SoftTargets, neighbor_targets
from mislabel.learning.targets import usable_neighbors
from mislabel.seeds import child_seed

LARGEST_GRADIENT = 1.0
SMALLEST_PROBABILITY = 1e-6
SMALLEST_BATCH = 8
PUBLISHED = {"learning_rate": 1e-3, "batch_size": 200, "horizon": 5.0}
QUICK = {"learning_rate": 3e-3, "fewest_batches": 8, "rows": 128}


@dataclass(frozen=True, kw_only=True)
class DiffusionRecipe(Recipe):
    """A recipe whose learning rate rises linearly, then falls as a cosine.

    warm_up: share of the training in which it rises. horizon: how many times the training the
    cosine lasts; beyond 1 the training ends before the rate is zero. fewest_batches: in an epoch,
    if need be of fewer examples than `batch_size`, but of 8 at least. rows: labels diffused in a
    step; where a batch has fewer examples, each has several draws of label, time and noise.
    """

    warm_up: float = 0.025
    horizon: float = 1.0
    fewest_batches: int = 1
    rows: int = 1

    def learning_rate_at(self, step: int, steps_per_epoch: int) -> float:
        whole = self.epochs * steps_per_epoch
        rising = self.warm_up * whole
        if step + 1 < rising:
            return self.learning_rate * (step + 1) / rising
        fallen = max(0.0, step - rising) / (self.horizon * whole - rising)
        return self.learning_rate * (1 + cos(pi * fallen)) / 2

    def for_examples(self, count: int) -> Self:
        """The recipe with the size of batches for so many examples."""
        size = max(SMALLEST_BATCH, count // self.fewest_batches)
        return replace(self, batch_size=min(self.batch_size, size))


@dataclass(kw_only=True, eq=False, repr=False)
class LabelDiffusion(NoisyLabelClassifier):
    """Label diffusion; what makes the soft targets, `_objective`, is the subclass's.

    train_image_network: whether the network of the recipe, which makes a feature of the example,
    is trained; None: unless the recipe is "lim2025". A recipe's name stands for its network, epochs
    and augmentation. Else as `NoisyLabelClassifier`.
    """

    predicts_from_features: ClassVar[bool] = True
    draws_labels: ClassVar[bool] = False
    "Whether a class is drawn from the soft target for each batch, or it is what is diffused."

    train_image_network: bool | None = None

    @abstractmethod
    def _objective(self, problem: TrainingProblem, n_classes: int, features: Any) -> SoftTargets:
        """The soft targets, and what they tell."""

    def resolve_recipe(self, example_shape: tuple[int, ...]) -> Recipe:
        recipe = super().resolve_recipe(example_shape)
        if not isinstance(self.recipe, str):
            return recipe
        published = self.recipe == "lim2025"
        adam = {"optimizer": "adam", "weight_decay": 0.0, "schedule": "cosine", "milestones": ()}
        return DiffusionRecipe(**asdict(recipe) | adam | (PUBLISHED if published else QUICK))

    def _learner(self, task: Task) -> "DiffusionLearner":
        guidance = task.problem.features
        assert guidance is not None
        targets = self._objective(task.problem, task.n_classes, task.features)
        network = self._diffuser(task.build, guidance.shape[1])
        network.measure(guidance.cpu())
        return DiffusionLearner(network, task, targets, sampled=self.draws_labels)

    def _diffuser(self, build: Callable[[str], nn.Module], n_guidance: int) -> LabelDiffuser:
        """The network with fresh weights."""
        n_classes, trained = len(self.classes_), self.train_image_network
        network = build("network")
        with random_state(child_seed(self.seeds_.initialisation, "label diffusion")):
            image = feature_network(network, self.example_shape_, n_classes)
            diffuser = LabelDiffuser(image, n_classes, n_guidance, LabelProcess())
        diffuser.image.requires_grad_(self.recipe != "lim2025" if trained is None else trained)
        return diffuser

    def _predictor(self, build: Callable[[str], nn.Module], n_features: int) -> nn.Module:
        return self._diffuser(build, n_features)

    def _predict_logits(self, held_out: HeldOut) -> Tensor:
        assert isinstance(self.network_, LabelDiffuser)
        return diffused_logits(self.network_, held_out, self.recipe_)


@dataclass(kw_only=True, eq=False, repr=False)
class LRADiffusion(LabelDiffusion):
    """Label diffusion on labels drawn from the neighbours.

    k: neighbours, capped as in `SNLS`. Else as `LabelDiffusion`.
    """

    name: ClassVar[str] = "lra-diffusion"
    draws_labels: ClassVar[bool] = True

    k: int = 10

    def check_parameters(self) -> None:
        super().check_parameters()
        check_count(self.k, "k")

    def _objective(self, problem: TrainingProblem, n_classes: int, features: Any) -> SoftTargets:
        k = self.k_ = usable_neighbors(self.k, len(problem.labels), n_classes)
        return neighbor_targets(problem.labels, features, n_classes, k=k, alpha=1 / (k + 1))


@dataclass(kw_only=True, eq=False, repr=False)
class LRADiffusionSNLS(SNLS, LabelDiffusion):
    """Label diffusion on soft neighbour targets; parameters of `SNLS` and `LabelDiffusion`."""

    name: ClassVar[str] = "lra-diffusion-snls"


@dataclass(kw_only=True, eq=False, repr=False)
class LRADiffusionAdaptive(Adaptive, LabelDiffusion):
    """Label diffusion on adaptive targets; see `Adaptive` and `LabelDiffusion`."""

    name: ClassVar[str] = "lra-diffusion-adaptive"


class DiffusionLearner(SingleNetwork):
    """Trains a `LabelDiffuser`.

    targets: (N, C) soft targets. sampled: whether a class is drawn from them for each batch, and
    weighted by its share, or they are themselves what is diffused.
    """

    network: LabelDiffuser

    def __init__(
        self, network: LabelDiffuser, task: Task, targets: SoftTargets, *, sampled: bool
    ) -> None:
        recipe, self.rows = task.recipe, 1
        if isinstance(recipe, DiffusionRecipe):
            recipe, self.rows = recipe.for_examples(len(task.problem.labels)), recipe.rows
        super().__init__(network, task.problem, targets, recipe, task.seeds)
        self.targets, self.sampled = targets.targets, sampled

    def drawn(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Labels (R, C) to diffuse for examples (R,), and their weights (R,), which sum to 1."""
        soft = self.targets[rows]
        if not self.sampled:
            return soft, soft.new_full((len(rows),), 1 / len(rows))
        return drawn_labels(soft, self.generator("labels"))

    def batch_loss(self, index: Tensor) -> tuple[Tensor, Tensor]:
        network = self.network
        assert self.problem.features is not None
        guidance = self.problem.features[index]
        inputs = self.problem.examples.batch(index, self.generator("augmentation"))
        copies = -(-max(self.rows, 2) // len(index))  # batch norm needs two rows
        clean, weight = self.drawn(index.repeat(copies))
        noise = torch.randn(clean.shape, generator=self.generator("noise"), device=self.device)
        times = antithetic_times(len(clean), network.process.steps, self.generator("times"))
        with autocast(self.device, self.recipe):
            feature = network.image(inputs)
            found = network.told_noise(
                network.process.noised(clean, times, noise),
                times,
                guidance.repeat(copies, 1),
                feature.repeat(copies, 1),
            )
        loss = (weight * (found - noise).square().mean(dim=1)).sum()
        return self._first_answer(guidance, feature.detach()), loss

    @torch.no_grad()
    def _first_answer(self, guidance: Tensor, feature: Tensor) -> Tensor:
        """(B, C) logarithm of the mean label, as DDIM's first step tells it; knows no labels."""
        network = self.network
        network.denoiser.eval()
        with autocast(self.device, self.recipe):
            mean = network.denoised(guidance, feature, steps=1)
        network.denoiser.train()
        return mean.clamp(min=SMALLEST_PROBABILITY).log()

    def step(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.networks[name].parameters(), LARGEST_GRADIENT)
        optimizer.step()

    def predict_logits(self, held_out: HeldOut) -> Tensor:
        return diffused_logits(self.network, held_out, self.recipe)


def drawn_labels(soft: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One class drawn from each row of `soft` (B, C), as (B, C) ones and zeros, and weights (B,).

    A class's weight is its share in the row, over the sum of the weights.
    """
    # The smallest of exponential times with rates p is that of class c with probability p_c.
    waits = torch.empty_like(soft).exponential_(generator=generator)
    drawn = (soft / waits).argmax(dim=1)
    share = soft.gather(1, drawn[:, None]).squeeze(1)
    return functional.one_hot(drawn, soft.shape[1]).to(soft.dtype), share / share.sum()


def diffused_logits(network: LabelDiffuser, held_out: HeldOut, recipe: Recipe) -> Tensor:
    """(M, C) logits of examples with features."""
    network.eval()
    assert held_out.features is not None
    parts = torch.split(held_out.features, EVALUATION_BATCH)
    found = []
    with torch.inference_mode(), autocast(held_out.examples.device, recipe):
        for number, guidance in enumerate(parts):
            start = number * EVALUATION_BATCH
            inputs = held_out.examples.slice(start, start + EVALUATION_BATCH)
            found.append(network(inputs, guidance).float())
    return torch.cat(found)


RECORD = MethodRecord(
    name=LRADiffusion.name,
    title="LRA-Diffusion",
    paper="Chen et al. 2023",
    estimator=LRADiffusion,
    positional="k",
    uses_features=True,
    example="lra-diffusion:k=10",
    advice="reads the class off good features; labels are drawn from the neighbours'",
)
SNLS_RECORD = MethodRecord(
    name=LRADiffusionSNLS.name,
    title="LRA-Diffusion + SNLS",
    paper="Lim, Larson & Leach 2025",
    estimator=LRADiffusionSNLS,
    positional="k",
    uses_features=True,
    example="lra-diffusion-snls:k=100",
    advice="the same on soft targets; steadier where many neighbours are wrong",
)
ADAPTIVE_RECORD = MethodRecord(
    name=LRADiffusionAdaptive.name,
    title="LRA-Diffusion + adaptive",
    paper="Chen et al. 2023; targets ours",
    estimator=LRADiffusionAdaptive,
    uses_features=True,
    example="lra-diffusion-adaptive",
    advice="the same on adaptive targets; strong against patches of wrong labels",
)
