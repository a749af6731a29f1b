"""One cell: start the training, read what it left, measure it, store it."""

import errno
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.cache import cache_folder
from mislabel.data import Dataset
from mislabel.files import atomic_path, hash_array, read_npy
from mislabel.labels import NoisyLabels
from mislabel.stress.metrics import Metric, accuracy_per_class, confusion, figures, fitted
from mislabel.stress.outcome import OutcomeError, read_outcome
from mislabel.stress.store import StressFolder
from mislabel.stress.subjects import Launcher, Place
from mislabel.stress.supervision import Ended, Supervision
from mislabel.words import one_line

NO_ROOM = 2**16
"Bytes; with less on its disk a training cannot be told from one that had none."


class SharedFiles:
    """The examples in read-only files that all trainings map.

    A program that changes them all the same fails, and so do those that ran at that time; for the
    next training the files are written anew.
    """

    def __init__(self, dataset: Dataset, scratch: Path) -> None:
        """Files in the cache, or those that are there already; in `scratch` without a cache."""
        self._arrays = {
            "x_train": dataset.x_train,
            "x_test": dataset.x_test,
            "indices": dataset.train_indices,
        }
        self._folder = cache_folder().absolute() / f"stress-{dataset.fingerprint[:32]}"
        self._scratch = scratch
        self._lock = threading.Lock()
        self._writings = 0
        self._write()
        self._state = self._stat()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In another process; on another machine the files are written there."""
        vars(self).update(state | {"_lock": threading.Lock()})
        if self._stat() != self._state:
            self._folder = cache_folder().absolute() / self._folder.name
            self._write()
            self._state = self._stat()

    def __getitem__(self, name: str) -> Path:
        return self._folder / f"{name}.npy"

    def writings(self) -> int:
        """How often the files had to be written anew; they are right when this returns."""
        with self._lock:
            if self._stat() != self._state:
                self._writings += self._write()
                self._state = self._stat()
            return self._writings

    def _write(self) -> bool:
        """Write every file that has not its content; whether there was one."""
        try:
            return self._written() > 0
        except OSError:
            self._folder = Path(tempfile.mkdtemp(dir=self._scratch))
            return self._written() > 0

    def _written(self) -> int:
        return sum(_write_shared(self[name], array) for name, array in self._arrays.items())

    def _stat(self) -> list[tuple[int, ...] | None]:
        """Inode, size and times of change of each: another after any write."""
        return [_stamp(self[name]) for name in self._arrays]


@dataclass(frozen=True, kw_only=True)
class CellWork:
    """Everything that a worker needs for one training."""

    cell: str
    config: Mapping[str, Any]
    folder: Path
    launcher: Launcher
    supervision: Supervision
    labels: NoisyLabels
    seed: int
    files: SharedFiles
    y_test: NDArray[np.int64]
    class_names: tuple[str, ...]
    metric: tuple[str, Metric | None]
    timeout: float
    threads: int


def train_cell(work: CellWork) -> str:
    """Train one cell and store how it ended; returns the cell's name."""
    folder = StressFolder(work.folder)
    with folder.working_folder(work.timeout) as temporary:
        log, own = temporary / "log.txt", temporary / "work"  # the program can remove its own alone
        own.mkdir()
        before = work.files.writings()
        place = _place(work, own)
        ended = work.supervision.run(
            work.launcher.words(place),
            log=log,
            timeout=work.timeout,
            env=_environment(work.threads),
        )
        result: dict[str, Any] = {"seconds": ended.seconds, "metrics": {}, "accuracy_per_class": []}
        predictions = None
        try:
            if work.files.writings() != before:
                raise OutcomeError(
                    "the examples, which all trainings share, were changed meanwhile"
                )
            _check_ended(ended, log, work.timeout)
            predictions, found = _measure(work, place.out)
            result |= found | {"failure": None}
        except OutcomeError as bad:
            _check_room(folder.path)
            result |= {"failure": one_line(str(bad))}
        result |= {"timed_out": ended.timed_out, "timeout": work.timeout}
        folder.save_cell(
            work.cell, config=work.config, result=result, predictions=predictions, log=log
        )
    return work.cell


