"""Results as findings and rules look at them: which noises count, and what words figures get.

Rules look at two noises of every family, that nearest to 20 % and that of the highest rate. A rule
that looks at several noises, references or classes widens its intervals so that they hold together
(Bonferroni 1936): what is called clear by chance, anywhere, stays at 1 - level per rule.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from mislabel.stress.decisions import Verdict
from mislabel.stress.intervals import LEVEL, Interval, interval
from mislabel.stress.results import YOURS, StressCell, StressNoise, StressResults
from mislabel.stress.summary import (
    class_drops,
    class_step,
    curve_noises,
    drop_difference,
    drop_interval,
    families,
)
from mislabel.stress.wording import (
    CLASS_SCALE,
    Scale,
    certainty,
    level_words,
    metric_scale,
    noise_phrases,
    seeds_words,
    subject_titles,
)
from mislabel.words import join, one_line

USUAL_RATE = 0.2
"The rate at which kinds of noise are compared, if the suite has it."
SAME_RATE = 0.02
"Noises whose rates are as near as this count as equally frequent."
NAMED = 5
"So many classes, noises or reasons are named at most."


@dataclass(frozen=True, kw_only=True)
class View:
    """Results with what every rule needs of them."""

    results: StressResults
    verdict: Verdict
    level: float = LEVEL

    @cached_property
    def scale(self) -> Scale:
        return metric_scale(self.results)

    @cached_property
    def phrases(self) -> Mapping[str, str]:
        return noise_phrases(self.results)

    @cached_property
    def titles(self) -> Mapping[str, str]:
        return subject_titles(self.results)

    @cached_property
    def references(self) -> list[str]:
        return [subject.name for subject in self.results.subjects if subject.is_reference]

    @cached_property
    def shown(self) -> list[StressNoise]:
        """One noise per family, of about one rate, as far as there is a figure."""
        return [n for n in common_noises(self.results) if self.drop(n).count]

    @cached_property
    def worst(self) -> StressNoise | None:
        """The noise that costs most, by the mean."""
        measured = [n for n in self.results.rates if self.drop(n).count]
        return max(measured, key=lambda n: self.drop(n).mean, default=None)

    @cached_property
    def noises(self) -> list[StressNoise]:
        """The noises that rules look at: of every family that of about one rate, and the highest.

        They are chosen by rates alone. The worst by its figures would be the unluckiest, too.
        """
        groups = [curve_noises(self.results, family)[-1] for family in families(self.results)]
        chosen = {noise.spec for noise in (*common_noises(self.results), *groups)}
        return [n for n in self.results.rates if n.spec in chosen and self.drop(n).count]

    @property
    def comparisons(self) -> int:
        """Comparisons of a reference with your code."""
        return len(self.noises) * len(self.references)

    def joint(self, count: int) -> float:
        """The level of each of `count` intervals that hold together."""
        return 1 - (1 - self.level) / max(count, 1)

    def drop(self, noise: StressNoise, subject: str = YOURS, *, count: int = 1) -> Interval:
        """The loss under a noise, one of `count` that hold together."""
        return drop_interval(self.results, noise.spec, subject, level=self.joint(count))

    def less(self, noise: StressNoise, reference: str) -> Interval:
        """How much less a reference loses than your code."""
        level = self.joint(self.comparisons)
        return drop_difference(self.results, noise.spec, YOURS, reference, level=level)

    def words(self, found: Interval, *, count: int = 1, scale: Scale | None = None) -> str:
        """An interval in words, one of `count` that hold together."""
        return certainty(found, scale or self.scale, level=self.level, joint=count > 1)


def common_noises(results: StressResults) -> list[StressNoise]:
    """One noise of every family, all of about one rate.

    The rate is the one that most families have, nearest to `USUAL_RATE`; a family without it gives
    the noise that is nearest to it.
    """
    groups = [[n for n in results.rates if n.family == family] for family in families(results)]
    rates = sorted({noise.rate for noise in results.rates}, key=lambda r: abs(r - USUAL_RATE))

    def having(rate: float) -> int:
        return sum(any(abs(n.rate - rate) <= SAME_RATE for n in group) for group in groups)

    if not rates:
        return []
    rate = max(rates, key=having)
    return [min(group, key=lambda noise: abs(noise.rate - rate)) for group in groups]


@dataclass(frozen=True, kw_only=True)
class ClassLoss:
    """Loss of one class, and by how much it is above the mean over classes, seed by seed."""

    name: str
    drop: Interval
    excess: Interval


def class_losses(view: View, noise: StressNoise) -> list[ClassLoss]:
    """Of the classes that every seed has test examples of, intervals holding together."""
    names, level = view.results.class_names, view.joint(len(view.results.class_names))
    drops = class_drops(view.results, noise.spec, level=level)
    count = max((found.count for found in drops), default=0)
    kept = [(name, d) for name, d in zip(names, drops, strict=True) if d.count == count > 1]
    if len(kept) < 2:
        return []
    means = [
        math.fsum(values) / len(kept) for values in zip(*(d.values for _, d in kept), strict=True)
    ]
    step = class_step(view.results)
    return [
        ClassLoss(
            name=one_line(name, 40),
            drop=drop,
            excess=interval(
                [v - m for v, m in zip(drop.values, means, strict=True)], step=step, level=level
            ),
        )
        for name, drop in kept
    ]


def class_words(found: Sequence[ClassLoss], level: float) -> str:
    """Classes with their losses, the largest first, and how sure they are."""
    losses = sorted(found, key=lambda c: -c.drop.mean)
    names = [
        f"{c.name} {CLASS_SCALE.change(c.drop.mean)} ({CLASS_SCALE.ends(c.drop)})" for c in losses
    ]
    sure = f"joint {level_words(level)} intervals over {seeds_words(losses[0].drop)}"
    return f"{listed(names)}; {sure}"


def less_words(view: View, less: Interval) -> str:
    """How much less, or more, a reference loses than your code."""
    sign, shown = ("less", less) if less.mean >= 0 else ("more", negative(less))
    words = view.words(shown, count=view.comparisons)
    return f"{view.scale.change(shown.mean)} {sign} ({words})"


def failure_groups(cells: Sequence[StressCell]) -> list[tuple[str, list[str]]]:
    """Reasons of failed cells with their places, the most frequent reason first."""
    places: dict[str, list[str]] = {}
    for cell in cells:
        place = f"{one_line(cell.noise, 60)} seed {cell.seed}"
        places.setdefault(one_line(cell.failure or "", 300), []).append(place)
    return sorted(places.items(), key=lambda item: -len(item[1]))


def negative(found: Interval) -> Interval:
    return Interval(
        mean=-found.mean,
        low=-found.high,
        high=-found.low,
        deviation=found.deviation,
        values=tuple(-value for value in found.values),
    )


def listed(words: Sequence[str]) -> str:
    """Words in a row, the first few of many."""
    rest = len(words) - NAMED
    return join([*words[:NAMED], f"{rest} more"] if rest > 0 else words)
