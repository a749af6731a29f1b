"""What a stress test found: what verdicts, tables, pages and comparisons are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mislabel.stress.suite import CLEAN

YOURS = "yours"
"Name of the code under test among the subjects; the others are reference methods, by their spec."


@dataclass(frozen=True, kw_only=True)
class StressCell:
    """One training: its place, how it ended and what it gave.

    subject: `YOURS` or the spec of a reference method. failure: why there is no result, on one
    line, or None. rate: realised share of wrong labels. metrics: figures by name, of the test set;
    and ``wrong_fitted``, the share of wrong training labels that are predicted as given, and
    ``wrong_corrected``, as their clean label, where training examples were predicted and some are
    wrong. accuracy_per_class: (C,) on test examples, None of a class without any; empty where only
    a metric came. log: the file of its output, in the run folder. labels_sha256: hash of the
    training labels, empty where it is not known.
    """

    subject: str
    noise: str
    seed: int
    rate: float
    failure: str | None
    metrics: Mapping[str, float]
    accuracy_per_class: Sequence[float | None]
    seconds: float
    log: str = ""
    labels_sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class StressNoise:
    """One noise of the suite: spec, kind (name of the model), family (spec without its rate),
    title, and the mean realised rate over seeds."""

    spec: str
    kind: str
    family: str
    title: str
    rate: float


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Code that was trained: the user's, or a reference method."""

    name: str
    title: str

    @property
    def is_reference(self) -> bool:
        return self.name != YOURS


@dataclass(frozen=True, kw_only=True)
class StressResults:
    """A stress test: what was tested and every cell that has ended, failed ones included.

    metadata: the content of stress.json (data, suite, versions, command, thresholds). noises: in
    the order of the suite, clean first. subjects: the user's code first. metric: the figure that
    counts, a key of the cells' metrics. lower_is_better: of that metric. n_test: test examples.
    """

    metadata: Mapping[str, Any]
    class_names: tuple[str, ...]
    noises: Sequence[StressNoise]
    subjects: Sequence[Subject]
    seeds: Sequence[int]
    cells: Sequence[StressCell]
    metric: str = "accuracy"
    lower_is_better: bool = False
    n_test: int = 0
    thresholds: Sequence[str] = field(default=())

    @property
    def n_missing(self) -> int:
        """Cells that have not ended yet."""
        return len(self.noises) * len(self.subjects) * len(self.seeds) - len(self.cells)

    @property
    def failures(self) -> list[StressCell]:
        """Cells that ended without a result."""
        return [cell for cell in self.cells if cell.failure is not None]

    def select(self, *, noise: str, subject: str = YOURS) -> dict[int, StressCell]:
        """The ended cells of one noise and subject, by seed."""
        return self._places.get((noise, subject), {})

    def values(self, metric: str, noise: str, subject: str = YOURS) -> dict[int, float]:
        """A metric by seed, of the cells that have it."""
        found = self.select(noise=noise, subject=subject)
        return {seed: c.metrics[metric] for seed, c in found.items() if metric in c.metrics}

    @property
    def rates(self) -> list[StressNoise]:
        """The noises without clean."""
        return [noise for noise in self.noises if noise.spec != CLEAN]

    @cached_property
    def _places(self) -> dict[tuple[str, str], dict[int, StressCell]]:
        places: dict[tuple[str, str], dict[int, StressCell]] = {}
        for cell in sorted(self.cells, key=lambda cell: cell.seed):
            places.setdefault((cell.noise, cell.subject), {})[cell.seed] = cell
        return places
