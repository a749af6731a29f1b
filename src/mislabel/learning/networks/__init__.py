"""Networks by name. Adding one: a file with a ``build(example_shape, n_classes)`` and a line here.

example_shape is (height, width, channels) for images and (d,) for features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mislabel.errors import InputError
from mislabel.learning.networks import cnn, coteaching_cnn, mlp, preact_resnet, resnet
from mislabel.registry import Record, Registry


@dataclass(frozen=True, kw_only=True)
class NetworkRecord(Record):
    """A network in the registry.

    images_only: it cannot take feature vectors. smallest_side: of the images that it can take.
    """

    build: Callable[[tuple[int, ...], int], nn.Module]
    images_only: bool = True
    smallest_side: int = 1


NETWORKS = Registry[NetworkRecord](
    "network",
    [
        NetworkRecord(name="mlp", title="MLP", paper="none", build=mlp.build, images_only=False),
        NetworkRecord(
            name="cnn",
            title="Small CNN",
            paper="none",
            build=cnn.build,
            smallest_side=cnn.SMALLEST_SIDE,
        ),
        NetworkRecord(
            name="lenet",
            title="LeNet-like CNN",
            paper="Yu et al. 2019",
            build=coteaching_cnn.build_lenet,
            smallest_side=coteaching_cnn.SMALLEST_SIDE_LENET,
        ),
        NetworkRecord(
            name="conv6",
            title="CNN of six convolutions",
            paper="Yu et al. 2019",
            build=coteaching_cnn.build_conv6,
            smallest_side=coteaching_cnn.SMALLEST_SIDE_CONV6,
        ),
        NetworkRecord(
            name="lenet_or_conv6",
            title="LeNet-like CNN, or six convolutions beyond 20 classes",
            paper="Yu et al. 2019",
            build=coteaching_cnn.build_by_classes,
            smallest_side=coteaching_cnn.SMALLEST_SIDE_LENET,
        ),
        NetworkRecord(
            name="resnet34",
            title="ResNet-34 (CIFAR stem)",
            paper="He et al. 2016",
            build=resnet.build_resnet34,
        ),
        NetworkRecord(
            name="preact_resnet34",
            title="PreAct ResNet-34 (CIFAR stem)",
            paper="He et al. 2016, Identity Mappings",
            build=preact_resnet.build_preact_resnet34,
        ),
    ],
)
"All networks. A new one is a new file and one line here."


def build_network(name: str, example_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """A network with fresh weights, drawn from PyTorch's current random state."""
    return check_network(name, example_shape).build(example_shape, n_classes)


def check_network(name: str, example_shape: tuple[int, ...]) -> NetworkRecord:
    """The record of a network that can take such examples, or an `InputError`."""
    record = NETWORKS[name]
    if record.images_only and len(example_shape) != 3:
        raise InputError("network", name, "takes images; for feature vectors use 'mlp'")
    if len(example_shape) == 3 and min(example_shape[:2]) < record.smallest_side:
        height, width = example_shape[:2]
        rule = f"takes images of at least {record.smallest_side} x {record.smallest_side}"
        raise InputError("network", name, f"{rule}, not {height} x {width}")
    return record


def check_output(network: Any, example_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """A user's network, if it makes (B, C) logits of a batch, or an `InputError`."""
    if not isinstance(network, nn.Module):
        rule = "must be a name, a torch.nn.Module or a function that makes one"
        raise InputError("network", type(network).__name__, rule)
    shape = (example_shape[2], *example_shape[:2]) if len(example_shape) == 3 else example_shape
    training = network.training
    try:
        with torch.no_grad():
            found = tuple(network.eval()(torch.zeros(2, *shape)).shape)
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError) as error:
        rule = f"fails on a batch {(2, *shape)}: {' '.join(str(error).split())}"
        raise InputError("network", type(network).__name__, rule) from error
    if found != (2, n_classes):
        rule = f"gives {found} for 2 examples; logits (2, {n_classes}) are needed"
        raise InputError("network", type(network).__name__, rule)
    return network.train(training)
