"""mixup: what is mixed with what, by hand and against a plain twin; and what it is for."""

from math import log, sqrt
from typing import Any

import numpy as np
import pytest
import torch
from learning_examples import blobs, equal_weights, make, pictures, recipe, resident
from memorising import noisy_blobs, train_long
from scipy.stats import beta as beta_distribution
from torch import Tensor, nn
from torch.nn import functional

from mislabel.errors import InputError
from mislabel.learning import METHODS, Mixup, Standard
from mislabel.learning.loop import train
from mislabel.learning.mixup import MixupLearner, mixing_share
from mislabel.learning.objective import CrossEntropy
from mislabel.learning.problem import TrainingProblem
from mislabel.seeds import TrainingSeeds, child_seed

SEEDS = TrainingSeeds(initialisation=1, order=2, augmentation=3)


class Listener(nn.Module):
    """A linear network that keeps what it is shown."""

    def __init__(self, width: int, n_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, n_classes)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        logits: Tensor = self.linear(x.flatten(1))
        return logits


def learner(n: int, *, alpha: float = 1.0, **changes: Any) -> tuple[MixupLearner, Listener]:
    """Of `n` examples that are the rows of an identity matrix, so that mixtures can be read off."""
    labels = torch.arange(n) % 3
    problem = TrainingProblem(examples=resident(np.eye(n, dtype=np.float32)), labels=labels)
    network = Listener(n, 3)
    objective = CrossEntropy(labels)
    return MixupLearner(network, problem, objective, recipe(**changes), SEEDS, alpha=alpha), network


def draws(alpha: float, count: int) -> list[float]:
    generator = torch.Generator().manual_seed(5)
    return [mixing_share(alpha, generator) for _ in range(count)]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_shares_follow_the_distribution(alpha: float) -> None:
    """max(m, 1 - m) is below s with probability 2 F(s) - 1; the gap is bounded by DKW at 1e-6."""
    shares = np.sort(draws(alpha, 4000))
    assert shares[0] >= 0.5 and shares[-1] <= 1
    expected = 2 * beta_distribution.cdf(shares, alpha, alpha) - 1
    found = np.arange(1, 4001) / 4000
    assert np.abs(found - expected).max() <= sqrt(log(2 / 1e-6) / (2 * 4000)) + 1 / 4000


@pytest.mark.parametrize("alpha", [1e-12, 1e12])
def test_shares_at_the_edges(alpha: float) -> None:
    """All or nothing, and half and half."""
    assert draws(alpha, 50) == pytest.approx([1.0 if alpha < 1 else 0.5] * 50, abs=1e-5)


def test_shares_come_from_the_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = draws(1.0, 10)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert draws(1.0, 10) == first and len(set(first)) == 10


def test_batches_are_mixed_with_themselves() -> None:
    """Rows of the identity: each mixture has one entry m and one 1 - m, m the same in a batch."""
    trained, network = learner(12, alpha=1.0, epochs=3, batch_size=6)
    train(trained)
    shares = []
    for batch in network.seen:
        top = batch.amax(dim=1)
        share = top.min()  # the others are examples that met themselves
        assert 0.5 <= share < 1
        torch.testing.assert_close(top[top < 1 - 1e-6], share.expand((top < 1 - 1e-6).sum()))
        torch.testing.assert_close(batch.sum(dim=1), torch.ones(6))  # m + (1 - m)
        weight = batch.sum(dim=0)
        assert (weight > 0).sum() == 6  # six examples, each of them once with m and once with 1 - m
        torch.testing.assert_close(weight[weight > 0], torch.ones(6))
        shares.append(round(share.item(), 6))
    assert len(set(shares)) == len(shares) == 6  # drawn anew for every batch


