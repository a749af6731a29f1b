"""Where class probabilities come from: sources by name, and networks in training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mislabel.errors import InputError
from mislabel.learning import Recipe
from mislabel.noise import (
    ETA_SOURCES,
    PMD,
    canonical_eta,
    cross_fitted_probabilities,
    make_eta,
    network_probabilities,
)
from mislabel.noise.eta import CrossFitted, EtaRun, describe_probabilities
from mislabel.noise.eta_network import NetworkEta, eta_recipe
from thread_limits import one_thread

__all__ = ["one_thread"]


def blobs(n: int = 60, spread: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Three classes in four dimensions that overlap a little."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(n) % 3)
    return (3 * np.eye(3, 4)[labels] + rng.normal(scale=spread, size=(n, 4))), labels


def pictures(n: int = 24, side: int = 16) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    noise = rng.integers(0, 60, size=(n, side, side, 3))
    return (noise + 80 * labels[:, None, None, None]).astype(np.uint8), labels


def refusal(spec: str, shape: tuple[int, ...] = (4,)) -> str:
    with pytest.raises(InputError) as caught:
        make_eta(spec).check(shape)
    return str(caught.value)


def test_specs() -> None:
    assert make_eta("cross-fitted") == CrossFitted() == make_eta("cross-fitted:5")
    assert make_eta("network:cnn,epochs=3") == NetworkEta(network="cnn", epochs=3)
    assert canonical_eta("cross-fitted:folds=5") == "cross-fitted"
    assert canonical_eta("network:epochs=3,network=cnn,augment=auto") == "network:cnn,epochs=3"
    assert [record.source for record in ETA_SOURCES] == [CrossFitted, NetworkEta]
    for record in ETA_SOURCES:
        make_eta(record.example).check((32, 32, 3))


@pytest.mark.parametrize(
    ("spec", "shape", "message"),
    [
        ("crossfitted", (4,), "eta='crossfitted': unknown name; did you mean 'cross-fitted'? "
         "Known: cross-fitted, network"),
        ("cross-fitted:1", (4,), "folds=1: must be at least 2"),
        ("network:epoch=3", (4,), "eta='network:epoch=3': unknown parameter 'epoch'; "
         "did you mean 'epochs'? Known: augment, epochs, network, recipe"),
        ("network:epochs=0", (4,), "epochs=0: must be a whole number, at least 1"),
        ("network:cnn", (4,), "network='cnn': takes images; for feature vectors use 'mlp'"),
        ("network:augment=flip", (4,), "augment='flip': unknown choice; "
         "did you mean 'crop-flip'? Known: auto, crop-flip, none"),
    ],
)  # fmt: skip
def test_bad_specs(spec: str, shape: tuple[int, ...], message: str) -> None:
    assert refusal(spec, shape) == message


@pytest.mark.parametrize(
    ("shape", "changes", "network", "epochs", "rate"),
    [
        ((32, 32, 3), {}, "preact_resnet34", 25, 0.001),
        ((32, 32, 3), {"network": "cnn"}, "cnn", 25, 0.001),
        ((32, 32, 3), {"network": "mlp"}, "mlp", 60, 0.02),
        ((32, 32, 3), {"recipe": "fast", "epochs": 3}, "cnn", 3, 0.05),
        ((8, 8, 1), {}, "mlp", 60, 0.02),
        ((8, 8, 1), {"network": "cnn", "epochs": 2}, "cnn", 2, 0.001),
        ((4,), {}, "mlp", 60, 0.02),
    ],
)
def test_the_recipe_is_the_published_one_but_for_an_mlp(
    shape: tuple[int, ...], changes: dict[str, Any], network: str, epochs: int, rate: float
) -> None:
    found = eta_recipe(shape, **changes)
    assert (found.network, found.epochs, found.learning_rate) == (network, epochs, rate)


def test_a_network_has_seen_the_labels() -> None:
    """Random labels, in a space wide enough to tell all examples apart: fitted all the same."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(90, 60)), np.arange(90) % 3
    outside = describe_probabilities(cross_fitted_probabilities(features, labels), labels)
    inside = describe_probabilities(network_probabilities(features, labels), labels)
    assert outside["accuracy"] < 0.6 < 0.95 < inside["accuracy"]
    assert outside["mean_margin"] < inside["mean_margin"]


