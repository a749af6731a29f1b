"""Columns of numbers: what is written is read back by other means, as a page would."""

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mislabel.explorer.columns import PART_BYTES, TYPES, Column, label_type, write_column
from tiny_data import files

CALL = re.compile(r'mislabel\.column\("(\w+)",(\d+),"([A-Za-z0-9+/=]+)"\);\n')


def read(folder: Path, name: str, column: Column) -> list[NDArray[Any]]:
    """The parts of a column, from the text of its scripts."""
    parts = []
    while (path := folder / f"{name}-{len(parts)}.js").exists():
        call = CALL.fullmatch(path.read_bytes().decode("ascii"))
        assert call and (call[1], int(call[2])) == (name, len(parts))
        content = gzip.decompress(base64.b64decode(call[3], validate=True))
        kind = f"<{column.type}"  # little-endian, whatever this machine is
        parts.append(np.frombuffer(content, kind).reshape(-1, column.width))
    return parts


@pytest.mark.parametrize("width", [None, 1, 3])
@pytest.mark.parametrize("kind", TYPES)
def test_round_trip(kind: str, width: int | None, tmp_path: Path) -> None:
    shape = (40,) if width is None else (40, width)
    rng = np.random.default_rng(0)
    if kind.startswith("f"):
        values = rng.normal(size=shape).astype(kind)
        values.ravel()[:4] = [np.nan, np.inf, -0.0, np.finfo(kind).tiny]
    else:
        top = np.iinfo(kind).max
        values = rng.integers(0, top, size=shape, endpoint=True)
        values.ravel()[:2] = [0, top]
    column = write_column(tmp_path, "some", values, kind)
    assert column.to_json() == {"type": kind, "width": width or 1, "rows": 40}
    [found] = read(tmp_path, "some", column)
    assert files(tmp_path) == ["some-0.js"]
    np.testing.assert_array_equal(found.reshape(shape), values)
    assert found.tobytes() == values.astype(f"<{kind}").tobytes()  # the sign of zero too


@pytest.mark.parametrize(("width", "per_part"), [(1, PART_BYTES // 8), (3, PART_BYTES // 24)])
def test_parts(width: int, per_part: int, tmp_path: Path) -> None:
    values = np.arange((2 * per_part + 1) * width, dtype=float).reshape(-1, width)
    column = write_column(tmp_path, "some", values, "f8", in_parts=True)
    assert column.rows == per_part
    parts = read(tmp_path, "some", column)
    assert [len(part) for part in parts] == [per_part, per_part, 1]
    assert all(part.nbytes <= PART_BYTES for part in parts)
    np.testing.assert_array_equal(np.concatenate(parts), values)


def test_a_row_that_is_longer_than_a_part_is_one(tmp_path: Path) -> None:
    values = np.zeros((2, PART_BYTES + 1), dtype=np.uint8)
    values[1] = 7
    column = write_column(tmp_path, "some", values, "u1", in_parts=True)
    parts = read(tmp_path, "some", column)
    assert column.rows == 1 and [int(part.max()) for part in parts] == [0, 7]


def test_short_columns_are_one_part(tmp_path: Path) -> None:
    column = write_column(tmp_path, "some", np.arange(9), "u4", in_parts=True)
    assert (column.rows, files(tmp_path)) == (9, ["some-0.js"])


def test_any_order_in_memory_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    values = np.arange(12, dtype=">f8").reshape(3, 4).T[::-1]
    column = write_column(tmp_path, "some", values, "f4")
    first = (tmp_path / "some-0.js").read_bytes()
    [found] = read(tmp_path, "some", column)
    np.testing.assert_array_equal(found, values)
    write_column(tmp_path, "some", values, "f4")
    assert (tmp_path / "some-0.js").read_bytes() == first


def test_names_cannot_leave_their_string(tmp_path: Path) -> None:
    name = 'a"</script>'.replace("/", "")  # a file's name holds no slash
    write_column(tmp_path, name, np.arange(2), "u1")
    text = (tmp_path / f"{name}-0.js").read_text()
    assert text.startswith(f"mislabel.column({json.dumps(name)},0,")


@pytest.mark.parametrize(
    ("n_classes", "kind"),
    [(1, "u1"), (256, "u1"), (257, "u2"), (65_536, "u2"), (65_537, "u4"), (1_000_000, "u4")],
)
def test_label_type_holds_the_last_label(n_classes: int, kind: str) -> None:
    assert label_type(n_classes) == kind
    assert n_classes - 1 <= np.iinfo(TYPES[kind]).max
