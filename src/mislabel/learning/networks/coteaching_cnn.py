"""The two networks of Co-teaching+: LeNet-like for few classes, six convolutions for many.

Source: Yu et al., "How does Disagreement Help Generalization against Label Corruption?", ICML
2019, table of architectures: for CIFAR-10 two 5x5 convolutions of 6 and 16 channels, then 120, 84
and C units; for CIFAR-100 3x3 convolutions of 64, 64, 128, 128, 196 and 16 channels with batch
norm, halved after each pair, then C units. Other image sizes change the first linear layer alone.
"""

from torch import nn

LENET_WIDTHS = (6, 16, 120, 84)
CONV6_WIDTHS = (64, 128, 196, 16)
SMALLEST_SIDE_LENET = 16
SMALLEST_SIDE_CONV6 = 8
MANY_CLASSES = 20


def build_lenet(example_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """The LeNet-like network for images of at least 16 x 16; 62,006 weights for CIFAR-10."""
    height, width, channels = example_shape
    first, second, third, fourth = LENET_WIDTHS
    left = _lenet_side(height) * _lenet_side(width)
    return nn.Sequential(
        nn.Conv2d(channels, first, 5),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 5),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(second * left, third),
        nn.ReLU(inplace=True),
        nn.Linear(third, fourth),
        nn.ReLU(inplace=True),
        nn.Linear(fourth, n_classes),
    )


def build_conv6(example_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """The six convolutions for images of at least 8 x 8."""
    height, width, channels = example_shape
    first, second, third, last = CONV6_WIDTHS
    return nn.Sequential(
        *_pair(channels, first, first),
        *_pair(first, second, second),
        *_pair(second, third, last),
        nn.Flatten(),
        nn.Linear(last * (height // 8) * (width // 8), n_classes),
    )


def build_by_classes(example_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """As the paper chooses for CIFAR-10 and CIFAR-100: six convolutions beyond 20 classes."""
    build = build_conv6 if n_classes > MANY_CLASSES else build_lenet
    return build(example_shape, n_classes)


def _lenet_side(side: int) -> int:
    """What two 5x5 convolutions without padding, each halved, leave of a side."""
    return ((side - 4) // 2 - 4) // 2


def _pair(inputs: int, middle: int, outputs: int) -> list[nn.Module]:
    """Two 3x3 convolutions with batch norm and ReLU, then half the side."""
    return [
        nn.Conv2d(inputs, middle, 3, padding=1),
        nn.BatchNorm2d(middle),
        nn.ReLU(inplace=True),
        nn.Conv2d(middle, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    ]
