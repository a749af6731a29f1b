"""What thresholds came to: pass, fail or undecided, and the exit status for CI."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mislabel.stress.intervals import Interval

State = Literal["pass", "fail", "undecided"]
EXIT_STATUS: dict[State, int] = {"pass": 0, "fail": 1, "undecided": 3}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One threshold at one noise.

    text: the threshold as written, with its noise. noise: the spec (of an area: the family).
    found: the figure with its interval. reason: one sentence. seeds_needed: for undecided ones, how
    many seeds in all would decide if the figure stayed where it is; None where that is not known.
    """

    text: str
    noise: str
    state: State
    found: Interval
    reason: str
    seeds_needed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """All decisions, and the trainings of the user's code that failed or have not ended.

    A failed training fails the test, whatever the thresholds: code that does not survive wrong
    labels is not robust. While some have not ended it does not pass, since they may fail. Without
    thresholds and failures the test passes.
    """

    decisions: Sequence[Decision]
    n_failed: int = 0
    n_missing: int = 0

    @property
    def state(self) -> State:
        """Fail if anything failed, else undecided if anything is, else pass."""
        states = {decision.state for decision in self.decisions}
        if self.n_failed or "fail" in states:
            return "fail"
        return "undecided" if self.n_missing or "undecided" in states else "pass"

    @property
    def exit_status(self) -> int:
        """0, 1 or 3: see `EXIT_STATUS`."""
        return EXIT_STATUS[self.state]

    @property
    def seeds_needed(self) -> int | None:
        """Seeds after which all undecided thresholds would be decided, as far as known."""
        needed = [d.seeds_needed for d in self.decisions if d.seeds_needed is not None]
        return max(needed, default=None)
