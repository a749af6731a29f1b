"""What a stress test would run, and how long it would take, from one timed training."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mislabel.executor import Workers
from mislabel.stress.engine import Progress, StressTest, run_test
from mislabel.stress.results import StressCell
from mislabel.stress.suite import CLEAN


@dataclass(frozen=True, kw_only=True)
class PlannedSubject:
    """Trainings of the code under test, or of a reference method.

    n_trainings: in all; n_ended: that are there already. timed: the training on clean labels that
    was timed; None where none was.
    """

    name: str
    title: str
    n_trainings: int
    n_ended: int
    timed: StressCell | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would run. workers: trainings at a time."""

    suite: str
    noises: tuple[str, ...]
    seeds: tuple[int, ...]
    subjects: tuple[PlannedSubject, ...]
    workers: int

    @property
    def n_missing(self) -> int:
        """Trainings that would run."""
        return sum(subject.n_trainings - subject.n_ended for subject in self.subjects)

    @property
    def seconds(self) -> float | None:
        """About how long they would take; None where a subject was not timed, or failed."""
        total = 0.0
        for subject in self.subjects:
            if subject.timed is None or subject.timed.failure is not None:
                return None
            total += (subject.n_trainings - subject.n_ended) * subject.timed.seconds
        return total / min(self.workers, max(self.n_missing, 1))

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {
            "suite": self.suite,
            "noises": list(self.noises),
            "seeds": list(self.seeds),
            "workers": self.workers,
            "trainings": self.n_missing,
            "seconds": self.seconds,
            "subjects": [
                {
                    "name": subject.name,
                    "title": subject.title,
                    "trainings": subject.n_trainings,
                    "ended": subject.n_ended,
                    "seconds_each": subject.timed.seconds if subject.timed else None,
                    "failure": subject.timed.failure if subject.timed else None,
                }
                for subject in self.subjects
            ],
        }


def plan(
    test: StressTest,
    out: Path | None = None,
    *,
    workers: int | None = None,
    timed: bool = True,
    progress: Progress = lambda done, total: None,
) -> Plan:
    """What a test would run. timed: train each subject once, on clean labels, with the first seed.

    out: the folder of the test, where that training is kept and which may have others already;
    without one it is done in vain. Where nothing is timed, nothing is read from or written to it.
    """
    suite = test.suite
    subjects = test.subjects()
    ended: list[StressCell] = []
    if timed:
        with tempfile.TemporaryDirectory(prefix="mislabel-stress-") as folder:
            ended = list(
                run_test(
                    test,
                    Path(folder if out is None else out),
                    workers=workers,
                    only=[(CLEAN, suite.seeds[0])],
                    progress=progress,
                ).cells
            )
    first = {c.subject: c for c in ended if c.noise == CLEAN and c.seed == suite.seeds[0]}
    return Plan(
        suite=suite.title,
        noises=tuple(suite.noises),
        seeds=tuple(suite.seeds),
        subjects=tuple(
            PlannedSubject(
                name=name,
                title=subject.title,
                n_trainings=suite.n_trainings,
                n_ended=0 if out is None else sum(cell.subject == name for cell in ended),
                timed=first.get(name),
            )
            for name, subject in subjects.items()
        ),
        workers=Workers.choose(workers, suite.n_trainings * len(subjects), "cpu").count,
    )
