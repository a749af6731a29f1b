"""What the linear probes share: their features, and probabilities from their scores.

Features are standardised over all examples, labels play no part in it; where there are more of
them than examples they are rotated onto the axes that the examples span, which changes no ridge
penalty and no score.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mislabel.memorization.scores import Floats

ROWS = 4096
"Rows that are converted to float64 at a time."
LARGEST_SCALE = 1000.0
"Of scores; with it a margin of 0.01 is near certain. Scores that separate all classes have none."


def design_matrix(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, r) standardised columns, r at most N; constant columns are left out."""
    design: NDArray[np.float32] = features[:, (features != features[0]).any(axis=0)]
    mean = design.mean(axis=0, dtype=np.float64)
    spread = design.std(axis=0, dtype=np.float64)
    for rows in blocks(len(design)):
        design[rows] = (design[rows] - mean) / spread
    if design.shape[0] < design.shape[1]:
        left, sizes, _ = np.linalg.svd(design.astype(np.float64), full_matrices=False)
        design = np.asarray(left * sizes, dtype=np.float32)
    return design


def blocks(n_examples: int) -> Iterator[slice]:
    """Slices of rows, in order."""
    for start in range(0, n_examples, ROWS):
        yield slice(start, min(start + ROWS, n_examples))


def moments(design: NDArray[np.float32], targets: Floats) -> tuple[Floats, Floats]:
    """X'X (d, d) and X'Y (d, C) in float64, of X (N, d) and Y (N, C)."""
    width = design.shape[1]
    gram, cross = np.zeros((width, width)), np.zeros((width, targets.shape[1]))
    for rows in blocks(len(design)):
        part = design[rows].astype(np.float64)
        gram += part.T @ part
        cross += part.T @ targets[rows]
    return gram, cross


def one_hot(labels: NDArray[np.int64], n_classes: int) -> Floats:
    """(N, C) ones at the labels."""
    return np.eye(n_classes)[labels]


def softmax(scores: Floats) -> Floats:
    """(N, C) rows that sum to 1."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def given_probability(scores: Floats, labels: NDArray[np.int64]) -> Floats:
    """(N,) softmax probability of each example's label."""
    return softmax(scores)[np.arange(len(labels)), labels]


def fit_scale(scores: Floats, labels: NDArray[np.int64]) -> float:
    """t, 0 to `LARGEST_SCALE`, for which softmax(t scores) gives the labels the largest likelihood.

    scores: (N, C) of examples that took no part in fitting them. 1 / t is the temperature of
    temperature scaling (Guo et al. 2017). The log-likelihood is concave in t, so its slope has one
    zero at most: found by Brent's method.
    """
    from scipy.optimize import brentq

    own = scores[np.arange(len(labels)), labels]

    def slope(scale: float) -> float:
        return float((own - np.einsum("ic,ic->i", softmax(scale * scores), scores)).mean())

    if slope(0.0) <= 0:
        return 0.0
    if slope(LARGEST_SCALE) >= 0:
        return LARGEST_SCALE
    return float(brentq(slope, 0.0, LARGEST_SCALE, xtol=1e-6))
