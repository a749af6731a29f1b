"""The profile of a set of noisy labels: rate, transitions, entropy, clustering.

The clustering index is how much likelier a neighbour of a flipped example is flipped than any
example: ``mean share of flipped among the k nearest neighbours of flipped examples / rate``. It
is 1 where flips fall anywhere. On the published map of CIFAR-10 and k = 10, human labels have 1.1
to 1.7 and CBN at 35 % has 2.4.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.features import nearest_neighbors
from mislabel.labels import NoisyLabels

NEIGHBORS = 10


def row_entropy(labels: NoisyLabels) -> float:
    """Mean entropy in bits of the rows of the transition matrix; 0 when no label is wrong."""
    matrix = labels.transition_matrix
    rows = matrix[np.isfinite(matrix).all(axis=1)]
    logs = np.log2(rows, out=np.zeros_like(rows), where=rows > 0)
    return float(-(rows * logs).sum(axis=1).mean()) + 0.0


def clustering_index(flipped: NDArray[np.bool_], neighbors: NDArray[np.int64]) -> float:
    """How clustered flips are; NaN without flips.

    flipped: (N,). neighbors: (N, k) indices of the nearest other examples.
    """
    if not flipped.any():
        return float("nan")
    return float(flipped[neighbors[flipped]].mean() / flipped.mean())


def describe_labels(
    labels: NoisyLabels, positions: ArrayLike | None = None, *, k: int = NEIGHBORS
) -> dict[str, Any]:
    """The profile of `labels` as JSON values, the receipt included.

    positions: (N, d) map or embedding for the clustering index, which is None without it.
    k: neighbours for that. Undefined figures (of an absent class, of no flips) are None.
    """
    index = None
    if positions is not None:
        _, neighbors = nearest_neighbors(positions, min(k, len(labels) - 1))
        index = clustering_index(labels.flipped, neighbors)
    matrix = [[_number(v) for v in row] for row in labels.transition_matrix.tolist()]
    return labels.receipt_json() | {
        "n_flipped": int(labels.flipped.sum()),
        "row_entropy_bits": row_entropy(labels),
        "clustering_index": _number(index),
        "transition_matrix": matrix,
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else value
