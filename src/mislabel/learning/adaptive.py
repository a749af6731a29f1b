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
from math import floor
from typing import Any, ClassVar, Self

import torch
from numpy.typing import ArrayLike

from mislabel.cleaning.adaptive import STABLE, adaptive_targets
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
    1, by which that is told; see `mislabel.cleaning.AdaptiveTargets`. Else as
    `NoisyLabelClassifier`.
    """

    name: ClassVar[str] = "adaptive"

    def fit(self, X: ArrayLike, y: ArrayLike, **options: Any) -> Self:
        """As `NoisyLabelClassifier.fit`, with its options; may warn with `UndeterminedWarning`."""
        super().fit(X, y, **options)
        self.provenance_["targets"] = self._told()
        return self

    def _told(self) -> dict[str, Any]:
        return {"determined": self.determined_, "stability": self.stability_}

    def _objective(self, problem: TrainingProblem, n_classes: int, features: Any) -> SoftTargets:
        labels = problem.labels
        found = adaptive_targets(
            features,
            labels.cpu().numpy(),
            n_classes=n_classes,
            seed=child_seed(self.seeds_.initialisation, "adaptive targets"),
        )
        self.determined_, self.stability_ = found.determined, found.stability
        if (line := undetermined_line({"targets": self._told()})) is not None:
            warnings.warn(line, UndeterminedWarning, stacklevel=2)
        kept = (found.targets, found.noise_scores, found.corrected_labels)
        return SoftTargets(*(torch.from_numpy(values).to(labels.device) for values in kept))


def undetermined_line(provenance: Mapping[str, Any]) -> str | None:
    """One line where the labels of a training did not determine the classes, else None."""
    told = provenance.get("targets")
    if told is None or told["determined"]:
        return None
    stability = floor(100 * told["stability"]) / 100  # 0.879 is not "0.88; 0.88 is needed"
    return (
        f"these labels do not determine the classes (stability {stability:.2f}; {STABLE} is "
        "needed): targets are a broad vote"
    )


RECORD = MethodRecord(
    name=Adaptive.name,
    title="Standard + adaptive",
    paper="ours",
    estimator=Adaptive,
    uses_features=True,
    example="adaptive",
    advice="targets from as many neighbours as the labels bear out; strong against patches",
)
