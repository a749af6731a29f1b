"""What a benchmark found: the value that tables and pages are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError, did_you_mean
from mislabel.labels import NoisyLabels

EPOCH_CHOICES = {
    "last": "last epoch",
    "last10": "mean of the last ten epochs",
    "best": "best epoch, selected on the test set (optimistic)",
}
"How a cell's curve becomes one figure, and how that is called wherever it is shown."

CURVES = ("train_loss", "train_accuracy", "test_accuracy", "wrong_fitted", "wrong_corrected")
"""Curves of a cell, one value per epoch.

train_loss: mean training loss. train_accuracy: share of training predictions equal to the given
label. test_accuracy: on clean test labels. wrong_fitted: share of the flipped examples predicted
as their given (wrong) label; wrong_corrected: share of them predicted as their clean label; both
None without flips. The training figures are of the predictions made while training, under
augmentation.
"""


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """One training: its place in the grid, its curves and what it cost.

    noise, method: the specs as in the columns and rows. test_accuracy_per_class: (C,) last epoch.
    """

    noise: str
    method: str
    seed: int
    curves: Mapping[str, Sequence[float | None]]
    test_accuracy_per_class: Sequence[float | None]
    seconds: float
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def accuracy(self, epoch: str = "last") -> float:
        """Test accuracy at `epoch`, one of `EPOCH_CHOICES`."""
        curve = np.asarray(self.curves["test_accuracy"], dtype=float)
        return reduce_curve(curve, epoch)


@dataclass(frozen=True, kw_only=True)
class NoiseColumn:
    """One noise of the grid: its spec ("cluster:0.35"), kind, title and labels."""

    spec: str
    kind: str
    title: str
    labels: NoisyLabels


@dataclass(frozen=True, kw_only=True)
class MethodRow:
    """One method of the grid: its spec ("snls:k=20"), name and title."""

    spec: str
    name: str
    title: str


@dataclass(frozen=True, kw_only=True)
class BenchmarkResults:
    """A run folder's content: the grid, its finished cells, the labels and the map.

    metadata: the content of run.json (data, seed, settings, versions). map: (N, 2) positions of
    the training examples or None. n_missing: cells of the grid that are not finished.
    """

    metadata: Mapping[str, Any]
    class_names: tuple[str, ...]
    noises: Sequence[NoiseColumn]
    methods: Sequence[MethodRow]
    seeds: Sequence[int]
    cells: Sequence[CellResult]
    map: NDArray[np.float32] | None = None

    @property
    def n_missing(self) -> int:
        return len(self.noises) * len(self.methods) * len(self.seeds) - len(self.cells)

    def select(self, *, noise: str, method: str) -> list[CellResult]:
        """The finished cells of one noise and method, by seed."""
        found = [c for c in self.cells if c.noise == noise and c.method == method]
        return sorted(found, key=lambda cell: cell.seed)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Mean and population deviation over `count` seeds; None where there is no cell."""

    mean: float | None
    deviation: float | None
    count: int


def summarise(cells: Sequence[CellResult], epoch: str = "last") -> Summary:
    """Mean and population deviation (as in the study's table) of test accuracy over cells."""
    if not cells:
        return Summary(mean=None, deviation=None, count=0)
    values = np.array([cell.accuracy(epoch) for cell in cells])
    return Summary(mean=float(values.mean()), deviation=float(values.std()), count=len(values))


def reduce_curve(curve: NDArray[np.float64], epoch: str) -> float:
    """One figure from a curve over epochs: its last value, mean of the last ten, or maximum."""
    check_epoch(epoch)
    if epoch == "last":
        return float(curve[-1])
    return float(curve[-10:].mean() if epoch == "last10" else curve.max())


def check_epoch(epoch: str) -> str:
    """One of `EPOCH_CHOICES`, or an `InputError`."""
    if epoch not in EPOCH_CHOICES:
        raise InputError("epoch", epoch, f"unknown choice; {did_you_mean(epoch, EPOCH_CHOICES)}")
    return epoch
