"""Runs on a Ray cluster, or on a Ray of this machine (extra ``mislabel[ray]``).

Large arrays are put into Ray's object store once, whatever number of runs take them, and a worker
maps them. A run whose worker or machine is lost is done again by Ray, up to `RETRIES` times.
"""

import contextlib
import io
import math
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.executor.crew import Workers
from mislabel.executor.loss import KILLED, NO_MEMORY, Lost, guarded, kept

W = TypeVar("W")
R = TypeVar("R")

PLACED_BYTES = 100_000
"Arrays from this size on are put into the object store by themselves."
RETRIES = 2
"Of a run, and of connecting."
AHEAD = 2
"Runs that are handed to Ray for each that can be at work, so that no worker waits for us."
NO_TOKEN = "where the cluster asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS",
)  # fmt: skip


class RayExecutor:
    """See `mislabel.executor.Executor`.

    address: of a cluster, ``ray://HOST:PORT``, or None for a Ray of this machine, or the one that
    this process is connected to. gpus: of each run.
    """

    def __init__(self, *, address: str | None = None, gpus: float = 0.0) -> None:
        _ray()
        self.address, self.gpus = address, gpus

    def crew(self, count: int | None, n_tasks: int, device: str, memory: int = 0) -> Workers:
        """On this machine as `Workers.choose`; on a cluster a run per core, with one thread."""
        if self.address is None and not _ray().is_initialized():
            return Workers.choose(count, n_tasks, "cpu" if self.gpus else device, memory)
        Workers.check(count)
        with self._connected(None) as ray:
            there = ray.cluster_resources()
        slots = there.get("CPU", 1)
        if self.gpus:
            slots = min(slots, there.get("GPU", 0) / self.gpus)
        return Workers(count=max(1, min(count or math.floor(slots), n_tasks)), threads=1)

    def run(
        self,
        function: Callable[[W], R],
        work: Iterable[W],
        workers: Workers,
        *,
        waits: bool = False,
        name: Callable[[W], str] = str,
    ) -> Iterator[R]:
        """As `mislabel.executor.Executor.run`."""
        with (
            self._connected(workers) as ray,
            closing(self._results(ray, function, work, workers)) as results,
        ):
            yield from kept(results, name)

    def _results(
        self, ray: Any, function: Callable[[W], R], work: Iterable[W], workers: Workers
    ) -> Generator[tuple[W, R | Lost], None, None]:
        packer, waiting, running = _Packer(ray), iter(work), dict[Any, W]()
        task = ray.remote(_in_worker).options(
            num_cpus=workers.threads,
            num_gpus=self.gpus,
            max_retries=RETRIES,
            runtime_env={"env_vars": dict.fromkeys(THREAD_VARIABLES, str(workers.threads))},
        )
        try:
            while True:
                for piece in islice(waiting, AHEAD * workers.count - len(running)):
                    content, arrays = packer.pack((function, piece))
                    running[task.remote(content, *arrays)] = piece
                if not running:
                    return
                (ready, *_), _ = ray.wait(list(running), num_returns=1)
                yield running.pop(ready), _result(ray, ready)
        finally:
            for reference in running:
                with contextlib.suppress(Exception):  # the cluster may be gone
                    ray.cancel(reference, force=True)

    @contextlib.contextmanager
    def _connected(self, workers: Workers | None) -> Iterator[Any]:
        """Ray, connected; a connection that was there before is left as it is."""
        ray = _ray()
        if ray.is_initialized():
            yield ray
            return
        own = self.address is None and workers is not None
        try:
            with warnings.catch_warnings():  # which tell what the error does
                warnings.filterwarnings("ignore", message="Ray Client connection")
                _init(
                    ray,
                    address=self.address or "local",  # not a cluster that is found here
                    num_cpus=workers.count * workers.threads if own and workers else None,
                    include_dashboard=False if own else None,
                    log_to_driver=False,
                    logging_level="ERROR",
                    configure_logging=True,
                )
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            rule = f"cannot be reached ({' '.join(str(error).split())[:200]})"
            if self.address is not None and os.environ.get("RAY_AUTH_MODE") != "token":
                rule += f"; {NO_TOKEN}"
            raise InputError("executor", self.address or "ray", rule) from error
        try:
            yield ray
        finally:
            ray.shutdown()


def _init(ray: Any, **options: Any) -> None:
    """Connect. Ray's client server forks a server for each client; where that fails, which it does
    now and then, the same is asked for again."""
    for last in (*[False] * RETRIES, True):
        try:
            ray.init(**options)
            return
        except ConnectionAbortedError:
            if last:
                raise


class _Packer:
    """Pieces of work as bytes, with large arrays put into the object store once."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._placed: dict[int, tuple[NDArray[Any], Any]] = {}

    def pack(self, value: Any) -> tuple[bytes, list[Any]]:
        """The value without its large arrays, and references to these."""
        import cloudpickle

        places: dict[int, int] = {}
        references: list[Any] = []

        def place(found: Any) -> int | None:
            if (
                type(found) is not np.ndarray
                or found.nbytes < PLACED_BYTES
                or found.dtype.hasobject
            ):
                return None
            if id(found) not in places:
                places[id(found)] = len(references)
                references.append(self._put(found))
            return places[id(found)]

        class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
            def persistent_id(self, found: Any) -> int | None:
                return place(found)

        content = io.BytesIO()
        Pickler(content).dump(value)
        return content.getvalue(), references

    def _put(self, array: NDArray[Any]) -> Any:
        """A reference to an array; it is kept alive, so that its identity stays its own."""
        if id(array) not in self._placed:
            self._placed[id(array)] = (array, self._ray.put(array))
        return self._placed[id(array)][1]


def _in_worker(content: bytes, *arrays: NDArray[Any]) -> Any:
    """Unpack and run a piece. The bytes are our own, from `_Packer`."""
    import pickle

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, place: int) -> NDArray[Any]:
            return arrays[place]

    function, piece = Unpickler(io.BytesIO(content)).load()
    return guarded(function, piece)


def _result(ray: Any, reference: Any) -> Any:
    """What a run returned, or `Lost`; its own exception is raised as it was."""
    errors = ray.exceptions
    try:
        return ray.get(reference)
    except errors.OutOfMemoryError:
        return Lost(NO_MEMORY)
    except (errors.WorkerCrashedError, errors.NodeDiedError, errors.ObjectLostError):
        return Lost(KILLED)
    except errors.RayTaskError as error:
        raise error.cause from error


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        rule = "needs Ray; pip install 'mislabel[ray]'"
        raise InputError("executor", "ray", rule) from None
    return ray
