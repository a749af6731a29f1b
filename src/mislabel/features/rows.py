"""Rows of features computed batch by batch, so that a killed computation goes on.

Finished rows are kept as ``.npy`` files named by their first and last row, in a folder that is
named by the content they depend on (see `mislabel.features.encode`). At most about `KEEP_SECONDS`
of work are lost. Rows kept by a run with another batch size serve as well.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mislabel.files import atomic_path, read_npy

Rows = NDArray[np.float32]
KEEP_SECONDS = 10.0


def encode_rows(
    count: int,
    batch_size: int,
    encode: Callable[[int, int], Rows],
    *,
    folder: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Rows:
    """(count, d) features, where ``encode(start, stop)`` gives the rows from start to stop.

    folder: where finished rows are looked for and kept; None keeps nothing.
    """
    kept = _KeptRows(folder)
    parts = kept.read(count)
    done = sum(map(len, parts))
    try:
        while done < count:
            stop = min(done + batch_size, count)
            parts.append(encode(done, stop))
            kept.add(done, parts[-1])
            done = stop
            progress(done, count)
    finally:
        if done < count:
            kept.write()
    return np.concatenate(parts)


class _KeptRows:
    """Finished rows in a folder; a folder that cannot be written is no error."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._new: list[Rows] = []
        self._start = 0
        self._written = time.monotonic()

    def read(self, count: int) -> list[Rows]:
        """The rows from 0 on that are there, in order, without gaps."""
        parts: list[Rows] = []
        done = 0
        while (found := self._longest_from(done, count)) is not None:
            parts.append(found)
            done += len(found)
        return parts

    def add(self, start: int, rows: Rows) -> None:
        """Take finished rows; write them, and those before them, when it is time."""
        if not self._new:
            self._start = start
        self._new.append(rows)
        if time.monotonic() - self._written >= KEEP_SECONDS:
            self.write()

    def write(self) -> None:
        """Write what was taken since the last time."""
        if self.folder is None or not self._new:
            return
        rows = np.concatenate(self._new)
        path = self.folder / f"{self._start}-{self._start + len(rows)}.npy"
        with (
            contextlib.suppress(OSError),
            atomic_path(path) as temporary,
            temporary.open("wb") as file,
        ):
            np.save(file, rows, allow_pickle=False)
        self._new, self._written = [], time.monotonic()

    def _longest_from(self, start: int, count: int) -> Rows | None:
        if self.folder is None or start >= count:
            return None
        paths = self.folder.glob(f"{start}-*.npy")
        for path in sorted(paths, key=_last, reverse=True):
            with contextlib.suppress(OSError, ValueError):
                rows = read_npy(path)
                if rows.ndim == 2 and 0 < len(rows) <= count - start:
                    return rows.astype(np.float32, copy=False)
        return None


def _last(path: Path) -> int:
    last = path.stem.partition("-")[2]
    return int(last) if last.isdigit() else 0
