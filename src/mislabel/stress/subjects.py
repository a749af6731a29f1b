"""What is trained: a Python function or estimator, a command, or a reference method of ours.

Each says what its results depend on (`code`), and becomes a `Launcher`, which writes the command of
one training. So all run the same way, under `mislabel.stress.supervise`.

To add a way in: a class with `title`, `code` and `launcher`.
"""

import inspect
import json
import pickletools
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError, did_you_mean
from mislabel.files import atomic_path, hash_array, write_json
from mislabel.stress import child
from mislabel.stress.code import Dependencies, callable_code, command_code, is_importable

LABEL_FORMATS = ("npy", "csv", "parquet", "pt")
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Paths and seed of one training; those of the examples are shared and read-only.

    labels: (N,) in the format of the subject. indices: (N,) places of the training examples in the
    full training set. out: where the result goes (`mislabel.stress.outcome`). folder: for anything
    else.
    """

    labels: Path
    x_train: Path
    x_test: Path
    indices: Path
    out: Path
    folder: Path
    seed: int


PLACEHOLDERS = {
    "labels": "the file of labels to train on",
    "seed": "the seed of the training, a whole number",
    "out": "where to leave predictions or metrics: OUT, OUT.npy, OUT.csv, OUT.json or a folder OUT",
    "x_train": "the training examples, .npy",
    "x_test": "the test examples, .npy",
    "indices": "places of the training examples in the full training set, .npy",
}
"What a command may name in braces."


class Launcher(Protocol):
    """Writes the command of one training; goes to the workers."""

    @property
    def labels_format(self) -> str:
        """The format that it wants labels in."""

    def words(self, place: Place) -> list[str]:
        """The command of a training; may write files into its folder."""


class Code(Protocol):
    """Code under test."""

    @property
    def title(self) -> str:
        """A name for people."""

    def code(self) -> Dependencies:
        """What results depend on besides data, labels and seed, as JSON values."""

    def launcher(self, scratch: Path) -> Launcher:
        """How it is started; `scratch` is a folder for what all trainings share."""


@dataclass(frozen=True)
class Command:
    """A program of the user's: ``python train.py --labels {labels} --seed {seed} --out {out}``.

    template: the command, with the names of `PLACEHOLDERS` in braces (``{{`` is a brace). Its words
    are split as a shell would, but no shell runs, unless `shell`. labels_format: "npy" (N,) whole
    numbers, "csv", "parquet" or "pt"; only the labels to train on are in it. In a shell the names
    stand for quoted paths: put no quotes around them. code_files: files and
    folders that the results depend on, besides those that the command names and their imports.
    """

    template: str
    shell: bool = False
    labels_format: str = "npy"
    code_files: Sequence[Path] = ()

    def __post_init__(self) -> None:
        if "\0" in self.template:
            raise InputError("train", self.template, "must be text without NUL")
        if self.labels_format not in LABEL_FORMATS:
            hint = did_you_mean(self.labels_format, LABEL_FORMATS)
            raise InputError("labels_format", self.labels_format, f"unknown format; {hint}")
        named = self._named
        for name in sorted(named - PLACEHOLDERS.keys()):
            rule = f"unknown name {{{name}}}; {did_you_mean(name, PLACEHOLDERS)}"
            raise InputError("train", self.template, rule)
        for name in ("labels", "out"):
            if name not in named:
                rule = f"must name {{{name}}}: {PLACEHOLDERS[name]}"
                raise InputError("train", self.template, rule)
        self._split()

    @property
    def title(self) -> str:
        return self.template

    @property
    def takes_seed(self) -> bool:
        """Whether the command is told the seed; else only its labels differ between seeds."""
        return "seed" in self._named

    @property
    def _named(self) -> set[str]:
        """Names of placeholders in the template."""
        return {match[1] for match in _PLACEHOLDER.finditer(self.template) if match[1]}

    def code(self) -> Dependencies:
        found = command_code(self.template, Path.cwd(), extra=self.code_files)
        return found | {"shell": self.shell, "labels_format": self.labels_format}

    def launcher(self, scratch: Path) -> Launcher:
        return self

    def words(self, place: Place) -> list[str]:
        values = {name: str(value) for name, value in asdict(place).items()}
        if self.shell:
            quoted = {name: shlex.quote(value) for name, value in values.items()}
            return ["/bin/sh", "-c", _fill(self.template, quoted)]
        return [_fill(word, values) for word in self._split()]

    def _split(self) -> list[str]:
        try:
            return [self.template] if self.shell else shlex.split(self.template)
        except ValueError as error:
            raise InputError("train", self.template, f"cannot be split ({error})") from error


@dataclass(frozen=True, kw_only=True)
class PythonCode:
    """A function ``train(x, y, *, seed)`` that returns a model or a predictor, or an estimator.

    extra: further keyword arguments of the function. classes: (C,) the user's class values, which
    labels are given as; None for 0 to C - 1. predict_train: also predict the training examples, to
    see what is fitted.
    """

    function: Any
    title: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    classes: NDArray[Any] | None = None
    predict_train: bool = True
    code_files: Sequence[Path] = ()

    def code(self) -> Dependencies:
        found = callable_code(self.function, extra=self.code_files)
        given = {name: _hashed(value) for name, value in sorted(self.extra.items())}
        classes = None if self.classes is None else self.classes.tolist()
        return found | {"extra": given, "classes": classes, "predict_train": self.predict_train}

    def launcher(self, scratch: Path) -> Launcher:
        path = scratch / "function.pkl"
        with atomic_path(path) as temporary:
            temporary.write_bytes(_pickled(self.function, self.extra))
        classes = None
        if self.classes is not None:
            classes = scratch / "classes.npy"
            np.save(classes, self.classes)
        return PythonLauncher(
            function=path, classes=classes, predict_train=self.predict_train, sys_path=[*sys.path]
        )


@dataclass(frozen=True, kw_only=True)
class PythonLauncher:
    """Starts the script `mislabel.stress.child` with a job file."""

    function: Path
    classes: Path | None
    predict_train: bool
    sys_path: Sequence[str]
    labels_format: str = "npy"

    def words(self, place: Place) -> list[str]:
        job = place.folder / "job.json"
        given = asdict(self) | asdict(place) | {"sys_path": [str(Path(p)) for p in self.sys_path]}
        write_json(job, {k: str(v) if isinstance(v, Path) else v for k, v in given.items()})
        return [sys.executable, "-P", child.__file__, str(job)]


def make_code(
    train: Any,
    *,
    classes: NDArray[Any] | None = None,
    predict_train: bool = True,
    code_files: Sequence[Path] = (),
) -> "Command | PythonCode":
    """The code under test in any of its forms; see `mislabel.stress.run`."""
    if isinstance(train, Command):
        return train
    function = load_function(train) if isinstance(train, str) else train
    _check_function(function)
    return PythonCode(
        function=function,
        title=train if isinstance(train, str) else _title(function),
        classes=classes,
        predict_train=predict_train,
        code_files=code_files,
    )


def load_function(spec: str, argument: str = "train") -> Any:
    """What ``module:name`` names; the current folder is searched too."""
    module, colon, name = spec.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        raise InputError(argument, spec, "must be module:function, or a command that has {labels}")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    from importlib import import_module

    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:
        rule = f"cannot be loaded ({type(error).__name__}: {error})"
        raise InputError(argument, spec, rule) from error
    return found


def _check_function(function: Any) -> None:
    """Raise `InputError` for what cannot be called as ``train(x, y, seed=...)``."""
    if child.is_estimator(function):
        return
    rule = "must be a function train(x, y, *, seed), an estimator with fit, or a Command"
    if not callable(function):
        raise InputError("train", function, rule)
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return  # of some built-in functions nobody knows
    try:
        signature.bind(None, None, seed=0)
    except TypeError as error:
        raise InputError("train", _title(function), f"{rule} ({error})") from error


def _pickled(function: Any, extra: Mapping[str, Any]) -> bytes:
    """Function and arguments as bytes; modules that a new process could not import go along."""
    import cloudpickle

    along: list[Any] = []
    try:
        while alone := _alone(cloudpickle.dumps(function), along):
            for module in alone:
                cloudpickle.register_pickle_by_value(module)
            along += alone
        return bytes(cloudpickle.dumps((function, dict(extra))))
    except Exception as error:
        rule = f"cannot be sent to another process ({type(error).__name__}: {error})"
        raise InputError("train", _title(function), rule) from error
    finally:
        for module in along:
            cloudpickle.unregister_pickle_by_value(module)


def _alone(content: bytes, along: Sequence[Any]) -> list[Any]:
    """Modules that a pickle may name and that a new process could not import.

    along: those that are in it already.
    """
    texts = {value for _, value, _ in pickletools.genops(content) if isinstance(value, str)}
    named = filter(inspect.ismodule, (sys.modules[t] for t in sorted(texts & sys.modules.keys())))
    return [module for module in named if module not in along and not is_importable(module)]


def _title(function: Any) -> str:
    if child.is_estimator(function):
        return " ".join(repr(function).split())[:120]
    return str(getattr(function, "__qualname__", None) or type(function).__qualname__)


def _hashed(value: Any) -> Any:
    return hash_array(value) if isinstance(value, np.ndarray) else json.loads(json.dumps(value))


def _fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with the names in braces replaced, and double braces by single ones."""

    def replaced(match: re.Match[str]) -> str:
        return values[match[1]] if match[1] else match[0][0]

    return _PLACEHOLDER.sub(replaced, text)
