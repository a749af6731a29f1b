"""Names and figures of a benchmark as the report shows them, and the words of `mislabel.words`."""

import math

from mislabel.benchmark.results import BenchmarkResults, NoiseColumn, Summary
from mislabel.words import MISSING, NO_BREAK, join, one_line, percent, plural, unique, visible

__all__ = [
    "MISSING",
    "NO_BREAK",
    "join",
    "mean_deviation",
    "method_names",
    "noise_names",
    "noise_rate",
    "one_line",
    "percent",
    "plural",
    "visible",
]


def mean_deviation(summary: Summary) -> str:
    """Mean and deviation in percent, such as ``84.20 ± 0.31``; without deviation for one seed."""
    if summary.mean is None or not math.isfinite(summary.mean):
        return MISSING
    if summary.count < 2:
        return percent(summary.mean)
    return f"{percent(summary.mean)} ± {percent(summary.deviation)}"


def noise_rate(column: NoiseColumn) -> float | None:
    """The realised rate of a noise column, None when its clean labels are not known."""
    return None if column.labels.clean_labels is None else column.labels.rate


def noise_names(results: BenchmarkResults) -> dict[str, str]:
    """A name per noise spec: title and realised rate, with the spec where that is not unique."""
    names = {column.spec: _noise_name(column) for column in results.noises}
    return unique(names)


def method_names(results: BenchmarkResults) -> dict[str, str]:
    """A name per method spec: its title, with the spec where that is not unique."""
    return unique({row.spec: one_line(row.title or row.spec, 60) for row in results.methods})


def _noise_name(column: NoiseColumn) -> str:
    title, rate = one_line(column.title or column.spec, 60), noise_rate(column)
    if rate is None or column.kind == "clean" or "%" in title:
        return title
    return f"{title} at {percent(rate, 1)}{NO_BREAK}%"
