"""A stress test and the comparison of two, for the terminal: the verdict first, in 80 columns.

Names, reasons and class names come from users: they are shown as they are, on one line, without
markup or control characters.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mislabel.report.stress_tables import (
    StressEntry,
    stress_caption,
    stress_rows,
    verdict_line,
)
from mislabel.stress.advice import Advice, findings
from mislabel.stress.decisions import Verdict
from mislabel.stress.diff import Comparison, Difference
from mislabel.stress.intervals import LEVEL
from mislabel.stress.results import StressResults
from mislabel.stress.view import failure_groups, listed
from mislabel.stress.wording import (
    METRIC_NAMES,
    SHARES,
    Scale,
    capital,
    level_words,
    metric_scale,
    subject_titles,
)
from mislabel.words import MISSING, join, one_line, plural

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table
    from rich.text import Text

SHOWN = 5
"Reasons of failures that are listed; the page has all."
STYLES = {
    "pass": "bold white on green",
    "fail": "bold white on red",
    "undecided": "bold black on yellow",
    "better": "bold green",
    "worse": "bold red",
    "no difference shown": "dim",
}


def stress_terminal(results: StressResults, verdict: Verdict, *, level: float = LEVEL) -> "Group":
    """The test for a Rich console: verdict, headlines, table, failed trainings, advice.

    level: of the intervals; take that of the verdict.
    """
    from rich.console import Group
    from rich.text import Text

    found = findings(results, verdict, level=level)
    parts: list[RenderableType] = [*_verdict(verdict), Text()]
    parts += [Text(line) for line in found.headlines]
    parts += [Text(), _table(results, level), Text(stress_caption(results, level=level), "dim")]
    parts += [Text(line, "red") for line in _failures(results)]
    return Group(*parts, *_advice(found.advice))


def comparison_terminal(comparison: Comparison) -> "Group":
    """What changed from one version of the code to another, for a Rich console."""
    from rich.console import Group
    from rich.text import Text

    lines = [
        Text(f"{word}: {one_line(c.noise, 60)} seed {c.seed}: {one_line(c.failure, 300)}", style)
        for word, style, cells in (
            ("Newly failing", "red", comparison.newly_failing),
            ("Working again", "green", comparison.newly_working),
        )
        for c in cells[:SHOWN]
    ]
    headline = Text(_comparison_line(comparison), "bold")
    caption = Text(_comparison_caption(comparison), "dim")
    return Group(headline, Text(), _comparison_table(comparison), caption, *lines)


def _verdict(verdict: Verdict) -> "Iterator[RenderableType]":
    """The verdict, and a line with a reason for every threshold."""
    from rich.padding import Padding
    from rich.text import Text

    if verdict.decisions or verdict.state != "pass":
        badge = (f" {verdict.state.upper()} ", STYLES[verdict.state])
        yield Text.assemble(badge, " ", (verdict_line(verdict), "bold"))
    else:
        yield Text(verdict_line(verdict), "dim")
    for decision in verdict.decisions:
        badge = (f" {decision.state.upper():<9} ", STYLES[decision.state])
        yield Text.assemble("  ", badge, " ", one_line(decision.text))
        yield Padding(Text(one_line(decision.reason), "dim"), (0, 0, 0, 4))


def _failures(results: StressResults) -> Iterator[str]:
    """Failed trainings by subject and reason, the most frequent reason first."""
    names = subject_titles(results)
    for subject in results.subjects:
        failed = [cell for cell in results.failures if cell.subject == subject.name]
        groups = failure_groups(failed)
        for reason, places in groups[:SHOWN]:
            yield f"Failed: {names[subject.name]} at {listed(places)}: {reason}"
        if len(groups) > SHOWN:
            yield f"It failed for {len(groups) - SHOWN} other reasons too; the page has them all."


def _table(results: StressResults, level: float) -> "Table":
    """A row per noise and subject."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    scale, several = metric_scale(results), len(results.subjects) > 1
    table.add_column("noise", overflow="fold")
    if several:
        table.add_column("code", overflow="fold")
    table.add_column(Text(scale.axis, justify="right"), justify="right", no_wrap=True)
    table.add_column("loss", justify="right", no_wrap=True)
    for row in stress_rows(results, level=level):
        for place, entry in enumerate(row.entries):
            last = place == len(row.entries) - 1
            name = Text(row.title if place == 0 else "", "bold")
            note = f"\n{entry.note}" if entry.note else ""
            subject = [Text(f"{entry.subject}{note}")] if several else []
            name.append("" if several else note, "not bold red")
            table.add_row(name, *subject, *_figures(entry), end_section=several and last)
    return table


