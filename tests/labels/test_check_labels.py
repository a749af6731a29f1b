"""The gate for labels: what passes comes out as int64, everything else is named exactly."""

from typing import Any

import numpy as np
import pytest

from mislabel.errors import InputError
from mislabel.labels import check_labels


@pytest.mark.parametrize(
    "given",
    [
        [0, 2, 1],
        (0, 2, 1),
        np.array([0, 2, 1], dtype=np.uint8),
        np.array([0, 2, 1], dtype=np.uint64),
        np.array([0, 2, 1], dtype=">i4"),
        np.array([0.0, 2.0, 1.0]),
        np.array([0, 9, 2, 9, 1])[::2],
    ],
)
def test_whole_numbers_of_any_type_pass(given: Any) -> None:
    labels = check_labels(given)
    assert labels.dtype == np.int64 and labels.tolist() == [0, 2, 1]
    with pytest.raises(ValueError, match="read-only"):
        labels[0] = 1


def test_the_given_array_is_not_shared() -> None:
    given = np.array([0, 1, 2])
    labels = check_labels(given)
    given[0] = 2
    assert labels.tolist() == [0, 1, 2] and given.flags.writeable


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "labels='[]': must not be empty"),
        ([[0, 1], [1, 0]], "labels='shape (2, 2)': must be one-dimensional"),
        (3, "labels='shape ()': must be one-dimensional"),
        ([0, 0.5, 1], "labels=0.5: at index 1; must be a whole number"),
        ([0, 1, float("nan")], "labels=nan: at index 2; must be a whole number"),
        ([float("-inf"), 1], "labels=-inf: at index 0; must be a whole number"),
        ([0.0, 1e17], "labels=1e+17: is too large for a label"),
        (["0", "1"], "labels='dtype <U1': must be whole numbers"),
        ([True, False], "labels='dtype bool': must be whole numbers"),
        ([0, None], "labels='dtype object': must be whole numbers"),
        ([0, 2**70], "labels='dtype object': must be whole numbers"),
        ([1j], "labels='dtype complex128': must be whole numbers"),
        ([0, 1, -1], "labels=-1: at index 2; must be between 0 and 999999"),
        ([0, 1_000_000], "labels=1000000: at index 1; must be between 0 and 999999"),
        (np.array([2**64 - 1], dtype=np.uint64),
         "labels=18446744073709551615: at index 0; must be between 0 and 999999"),
    ],
)  # fmt: skip
def test_bad_labels(given: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        check_labels(given)
    assert str(caught.value) == message


def test_ragged_rows() -> None:
    with pytest.raises(InputError) as caught:
        check_labels([[0], [0, 1]])
    assert str(caught.value) == "labels='ragged rows': must have equal lengths"


def test_length_and_range() -> None:
    assert check_labels([0, 2], n_examples=2, n_classes=3).tolist() == [0, 2]
    with pytest.raises(InputError) as caught:
        check_labels([0, 1], name="given", n_examples=3)
    assert str(caught.value) == "given='2 labels': must have length 3"
    with pytest.raises(InputError) as caught:
        check_labels([0, 2], name="given", n_classes=2)
    assert str(caught.value) == "given=2: at index 1; must be between 0 and 1"


@pytest.mark.parametrize("n_classes", [0, -1, 2.0, True, "2"])
def test_bad_number_of_classes(n_classes: Any) -> None:
    with pytest.raises(InputError) as caught:
        check_labels([0, 1], n_classes=n_classes)
    expected = f"n_classes={n_classes!r}: must be a whole number of at least 1"
    assert str(caught.value) == expected
