"""Nearest neighbours, exact by default.

FAISS searches in many dimensions; where all pairs are looked at and there are enough of them,
`mislabel.features.pairs` looks at each once. In two or three dimensions a k-d tree is exact too and
far faster, because it does not look at all pairs. An example is never its own neighbour, duplicates
included.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.errors import InputError

TREE_DIMENSIONS = 3
RECALL = 0.99
CALIBRATION_QUERIES = 500
LARGEST_SHARE = 1 / 8
"Of the lists; looking through more of them takes longer than all pairs by matrix products."
TRAINED_ON = 39
"Points per list from which lists are learned; what FAISS asks for at least."
PAIRS_FROM, PAIRS_TO, PAIRS_MOST = 20_000, 100_000, 256
"Points and neighbours between which looking at each pair once is faster, and fits in memory."


def nearest_neighbors(
    features: ArrayLike, k: int, *, approximate: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Distances and indices of the k nearest other examples, nearest first.

    features: (N, d) finite numbers; distances are Euclidean (for cosine, normalise first).
    k: 1 to N - 1. approximate: search an inverted-file index (FAISS IVF) with as many lists as a
    sample of examples needs for a recall of 0.99, where that is faster than all pairs; only
    features with marked clusters allow it. Otherwise all pairs are compared, in bfloat16 where the
    processor is made for that, with the nearest looked at again; recall is then above 0.99 too.
    Returns distances (N, k) float32 and indices (N, k) int64.
    """
    points = np.ascontiguousarray(features, dtype=np.float32)
    if points.ndim != 2:
        raise InputError("features", f"shape {points.shape}", "must be a matrix (N, d)")
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise InputError("features", f"row {bad[0]}", "must be finite")
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k < len(points):
        rule = f"must be between 1 and {len(points) - 1}, the number of other examples"
        raise InputError("k", k, rule)
    if points.shape[1] <= TREE_DIMENSIONS:
        distances, indices = _search_tree(points, k + 1)
    else:
        distances, indices = _search_faiss(points, k + 1, approximate)
    return _drop_self(distances, indices)


def _search_tree(
    points: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    from scipy.spatial import KDTree

    distances, indices = KDTree(points).query(points, k=k, workers=-1)
    return distances.astype(np.float32), indices.astype(np.int64)


def _search_faiss(
    points: NDArray[np.float32], k: int, approximate: bool
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    import faiss

    index: Any = _inverted_file(points, k) if approximate else None
    if index is None and PAIRS_FROM <= len(points) <= PAIRS_TO and k <= PAIRS_MOST:
        from mislabel.features.pairs import all_neighbors, has_fast_bfloat16

        coarse = approximate and has_fast_bfloat16()
        threads = faiss.omp_get_max_threads()
        squared, indices = all_neighbors(points, k, coarse=coarse, threads=threads)
        return np.sqrt(np.maximum(squared, 0)), indices
    if index is None:
        index = faiss.IndexFlatL2(points.shape[1])
        index.add(points)
    squared, indices = index.search(points, k)
    if approximate and (indices < 0).any():  # the lists probed hold fewer than k
        index.nprobe = index.nlist
        squared, indices = index.search(points, k)
    return np.sqrt(np.maximum(squared, 0)), indices


def _inverted_file(points: NDArray[np.float32], k: int) -> Any:
    """An IVF index that probes as many lists as `RECALL` takes, or None where that is too many.

    Calibrated on a sample of the points: a true neighbour is found when the list that it is in is
    among those probed.
    """
    import faiss

    n_examples, dimensions = points.shape
    lists = max(1, int(np.sqrt(n_examples)))
    index: Any = faiss.index_factory(dimensions, f"IVF{lists},Flat")
    order = np.random.default_rng(0).permutation(n_examples)
    index.train(points[order[: TRAINED_ON * lists]])
    index.add(points)
    sample = points[order[:CALIBRATION_QUERIES]]
    _, true = faiss.knn(sample, points, k)
    home = index.quantizer.search(points, 1)[1][:, 0]
    largest = max(1, int(LARGEST_SHARE * lists))
    nearest_lists = index.quantizer.search(sample, largest)[1]
    found = (home[true][:, :, None] == nearest_lists[:, None, :]).mean(axis=(0, 1)).cumsum()
    if found[-1] < RECALL:
        return None
    index.nprobe = int(np.searchsorted(found, RECALL)) + 1
    return index


def _drop_self(
    distances: NDArray[np.float32], indices: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Remove each example from its own row, or the farthest where duplicates crowd it out."""
    n_examples, width = indices.shape
    own = indices == np.arange(n_examples)[:, None]
    own[~own.any(axis=1), -1] = True
    keep = ~own
    shape = (n_examples, width - 1)
    return distances[keep].reshape(shape), indices[keep].reshape(shape)
