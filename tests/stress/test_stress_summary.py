"""Intervals over seeds and the figures that are made with them, by hand and by simulation."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stress_examples import stress_results

from mislabel.stress.intervals import MAX_SEEDS, half_width, interval, seeds_needed
from mislabel.stress.results import StressResults
from mislabel.stress.summary import (
    advantage,
    area_interval,
    class_drops,
    curve_noises,
    drop_difference,
    drop_interval,
    extra_drop,
    families,
    metric_interval,
)

modest = settings(deadline=None, derandomize=True, max_examples=60)

# --- intervals ---


def test_an_interval_by_hand() -> None:
    """1, 2, 3: mean 2, deviation 1; Student's t of 2 degrees at 0.975 is 4.302653."""
    found = interval([1.0, 2.0, 3.0])
    assert (found.mean, found.deviation, found.count) == (2, 1, 3)
    half = 4.302653 / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half), abs=1e-6)
    # t of one degree is tan(pi / 2 * level): 1 at level 0.5
    two = interval([1.0, 2.0], level=0.5)
    assert (two.low, two.high) == pytest.approx((1, 2))


@modest
@given(
    values=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8),
    step=st.sampled_from([0.0, 0.5]),
    level=st.sampled_from([0.5, 0.95, 0.999]),
)
def test_an_interval_is_that_of_scipy(values: list[float], step: float, level: float) -> None:
    from scipy.stats import t

    scale = math.sqrt((np.var(values, ddof=1) + step**2 / 12) / len(values))
    found = interval(values, step=step, level=level)
    if scale > 0:
        low, high = t.interval(level, len(values) - 1, loc=np.mean(values), scale=scale)
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)
    assert found.low <= found.mean <= found.high


def test_rounding_keeps_the_interval_of_equal_values_open() -> None:
    """Three times the same count of 100: the deviation is that of rounding, 0.01 / sqrt(12)."""
    found = interval([0.8] * 3, step=0.01)
    assert found.deviation == pytest.approx(0.0028868, abs=1e-7)
    assert found.high - found.mean == pytest.approx(4.302653 * 0.0028868 / math.sqrt(3), abs=1e-6)


def test_one_value_and_none() -> None:
    one = interval([0.8], step=0.01)
    assert (one.mean, one.low, one.high, one.count) == (0.8, -math.inf, math.inf, 1)
    assert math.isnan(one.deviation)
    none = interval([])
    assert none.count == 0
    assert all(map(math.isnan, (none.mean, none.low, none.high, none.deviation)))
    assert one.to_json() == {
        "mean": 0.8, "low": None, "high": None, "deviation": None, "count": 1, "values": [0.8],
    }  # fmt: skip


def covered(figures: np.ndarray, means: np.ndarray, step: float, level: float) -> int:
    """How many rows of figures (R, n) have an interval with their mean (R,) inside."""
    found = [interval(list(row), step=step, level=level) for row in figures]
    return sum(each.low <= mean <= each.high for each, mean in zip(found, means, strict=True))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_intervals_cover_as_often_as_they_say(count: int) -> None:
    """Of normal figures, within the central 1 - 2e-6 of the binomial."""
    from scipy.stats import binom

    runs, level = 2000, 0.9
    figures = np.random.default_rng(count).normal(0.7, 0.05, size=(runs, count))
    found = covered(figures, np.full(runs, 0.7), 0.0, level)
    assert binom.ppf(1e-6, runs, level) <= found <= binom.isf(1e-6, runs, level)


