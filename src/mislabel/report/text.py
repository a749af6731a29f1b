"""Words and numbers as the report shows them, safe against hostile names.

Class names, paths and specs come from users' files. `visible` takes the sting out of control
characters; markup is escaped by the template and by the SVG writer.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence

from mislabel.benchmark.results import BenchmarkResults, NoiseColumn, Summary

MISSING = "–"
"Shown where there is no figure."

NO_BREAK = "\xa0"
"The space that keeps a number and its sign on one line."

_HIDDEN = {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"


def visible(text: str) -> str:
    """`text` with control, direction and unassigned characters written as escapes (``\\x1b``).

    Line feeds stay, and so do the two joiners that some scripts need.
    """
    return "".join(_escape(c) for c in text)


def one_line(text: str, limit: int = 1000) -> str:
    """`text` on one line, made visible, cut to `limit` characters with an ellipsis."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def percent(value: float | None, digits: int = 2) -> str:
    """A share as a percentage without its sign, such as ``84.20``."""
    return MISSING if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f}"


def mean_deviation(summary: Summary) -> str:
    """Mean and deviation in percent, such as ``84.20 ± 0.31``; without deviation for one seed."""
    if summary.mean is None or not math.isfinite(summary.mean):
        return MISSING
    if summary.count < 2:
        return percent(summary.mean)
    return f"{percent(summary.mean)} ± {percent(summary.deviation)}"


def join(words: Sequence[str]) -> str:
    """Words in a row, such as ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def plural(count: int, noun: str) -> str:
    """A count with its noun, such as ``1 seed`` and ``1,347 examples``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def noise_rate(column: NoiseColumn) -> float | None:
    """The realised rate of a noise column, None when its clean labels are not known."""
    return None if column.labels.clean_labels is None else column.labels.rate


def noise_names(results: BenchmarkResults) -> dict[str, str]:
    """A name per noise spec: title and realised rate, with the spec where that is not unique."""
    names = {column.spec: _noise_name(column) for column in results.noises}
    return _unique(names)


def method_names(results: BenchmarkResults) -> dict[str, str]:
    """A name per method spec: its title, with the spec where that is not unique."""
    return _unique({row.spec: one_line(row.title or row.spec, 60) for row in results.methods})


def _noise_name(column: NoiseColumn) -> str:
    title, rate = one_line(column.title or column.spec, 60), noise_rate(column)
    if rate is None or column.kind == "clean" or "%" in title:
        return title
    return f"{title} at {percent(rate, 1)}{NO_BREAK}%"


def _unique(names: dict[str, str]) -> dict[str, str]:
    counts = Counter(names.values())
    return {
        spec: f"{name} ({one_line(spec, 60)})" if counts[name] > 1 else name
        for spec, name in names.items()
    }


def _escape(character: str) -> str:
    if character == "\n" or character in _JOINERS:
        return character
    if unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
