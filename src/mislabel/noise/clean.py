"""No noise: the clean labels, for the column that everything is compared with."""

from dataclasses import dataclass
from typing import ClassVar

from mislabel.noise.base import IntArray, NoiseModel, NoiseRecord, Problem


@dataclass(frozen=True, kw_only=True)
class Clean(NoiseModel):
    """The clean labels as they are."""

    name: ClassVar[str] = "clean"

    def _corrupt(self, problem: Problem) -> IntArray:
        return problem.clean_labels.copy()


RECORD = NoiseRecord(
    name=Clean.name,
    title="Clean",
    paper="none",
    model=Clean,
    positional=None,
    example="clean",
    advice="no wrong labels; the reference",
)
