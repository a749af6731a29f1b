"""`pixels` against plain principal components, and its edges."""

from typing import Any

import numpy as np
import pytest

from mislabel.data import load_data
from mislabel.features import encode
from mislabel.features.pixels import Pixels


def slow_pca(examples: np.ndarray, components: int, variance: float) -> np.ndarray:
    """Standardise, then project on the singular vectors that hold the variance, in float64."""
    rows = examples.reshape(len(examples), -1).astype(np.float64)
    rows = rows[:, rows.min(axis=0) < rows.max(axis=0)]
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    _, values, axes = np.linalg.svd(rows, full_matrices=False)
    share = np.cumsum(values**2) / np.sum(values**2)
    kept = 0
    while kept < min(components, len(values)):
        kept += 1
        if share[kept - 1] >= variance:
            break
    return rows @ axes[:kept].T


def assert_same_up_to_sign(
    found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-4
) -> None:
    assert found.shape == expected.shape
    signs = np.sign((found * expected).sum(axis=0))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found * signs / scale, expected / scale, atol=tolerance)


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((300, 4, 4, 1), {}),
        ((300, 30), {"variance": 0.5}),
        ((200, 80), {"components": 7, "variance": 1.0}),
        ((20, 50), {"variance": 0.9}),
    ],
)
def test_against_plain_pca(shape: tuple[int, ...], settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    scales = np.geomspace(1, 30, int(np.prod(shape[1:])))
    mixed = rng.normal(size=(shape[0], len(scales))) @ rng.normal(size=(len(scales), len(scales)))
    examples = (mixed * scales + rng.normal(size=len(scales))).reshape(shape)
    found = Pixels(**settings)(examples)
    assert found.dtype == np.float32
    own = {"components": 64, "variance": 0.95, **settings}
    assert_same_up_to_sign(found, slow_pca(examples, **own))


def test_digits_against_plain_pca() -> None:
    """Float32 turns axes by up to 2 |E| / gap (Davis & Kahan), |E| = 2 eps times the largest.

    The largest holds 0.120 of the variance and the closest two of those kept differ by 6.9e-5.
    """
    images = load_data("digits").x_train
    found = Pixels()(images)
    assert found.shape[1] < 64 and images.dtype == np.uint8
    tolerance = 4 * np.finfo(np.float32).eps * 0.120 / 6.9e-5
    assert_same_up_to_sign(found, slow_pca(images, 64, 0.95), tolerance)


def test_many_columns_are_deterministic_and_seeded() -> None:
    """More than a thousand columns take the randomised solver."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(100, 3)) @ rng.normal(size=(3, 1_200)) + 0.01 * rng.normal(
        size=(100, 1_200)
    )
    first = Pixels(seed=1)(images)
    np.testing.assert_array_equal(first, Pixels(seed=1)(images))
    assert_same_up_to_sign(first, slow_pca(images, 64, 0.95))


def test_constant_columns_do_not_count() -> None:
    rng = np.random.default_rng(0)
    varied = rng.normal(size=(50, 3)).astype(np.float32)
    padded = np.concatenate([np.full((50, 2), 0.1), varied, np.zeros((50, 4))], axis=1)
    np.testing.assert_allclose(np.abs(Pixels()(padded)), np.abs(Pixels()(varied)), atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, 255, 1e10])
def test_nothing_but_constant_columns(value: float) -> None:
    """The mean of a thousand 0.1 in float32 is not 0.1, so a deviation of 0 does not show it."""
    found = Pixels()(np.full((1_000, 3), value))
    np.testing.assert_array_equal(found, np.zeros((1_000, 1)))


def test_one_column_and_one_example() -> None:
    found = Pixels()(np.arange(5.0)[:, None])
    np.testing.assert_allclose(np.abs(found[:, 0]), np.abs(np.arange(5) - 2) / np.sqrt(2),
                               atol=1e-6)  # fmt: skip
    np.testing.assert_array_equal(Pixels()(np.ones((1, 3))), [[0.0]])


def test_encode_caches_by_content(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = np.random.default_rng(5).normal(size=(40, 6))
    calls = []
    compute = Pixels.__call__

    def counted(self: Pixels, given: Any, **options: Any) -> Any:
        calls.append(self.components)
        return compute(self, given, **options)

    monkeypatch.setattr(Pixels, "__call__", counted)
    first = encode("pixels", examples)
    np.testing.assert_array_equal(encode("pixels:64", examples), first)
    assert calls == [64]
    few = encode("pixels:2", examples)
    encode("pixels", examples + 1)
    assert calls == [64, 2, 64] and few.shape == (40, 2)


def test_fitted_on_other_examples() -> None:
    """Scaled and turned as those were, so that the same row gets the same features."""
    rng = np.random.default_rng(0)
    examples = rng.normal(size=(60, 5)) * [1, 2, 3, 4, 5] + 7
    whole = Pixels(variance=1.0)(examples)
    part = Pixels(variance=1.0)(examples[20:30], fit_on=examples)
    np.testing.assert_allclose(part, whole[20:30], atol=1e-5)
