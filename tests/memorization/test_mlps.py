"""Many small networks at once equal the same networks one at a time."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from mislabel.errors import InputError
from mislabel.labels import NoisyLabels
from mislabel.memorization.mlps import MOMENTUM, Mlps, subset_masks, summarise
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
    masks = torch.from_numpy(subset_masks(len(labels), settings.members, settings.keep, seed))
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
    wanted = summarise(values.astype(np.float64), masks)
    found = SETTINGS(labels, features, seed=4)
    assert_allclose(found.inclusion, wanted.inclusion, atol=1e-4)
    assert_allclose(found.exclusion, wanted.exclusion, atol=1e-4)
    assert_array_equal(found.inclusion_count, masks.sum(axis=0))
    assert np.ptp(found.inclusion[found.inclusion_count > 0]) > 0.5


def test_members_do_not_depend_on_how_many_there_are() -> None:
    assert_array_equal(subset_masks(50, 2, 0.7, 9), subset_masks(50, 4, 0.7, 9)[:2])
    assert (subset_masks(50, 4, 0.7, 9).sum(axis=1) == 35).all()


def test_summary_by_hand() -> None:
    values = np.array([[0.2, 1.0], [0.4, 0.5], [0.9, 0.0]])
    masks = np.array([[True, True], [True, True], [False, True]])
    found = summarise(values, masks)
    assert_allclose(found.inclusion, [0.3, 0.5])
    assert_allclose(found.exclusion, [0.9, np.nan])
    assert_allclose(found.more["inclusion_error"], [0.1, 0.5 / 3**0.5])
    assert_allclose(found.more["exclusion_error"], [np.nan, np.nan])
    assert_array_equal(found.more["exclusion_count"], [1, 0])
    assert_allclose(found.more["inclusion_halves"], [[0.2, 0.5], [0.4, 0.5]])
    assert_allclose(found.more["exclusion_halves"], [[0.9, np.nan], [np.nan, np.nan]])


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
