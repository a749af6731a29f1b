"""Class probabilities of a network while it trains on the clean labels, as PMD noise had them.

Source: Zhang et al., "Learning with Feature-Dependent Label Noise: A Progressive Approach", ICLR
2021 (PLC). Eta is the softmax output of a PreAct ResNet-34, recorded in the last of 25 epochs'
training pass; SGD, learning rate 0.001, Nesterov momentum 0.9, weight decay 5e-4, batches of 128,
crop and flip: the recipe `pmd-eta`.

A network has seen each label when it is recorded. The better it fits them, the nearer the margins
are to 1, the more PMD flips like chance and the less it keeps to the borders of classes. Pitfall:
on a CPU the published network takes hours for 50,000 images; ``network:cnn`` takes minutes, and
fits less.

Training stands above noise in the house, and brings PyTorch: it is imported when it is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.labels import as_array, check_labels
from mislabel.noise.base import FloatArray, IntArray
from mislabel.noise.eta import EtaRecord, EtaRun, EtaSource
from mislabel.seeds import child_seed
from mislabel.versions import library_versions

if TYPE_CHECKING:
    from mislabel.learning import Recipe


def network_probabilities(
    examples: ArrayLike,
    labels: ArrayLike,
    *,
    n_classes: int | None = None,
    recipe: "str | Recipe" = "auto",
    network: str | None = None,
    epochs: int | None = None,
    augment: str = "none",
    seed: int = 0,
    device: str = "auto",
    checkpoint: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FloatArray:
    """(N, C) probabilities that a network gave each example in its last epoch of training.

    examples: uint8 images (N, h, w, c) or features (N, d). labels: (N,) clean labels.
    recipe: "auto" is as published, and the recipe `mlp` for an MLP; or a preset, or a `Recipe`.
    network, epochs: replace the recipe's; by default features and images of fewer than 16 pixels
    a side get an MLP. augment: "crop-flip" where these keep an example's class. seed: spawns those
    of initialisation, order and augmentation. checkpoint: a file that the training is kept in
    now and then, and from which it goes on. progress: told the epochs done and their number.
    The values are exact in float32.
    """
    from mislabel.learning.recorded import RecordedStandard

    rows = as_array(examples, "examples")
    given = check_labels(labels, n_classes=n_classes)
    n_classes = int(given.max()) + 1 if n_classes is None else n_classes
    chosen = eta_recipe(rows.shape[1:], recipe=recipe, network=network, epochs=epochs)
    estimator = RecordedStandard(
        recipe=chosen, augment=augment, seed=child_seed(seed, "eta"), device=device
    )
    estimator.fit(
        rows,
        given,
        classes=np.arange(n_classes),
        watch=lambda epoch, _: progress(epoch + 1, chosen.epochs),
        checkpoint=checkpoint,
    )
    return estimator.training_probabilities_.astype(np.float64)


def eta_recipe(
    example_shape: tuple[int, ...],
    *,
    recipe: "str | Recipe" = "auto",
    network: str | None = None,
    epochs: int | None = None,
) -> "Recipe":
    """The recipe for examples of that shape, its network checked; see `network_probabilities`."""
    from mislabel.learning import make_recipe
    from mislabel.learning.networks import check_network

    if recipe == "auto":
        usual = network or make_recipe("auto", example_shape=example_shape).network
        recipe = "mlp" if usual == "mlp" else "pmd-eta"
    found = make_recipe(recipe, example_shape=example_shape, network=network, epochs=epochs)
    check_network(found.network, example_shape)
    return found


@dataclass(frozen=True, kw_only=True)
class NetworkEta(EtaSource):
    """Probabilities of a network in training on the examples; see the module.

    network: preact_resnet34 by default, mlp for features and tiny images. epochs: 25 by default.
    recipe: "auto", as published, or a preset. augment: "auto" crops and flips where that keeps
    an example's class; or "none" or "crop-flip".
    """

    reads: ClassVar[str] = "examples"
    network: str | None = None
    epochs: int | None = None
    recipe: str = "auto"
    augment: str = "auto"

    def check(self, example_shape: tuple[int, ...]) -> None:
        from mislabel.learning.recipes import check_augment

        check_augment(self.augment)
        self._recipe(example_shape)

    def key(self, example_shape: tuple[int, ...], run: EtaRun) -> dict[str, Any]:
        from mislabel.learning.problem import choose_device

        return {
            "recipe": self._recipe(example_shape).to_json(),
            "augment": self._augment(run),
            "device": choose_device(run.device).type,
            "versions": library_versions("numpy", "torch"),
        }

    def probabilities(self, rows: NDArray[Any], labels: IntArray, run: EtaRun) -> FloatArray:
        recipe = self._recipe(rows.shape[1:])

        def say(done: int, total: int) -> None:
            run.say(f"Training {recipe.network} for class probabilities: epoch {done} of {total}")

        say(0, recipe.epochs)
        return network_probabilities(
            rows,
            labels,
            n_classes=run.n_classes,
            recipe=recipe,
            augment=self._augment(run),
            seed=run.seed,
            device=run.device,
            checkpoint=run.checkpoint,
            progress=say,
        )

    def _recipe(self, example_shape: tuple[int, ...]) -> "Recipe":
        return eta_recipe(
            example_shape, recipe=self.recipe, network=self.network, epochs=self.epochs
        )

    def _augment(self, run: EtaRun) -> str:
        return run.augment if self.augment == "auto" else self.augment


RECORD = EtaRecord(
    name="network",
    title="A network in training",
    paper="Zhang et al. 2021 (PLC)",
    source=NetworkEta,
    positional="network",
    example="network:preact_resnet34,epochs=25",
)
