"""A reader that asks the training examples most like a digit which digit it is."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class DigitReader:
    """A vote of the nearest training examples."""

    def __init__(self, x: NDArray[Any], y: NDArray[Any], neighbours: int) -> None:
        self.known, self.neighbours = _flat(x), neighbours
        self.classes, self.places = np.unique(y, return_inverse=True)

    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        """The digit on each image, (N,)."""
        distances = (self.known**2).sum(axis=1) - 2 * _flat(x) @ self.known.T
        nearest = distances.argpartition(self.neighbours, axis=1)[:, : self.neighbours]
        votes = self.places[nearest][:, :, None] == np.arange(len(self.classes))
        return self.classes[votes.sum(axis=1).argmax(axis=1)]


def train(x: NDArray[Any], y: NDArray[Any], *, seed: int = 0, neighbours: int = 15) -> DigitReader:
    """A reader of digits like the images x with the labels y. Nothing in it is random."""
    return DigitReader(x, y, neighbours)


def _flat(x: NDArray[Any]) -> NDArray[np.float64]:
    return x.reshape(len(x), -1).astype(np.float64)
