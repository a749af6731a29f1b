"""Walks on the graph of nearest neighbours: averages over neighbourhoods of any size.

A vote of k nearest neighbours looks in a ball, through valleys between classes and all. A walk from
neighbour to neighbour crosses a valley, where few examples are, only slowly: its neighbourhood has
the shape of the data. Its size is set by the time of the walk.

The walk of time t is the heat kernel ``exp(-t (I - P))`` of the random walk P (Kondor & Lafferty
2002, *Diffusion kernels on graphs*), applied as a Chebyshev series: about ``sqrt(18 t)`` sparse
products instead of t (Hammond et al. 2011, *Wavelets on graphs via spectral graph theory*, 6).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.seeds import generator

LEFT_OUT = 1e-5
"Weight of the terms of the Chebyshev series that are left out, at most."
PROBES = 8
"Random vectors by which sizes are estimated."
LONGEST = 1e5
"A walk that has not reached its size by then has nowhere to go: it stays in its component."


@dataclass(frozen=True, eq=False)
class NeighborGraph:
    """The random walk between nearest neighbours; see `NeighborGraph.of`.

    step: (N, N) sparse float32, rows sum to 1.
    """

    step: Any

    @classmethod
    def of(cls, neighbors: NDArray[np.int64], k: int = 15) -> "NeighborGraph":
        """Each example is joined to its k nearest, doubly where both are near to each other.

        A join weighs less by the degrees of both its ends, so that walks are not drawn to hubs,
        which many call near (Coifman & Lafon 2006, *Diffusion maps*, alpha = 1).
        neighbors: (N, K) indices, nearest first; all K, if k is more.
        """
        from scipy.sparse import csr_matrix, diags

        near = neighbors[:, :k]
        n_examples, taken = near.shape
        ends = np.arange(0, near.size + 1, taken)
        ones = np.ones(near.size, dtype=np.float32)
        joined = csr_matrix((ones, near.ravel(), ends), shape=(n_examples, n_examples))
        joined = joined + joined.T
        less = diags((1 / np.asarray(joined.sum(axis=1)).ravel()).astype(np.float32))
        joined = less @ joined @ less
        degrees = np.asarray(joined.sum(axis=1)).ravel()
        return cls((diags((1 / degrees).astype(np.float32)) @ joined).tocsr())

    def __len__(self) -> int:
        return int(self.step.shape[0])

    def diffuse(self, values: NDArray[np.float32], time: float) -> NDArray[np.float32]:
        """(N, m) means of `values` (N, m) over where walks of that time end.

        A column of ones stays one. Error: below 1e-4 of the largest value, and for each unit of
        time 1e-7 of it, since steps are rounded to float32.
        """
        weights = _chebyshev_weights(time)
        before = values.astype(np.float32)
        if len(weights) == 1:
            return before
        last = self.step @ before
        found = weights[0] * before + weights[1] * last
        for weight in weights[2:]:
            before, last = last, 2 * (self.step @ last) - before
            found += weight * last
        result: NDArray[np.float32] = found
        return result

    def size(self, time: float, *, seed: int = 0) -> float:
        """Examples over which a walk of that time averages, in the harmonic mean over starts.

        One over the mean of the sum of squared weights (Kish's effective sample size), estimated
        with random signs (Hutchinson 1989).
        """
        return _size_of(self.diffuse(_signs(len(self), seed), time))

    def own_weight(self, time: float, *, seed: int = 0) -> float:
        """Mean share of walks of that time that end where they began."""
        signs = _signs(len(self), seed)
        return max(0.0, float((signs * self.diffuse(signs, time)).mean()))

    def time_for(self, size: float, *, seed: int = 0) -> float:
        """Time of a walk that averages over `size` examples, by interpolation between doublings.

        A graph in components that are smaller gives the longest time.
        """
        probes = _signs(len(self), seed)
        time, reached = 0.0, 1.0
        while time < LONGEST:
            more = max(time, 1.0)
            probes = self.diffuse(probes, more)
            now = _size_of(probes)
            if now >= size:
                share = np.log(max(size, 1.0) / reached) / np.log(now / reached)
                return float((time + more) ** share * max(time, 0.5) ** (1 - share))
            if now < 1.0001 * reached:
                break
            time, reached = time + more, now
        return time


def _signs(n_examples: int, seed: int) -> NDArray[np.float32]:
    """(N, PROBES) plus and minus one."""
    rng = generator(seed, "neighbor graph probes")
    signs: NDArray[np.float32] = rng.choice(np.array([-1, 1], np.float32), (n_examples, PROBES))
    return signs


def _size_of(diffused_signs: NDArray[np.float32]) -> float:
    return float(1 / np.square(diffused_signs).mean(dtype=np.float64))


def _chebyshev_weights(time: float) -> NDArray[np.float32]:
    """Of the polynomials T_0, T_1, ... in the step; they sum to 1."""
    from scipy.special import ive

    weights = 2 * ive(np.arange(int(8 * np.sqrt(time + 1)) + 8), time)
    weights[0] /= 2
    tail = weights.sum() - np.cumsum(weights)
    weights = weights[: int(np.argmax(tail <= LEFT_OUT)) + 1]
    series: NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return series
