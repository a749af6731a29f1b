"""Findings and advice: every rule on results made by hand, where it fires and where it does not."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from stress_examples import stress_results

from mislabel.stress.advice import Findings, findings
from mislabel.stress.decisions import Decision, State, Verdict
from mislabel.stress.intervals import interval
from mislabel.stress.results import YOURS, StressResults
from mislabel.stress.rules import RULES, Advice
from mislabel.stress.view import View, class_losses, common_noises
from mislabel.stress.wording import (
    Scale,
    certainty,
    family_titles,
    metric_scale,
    noise_phrases,
    noise_titles,
    subject_titles,
)

NOTHING = Verdict(decisions=[])
CLEAN = [0.9, 0.9, 0.9]
T2 = 4.302652729911275
"Student's t with 2 degrees of freedom, 97.5 %."


def exact(*tables: Any, **changes: Any) -> StressResults:
    """Results of figures that are not rounded: intervals are of the seeds alone."""
    return stress_results(*tables, **{"n_test": 0, **changes})


def said(results: StressResults, verdict: Verdict = NOTHING) -> Findings:
    """Findings, with ordinary spaces."""
    found = findings(results, verdict)
    return Findings(
        headlines=[plain(text) for text in found.headlines],
        noises=[(plain(name), [plain(text) for text in texts]) for name, texts in found.noises],
        classes=[plain(text) for text in found.classes],
        fitted=[plain(text) for text in found.fitted],
        advice=[replace(a, text=plain(a.text), basis=[*map(plain, a.basis)]) for a in found.advice],
    )


def plain(text: str) -> str:
    return text.replace("\xa0", " ")


def advised(results: StressResults, rule: str, verdict: Verdict = NOTHING) -> list[Advice]:
    """Advice of one rule."""
    return [advice for advice in said(results, verdict).advice if advice.rule == rule]


def around(middle: float, width: float = 0.001) -> list[float]:
    """Three seeds; their interval is the middle ± 2.48 widths."""
    return [middle - width, middle, middle + width]


# Headlines and noises


def test_headlines_worked_by_hand() -> None:
    results = exact({"clean": CLEAN, "symmetric:0.2": around(0.8, 0.01), "pmd:0.2": around(0.85)})
    half = 100 * T2 * 0.01 / math.sqrt(3)
    assert f"{10 - half:.1f} to {10 + half:.1f}" == "7.5 to 12.5"
    assert said(results).headlines == [
        "On clean labels your code reaches 90.0 % accuracy (95 % interval 90.0 to 90.0 over 3 "
        "seeds).",
        "The noise it stands worst is 20 % symmetric noise, which costs 10.0 points (95 % interval "
        "7.5 to 12.5 over 3 seeds) and leaves 80.0 % accuracy.",
    ]
    assert said(results).noises == [
        (
            "20 % symmetric noise",
            ["Your code loses 10.0 points (95 % interval 7.5 to 12.5 over 3 seeds)."],
        ),
        (
            "20 % PMD noise",
            ["Your code loses 5.0 points (95 % interval 4.8 to 5.2 over 3 seeds)."],
        ),
    ]


def test_noises_as_bad_as_the_worst_are_named() -> None:
    near = {"clean": CLEAN, "symmetric:0.2": around(0.8), "pmd:0.2": [0.803, 0.8, 0.8]}
    text = "Not separated from it by these seeds: 20 % PMD noise."
    assert said(exact(near)).headlines[1].endswith(text)
    apart = {**near, "pmd:0.2": around(0.85)}
    assert "Not separated" not in said(exact(apart)).headlines[1]


def test_one_seed_has_no_interval_and_no_rivals() -> None:
    results = exact({"clean": [0.9], "symmetric:0.2": [0.8], "pmd:0.2": [0.85]})
    assert said(results).headlines == [
        "On clean labels your code reaches 90.0 % accuracy (one seed, so no interval).",
        "The noise it stands worst is 20 % symmetric noise, which costs 10.0 points (one seed, so "
        "no interval) and leaves 80.0 % accuracy.",
    ]


def test_open_and_failed_trainings() -> None:
    started = exact({"clean": ["killed", None], "symmetric:0.2": [0.8, 0.7]})
    assert said(started).headlines == [
        "No training on clean labels has ended well, so no loss can be measured.",
        "1 of 4 trainings has not ended yet.",
    ]
    assert said(started).noises == []
    empty = exact({"clean": [None], "symmetric:0.2": [None]}, seeds=[1])
    assert said(empty).headlines[-1] == "2 of 2 trainings have not ended yet."
    assert said(empty).advice == []


def test_a_gain_is_no_loss() -> None:
    results = exact({"clean": CLEAN, "symmetric:0.2": around(0.92)})
    assert said(results).headlines[1] == "No noise costs anything in the mean over these seeds."
    assert said(results).noises[0][1] == [
        "Your code gains 2.0 points (95 % interval −2.2 to −1.8 over 3 seeds)."
    ]


def test_references_are_compared_pair_by_pair() -> None:
    """Losses vary by 2 points over seeds, the difference by none: the pairs separate them."""
    yours = {"clean": CLEAN, "symmetric:0.2": [0.78, 0.8, 0.82]}
    snls = {"clean": [0.88] * 3, "symmetric:0.2": [0.8, 0.82, 0.84]}
    [(_, lines)] = said(exact(yours, {"snls": snls})).noises
    assert lines[1] == (
        "Snls loses 6.0 points: 4.0 points less (95 % interval 4.0 to 4.0 over 3 seeds), separated."
    )
    worse = {"clean": CLEAN, "symmetric:0.2": [0.7, 0.82, 0.7]}
    [(_, lines)] = said(exact(yours, {"snls": worse})).noises
    assert lines[1] == (
        "Snls loses 16.0 points: 6.0 points more (95 % interval −11.9 to 23.9 over 3 seeds), "
        "not separated."
    )
    failed = {"clean": CLEAN, "symmetric:0.2": ["a", "b", "c"]}
    [(_, lines)] = said(exact(yours, {"snls": failed})).noises
    assert lines[1] == "Snls has no figure here."


def test_comparisons_with_several_hold_together() -> None:
    """With two noises and a reference, intervals are at 97.5 %: t = 6.2053."""
    yours = {"clean": CLEAN, "symmetric:0.2": [0.8] * 3, "pmd:0.2": [0.8] * 3}
    better = {"clean": CLEAN, "symmetric:0.2": around(0.85, 0.01), "pmd:0.2": [0.8] * 3}
    half = 100 * 6.205346816570695 * 0.01 / math.sqrt(3)
    lines = said(exact(yours, {"gce": better})).noises[0][1]
    ends = f"{5 - half:.1f} to {5 + half:.1f}"
    less = f"5.0 points less (joint 95 % interval {ends} over 3 seeds)"
    assert lines[1] == f"Gce loses 5.0 points: {less}, separated."


def test_other_metrics_have_no_percent() -> None:
    results = exact(
        {"clean": [1.0, 1.1, 1.2], "symmetric:0.2": [1.5, 1.6, 1.7]},
        {"gce": {"clean": [1.0, 1.1, 1.2], "symmetric:0.2": [1.1, 1.2, 1.3]}},
        metric="log_loss",
        lower_is_better=True,
    )
    found = said(results)
    assert found.headlines == [
        "On clean labels your code reaches log_loss 1.10 (95 % interval 0.85 to 1.35 over 3 "
        "seeds). Lower is better.",
        "It was tested under 20 % symmetric noise, which costs 0.50 (95 % interval 0.50 to 0.50 "
        "over 3 seeds) and leaves log_loss 1.60.",
    ]
    assert "points" not in repr(found)
    [remedy] = [a for a in found.advice if a.rule == "remedy"]
    assert remedy.basis == [
        "20 % symmetric noise costs it 0.10 and your code 0.50: 0.40 less (95 % interval 0.40 to "
        "0.40 over 3 seeds); it is then better than your code, with log_loss 1.20."
    ]


# Noises of about one rate


@pytest.mark.parametrize(
    ("specs", "chosen"),
    [
        (["symmetric:0.1", "symmetric:0.2", "pmd:0.1", "pmd:0.2"], ["symmetric:0.2", "pmd:0.2"]),
        (["symmetric:0.2", "symmetric:0.3", "pmd:0.3"], ["symmetric:0.3", "pmd:0.3"]),
        (["symmetric:0.1", "symmetric:0.4", "pmd:0.1", "pmd:0.4"], ["symmetric:0.1", "pmd:0.1"]),
        (["symmetric:0.2", "symmetric:0.4", "pmd:0.35"], ["symmetric:0.2", "pmd:0.35"]),
        (["symmetric:0.19", "symmetric:0.05", "pmd:0.2"], ["symmetric:0.19", "pmd:0.2"]),
        ([], []),
    ],
)
def test_the_rate_that_all_kinds_have(specs: Sequence[str], chosen: Sequence[str]) -> None:
    results = exact({"clean": [0.9], **{spec: [0.8] for spec in specs}})
    assert [noise.spec for noise in common_noises(results)] == chosen


def test_rules_look_at_one_rate_and_the_highest_whatever_the_figures() -> None:
    specs = ["symmetric:0.1", "symmetric:0.2", "symmetric:0.4", "pmd:0.2", "pmd:0.3"]
    low = {"clean": [0.9], **{spec: [0.8] for spec in specs}, "symmetric:0.1": [0.1]}
    view = View(results=exact(low), verdict=NOTHING)
    assert [noise.spec for noise in view.noises] == [s for s in specs if s != "symmetric:0.1"]
    assert view.worst is not None and view.worst.spec == "symmetric:0.1"


# Rules


def test_failed_trainings_come_first() -> None:
    yours = {"clean": CLEAN, "symmetric:0.2": [0.5, "killed\nafter 3 s", "killed after 3 s"]}
    results = exact(yours, {"gce": {"clean": ["no"] * 3}})
    advice = said(results).advice
    assert advice[0] == Advice(
        rule="failed",
        text="First mend what made 2 of 6 trainings fail.",
        basis=["“killed after 3 s” at symmetric:0.2 seed 2 and symmetric:0.2 seed 3."],
    )
    assert not advised(exact({"clean": CLEAN}, {"gce": {"clean": ["no"] * 3}}), "failed")


def test_many_reasons_are_counted() -> None:
    endings = [f"reason {n}" for n in range(7)]
    [advice] = advised(exact({"clean": [0.9] * 7, "symmetric:0.2": endings}), "failed")
    assert len(advice.basis) == 6
    assert advice.basis[-1] == "And 2 other reasons."


def test_random_flips_overstate_robustness() -> None:
    yours = {"clean": CLEAN, "symmetric:0.2": around(0.88), "human-like:0.2": around(0.8, 0.004)}
    [advice] = advised(exact(yours), "random-flips")
    half = 100 * T2 * 0.003 / math.sqrt(3)
    assert (
        advice.text
        == "Do not test with random flips alone: they overstate how robust this code is."
    )
    assert advice.basis == [
        "20 % human-like noise costs 8.0 points more than 20 % symmetric noise (95 % interval "
        f"{8 - half:.1f} to {8 + half:.1f} over 3 seeds)."
    ]


@pytest.mark.parametrize(
    "more",
    [
        {"human-like:0.2": [0.84, 0.9, 0.84]},  # interval reaches 0
        {"human-like:0.2": around(0.9)},  # costs less
        {"human-like:0.3": around(0.7)},  # another rate
        {"human-like:0.2": [0.7, None, None]},  # one seed
    ],
)
def test_random_flips_are_not_blamed_without_need(more: dict[str, list[float | None]]) -> None:
    results = exact({"clean": CLEAN, "symmetric:0.2": around(0.88), **more}, seeds=[1, 2, 3])
    assert not advised(results, "random-flips")


def test_rules_that_look_at_several_noises_widen_their_intervals() -> None:
    """A difference of 2 ± 1.99 points alone; with a second comparison it is 2 ± 2.87."""
    width = 0.008
    one = {"clean": CLEAN, "symmetric:0.2": [0.88] * 3, "pmd:0.2": around(0.86, width)}
    assert T2 * width / math.sqrt(3) < 0.02 < 6.205346816570695 * width / math.sqrt(3)
    assert advised(exact(one), "random-flips")
    assert not advised(exact({**one, "human-like:0.2": [0.88] * 3}), "random-flips")


def fits(fitted: Sequence[float], accuracy: Sequence[float]) -> StressResults:
    rows = [
        {"accuracy": a, "wrong_fitted": f, "wrong_corrected": 0.9 - f}
        for f, a in zip(fitted, accuracy, strict=True)
    ]
    return exact({"clean": CLEAN, "symmetric:0.2": rows})


def test_code_that_fits_most_wrong_labels_and_loses_memorizes() -> None:
    results = fits(around(0.8), around(0.85))
    [advice] = advised(results, "memorizes")
    assert advice.basis == [
        "20 % symmetric noise: 80.0 % of the wrong labels are predicted as given (95 % interval "
        "79.8 to 80.2 over 3 seeds), 5.0 points lost (95 % interval 4.8 to 5.2 over 3 seeds)."
    ]
    assert said(results).fitted == [
        "20 % symmetric noise: 80.0 % of the wrong labels are predicted as given (95 % interval "
        "79.8 to 80.2 over 3 seeds), 10.0 % as their clean class (95 % interval 9.8 to 10.2 over "
        "3 seeds)."
    ]


@pytest.mark.parametrize(
    "results",
    [
        fits([0.4, 0.6, 0.8], around(0.85)),  # most, by the mean alone
        fits(around(0.4), around(0.85)),  # few
        fits(around(0.8), [0.85, 0.95, 0.85]),  # no clear loss
        exact({"clean": CLEAN, "symmetric:0.2": around(0.85)}),  # not known
    ],
)
def test_code_that_does_not_memorize(results: StressResults) -> None:
    assert not advised(results, "memorizes")


def test_a_reference_that_loses_less_is_named() -> None:
    yours = {"clean": CLEAN, "symmetric:0.2": around(0.8)}
    snls = {"clean": [0.88] * 3, "symmetric:0.2": around(0.86)}
    [advice] = advised(exact(yours, {"snls": snls}), "remedy")
    assert advice.text == "Snls withstands wrong labels better: it is worth a trial."
    assert advice.basis == [
        "20 % symmetric noise costs it 2.0 points and your code 10.0 points: 8.0 points less (95 % "
        "interval 8.0 to 8.0 over 3 seeds); it is then better than your code, with 86.0 % accuracy."
    ]


def test_a_reference_that_loses_less_and_is_still_behind() -> None:
    yours = {"clean": CLEAN, "symmetric:0.2": around(0.8)}
    weak = {"clean": [0.7] * 3, "symmetric:0.2": around(0.69)}
    [advice] = advised(exact(yours, {"snls": weak}), "remedy")
    assert advice.basis[0].endswith(
        "; even so your code is better than it, which reaches 69.0 % accuracy."
    )


@pytest.mark.parametrize(
    ("noisy", "text"),
    [
        (
            [0.7, 0.9, 0.85],
            "Gce does not lose clearly less: by these figures it is no remedy here.",
        ),
        (
            around(0.7, 0.0),
            "Gce loses clearly more than your code: by these figures it is no remedy here.",
        ),
    ],
)
def test_a_reference_that_does_not_lose_less(noisy: list[float], text: str) -> None:
    yours = {"clean": CLEAN, "symmetric:0.2": around(0.8)}
    results = exact(yours, {"gce": {"clean": CLEAN, "symmetric:0.2": noisy}})
    [advice] = advised(results, "no-remedy")
    assert advice.text == text
    assert "interval" in advice.basis[0]
    assert not advised(results, "remedy")


def test_a_reference_that_loses_as_much_and_is_better_all_the_same() -> None:
    yours = {"clean": [0.8] * 3, "symmetric:0.2": around(0.7)}
    other = {"clean": [0.9] * 3, "symmetric:0.2": around(0.8, 0.002)}
    [advice] = advised(exact(yours, {"gce": other}), "no-remedy")
    assert advice.text == (
        "Gce does not lose clearly less, but is clearly better than your code where that clearly "
        "loses."
    )


def test_without_a_clear_loss_nothing_needs_a_remedy() -> None:
    yours = {"clean": CLEAN, "symmetric:0.2": [0.8, 0.9, 0.9]}
    other = {"clean": CLEAN, "symmetric:0.2": [0.9] * 3}
    rules = {advice.rule for advice in said(exact(yours, {"gce": other})).advice}
    assert not rules & {"remedy", "no-remedy"}
    assert not {a.rule for a in said(exact(yours)).advice} & {"remedy", "no-remedy"}


def test_loss_in_few_classes() -> None:
    """Of 4 classes the first loses 26 points, the others 2 each: 26 of 32, 81 %."""
    results = stress_results(
        {"clean": CLEAN, "symmetric:0.2": [0.88] * 3},
        class_names=["cat", "dog", "owl", "emu"],
        class_losses=[0.24, 0, 0, 0],
    )
    [advice] = advised(results, "few-classes")
    assert advice.text == "Look at the labels of cat first."
    assert advice.basis[0] == (
        "Under 20 % symmetric noise, 1 of 4 classes bears 81 % of what all classes lose, each "
        "counted alike."
    )
    assert advice.basis[1].startswith("Cat 26.0 points (")
    [text] = said(results).classes
    assert "1 of 4 classes loses clearly more than classes do on average: cat 26.0 points (" in text
    assert text.endswith("; joint 95 % intervals over 3 seeds.")


@pytest.mark.parametrize(
    "losses",
    [
        [0, 0, 0, 0],  # all alike
        [0.24, 0.24, 0, 0],  # half of the classes
        [0.03, 0, 0, 0],  # clear, but not half of the loss
    ],
)
def test_loss_that_is_not_concentrated(losses: list[float]) -> None:
    results = stress_results(
        {"clean": CLEAN, "symmetric:0.2": [0.87] * 3},
        class_names=["cat", "dog", "owl", "emu"],
        class_losses=losses,
        n_test=100_000,
    )
    assert not advised(results, "few-classes")


def test_classes_that_all_lose_alike() -> None:
    [text] = said(stress_results({"clean": CLEAN, "pmd:0.2": [0.7] * 3}, n_test=100_000)).classes
    words = "3 of 3 classes lose accuracy clearly, none clearly more than classes do on average."
    assert text == f"Under 20 % PMD noise, {words}"


def test_classes_need_two_seeds_and_predictions() -> None:
    assert said(exact({"clean": [0.9], "pmd:0.2": [0.7]})).classes == []
    results = exact({"clean": CLEAN, "pmd:0.2": [0.7] * 3})
    bare = replace(results, cells=[replace(c, accuracy_per_class=[]) for c in results.cells])
    assert said(bare).classes == []


def test_class_excess_equals_its_plain_twin() -> None:
    """And a class without test examples is left out."""
    losses = {1: [0.1, 0.0, 0.3], 2: [0.2, 0.1, 0.2]}
    results = exact({"clean": [0.9, 0.8], "pmd:0.2": [0.7, 0.7]}, class_names="abcd")
    cells = []
    for cell in results.cells:
        base = [0.9, 0.8, 0.7]
        lost = losses[cell.seed] if cell.noise != "clean" else [0.0] * 3
        values = [b - x for b, x in zip(base, lost, strict=True)]
        cells.append(replace(cell, accuracy_per_class=[*values, None]))
    view = View(results=replace(results, cells=cells), verdict=NOTHING)
    assert view.worst is not None
    found = class_losses(view, view.worst)
    assert [c.name for c in found] == ["a", "b", "c"]
    for place, loss in enumerate(found):
        excess = [losses[s][place] - sum(losses[s]) / 3 for s in (1, 2)]
        twin = interval(excess, level=1 - 0.05 / 4)
        assert loss.excess.values == pytest.approx(excess)
        assert (loss.excess.low, loss.excess.high) == pytest.approx((twin.low, twin.high))


def test_no_clear_loss_says_what_is_excluded() -> None:
    results = exact({"clean": CLEAN, "symmetric:0.2": around(0.9, 0.01)})
    [advice] = advised(results, "no-loss")
    assert advice.basis == [
        "Excluded, by 95 % intervals over 3 seeds, are losses above these: 20 % symmetric noise "
        "2.5 points."
    ]


@pytest.mark.parametrize("noisy", [around(0.8), [0.9, None, None]])
def test_no_loss_is_not_claimed(noisy: list[float | None]) -> None:
    results = exact({"clean": CLEAN, "symmetric:0.2": noisy}, seeds=[1, 2, 3])
    assert not advised(results, "no-loss")


def decision(state: State, needed: int | None) -> Decision:
    return Decision(
        text="drop <= 0.1 at symmetric:0.2",
        noise="symmetric:0.2",
        state=state,
        found=interval([0.09, 0.1, 0.12]),
        reason="not all have ended",
        seeds_needed=needed,
    )


def test_undecided_thresholds_say_how_many_seeds() -> None:
    results = exact({"clean": CLEAN, "symmetric:0.2": around(0.8)})
    verdict = Verdict(decisions=[decision("pass", None), decision("undecided", 12)])
    [advice] = advised(results, "undecided", verdict)
    assert (
        advice.text == "1 threshold cannot be decided with these seeds. Run about 12 seeds in all."
    )
    assert advice.basis == [
        "drop <= 0.1 at symmetric:0.2: about 12 seeds, if figure and spread stay alike."
    ]
    verdict = Verdict(decisions=[decision("undecided", 12), decision("undecided", None)])
    [advice] = advised(results, "undecided", verdict)
    assert advice.text.endswith("Run about 12 seeds in all. For 1 of them no number is known.")
    verdict = Verdict(decisions=[decision("undecided", None)])
    [advice] = advised(results, "undecided", verdict)
    assert advice.text.endswith("seeds; no number of seeds is known that would do.")
    assert advice.basis == ["drop <= 0.1 at symmetric:0.2: not all have ended."]
    assert not advised(results, "undecided", Verdict(decisions=[decision("fail", None)]))


def test_one_seed_asks_for_more() -> None:
    assert advised(exact({"clean": [0.9], "symmetric:0.2": [0.8]}), "one-seed")
    assert not advised(exact({"clean": CLEAN, "symmetric:0.2": around(0.8)}), "one-seed")
    assert not advised(exact({"clean": [0.9], "symmetric:0.2": ["failed"]}), "one-seed")


def test_seeds_that_matter_more_than_noise() -> None:
    clean = [0.5, 0.6, 0.7, 0.8, 0.9]
    noisy = [value - 0.01 - 0.001 * k for k, value in enumerate(clean)]
    [advice] = advised(exact({"clean": clean, "symmetric:0.2": noisy}), "spread")
    low = 15.811 * math.sqrt(4 / 11.1433)
    assert f"is 15.8 points (at least {low:.1f} points, by its 95 % interval)" in advice.basis[0]
    assert "20 % symmetric noise, costs 1.2 points (95 % interval 1.0 to 1.4" in advice.basis[0]


@pytest.mark.parametrize(
    "noisy",
    [[0.4, 0.5, 0.6, 0.7, 0.8], [0.5, 0.6, 0.7, 0.8, 0.95], [0.55, 0.5, 0.75, 0.7, 0.9]],
)
def test_seeds_that_do_not(noisy: list[float]) -> None:
    """The loss is as large, there is none, or it may be as large."""
    results = exact({"clean": [0.5, 0.6, 0.7, 0.8, 0.9], "symmetric:0.2": noisy})
    assert not advised(results, "spread")


def test_every_rule_has_a_name_of_its_own() -> None:
    names = ["failed", "one-seed", "undecided", "memorizes", "references", "random-flips",
             "few-classes", "no-loss", "spread"]  # fmt: skip
    assert [rule.__name__.strip("_").replace("_", "-") for rule in RULES] == names


# Wording


def test_scales() -> None:
    percent = metric_scale(exact({"clean": [0.9]}))
    assert plain(percent.value(0.8421)) == "84.2 %"
    assert plain(percent.change(-0.05)) == "−5.0 points"
    assert percent.number(-0.0001) == "0.0"
    assert percent.number(math.nan) == "–"
    fine = metric_scale(stress_results({"clean": [0.9]}, n_test=10_000))
    assert plain(fine.value(0.84216)) == "84.22 %"
    f1 = metric_scale(exact({"clean": [0.9]}, metric="macro_f1"))
    assert (f1.value(0.84216), plain(f1.reaches(0.9))) == ("0.842", "macro F1 0.900")
    assert metric_scale(exact({"clean": [1234.5]}, metric="rmse")).value(1234.5) == "1234"
    assert metric_scale(exact({"clean": [0.012]}, metric="brier")).value(0.0123) == "0.0123"
    given = metric_scale(exact({"clean": [84.2]}))
    assert (given.is_percent, given.value(84.2)) == (False, "84.2")


def test_certainty() -> None:
    scale = Scale(name="accuracy", factor=100, digits=1)
    words = [certainty(interval(v), scale) for v in ([], [0.5], [0.5, 0.5])]
    assert [plain(w) for w in words] == [
        "no figure",
        "one seed, so no interval",
        "95 % interval 50.0 to 50.0 over 2 seeds",
    ]
    assert plain(certainty(interval([0.5, 0.5]), scale, level=0.9, joint=True)) == (
        "joint 90 % interval 50.0 to 50.0 over 2 seeds"
    )


def test_names_are_told_apart() -> None:
    specs = ["cluster:0.2", "cluster:0.2,n=7", "pmd:0.2"]
    tables = {"clean": [0.9], **{spec: [0.8] for spec in specs}}
    results = exact(tables, {"snls": tables, "gce": tables})
    titles = noise_titles(results)
    assert titles["clean"] == "Clean"
    assert plain(titles["pmd:0.2"]) == "PMD at 20 %"
    assert plain(titles["cluster:0.2"]) == "Cluster-based at 20 % (cluster:0.2)"
    assert plain(noise_phrases(results)["pmd:0.2"]) == "20 % PMD noise"
    assert len({*noise_phrases(results).values()}) == 4
    assert len({*family_titles(results).values()}) == 3
    assert subject_titles(results) == {YOURS: "your code", "snls": "Snls", "gce": "Gce"}
