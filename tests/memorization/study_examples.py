"""Small studies for the tests."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.data import Dataset
from mislabel.labels import NoisyLabels
from mislabel.memorization.design import Run, make_design
from mislabel.memorization.store import Answer, StudyFolder
from mislabel.memorization.study import StudyPlan
from mislabel.memorization.toy import MajorityToy

TOY = MajorityToy(ones=(3, 1, 0, 2), zeros=(1, 2, 3, 1))


def files(folder: Path) -> dict[str, bytes]:
    """Content of every row but for what is said about it, and of the other files."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows(folder: StudyFolder) -> dict[tuple[int, str], list[Any]]:
    """All arrays of all rows."""
    return {
        (number, name): array.tolist()
        for number in folder.runs()
        for name, array in folder.row(number, folder.kept).items()
    }


def noise(run: Run) -> Answer:
    """Predictions of no sense, by the run's seed, of 21 training and 10 test examples."""
    rng = np.random.default_rng(run.seed)
    chance = rng.random(21).astype(np.float16).astype(float)
    train, test = rng.integers(3, size=21), rng.integers(3, size=10)
    return Answer(train=train, test=test, probability=chance)


def noise_plan(*, design: str = "balanced", **options: Any) -> StudyPlan:
    """A study of `noise`; the examples are part of a training set of 50."""
    clean = np.arange(21) % 3
    labels = np.where(np.arange(21) % 4 == 1, (clean + 1) % 3, clean)
    given = NoisyLabels(labels, clean_labels=clean, n_classes=3)
    settings: dict[str, Any] = {
        "train": noise,
        "design": make_design(given, design, seed=3),
        "labels": given,
        "test_labels": np.arange(10) % 3,
        "identity": {"method": "noise"},
        "positions": np.arange(21) * 2 + 1,
        "n_total": 50,
        "class_names": ("ant", "bee", "cat"),
    }
    return StudyPlan(**settings | options)


def tiny_dataset(n: int = 60, n_test: int = 30, *, noise: int = 0) -> Dataset:
    """Three blobs that overlap a little, in 4 features and as many more of noise as asked for."""

    def blobs(count: int, seed: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
        rng = np.random.default_rng(seed)
        labels = rng.permutation(np.arange(count) % 3)
        points = 3 * np.eye(3, 4 + noise)[labels] + rng.normal(size=(count, 4 + noise))
        return points.astype(np.float32), labels

    (x_train, y_train), (x_test, y_test) = blobs(n, 0), blobs(n_test, 1)
    return Dataset(
        name="tiny",
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        class_names=("ant", "bee", "cat"),
        train_indices=np.arange(n),
        n_train_total=n,
    )


def flipped(dataset: Dataset, every: int = 5) -> NoisyLabels:
    """Every fifth label is wrong."""
    n, clean = len(dataset), dataset.y_train
    labels = np.where(np.arange(n) % every == 0, (clean + 1) % 3, clean)
    return NoisyLabels(labels, clean_labels=clean, n_classes=3)
