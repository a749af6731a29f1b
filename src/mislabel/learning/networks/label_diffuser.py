"""The network of LRA-Diffusion: it tells the noise in a label from the example and its features.

Three linear layers of width 512, each multiplied by a learned vector of the time and followed by
batch norm and softplus; the feature of the example is multiplied in after the first; features of
a pretrained encoder are put beside the noisy label at the input ("guidance"). Source: Chen et al.
2023, Figure 2 and the appendix on the implementation.

The last layer starts at zero, unlike there: the first step of DDIM divides the told noise by 0.15,
and a training too short to unlearn what the last layer was drawn as would answer with that.
"""

import contextlib
import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from mislabel.errors import InputError
from mislabel.learning.diffusion import LabelProcess
from mislabel.learning.networks import check_output

WIDTH = 512
TEMPERATURE = 0.1
"How far from 1 an entry of a label may lie: the class probabilities are a softmax of -(y-1)^2 / T."


class ConditionalLinear(nn.Module):
    """A linear layer whose output is multiplied by a vector that belongs to the time."""

    def __init__(self, inputs: int, outputs: int, steps: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.scale = nn.Embedding(steps, outputs)
        nn.init.uniform_(self.scale.weight)

    def forward(self, x: Tensor, times: Tensor) -> Tensor:
        found: Tensor = self.scale(times) * self.linear(x)
        return found


class NoiseMLP(nn.Module):
    """The noise (B, C) in labels (B, C), from guidance (B, g) and an image feature (B, WIDTH)."""

    def __init__(self, n_classes: int, n_guidance: int, steps: int) -> None:
        super().__init__()
        sizes = (n_classes + n_guidance, WIDTH, WIDTH)
        self.layers = nn.ModuleList(ConditionalLinear(size, WIDTH, steps) for size in sizes)
        self.norms = nn.ModuleList(nn.BatchNorm1d(WIDTH) for _ in sizes)
        self.feature_norm = nn.BatchNorm1d(WIDTH)
        self.head = nn.Linear(WIDTH, n_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, labels: Tensor, times: Tensor, guidance: Tensor, feature: Tensor) -> Tensor:
        x = torch.cat([labels, guidance], dim=1)
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = functional.softplus(norm(layer(x, times)))
            if number == 0:
                x = self.feature_norm(feature) * x
        noise: Tensor = self.head(x)
        return noise


class LabelDiffuser(nn.Module):
    """Image network, noise network and process; its output are logits of examples.

    image: a network whose output is the feature, (B, WIDTH); see `feature_network`.
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self, image: nn.Module, n_classes: int, n_guidance: int, process: LabelProcess
    ) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.image = image
        self.denoiser = NoiseMLP(n_classes, n_guidance, process.steps)
        self.process = process
        self.register_buffer("centre", torch.zeros(n_guidance))
        self.register_buffer("spread", torch.ones(()))

    def measure(self, guidance: Tensor) -> None:
        """Take the centre of guidance (N, g) and one scale: distances keep their ratios."""
        centred = guidance - guidance.mean(dim=0)
        size = centred.square().mean().sqrt()
        self.centre.copy_(guidance.mean(dim=0))
        self.spread.copy_(torch.where(size > 0, size, 1.0))

    def told_noise(
        self, labels: Tensor, times: Tensor, guidance: Tensor, feature: Tensor
    ) -> Tensor:
        """(B, C) float32 noise in labels (B, C) at times (B,)."""
        scaled = (guidance - self.centre) / self.spread
        noise: Tensor = self.denoiser(labels, times, scaled, feature)
        return noise.float()

    def denoised(self, guidance: Tensor, feature: Tensor, *, steps: int | None = None) -> Tensor:
        """(B, C) labels by DDIM from zero; y_0 as it is told after `steps` steps, or after all."""
        start = guidance.new_zeros((len(guidance), self.n_classes))

        def tell(labels: Tensor, time: int) -> Tensor:
            times = torch.full((len(labels),), time, device=labels.device)
            return self.told_noise(labels, times, guidance, feature)

        return self.process.denoised(tell, start, steps=steps)

    def forward(self, inputs: Tensor, guidance: Tensor) -> Tensor:
        """(B, C) logits: the class is the entry of the label that is nearest to 1."""
        return label_logits(self.denoised(guidance, self.image(inputs)))


def label_logits(labels: Tensor) -> Tensor:
    """(B, C) logits of label vectors (B, C), largest at the entry nearest to 1."""
    return -((labels - 1) ** 2) / TEMPERATURE


def feature_network(
    network: nn.Module, example_shape: tuple[int, ...], n_classes: int
) -> nn.Module:
    """A network (B, WIDTH) out of one that gives logits (B, C).

    The last linear layer with C outputs is replaced by one with WIDTH, as the original does with
    its ResNet. A network without such a layer keeps its logits, and a linear layer follows them.
    """
    if n_classes == WIDTH:
        return network
    wider = copy.deepcopy(network)
    last = None
    for name, layer in wider.named_modules():
        if type(layer) is nn.Linear and layer.out_features == n_classes:
            last = name, nn.Linear(layer.in_features, WIDTH)
    if last is not None:
        if not last[0]:
            return last[1]
        wider.set_submodule(*last)
        with contextlib.suppress(InputError):
            return check_output(wider, example_shape, WIDTH)
    return nn.Sequential(network, nn.Linear(n_classes, WIDTH))
