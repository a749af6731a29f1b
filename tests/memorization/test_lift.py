"""Inclusion from exclusion by a lift of the log-odds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mislabel.errors import InputError
from mislabel.labels import NoisyLabels
from mislabel.memorization import MemorizationScores, apply_lift, fit_lift
from mislabel.memorization.lift import FLOOR, inner

EXCLUSION = np.array([0.5, 0.1, 0.9, np.nan])


def scores(inclusion: np.ndarray, exclusion: np.ndarray = EXCLUSION) -> MemorizationScores:
    labels = NoisyLabels(np.arange(len(exclusion)) % 2, n_classes=2)
    return MemorizationScores.of(
        labels,
        inclusion=inclusion,
        exclusion=exclusion,
        provenance={"title": "T"},
        exclusion_error=np.full(len(exclusion), 0.01),
        exclusion_count=np.full(len(exclusion), 5),
        exclusion_halves=np.array([exclusion, exclusion]),
    )


def test_by_hand() -> None:
    """log(3) triples the odds: 1 to 3, 1/9 to 1/3, 9 to 27."""
    found = apply_lift(scores(EXCLUSION), np.log(3))
    assert_allclose(found.inclusion, [3 / 4, 1 / 4, 27 / 28, np.nan], rtol=1e-12)
    assert_allclose(found.inclusion_halves[1], found.inclusion)
    assert_array_equal(found.exclusion, EXCLUSION)
    slope = 0.75 * 0.25 / 0.25  # of the inclusion by the exclusion probability at 0.5
    assert_allclose(found.inclusion_error[0], 0.01 * slope)
    assert found.provenance["lift"] == pytest.approx(np.log(3))


def test_slope_is_the_derivative() -> None:
    step = 1e-6
    low, high = (apply_lift(scores(EXCLUSION, EXCLUSION + s), 2.0) for s in (-step, step))
    slope = (high.inclusion - low.inclusion) / (2 * step)
    assert_allclose(apply_lift(scores(EXCLUSION), 2.0).inclusion_error, 0.01 * slope, rtol=1e-6)


def test_no_lift_changes_nothing() -> None:
    found = scores(np.array([0.5, 0.13, 0.97, np.nan]), np.array([0.5, 0.13, 0.97, np.nan]))
    assert_allclose(apply_lift(found, 0).inclusion, found.exclusion)


def test_never_in_five_runs() -> None:
    """1/2 of 6: odds of 1/11, tripled 3/11."""
    ends = np.array([0.0, 1.0])
    assert_allclose(apply_lift(scores(ends, ends), np.log(3)).inclusion, [3 / 14, 33 / 34])


def test_the_lift_is_found_again() -> None:
    made = apply_lift(scores(EXCLUSION), 2.5)
    assert fit_lift(made) == pytest.approx(2.5, abs=1e-5)
    chosen = np.array([True, False, False, True])
    assert fit_lift(made, chosen) == pytest.approx(2.5, abs=1e-5)


def test_maximum_likelihood() -> None:
    """Of binomial counts: no other lift on a fine grid is likelier."""
    rng = np.random.default_rng(0)
    exclusion = rng.random(50)
    found = scores(rng.random(50) * 0.2 + 0.8 * exclusion**0.3, exclusion)
    best = fit_lift(found)

    def likelihood(lift: float) -> float:
        p = apply_lift(found, lift).inclusion
        return float(np.sum(found.inclusion * np.log(p) + (1 - found.inclusion) * np.log(1 - p)))

    grid = np.linspace(0, 10, 1001)
    assert grid[np.argmax([likelihood(c) for c in grid])] == pytest.approx(best, abs=0.01)


def test_refused() -> None:
    with pytest.raises(InputError) as caught:
        apply_lift(scores(EXCLUSION), -1)
    assert str(caught.value) == "lift=-1: must be between 0 and 30"
    with pytest.raises(InputError) as caught:
        fit_lift(scores(0.5 * EXCLUSION))
    rule = "no lift between 0 and 30 makes their mean inclusion probability"
    assert str(caught.value) == f"scores='T': {rule}"
    with pytest.raises(InputError) as caught:
        fit_lift(scores(np.full(4, np.nan)))
    assert str(caught.value) == "scores='T': have no example with both probabilities"


def test_counts_are_kept_off_the_ends() -> None:
    """0, 1 and 4 of 4 runs as 1/10, 3/10 and 9/10; probabilities and unknown counts as they are."""
    counts = np.full(3, 4)
    assert_allclose(inner(np.array([0, 0.25, 1]), counts), [0.1, 0.3, 0.9])
    assert_allclose(inner(np.array([0, 0.3, 1]), counts), [FLOOR, 0.3, 1 - FLOOR])
    assert_allclose(inner(np.array([0, 0.25, 1]), np.zeros(3)), [FLOOR, 0.25, 1 - FLOOR])
