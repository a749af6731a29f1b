"""Label files: ``.npy``, ``.csv``, ``.parquet`` and CIFAR-N's ``.pt``, with receipts beside them.

| suffix | content |
|---|---|
| ``.npy`` | labels, whole numbers (N,) |
| ``.csv``, ``.csv.gz`` | ``given_label,noisy_label``, or the published long layout, see below |
| ``.parquet`` | columns ``noisy_label`` and, when known, ``clean_label`` |
| ``.pt`` | CIFAR-N's dictionary of arrays: ``clean_label`` and one per set of human labels |

The published CSV layout is ``sample_id,filename,given_label,noisy_label`` with or without an
unnamed index column; its ``given_label`` is the clean one.

The receipt of ``labels.npy`` is ``labels.npy.receipt.json``; it is that of the noisy labels, and
they must agree with it whichever column is read. Reading never runs code: ``.npy``
with objects is refused, and ``.pt`` is read by `mislabel.pickles`.
"""

import gzip
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.errors import InputError, did_you_mean
from mislabel.files import (
    UNREADABLE,
    atomic_path,
    error_line,
    hash_array,
    hash_file,
    read_npy,
    reading,
)
from mislabel.labels.check import as_array, check_labels
from mislabel.labels.noisy import NoisyLabels, Receipt
from mislabel.outputs import check_file
from mislabel.sealed import read_sealed, write_sealed
from mislabel.shapes import check_shape
from mislabel.tables import read_csv, read_parquet
from mislabel.words import no_formula

NOISY_COLUMNS = ("noisy_label", "label")
CLEAN_COLUMNS = ("clean_label", "given_label")
CSV_LAYOUTS = ("pair", "samples", "indexed")
CHANGED = "differs from its receipt: it was changed after it was written"
Columns = dict[str, NDArray[Any]]
_RECEIPT: dict[str, Any] = {
    "generator": str, "labels_sha256": str, "n_classes": int, "parameters": dict,
    "seed": (int, str, None), "versions": {...: (str, None)}, "inputs": {...: (str, None)},
    "column": (str, None),
}  # fmt: skip
_OPTIONAL: dict[str, Any] = {
    "parameters": {}, "seed": None, "versions": {}, "inputs": {}, "column": None,
}  # fmt: skip


def load_labels(
    path: str | Path,
    *,
    clean_labels: ArrayLike | None = None,
    n_classes: int | None = None,
    column: str | None = None,
    argument: str = "labels",
) -> NoisyLabels:
    """Read a label file and, when there is one, its receipt.

    clean_labels: (N,) when given, the length must agree and so must clean labels in the file.
    n_classes: labels must be below it; by default what the receipt says, or what occurs.
    column: which labels of a file that holds several (``random_label1`` of CIFAR-10N).
    argument: how the file is called in error messages.
    """
    path = Path(path)
    columns = _read_columns(path, argument)
    name = _choose_column(columns, column, argument)
    receipt = _read_receipt(path, argument)
    described = _described_column(columns, name, receipt)
    if receipt is not None:
        if not _as_written(columns, name, described, receipt):
            raise InputError(argument, str(path), CHANGED)
        n_classes = receipt["n_classes"] if n_classes is None else n_classes
    labels = check_labels(columns[name], name=argument, n_classes=n_classes)
    clean = _clean_labels(columns, name, clean_labels, labels, argument, n_classes)
    return NoisyLabels(
        labels,
        clean_labels=clean,
        n_classes=n_classes,
        receipt=_receipt(receipt if name == described else None, path, name),
    )


def save_labels(
    labels: NoisyLabels,
    path: Path,
    *,
    csv_layout: str = "pair",
    filenames: list[str] | None = None,
) -> None:
    """Write labels in the format of the suffix, and the receipt beside them, atomically.

    csv_layout: "pair" (``given_label,noisy_label``), "samples" (with ``sample_id,filename``) or
        "indexed" (the same after an unnamed index column). filenames: (N,) for the latter two.
    """
    if csv_layout not in CSV_LAYOUTS:
        hint = did_you_mean(csv_layout, CSV_LAYOUTS)
        raise InputError("csv_layout", csv_layout, f"unknown layout; {hint}")
    writer = _WRITERS.get(_suffix(path))
    if writer is None:
        raise _unknown_suffix(path, "path")
    columns: Columns = {"noisy_label": labels.labels}
    if labels.clean_labels is not None:
        columns = {"clean_label": labels.clean_labels, **columns}
    with atomic_path(path) as temporary:
        if _suffix(path) == ".csv":
            _write_csv(columns, temporary, csv_layout, filenames)
        else:
            writer(columns, temporary)
        if path.suffix.lower() == ".gz":
            _compress(temporary)
    write_sealed(receipt_path(path), labels.receipt_json())


