"""The one gate for labels: length, range, integrality."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.errors import InputError

MAX_CLASSES = 1_000_000


def check_labels(
    labels: ArrayLike,
    *,
    name: str = "labels",
    n_examples: int | None = None,
    n_classes: int | None = None,
) -> NDArray[np.int64]:
    """Labels as a read-only int64 vector (N,), or an `InputError` that says what is wrong.

    name: how the argument is called in the message.
    n_examples, n_classes: when given, the length must be and the values must be below.
    """
    if n_classes is not None:
        check_count(n_classes, "n_classes")
    array = _integral(as_array(labels, name), name)
    if array.ndim != 1:
        raise InputError(name, f"shape {array.shape}", "must be one-dimensional")
    if len(array) == 0:
        raise InputError(name, "[]", "must not be empty")
    if n_examples is not None and len(array) != n_examples:
        raise InputError(name, f"{len(array)} labels", f"must have length {n_examples}")
    limit = MAX_CLASSES if n_classes is None else n_classes
    outside = np.flatnonzero((array < 0) | (array >= limit))
    if len(outside):
        first = int(outside[0])
        rule = f"at index {first}; must be between 0 and {limit - 1}"
        raise InputError(name, int(array[first]), rule)
    checked = array.astype(np.int64)
    checked.flags.writeable = False
    return checked


def check_count(value: Any, name: str) -> int:
    """A number of things: a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise InputError(name, value, "must be a whole number of at least 1")
    return int(value)


def as_array(values: ArrayLike, name: str) -> NDArray[Any]:
    """`values` as an array; rows of different lengths are an `InputError`."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(name, "ragged rows", "must have equal lengths") from error


def _integral(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.dtype.kind in "iu":
        return array
    if array.dtype.kind != "f":
        raise InputError(name, f"dtype {array.dtype}", "must be whole numbers")
    bad = np.flatnonzero(~np.isfinite(array.ravel()) | (array.ravel() != np.trunc(array.ravel())))
    if len(bad):
        first = int(bad[0])
        rule = f"at index {first}; must be a whole number"
        raise InputError(name, float(array.ravel()[first]), rule)
    if array.size and np.abs(array).max() > 2**53:
        raise InputError(name, float(np.abs(array).max()), "is too large for a label")
    return array
