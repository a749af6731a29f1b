"""How the figures of a stress test are written: names of noises and subjects, units, intervals.

A *loss* is by how much the metric is worse than on clean labels, whichever direction is better.
Metrics that are shares are shown in percent and their differences in percentage points; any other
metric is shown as the plain number it is.
"""

import math
from dataclasses import dataclass

from mislabel.stress.intervals import LEVEL, Interval
from mislabel.stress.metrics import FITTED
from mislabel.stress.results import YOURS, StressNoise, StressResults
from mislabel.stress.suite import CLEAN
from mislabel.words import MISSING, NO_BREAK, one_line, plural, unique

METRIC_NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "worst_class": "accuracy of the worst class",
}
"Metrics of ours whose names are no words."
SHARES = frozenset({"accuracy", "balanced_accuracy", "worst_class", *FITTED})
"Metrics that are shown in percent, as long as all of their values are from 0 to 1."
FINE_TEST_SET = 5000
"From so many test examples on, a percentage gets a second decimal."


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How a metric is written. factor: what its values are multiplied by, 100 for percent."""

    name: str
    factor: int = 1
    digits: int = 3

    @property
    def is_percent(self) -> bool:
        return self.factor == 100

    @property
    def axis(self) -> str:
        """Label of an axis."""
        return f"{self.name}, %" if self.is_percent else self.name

    @property
    def loss_axis(self) -> str:
        """Label of an axis of losses."""
        return "loss, points" if self.is_percent else f"loss of {self.name}"

    def number(self, value: float) -> str:
        """The number alone; a dash where there is none."""
        if not math.isfinite(value):
            return MISSING
        shown = round(self.factor * value, self.digits) + 0.0  # which makes 0 of -0
        return f"{shown:.{self.digits}f}".replace("-", "−")

    def value(self, value: float) -> str:
        """A value of the metric: ``84.2 %``, or ``0.842`` of other metrics."""
        return f"{self.number(value)}{NO_BREAK}%" if self.is_percent else self.number(value)

    def change(self, value: float) -> str:
        """A difference of two values: ``11.2 points``."""
        return f"{self.number(value)}{NO_BREAK}points" if self.is_percent else self.number(value)

    def reaches(self, value: float) -> str:
        """Such as ``84.2 % accuracy``, or ``macro F1 0.842``."""
        if self.is_percent:
            return f"{self.value(value)} {self.name}"
        return f"{self.name}{NO_BREAK}{self.value(value)}"

    def ends(self, found: Interval) -> str:
        """Both ends of an interval, ``9.1 to 13.3``; a dash where it has none."""
        if not math.isfinite(found.high - found.low):
            return MISSING
        return f"{self.number(found.low)} to {self.number(found.high)}"


CLASS_SCALE = Scale(name="accuracy", factor=100, digits=1)
"Of the accuracy of a class, which is of few examples."


def metric_scale(results: StressResults, metric: str | None = None) -> Scale:
    """How a metric of these results is written, their own by default.

    Numbers other than percentages have three digits, by the size of the values.
    """
    metric = metric or results.metric
    found = [c.metrics[metric] for c in results.cells if metric in c.metrics]
    values = [abs(value) for value in found if math.isfinite(value)]
    name = METRIC_NAMES.get(metric, one_line(metric, 40))
    if metric in SHARES and max(values, default=0.0) <= 1:
        return Scale(name=name, factor=100, digits=2 if results.n_test >= FINE_TEST_SET else 1)
    largest = max(values, default=0.0)
    size = math.floor(math.log10(largest)) if largest > 0 else -1
    return Scale(name=name, digits=min(max(2 - size, 0), 8))


def certainty(found: Interval, scale: Scale, *, level: float = LEVEL, joint: bool = False) -> str:
    """The interval in words: ``95 % interval 9.1 to 13.3 over 5 seeds``.

    joint: it is one of several that hold together at this level.
    """
    if found.count == 0:
        return "no figure"
    if found.count == 1:
        return "one seed, so no interval"
    kind = "joint " if joint else ""
    return f"{kind}{level_words(level)} interval {scale.ends(found)} over {seeds_words(found)}"


def level_words(level: float) -> str:
    """``95 %``."""
    return f"{100 * level:g}{NO_BREAK}%"


def seeds_words(found: Interval) -> str:
    """``5 seeds``."""
    return plural(found.count, "seed")


def noise_titles(results: StressResults) -> dict[str, str]:
    """A title per noise spec, for rows and columns: ``Human-like at 20 %``."""
    return unique({noise.spec: _title(noise) for noise in results.noises})


def noise_phrases(results: StressResults) -> dict[str, str]:
    """A name per noise spec that stands in a sentence: ``20 % human-like noise``."""
    return unique({noise.spec: _phrase(noise) for noise in results.noises})


def family_titles(results: StressResults) -> dict[str, str]:
    """A title per family of noises, without its rate."""
    return unique({noise.family: one_line(noise.title, 40) for noise in results.rates})


def subject_titles(results: StressResults) -> dict[str, str]:
    """A name per subject: ``your code``, or the title of a reference method."""
    titles = {s.name: one_line(s.title, 40) for s in results.subjects if s.name != YOURS}
    return {YOURS: "your code", **unique(titles)}


def rate_words(rate: float) -> str:
    """A rate in percent with one decimal where it needs it: ``20 %``."""
    if not math.isfinite(rate):
        return ""
    text = f"{100 * rate:.1f}".removesuffix(".0")
    return f"{text}{NO_BREAK}%"


def capital(text: str) -> str:
    """`text` with its first letter in upper case."""
    return f"{text[:1].upper()}{text[1:]}"


def sentence(text: str) -> str:
    """`text` as a sentence: a capital, and a full stop."""
    return f"{capital(text)}."


def _title(noise: StressNoise) -> str:
    title, rate = one_line(noise.title, 40), rate_words(noise.rate)
    if noise.spec == CLEAN:
        return "Clean"
    return f"{title} at {rate}" if rate and "%" not in title else title


def _phrase(noise: StressNoise) -> str:
    if noise.spec == CLEAN:
        return "clean labels"
    title, rate = one_line(noise.title, 40), rate_words(noise.rate)
    name = title if title[1:2].isupper() else f"{title[:1].lower()}{title[1:]}"
    return " ".join(part for part in (rate, name, "noise") if part)
