"""The page of a stress test: verdict first, complete in itself, and safe with any name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stress_examples import METADATA, stress_results

from mislabel.report.stress_page import LOG_LINES, render_stress_page, write_stress_page
from mislabel.report.stress_tables import area_rows, stress_rows, verdict_line
from mislabel.stress.decisions import Decision, State, Verdict
from mislabel.stress.intervals import interval
from mislabel.stress.results import StressResults
from mislabel.stress.thresholds import decide
from page_reader import Page, check_self_contained

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>\x1b[31m\u202ered'
YOURS = {
    "clean": [0.9, 0.9, 0.9],
    "symmetric:0.2": [0.879, 0.88, 0.881],
    "human-like:0.2": [0.799, 0.8, 0.801],
}
THRESHOLDS = ["accuracy >= 0.7 at human-like:0.2", "drop <= 5% at human-like:0.2"]


def badges(page: Page) -> list[str]:
    """States that the page shows."""
    kinds = [attributes.get("class") or "" for _, attributes in page.tags]
    return [kind.split()[1] for kind in kinds if kind.startswith("state ")]


def page_of(results: StressResults, **options: Any) -> Page:
    return check_self_contained(
        render_stress_page(results, decide(results, results.thresholds), **options)
    )


def test_verdict_comes_first_with_every_threshold() -> None:
    results = stress_results(YOURS, thresholds=THRESHOLDS)
    verdict = decide(results, THRESHOLDS)
    page = page_of(results)
    assert page.sections() == ["verdict", "advice", "costs", "table", "classes", "receipts"]
    assert badges(page) == ["fail", "pass", "fail"]
    assert "2 thresholds: 1 met and 1 not met." in page.text
    for decision in verdict.decisions:
        assert decision.text in page.text and decision.reason in page.text
    assert page.text.index("2 thresholds") < page.text.index("On clean labels your code reaches")


def test_without_thresholds_the_headlines_stand_alone() -> None:
    page = page_of(stress_results(YOURS))
    assert badges(page) == []
    assert "No thresholds were given, and no training failed." in page.text
    assert "The noise it stands worst is 20 % human-like noise" in page.text


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    results = stress_results(YOURS)
    verdict = decide(results, [])
    path = write_stress_page(results, verdict, tmp_path / "page.html")
    assert path.read_text(encoding="utf-8") == render_stress_page(results, verdict)


def test_table_worked_by_hand() -> None:
    """Two seeds that differ by 0.02: half of the interval is 12.706 x 0.01, and for losses 0."""
    snls = {"clean": [0.9, 0.92], "pmd:0.2": ["killed", 0.9]}
    results = stress_results(
        {"clean": [0.9, 0.92], "pmd:0.2": [0.8, 0.82]}, {"snls": snls}, n_test=0
    )
    clean, noisy = stress_rows(results)
    first, second = noisy.entries
    assert (first.mean, first.interval) == ("81.0", "68.3 to 93.7")
    assert (first.loss, first.loss_interval, first.note) == ("10.0", "10.0 to 10.0", "")
    assert (second.mean, second.interval, second.loss) == ("90.0", "–", "2.0")
    assert second.note == "1 failed of 2"
    assert (clean.title, clean.entries[0].loss) == ("Clean", "")
    page = page_of(results)
    assert "81.0 68.3 to 93.7 10.0 10.0 to 10.0 90.0 – 1 failed of 2 2.0 –" in page.text


def test_areas_worked_by_hand() -> None:
    """Trapezoids from 0 to 10 and 20 %: (0.9 + 2 x 0.8 + 0.5) / 4; one rate alone has no area."""
    rates = {"clean": [0.9, 0.9], "symmetric:0.1": [0.8, 0.8], "symmetric:0.2": [0.5, 0.5]}
    results = stress_results({**rates, "pmd:0.2": [0.8, 0.8]}, n_test=0)
    [row] = area_rows(results)
    assert (row.title, row.spec) == ("Symmetric", "0 to 20\xa0%")
    assert (row.entries[0].mean, row.entries[0].interval) == ("75.0", "75.0 to 75.0")
    assert "Area under the curve" in page_of(results).text
    assert "Area under the curve" not in page_of(stress_results({"pmd:0.2": [0.8, 0.8]})).text


def test_failed_trainings_with_the_end_of_their_log() -> None:
    results = stress_results({**YOURS, "pmd:0.2": [0.8, "ran out of memory", 0.8]})
    [failed] = results.failures
    log = "\n".join(f"line {n}" for n in range(50))
    page = page_of(results, logs={failed.log: log})
    assert badges(page) == ["fail"]
    assert "Your code at pmd:0.2, seed 2, after 1.5 seconds ran out of memory" in page.text
    shown = [n for n in range(50) if f"line {n} " in f"{page.text} "]
    assert shown == list(range(50 - LOG_LINES, 50))
    assert "The end of its output" not in page_of(results).text


def test_receipts_name_what_was_run() -> None:
    metadata = {**METADATA, "data": {**METADATA["data"], "n_train": 1000, "n_test": 797}}
    text = page_of(stress_results(YOURS, metadata=metadata, thresholds=THRESHOLDS)).text
    for words in (
        "Suite example v1. digits: 1,000 training examples, 797 test examples, 3 classes.",
        f"Data digits {'d' * 64}",
        f"Thresholds {'; '.join(THRESHOLDS)}",
        "Seeds 1, 2, 3",
        "Trainings 9, 13.5 seconds in all",
        "Versions mislabel 0.0",
        "mislabel stress run --data digits --suite example",
    ):
        assert words in text


def test_metadata_may_be_missing() -> None:
    text = page_of(stress_results(YOURS, metadata={})).text
    assert "the data: 3 classes." in text
    assert "How to reproduce" not in text


def test_fitted_labels_have_a_section_where_they_are_known() -> None:
    rows = [{"accuracy": 0.8, "wrong_fitted": 0.7, "wrong_corrected": 0.2}] * 2
    page = page_of(stress_results({"clean": [0.9, 0.9], "pmd:0.2": rows}))
    assert "fitted" in page.sections()
    assert "20 % PMD noise: 70.0 % of the wrong labels are predicted as given" in page.text


@pytest.mark.parametrize(
    "results",
    [
        stress_results({"clean": [None], "pmd:0.2": [None]}, seeds=[1]),
        stress_results({"clean": [0.9]}),
        stress_results({"clean": ["no"], "pmd:0.2": ["no"]}, {"gce": {"clean": ["no"]}}),
        stress_results({"clean": [0.9], "pmd:0.2": [0.8]}),
        stress_results({"clean": [1.5, 1.6], "pmd:0.2": [1.7, 1.9]}, metric="nll",
                       lower_is_better=True, n_test=0),
    ],
)  # fmt: skip
def test_pages_of_tests_with_little_in_them(results: StressResults) -> None:
    page = page_of(results)
    assert {"verdict", "costs", "table", "receipts"} <= set(page.sections())
    assert "nan" not in page.text.lower()


def test_hostile_names_reasons_and_logs() -> None:
    metadata = {**METADATA, "command": HOSTILE, "suite": {"name": HOSTILE}, HOSTILE: HOSTILE}
    results = stress_results(
        {**YOURS, "pmd:0.2": [0.8, HOSTILE, 0.8]},
        {"snls": YOURS},
        class_names=[HOSTILE, "dog", "$x_1$"],
        class_losses=[0.5, 0, 0],
        metadata=metadata,
    )
    subjects = [replace(subject, title=HOSTILE) for subject in results.subjects]
    noises = [replace(noise, title=HOSTILE) for noise in results.noises]
    results = replace(results, subjects=subjects, noises=noises)
    verdict = Verdict(
        decisions=[
            Decision(text=HOSTILE, noise=HOSTILE, state="fail", found=interval([]), reason=HOSTILE)
        ],
        n_failed=1,
    )
    text = render_stress_page(results, verdict, logs={results.failures[0].log: HOSTILE * 3})
    page = check_self_contained(text)
    assert "<script>alert(1)</script>" in page.text
    assert "\\x1b[31m\\u202ered" in page.text


@pytest.mark.parametrize(
    ("states", "n_failed", "n_missing", "line"),
    [
        ([], 0, 0, "No thresholds were given, and no training failed."),
        (["pass"], 0, 0, "1 threshold: 1 met."),
        (["pass", "pass"], 0, 0, "2 thresholds: all met."),
        (["fail", "fail"], 0, 0, "2 thresholds: none met."),
        (["undecided", "undecided"], 0, 0, "2 thresholds: all undecided."),
        (["pass", "pass"], 1, 0, "2 thresholds: all met; 1 training failed."),
        (["pass", "fail", "undecided", "fail"], 0, 0,
         "4 thresholds: 1 met, 2 not met and 1 undecided."),
        (["undecided"], 2, 1,
         "1 threshold: 1 undecided; 2 trainings failed; 1 training has not ended yet."),
        ([], 1, 2, "1 training failed; 2 trainings have not ended yet."),
    ],
)  # fmt: skip
def test_verdict_lines(states: list[State], n_failed: int, n_missing: int, line: str) -> None:
    decisions = [
        Decision(text="t", noise="n", state=state, found=interval([0.5]), reason="")
        for state in states
    ]
    assert (
        verdict_line(Verdict(decisions=decisions, n_failed=n_failed, n_missing=n_missing)) == line
    )
