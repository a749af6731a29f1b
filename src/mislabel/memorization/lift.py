"""`lift`: inclusion probability from exclusion probability, by one number.

``inclusion(i) = sigmoid(logit(exclusion(i)) + c)``: training on an example adds the same c, the
lift, to the log-odds of its given label, whether the label is right or wrong. It is small for a
network that hardly memorizes and large for one that fits everything. The law is ours; how well it
holds for the networks of Lim, Larson & Leach 2025 is measured in ``studies/memorization_rand1``.

It makes a memorization score of any estimate of exclusion alone, and carries the estimate of a
quick network that stops early over to one that goes on. `fit_lift` finds c by maximum likelihood
(binomial, exclusion taken as it is), for which the mean inclusion is the fitted one.

Pitfall: no lift leads away from 0 or 1. Shares of runs that are counted, k of n, are therefore
taken as (k + 1/2) / (n + 1); with few runs means of probabilities are much better than counts.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.memorization.scores import Floats, MemorizationScores

FLOOR = 1e-6
LARGEST = 30.0
WHOLE = 1e-3


def apply_lift(scores: MemorizationScores, lift: float) -> MemorizationScores:
    """The same exclusion probabilities, with inclusion by the lift instead of as measured.

    lift: in log-odds, from 0 to 30. Errors follow by the delta method; the halves too are lifted.
    """
    if not 0 <= lift <= LARGEST:
        raise InputError("lift", lift, f"must be between 0 and {LARGEST:g}")
    kept = inner(scores.exclusion, scores.exclusion_count)
    inclusion = lifted(kept, lift)
    slope = inclusion * (1 - inclusion) / (kept * (1 - kept))
    halves = scores.exclusion_halves
    halves = None if halves is None else inner(halves, scores.exclusion_count / 2)
    note = {"lift": float(lift), "title": f"{scores.title}, lift {lift:g}"}
    return replace(
        scores,
        inclusion=inclusion,
        inclusion_error=slope * scores.exclusion_error,
        inclusion_count=scores.exclusion_count,
        inclusion_halves=None if halves is None else lifted(halves, lift),
        provenance=scores.provenance | note,
    )


def fit_lift(scores: MemorizationScores, chosen: NDArray[np.bool_] | None = None) -> float:
    """The lift that explains the inclusion probabilities best.

    chosen: (M,) mask of the examples to look at, by default all that have both probabilities.
    Errors: `InputError` where there is none, or no lift from 0 to 30 does.
    """
    from scipy.optimize import brentq

    both = np.isfinite(scores.inclusion) & np.isfinite(scores.exclusion)
    both = both if chosen is None else both & chosen
    wanted = scores.inclusion[both].sum()
    exclusion = inner(scores.exclusion, scores.exclusion_count)[both]

    def excess(lift: float) -> float:
        return float(lifted(exclusion, lift).sum() - wanted)

    if not both.any():
        raise InputError("scores", scores.title, "have no example with both probabilities")
    if not excess(0) <= 0 <= excess(LARGEST):
        rule = f"no lift between 0 and {LARGEST:g} makes their mean inclusion probability"
        raise InputError("scores", scores.title, rule)
    return float(brentq(excess, 0, LARGEST, xtol=1e-6))


def inner(exclusion: Floats, count: NDArray[Any]) -> Floats:
    """Exclusion probabilities off 0 and 1: k of n runs as (k + 1/2) / (n + 1), others by `FLOOR`.

    exclusion: (..., M); count: (M,). They are counted where all are whole numbers of their runs.
    """
    hits = exclusion * count
    counted = bool((count > 0).all()) and bool((np.abs(hits - np.rint(hits)) < WHOLE).all())
    shrunk = (hits + 0.5) / (count + 1) if counted else exclusion
    kept: Floats = np.clip(shrunk, FLOOR, 1 - FLOOR)
    return kept


def lifted(exclusion: Floats, lift: float) -> Floats:
    """Probabilities between 0 and 1 with `lift` added to their log-odds; NaN stays NaN."""
    from scipy.special import expit, logit

    found: Floats = expit(logit(exclusion) + lift)
    return found
