"""Two versions of the user's code, compared on the same cells.

Both versions had the same labels and seed in a cell, so what is compared is the difference in it,
and over seeds these differences are independent. Per noise they are tested with Student's paired t
test, two-sided, and the p-values are adjusted for the number of noises by Holm's method, which
bounds the chance of any false alarm at 1 - level whatever the dependence between noises. One more
test is of the mean over noises per seed; it stands for itself. As in the intervals, the variance of
rounding is added, so that a few equal differences of a test set's accuracy prove nothing.

Sources: Student 1908; Holm 1979. Pitfall: "no difference shown" is not "no difference": see how
wide the interval is. It is of one noise alone, and may leave 0 out where the adjusted test does not
reject.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from mislabel.errors import InputError
from mislabel.stress.intervals import LEVEL, Interval, interval
from mislabel.stress.results import YOURS, StressCell, StressResults
from mislabel.stress.summary import difference_step

Change = Literal["better", "worse", "no difference shown"]
Cells = dict[tuple[str, int], StressCell]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """After less before at one noise, or over all; positive is better.

    p_value: of the paired t test; None of fewer than two pairs. adjusted: for the number of
    noises, by Holm's method; of the difference over all it is p_value.
    """

    noise: str
    found: Interval
    p_value: float | None
    adjusted: float | None
    state: Change
    reason: str

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "found": self.found.to_json()}


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A cell that fails in one version only, and why."""

    noise: str
    seed: int
    failure: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two versions of the user's code, paired by cell.

    noises: those with a pair, in the order of the suite. overall: of the mean over these noises,
    by the seeds that have all. newly_failing, newly_working: cells that ended in both versions and
    failed in one. n_shared: cells that ended in both.
    """

    metric: str
    level: float
    noises: Sequence[Difference]
    overall: Difference
    newly_failing: Sequence[Changed]
    newly_working: Sequence[Changed]
    n_shared: int

    @property
    def exit_status(self) -> int:
        """1 where anything is worse or newly fails, else 0."""
        is_worse = any(each.state == "worse" for each in (*self.noises, self.overall))
        return int(is_worse or bool(self.newly_failing))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "metric": self.metric,
            "level": self.level,
            "exit_status": self.exit_status,
            "n_shared": self.n_shared,
            "overall": self.overall.to_json(),
            "noises": [noise.to_json() for noise in self.noises],
            "newly_failing": [asdict(cell) for cell in self.newly_failing],
            "newly_working": [asdict(cell) for cell in self.newly_working],
        }


def compare(before: StressResults, after: StressResults, *, level: float = LEVEL) -> Comparison:
    """How the user's code of `after` differs from that of `before`, on the cells that both have.

    Raises `InputError` for results on other data, of another metric, without a shared cell, or
    with other labels in a cell.
    """
    if not 0 < level < 1:
        raise InputError("level", level, "must be between 0 and 1")
    _check_same(before, after)
    first, second = _shared(before, after)
    pairs = _pairs(before, first, second)
    step = max(difference_step(before), _last_bits(first, before.metric))
    noises = [
        _difference(noise, list(pairs[noise].values()), step, level)
        for noise in dict.fromkeys(noise for noise, _ in first)
        if pairs.get(noise)
    ]
    return Comparison(
        metric=before.metric,
        level=level,
        noises=_adjusted(noises, level),
        overall=_overall(pairs, step, level),
        newly_failing=_newly_failing(first, second),
        newly_working=_newly_failing(second, first),
        n_shared=len(first),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number by Holm's step-down method, in their own order.

    The k-th smallest of n is multiplied by n + 1 - k; none is less than one before it, nor over 1.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.maximum.accumulate(np.asarray(p_values, dtype=np.float64)[order] * factors)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(stepped, 1)
    return [float(p) for p in adjusted]


def paired_p_value(found: Interval) -> float | None:
    """Two-sided p-value of Student's t for differences of mean 0; None of fewer than two.

    Of differences without any deviation it is 1 where they are 0, else 0.
    """
    from scipy.special import stdtr

    if found.count < 2:
        return None
    if found.mean == 0:
        return 1.0
    if found.deviation == 0:
        return 0.0
    statistic = found.mean / (found.deviation / math.sqrt(found.count))
    return float(2 * stdtr(found.count - 1, -abs(statistic)))


def _check_same(before: StressResults, after: StressResults) -> None:
    prints = [_fingerprint(results) for results in (before, after)]
    if prints[0] is None or prints[0] != prints[1] or before.n_test != after.n_test:
        raise InputError("after", prints[1], f"must be of the same data as before: {prints[0]}")
    for name in ("metric", "lower_is_better"):
        one, other = getattr(before, name), getattr(after, name)
        if one != other:
            raise InputError("after", f"{name} {other}", f"must have that of before: {one}")


def _fingerprint(results: StressResults) -> Any:
    data = results.metadata.get("data")
    return data.get("fingerprint") if isinstance(data, Mapping) else None


def _shared(before: StressResults, after: StressResults) -> tuple[Cells, Cells]:
    """The cells that both have, in the order of the suite of `before`; with the same labels."""
    order = [noise.spec for noise in before.noises]
    first, second = (
        {(c.noise, c.seed): c for c in results.cells if c.subject == YOURS}
        for results in (before, after)
    )
    keys = sorted(first.keys() & second.keys(), key=lambda key: (order.index(key[0]), key[1]))
    if not keys:
        raise InputError("after", "its cells", "has no noise and seed that before has too")
    for key in keys:
        one, other = first[key], second[key]
        hashes = {one.labels_sha256, other.labels_sha256} - {""}
        if len(hashes) > 1 or one.rate != other.rate:
            rule = "has other labels than before, so the two are no pair"
            raise InputError("after", f"{key[0]} with seed {key[1]}", rule)
    return {key: first[key] for key in keys}, {key: second[key] for key in keys}


def _pairs(results: StressResults, first: Cells, second: Cells) -> dict[str, dict[int, float]]:
    """Differences by noise and seed, of cells that have a finite metric in both."""
    sign, metric = (-1 if results.lower_is_better else 1), results.metric
    pairs: dict[str, dict[int, float]] = {}
    for (noise, seed), cell in first.items():
        ends = [each.metrics.get(metric, math.nan) for each in (second[noise, seed], cell)]
        if all(map(math.isfinite, ends)):
            pairs.setdefault(noise, {})[seed] = sign * (ends[0] - ends[1])
    return pairs


def _last_bits(cells: Cells, metric: str) -> float:
    """A step that last bits of figures are less than: 0.9 - 0.8 is not 0.2 - 0.1 in binary."""
    figures = [abs(cell.metrics.get(metric, 0.0)) for cell in cells.values()]
    return 1e-12 * max([figure for figure in figures if math.isfinite(figure)], default=0.0)


def _difference(noise: str, values: Sequence[float], step: float, level: float) -> Difference:
    """A difference by its own p-value."""
    found = interval(values, step=step, level=level)
    p_value = paired_p_value(found)
    return _with_state(
        Difference(
            noise=noise,
            found=found,
            p_value=p_value,
            adjusted=p_value,
            state="no difference shown",
            reason="",
        ),
        level,
    )


def _with_state(each: Difference, level: float) -> Difference:
    """The same with what its adjusted p-value says."""
    count = each.found.count
    if each.adjusted is None:
        words = "one pair has" if count else "no pairs have"
        return replace(each, reason=f"{words} no test; at least 2 seeds are needed")
    change: Change = "better" if each.found.mean > 0 else "worse"
    state: Change = change if each.adjusted < 1 - level else "no difference shown"
    ends = ", ".join(f"{end:+.4g}" for end in (each.found.low, each.found.high))
    reason = f"{each.found.mean:+.4g} ({ends}) over {count} pairs, p = {each.adjusted:.2g}"
    return replace(each, state=state, reason=reason)


def _adjusted(noises: Sequence[Difference], level: float) -> list[Difference]:
    """The differences by p-values that are adjusted for how many were tested."""
    tested = [each for each in noises if each.p_value is not None]
    adjusted = iter(holm([each.p_value for each in tested if each.p_value is not None]))
    return [
        each if each.p_value is None else _with_state(replace(each, adjusted=next(adjusted)), level)
        for each in noises
    ]


def _overall(pairs: Mapping[str, Mapping[int, float]], step: float, level: float) -> Difference:
    """Of the mean over noises, by seed; a mean of K figures is rounded to less than each."""
    seeds = set.intersection(*(set(each) for each in pairs.values())) if pairs else set()
    means = [float(np.mean([each[seed] for each in pairs.values()])) for seed in sorted(seeds)]
    return _difference("all", means, step / math.sqrt(max(len(pairs), 1)), level)


def _newly_failing(first: Cells, second: Cells) -> list[Changed]:
    """Cells that fail in the second version only."""
    return [
        Changed(noise=noise, seed=seed, failure=cell.failure)
        for (noise, seed), cell in second.items()
        if cell.failure is not None and first[noise, seed].failure is None
    ]
