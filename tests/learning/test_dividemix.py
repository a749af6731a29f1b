"""DivideMix: the mixture against scikit-learn, losses and targets by hand, edges, resume."""

from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from learning_examples import blobs, equal_weights, pictures, recipe, resident
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

from mislabel.errors import InputError
from mislabel.learning import DivideMix, Evaluation, Recipe, Standard
from mislabel.learning.base import Task
from mislabel.learning.dividemix import (
    NAMES,
    DivideMixLearner,
    MeanOfNetworks,
    batch_bounds,
    clean_probability,
    entropy,
    mean_log_probability,
    prior_penalty,
    rounds,
    semi_supervised_loss,
    sharpen,
)
from mislabel.learning.problem import TrainingProblem
from mislabel.seeds import TrainingSeeds

CHANCES = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.5, 0.25, 0.25]], dtype=torch.float64)
TARGETS = torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0], [0.2, 0.2, 0.6]], dtype=torch.float64)


def two_humps(n: int, seed: int) -> Tensor:
    """Losses of which about 60 % are low."""
    rng = np.random.default_rng(seed)
    low = rng.random(n) < 0.6
    return torch.from_numpy(np.where(low, rng.gamma(2, 0.1, n), rng.normal(3, 0.8, n)))


@pytest.mark.parametrize("seed", range(4))
def test_the_mixture_is_that_of_scikit_learn(seed: int) -> None:
    """Both converged; scikit-learn starts from k-means too, ours from its own in one dimension."""
    losses = two_humps(600, seed)
    x = ((losses - losses.min()) / (losses.max() - losses.min())).numpy()[:, None]
    twin = GaussianMixture(2, reg_covar=5e-4, tol=1e-12, max_iter=1000, random_state=0).fit(x)
    expected = twin.predict_proba(x)[:, twin.means_.argmin()]
    np.testing.assert_allclose(clean_probability(losses), expected, atol=1e-5)
    assert 0.3 < expected.mean() < 0.9


def test_the_mixture_by_hand() -> None:
    """Losses 0 and 1 only: means 0 and 1, variances 5e-4, posterior 1 and 0 (odds e^1000)."""
    losses = torch.tensor([5.0, 2.0, 5.0, 2.0, 2.0])
    assert clean_probability(losses).tolist() == [0, 1, 0, 1, 1]


