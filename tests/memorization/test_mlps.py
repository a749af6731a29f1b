"""Many small networks at once equal the same networks one at a time."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from mislabel.errors import InputError
from mislabel.labels import NoisyLabels
from mislabel.memorization import make_design
from mislabel.memorization.mlps import MOMENTUM, Mlps
from mislabel.seeds import child_seed

N, D, C = 90, 5, 3
SETTINGS = Mlps(members=3, width=7, epochs=4, batch=20, learning_rate=0.2, weight_decay=1e-2)


@pytest.fixture(scope="module")
def problem() -> tuple[NoisyLabels, np.ndarray]:
    rng = np.random.default_rng(0)
    clean = rng.integers(C, size=N)
    labels = np.where(rng.random(N) < 0.2, rng.integers(C, size=N), clean)
    features = (2 * np.eye(C)[clean] @ rng.normal(size=(C, D)) + rng.normal(size=(N, D))) * 3 + 1
    return NoisyLabels(labels, clean_labels=clean, n_classes=C), features.astype(np.float32)


def one_at_a_time(settings: Mlps, labels: np.ndarray, features: np.ndarray, seed: int):
    """(R, N) probabilities of the given labels: PyTorch's layers, loss and optimiser, in a loop."""
    points = torch.from_numpy(features)
    points = (points - points.mean(0)) / points.std(0)
    targets = torch.tensor(labels)
    design = make_design(NoisyLabels(labels), "all", keep=settings.keep, seed=seed)
    masks = torch.from_numpy(np.array([design.mask(r) for r in range(settings.members)]))
    found = []
    for member in range(settings.members):
        network = nn.Sequential(
            nn.Linear(points.shape[1], settings.width), nn.ReLU(), nn.Linear(settings.width, C)
        )
        own = torch.Generator().manual_seed(child_seed(seed, "initialisation", str(member)))
        for weights, fan_in in zip(
            (network[0].weight, network[0].bias, network[2].weight, network[2].bias),
            (points.shape[1], points.shape[1], settings.width, settings.width),
            strict=True,
        ):
            drawn = torch.rand(tuple(weights.shape[::-1]), generator=own)
            drawn = drawn.T if drawn.ndim == 2 else drawn
            weights.data.copy_((2 * drawn - 1) / fan_in**0.5)
        optimizer = torch.optim.SGD(
            network.parameters(),
            lr=0.1,
            momentum=MOMENTUM,
            nesterov=True,
            weight_decay=settings.weight_decay,
        )
        order = torch.Generator().manual_seed(child_seed(seed, "order"))
        steps = [
            index
            for _ in range(settings.epochs)
            for index in torch.split(torch.randperm(len(targets), generator=order), settings.batch)
        ]
        for number, index in enumerate(steps):
            rate = settings.learning_rate * (1 + np.cos(np.pi * number / len(steps))) / 2
            optimizer.param_groups[0]["lr"] = rate
            mine = index[masks[member, index]]
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(points[mine]), targets[mine]).backward()
            optimizer.step()
        with torch.no_grad():
            chance = torch.softmax(network(points), dim=1)
        found.append(chance[torch.arange(len(targets)), targets].numpy())
    return np.array(found), masks.numpy()


def test_together_as_one_at_a_time(problem: tuple[NoisyLabels, np.ndarray]) -> None:
    """Float32 rounding through 20 steps; the values are of the order of 1."""
    labels, features = problem
    values, masks = one_at_a_time(SETTINGS, labels.labels, features, seed=4)
    found = SETTINGS(labels, features, seed=4)
    for example in range(N):
        inside, outside = values[masks[:, example], example], values[~masks[:, example], example]
        for name, runs in (("inclusion", inside), ("exclusion", outside)):
            wanted = runs.mean() if len(runs) else np.nan
            assert_allclose(getattr(found, name)[example], wanted, atol=1e-4)
            error = runs.std(ddof=1) / len(runs) ** 0.5 if len(runs) > 1 else np.nan
            assert_allclose(getattr(found, f"{name}_error")[example], error, atol=1e-4)
            assert getattr(found, f"{name}_count")[example] == len(runs)
    assert np.ptp(found.inclusion[found.inclusion_count > 0]) > 0.5


def test_wrong_labels_are_memorized_more() -> None:
    """Features say the class exactly; a wrong label can only be known by having been seen."""
    rng = np.random.default_rng(1)
    clean = np.arange(300) % C
    labels = np.where(np.arange(300) < 30, (clean + 1) % C, clean)
    features = np.hstack([4 * np.eye(C)[clean], rng.normal(size=(300, 60))]).astype(np.float32)
    noisy = NoisyLabels(labels, clean_labels=clean, n_classes=C)
    settings = Mlps(members=20, width=64, epochs=40, batch=30, weight_decay=0.0)
    found = settings(noisy, features)
    wrong = found.wrong
    assert np.nanmean(found.exclusion[wrong]) < 0.2 < np.nanmean(found.exclusion[~wrong])
    gap = np.nanmean(found.memorization[wrong]) - np.nanmean(found.memorization[~wrong])
    assert gap > 0.5


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"members": 1}, "members=1: must be at least 2"),
        ({"keep": 1.0}, "keep=1.0: must be a number above 0 and below 1"),
        ({"learning_rate": 0}, "learning_rate=0: must be a number above 0"),
        ({"weight_decay": -1}, "weight_decay=-1: must not be negative"),
        ({"width": 0}, "width=0: must be a whole number of at least 1"),
    ],
)
def test_bad_parameters(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Mlps(**parameters)
    assert str(caught.value) == message
