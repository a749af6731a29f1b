"""The training loop: order, seeds, curves, and what methods are for."""

from dataclasses import replace
from itertools import pairwise
from math import e, log
from typing import Any

import numpy as np
import pytest
import torch
from learning_examples import CPU, Recorder, as_they_are, blobs, pictures, recipe, resident
from torch import Tensor, nn

from mislabel.features import nearest_neighbors
from mislabel.learning import (
    GCE,
    SNLS,
    Evaluation,
    Recipe,
    Standard,
    networks,
    soft_neighbor_targets,
)
from mislabel.learning.learner import SingleNetwork
from mislabel.learning.loop import Training, train
from mislabel.learning.objective import CrossEntropy
from mislabel.learning.problem import HeldOut, TrainingProblem, predict_logits
from mislabel.learning.resident import ResidentExamples
from mislabel.seeds import TrainingSeeds

SEEDS = TrainingSeeds(initialisation=1, order=2, augmentation=3)


class Listener(nn.Module):
    """A linear network that keeps every batch it is trained on."""

    def __init__(self, width: int, n_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, n_classes)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen.append(x.detach().clone())
        logits: Tensor = self.linear(x.flatten(1))
        return logits


def listen(seeds: TrainingSeeds, *, n: int = 12) -> tuple[Recorder, list[Tensor]]:
    """Indices and inputs of a training under augmentation with these seeds."""
    images, labels = pictures(n, 2, 8, 1)
    problem = TrainingProblem(
        examples=resident(images, augment=True), labels=torch.from_numpy(labels)
    )
    recorder, network = Recorder(problem.labels), Listener(64, 2)
    train(SingleNetwork(network, problem, recorder, recipe(epochs=2, learning_rate=1e-6), seeds))
    return recorder, network.seen


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [
        (23, 5, [5, 5, 5, 5, 3]),
        (9, 4, [4, 5]),  # a single last example joins the batch before it
        (10, 4, [4, 4, 2]),
        (8, 4, [4, 4]),
        (5, 4, [5]),
        (5, 64, [5]),
        (3, 1, [1, 2]),
    ],
)
def test_each_example_comes_once_an_epoch(n: int, batch_size: int, sizes: list[int]) -> None:
    x, y = blobs(n, 2)
    problem = TrainingProblem(examples=resident(x), labels=torch.from_numpy(y))
    recorder = Recorder(problem.labels)
    train(SingleNetwork(nn.Linear(5, 2), problem, recorder, recipe(batch_size=batch_size), SEEDS))
    assert len(recorder.epochs) == 3
    orders = [[i for batch in batches for i in batch] for batches in recorder.epochs]
    for batches, order in zip(recorder.epochs, orders, strict=True):
        assert [len(batch) for batch in batches] == sizes
        assert sorted(order) == list(range(n))
    if n > 8:  # the same order twice: 1 in n! > 360,000
        assert all(a != b for a, b in pairwise(orders))


def test_each_seed_rules_one_thing() -> None:
    recorder, inputs = listen(SEEDS)
    again, same_inputs = listen(SEEDS)
    assert again.epochs == recorder.epochs
    assert all(torch.equal(a, b) for a, b in zip(inputs, same_inputs, strict=True))
    other_crops, crops = listen(replace(SEEDS, augmentation=4))
    assert other_crops.epochs == recorder.epochs
    assert not any(torch.equal(a, b) for a, b in zip(inputs, crops, strict=True))
    other_order, _ = listen(replace(SEEDS, order=4))
    assert other_order.epochs != recorder.epochs
    initialised, seen = listen(replace(SEEDS, initialisation=4))
    assert initialised.epochs == recorder.epochs
    assert all(torch.equal(a, b) for a, b in zip(inputs, seen, strict=True))


def test_augmentation_is_drawn_anew_for_every_batch() -> None:
    recorder, inputs = listen(SEEDS)
    batches = [batch for epoch in recorder.epochs for batch in epoch]
    shown: dict[int, list[Tensor]] = {}
    for batch, seen in zip(batches, inputs, strict=True):
        for index, image in zip(batch, seen, strict=True):
            shown.setdefault(index, []).append(image)
    assert any(not torch.equal(first, second) for first, second in shown.values())


PREDICTED = np.array([0, 1, 2, 0, 1, 2, 0, 1])
LABELS = torch.tensor([0, 1, 2, 1, 2, 0, 2, 1])
CLEAN = torch.tensor([0, 1, 2, 0, 1, 1, 1, 0])
"""Flipped are the last five: two are predicted as their clean label, one as its wrong label."""


