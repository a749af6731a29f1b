"""Files of cleaned labels: ``.csv``, ``.parquet`` and ``.npz``, with the receipt beside them.

A table has a row per example:

| column | content |
|---|---|
| ``sample_id`` | 0, 1, 2, ... |
| ``original_label``, ``corrected_label`` | as given, and after cleaning |
| ``noise_score`` | probability that the given label is wrong |
| ``target_0``, ``target_1``, ... | probability of each class |
| ``clean_label`` | where it is known |

It is a label file too: `mislabel.labels.load_labels` reads the column ``corrected_label`` and finds
it in agreement with the receipt. (``given_label`` would be taken for the clean one there, as in
the published files.) An archive has the arrays ``labels``, ``corrected_labels``, ``targets``,
``noise_scores``, ``class_names`` and, where known, ``clean_labels``. Reading runs no code, and
takes only what agrees with the receipt in every place.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.cleaning.cleaned import GENERATOR, CleanedLabels
from mislabel.errors import InputError
from mislabel.files import (
    UNREADABLE,
    atomic_path,
    error_line,
    hash_array,
    open_npz,
    read_json,
    write_json,
)
from mislabel.labels.check import check_labels
from mislabel.labels.formats import receipt_path
from mislabel.outputs import check_file
from mislabel.tables import read_csv, read_parquet

SUFFIXES = (".csv", ".parquet", ".npz")
Arrays = dict[str, NDArray[Any]]

_COLUMNS = {
    "original_label": "labels",
    "corrected_label": "corrected_labels",
    "noise_score": "noise_scores",
    "clean_label": "clean_labels",
}
"Columns of a table, by the name of their array."


def check_cleaned_file(path: Path, argument: str = "path") -> None:
    """Raise `InputError` where cleaned labels cannot be written at `path`; nothing is changed."""
    if path.suffix not in SUFFIXES:
        raise InputError(argument, str(path), f"must end in {', '.join(SUFFIXES)}")
    check_file(path, argument)


def save_cleaned(cleaned: CleanedLabels, path: Path) -> None:
    """Write cleaned labels in the format of the suffix, and the receipt, each atomically."""
    check_cleaned_file(path)
    arrays: Arrays = {
        "labels": cleaned.labels,
        "corrected_labels": cleaned.corrected_labels,
        "noise_scores": cleaned.noise_scores,
        "targets": cleaned.targets,
    }
    if cleaned.clean_labels is not None:
        arrays["clean_labels"] = cleaned.clean_labels
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        if path.suffix == ".npz":
            names = np.array(cleaned.class_names, dtype=np.str_)
            np.savez_compressed(file, class_names=names, **arrays)  # type: ignore[arg-type]
        else:
            _write_table(arrays, file, csv=path.suffix == ".csv")
    write_json(receipt_path(path), dict(cleaned.receipt))


def load_cleaned(path: str | Path, argument: str = "cleaned") -> CleanedLabels:
    """Cleaned labels from a file that `CleanedLabels.save` wrote; nothing in it is executed.

    Errors: `InputError` for a file or receipt that is missing, broken, or not of each other.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(argument, str(path), f"must end in {', '.join(SUFFIXES)}")
    for needed in (path, receipt_path(path)):
        if not needed.is_file():
            raise InputError(argument, str(needed), "no such file")
    receipt = read_json(receipt_path(path), f"{argument} receipt")
    try:
        arrays = _read_archive(path) if path.suffix == ".npz" else _read_table(path)
        return _checked(arrays, receipt)
    except UNREADABLE as error:
        text = str(error) if isinstance(error, InputError) else error_line(error)
        raise InputError(argument, str(path), f"is no file of cleaned labels ({text})") from error