def test_the_mixture_does_not_depend_on_scale() -> None:
    losses = two_humps(200, 1)
    torch.testing.assert_close(
        clean_probability(losses), clean_probability(7 * losses + 3), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("losses", [[1.5], [0.0], [2.0] * 9, [0.0] * 3], ids=str)
def test_losses_that_are_all_alike_say_nothing(losses: list[float]) -> None:
    assert clean_probability(torch.tensor(losses)).tolist() == [0.5] * len(losses)


def test_sharpening_by_hand() -> None:
    """Squares 0.36, 0.09, 0.01, which add up to 0.46."""
    p = torch.tensor([[0.6, 0.3, 0.1]], dtype=torch.float64)
    expected = torch.tensor([[0.36, 0.09, 0.01]], dtype=torch.float64) / 0.46
    torch.testing.assert_close(sharpen(p, 0.5), expected, atol=1e-15, rtol=0)
    torch.testing.assert_close(sharpen(p, 1.0), p, atol=1e-15, rtol=0)
    assert sharpen(p, 1e-4).tolist() == [[1, 0, 0]]  # no 0 / 0
    assert sharpen(torch.tensor([[0.0, 1.0]]), 0.5).tolist() == [[0, 1]]


def test_the_loss_by_hand() -> None:
    """Two rows with labels: -(log 0.7 + (log 0.1 + log 0.6) / 2) / 2.

    One without: errors 0.3, 0.05, -0.35; squares 0.09, 0.0025, 0.1225; their mean is 0.215 / 3.
    Means per class 13/30, 10.5/30, 6.5/30; the penalty is -(sum of log (3 mean)) / 3.
    """
    labelled = -(log(0.7) + (log(0.1) + log(0.6)) / 2) / 2
    prior = -(log(1.3) + log(1.05) + log(0.65)) / 3
    found = semi_supervised_loss(CHANCES.log(), TARGETS, 2, weight=25, prior_weight=1)
    assert found.item() == pytest.approx(labelled + 25 * 0.215 / 3 + prior, abs=1e-14)
    without = semi_supervised_loss(CHANCES.log(), TARGETS, 2, weight=0, prior_weight=0)
    assert without.item() == pytest.approx(labelled, abs=1e-15)


def plain_loss(
    logits: list[list[float]], targets: list[list[float]], n_labelled: int, weight: float
) -> float:
    """The slow twin, with prior_weight 1."""
    chances = [[exp(v) / sum(map(exp, row)) for v in row] for row in logits]
    n_classes, total = len(logits[0]), 0.0
    for row, target in list(zip(chances, targets, strict=True))[:n_labelled]:
        total -= sum(t * log(p) for t, p in zip(target, row, strict=True)) / n_labelled
    others = list(zip(chances, targets, strict=True))[n_labelled:]
    for row, target in others:
        squares = sum((p - t) ** 2 for t, p in zip(target, row, strict=True))
        total += weight * squares / n_classes / len(others)
    for c in range(n_classes):
        mean = sum(row[c] for row in chances) / len(chances)
        total += log(1 / n_classes / mean) / n_classes
    return total


@pytest.mark.parametrize("n_labelled", [0, 1, 4, 7])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_the_loss_equals_its_plain_twin(n_labelled: int, n_classes: int) -> None:
    """No labels and all labels included."""
    rng = np.random.default_rng(n_labelled)
    logits = torch.from_numpy(rng.normal(scale=2, size=(7, n_classes)))
    targets = torch.from_numpy(rng.dirichlet(np.ones(n_classes), size=7))
    found = semi_supervised_loss(logits, targets, n_labelled, weight=3.5, prior_weight=1)
    expected = plain_loss(logits.tolist(), targets.tolist(), n_labelled, 3.5)
    assert found.item() == pytest.approx(expected, abs=1e-13)


def test_the_prior_is_met_by_equal_classes() -> None:
    """0 where classes are equal on average, whatever each example says; finite for one class."""
    sure = torch.eye(4, dtype=torch.float64).repeat(3, 1) * 40
    assert prior_penalty(torch.log_softmax(sure, dim=1)).item() == pytest.approx(0, abs=1e-14)
    one_class = torch.log_softmax(torch.tensor([[200.0, 0.0]] * 3, requires_grad=True), dim=1)
    assert prior_penalty(one_class).item() == pytest.approx(100 - log(2), abs=1e-3)


def test_entropy_by_hand() -> None:
    even, sure = torch.zeros(2, 4), torch.tensor([[1000.0, 0.0, 0.0, 0.0]])
    assert entropy(even).item() == pytest.approx(log(4), abs=1e-6)
    assert entropy(sure).item() == 0
    assert entropy(CHANCES[2:].log()).item() == pytest.approx(1.5 * log(2), abs=1e-15)


def test_the_mean_of_two_networks() -> None:
    other = CHANCES.flip(0)
    found = mean_log_probability(CHANCES.log() + 3, other.log() - 5)
    torch.testing.assert_close(found.exp(), (CHANCES + other) / 2, atol=1e-15, rtol=0)
    far = mean_log_probability(torch.tensor([[500.0, 0.0]]), torch.tensor([[400.0, 0.0]]))
    assert far.tolist() == [[0.0, pytest.approx(-400 - log(2), abs=1e-4)]]


def test_rounds_bring_everyone_before_anyone_again() -> None:
    order = torch.Generator().manual_seed(0)
    drawn = rounds(5, 13, order).tolist()
    assert sorted(drawn[:5]) == sorted(drawn[5:10]) == list(range(5))
    assert len(set(drawn[10:])) == 3 and len(drawn) == 13
    assert len(set(rounds(9, 4, order).tolist())) == 4
    assert rounds(1, 3, order).tolist() == [0, 0, 0]
    assert rounds(0, 3, order).tolist() == []


@pytest.mark.parametrize(
    ("n", "bounds"), [(1, [0, 1]), (4, [0, 4]), (5, [0, 5]), (6, [0, 4, 6]), (9, [0, 4, 9])]
)
def test_batches_of_four(n: int, bounds: list[int]) -> None:
    assert batch_bounds(n, 4) == bounds


class Fixed(nn.Module):
    """Says the same of every example: `chances`, of the class that its first feature names."""

    def __init__(self, chances: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(chances.log().float())

    def forward(self, inputs: Tensor) -> Tensor:
        rows: Tensor = self.logits[inputs[:, 0].round().long().clamp(0, len(self.logits) - 1)]
        return rows


def learner(labels: Any, *networks: nn.Module, **parameters: Any) -> DivideMixLearner:
    """For examples whose only feature is their position."""
    x = np.arange(len(labels), dtype=np.float32)[:, None]
    built = dict(zip(NAMES, networks, strict=True))
    method = DivideMix(**parameters)
    task = Task(
        problem=TrainingProblem(examples=resident(x), labels=torch.tensor(labels)),
        n_classes=3,
        features=x,
        recipe=recipe(),
        seeds=TrainingSeeds(initialisation=1, order=2, augmentation=3),
        build=built.__getitem__,
    )
    return DivideMixLearner(task, method, warmup=2, rise=4)


def test_targets_by_hand() -> None:
    """Example 0 has a label, z = 1, w = 0.8: 0.8 (0, 1, 0) + 0.2 (0.7, 0.2, 0.1), squared.

    Example 2 has none: the mean of (0.5, 0.25, 0.25) and (0.7, 0.2, 0.1), squared. The other
    network has no say in the first.
    """
    subject = learner([1, 0, 0], Fixed(CHANCES), Fixed(CHANCES.flip(0)))
    shown = [subject.problem.examples.batch(torch.tensor([0, 2]))]
    clean = torch.tensor([0.8, 0.1, 0.1])
    found = subject._targets(NAMES, shown, torch.tensor([0]), clean)
    squares = torch.tensor([[0.14, 0.84, 0.02], [0.6, 0.225, 0.175]]) ** 2
    expected = squares / squares.sum(dim=1, keepdim=True)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    alone = subject._targets(NAMES, [shown[0][:1]], torch.tensor([0]), clean)
    torch.testing.assert_close(alone, expected[:1], atol=1e-6, rtol=0)


def test_views_are_averaged() -> None:
    """Two views that the network takes for other examples: the mean of what it says of both."""
    subject = learner([0, 0, 0], Fixed(CHANCES), Fixed(CHANCES), temperature=1)
    shown = [torch.tensor([[0.0]]), torch.tensor([[1.0]])]
    nobody = torch.empty(0, dtype=torch.long)
    found = subject._targets(NAMES, shown, nobody, torch.zeros(3))
    expected = (CHANCES[:1] + CHANCES[1:2]).float() / 2
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_lambda_rises_after_the_warm_up() -> None:
    subject = learner([0, 1, 2], Fixed(CHANCES), Fixed(CHANCES))
    weights = [subject._weight(time) for time in (0, 2, 3, 4.5, 6, 100)]
    assert weights == [0, 0, 6.25, 15.625, 25, 25]


def test_each_network_trains_on_what_the_other_believes(monkeypatch: pytest.MonkeyPatch) -> None:
    """And every believed example comes once; the others fill up as large batches."""
    subject = learner([0] * 12, Fixed(CHANCES), Fixed(CHANCES))
    clean = torch.full((2, 12), 0.2)
    clean[0, :7], clean[1, 4:] = 0.9, 0.8
    subject.clean = clean
    given: dict[str, list[tuple[list[int], list[int]]]] = {name: [] for name in NAMES}

    def listen(names: Any, labelled: Tensor, unlabelled: Tensor, w: Tensor, weight: float) -> Any:
        given[names[0]].append((labelled.tolist(), unlabelled.tolist()))
        assert torch.equal(w, clean[1 - NAMES.index(names[0])])
        return subject.networks[names[0]].logits.sum() * 0

    monkeypatch.setattr(subject, "_mixed_loss", listen)
    subject.train_epoch(2)
    first, second = given[NAMES[0]], given[NAMES[1]]
    assert sorted(i for labelled, _ in first for i in labelled) == list(range(4, 12))
    assert sorted(i for labelled, _ in second for i in labelled) == list(range(7))
    assert {i for _, others in first for i in others} == set(range(4))
    assert {i for _, others in second for i in others} == set(range(7, 12))
    assert [len(a) for a, _ in first] == [len(b) for _, b in first] == [5, 3]
    assert [len(a) for a, _ in second] == [len(b) for _, b in second] == [5, 2]


@pytest.mark.parametrize(
    ("clean", "labelled", "others"),
    [([0.9] * 6, 6, 0), ([0.5] * 6, 6, 0), ([0.9] + [0.1] * 5, 1, 1), ([0.9] * 5 + [0.1], 5, 5)],
)
def test_empty_and_single_sets(clean: list[float], labelled: int, others: int) -> None:
    """All believed; none, where all train with their w; one; and all but one."""
    subject = learner([0, 1, 2] * 2, Fixed(CHANCES), Fixed(CHANCES))
    subject.clean = torch.tensor([clean] * 2)
    batches = subject._divided(subject.clean[0])
    assert sum(len(a) for a, _ in batches) == labelled
    assert sum(len(b) for _, b in batches) == others
    seen = subject.train_epoch(2)
    assert torch.isfinite(seen.loss) and (seen.predicted >= 0).all()
    assert all(torch.isfinite(p).all() for p in subject.network.parameters())


def test_scores_and_corrections_by_hand() -> None:
    """Both networks say CHANCES of examples 0, 1, 2; labels 0, 0, 1.

    Losses -log 0.7 and -log 0.1 are the ends of the range: the first label is kept, the second
    is not, and becomes what is predicted. Where no label is believed, all are.
    """
    subject = learner([0, 0, 1], Fixed(CHANCES), Fixed(CHANCES))
    subject._evaluate()
    scores, labels = subject.noise_scores(), subject.corrected_labels()
    expected = 1 - clean_probability(torch.tensor([0.7, 0.1, 0.25]).log().neg())
    torch.testing.assert_close(scores, expected, atol=1e-6, rtol=0)
    assert scores[1] > 0.99 and scores[0] < 0.5
    assert labels.tolist()[:2] == [0, 1]
    strict = learner([0, 0, 1], Fixed(CHANCES), Fixed(CHANCES), p_threshold=0.9999999)
    strict._evaluate()
    assert strict.corrected_labels().tolist() == [0, 1, 0]


def test_prediction_is_the_mean_of_both_networks() -> None:
    x, y = blobs(60, 3)
    method = DivideMix(epochs=4, warmup=1, device="cpu").fit(x, y)
    inputs = torch.from_numpy((x - method.normalisation_.mean) / method.normalisation_.deviation)
    with torch.no_grad():
        both = [method.networks_[name](inputs).softmax(dim=1) for name in NAMES]
    assert not torch.allclose(*both)
    np.testing.assert_allclose(method.predict_proba(x), sum(both) / 2, atol=1e-6)


def test_weights_go_into_a_fresh_predictor() -> None:
    x, y = blobs(60, 3)
    method = DivideMix(epochs=3, warmup=1, device="cpu").fit(x, y)
    before = method.predict_proba(x)
    fresh = method._predictor(method._build, 0)
    assert isinstance(fresh, MeanOfNetworks)
    fresh.load_state_dict(method.network_.state_dict())
    method.network_ = fresh
    np.testing.assert_array_equal(method.predict_proba(x), before)


def test_one_epoch_of_warm_up_is_standard() -> None:
    """The first network sees what Standard's does; its label scores are not divided yet."""
    x, y = blobs(60, 3)
    warm = DivideMix(epochs=1, warmup=2, device="cpu", seed=4).fit(x, y)
    standard = Standard(epochs=1, device="cpu", seed=4).fit(x, y)
    expected = standard.network_.state_dict()
    found = warm.networks_[NAMES[0]].state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert warm.curves_ == standard.curves_
    np.testing.assert_array_equal(warm.noise_scores_, standard.noise_scores_)
    np.testing.assert_array_equal(warm.corrected_labels_, y)


def test_the_entropy_penalty_keeps_the_warm_up_unsure() -> None:
    x, y = blobs(100, 2)
    options: Any = {"epochs": 20, "warmup": 20, "device": "cpu"}
    plain = DivideMix(**options).fit(x, y).predict_proba(x)
    unsure = DivideMix(entropy_penalty=True, **options).fit(x, y).predict_proba(x)
    assert unsure.max(axis=1).mean() < plain.max(axis=1).mean() - 0.1


@pytest.mark.parametrize("n", [2, 3, 9, 33])
def test_few_examples(n: int) -> None:
    x, y = blobs(n, 2)
    y[:2] = [0, 1]
    method = DivideMix(epochs=4, warmup=1, device="cpu").fit(x, y)
    assert np.isfinite(method.predict_proba(x)).all() and method.noise_scores_.shape == (n,)


def test_a_network_with_batch_norm_and_batches_of_odd_sizes() -> None:
    """A batch of one would be an error of batch norm."""
    x, y = blobs(65, 3)
    y = np.where(np.arange(65) % 3 == 0, (y + 1) % 3, y)
    own = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    settings = recipe(epochs=6, batch_size=4, learning_rate=0.05)
    method = DivideMix(recipe=settings, network=own, warmup=2, device="cpu").fit(x, y)
    assert np.isfinite(method.predict_proba(x)).all()


@pytest.mark.parametrize("augment", ["crop-flip", "none"])
def test_two_views_of_images(augment: str) -> None:
    """They change the training where images are augmented, and nothing where they are not."""
    x, y = pictures(40, 3, 16, 3)
    options: Any = {"epochs": 2, "warmup": 1, "device": "cpu", "augment": augment}
    one, two = DivideMix(**options).fit(x, y), DivideMix(views=2, **options).fit(x, y)
    assert equal_weights(one, two) is (augment == "none")


class KilledError(Exception):
    """Stands for a process that ends between two epochs."""


@pytest.mark.parametrize("kind", ["features", "images"])
@pytest.mark.parametrize("killed_in", [2, 4])
def test_resumed_after_the_division(kind: str, killed_in: int, tmp_path: Path) -> None:
    """Bit for bit; killed in the first epoch that divides, and in a later one."""
    x, y = blobs(60, 3) if kind == "features" else pictures(40, 3, 16, 3)
    y = np.where(np.arange(len(y)) % 5 == 0, (y + 1) % 3, y)
    settings = {"network": "mlp" if kind == "features" else "cnn", "batch_size": 16}
    options: Any = {
        "recipe": recipe(epochs=6, learning_rate=0.03, **settings),
        "augment": "crop-flip",
        "warmup": 2,
        "device": "cpu",
    }
    seen = Evaluation(x_test=x, y_test=y, clean_labels=y)
    whole = DivideMix(**options).fit(x, y, evaluation=seen)

    def end(epoch: int, _: Any) -> None:
        if epoch == killed_in:
            raise KilledError

    file: Any = {"checkpoint": tmp_path / "state", "checkpoint_seconds": 0.0}
    with pytest.raises(KilledError):
        DivideMix(**options).fit(x, y, evaluation=seen, watch=end, **file)
    resumed = DivideMix(**options).fit(x, y, evaluation=seen, **file)
    assert equal_weights(whole, resumed) and whole.curves_ == resumed.curves_
    np.testing.assert_array_equal(whole.noise_scores_, resumed.noise_scores_)
    np.testing.assert_array_equal(whole.corrected_labels_, resumed.corrected_labels_)
    np.testing.assert_array_equal(whole.predict_proba(x), resumed.predict_proba(x))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"p_threshold": 1}, "p_threshold=1: must be at least 0 and below 1"),
        ({"p_threshold": -0.1}, "p_threshold=-0.1: must be at least 0 and below 1"),
        ({"temperature": 0}, "temperature=0: must be a finite number above 0"),
        ({"alpha": float("inf")}, "alpha=inf: must be a finite number above 0"),
        ({"lambda_u": -1}, "lambda_u=-1: must be a finite number from 0"),
        ({"prior_weight": float("nan")}, "prior_weight=nan: must be a finite number from 0"),
        ({"views": 0}, "views=0: must be a whole number of at least 1"),
        ({"warmup": 0}, "warmup=0: must be a whole number of at least 1"),
    ],
    ids=str,
)
def test_bad_parameters(parameters: Any, message: str) -> None:
    x, y = blobs(12, 2)
    with pytest.raises(InputError) as caught:
        DivideMix(**parameters).fit(x, y)
    assert str(caught.value) == message


