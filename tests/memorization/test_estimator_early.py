"""`early`: the record by hand, and a training against what the training itself reports."""

from typing import Any

import numpy as np
import pytest
import torch
from estimator_examples import C, N, features, noisy_labels

from mislabel.errors import InputError
from mislabel.learning import make_method
from mislabel.learning.recorded import RecordedStandard
from mislabel.memorization.early import Early, PassRecord, run_early
from thread_limits import one_thread  # noqa: F401

LABELS = torch.tensor([0, 1, 2])
ALL = torch.tensor([0, 1, 2])


def record(*epochs: Any, n_early: int = 1) -> PassRecord:
    """A record of epochs, each the logits of all three examples, or pairs of index and logits."""
    found = PassRecord(LABELS, n_early=n_early)
    for number, logits in enumerate(epochs):
        found.observe(ALL, torch.tensor(logits))
        found.end_epoch(number)
    return found


RIGHT, WRONG = [[2.0, 0, 1], [0, 2, 1], [0, 1, 3]], [[1.0, 3, 0], [0, 1, 1.5], [2, 1, 2]]


def test_margins_by_hand() -> None:
    """The given label's logit less the largest other one: 1, 1, 2 and then -2, -0.5, 0."""
    np.testing.assert_allclose(record(RIGHT).aum, [1, 1, 2])
    np.testing.assert_allclose(record(RIGHT, WRONG).aum, [-0.5, 0.25, 1])


def test_forgetting_by_hand() -> None:
    """A tie is no right answer, so the third example is forgotten with the others."""
    found = record(WRONG, RIGHT, RIGHT, WRONG, WRONG, RIGHT, WRONG)
    assert found.forgotten.tolist() == [2, 2, 2]
    assert found.first_learned.tolist() == [1, 1, 1]
    assert record(WRONG, WRONG).first_learned.tolist() == [-1, -1, -1]
    assert record(RIGHT).forgotten.tolist() == [0, 0, 0]


def test_early_probabilities_by_hand() -> None:
    even, sure = np.log([[1.0, 1, 2]] * 3), np.log([[6.0, 1, 1]] * 3)
    np.testing.assert_allclose(record(even, sure).early_probability, [1 / 4, 1 / 4, 1 / 2])
    found = record(even, sure, even, n_early=2)
    np.testing.assert_allclose(found.early_probability, [1 / 2, 3 / 16, 5 / 16], rtol=1e-6)


def test_statistics_by_hand() -> None:
    """Margins -0.5, 0.25, 1 by the logistic function; right in one pass of two, one of three."""
    found = record(RIGHT, WRONG)
    expected = 1 / (1 + np.exp([0.5, -0.25, -1]))
    np.testing.assert_allclose(found.exclusion("margin"), expected)
    np.testing.assert_allclose(found.exclusion("correctness"), [0.5, 0.5, 0.5])
    np.testing.assert_allclose(record(WRONG, RIGHT, WRONG).exclusion("correctness"), [1 / 3] * 3)
    np.testing.assert_allclose(found.exclusion("probability"), found.early_probability)


def test_each_statistic_is_its_own_estimate_of_the_same_training() -> None:
    labels, points = noisy_labels(), features()
    found = {
        name: Early(epochs=3, statistic=name)(labels, points)
        for name in ("probability", "margin", "correctness")
    }
    run = run_early(Early(epochs=3), labels, points)
    np.testing.assert_allclose(found["margin"].exclusion, 1 / (1 + np.exp(-run.aum)))
    shares = found["correctness"].exclusion
    np.testing.assert_allclose(3 * shares, np.rint(3 * shares), atol=1e-6)
    assert np.ptp(shares) > 0
    for scores in found.values():
        np.testing.assert_array_equal(scores.inclusion, run.scores.inclusion)


