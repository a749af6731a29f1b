"""Two-dimensional maps of features: t-SNE by openTSNE, cached by content.

Source: van der Maaten & Hinton 2008; perplexity 30, as in the study of CBN. The neighbours come
from our own exact search. The result is deterministic for a seed on one machine.

The scale of t-SNE grows with the number of examples, the iterations and the implementation. Maps
made here are scaled so that the median distance to the 30th nearest neighbour is `MEDIAN_RADIUS`,
what it is on the study's published map, so that a radius of 2 covers about as many examples on
every map as it does there.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.cache import cached_array
from mislabel.errors import InputError
from mislabel.features.neighbors import nearest_neighbors
from mislabel.files import hash_array
from mislabel.seeds import check_seed, child_state
from mislabel.versions import library_versions

SMALLEST = 10
SCALE_NEIGHBOR = 30
MEDIAN_RADIUS = 1.669
"Median distance to the 30th neighbour on the map of the study (CLIP ViT-B/32, CIFAR-10)."


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
    return cached_array(
        "map-tsne-scaled", key, lambda: scale_map(embed_tsne(points, perplexity, seed))
    )


def median_radius(positions: NDArray[np.float32]) -> float:
    """Median distance to the 30th nearest other example (the farthest, where there are fewer)."""
    k = min(SCALE_NEIGHBOR, len(positions) - 1)
    return float(np.median(nearest_neighbors(positions, k)[0][:, -1]))


def scale_map(positions: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 2) the map with `MEDIAN_RADIUS`; one without extent as it is."""
    radius = median_radius(positions)
    scaled: NDArray[np.float32] = positions * np.float32(MEDIAN_RADIUS / radius if radius else 1)
    return scaled


def embed_tsne(points: NDArray[np.float32], perplexity: float, seed: int) -> NDArray[np.float32]:
    """(N, 2) t-SNE map of features (N, d), computed anew; `tsne_map` checks, scales and caches."""
    from joblib import cpu_count
    from openTSNE import TSNEEmbedding

    state = child_state(seed, "map")
    affinities = neighbor_affinities(points, perplexity, state)
    start = _start(points, state)
    embedding = TSNEEmbedding(start, affinities, n_jobs=cpu_count(), random_state=state)
    embedding = embedding.optimize(250, exaggeration=12, momentum=0.5)
    embedding = embedding.optimize(750, exaggeration=1, momentum=0.8)
    return np.asarray(embedding, dtype=np.float32)


def neighbor_affinities(points: NDArray[np.float32], perplexity: float, state: int) -> Any:
    """openTSNE's affinities between the 3 x perplexity nearest neighbours; ``.P`` is (N, N)."""
    from joblib import cpu_count
    from openTSNE import affinity
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    k = min(int(3 * perplexity), len(points) - 1)
    distances, indices = nearest_neighbors(points, k)
    return affinity.PerplexityBasedNN(
        knn_index=PrecomputedNeighbors(indices, _above_nearest(distances)),
        perplexity=perplexity,
        n_jobs=cpu_count(),
        random_state=state,
    )


def _above_nearest(distances: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, k) distances whose squares are those of `distances` less each row's smallest, scaled.

    The affinities exp(-beta d^2), normalised over a row and with beta set by the perplexity, stay
    what they are. openTSNE evaluates them as they stand: with hundreds of dimensions all squares
    of a row are large and nearly equal, the exponentials underflow, and its search stops at a
    perplexity far above the one asked for.
    """
    squares = distances.astype(np.float64) ** 2
    squares -= squares.min(axis=1, keepdims=True)
    scale = squares.mean(axis=1, keepdims=True)
    shifted: NDArray[np.float64] = np.sqrt(squares / np.where(scale > 0, scale, 1))
    return shifted


def _start(points: NDArray[np.float32], state: int) -> NDArray[np.float64]:
    """Where the map starts: the first two principal components, random where there is none."""
    from openTSNE import initialization

    if (points == points[0]).all():
        start = initialization.random(len(points), random_state=state)
    else:
        plane = points if points.shape[1] > 1 else np.pad(points, ((0, 0), (0, 1)))
        start = initialization.pca(plane, random_state=state)
    return np.asarray(start, dtype=np.float64)
