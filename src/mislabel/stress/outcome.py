"""What a training left behind: predictions or metrics, read and checked.

A training is given the path OUT. It leaves one file there, ``OUT`` itself or ``OUT.npy``,
``OUT.csv`` or ``OUT.json``, or a folder ``OUT`` with any of these:

| file | content |
|---|---|
| ``predictions`` | of the M test examples: classes (M,), or C probabilities or scores for each |
| ``train_predictions`` | the same of the N training examples, for what is fitted |
| ``metrics.json`` | figures by name, ``{"f1": 0.83}`` |

A single file holds predictions; a single JSON file may hold all three, under these names, and a
JSON object of numbers is metrics. Classes are numbers from 0 to C - 1, or class names in text; text
that is numbers is taken as numbers. In a CSV file a header may be there or not; of several columns
that which it calls prediction counts, and columns that it calls by the names of the classes are
put into their order.

What cannot be read, or is no answer (NaN, wrong shape, the same class for everything) is an
`OutcomeError`, which makes a failed cell. Nothing that a training writes is executed or unpickled,
what is not a plain file is not opened, and no more is read than the answer could take.
"""

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.files import read_npy

SUFFIXES = ("", ".npy", ".csv", ".json")
BYTES_PER_NUMBER = 64
"So many at most, in a file of one number per example and class."
BYTES_BESIDES = 16 * 2**20
MAX_METRICS = 1000
_NAMES = ("predictions", "train_predictions")
_PREDICTED = ("prediction", "predictions", "predicted", "pred", "label")
"Headers of the column of predictions in a CSV file, the first that is there."


class OutcomeError(Exception):
    """Why what a training left is no result, on one line."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a training gave.

    predictions: (M,) classes of the test examples, or None where only metrics came.
    train_predictions: (N,) of the training examples, or None. metrics: the training's own.
    """

    predictions: NDArray[np.int64] | None
    train_predictions: NDArray[np.int64] | None
    metrics: Mapping[str, float]


