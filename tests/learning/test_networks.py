"""Networks: sizes, shapes, and what they refuse."""

import pytest
import torch
from torch import nn

from mislabel.errors import InputError
from mislabel.learning.networks import NETWORKS, build_network, check_network
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


def test_small_networks_have_the_number_of_weights_worked_by_hand() -> None:
    convolutions = 9 * (3 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128)
    norms = 2 * (32 + 64 + 64 + 128 + 128)
    assert size(build_network("cnn", (32, 32, 3), 10)) == convolutions + norms + 128 * 10 + 10
    layers = (64 * 128 + 128) + (128 * 128 + 128) + (128 * 10 + 10)
    assert size(build_network("mlp", (8, 8, 1), 10)) == layers


SMALL = [(name, c, k) for name in ("mlp", "cnn") for c in (1, 3) for k in (2, 7, 100)]


@pytest.mark.parametrize("sides", [(16, 16), (17, 24), (32, 32)], ids=str)
@pytest.mark.parametrize(("name", "channels", "n_classes"), [*SMALL, ("resnet34", 1, 7)])
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
