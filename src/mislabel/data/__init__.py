"""Where examples come from: one file per source, and `load_data` that reads a spec.

A new source is one file with a `RECORD` and one entry in `SOURCES` below.
"""

from pathlib import Path

from mislabel.data import cifar, digits, folder, npz
from mislabel.data.dataset import Dataset
from mislabel.data.source import SourceRecord
from mislabel.errors import InputError
from mislabel.registry import Registry
from mislabel.seeds import check_seed

__all__ = ["SOURCES", "Dataset", "SourceRecord", "load_data", "source_help"]

SOURCES: Registry[SourceRecord] = Registry(
    "data",
    [
        digits.RECORD,
        cifar.CIFAR10,
        cifar.CIFAR100,
        cifar.CIFAR100_COARSE,
        folder.RECORD,
        npz.RECORD,
    ],
)
MAX_IMAGE_SIZE = 4096


def load_data(
    spec: str,
    *,
    subset: int | None = None,
    test_subset: int | None = None,
    seed: int = 0,
    image_size: int | None = None,
) -> Dataset:
    """The data that `spec` names: ``NAME`` or ``NAME:PATH``, see `source_help`.

    subset, test_subset: keep class-balanced random subsets of so many training and test examples.
    seed: seed of these subsets.
    image_size: height and width that images of an image folder are brought to.
    Error: `InputError` with argument "data" when there is no such data or it is broken.
    """
    check_seed(seed)
    name, colon, path = str(spec).partition(":")
    source = SOURCES[name]
    if colon and source.path == "none":
        raise InputError("data", spec, f"{name} takes no path")
    if not path and (colon or source.path == "required"):
        raise InputError("data", spec, f"needs a path, such as {source.example}")
    _check_image_size(image_size, source)
    data = source.load(Path(path).expanduser() if path else None, image_size)
    data = data if subset is None else data.subset(subset, seed=seed)
    return data if test_subset is None else data.test_subset(test_subset, seed=seed)


def source_help() -> str:
    """All forms of a spec on one line: ``digits | cifar10[:PATH] | ...``."""
    return " | ".join(source.usage for source in SOURCES)


def _check_image_size(image_size: int | None, source: SourceRecord) -> None:
    if image_size is None:
        return
    if not source.resizes:
        rule = f"is for image folders; the examples of {source.name} are taken as they are"
        raise InputError("image_size", image_size, rule)
    whole = isinstance(image_size, int) and not isinstance(image_size, bool)
    if not whole or not 1 <= image_size <= MAX_IMAGE_SIZE:
        raise InputError("image_size", image_size, f"must be between 1 and {MAX_IMAGE_SIZE}")
