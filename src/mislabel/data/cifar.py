"""CIFAR-10 and CIFAR-100, from a folder in either of the two layouts in use.

``cifar100-coarse`` is CIFAR-100 with its 20 coarse labels, those of CIFAR-100N's
``noisy_coarse_label``.

The Hugging Face Hub's (``train-*.parquet``, ``test-*.parquet``) and the original one
(``data_batch_1`` ... or ``train``, ``test``, ``meta``), in the folder itself or where the
download puts them below it. The order of rows is kept, so label files line up. Nothing is
downloaded: without a path the folder is looked for in ``$MISLABEL_DATA`` and in the cache.
"""

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.cache import cache_folder
from mislabel.data import batches, parquet
from mislabel.data.cifar_names import CIFAR10_NAMES, CIFAR100_COARSE_NAMES, CIFAR100_NAMES
from mislabel.data.dataset import Dataset
from mislabel.data.source import SourceRecord
from mislabel.errors import InputError

SHAPE = (32, 32, 3)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where one of the CIFAR sets lies below a folder, and how it is called there.

    home: the folder's own name, in ``$MISLABEL_DATA`` and in the cache.
    """

    name: str
    home: str
    class_names: tuple[str, ...]
    label_columns: tuple[str, ...]
    parquet_folders: tuple[str, ...]
    original: batches.OriginalFiles
    hub: str


def load(layout: Layout, path: Path | None, image_size: int | None) -> Dataset:
    """Images uint8 (N, 32, 32, 3); those of the Parquet layout are decoded once, then cached."""
    folder = _default_folder(layout) if path is None else path
    if not folder.is_dir():
        raise InputError("data", str(folder), "no such folder")
    if (found := _folder_with(folder, layout.parquet_folders, "train-*.parquet")) is not None:
        return _from_parquet(layout, found)
    original = layout.original
    if (found := _folder_with(folder, (".", original.folder), original.meta)) is not None:
        n_classes = len(layout.class_names)
        arrays = batches.read_batches(found, original, n_classes)
        return _dataset(layout, *arrays, batches.read_class_names(found, original, n_classes))
    rule = f"holds neither train-*.parquet nor the files of {original.folder}"
    raise InputError("data", str(folder), rule)


def _from_parquet(layout: Layout, folder: Path) -> Dataset:
    arrays: list[NDArray[Any]] = []
    names = None
    for split in ("train", "test"):
        files = sorted(folder.glob(f"{split}-*.parquet"))
        if not files:
            raise InputError("data", str(folder), f"has no {split}-*.parquet")
        table = parquet.HubTable(files, layout.label_columns)
        arrays += [table.images(SHAPE), table.labels(len(layout.class_names))]
        names = names or table.class_names(len(layout.class_names))
    x_train, y_train, x_test, y_test = arrays
    return _dataset(layout, x_train, y_train, x_test, y_test, names or layout.class_names)


def _dataset(
    layout: Layout,
    x_train: NDArray[np.uint8],
    y_train: NDArray[np.int64],
    x_test: NDArray[np.uint8],
    y_test: NDArray[np.int64],
    class_names: tuple[str, ...],
) -> Dataset:
    return Dataset(
        name=layout.name,
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        class_names=class_names,
        train_indices=np.arange(len(y_train)),
        n_train_total=len(y_train),
        augment="crop-flip",
    )


def _folder_with(folder: Path, candidates: tuple[str, ...], pattern: str) -> Path | None:
    """The first of `candidates` below `folder` that has a file like `pattern`."""
    return next((folder / c for c in candidates if any((folder / c).glob(pattern))), None)


def _default_folder(layout: Layout) -> Path:
    places = [cache_folder() / layout.home]
    if root := os.environ.get("MISLABEL_DATA"):
        places.insert(0, Path(root) / layout.home)
    for place in places:
        if place.is_dir():
            return place
    rule = (
        f"not found in {' or '.join(map(str, places))}; download the Parquet files of "
        f"https://huggingface.co/datasets/{layout.hub} into the last of these, "
        f"or give their folder: {layout.name}:PATH"
    )
    raise InputError("data", layout.name, rule)


def _record(layout: Layout, title: str) -> SourceRecord:
    return SourceRecord(
        name=layout.name,
        title=title,
        paper="Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
        load=partial(load, layout),
        path="optional",
        example=f"{layout.name}:{layout.original.folder}",
    )


_CIFAR10 = Layout(
    name="cifar10",
    home="cifar10",
    class_names=CIFAR10_NAMES,
    label_columns=("label",),
    parquet_folders=(".", "plain_text", "data", "cifar10"),
    original=batches.OriginalFiles(
        folder="cifar-10-batches-py",
        train=tuple(f"data_batch_{i}" for i in range(1, 6)),
        test=("test_batch",),
        meta="batches.meta",
        label_key="labels",
        names_key="label_names",
    ),
    hub="uoft-cs/cifar10",
)
_CIFAR100 = Layout(
    name="cifar100",
    home="cifar100",
    class_names=CIFAR100_NAMES,
    label_columns=("fine_label", "label"),
    parquet_folders=(".", "cifar100", "plain_text", "data"),
    original=batches.OriginalFiles(
        folder="cifar-100-python",
        train=("train",),
        test=("test",),
        meta="meta",
        label_key="fine_labels",
        names_key="fine_label_names",
    ),
    hub="uoft-cs/cifar100",
)
_CIFAR100_COARSE = replace(
    _CIFAR100,
    name="cifar100-coarse",
    class_names=CIFAR100_COARSE_NAMES,
    label_columns=("coarse_label",),
    original=replace(_CIFAR100.original, label_key="coarse_labels", names_key="coarse_label_names"),
)

CIFAR10 = _record(_CIFAR10, "CIFAR-10: 50,000 + 10,000 images, 32 x 32, 10 classes")
CIFAR100 = _record(_CIFAR100, "CIFAR-100: 50,000 + 10,000 images, 32 x 32, 100 classes")
CIFAR100_COARSE = _record(
    _CIFAR100_COARSE, "CIFAR-100 with its 20 coarse classes: the same images, 5 classes in each"
)