def read_outcome(out: Path, *, n_test: int, n_train: int, class_names: tuple[str, ...]) -> Outcome:
    """Read what a training left at `out`; see the module. Raises `OutcomeError`."""
    counts = dict(zip(_NAMES, (n_test, n_train), strict=True))
    reader = _Reader(counts=counts, class_names=class_names)
    try:
        found = reader.folder(out) if out.is_dir() else reader.single(out)
    except OSError as error:
        raise OutcomeError(f"its result cannot be read ({error.strerror or error})") from error
    classes = {
        name: _classes(found[name], count, class_names, name)
        for name, count in counts.items()
        if name in found
    }
    predictions = classes.get("predictions")
    metrics = _metrics(found.get("metrics", {}))
    if predictions is None and not metrics:
        raise OutcomeError("left neither predictions nor metrics")
    if predictions is not None:
        _check_constant(predictions, class_names)
    return Outcome(
        predictions=predictions,
        train_predictions=classes.get("train_predictions"),
        metrics=metrics,
    )


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Reads files into raw values: arrays, lists, or objects of a single JSON file.

    counts: rows of predictions, by name.
    """

    counts: Mapping[str, int]
    class_names: tuple[str, ...]

    def single(self, out: Path) -> dict[str, Any]:
        """The content of the one file at `out`, with or without a suffix."""
        paths = [out.with_name(out.name + suffix) for suffix in SUFFIXES]
        there = _one([path for path in paths if path.is_file()])
        if there is None:
            raise OutcomeError("left no result at {out}")
        value = self._read(there, "predictions")
        if not isinstance(value, dict):
            return {"predictions": value}
        figures = {key: inner for key, inner in value.items() if key not in (*_NAMES, "metrics")}
        own = value.get("metrics", {})
        if not isinstance(own, dict):
            raise OutcomeError("metrics must be figures by name")
        return {name: value[name] for name in _NAMES if name in value} | {"metrics": figures | own}

    def folder(self, out: Path) -> dict[str, Any]:
        """The contents of the files in the folder `out`."""
        found: dict[str, Any] = {}
        for name in (*_NAMES, "metrics"):
            paths = [out / f"{name}{suffix}" for suffix in SUFFIXES[1:]]
            there = _one([path for path in paths if path.is_file()])
            if there is not None:
                found[name] = self._read(there, name)
        if not found:
            names = ", ".join((*_NAMES, "metrics"))
            raise OutcomeError(f"left none of {names} in the folder {{out}}")
        return found

    def _read(self, path: Path, name: str) -> Any:
        """The content of a file, by what it begins with: NPY, JSON or CSV."""
        try:
            with path.open("rb") as file:
                start = file.read(64)
            if start.startswith(b"\x93NUMPY"):
                return read_npy(path, mapped=True)
            if not start:
                raise OutcomeError(f"{path.name} is empty")
            if path.suffix == ".npy":
                raise OutcomeError(f"{path.name} is no .npy")
            if path.stat().st_size > self._most_bytes:
                raise OutcomeError(f"{path.name} is larger than {self._most_bytes >> 20} MiB")
            text = path.read_text("utf-8-sig")
            if text.lstrip()[:1] in ("{", "["):
                return json.loads(text)
            return self._csv(text, path.name, self.counts.get(name, 1))
        except (ValueError, OSError, RecursionError, csv.Error) as error:
            why = " ".join(str(error).split())
            raise OutcomeError(f"{path.name} cannot be read ({why})") from error

    @property
    def _most_bytes(self) -> int:
        """How large a text of all predictions, as probabilities, could be."""
        numbers = sum(self.counts.values()) * (len(self.class_names) + 1)
        return BYTES_BESIDES + BYTES_PER_NUMBER * numbers

    def _csv(self, text: str, name: str, count: int) -> Any:
        """Metrics of one row of figures under a header; predictions of all else."""
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
        if not rows:
            raise OutcomeError(f"{name} is empty")
        if len({len(row) for row in rows}) > 1:
            raise OutcomeError(f"{name} has rows of different lengths")
        head = [cell.strip() for cell in rows[0]]
        titled = self._is_header(head) or len(rows) == count + 1
        columns = [[cell.strip() for cell in column] for column in zip(*rows[titled:], strict=True)]
        lower = [word.lower() for word in head] if titled else []
        for word in _PREDICTED:
            if word in lower and columns:
                return columns[lower.index(word)]
        if titled and len(rows) == 2 and self._is_header(head):
            return {"metrics": {h: _number(c[0]) for h, c in zip(head, columns, strict=True)}}
        if len(columns) == 1:
            return columns[0]
        if titled and sorted(head) == sorted(self.class_names):
            columns = [columns[head.index(title)] for title in self.class_names]
        return [[_number(cell) for cell in row] for row in zip(*columns, strict=True)]

    def _is_header(self, row: list[str]) -> bool:
        """Whether a row has words; one class name alone may be a prediction."""
        return not all(map(_is_number, row)) and (len(row) > 1 or row[0] not in self.class_names)


def _one(paths: list[Path]) -> Path | None:
    """The one path of several that could be, if there is one."""
    if len(paths) > 1:
        raise OutcomeError(f"left several results: {', '.join(path.name for path in paths)}")
    return paths[0] if paths else None


def _classes(value: Any, count: int, class_names: tuple[str, ...], name: str) -> NDArray[np.int64]:
    """(count,) classes of predictions in any allowed form."""
    array = _numeric(_shaped(value, count, len(class_names), name), class_names, name)
    finite = np.isfinite(array)
    if not finite.all():
        bad = int(np.argmin(finite.reshape(count, -1).all(axis=1)))
        raise OutcomeError(f"{name} are not finite, first in row {bad}")
    if array.ndim == 2:
        largest: NDArray[np.int64] = array.argmax(axis=1).astype(np.int64)
        return largest
    wrong = (array < 0) | (array >= len(class_names)) | (array != np.floor(array))
    if wrong.any():
        shown = array[int(wrong.argmax())]
        rule = f"must be classes from 0 to {len(class_names) - 1}"
        raise OutcomeError(f"{name} hold {shown:g}; {rule}")
    return array.astype(np.int64)


def _shaped(value: Any, count: int, n_classes: int, name: str) -> NDArray[Any]:
    """(count,) or (count, C) values, whatever they are; checked before they are copied."""
    try:
        array: NDArray[Any] = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise OutcomeError(f"{name} are no array of numbers ({error})") from error
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or len(array) != count:
        rule = f"must have one row per example: {count}"
        raise OutcomeError(f"{name} have shape {array.shape}; {rule}")
    if array.ndim == 2 and array.shape[1] != n_classes:
        rule = f"must have one per class: {n_classes}"
        raise OutcomeError(f"{name} have {array.shape[1]} columns; {rule}")
    if array.dtype.kind not in "fiubU" or array.itemsize > 4096:
        raise OutcomeError(f"{name} are of type {array.dtype}; must be numbers")
    return array


def _numeric(array: NDArray[Any], class_names: tuple[str, ...], name: str) -> NDArray[np.float64]:
    """Numbers as they are; text as the numbers that it is, or as the classes that it names."""
    if array.dtype.kind != "U":
        return array.astype(np.float64)
    words, inverse = np.unique(array, return_inverse=True)
    places = {title: place for place, title in enumerate(class_names)}
    others = [word for word in words.tolist() if not _is_number(word)]
    unknown = [word for word in others if word not in places]
    if unknown:
        shown = f"{unknown[0][:40]!r}, which is neither a number nor a class"
        raise OutcomeError(f"{name} hold {shown}")
    named = [places[w] if others and w in places else _number(w) for w in words.tolist()]
    return np.array(named, dtype=np.float64)[inverse.reshape(array.shape)]


def _check_constant(predictions: NDArray[np.int64], class_names: tuple[str, ...]) -> None:
    if len(predictions) > 1 and len(class_names) > 1 and (predictions == predictions[0]).all():
        shown = class_names[int(predictions[0])]
        raise OutcomeError(f"predictions are constant: class {shown!r} for every test example")


def _metrics(value: Any) -> dict[str, float]:
    """Figures by name; anything that is no finite number is an error."""
    if not isinstance(value, dict):
        raise OutcomeError('metrics must be figures by name, as in {"f1": 0.83}')
    if len(value) > MAX_METRICS:
        raise OutcomeError(f"left {len(value)} metrics; must be at most {MAX_METRICS}")
    return {str(key): _figure(str(key), figure) for key, figure in value.items()}


def _figure(name: str, value: Any) -> float:
    if not name.isprintable() or not 0 < len(name) <= 80:
        rule = "must be a name of at most 80 characters that can be printed"
        raise OutcomeError(f"metric {name[:40]!r} {rule}")
    try:
        figure = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, OverflowError):
        figure = math.nan
    if not math.isfinite(figure):
        raise OutcomeError(f"metric {name[:40]!r} is {str(value)[:40]}; must be finite")
    return figure


def _is_number(text: str) -> bool:
    return math.isfinite(_number(text)) or text.strip().lower() in ("nan", "inf", "-inf")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
