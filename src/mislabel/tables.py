"""Tables that others wrote, CSV and Parquet: read within bounds, whatever they declare.

A few bytes of either can stand for a table that fills the memory: compressed text, a million
columns, one string that a million rows refer to. What a file declares is checked before it is read
(`mislabel.files.check_unpacked`), and text is counted while it is unpacked. Whatever is wrong with
a file is one of `mislabel.files.UNREADABLE`.

Pitfall: Arrow's own errors are not all of a kind that Python knows; they come out as `ValueError`.
"""

import contextlib
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mislabel.files import check_plain, check_unpacked

LARGEST_TEXT = 2**28
"Bytes of text that a compressed CSV file may hold."
MOST_COLUMNS = 2**14
_ROWS = 128
"Rows at a time of columns whose values differ in size."


def read_csv(path: Path, options: Any = None) -> Any:
    """The table of a ``.csv`` file, or of one that gzip compressed (``.csv.gz``).

    options: `pyarrow.csv.ConvertOptions`. Errors: `UNREADABLE`.
    """
    import pyarrow as pa
    from pyarrow import csv

    check_plain(path)
    block = csv.ReadOptions().block_size
    with _known_errors():
        if path.name.lower().endswith(".gz"):
            text = _unpacked(path)
            _check_header(text[:block])
            return csv.read_csv(pa.BufferReader(text), convert_options=options)
        with path.open("rb") as file:
            _check_header(file.read(block))
        return csv.read_csv(pa.OSFile(str(path)), convert_options=options)


def read_parquet(path: Path, columns: list[str] | None = None) -> Any:
    """The table of a Parquet file. Errors: `UNREADABLE`.

    columns: by default all but those of lists, which a few bytes can make of any length.
    """
    import pyarrow as pa
    from pyarrow import types

    with _parquet(path) as file:
        size, schema = path.stat().st_size, file.schema_arrow
        _check_declared(file.metadata, size)
        named = [field for field in schema if columns is None or field.name in columns]
        wanted = [field for field in named if not _has_lists(field.type)]
        if columns is not None and len(wanted) < len(named):
            raise ValueError("it has lists where single values are expected")
        names = list({field.name: None for field in wanted})
        if all(types.is_primitive(field.type) for field in wanted):
            return file.read(columns=names)
        batches, taken = [], 0
        for batch in file.iter_batches(batch_size=_ROWS, columns=names):
            batches.append(batch)
            taken += batch.nbytes
            check_unpacked(taken, size)
        return pa.Table.from_batches(batches, pa.schema(wanted, schema.metadata))


def read_schema(path: Path) -> Any:
    """The schema of a Parquet file. Errors: `UNREADABLE`."""
    with _parquet(path) as file:
        return file.schema_arrow


@contextlib.contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    from pyarrow import parquet

    check_plain(path)
    with _known_errors(), parquet.ParquetFile(path) as file:
        yield file


def _check_declared(metadata: Any, size: int) -> None:
    """Raise where the values that a Parquet file declares would take far more than its size."""
    if metadata.num_columns > MOST_COLUMNS:
        raise ValueError(f"it has {metadata.num_columns:,} columns; at most {MOST_COLUMNS:,}")
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    # Of columns in groups nothing is asked: where one is damaged, that ends the process.
    unpacked = sum(group.total_byte_size for group in groups)
    check_unpacked(max(unpacked, 8 * metadata.num_rows * metadata.num_columns), size)


def _has_lists(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        return any(_has_lists(kind.field(i).type) for i in range(kind.num_fields))
    return bool(types.is_nested(kind))


def _check_header(start: bytes) -> None:
    """Raise where the first line of a CSV file has too many columns."""
    columns = start.partition(b"\n")[0].count(b",") + 1
    if columns > MOST_COLUMNS:
        raise ValueError(f"it has {columns:,} columns; at most {MOST_COLUMNS:,}")


def _unpacked(path: Path) -> bytes:
    with gzip.open(path) as file:
        text = file.read(LARGEST_TEXT + 1)
    if len(text) > LARGEST_TEXT:
        raise ValueError(f"it unpacks to more than {LARGEST_TEXT:,} bytes; unpack it yourself")
    return text


@contextlib.contextmanager
def _known_errors() -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(" ".join(str(error).split())) from error
