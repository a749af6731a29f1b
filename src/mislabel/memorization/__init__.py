"""Which labels networks memorize: held-out studies, scores with errors, cheap estimators."""

from mislabel.memorization.agreement import Agreement, compare, reliability
from mislabel.memorization.scores import THRESHOLD, MemorizationScores, load_scores

__all__ = [
    "THRESHOLD",
    "Agreement",
    "MemorizationScores",
    "compare",
    "load_scores",
    "reliability",
]
