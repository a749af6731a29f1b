"""Random patches: against a loop over images, places and filters."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mislabel.errors import InputError
from mislabel.features import encode
from mislabel.features.base import EncoderRun
from mislabel.features.patches import _FLOOR, Patches, _Filters

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(256, size=(40, 12, 12, 3), dtype=np.uint8)
SETTINGS = Patches(components=9, filters=5, size=4, pool=2)


def responses_of(image: np.ndarray, bank: _Filters) -> list[float]:
    """2 K pool pool values of one image, one patch and filter at a time."""
    size = SETTINGS.size
    places = image.shape[0] - size + 1
    weights = bank.weights.permute(0, 2, 3, 1).numpy().astype(np.float64)
    maps = np.zeros((2 * len(weights), places, places))
    for row in range(places):
        for column in range(places):
            patch = image[row : row + size, column : column + size].astype(np.float64)
            patch = (patch - patch.mean()) / np.sqrt(patch.var(ddof=1) + _FLOOR)
            for k, weight in enumerate(weights):
                value = float((weight * patch).sum() + bank.bias[k])
                limit = float(bank.thresholds[k])
                maps[k, row, column] = max(0.0, value - limit)
                maps[len(weights) + k, row, column] = max(0.0, -value - limit)
    half = -(-places // 2)  # adaptive pooling: parts overlap where the side is odd
    parts = [slice(0, half), slice(places - half, places)]
    return [float(m[a, b].mean()) for m in maps for a in parts for b in parts]


def bank() -> _Filters:
    import torch

    return _Filters.draw(SETTINGS, IMAGES, torch.device("cpu"))


def test_responses_equal_a_loop() -> None:
    drawn = bank()
    found = drawn.responses(IMAGES[:2], EncoderRun(batch_size=1), 0, 2).numpy()
    wanted = np.array([responses_of(image, drawn) for image in IMAGES[:2]])
    assert wanted.std() > 0.01
    assert_allclose(found, wanted, atol=2e-5)


def test_components_have_variance_one_and_are_uncorrelated() -> None:
    features = SETTINGS(IMAGES)
    assert features.shape == (40, 9) and features.dtype == np.float32
    assert_allclose(np.cov(features, rowvar=False), np.eye(9), atol=1e-3)
    assert_allclose(features.mean(axis=0), 0, atol=1e-4)


def test_other_images_are_projected_as_those_it_learned_from() -> None:
    assert_allclose(SETTINGS(IMAGES[:7], fit_on=IMAGES), SETTINGS(IMAGES)[:7], atol=1e-5)


def test_brightness_does_not_matter() -> None:
    darker = (IMAGES // 2).astype(np.uint8)
    found = SETTINGS(darker + 60, fit_on=darker)
    assert_allclose(found, SETTINGS(darker), atol=1e-3)


def test_by_name_with_progress() -> None:
    seen: list[tuple[int, int]] = []
    spec = "patches:components=4,filters=3,size=3"
    found = encode(spec, IMAGES, progress=lambda done, total: seen.append((done, total)))
    assert found.shape == (40, 4) and seen[-1] == (40, 40)
    assert_array_equal(found, encode(spec, IMAGES))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"components": 0}, "components=0: must be at least 1"),
        ({"threshold": -1}, "threshold=-1: must not be negative"),
        ({"size": 13}, "size=13: must be at most the images' side, 12"),
    ],
)
def test_refused(parameters: dict[str, int], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Patches(**parameters)(IMAGES)
    assert str(caught.value) == message
