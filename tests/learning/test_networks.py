"""Networks: sizes, shapes, and what they refuse."""

import pytest
import torch
from torch import nn

from mislabel.errors import InputError
from mislabel.learning.networks import NETWORKS, build_network, check_network
from mislabel.learning.networks.preact_resnet import PreActBlock, PreActResNet
from mislabel.learning.problem import random_state


def size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_resnet34_has_the_known_number_of_weights() -> None:
    """21,282,122: the 21,797,672 of ImageNet's, with the CIFAR stem and ten classes.

    The stem has 9 instead of 49 weights for each of 3 x 64 pairs of channels (7,680 fewer); the
    head has 512 x 990 weights and 990 biases fewer (507,870).
    """
    assert size(build_network("resnet34", (32, 32, 3), 10)) == 21_797_672 - 7_680 - 507_870
    assert size(build_network("resnet34", (32, 32, 3), 10)) == 21_282_122


def test_preact_resnet34_has_the_number_of_weights_worked_by_hand() -> None:
    """Convolutions as ResNet-34's; norms stand before them, none in the shortcuts, one at the end.

    16 blocks of two 3x3 convolutions; norms are as wide as what they are given, so a block's
    two have its inputs and its outputs.
    """
    blocks = [(64, 64)] * 3 + [(64, 128)] + [(128, 128)] * 3
    blocks += [(128, 256)] + [(256, 256)] * 5 + [(256, 512)] + [(512, 512)] * 2
    convolutions = 9 * 3 * 64 + sum(9 * (i * o + o * o) for i, o in blocks)
    shortcuts = sum(i * o for i, o in blocks if i != o)
    norms = sum(2 * (i + o) for i, o in blocks) + 2 * 512
    wanted = convolutions + shortcuts + norms + 512 * 10 + 10
    assert size(build_network("preact_resnet34", (32, 32, 3), 10)) == wanted
    # ResNet-34's, less the norms of the stem and of three shortcuts, and where a norm is narrower
    assert wanted == 21_282_122 - 2 * 64 - 2 * 896 - 2 * 448 + 2 * 512


def test_a_preact_block_is_the_identity_but_for_what_it_adds() -> None:
    """No ReLU behind the sum; with the last convolution at zero nothing is added."""
    block = PreActBlock(4, 4, 1).eval()
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        block.conv2.weight.zero_()
        assert torch.equal(block(x), x)
        block.conv2.weight.normal_(generator=torch.Generator().manual_seed(1))
        active = torch.relu(block.bn1(x))
        inner = torch.relu(block.bn2(block.conv1(active)))
        assert torch.equal(block(x), x + block.conv2(inner))


def test_preact_resnet34_step_by_step() -> None:
    """The stem has no norm; the last sum is normalised and activated before the average."""
    network = build_network("preact_resnet34", (8, 8, 3), 4).eval()
    assert isinstance(network, PreActResNet)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        network.norm.bias.copy_(torch.linspace(-1, 1, 512))
        out = network.stem(x)
        for block in network.stages:
            out = block(out)
        assert out.shape == (2, 512, 1, 1)
        active = network.norm(out).flatten(1).clamp(min=0)
        expected = active @ network.head.weight.T + network.head.bias
        assert (active == 0).any() and torch.allclose(network(x), expected, atol=1e-5)


def test_the_shortcut_of_a_preact_block_sees_the_activated_input() -> None:
    block = PreActBlock(3, 5, 2).eval()
    x = -torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) - 1
    with torch.no_grad():
        block.conv2.weight.zero_()
        assert block(x).shape == (2, 5, 4, 4)
        assert torch.equal(block(x), torch.zeros(2, 5, 4, 4))  # ReLU of what is negative


def test_small_networks_have_the_number_of_weights_worked_by_hand() -> None:
    convolutions = 9 * (3 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128)
    norms = 2 * (32 + 64 + 64 + 128 + 128)
    assert size(build_network("cnn", (32, 32, 3), 10)) == convolutions + norms + 128 * 10 + 10
    layers = (64 * 128 + 128) + (128 * 128 + 128) + (128 * 10 + 10)
    assert size(build_network("mlp", (8, 8, 1), 10)) == layers


SMALL = [(name, c, k) for name in ("mlp", "cnn") for c in (1, 3) for k in (2, 7, 100)]


@pytest.mark.parametrize("sides", [(16, 16), (17, 24), (32, 32)], ids=str)
@pytest.mark.parametrize(
    ("name", "channels", "n_classes"), [*SMALL, ("resnet34", 1, 7), ("preact_resnet34", 3, 4)]
)
def test_shapes(name: str, channels: int, n_classes: int, sides: tuple[int, int]) -> None:
    network = build_network(name, (*sides, channels), n_classes).eval()
    with torch.inference_mode():
        assert network(torch.rand(2, channels, *sides)).shape == (2, n_classes)


def test_smallest_images_and_features() -> None:
    with torch.inference_mode():
        assert build_network("cnn", (8, 8, 1), 3).eval()(torch.rand(1, 1, 8, 8)).shape == (1, 3)
        assert build_network("mlp", (4,), 3)(torch.rand(5, 4)).shape == (5, 3)


def test_what_they_refuse() -> None:
    for name, shape, message in (
        ("cnn", (5,), "network='cnn': takes images; for feature vectors use 'mlp'"),
        ("resnet34", (5,), "network='resnet34': takes images; for feature vectors use 'mlp'"),
        ("cnn", (32, 7, 3), "network='cnn': takes images of at least 8 x 8, not 32 x 7"),
        ("mpl", (5,), "network='mpl': unknown name; did you mean 'mlp'? "
                      f"Known: {', '.join(sorted(r.name for r in NETWORKS))}"),
    ):  # fmt: skip
        for refuse in (lambda n, s: check_network(n, s), lambda n, s: build_network(n, s, 2)):
            with pytest.raises(InputError) as caught:
                refuse(name, shape)
            assert str(caught.value) == message


@pytest.mark.parametrize("name", NETWORKS.names)
def test_the_seed_of_initialisation_decides_the_weights(name: str) -> None:
    def build(seed: int) -> list[torch.Tensor]:
        with random_state(seed):
            return list(build_network(name, (16, 16, 1), 2).parameters())

    first, again, other = build(1), build(1), build(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
