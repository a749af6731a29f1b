"""What a training left behind: predictions or metrics, read and checked.

A training is given the path OUT. It leaves one file there, ``OUT`` itself or ``OUT.npy``,
``OUT.csv`` or ``OUT.json``, or a folder ``OUT`` with any of these:

| file | content |
|---|---|
| ``predictions`` | of the M test examples: classes (M,), or C probabilities or scores for each |
| ``train_predictions`` | the same of the N training examples, for what is fitted |
| ``metrics.json`` | figures by name, ``{"f1": 0.83}`` |

A single file holds predictions; a single JSON file may hold all three, under these names, and a
JSON object of numbers is metrics. Classes are numbers from 0 to C - 1, or class names in text.
What cannot be read, or is no answer (NaN, wrong shape, the same class for everything) is a
`OutcomeError`, which makes a failed cell. Nothing that a training writes is executed or unpickled.
"""

import csv
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
MAX_TEXT_BYTES = 512 * 2**20
_NAMES = ("predictions", "train_predictions")


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
    found = _read_folder(out) if out.is_dir() else _read_single(out)
    counts = dict(zip(_NAMES, (n_test, n_train), strict=True))
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


def _read_single(out: Path) -> dict[str, Any]:
    there = [path for suffix in SUFFIXES if (path := out.with_name(out.name + suffix)).is_file()]
    if not there:
        raise OutcomeError("left no result at {out}")
    if len(there) > 1:
        raise OutcomeError(f"left several results: {', '.join(path.name for path in there)}")
    value = _read(there[0])
    if not isinstance(value, dict):
        return {"predictions": value}
    figures = {key: inner for key, inner in value.items() if key not in (*_NAMES, "metrics")}
    own = value.get("metrics", {})
    if not isinstance(own, dict):
        raise OutcomeError("metrics must be figures by name")
    return {name: value[name] for name in _NAMES if name in value} | {"metrics": figures | own}


