"""A problem on which Standard fits every wrong label: blobs, 40 % of the labels wrong at random."""

from typing import Any

import numpy as np
from learning_examples import blobs
from numpy.typing import NDArray

from mislabel.learning import Evaluation, NoisyLabelClassifier, Recipe

N_CLASSES = 4


def noisy_blobs(n: int) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Features eight deviations apart in ten dimensions, labels of which 40 % are wrong, truth."""
    x, clean = blobs(n, N_CLASSES, width=10)
    rng = np.random.default_rng(0)
    wrong = rng.permutation(n) < 0.4 * n
    labels = np.where(wrong, (clean + rng.integers(1, N_CLASSES, n)) % N_CLASSES, clean)
    return x, labels, clean


def train_long(
    *methods: NoisyLabelClassifier, n: int, epochs: int
) -> list[tuple[NoisyLabelClassifier, dict[str, Any]]]:
    """Each method after `epochs` on `noisy_blobs`, and where its curves end."""
    x, labels, clean = noisy_blobs(n)
    fresh, truth = blobs(2_000, N_CLASSES, width=10, seed=1)
    long = Recipe(network="mlp", epochs=epochs, batch_size=32, learning_rate=0.02)
    seen = Evaluation(x_test=fresh, y_test=truth, clean_labels=clean)
    found = []
    for method in methods:
        method.set_params(recipe=long, device="cpu").fit(x, labels, evaluation=seen)
        found.append((method, {name: curve[-1] for name, curve in method.curves_.items()}))
    return found