@pytest.mark.parametrize("deviation", [0.0005, 0.002, 0.005, 0.02])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_intervals_of_counts_cover_at_least_as_often(deviation: float, count: int) -> None:
    """Figures on 200 examples, of deviations from a tenth of the step of 0.005 to four of it.

    What is to be covered is the mean of the rounded figures, here by the normal distribution; in
    each draw the mean before rounding lies anywhere between two multiples of the step. Without the
    rounding step the first case is covered in less than half of all draws.
    """
    from scipy.special import ndtr
    from scipy.stats import binom

    rng = np.random.default_rng(count)
    runs, step, level = 2000, 1 / 200, 0.9
    means = rng.uniform(0.7, 0.8, size=runs)
    figures = np.round(rng.normal(means[:, None], deviation, size=(runs, count)) / step) * step
    multiples = np.arange(100, 201) * step
    chances = np.diff(
        ndtr((np.append(multiples, 1 + step) - step / 2 - means[:, None]) / deviation)
    )
    means = chances @ multiples
    assert covered(figures, means, step, level) >= binom.ppf(1e-6, runs, level)
    if deviation < step / 5:
        assert covered(figures, means, 0.0, level) < binom.ppf(1e-6, runs, 0.5)


@modest
@given(
    values=st.lists(st.floats(0, 1), min_size=2, max_size=6),
    threshold=st.floats(0, 1),
    level=st.sampled_from([0.8, 0.95]),
)
def test_seeds_needed_is_the_least_that_decides(
    values: list[float], threshold: float, level: float
) -> None:
    found = interval(values, step=0.01, level=level)
    needed = seeds_needed(found, threshold, level=level)
    distance = abs(found.mean - threshold)

    def is_decided(count: int) -> bool:
        return half_width(found.deviation, count, level) < distance

    if needed is None:
        assert not is_decided(MAX_SEEDS)
    else:
        assert is_decided(needed)
        assert needed >= found.count
        assert needed == found.count or not is_decided(needed - 1)


def test_seeds_needed_by_hand() -> None:
    """Deviation 0.01: half widths 0.0248 of 3 seeds, 0.0159 of 4, 0.0124 of 5, 0.0105 of 6."""
    found = interval([0.79, 0.8, 0.81])
    assert [seeds_needed(found, 0.8 - d) for d in (0.03, 0.02, 0.013, 0.011)] == [3, 4, 5, 6]
    assert seeds_needed(found, 0.8) is None
    assert seeds_needed(interval([0.8]), 0.5) is None
    assert seeds_needed(interval([]), 0.5) is None


# --- figures ---

SEEDS = {"clean": [0.9, 0.8, 0.7], "symmetric:0.2": [0.8, 0.6, 0.65]}


def test_drops_are_paired_by_seed() -> None:
    """0.1, 0.2, 0.05: the deviation is that of differences, not of the two columns."""
    found = drop_interval(stress_results(SEEDS, metric="f1"), "symmetric:0.2")
    assert found.values == pytest.approx((0.1, 0.2, 0.05))
    assert found.mean == pytest.approx(0.35 / 3)
    assert found.deviation == pytest.approx(np.std([0.1, 0.2, 0.05], ddof=1))


def test_a_drop_of_counts_is_rounded_twice() -> None:
    results = stress_results({"clean": [0.9, 0.8], "symmetric:0.2": [0.8, 0.7]}, n_test=100)
    found = drop_interval(results, "symmetric:0.2")
    assert found.deviation == pytest.approx(0.01 * math.sqrt(2 / 12))
    assert metric_interval(results, "clean").deviation == pytest.approx(
        math.sqrt(0.1**2 / 2 + 0.01**2 / 12)
    )
    relative = drop_interval(results, "symmetric:0.2", relative=True)
    assert relative.deviation == pytest.approx(
        math.sqrt(np.var([1 / 9, 1 / 8], ddof=1) + (0.01 / 0.85) ** 2 * 2 / 12)
    )


@pytest.mark.parametrize(
    ("metric", "step"),
    [("accuracy", 0.001), ("balanced_accuracy", 0.001), ("macro_f1", 0.001),
     ("worst_class", 0.003), ("wrong_fitted", 0.0), ("own", 0.0)],
)  # fmt: skip
def test_what_an_example_changes(metric: str, step: float) -> None:
    """Of 1,000 test examples in three classes; equal figures keep an open interval."""
    found = metric_interval(stress_results({"clean": [0.8, 0.8]}, metric=metric), "clean")
    assert found.deviation == pytest.approx(step / math.sqrt(12))


