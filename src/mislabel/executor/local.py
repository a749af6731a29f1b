"""Runs in processes of this machine, by joblib.

Workers are started once, load their libraries once and share large arrays by memory map. Threads
are divided among them, so that they do not fight.
"""

import os
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from inspect import signature
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from mislabel.executor.crew import Workers
from mislabel.executor.loss import KILLED, Lost, guarded, kept

W = TypeVar("W")
R = TypeVar("R")
Results: TypeAlias = Generator[tuple[W, R | Lost], None, None]
"Pieces with what came of them."


class LocalExecutor:
    """See `mislabel.executor.Executor`."""

    def crew(self, count: int | None, n_tasks: int, device: str, memory: int = 0) -> Workers:
        """As `Workers.choose`."""
        return Workers.choose(count, n_tasks, device, memory)

    def run(
        self,
        function: Callable[[W], R],
        work: Iterable[W],
        workers: Workers,
        *,
        waits: bool = False,
        name: Callable[[W], str] = str,
    ) -> Iterator[R]:
        """As `mislabel.executor.Executor.run`. With one worker, in this process."""
        with closing(_results(function, work, workers, waits)) as results:
            yield from kept(results, name)


def _results(
    function: Callable[[W], R], work: Iterable[W], workers: Workers, waits: bool
) -> Results[W, R]:
    if workers.count == 1:
        return ((piece, guarded(function, piece)) for piece in work)
    if waits:
        return _in_threads(function, work, workers.count)
    return _in_processes(function, work, workers)


def _in_threads(function: Callable[[W], R], work: Iterable[W], count: int) -> Results[W, R]:
    """Where the caller stops early it need not wait for those at work."""
    pool = ThreadPoolExecutor(count)
    waiting, running = iter(work), dict[Future[R | Lost], W]()
    try:
        while True:
            for piece in islice(waiting, count - len(running)):
                running[pool.submit(guarded, function, piece)] = piece
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _in_processes(function: Callable[[W], R], work: Iterable[W], workers: Workers) -> Results[W, R]:
    """Where a process dies, all that were at work are done again, one at a time, to find out which
    of them it cannot bear."""
    from joblib.externals.loky.process_executor import BrokenProcessPool

    waiting = deque(enumerate(work))
    while waiting:
        begun: dict[int, W] = {}
        try:
            with closing(_parallel(function, _taken(waiting, begun), workers)) as results:
                for number, result in results:
                    yield begun.pop(number), result
        except BrokenProcessPool:
            for number, piece in sorted(begun.items(), key=lambda pair: pair[0]):
                yield piece, _alone(function, number, piece, workers)


def _taken(waiting: deque[tuple[int, W]], begun: dict[int, W]) -> Iterator[tuple[int, W]]:
    """Pieces for the pool, which are noted in `begun`."""
    while waiting:
        number, piece = waiting.popleft()
        begun[number] = piece
        yield number, piece


def _alone(function: Callable[[W], R], number: int, piece: W, workers: Workers) -> R | Lost:
    """A piece with no other beside it."""
    from joblib.externals.loky.process_executor import BrokenProcessPool

    try:
        ((_, result),) = _parallel(function, iter([(number, piece)]), workers)
        return result
    except BrokenProcessPool:
        return Lost(KILLED)


def _parallel(
    function: Callable[[W], R], work: Iterator[tuple[int, W]], workers: Workers
) -> Generator[tuple[int, R | Lost], None, None]:
    from joblib import Parallel, delayed, parallel_config

    with parallel_config(backend="loky", inner_max_num_threads=workers.threads):
        kind = {"return_as": "generator_unordered", "batch_size": 1, **_from_the_start()}
        parallel = Parallel(n_jobs=workers.count, **kind)
        results = parallel(delayed(_in_worker)(function, os.getpid(), *w) for w in work)
        try:
            for result in results:  # noqa: UP028 - that closes them before "finally"
                yield result
        finally:
            with warnings.catch_warnings():  # that runs are cancelled, where the caller stops early
                warnings.filterwarnings("ignore", message=".*tasks ")
                results.close()


def _from_the_start() -> dict[str, Any]:
    """What lets workers watch their parent before their first run; joblib 1.5 or newer can."""
    from joblib import Parallel

    if "backend_kwargs" not in signature(Parallel).parameters:
        return {}
    return {"initializer": _end_with_parent, "initargs": (os.getpid(),)}


def _in_worker(
    function: Callable[[Any], Any], parent: int, number: int, work: Any
) -> tuple[int, Any]:
    """Run in a worker, which ends with its parent rather than go on alone."""
    _end_with_parent(parent)
    return number, guarded(function, work)


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
