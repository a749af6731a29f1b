"""Examples on the device: normalisation, crops and flips."""

from math import log, sqrt
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from learning_examples import CPU, resident
from numpy.typing import NDArray

from mislabel.learning.resident import Normalisation, ResidentExamples

RNG = np.random.default_rng(0)


def pictures(n: int, height: int, width: int, channels: int) -> NDArray[np.uint8]:
    return RNG.integers(0, 256, size=(n, height, width, channels), dtype=np.uint8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shown(batch: torch.Tensor) -> NDArray[Any]:
    """A batch as (B, h, w, c)."""
    return batch.permute(0, 2, 3, 1).numpy()


def plain_augmentation(
    images: NDArray[np.uint8], index: list[int], padding: int, state: torch.Generator
) -> NDArray[np.float32]:
    """The slow twin: pad with black, crop, mirror, one image after the other.

    The loop draws all vertical offsets, then all horizontal ones, then all flips.
    """
    places, count = 2 * padding + 1, len(index)
    top = torch.randint(places, (count, 1), generator=state)
    left = torch.randint(places, (count, 1), generator=state)
    mirrored = torch.randint(2, (count, 1), generator=state)
    height, width = images.shape[1:3]
    found = []
    for number, i in enumerate(index):
        border = ((padding, padding), (padding, padding), (0, 0))
        padded = np.pad(images[i], border)
        y, x = int(top[number]), int(left[number])
        crop = padded[y : y + height, x : x + width]
        found.append(crop[:, ::-1] if mirrored[number] else crop)
    return np.stack(found).astype(np.float32)


@given(
    height=st.integers(4, 33),
    width=st.integers(4, 33),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**32 - 1),
)
def test_augmentation_equals_its_plain_twin(
    height: int, width: int, channels: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, size=(5, height, width, channels), dtype=np.uint8)
    index = rng.integers(5, size=8).tolist()
    examples = resident(images, augment=True)
    assert examples.padding == max(1, min(height, width) // 8)
    found = shown(examples.batch(torch.tensor(index), generator(seed)))
    expected = plain_augmentation(images, index, examples.padding, generator(seed))
    np.testing.assert_array_equal(found, expected)


def test_crops_stay_within_the_padding_and_reach_its_edges() -> None:
    """Every batch image is a window of the padded image, mirrored or not; all windows occur.

    With 2,000 draws of 18 kinds one is missed with probability 18 (17/18)^2000 < 1e-48.
    """
    image = (np.arange(1, 65, dtype=np.uint8) * 3).reshape(1, 8, 8, 1)
    padded = np.pad(image[0, :, :, 0], 1)
    windows = [padded[y : y + 8, x : x + 8] for y in range(3) for x in range(3)]
    known = {w.tobytes() for w in windows} | {w[:, ::-1].tobytes() for w in windows}
    batch = resident(image, augment=True).batch(torch.zeros(2000, dtype=torch.long), generator())
    seen = {crop.astype(np.uint8).tobytes() for crop in shown(batch)[..., 0]}
    assert len(known) == 18 and seen == known


def test_half_of_the_images_are_mirrored() -> None:
    """Hoeffding: a share of n = 4,000 is off 1/2 by sqrt(log(2 / 1e-9) / 2n) once in 1e9."""
    n = 4_000
    image = np.zeros((1, 8, 8, 1), np.uint8)
    image[:, :, :4] = 200
    batch = resident(image, augment=True).batch(torch.zeros(n, dtype=torch.long), generator())
    middle = shown(batch)[:, 2:-2, :, 0]
    mirrored = middle[:, :, 5:].sum(axis=(1, 2)) > middle[:, :, :3].sum(axis=(1, 2))
    assert abs(mirrored.mean() - 0.5) <= sqrt(log(2 / 1e-9) / (2 * n))


def test_the_generator_decides_the_augmentation() -> None:
    examples = resident(pictures(6, 16, 16, 3), augment=True)
    index = torch.arange(6)
    state = generator(1)
    first, second = examples.batch(index, state), examples.batch(index, state)
    assert torch.equal(first, examples.batch(index, generator(1)))
    assert not torch.equal(first, second)
    assert not torch.equal(first, examples.batch(index, generator(2)))


@pytest.mark.parametrize("augment", [False, True])
def test_no_augmentation_is_plain_normalisation(augment: bool) -> None:
    """Without a generator, and in `slice`, images come as they are, padding or not."""
    images = pictures(7, 16, 24, 3)
    normalisation = Normalisation.of(images)
    examples = ResidentExamples(images, normalisation, CPU, augment=augment)
    scale = 1 / normalisation.deviation
    expected = (images.astype(np.float32) - normalisation.mean) * scale
    index = [5, 0, 0, 3]
    batch = examples.batch(torch.tensor(index))
    np.testing.assert_array_equal(shown(batch), expected[index])
    np.testing.assert_array_equal(shown(examples.slice(2, 5)), expected[2:5])
    np.testing.assert_array_equal(shown(examples.slice(5, 99)), expected[5:])
    assert batch.shape == (4, 3, 16, 24) and batch.dtype == torch.float32
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert len(examples) == 7


def test_a_generator_without_augmentation_is_not_used() -> None:
    images = pictures(4, 8, 8, 1)
    state = generator()
    before = state.get_state()
    batch = resident(images).batch(torch.arange(4), state)
    np.testing.assert_array_equal(shown(batch), images)
    assert torch.equal(before, state.get_state())


def test_features_are_normalised_and_never_augmented() -> None:
    features = RNG.normal(3, 5, size=(50, 4))
    features[:, 2] = 7  # constant: centred, not divided
    normalisation = Normalisation.of(features)
    examples = ResidentExamples(features, normalisation, CPU, augment=True)
    batch = examples.batch(torch.arange(50), generator()).numpy()
    deviation = np.where(features.std(axis=0) > 0, features.std(axis=0), 1)
    expected = (features - features.mean(axis=0)) / deviation
    # Features, mean and deviation are rounded to float32; values reach 20, results 5.
    np.testing.assert_allclose(batch, expected, atol=20 * 4 * np.finfo(np.float32).eps)
    np.testing.assert_array_equal(batch[:, 2], 0)
    assert examples.augment is False and batch.dtype == np.float32


@given(seed=st.integers(0, 2**32 - 1), channels=st.sampled_from([1, 3]))
def test_channel_moments_are_numpys(seed: int, channels: int) -> None:
    rng = np.random.default_rng(seed)
    low, high = sorted(rng.choice(257, size=2, replace=False))
    images = rng.integers(low, high, size=(9, 5, 6, channels), dtype=np.uint8)
    found = Normalisation.of(images)
    mean = images.mean(axis=(0, 1, 2), dtype=float)
    deviation = images.std(axis=(0, 1, 2), dtype=float)
    # Double rounding is far below float32's half ulp (2^-24), the only rounding that shows.
    np.testing.assert_allclose(found.mean, mean, rtol=2**-23)
    np.testing.assert_allclose(found.deviation, np.where(deviation > 0, deviation, 1), rtol=2**-23)
    assert found.mean.dtype == found.deviation.dtype == np.float32


def test_the_arrays_of_the_caller_are_left_alone() -> None:
    images = pictures(3, 8, 8, 1)
    images.flags.writeable = False
    copy = images.copy()
    resident(images, augment=True).batch(torch.arange(3), generator())
    np.testing.assert_array_equal(images, copy)