def test_seeds_without_their_pair_are_left_out() -> None:
    results = stress_results(
        {"clean": [0.9, 0.8, "killed", 0.7], "symmetric:0.2": [0.7, "killed", 0.5, None]}
    )
    assert drop_interval(results, "symmetric:0.2").values == pytest.approx((0.2,))
    assert drop_interval(results, "symmetric:0.2", "gce").count == 0
    assert metric_interval(results, "symmetric:0.2").values == (0.7, 0.5)


def test_relative_drops() -> None:
    found = drop_interval(stress_results(SEEDS), "symmetric:0.2", relative=True)
    assert found.values == pytest.approx((1 / 9, 1 / 4, 1 / 14))
    negative = stress_results({"clean": [-2.0, -4.0], "symmetric:0.2": [-3.0, -5.0]}, metric="own")
    assert drop_interval(negative, "symmetric:0.2", relative=True).values == (0.5, 0.25)


def test_a_relative_drop_from_nothing_is_none() -> None:
    results = stress_results({"clean": [0.0, 0.5], "symmetric:0.2": [0.1, 0.4]}, metric="own")
    assert drop_interval(results, "symmetric:0.2", relative=True).count == 0
    assert drop_interval(results, "symmetric:0.2").count == 2


def test_lower_is_better() -> None:
    """The same figures as an error: a drop is a rise, and an advantage is less."""
    yours = {"clean": [0.1, 0.2], "pair:0.1": [0.2, 0.4], "pair:0.2": [0.5, 0.6]}
    other = {"clean": [0.1, 0.1], "pair:0.1": [0.3, 0.3], "pair:0.2": [0.6, 0.8]}
    for sign, lower in ((1, True), (-1, False)):
        results = stress_results(yours, {"gce": other}, metric="own", lower_is_better=lower)
        drop = drop_interval(results, "pair:0.1")
        assert drop.values == pytest.approx([sign * 0.1, sign * 0.2])
        relative = drop_interval(results, "pair:0.1", relative=True)
        assert relative.values == pytest.approx([sign * 1.0, sign * 1.0])
        extra = extra_drop(results, "pair:0.2", than="pair:0.1")
        assert extra.values == pytest.approx([sign * 0.3, sign * 0.2])
        better = advantage(results, "pair:0.2", over="gce")
        assert better.values == pytest.approx([sign * 0.1, sign * 0.2])
        # drops of yours 0.4 and 0.4, of the other 0.5 and 0.7
        less = drop_difference(results, "pair:0.2", over="gce")
        assert less.values == pytest.approx([sign * 0.1, sign * 0.3])


def test_differences_of_counts_are_rounded_as_often_as_they_have_figures() -> None:
    table = {"clean": [0.9, 0.9], "pair:0.1": [0.8, 0.8], "pair:0.2": [0.7, 0.7]}
    results = stress_results(table, {"gce": table}, n_test=100)
    two, four = 0.01 * math.sqrt(2 / 12), 0.01 * math.sqrt(4 / 12)
    assert advantage(results, "pair:0.1", over="gce").deviation == pytest.approx(two)
    assert extra_drop(results, "pair:0.2", than="pair:0.1").deviation == pytest.approx(two)
    assert drop_difference(results, "pair:0.1", over="gce").deviation == pytest.approx(four)


def test_an_area_by_hand() -> None:
    """0.9 at 0, 0.8 at 0.1, 0.4 at 0.3: (0.085 + 0.12) / 0.3; the order of noises is no matter."""
    table = {"clean": [0.9, 0.5], "symmetric:0.3": [0.4, 0.5], "pair:0.2": [0.0, 0.0],
             "symmetric:0.1": [0.8, 0.5]}  # fmt: skip
    results = stress_results(table, metric="own")
    assert [noise.spec for noise in curve_noises(results, "symmetric")] == [
        "clean",
        "symmetric:0.1",
        "symmetric:0.3",
    ]
    assert area_interval(results, "symmetric").values == pytest.approx((0.205 / 0.3, 0.5))
    assert area_interval(results, "pair").values == pytest.approx((0.45, 0.25))
    assert families(results) == ["symmetric", "pair"]