def test_an_example_that_does_not_come() -> None:
    found = PassRecord(LABELS, n_early=3)
    for number, index in enumerate([[0, 1], [0], [0, 1]]):
        logits = torch.tensor(WRONG if number == 2 else RIGHT)[index]
        found.observe(torch.tensor(index), logits)
        found.end_epoch(number)
    np.testing.assert_allclose(found.aum[:2], [0, 0.25])
    assert np.isnan(found.aum[2]) and np.isnan(found.early_probability[2])
    assert found.forgotten.tolist() == [1, 1, 0]
    assert found.first_learned.tolist() == [0, 0, -1]


def test_the_first_pass_is_what_the_training_records() -> None:
    """One epoch: exclusion is the probability in its pass, inclusion that after it."""
    labels, settings = noisy_labels(), Early(epochs=1)
    found = run_early(settings, labels, features(), seed=7)
    twin = RecordedStandard(epochs=1, seed=7).fit(features(), labels.labels)
    own = np.arange(N), labels.labels
    np.testing.assert_array_equal(found.scores.exclusion, twin.training_probabilities_[own])
    np.testing.assert_array_equal(found.scores.inclusion, twin.predict_proba(features())[own])
    chances = np.log(twin.training_probabilities_.astype(np.float64))
    others = np.where(np.arange(C) == labels.labels[:, None], -np.inf, chances).max(axis=1)
    np.testing.assert_allclose(found.aum, chances[own] - others, atol=1e-5)
    np.testing.assert_array_equal(found.first_learned, np.where(chances[own] > others, 0, -1))


def test_observing_does_not_change_the_training() -> None:
    labels = noisy_labels()
    found = Early(epochs=5)(labels, features(), seed=2)
    alone = make_method("standard", epochs=5, seed=2).fit(features(), labels.labels)
    chances = alone.predict_proba(features())
    np.testing.assert_array_equal(found.inclusion, chances[np.arange(N), labels.labels])


def test_statistics_of_chosen_examples() -> None:
    index = np.array([2, 9, 31])
    settings = Early(epochs=4, early=0.5)
    whole = run_early(settings, noisy_labels(), features())
    found = run_early(settings, noisy_labels(), features(), index=index)
    np.testing.assert_array_equal(found.scores.index, index)
    np.testing.assert_array_equal(found.aum, whole.aum[index])
    np.testing.assert_array_equal(found.forgetting_events, whole.forgetting_events[index])
    np.testing.assert_array_equal(found.first_learned, whole.first_learned[index])
    assert found.scores.provenance["notes"]["early_epochs"] == 2


@pytest.mark.parametrize("method", ["gce:q=0.5", "mixup", "coteaching", "elr"])
def test_other_methods(method: str) -> None:
    found = run_early(Early(method=method, epochs=3), noisy_labels(), features())
    assert np.isfinite(found.aum).all() and np.isfinite(found.scores.exclusion).all()


def test_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(N, 16, 16, 3), dtype=np.uint8)
    settings = Early(network="cnn", epochs=1, augment="crop-flip")
    found = settings(noisy_labels(), images)
    assert np.isfinite(found.inclusion).all() and np.isfinite(found.exclusion).all()


def test_progress_counts_epochs() -> None:
    seen: list[tuple[int, int]] = []
    Early(epochs=3)(noisy_labels(), features(), progress=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"statistic": "margins"}, "statistic='margins': unknown choice; did you mean 'margin'?"),
        ({"early": 1.0}, "early=1.0: must be a number above 0 and below 1"),
        ({"method": "standart"}, "method='standart': unknown name; did you mean 'standard'?"),
        ({"method": "gce:q=2"}, "q=2.0: must be above 0 and at most 1"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Early(**parameters)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"epochs": 0}, "epochs=0: must be a whole number, at least 1"),
        ({"recipe": "slow"}, "recipe='slow': unknown; "),
        ({"network": "cnn"}, "network='cnn': takes images; for feature vectors use 'mlp'"),
        ({"device": "gpu"}, "device='gpu': must be auto, cpu or cuda"),
    ],
)
def test_parameters_that_the_training_refuses(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Early(**parameters)(noisy_labels(), features())
    assert str(caught.value).startswith(message)
