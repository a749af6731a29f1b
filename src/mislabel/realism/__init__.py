"""How human a noise is: its profile, and whether a classifier can tell it from human labels."""

from mislabel.realism.discriminators import DISCRIMINATORS
from mislabel.realism.profile import (
    Dependence,
    Profile,
    Spatial,
    clustering_index,
    describe_labels,
    interval_blocks,
    profile_labels,
    row_entropy,
)
from mislabel.realism.two_sample import two_sample_test
from mislabel.realism.two_sample_result import TwoSampleResult

__all__ = [
    "DISCRIMINATORS",
    "Dependence",
    "Profile",
    "Spatial",
    "TwoSampleResult",
    "clustering_index",
    "describe_labels",
    "interval_blocks",
    "profile_labels",
    "row_entropy",
    "two_sample_test",
]
