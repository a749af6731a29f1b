"""A tiny data set on disk, and what folders hold: for the tests that run whole commands."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_TRAIN, N_TEST, N_CLASSES = 60, 30, 3
Snapshot = dict[str, tuple[int, bytes]]


def blobs(n: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features (n, 4) of three blobs that overlap a little, and their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % N_CLASSES)
    return (3 * np.eye(N_CLASSES, 4)[labels] + rng.normal(size=(n, 4))).astype(np.float32), labels


def write_data(folder: Path, name: str = "tiny.npz", seed: int = 0, **changes: Any) -> Path:
    """Write features of three classes as ``.npz``, and their first two columns as a map."""
    folder.mkdir(parents=True, exist_ok=True)
    x_train, y_train = blobs(N_TRAIN, seed)
    x_test, y_test = blobs(N_TEST, seed + 1)
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    np.savez(folder / name, **arrays | changes)
    np.save(folder / "map.npy", x_train[:, :2])
    return folder / name


def files(folder: Path) -> list[str]:
    """All files and folders below `folder`, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def snapshot(folder: Path) -> Snapshot:
    """Time of the last change and content of every file below `folder`."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes()) for p in found}
