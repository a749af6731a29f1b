"""Advice that follows from the figures of a stress test, no more than they support.

Nothing is called clear or concentrated whose interval does not say so (`mislabel.stress.view`), and
every piece of advice names the figures it rests on.

To add a rule: a function from a `View` to its `Advice`, none where its condition does not hold, and
its place in `RULES`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mislabel.stress.intervals import Interval, interval
from mislabel.stress.results import YOURS, StressCell, StressNoise
from mislabel.stress.suite import CLEAN
from mislabel.stress.summary import advantage, class_step, extra_drop, metric_interval
from mislabel.stress.view import (
    NAMED,
    SAME_RATE,
    View,
    class_losses,
    class_words,
    failure_groups,
    less_words,
    listed,
)
from mislabel.stress.wording import capital, level_words, metric_scale, seeds_words, sentence
from mislabel.words import one_line, plural

FEW_CLASSES = 1 / 3
"Loss is concentrated where at most so large a share of the classes bears more than half of it."
_FIGURES = 3
"Noises whose figures are given at most."


@dataclass(frozen=True, kw_only=True)
class Advice:
    """rule: name of the rule that fired. text: what to do. basis: the figures it rests on."""

    rule: str
    text: str
    basis: Sequence[str]


def _failed(view: View) -> list[Advice]:
    """Trainings that failed come before anything else."""
    own = [cell for cell in view.results.failures if cell.subject == YOURS]
    if not own:
        return []
    total = sum(cell.subject == YOURS for cell in view.results.cells)
    text = f"First mend what made {len(own):,} of {plural(total, 'training')} fail."
    return [Advice(rule="failed", text=text, basis=_reasons(own))]


def _reasons(cells: Sequence[StressCell]) -> list[str]:
    """Reasons of failures with where they occurred, the most frequent first."""
    groups = failure_groups(cells)
    texts = [f"“{reason}” at {listed(places)}." for reason, places in groups[:NAMED]]
    rest = len(groups) - NAMED
    return [*texts, sentence(f"and {plural(rest, 'other reason')}")] if rest > 0 else texts


def _random_flips(view: View) -> list[Advice]:
    """Noise that costs clearly more than random flips at the same rate."""
    pairs = [
        (noise, plain)
        for noise in view.noises
        for plain in view.results.rates
        if noise.kind != "symmetric"
        and plain.kind == "symmetric"
        and abs(noise.rate - plain.rate) <= SAME_RATE
    ]
    level = view.joint(len(pairs))
    found = [(n, p, extra_drop(view.results, n.spec, p.spec, level=level)) for n, p in pairs]
    clear = [
        (
            more.mean,
            f"{view.phrases[n.spec]} costs {view.scale.change(more.mean)} more than "
            f"{view.phrases[p.spec]} ({view.words(more, count=len(pairs))})",
        )
        for n, p, more in found
        if more.low > 0
    ]
    if not clear:
        return []
    text = "Do not test with random flips alone: they overstate how robust this code is."
    return [Advice(rule="random-flips", text=text, basis=_strongest(clear))]


def _memorizes(view: View) -> list[Advice]:
    """Most wrong labels are predicted as given, and the loss is clear."""
    scale, fits = metric_scale(view.results, "wrong_fitted"), []
    measured = [n for n in view.noises if view.results.values("wrong_fitted", n.spec)]
    count = len(measured)
    for noise in measured:
        level = view.joint(count)
        fitted = metric_interval(view.results, noise.spec, metric="wrong_fitted", level=level)
        drop = view.drop(noise, count=count)
        if fitted.low > 0.5 and drop.low > 0:
            share = f"{scale.value(fitted.mean)} of the wrong labels are predicted as given"
            share += f" ({view.words(fitted, count=count, scale=scale)})"
            loss = f"{view.scale.change(drop.mean)} lost ({view.words(drop, count=count)})"
            fits.append((drop.mean, f"{view.phrases[noise.spec]}: {share}, {loss}"))
    if not fits:
        return []
    text = (
        "The code memorizes: it fits most wrong labels, and loses. Training that fits fewer of "
        "them (fewer epochs, more regularisation, a loss made for wrong labels) is worth a test."
    )
    return [Advice(rule="memorizes", text=text, basis=_strongest(fits))]


def _references(view: View) -> list[Advice]:
    """References that lose clearly less, and those that do not, where the code's loss is clear."""
    losing = [n for n in view.noises if view.drop(n, count=len(view.noises)).low > 0]
    return [advice for name in view.references for advice in _reference(view, name, losing)]


