"""Soft neighbour targets, and how SNLS makes them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning_examples import blobs, weights
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.features import nearest_neighbors
from mislabel.learning import SNLS, Standard, snls, soft_neighbor_targets

EPS = np.finfo(np.float32).eps


def plain_targets(labels: Any, neighbors: Any, n_classes: int, alpha: float) -> NDArray[Any]:
    """The slow twin."""
    targets = [[0.0] * n_classes for _ in labels]
    for i, row in enumerate(neighbors):
        for j in row:
            targets[i][labels[j]] += (1 - alpha) / len(row)
        targets[i][labels[i]] += alpha
    return np.array(targets)


def test_by_hand() -> None:
    labels = np.array([0, 0, 1])
    neighbors = np.array([[1, 2], [0, 2], [0, 1]])
    found = soft_neighbor_targets(labels, neighbors, 3, alpha=0.3)
    expected = np.array([[0.65, 0.35, 0], [0.65, 0.35, 0], [0.7, 0.3, 0]])
    np.testing.assert_allclose(found, expected, atol=2 * EPS)
    assert found.dtype == np.float32


@given(
    n_examples=st.integers(2, 12),
    n_classes=st.integers(2, 5),
    alpha=st.floats(0, 1),
    data=st.data(),
)
def test_equals_the_slow_twin(
    n_examples: int, n_classes: int, alpha: float, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, n_examples - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    labels = rng.integers(n_classes, size=n_examples)
    others = np.array([[j for j in range(n_examples) if j != i] for i in range(n_examples)])
    neighbors = rng.permuted(others, axis=1)[:, :k]
    found = soft_neighbor_targets(labels, neighbors, n_classes, alpha=alpha)
    # A count times a share, then alpha added: three float32 roundings of values of at most 1.
    np.testing.assert_allclose(
        found, plain_targets(labels, neighbors, n_classes, alpha), atol=2 * EPS
    )
    np.testing.assert_allclose(found.sum(axis=1, dtype=float), 1, atol=2 * EPS * n_classes)
    assert found.min() >= 0


def test_alpha_at_its_edges() -> None:
    labels, neighbors = np.array([2, 0, 1, 1]), np.array([[1, 2], [2, 3], [3, 0], [2, 1]])
    np.testing.assert_array_equal(
        soft_neighbor_targets(labels, neighbors, 3, alpha=1), np.eye(3)[labels]
    )
    frequencies = [[0.5, 0.5, 0], [0, 1, 0], [0, 0.5, 0.5], [0.5, 0.5, 0]]
    np.testing.assert_array_equal(soft_neighbor_targets(labels, neighbors, 3, alpha=0), frequencies)


@pytest.mark.parametrize("alpha", [-0.1, 1.01, float("nan")])
def test_alpha_outside(alpha: float) -> None:
    with pytest.raises(InputError) as caught:
        soft_neighbor_targets(np.array([0, 1]), np.array([[1], [0]]), 2, alpha=alpha)
    assert str(caught.value) == f"alpha={alpha}: must be between 0 and 1"


def test_neighbours_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = blobs(40, 2)
    places = np.random.default_rng(0).normal(size=(40, 2))
    calls = []

    def counted(features: Any, k: int) -> Any:
        calls.append((np.asarray(features), k))
        return nearest_neighbors(features, k)

    monkeypatch.setattr(snls, "nearest_neighbors", counted)
    method = SNLS(k=3, epochs=5, device="cpu").fit(x, y, features=places)
    assert len(calls) == 1 and len(method.curves_["train_loss"]) == 5
    assert calls[0][1] == method.k_ == 3
    np.testing.assert_array_equal(calls[0][0], places)


def test_targets_reach_the_loss() -> None:
    """With alpha 1 the targets are the labels: the training is Standard's, to the last bits."""
    x, y = blobs(40, 2)
    soft = SNLS(alpha=1, epochs=3, device="cpu", seed=2).fit(x, y)
    hard = Standard(epochs=3, device="cpu", seed=2).fit(x, y)
    other = SNLS(alpha=0.3, k=5, epochs=3, device="cpu", seed=2).fit(x, y, features=x[::-1])
    for name, value in weights(hard).items():
        # Cross-entropy takes another route for soft targets: rounding, over 3 steps of size 0.02.
        np.testing.assert_allclose(weights(soft)[name], value, atol=1e-5)
    assert any(abs(weights(other)[n] - v).max() > 1e-3 for n, v in weights(hard).items())


@pytest.mark.parametrize(
    ("n_examples", "n_classes", "k", "used"),
    [
        (60, 3, 100, 10),
        (60, 3, 4, 4),
        (60, 3, 10, 10),
        (60, 4, 11, 7),
        (7, 2, 100, 1),
        (2, 2, 9, 1),
    ],
)
def test_k_is_capped_at_half_a_class(n_examples: int, n_classes: int, k: int, used: int) -> None:
    x, y = blobs(n_examples, n_classes)
    assert SNLS(k=k, epochs=1, device="cpu").fit(x, y).k_ == used


def test_absent_classes_count_for_the_cap() -> None:
    x, y = blobs(60, 3)
    assert SNLS(epochs=1, device="cpu").fit(x, y, classes=range(6)).k_ == 5
