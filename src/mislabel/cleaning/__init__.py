"""Cleaning labels: soft targets and corrected labels from noisy labels alone."""

from mislabel.cleaning.adaptive import AdaptiveTargets, adaptive_targets, neighbors_needed
from mislabel.cleaning.cleaned import CleanedLabels, Quality, clean_labels
from mislabel.cleaning.formats import load_cleaned

__all__ = [
    "AdaptiveTargets",
    "CleanedLabels",
    "Quality",
    "adaptive_targets",
    "clean_labels",
    "load_cleaned",
    "neighbors_needed",
]