def test_probabilities_are_exact_in_float32_and_follow_the_seed() -> None:
    features, labels = blobs()
    for make in (
        lambda seed: cross_fitted_probabilities(features, labels, n_classes=4, seed=seed),
        lambda seed: network_probabilities(features, labels, n_classes=4, epochs=2, seed=seed),
    ):
        first, again, other = make(1), make(1), make(2)
        assert first.shape == (60, 4) and first.dtype == np.float64
        np.testing.assert_array_equal(first, first.astype(np.float32))
        np.testing.assert_allclose(first.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()


def test_images_progress_and_noise() -> None:
    images, labels = pictures()
    told: list[tuple[int, int]] = []
    found = network_probabilities(
        images, labels, network="cnn", epochs=3, augment="crop-flip", device="cpu",
        progress=lambda *done: told.append(done),
    )  # fmt: skip
    assert told == [(1, 3), (2, 3), (3, 3)] and found.shape == (24, 3)
    plain = network_probabilities(images, labels, network="cnn", epochs=3, device="cpu")
    assert (plain != found).any()
    second = np.argsort(found, axis=1)[:, -2:]
    noisy = PMD(factor=1.43).corrupt(labels, probabilities=found)
    assert (noisy.labels[:, None] == second).any(axis=1).all()


def test_a_recipe_of_ones_own() -> None:
    features, labels = blobs()
    recipe = Recipe(network="mlp", epochs=1, batch_size=60, learning_rate=1e-9)
    found = network_probabilities(features, labels, recipe=recipe)
    assert np.abs(found - 1 / 3).max() < 0.3  # nothing was learned


def test_bad_input_of_a_network() -> None:
    features, labels = blobs()
    for changes, message in (
        ({"labels": labels[:5]}, "y='5 labels': must have length 60"),
        ({"labels": labels - 1}, "labels=-1: at index"),
        ({"n_classes": 2}, "labels=2: at index"),
        ({"seed": -1}, "seed=-1: must be"),
        ({"device": "gpu"}, "device='gpu': must be auto, cpu or cuda"),
        ({"epochs": 0}, "epochs=0: must be a whole number, at least 1"),
    ):
        given: dict[str, Any] = {"labels": labels} | changes
        with pytest.raises(InputError) as caught:
            network_probabilities(features, **given)
        assert str(caught.value).startswith(message)


class KilledError(Exception):
    """Stands for a process that ends between two epochs."""


def test_a_killed_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mislabel.learning.checkpoint.Checkpoint.due", lambda *_, **__: True)
    features, labels = blobs()
    source = make_eta("network:epochs=4")
    rows = features.astype(np.float32)
    whole = source.probabilities(rows, labels, EtaRun(n_classes=3))
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if text.endswith("epoch 3 of 4") and len(said) == 4:
            raise KilledError

    run = EtaRun(n_classes=3, checkpoint=tmp_path / "kept", say=say)
    with pytest.raises(KilledError):
        source.probabilities(rows, labels, run)
    np.testing.assert_array_equal(source.probabilities(rows, labels, run), whole)
    work = "Training mlp for class probabilities: epoch"
    assert said == [f"{work} {epoch} of 4" for epoch in (0, 1, 2, 3, 0, 3, 4)]


def test_the_key_has_all_that_probabilities_depend_on() -> None:
    run = EtaRun(n_classes=3, augment="crop-flip", device="cpu")
    shape = (16, 16, 3)
    keys = [make_eta(spec).key(shape, run) for spec in (
        "network", "network:cnn", "network:epochs=3", "network:recipe=fast",
        "network:augment=none", "cross-fitted", "cross-fitted:3",
    )]  # fmt: skip
    assert all(one != other for i, one in enumerate(keys) for other in keys[:i])
    plain = EtaRun(n_classes=3, augment="none", device="cpu")
    assert make_eta("network").key(shape, plain) == make_eta("network:augment=none").key(shape, run)


def test_description_by_hand() -> None:
    """Right, second right, neither, right; margins 0.5, 0.2, 0.1 and 0.8."""
    found = describe_probabilities(
        np.array([[0.7, 0.2, 0.1], [0.3, 0.2, 0.5], [0.5, 0.4, 0.1], [0.1, 0.9, 0.0]]),
        np.array([0, 0, 2, 1]),
    )
    assert found == pytest.approx(
        {"accuracy": 0.5, "mean_margin": (0.5 + 0.2 + 0.1 + 0.8) / 4, "neither": 0.25}
    )
