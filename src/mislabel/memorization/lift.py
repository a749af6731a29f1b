"""`lift`: inclusion probability from exclusion probability, by one number.

``inclusion(i) = sigmoid(logit(exclusion(i)) + c)``: training on an example adds the same c, the
lift, to the log-odds of its given label, whether the label is right or wrong. It is small for a
network that hardly memorizes and large for one that fits everything. The law is ours; how well it
holds for the networks of Lim, Larson & Leach 2025 is measured in ``studies/memorization_rand1``.

It makes a memorization score of any estimate of exclusion alone, and carries the estimate of a
quick network that stops early over to one that goes on. `fit_lift` finds c by maximum likelihood
(binomial, exclusion taken as it is), for which the mean inclusion is the fitted one.

Pitfall: exclusion probabilities of 0 and 1 stay so; estimates from few runs, which are often 0,
should be probabilities rather than counts, and are kept `FLOOR` away from both ends.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.memorization.scores import Floats, MemorizationScores

FLOOR = 1e-6
LARGEST = 30.0


def apply_lift(scores: MemorizationScores, lift: float) -> MemorizationScores:
    """The same exclusion probabilities, with inclusion by the lift instead of as measured.

    lift: in log-odds, from 0 to 30. Errors follow by the delta method; the halves too are lifted.
    """
    if not 0 <= lift <= LARGEST:
        raise InputError("lift", lift, f"must be between 0 and {LARGEST:g}")
    inclusion = lifted(scores.exclusion, lift)
    kept = np.clip(scores.exclusion, FLOOR, 1 - FLOOR)
    slope = inclusion * (1 - inclusion) / (kept * (1 - kept))
    halves = scores.exclusion_halves
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
    exclusion = scores.exclusion[both]

    def excess(lift: float) -> float:
        return float(lifted(exclusion, lift).sum() - wanted)

    if not both.any():
        raise InputError("scores", scores.title, "have no example with both probabilities")
    if not excess(0) <= 0 <= excess(LARGEST):
        rule = f"no lift between 0 and {LARGEST:g} makes their mean inclusion probability"
        raise InputError("scores", scores.title, rule)
    return float(brentq(excess, 0, LARGEST, xtol=1e-6))


def lifted(exclusion: Floats, lift: float) -> Floats:
    """Probabilities with `lift` added to their log-odds; NaN stays NaN."""
    from scipy.special import expit, logit

    found: Floats = expit(logit(np.clip(exclusion, FLOOR, 1 - FLOOR)) + lift)
    return found
