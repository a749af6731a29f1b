"""Neighbourhoods: by hand, and against plain loops."""

import numpy as np
import pytest

from mislabel.errors import InputError
from mislabel.features import Neighborhood
from mislabel.features.neighborhood import ranks_in_class

LINE = np.array([[0.0], [1.0], [2.5], [10.0], [11.0], [14.0]])
CLASSES = np.array([0, 0, 1, 1, 1, 0])


def test_shares_and_ranks_by_hand() -> None:
    place = Neighborhood.of(LINE, CLASSES, 3, k=2)
    assert place.neighbors.tolist() == [[1, 2], [0, 2], [1, 0], [4, 5], [3, 5], [4, 3]]
    shares = [[0.5, 0.5, 0], [0.5, 0.5, 0], [1, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0], [0, 1, 0]]
    assert place.class_shares().tolist() == shares
    assert place.class_shares(1)[:, 1].tolist() == [0, 0, 0, 1, 1, 1]
    assert place.other_share().tolist() == [0.5, 0.5, 1, 0.5, 0.5, 1]
    # Second neighbours are 2.5, 1.5, 2.5, 4, 3, 4 away; in class 0: 2.5, 1.5, 4.
    assert place.typicality == pytest.approx([1 / 2, 5 / 6, 5 / 6, 1 / 6, 1 / 2, 1 / 6])


def test_closeness_of_classes_by_hand() -> None:
    points = np.array([[0.0], [1.0], [5.0], [1.6]])
    place = Neighborhood.of(points, np.array([0, 1, 2, 3]), 5, k=1)
    assert place.closeness_rank.tolist()[:4] == [
        [0, 1, 3, 2, 4],
        [2, 0, 3, 1, 4],
        [3, 2, 0, 1, 4],
        [2, 1, 3, 0, 4],
    ]
    assert place.closeness_rank[4, 4] == 0  # a class without examples is last for all others


def test_ranks_equal_a_plain_twin() -> None:
    rng = np.random.default_rng(0)
    values, labels = rng.integers(0, 9, 80).astype(float), rng.integers(0, 4, 80)
    for i, rank in enumerate(ranks_in_class(values, labels)):
        same = values[labels == labels[i]]
        middle = (same < values[i]).sum() + ((same == values[i]).sum() + 1) / 2
        assert rank == pytest.approx((middle - 0.5) / len(same))


def test_more_neighbours_than_there_are_is_all_of_them() -> None:
    assert Neighborhood.of(LINE, CLASSES, 2).neighbors.shape == (6, 5)
    with pytest.raises(InputError, match="at least 2"):
        Neighborhood.of(LINE[:1], CLASSES[:1], 2)
