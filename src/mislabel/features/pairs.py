"""Nearest neighbours of all points among themselves, each pair looked at once.

The distance from a to b is that from b to a, so half of the matrix products of a general search are
saved. Points are shuffled and cut into blocks. The first blocks are a random sample: the distances
of a point to it give its nearest ones there and a limit, the distance of the k-th, which that of
the true k-th cannot exceed. Of all other pairs only those below the limit of either side are kept,
about k N / sample for each point.

Pitfall: squared distances come from products of centred float32 rows and are exact to about 1e-7
of the largest squared norm, as in FAISS.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

BLOCK = 2_048
SAMPLE_BLOCKS = 3
SPARE = 0.25
"Share of k that a coarse search keeps beyond k, to be looked at again exactly."
Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
Kept = tuple[NDArray[np.uint16], NDArray[np.int32], Floats]
"Pairs of one block: row in the block, point, squared distance."
Found = tuple[Floats, NDArray[np.int32]]
"(rows, k) squared distances, ascending, and points."
Run = Callable[..., list[Any]]
"A parallel map: function and work."


def all_neighbors(
    points: Floats, k: int, *, coarse: bool = False, threads: int = 1
) -> tuple[Floats, Indices]:
    """(N, k) squared distances and indices of the nearest points, ascending, oneself among them.

    points: (N, d) float32. k: at most N. coarse: compare in bfloat16 and look at a quarter more
    than k again exactly; few neighbours in a thousand are missed. About k N / 6,144 pairs per
    point are kept meanwhile.
    """
    order = np.random.default_rng(0).permutation(len(points))
    table = _Table(
        points[order] - points.mean(axis=0), min(len(points), _wanted(k, coarse)), coarse
    )
    with _one_thread_each(threads) as run:
        squared, near = table.search(run)
        if coarse:
            squared, near = _stacked(
                run(lambda at: table.look_again(at, near[at], k), table.blocks)
            )
    found, indices = np.empty_like(squared), np.empty(near.shape, dtype=np.int64)
    found[order], indices[order] = squared, order[near]
    return found, indices


def has_fast_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16 faster than in float32."""
    known = [
        getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile")
    ]
    return any(ask is not None and ask() for ask in known)


def _wanted(k: int, coarse: bool) -> int:
    return k + round(SPARE * k) if coarse else k


