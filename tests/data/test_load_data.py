"""Specs, the registry of sources, and the digits."""

import dataclasses

import numpy as np
import pytest

from mislabel.data import SOURCES, Dataset, load_data, source_help
from mislabel.errors import InputError

KNOWN = "Known: cifar10, cifar100, cifar100-coarse, digits, folder, npz"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("digit", f"data='digit': unknown name; did you mean 'digits'? {KNOWN}"),
        ("cifar-10:x", f"data='cifar-10': unknown name; did you mean 'cifar10'? {KNOWN}"),
        ("", f"data='': unknown name; {KNOWN}"),
        ("digits:x", "data='digits:x': digits takes no path"),
        ("digits:", "data='digits:': digits takes no path"),
        ("folder", "data='folder': needs a path, such as folder:photos"),
        ("npz:", "data='npz:': needs a path, such as npz:arrays.npz"),
        ("cifar10:", "data='cifar10:': needs a path, such as cifar10:cifar-10-batches-py"),
        ("folder:/no/such", "data='/no/such': no such folder"),
        ("cifar10:/no/such", "data='/no/such': no such folder"),
        ("cifar100:/no/such", "data='/no/such': no such folder"),
        ("npz:/no/such", "data='/no/such': no such file"),
    ],
)
def test_bad_specs(spec: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_data(spec)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"image_size": 8},
            "image_size=8: is for image folders; the examples of digits are taken as they are",
        ),
        ({"subset": 9}, "subset=9: must be a whole number from 10 (classes) to {n} (examples)"),
        ({"subset": 4.5}, "subset=4.5: must be a whole number from 10 (classes) to {n} (examples)"),
        (
            {"subset": 5000},
            "subset=5000: must be a whole number from 10 (classes) to {n} (examples)",
        ),
        ({"seed": -1}, "seed=-1: must be a whole number from 0 to 2**63 - 1"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_data("digits", **arguments)
    assert str(caught.value) == message.format(n=len(load_data("digits")))


@pytest.mark.parametrize("size", [0, -1, 4097, 2.5, True])
def test_bad_image_size(size: object) -> None:
    with pytest.raises(InputError, match="must be between 1 and 4096"):
        load_data("folder:/no/such", image_size=size)  # type: ignore[arg-type]


def test_every_source_says_how_it_is_used() -> None:
    assert source_help() == (
        "digits | cifar10[:PATH] | cifar100[:PATH] | cifar100-coarse[:PATH] | folder:PATH | "
        "npz:PATH"
    )
    for source in SOURCES:
        assert source.example.partition(":")[0] == source.name
        assert source.title and source.paper


def test_digits() -> None:
    data = load_data("digits")
    check_dataset(data)
    assert (data.name, data.augment, data.class_names) == ("digits", "none", tuple("0123456789"))
    assert len(data.y_train) + len(data.y_test) == 1797
    assert data.x_train.shape[1:] == (8, 8, 1)
    assert data.x_train.min() == 0 and data.x_train.max() == 255
    share = np.bincount(data.y_test) / np.bincount(np.concatenate([data.y_train, data.y_test]))
    np.testing.assert_allclose(share, 0.25, atol=0.005)


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    data, bunch = load_data("digits"), load_digits()
    ours = np.concatenate([data.x_train, data.x_test])[..., 0] / 255 * 16
    theirs = bunch.images
    order = [np.lexsort(np.rint(x).reshape(len(x), -1).T) for x in (ours, theirs)]
    np.testing.assert_array_equal(np.rint(ours)[order[0]], theirs[order[1]])
    labels = np.concatenate([data.y_train, data.y_test])
    np.testing.assert_array_equal(labels[order[0]], bunch.target[order[1]])


def test_the_split_does_not_depend_on_the_seed() -> None:
    one, two = load_data("digits", seed=1), load_data("digits", seed=2)
    assert one.fingerprint == two.fingerprint
    three = load_data("digits", seed=2, subset=100)
    np.testing.assert_array_equal(three.x_test, one.x_test)
    assert len(three) == 100 and three.n_train_total == len(one)


def check_dataset(data: Dataset) -> None:
    """What holds for every data set that a source returns."""
    assert data.y_train.dtype == data.y_test.dtype == data.train_indices.dtype == np.int64
    assert len(data.x_train) == len(data.y_train) == data.n_train_total == len(data)
    assert len(data.x_test) == len(data.y_test) > 0
    np.testing.assert_array_equal(data.train_indices, np.arange(len(data)))
    assert data.x_train.dtype == data.x_test.dtype == (np.uint8 if data.is_image else np.float32)
    assert max(data.y_train.max(), data.y_test.max()) < data.n_classes
    assert dataclasses.is_dataclass(data) and data.augment in ("none", "crop-flip")
