"""One small problem that every registered noise model can work on, and the files some read."""

from pathlib import Path

import numpy as np

from mislabel.noise import NoiseModel, NoiseRecord, make_noise

CLASS_SIZES = [20, 18, 15, 14, 12, 11, 10, 9, 8, 3]
N, C = sum(CLASS_SIZES), len(CLASS_SIZES)
READ_NOT_DRAWN = {"clean", "human", "file"}
"Models whose labels do not depend on the seed."


def clean_labels() -> np.ndarray:
    """(N,) labels in random order."""
    return np.random.default_rng(1).permutation(np.repeat(np.arange(C), CLASS_SIZES))


def sure_probabilities(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """(N, C) the clean class is always the likeliest, so that `pmd` reaches every rate."""
    rng = np.random.default_rng(2)
    values = rng.uniform(0.1, 1.0, size=(len(labels), n_classes))
    values[np.arange(len(labels)), labels] = rng.uniform(1.1, 5.0, size=len(labels))
    return np.asarray(values / values.sum(axis=1, keepdims=True))


def all_inputs() -> dict[str, np.ndarray]:
    """What a model may need besides labels, by name."""
    labels = clean_labels()
    rng = np.random.default_rng(3)
    centres = rng.normal(scale=5.0, size=(C, 12))
    features = centres[labels] + rng.normal(size=(N, 12))
    return {
        "positions": features[:, :2].copy(),
        "probabilities": sure_probabilities(labels, C),
        "features": features,
    }


def needed_inputs(record: NoiseRecord) -> dict[str, np.ndarray]:
    used = example(record).used_inputs()
    return {name: value for name, value in all_inputs().items() if name in used}


def write_label_files(folder: Path) -> None:
    """The files that the examples of the records name."""
    import torch

    clean = clean_labels()
    noisy = np.where(np.arange(N) % 5 == 0, (clean + 1) % C, clean)
    np.save(folder / "labels.npy", noisy)
    (folder / "cifar-n").mkdir()
    content = {"clean_label": clean, "random_label1": noisy, "aggre_label": clean}
    torch.save(content, folder / "cifar-n" / "CIFAR-10_human.pt")


def example(record: NoiseRecord) -> NoiseModel:
    return make_noise(record.example)
