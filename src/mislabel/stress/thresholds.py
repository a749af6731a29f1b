"""Thresholds: ``accuracy >= 0.8 at human-like:0.2``, decided by the interval over seeds.

``FIGURE OP NUMBER [at NOISE]``. FIGURE is a metric of the cells (accuracy, wrong_fitted, one of the
user's own), or ``drop``, ``relative_drop`` or ``area``, which are of the results' metric
(`mislabel.stress.summary`). OP is >=, <=, > or <. NUMBER is 0.8 or 80%. NOISE is one of the suite;
for area it is a family, a noise without its rate (``area >= 0.7 at symmetric``). Without NOISE a
threshold is one for every noise at which its figure exists: drops and what is made of wrong labels
have no value on clean labels.

A threshold passes where the whole interval satisfies it, fails where none of it does, and is
undecided in between: the mean alone would pass and fail by the luck of the seeds.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from mislabel.errors import InputError, did_you_mean
from mislabel.noise import canonical_noise
from mislabel.stress.decisions import Decision, State, Verdict
from mislabel.stress.intervals import LEVEL, MAX_SEEDS, Interval, seeds_needed
from mislabel.stress.metrics import FITTED
from mislabel.stress.results import YOURS, StressResults
from mislabel.stress.suite import CLEAN, Suite, family
from mislabel.stress.summary import area_interval, curve_noises, drop_interval, metric_interval

DROPS = frozenset({"drop", "relative_drop"})
AREA = "area"
NOT_CLEAN = DROPS.union(FITTED)
"Figures that clean labels have none of."

_FORM = re.compile(
    r"""\s* (?P<figure> [^\s<>=!]+ ) \s* (?P<operator> >= | <= | > | < ) \s*
    (?P<written> (?P<number> [+-]? (?: \d+\.?\d* | \.\d+ ) (?: [eE][+-]?\d{1,3} )? ) \s* %? )
    (?: \s+ at \s+ (?P<at> .*\S ) )? \s*""",
    re.VERBOSE | re.ASCII,
)
_RULE = (
    "must be FIGURE OP NUMBER [at NOISE], such as 'accuracy >= 0.8 at human-like:0.2', "
    "with >=, <=, > or <"
)
_WORDS = {
    ">=": ("at least", "below"),
    ">": ("above", "at most"),
    "<=": ("at most", "above"),
    "<": ("below", "at least"),
}
"What an interval is that passes, and one that fails."


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """One line of a user's: what is asked of a figure, and where.

    number: the bound; written: as it was written, ``80%``. places: specs of noises; for area
    families.
    """

    figure: str
    operator: str
    number: float
    written: str
    places: tuple[str, ...]

    def text(self, place: str) -> str:
        """The threshold at one of its places."""
        return f"{self.figure} {self.operator} {self.written} at {place}"


def check_thresholds(texts: Sequence[str], suite: Suite) -> list[Threshold]:
    """The thresholds of `texts` for a suite, before anything has run.

    Raises `InputError` for what is no threshold and for a noise that is not in the suite. Whether
    a metric exists is known once a training has ended; `decide` checks it.
    """
    families = {spec: family(spec) for spec in suite.noises}
    return [parse_threshold(text, families) for text in texts]


def parse_threshold(text: str, families: Mapping[str, str]) -> Threshold:
    """One threshold; `families` has the family of each noise of the suite, by spec."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise InputError("threshold", text, _RULE)
    bound = Decimal(found["number"]) / (100 if found["written"].endswith("%") else 1)
    if not math.isfinite(float(bound)):
        raise InputError("threshold", text, "the number must be finite")
    figure, at = found["figure"], found["at"]
    known = _known_places(figure, families)
    if not known:
        raise InputError("threshold", text, f"{figure} needs a noise, and the suite has only clean")
    return Threshold(
        figure=figure,
        operator=found["operator"],
        number=float(bound),
        written="".join(found["written"].split()),
        places=known if at is None else (_place(text, figure, at, known),),
    )


def decide(results: StressResults, thresholds: Sequence[str], *, level: float = LEVEL) -> Verdict:
    """What the thresholds come to for the user's code, by intervals at `level`.

    A failed training at a noise (for drops and areas: at any of those that they are made from)
    fails its thresholds. Where trainings are missing, or there is one seed, nothing is decided.
    Raises `InputError` for what `check_thresholds` refuses, and for a metric that is not known or
    not finite.
    """
    if not 0 < level < 1:
        raise InputError("level", level, "must be between 0 and 1")
    families = {noise.spec: noise.family for noise in results.noises}
    parsed = [parse_threshold(text, families) for text in thresholds]
    own = [cell for cell in results.cells if cell.subject == YOURS]
    for text, threshold in zip(thresholds, parsed, strict=True):
        _check_figure(results, text, threshold)
    return Verdict(
        decisions=[_decide(results, t, place, level) for t in parsed for place in t.places],
        n_failed=sum(cell.failure is not None for cell in own),
        n_missing=len(results.noises) * len(results.seeds) - len(own),
    )


def _known_places(figure: str, families: Mapping[str, str]) -> tuple[str, ...]:
    if figure == AREA:
        return tuple(dict.fromkeys(f for spec, f in families.items() if spec != CLEAN))
    return tuple(spec for spec in families if spec != CLEAN or figure not in NOT_CLEAN)


