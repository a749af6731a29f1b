"""The published study's files: its NPZ layout, written and read, and its table of scores, read.

Lim, Larson & Leach 2025 store runs in NPZ files (R runs, N training and M test examples):

    trainset_mask, trainset_correctness, trainset_predictions     (R, N)
    testset_correctness, testset_predictions                      (R, M)

and the aggregated file adds ``total_runs``, ``memorization``, ``memorization_inclusion_prob``,
``memorization_exclusion_prob`` (N,) and ``influence`` (M, N). We write NaN where an example was
always in, for which the study has 0; what we read is counted anew from masks and correctness where
the file has them. Nothing that is read is executed, and influence is not loaded.

The table has a row per example: index, clean_label, noisy_label, inclusion_prob, exclusion_prob. It
has no counts, but its design is known (`mislabel.memorization.design`, lim2025), so with the number
of runs, 1,500, counts and standard errors follow.
"""

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mislabel.errors import InputError
from mislabel.files import UNREADABLE, atomic_path, error_line, open_npz
from mislabel.labels import NoisyLabels, check_labels
from mislabel.memorization.aggregate import Sums, read_row
from mislabel.memorization.design import make_design
from mislabel.memorization.influence import Counts, influence_blocks, packed
from mislabel.memorization.scores import Floats, MemorizationScores
from mislabel.memorization.store import StudyFolder, unpack
from mislabel.tables import read_csv

MASK, RIGHT = "trainset_mask", "trainset_correctness"
PROBABILITIES = ("memorization_inclusion_prob", "memorization_exclusion_prob")
COLUMNS = ("index", "clean_label", "noisy_label", "inclusion_prob", "exclusion_prob")
_BITS = {MASK: "mask", RIGHT: "train", "testset_correctness": "test"}
_CLASSES = {"trainset_predictions": "train_classes", "testset_predictions": "test_classes"}
Block = NDArray[Any]


def export_study(
    study: str | Path | StudyFolder,
    out: str | Path,
    *,
    runs_per_file: int | None = None,
    influence: bool = False,
) -> list[Path]:
    """Write a study in the published layout to the file `out`, or to several beside it.

    runs_per_file: write shards ``<out>-000.npz`` of so many runs each, which have no aggregated
    arrays. influence: compute and write it too; 4 M N bytes, 2 GB for CIFAR-10. Arrays are streamed
    and never held. A study that keeps only correctness has no predictions to write.
    """
    folder = study if isinstance(study, StudyFolder) else StudyFolder(study)
    out, runs = Path(out), folder.runs()
    if out.suffix != ".npz":
        raise InputError("output", str(out), "must end in .npz")
    if runs_per_file is not None and (runs_per_file < 1 or influence):
        rule = "is in the aggregated file, not in shards" if influence else "must be at least 1"
        raise InputError("influence" if influence else "runs_per_file", runs_per_file, rule)
    if not runs:
        raise InputError(folder.argument, str(folder.path), "has no finished run")
    if runs_per_file is None:
        _write(folder, runs, out, aggregated=True, influence=influence)
        return [out]
    shards = [runs[start : start + runs_per_file] for start in range(0, len(runs), runs_per_file)]
    paths = [out.with_name(f"{out.stem}-{number:03d}.npz") for number in range(len(shards))]
    for path, shard in zip(paths, shards, strict=True):
        _write(folder, shard, path, aggregated=False, influence=False)
    return paths


def import_npz(
    paths: Sequence[str | Path],
    labels: NoisyLabels,
    *,
    index: ArrayLike | None = None,
    title: str | None = None,
) -> MemorizationScores:
    """Scores from files in the published layout, shards or an aggregated one, for labels (N,).

    index: the held-out set; by default the examples that a run left out, which only masks can
    tell. Errors: `InputError`, also where a file has neither masks nor this index.
    """
    if not paths:
        raise InputError("file", [], "give at least one file")
    names = [_names(Path(path)) for path in paths]
    given = None
    if index is not None:
        given = np.unique(check_labels(index, name="held_out", n_classes=len(labels)))
    if all({MASK, RIGHT} <= found for found in names):
        return _from_masks([Path(path) for path in paths], labels, given, title)
    if len(paths) == 1 and set(PROBABILITIES) <= names[0]:
        return _from_probabilities(Path(paths[0]), labels, given, title)
    wanted = f"must have {MASK} and {RIGHT}, or {' and '.join(PROBABILITIES)}"
    raise InputError("file", str(paths[0]), wanted)


