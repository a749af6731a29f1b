"""The toy's exact values, and that studies of it estimate them without bias."""

from itertools import combinations
from math import log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mislabel.memorization.aggregate import Sums, study_scores
from mislabel.memorization.design import Run, make_design
from mislabel.memorization.influence import study_influence
from mislabel.memorization.store import Answer
from mislabel.memorization.study import run_study
from mislabel.memorization.toy import MajorityToy
from mislabel.seeds import TrainingSeeds

TOY = MajorityToy(ones=(3, 1, 0, 1), zeros=(1, 2, 2, 1))
SURE = 1e-9
"Probability with which a bound here is broken by chance, for all comparisons of a test together."


def run_on(mask: Any) -> Run:
    seeds = TrainingSeeds(initialisation=0, order=0, augmentation=0)
    return Run(number=0, mask=np.asarray(mask), seeds=seeds, seed=0)


def test_values_worked_by_hand() -> None:
    """Two equal examples labelled 1 and 0, one of which is drawn; the other decides.

    The 1 is predicted when it alone is in, never when it is out; the 0 likewise.
    """
    toy = MajorityToy(ones=(1,), zeros=(1,))
    design = make_design(toy.labels, "all", keep=0.5)
    for found, wanted in zip(toy.exact(design), ([1, 1], [0, 0]), strict=True):
        np.testing.assert_array_equal(found, wanted)
    # P(1) is 2/3 with the 1 alone and 1/3 with the 0 alone.
    inclusion, exclusion = toy.exact(design, "probability")
    np.testing.assert_allclose(inclusion, [2 / 3, 2 / 3], rtol=1e-15)
    np.testing.assert_allclose(exclusion, [1 / 3, 1 / 3], rtol=1e-15)
    # The test label is 0, a tie of the clean labels: the 1 hurts it, the 0 helps.
    np.testing.assert_array_equal(toy.exact_influence(design), [[-1, 1]])


def test_exact_values_are_means_over_all_subsets() -> None:
    """The slow twin: every subset of 7 of 11 examples, once."""
    n, design = 11, make_design(TOY.labels, "all", keep=0.65)
    assert len(TOY.labels) == n and design.n_kept == 7
    masks = np.zeros((330, n), dtype=bool)
    for mask, chosen in zip(masks, combinations(range(n), 7), strict=True):
        mask[list(chosen)] = True
    answers = [TOY(run_on(mask)) for mask in masks]
    right = np.array([answer.train == TOY.labels.labels for answer in answers], dtype=float)
    chance = np.array([answer.probability for answer in answers])
    tested = np.array([answer.test == TOY.test_labels for answer in answers], dtype=float)
    inside = masks / masks.sum(axis=0)
    outside = ~masks / (~masks).sum(axis=0)
    for measure, values in (("correctness", right), ("probability", chance)):
        inclusion, exclusion = TOY.exact(design, measure)
        np.testing.assert_allclose(inclusion, (inside * values).sum(axis=0), rtol=1e-12)
        np.testing.assert_allclose(exclusion, (outside * values).sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(
        TOY.exact_influence(design), tested.T @ (inside - outside), atol=1e-12
    )


def sums_of(seed: int, runs: int, measure: str) -> Sums:
    """A study in memory."""
    design = make_design(TOY.labels, "all", keep=0.65, seed=seed)
    masks = [design.mask(number) for number in range(runs)]
    answers = [TOY(run_on(mask)) for mask in masks]

    def value(answer: Answer) -> Any:
        right = answer.train == TOY.labels.labels
        return right if measure == "correctness" else answer.probability

    pairs = ((mask, value(answer)) for mask, answer in zip(masks, answers, strict=True))
    return Sums.of(pairs, len(TOY.labels))


@pytest.mark.parametrize("measure", ["correctness", "probability"])
def test_means_and_errors_are_unbiased(measure: str) -> None:
    """60 studies of 30 runs.

    Hoeffding: the mean of n values in [0, 1] is off its expectation by sqrt(log(2 / d) / 2n) with
    probability d. Given the counts the runs of an example are independent, so this holds for all
    runs of all studies together; and for the mean of the squared errors, each between 0 and
    1 / (4 (n - 1)) with the expectation Var(p) = var / n, var the exact variance of one run.
    """
    studies, runs = 60, 30
    comparisons = 4 * len(TOY.labels)
    sums = [sums_of(seed, runs, measure) for seed in range(studies)]
    design = make_design(TOY.labels, "all", keep=0.65)
    exact = np.stack(TOY.exact(design, measure)[::-1])  # out, in
    count = np.stack([one.counts() for one in sums])
    total = sum(one.total.sum(axis=0) for one in sums)
    mean = total / count.sum(axis=0)
    bound = sqrt(log(2 * comparisons / SURE) / 2)
    assert (np.abs(mean - exact) <= bound / np.sqrt(count.sum(axis=0))).all()

    if measure == "correctness":
        assert count.min() >= 2
        squares = np.stack([one.errors() ** 2 for one in sums])
        wanted = (exact * (1 - exact) / count).mean(axis=0)
        ranges = 0.25 / (count - 1)
        slack = bound * np.sqrt((ranges**2).sum(axis=0)) / studies
        assert (np.abs(squares.mean(axis=0) - wanted) <= slack).all()


def test_a_stored_study_finds_the_exact_values(tmp_path: Path) -> None:
    """400 runs against Hoeffding's bound, for both measures; float16 is off by 2^-12 at most."""
    plan = TOY.plan(keep_share=0.65, seed=5)
    folder = run_study(plan, tmp_path / "study", runs=400, workers=1)
    for measure, rounding in (("correctness", 0.0), ("probability", 2**-12)):
        found = study_scores(folder, measure=measure)
        inclusion, exclusion = TOY.exact(plan.design, measure)
        bound = sqrt(log(2 * 4 * len(found) / SURE) / 2)  # two measures, in and out
        for mean, exact, count in (
            (found.inclusion, inclusion, found.inclusion_count),
            (found.exclusion, exclusion, found.exclusion_count),
        ):
            assert (np.abs(mean - exact) <= bound / np.sqrt(count) + rounding).all()
    assert found.title == "majority toy, 400 runs"
    influence = np.load(study_influence(folder, tmp_path / "influence.npy"))
    counts = np.stack([found.inclusion_count, found.exclusion_count])
    slack = sqrt(log(2 * 2 * influence.size / SURE) / 2) * (1 / np.sqrt(counts)).sum(axis=0)
    assert (np.abs(influence - TOY.exact_influence(plan.design)) <= slack).all()
    np.testing.assert_array_equal(found.wrong, TOY.labels.flipped)