def test_equals_its_plain_twin() -> None:
    """The same share and partners, each mixture and its loss by itself."""
    trained, network = learner(8)
    index = torch.tensor([6, 1, 3, 0, 5])
    streams = {
        name: torch.Generator().manual_seed(child_seed(SEEDS.augmentation, name))
        for name in ("mixing share", "mixing partner")
    }
    for _ in range(3):
        share = mixing_share(1.0, streams["mixing share"])
        partner = torch.randperm(5, generator=streams["mixing partner"]).tolist()
        logits, loss = trained.batch_loss(index)
        total = 0.0
        for row, (i, j) in enumerate(zip(index.tolist(), index[partner].tolist(), strict=True)):
            mixture = torch.zeros(8)
            mixture[i] += share
            mixture[j] += 1 - share
            answer = network.linear(mixture)
            torch.testing.assert_close(logits[row], answer)
            own, other = (functional.cross_entropy(answer, torch.tensor(k % 3)) for k in (i, j))
            total += share * own.item() + (1 - share) * other.item()
        assert loss.item() == pytest.approx(total / 5, rel=1e-5)


def test_the_loss_is_that_of_the_mixed_target() -> None:
    """Cross-entropy is linear in the target: the same as a soft target m y_i + (1 - m) y_j."""
    trained, network = learner(6)
    index = torch.arange(6)
    logits, loss = trained.batch_loss(index)
    # The examples are the identity and each is its own class modulo three: targets are inputs.
    onehot = functional.one_hot(torch.arange(6) % 3, 3).float()
    soft = network.seen[-1] @ onehot
    torch.testing.assert_close(loss, functional.cross_entropy(logits, soft))


def test_larger_and_smaller_share_are_the_same_thing() -> None:
    """Swapping m and 1 - m is the inverse permutation: the same mixtures with the same targets."""
    partner = torch.tensor([2, 0, 3, 1])
    inverse = partner.argsort()
    x = torch.eye(4)
    one = 0.3 * x + 0.7 * x[partner]
    other = 0.7 * x + 0.3 * x[inverse]
    torch.testing.assert_close(one[inverse], other)


def test_every_example_is_once_the_dominant_one() -> None:
    trained, _ = learner(13, batch_size=4)
    seen = trained.train_epoch(0)
    assert (seen.predicted >= 0).all() and torch.isfinite(seen.probability).all()


def test_a_batch_of_one_is_itself() -> None:
    trained, network = learner(1)
    logits, loss = trained.batch_loss(torch.tensor([0]))
    torch.testing.assert_close(network.seen[-1], torch.ones(1, 1))
    torch.testing.assert_close(loss, functional.cross_entropy(logits, torch.tensor([0])))


@pytest.mark.parametrize("kind", ["features", "images"])
def test_without_alpha_it_is_standard_training(kind: str) -> None:
    x, y = blobs(60, 3) if kind == "features" else pictures(40, 3, 16, 3)
    options = {"augment": "crop-flip", "seed": 2}
    standard = make(METHODS["standard"], **options).fit(x, y)
    assert equal_weights(make(METHODS["mixup"], alpha=0, **options).fit(x, y), standard)
    assert not equal_weights(make(METHODS["mixup"], **options).fit(x, y), standard)


@pytest.mark.parametrize("alpha", [-1, float("nan"), float("inf")])
def test_parameters(alpha: float) -> None:
    with pytest.raises(InputError) as caught:
        Mixup(alpha=alpha).fit(*blobs(12, 2))
    assert str(caught.value) == f"alpha={alpha}: must be a finite number from 0"


def test_mixup_beats_standard_where_wrong_labels_can_be_memorised() -> None:
    """Wrong labels scattered in blobs that are convex.

    To fit one, a network must turn within the blob; on mixtures of its members, all of them with
    other labels on average, that turn is contradicted, while the blobs themselves, being convex,
    are not. So fewer wrong labels are fitted and the blobs come out cleaner.
    """
    (_, standard), (method, mixup) = train_long(Standard(), Mixup(), n=400, epochs=120)
    assert standard["wrong_fitted"] > 0.9
    assert mixup["wrong_fitted"] < 0.5 * standard["wrong_fitted"]
    assert mixup["test_accuracy"] > standard["test_accuracy"] + 0.1
    _, labels, clean = noisy_blobs(400)
    right, wrong = (method.noise_scores_[mask] for mask in (labels == clean, labels != clean))
    assert np.quantile(right, 0.9) < np.quantile(wrong, 0.1)
