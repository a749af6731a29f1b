"""A stress test in the terminal: the verdict first, within 80 columns, whatever the names."""

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from stress_examples import stress_results

from mislabel.report.stress_terminal import SHOWN, comparison_terminal, stress_terminal
from mislabel.stress.diff import compare
from mislabel.stress.results import StressResults
from mislabel.stress.thresholds import decide

YOURS = {
    "clean": [0.9, 0.9, 0.9],
    "symmetric:0.2": [0.879, 0.88, 0.881],
    "human-like:0.2": [0.799, 0.8, 0.801],
}
HOSTILE = "[red]x[/red] [bold\x1b[31m\u202e"


def printed(renderable: Any, width: int = 80) -> str:
    """What a terminal without colours shows; no line is too long."""
    text = io.StringIO()
    Console(file=text, width=width, color_system=None).print(renderable)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    assert max(map(len, lines)) <= width
    return "\n".join(lines).replace("\xa0", " ")


def shown(results: StressResults, **options: Any) -> str:
    return printed(stress_terminal(results, decide(results, results.thresholds)), **options)


def test_verdict_comes_first() -> None:
    text = shown(stress_results(YOURS, thresholds=["accuracy >= 0.85"]))
    lines = text.splitlines()
    assert lines[0] == " FAIL  3 thresholds: 2 met and 1 not met."
    assert lines[1] == "   PASS       accuracy >= 0.85 at clean"
    assert lines[5] == "   FAIL       accuracy >= 0.85 at human-like:0.2"
    assert text.index("human-like:0.2") < text.index("On clean labels")


def test_table_of_one_code() -> None:
    text = shown(stress_results(YOURS, n_test=0))
    assert " Clean               90.0 (90.0 to 90.0)" in text
    assert " Human-like at 20 %  80.0 (79.8 to 80.2)  10.0 (9.8 to 10.2)" in text
    assert text.startswith("No thresholds were given, and no training failed.")


@pytest.mark.parametrize("n_test", [0, 10_000])
def test_table_with_references_fits(n_test: int) -> None:
    names = ["lra-diffusion-snls:k=100,alpha=0.3", "gce"]
    results = stress_results(YOURS, dict.fromkeys(names, YOURS), n_test=n_test)
    text = shown(results)
    digits = 2 if n_test else 1
    assert text.count(f"{80:.{digits}f} (") >= 3
    assert "Gce" in text


def test_failed_trainings_by_reason_and_advice() -> None:
    endings = ["killed", *(f"reason {n}" for n in range(SHOWN + 1)), "killed"]
    results = stress_results({"clean": [0.9] * (SHOWN + 3), "pmd:0.2": endings})
    text = shown(results)
    assert text.startswith(" FAIL  8 trainings failed.")
    assert "Failed: your code at pmd:0.2 seed 1 and pmd:0.2 seed 8: killed" in text
    assert f"reason {SHOWN - 2}" in text and f"reason {SHOWN - 1}" not in text
    assert "It failed for 2 other reasons too; the page has them all." in text
    assert "1. First mend what made 8 of 16 trainings fail." in text


def test_names_are_no_markup_and_have_no_control_characters() -> None:
    results = stress_results({**YOURS, "pmd:0.2": [HOSTILE, 0.8, 0.8]}, {"snls": YOURS})
    subjects = [replace(subject, title=HOSTILE) for subject in results.subjects]
    noises = [replace(noise, title=HOSTILE) for noise in results.noises]
    text = shown(replace(results, subjects=subjects, noises=noises))
    assert "\x1b" not in text and "\u202e" not in text
    assert "[red]x[/red]" in text


def test_comparison_says_what_changed() -> None:
    before = stress_results(YOURS)
    after = stress_results({**YOURS, "human-like:0.2": [0.7, 0.701, 0.702]})
    text = printed(comparison_terminal(compare(before, after)))
    lines = text.splitlines()
    assert lines[0] == "Worse under 1 of 3 noises and worse over all; 9 trainings compared."
    [row] = [line.split() for line in lines if line.startswith(" human-like:0.2")]
    assert row[1] == "−9.90" and row[-1] == "worse"
    [row] = [line.split() for line in lines if line.startswith(" clean")]
    assert row[1] == "0.00" and row[-1] == "shown"
    assert any(line.startswith(" mean over noises") for line in lines)


def test_comparison_without_change_and_with_failures() -> None:
    before = stress_results(YOURS)
    same = printed(comparison_terminal(compare(before, before)))
    assert same.startswith("No difference is shown over 9 shared trainings.")
    after = stress_results({**YOURS, "symmetric:0.2": [HOSTILE, 0.88, 0.881]})
    text = printed(comparison_terminal(compare(before, after)))
    assert text.startswith("1 training newly failing; 9 trainings compared.")
    assert "Newly failing: symmetric:0.2 seed 1: [red]x[/red] [bold\\x1b[31m\\u202e" in text
    back = printed(comparison_terminal(compare(after, before)))
    assert "Working again: symmetric:0.2 seed 1" in back


def test_comparison_of_other_metrics_is_in_plain_numbers() -> None:
    def nll(noisy: list[float]) -> StressResults:
        table = {"clean": [1.0, 1.1, 1.2], "pmd:0.2": noisy}
        return stress_results(table, metric="nll", lower_is_better=True, n_test=0)

    text = printed(comparison_terminal(compare(nll([2.0, 2.1, 2.2]), nll([1.5, 1.61, 1.7]))))
    [row] = [line.split() for line in text.splitlines() if line.startswith(" pmd:0.2")]
    assert row[1] == "+0.497" and row[-1] == "better"
    assert "Newer less older nll; positive is better" in " ".join(text.split())
