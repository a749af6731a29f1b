"""Losses, against values worked by hand, plain twins and PyTorch's own gradients."""

from collections.abc import Sequence
from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mislabel.learning.objective import (
    SMALLEST_PROBABILITY,
    CrossEntropy,
    GeneralisedCrossEntropy,
    generalised_cross_entropy,
)

CHANCES = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]], dtype=torch.float64)
"""Rows sum to 1, so that their logarithms are logits with these probabilities."""
LABELS = torch.tensor([0, 2])
INDEX = torch.arange(2)

logits_lists = st.lists(
    st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=1, max_size=4
)  # all probabilities are above e^-10 / 3 > 1e-5, so nothing is clamped
qs = st.floats(0.01, 1)


def plain_gce(logits: Sequence[Sequence[float]], labels: Sequence[int], q: float) -> float:
    """The slow twin."""
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        p = exp(row[label]) / sum(exp(value) for value in row)
        total += (1 - max(p, 1e-6) ** q) / q
    return total / len(labels)


def plain_cross_entropy(logits: Tensor, targets: Tensor) -> float:
    """The slow twin, for soft targets."""
    total = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        largest = sum(exp(value) for value in row)
        total -= sum(t * (value - log(largest)) for t, value in zip(target, row, strict=True))
    return total / len(logits)


def test_gce_by_hand() -> None:
    """p_z = 0.7 and 0.3; 0.7^0.7 = 0.7790560 and 0.3^0.7 = 0.4305116.

    (1 - 0.7790560) / 0.7 = 0.3156344 and (1 - 0.4305116) / 0.7 = 0.8135548; their mean follows.
    """
    found = generalised_cross_entropy(CHANCES.log(), LABELS, 0.7)
    assert float(found) == pytest.approx(0.5645946, abs=1e-7)


def test_gce_with_one_half_is_a_square_root() -> None:
    """q = 1/2 and p_z = 1/4: (1 - 1/2) / (1/2) = 1."""
    quarter = torch.full((1, 4), 3.0, dtype=torch.float64)
    assert float(generalised_cross_entropy(quarter, torch.tensor([2]), 0.5)) == pytest.approx(
        1, abs=1e-15
    )


@given(logits=logits_lists, q=qs, data=st.data())
def test_gce_equals_its_plain_twin(
    logits: list[list[float]], q: float, data: st.DataObject
) -> None:
    labels = data.draw(st.lists(st.integers(0, 2), min_size=len(logits), max_size=len(logits)))
    found = generalised_cross_entropy(
        torch.tensor(logits, dtype=torch.float64), torch.tensor(labels), q
    )
    # Subtracting p^q from 1 and dividing by q magnifies double rounding by 1/q.
    assert float(found) == pytest.approx(plain_gce(logits, labels, q), abs=1e-14 / q)


@given(logits=logits_lists)
def test_gce_at_one_is_the_mean_absolute_error(logits: list[list[float]]) -> None:
    values = torch.tensor(logits, dtype=torch.float64)
    labels = torch.zeros(len(values), dtype=torch.long)
    expected = (1 - torch.softmax(values, dim=1)[:, 0]).mean()
    assert float(generalised_cross_entropy(values, labels, 1.0)) == pytest.approx(
        float(expected), abs=1e-15
    )


@given(logits=logits_lists, q=st.floats(1e-4, 0.5))
def test_gce_tends_to_cross_entropy(logits: list[list[float]], q: float) -> None:
    """With t = -log p, (1 - e^(-qt)) / q lies between t - q t^2 / 2 and t (Taylor)."""
    values = torch.tensor(logits, dtype=torch.float64)
    labels = torch.ones(len(values), dtype=torch.long)
    t = -torch.log_softmax(values, dim=1)[:, 1]
    gap = float(t.mean() - generalised_cross_entropy(values, labels, q))
    rounding = 1e-14 / q
    assert -rounding <= gap <= q * float((t**2).mean()) / 2 + rounding


@pytest.mark.parametrize("q", [0.1, 0.7, 1.0])
def test_gce_clamps_small_probabilities(q: float) -> None:
    """At p below 1e-6 the loss is (1 - 1e-6^q) / q and does not pull any more."""
    values = torch.tensor([[50.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    loss = generalised_cross_entropy(values, torch.tensor([1]), q)
    assert SMALLEST_PROBABILITY == 1e-6
    assert loss.item() == pytest.approx((1 - 1e-6**q) / q, abs=1e-14)
    loss.backward()
    assert values.grad is not None and not values.grad.any()


def test_gce_gradient() -> None:
    """d L / d logit_j = p_z^q (p_j - [j = z]) / B: cross-entropy's, weighted by p_z^q."""
    values = CHANCES.log().requires_grad_()
    generalised_cross_entropy(values, LABELS, 0.7).backward()
    weight = torch.tensor([[0.7**0.7], [0.3**0.7]], dtype=torch.float64)
    expected = weight * (CHANCES - torch.eye(3, dtype=torch.float64)[LABELS]) / 2
    assert values.grad is not None
    torch.testing.assert_close(values.grad, expected, atol=1e-15, rtol=0)
    assert torch.autograd.gradcheck(
        lambda logits: generalised_cross_entropy(logits, LABELS, 0.7), (values,)
    )


def test_cross_entropy_by_hand() -> None:
    """-(log 0.7 + log 0.3) / 2 for labels; for soft targets the share of each logarithm."""
    logits = CHANCES.log()
    hard = CrossEntropy(LABELS).loss(logits, INDEX)
    assert hard.item() == pytest.approx(-(log(0.7) + log(0.3)) / 2, abs=1e-15)
    soft = torch.tensor([[0.5, 0.5, 0], [0, 0.25, 0.75]], dtype=torch.float64)
    expected = -(0.5 * log(0.7) + 0.5 * log(0.2) + 0.25 * log(0.6) + 0.75 * log(0.3)) / 2
    assert CrossEntropy(soft).loss(logits, INDEX).item() == pytest.approx(expected, abs=1e-15)


@given(seed=st.integers(0, 2**32 - 1))
def test_cross_entropy_equals_its_plain_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(scale=3, size=(5, 4)))
    targets = torch.from_numpy(rng.dirichlet(np.ones(4), size=5))
    found = CrossEntropy(targets).loss(logits, torch.arange(5)).item()
    assert found == pytest.approx(plain_cross_entropy(logits, targets), abs=1e-13)
    labels = torch.from_numpy(rng.integers(0, 4, size=5))
    onehot = torch.nn.functional.one_hot(labels, 4).double()
    hard = CrossEntropy(labels).loss(logits, torch.arange(5)).item()
    assert hard == pytest.approx(plain_cross_entropy(logits, onehot), abs=1e-13)


@pytest.mark.parametrize(
    "objective",
    [CrossEntropy(LABELS), CrossEntropy(CHANCES), GeneralisedCrossEntropy(LABELS, 0.7)],
    ids=["labels", "soft targets", "gce"],
)
def test_objectives_take_the_targets_of_the_batch(
    objective: CrossEntropy | GeneralisedCrossEntropy,
) -> None:
    logits = CHANCES.flip(1).log()
    both = objective.loss(logits, INDEX).item()
    single = [objective.loss(logits[i : i + 1], torch.tensor([i])).item() for i in (0, 1)]
    assert both == pytest.approx(sum(single) / 2, abs=1e-15)
    swapped = objective.loss(logits.flip(0), INDEX.flip(0)).item()
    assert swapped == pytest.approx(both, abs=1e-15)
    assert objective.loss(logits.flip(0), INDEX).item() != pytest.approx(both, abs=1e-3)
