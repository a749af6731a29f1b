"""A held-out test set for data that comes without one."""

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.seeds import generator


def stratified_split(
    labels: NDArray[np.int64], share: float, class_names: tuple[str, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of training and test examples, both ascending: a partition of all N.

    Each class gives round(share * n) of its n examples to the test set, but at least one, and
    keeps at least one. The draw is part of the data, so its seed is fixed.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    if counts.min() < 2:
        few = int(np.argmin(counts))
        noun = "example" if counts[few] == 1 else "examples"
        rule = f"has {counts[few]} {noun}; a held-out test set needs at least 2 of each class"
        raise InputError("data", f"class {class_names[few]!r}", rule)
    n_test = np.clip(np.rint(share * counts), 1, counts - 1)
    shuffled = generator(0, "held-out test set").permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    is_test = np.zeros(len(labels), dtype=bool)
    is_test[by_class] = rank < np.repeat(n_test, counts)
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)
