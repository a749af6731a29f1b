"""Means with names, ranked, and whether two of them are separated by the seeds at hand.

Two scores count as *separated* when their ranges, mean ± deviation over seeds, do not overlap.
That is a description of these seeds, no test of significance; with one seed it is left open.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mislabel.benchmark.results import BenchmarkResults, MethodRow, NoiseColumn, summarise
from mislabel.report.text import NO_BREAK, join, method_names, noise_names, percent


@dataclass(frozen=True, kw_only=True)
class Score:
    """Mean and deviation of test accuracy over `count` seeds, and the name it goes by."""

    name: str
    mean: float
    deviation: float
    count: int

    @property
    def figures(self) -> str:
        """Such as ``84.20 ± 0.31``, kept on one line; without deviation for one seed."""
        spread = f"{NO_BREAK}±{NO_BREAK}{percent(self.deviation)}" if self.count > 1 else ""
        return f"{percent(self.mean)}{spread}"

    def __str__(self) -> str:
        return f"{self.name} ({self.figures})"


def score(
    results: BenchmarkResults, column: NoiseColumn, row: MethodRow, epoch: str, name: str
) -> Score | None:
    """The score of one cell of the table, None where there is no finite figure."""
    found = summarise(results.select(noise=column.spec, method=row.spec), epoch)
    if found.mean is None or found.deviation is None or not math.isfinite(found.mean):
        return None
    return Score(name=name, mean=found.mean, deviation=found.deviation, count=found.count)


def methods_by_rank(results: BenchmarkResults, column: NoiseColumn, epoch: str) -> list[Score]:
    """The methods under one noise, the highest mean first."""
    names = method_names(results)
    scores = [score(results, column, row, epoch, names[row.spec]) for row in results.methods]
    return sorted((s for s in scores if s is not None), key=lambda s: -s.mean)


def noises_by_cost(results: BenchmarkResults, method: MethodRow, epoch: str) -> list[Score]:
    """The noises for one method, the lowest mean first, without the clean column."""
    names = noise_names(results)
    columns = [column for column in results.noises if column.kind != "clean"]
    scores = [score(results, column, method, epoch, names[column.spec]) for column in columns]
    return sorted((s for s in scores if s is not None), key=lambda s: s.mean)


def separated(a: Score, b: Score) -> bool | None:
    """Whether the ranges mean ± deviation do not overlap; None when a deviation is unknown."""
    if min(a.count, b.count) < 2:
        return None
    return abs(a.mean - b.mean) > a.deviation + b.deviation


def clean_column(results: BenchmarkResults) -> NoiseColumn | None:
    """The column without noise, None when the grid has none."""
    return next((column for column in results.noises if column.kind == "clean"), None)


def reference_method(results: BenchmarkResults) -> MethodRow | None:
    """Standard training where it takes part, else the first method."""
    standard = (row for row in results.methods if row.name == "standard")
    return next(standard, results.methods[0] if results.methods else None)


def listed(scores: Sequence[Score]) -> str:
    """Scores in a row, many of them by name alone."""
    return join([str(s) if len(scores) <= 3 else s.name for s in scores])


def these_seeds(scores: Sequence[Score]) -> str:
    """Such as ``these 3 seeds``, or ``these 2–3 seeds`` where the counts differ."""
    counts = sorted({s.count for s in scores})
    return f"these {'–'.join(map(str, [counts[0], *counts[1:][-1:]]))} seeds"
