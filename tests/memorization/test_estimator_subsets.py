"""`subsets`: each downdate against a refit, and the whole estimate against a plain study."""

from typing import Any

import numpy as np
import pytest
from estimator_examples import C, D, N, features, noisy_labels, plain_weights

from mislabel.errors import InputError
from mislabel.labels import NoisyLabels
from mislabel.memorization.design import make_design
from mislabel.memorization.probe import design_matrix, one_hot, softmax
from mislabel.memorization.subsets import SubsetProbe, Subsets
from thread_limits import one_thread  # noqa: F401

PENALTY = 0.05


@pytest.mark.parametrize("left_out", [0, 1, D, D + 1, 20])
@pytest.mark.parametrize("penalty", [1e-4, 3.0])
def test_a_downdate_is_a_refit(left_out: int, penalty: float) -> None:
    """Normal equations in float64 lose as many digits as their condition number has, below 10^6
    here, of 16."""
    design, targets = design_matrix(features()), one_hot(noisy_labels().labels, C)
    chosen = np.random.default_rng(left_out).permutation(N)
    kept, out = chosen[left_out:], np.sort(chosen[:left_out])
    found = SubsetProbe(design, targets, penalty).without(out)
    slow = plain_weights(design[kept].astype(np.float64), targets[kept], penalty)
    np.testing.assert_allclose(found, slow, atol=1e-9)


def test_both_ways_agree_where_both_go() -> None:
    probe = SubsetProbe(design_matrix(features()), one_hot(noisy_labels().labels, C), 0.5)
    for count in (1, 5, 30):
        out = np.arange(count)
        np.testing.assert_allclose(probe._by_woodbury(out), probe._by_downdate(out), atol=1e-10)


def test_a_downdate_by_hand() -> None:
    """x = -1, 0, 1 and y = 0, 0, 1 of one target, no penalty worth the name: without the first the
    line through (0, 0) and (1, 1), without the last the line that is 0."""
    design = np.array([[-1.0], [0.0], [1.0]], dtype=np.float32)
    probe = SubsetProbe(design, np.array([[0.0], [0.0], [1.0]]), 1e-12)
    np.testing.assert_allclose(probe.weights.ravel(), [0.5, 1 / 3])
    np.testing.assert_allclose(probe.without(np.array([0])).ravel(), [1, 0], atol=1e-6)
    np.testing.assert_allclose(probe.without(np.array([2])).ravel(), [0, 0], atol=1e-6)
    scores = probe.scores(np.array([[1.0], [0.0]]), np.array([0, 2]))
    np.testing.assert_array_equal(scores, [[-1], [1]])


def plain_study(settings: Subsets, labels: NoisyLabels, scale: float, **design: Any) -> Any:
    """Per example of the held-out set, the values of runs that left it out and that had it."""
    study = make_design(labels, keep=settings.keep, **design)
    points, targets = design_matrix(features()).astype(np.float64), one_hot(labels.labels, C)
    values: dict[tuple[int, bool], list[float]] = {}
    for run in range(settings.runs):
        mask = study.mask(run)
        weights = plain_weights(points[mask], targets[mask], PENALTY * mask.sum())
        for i in study.index:
            scores = np.append(points[i], 1) @ weights
            value = softmax(scale * scores[None])[0, labels.labels[i]]
            if settings.measure == "correctness":
                value = float(scores.argmax() == labels.labels[i])
            values.setdefault((i, bool(mask[i])), []).append(value)
    return study.index, values


@pytest.mark.parametrize("measure", ["probability", "correctness"])
@pytest.mark.parametrize("design", ["all", "balanced", "lim2025"])
def test_the_whole_study(measure: str, design: str) -> None:
    """Scores are float32, so that probabilities agree to about 10^-6; correctness exactly."""
    labels = noisy_labels()
    settings = Subsets(runs=20, design=design, measure=measure, penalty=PENALTY)
    found = settings(labels, features(), seed=4)
    index, values = plain_study(
        settings, labels, found.provenance["notes"]["scale"], design=design, seed=4
    )
    np.testing.assert_array_equal(found.index, index)
    for place, i in enumerate(index):
        for had, mean, error, count in (
            (False, found.exclusion, found.exclusion_error, found.exclusion_count),
            (True, found.inclusion, found.inclusion_error, found.inclusion_count),
        ):
            wanted = np.array(values.get((i, had), []))
            assert count[place] == len(wanted)
            if len(wanted):
                assert mean[place] == pytest.approx(wanted.mean(), abs=1e-5)
            if len(wanted) > 1:
                deviation = wanted.std(ddof=1) / np.sqrt(len(wanted))
                assert error[place] == pytest.approx(deviation, abs=1e-5)


def test_halves_are_of_even_and_odd_runs() -> None:
    labels, settings = noisy_labels(), Subsets(runs=20, penalty=PENALTY)
    found = settings(labels, features())
    assert found.exclusion_halves is not None and found.inclusion_halves is not None
    study = make_design(labels, "all")
    kept = np.array([study.mask(run) for run in range(20)])
    for halves, mean, counts in (
        (found.exclusion_halves, found.exclusion, ~kept),
        (found.inclusion_halves, found.inclusion, kept),
    ):
        weights = np.stack([counts[0::2].sum(axis=0), counts[1::2].sum(axis=0)])
        whole = (weights > 0).all(axis=0)
        joined = (np.where(whole, halves, 0) * weights).sum(axis=0) / weights.sum(axis=0)
        np.testing.assert_allclose(joined[whole], mean[whole])


def test_balanced_is_of_wrong_labels_and_as_many_right_ones() -> None:
    found = Subsets(runs=20, design="balanced")(noisy_labels(), features())
    assert found.wrong.sum() == noisy_labels().flipped.sum() == len(found) / 2


def test_an_index_is_the_held_out_set() -> None:
    index = np.array([1, 2, 3, 5, 8, 13, 21, 34])
    settings = Subsets(runs=10, design="index", keep=0.5)
    found = settings(noisy_labels(), features(), index=index)
    np.testing.assert_array_equal(found.index, index)
    assert (found.exclusion_count + found.inclusion_count == 10).all()
    assert found.exclusion_count.sum() == 10 * 4


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"runs": 1}, "runs=1: must be at least 2"),
        ({"runs": 0}, "runs=0: must be a whole number of at least 1"),
        ({"keep": 1.0}, "keep=1.0: must be a number above 0 and below 1"),
        ({"keep": 0}, "keep=0: must be a number above 0 and below 1"),
        ({"penalty": 0.0}, "penalty=0.0: must be a number above 0"),
        (
            {"measure": "correct"},
            "measure='correct': unknown choice; did you mean 'correctness'? "
            "Known: correctness, probability",
        ),
        (
            {"design": "al"},
            "design='al': unknown choice; did you mean 'all'? Known: all, balanced, index, lim2025",
        ),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Subsets(**parameters)
    assert str(caught.value) == message


def test_designs_that_need_more() -> None:
    with pytest.raises(InputError) as caught:
        Subsets(design="index")(noisy_labels(), features())
    assert str(caught.value) == "design='index': needs an index of examples"
    with pytest.raises(InputError, match="needs clean labels to know the wrong ones"):
        Subsets(design="balanced")(NoisyLabels(noisy_labels().labels), features())
