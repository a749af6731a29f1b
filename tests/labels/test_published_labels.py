"""The published label files load as they lie, with their known sizes and rates."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from pyarrow import csv

from mislabel.files import hash_file
from mislabel.labels import NoisyLabels, load_labels
from mislabel.labels.formats import save_labels

pytestmark = pytest.mark.data


@pytest.mark.parametrize(
    ("name", "n_classes", "rate"),
    [
        ("cifar10-cluster-0.35.npy", 10, 0.34944),
        ("cifar10-cluster-0.35.csv.gz", 10, 0.34944),
        ("cifar10-pmd-0.35.npy", 10, 0.34874),
        ("cifar10-given-labels.npy", 10, 0.0),
        ("cifar_rand1_syn_labels.csv", 10, 0.17302),
        ("cifar100-cluster-0.35.npy", 100, 0.35368),
        ("cifar100-cluster-0.35.csv.gz", 100, 0.35368),
        ("cifar100-pmd-0.35.npy", 100, 0.34896),
        ("cifar100-given-labels.npy", 100, 0.0),
    ],
)
def test_published_files(data_folder: Path, name: str, n_classes: int, rate: float) -> None:
    folder = data_folder / "published"
    clean = np.load(folder / f"cifar{n_classes}-given-labels.npy")
    labels = load_labels(folder / name, clean_labels=clean)
    assert (len(labels), labels.n_classes) == (50_000, n_classes)
    assert labels.rate == pytest.approx(rate, abs=1e-9)


@pytest.mark.parametrize("n_classes", [10, 100])
def test_both_layouts_hold_the_same(data_folder: Path, n_classes: int) -> None:
    folder = data_folder / "published"
    table = load_labels(folder / f"cifar{n_classes}-cluster-0.35.csv.gz")
    array = load_labels(folder / f"cifar{n_classes}-cluster-0.35.npy")
    np.testing.assert_array_equal(table.labels, array.labels)
    clean = np.load(folder / f"cifar{n_classes}-given-labels.npy")
    np.testing.assert_array_equal(table.clean_labels, clean)


@pytest.mark.parametrize(("n_classes", "layout"), [(10, "indexed"), (100, "samples")])
def test_the_published_tables_are_written_byte_for_byte(
    data_folder: Path, tmp_path: Path, n_classes: int, layout: str
) -> None:
    path = data_folder / f"published/cifar{n_classes}-cluster-0.35.csv.gz"
    filenames = csv.read_csv(path)["filename"].to_pylist()
    written = tmp_path / "a.csv"
    save_labels(load_labels(path), written, csv_layout=layout, filenames=filenames)
    assert written.read_bytes() == gzip.decompress(path.read_bytes())


def test_the_published_pairs_are_written_byte_for_byte(data_folder: Path, tmp_path: Path) -> None:
    path = data_folder / "published/cifar_rand1_syn_labels.csv"
    save_labels(load_labels(path), tmp_path / "a.csv")
    assert hash_file(tmp_path / "a.csv") == hash_file(path)


@pytest.mark.parametrize(
    ("column", "rate"),
    [("aggre_label", 0.0901), ("random_label1", 0.1723), ("random_label2", 0.1812),
     ("random_label3", 0.1764), ("worse_label", 0.4021)],
)  # fmt: skip
def test_cifar_10n(data_folder: Path, column: str, rate: float) -> None:
    clean = np.load(data_folder / "published/cifar10-given-labels.npy")
    path = data_folder / "cifar-n/CIFAR-10_human.pt"
    labels = load_labels(path, column=column, clean_labels=clean)
    assert (len(labels), labels.n_classes, round(labels.rate, 4)) == (50_000, 10, rate)


def test_cifar_100n(data_folder: Path) -> None:
    clean = np.load(data_folder / "published/cifar100-given-labels.npy")
    labels = load_labels(data_folder / "cifar-n/CIFAR-100_human.pt", clean_labels=clean)
    assert labels.receipt.parameters["column"] == "noisy_label"
    assert (len(labels), labels.n_classes, round(labels.rate, 4)) == (50_000, 100, 0.4020)


def test_the_synthetic_counterpart_comes_from_the_transition_matrix(data_folder: Path) -> None:
    """Drawn by its authors' rule from our matrix, all 50,000 published labels come out."""
    human = load_labels(data_folder / "cifar-n/CIFAR-10_human.pt", column="random_label1")
    published = load_labels(data_folder / "published/cifar_rand1_syn_labels.csv")
    assert isinstance(human, NoisyLabels) and human.clean_labels is not None
    rng = np.random.RandomState(0)
    rows = human.transition_matrix
    drawn = [int(rng.multinomial(1, rows[y]).argmax()) for y in human.clean_labels]
    np.testing.assert_array_equal(published.labels, drawn)
