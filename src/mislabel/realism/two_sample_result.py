"""What a classifier two-sample test found."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Importance:
    """How much the AUC drops when a group of columns is shuffled.

    drop: mean over folds. standard_error: over folds, as if they were independent.
    """

    drop: float
    standard_error: float


@dataclass(frozen=True, kw_only=True, eq=False)
class TwoSampleResult:
    """The AUC of telling the candidate from the reference, with what it rests on.

    auc: mean of `fold_aucs` (n_folds,), on held-out blocks; 0.5 is indistinguishable.
    interval: around the AUC at `level`. p_value: one-sided, of an AUC as high as this when there
    is nothing to tell; `p_method` is "exchange" (scores fixed) or "refit" (trained anew).
    auc_per_class: (C,) among examples of one clean class; NaN for a class without examples.
    importance: by group of columns, largest drop first; None where it was not asked for.
    n_blocks: found by k-means. n_dropped: (n_folds,) training examples dropped by the buffer.
    reference_rate, candidate_rate: as given. n_thinned: flips of the candidate that were set back
    so that both have the reference's rate.
    inputs: SHA-256 of labels, clean labels and positions.
    """

    auc: float
    interval: tuple[float, float]
    level: float
    p_value: float
    p_method: str
    n_permutations: int
    fold_aucs: tuple[float, ...]
    auc_per_class: NDArray[np.float64]
    importance: Mapping[str, Importance] | None
    n_examples: int
    n_blocks: int
    n_folds: int
    buffer: int
    n_dropped: tuple[int, ...]
    reference_rate: float
    candidate_rate: float
    n_thinned: int
    discriminator: str
    seed: int
    versions: Mapping[str, str]
    inputs: Mapping[str, str]

    @property
    def told_apart(self) -> bool:
        """Whether the whole interval lies above 0.5."""
        return self.interval[0] > 0.5

    @property
    def verdict(self) -> str:
        """The result in one plain line."""
        low, high = self.interval
        shown = f"AUC {self.auc:.3f} ({100 * self.level:g} % interval {low:.3f} to {high:.3f})"
        if not self.told_apart:
            return f"{shown}: this test cannot tell the candidate from the reference"
        return f"{shown}: the candidate can be told from the reference{self._by()}"

    def _by(self) -> str:
        """What gives it away most, where that is known."""
        if not self.importance:
            return ""
        name, most = next(iter(self.importance.items()))
        return f", most by {name!r}" if most.drop > 2 * most.standard_error else ""

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values; undefined figures are None."""
        per_class = [None if np.isnan(auc) else auc for auc in self.auc_per_class.tolist()]
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        importance = self.importance
        return values | {
            "format": 1,
            "verdict": self.verdict,
            "interval": list(self.interval),
            "fold_aucs": list(self.fold_aucs),
            "n_dropped": list(self.n_dropped),
            "auc_per_class": per_class,
            "importance": None
            if importance is None
            else {name: asdict(value) for name, value in importance.items()},
            "versions": dict(self.versions),
            "inputs": dict(self.inputs),
        }
