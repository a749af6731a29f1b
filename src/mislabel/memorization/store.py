"""The folder of a held-out study: one small file per run, and what all runs share.

    study.json            identity (what runs depend on), data, command
    labels.npz            labels, clean labels if known, test labels, held-out set
    runs/000017.npz       a row: what run 17 trained on and predicted
    scores.npz, ...       whatever else is made of it; never read back

A row is an uncompressed ``.npz`` (no pickles) of bits (`numpy.packbits`) and small numbers:

    mask                (N / 8,) uint8, which examples it trained on
    train, test         (N / 8,), (M / 8,) uint8, whether the label given was predicted
    train_classes, test_classes   (N,), (M,) uint8 or uint16, the class predicted
    train_probability   (N,) float16, of the label given
    about               JSON: run, seeds, seconds, device, versions

A row appears in one rename, so it is complete or absent; should a disk damage it, the checksums of
the archive say so. Any worker may write any row, in any order; two that do the same run write the
same. Versions are written down and not compared: runs are draws from the randomness of training,
and one by another version of a library is as good.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.files import (
    UNREADABLE,
    atomic_path,
    check_links,
    error_line,
    locked,
    open_npz,
    reading,
)
from mislabel.leftovers import remove_leftovers
from mislabel.outputs import ELSEWHERE, check_own_folder
from mislabel.sealed import read_sealed, write_sealed
from mislabel.shapes import check_shape

FORMAT = 1
KEEPS = ("correctness", "predictions", "probabilities")
"What rows hold, each more than the one before."
SHAPE: dict[str, Any] = {
    "identity": {"keep": str}, "class_names": [str], "n_total": int,
}  # fmt: skip
"What study.json must hold to be read again; ``title`` and ``about`` besides."
MOST_RUNS = 10**6
Bits = NDArray[np.uint8]


class DamagedRow(Exception):  # noqa: N818 - not an error of the user
    """A row that cannot be read; the message says what is wrong."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What a run predicts when it is trained.

    train: (N,) classes of all training examples, left out or not. test: (M,) of the test examples.
    probability: (N,) of the given labels, or None where the study keeps none.
    """

    train: NDArray[Any]
    test: NDArray[Any]
    probability: NDArray[Any] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyLabels:
    """What a study measures against. N training examples, M test examples, H held out.

    labels, clean_labels: (N,), the second or None. test_labels: (M,). index: (H,) ascending rows
    of the held-out set. positions: (N,) ascending places in the full training set of n_total.
    """

    labels: NDArray[np.int64]
    clean_labels: NDArray[np.int64] | None
    test_labels: NDArray[np.int64]
    index: NDArray[np.int64]
    positions: NDArray[np.int64]
    n_total: int
    class_names: tuple[str, ...]


class StudyFolder:
    """The folder at `path`; see the module."""

    def __init__(self, path: str | Path, argument: str = "study") -> None:
        self.path, self.argument = Path(path), argument

    @property
    def _about(self) -> Path:
        return self.path / "study.json"

    def exists(self) -> bool:
        """Whether there is a study here."""
        return self._about.is_file()

    def check_usable(self, identity: Mapping[str, Any]) -> None:
        """Raise `InputError` where this study cannot be written; nothing is changed."""
        if self.exists():
            self.check_identity(identity)
        check_own_folder(
            self.path, self.argument, exists=self.exists, leftover=_is_ours, kind="a study"
        )

    def check_identity(self, identity: Mapping[str, Any]) -> None:
        """Raise `InputError`, naming the fields, where the folder holds another study."""
        there, ours = _flat(self.identity), _flat(json.loads(json.dumps(identity)))
        for name in sorted(there.keys() | ours.keys()):
            if there.get(name) != ours.get(name):
                rule = f"holds a study with {name} {there.get(name)!r}, not {ours.get(name)!r}"
                raise InputError(self.argument, str(self.path), rule)

    def start(
        self, identity: Mapping[str, Any], labels: StudyLabels, about: Mapping[str, Any]
    ) -> None:
        """Create the folder, or leave the study that is there as it is."""
        with locked(self.path):
            if self.exists():
                self.check_identity(identity)
            else:
                self._save_labels(labels)
                names = {"class_names": list(labels.class_names), "n_total": labels.n_total}
                content = {"format": FORMAT, "identity": dict(identity), **names, **about}
                write_sealed(self._about, content)
        (self.path / "runs").mkdir(exist_ok=True)
        remove_leftovers(self.path, self.path / "runs")

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The content of study.json."""
        if not self.exists():
            raise InputError(self.argument, str(self.path), "holds no study (no study.json)")
        content = read_sealed(self._about, self.argument, format=FORMAT)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError(self.argument, str(self._about), f"is no study of format {FORMAT}")
        with reading(self.argument, self._about):
            check_shape(content, SHAPE)
            if content["identity"]["keep"] not in KEEPS:
                raise ValueError(f"keep must be one of {', '.join(KEEPS)}")
        self._check_links()
        return content

    def _check_links(self) -> None:
        for folder in (self.path, self.path / "runs"):
            if folder.is_dir():
                check_links(folder, self.argument)

    @property
    def identity(self) -> dict[str, Any]:
        """What the runs depend on."""
        return dict(self.metadata["identity"])

    @property
    def keep(self) -> str:
        """What rows hold, one of `KEEPS`."""
        return str(self.identity["keep"])

    @cached_property
    def labels(self) -> StudyLabels:
        """Labels and the held-out set."""
        metadata, path = self.metadata, self.path / "labels.npz"
        try:
            with open_npz(path) as file:
                arrays = {name: np.asarray(file[name], np.int64) for name in file.files}
            labels = StudyLabels(
                clean_labels=arrays.pop("clean_labels", None),
                n_total=int(metadata["n_total"]),
                class_names=tuple(map(str, metadata["class_names"])),
                **arrays,
            )
            _check_labels(labels)
            return labels
        except UNREADABLE as error:
            rule = f"cannot be read ({error_line(error)})"
            raise InputError(self.argument, str(path), rule) from error

    def runs(self) -> list[int]:
        """Numbers of the runs that have a row, ascending; they are not read."""
        names = (path.stem for path in (self.path / "runs").glob("*.npz"))
        return sorted(int(name) for name in names if name.isdigit())

    def row_path(self, number: int) -> Path:
        return self.path / "runs" / f"{number:06d}.npz"

    def check_shared(self, number: int) -> None:
        """Raise `InputError` where a worker stored a row that is not here."""
        if not self.row_path(number).is_file():
            raise InputError(self.argument, str(self.path), ELSEWHERE)

    def save(self, number: int, mask: NDArray[np.bool_], answer: Answer, about: Any) -> None:
        """Write a row, atomically. answer: checked against the labels' lengths."""
        row = pack_row(mask, answer, self.labels, self.keep)
        text = json.dumps({"run": number, **about}, allow_nan=False)
        with atomic_path(self.row_path(number)) as temporary, temporary.open("wb") as file:
            np.savez(file, about=np.array(text), **row)

    def row(self, number: int, names: Iterable[str]) -> dict[str, NDArray[Any]]:
        """Arrays of a row as they are stored; `DamagedRow` where they are not what they must be."""
        wanted = self._kinds
        try:
            with open_npz(self.row_path(number)) as file:
                found = {name: file[name] for name in names}
        except UNREADABLE as error:
            raise DamagedRow(f"{self.row_path(number)} is damaged ({error_line(error)})") from error
        for name, array in found.items():
            length, kinds = wanted[name]
            if array.shape != (length,) or array.dtype not in kinds:
                text = f"{name} is {array.dtype} {array.shape}"
                raise DamagedRow(f"{self.row_path(number)} is damaged ({text})")
        return found

    def about(self, number: int) -> dict[str, Any]:
        """What is written down of a run: seeds, seconds, device, versions."""
        try:
            with open_npz(self.row_path(number)) as file:
                found = json.loads(str(file["about"][()]))
            if found["run"] != number:
                raise ValueError(f"it is of run {found['run']}")
        except UNREADABLE as error:
            raise DamagedRow(f"{self.row_path(number)} is damaged ({error_line(error)})") from error
        return dict(found)

    def check_row(self, number: int) -> dict[str, Any]:
        """Read all of a row; `DamagedRow`, or what `about` says."""
        self.row(number, self.kept)
        return self.about(number)

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the arrays of a row."""
        depth = KEEPS.index(self.keep)
        more = (("train_classes", "test_classes"), ("train_probability",))[:depth]
        return ("mask", "train", "test", *(name for names in more for name in names))

    @cached_property
    def _kinds(self) -> dict[str, tuple[int, tuple[Any, ...]]]:
        """Length and types of each array of a row."""
        n, m = len(self.labels.labels), len(self.labels.test_labels)
        bits, whole = (np.dtype(np.uint8),), (np.dtype(np.uint8), np.dtype(np.uint16))
        return {
            "mask": (-(-n // 8), bits),
            "train": (-(-n // 8), bits),
            "test": (-(-m // 8), bits),
            "train_classes": (n, whole),
            "test_classes": (m, whole),
            "train_probability": (n, (np.dtype(np.float16),)),
        }

    def _save_labels(self, labels: StudyLabels) -> None:
        names = ("labels", "clean_labels", "test_labels", "index", "positions")
        arrays = {name: getattr(labels, name) for name in names}
        kept = {name: array for name, array in arrays.items() if array is not None}
        path = self.path / "labels.npz"
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **kept)


def pack_row(
    mask: NDArray[np.bool_], answer: Answer, labels: StudyLabels, keep: str
) -> dict[str, Any]:
    """The arrays of a row; `InputError` where an answer does not fit."""
    n, m, n_classes = len(labels.labels), len(labels.test_labels), len(labels.class_names)
    train = _classes(answer.train, "train", n, n_classes)
    test = _classes(answer.test, "test", m, n_classes)
    row: dict[str, Any] = {
        "mask": np.packbits(mask),
        "train": np.packbits(train == labels.labels),
        "test": np.packbits(test == labels.test_labels),
    }
    if keep != "correctness":
        kind = np.uint8 if n_classes <= 256 else np.uint16
        row |= {"train_classes": train.astype(kind), "test_classes": test.astype(kind)}
    if keep == "probabilities":
        chance = np.asarray(np.nan if answer.probability is None else answer.probability)
        if chance.shape != (n,) or not ((chance >= 0) & (chance <= 1)).all():
            rule = f"must be numbers from 0 to 1, one per training example: {n}"
            raise InputError("probability", f"{chance.dtype} {chance.shape}", rule)
        row["train_probability"] = chance.astype(np.float16)
    return row


def unpack(bits: Bits, count: int) -> NDArray[np.uint8]:
    """Zeros and ones (count,) of packed bits."""
    return np.unpackbits(bits, count=count)


def merge(sources: Sequence[str | Path], out: str | Path) -> int:
    """Bring the runs of several folders of one study together in `out`; how many it then has.

    `out` may be new, or one of the study's own. A run that is in several folders must be the same
    in all. Errors: `InputError` where studies differ, runs conflict or a row is damaged, before
    anything is written.
    """
    if not sources:
        raise InputError("study", [], "give at least one folder")
    target, folders = StudyFolder(out, "out"), [StudyFolder(source) for source in sources]
    first = folders[0]
    target.check_usable(first.identity)
    holders: dict[int, StudyFolder] = {}
    for folder in [*([target] if target.exists() else []), *folders]:
        folder.check_identity(first.identity)
        for number in folder.runs():
            _check_same(holders.setdefault(number, folder), folder, number)
    content = {name: value for name, value in first.metadata.items() if name not in _OWN}
    target.start(first.identity, first.labels, content)
    for number, folder in holders.items():
        if folder.path != target.path:
            with atomic_path(target.row_path(number)) as temporary:
                temporary.write_bytes(folder.row_path(number).read_bytes())
    return len(holders)


_OWN = ("format", "identity", "class_names", "n_total")


def _check_same(one: StudyFolder, other: StudyFolder, number: int) -> None:
    """Raise where a row cannot be read, or two of the same run differ in content."""
    try:
        other.check_row(number)
        if one is not other:
            first, second = (folder.row(number, folder.kept) for folder in (one, other))
            for name in first:
                if not np.array_equal(first[name], second[name]):
                    rule = f"its run {number} has another {name} than that in {one.path}"
                    raise InputError(other.argument, str(other.path), rule)
    except DamagedRow as damage:
        rule = f"{damage}; run the study again to repair it"
        raise InputError(other.argument, str(other.path), rule) from damage


def _classes(values: Any, name: str, count: int, n_classes: int) -> NDArray[np.int64]:
    found = np.asarray(values)
    if found.shape != (count,) or found.dtype.kind not in "iu":
        rule = f"must be classes, one per {name} example: {count}"
        raise InputError(name, f"{found.dtype} {found.shape}", rule)
    if count and not (found.min() >= 0 and found.max() < n_classes):
        raise InputError(name, "classes", f"must be from 0 to {n_classes - 1}")
    return found.astype(np.int64)


def _check_labels(labels: StudyLabels) -> None:
    """Raise `ValueError` where labels are of no class, or positions are none."""
    n, n_classes = len(labels.labels), len(labels.class_names)
    limits = {
        "labels": n_classes, "clean_labels": n_classes, "test_labels": n_classes,
        "index": n, "positions": labels.n_total,
    }  # fmt: skip
    for name, limit in limits.items():
        array = getattr(labels, name)
        if array is None:
            continue
        if array.ndim != 1 or ((array < 0) | (array >= limit)).any():
            raise ValueError(f"{name} must be from 0 to {limit - 1}")
        if name in ("clean_labels", "positions") and len(array) != n:
            raise ValueError(f"{name} must have length {n}")
        if name in ("index", "positions") and (np.diff(array) <= 0).any():
            raise ValueError(f"{name} must be ascending without repetition")


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dots in the names."""
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            found |= _flat(inner, f"{prefix}{name}.")
        else:
            found[prefix + name] = inner
    return found


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _is_ours(path: Path) -> bool:
    """Whether a killed process leaves such a file before study.json is there."""
    return path.name in ("labels.npz", "runs") or path.suffix == ".tmp"