def _figures(entry: StressEntry) -> list[str]:
    """Metric and loss with their intervals."""
    pairs = ((entry.mean, entry.interval), (entry.loss, entry.loss_interval))
    return [mean if ends in ("", MISSING) else f"{mean} ({ends})" for mean, ends in pairs]


def _advice(advice: Sequence[Advice]) -> "Iterator[RenderableType]":
    """What to do, each with the first of its figures; reasons of failures stand above."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    if advice:
        yield Text("\nWhat to do", "bold")
    grid = Table.grid(padding=(0, 1))
    for number, each in enumerate(advice, start=1):
        basis = [] if each.rule == "failed" else each.basis[:1]
        grid.add_row(f"{number}.", Group(Text(each.text), *(Text(line, "dim") for line in basis)))
    yield grid


def _comparison_line(comparison: Comparison) -> str:
    """How many noises changed, and what fails newly."""
    noises = comparison.noises
    counts = [
        f"{word} under {sum(n.state == word for n in noises)} of {plural(len(noises), 'noise')}"
        for word in ("worse", "better")
        if any(n.state == word for n in noises)
    ]
    overall = comparison.overall.state
    counts += [f"{overall} over all"] if overall != "no difference shown" else []
    failing = len(comparison.newly_failing)
    counts += [f"{plural(failing, 'training')} newly failing"] if failing else []
    if not counts:
        return f"No difference is shown over {plural(comparison.n_shared, 'shared training')}."
    return f"{capital(join(counts))}; {plural(comparison.n_shared, 'training')} compared."


def _comparison_table(comparison: Comparison) -> "Table":
    """A row per noise, and one for all."""
    from rich import box
    from rich.table import Table

    scale = _comparison_scale(comparison)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("noise", overflow="fold")
    for name in ("change", "interval", "seeds", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for place, each in enumerate(comparison.noises):
        last = place == len(comparison.noises) - 1
        table.add_row(*_comparison_row(each, each.noise, scale), end_section=last)
    table.add_row(*_comparison_row(comparison.overall, "mean over noises", scale))
    return table


def _comparison_caption(comparison: Comparison) -> str:
    """What the figures of the table are."""
    unit = ", points" if _comparison_scale(comparison).is_percent else ""
    return (
        f"Newer less older {one_line(comparison.metric, 40)}{unit}; positive is better. "
        f"Intervals are at {level_words(comparison.level)}; p is of Student's paired t test, "
        "adjusted by Holm's method for the number of noises."
    )


def _comparison_row(each: Difference, name: str, scale: Scale) -> "list[Text]":
    from rich.text import Text

    sign = "+" if each.found.mean > 0 else ""
    p_value = MISSING if each.adjusted is None else _p_words(each.adjusted)
    cells = [sign + scale.number(each.found.mean), scale.ends(each.found), str(each.found.count)]
    texts = [Text(one_line(name, 40)), *(Text(cell) for cell in cells), Text(p_value)]
    return [*texts, Text(each.state, STYLES[each.state])]


def _comparison_scale(comparison: Comparison) -> Scale:
    """Points for shares, else plain numbers of three digits."""
    means = [abs(each.found.mean) for each in comparison.noises]
    largest = max([mean for mean in means if math.isfinite(mean)], default=0.0)
    name = METRIC_NAMES.get(comparison.metric, one_line(comparison.metric, 40))
    if comparison.metric in SHARES and largest <= 1:
        return Scale(name=name, factor=100, digits=2)
    size = math.floor(math.log10(largest)) if largest > 0 else -1
    return Scale(name=name, digits=min(max(2 - size, 0), 8))


def _p_words(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"
