"""Two-dimensional maps of features: t-SNE by openTSNE, cached by content.

Source: van der Maaten & Hinton 2008; perplexity 30, as in the study of CBN. The neighbours come
from our own exact search. The result is deterministic for a seed on one machine.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.cache import cached_array
from mislabel.errors import InputError
from mislabel.features.neighbors import nearest_neighbors
from mislabel.files import hash_array
from mislabel.seeds import check_seed, child_state
from mislabel.versions import library_versions

SMALLEST = 10


def tsne_map(
    features: ArrayLike, *, perplexity: float = 30.0, seed: int = 0
) -> NDArray[np.float32]:
    """(N, 2) t-SNE map of features (N, d).

    perplexity: about the number of neighbours that are kept; reduced to (N - 1) / 3 for small N.
    """
    points = np.ascontiguousarray(features, dtype=np.float32)
    if points.ndim != 2 or len(points) < SMALLEST:
        raise InputError("features", f"shape {points.shape}", f"a map needs {SMALLEST} rows")
    number = isinstance(perplexity, int | float | np.number)
    if not (number and np.isfinite(perplexity) and perplexity >= 1):
        raise InputError("perplexity", perplexity, "must be a number of at least 1")
    perplexity = min(float(perplexity), (len(points) - 1) / 3)
    key = {
        "features": hash_array(points),
        "perplexity": perplexity,
        "seed": check_seed(seed),
        "versions": library_versions("openTSNE", "numpy"),
    }
    return cached_array("map-tsne", key, lambda: embed_tsne(points, perplexity, seed))


def embed_tsne(points: NDArray[np.float32], perplexity: float, seed: int) -> NDArray[np.float32]:
    """(N, 2) t-SNE map of features (N, d), computed anew; `tsne_map` checks and caches."""
    from openTSNE import TSNEEmbedding, affinity
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    state = child_state(seed, "map")
    k = min(int(3 * perplexity), len(points) - 1)
    distances, indices = nearest_neighbors(points, k)
    affinities = affinity.PerplexityBasedNN(
        knn_index=PrecomputedNeighbors(indices, distances),
        perplexity=perplexity,
        n_jobs=-1,
        random_state=state,
    )
    start = _start(points, state)
    embedding = TSNEEmbedding(start, affinities, n_jobs=-1, random_state=state)
    embedding = embedding.optimize(250, exaggeration=12, momentum=0.5)
    embedding = embedding.optimize(500, exaggeration=1, momentum=0.8)
    return np.asarray(embedding, dtype=np.float32)


def _start(points: NDArray[np.float32], state: int) -> NDArray[np.float64]:
    """Where the map starts: the first two principal components, random where there is none."""
    from openTSNE import initialization

    if (points == points[0]).all():
        start = initialization.random(len(points), random_state=state)
    else:
        plane = points if points.shape[1] > 1 else np.pad(points, ((0, 0), (0, 1)))
        start = initialization.pca(plane, random_state=state)
    return np.asarray(start, dtype=np.float64)
