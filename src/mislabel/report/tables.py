"""The tables of the page as plain values, ready for the template."""

from dataclasses import dataclass

from mislabel.benchmark.results import EPOCH_CHOICES, BenchmarkResults, Summary, summarise
from mislabel.report.text import (
    mean_deviation,
    method_names,
    noise_rate,
    percent,
    plural,
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """text: mean ± deviation. best: highest mean of its column. note: seeds, if not all."""

    text: str
    best: bool
    note: str


@dataclass(frozen=True, kw_only=True)
class Column:
    title: str
    spec: str
    rate: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Methods by noises for one choice of epoch."""

    caption: str
    columns: list[Column]
    rows: list[tuple[str, str, list[Cell]]]
    "Name, spec and cells of each method."


def accuracy_table(results: BenchmarkResults, epoch: str) -> Table:
    """Test accuracy in percent, methods by noises."""
    names, n_seeds = method_names(results), len(results.seeds)
    grid = [
        [summarise(results.select(noise=n.spec, method=m.spec), epoch) for n in results.noises]
        for m in results.methods
    ]
    best = [max((_shown(s) for s in column), default=None) for column in zip(*grid, strict=True)]
    rows = [
        (
            names[method.spec],
            method.spec,
            [_cell(s, top, n_seeds) for s, top in zip(summaries, best, strict=True)],
        )
        for method, summaries in zip(results.methods, grid, strict=True)
    ]
    caption = (
        f"Test accuracy in %: {EPOCH_CHOICES[epoch]}; mean ± population deviation "
        f"over {plural(n_seeds, 'seed')}, the highest mean of each column in bold."
    )
    return Table(caption=caption, columns=_columns(results), rows=rows)


def _columns(results: BenchmarkResults) -> list[Column]:
    rates = [noise_rate(column) for column in results.noises]
    return [
        Column(
            title=column.title or column.spec,
            spec=column.spec,
            rate="rate unknown" if rate is None else f"{percent(rate, 1)} % wrong",
        )
        for column, rate in zip(results.noises, rates, strict=True)
    ]


def _cell(summary: Summary, best: float | None, n_seeds: int) -> Cell:
    short = 0 < summary.count < n_seeds
    return Cell(
        text=mean_deviation(summary),
        best=_shown(summary) >= 0 and _shown(summary) == best,
        note=f"{summary.count} of {n_seeds} seeds" if short else "",
    )


def _shown(summary: Summary) -> float:
    """The mean as rounded in the table, -1 for none: what looks equal is equally best."""
    text = percent(summary.mean)
    return float(text) if text[0].isdigit() else -1.0
