"""Columns of numbers as files that a page can read from the disk.

A browser lets no page from the disk read other files, but for scripts and images. So a column is a
script with one call: name, part, and the numbers, little-endian, gzipped, in base64. Long columns
come in parts of rows, loaded when they are asked for.
"""

import base64
import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PART_BYTES = 2**20
"Of the numbers of one part, of columns that are read row by row."
TYPES = {"u1": np.uint8, "u2": np.uint16, "u4": np.uint32, "f4": np.float32, "f8": np.float64}


@dataclass(frozen=True)
class Column:
    """What a page must know of a column: type, numbers per row, rows per part."""

    type: str
    width: int
    rows: int

    def to_json(self) -> dict[str, str | int]:
        return {"type": self.type, "width": self.width, "rows": self.rows}


def write_column(
    folder: Path, name: str, values: NDArray[np.generic], kind: str, *, in_parts: bool = False
) -> Column:
    """Write (N,) or (N, width) numbers as ``NAME-0.js`` and, in parts, ``NAME-1.js`` and so on.

    kind: a key of `TYPES`; values must fit in it.
    """
    table = np.ascontiguousarray(values, dtype=np.dtype(TYPES[kind]).newbyteorder("<"))
    table = table.reshape(len(table), -1)
    rows = len(table)
    if in_parts:
        rows = min(rows, max(1, PART_BYTES // (table.itemsize * table.shape[1])))
    for part, start in enumerate(range(0, len(table), rows)):
        packed = gzip.compress(table[start : start + rows].tobytes(), compresslevel=6, mtime=0)
        text = base64.b64encode(packed).decode()
        call = f"mislabel.column({json.dumps(name)},{part},{json.dumps(text)});\n"
        (folder / f"{name}-{part}.js").write_text(call, encoding="ascii")
    return Column(kind, table.shape[1], rows)


def label_type(n_classes: int) -> str:
    """The smallest type for labels below `n_classes`."""
    return "u1" if n_classes <= 2**8 else "u2" if n_classes <= 2**16 else "u4"
