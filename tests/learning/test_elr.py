"""ELR: loss and running mean by hand, against a plain twin, at the edges; and what it is for."""

from math import exp, log
from typing import Any

import numpy as np
import pytest
import torch
from learning_examples import blobs, equal_weights, make
from memorising import noisy_blobs, train_long
from torch.nn import functional

from mislabel.errors import InputError
from mislabel.learning import ELR, METHODS, Standard
from mislabel.learning.elr import (
    SMALLEST_PROBABILITY,
    EarlyLearning,
    early_learning_term,
    kept_from_the_ends,
    updated_beliefs,
)

CHANCES = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]])
INDEX = torch.tensor([2, 0])


def objective(*, weight: float = 3.0, beta: float = 0.7) -> EarlyLearning:
    """Of four examples in three classes; those at `INDEX` have labels 0 and 2."""
    return EarlyLearning(torch.tensor([2, 1, 0, 1]), 3, weight=weight, beta=beta)


def test_the_first_two_batches_by_hand() -> None:
    """t = 0.3 p, then 0.51 p; <p, p> = 0.54 and 0.46; CE = -(log 0.7 + log 0.3) / 2."""
    found = objective()
    entropy = -(log(0.7) + log(0.3)) / 2
    for share in (0.3, 0.7 * 0.3 + 0.3):
        expected = entropy + 3 * (log(1 - share * 0.54) + log(1 - share * 0.46)) / 2
        assert found.loss(CHANCES.log(), INDEX).item() == pytest.approx(expected, abs=2e-6)
        torch.testing.assert_close(found.beliefs[INDEX], share * CHANCES)
    assert not found.beliefs[[1, 3]].any()


def test_equals_its_plain_twin() -> None:
    """Six epochs of random predictions, in batches of two, one example after the other."""
    rng = np.random.default_rng(0)
    labels, beta, weight = [0, 2, 1, 1], 0.8, 2.5
    found = EarlyLearning(torch.tensor(labels), 3, weight=weight, beta=beta)
    memory = [[0.0] * 3 for _ in labels]
    for _ in range(6):
        for batch in rng.permutation(4).reshape(2, 2):
            logits = rng.normal(scale=3, size=(2, 3))
            total = 0.0
            for row, i in zip(logits, batch, strict=True):
                scale = sum(map(exp, row))
                chance = [exp(value) / scale for value in row]
                kept = [min(max(p, 1e-4), 1 - 1e-4) for p in chance]
                memory[i] = [
                    beta * t + (1 - beta) * p / sum(kept)
                    for t, p in zip(memory[i], kept, strict=True)
                ]
                agreement = sum(p * t for p, t in zip(kept, memory[i], strict=True))
                total += -log(chance[labels[i]]) + weight * log(1 - agreement)
            loss = found.loss(torch.from_numpy(logits), torch.from_numpy(batch))
            assert loss.item() == pytest.approx(total / 2, abs=1e-5)  # t is float32
    torch.testing.assert_close(found.beliefs, torch.tensor(memory))


def test_gradient() -> None:
    """Of the regulariser: p_j (<p, t> - t_j) / (1 - <p, t>) / B; none goes through t."""
    values = CHANCES.double().log().requires_grad_()
    t = torch.tensor([[0.5, 0.3, 0.1], [0.2, 0.2, 0.2]], dtype=torch.float64)
    early_learning_term(kept_from_the_ends(torch.softmax(values, dim=1)), t).backward()
    p = CHANCES.double()
    agreement = (p * t).sum(dim=1, keepdim=True)
    assert values.grad is not None
    torch.testing.assert_close(
        values.grad, p * (agreement - t) / (1 - agreement) / 2, atol=1e-7, rtol=0
    )
    first = CHANCES.log().requires_grad_()
    objective().loss(first, INDEX).backward()
    frozen = CHANCES.log().requires_grad_()
    labels = torch.tensor([0, 2])
    constant = 0.3 * CHANCES
    chance = torch.softmax(frozen, dim=1)
    (
        functional.cross_entropy(frozen, labels) + 3 * early_learning_term(chance, constant)
    ).backward()
    assert first.grad is not None and frozen.grad is not None
    torch.testing.assert_close(first.grad, frozen.grad)


