"""ResNet-34 with the CIFAR stem: a 3x3 convolution of stride 1 and no pooling at the start.

Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; the stem is the one
that is usual for 32 x 32 images.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (64, 128, 256, 512)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out)) + self.shortcut(x)
        return functional.relu(out)


class ResNet(nn.Module):
    """Stem, four stages of basic blocks, global average, linear."""

    def __init__(self, channels: int, blocks: Sequence[int], n_classes: int) -> None:
        super().__init__()
        width = WIDTHS[0]
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        stages: list[nn.Module] = []
        for stage, (outputs, count) in enumerate(zip(WIDTHS, blocks, strict=True)):
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                stages.append(BasicBlock(width, outputs, stride))
                width = outputs
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        features = self.stages(self.stem(x)).mean(dim=(2, 3))
        logits: Tensor = self.head(features)
        return logits


def build_resnet34(example_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """ResNet-34: stages of 3, 4, 6 and 3 blocks."""
    return ResNet(example_shape[2], (3, 4, 6, 3), n_classes)
