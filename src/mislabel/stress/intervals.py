"""Intervals over seeds: Student's t, and how many seeds would decide.

A seed is one draw of labels and one training on them, so seeds are independent and the interval is
of the mean over further seeds, on this test set. A figure of M test examples is a multiple of 1/M;
where few seeds agree by chance their deviation would be 0, so the variance of rounding to that
step, 1 / (12 M^2), is added to theirs (Sheppard 1898). What is covered is the mean of such figures:
at least as often as the level says on average over the places between two multiples where it may
lie; at some it is less often, and then missed by less than a step.

Source: Student 1908. Pitfall: two seeds have one degree of freedom, and intervals 18 deviations
wide; they are right and useless. Three is little, five is a beginning.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LEVEL = 0.95
MAX_SEEDS = 1000
"Where more than these would be needed, no number of seeds is recommended."


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Mean over seeds with its interval.

    values: per seed. low, high: infinite for one seed; NaN, like the mean, for none.
    """

    mean: float
    low: float
    high: float
    deviation: float
    values: tuple[float, ...]

    @property
    def count(self) -> int:
        """Number of seeds."""
        return len(self.values)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; None for what is not finite."""
        ends = {name: finite(getattr(self, name)) for name in ("mean", "low", "high", "deviation")}
        return {**ends, "count": self.count, "values": [finite(value) for value in self.values]}


def finite(value: float) -> float | None:
    """A number as JSON has it: None for infinity and NaN."""
    return value if math.isfinite(value) else None


def interval(values: Sequence[float], *, step: float = 0.0, level: float = LEVEL) -> Interval:
    """The interval at `level` of the mean of independent `values`.

    step: values are rounded to multiples of it. deviation is the sample's (n - 1), with the
    rounding in it; NaN for fewer than two values.
    """
    count = len(values)
    kept = tuple(map(float, values))
    if count == 0:
        return Interval(mean=math.nan, low=math.nan, high=math.nan, deviation=math.nan, values=())
    mean = float(np.mean(kept))
    if count == 1:
        return Interval(mean=mean, low=-math.inf, high=math.inf, deviation=math.nan, values=kept)
    deviation = math.sqrt(float(np.var(kept, ddof=1)) + step**2 / 12)
    half = half_width(deviation, count, level)
    return Interval(mean=mean, low=mean - half, high=mean + half, deviation=deviation, values=kept)


def half_width(deviation: float, count: int, level: float = LEVEL) -> float:
    """Half of the width of an interval over `count` values of that deviation."""
    from scipy.special import stdtrit

    return float(stdtrit(count - 1, (1 + level) / 2)) * deviation / math.sqrt(count)


def seeds_needed(found: Interval, threshold: float, *, level: float = LEVEL) -> int | None:
    """Seeds after which an interval around this mean would leave `threshold` out.

    Of as much deviation as now; None where it is not known, or more than `MAX_SEEDS` would be
    needed. Never fewer than there are.
    """
    distance = abs(found.mean - threshold)
    if not math.isfinite(found.deviation):
        return None
    for count in range(max(found.count, 2), MAX_SEEDS + 1):
        if half_width(found.deviation, count, level) < distance:
            return count
    return None
