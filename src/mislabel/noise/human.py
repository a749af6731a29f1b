"""Human noise: the labels that people gave, from CIFAR-N or from any label file.

Source: Wei et al., "Learning with Noisy Labels Revisited: A Study Using Real-World Human
Annotations", ICLR 2022. CIFAR-10N has five sets for the 50,000 training images of CIFAR-10:
``aggre_label``, ``random_label1`` to ``3`` and ``worse_label`` (rates 0.09, 0.17, 0.18, 0.18,
0.40); CIFAR-100N has ``noisy_label`` (0.40) and, for the 20 coarse classes of the data
``cifar100-coarse``, ``noisy_coarse_label`` (0.26).

The labels are read, not drawn: their receipt has the file's hash and no seed. They must be aligned:
where the file holds clean labels, they must be the data's.
"""

import os
from abc import abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from mislabel.cache import cache_folder
from mislabel.errors import InputError, did_you_mean
from mislabel.files import hash_file
from mislabel.labels import Receipt, load_labels
from mislabel.noise.base import IntArray, NoiseModel, NoiseRecord, Problem

HUMAN_SETS = {
    "aggre_label": "CIFAR-10_human.pt",
    "random_label1": "CIFAR-10_human.pt",
    "random_label2": "CIFAR-10_human.pt",
    "random_label3": "CIFAR-10_human.pt",
    "worse_label": "CIFAR-10_human.pt",
    "noisy_label": "CIFAR-100_human.pt",
    "noisy_coarse_label": "CIFAR-100_human.pt",
}
"Names of the sets of CIFAR-N, and the file each is in."


@dataclass(frozen=True, kw_only=True)
class ReadLabels(NoiseModel):
    """Base of the models that read labels from a file; nothing is drawn, no seed takes part."""

    reads_file: ClassVar[bool] = True

    @abstractmethod
    def found(self) -> Path:
        """The file."""

    def _input_hashes(self, problem: Problem) -> dict[str, str]:
        return super()._input_hashes(problem) | {"file": hash_file(self.found())}

    def _receipt(self, problem: Problem) -> Receipt:
        return replace(super()._receipt(problem), seed=None)


@dataclass(frozen=True, kw_only=True)
class Human(ReadLabels):
    """Labels of CIFAR-N.

    which: name of the set, "random_label1" say.
    file: CIFAR-N's ``.pt`` file; by default looked for in ``$MISLABEL_DATA/cifar-n`` and the
        cache folder.
    """

    name: ClassVar[str] = "human"
    which: str
    file: Path | None = None

    def check_parameters(self) -> None:
        if self.which not in HUMAN_SETS:
            hint = did_you_mean(self.which, HUMAN_SETS)
            raise InputError("which", self.which, f"unknown human labels; {hint}")

    def _corrupt(self, problem: Problem) -> IntArray:
        return labels_from_file(self.found(), problem, column=self.which)

    def found(self) -> Path:
        """The file: the one given, or where it is looked for."""
        return self.file or find_human_file(HUMAN_SETS[self.which])


@dataclass(frozen=True, kw_only=True)
class FromFile(ReadLabels):
    """Labels from the user's own file, for the full training set or for these examples.

    path: a label file (``.npy``, ``.csv``, ``.parquet``, ``.pt``). column: which labels, for a
    file that holds several.
    """

    name: ClassVar[str] = "file"
    path: Path
    column: str | None = None

    def _corrupt(self, problem: Problem) -> IntArray:
        return labels_from_file(self.path, problem, column=self.column)

    def found(self) -> Path:
        """The file that was given."""
        return self.path


def labels_from_file(path: Path, problem: Problem, *, column: str | None) -> IntArray:
    """(N,) labels of a file, aligned with the problem's examples."""
    loaded = load_labels(path, n_classes=problem.n_classes, column=column)
    n_examples = len(problem.clean_labels)
    if len(loaded) == problem.n_total:
        rows = problem.indices
    elif len(loaded) == n_examples:
        rows = np.arange(n_examples)
    else:
        sizes = " or ".join(map(str, dict.fromkeys([n_examples, problem.n_total])))
        raise InputError("labels", f"{len(loaded)} labels", f"must have length {sizes}")
    taken = loaded.take(rows)
    if taken.clean_labels is not None:
        wrong = np.flatnonzero(taken.clean_labels != problem.clean_labels)
        if len(wrong):
            first = int(wrong[0])
            rule = (
                f"its clean label at index {first} is not the data's, "
                f"{problem.clean_labels[first]}: not aligned"
            )
            raise InputError("labels", int(taken.clean_labels[first]), rule)
    return taken.labels


def find_human_file(name: str, *near: Path) -> Path:
    """CIFAR-N's file: in or beside the folders `near`, in ``$MISLABEL_DATA``, or in the cache."""
    folders = [f for folder in near for f in (folder, folder.parent / "cifar-n", folder.parent)]
    if data := os.environ.get("MISLABEL_DATA"):
        folders.append(Path(data) / "cifar-n")
    folders.append(cache_folder() / "cifar-n")
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    looked = ", ".join(map(str, folders))
    raise InputError("human", name, f"not found; looked in {looked}; mislabel noise fetch gets it")


RECORD = NoiseRecord(
    name=Human.name,
    title="Human",
    paper="Wei et al. 2022 (CIFAR-N)",
    model=Human,
    positional="which",
    example="human:random_label1",
    advice="what people really answered; moderately clustered",
)
FILE_RECORD = NoiseRecord(
    name=FromFile.name,
    title="From a file",
    paper="none",
    model=FromFile,
    positional="path",
    example="file:labels.npy",
    advice="labels of your own",
)
