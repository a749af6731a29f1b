"""Parquet files in the layout of the Hugging Face Hub: encoded images and labels in columns."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from mislabel.cache import cached_array
from mislabel.data.file_labels import check_file_labels
from mislabel.data.images import decode_images
from mislabel.errors import InputError
from mislabel.files import UNREADABLE, check_unpacked, error_line, hash_file, reading
from mislabel.tables import read_parquet, read_schema

IMAGE_COLUMNS = ("img", "image")


class HubTable:
    """The shards of one split as one table.

    files: the shards, in order.
    label_columns: names that the column of labels may have; the first that is there counts.
    """

    def __init__(self, files: list[Path], label_columns: tuple[str, ...]) -> None:
        self.files = files
        self.schemas = [_read_schema(path) for path in files]
        self.label_column = self._column(label_columns)
        self.image_column = self._column(IMAGE_COLUMNS)

    def labels(self, n_classes: int) -> NDArray[np.int64]:
        """(N,) labels, checked to lie below `n_classes`."""
        parts = []
        for path in self.files:
            values = _read_column(path, self.label_column).to_numpy()
            parts.append(
                check_file_labels(values, path=path, column=self.label_column, n_classes=n_classes)
            )
        return np.concatenate(parts)

    def images(self, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
        """uint8 (N, *shape), decoded once and then memory-mapped, read-only, from the cache."""
        key = {
            "files": [hash_file(path) for path in self.files],
            "column": self.image_column,
            "shape": list(shape),
            "pillow": PIL.__version__,
        }
        return cached_array("parquet-images", key, lambda: self._decode(shape), mapped=True)

    def class_names(self, n_classes: int) -> tuple[str, ...] | None:
        """The class names that the Hub keeps in the schema, if there are `n_classes` of them."""
        metadata = self.schemas[0].metadata or {}
        try:
            features = json.loads(metadata[b"huggingface"])["info"]["features"]
            names = features[self.label_column]["names"]
        except (KeyError, TypeError, ValueError):
            return None
        if not isinstance(names, list) or len(set(map(str, names))) != n_classes:
            return None
        return tuple(map(str, names))

    def _column(self, candidates: tuple[str, ...]) -> str:
        names = set(self.schemas[0].names)
        for path, schema in zip(self.files, self.schemas, strict=True):
            names &= set(schema.names)
            if not names & set(candidates):
                wanted = " or ".join(map(repr, candidates))
                rule = f"has no column {wanted}; its columns are {', '.join(schema.names)}"
                raise InputError("data", str(path), rule)
        return next(name for name in candidates if name in names)

    def _decode(self, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
        return np.concatenate([self._decode_shard(path, shape) for path in self.files])

    def _decode_shard(self, path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
        column = _read_column(path, self.image_column)
        rows: list[Any] = column.to_pylist()

        def read(i: int) -> bytes:
            row = rows[i].get("bytes") if isinstance(rows[i], dict) else rows[i]
            if not isinstance(row, bytes):
                raise InputError("data", str(path), f"row {i} holds no encoded image")
            return row

        with reading("data", path):
            check_unpacked(len(rows) * math.prod(shape), path.stat().st_size)
        return decode_images(len(rows), read, lambda i: f"{path}, row {i}", shape=shape)


def _read_schema(path: Path) -> Any:
    try:
        schema = read_schema(path)
    except UNREADABLE as error:
        rule = f"cannot be read as Parquet ({error_line(error)})"
        raise InputError("data", str(path), rule) from error
    return schema


def _read_column(path: Path, column: str) -> Any:
    try:
        return read_parquet(path, [column])[column]
    except UNREADABLE as error:
        rule = f"cannot be read as Parquet ({error_line(error)})"
        raise InputError("data", str(path), rule) from error
