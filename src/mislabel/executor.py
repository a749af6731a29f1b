"""One interface for independent runs, of benchmarks and studies: local processes, by joblib.

Workers are started once, load their libraries once and share large arrays by memory map. Threads
are divided among them, so that they do not fight. joblib's parallel backends (Ray among them)
fit in here; nothing of ours schedules anything.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from mislabel.errors import InputError

W = TypeVar("W")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Workers:
    """How many processes, and how many threads each of them uses."""

    count: int
    threads: int

    @classmethod
    def choose(cls, count: int | None, n_tasks: int, device: str) -> "Workers":
        """By default one worker per core on a CPU, one on a GPU, never more than tasks.

        n_tasks: of the whole work, finished ones included. The numbers of a training depend on
        its threads in the last bits, so what is resumed must get as many as it had before.
        """
        from joblib import cpu_count

        cls.check(count)
        cores = cpu_count()
        wanted = count if count is not None else (cores if device == "cpu" else 1)
        chosen = max(1, min(wanted, n_tasks))
        return cls(count=chosen, threads=max(1, cores // chosen) if device == "cpu" else 1)

    @staticmethod
    def check(count: int | None) -> None:
        """Raise `InputError` for a number of workers that cannot be."""
        if count is not None and count < 1:
            raise InputError("workers", count, "must be at least 1")


def run_all(
    function: Callable[[W], R], work: Iterable[W], workers: Workers, *, waits: bool = False
) -> Iterator[R]:
    """Yield ``function(w)`` for each piece of work, in the order in which they finish.

    An exception in a worker is raised here; what had finished before is finished.

    waits: the function starts a process and waits for it, so that threads of this one are enough.
    """
    if workers.count == 1:
        yield from map(function, work)
        return
    if waits:
        yield from _in_threads(function, work, workers.count)
        return
    from joblib import Parallel, delayed, parallel_config

    with parallel_config(backend="loky", inner_max_num_threads=workers.threads):
        parallel = Parallel(n_jobs=workers.count, return_as="generator_unordered", batch_size=1)
        yield from parallel(delayed(_alone)(function, os.getpid(), w) for w in work)


def _in_threads(function: Callable[[W], R], work: Iterable[W], count: int) -> Iterator[R]:
    """`run_all` in threads. Where the caller stops early it need not wait for those at work."""
    pool = ThreadPoolExecutor(count)
    waiting, running = iter(work), set[Future[R]]()
    try:
        while True:
            running |= {pool.submit(function, w) for w in islice(waiting, count - len(running))}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _alone(function: Callable[[Any], Any], parent: int, work: Any) -> Any:
    """Run in a worker, which ends with its parent rather than go on alone."""
    _end_with_parent(parent)
    return function(work)


_watching: set[int] = set()


def _end_with_parent(parent: int) -> None:
    """Once per worker, start a thread that ends this process when `parent` is gone."""
    import threading
    import time

    if parent in _watching:
        return
    _watching.add(parent)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