def import_csv(
    path: str | Path,
    labels: NoisyLabels,
    *,
    runs: int | None = None,
    title: str | None = None,
) -> MemorizationScores:
    """Scores from a published table, for labels (N,) that it must agree with.

    runs: number of runs of the design lim2025 behind it; then counts and standard errors are known.
    """
    path = Path(path)
    table = _table(path)
    index = check_labels(table["index"], name="index", n_classes=len(labels))
    order = np.argsort(index)
    index, table = index[order], {name: values[order] for name, values in table.items()}
    if (np.diff(index) == 0).any():
        raise InputError("index", int(index[:-1][np.diff(index) == 0][0]), "is there twice")
    for name, ours in (("noisy_label", labels.labels), ("clean_label", labels.clean_labels)):
        if ours is None:
            continue
        wrong = np.flatnonzero(table[name] != ours[index])
        if len(wrong):
            rule = f"{len(wrong):,} of its {name}s are not those of labels, first at {wrong[0]}"
            raise InputError("file", str(path), rule)
    clean = np.array(labels.labels if labels.clean_labels is None else labels.clean_labels)
    clean[index] = table["clean_label"]
    known = NoisyLabels(labels.labels, clean_labels=clean, n_classes=labels.n_classes)
    probabilities = np.stack([table["inclusion_prob"], table["exclusion_prob"]])
    more = {} if runs is None else _counted(probabilities, known, index, runs)
    return MemorizationScores.of(
        known,
        index=index,
        provenance=_provenance(path, title, runs),
        **({"inclusion": probabilities[0], "exclusion": probabilities[1]} | more),
    )


def _write(
    folder: StudyFolder, runs: Sequence[int], path: Path, *, aggregated: bool, influence: bool
) -> None:
    """One file, an array after the other, a row at a time."""
    lengths = {"train": len(folder.labels.labels), "test": len(folder.labels.test_labels)}
    n_train, n_test = lengths.values()
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", compresslevel=1) as file:
        for name, stored in _BITS.items():
            length = lengths[name[: name.index("set")]]
            rows = (unpack(row, length) for row in _column(folder, runs, stored))
            _member(file, name, np.bool_, (len(runs), length), rows)
        for name, stored in _CLASSES.items():
            if stored in folder.kept:
                length = lengths[name[: name.index("set")]]
                kind = np.uint8 if len(folder.labels.class_names) <= 256 else np.uint16
                shape = (len(runs), length)
                _member(file, name, kind, shape, _column(folder, runs, stored))
        if aggregated:
            for name, values in _aggregated(folder, runs).items():
                _member(file, name, values.dtype, values.shape, [values])
        if influence:
            shape = (n_test, n_train)
            _member(file, "influence", np.float32, shape, _influence(folder, runs))


