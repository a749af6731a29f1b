"""Pieces of work for executors; a module, so that workers can import it."""

import os
import signal
import time
from pathlib import Path

import numpy as np


def square(number: int) -> int:
    return number**2


def threads(number: int) -> str:
    return os.environ["OMP_NUM_THREADS"]


def fail(number: int) -> int:
    raise KeyError(number)


def no_memory(number: int) -> int:
    if number == 3:
        raise MemoryError
    return number


def die(number: int) -> int:
    """The fourth piece kills its process, always."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_once(place: tuple[Path, int]) -> int:
    """The fourth piece kills its process, the first time."""
    folder, number = place
    if number == 3 and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def total(piece: tuple[int, np.ndarray]) -> tuple[int, float, bool]:
    """A sum, and whether the array came as a view of memory that is not to be written."""
    number, array = piece
    return number, float(array.sum()), array.flags.writeable


def where(seconds: float) -> tuple[str, float, float]:
    """Which GPU of which machine this process was given, from when to when."""
    import ray

    began = time.time()
    time.sleep(seconds)
    node = ray.get_runtime_context().get_node_id()
    return f"{node} {os.environ['CUDA_VISIBLE_DEVICES']}", began, time.time()
