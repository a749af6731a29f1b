"""Plain arrays in an ``.npz`` file: ``x_train, y_train, x_test, y_test`` and ``class_names``.

Images are uint8 of shape (N, height, width, channels) or (N, height, width); anything else is
features, numbers of shape (N, d). Class names are optional. No pickle is ever read.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.data.dataset import Dataset
from mislabel.data.file_labels import check_file_labels
from mislabel.data.source import SourceRecord
from mislabel.errors import InputError
from mislabel.files import error_line, open_npz

KEYS = ("x_train", "y_train", "x_test", "y_test")
NAMES_KEY = "class_names"
AUGMENT_FROM = 24


def load(path: Path | None, image_size: int | None) -> Dataset:
    """Images uint8 (N, height, width, channels) or features float32 (N, d), as the file has."""
    assert path is not None
    arrays = _read(path)
    x_train, x_test = (_examples(arrays[key], key, path) for key in ("x_train", "x_test"))
    if x_train.shape[1:] != x_test.shape[1:]:
        rule = f"x_train {x_train.shape} and x_test {x_test.shape} must agree but for the length"
        raise InputError("data", str(path), rule)
    y_train = check_file_labels(
        arrays["y_train"], path=path, column="y_train", n_examples=len(x_train)
    )
    class_names = _class_names(arrays.get(NAMES_KEY), int(y_train.max()) + 1, path)
    y_test = check_file_labels(
        arrays["y_test"],
        path=path,
        column="y_test",
        n_examples=len(x_test),
        n_classes=len(class_names),
    )
    return Dataset(
        name="npz",
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        class_names=class_names,
        train_indices=np.arange(len(y_train)),
        n_train_total=len(y_train),
        augment=_augment(x_train),
    )


def _read(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise InputError("data", str(path), "no such file")
    if not zipfile.is_zipfile(path):
        raise InputError("data", str(path), "is not an .npz file, or it is cut short")
    key = "content"
    try:
        with open_npz(path) as archive:
            missing = [key for key in KEYS if key not in archive.files]
            if missing:
                found = ", ".join(archive.files) or "nothing"
                rule = f"has no {', '.join(missing)}; it holds {found}"
                raise InputError("data", str(path), rule)
            arrays = {}
            for key in (*KEYS, NAMES_KEY):
                if key in archive.files:
                    arrays[key] = np.asarray(archive[key])
            return arrays
    except InputError:
        raise
    except (ValueError, OSError) as error:
        text = error_line(error)
        if "Object arrays" in text:
            text = "it holds pickled objects, which are never loaded"
        raise InputError("data", str(path), f"its {key} cannot be read ({text})") from error


def _examples(array: NDArray[Any], key: str, path: Path) -> NDArray[Any]:
    """Images uint8 (N, H, W, channels) or finite features float32 (N, d)."""
    if array.ndim in (3, 4) and array.dtype == np.uint8:
        images = array[..., None] if array.ndim == 3 else array
        if images.shape[3] not in (1, 3) or 0 in images.shape:
            rule = f"{key} has shape {array.shape}; images are (N, height, width, 1 or 3 channels)"
            raise InputError("data", str(path), rule)
        return images
    if array.ndim != 2 or array.dtype.kind not in "biuf" or 0 in array.shape:
        found = f"{array.dtype} of shape {array.shape}"
        rule = f"{key} is {found}; must be images (uint8, N first) or features (numbers, (N, d))"
        raise InputError("data", str(path), rule)
    return _finite(array, key, path)


def _finite(array: NDArray[Any], key: str, path: Path) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        features = array.astype(np.float32)
    bad = np.argwhere(~np.isfinite(features))
    if len(bad):
        index = tuple(map(int, bad[0]))
        value = array[index]
        raise InputError("data", str(path), f"{key} has {value} at {index}; must be finite")
    return features


def _class_names(names: NDArray[Any] | None, n_used: int, path: Path) -> tuple[str, ...]:
    if names is None:
        if n_used < 2:
            raise InputError("data", str(path), "y_train has 1 class; must have at least 2")
        return tuple(map(str, range(n_used)))
    if names.ndim != 1 or names.dtype.kind != "U":
        raise InputError("data", str(path), f"{NAMES_KEY} must be a vector of strings")
    class_names = tuple(map(str, names))
    if len(set(class_names)) != len(class_names):
        raise InputError("data", str(path), f"{NAMES_KEY} must differ from one another")
    if len(class_names) < max(n_used, 2):
        rule = f"has {len(class_names)} {NAMES_KEY} for {n_used} classes in y_train"
        raise InputError("data", str(path), rule)
    return class_names


def _augment(images: NDArray[Any]) -> str:
    colour = images.ndim == 4 and images.shape[3] == 3
    return "crop-flip" if colour and min(images.shape[1:3]) >= AUGMENT_FROM else "none"


RECORD = SourceRecord(
    name="npz",
    title="Plain arrays in an .npz file",
    paper="the format of numpy.savez",
    load=load,
    path="required",
    example="npz:arrays.npz",
)
