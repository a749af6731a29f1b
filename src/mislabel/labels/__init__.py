"""Sets of noisy labels with their provenance, and the files they live in."""

from mislabel.labels.check import as_array, check_count, check_labels
from mislabel.labels.formats import load_labels
from mislabel.labels.noisy import NoisyLabels, Receipt

__all__ = ["NoisyLabels", "Receipt", "as_array", "check_count", "check_labels", "load_labels"]
