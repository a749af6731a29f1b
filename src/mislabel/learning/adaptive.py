"""Standard + adaptive: cross-entropy against adaptive soft neighbour targets.

Source: our own; see `mislabel.cleaning.adaptive`. Labels and features are fixed, so the targets are
computed once, before training.

Pitfall: where the labels do not determine the classes the targets are a broad vote, corrected
labels are the given ones, and training goes on all the same. `fit` then warns with an
`UndeterminedWarning`, `determined_` is False, and so is ``provenance_["targets"]["determined"]``,
which is kept with the model, in receipts and in the records of a benchmark.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from mislabel.cleaning.adaptive import adaptive_targets, undetermined_text
from mislabel.learning.base import MethodRecord, NoisyLabelClassifier
from mislabel.learning.problem import TrainingProblem
from mislabel.learning.snls import SoftTargets
from mislabel.seeds import child_seed


class UndeterminedWarning(UserWarning):
    """The labels trained on do not determine the classes."""


@dataclass(kw_only=True, eq=False, repr=False)
class Adaptive(NoisyLabelClassifier):
    """Adaptive targets in the features given to `fit`, or in the examples themselves.

    After `fit` also `determined_`, whether the labels determine the classes, and `stability_`, 0 to
    1, by which that is told; see `mislabel.cleaning.AdaptiveTargets`. `fit` warns with an
    `UndeterminedWarning` where they do not. Else as `NoisyLabelClassifier`.
    """

    name: ClassVar[str] = "adaptive"

    def _findings(self) -> dict[str, Any]:
        return {"targets": {"determined": self.determined_, "stability": self.stability_}}

    def _objective(self, problem: TrainingProblem, n_classes: int, features: Any) -> SoftTargets:
        labels = problem.labels
        found = adaptive_targets(
            features,
            labels.cpu().numpy(),
            n_classes=n_classes,
            seed=child_seed(self.seeds_.initialisation, "adaptive targets"),
        )
        self.determined_, self.stability_ = found.determined, found.stability
        if (line := undetermined_line(self._findings())) is not None:
            warnings.warn(line, UndeterminedWarning, stacklevel=2)
        kept = (found.targets, found.noise_scores, found.corrected_labels)
        return SoftTargets(*(torch.from_numpy(values).to(labels.device) for values in kept))


def undetermined_line(provenance: Mapping[str, Any]) -> str | None:
    """One line where the labels of a training did not determine the classes, else None."""
    told = provenance.get("targets")
    if told is None or told["determined"]:
        return None
    return f"{undetermined_text(told['stability'])}: targets are a broad vote"


RECORD = MethodRecord(
    name=Adaptive.name,
    title="Standard + adaptive",
    paper="ours",
    estimator=Adaptive,
    uses_features=True,
    example="adaptive",
    advice="targets from as many neighbours as the labels bear out; strong against patches",
)
