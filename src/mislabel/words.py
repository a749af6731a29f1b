"""Words and numbers as pages, tables and sentences show them, safe against hostile names.

Class names, paths and specs come from users' files. `visible` takes the sting out of control
characters; markup is escaped by the template and by the SVG writer.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

MISSING = "–"
"Shown where there is no figure."

NO_BREAK = "\xa0"
"The space that keeps a number and its sign on one line."

_HIDDEN = {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}
_FORMULA = tuple("=+-@\t\r＝＋－＠")
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


def safe_cell(text: str) -> str:
    """`text` for a CSV cell: on one line, visible, and never a formula (`no_formula`)."""
    return no_formula(visible(" ".join(text.split())))


def no_formula(text: str) -> str:
    """`text`, with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def percent(value: float | None, digits: int = 2) -> str:
    """A share as a percentage without its sign, such as ``84.20``."""
    return MISSING if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f}"


def join(words: Sequence[str]) -> str:
    """Words in a row, such as ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def plural(count: int, noun: str) -> str:
    """A count with its noun, such as ``1 seed`` and ``1,347 examples``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def unique(names: Mapping[str, str]) -> dict[str, str]:
    """Names by spec, with the spec where a name is not of one alone."""
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
