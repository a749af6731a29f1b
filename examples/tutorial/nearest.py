"""Read a digit by the training example that is nearest to it."""

import numpy as np


def train(x, y, *, seed):
    """Remember all examples x (N, 8, 8, 1) with their labels y (N,); return what predicts."""
    known = _flat(x)

    def predict(new):
        distances = (known**2).sum(axis=1) - 2 * _flat(new) @ known.T
        return y[distances.argmin(axis=1)]

    return predict


def _flat(x):
    return x.reshape(len(x), -1).astype(np.float64)
