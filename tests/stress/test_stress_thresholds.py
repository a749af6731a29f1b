"""Thresholds: their grammar, and decisions by the interval."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stress_examples import stress_results

from mislabel.errors import InputError
from mislabel.stress.decisions import Decision
from mislabel.stress.suite import Suite
from mislabel.stress.thresholds import check_thresholds, decide, parse_threshold

modest = settings(deadline=None, derandomize=True, max_examples=60)

SUITE = Suite(
    name="mine",
    version=1,
    noises=["symmetric:0.1", "symmetric:0.2", "human-like:0.2,effects=drawn"],
    seeds=[1, 2, 3],
)
FAMILIES = {"clean": "clean", "symmetric:0.2": "symmetric", "human-like:0.2": "human-like"}


def only(results: object, text: str, **options: float) -> Decision:
    """The one decision of a threshold that has one place."""
    (decision,) = decide(results, [text], **options).decisions  # type: ignore[arg-type]
    return decision


# --- grammar ---


@pytest.mark.parametrize(
    ("text", "figure", "operator", "number"),
    [
        ("accuracy >= 0.8", "accuracy", ">=", 0.8),
        ("accuracy>=80%", "accuracy", ">=", 0.8),
        ("  macro_f1 > 81.2 % ", "macro_f1", ">", 0.812),
        ("drop <= 5e-2", "drop", "<=", 0.05),
        ("my-metric@5 < -1.", "my-metric@5", "<", -1.0),
        ("relative_drop < .1", "relative_drop", "<", 0.1),
    ],
)
def test_forms(text: str, figure: str, operator: str, number: float) -> None:
    found = parse_threshold(text, FAMILIES)
    assert (found.figure, found.operator, found.number) == (figure, operator, number)


@pytest.mark.parametrize(
    ("figure", "places"),
    [
        ("accuracy", ("clean", "symmetric:0.2", "human-like:0.2")),
        ("drop", ("symmetric:0.2", "human-like:0.2")),
        ("relative_drop", ("symmetric:0.2", "human-like:0.2")),
        ("wrong_fitted", ("symmetric:0.2", "human-like:0.2")),
        ("wrong_corrected", ("symmetric:0.2", "human-like:0.2")),
        ("area", ("symmetric", "human-like")),
    ],
)
def test_without_a_noise_all_that_have_the_figure(figure: str, places: tuple[str, ...]) -> None:
    assert parse_threshold(f"{figure} < 1", FAMILIES).places == places


@pytest.mark.parametrize(
    ("at", "place"),
    [
        ("symmetric:0.1", "symmetric:0.1"),
        ("symmetric:rate=0.10", "symmetric:0.1"),
        ("human-like:effects=drawn,rate=2e-1", "human-like:0.2,effects=drawn"),
        ("clean", "clean"),
    ],
)
def test_a_noise_is_brought_to_its_one_form(at: str, place: str) -> None:
    (found,) = check_thresholds([f"accuracy > 80% at {at}"], SUITE)
    assert found.places == (place,)
    assert found.text(place) == f"accuracy > 80% at {place}"


@pytest.mark.parametrize(
    "at", ["human-like:effects=drawn", "human-like:effects=drawn,per_class=true"]
)
def test_a_family_too(at: str) -> None:
    suite = Suite(
        name="m", version=1, seeds=[1], noises=[f"human-like:0.2,{at.split(':')[1]}", "pair:0.1"]
    )
    (found,) = check_thresholds([f"area >= 0.7 at {at}"], suite)
    assert len(found.places) == 1
    reordered = "human-like:" + ",".join(reversed(at.split(":")[1].split(",")))
    assert check_thresholds([f"area >= 0.7 at {reordered}"], suite) == [found]


@pytest.mark.parametrize(
    "text",
    ["", "accuracy", "accuracy 0.8", "accuracy => 0.8", "accuracy == 0.8", ">= 0.8", "a b > 1",
     "accuracy >= x", "accuracy >= 1e9999", "accuracy >= nan", "accuracy >= 0.8 at",
     "accuracy >= 0.8 symmetric:0.1", "accuracy >= 0.8%%", "accuracy >= ٠.٨"],
)  # fmt: skip
def test_what_is_no_threshold(text: str) -> None:
    with pytest.raises(InputError) as caught:
        check_thresholds([text], SUITE)
    assert str(caught.value) == (
        f"threshold={text!r}: must be FIGURE OP NUMBER [at NOISE], such as "
        "'accuracy >= 0.8 at human-like:0.2', with >=, <=, > or <"
    )


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("accuracy > 0 at symetric:0.1", "'symetric:0.1' is no noise of the suite; did you mean "
         "'symmetric:0.1'? Known: clean, human-like:0.2,effects=drawn, symmetric:0.1, "
         "symmetric:0.2"),
        ("accuracy > 0 at symmetric:0.3", "'symmetric:0.3' is no noise of the suite; did you mean "
         "'symmetric:0.2'? Known: clean, human-like:0.2,effects=drawn, symmetric:0.1, "
         "symmetric:0.2"),
        ("drop < 1 at clean", "there is no drop on clean labels; Known: "
         "human-like:0.2,effects=drawn, symmetric:0.1, symmetric:0.2"),
        ("wrong_fitted < 1 at clean", "there is no wrong_fitted on clean labels; Known: "
         "human-like:0.2,effects=drawn, symmetric:0.1, symmetric:0.2"),
        ("area > 0 at symmetric:0.1", "'symmetric:0.1' is no family (a noise without its rate) of "
         "the suite; did you mean 'symmetric'? Known: human-like:effects=drawn, symmetric"),
        ("accuracy > 1e999", "the number must be finite"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_suite(text: str, rule: str) -> None:
    with pytest.raises(InputError) as caught:
        check_thresholds(["accuracy > 0", text], SUITE)
    assert (caught.value.argument, caught.value.value, caught.value.rule) == (
        "threshold",
        text,
        rule,
    )


def test_a_drop_needs_a_noise() -> None:
    suite = Suite(name="m", version=1, noises=["clean"], seeds=[1])
    with pytest.raises(InputError, match="drop needs a noise, and the suite has only clean"):
        check_thresholds(["drop < 0.1"], suite)


# --- decisions ---

# Mean 0.8, deviation 0.01, three seeds: half width 4.302653 * 0.01 / sqrt(3) = 0.024841.
THREE = [0.79, 0.8, 0.81]
LOW, HIGH = 0.775159, 0.824841


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("f1 >= 0.775", "pass"),
        ("f1 >= 0.776", "undecided"),
        ("f1 >= 0.8", "undecided"),
        ("f1 >= 0.824", "undecided"),
        ("f1 >= 0.825", "fail"),
        ("f1 > 0.775", "pass"),
        ("f1 <= 0.825", "pass"),
        ("f1 <= 0.824", "undecided"),
        ("f1 <= 0.775", "fail"),
        ("f1 < 82.5%", "pass"),
        ("f1 < 77.5%", "fail"),
    ],
)
def test_the_interval_decides(text: str, state: str) -> None:
    decision = only(stress_results({"clean": THREE}, metric="f1"), text)
    assert decision.state == state
    assert (decision.found.low, decision.found.high) == pytest.approx((LOW, HIGH), abs=1e-6)
    assert (decision.noise, decision.text) == ("clean", f"{text} at clean")


@pytest.mark.parametrize(
    ("operator", "state"), [(">=", "pass"), ("<=", "pass"), (">", "fail"), ("<", "fail")]
)
def test_an_interval_of_one_point_on_the_bound(operator: str, state: str) -> None:
    results = stress_results({"clean": [0.8] * 3}, metric="f1")
    assert only(results, f"f1 {operator} 0.8").state == state


def test_an_end_on_the_bound() -> None:
    """[0.8, 0.9] passes >= 0.8 and <= 0.9; it does not pass, or fail, > 0.8 and < 0.9."""
    level = 0.5  # of two seeds: Student's t with one degree of freedom is 1 at its third quartile
    results = stress_results({"clean": [0.8, 0.9]}, metric="f1")
    decisions = decide(
        results, ["f1 >= 0.8", "f1 <= 0.9", "f1 > 0.8", "f1 < 0.9", "f1 >= 0.9"], level=level
    ).decisions
    assert (decisions[0].found.low, decisions[0].found.high) == pytest.approx((0.8, 0.9))
    assert [d.state for d in decisions] == ["pass", "pass", "undecided", "undecided", "undecided"]


def test_binary_fractions_do_not_decide() -> None:
    """0.9 - 0.85 is a little more than 0.05 in binary."""
    assert 0.9 - 0.85 > 0.05
    results = stress_results({"clean": [0.9] * 2, "symmetric:0.1": [0.85] * 2}, metric="f1")
    assert only(results, "drop <= 0.05").state == "pass"
    assert only(results, "drop > 0.05").state == "fail"
    assert 0.3 - (0.1 + 0.2) < 0
    results = stress_results({"clean": [0.3] * 2, "symmetric:0.1": [0.1 + 0.2] * 2}, metric="f1")
    assert only(results, "drop >= 0").state == "pass"


@modest
@given(
    values=st.lists(st.floats(0, 1), min_size=2, max_size=6),
    number=st.integers(0, 1000),
    level=st.sampled_from([0.5, 0.9, 0.95, 0.99]),
)
def test_states_are_consistent(values: list[float], number: int, level: float) -> None:
    """>= and < are opposites, an undecided one has its bound inside, and more seeds are needed."""
    results = stress_results({"clean": values})
    bound = number / 1000
    above = only(results, f"accuracy >= {bound}", level=level)
    below = only(results, f"accuracy < {bound}", level=level)
    opposite = {"pass": "fail", "fail": "pass", "undecided": "undecided"}
    assert below.state == opposite[above.state]
    if above.state == "undecided":
        assert above.found.low - 1e-9 <= bound <= above.found.high + 1e-9
        assert above.seeds_needed is None or above.seeds_needed > len(values)
    else:
        assert above.seeds_needed is None


# --- reasons ---


def test_reasons_have_the_numbers() -> None:
    results = stress_results({"clean": THREE}, metric="f1")
    assert only(results, "f1 >= 70%").reason == (
        "f1 0.800 (0.775 to 0.825, 3 seeds) is at least 70%"
    )
    assert only(results, "f1 >= 0.9").reason == "f1 0.800 (0.775 to 0.825, 3 seeds) is below 0.9"
    assert only(results, "f1 < 0.7").reason == "f1 0.800 (0.775 to 0.825, 3 seeds) is at least 0.7"
    # half width over n seeds of deviation 0.01: 0.0124 for 5, 0.0105 for 6, 0.0092 for 7
    undecided = only(results, "f1 >= 0.79")
    assert undecided.seeds_needed == 7
    assert undecided.reason == (
        "f1 0.800 (0.775 to 0.825, 3 seeds) is not clearly above or below 0.79; "
        "about 7 seeds would decide"
    )
    never = only(results, "f1 >= 0.8")
    assert never.seeds_needed is None
    assert never.reason.endswith("not even 1000 seeds would decide")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.80012, 0.80013, 0.80014], "0.800130 (0.800105 to 0.800155, 3 seeds)"),
        ([1000.0, 1100.0, 1200.0], "1100 (852 to 1348, 3 seeds)"),
        ([0.5, 0.5], "0.500 (0.500 to 0.500, 2 seeds)"),
        ([5.1, 5.2, 5.3], "5.200 (4.952 to 5.448, 3 seeds)"),
    ],
)
def test_numbers_have_the_digits_of_their_interval(values: list[float], text: str) -> None:
    results = stress_results({"clean": values}, metric="own")
    assert only(results, "own > 0").reason == f"own {text} is above 0"


def test_one_seed_never_decides() -> None:
    results = stress_results({"clean": [0.9], "symmetric:0.1": [0.1]})
    for text in ("accuracy >= 0.5 at clean", "accuracy >= 0.99 at clean", "drop < 0.1", "area > 0"):
        decision = only(results, text)
        assert (decision.state, decision.seeds_needed) == ("undecided", None)
        assert "at least 2 are needed, better 3 or more" in decision.reason
    assert only(results, "drop < 0.1").reason == (
        "drop 0.800 of one seed says nothing about other seeds; "
        "at least 2 are needed, better 3 or more"
    )


# --- failed and missing trainings ---


def test_a_failed_training_fails() -> None:
    results = stress_results(
        {"clean": [0.9, 0.9], "symmetric:0.1": [0.8, "raised ValueError: bad labels"]}
    )
    verdict = decide(results, ["accuracy > 0", "drop < 1", "area > 0 at symmetric"])
    assert [d.state for d in verdict.decisions] == ["pass", "fail", "fail", "fail"]
    why = "the first at symmetric:0.1 with seed 2: raised ValueError: bad labels"
    assert [d.reason for d in verdict.decisions[1:]] == [
        f"1 of 2 trainings failed, {why}",
        f"1 of 4 trainings failed, {why}",
        f"1 of 4 trainings failed, {why}",
    ]
    assert verdict.decisions[1].found.values == (0.8,)
    assert (verdict.n_failed, verdict.n_missing, verdict.state) == (1, 0, "fail")
    assert verdict.exit_status == 1


def test_a_failure_on_clean_labels_fails_what_is_made_from_them() -> None:
    results = stress_results({"clean": ["hung", 0.9], "symmetric:0.1": [0.8, 0.8]})
    states = [
        only(results, text).state
        for text in ("accuracy > 0 at symmetric:0.1", "drop < 1", "relative_drop < 1", "area > 0")
    ]
    assert states == ["pass", "fail", "fail", "fail"]


def test_without_thresholds_failures_decide() -> None:
    assert decide(stress_results({"clean": [0.9, 0.9]}), []).exit_status == 0
    assert decide(stress_results({"clean": [0.9, "killed"]}), []).exit_status == 1


def test_what_has_not_ended_is_undecided() -> None:
    results = stress_results({"clean": [0.9, 0.9], "symmetric:0.1": [0.8, None]})
    verdict = decide(
        results, ["accuracy > 0 at clean", "accuracy > 0 at symmetric:0.1", "drop < 1"]
    )
    assert [d.state for d in verdict.decisions] == ["pass", "undecided", "undecided"]
    assert [d.reason for d in verdict.decisions[1:]] == [
        "1 of 2 trainings have not ended",
        "1 of 4 trainings have not ended",
    ]
    assert (verdict.n_missing, verdict.exit_status, verdict.seeds_needed) == (1, 3, None)
    assert decide(results, []).state == "undecided"  # the last one may fail


def test_only_the_users_code_is_judged() -> None:
    results = stress_results(
        {"clean": [0.9, 0.9], "symmetric:0.1": [0.8, 0.8]},
        {"standard": {"clean": [0.1, "killed"], "symmetric:0.1": [0.1, None]}},
    )
    verdict = decide(results, ["accuracy >= 0.7"])
    assert (verdict.state, verdict.n_failed, verdict.n_missing) == ("pass", 0, 0)


# --- figures that are not there ---


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("acuracy > 0", "the trainings gave no 'acuracy'; did you mean 'accuracy'? "
         "Known: accuracy, area, drop, f1, relative_drop"),
        ("wrong_fitted < 1", "the trainings gave no 'wrong_fitted', which takes "
         "predictions of the training examples; "
         "Known: accuracy, area, drop, f1, relative_drop"),
        ("f1 > 0", "no finite 'f1' came at symmetric:0.1 with seed 2; Known: accuracy"),
        ("f1 > 0 at symmetric:0.2", "no finite 'f1' came at symmetric:0.2 with seed 1; "
         "Known: accuracy"),
    ],
)  # fmt: skip
def test_figures_that_are_not_there(text: str, rule: str) -> None:
    both = {"accuracy": 0.8, "f1": 0.7}
    results = stress_results(
        {
            "clean": [both, both],
            "symmetric:0.1": [both, {"accuracy": 0.8}],
            "symmetric:0.2": [{"accuracy": 0.8, "f1": math.nan}, both],
        }
    )
    with pytest.raises(InputError) as caught:
        decide(results, [text])
    assert (caught.value.value, caught.value.rule) == (text, rule)
    assert only(results, "f1 > 0 at clean").state == "pass"


def test_a_metric_of_which_nothing_is_known_yet() -> None:
    """Where every training failed, or none has ended, a threshold is no mistake of the user's."""
    assert only(stress_results({"clean": ["killed"] * 2}), "f1 > 0").state == "fail"
    assert only(stress_results({"clean": [None, None]}), "f1 > 0").state == "undecided"


def test_a_relative_drop_from_nothing() -> None:
    results = stress_results({"clean": [0.0, 0.5], "symmetric:0.1": [0.4, 0.4]})
    decision = only(results, "relative_drop < 1")
    assert decision.state == "undecided"
    assert decision.reason == "relative_drop cannot be made from these figures"


def test_lower_is_better() -> None:
    """Drops are positive where the noise made the metric worse, whichever way that is."""
    results = stress_results(
        {"clean": [1.0, 1.1], "symmetric:0.1": [1.5, 1.6]}, metric="loss", lower_is_better=True
    )
    assert only(results, "drop <= 0.5").state == "pass"
    assert only(results, "drop <= 0.4").state == "fail"


@pytest.mark.parametrize("level", [0, 1, -1, 2, math.nan])
def test_levels(level: float) -> None:
    with pytest.raises(InputError, match="must be between 0 and 1"):
        decide(stress_results({"clean": [0.9, 0.9]}), [], level=level)
