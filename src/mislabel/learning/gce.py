"""GCE: generalised cross-entropy, L = (1 - p_z^q) / q.

Source: Zhang & Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with
Noisy Labels", NeurIPS 2018; q = 0.7. Between cross-entropy (q to 0) and mean absolute error
(q = 1): examples that the network disagrees with weigh less. p is clamped at 1e-6.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from mislabel.errors import InputError
from mislabel.learning.base import MethodRecord, NoisyLabelClassifier
from mislabel.learning.objective import GeneralisedCrossEntropy, Objective
from mislabel.learning.problem import TrainingProblem


@dataclass(kw_only=True, eq=False, repr=False)
class GCE(NoisyLabelClassifier):
    """Generalised cross-entropy. q: above 0, at most 1. Else as `NoisyLabelClassifier`."""

    name: ClassVar[str] = "gce"
    q: float = 0.7

    def check_parameters(self) -> None:
        super().check_parameters()
        if not 0 < self.q <= 1:
            raise InputError("q", self.q, "must be above 0 and at most 1")

    def _objective(self, problem: TrainingProblem, n_classes: int, features: Any) -> Objective:
        return GeneralisedCrossEntropy(problem.labels, self.q)


RECORD = MethodRecord(
    name=GCE.name,
    title="GCE",
    paper="Zhang & Sabuncu 2018",
    estimator=GCE,
    positional="q",
    example="gce:q=0.7",
    advice="a loss that trusts the network more where it disagrees with a label",
)
