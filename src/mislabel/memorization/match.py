"""`match`: cheap estimates brought to the scale of a study that was measured on some examples.

``exclusion = sigmoid(b + a_1 logit(e_1) + ... + a_K logit(e_K))``, e_k the exclusion probabilities
of K estimates, with b and a fitted to those of the reference by maximum likelihood (binomial,
shares counting as they are): Platt's calibration (1999) of one estimate, stacking (Wolpert 1992) of
more. inclusion follows by the reference's own lift (`mislabel.memorization.lift`).

So a study on a part of the examples, or by another laboratory on other examples of the same data,
tells how far and in which mixture to trust estimates that cost nothing, and these then cover the
rest. K + 2 numbers are fitted, so a few hundred examples are enough.

Pitfall: agreement with the reference on the examples that were fitted is a little too good; keep
some aside to report it on.
"""

from collections.abc import Sequence

import numpy as np

from mislabel.errors import InputError
from mislabel.memorization.lift import apply_lift, fit_lift, inner
from mislabel.memorization.scores import Floats, MemorizationScores


def match(
    estimates: Sequence[MemorizationScores], reference: MemorizationScores
) -> MemorizationScores:
    """Scores of the examples that all the estimates have, in the scale of the reference.

    The weights are fitted on those that the reference has too, and stand in the provenance. There
    are no errors: nothing is known of how estimate and reference differ elsewhere. Errors:
    `InputError` where there is no estimate, or fewer examples in common than numbers to fit.
    """
    if not estimates:
        raise InputError("scores", "nothing", "give at least one file of scores")
    first = estimates[0]
    for other in estimates[1:]:
        first = first.select(other.index)
    odds = np.column_stack([_log_odds(e.select(first.index)) for e in estimates])
    weights = _fitted(first, odds, reference)
    exclusion = 1 / (1 + np.exp(-_predicted(odds, weights)))
    titles = [estimate.title for estimate in estimates]
    unknown, none = np.full(len(first), np.nan), np.zeros(len(first), dtype=np.int64)
    made = MemorizationScores(
        index=first.index,
        labels=first.labels,
        clean_labels=first.clean_labels,
        inclusion=exclusion,
        exclusion=exclusion,
        inclusion_error=unknown,
        exclusion_error=unknown,
        inclusion_count=none,
        exclusion_count=none,
        n_total=first.n_total,
        class_names=first.class_names,
        provenance={"estimator": "match", "like": reference.title, "estimates": titles,
                    "weights": weights[1:].tolist(), "constant": float(weights[0])},
    )  # fmt: skip
    lifted = apply_lift(made, fit_lift(reference))
    lifted.provenance["title"] = " + ".join(titles) + ", matched"
    return lifted


def _log_odds(scores: MemorizationScores) -> Floats:
    """Of exclusion, off 0 and 1."""
    kept = inner(scores.exclusion, scores.exclusion_count)
    found: Floats = np.log(kept) - np.log1p(-kept)
    return found


def _predicted(odds: Floats, weights: Floats) -> Floats:
    found: Floats = weights[0] + odds @ weights[1:]
    return found


def _fitted(first: MemorizationScores, odds: Floats, reference: MemorizationScores) -> Floats:
    """(1 + K,) constant and weights of the log-odds (M, K)."""
    from scipy.optimize import minimize

    target = reference.select(first.index)
    rows = np.isin(first.index, target.index)
    if (first.labels[rows] != target.labels).any():
        raise InputError("like", reference.title, "its labels differ from the estimates'")
    known = np.isfinite(odds[rows]).all(axis=1) & np.isfinite(target.exclusion)
    if known.sum() <= odds.shape[1] + 1:
        rule = f"has {known.sum()} examples in common; at least {odds.shape[1] + 2} are needed"
        raise InputError("like", reference.title, rule)
    points, wanted = odds[rows][known], target.exclusion[known]

    def loss(weights: Floats) -> tuple[float, Floats]:
        value = _predicted(points, weights)
        excess = 1 / (1 + np.exp(-value)) - wanted
        likelihood = np.logaddexp(0, value) - wanted * value
        slope = np.concatenate([[excess.mean()], excess @ points / len(points)])
        return float(likelihood.mean()), slope

    start = np.concatenate([[0.0], np.full(odds.shape[1], 1 / odds.shape[1])])
    found: Floats = minimize(loss, start, jac=True, method="BFGS").x
    return found
