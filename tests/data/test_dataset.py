"""`Dataset`: subsets, alignment, fingerprint."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mislabel.data import Dataset, load_data
from mislabel.data.split import stratified_split
from mislabel.errors import InputError


def make(sizes: list[int], shuffle: int = 0) -> Dataset:
    """A data set with so many examples of each class; feature 0 is the example's number."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.random.default_rng(shuffle).permutation(labels)
    x = np.arange(len(labels), dtype=np.float32)[:, None]
    return Dataset(
        name="toy",
        x_train=x,
        y_train=labels,
        x_test=x[:2],
        y_test=labels[:2],
        class_names=tuple(map(str, range(len(sizes)))),
        train_indices=np.arange(len(labels)),
        n_train_total=len(labels),
    )


def dealt_sizes(sizes: list[int], total: int) -> list[int]:
    """The slow, plain twin: deal places to classes in turn, as long as they have examples.

    Here the last round is dealt in order, in `subset` at random: the sorted counts are equal.
    """
    counts = [0] * len(sizes)
    while total:
        open_classes = [c for c in range(len(sizes)) if counts[c] < sizes[c]]
        for c in open_classes[:total]:
            counts[c] += 1
        total -= min(total, len(open_classes))
    return counts


@st.composite
def sizes_and_total(draw: st.DrawFn) -> tuple[list[int], int]:
    sizes = draw(st.lists(st.integers(1, 30), min_size=2, max_size=8))
    return sizes, draw(st.integers(len(sizes), sum(sizes)))


@given(case=sizes_and_total(), seed=st.integers(0, 2**40), shuffle=st.integers(0, 5))
def test_subset_is_balanced_like_its_slow_twin(
    case: tuple[list[int], int], seed: int, shuffle: int
) -> None:
    sizes, total = case
    data = make(sizes, shuffle)
    chosen = data.subset(total, seed=seed)
    counts = np.bincount(chosen.y_train, minlength=len(sizes))
    assert sorted(counts) == sorted(dealt_sizes(sizes, total))
    assert (counts <= sizes).all()
    assert (np.diff(chosen.train_indices) > 0).all()
    np.testing.assert_array_equal(chosen.x_train[:, 0], chosen.train_indices)
    np.testing.assert_array_equal(chosen.y_train, data.y_train[chosen.train_indices])


def test_subset_is_determined_by_its_seed() -> None:
    data = make([50, 50, 50])
    one, again, other = (data.subset(60, seed=seed) for seed in (1, 1, 2))
    assert one.fingerprint == again.fingerprint
    assert (one.train_indices != other.train_indices).any()
    assert one.x_test is data.x_test
    whole = data.subset(150, seed=3)
    assert whole.fingerprint == data.fingerprint


def test_every_example_is_chosen_equally_often() -> None:
    data = make([20, 30])
    picks = np.concatenate([data.subset(10, seed=s).train_indices for s in range(2000)])
    frequency = np.bincount(picks, minlength=50) / 2000
    expected = np.where(data.y_train == 0, 5 / 20, 5 / 30)
    # Hoeffding with a union bound over 50 examples: exceeded with probability below 1e-6.
    bound = np.sqrt(np.log(2 * 50 / 1e-6) / (2 * 2000))
    assert np.abs(frequency - expected).max() < bound


def test_a_subset_of_a_subset_keeps_the_positions() -> None:
    data = make([40, 40])
    inner = data.subset(40, seed=1).subset(10, seed=2)
    assert inner.n_train_total == 80
    np.testing.assert_array_equal(inner.x_train[:, 0], inner.train_indices)


def test_align() -> None:
    data = make([5, 5])
    part = data.subset(4, seed=0)
    values = np.arange(10) * 10
    np.testing.assert_array_equal(data.align(values, "labels"), values)
    np.testing.assert_array_equal(part.align(values, "labels"), part.train_indices * 10)
    np.testing.assert_array_equal(part.align(values[:4], "labels"), values[:4])
    with pytest.raises(InputError) as caught:
        part.align(values[:5], "labels")
    assert str(caught.value) == (
        "labels='5 rows': must have one row per example: "
        "4 (this subset) or 10 (the full training set)"
    )
    with pytest.raises(InputError, match=r"must have one row per example: 10$"):
        data.align(values[:5], "labels")


@pytest.mark.parametrize("size", [1, 11, 0, -1, 2.0, True, "5"])
def test_bad_sizes(size: object) -> None:
    with pytest.raises(InputError) as caught:
        make([5, 5]).subset(size, seed=0)  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"subset={size!r}: must be a whole number from 2 (classes) to 10 (examples)"
    )


def test_the_fingerprint_is_of_all_content() -> None:
    data = make([5, 5])
    assert data.fingerprint == make([5, 5]).fingerprint == replace(data, name="x").fingerprint
    for changed in (
        replace(data, x_train=data.x_train + 1),
        replace(data, y_train=1 - data.y_train),
        replace(data, x_test=data.x_test + 1),
        replace(data, y_test=1 - data.y_test),
        replace(data, class_names=("a", "b")),
        replace(data, augment="crop-flip"),
    ):
        assert changed.fingerprint != data.fingerprint


# ------------------------------------------------------------------ the held-out test set


@given(st.lists(st.integers(2, 40), min_size=2, max_size=6), st.floats(0.05, 0.95))
def test_split_is_a_partition_with_the_share_of_each_class(sizes: list[int], share: float) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    names = tuple(map(str, range(len(sizes))))
    train, test = stratified_split(labels, share, names)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(labels)))
    expected = [min(max(round(share * n), 1), n - 1) for n in sizes]
    np.testing.assert_array_equal(np.bincount(labels[test], minlength=len(sizes)), expected)
    again = stratified_split(labels, share, names)
    np.testing.assert_array_equal(train, again[0])


def test_split_needs_two_of_each_class() -> None:
    with pytest.raises(InputError) as caught:
        stratified_split(np.array([0, 0, 1]), 0.2, ("a", "b"))
    assert str(caught.value) == (
        """data="class 'b'": has 1 example; a held-out test set needs at least 2 of each class"""
    )


def test_a_test_subset_is_balanced_and_leaves_training_alone() -> None:
    data = load_data("digits")
    found = data.test_subset(30, seed=1)
    assert np.bincount(found.y_test).tolist() == [3] * 10
    assert found.x_train is data.x_train and found.train_indices is data.train_indices
    rows = {row.tobytes() for row in data.x_test}
    assert all(row.tobytes() in rows for row in found.x_test)
    again, other = data.test_subset(30, seed=1), data.test_subset(30, seed=2)
    np.testing.assert_array_equal(found.x_test, again.x_test)
    assert not np.array_equal(found.x_test, other.x_test)
    assert found.fingerprint != data.fingerprint
    with pytest.raises(InputError, match="test_subset=9: must be a whole number from 10"):
        data.test_subset(9, seed=0)