def test_dividemix_beats_standard_where_wrong_labels_have_high_losses() -> None:
    """Blobs eight deviations apart, 40 % of the labels wrong, time and room to memorise them.

    In each blob the right label has 60 % and each wrong one 13 %, so a network that knows the
    blobs and nothing else, as after the warm-up, has the loss 0.5 for right labels and 2.0 for
    wrong ones: two separate Gaussians. Wrong labels are then not trained on, so they are never
    memorised, and the guess for these examples is the blob's right class. Standard, which has the
    time to, fits the wrong ones, and errs around them.
    """
    x, clean = blobs(400, 4, width=10)
    fresh, truth = blobs(2_000, 4, width=10, seed=1)
    rng = np.random.default_rng(0)
    wrong = rng.permutation(400) < 160
    labels = np.where(wrong, (clean + rng.integers(1, 4, 400)) % 4, clean)
    long = Recipe(network="mlp", epochs=80, batch_size=32, learning_rate=0.02)
    seen = Evaluation(x_test=fresh, y_test=truth, clean_labels=clean)
    standard = Standard(recipe=long, device="cpu").fit(x, labels, evaluation=seen)
    divided = DivideMix(recipe=long, device="cpu").fit(x, labels, evaluation=seen)
    assert standard.curves_["wrong_fitted"][-1] > 0.7
    assert divided.curves_["wrong_fitted"][-1] < 0.05
    assert (divided.corrected_labels_ == clean).mean() > 0.98
    assert divided.curves_["test_accuracy"][-1] > standard.curves_["test_accuracy"][-1] + 0.1
    assert divided.noise_scores_[wrong].mean() > divided.noise_scores_[~wrong].mean() + 0.8
