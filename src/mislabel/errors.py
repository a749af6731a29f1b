"""The one error for bad input: it names the argument, the value and the rule."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class InputError(ValueError):
    """Bad input from a user: an argument, its value and the rule it breaks, on one line.

    The command line prints it after ``mislabel: error:`` and exits with status 2.
    """

    def __init__(self, argument: str, value: Any, rule: str) -> None:
        self.argument, self.value, self.rule = argument, value, rule
        super().__init__(argument, value, rule)

    def __str__(self) -> str:
        return printable(f"{self.argument}={_short(self.value)}: {self.rule}")


class LostRunsError(RuntimeError):
    """Runs were lost, since their processes were killed or had no memory; the others are finished.

    The command line prints it on one line and exits with status 1.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint such as ``did you mean 'cluster'? Known: cluster, human, pmd``."""
    names = sorted(known)
    close = get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(names)}"


def printable(text: str) -> str:
    """`text` on one line: a blank for other white space, ``?`` for what controls a terminal.

    Names of files, columns and classes, and what libraries say of them, are in error messages.
    """
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def _short(value: Any) -> str:
    if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0:
        value = value.item()  # which no version of NumPy writes as np.int64(0)
    text = " ".join(str(value).split()) if isinstance(value, BaseException) else repr(value)
    text = printable(text)
    return text if len(text) <= 160 else f"{text[:120]}...{text[-30:]}"
