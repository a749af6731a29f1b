"""`Dataset`: training and test examples with clean labels, and where they came from."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.files import hash_array, hash_json
from mislabel.seeds import generator


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Training and test examples of a classification problem.

    Images are uint8 of shape (N, height, width, channels), features float32 of shape (N, d).
    Labels are int64 from 0 to C - 1 and taken to be clean.

    name: the name in ``--data``, without a path ("cifar10").
    class_names: one per class; their number is C.
    train_indices: (N,) positions of the training examples in the full training set, ascending,
        so that label files, maps and embeddings of the full set stay aligned in a subset.
    n_train_total: size of that full training set.
    augment: whether crop and flip leave the class unchanged ("crop-flip") or not ("none").
    """

    name: str
    x_train: NDArray[Any]
    y_train: NDArray[np.int64]
    x_test: NDArray[Any]
    y_test: NDArray[np.int64]
    class_names: tuple[str, ...]
    train_indices: NDArray[np.int64]
    n_train_total: int
    augment: str = "none"

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    @property
    def is_image(self) -> bool:
        return self.x_train.ndim == 4

    def __len__(self) -> int:
        return len(self.y_train)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the content: examples, labels, indices, class names."""
        arrays = (self.x_train, self.y_train, self.x_test, self.y_test, self.train_indices)
        return hash_json([*map(hash_array, arrays), list(self.class_names), self.augment])

    def subset(self, size: int, *, seed: int) -> "Dataset":
        """A class-balanced random subset of `size` training examples; the test set is kept.

        Classes get size/C examples each, one more or less; a class that has fewer gives all it
        has and the others share the difference. The order of the training set is kept.
        Error: `InputError` when `size` is no whole number from C to N.
        """
        chosen = _balanced(self.y_train, size, self.n_classes, seed, "subset")
        return replace(
            self,
            x_train=self.x_train[chosen],
            y_train=self.y_train[chosen],
            train_indices=self.train_indices[chosen],
        )

    def test_subset(self, size: int, *, seed: int) -> "Dataset":
        """A class-balanced random subset of `size` test examples, as `subset` takes of training.

        An accuracy p then has a standard error of sqrt(p (1 - p) / size) from the choice alone;
        trainings that are compared on the same examples share most of it.
        """
        chosen = _balanced(self.y_test, size, self.n_classes, seed, "test_subset")
        return replace(self, x_test=self.x_test[chosen], y_test=self.y_test[chosen])

    def align(self, values: NDArray[Any], name: str) -> NDArray[Any]:
        """Rows of `values` for this data's training examples.

        `values` has one row per example of the full training set or of this subset; any other
        length is an `InputError` that names `name`.
        """
        if len(values) == self.n_train_total:
            return values[self.train_indices]
        if len(values) == len(self):
            return values
        sizes = f"{len(self)}"
        if self.n_train_total != len(self):
            sizes += f" (this subset) or {self.n_train_total} (the full training set)"
        raise InputError(name, f"{len(values)} rows", f"must have one row per example: {sizes}")


def _balanced(
    labels: NDArray[np.int64], size: int, n_classes: int, seed: int, name: str
) -> NDArray[np.int64]:
    """Ascending positions of a class-balanced random choice of `size` of `labels`."""
    whole = isinstance(size, int | np.integer) and not isinstance(size, bool)
    if not whole or not n_classes <= size <= len(labels):
        rule = f"must be a whole number from {n_classes} (classes) to {len(labels)} (examples)"
        raise InputError(name, size, rule)
    rng = generator(seed, name)
    # Deal the examples of each class out in random order, class by class in rounds: an
    # example's round is its rank within its class, and the first `size` are kept.
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.bincount(labels, minlength=n_classes)
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    tie = rng.permutation(n_classes)[labels[by_class]]
    chosen: NDArray[np.int64] = np.sort(by_class[np.lexsort((tie, rank))[:size]])
    return chosen
