"""Runs that are lost: killed, or without memory. The others go on."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from mislabel.errors import LostRunsError

W = TypeVar("W")
R = TypeVar("R")

KILLED = "its process was killed; was there too little memory?"
NO_MEMORY = "there was too little memory for it"
_SAYS_SO = ("can't allocate memory", "not enough memory", "out of memory")
SHOWN = 5
"Lost runs that are named."


@dataclass(frozen=True)
class Lost:
    """What stands for the result of a lost run."""

    reason: str


def guarded(function: Callable[[Any], R], work: Any) -> R | Lost:
    """``function(work)``, or `Lost` where there is too little memory for it."""
    try:
        return function(work)
    except MemoryError:
        return Lost(NO_MEMORY)
    except RuntimeError as error:  # PyTorch's, on a CPU and on a GPU
        if any(words in str(error) for words in _SAYS_SO):
            return Lost(NO_MEMORY)
        raise


def kept(results: Iterable[tuple[W, R | Lost]], name: Callable[[W], str]) -> Iterator[R]:
    """The results that are there; `LostRunsError` at the end, if runs were lost.

    results: pieces of work with what came of them. name: what a piece is called where it is lost.
    """
    lost: dict[str, Lost] = {}
    done = 0
    for piece, result in results:
        done += 1
        if isinstance(result, Lost):
            lost[name(piece)] = result
        else:
            yield result
    _raise_lost(lost, done)


def _raise_lost(lost: dict[str, Lost], n_runs: int) -> None:
    """Raise `LostRunsError` if there are any. lost: by the name of the run."""
    if not lost:
        return
    told = [f"{name} ({one.reason})" for name, one in list(lost.items())[:SHOWN]]
    more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
    raise LostRunsError(
        f"{len(lost)} of {n_runs} runs were lost: {'; '.join(told)}{more}. "
        "What is finished is kept; the same command tries them again"
    )