def fixed_training(**given: Any) -> Training:
    """Two epochs of a network that predicts `PREDICTED` and cannot move."""
    network = nn.Linear(3, 3)
    with torch.no_grad():
        network.weight.copy_(torch.eye(3))
        network.bias.zero_()
    onehot = np.eye(3, dtype=np.float32)[PREDICTED]
    problem = TrainingProblem(examples=resident(onehot), labels=LABELS, **given)
    still = recipe(epochs=2, learning_rate=1e-30, weight_decay=0.0)
    return train(SingleNetwork(network, problem, CrossEntropy(LABELS), still, SEEDS))


def test_curves_by_hand() -> None:
    test = resident(np.eye(3, dtype=np.float32)[[0, 1, 2, 2]])
    training = fixed_training(
        clean_labels=CLEAN, test=HeldOut(examples=test, labels=torch.tensor([0, 1, 2, 0]))
    )
    curves = {name: [pytest.approx(v, abs=1e-7)] * 2 for name, v in {
        "train_loss": log(e + 2) - 0.5,  # log(e + 2) - 1 where right, log(e + 2) where not: half
        "train_accuracy": 4 / 8,
        "wrong_fitted": 1 / 5,
        "wrong_corrected": 2 / 5,
        "test_accuracy": 3 / 4,
    }.items()}  # fmt: skip
    curves["train_loss"] = [pytest.approx(log(e + 2) - 0.5, abs=1e-6)] * 2
    assert training.curves == curves
    assert training.test_predictions is not None
    assert training.test_predictions.tolist() == [0, 1, 2, 2]


def test_curves_without_flips_or_without_knowledge() -> None:
    assert fixed_training(clean_labels=LABELS).curves["wrong_fitted"] == [None, None]
    assert fixed_training(clean_labels=LABELS).curves["wrong_corrected"] == [None, None]
    bare = fixed_training()
    assert bare.curves.keys() == {"train_loss", "train_accuracy"}
    assert bare.test_predictions is None


def test_curves_come_from_the_predictions_of_training() -> None:
    x, y = blobs(40, 3, spread=3.0)
    clean = (y + (np.arange(40) % 4 == 0)) % 3
    problem = TrainingProblem(
        examples=resident(x), labels=torch.from_numpy(y), clean_labels=torch.from_numpy(clean)
    )
    recorder, watched = Recorder(problem.labels), []
    network = networks.build_network("mlp", (5,), 3)
    learner = SingleNetwork(network, problem, recorder, recipe(epochs=6), SEEDS)
    training = train(learner, watch=lambda *a: watched.append(a))
    flipped = y != clean
    for epoch, predicted in enumerate(recorder.predicted):
        found = {name: curve[epoch] for name, curve in training.curves.items()}
        # Shares of at most 40 as float32: half an ulp of values up to 1.
        exact = {
            "train_accuracy": (predicted == y).mean(),
            "wrong_fitted": (predicted == y)[flipped].mean(),
            "wrong_corrected": (predicted == clean)[flipped].mean(),
        }
        for name, value in exact.items():
            assert found[name] == pytest.approx(value, abs=2**-24)
        assert watched[epoch] == (epoch, found)
    assert len(watched) == len(recorder.predicted) == 6
    assert len(set(training.curves["train_accuracy"])) > 1


def test_the_loss_is_the_mean_over_examples() -> None:
    """Batches of 4 and 3: the mean over examples is not the mean over batches."""
    x, y = blobs(7, 2)
    problem = TrainingProblem(examples=resident(x), labels=torch.from_numpy(y))
    network = nn.Linear(5, 2)
    with torch.no_grad():
        logits = network(torch.from_numpy(x))
    expected = nn.functional.cross_entropy(logits, problem.labels).item()
    still = recipe(epochs=1, batch_size=4, learning_rate=1e-30, weight_decay=0.0)
    training = train(SingleNetwork(network, problem, CrossEntropy(problem.labels), still, SEEDS))
    assert training.curves["train_loss"] == [pytest.approx(expected, rel=1e-6)]


def test_the_test_curve_ends_at_the_prediction() -> None:
    x, y = pictures(40, 3, 16, 3)
    fresh, truth = pictures(33, 3, 16, 3, seed=1)
    method = Standard(epochs=2, augment="crop-flip", device="cpu")
    method.fit(x, y, evaluation=Evaluation(x_test=fresh, y_test=truth))
    answers = method.predict(fresh)
    np.testing.assert_array_equal(method.classes_[method.test_predictions_], answers)
    expected = (answers == truth).mean()
    assert method.curves_["test_accuracy"][-1] == pytest.approx(expected, abs=2**-24)