def load_filenames(path: Path) -> list[str] | None:
    """The file names in a published CSV, or None where there are none."""
    if _suffix(path) != ".csv":
        return None
    try:
        table = read_csv(path)
        if "filename" not in table.column_names:
            return None
        return ["" if name is None else str(name) for name in table["filename"].to_pylist()]
    except UNREADABLE as error:
        raise InputError("labels", str(path), f"is not a CSV file ({error_line(error)})") from error


def check_label_file(path: Path, argument: str = "path") -> None:
    """Raise `InputError` where labels cannot be written at `path`; nothing is changed."""
    if _suffix(path) not in _WRITERS:
        raise _unknown_suffix(path, argument)
    check_file(path, argument)


def receipt_path(path: Path) -> Path:
    """Where the receipt of a label file lies."""
    return path.with_name(f"{path.name}.receipt.json")


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return ".csv" if name.endswith(".csv.gz") else path.suffix.lower()


def _unknown_suffix(path: Path, argument: str) -> InputError:
    return InputError(argument, str(path), f"unknown format; use one of {', '.join(_READERS)}")


def _read_columns(path: Path, argument: str) -> Columns:
    reader = _READERS.get(_suffix(path))
    if reader is None:
        raise _unknown_suffix(path, argument)
    if not path.is_file():
        raise InputError(argument, str(path), "no such file")
    if path.stat().st_size == 0:
        raise InputError(argument, str(path), "is empty")
    return reader(path, argument)


def _read_npy(path: Path, argument: str) -> Columns:
    try:
        return {"noisy_label": read_npy(path)}
    except (ValueError, OSError) as error:
        rule = f"is not a complete .npy file of numbers ({error_line(error)})"
        raise InputError(argument, str(path), rule) from error


def _read_csv(path: Path, argument: str) -> Columns:
    return _read_table(read_csv, "CSV", path, argument)


def _read_parquet(path: Path, argument: str) -> Columns:
    return _read_table(read_parquet, "Parquet", path, argument)


def _read_table(read: Callable[[Path], Any], kind: str, path: Path, argument: str) -> Columns:
    try:
        return _table_columns(read(path), path, argument)
    except InputError:
        raise
    except UNREADABLE as error:
        rule = f"is not a {kind} file ({error_line(error)})"
        raise InputError(argument, str(path), rule) from error


def _table_columns(table: Any, path: Path, argument: str) -> Columns:
    names = table.column_names
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise InputError(argument, str(path), f"has several columns called {twice[0]!r}")
    if table.num_rows == 0:
        raise InputError(argument, str(path), "has no rows")
    if "sample_id" in names:
        ids = table["sample_id"].to_numpy()
        if not np.array_equal(ids, np.arange(len(ids))):
            rule = "column sample_id must count 0, 1, 2, ... so that rows stay aligned"
            raise InputError(argument, str(path), rule)
    wanted = [n for n in names if n not in ("", "sample_id", "filename")]
    return {name: table[name].to_numpy() for name in wanted}


def _read_torch(path: Path, argument: str) -> Columns:
    from mislabel.pickles import read_torch_archive

    content = read_torch_archive(path, argument=argument)
    if not isinstance(content, dict):
        raise InputError(argument, str(path), "must hold a dictionary of arrays, as CIFAR-N's")
    return {str(k): as_array(v, argument) for k, v in content.items() if not np.isscalar(v)}


def _choose_column(columns: Columns, column: str | None, argument: str) -> str:
    if column is not None:
        if column not in columns:
            raise InputError(argument, column, f"unknown labels; {did_you_mean(column, columns)}")
        return column
    for name in NOISY_COLUMNS:
        if name in columns:
            return name
    others = [name for name in columns if name not in CLEAN_COLUMNS]
    if len(others) == 1:
        return others[0]
    if not others:
        raise InputError(argument, list(columns), "has no column noisy_label")
    raise InputError(argument, others, "holds several sets of labels; name one as column")


def _described_column(columns: Columns, chosen: str, receipt: dict[str, Any] | None) -> str:
    """The column that a receipt is about: that it names, or noisy labels as `save_labels` does."""
    named = None if receipt is None else receipt.get("column")
    if named in columns:
        return str(named)
    return next((name for name in NOISY_COLUMNS if name in columns), chosen)


def _clean_column(columns: Columns, name: str) -> str | None:
    """The column of clean labels that belongs to the labels `name`."""
    candidates = ("clean_coarse_label",) if "coarse" in name else CLEAN_COLUMNS
    return next((c for c in candidates if c in columns and c != name), None)


