"""One interface for independent runs: of benchmarks, held-out studies and stress tests.

An `Executor` calls a function on pieces of work, several at a time, and yields what it returns in
the order in which it is there. `LocalExecutor` does so in processes of this machine, by joblib;
`mislabel.executor.ray.RayExecutor` on a Ray cluster. Nothing of ours schedules anything.

Every piece ends: with a result; or with an exception, which is raised here; or lost, since its
process was killed or had no memory. What is lost is told at the end, when all others are finished.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from mislabel.errors import InputError, did_you_mean
from mislabel.executor.crew import Workers
from mislabel.executor.local import LocalExecutor

W = TypeVar("W")
R = TypeVar("R")

EXECUTORS = ("local", "ray")


class Executor(Protocol):
    """Where independent runs are done."""

    def crew(self, count: int | None, n_tasks: int, device: str, memory: int = 0) -> Workers:
        """How many runs at a time, and threads for each; see `Workers.choose`."""

    def run(
        self,
        function: Callable[[W], R],
        work: Iterable[W],
        workers: Workers,
        *,
        waits: bool = False,
        name: Callable[[W], str] = str,
    ) -> Iterator[R]:
        """Yield ``function(w)`` for each piece of work, in the order in which they finish.

        An exception in a run is raised here; what had finished before is finished.

        waits: the function starts a process and waits for it, so that threads are enough here.
        name: what a piece is called where it is lost.
        Errors: `LostRunsError` at the end, if runs were lost.
        """


def make_executor(text: str = "local", *, gpus: float = 0.0) -> Executor:
    """The executor of a text: ``local``, ``ray`` (a Ray of this machine) or ``ray://HOST:PORT``.

    gpus: of each run, on Ray; 0.25 lets four runs share one. Error: `InputError`.
    """
    name = text.partition("://")[0]
    if name not in EXECUTORS or (name == "local" and text != name):
        hint = did_you_mean(text, EXECUTORS)
        raise InputError("executor", text, f"must be local, ray or ray://HOST:PORT; {hint}")
    if not 0 <= gpus <= 64:
        raise InputError("gpus_per_run", gpus, "must be from 0 to 64")
    if name == "local":
        if gpus:
            raise InputError("gpus_per_run", gpus, "goes with --executor ray")
        return LocalExecutor()
    from mislabel.executor.ray import RayExecutor

    return RayExecutor(address=None if text == name else text, gpus=gpus)


__all__ = ["EXECUTORS", "Executor", "LocalExecutor", "Workers", "make_executor"]