def _read_folder(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in (*_NAMES, "metrics"):
        there = [p for suffix in SUFFIXES[1:] if (p := out / f"{name}{suffix}").is_file()]
        if len(there) > 1:
            raise OutcomeError(f"left several results: {', '.join(path.name for path in there)}")
        if there:
            found[name] = _read(there[0])
    if not found:
        raise OutcomeError(f"left none of {', '.join((*_NAMES, 'metrics'))} in the folder {{out}}")
    return found


def _read(path: Path) -> Any:
    """The content of a file, by what it begins with: NPY, JSON or CSV."""
    with path.open("rb") as file:
        start = file.read(64)
    try:
        if start.startswith(b"\x93NUMPY"):
            return read_npy(path)
        if path.suffix == ".npy" or not start:
            raise OutcomeError(f"{path.name} is empty" if not start else f"{path.name} is no .npy")
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise OutcomeError(f"{path.name} is larger than {MAX_TEXT_BYTES >> 20} MiB")
        text = path.read_text("utf-8")
        return json.loads(text) if start.lstrip()[:1] in (b"{", b"[") else _csv(text, path.name)
    except (ValueError, OSError, RecursionError) as error:
        raise OutcomeError(
            f"{path.name} cannot be read ({' '.join(str(error).split())})"
        ) from error


def _csv(text: str, name: str) -> Any:
    """Metrics of one row of figures under a header; predictions of all else.

    Of several columns those are taken that are called prediction or label, or else all of them, as
    the probabilities of classes.
    """
    rows = [row for row in csv.reader(text.splitlines()) if row]
    if not rows:
        raise OutcomeError(f"{name} is empty")
    head = [cell.strip() for cell in rows[0]]
    titled = not all(map(_is_number, head)) and (len(rows) > 1 or len(head) > 1)
    body = rows[1:] if titled else rows
    if len({len(row) for row in rows}) > 1:
        raise OutcomeError(f"{name} has rows of different lengths")
    if titled and len(body) == 1 and not {"prediction", "label"} & set(map(str.lower, head)):
        return {"metrics": dict(zip(head, map(_number, body[0]), strict=True))}
    lower = [word.lower() for word in head] if titled else []
    chosen = [lower.index(word) for word in ("prediction", "predictions", "label", "predicted")
              if word in lower]  # fmt: skip
    columns = [[row[i].strip() for row in body] for i in chosen[:1] or range(len(head))]
    if len(columns) == 1:
        return columns[0]
    return [[_number(cell) for cell in row] for row in zip(*columns, strict=True)]


def _classes(value: Any, count: int, class_names: tuple[str, ...], name: str) -> NDArray[np.int64]:
    """(count,) classes of predictions in any allowed form."""
    array = _array(value, class_names, name)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or len(array) != count:
        rule = f"must have one row per example: {count}"
        raise OutcomeError(f"{name} have shape {array.shape}; {rule}")
    if not np.isfinite(array).all():
        bad = int(np.argmin(np.isfinite(array.reshape(count, -1)).all(axis=1)))
        raise OutcomeError(f"{name} are not finite, first in row {bad}")
    if array.ndim == 2:
        if array.shape[1] != len(class_names):
            rule = f"must have one per class: {len(class_names)}"
            raise OutcomeError(f"{name} have {array.shape[1]} columns; {rule}")
        largest: NDArray[np.int64] = array.argmax(axis=1).astype(np.int64)
        return largest
    classes = array.astype(np.int64)
    wrong = (classes != array) | (classes < 0) | (classes >= len(class_names))
    if wrong.any():
        shown = array[int(wrong.argmax())]
        rule = f"must be classes from 0 to {len(class_names) - 1}"
        raise OutcomeError(f"{name} hold {shown:g}; {rule}")
    return classes


def _array(value: Any, class_names: tuple[str, ...], name: str) -> NDArray[np.float64]:
    """Numbers as an array, or names of classes as their numbers."""
    try:
        array = np.asarray(value)
        if array.dtype.kind == "U":
            return _named(array, class_names, name)
        if array.dtype.kind not in "fiub":
            raise OutcomeError(f"{name} are of type {array.dtype}; must be numbers")
        return array.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise OutcomeError(f"{name} are no array of numbers ({error})") from error


def _named(array: NDArray[Any], class_names: tuple[str, ...], name: str) -> NDArray[np.float64]:
    """Text as the classes that it names, or as numbers where it is none."""
    places = {title: place for place, title in enumerate(class_names)}
    words, inverse = np.unique(array, return_inverse=True)
    if set(words.tolist()) <= places.keys():
        numbers = np.array([places[word] for word in words.tolist()], dtype=np.float64)
    else:
        bad = [w for w in words.tolist() if not _is_number(w)]
        if bad:
            raise OutcomeError(
                f"{name} hold {bad[0][:40]!r}, which is neither a number nor a class"
            )
        numbers = words.astype(np.float64)
    return numbers[inverse.reshape(array.shape)]


def _check_constant(predictions: NDArray[np.int64], class_names: tuple[str, ...]) -> None:
    if len(predictions) > 1 and len(class_names) > 1 and (predictions == predictions[0]).all():
        shown = class_names[int(predictions[0])]
        raise OutcomeError(f"predictions are constant: class {shown!r} for every test example")


def _metrics(value: Any) -> dict[str, float]:
    """Figures by name; anything that is no finite number is an error."""
    if not isinstance(value, dict):
        raise OutcomeError('metrics must be figures by name, as in {{"f1": 0.83}}')
    for key, figure in value.items():
        numeric = isinstance(figure, int | float) and not isinstance(figure, bool)
        if not numeric or not math.isfinite(figure):
            raise OutcomeError(f"metric {str(key)[:40]!r} is {str(figure)[:40]}; must be finite")
    return {str(key): float(figure) for key, figure in value.items()}


def _is_number(text: str) -> bool:
    return math.isfinite(_number(text)) or text.strip().lower() in ("nan", "inf", "-inf")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
