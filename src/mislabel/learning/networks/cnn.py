"""A small convolutional network that suits a CPU: five 3x3 convolutions, 0.28 M weights.

Wide where the image is small: 32 channels at full size, then 64 and 128 after pooling, batch norm
after each convolution and the maximum over space at the end.
"""

from torch import nn

WIDTHS = (32, 64, 128)
SMALLEST_SIDE = 8


def build(example_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """The network for images of at least 8 x 8."""
    first, second, third = WIDTHS
    return nn.Sequential(
        *_block(example_shape[2], first, pool=True),
        *_block(first, second, pool=True),
        *_block(second, second, pool=False),
        *_block(second, third, pool=True),
        *_block(third, third, pool=False),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(third, n_classes),
    )


def _block(inputs: int, outputs: int, *, pool: bool) -> list[nn.Module]:
    """Convolution, maybe pooling (before the norm, where it is cheaper), norm, ReLU."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    pooling = [nn.MaxPool2d(2)] if pool else []
    return [convolution, *pooling, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
