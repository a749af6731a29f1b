"""The embedded digits: 1,797 handwritten digits of 8 x 8 pixels that scikit-learn brings along.

Nothing is downloaded. Of each digit a quarter is held out for testing, always the same quarter,
so that runs with different seeds are compared on the same test set.
"""

from pathlib import Path

import numpy as np

from mislabel.data.dataset import Dataset
from mislabel.data.source import SourceRecord
from mislabel.data.split import stratified_split

TEST_SHARE = 0.25


def load(path: Path | None, image_size: int | None) -> Dataset:
    """Images uint8 (N, 8, 8, 1): 1,347 for training and 450 for testing, within a few."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = bunch.target.astype(np.int64)
    class_names = tuple("0123456789")
    train, test = stratified_split(labels, TEST_SHARE, class_names)
    return Dataset(
        name="digits",
        x_train=images[train],
        y_train=labels[train],
        x_test=images[test],
        y_test=labels[test],
        class_names=class_names,
        train_indices=np.arange(len(train)),
        n_train_total=len(train),
        augment="none",  # a mirrored digit is no digit
    )


RECORD = SourceRecord(
    name="digits",
    title="Embedded handwritten digits, 8 x 8 pixels",
    paper="Alpaydin & Kaynak 1998, UCI Optical Recognition of Handwritten Digits (test part)",
    load=load,
    path="none",
    example="digits",
)
