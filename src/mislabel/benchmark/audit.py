"""The seed audit: do the trainings of different seeds differ in what a seed decides?

A deviation over seeds means something only if each seed drew its own initial weights and order.
Where code resets the generator (a data set's constructor that sets the global seed, say), "three
seeds" may start from the same weights, and their deviation is too small. So every training
records SHA-256 of its initial weights and of its first epoch's order, and two seeds of a method
under one noise must not agree in either. Different methods or noises may, and do: their
comparison is paired. With fewer than ten examples two orders may agree by chance and are not held
against anyone. Trainings that record no hashes, as older versions made them, cannot be audited.

`run_benchmark` audits at its end; ``mislabel bench audit RUN`` does at any time.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mislabel.benchmark.results import BenchmarkResults, CellResult
from mislabel.errors import InputError

AUDITED = {"initial_weights_sha256": "initial weights", "first_order_sha256": "order"}
"What `CellResult.provenance` records of a seed, and how it is called."
FEWEST_ORDERED = 10
"10! orders are 3.6 million."


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Seeds of one method under one noise that share `what`, by its hash."""

    noise: str
    method: str
    seeds: tuple[int, ...]
    what: str
    sha256: str

    def __str__(self) -> str:
        return (
            f"{self.method} under {self.noise}: seeds {_listed(self.seeds)} "
            f"share their {self.what} ({self.sha256[:12]})"
        )

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON values."""
        return asdict(self) | {"seeds": list(self.seeds)}


def audit_seeds(results: BenchmarkResults) -> list[Finding]:
    """What seeds share that should not; empty where all is well or nothing is recorded."""
    data = results.metadata.get("data")
    few = isinstance(data, dict) and data.get("n_train", FEWEST_ORDERED) < FEWEST_ORDERED
    return [
        finding
        for noise in results.noises
        for method in results.methods
        for key in AUDITED
        if not (few and key == "first_order_sha256")
        for finding in _shared(results.select(noise=noise.spec, method=method.spec), key)
    ]


def _shared(cells: Sequence[CellResult], key: str) -> list[Finding]:
    """Findings among the cells of one noise and method."""
    seeds: dict[str, list[int]] = {}
    for cell in cells:
        if (found := cell.provenance.get(key)) is not None:
            seeds.setdefault(found, []).append(cell.seed)
    return [
        Finding(
            noise=cells[0].noise,
            method=cells[0].method,
            seeds=tuple(sharing),
            what=AUDITED[key],
            sha256=sha256,
        )
        for sha256, sharing in seeds.items()
        if len(sharing) > 1
    ]


def unrecorded(results: BenchmarkResults) -> list[CellResult]:
    """The trainings that do not record what an audit compares."""
    return [cell for cell in results.cells if not cell.provenance.keys() >= AUDITED.keys()]


def unrecorded_line(results: BenchmarkResults) -> str | None:
    """One line on the trainings that cannot be audited, or None where all can."""
    count = len(unrecorded(results))
    if not count:
        return None
    which = f"{count} of {len(results.cells)} trainings"
    return f"{which} record no hashes of initial weights and order; their seeds cannot be audited"


def check_seeds(results: BenchmarkResults) -> None:
    """Raise `InputError` where seeds share what they should not."""
    findings = audit_seeds(results)
    if not findings:
        return
    first = findings[0]
    more = f"; {len(findings) - 1} more with `mislabel bench audit`" if len(findings) > 1 else ""
    rule = (
        f"share their {first.what} in {first.method} under {first.noise}{more}; the trainings are "
        "stored, but these are no independent draws"
    )
    raise InputError("seeds", list(first.seeds), rule)


def _listed(seeds: Sequence[int]) -> str:
    """``1 and 2``, ``1, 2 and 3``."""
    *rest, last = map(str, seeds)
    return f"{', '.join(rest)} and {last}"
