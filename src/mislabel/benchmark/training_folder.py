"""The folder of one training: what is in it, who may write there, and how it is read again.

    training.json            while it runs: what is trained, with how many threads
    checkpoint.safetensors   while it runs: where ``--resume`` goes on
    model.safetensors        the trained network      } `mislabel.learning.load_method`
    model.json               all else of the method   }
    curves.csv               one row per epoch, counted from 1
    scores.csv               one row per training example
    receipt.json             written last: a folder that has it is finished
    curves.png               drawn by the command line

``scores.csv`` has the columns of a label file (``label``, ``clean_label``, ``corrected_label``), so
that `mislabel.labels.load_labels` reads it.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.files import (
    check_links,
    check_plain,
    reading,
    write_text,
)
from mislabel.learning import NoisyLabelClassifier, load_method, save_method
from mislabel.leftovers import remove_leftovers
from mislabel.outputs import check_folder
from mislabel.sealed import read_sealed, write_sealed

FORMAT = 1
RUNNING, CHECKPOINT, RECEIPT = "training.json", "checkpoint.safetensors", "receipt.json"
RESULTS = ("model.safetensors", "model.json", "curves.csv", "scores.csv")
PICTURE = "curves.png"
FILES = (RUNNING, CHECKPOINT, RECEIPT, *RESULTS, PICTURE)
LOG_FOLDERS = ("tensorboard", "wandb")
"What loggers write."


@dataclass(frozen=True, kw_only=True)
class TrainedFolder:
    """What a finished training left.

    receipt: the content of receipt.json. curves: as `CURVES`, one value per epoch. scores: the
    columns of scores.csv, (N,) each. was_finished: whether it was there before.
    """

    path: Path
    receipt: Mapping[str, Any]
    curves: Mapping[str, Sequence[float | None]]
    scores: Mapping[str, NDArray[Any]]
    was_finished: bool = False

    @property
    def most_suspicious(self) -> NDArray[np.int64]:
        """(N,) rows of `scores`, the likeliest wrong label first."""
        return np.argsort(-self.scores["noise_score"], kind="stable")

    def method(self, **options: Any) -> NoisyLabelClassifier:
        """The trained method; options as `load_method` takes them."""
        return load_method(self.path, **options)


class TrainingFolder:
    """The folder at `path`; see the module."""

    def __init__(self, path: Path, argument: str = "out") -> None:
        self.path, self.argument = Path(path), argument

    @property
    def checkpoint(self) -> Path:
        return self.path / CHECKPOINT

    def is_finished(self) -> bool:
        return (self.path / RECEIPT).is_file()

    def is_begun(self) -> bool:
        return (self.path / RUNNING).is_file()

    def check_usable(self, *, resume: bool) -> None:
        """Raise `InputError` where this training may not be written; nothing is changed."""
        if self.path.exists() and not self.path.is_dir():
            raise InputError(self.argument, str(self.path), "is a file; must be a folder")
        if self.is_finished():
            self._read(RECEIPT)
        elif self.is_begun():
            if not resume:
                rule = "holds a training that is not finished; --resume goes on with it"
                raise InputError(self.argument, str(self.path), rule)
        elif self.path.is_dir() and not all(map(_is_ours, self.path.iterdir())):
            rule = "holds other things; give a new or empty folder"
            raise InputError(self.argument, str(self.path), rule)
        check_folder(self.path, self.argument)

    def begun(self) -> Mapping[str, Any] | None:
        """What was written when this training began, or was finished; None for a new folder."""
        if self.is_finished():
            return self._read(RECEIPT)
        return self._read(RUNNING) if self.is_begun() else None

    def check_identity(self, identity: Mapping[str, Any]) -> None:
        """Raise `InputError` when the folder holds another training."""
        begun = self.begun()
        if begun is None:
            return
        there = begun["identity"]
        different = [n for n in {**identity, **there} if identity.get(n) != there.get(n)]
        if different:
            rule = f"holds another training (different: {', '.join(sorted(different))})"
            raise InputError(self.argument, str(self.path), rule)

    def begin(self, content: Mapping[str, Any]) -> None:
        """Create the folder, or leave the training that is there as it is."""
        if not self.is_begun():
            write_sealed(self.path / RUNNING, {"format": FORMAT, **content})

    def finish(
        self,
        method: NoisyLabelClassifier,
        scores: Mapping[str, NDArray[Any]],
        receipt: Mapping[str, Any],
    ) -> None:
        """Write the results, the receipt last, and remove what only a running training needs."""
        save_method(method, self.path)
        write_text(self.path / "curves.csv", _curves_csv(method.curves_))
        write_text(self.path / "scores.csv", _scores_csv(scores))
        write_sealed(self.path / RECEIPT, {"format": FORMAT, **receipt}, files=RESULTS)
        self.clean_up()

    def clean_up(self) -> None:
        """Remove checkpoints and what a killed process left half written."""
        for name in (RUNNING, CHECKPOINT):
            (self.path / name).unlink(missing_ok=True)
        remove_leftovers(self.path)

    def read(self, *, was_finished: bool = False) -> TrainedFolder:
        """What a finished training left."""
        if not self.is_finished():
            raise InputError(self.argument, str(self.path), f"holds no training (no {RECEIPT})")
        check_links(self.path, self.argument)
        return TrainedFolder(
            path=self.path,
            receipt=self._read(RECEIPT),
            curves=self._curves(),
            scores=self._scores(),
            was_finished=was_finished,
        )

    def _read(self, name: str) -> Mapping[str, Any]:
        content = read_sealed(self.path / name, self.argument, format=FORMAT)
        if not isinstance(content, dict) or not {"format", "identity"} <= content.keys():
            rule = "is not of a training; give a new or empty folder"
            raise InputError(self.argument, str(self.path / name), rule)
        if content["format"] != FORMAT:
            rule = f"is not of a training of format {FORMAT}"
            raise InputError(self.argument, str(self.path / name), rule)
        return content

    def _curves(self) -> dict[str, list[float | None]]:
        path = self.path / "curves.csv"
        with reading(self.argument, path):
            columns = _columns(path)
            del columns["epoch"]
            return {n: [float(v) if v else None for v in values] for n, values in columns.items()}

    def _scores(self) -> dict[str, NDArray[Any]]:
        path, kinds = self.path / "scores.csv", {"noise_score": np.float32}
        with reading(self.argument, path):
            columns = _columns(path)
            if not {"index", "label", "noise_score"} <= columns.keys():
                raise ValueError("it has no columns index, label and noise_score")
            return {n: np.array(v).astype(kinds.get(n, np.int64)) for n, v in columns.items()}


def load_training(path: str | Path, argument: str = "run") -> TrainedFolder:
    """What ``mislabel train`` left in a folder."""
    return TrainingFolder(Path(path), argument).read()


def _is_temporary(path: Path) -> bool:
    """Whether a file is what `atomic_path` leaves when the process is killed while it writes."""
    return path.suffix == ".tmp" and any(path.name.startswith(f".{name}.") for name in FILES)


def _is_ours(path: Path) -> bool:
    """Whether it may lie in the folder of a training that has not begun."""
    return path.name in LOG_FOLDERS or _is_temporary(path)


def _curves_csv(curves: Mapping[str, Sequence[float | None]]) -> str:
    n_epochs = max(map(len, curves.values()))
    rows = zip(range(1, n_epochs + 1), *curves.values(), strict=True)
    return _csv(["epoch", *curves], rows)


def _scores_csv(scores: Mapping[str, NDArray[Any]]) -> str:
    """NumPy writes a float32 with as few digits as tell it from its neighbours."""
    texts = [column.astype(str).tolist() for column in scores.values()]
    return _csv(list(scores), zip(*texts, strict=True))


def _csv(names: Sequence[str], rows: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue()


def _columns(path: Path) -> dict[str, list[str]]:
    check_plain(path)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            names, *rows = csv.reader(file)
    except csv.Error as error:
        raise ValueError(str(error)) from error
    if not rows:
        raise ValueError("it has no rows")
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}
