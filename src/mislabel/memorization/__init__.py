"""Which labels networks memorize: held-out studies, scores with errors, cheap estimators."""

from mislabel.memorization.agreement import Agreement, compare, reliability
from mislabel.memorization.lift import apply_lift, fit_lift
from mislabel.memorization.scores import THRESHOLD, MemorizationScores, load_scores

__all__ = [
    "THRESHOLD",
    "Agreement",
    "MemorizationScores",
    "apply_lift",
    "compare",
    "fit_lift",
    "load_scores",
    "reliability",
]
