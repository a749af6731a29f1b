"""Out of memory in a run, or killed for it: that run is lost or failed, all others are there."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import Record, Undisturbed
from kinds import BENCHMARK, STRESS, STUDY, Kind
from test_killed import whole
from undertaking import content, hidden, run

from mislabel.executor import LocalExecutor

HERE = str(Path(__file__).parent)
HUNGRY = """
import resource
import numpy as np
from mine import train as good

def train(x, y, *, seed):
    if seed == 2:
        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
        np.ones(2**30)
    return good(x, y, seed=seed)
"""


def starve(how: str) -> None:
    """In a process: runs of seed 2, or of number 2, have no memory."""
    original = LocalExecutor.run

    def run(self: LocalExecutor, function: Any, *given: Any, **options: Any) -> Iterator[Any]:
        return original(self, partial(_starved, how, function), *given, **options)

    LocalExecutor.run = run  # type: ignore[method-assign]


def _starved(how: str, function: Callable[[Any], Any], work: Any) -> Any:
    if (work.key.seed if hasattr(work, "key") else work.number) == 2:
        NO_MEMORY[how]()
    return function(work)


def _too_little() -> None:
    """Ask for more than this process may have."""
    resource.setrlimit(resource.RLIMIT_AS, (2**34, resource.RLIM_INFINITY))
    np.ones(2**33)


def _as_the_kernel() -> None:
    """What Linux does to a process when there is no memory for it."""
    os.kill(os.getpid(), signal.SIGKILL)


NO_MEMORY = {"memory": _too_little, "killed": _as_the_kernel}


@pytest.mark.parametrize(("how", "workers"), [("memory", 1), ("memory", 2), ("killed", 2)])
@pytest.mark.parametrize("kind", [BENCHMARK, STUDY], ids=lambda kind: kind.name)
def test_a_run_without_memory(
    kind: Kind, how: str, workers: int, inputs: Path, undisturbed: Undisturbed, record: Record
) -> None:
    """Benchmarks and studies: lost, named, status 1; the same command tries it again."""
    _, there = undisturbed(kind)
    place = inputs / f"hungry-{kind.name}-{how}-{workers}"
    out = place / "out"
    words, path = kind.words(inputs, out, workers), {"PYTHONPATH": HERE}
    hungry = run(words, place, prepare=(starve, (how,)), environment=path)
    lost = 2 if kind is BENCHMARK else 1  # of one seed, under two noises
    assert hungry.process.exitcode == 1, hungry.lines
    assert len(whole(kind, out)) == kind.size - lost
    assert hungry.lines[-1].startswith(f"mislabel: error: {lost} of {kind.size} runs were lost: ")
    assert ("seed 2" if kind is BENCHMARK else "run 2 (") in hungry.lines[-1]
    assert hungry.leaves_nobody()
    again = run(words, place)
    assert again.process.exitcode == 0 and content(out) == there and hidden(out) == []
    what = "no memory for a run" if how == "memory" else "a run's process killed for its memory"
    record(f"{what}, {workers} at work", kind.title, tried=lost,
           outcome="lost and named, status 1; all others finished; tried again by the same "
           "command")  # fmt: skip


def test_code_under_test_without_memory(inputs: Path, record: Record) -> None:
    """A stress run: a failed cell with its reason."""
    (inputs / "hungry.py").write_text(HUNGRY)
    out = inputs / "hungry-out"
    words = STRESS.words(inputs, out)
    words[words.index("mine:train")] = "hungry:train"
    hungry = run(words, inputs / "hungry")
    assert hungry.process.exitcode == 1
    results = {n: v for n, v in content(out).items() if n.endswith("result.json")}
    failures = [value["failure"] for value in results.values()]
    assert len(failures) == STRESS.size and failures.count(None) == STRESS.size - 2
    assert all(text is None or "Unable to allocate" in text for text in failures)
    record("no memory for a training", STRESS.title, tried=2,
           outcome="a failed cell with its reason; all others finished")  # fmt: skip