def test_evaluation_changes_no_training() -> None:
    x, y = blobs(40, 2)
    seen = Evaluation(x_test=x[:9], y_test=y[:9], clean_labels=1 - y)
    plain = Standard(epochs=3, device="cpu").fit(x, y)
    watched = Standard(epochs=3, device="cpu").fit(x, y, evaluation=seen)
    assert plain.curves_["train_loss"] == watched.curves_["train_loss"]
    np.testing.assert_array_equal(plain.predict_proba(x), watched.predict_proba(x))


def test_classes_that_only_the_evaluation_has_are_never_right() -> None:
    x, y = blobs(40, 2)
    labels = np.array(["a", "c"])[y]
    truth = np.where(y == 1, "b", "a")  # "b" lies between the two and is no class of the labels
    seen = Evaluation(x_test=x, y_test=truth, clean_labels=truth)
    method = Standard(epochs=20, device="cpu").fit(x, labels, evaluation=seen)
    np.testing.assert_array_equal(method.predict(x), labels)
    assert method.curves_["test_accuracy"][-1] == 0.5
    assert method.curves_["wrong_fitted"][-1] == 1 and method.curves_["wrong_corrected"][-1] == 0


def test_prediction_in_blocks_is_prediction_in_one() -> None:
    x, _ = blobs(2_345, 2)
    network = nn.Linear(5, 2)
    examples = ResidentExamples(x, as_they_are(5), CPU)
    with torch.no_grad():
        expected = network(torch.from_numpy(x))
    found = predict_logits(network, examples, recipe())
    # Dot products of five terms of size up to 10 in another order.
    torch.testing.assert_close(found, expected, atol=50 * 5 * 2**-24, rtol=0)
    assert found.shape == (2_345, 2)


def test_gce_beats_standard_under_symmetric_noise() -> None:
    """Blobs eight deviations apart, 40 % of the labels wrong, time and room to memorise them.

    Cross-entropy pulls the harder at a label the less the network believes it, until wrong labels
    are fitted too; GCE's pull carries the factor p^q, so a label that the blob speaks against
    keeps little weight. So GCE must fit fewer wrong labels and generalise better.
    """
    x, clean = blobs(400, 4, width=10)
    fresh, truth = blobs(2_000, 4, width=10, seed=1)
    rng = np.random.default_rng(0)
    wrong = rng.permutation(400) < 160
    labels = np.where(wrong, (clean + rng.integers(1, 4, 400)) % 4, clean)
    long = Recipe(network="mlp", epochs=150, batch_size=32, learning_rate=0.02)
    seen = Evaluation(x_test=fresh, y_test=truth, clean_labels=clean)
    ends = {}
    for method in (Standard(recipe=long, device="cpu"), GCE(recipe=long, device="cpu")):
        curves = method.fit(x, labels, evaluation=seen).curves_
        ends[method.name] = {name: curve[-1] for name, curve in curves.items()}
    standard, gce = ends["standard"], ends["gce"]
    assert standard["wrong_fitted"] > 0.9  # it had the time
    assert gce["wrong_fitted"] < 0.5 * standard["wrong_fitted"]
    assert gce["test_accuracy"] > standard["test_accuracy"] + 0.1


def test_snls_beats_standard_under_isolated_flips() -> None:
    """Tight clusters in the features, 25 % of the labels wrong, never many side by side.

    The vote of the neighbours is right everywhere (checked), so the largest part of every target
    is the clean label; Standard is given the wrong ones, and the other columns to memorise by.
    """
    places, clean = blobs(200, 4, spread=0.1)
    fresh_places, truth = blobs(2_000, 4, spread=0.1, seed=1)
    rng = np.random.default_rng(0)
    x = np.hstack([places / 3, rng.normal(size=(200, 20))])
    fresh = np.hstack([fresh_places / 3, rng.normal(size=(2_000, 20))])
    labels = np.where(rng.permutation(200) < 50, (clean + rng.integers(1, 4, 200)) % 4, clean)
    _, neighbors = nearest_neighbors(places, 25)
    targets = soft_neighbor_targets(labels, neighbors, 4, alpha=0.3)
    np.testing.assert_array_equal(targets.argmax(axis=1), clean)

    long = Recipe(network="mlp", epochs=100, batch_size=32, learning_rate=0.02)
    seen = Evaluation(x_test=fresh, y_test=truth, clean_labels=clean)
    standard = Standard(recipe=long, device="cpu").fit(x, labels, evaluation=seen)
    soft = SNLS(recipe=long, device="cpu").fit(x, labels, features=places, evaluation=seen)
    assert soft.k_ == 25
    assert standard.curves_["wrong_fitted"][-1] > 0.9
    assert soft.curves_["wrong_corrected"][-1] > 0.9
    assert soft.curves_["test_accuracy"][-1] > standard.curves_["test_accuracy"][-1] + 0.1