def test_certainty_that_lasts_stays_finite() -> None:
    """p = 1 in float32 for a thousand batches: the term stops at log(1 - (1 - 1e-4) t_1)."""
    sure = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    found = EarlyLearning(torch.tensor([0]), 3, weight=3.0, beta=0.9)
    for _ in range(1000):
        loss = found.loss(sure, torch.tensor([0]))
    kept = 1 - SMALLEST_PROBABILITY
    top = kept / (kept + 2e-4)
    # 1 - 1e-4 has a relative error of half a float32 ulp, so log(1 - <p, t>) one of 1e-3.
    expected = 3 * log(1 - kept * top - 2e-4 * 1e-4 / (kept + 2e-4))
    assert loss.item() == pytest.approx(expected, abs=0.01)
    loss.backward()
    assert sure.grad is not None and torch.isfinite(sure.grad).all()


def test_beliefs_are_probabilities_in_the_end() -> None:
    """Rows sum to 1 - beta^k; the scaling undoes what the limits add with many classes."""
    beliefs, flat = torch.zeros(2, 1000), torch.zeros(2, 1000)
    flat[:, 0] = 1
    for _ in range(3):
        beliefs = updated_beliefs(beliefs, kept_from_the_ends(flat), 0.5)
    torch.testing.assert_close(beliefs.sum(dim=1), torch.full((2,), 1 - 0.5**3))


def test_scores_and_corrections_come_from_the_beliefs() -> None:
    found = objective()
    found.beliefs = torch.tensor([[0.1, 0.1, 0.2], [0.0, 0.9, 0.0], [0.1, 0.3, 0.1], [0, 0, 0.5]])
    # labels 2, 1, 0, 1
    assert found.noise_scores().tolist() == pytest.approx([0.5, 0, 0.8, 1])
    assert found.corrected_labels().tolist() == [2, 1, 1, 2]


def test_the_state_is_the_beliefs() -> None:
    found, other = objective(), objective()
    found.loss(CHANCES.log(), INDEX)
    other.load_state(found.state())
    assert torch.equal(found.beliefs, other.beliefs) and other.beliefs.any()
    again = [o.loss(CHANCES.flip(1).log(), INDEX).item() for o in (found, other)]
    assert again[0] == again[1] != objective().loss(CHANCES.flip(1).log(), INDEX).item()


def test_without_weight_it_is_standard_training() -> None:
    x, y = blobs(60, 3)
    elr, standard = make(METHODS["elr"], weight=0), make(METHODS["standard"])
    assert equal_weights(elr.fit(x, y), standard.fit(x, y))
    assert not equal_weights(make(METHODS["elr"]).fit(x, y), standard)


def test_no_memory_is_the_prediction_itself() -> None:
    found = objective(beta=0.0)
    found.loss(CHANCES.flip(0).log(), INDEX)
    found.loss(CHANCES.log(), INDEX)
    torch.testing.assert_close(found.beliefs[INDEX], CHANCES)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"weight": -1}, "weight=-1: must be a finite number from 0"),
        ({"weight": float("inf")}, "weight=inf: must be a finite number from 0"),
        ({"beta": 1.0}, "beta=1.0: must be at least 0 and below 1"),
        ({"beta": -0.1}, "beta=-0.1: must be at least 0 and below 1"),
        ({"beta": float("nan")}, "beta=nan: must be at least 0 and below 1"),
    ],
    ids=str,
)
def test_parameters(parameters: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        ELR(**parameters).fit(*blobs(12, 2))
    assert str(caught.value) == message


def test_elr_beats_standard_where_wrong_labels_can_be_memorised() -> None:
    """Blobs that are learnt in an epoch, labels that contradict them, and time to fit those too.

    Once p agrees with t, the second part's gradient grows like lambda / (1 - <p, t>) and outweighs
    the bounded pull of a wrong label, so what was learnt first, the blobs, must stay.
    """
    (_, standard), (method, elr) = train_long(Standard(), ELR(), n=400, epochs=120)
    assert standard["wrong_fitted"] > 0.9
    assert elr["wrong_fitted"] < 0.1 and elr["test_accuracy"] > 0.95
    assert elr["test_accuracy"] > standard["test_accuracy"] + 0.2
    _, labels, clean = noisy_blobs(400)
    assert method.corrected_labels_ is not None
    assert (method.corrected_labels_ == clean).mean() > 0.95
    right, wrong = (method.noise_scores_[mask] for mask in (labels == clean, labels != clean))
    assert np.median(right) < 0.2 and np.median(wrong) > 0.8
