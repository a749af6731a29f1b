"""What Co-teaching's preset needs: linear decay, a change of momentum, full batches, networks."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from learning_examples import Recorder, blobs, pictures, recipe, resident
from torch import nn

from mislabel.errors import InputError
from mislabel.learning import CoTeaching, Recipe, Standard
from mislabel.learning.learner import SingleNetwork, make_optimizer
from mislabel.learning.loop import train
from mislabel.learning.networks import build_network
from mislabel.learning.problem import TrainingProblem
from mislabel.learning.recipes import lim2025_coteaching
from mislabel.learning.resident import Normalisation, ResidentExamples
from mislabel.seeds import TrainingSeeds

SEEDS = TrainingSeeds(initialisation=1, order=2, augmentation=3)


def test_linear_decay_by_hand() -> None:
    """Three epochs at the peak, one more at its end, then 3/4, 2/4 ... 1/4, twice a batch each."""
    found = recipe(schedule="linear", decay_start=3, epochs=7, learning_rate=0.8)
    rates = [found.learning_rate_at(step, 2) for step in range(14)]
    expected = [0.8] * 8 + [0.6] * 2 + [0.4] * 2 + [0.2] * 2
    assert rates == pytest.approx(expected, abs=1e-15)
    late = recipe(schedule="linear", decay_start=9, epochs=3)
    assert [late.learning_rate_at(step, 1) for step in range(3)] == [0.01] * 3


def test_the_preset_by_hand() -> None:
    """1e-3 to epoch 80, 119/120 of it in 81, half in 140, 1/120 in the last, 199."""
    found = lim2025_coteaching()
    rates = {epoch: found.learning_rate_at(epoch * 390 + 7, 390) for epoch in (0, 80, 81, 140, 199)}
    expected = {0: 1e-3, 80: 1e-3, 81: 119e-3 / 120, 140: 0.5e-3, 199: 1e-3 / 120}
    assert rates == pytest.approx(expected, rel=1e-12)
    assert [found.momentum_at(epoch) for epoch in (0, 79, 80, 199)] == [0.9, 0.9, 0.1, 0.1]
    assert recipe(momentum=0.7, decay_start=1).momentum_at(5) == 0.7


class Watched(SingleNetwork):
    """Notes learning rate and momentum of every step."""

    def step(self, name: str, loss: torch.Tensor) -> None:
        group = self.optimizers[name].param_groups[0]
        momentum = group["betas"][0] if "betas" in group else group["momentum"]
        self.noted = [*getattr(self, "noted", []), (group["lr"], momentum)]
        super().step(name, loss)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_optimiser_is_told(optimizer: str) -> None:
    x, y = blobs(10, 2)
    problem = TrainingProblem(examples=resident(x), labels=torch.from_numpy(y))
    settings = recipe(
        optimizer=optimizer, schedule="linear", decay_start=1, decay_momentum=0.2, epochs=3,
        momentum=0.8, learning_rate=0.5,
    )  # fmt: skip
    learner = Watched(nn.Linear(5, 2), problem, Recorder(problem.labels), settings, SEEDS)
    train(learner)
    expected = [(0.5, 0.8)] * 2 + [(0.5, 0.2)] * 2 + [(0.25, 0.2)] * 2
    assert learner.noted == expected
    adam = make_optimizer(nn.Linear(1, 1), recipe(optimizer="adam", momentum=0.6))
    assert adam.defaults["betas"] == (0.6, 0.999)


@pytest.mark.parametrize(
    ("n", "drop_last", "sizes"),
    [(10, True, [4, 4]), (10, False, [4, 4, 2]), (9, True, [4, 4]), (8, True, [4, 4]),
     (3, True, [3])],
)  # fmt: skip
def test_the_last_batch(n: int, drop_last: bool, sizes: list[int]) -> None:
    x, y = blobs(n, 2)
    problem = TrainingProblem(examples=resident(x), labels=torch.from_numpy(y))
    recorder = Recorder(problem.labels)
    settings = recipe(batch_size=4, drop_last=drop_last)
    train(SingleNetwork(nn.Linear(5, 2), problem, recorder, settings, SEEDS))
    assert [[len(batch) for batch in batches] for batches in recorder.epochs] == [sizes] * 3


@pytest.mark.parametrize("method", [Standard, CoTeaching], ids=lambda m: m.name)
def test_an_example_that_never_came_has_no_opinion_against_it(method: Any) -> None:
    x, y = blobs(10, 2)
    short = recipe(batch_size=8, epochs=1, drop_last=True)
    found = method(recipe=short, seed=1, device="cpu").fit(x, y)
    assert (found.noise_scores_ == 0.5).sum() == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decay_start": -1}, "decay_start=-1: must be a whole number, at least 0"),
        ({"decay_start": 0.5}, "decay_start=0.5: must be a whole number, at least 0"),
        ({"decay_momentum": 1.0}, "decay_momentum=1.0: must be at least 0 and below 1"),
        ({"decay_momentum": -0.1}, "decay_momentum=-0.1: must be at least 0 and below 1"),
    ],
)
def test_what_a_recipe_refuses(changes: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Recipe(network="mlp", epochs=1, batch_size=4, learning_rate=0.1, **changes)
    assert str(caught.value) == message


def size(name: str, shape: tuple[int, ...], n_classes: int) -> int:
    return sum(weight.numel() for weight in build_network(name, shape, n_classes).parameters())


def test_networks_have_the_number_of_weights_worked_by_hand() -> None:
    """LeNet: 456 + 2,416 + 48,120 + 10,164 + 850 for CIFAR-10."""
    lenet = (75 * 6 + 6) + (150 * 16 + 16) + (400 * 120 + 120) + (120 * 84 + 84) + (84 * 10 + 10)
    assert size("lenet", (32, 32, 3), 10) == lenet == 62_006
    widths = [3, 64, 64, 128, 128, 196, 16]
    conv6 = sum(9 * i * o + o + 2 * o for i, o in pairwise(widths)) + 256 * 100 + 100
    assert size("conv6", (32, 32, 3), 100) == conv6
    assert size("lenet_or_conv6", (32, 32, 3), 20) == size("lenet", (32, 32, 3), 20)
    assert size("lenet_or_conv6", (32, 32, 3), 21) == size("conv6", (32, 32, 3), 21)


@pytest.mark.parametrize("name", ["lenet", "conv6", "lenet_or_conv6"])
@pytest.mark.parametrize("shape", [(16, 16, 1), (17, 30, 3), (28, 28, 1), (64, 32, 3)], ids=str)
def test_networks_take_any_size(name: str, shape: tuple[int, ...]) -> None:
    network = build_network(name, shape, 7).eval()
    with torch.inference_mode():
        assert network(torch.rand(2, shape[2], *shape[:2])).shape == (2, 7)


def test_networks_refuse_what_is_too_small() -> None:
    for name, shape, smallest in (
        ("lenet", (15, 16, 3), 16),
        ("lenet_or_conv6", (16, 15, 3), 16),
        ("conv6", (8, 7, 3), 8),
    ):
        with pytest.raises(InputError, match=f"takes images of at least {smallest} x {smallest}"):
            build_network(name, shape, 3)


def test_the_preset_trains() -> None:
    x, y = pictures(40, 3, 16, 3)
    method = CoTeaching(recipe="lim2025", epochs=2, augment="crop-flip", device="cpu").fit(x, y)
    assert method.recipe_.network == "lenet_or_conv6" and method.noise_rate_ == 0
    assert method.predict_proba(x).shape == (40, 3)


@pytest.mark.parametrize("augment", [False, True])
def test_resident_examples_give_back_what_they_were_given(augment: bool) -> None:
    images, _ = pictures(7, 3, 16, 3)
    held = ResidentExamples(images, Normalisation.of(images), torch.device("cpu"), augment=augment)
    np.testing.assert_array_equal(held.raw(), images)
    features, _ = blobs(7, 3)
    np.testing.assert_array_equal(resident(features).raw(), features)
