"""One cell: start the training, read what it left, measure it, store it."""

import os
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
from mislabel.stress.metrics import accuracy_per_class, confusion, figures, fitted
from mislabel.stress.outcome import OutcomeError, read_outcome
from mislabel.stress.store import StressFolder
from mislabel.stress.subjects import Launcher, Metric, Place
from mislabel.stress.supervise import Ended, supervised


@dataclass(frozen=True, kw_only=True)
class SharedFiles:
    """The examples in files that all trainings map, and how to see that nobody changed them."""

    x_train: Path
    x_test: Path
    indices: Path

    @classmethod
    def write(cls, dataset: Dataset) -> "SharedFiles":
        """Files in the cache, or those that are there already with this content."""
        folder = cache_folder().absolute() / f"stress-{dataset.fingerprint[:32]}"
        arrays = {
            "x_train": dataset.x_train,
            "x_test": dataset.x_test,
            "indices": dataset.train_indices,
        }
        return cls(**{name: _shared(folder / f"{name}.npy", a) for name, a in arrays.items()})

    def state(self) -> list[tuple[int, int, int]]:
        """Inode, size and time of change of each: another after any write."""
        found = [path.stat() for path in (self.x_train, self.x_test, self.indices)]
        return [(s.st_ino, s.st_size, s.st_mtime_ns) for s in found]


@dataclass(frozen=True, kw_only=True)
class CellWork:
    """Everything that a worker needs for one training."""

    cell: str
    config: Mapping[str, Any]
    folder: Path
    launcher: Launcher
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
        log, out = temporary / "log.txt", temporary / "out"
        place = _place(work, temporary, out)
        before = work.files.state()
        ended = supervised(
            work.launcher.words(place),
            log=log,
            timeout=work.timeout,
            env=_environment(work.threads),
            cwd=Path.cwd(),
        )
        result: dict[str, Any] = {"seconds": ended.seconds, "metrics": {}, "accuracy_per_class": []}
        predictions = None
        try:
            _check_ended(ended, log, work.timeout)
            if work.files.state() != before:
                raise OutcomeError("changed the files of the examples, which all trainings share")
            predictions, found = _measure(work, out)
            result |= found | {"failure": None}
        except OutcomeError as bad:
            result |= {"failure": str(bad)}
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
    name = work.metric[0]
    if name not in found["metrics"]:
        known = ", ".join(sorted(found["metrics"]))
        raise OutcomeError(f"gave no metric {name!r}, only {known}")
    return outcome.predictions, found


def _own_metric(work: CellWork, predictions: NDArray[np.int64]) -> dict[str, float]:
    """The user's metric function on the predictions."""
    name, function = work.metric
    if function is None:
        return {}
    try:
        value = float(function(work.y_test.copy(), predictions.copy()))
    except Exception as error:
        raise OutcomeError(f"metric {name} raised {type(error).__name__}: {error}") from error
    if not np.isfinite(value):
        raise OutcomeError(f"metric {name} is {value}; must be finite")
    return {name: value}


def _check_ended(ended: Ended, log: Path, timeout: float) -> None:
    """Raise `OutcomeError` for a training that did not end well."""
    if ended.problem:
        raise OutcomeError(ended.problem)
    if ended.timed_out:
        raise OutcomeError(f"was not done after {timeout:g} seconds and was ended")
    if ended.status:
        last = _last_line(log)
        killed = ended.status < 0
        how = f"was killed by signal {-ended.status}" if killed else f"exit status {ended.status}"
        raise OutcomeError(f"{how}: {last}" if last else how)


def _last_line(log: Path) -> str:
    """The last line of a log that says something: of a traceback, the error."""
    text = log.read_bytes()[-8192:].decode("utf-8", errors="replace") if log.is_file() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _place(work: CellWork, temporary: Path, out: Path) -> Place:
    """Paths of a training, its own copy of the labels written."""
    suffix = work.launcher.labels_format
    labels = temporary / f"labels.{suffix}"
    if suffix == "npy":
        np.save(labels, work.labels.labels)
    else:
        NoisyLabels(work.labels.labels, n_classes=work.labels.n_classes).save(labels)
    return Place(
        labels=labels,
        x_train=work.files.x_train,
        x_test=work.files.x_test,
        indices=work.files.indices,
        out=out,
        folder=temporary,
        seed=work.seed,
    )


def _environment(threads: int) -> dict[str, str]:
    """This environment, with the threads that a training may use where the user has not said."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {name: str(threads) for name in names} | dict(os.environ) | {"PYTHONUNBUFFERED": "1"}


def _shared(path: Path, array: NDArray[Any]) -> Path:
    """A read-only file of the array at `path`; one that is there is kept if it has the content."""
    try:
        if hash_array(read_npy(path, mapped=True)) == hash_array(array):
            return path
    except (OSError, ValueError):
        pass
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    path.chmod(0o444)
    return path
