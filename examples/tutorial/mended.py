"""Read a digit by a vote of the 15 training examples that are nearest to it."""

import numpy as np

NEIGHBOURS = 15


def train(x, y, *, seed):
    """Remember all examples x (N, 8, 8, 1) with their labels y (N,); return what predicts."""
    known = _flat(x)

    def predict(new):
        distances = (known**2).sum(axis=1) - 2 * _flat(new) @ known.T
        nearest = distances.argpartition(NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        votes = (y[nearest][:, :, None] == np.arange(10)).sum(axis=1)
        return votes.argmax(axis=1)

    return predict


def _flat(x):
    return x.reshape(len(x), -1).astype(np.float64)
