"""Tables of a stress test as plain values, for its page and for the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from mislabel.report.receipts import duration
from mislabel.stress.decisions import Verdict
from mislabel.stress.intervals import LEVEL, Interval
from mislabel.stress.results import YOURS, StressCell, StressNoise, StressResults
from mislabel.stress.suite import CLEAN
from mislabel.stress.summary import (
    area_interval,
    curve_noises,
    drop_interval,
    families,
    metric_interval,
)
from mislabel.stress.wording import (
    Scale,
    capital,
    family_titles,
    level_words,
    metric_scale,
    noise_titles,
    rate_words,
    subject_titles,
)
from mislabel.words import join, one_line, plural


@dataclass(frozen=True, kw_only=True)
class StressEntry:
    """One subject under one noise: the metric, the loss, their intervals, and what is missing.

    Texts without units; a dash where there is no figure. note: failed and open trainings, or "".
    """

    subject: str
    mean: str
    interval: str
    loss: str
    loss_interval: str
    note: str


@dataclass(frozen=True, kw_only=True)
class StressRow:
    """One noise: title, spec, realised rate, and an entry per subject."""

    title: str
    spec: str
    entries: Sequence[StressEntry]


def stress_rows(results: StressResults, *, level: float = LEVEL) -> list[StressRow]:
    """The table: every noise, every subject."""
    titles, names, scale = noise_titles(results), subject_titles(results), metric_scale(results)
    return [
        StressRow(
            title=titles[noise.spec],
            spec=noise.spec,
            entries=[
                _entry(results, noise, subject.name, names[subject.name], scale, level)
                for subject in results.subjects
            ],
        )
        for noise in results.noises
    ]


def area_rows(results: StressResults, *, level: float = LEVEL) -> list[StressRow]:
    """Areas under the curve: every family of noises with two rates or more, every subject."""
    titles, names, scale = family_titles(results), subject_titles(results), metric_scale(results)
    shown = [f for f in families(results) if len(curve_noises(results, f)) > 2]
    return [
        StressRow(
            title=titles[family],
            spec=_rates(results, family),
            entries=[
                _area(area_interval(results, family, s.name, level=level), names[s.name], scale)
                for s in results.subjects
            ],
        )
        for family in shown
    ]


def _area(found: Interval, name: str, scale: Scale) -> StressEntry:
    return StressEntry(
        subject=name,
        mean=scale.number(found.mean),
        interval=scale.ends(found),
        loss="",
        loss_interval="",
        note="",
    )


def _rates(results: StressResults, family: str) -> str:
    """From which to which rate the area of a family goes."""
    return f"0 to {rate_words(curve_noises(results, family)[-1].rate)}"


def stress_caption(results: StressResults, *, level: float = LEVEL) -> str:
    """What the figures of the table are."""
    scale = metric_scale(results)
    unit = f"{scale.name} in % of the test examples, losses in points"
    named = unit if scale.is_percent and scale.name == "accuracy" else scale.axis
    better = "; lower is better" if results.lower_is_better else ""
    return (
        f"Mean over {plural(len(results.seeds), 'seed')} with its {level_words(level)} interval: "
        f"{named}{better}. A loss is by how much a figure is worse than on clean labels."
    )


def subject_names(results: StressResults) -> list[str]:
    """Names of the subjects for heads of columns."""
    return [capital(name) for name in subject_titles(results).values()]


def verdict_line(verdict: Verdict) -> str:
    """How many thresholds hold, and what else decides, in one sentence."""
    counts = dict.fromkeys(("pass", "fail", "undecided"), 0)
    for decision in verdict.decisions:
        counts[decision.state] += 1
    total = len(verdict.decisions)
    words = {"pass": "met", "fail": "not met", "undecided": "undecided"}
    parts = [f"{count} {words[state]}" for state, count in counts.items() if count]
    if len(parts) == 1 < total:
        parts = ["none met" if counts["fail"] else parts[0].replace(str(total), "all")]
    of_all = f"{plural(total, 'threshold')}: {join(parts)}" if total else ""
    failed = f"{plural(verdict.n_failed, 'training')} failed" if verdict.n_failed else ""
    verb = "has" if verdict.n_missing == 1 else "have"
    missing = f"{plural(verdict.n_missing, 'training')} {verb} not ended yet"
    parts = [of_all, failed, missing if verdict.n_missing else ""]
    line = "; ".join(part for part in parts if part)
    return f"{line}." if line else "No thresholds were given, and no training failed."


def failed_rows(results: StressResults) -> list[tuple[StressCell, str, str]]:
    """Failed trainings, your code's first: the cell, its name and time, and its reason."""
    names = subject_titles(results)
    ordered = sorted(results.failures, key=lambda cell: cell.subject != YOURS)
    return [
        (
            cell,
            f"{names.get(cell.subject, cell.subject)} at {one_line(cell.noise, 60)}, "
            f"seed {cell.seed}, after {duration(cell.seconds)}",
            one_line(cell.failure or "", 400),
        )
        for cell in ordered
    ]


def _entry(
    results: StressResults,
    noise: StressNoise,
    subject: str,
    name: str,
    scale: Scale,
    level: float,
) -> StressEntry:
    found = metric_interval(results, noise.spec, subject, level=level)
    drop = drop_interval(results, noise.spec, subject, level=level)
    lost = noise.spec != CLEAN
    return StressEntry(
        subject=name,
        mean=scale.number(found.mean),
        interval=scale.ends(found),
        loss=scale.number(drop.mean) if lost else "",
        loss_interval=scale.ends(drop) if lost else "",
        note=_note(results, noise, subject, found),
    )


def _note(results: StressResults, noise: StressNoise, subject: str, found: Interval) -> str:
    """How many trainings failed, have not ended, or gave no figure."""
    cells = results.select(noise=noise.spec, subject=subject).values()
    failed = sum(cell.failure is not None for cell in cells)
    missing = len(results.seeds) - len(cells)
    silent = len(cells) - failed - found.count
    parts = ((failed, "failed"), (missing, "not ended"), (silent, "without a figure"))
    shown = [f"{count} {words}" for count, words in parts if count > 0]
    return f"{', '.join(shown)} of {len(results.seeds)}" if shown else ""