def _as_written(columns: Columns, name: str, described: str, receipt: dict[str, Any]) -> bool:
    """Whether labels are those that a receipt was written for, and clean labels beside them."""
    written = {described: receipt["labels_sha256"]}
    clean = _clean_column(columns, name)
    if clean is not None and name == described and receipt.get("clean_labels_sha256") is not None:
        written[clean] = receipt["clean_labels_sha256"]
    return all(_hash(columns[column]) == sha256 for column, sha256 in written.items())


def _hash(labels: NDArray[Any]) -> str | None:
    """The hash of labels as receipts have it; None of what are no numbers."""
    if labels.dtype.kind not in "iuf":
        return None
    with np.errstate(invalid="ignore"):
        return hash_array(labels.astype(np.int64))


def _clean_labels(
    columns: Columns,
    name: str,
    given: ArrayLike | None,
    labels: NDArray[np.int64],
    argument: str,
    n_classes: int | None,
) -> NDArray[np.int64] | None:
    """The clean labels of the file or the caller; where both are there, they must agree."""
    column = _clean_column(columns, name)
    in_file = None
    if column is not None:
        in_file = check_labels(
            columns[column], name=f"{argument} (clean)", n_examples=len(labels), n_classes=n_classes
        )
    if given is None:
        return in_file
    clean = check_labels(given, name="clean_labels", n_classes=n_classes)
    if len(labels) != len(clean):
        raise InputError(argument, f"{len(labels)} labels", f"must have length {len(clean)}")
    if in_file is not None and not np.array_equal(in_file, clean):
        first = int(np.flatnonzero(in_file != clean)[0])
        rule = f"its clean label at index {first} is not the data's, {clean[first]}: not aligned"
        raise InputError(argument, int(in_file[first]), rule)
    return clean


def _read_receipt(path: Path, argument: str) -> dict[str, Any] | None:
    beside = receipt_path(path)
    if not beside.is_file():
        return None
    content = read_sealed(beside, f"{argument} receipt", format=1)
    needed = {"format", "generator", "labels_sha256", "n_classes"}
    if not isinstance(content, dict) or not needed <= content.keys() or content["format"] != 1:
        raise InputError(f"{argument} receipt", str(beside), "is not a receipt of format 1")
    with reading(f"{argument} receipt", beside):
        check_shape({**_OPTIONAL, **content}, _RECEIPT)
    return content


def _receipt(content: dict[str, Any] | None, path: Path, column: str) -> Receipt:
    if content is not None:
        return Receipt(
            generator=content["generator"],
            parameters=content.get("parameters", {}),
            seed=content.get("seed"),
            versions=content.get("versions", {}),
            inputs=content.get("inputs", {}),
        )
    return Receipt(
        generator="file",
        parameters={"name": path.name, "column": column},
        inputs={"file": hash_file(path)},
    )


def _write_npy(columns: Columns, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, columns["noisy_label"], allow_pickle=False)


def _write_csv(columns: Columns, path: Path, layout: str, filenames: list[str] | None) -> None:
    import pyarrow as pa
    from pyarrow import csv

    n_examples = len(columns["noisy_label"])
    ids = np.arange(n_examples)
    table: dict[str, Any] = {"": ids} if layout == "indexed" else {}
    quoting = "none"
    if layout != "pair":
        names = [""] * n_examples if filenames is None else list(map(no_formula, filenames))
        if len(names) != n_examples:
            raise InputError("filenames", f"{len(names)} names", f"must have length {n_examples}")
        table |= {"sample_id": ids, "filename": names}
        quoting = "needed" if any(set(name) & set(',"\r\n') for name in names) else "none"
    if "clean_label" in columns:
        table["given_label"] = columns["clean_label"]
    table["noisy_label"] = columns["noisy_label"]
    options = csv.WriteOptions(quoting_style=quoting, include_header=False)
    with path.open("wb") as file:
        file.write((",".join(table) + "\n").encode())
        csv.write_csv(pa.table(table), file, options)


def _compress(path: Path) -> None:
    """Compress a file in place; the same content gives the same bytes."""
    plain = path.read_bytes()
    path.write_bytes(gzip.compress(plain, mtime=0))


def _write_parquet(columns: Columns, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table(columns), path)


def _write_torch(columns: Columns, path: Path) -> None:
    """CIFAR-N's layout: a zip archive with one pickled dictionary of arrays."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(columns, protocol=2))
        archive.writestr("archive/version", "3\n")


_READERS: dict[str, Callable[[Path, str], Columns]] = {
    ".npy": _read_npy,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".pt": _read_torch,
}
_WRITERS: dict[str, Callable[..., None]] = {
    ".npy": _write_npy,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".pt": _write_torch,
}
