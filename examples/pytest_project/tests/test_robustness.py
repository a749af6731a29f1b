"""What wrong labels do to the reader; run by pytest like any other test."""

import pytest
from digit_reader import train

pytestmark = pytest.mark.mislabel(data="digits", suite="smoke")


def test_stands_wrong_labels(mislabel_stress):
    result = mislabel_stress(train)
    result.require("accuracy >= 0.9", "drop <= 0.05")


def test_does_not_learn_wrong_labels(mislabel_stress):
    mislabel_stress(train).require("wrong_fitted <= 30%")  # of the same trainings
