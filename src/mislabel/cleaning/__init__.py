"""Cleaning labels: soft targets and corrected labels from noisy labels alone."""

from mislabel.cleaning.adaptive import AdaptiveTargets, adaptive_targets, neighbors_needed

__all__ = ["AdaptiveTargets", "adaptive_targets", "neighbors_needed"]
