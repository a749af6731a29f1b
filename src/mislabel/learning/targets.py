"""Soft neighbour targets: training targets from the labels of the nearest neighbours.

Source: Soft Neighbor Label Sampling (SNLS), Lim, Larson and Leach 2025: the target of example i is
``(1 - alpha) * (label frequencies of its k neighbours) + alpha * onehot(label of i)``, with
k = 100 and alpha = 0.3 in CLIP space. We leave an example out of its own neighbours, since alpha
already weighs its own label; the original counts it in.
"""

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError


def soft_neighbor_targets(
    labels: NDArray[np.int64], neighbors: NDArray[np.int64], n_classes: int, *, alpha: float = 0.3
) -> NDArray[np.float32]:
    """(N, C) targets, rows sum to 1.

    labels: (N,). neighbors: (N, k) indices of each example's neighbours. alpha: 0 to 1, weight
    of the example's own label.
    """
    check_alpha(alpha)
    n_examples, k = neighbors.shape
    rows = np.arange(n_examples)
    flat = (rows * n_classes)[:, None] + labels[neighbors]
    counts = np.bincount(flat.ravel(), minlength=n_examples * n_classes)
    targets: NDArray[np.float32] = counts.reshape(n_examples, n_classes).astype(np.float32) * (
        (1 - alpha) / k
    )
    targets[rows, labels] += np.float32(alpha)
    return targets


def usable_neighbors(k: int, n_examples: int, n_classes: int) -> int:
    """k, but at most half the mean size of a class (and at least 1).

    A small data set would otherwise blur its classes into each other.
    """
    if n_examples < 2:
        raise InputError("X", f"{n_examples} examples", "soft neighbour targets need 2")
    return min(k, max(1, n_examples // (2 * n_classes)))


def check_alpha(alpha: float) -> None:
    """The weight of the own label is a share."""
    if not 0 <= alpha <= 1:
        raise InputError("alpha", alpha, "must be between 0 and 1")