def _reference(view: View, name: str, losing: Sequence[StressNoise]) -> list[Advice]:
    """Whether one reference is a remedy where your code clearly loses."""
    compared = [(n, less) for n in losing if (less := view.less(n, name)).count > 1]
    better = [(n, less) for n, less in compared if less.low > 0]
    if not compared:
        return []
    basis = _strongest([(abs(s.mean), _compared(view, n, name, s)) for n, s in better or compared])
    title = capital(view.titles[name])
    if better:
        text = f"{title} withstands wrong labels better: it is worth a trial."
        return [Advice(rule="remedy", text=text, basis=basis)]
    worse = all(less.high < 0 for _, less in compared)
    what = "loses clearly more than your code" if worse else "does not lose clearly less"
    text = f"{title} {what}: by these figures it is no remedy here."
    if all(_lead(view, n, name).low > 0 for n, _ in compared):
        text = f"{title} {what}, but is clearly better than your code where that clearly loses."
    return [Advice(rule="no-remedy", text=text, basis=basis)]


def _lead(view: View, noise: StressNoise, name: str) -> Interval:
    """How much better a reference is than your code, jointly over all that is compared."""
    return advantage(view.results, noise.spec, YOURS, name, level=view.joint(view.comparisons))


def _compared(view: View, noise: StressNoise, name: str, less: Interval) -> str:
    """What a noise costs a reference and your code, and where that leaves both if they differ."""
    scale = view.scale
    own, yours = (scale.change(view.drop(noise, subject).mean) for subject in (name, YOURS))
    text = f"{view.phrases[noise.spec]} costs it {own} and your code {yours}"
    text = f"{text}: {less_words(view, less)}"
    lead = _lead(view, noise, name)
    reached = scale.reaches(metric_interval(view.results, noise.spec, name).mean)
    if lead.high < 0:
        return f"{text}; even so your code is better than it, which reaches {reached}"
    return f"{text}; it is then better than your code, with {reached}" if lead.low > 0 else text


def _few_classes(view: View) -> list[Advice]:
    """More than half of the loss lies in few classes."""
    if view.worst is None or not view.drop(view.worst).low > 0:
        return []
    found = class_losses(view, view.worst)
    more = sorted((c for c in found if c.excess.low > 0), key=lambda c: -c.drop.mean)
    if not more or len(more) > len(found) * FEW_CLASSES:
        return []
    inside = [math.fsum(v) for v in zip(*(c.drop.values for c in more), strict=True)]
    whole = [math.fsum(v) for v in zip(*(c.drop.values for c in found), strict=True)]
    step = class_step(view.results) * math.sqrt(len(found))
    beyond = [2 * a - b for a, b in zip(inside, whole, strict=True)]
    if not interval(beyond, step=step, level=view.level).low > 0:
        return []
    share = math.fsum(inside) / math.fsum(whole)
    verb = "bears" if len(more) == 1 else "bear"
    basis = [
        f"Under {view.phrases[view.worst.spec]}, {len(more)} of {len(found)} classes {verb} "
        f"{100 * share:.0f} % of what all classes lose, each counted alike.",
        sentence(class_words(more, view.level)),
    ]
    text = f"Look at the labels of {listed([c.name for c in more])} first."
    return [Advice(rule="few-classes", text=text, basis=basis)]