def _member(
    file: zipfile.ZipFile, name: str, kind: DTypeLike, shape: tuple[int, ...], blocks: Any
) -> None:
    """Write an array into an archive, block by block; small numbers are worth compressing."""
    dtype, entry = np.dtype(kind), zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = zipfile.ZIP_DEFLATED if dtype.itemsize < 4 else zipfile.ZIP_STORED
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with file.open(entry, "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for block in blocks:
            member.write(np.ascontiguousarray(block, dtype=dtype).tobytes())


def _column(folder: StudyFolder, runs: Sequence[int], name: str) -> Iterator[Block]:
    return (read_row(folder, number, (name,))[name] for number in runs)


def _aggregated(folder: StudyFolder, runs: Sequence[int]) -> dict[str, Block]:
    """Of all N examples, those that were always in too."""
    n_train = len(folder.labels.labels)
    columns = (_column(folder, runs, name) for name in ("mask", "train"))
    rows = ((unpack(mask, n_train) == 1, unpack(right, n_train)) for mask, right in
            zip(*columns, strict=True))  # fmt: skip
    exclusion, inclusion = Sums.of(rows, n_train).means()
    return {
        "total_runs": np.array(len(runs)),
        "memorization": inclusion - exclusion,
        PROBABILITIES[0]: inclusion,
        PROBABILITIES[1]: exclusion,
    }


def _influence(folder: StudyFolder, runs: Sequence[int]) -> Iterator[Block]:
    """Blocks of rows (b, N)."""
    labels = folder.labels
    test = np.arange(len(labels.test_labels))
    masks, right = packed(folder, runs, test)
    counts = Counts.of(masks, len(labels.index), len(runs))
    for block in influence_blocks(masks, right, counts, len(test)):
        whole = np.full((len(block), len(labels.labels)), np.nan, dtype=np.float32)
        whole[:, labels.index] = block
        yield whole


def _from_masks(
    paths: Sequence[Path], labels: NoisyLabels, index: NDArray[np.int64] | None, title: str | None
) -> MemorizationScores:
    sums = Sums.of(_mask_rows(paths, len(labels)), len(labels))
    means, errors, counts, halves = sums.means(), sums.errors(), sums.counts(), sums.halves()
    held = np.flatnonzero(counts[0]) if index is None else index
    runs = int(counts.sum(axis=0).max())
    return MemorizationScores.of(
        labels,
        index=held,
        inclusion=means[1, held],
        exclusion=means[0, held],
        inclusion_error=errors[1, held],
        exclusion_error=errors[0, held],
        inclusion_count=counts[1, held],
        exclusion_count=counts[0, held],
        inclusion_halves=halves[:, 1, held],
        exclusion_halves=halves[:, 0, held],
        provenance=_provenance(paths[0], title, runs),
    )


def _mask_rows(paths: Iterable[Path], n_train: int) -> Iterator[tuple[Block, Block]]:
    for path in paths:
        found = _arrays(path, (MASK, RIGHT))
        mask, right = found[MASK], found[RIGHT]
        if mask.ndim != 2 or mask.shape != right.shape or mask.shape[1] != n_train:
            rule = f"{MASK} is {mask.shape} and {RIGHT} {right.shape}; must be (runs, {n_train})"
            raise InputError("file", str(path), rule)
        yield from zip(mask.astype(bool), right.astype(bool), strict=True)


def _from_probabilities(
    path: Path, labels: NoisyLabels, index: NDArray[np.int64] | None, title: str | None
) -> MemorizationScores:
    found = _arrays(path, PROBABILITIES)
    inclusion, exclusion = (found[name].astype(np.float64) for name in PROBABILITIES)
    if index is None:
        raise InputError("held_out", None, f"{path.name} has no masks to tell it; give it")
    if len(inclusion) == len(exclusion) == len(labels):
        inclusion, exclusion = inclusion[index], exclusion[index]
    elif not len(inclusion) == len(exclusion) == len(index):
        rule = f"has {len(inclusion)} probabilities; must be {len(labels)} or {len(index)}"
        raise InputError("file", str(path), rule)
    _check_range(path, np.stack([inclusion, exclusion]))
    return MemorizationScores.of(
        labels,
        index=index,
        inclusion=inclusion,
        exclusion=exclusion,
        provenance=_provenance(path, title, None),
    )


def _counted(
    probabilities: Floats, labels: NoisyLabels, index: NDArray[np.int64], runs: int
) -> dict[str, Block]:
    """Probabilities as the fractions they were, counts and errors; (2, M) in, out."""
    if runs < 1:
        raise InputError("runs", runs, "must be at least 1")
    design = make_design(labels, "lim2025")
    inside = np.zeros(len(labels), dtype=np.int64)
    for number in range(runs):
        inside += design.mask(number)
    counts = np.stack([inside[index], runs - inside[index]])
    hits = np.round(probabilities * counts)
    # Numbers of float32 are off by a relative 2^-24, and were divided once.
    if (np.abs(probabilities * counts - hits) > counts * 2.0**-22).any() or (counts == 0).any():
        raise InputError("runs", runs, "the probabilities are no fractions of so many runs")
    means = hits / counts
    errors = np.full(means.shape, np.nan)
    np.divide(means * (1 - means), counts - 1, out=errors, where=counts > 1)
    return {
        "inclusion": means[0], "exclusion": means[1],
        "inclusion_count": counts[0], "exclusion_count": counts[1],
        "inclusion_error": np.sqrt(errors[0]), "exclusion_error": np.sqrt(errors[1]),
    }  # fmt: skip


def _table(path: Path) -> dict[str, Block]:
    """The columns of a table, numbers."""
    try:
        table = read_csv(path)
        columns = {name: table[name].to_numpy() for name in COLUMNS}
    except UNREADABLE as error:
        rule = f"is no table with the columns {', '.join(COLUMNS)} ({error_line(error)})"
        raise InputError("file", str(path), rule) from error
    for name, values in columns.items():
        if values.dtype.kind not in ("iu" if name in COLUMNS[:3] else "fiu"):
            raise InputError("file", str(path), f"its column {name} is {values.dtype}")
    _check_range(path, np.stack([columns[name] for name in COLUMNS[3:]]))
    return columns


def _check_range(path: Path, probabilities: Block) -> None:
    if ((probabilities < 0) | (probabilities > 1)).any():
        raise InputError("file", str(path), "its probabilities must be from 0 to 1")


def _names(path: Path) -> set[str]:
    try:
        with open_npz(path) as file:
            return set(file.files)
    except UNREADABLE as error:
        raise InputError(
            "file", str(path), f"is no archive of arrays ({error_line(error)})"
        ) from error


def _arrays(path: Path, names: Iterable[str]) -> dict[str, Block]:
    try:
        with open_npz(path) as file:
            return {name: file[name] for name in names}
    except UNREADABLE as error:
        raise InputError("file", str(path), f"cannot be read ({error_line(error)})") from error


def _provenance(path: Path, title: str | None, runs: int | None) -> dict[str, Any]:
    about = {"estimator": "held-out study", "title": title or path.name, "file": path.name}
    return about if runs is None else about | {"runs": runs}
