"""Cheap estimators of memorization: one file each, and the registry that the command line reads.

``make_estimator("ridge")(labels, features)`` returns `MemorizationScores`, as a study does.
"""

from mislabel.memorization import early, logistic, mlps, neighbors, ridge, subsets
from mislabel.memorization.estimator import Estimator, EstimatorRecord
from mislabel.registry import Registry
from mislabel.specs import parse_parameters, split_spec

ESTIMATORS = Registry[EstimatorRecord](
    "estimator",
    [
        neighbors.RECORD,
        ridge.RECORD,
        logistic.RECORD,
        early.RECORD,
        subsets.RECORD,
        mlps.RECORD,
    ],
)
"All estimators. A new one is a new file and one line here."


def make_estimator(spec: str) -> Estimator:
    """The estimator of a spec: ``neighbors:k=50``, ``ridge``, ``subsets:runs=500``."""
    name, rest = split_spec(spec, "estimator")
    record = ESTIMATORS[name]
    parameters = parse_parameters(
        rest, record.build, positional=record.positional, argument="estimator", spec=spec
    )
    return record.build(**parameters)
