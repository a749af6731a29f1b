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
    "selected": "epoch selected on held-out noisy labels",
}
"""How a cell's curve becomes one figure, and how that is called wherever it is shown.

"selected" is for methods that hold labels out (``gce:selection=noisy-validation``); see
`epoch_choices`.
"""

NOTHING_HELD_OUT = "no training holds labels out; give a method selection=noisy-validation"

CURVES = (
    "train_loss",
    "train_accuracy",
    "validation_accuracy",
    "test_accuracy",
    "wrong_fitted",
    "wrong_corrected",
)
"""Curves of a cell, one value per epoch.

train_loss: mean training loss. train_accuracy: share of training predictions equal to the given
label. validation_accuracy: share of the held-out examples predicted as their given (noisy) label;
only where the method selects an epoch by it. test_accuracy: on clean test labels. wrong_fitted:
share of the flipped examples predicted as their given (wrong) label; wrong_corrected: share of
them predicted as their clean label; both None without flips. The training figures are of the
predictions made while training, under augmentation (mixup's: of mixtures, which stand for their
dominant example).
"""


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """One training: its place in the grid, its curves and what it cost.

    noise, method: the specs as in the columns and rows. test_accuracy_per_class: (C,) of the
    network that the training leaves: of the last epoch, or of the selected one.
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
        if check_epoch(epoch) != "selected":
            return reduce_curve(curve, epoch)
        if not self.selects:
            rule = f"{self.method} under {self.noise} held no labels out to select an epoch by"
            raise InputError("epoch", epoch, rule)
        held_out = np.asarray(self.curves["validation_accuracy"], dtype=float)
        return float(curve[held_out.argmax()])  # the first best, as in training

    @property
    def selects(self) -> bool:
        """Whether the training held labels out, so that an epoch can be selected by them."""
        return "validation_accuracy" in self.curves


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
    """Mean and population deviation (as in the study's table) of test accuracy over cells.

    "selected" is of the cells that held labels out alone.
    """
    if check_epoch(epoch) == "selected":
        cells = [cell for cell in cells if cell.selects]
    if not cells:
        return Summary(mean=None, deviation=None, count=0)
    values = np.array([cell.accuracy(epoch) for cell in cells])
    return Summary(mean=float(values.mean()), deviation=float(values.std()), count=len(values))


def reduce_curve(curve: NDArray[np.float64], epoch: str) -> float:
    """One figure from a curve over epochs: its last value, mean of the last ten, or maximum."""
    if epoch == "last":
        return float(curve[-1])
    return float(curve[-10:].mean() if epoch == "last10" else curve.max())


def epoch_choices(results: BenchmarkResults) -> list[str]:
    """Those of `EPOCH_CHOICES` that the results have a figure for."""
    selects = any(cell.selects for cell in results.cells)
    return [choice for choice in EPOCH_CHOICES if choice != "selected" or selects]


def check_epoch(epoch: str, results: BenchmarkResults | None = None) -> str:
    """One of `EPOCH_CHOICES`, and of `epoch_choices` where results are given, or `InputError`."""
    if epoch not in EPOCH_CHOICES:
        raise InputError("epoch", epoch, f"unknown choice; {did_you_mean(epoch, EPOCH_CHOICES)}")
    if results is not None and epoch not in epoch_choices(results):
        raise InputError("epoch", epoch, NOTHING_HELD_OUT)
    return epoch
