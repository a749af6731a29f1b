"""Profiles: by hand, against a plain twin, and against the published figures."""

from pathlib import Path

import numpy as np
import pytest

from mislabel.features import load_map, nearest_neighbors
from mislabel.labels import NoisyLabels, load_labels
from mislabel.realism import clustering_index, describe_labels, row_entropy


def test_row_entropy_by_hand() -> None:
    labels = NoisyLabels([0, 1, 1, 1], clean_labels=[0, 0, 1, 1], n_classes=3)
    assert row_entropy(labels) == 0.5  # rows (1/2, 1/2): 1 bit, (0, 1): 0 bits, no third row
    assert str(row_entropy(NoisyLabels([0, 1], clean_labels=[0, 1]))) == "0.0"


def test_clustering_index_by_hand() -> None:
    flipped = np.array([True, True, False, False, False])
    neighbors = np.array([[1, 2], [0, 2], [3, 4], [2, 4], [2, 3]])
    # Of the two neighbours of each flipped example one is flipped: 1/2, against a rate of 2/5.
    assert clustering_index(flipped, neighbors) == pytest.approx(0.5 / 0.4)
    assert np.isnan(clustering_index(np.zeros(5, dtype=bool), neighbors))


def test_clustering_index_equals_a_plain_twin() -> None:
    rng = np.random.default_rng(3)
    flipped = rng.random(60) < 0.3
    _, neighbors = nearest_neighbors(rng.normal(size=(60, 2)), 7)
    shares = [np.mean([flipped[j] for j in neighbors[i]]) for i in range(60) if flipped[i]]
    assert clustering_index(flipped, neighbors) == pytest.approx(np.mean(shares) / flipped.mean())


def test_description_without_positions_or_of_an_absent_class_has_none() -> None:
    found = describe_labels(NoisyLabels([0, 1], clean_labels=[0, 0], n_classes=3))
    assert found["clustering_index"] is None
    assert found["transition_matrix"] == [[0.5, 0.5, 0.0], [None] * 3, [None] * 3]
    assert found["n_flipped"] == 1
    assert found["rate"] == 0.5


@pytest.mark.data
@pytest.mark.parametrize(
    ("column", "published"),
    [
        ("aggre_label", 1.73),
        ("random_label1", 1.22),
        ("random_label2", 1.18),
        ("random_label3", 1.22),
        ("worse_label", 1.10),
    ],
)
def test_human_clustering_is_as_published(data_folder: Path, column: str, published: float) -> None:
    """The figures of the first study, which gives two decimals."""
    positions = load_map(data_folder / "cifar10" / "clip_tsne_train.parquet")
    labels = load_labels(data_folder / "cifar-n" / "CIFAR-10_human.pt", column=column)
    found = describe_labels(labels, positions)["clustering_index"]
    assert found == pytest.approx(published, abs=0.005)