def _measure(work: CellWork, out: Path) -> tuple[NDArray[np.int64] | None, dict[str, Any]]:
    """Predictions of the test examples and the figures of a training."""
    outcome = read_outcome(
        out, n_test=len(work.y_test), n_train=len(work.labels), class_names=work.class_names
    )
    found: dict[str, Any] = {"metrics": dict(outcome.metrics)}
    if outcome.predictions is not None:
        counts = confusion(work.y_test, outcome.predictions, len(work.class_names))
        found["accuracy_per_class"] = accuracy_per_class(counts)
        found["metrics"] |= figures(counts) | _own_metric(work, outcome.predictions)
    if outcome.train_predictions is not None:
        labels = work.labels
        assert labels.clean_labels is not None
        found["metrics"] |= fitted(labels.labels, labels.clean_labels, outcome.train_predictions)
    return outcome.predictions, found


def _own_metric(work: CellWork, predictions: NDArray[np.int64]) -> dict[str, float]:
    """The user's metric function on the predictions."""
    name, function = work.metric
    if function is None:
        return {}
    try:
        value = float(function(work.y_test.copy(), predictions.copy()))
    except (Exception, SystemExit) as error:
        raise OutcomeError(f"metric {name} raised {type(error).__name__}: {error}") from error
    if not np.isfinite(value):
        raise OutcomeError(f"metric {name} is {value}; must be finite")
    return {name: value}


def _check_room(folder: Path) -> None:
    """Raise where the disk is full: that is no fault of the code, and is not stored as one."""
    if shutil.disk_usage(folder).free < NO_ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def _check_ended(ended: Ended, log: Path, timeout: float) -> None:
    """Raise `OutcomeError` for a training that did not end well."""
    if ended.problem:
        raise OutcomeError(ended.problem)
    if ended.timed_out:
        raise OutcomeError(f"was not done after {timeout:g} seconds and was ended")
    if ended.status:
        last = _last_line(log)
        how = _killer(-ended.status) if ended.status < 0 else f"exit status {ended.status}"
        raise OutcomeError(f"{how}: {last}" if last else how)


def _killer(number: int) -> str:
    """By which signal a process was killed, and what that often means."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    often = ", as where memory runs out" if number == signal.SIGKILL else ""
    return f"was killed by {name}{often}"


def _last_line(log: Path) -> str:
    """The last line of a log that says something: of a traceback, the error."""
    text = log.read_bytes()[-8192:].decode("utf-8", errors="replace") if log.is_file() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _place(work: CellWork, own: Path) -> Place:
    """Paths of a training, its own copy of the labels written."""
    suffix = work.launcher.labels_format
    labels = own / f"labels.{suffix}"
    if suffix == "npy":
        np.save(labels, work.labels.labels)
    else:
        NoisyLabels(work.labels.labels, n_classes=work.labels.n_classes).save(labels)
    return Place(
        labels=labels,
        x_train=work.files["x_train"],
        x_test=work.files["x_test"],
        indices=work.files["indices"],
        out=own / "out",
        folder=own,
        seed=work.seed,
    )


def _environment(threads: int) -> dict[str, str]:
    """This environment, with what makes trainings repeatable where the user has not said.

    The threads that one may use, and the hashes of text, on which the order of a set depends.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    ours = dict.fromkeys(names, str(threads)) | {"PYTHONHASHSEED": "0"}
    return ours | dict(os.environ) | {"PYTHONUNBUFFERED": "1"}


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _write_shared(path: Path, array: NDArray[Any]) -> bool:
    """Write a read-only file of the array, unless it is there; whether it was written."""
    try:
        if hash_array(read_npy(path, mapped=True)) == hash_array(array):
            return False
    except (OSError, ValueError):
        pass
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    path.chmod(0o444)
    return True
