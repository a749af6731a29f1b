"""PreAct ResNet-34 with the CIFAR stem: batch norm and ReLU stand before each convolution.

Source: He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016. A block adds to its
input without a ReLU behind the sum, so that the shortcut is the identity from end to end; where
the shape changes, the shortcut is a 1x1 convolution of the activated input. The last sum is
normalised and activated before the average, as in the paper.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (64, 128, 256, 512)


class PreActBlock(nn.Module):
    """Norm, ReLU, 3x3 convolution, twice, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = functional.relu(self.bn1(x))
        kept: Tensor = x if self.shortcut is None else self.shortcut(active)
        out: Tensor = self.conv2(functional.relu(self.bn2(self.conv1(active))))
        return kept + out


class PreActResNet(nn.Module):
    """Stem, four stages of blocks, norm, ReLU, global average, linear."""

    def __init__(self, channels: int, blocks: Sequence[int], n_classes: int) -> None:
        super().__init__()
        width = WIDTHS[0]
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        stages: list[nn.Module] = []
        for stage, (outputs, count) in enumerate(zip(WIDTHS, blocks, strict=True)):
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                stages.append(PreActBlock(width, outputs, stride))
                width = outputs
        self.stages = nn.Sequential(*stages)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        features = functional.relu(self.norm(self.stages(self.stem(x)))).mean(dim=(2, 3))
        logits: Tensor = self.head(features)
        return logits


def build_preact_resnet34(example_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """PreAct ResNet-34: stages of 3, 4, 6 and 3 blocks."""
    return PreActResNet(example_shape[2], (3, 4, 6, 3), n_classes)
