"""Class probabilities by what a training left (`training_folder`), and their files."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mislabel.benchmark.training_folder import TrainedFolder
from mislabel.data import load_data
from mislabel.errors import InputError, did_you_mean
from mislabel.features import encode, load_features
from mislabel.files import atomic_path, read_npy
from mislabel.outputs import check_file
from mislabel.words import safe_cell

SUFFIXES = (".npy", ".csv")
SPLITS = ("test", "train")


def predict_data(
    trained: TrainedFolder,
    data: str,
    *,
    split: str = "test",
    features: Path | None = None,
    device: str = "auto",
) -> NDArray[np.float32]:
    """(M, C) probabilities of the test or training examples of a data spec.

    features: of these examples, for a method that predicts from features; by default those of
    the encoder of the training, which learns from the same training examples.
    """
    if split not in SPLITS:
        raise InputError("split", split, f"unknown choice; {did_you_mean(split, SPLITS)}")
    method, made = trained.method(device=device), trained.receipt["data"]
    dataset = load_data(
        data, subset=made["subset"], seed=made["seed"], image_size=made["image_size"]
    )
    examples = dataset.x_test if split == "test" else dataset.x_train
    if not len(examples):
        raise InputError("split", split, "this data has no such examples")
    points = None if features is None else load_features(features)
    if points is None and method.predicts_from_features:
        if made["encoder"] is None:
            rule = f"{method.name} was trained on features from a file; give those of the examples"
            raise InputError("features", None, rule)
        points = encode(made["encoder"], examples, fit_on=dataset.x_train, device=device)
    return method.predict_proba(examples, features=points)


def predict_array(
    trained: TrainedFolder, path: Path, *, features: Path | None = None, device: str = "auto"
) -> NDArray[np.float32]:
    """(M, C) probabilities of the examples in an ``.npy`` file, images or features."""
    if not path.is_file():
        raise InputError("images", str(path), "no such file")
    try:
        examples = read_npy(path)
    except (ValueError, OSError) as error:
        rule = f"is not a complete .npy file of numbers ({' '.join(str(error).split())})"
        raise InputError("images", str(path), rule) from error
    points = None if features is None else load_features(features)
    return trained.method(device=device).predict_proba(examples, features=points)


def check_probabilities_file(path: Path, argument: str = "output") -> None:
    """Raise `InputError` where probabilities cannot be written at `path`, before any work."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(argument, str(path), f"unknown format; use {' or '.join(SUFFIXES)}")
    check_file(path, argument)


def save_probabilities(
    path: Path, probabilities: NDArray[np.float32], class_names: tuple[str, ...]
) -> None:
    """Write ``.npy`` (M, C), or ``.csv`` with the likeliest class and a column per class."""
    check_probabilities_file(path)
    with atomic_path(path) as temporary:
        if path.suffix.lower() == ".npy":
            with temporary.open("wb") as file:
                np.save(file, probabilities, allow_pickle=False)
            return
        answers = probabilities.argmax(axis=1).tolist()
        texts = probabilities.astype(str).tolist()
        with temporary.open("w", newline="", encoding="utf-8") as text:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(["index", "predicted_label", *map(safe_cell, class_names)])
            rows = zip(range(len(answers)), answers, texts, strict=True)
            writer.writerows([index, answer, *row] for index, answer, row in rows)
