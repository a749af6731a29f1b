"""Recipes: schedules by hand, and the presets as the papers have them."""

from dataclasses import FrozenInstanceError, replace
from math import sqrt

import pytest
import torch
from learning_examples import recipe
from torch import nn

from mislabel.errors import InputError
from mislabel.learning import METHODS, RECIPES, Recipe, make_recipe
from mislabel.learning.learner import make_optimizer

IMAGE = (32, 32, 3)


def rates(found: Recipe, steps_per_epoch: int) -> list[float]:
    steps = found.epochs * steps_per_epoch
    return [found.learning_rate_at(step, steps_per_epoch) for step in range(steps)]


def test_constant() -> None:
    assert rates(recipe(schedule="constant", learning_rate=0.3, epochs=2), 3) == [0.3] * 6


def test_cosine() -> None:
    """Quarters of the way: (1 + cos 0) / 2, (1 + cos 45°) / 2, 1/2, (1 - cos 45°) / 2."""
    found = rates(recipe(schedule="cosine", learning_rate=2.0, epochs=2), 2)
    assert found == pytest.approx([2, 1 + sqrt(0.5), 1, 1 - sqrt(0.5)], abs=1e-15)


def test_step_as_in_the_study() -> None:
    """0.1 for 50 epochs, 0.01 for 50, 0.001 for 100; ten steps an epoch."""
    found = rates(make_recipe("lim2025", example_shape=IMAGE), 10)
    expected = [0.1] * 500 + [0.01] * 500 + [0.001] * 1000
    assert found == pytest.approx(expected, rel=1e-12)


def test_one_cycle() -> None:
    """Eight steps: up to the peak by 1/2 a step, then (1 - share) / 0.75 of it."""
    found = rates(recipe(schedule="one-cycle", learning_rate=0.6, epochs=2), 4)
    expected = [0.3, 0.6, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step", "one-cycle"])
@pytest.mark.parametrize(("epochs", "steps"), [(5, 7), (12, 79), (1, 1)])
def test_rates_stay_between_zero_and_the_peak(schedule: str, epochs: int, steps: int) -> None:
    """One cycle may step over the corner where its two lines meet, by 4/3 of a step at most."""
    found = rates(recipe(schedule=schedule, epochs=epochs, milestones=(1, 3)), steps)
    over = 4 / 3 / (epochs * steps) if schedule == "one-cycle" else 0
    assert min(found) > 0 and max(found) <= 0.01 * (1 + over) * (1 + 1e-12)
    assert max(found) >= 0.01 * (1 - 1e-12)


def test_the_presets() -> None:
    shared = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 5e-4, "batch_size": 64,
              "gamma": 0.1, "augment": "auto", "decay_start": 0, "decay_momentum": None,
              "drop_last": False}  # fmt: skip
    lim2025 = shared | {
        "network": "resnet34",
        "epochs": 200,
        "learning_rate": 0.1,
        "nesterov": False,
        "schedule": "step",
        "milestones": [50, 100],
        "precision": "float32",
    }
    mlp = shared | {
        "network": "mlp",
        "epochs": 60,
        "learning_rate": 0.02,
        "nesterov": True,
        "schedule": "cosine",
        "milestones": [],
        "precision": "auto",
    }
    fast = mlp | {"network": "cnn", "epochs": 24, "learning_rate": 0.05, "schedule": "one-cycle"}
    pmd_eta = shared | {
        "network": "preact_resnet34",
        "epochs": 25,
        "batch_size": 128,
        "learning_rate": 0.001,
        "nesterov": True,
        "schedule": "constant",
        "milestones": [],
        "precision": "auto",
    }
    found = {name: preset().to_json() for name, preset in RECIPES.items()}
    wanted = {"mlp": mlp, "fast": fast, "lim2025": lim2025, "pmd-eta": pmd_eta}
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("shape", "network"),
    [((5,), "mlp"), ((8, 8, 1), "mlp"), ((15, 32, 3), "mlp"), ((16, 16, 1), "cnn"), (IMAGE, "cnn")],
)
def test_auto(shape: tuple[int, ...], network: str) -> None:
    assert make_recipe("auto", example_shape=shape).network == network


def test_network_and_epochs_are_replaced() -> None:
    found = make_recipe("lim2025", example_shape=IMAGE, network="cnn", epochs=3)
    assert (found.network, found.epochs, found.learning_rate) == ("cnn", 3, 0.1)
    own = recipe()
    assert make_recipe(own, example_shape=IMAGE) == own
    assert make_recipe(own, example_shape=IMAGE, epochs=9).epochs == 9
    with pytest.raises(FrozenInstanceError):
        own.epochs = 4  # type: ignore[misc]


def test_unknown_preset() -> None:
    with pytest.raises(InputError) as caught:
        make_recipe("lim2024", example_shape=IMAGE)
    assert str(caught.value) == (
        "recipe='lim2024': unknown; did you mean 'lim2025'? Known: "
        + ", ".join(sorted(["auto", *RECIPES]))
    )


def test_the_optimiser_is_the_recipes() -> None:
    network = nn.Linear(2, 2)
    sgd = make_optimizer(network, recipe(momentum=0.8, nesterov=True, weight_decay=0.1))
    assert isinstance(sgd, torch.optim.SGD)
    wanted = {"lr": 0.01, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1}
    assert wanted.items() <= sgd.defaults.items()
    adam = make_optimizer(network, recipe(optimizer="adam", weight_decay=0.2))
    assert isinstance(adam, torch.optim.Adam) and adam.defaults["weight_decay"] == 0.2


def test_precision_replaces_the_recipes() -> None:
    """For every method, the study's presets included, which ask for float32."""
    for record in METHODS:
        for preset in ("auto", "lim2025"):
            method = record.estimator(recipe=preset, precision="bfloat16")
            found, usual = (
                m.resolve_recipe(IMAGE) for m in (method, record.estimator(recipe=preset))
            )
            assert found == replace(usual, precision="bfloat16")
    with pytest.raises(InputError, match="precision='half': unknown choice"):
        METHODS["standard"].estimator(precision="half").resolve_recipe(IMAGE)
