"""The noise rate from held-out noisy labels: counts by hand, a plain twin, and known rates."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning_examples import blobs, pictures
from numpy.typing import NDArray
from torch import nn

from mislabel.errors import InputError
from mislabel.learning import estimate_noise_rate
from mislabel.learning.noise_rate import HELD_OUT_SHARE, confident_noise_rate


def test_counts_by_hand() -> None:
    """Thresholds are t_0 = (.9 + .6 + .2 + .5) / 4 = .55 and t_1 = (.8 + .7 + .3) / 3 = .6.

    Of label 0: .9 and .6 are confidently 0; .2 has .8 for class 1, confidently 1; .5 is neither.
    So 1 of 3 is wrong. Of label 1: two are confidently 1, and .3 has .7 for class 0: 1 of 3 again.
    (4 * 1/3 + 3 * 1/3) / 7 = 1/3.
    """
    first = np.array([0.9, 0.6, 0.2, 0.5, 0.2, 0.3, 0.7])
    labels = np.array([0, 0, 0, 0, 1, 1, 1])
    found = confident_noise_rate(np.stack([first, 1 - first], axis=1), labels)
    assert found == pytest.approx(1 / 3, abs=1e-15)


def test_a_class_weighs_as_many_labels_as_it_has() -> None:
    """t_0 = (1 + .4 + .4 + 0) / 4 = .45 and t_1 = 1, so the second and third are of neither class.

    Label 0: one of two confident ones is wrong: 4 * 1/2. Label 1: none of 4.
    """
    first = np.array([1.0, 0.4, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0])
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    found = confident_noise_rate(np.stack([first, 1 - first], axis=1), labels)
    assert found == pytest.approx(4 * 0.5 / 8, abs=1e-15)


def plain_rate(probabilities: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """The slow twin."""
    n, n_classes = probabilities.shape
    thresholds = {}
    for j in range(n_classes):
        own = [probabilities[i, j] for i in range(n) if labels[i] == j]
        if own:
            thresholds[j] = sum(own) / len(own)
    counts = np.zeros((n_classes, n_classes))
    for i in range(n):
        sure = [j for j in thresholds if probabilities[i, j] >= thresholds[j] - 1e-6]
        if sure:
            counts[labels[i], max(sure, key=lambda j: (probabilities[i, j], -j))] += 1
    rate = 0.0
    for j in range(n_classes):
        if counts[j].sum():
            rate += (labels == j).sum() / n * (1 - counts[j, j] / counts[j].sum())
    return min(rate, 1 - 1 / n_classes)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 40), n_classes=st.integers(2, 5))
def test_counts_equal_their_plain_twin(seed: int, n: int, n_classes: int) -> None:
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.ones(n_classes) / 2, size=n)
    labels = rng.integers(0, n_classes, n)
    found = confident_noise_rate(chances, labels)
    assert found == pytest.approx(plain_rate(chances, labels), abs=1e-12)
    assert 0 <= found <= 1 - 1 / n_classes


def test_a_perfect_network_counts_exactly() -> None:
    """Probabilities one-hot at the clean class: the counts are the flips, class by class."""
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 4, 200)
    for flips in (0, 30, 80):
        labels = np.where(np.arange(200) < flips, (clean + 1) % 4, clean)
        assert confident_noise_rate(np.eye(4)[clean], labels) == pytest.approx(flips / 200)
    assert confident_noise_rate(np.eye(4)[clean], (clean + 1) % 4) == 0.75  # the most there can be


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.4])
def test_a_known_rate_of_separate_blobs(rate: float) -> None:
    """Blobs eight deviations apart, 200 labels held out.

    The network cannot be wrong about the blobs (0.01 at most), so the estimate is the share of
    flips in the held-out part: within five deviations, sqrt(rate * (1 - rate) / 200), of the rate.
    """
    x, clean = blobs(1_000, 4, width=10)
    rng = np.random.default_rng(1)
    labels = np.where(rng.random(1_000) < rate, (clean + rng.integers(1, 4, 1_000)) % 4, clean)
    found = estimate_noise_rate(x, labels, epochs=10, device="cpu")
    assert found.n_held_out == 200
    assert found.standard_error == pytest.approx((found.rate * (1 - found.rate) / 200) ** 0.5)
    assert abs(found.rate - rate) < 5 * (rate * (1 - rate) / 200) ** 0.5 + 0.02


def test_the_seed_decides_it() -> None:
    x, y = blobs(100, 3, spread=3.0)
    first, again = (estimate_noise_rate(x, y, epochs=3, seed=4, device="cpu") for _ in range(2))
    others = {estimate_noise_rate(x, y, epochs=3, seed=s, device="cpu").rate for s in range(5)}
    assert first == again and len(others) > 1


def test_images_strings_and_networks_of_ones_own() -> None:
    images, y = pictures(60, 3, 8, 1)
    names = np.array(["b", "c", "a"])[y]

    def own(shape: tuple[int, ...], n_classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], n_classes))

    for options in ({}, {"network": own}, {"recipe": "fast", "network": "mlp"}):
        found = estimate_noise_rate(images, names, epochs=8, device="cpu", **options)
        assert found.n_held_out == round(HELD_OUT_SHARE * 60) == 12
        assert found.rate <= 0.25  # clean, and well apart: three of twelve would be strange


def test_what_it_refuses_and_what_says_nothing() -> None:
    x, y = blobs(10, 2)
    for examples, labels, message in (
        (x[:1], y[:1], "X='1 examples': to estimate a noise rate takes 2"),
        (x, y[:3], "y='3 labels': must have length 10"),
    ):
        with pytest.raises(InputError) as caught:
            estimate_noise_rate(examples, labels)
        assert str(caught.value) == message
    assert estimate_noise_rate(x, np.zeros(10, int)).rate == 0
    assert estimate_noise_rate(x[:2], [0, 1], epochs=1, device="cpu").n_held_out == 1