def test_an_area_takes_the_realised_rates_of_its_seed() -> None:
    results = stress_results({"clean": [1.0], "pair:0.1": [0.5], "pair:0.2": [0.5]}, metric="own")
    cells = [replace(c, rate=0.15) if c.noise == "pair:0.1" else c for c in results.cells]
    # trapezoids of width 0.15 and 0.05: (0.15 * 0.75 + 0.05 * 0.5) / 0.2
    found = area_interval(replace(results, cells=cells), "pair")
    assert found.values == pytest.approx((0.6875,))


def test_an_area_needs_all_of_its_cells_and_a_width() -> None:
    table = {"clean": [0.9, 0.9, "killed"], "pair:0.1": [0.8, None, 0.8], "pair:0.2": [0.7] * 3}
    assert area_interval(stress_results(table), "pair").count == 1
    flat = stress_results({"clean": [0.9], "symmetric:0.0": [0.9]})
    assert area_interval(flat, "symmetric").count == 0
    assert area_interval(flat, "clean").count == 0


@modest
@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_an_area_is_a_mean(values: list[float]) -> None:
    """It lies between the least and the largest figure, and of a line it is the middle."""
    specs = ("clean", "pair:0.1", "pair:0.4")
    results = stress_results({s: [v] for s, v in zip(specs, values, strict=True)}, metric="own")
    (area,) = area_interval(results, "pair").values
    assert min(values) - 1e-12 <= area <= max(values) + 1e-12
    line = {s: [values[0] + r * values[1]] for s, r in zip(specs, (0, 0.1, 0.4), strict=True)}
    (area,) = area_interval(stress_results(line, metric="own"), "pair").values
    assert area == pytest.approx(values[0] + 0.2 * values[1])


def test_drops_of_classes() -> None:
    """Each class loses what the mean loses, and its own share more."""
    results = stress_results(
        {"clean": [0.9, 0.8], "pair:0.2": [0.8, 0.6]}, class_losses=[0.0, 0.1, 0.3]
    )
    found = class_drops(results, "pair:0.2")
    assert [each.values for each in found] == [
        pytest.approx((0.1, 0.2)),
        pytest.approx((0.2, 0.3)),
        pytest.approx((0.4, 0.5)),
    ]
    # a class has a third of the test examples, so its step is 3 / 1,000
    assert found[0].deviation == pytest.approx(math.sqrt(0.005 + 2 * 0.003**2 / 12))


def test_classes_without_examples_or_figures() -> None:
    results = stress_results({"clean": [0.9, 0.8], "pair:0.2": [0.8, "killed"]})
    emptied = [replace(c, accuracy_per_class=[0.5, None, 0.5]) if c.metrics else c
               for c in results.cells]  # fmt: skip
    found = class_drops(replace(results, cells=emptied), "pair:0.2")
    assert [each.count for each in found] == [1, 0, 1]
    bare: StressResults = replace(
        results, cells=[replace(c, accuracy_per_class=[]) for c in results.cells]
    )
    assert [each.count for each in class_drops(bare, "pair:0.2")] == [0, 0, 0]


def test_shares_stay_between_nothing_and_all() -> None:
    """0.9 and 1: 0.95 with half of the interval 12.706 x 0.05; what is in percent is no share."""
    found = metric_interval(stress_results({"clean": [0.9, 1.0]}, n_test=0), "clean")
    assert (found.low, found.high) == (pytest.approx(0.95 - 0.635310), 1.0)
    low = metric_interval(stress_results({"clean": [0.0, 0.1]}, n_test=0), "clean")
    assert (low.low, low.high) == (0.0, pytest.approx(0.05 + 0.635310))
    for results in (
        stress_results({"clean": [90, 100]}, n_test=0),
        stress_results({"clean": [0.9, 1.0]}, metric="odds", n_test=0),
    ):
        free = metric_interval(results, "clean")
        assert free.high == pytest.approx(free.mean + (free.mean - free.low))
        assert free.high > 1
    area = area_interval(stress_results({"clean": [0.9, 1], "pmd:0.2": [0.9, 1]}, n_test=0), "pmd")
    assert area.high == 1.0
