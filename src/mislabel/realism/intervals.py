"""Intervals for shares and for figures of neighbouring examples, which are not independent.

Wilson's interval holds for independent draws. Labels that lie near each other err together, so what
is measured over an embedding is measured over *blocks* of it (`mislabel.realism.blocks`), which are
taken as independent: shares have Wilson's interval with the number of examples divided by the
design effect of the blocks, other figures the percentiles of a bootstrap that draws whole blocks.
A figure is a function of sums over examples, so a resample is a product of how often each block
was drawn with the sums per block.

Sources: Wilson 1927; Kish 1965 for the design effect; Davison & Hinkley 1997, section 3.8, for the
bootstrap of clusters.

Pitfall: few blocks make intervals too short; from about 30 on they hold. Those of a bin whose few
examples all lie in one or two blocks are Wilson's as if they were independent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.seeds import generator

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One figure, or many of a kind, each with its interval; NaN where undefined.

    value, low, high: arrays of one shape, () for a single figure.
    """

    value: Floats
    low: Floats
    high: Floats

    def to_json(self) -> dict[str, Any]:
        """Numbers or lists of them as JSON values, None for NaN."""
        return {name: to_json(getattr(self, name)) for name in ("value", "low", "high")}


def to_json(values: Floats) -> Any:
    """Numbers as JSON values, None for NaN."""
    numbers = np.asarray(values, dtype=np.float64).astype(object)
    numbers[~np.isfinite(values)] = None
    return numbers.tolist()


def wilson(counts: Floats | Ints, totals: Floats | Ints, level: float) -> Estimate:
    """Shares `counts` / `totals` (both of one shape) with Wilson's interval; NaN of none.

    totals: may be effective numbers, not whole.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    n = np.where(np.asarray(totals) > 0, totals, np.nan).astype(np.float64)
    share = counts / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = np.clip(centre - half, 0, share), np.clip(centre + half, share, 1)
    return Estimate(value=share, low=low, high=high)


@dataclass(frozen=True)
class BlockSums:
    """Intervals from blocks; see `BlockSums.of`.

    of_example: (N,) block of each example. weights: (R, B) how often each resample has each block.
    """

    of_example: Ints
    weights: Floats
    level: float

    @classmethod
    def of(cls, blocks: Ints, *, n_resamples: int, level: float, seed: int) -> "BlockSums":
        """blocks: (N,) whole numbers; those that occur are counted, so that none is empty."""
        _, numbers = np.unique(blocks, return_inverse=True)
        n_blocks = int(numbers.max()) + 1
        drawn = generator(seed, "block-resamples").multinomial(
            n_blocks, np.full(n_blocks, 1 / n_blocks), size=n_resamples
        )
        return cls(numbers, drawn.astype(np.float64), level)

    @property
    def n_blocks(self) -> int:
        """How many blocks there are."""
        return int(self.weights.shape[1])

    def sums(self, values: NDArray[Any], chosen: NDArray[Any] | None = None) -> Floats:
        """(B,) sum of `values` (M,) per block; chosen: whose they are, mask or indices."""
        blocks = self.of_example if chosen is None else self.of_example[chosen]
        return np.bincount(blocks, values, self.n_blocks).astype(np.float64)

    def counts(self, bins: Ints, n_bins: int, chosen: NDArray[Any] | None = None) -> Floats:
        """(B, n_bins) number of examples per block and bin; bins: (M,)."""
        blocks = self.of_example if chosen is None else self.of_example[chosen]
        flat = np.bincount(blocks * n_bins + bins, minlength=self.n_blocks * n_bins)
        return flat.reshape(self.n_blocks, n_bins).astype(np.float64)

    def share(self, parts: Floats, wholes: Floats) -> Estimate:
        """Shares of sums per block, (B, n) each, by Wilson with the effective number of examples.

        The design effect is the variance of the share over blocks over that of as many independent
        examples, and at least 1.
        """
        totals = wholes.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = parts.sum(axis=0) / totals
            filled = (wholes > 0).sum(axis=0)
            spread = np.square(parts - share * wholes).sum(axis=0) * filled / (filled - 1)
            effect = spread / (totals * share * (1 - share))
        effect = np.where(np.isfinite(effect), np.maximum(effect, 1), 1)
        return wilson(parts.sum(axis=0) / effect, totals / effect, self.level)

    def figure(self, function: Callable[..., Floats], *sums: Floats) -> Estimate:
        """`function` of sums, with percentiles of it over the resamples; NaN where undefined.

        sums: (B,) or (B, n) each. function: of as many arrays, in which the blocks are summed up
        and resamples may stand in front. Resamples without a figure are left out, and a single
        block has no interval.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            value = np.asarray(function(*(np.asarray(s.sum(axis=0)) for s in sums)))
            drawn = function(*(self.weights @ s for s in sums))
        ends = np.full((2, *value.shape), np.nan)
        known = np.isfinite(value) & np.isfinite(drawn).any(axis=0) & (self.n_blocks > 1)
        tails = [(1 - self.level) / 2, (1 + self.level) / 2]
        ends[:, known] = np.nanquantile(drawn[:, known], tails, axis=0)
        return Estimate(value=value, low=ends[0], high=ends[1])
