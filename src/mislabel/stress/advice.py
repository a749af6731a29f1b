"""What a stress test says, in sentences: how good, what wrong labels cost, what to do.

A reader with ten minutes gets these in place of tables. Each names the figures it rests on and
their interval; what counts as separated or clear is said in `mislabel.stress.view`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mislabel.stress.decisions import Verdict
from mislabel.stress.intervals import LEVEL
from mislabel.stress.results import StressNoise, StressResults
from mislabel.stress.rules import RULES, Advice
from mislabel.stress.suite import CLEAN
from mislabel.stress.summary import extra_drop, metric_interval
from mislabel.stress.view import View, class_losses, class_words, less_words, listed
from mislabel.stress.wording import Scale, capital, metric_scale, sentence
from mislabel.words import plural

__all__ = ["Advice", "Findings", "findings"]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What the figures say, as sentences.

    headlines: how good on clean labels, and what costs most. noises: a noise in words, and a
    sentence on your code and on each reference. classes: which ones suffer. fitted: what becomes
    of wrong labels in training. advice: in the order in which to act.
    """

    headlines: Sequence[str]
    noises: Sequence[tuple[str, Sequence[str]]]
    classes: Sequence[str]
    fitted: Sequence[str]
    advice: Sequence[Advice]


def findings(results: StressResults, verdict: Verdict, *, level: float = LEVEL) -> Findings:
    """What these results say, at `level` for every interval."""
    view = View(results=results, verdict=verdict, level=level)
    return Findings(
        headlines=[text for text in (_clean(view), _worst(view), _missing(view)) if text],
        noises=[(view.phrases[noise.spec], _costs(view, noise)) for noise in view.shown],
        classes=list(_classes(view)),
        fitted=list(_fitted(view)),
        advice=[advice for rule in RULES for advice in rule(view)],
    )


def _clean(view: View) -> str:
    found = metric_interval(view.results, CLEAN, level=view.level)
    if not found.count:
        return "No training on clean labels has ended well, so no loss can be measured."
    reached = view.scale.reaches(found.mean)
    text = f"On clean labels your code reaches {reached} ({view.words(found)})."
    return f"{text} Lower is better." if view.results.lower_is_better else text


def _worst(view: View) -> str:
    """What the noise that the code stands worst costs, and which ones may cost as much."""
    if view.worst is None:
        return ""
    noise, found = view.worst, view.drop(view.worst)
    left = metric_interval(view.results, noise.spec, level=view.level).mean
    if found.mean <= 0:
        return "No noise costs anything in the mean over these seeds."
    others = [n for n in view.results.rates if n is not noise and view.drop(n).count]
    opening = "The noise it stands worst is" if others else "It was tested under"
    level = view.joint(len(others))
    near = [
        view.phrases[n.spec]
        for n in others
        if found.count > 1 and not extra_drop(view.results, noise.spec, n.spec, level=level).low > 0
    ]
    rivals = f" Not separated from it by these seeds: {listed(near)}." if near else ""
    cost = f"which costs {view.scale.change(found.mean)} ({view.words(found)})"
    name = view.phrases[noise.spec]
    return f"{opening} {name}, {cost} and leaves {view.scale.reaches(left)}.{rivals}"


def _missing(view: View) -> str:
    missing = view.results.n_missing
    if missing <= 0:
        return ""
    total = missing + len(view.results.cells)
    verb = "has" if missing == 1 else "have"
    return f"{missing:,} of {plural(total, 'training')} {verb} not ended yet."


def _costs(view: View, noise: StressNoise) -> list[str]:
    """What a noise costs your code, and each reference on the same cells."""
    found = view.drop(noise)
    own = f"Your code {_moves(view.scale, found.mean)} ({view.words(found)})."
    return [own, *(_against(view, noise, name) for name in view.references)]


def _against(view: View, noise: StressNoise, reference: str) -> str:
    """What a noise costs a reference, and whether that differs from your code."""
    own, less = view.drop(noise, reference), view.less(noise, reference)
    title = capital(view.titles[reference])
    if not own.count or not less.count:
        return f"{title} has no figure here."
    state = "separated" if less.low > 0 or less.high < 0 else "not separated"
    ending = f", {state}" if less.count > 1 else ""
    return f"{title} {_moves(view.scale, own.mean)}: {less_words(view, less)}{ending}."


def _classes(view: View) -> Iterator[str]:
    """Which classes suffer under the worst noise, as far as the intervals say."""
    if view.worst is None or not (found := class_losses(view, view.worst)):
        return
    more, hurt = [c for c in found if c.excess.low > 0], [c for c in found if c.drop.low > 0]
    chosen = more or hurt
    verb = "loses" if len(chosen) == 1 else "lose"
    opening = f"Under {view.phrases[view.worst.spec]}, {len(chosen)} of {len(found)} classes {verb}"
    if more:
        names = class_words(more, view.level)
        yield f"{opening} clearly more than classes do on average: {names}."
    elif hurt:
        yield f"{opening} accuracy clearly, none clearly more than classes do on average."


def _fitted(view: View) -> Iterator[str]:
    """How many wrong labels are predicted as given, and as their clean class."""
    worst = [] if view.worst is None or view.worst in view.shown else [view.worst]
    for noise in (*view.shown, *worst):
        given = metric_interval(view.results, noise.spec, metric="wrong_fitted", level=view.level)
        if not given.count:
            continue
        clean = metric_interval(
            view.results, noise.spec, metric="wrong_corrected", level=view.level
        )
        scale = metric_scale(view.results, "wrong_fitted")
        share = f"{scale.value(given.mean)} of the wrong labels are predicted as given"
        text = f"{view.phrases[noise.spec]}: {share} ({view.words(given, scale=scale)})"
        if clean.count:
            words = view.words(clean, scale=scale)
            text += f", {scale.value(clean.mean)} as their clean class ({words})"
        yield sentence(text)


def _moves(scale: Scale, drop: float) -> str:
    return f"loses {scale.change(drop)}" if drop >= 0 else f"gains {scale.change(-drop)}"
