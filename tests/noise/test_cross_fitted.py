"""Cross-fitted probabilities: out of sample, whole, and the same each time."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from mislabel.errors import InputError
from mislabel.noise import PMD, cross_fitted_probabilities


@pytest.fixture(autouse=True, scope="module")
def one_core() -> Iterator[None]:
    """Small matrices on many threads of busy cores are slow."""
    with threadpool_limits(1):
        yield


def blobs(sizes: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Well separated classes in the plane."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    centres = 6 * np.stack([np.cos(np.arange(len(sizes))), np.sin(np.arange(len(sizes)))], axis=1)
    return centres[labels] + rng.normal(scale=0.5, size=(len(labels), 2)), labels


def test_random_labels_are_not_learned() -> None:
    """A classifier that had seen these labels would be right nine times in ten.

    Out of sample it is right half the time: with 200 examples at most 0.686 of them (Hoeffding,
    one failure in a million).
    """
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(200, 10)), rng.integers(0, 2, 200)
    found = cross_fitted_probabilities(features, labels, seed=0)
    accuracy = (found.argmax(axis=1) == labels).mean()
    assert accuracy <= 0.5 + math.sqrt(math.log(1 / 1e-6) / (2 * 200))


def test_separated_classes_are_found_and_rows_sum_to_one() -> None:
    features, labels = blobs([40, 30, 20, 2])
    found = cross_fitted_probabilities(features, labels, seed=0)
    assert found.shape == (92, 4) and found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-9)
    assert found.min() >= 0
    assert (found.argmax(axis=1) == labels)[:90].all()


def test_deterministic_and_seeded() -> None:
    features, labels = blobs([30, 30, 30])
    first = cross_fitted_probabilities(features, labels, seed=1)
    np.testing.assert_array_equal(first, cross_fitted_probabilities(features, labels, seed=1))
    assert (first != cross_fitted_probabilities(features, labels, seed=2)).any()


def test_absent_classes_have_no_probability() -> None:
    features, labels = blobs([20, 20])
    labels = np.where(labels == 1, 3, 0)
    found = cross_fitted_probabilities(features, labels, n_classes=6, seed=0)
    assert found.shape == (40, 6)
    assert (found[:, [1, 2, 4, 5]] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-9)
    noisy = PMD(rate=0.4).corrupt(labels, n_classes=6, probabilities=found)
    assert noisy.rate == 0.4 and set(noisy.labels) == {0, 3}


@pytest.mark.parametrize(
    ("labels", "changes", "message"),
    [
        ([0, 0, 1, 2, 2, 2], {},
         "labels='class 1': has 1 example; cross-fitted probabilities need at least 2 of each "
         "class"),
        ([1] * 6, {"n_classes": 3}, "labels='class 1 only': need two classes that occur"),
        ([0, 1] * 3, {"folds": 1}, "folds=1: must be at least 2"),
        ([0, 1] * 3, {"folds": 2.5}, "folds=2.5: must be a whole number of at least 1"),
        ([0, 1, 1], {}, "features='6 rows': must have one row per label: 3"),
        ([0, 1] * 3, {"seed": -1}, "seed=-1: must be a whole number from 0 to 2**63 - 1"),
    ],
)  # fmt: skip
def test_bad_input(labels: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        cross_fitted_probabilities(np.arange(12.0).reshape(6, 2), labels, **changes)
    assert str(caught.value) == message
