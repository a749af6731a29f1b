"""A folder of images with one folder per class.

``PATH/train/<class>/*`` and ``PATH/test/<class>/*`` when both are there; otherwise
``PATH/<class>/*``, of which a fifth of each class is held out for testing, always the same.
Classes and files are sorted by name. Hidden files and files with other suffixes are left out;
a link that leads out of the folder is refused.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from mislabel.cache import cached_array
from mislabel.data.dataset import Dataset
from mislabel.data.images import Header, decode_images, read_headers
from mislabel.data.source import SourceRecord
from mislabel.data.split import stratified_split
from mislabel.errors import InputError
from mislabel.files import check_unpacked, hash_file, hash_json

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".ppm"}
TEST_SHARE = 0.2
AUGMENT_FROM = 24
"Shorter side in pixels from which on crop and flip are taken to keep the class."

Listing = dict[str, list[Path]]
"Files by class name, both sorted."


def load(path: Path | None, image_size: int | None) -> Dataset:
    """Images uint8 (N, height, width, channels), one channel when all images are grey.

    image_size: the shorter side of each image is resized to it and the centre is cropped;
        None when all images have the same size.
    """
    assert path is not None
    if not path.is_dir():
        raise InputError("data", str(path), "no such folder")
    files, labels, n_train, class_names = _arrange(path)
    images = _cached_images(path, files, image_size)
    return Dataset(
        name="folder",
        x_train=images[:n_train],
        y_train=labels[:n_train],
        x_test=images[n_train:],
        y_test=labels[n_train:],
        class_names=class_names,
        train_indices=np.arange(n_train),
        n_train_total=n_train,
        augment="crop-flip" if min(images.shape[1:3]) >= AUGMENT_FROM else "none",
    )


def _arrange(root: Path) -> tuple[list[Path], NDArray[np.int64], int, tuple[str, ...]]:
    """Files and labels, those for training first, and how many these are."""
    if (root / "train").is_dir() and (root / "test").is_dir():
        train, test = (_list_classes(root / part, root) for part in ("train", "test"))
        if train.keys() != test.keys():
            odd = ", ".join(map(repr, sorted(train.keys() ^ test.keys())))
            raise InputError("data", str(root), f"train and test differ in classes: {odd}")
        files, labels = _flatten(train)
        test_files, test_labels = _flatten(test)
        return files + test_files, np.concatenate([labels, test_labels]), len(files), tuple(train)
    listing = _list_classes(root, root)
    files, labels = _flatten(listing)
    kept, held_out = stratified_split(labels, TEST_SHARE, tuple(listing))
    order = np.concatenate([kept, held_out])
    return [files[i] for i in order], labels[order], len(kept), tuple(listing)


def _flatten(listing: Listing) -> tuple[list[Path], NDArray[np.int64]]:
    sizes = [len(files) for files in listing.values()]
    files = [file for files in listing.values() for file in files]
    return files, np.repeat(np.arange(len(sizes)), sizes)


def _list_classes(folder: Path, root: Path) -> Listing:
    classes = [entry for entry in _visible(folder, root) if entry.is_dir()]
    if len(classes) < 2:
        rule = f"needs a folder of images for each of at least 2 classes; has {len(classes)}"
        raise InputError("data", str(folder), rule)
    listing = {entry.name: _list_images(entry, root) for entry in classes}
    for name, files in listing.items():
        if not files:
            suffixes = " ".join(sorted(SUFFIXES))
            raise InputError("data", str(folder / name), f"has no image ({suffixes})")
    return listing


def _list_images(folder: Path, root: Path) -> list[Path]:
    entries = _visible(folder, root)
    return [entry for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file()]


def _visible(folder: Path, root: Path) -> list[Path]:
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise InputError("data", str(folder), f"cannot be listed ({error.strerror})") from error
    real_root = root.resolve()
    for entry in entries:
        if entry.is_symlink() and not entry.resolve().is_relative_to(real_root):
            raise InputError("data", str(entry), "is a link that leads out of the folder")
    return entries


def _cached_images(root: Path, files: list[Path], size: int | None) -> NDArray[np.uint8]:
    """All images, from the cache when these contents have been decoded before."""
    key = {"files": _hash_files(files), "image_size": size, "pillow": PIL.__version__}
    return cached_array("folder-images", key, lambda: _decode(root, files, size), mapped=True)


def _decode(root: Path, files: list[Path], size: int | None) -> NDArray[np.uint8]:
    def read(i: int) -> bytes:
        return files[i].read_bytes()

    def source(i: int) -> str:
        return str(files[i])

    headers = read_headers(len(files), read, source)
    channels = 1 if all(header.grey for header in headers) else 3
    if size is None:
        _check_sizes(root, files, headers)
    height, width = (headers[0].height, headers[0].width) if size is None else (size, size)
    shape = (height, width, channels)
    try:
        packed = sum(file.stat().st_size for file in files)
        check_unpacked(len(files) * height * width * channels, packed)
    except ValueError as error:
        raise InputError("data", str(root), str(error)) from error
    return decode_images(len(files), read, source, shape=shape, fit=size is not None)


def _check_sizes(root: Path, files: list[Path], headers: list[Header]) -> None:
    first = headers[0]
    for file, header in zip(files, headers, strict=True):
        if header[:2] != first[:2]:
            one = f"{first.width}x{first.height} ({files[0].relative_to(root)})"
            two = f"{header.width}x{header.height} ({file.relative_to(root)})"
            rule = f"images differ in size: {one} and {two}; give image_size"
            raise InputError("data", str(root), rule)


def _hash_files(files: list[Path]) -> str:
    try:
        with ThreadPoolExecutor() as pool:
            return hash_json(list(pool.map(hash_file, files)))
    except OSError as error:
        raise InputError("data", str(error.filename), f"cannot be read ({error})") from error


RECORD = SourceRecord(
    name="folder",
    title="Image folder: one folder per class",
    paper="the layout of torchvision's ImageFolder",
    load=load,
    path="required",
    example="folder:photos",
    resizes=True,
)
