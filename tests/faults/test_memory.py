"""Out of memory in a run, or killed for it: that run is lost or failed, all others are there."""

import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
from fixtures import Record, Undisturbed
from kinds import BENCHMARK, STRESS, STUDY, Kind
from test_killed import whole
from undertaking import content, hidden, run

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


def too_little(work: object) -> None:
    """Ask for more than this process may have."""
    resource.setrlimit(resource.RLIMIT_AS, (2**34, resource.RLIM_INFINITY))
    np.ones(2**33)


def as_the_kernel(work: object) -> None:
    """What Linux does to a process when there is no memory for it."""
    os.kill(os.getpid(), signal.SIGKILL)


def starved_benchmark(how: str) -> None:
    """In a process: trainings of seed 2 have no memory."""
    from mislabel.benchmark import run as module

    module.train_cell = {"memory": _starved_cell, "killed": _killed_cell}[how]


def starved_study(how: str) -> None:
    """In a process: run 2 has no memory."""
    from mislabel.memorization import study as module

    module.do_run = {"memory": _starved_run, "killed": _killed_run}[how]


def _starved_cell(work: object) -> object:
    return _train(work, too_little)


def _killed_cell(work: object) -> object:
    return _train(work, as_the_kernel)


def _starved_run(work: object) -> object:
    return _do(work, too_little)


def _killed_run(work: object) -> object:
    return _do(work, as_the_kernel)


def _train(work, starve):  # type: ignore[no-untyped-def]
    from mislabel.benchmark.run import RunFolder, train_cell

    assert RunFolder
    return starve(work) if work.key.seed == 2 else _original(train_cell, "benchmark")(work)


def _do(work, starve):  # type: ignore[no-untyped-def]
    from mislabel.memorization.study import do_run

    return starve(work) if work.number == 2 else _original(do_run, "study")(work)


def _original(function, name):  # type: ignore[no-untyped-def]
    """The house's own function, where this process has another in its place."""
    return ORIGINAL.get(name, function)


ORIGINAL: dict[str, object] = {}


@pytest.mark.parametrize(("how", "workers"), [("memory", 1), ("memory", 2), ("killed", 2)])
@pytest.mark.parametrize("kind", [BENCHMARK, STUDY], ids=lambda kind: kind.name)
def test_a_run_without_memory(
    kind: Kind, how: str, workers: int, inputs: Path, undisturbed: Undisturbed, record: Record
) -> None:
    """Benchmarks and studies: lost, named, status 1; the same command tries it again."""
    _, there = undisturbed(kind)
    place = inputs / f"hungry-{kind.name}-{how}-{workers}"
    out = place / "out"
    prepare = (prepared, (kind.name, how))
    hungry = run(
        kind.words(inputs, out, workers), place, prepare=prepare, environment={"PYTHONPATH": HERE}
    )
    lost = 2 if kind is BENCHMARK else 1  # of one seed, under two noises
    assert hungry.process.exitcode == 1, hungry.lines
    assert len(whole(kind, out)) == kind.size - lost
    assert hungry.lines[-1].startswith(f"mislabel: error: {lost} of {kind.size} runs were lost: ")
    assert ("seed 2" if kind is BENCHMARK else "run 2 (") in hungry.lines[-1]
    assert hungry.leaves_nobody()
    again = run(kind.words(inputs, out, workers), place)
    assert again.process.exitcode == 0 and content(out) == there and hidden(out) == []
    what = "no memory for a run" if how == "memory" else "a run's process killed for its memory"
    record(f"{what}, {workers} at work", kind.title, tried=lost,
           outcome="lost and named, status 1; all others finished; tried again by the same "
           "command")  # fmt: skip


def prepared(kind: str, how: str) -> None:
    """In a process: one of its runs has no memory."""
    from mislabel.benchmark import run
    from mislabel.memorization import study

    ORIGINAL.update(benchmark=run.train_cell, study=study.do_run)
    (starved_benchmark if kind == "benchmark" else starved_study)(how)


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