def _place(text: str, figure: str, at: str, known: Sequence[str]) -> str:
    """The noise or family that `at` means, or an `InputError`."""
    if at in known:
        return at
    is_area = figure == AREA
    try:
        spec = canonical_noise(f"{at}{',' if ':' in at else ':'}rate=0.5" if is_area else at)
        place = family(spec) if is_area else spec
    except InputError:
        place = ""
    if place in known:
        return place
    what = "family (a noise without its rate) of the suite" if is_area else "noise of the suite"
    rule = f"there is no {figure} on clean labels" if at == CLEAN else f"{at!r} is no {what}"
    raise InputError("threshold", text, f"{rule}; {did_you_mean(at, known)}")


def _check_figure(results: StressResults, text: str, threshold: Threshold) -> None:
    """Raise `InputError` where a training has ended well without the metric, or with no number."""
    figure, needed = threshold.figure, _metric(results, threshold.figure)
    own = [cell for cell in results.cells if cell.subject == YOURS and cell.failure is None]
    everywhere = {name for cell in own for name in cell.metrics}
    if own and needed not in everywhere:
        rule = f"the trainings gave no {needed!r}"
        if needed in FITTED:
            rule += ", which takes predictions of the training examples"
        hint = did_you_mean(figure, {*everywhere, *DROPS, AREA})
        raise InputError("threshold", text, f"{rule}; {hint}")
    sources = {spec for place in threshold.places for spec in _sources(results, figure, place)}
    for cell in own:
        if cell.noise in sources and not math.isfinite(cell.metrics.get(needed, math.nan)):
            finite = [name for name, value in cell.metrics.items() if math.isfinite(value)]
            rule = f"no finite {needed!r} came at {cell.noise} with seed {cell.seed}"
            raise InputError("threshold", text, f"{rule}; {did_you_mean(needed, finite)}")


def _metric(results: StressResults, figure: str) -> str:
    """The metric that a figure is made from."""
    return results.metric if figure == AREA or figure in DROPS else figure


def _sources(results: StressResults, figure: str, place: str) -> list[str]:
    """The noises that a figure at a place is made from."""
    if figure == AREA:
        return [noise.spec for noise in curve_noises(results, place)]
    return [CLEAN, place] if figure in DROPS else [place]


def _decide(results: StressResults, threshold: Threshold, place: str, level: float) -> Decision:
    found = _figure(results, threshold.figure, place, level)
    state, reason, needed = _open(results, threshold, place, found) or _judge(
        threshold, found, level
    )
    return Decision(
        text=threshold.text(place),
        noise=place,
        state=state,
        found=found,
        reason=reason,
        seeds_needed=needed,
    )


def _figure(results: StressResults, figure: str, place: str, level: float) -> Interval:
    if figure == AREA:
        return area_interval(results, place, level=level)
    if figure in DROPS:
        return drop_interval(results, place, relative=figure != "drop", level=level)
    return metric_interval(results, place, metric=figure, level=level)


def _open(
    results: StressResults, threshold: Threshold, place: str, found: Interval
) -> tuple[State, str, None] | None:
    """How it ends where no interval can decide, because trainings failed or are too few."""
    sources = _sources(results, threshold.figure, place)
    cells = [cell for spec in sources for cell in results.select(noise=spec).values()]
    total = len(sources) * len(results.seeds)
    failed = [cell for cell in cells if cell.failure is not None]
    if failed:
        first = f"the first at {failed[0].noise} with seed {failed[0].seed}: {failed[0].failure}"
        return "fail", f"{len(failed)} of {total} trainings failed, {first}", None
    if len(cells) < total:
        return "undecided", f"{total - len(cells)} of {total} trainings have not ended", None
    if found.count == 0:
        return "undecided", f"{threshold.figure} cannot be made from these figures", None
    if found.count == 1:
        words = f"{threshold.figure} {_digits(found)} of one seed says nothing about other seeds"
        return "undecided", f"{words}; at least 2 are needed, better 3 or more", None
    return None


def _judge(threshold: Threshold, found: Interval, level: float) -> tuple[State, str, int | None]:
    """The state, why, and the seeds that would decide, of two seeds or more."""
    yes, no = _WORDS[threshold.operator]
    figure = f"{threshold.figure} {_digits(found)} is"
    low, high = (_holds(threshold, end) for end in (found.low, found.high))
    if low and high:
        return "pass", f"{figure} {yes} {threshold.written}", None
    if not low and not high:
        return "fail", f"{figure} {no} {threshold.written}", None
    needed = seeds_needed(found, threshold.number, level=level)
    advice = f"about {needed} seeds" if needed else f"not even {MAX_SEEDS} seeds"
    words = f"{figure} not clearly above or below {threshold.written}; {advice} would decide"
    return "undecided", words, needed


def _holds(threshold: Threshold, value: float) -> bool:
    """Whether a value satisfies a threshold; the last bits of both count as equal.

    0.9 - 0.85 is 0.05 to whoever wrote ``drop <= 0.05``, though not in binary.
    """
    if math.isclose(value, threshold.number, rel_tol=1e-9, abs_tol=1e-12):
        return threshold.operator in (">=", "<=")
    return (value > threshold.number) == (threshold.operator in (">=", ">"))


def _digits(found: Interval) -> str:
    """``0.812 (0.790 to 0.834, 3 seeds)``: to two digits of the half width, and at least 3."""
    if found.count < 2:
        return f"{found.mean:.3f}"
    half = found.high - found.mean
    least = 3 if abs(found.mean) < 10 else 0
    places = min(max(least, 1 - math.floor(math.log10(half))), 8) if half > 0 else 3
    mean, low, high = (f"{value:.{places}f}" for value in (found.mean, found.low, found.high))
    return f"{mean} ({low} to {high}, {found.count} seeds)"