def _no_loss(view: View) -> list[Advice]:
    """No loss is clear: how large it can be at most."""
    drops = [(n, view.drop(n)) for n in view.results.rates]
    count = sum(found.count > 0 for _, found in drops)
    joint = [(n, view.drop(n, count=count)) for n, found in drops if found.count > 1]
    if not joint or any(found.low > 0 for _, found in joint):
        return []
    bounds = [
        f"{view.phrases[n.spec]} {view.scale.change(found.high)}"
        for n, found in sorted(joint, key=lambda pair: -pair[1].high)
    ]
    text = "No loss is clear of 0 by these seeds, which does not mean that there is none."
    sure = f"{'joint ' if count > 1 else ''}{level_words(view.level)} intervals"
    basis = f"Excluded, by {sure} over {seeds_words(joint[0][1])}, are losses above these: "
    return [Advice(rule="no-loss", text=text, basis=[f"{basis}{listed(bounds)}."])]


def _undecided(view: View) -> list[Advice]:
    """Thresholds that more seeds would decide."""
    open_ = [d for d in view.verdict.decisions if d.state == "undecided"]
    if not open_:
        return []
    needed = view.verdict.seeds_needed
    unknown = sum(d.seeds_needed is None for d in open_)
    text = f"{plural(len(open_), 'threshold')} cannot be decided with these seeds"
    if needed is None:
        text = f"{text}; no number of seeds is known that would do."
    else:
        text = f"{text}. Run about {needed} seeds in all."
        text += f" For {unknown} of them no number is known." if unknown else ""
    basis = [
        f"{one_line(d.text, 120)}: about {d.seeds_needed} seeds, if figure and spread stay alike."
        if d.seeds_needed is not None
        else f"{one_line(d.text, 120)}: {one_line(d.reason, 300)}."
        for d in open_
    ]
    return [Advice(rule="undecided", text=text, basis=basis)]


def _one_seed(view: View) -> list[Advice]:
    """Without a second seed nothing has an interval."""
    counts = [view.drop(noise).count for noise in view.results.rates]
    if max(counts, default=0) != 1:
        return []
    text = "Run more seeds: of one seed, nothing tells an effect from chance."
    basis = ["Two seeds give intervals, five give useful ones."]
    return [Advice(rule="one-seed", text=text, basis=basis)]


def _spread(view: View) -> list[Advice]:
    """The seed alone changes the metric more than the worst noise does."""
    from scipy.special import chdtri

    clean = metric_interval(view.results, CLEAN, level=view.level)
    if view.worst is None or clean.count < 2:
        return []
    worst = view.drop(view.worst)
    degrees = clean.count - 1
    # The lower end of the interval of a deviation: chi-squared, exact for normal values.
    low = clean.deviation * math.sqrt(degrees / float(chdtri(degrees, (1 - view.level) / 2)))
    if not worst.mean > 0 or not worst.high < low:
        return []
    text = "The choice of the seed matters more than wrong labels do: report several seeds."
    basis = (
        f"On clean labels the standard deviation over {seeds_words(clean)} is "
        f"{view.scale.change(clean.deviation)} (at least {view.scale.change(low)}, by its "
        f"{level_words(view.level)} interval); the worst noise, {view.phrases[view.worst.spec]}, "
        f"costs {view.scale.change(worst.mean)} ({view.words(worst)})"
    )
    return [Advice(rule="spread", text=text, basis=[f"{basis}."])]


RULES: tuple[Callable[[View], list[Advice]], ...] = (
    _failed,
    _one_seed,
    _undecided,
    _memorizes,
    _references,
    _random_flips,
    _few_classes,
    _no_loss,
    _spread,
)
"All rules, in the order in which a reader should act."


def _strongest(lines: Sequence[tuple[float, str]]) -> list[str]:
    """The sentences of the largest figures, in their order."""
    ranked = [sentence(text) for _, text in sorted(lines, key=lambda line: -line[0])]
    rest = len(ranked) - _FIGURES
    more = [f"So it is under {plural(rest, 'other noise')}."] if rest > 0 else []
    return ranked[:_FIGURES] + more
