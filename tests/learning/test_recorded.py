"""What a network says while it trains, against a training written out by hand."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from learning_examples import blobs, pictures, recipe
from torch.nn import functional

from mislabel.learning.recorded import RecordedCrossEntropy, RecordedStandard


def fitted(x: np.ndarray, y: np.ndarray, **changes: object) -> RecordedStandard:
    """One batch an epoch, so that all examples are recorded with the same weights."""
    settings = recipe(batch_size=len(x), learning_rate=0.1, schedule="constant", **changes)
    return RecordedStandard(recipe=settings, device="cpu", seed=4).fit(x, y)


def test_the_loss_is_cross_entropys_and_the_last_probabilities_stay() -> None:
    labels = torch.tensor([0, 1, 1])
    objective = RecordedCrossEntropy(labels, 2)
    logits = torch.tensor([[0.0, 0.0], [0.0, math.log(3.0)]], requires_grad=True)
    index = torch.tensor([2, 0])
    loss = objective.loss(logits, index)
    assert loss.item() == pytest.approx((math.log(2) + math.log(4)) / 2)  # classes 1 and 0
    expected = [[0.25, 0.75], [0, 0], [0.5, 0.5]]
    np.testing.assert_allclose(objective.probabilities, expected, atol=1e-7)
    objective.loss(-logits, index)
    np.testing.assert_allclose(objective.probabilities[0], [0.75, 0.25], atol=1e-7)
    assert not objective.probabilities.requires_grad


def test_probabilities_are_those_before_the_last_step() -> None:
    """A twin: two epochs of plain gradient descent, written out; no momentum in the first step."""
    x, y = blobs(30, 3)
    settings = {"momentum": 0.0, "weight_decay": 0.0}
    one = fitted(x, y, epochs=1, **settings)
    two = fitted(x, y, epochs=2, **settings)
    network = two._build("network")  # the same initial weights
    inputs = torch.from_numpy((x - x.mean(axis=0)) / x.std(axis=0))
    first = torch.softmax(network(inputs), dim=1)
    np.testing.assert_allclose(one.training_probabilities_, first.detach(), atol=1e-5)
    functional.cross_entropy(network(inputs), torch.from_numpy(y)).backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= 0.1 * parameter.grad
        second = torch.softmax(network(inputs), dim=1)
    np.testing.assert_allclose(two.training_probabilities_, second, atol=1e-5)
    assert np.abs(two.training_probabilities_ - first.detach().numpy()).max() > 1e-3


def test_every_example_is_recorded_with_what_it_was_shown() -> None:
    """Batches that do not divide the number; crops and flips change what is seen."""
    x, y = pictures(41, 3, 16, 3)
    settings = recipe(network="cnn", epochs=1, batch_size=10)
    plain = RecordedStandard(recipe=settings, device="cpu", augment="none").fit(x, y)
    shifted = RecordedStandard(recipe=settings, device="cpu", augment="crop-flip").fit(x, y)
    for method in (plain, shifted):
        found = method.training_probabilities_
        assert found.shape == (41, 3) and found.dtype == np.float32
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert np.abs(plain.training_probabilities_ - shifted.training_probabilities_).max() > 1e-3


class KilledError(Exception):
    """Stands for a process that ends between two epochs."""


@pytest.mark.parametrize("killed_after", [1, 3])
def test_a_resumed_training_records_the_same(tmp_path: Path, killed_after: int) -> None:
    """Killed in the middle, or behind the last epoch, when there is nothing left to train."""
    x, y = blobs(40, 3)
    method = RecordedStandard(recipe=replace(recipe(), epochs=4), device="cpu", seed=2)
    whole = method.fit(x, y).training_probabilities_
    file = {"checkpoint": tmp_path / "kept", "checkpoint_seconds": 0.0}

    def watch(epoch: int, _: object) -> None:
        if epoch == killed_after:
            raise KilledError

    with pytest.raises(KilledError):
        method.fit(x, y, watch=watch, **file)
    method.fit(x, y, **file)
    np.testing.assert_array_equal(method.training_probabilities_, whole)
    again = method.fit(x, y, **file)  # finished: what is recorded comes from the file
    np.testing.assert_array_equal(again.training_probabilities_, whole)
