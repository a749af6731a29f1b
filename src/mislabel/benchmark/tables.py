"""Tables of results: terminal, Markdown, LaTeX, CSV, JSON.

Cells are mean ± population deviation over seeds of the test accuracy in percent, as in the study's
table. Which epoch is shown is always said; the best epoch is selected on the test set and is
always called optimistic.
"""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from mislabel.benchmark.results import (
    EPOCH_CHOICES,
    BenchmarkResults,
    Summary,
    check_epoch,
    epoch_choices,
    summarise,
)
from mislabel.errors import InputError, did_you_mean
from mislabel.words import safe_cell


def table_caption(results: BenchmarkResults, epoch: str) -> str:
    """What the figures of a table are."""
    count = len(results.seeds)
    seeds = f"{count} seed" + ("s" if count != 1 else "")
    text = f"Test accuracy in percent, {EPOCH_CHOICES[check_epoch(epoch)]}; "
    text += f"mean ± population deviation over {seeds}."
    if epoch == "selected" and not all(cell.selects for cell in results.cells):
        text += " No figure where no labels were held out."
    if results.n_missing:
        are = "training is" if results.n_missing == 1 else "trainings are"
        text += f" {results.n_missing} {are} missing."
    return text


def format_table(results: BenchmarkResults, style: str, *, epoch: str = "last") -> str:
    """The table as text in one of `TABLE_STYLES`."""
    if style not in TABLE_STYLES:
        raise InputError("format", style, f"unknown format; {did_you_mean(style, TABLE_STYLES)}")
    check_epoch(epoch, results)
    return TABLE_STYLES[style](results, epoch)


def summaries(results: BenchmarkResults, epoch: str) -> list[list[Summary]]:
    """One row per method, one column per noise."""
    return [
        [
            summarise(results.select(noise=noise.spec, method=method.spec), epoch)
            for noise in results.noises
        ]
        for method in results.methods
    ]


def rich_table(results: BenchmarkResults, epoch: str = "last") -> Any:
    """A Rich table for the terminal: one row per noise, the best method of each is bold."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(caption=table_caption(results, epoch), caption_justify="left")
    table.add_column("noise", overflow="fold")
    for method in results.methods:
        table.add_column(escape(method.title), justify="right", overflow="fold")
    rows = summaries(results, epoch)
    for column, noise in enumerate(results.noises):
        texts = [
            f"[bold]{_percent(row[column])}[/bold]"
            if _is_best(row[column], rows, column)
            else _percent(row[column])
            for row in rows
        ]
        table.add_row(escape(noise.spec), *texts)
    return table


def _terminal(results: BenchmarkResults, epoch: str) -> str:
    from rich.console import Console

    text = io.StringIO()
    width = max(80, 24 + 18 * len(results.methods))
    Console(file=text, width=width).print(rich_table(results, epoch))
    return text.getvalue()


def _markdown(results: BenchmarkResults, epoch: str) -> str:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rows = summaries(results, epoch)
    lines = [line(["method", *(n.spec for n in results.noises)])]
    lines.append("|---|" + "---:|" * len(results.noises))
    for method, row in zip(results.methods, rows, strict=True):
        texts = [
            f"**{_percent(cell)}**" if _is_best(cell, rows, column) else _percent(cell)
            for column, cell in enumerate(row)
        ]
        lines.append(line([method.title, *texts]))
    return "\n".join([*lines, "", table_caption(results, epoch), ""])


def _latex(results: BenchmarkResults, epoch: str) -> str:
    rows = summaries(results, epoch)
    lines = [
        f"% {table_caption(results, epoch)}",
        "\\begin{tabular}{l" + "r" * len(results.noises) + "}",
        "\\hline",
        " & ".join(["method", *(_tex(n.spec) for n in results.noises)]) + " \\\\",
        "\\hline",
    ]
    for method, row in zip(results.methods, rows, strict=True):
        texts = []
        for column, cell in enumerate(row):
            text = _percent(cell).replace("±", "$\\pm$").replace("–", "--")
            texts.append(f"\\textbf{{{text}}}" if _is_best(cell, rows, column) else text)
        lines.append(" & ".join([_tex(method.title), *texts]) + " \\\\")
    return "\n".join([*lines, "\\hline", "\\end{tabular}", ""])


def _csv(results: BenchmarkResults, epoch: str) -> str:
    """One row per cell of the table, with all figures and the number of seeds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    choices = epoch_choices(results)
    names = [f"{choice}_{part}" for choice in choices for part in ("mean", "deviation")]
    writer.writerow(["method", "noise", "realised_rate", "seeds", *names])
    for entry in table_entries(results):
        figures = [entry[choice][part] for choice in choices for part in entry[choice]]
        names = [safe_cell(entry["method"]), safe_cell(entry["noise"])]
        writer.writerow([*names, entry["realised_rate"], entry["seeds"], *figures])
    return text.getvalue()


def _json(results: BenchmarkResults, epoch: str) -> str:
    content = {
        "shown": epoch,
        "caption": table_caption(results, epoch),
        "missing": results.n_missing,
        "data": results.metadata["data"],
        "table": table_entries(results),
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def table_entries(results: BenchmarkResults) -> list[dict[str, Any]]:
    """One entry per method and noise, with the figures of all choices of epoch."""
    entries = []
    for method in results.methods:
        for noise in results.noises:
            cells = results.select(noise=noise.spec, method=method.spec)
            entry: dict[str, Any] = {
                "method": method.spec,
                "noise": noise.spec,
                "realised_rate": noise.labels.rate,
                "seeds": len(cells),
                "training_seconds": round(sum(cell.seconds for cell in cells), 2),
            }
            for choice in epoch_choices(results):
                found = summarise(cells, choice)
                entry[choice] = {"mean": found.mean, "deviation": found.deviation}
            entries.append(entry)
    return entries


def _percent(cell: Summary) -> str:
    if cell.mean is None or cell.deviation is None:
        return "–"
    return f"{100 * cell.mean:.2f} ± {100 * cell.deviation:.2f}"


def _is_best(cell: Summary, rows: list[list[Summary]], column: int) -> bool:
    means = [mean for row in rows if (mean := row[column].mean) is not None]
    return len(rows) > 1 and cell.mean is not None and cell.mean == max(means)


def _tex(text: str) -> str:
    special = {c: f"\\{c}" for c in "&%$#_{}"}
    special |= {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    return "".join(special.get(c, c) for c in text)


TABLE_STYLES: dict[str, Callable[[BenchmarkResults, str], str]] = {
    "terminal": _terminal,
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
    "json": _json,
}
"Styles by name."
