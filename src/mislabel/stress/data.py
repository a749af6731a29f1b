"""The data of a stress test: a spec, a `Dataset`, or plain arrays."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.benchmark.inputs import InputOptions, LabelInputs, Say
from mislabel.data import Dataset
from mislabel.errors import InputError, did_you_mean
from mislabel.labels import as_array

_OPTIONS = tuple(field.name for field in fields(InputOptions) if field.name != "data")


def make_inputs(
    data: Any, options: Mapping[str, Any], say: Say
) -> tuple[LabelInputs, NDArray[Any] | None]:
    """Inputs of the draws, and (C,) the user's own class values where the data are arrays.

    options: fields of `InputOptions` but data; sizes of subsets and images go with a spec alone.
    """
    for name in options:
        if name not in _OPTIONS:
            raise InputError(name, options[name], f"unknown option; {did_you_mean(name, _OPTIONS)}")
    if isinstance(data, str):
        return LabelInputs.load(InputOptions(data=data, **options), say), None
    dataset, classes = (data, None) if isinstance(data, Dataset) else from_arrays(data)
    for name in ("subset", "test_subset", "image_size"):
        if options.get(name) is not None:
            raise InputError(name, options[name], "goes with a data spec; cut the data yourself")
    inputs = LabelInputs(InputOptions(data=dataset.name, **options), dataset, say)
    _ = inputs.given_map, inputs.given_features, inputs.given_probabilities
    return inputs, classes


def from_arrays(data: Any) -> tuple[Dataset, NDArray[Any]]:
    """A `Dataset` of x_train, y_train, x_test, y_test, and its (C,) sorted class values."""
    if not isinstance(data, tuple | list) or len(data) != 4:
        rule = "must be a data spec, a Dataset, or (x_train, y_train, x_test, y_test)"
        raise InputError("data", type(data).__name__, rule)
    x_train, x_test = _examples(data[0], "x_train"), _examples(data[2], "x_test")
    y_train, y_test = _class_values(data[1], "y_train"), _class_values(data[3], "y_test")
    for x, y, name in ((x_train, y_train, "train"), (x_test, y_test, "test")):
        if y.ndim != 1 or x.ndim < 2 or len(x) != len(y) or not len(y):
            rule = f"must be x (n, ...) and y (n,) of one length; x_{name} has {x.shape}"
            raise InputError(f"y_{name}", y.shape, rule)
    classes, labels = np.unique(y_train, return_inverse=True)
    unknown = np.setdiff1d(y_test, classes)
    if len(unknown):
        raise InputError("y_test", unknown[0].item(), "is a class that y_train does not have")
    if len(classes) < 2:
        raise InputError("y_train", len(classes), "must have at least 2 classes")
    dataset = Dataset(
        name="arrays",
        x_train=x_train,
        y_train=labels.astype(np.int64),
        x_test=x_test,
        y_test=np.searchsorted(classes, y_test).astype(np.int64),
        class_names=tuple(map(str, classes.tolist())),
        train_indices=np.arange(len(x_train)),
        n_train_total=len(x_train),
    )
    return dataset, classes


def _examples(values: Any, name: str) -> NDArray[Any]:
    array = as_array(values, name)
    if array.dtype.kind not in "fiub":
        raise InputError(name, f"dtype {array.dtype}", "must be an array of numbers")
    return array


def _class_values(values: Any, name: str) -> NDArray[Any]:
    """Whole numbers, finite numbers or text; text in an array of objects becomes an array of it."""
    array = as_array(values, name)
    if array.dtype.kind == "O" and all(isinstance(value, str) for value in array.ravel()):
        array = array.astype(np.str_)
    if array.dtype.kind not in "fiubU" or (
        array.dtype.kind == "f" and not np.isfinite(array).all()
    ):
        raise InputError(name, f"dtype {array.dtype}", "must be finite numbers or text")
    return array