def _write_table(arrays: Arrays, file: Any, *, csv: bool) -> None:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    columns = {"sample_id": np.arange(len(arrays["labels"]))}
    columns |= {column: arrays[name] for column, name in _COLUMNS.items() if name in arrays}
    columns |= {f"target_{k}": one for k, one in enumerate(arrays["targets"].T)}
    if not csv:
        parquet.write_table(pa.table(columns), file)
        return
    options = arrow_csv.WriteOptions(quoting_style="none", include_header=False)
    file.write((",".join(columns) + "\n").encode())
    arrow_csv.write_csv(pa.table(columns), file, options)


def _read_table(path: Path) -> Arrays:
    table = read_csv(path) if path.suffix == ".csv" else read_parquet(path)
    names = table.column_names
    columns = {name: column.to_numpy() for name, column in zip(names, table.columns, strict=True)}
    if len(columns) < len(names):
        raise ValueError("it has a column twice")
    if not np.array_equal(columns.pop("sample_id"), np.arange(table.num_rows)):
        raise ValueError("column sample_id must count 0, 1, 2, ...")
    arrays = {name: columns.pop(column) for column, name in _COLUMNS.items() if column in columns}
    if list(columns) != [f"target_{k}" for k in range(len(columns))]:
        raise ValueError(f"unknown columns among {list(columns)}")
    arrays["targets"] = np.stack(list(columns.values()), axis=1).astype(np.float32)
    arrays["noise_scores"] = arrays["noise_scores"].astype(np.float32)
    return arrays


def _read_archive(path: Path) -> Arrays:
    with open_npz(path) as archive:
        return {name: np.asarray(archive[name]) for name in archive.files}


def _checked(arrays: Arrays, receipt: Mapping[str, Any]) -> CleanedLabels:
    """Cleaned labels of what a file holds; a ValueError, KeyError or TypeError where it is wrong.

    All arrays but the noise scores are known by their hashes, and those follow from them.
    """
    if not isinstance(receipt, dict) or (receipt["format"], receipt["generator"]) != (1, GENERATOR):
        raise ValueError(f"its receipt is not of {GENERATOR} in format 1")
    names = tuple(map(str, receipt["class_names"]))
    if "class_names" in arrays and tuple(arrays.pop("class_names").tolist()) != names:
        raise ValueError("its class names are not those of its receipt")
    scores = arrays.pop("noise_scores")
    clean = arrays.pop("clean_labels", None)
    hashes = {"targets": receipt["targets_sha256"], "corrected_labels": receipt["labels_sha256"]}
    hashes["labels"] = receipt["inputs"]["labels"]
    if set(arrays) != set(hashes) or receipt["inputs"].get("clean_labels") != _hash(clean, names):
        raise ValueError("its arrays are not those of its receipt")
    for name, digest in hashes.items():
        if name != "targets":
            arrays[name] = check_labels(arrays[name], name=name, n_classes=len(names))
        if hash_array(arrays[name]) != digest:
            raise ValueError(f"{name} differ from the receipt: changed after they were written")
    cleaned = CleanedLabels(
        labels=arrays["labels"],
        corrected_labels=arrays["corrected_labels"],
        targets=arrays["targets"],
        clean_labels=None if clean is None else check_labels(clean, n_classes=len(names)),
        class_names=names,
        determined=_flag(receipt["determined"]),
        stability=_share(receipt["stability"]),
        patch_rate=_share(receipt["patch_rate"]),
        scattered_rate=_share(receipt["scattered_rate"]),
        receipt=receipt,
    )
    if not np.array_equal(cleaned.noise_scores, scores):
        raise ValueError("noise_scores are not those of the targets")
    return cleaned


def _hash(clean: NDArray[Any] | None, names: tuple[str, ...]) -> str | None:
    """Of clean labels, where there are any."""
    return None if clean is None else hash_array(check_labels(clean, n_classes=len(names)))


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"determined is {value!r}, neither true nor false")
    return value


def _share(value: Any) -> float:
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{value!r} is no share from 0 to 1")
    return float(value)