@dataclass(frozen=True)
class _Table:
    """Shuffled, centred points (N, d), in blocks."""

    points: Floats
    k: int
    coarse: bool

    @cached_property
    def norms(self) -> Floats:
        """(N,) squared."""
        squared: Floats = np.einsum("nd,nd->n", self.points, self.points)
        return squared

    @cached_property
    def low(self) -> torch.Tensor:
        """(N, d) in bfloat16."""
        return torch.from_numpy(self.points).bfloat16()

    @property
    def blocks(self) -> list[slice]:
        n = len(self.points)
        return [slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]

    @property
    def n_sample(self) -> int:
        """Blocks in the sample: as few as hold k points, and at least `SAMPLE_BLOCKS`."""
        return min(len(self.blocks), max(SAMPLE_BLOCKS, -(-self.k // BLOCK)))

    def distances(self, rows: slice, columns: slice) -> Floats:
        """Squared distances of two ranges of points."""
        if self.coarse:
            products = (self.low[rows] @ self.low[columns].T).float().numpy()
        else:
            products = self.points[rows] @ self.points[columns].T
        products *= -2
        products += self.norms[columns]
        products += self.norms[rows, None]
        return products

    def search(self, run: Run) -> tuple[Floats, NDArray[np.int32]]:
        """(N, k) squared distances and points, of each point."""
        blocks, sample = self.blocks, self.n_sample
        near = run(self._in_sample, blocks[:sample])
        limits = np.concatenate([squared.max(axis=1) for squared, _ in near])
        others = run(lambda rows: self._against_sample(rows, limits), blocks[sample:])
        near += [found for found, _ in others]
        limits = np.concatenate([squared.max(axis=1) for squared, _ in near])
        kept: list[list[Kept]] = [[_flat(*found)] for found in near]
        for _, parts in others:
            for block, part in enumerate(parts):
                kept[block].append(part)
        pairs = list(combinations_with_replacement(range(sample, len(blocks)), 2))
        found = run(lambda pair: self._below(blocks[pair[0]], blocks[pair[1]], limits), pairs)
        for (a, b), (mine, other) in zip(pairs, found, strict=True):
            kept[a].append(mine)
            if a != b:
                kept[b].append(other)
        del near, others, found
        return _stacked(
            run(lambda i: _nearest(kept[i], _size(blocks[i]), self.k), range(len(kept)))
        )

    def _in_sample(self, rows: slice) -> Found:
        """The nearest in the sample."""
        whole = slice(0, self.blocks[self.n_sample - 1].stop)
        return _smallest(self.distances(rows, whole), self.k)

    def _against_sample(self, rows: slice, limits: Floats) -> tuple[Found, list[Kept]]:
        """The nearest in the sample, and for each of its blocks the pairs below its limits."""
        blocks = self.blocks[: self.n_sample]
        squared = self.distances(rows, slice(0, blocks[-1].stop))
        own = [_columns_below(squared[:, b], limits[b], rows.start) for b in blocks]
        return _smallest(squared, self.k), own

    def _below(self, rows: slice, columns: slice, limits: Floats) -> tuple[Kept, Kept]:
        """Pairs of two blocks below the limits of the one side and of the other."""
        squared = self.distances(rows, columns)
        places = np.flatnonzero(squared < limits[rows, None]).astype(np.uint32)
        row, column = np.divmod(places, np.uint32(squared.shape[1]))
        mine = (
            row.astype(np.uint16),
            (column + columns.start).astype(np.int32),
            squared.ravel()[places],
        )
        return mine, _columns_below(squared, limits[columns], rows.start)

    def look_again(
        self, rows: slice, near: NDArray[np.int32], k: int
    ) -> tuple[Floats, NDArray[np.int32]]:
        """The k nearest of those found, by exact distances."""
        exact = np.empty(near.shape, dtype=np.float32)
        for row, (point, others) in enumerate(zip(self.points[rows], near, strict=True)):
            exact[row] = self.norms[others] - 2 * (self.points[others] @ point)
        exact += self.norms[rows, None]
        squared, places = _smallest(exact, k)
        return squared, np.take_along_axis(near, places, axis=1)


def _smallest(squared: Floats, k: int) -> tuple[Floats, NDArray[np.int32]]:
    """(rows, k) smallest values, ascending, and their columns."""
    found = torch.from_numpy(squared).topk(k, largest=False)
    return found.values.numpy(), found.indices.numpy().astype(np.int32)


def _columns_below(squared: Floats, limits: Floats, first: int) -> Kept:
    """Pairs below the limit of their column; rows are counted from `first`."""
    places = np.flatnonzero(squared < limits).astype(np.uint32)
    row, column = np.divmod(places, np.uint32(squared.shape[1]))
    return column.astype(np.uint16), (row + first).astype(np.int32), squared[row, column]


def _stacked(parts: list[Found]) -> Found:
    squared, near = zip(*parts, strict=True)
    return np.concatenate(squared), np.concatenate(near)


def _size(block: slice) -> int:
    return int(block.stop - block.start)


def _flat(squared: Floats, columns: NDArray[np.int32]) -> Kept:
    rows = np.repeat(np.arange(len(squared), dtype=np.uint16), squared.shape[1])
    return rows, columns.ravel(), squared.ravel()


def _nearest(kept: list[Kept], n_rows: int, k: int) -> tuple[Floats, NDArray[np.int32]]:
    """(n_rows, k) of what was kept for a block."""
    rows, points, squared = (np.concatenate(values) for values in zip(*kept, strict=True))
    order = np.argsort(rows, kind="stable")
    rows, counts = rows[order], np.bincount(rows, minlength=n_rows)
    columns = np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows]
    table = np.full((n_rows, counts.max()), np.inf, dtype=np.float32)
    names = np.zeros(table.shape, dtype=np.int32)
    table[rows, columns], names[rows, columns] = squared[order], points[order]
    found, places = _smallest(table, k)
    return found, np.take_along_axis(names, places, axis=1)


@contextmanager
def _one_thread_each(count: int) -> Iterator[Run]:
    """A parallel map over threads, within which libraries use one thread per call."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1), ThreadPoolExecutor(count) as pool:
            yield lambda function, work: list(pool.map(function, work))
    finally:
        torch.set_num_threads(before)
