"""`NoisyLabels`: numbers worked by hand, equality, and arrays that nobody can change."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mislabel.errors import InputError
from mislabel.files import hash_array
from mislabel.labels import NoisyLabels, Receipt

CLEAN = [0, 0, 0, 0, 1, 1, 3]
NOISY = [0, 0, 1, 3, 1, 0, 3]
modest = settings(deadline=None, derandomize=True, max_examples=50)


@pytest.fixture
def worked() -> NoisyLabels:
    """Seven examples of four classes, of which class 2 does not occur."""
    return NoisyLabels(NOISY, clean_labels=CLEAN, n_classes=4)


def test_rates_by_hand(worked: NoisyLabels) -> None:
    assert worked.flipped.tolist() == [False, False, True, True, False, True, False]
    assert worked.rate == 3 / 7
    np.testing.assert_array_equal(worked.rate_per_class, [0.5, 0.5, np.nan, 0.0])
    assert len(worked) == 7 and worked.n_classes == 4


def test_counts_and_transition_matrix_by_hand(worked: NoisyLabels) -> None:
    expected = [[2, 1, 0, 1], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert worked.counts.tolist() == expected and worked.counts.dtype == np.int64
    nan = np.nan
    matrix = [[0.5, 0.25, 0, 0.25], [0.5, 0.5, 0, 0], [nan, nan, nan, nan], [0, 0, 0, 1]]
    np.testing.assert_array_equal(worked.transition_matrix, matrix)


@modest
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_counts_against_a_plain_loop(pairs: list[tuple[int, int]]) -> None:
    clean, noisy = zip(*pairs, strict=True)
    labels = NoisyLabels(noisy, clean_labels=clean, n_classes=5)
    slow = np.zeros((5, 5), dtype=int)
    for y, z in pairs:
        slow[y, z] += 1
    np.testing.assert_array_equal(labels.counts, slow)
    assert labels.rate == sum(y != z for y, z in pairs) / len(pairs)
    for y in range(5):
        total = slow[y].sum()
        if total:
            np.testing.assert_array_equal(labels.transition_matrix[y], slow[y] / total)
            assert labels.rate_per_class[y] == (total - slow[y, y]) / total
        else:
            assert np.isnan(labels.transition_matrix[y]).all()
            assert np.isnan(labels.rate_per_class[y])


def test_classes_are_counted_over_both_arrays() -> None:
    assert NoisyLabels([0, 1]).n_classes == 2
    assert NoisyLabels([0, 1], clean_labels=[0, 4]).n_classes == 5
    assert NoisyLabels([0, 5], clean_labels=[0, 4]).n_classes == 6


def test_arrays_are_read_only_and_own(worked: NoisyLabels) -> None:
    given = np.array(NOISY)
    labels = NoisyLabels(given, clean_labels=given)
    given[:] = 0
    assert labels.labels.tolist() == NOISY
    assert labels.clean_labels is not None and labels.clean_labels.tolist() == NOISY
    for array in (worked.labels, worked.clean_labels, worked.flipped):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_equality() -> None:
    same = NoisyLabels(NOISY, clean_labels=CLEAN, receipt=Receipt(generator="other"))
    first = NoisyLabels(NOISY, clean_labels=CLEAN)
    assert first == same
    different = [
        NoisyLabels(NOISY),
        NoisyLabels(NOISY, clean_labels=NOISY),
        NoisyLabels(CLEAN, clean_labels=CLEAN),
        NoisyLabels(NOISY, clean_labels=CLEAN, n_classes=5),
        NoisyLabels(NOISY[:-1], clean_labels=CLEAN[:-1]),
    ]
    assert all(first != other and other != first for other in different)
    assert NoisyLabels(NOISY) == NoisyLabels(NOISY)
    assert first != NOISY
    with pytest.raises(TypeError, match="unhashable"):
        hash(first)


def test_take_keeps_classes_and_receipt(worked: NoisyLabels) -> None:
    taken = worked.take(np.array([6, 2, 2]))
    assert taken.labels.tolist() == [3, 1, 1]
    assert taken.clean_labels is not None and taken.clean_labels.tolist() == [3, 0, 0]
    assert taken.n_classes == 4 and taken.receipt is worked.receipt
    assert NoisyLabels(NOISY).take(np.array([0])).clean_labels is None


@pytest.mark.parametrize("name", ["rate", "flipped", "rate_per_class", "counts",
                                  "transition_matrix"])  # fmt: skip
def test_what_needs_clean_labels_says_so(name: str) -> None:
    with pytest.raises(InputError) as caught:
        getattr(NoisyLabels(NOISY), name)
    assert str(caught.value) == "clean_labels=None: are needed for this and were not given"


def test_clean_labels_are_checked_by_name() -> None:
    with pytest.raises(InputError) as caught:
        NoisyLabels([0, 1, 1], clean_labels=[0, 1])
    assert str(caught.value) == "clean_labels='2 labels': must have length 3"
    with pytest.raises(InputError) as caught:
        NoisyLabels([0, 1], clean_labels=[0, 2], n_classes=2)
    assert str(caught.value) == "clean_labels=2: at index 1; must be between 0 and 1"


def test_receipt_as_json(worked: NoisyLabels) -> None:
    content = json.loads(json.dumps(worked.receipt_json(), allow_nan=False))
    assert content == {
        "format": 1,
        "generator": "unknown",
        "parameters": {},
        "seed": None,
        "versions": {},
        "inputs": {},
        "n_examples": 7,
        "n_classes": 4,
        "labels_sha256": hash_array(np.array(NOISY)),
        "clean_labels_sha256": hash_array(np.array(CLEAN)),
        "rate": 3 / 7,
        "rate_per_class": [0.5, 0.5, None, 0.0],
    }
    unknown = NoisyLabels(NOISY).receipt_json()
    assert unknown["rate"] is None and unknown["rate_per_class"] == []


def test_repr(worked: NoisyLabels) -> None:
    assert repr(worked) == "NoisyLabels(unknown, N=7, C=4, rate=0.4286)"
    assert repr(NoisyLabels([0, 1])) == "NoisyLabels(unknown, N=2, C=2, clean labels unknown)"
