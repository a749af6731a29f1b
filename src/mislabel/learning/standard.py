"""Standard training: cross-entropy with the labels as given, right or wrong."""

from dataclasses import dataclass
from typing import Any, ClassVar

from mislabel.learning.base import MethodRecord, NoisyLabelClassifier
from mislabel.learning.objective import CrossEntropy, Objective
from mislabel.learning.problem import TrainingProblem


@dataclass(kw_only=True, eq=False, repr=False)
class Standard(NoisyLabelClassifier):
    """Cross-entropy. The parameters are those of `NoisyLabelClassifier`."""

    name: ClassVar[str] = "standard"

    def _objective(self, problem: TrainingProblem, n_classes: int, features: Any) -> Objective:
        return CrossEntropy(problem.labels)


RECORD = MethodRecord(
    name=Standard.name,
    title="Standard",
    paper="cross-entropy",
    estimator=Standard,
    example="standard",
    advice="the reference; fits wrong labels if trained long enough",
)
