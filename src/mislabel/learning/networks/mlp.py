"""A multilayer perceptron for feature vectors and tiny images: two hidden layers of 128."""

from math import prod

from torch import nn

HIDDEN = 128


def build(example_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """The MLP; images are flattened."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(prod(example_shape), HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, n_classes),
    )
