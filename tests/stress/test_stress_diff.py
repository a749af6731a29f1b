"""Two versions on the same cells: the test, its adjustment, and what is refused."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stress_examples import METADATA, stress_results

from mislabel.errors import InputError
from mislabel.stress.diff import Comparison, compare, holm, paired_p_value
from mislabel.stress.intervals import interval
from mislabel.stress.results import StressCell, StressResults

modest = settings(deadline=None, derandomize=True, max_examples=60)

NOISES = ["clean", "symmetric:0.1", "symmetric:0.2", "pair:0.2"]


def states(found: Comparison) -> dict[str, str]:
    """The state of each noise."""
    return {each.noise: each.state for each in found.noises}


def changed(results: StressResults, index: int, **changes: Any) -> StressResults:
    """The results with another cell at an index."""
    cells: list[StressCell] = list(results.cells)
    cells[index] = replace(cells[index], **changes)
    return replace(results, cells=cells)


# --- the test ---


@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_p_value_is_that_of_scipy(count: int) -> None:
    from scipy.stats import ttest_rel

    rng = np.random.default_rng(count)
    for shift in (0.0, 0.3, 3.0):
        before, after = rng.normal(size=(2, count))
        expected = ttest_rel(after + shift, before).pvalue
        found = paired_p_value(interval(list(after + shift - before)))
        assert found == pytest.approx(expected, rel=1e-9)


def test_p_value_by_hand() -> None:
    """Two differences have one degree of freedom: Student's t is Cauchy's, 1 - 2 atan(t) / pi."""
    # 0.1 and 0.3: mean 0.2, deviation 0.1 sqrt(2), t = 0.2 / 0.1 = 2
    assert paired_p_value(interval([0.1, 0.3])) == pytest.approx(1 - 2 * math.atan(2) / math.pi)
    # equal ones, rounded to 0.01: deviation 0.01 / sqrt(12), t = 0.02 sqrt(2) sqrt(12) / 0.01
    rounded = interval([0.02, 0.02], step=0.01)
    t = 2 * math.sqrt(24)
    assert paired_p_value(rounded) == pytest.approx(1 - 2 * math.atan(t) / math.pi)


def test_p_values_at_the_edges() -> None:
    assert paired_p_value(interval([0.0, 0.0])) == 1
    assert paired_p_value(interval([0.0, 0.0], step=0.01)) == 1
    assert paired_p_value(interval([0.5, 0.5])) == 0
    assert paired_p_value(interval([0.5])) is None
    assert paired_p_value(interval([])) is None


def test_holm_by_hand() -> None:
    """Four p-values are multiplied by 4, 3, 2, 1 from the smallest, and never fall."""
    # 0.01 * 3 = 0.03, 0.04 * 1 = 0.04 -> 0.06, 0.03 * 2 = 0.06, 0.005 * 4 = 0.02
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@modest
@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_its_plain_twin(p_values: list[float]) -> None:
    """Hypothesis k is rejected at a level iff every smaller p-value passes its own bound."""
    adjusted = holm(p_values)
    for alpha in (0.01, 0.05, 0.3):
        order = sorted(range(len(p_values)), key=lambda i: (p_values[i], i))
        rejected = set()
        for place, index in enumerate(order):
            if p_values[index] * (len(p_values) - place) > alpha:
                break
            rejected.add(index)
        assert {i for i, p in enumerate(adjusted) if p <= alpha} == rejected


# --- comparisons ---


def test_a_comparison_by_hand() -> None:
    """Differences of +0.1 and +0.3, and of -0.2 and -0.2 by a metric of any values."""
    before = stress_results({"clean": [0.5, 0.5], "pair:0.2": [0.5, 0.5]}, metric="own")
    after = stress_results({"clean": [0.6, 0.8], "pair:0.2": [0.3, 0.3]}, metric="own")
    found = compare(before, after)
    clean, pair = found.noises
    p = 1 - 2 * math.atan(2) / math.pi
    assert clean.found.values == pytest.approx([0.1, 0.3])
    assert (clean.p_value, clean.adjusted) == pytest.approx((p, p))
    assert clean.state == "no difference shown"
    assert clean.reason == "+0.2 (-1.071, +1.471) over 2 pairs, p = 0.3"
    assert pair.found.mean == pytest.approx(-0.2)
    assert pair.p_value == pytest.approx(0, abs=1e-9)
    assert pair.adjusted == pytest.approx(2 * pair.p_value)
    assert pair.state == "worse"
    assert found.overall.found.values == pytest.approx([-0.05, 0.05])
    assert (found.overall.p_value, found.overall.state) == (1, "no difference shown")
    assert (found.n_shared, found.exit_status) == (4, 1)


def test_lower_is_better() -> None:
    table = {"clean": [1.0, 1.1, 1.2]}, {"clean": [0.5, 0.6, 0.7]}
    options: dict[str, Any] = {"metric": "loss", "lower_is_better": True}
    before, after = (stress_results(each, **options) for each in table)
    assert states(compare(before, after)) == {"clean": "better"}
    assert compare(before, after).noises[0].found.mean == pytest.approx(0.5)
    assert compare(before, after).exit_status == 0
    assert states(compare(after, before)) == {"clean": "worse"}


def test_the_same_code_is_no_difference() -> None:
    results = stress_results({"clean": [0.9, 0.8, 0.7], "pair:0.2": [0.6, 0.6, 0.6]})
    found = compare(results, results)
    assert [each.p_value for each in (*found.noises, found.overall)] == [1, 1, 1]
    assert set(states(found).values()) == {"no difference shown"}
    assert found.exit_status == 0


def test_few_equal_differences_of_counts_prove_nothing() -> None:
    """One example of 1,000 more in each of two seeds; without rounding p would be 0."""
    before = stress_results({"clean": [0.9, 0.8]})
    after = stress_results({"clean": [0.901, 0.801]})
    found = compare(before, after).noises[0]
    t = 0.001 * math.sqrt(2) / (0.001 * math.sqrt(2 / 12))  # = sqrt(12)
    assert found.p_value == pytest.approx(1 - 2 * math.atan(t) / math.pi)
    assert found.state == "no difference shown"


def test_last_bits_are_no_difference() -> None:
    """+0.1 at one noise and -0.1 at another are nothing on average, but not in binary."""
    before = stress_results({"clean": [0.8, 0.8], "pair:0.2": [0.8, 0.8]}, metric="own")
    after = stress_results({"clean": [0.9, 0.9], "pair:0.2": [0.7, 0.7]}, metric="own")
    found = compare(before, after)
    assert found.overall.found.mean != 0
    assert found.overall.p_value == pytest.approx(1, abs=1e-3)
    assert states(found) == {"clean": "better", "pair:0.2": "worse"}


def test_a_shared_metric_is_needed_in_both() -> None:
    """A cell that failed, or has no figure, makes no pair."""
    before = stress_results({"clean": [0.9, 0.8, "killed", 0.9], "pair:0.2": [0.5, 0.5, 0.5, 0.5]})
    after = stress_results({"clean": [0.9, "raised", 0.9, 0.9], "pair:0.2": [0.6, 0.6, 0.6, None]})
    found = compare(before, after)
    assert [each.found.count for each in found.noises] == [2, 3]
    assert found.overall.found.count == 1  # only the first seed has both noises
    assert found.n_shared == 7
    assert [vars(cell) for cell in found.newly_failing] == [
        {"noise": "clean", "seed": 2, "failure": "raised"}
    ]
    assert [vars(cell) for cell in found.newly_working] == [
        {"noise": "clean", "seed": 3, "failure": "killed"}
    ]
    assert states(found) == {"clean": "no difference shown", "pair:0.2": "better"}
    assert found.exit_status == 1  # by the new failure


def test_newly_working_is_no_reason_to_fail() -> None:
    before, after = (stress_results({"clean": [0.9, end]}) for end in ("killed", 0.9))
    found = compare(before, after)
    assert (found.exit_status, len(found.newly_working)) == (0, 1)
    assert compare(before, before).exit_status == 0


def test_one_seed_has_no_test() -> None:
    found = compare(stress_results({"clean": [0.9]}), stress_results({"clean": [0.1]}))
    for each in (*found.noises, found.overall):
        assert (each.p_value, each.adjusted, each.state) == (None, None, "no difference shown")
        assert each.reason == "one pair has no test; at least 2 seeds are needed"
    assert found.exit_status == 0


def test_without_any_pair() -> None:
    found = compare(stress_results({"clean": ["killed"]}), stress_results({"clean": ["killed"]}))
    assert (found.noises, found.overall.found.count, found.exit_status) == ([], 0, 0)
    assert found.overall.reason == "no pairs have no test; at least 2 seeds are needed"


def test_only_shared_cells_of_the_users_code() -> None:
    before = stress_results(
        {"clean": [0.9, 0.9], "pair:0.2": [0.5, 0.5]}, {"gce": {"clean": [0.1, 0.1]}}
    )
    after = stress_results(
        {"symmetric:0.2": [0.2, 0.2, 0.2], "clean": [0.9, 0.9, 0.9]}, {"gce": {"clean": [0.9, 0.9]}}
    )
    found = compare(before, after)
    assert (found.n_shared, states(found)) == (2, {"clean": "no difference shown"})


def test_to_json() -> None:
    before, after = (stress_results({"clean": [0.9], "pair:0.2": ends}) for ends in
                     ([0.5, 0.5], [0.6, "killed"]))  # fmt: skip
    value = json.loads(json.dumps(compare(before, after).to_json(), allow_nan=False))
    assert value["exit_status"] == 1
    assert value["newly_failing"] == [{"noise": "pair:0.2", "seed": 2, "failure": "killed"}]
    assert value["overall"]["found"]["low"] is None
    assert value["noises"][1]["found"]["values"] == pytest.approx([0.1])


# --- what is refused ---

PLAIN = stress_results({"clean": [0.9, 0.9], "pair:0.2": [0.5, 0.5]})


@pytest.mark.parametrize(
    ("after", "rule"),
    [
        (replace(PLAIN, metadata={**METADATA, "data": {"fingerprint": "e"}}),
         f"must be of the same data as before: {'d' * 64}"),
        (replace(PLAIN, metadata={}), f"must be of the same data as before: {'d' * 64}"),
        (replace(PLAIN, n_test=10), f"must be of the same data as before: {'d' * 64}"),
        (replace(PLAIN, metric="f1"), "must have that of before: accuracy"),
        (replace(PLAIN, lower_is_better=True), "must have that of before: False"),
        (replace(PLAIN, cells=[]), "has no noise and seed that before has too"),
        (changed(PLAIN, 3, labels_sha256="f" * 64),
         "has other labels than before, so the two are no pair"),
        (changed(PLAIN, 3, rate=0.21), "has other labels than before, so the two are no pair"),
    ],
)  # fmt: skip
def test_refused(after: StressResults, rule: str) -> None:
    with pytest.raises(InputError) as caught:
        compare(PLAIN, after)
    assert (caught.value.argument, caught.value.rule) == ("after", rule)


def test_two_without_a_fingerprint_are_refused() -> None:
    nameless = replace(PLAIN, metadata={})
    with pytest.raises(InputError, match="must be of the same data"):
        compare(nameless, nameless)


def test_labels_of_which_no_hash_is_known() -> None:
    assert compare(PLAIN, changed(PLAIN, 3, labels_sha256="")).n_shared == 4


@pytest.mark.parametrize("level", [0, 1, math.nan])
def test_levels(level: float) -> None:
    with pytest.raises(InputError, match="must be between 0 and 1"):
        compare(PLAIN, PLAIN, level=level)


# --- rates of errors ---


def drawn(seed: int, shift: float) -> Comparison:
    """Accuracies on 200 examples, 4 noises and 4 seeds; after is better by `shift`."""
    rng = np.random.default_rng(seed)
    base = rng.normal(0.7, 0.05, size=(2, 1, 4))  # what a seed does to all noises of a version
    figures = rng.normal(base, 0.03, size=(2, 4, 4))
    figures[1] += shift
    figures = np.round(figures * 200) / 200
    before, after = (
        stress_results({n: list(row) for n, row in zip(NOISES, table, strict=True)}, n_test=200)
        for table in figures
    )
    return compare(before, after, level=0.9)


def test_false_alarms_are_bounded() -> None:
    """Without a difference any is shown in at most a tenth, and a build fails in at most that.

    Each count is at most the quantile of its binomial that is exceeded once in a million.
    """
    from scipy.stats import binom

    runs = 400
    found = [drawn(seed, 0.0) for seed in range(runs)]
    most = binom.isf(1e-6, runs, 0.1)
    assert sum(set(states(each).values()) != {"no difference shown"} for each in found) <= most
    assert sum(each.overall.state != "no difference shown" for each in found) <= most
    assert sum(each.exit_status for each in found) <= most


def test_a_real_loss_is_shown() -> None:
    """A loss of six deviations of a difference is shown as often as Student's t says, or more.

    Four seeds make the statistic noncentral t with 3 degrees of freedom and centre 12. All four
    noises are shown if each p-value is under a quarter of 0.1, which one of them misses with at
    most four times the chance of one; the mean over noises deviates less than each.
    """
    from scipy.stats import binom, nct, t

    runs = 100
    deviation = math.sqrt(2) * math.hypot(0.05, 0.03)
    found = [drawn(seed, -6 * deviation) for seed in range(runs)]
    miss = 4 * nct.cdf(t.isf(0.1 / 4 / 2, 3), 3, 12)
    assert miss < 0.1
    least = binom.ppf(1e-6, runs, 1 - miss)
    assert sum(set(states(each).values()) == {"worse"} for each in found) >= least
    assert sum(each.overall.state == "worse" for each in found) >= least
    assert all(each.exit_status == 1 for each in found if each.overall.state == "worse")
