"""Loggers: the curves of a training, epoch by epoch, to TensorBoard, Weights & Biases or MLflow.

A `Logger` is what `fit` takes as ``watch``: it is called after each epoch with its number and the
values of the curves. ::

    with open_logger("tensorboard", LoggedRun(title="gce", folder=Path("runs/gce"))) as logger:
        GCE().fit(X, y, watch=logger)

Each service is an extra (``pip install 'mislabel[wandb]'``), imported when its logger is opened
and set up as the service itself says: ``WANDB_MODE``, ``WANDB_API_KEY``, ``MLFLOW_TRACKING_URI``.
To add one: a subclass, and a line in `LOGGERS`.

A training that was stopped and goes on continues its log: the same run, steps from where it
resumed. Steps count from 1, as epochs do wherever people read them.
"""

import contextlib
import importlib
import json
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mislabel.errors import InputError, did_you_mean

PROJECT = "mislabel"
"The project of Weights & Biases and the experiment of MLflow, where the user names none."
LONGEST_PARAMETER = 500
"Characters of a parameter's value that every version of MLflow takes."


@dataclass(frozen=True, kw_only=True)
class LoggedRun:
    """What a logger is told of a training.

    title: how it is called. folder: where a logger that writes files writes them. settings: JSON
    values, logged once. key: names the run, so that a resumed training finds its log again.
    """

    title: str
    folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    key: str = field(default_factory=lambda: secrets.token_hex(8))


class Logger(ABC):
    """Base class; see the module. A context manager that closes itself."""

    extra: str
    "The extra that brings its library."

    def __init__(self, run: LoggedRun) -> None:
        self.run = run

    def __call__(self, epoch: int, values: Mapping[str, float | None]) -> None:
        """Log the values of an epoch, counted from 0; None is left out."""
        self.log(epoch + 1, {n: float(v) for n, v in values.items() if v is not None})

    @abstractmethod
    def log(self, step: int, values: dict[str, float]) -> None:
        """Log values at a step, counted from 1."""

    @abstractmethod
    def close(self) -> None:
        """Write what is not written yet. The training has ended, or was stopped."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _module(self, name: str) -> Any:
        return import_extra(name, self.extra)


class TensorBoard(Logger):
    """Event files in ``folder/tensorboard``, for ``tensorboard --logdir FOLDER``."""

    extra = "tensorboard"

    def __init__(self, run: LoggedRun) -> None:
        super().__init__(run)
        self._writer_class = self._module("torch.utils.tensorboard").SummaryWriter
        self._writer: Any = None

    def log(self, step: int, values: dict[str, float]) -> None:
        if self._writer is None:
            # Purging hides what a stopped training logged after its last checkpoint.
            folder = str(self.run.folder / "tensorboard")
            self._writer = self._writer_class(log_dir=folder, purge_step=step)
            self._writer.add_text(
                "settings", f"```\n{json.dumps(self.run.settings, indent=2)}\n```"
            )
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class WeightsAndBiases(Logger):
    """A run of project "mislabel", or of ``WANDB_PROJECT``."""

    extra = "wandb"

    def __init__(self, run: LoggedRun) -> None:
        super().__init__(run)
        wandb = self._module("wandb")
        is_new = not run.folder.exists()
        run.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                name=run.title,
                id=run.key,
                resume="allow",
                dir=str(run.folder),
                config=dict(run.settings),
            )
        except wandb.errors.Error as error:
            if is_new:
                with contextlib.suppress(OSError):
                    run.folder.rmdir()
            raise InputError("logger", "wandb", _line(error)) from error

    def log(self, step: int, values: dict[str, float]) -> None:
        self._run.log(values, step=step)

    def close(self) -> None:
        self._run.finish()


class MLflow(Logger):
    """A run of experiment "mislabel", or of ``MLFLOW_EXPERIMENT_NAME``."""

    extra = "mlflow"

    def __init__(self, run: LoggedRun) -> None:
        super().__init__(run)
        mlflow = self._module("mlflow")
        try:
            self._client = mlflow.MlflowClient()
            self._run_id = self._found() or self._created()
        except mlflow.exceptions.MlflowException as error:
            raise InputError("logger", "mlflow", _line(error)) from error

    def log(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._client.log_metric(self._run_id, name, value, step=step)

    def close(self) -> None:
        self._client.set_terminated(self._run_id)

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        there = self._client.get_experiment_by_name(name)
        return str(self._client.create_experiment(name) if there is None else there.experiment_id)

    def _found(self) -> str | None:
        """The run of this training, where it was stopped before."""
        query = f"tags.mislabel_training = '{self.run.key}'"
        runs = self._client.search_runs([self._experiment()], filter_string=query)
        return str(runs[0].info.run_id) if runs else None

    def _created(self) -> str:
        tags = {"mislabel_training": self.run.key}
        made = self._client.create_run(self._experiment(), tags=tags, run_name=self.run.title)
        for name, value in self.run.settings.items():
            text = value if isinstance(value, str) else json.dumps(value)
            self._client.log_param(made.info.run_id, name, text[:LONGEST_PARAMETER])
        return str(made.info.run_id)


LOGGERS: dict[str, type[Logger]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}
"All loggers by name."


def open_logger(name: str, run: LoggedRun) -> Logger:
    """The logger of that name, for a run; an `InputError` where its extra is missing."""
    check_logger(name)
    return LOGGERS[name](run)


def check_logger(name: str) -> None:
    """Raise `InputError` for a logger that does not exist or is not installed; nothing is begun."""
    if name not in LOGGERS:
        raise InputError("logger", name, f"unknown choice; {did_you_mean(name, LOGGERS)}")
    import_extra(LOGGERS[name].extra, LOGGERS[name].extra)


def import_extra(module: str, extra: str) -> Any:
    """A module of an extra, or an `InputError` that says how to get it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        rule = f"is not installed; pip install 'mislabel[{extra}]'"
        raise InputError("logger", extra, rule) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
