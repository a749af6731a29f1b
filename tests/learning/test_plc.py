"""PLC: corrections and thresholds by hand, the window against a plain twin, edges, resume."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from learning_examples import blobs, equal_weights, pictures, recipe
from torch import Tensor

from mislabel.errors import InputError
from mislabel.learning import PLC, Evaluation, Recipe, Standard, correct_labels
from mislabel.learning.plc import ProgressiveCorrection, next_theta
from mislabel.learning.warmup import default_warmup


def plain_correction(chances: Any, labels: Any, theta: float) -> list[int]:
    """The slow twin."""
    corrected = []
    for row, label in zip(chances, labels, strict=True):
        largest = max(row)
        corrected.append(row.index(largest) if row[label] < theta * largest else label)
    return corrected


def test_corrections_by_hand() -> None:
    """f[z] / max f is 1, 1/2, 2/7, 0 and 1/2: below 0.3 are the third and the fourth."""
    chances = torch.tensor(
        [[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.7, 0.2, 0.1], [0.0, 0.0, 1.0], [0.25, 0.5, 0.25]]
    )
    labels = torch.tensor([0, 1, 1, 0, 2])
    assert correct_labels(chances, labels, 0.3).tolist() == [0, 1, 0, 2, 2]
    assert correct_labels(chances, labels, 0.5).tolist() == [0, 1, 0, 2, 2]  # 1/2 is not below
    assert correct_labels(chances, labels, 0.6).tolist() == [0, 0, 0, 2, 1]
    assert labels.tolist() == [0, 1, 1, 0, 2]


@pytest.mark.parametrize("theta", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("n_classes", [2, 7])
def test_corrections_equal_their_plain_twin(theta: float, n_classes: int) -> None:
    rng = np.random.default_rng(3)
    chances = rng.dirichlet(np.ones(n_classes), size=500)
    labels = rng.integers(0, n_classes, 500)
    found = correct_labels(torch.from_numpy(chances), torch.from_numpy(labels), theta).tolist()
    assert found == plain_correction(chances.tolist(), labels.tolist(), theta)
    if theta == 0:
        assert found == labels.tolist()
    if theta == 1:
        assert found == chances.argmax(axis=1).tolist()


def test_a_network_that_broke_corrects_nothing() -> None:
    chances = torch.tensor([[torch.nan, torch.nan]] * 2)
    assert correct_labels(chances, torch.tensor([0, 1]), 0.9).tolist() == [0, 1]


def test_the_threshold_rises_in_quiet_epochs() -> None:
    theta, found = 0.3, []
    for _ in range(8):
        theta = next_theta(theta, 0, 1000, 0.9)
        found.append(theta)
    assert found == [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.9, 0.9]
    assert next_theta(0.3, 1, 1000, 0.9) == 0.3  # 0.1 % is not fewer than 0.1 %
    assert next_theta(0.3, 1, 1001, 0.9) == 0.4
    assert next_theta(0.3, 0, 1, 0.9) == 0.4
    assert next_theta(0.85, 0, 10, 0.9) == 0.9


def epoch_of(objective: ProgressiveCorrection, epoch: int, chances: Tensor, order: Any) -> None:
    """One epoch in which the network says `chances`, in batches of 2."""
    for index in torch.tensor(order).split(2):
        objective.loss(chances.log()[index], index)
    objective.end_epoch(epoch, chances.argmax(dim=1))


def test_a_training_by_hand() -> None:
    """Warm-up of 2; every epoch says the same, so that f is that.

    f[z] / max f: 1/9, 0.35, 1 and 0.75. Epoch 2 corrects the first (theta 0.3), one of four. None
    changes in epoch 3: 0.4. That reaches the second in epoch 4. Then four quiet epochs: 0.5, 0.6,
    0.7, 0.8; epoch 9 would change the fourth (0.75 < 0.8).
    """
    chances = torch.tensor([[0.1, 0.9], [0.35 / 1.35, 1 / 1.35], [0.2, 0.8], [4 / 7, 3 / 7]])
    given = torch.tensor([0, 0, 1, 1])
    objective = ProgressiveCorrection(given, 2, 2, theta=0.3, theta_max=0.9)
    trace = []
    for epoch in range(11):
        epoch_of(objective, epoch, chances, [2, 0, 3, 1])
        trace.append((objective.targets.tolist(), objective.theta))
    first, second, third, fourth = [0, 0, 1, 1], [1, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 0]
    assert trace == [
        (first, 0.3), (first, 0.3), (second, 0.3), (second, 0.4), (third, 0.4), (third, 0.5),
        (third, 0.6), (third, 0.7), (third, 0.8), (fourth, 0.8), (fourth, 0.9),
    ]  # fmt: skip
    assert given.tolist() == first
    expected = 1 - chances.gather(1, given[:, None]).squeeze(1)
    torch.testing.assert_close(objective.noise_scores(), expected, atol=1e-6, rtol=0)


def test_the_loss_follows_the_corrected_labels() -> None:
    objective = ProgressiveCorrection(torch.tensor([0, 0]), 2, 0, theta=0.9, theta_max=0.9)
    chances = torch.tensor([[0.1, 0.9], [0.8, 0.2]])
    index = torch.arange(2)
    before = objective.loss(chances.log(), index).item()
    assert before == pytest.approx(-(np.log(0.1) + np.log(0.8)) / 2, abs=1e-6)
    objective.end_epoch(0, chances.argmax(dim=1))
    after = objective.loss(chances.log(), index).item()
    assert after == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2, abs=1e-6)


def test_f_is_the_mean_of_the_last_five_epochs() -> None:
    """Against a list of all epochs; also where there are fewer than five."""
    rng = np.random.default_rng(0)
    objective = ProgressiveCorrection(torch.zeros(6, dtype=int), 3, 99, theta=0.3, theta_max=0.9)
    said = []
    for epoch in range(8):
        said.append(rng.dirichlet(np.ones(3), size=6))
        epoch_of(objective, epoch, torch.from_numpy(said[-1]), rng.permutation(6).tolist())
        expected = np.mean(said[-5:], axis=0)
        np.testing.assert_allclose(objective.mean_probabilities(), expected, atol=1e-6)


@pytest.mark.parametrize("parameters", [{"theta": 0, "theta_max": 0, "warmup": 1}, {"warmup": 9}])
def test_without_corrections_it_is_standard(parameters: Any) -> None:
    """Threshold 0, or a warm-up that lasts to the end."""
    x, y = blobs(60, 3, spread=4.0)
    plc = PLC(epochs=9, device="cpu", seed=2, **parameters).fit(x, y)
    standard = Standard(epochs=9, device="cpu", seed=2).fit(x, y)
    assert equal_weights(plc, standard) and plc.curves_ == standard.curves_
    np.testing.assert_array_equal(plc.corrected_labels_, y)


def test_corrected_labels_are_of_the_given_kind() -> None:
    x, y = blobs(60, 3)
    names = np.array(["ant", "bee", "cat"])
    labels = np.where(np.arange(60) % 6 == 0, (y + 1) % 3, y)
    method = PLC(epochs=30, device="cpu", warmup=15).fit(x, names[labels])
    assert method.corrected_labels_ is not None
    np.testing.assert_array_equal(method.corrected_labels_, names[y])


@pytest.mark.parametrize("shape", [(32, 32, 3), (16, 16, 1)])
def test_the_preset_of_the_study(shape: tuple[int, ...]) -> None:
    assert PLC(recipe="lim2025").resolve_recipe(shape) == Recipe(
        network="preact_resnet34",
        epochs=180,
        batch_size=128,
        learning_rate=0.01,
        nesterov=True,
        schedule="step",
        milestones=(40, 80),
        gamma=0.5,
        precision="float32",
    )


def test_the_preset_with_changes() -> None:
    changed = PLC(recipe="lim2025", epochs=3, network="resnet34").resolve_recipe((32, 32, 3))
    assert (changed.epochs, changed.network, changed.batch_size) == (3, "resnet34", 128)
    assert PLC(recipe="mlp").resolve_recipe((5,)) == Standard(recipe="mlp").resolve_recipe((5,))


@pytest.mark.parametrize(
    ("epochs", "n_examples", "expected"),
    [
        (180, 50_000, 8),  # as published
        (32, 50_000, 8),
        (12, 50_000, 3),
        (1, 50_000, 1),
        (12, 320, 13),  # 4 batches of up to 100: 50 steps need 12.5 epochs
        (12, 3, 50),
    ],
)
def test_the_default_warmup(epochs: int, n_examples: int, expected: int) -> None:
    settings = recipe(epochs=epochs, batch_size=100)
    assert default_warmup(8, settings, n_examples) == expected


def test_the_warmup_that_ran_is_told() -> None:
    x, y = blobs(320, 2)
    assert PLC(epochs=1, device="cpu").fit(x, y).warmup_ == 10
    assert PLC(epochs=1, device="cpu", warmup=4).fit(x, y).warmup_ == 4


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"theta": -0.1}, "theta=-0.1: must be between 0 and 1"),
        ({"theta": float("nan")}, "theta=nan: must be between 0 and 1"),
        ({"theta_max": 0.2}, "theta_max=0.2: must be between theta and 1"),
        ({"theta_max": 1.1}, "theta_max=1.1: must be between theta and 1"),
        ({"warmup": 0}, "warmup=0: must be a whole number of at least 1"),
        ({"warmup": 2.5}, "warmup=2.5: must be a whole number of at least 1"),
    ],
    ids=str,
)
def test_bad_parameters(parameters: Any, message: str) -> None:
    x, y = blobs(12, 2)
    with pytest.raises(InputError) as caught:
        PLC(**parameters).fit(x, y)
    assert str(caught.value) == message


class KilledError(Exception):
    """Stands for a process that ends between two epochs."""


@pytest.mark.parametrize("kind", ["features", "images"])
def test_resumed_amid_corrections(kind: str, tmp_path: Path) -> None:
    """Labels have changed before the end comes, and change after it; bit for bit the same."""
    x, y = blobs(60, 3) if kind == "features" else pictures(40, 3, 16, 3)
    y = np.where(np.arange(len(y)) % 5 == 0, (y + 1) % 3, y)
    options: Any = {"epochs": 9, "augment": "crop-flip", "seed": 3, "warmup": 1, "theta": 0.8}
    whole = PLC(device="cpu", **options).fit(x, y)

    def end(epoch: int, _: Any) -> None:
        if epoch == 4:
            raise KilledError

    file: Any = {"checkpoint": tmp_path / "state", "checkpoint_seconds": 0.0}
    with pytest.raises(KilledError):
        PLC(device="cpu", **options).fit(x, y, watch=end, **file)
    resumed = PLC(device="cpu", **options).fit(x, y, **file)
    assert whole.corrected_labels_ is not None and (whole.corrected_labels_ != y).any()
    assert equal_weights(whole, resumed) and whole.curves_ == resumed.curves_
    np.testing.assert_array_equal(whole.noise_scores_, resumed.noise_scores_)
    np.testing.assert_array_equal(whole.corrected_labels_, resumed.corrected_labels_)


def test_plc_beats_standard_where_the_network_knows_before_it_memorises() -> None:
    """Blobs eight deviations apart, 40 % of the labels wrong, time and room to memorise them.

    In each blob the right label has 60 % and each wrong one 13 %. A network that knows the blobs
    and nothing else says f[z] / max f = 0.22 < 0.3 for wrong labels and 1 for right ones; after
    the warm-up it knows little else, so most wrong labels are corrected (all would be, were f just
    that) and Standard alone has them to memorise.
    """
    x, clean = blobs(400, 4, width=10)
    fresh, truth = blobs(2_000, 4, width=10, seed=1)
    rng = np.random.default_rng(0)
    wrong = rng.permutation(400) < 160
    labels = np.where(wrong, (clean + rng.integers(1, 4, 400)) % 4, clean)
    long = Recipe(network="mlp", epochs=100, batch_size=32, learning_rate=0.02)
    seen = Evaluation(x_test=fresh, y_test=truth, clean_labels=clean)
    standard = Standard(recipe=long, device="cpu").fit(x, labels, evaluation=seen)
    plc = PLC(recipe=long, device="cpu").fit(x, labels, evaluation=seen)
    assert standard.curves_["wrong_fitted"][-1] > 0.8  # it had the time
    assert (plc.corrected_labels_ == clean)[wrong].mean() > 0.7
    assert (plc.corrected_labels_ == clean)[~wrong].mean() > 0.95
    assert plc.curves_["test_accuracy"][-1] > standard.curves_["test_accuracy"][-1] + 0.1
    assert plc.noise_scores_[wrong].mean() > plc.noise_scores_[~wrong].mean() + 0.5
