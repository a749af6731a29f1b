"""The figures that a stress test answers with, each with its interval over seeds.

A *drop* is a subject's metric on clean labels less that under noise, seed by seed (or the reverse
where lower is better): positive is worse. Both trainings of a pair have the same seed, so what the
seed does to both cancels. The *area* is that under the curve of the metric against the realised
rate, from clean to the highest one, over the width: the mean of the metric over rates, by
trapezoids.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mislabel.stress.intervals import LEVEL, Interval, interval
from mislabel.stress.metrics import known_metrics
from mislabel.stress.results import YOURS, StressNoise, StressResults
from mislabel.stress.suite import CLEAN

OF_ALL = frozenset({"accuracy", "balanced_accuracy", "macro_f1"})
"Metrics that one of M test examples more changes by about 1 / M."
OF_ONE_CLASS = frozenset({"worst_class"})
"Metrics of the test examples of one of C classes: about C / M."


def metric_interval(
    results: StressResults,
    noise: str,
    subject: str = YOURS,
    *,
    metric: str | None = None,
    level: float = LEVEL,
) -> Interval:
    """A metric under one noise, the results' own by default; of shares no more than 0 to 1."""
    name = metric or results.metric
    values = results.values(name, noise, subject)
    found = interval(list(values.values()), step=rounding_step(results, name), level=level)
    return _as_share(found, name)


def drop_interval(
    results: StressResults,
    noise: str,
    subject: str = YOURS,
    *,
    relative: bool = False,
    level: float = LEVEL,
) -> Interval:
    """The drop from clean labels to one noise, over the seeds that have both.

    relative: as a share of the metric on clean labels; of no seeds where that is 0 in one.
    """
    drops, step = _drops(results, noise, subject), difference_step(results)
    if relative:
        clean = results.values(results.metric, CLEAN, subject)
        wholes = {seed: abs(clean[seed]) for seed in drops}
        drops = {} if 0 in wholes.values() else {s: drops[s] / wholes[s] for s in drops}
        step = step / float(np.mean(list(wholes.values()))) if drops else step
    return interval(list(drops.values()), step=step, level=level)


def extra_drop(
    results: StressResults, noise: str, than: str, subject: str = YOURS, *, level: float = LEVEL
) -> Interval:
    """How much more one noise costs a subject than the noise `than`, seed by seed."""
    first = results.values(results.metric, than, subject)
    second = results.values(results.metric, noise, subject)
    return _difference(results, first, second, level)


def advantage(
    results: StressResults, noise: str, over: str, subject: str = YOURS, *, level: float = LEVEL
) -> Interval:
    """How much better `subject` is than the subject `over` on the same cells."""
    first = results.values(results.metric, noise, subject)
    second = results.values(results.metric, noise, over)
    return _difference(results, first, second, level)


def drop_difference(
    results: StressResults, noise: str, over: str, subject: str = YOURS, *, level: float = LEVEL
) -> Interval:
    """How much less `subject` loses from clean to a noise than the subject `over`."""
    own, other = _drops(results, noise, subject), _drops(results, noise, over)
    both = sorted(own.keys() & other.keys())
    step = 2 * rounding_step(results, results.metric)
    return interval([other[seed] - own[seed] for seed in both], step=step, level=level)


def area_interval(
    results: StressResults, family: str, subject: str = YOURS, *, level: float = LEVEL
) -> Interval:
    """Area under the curve of one family of noises, over the seeds that have all of its cells."""
    from scipy.integrate import trapezoid

    columns = curve_noises(results, family)
    values = [results.values(results.metric, column.spec, subject) for column in columns]
    rates = [
        {seed: cell.rate for seed, cell in results.select(noise=n.spec, subject=subject).items()}
        for n in columns
    ]
    areas = []
    for seed in results.seeds:
        if all(seed in by_seed for by_seed in values):
            x = np.array([by_seed[seed] for by_seed in rates])
            y = np.array([by_seed[seed] for by_seed in values])
            if x[-1] > x[0]:
                areas.append(float(trapezoid(y, x) / (x[-1] - x[0])))
    found = interval(areas, step=rounding_step(results, results.metric), level=level)
    return _as_share(found, results.metric)


def curve_noises(results: StressResults, family: str) -> list[StressNoise]:
    """Clean and the noises of a family, by rate."""
    own = [n for n in results.noises if n.family == family and n.spec != CLEAN]
    clean = [n for n in results.noises if n.spec == CLEAN]
    return clean + sorted(own, key=lambda n: n.rate)


def families(results: StressResults) -> list[str]:
    """Families of noises in the order of the suite, without clean."""
    return list(dict.fromkeys(noise.family for noise in results.rates))


def class_drops(
    results: StressResults, noise: str, subject: str = YOURS, *, level: float = LEVEL
) -> list[Interval]:
    """(C,) drop of test accuracy of each class, over the seeds that have both."""
    clean = results.select(noise=CLEAN, subject=subject)
    noisy = results.select(noise=noise, subject=subject)
    pairs = [
        (clean[seed].accuracy_per_class, noisy[seed].accuracy_per_class)
        for seed in results.seeds
        if seed in clean and seed in noisy
    ]
    pairs = [(a, b) for a, b in pairs if len(a) == len(b) == len(results.class_names)]
    return [
        interval(
            [a[c] - b[c] for a, b in pairs if a[c] is not None and b[c] is not None],  # type: ignore[operator]
            step=class_step(results),
            level=level,
        )
        for c in range(len(results.class_names))
    ]


def _as_share(found: Interval, metric: str) -> Interval:
    """An interval of a share with its ends where a share can be; others as they are.

    A command may report a metric of our name in percent: then it is none of these.
    """
    inside = all(0 <= value <= 1 for value in found.values)
    if metric not in known_metrics() or not inside or found.count < 2:
        return found
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


def _drops(results: StressResults, noise: str, subject: str) -> dict[int, float]:
    sign = -1 if results.lower_is_better else 1
    clean = results.values(results.metric, CLEAN, subject)
    noisy = results.values(results.metric, noise, subject)
    return {seed: sign * (clean[seed] - noisy[seed]) for seed in clean if seed in noisy}


def _difference(
    results: StressResults, first: Mapping[int, float], second: Mapping[int, float], level: float
) -> Interval:
    sign = -1 if results.lower_is_better else 1
    both = [seed for seed in first if seed in second]
    step = difference_step(results)
    return interval([sign * (first[s] - second[s]) for s in both], step=step, level=level)


def rounding_step(results: StressResults, metric: str) -> float:
    """What one test example more changes a metric by, 0 where that is not known.

    In a class there are taken to be as many examples as in any other.
    """
    examples = 1 if metric in OF_ALL else len(results.class_names) if metric in OF_ONE_CLASS else 0
    return examples / results.n_test if results.n_test else 0.0


def class_step(results: StressResults) -> float:
    """The step of a difference of two accuracies of a class."""
    return rounding_step(results, "worst_class") * math.sqrt(2)


def difference_step(results: StressResults) -> float:
    """The step of a difference of two of the results' metric: both are rounded."""
    return rounding_step(results, results.metric) * math.sqrt(2)
