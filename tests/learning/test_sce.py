"""SCE: the loss by hand, against a plain twin and its limits; and what it is for."""

from math import exp, log
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from learning_examples import blobs
from memorising import train_long
from torch import Tensor
from torch.nn import functional

from mislabel.errors import InputError
from mislabel.learning import SCE, Standard, make_method
from mislabel.learning.sce import LOG_ZERO, SymmetricCrossEntropy, symmetric_cross_entropy

CHANCES = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]], dtype=torch.float64)
LABELS = torch.tensor([0, 2])
rows = st.lists(
    st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=1, max_size=4
)  # of logits
weights = st.floats(0, 10)


def loss(logits: Tensor, labels: Tensor, alpha: float, beta: float) -> float:
    return float(symmetric_cross_entropy(logits, labels, alpha=alpha, beta=beta))


def plain_loss(logits: list[list[float]], labels: list[int], alpha: float, beta: float) -> float:
    """The slow twin: both sums over all classes, with log 0 = -4 and log 1 = 0."""
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        scale = sum(exp(value) for value in row)
        chance = [exp(value) / scale for value in row]
        onehot = [float(k == label) for k in range(len(row))]
        forward = -sum(y * log(p) for y, p in zip(onehot, chance, strict=True))
        reverse = -sum(p * (0.0 if y == 1 else -4.0) for y, p in zip(onehot, chance, strict=True))
        total += alpha * forward + beta * reverse
    return total / len(logits)


def test_by_hand() -> None:
    """p_z = 0.7 and 0.3: RCE is 4 * 0.3 = 1.2 and 4 * 0.7 = 2.8, mean 2; CE has mean 0.7803239."""
    assert LOG_ZERO == -4
    assert loss(CHANCES.log(), LABELS, 0, 1) == pytest.approx(2, abs=1e-15)
    assert loss(CHANCES.log(), LABELS, 1, 0) == pytest.approx(0.7803239, abs=1e-7)
    assert loss(CHANCES.log(), LABELS, 0.1, 1) == pytest.approx(2.0780324, abs=1e-7)


@given(logits=rows, alpha=weights, beta=weights, data=st.data())
def test_equals_its_plain_twin(
    logits: list[list[float]], alpha: float, beta: float, data: st.DataObject
) -> None:
    labels = data.draw(st.lists(st.integers(0, 2), min_size=len(logits), max_size=len(logits)))
    found = loss(torch.tensor(logits, dtype=torch.float64), torch.tensor(labels), alpha, beta)
    # Values up to 10 * (10 + log 3) + 10 * 4 in a handful of double roundings.
    assert found == pytest.approx(plain_loss(logits, labels, alpha, beta), abs=1e-12)


@given(logits=rows)
def test_without_the_reverse_part_it_is_cross_entropy(logits: list[list[float]]) -> None:
    values, labels = torch.tensor(logits), torch.zeros(len(logits), dtype=torch.long)
    found = symmetric_cross_entropy(values, labels, alpha=1.0, beta=0.0)
    assert float(found) == pytest.approx(float(functional.cross_entropy(values, labels)), rel=1e-6)


@given(logits=rows)
def test_the_reverse_part_is_symmetric(logits: list[list[float]]) -> None:
    """Over all labels it sums to -A (C - 1), whatever is predicted: hence robust (section 3.2)."""
    values = torch.tensor(logits, dtype=torch.float64)
    every = [loss(values, torch.full((len(values),), k), 0, 1) for k in range(3)]
    assert sum(every) == pytest.approx(8, abs=1e-13)


def test_gradient() -> None:
    """d L / d logit_j = (alpha - beta A p_z) (p_j - [j = z]) / B."""
    values = CHANCES.log().requires_grad_()
    symmetric_cross_entropy(values, LABELS, alpha=0.1, beta=2.0).backward()
    pull = 0.1 + 2 * 4 * torch.tensor([[0.7], [0.3]], dtype=torch.float64)
    expected = pull * (CHANCES - torch.eye(3, dtype=torch.float64)[LABELS]) / 2
    assert values.grad is not None
    torch.testing.assert_close(values.grad, expected, atol=1e-14, rtol=0)


def test_extreme_logits_stay_finite() -> None:
    """A label at e^-200: CE is 200 and still pulls, RCE is 4; a label at 1: nothing."""
    values = torch.tensor([[200.0, 0.0], [200.0, 0.0]], requires_grad=True)
    wrong = symmetric_cross_entropy(values, torch.tensor([1, 1]), alpha=0.5, beta=1.0)
    assert wrong.item() == pytest.approx(104, rel=1e-6)
    wrong.backward()
    assert values.grad is not None and values.grad[0].tolist() == pytest.approx([0.25, -0.25])
    assert loss(values.detach(), torch.tensor([0, 0]), 0.5, 1.0) == 0


def test_the_objective_takes_the_labels_of_the_batch() -> None:
    objective = SymmetricCrossEntropy(torch.tensor([2, 0, 1, 2]), alpha=0.1, beta=1.0)
    found = objective.loss(CHANCES.log(), torch.tensor([1, 3]))
    assert float(found) == pytest.approx(2.0780324, abs=1e-7)
    assert objective.noise_scores() is None and objective.corrected_labels() is None


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": -0.1}, "alpha=-0.1: must be a finite number from 0"),
        ({"alpha": float("nan")}, "alpha=nan: must be a finite number from 0"),
        ({"beta": -1}, "beta=-1: must be a finite number from 0"),
        ({"beta": float("inf")}, "beta=inf: must be a finite number from 0"),
        ({"alpha": 0, "beta": 0}, "beta=0: must be above 0 where alpha is 0"),
    ],
    ids=str,
)
def test_parameters(parameters: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        SCE(**parameters).fit(*blobs(12, 2))
    assert str(caught.value) == message


def test_defaults_are_those_for_cifar10() -> None:
    found: Any = make_method("sce")
    assert (found.alpha, found.beta) == (0.1, 1.0)
    other: Any = make_method("sce:alpha=6,beta=0.1")
    assert (other.alpha, other.beta) == (6, 0.1)


def test_sce_beats_standard_under_symmetric_noise() -> None:
    """Noise is symmetric and Standard has the time to fit it.

    The reverse part sums to a constant over labels, so under symmetric noise below 75 % its
    minimiser is that of clean labels (Ghosh et al. 2017); the little cross-entropy beside it
    pulls at a wrong label a tenth as hard as Standard does.
    """
    (_, standard), (_, sce) = train_long(Standard(), SCE(), n=800, epochs=100)
    assert standard["wrong_fitted"] > 0.9
    assert sce["wrong_fitted"] < 0.5 * standard["wrong_fitted"]
    assert sce["test_accuracy"] > standard["test_accuracy"] + 0.08
