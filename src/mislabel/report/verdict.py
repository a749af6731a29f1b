"""The verdict in words: sentences that follow from the table and say nothing beyond it.

What counts as *separated* is said in `mislabel.report.ranking`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from mislabel.benchmark.results import BenchmarkResults, MethodRow, NoiseColumn
from mislabel.report.ranking import (
    Score,
    clean_column,
    listed,
    methods_by_rank,
    noises_by_cost,
    reference_method,
    score,
    separated,
    these_seeds,
)
from mislabel.report.text import (
    NO_BREAK,
    join,
    method_names,
    noise_names,
    noise_rate,
    one_line,
    percent,
    plural,
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """headlines: one sentence each. noises: name of a noise and what is to be said of it."""

    headlines: list[str]
    noises: list[tuple[str, str]]


def write_verdict(results: BenchmarkResults, epoch: str = "last") -> Verdict:
    """What the figures at `epoch` say: which noise costs most, which method is best where."""
    names = noise_names(results)
    ranked = {c.spec: methods_by_rank(results, c, epoch) for c in results.noises}
    sentences = [
        (names[column.spec], _about_noise(results, column, ranked[column.spec], epoch))
        for column in results.noises
        if ranked[column.spec]
    ]
    reference = reference_method(results)
    headlines = ["" if results.cells else "No cell of the grid is finished yet."]
    if reference is not None:
        headlines.append(_costliest(results, reference, epoch))
        headlines.append(_equal_rate(results, reference, epoch))
    headlines += [_winners(results, ranked), *_undetermined(results), _missing(results)]
    return Verdict(headlines=[text for text in headlines if text], noises=sentences)


def _undetermined(results: BenchmarkResults) -> list[str]:
    """Where a method's targets are a broad vote, since the labels do not determine the classes."""
    noises, methods = noise_names(results), method_names(results)
    sentences = []
    for noise, method in product(results.noises, results.methods):
        cells = results.select(noise=noise.spec, method=method.spec)
        told = [cell.provenance.get("targets", {}).get("determined", True) for cell in cells]
        if not all(told):
            seeds = f"{told.count(False)} of {plural(len(told), 'seed')}"
            sentences.append(
                f"The labels under {noises[noise.spec]} do not determine the classes for "
                f"{methods[method.spec]}, whose targets are a broad vote there ({seeds})."
            )
    return sentences


def _costliest(results: BenchmarkResults, method: MethodRow, epoch: str) -> str:
    """Which noise costs the method most, or where it is lowest when clean labels are left out."""
    name, found = method_names(results)[method.spec], noises_by_cost(results, method, epoch)
    if not found:
        return ""
    worst, clean = found[0], _clean_score(results, method, epoch)
    level = [s for s in found[1:] if separated(worst, s) is False]
    rivals = f"; not separated from it by {these_seeds([worst, *level])}: {listed(level)}"
    rivals = f"{rivals if level else ''}."
    most = " most" if len(found) > 1 else ""
    if clean is None:
        words = f"is lowest under {worst.name}:" if most else f"reaches, under {worst.name},"
        return f"{name} {words} {worst.figures}{rivals}"
    if worst.mean >= clean.mean:
        return f"No noise takes {name} below its {clean.figures} on clean labels."
    cost = f"{percent(clean.mean - worst.mean)} points"
    doubt = ""
    if separated(worst, clean) is False:
        doubt = f", which {these_seeds([worst, clean])} do not separate from no cost"
    fall = f"({clean.figures} on clean labels, {worst.figures} under it)"
    return f"{worst.name} costs {name}{most}: {cost} {fall}{doubt}{rivals}"


def _equal_rate(results: BenchmarkResults, method: MethodRow, epoch: str) -> str:
    """What noises of one rate (in whole percent) cost the method, for the fullest such group."""
    clean, groups = _clean_score(results, method, epoch), dict[int, list[Score]]()
    for column in results.noises:
        rate, own = noise_rate(column), score(results, column, method, epoch, _title(column))
        if column.kind != "clean" and rate is not None and own is not None:
            groups.setdefault(round(100 * rate), []).append(own)
    if clean is None or not groups:
        return ""
    shown = max(groups, key=lambda rate: (len(groups[rate]), rate))
    group = sorted(groups[shown], key=lambda s: -s.mean)
    if len({s.name for s in group}) < max(len(group), 2):
        return ""
    costs = join([f"{percent(clean.mean - s.mean)} for {s.name}" for s in group])
    name = method_names(results)[method.spec]
    return f"Points lost by {name} at about {shown}{NO_BREAK}% wrong labels: {costs}."


def _winners(results: BenchmarkResults, ranked: dict[str, list[Score]]) -> str:
    """Which method has the highest mean under how many noises, and is separated in how many."""
    columns = [c for c in results.noises if c.kind != "clean" and len(ranked[c.spec]) > 1]
    if len(columns) < 2:
        return ""
    wins: dict[str, list[list[Score]]] = {}
    for column in columns:
        wins.setdefault(ranked[column.spec][0].name, []).append(ranked[column.spec])
    most = max(map(len, wins.values()))
    leaders = [name for name, won in wins.items() if len(won) == most]
    if len(leaders) > 1:
        where = f"have the highest mean under {plural(most, 'noise')} each, of {len(columns)}"
        return f"No method leads alone: {join(leaders)} {where}."
    clear = sum(all(separated(won[0], s) for s in won[1:]) for won in wins[leaders[0]])
    every = "both" if len(columns) == 2 else f"all {len(columns)}"
    share = every if most == len(columns) else f"{most} of the {len(columns)}"
    times = {0: "none", most: "each"}.get(clear, str(clear))
    text = f"{leaders[0]} has the highest mean under {share} noises"
    return f"{text}, separated from every other method in {times} of them."


def _missing(results: BenchmarkResults) -> str:
    """How many cells are not there."""
    missing = results.n_missing
    if missing <= 0 or not results.cells:
        return ""
    total = missing + len(results.cells)
    verb = "is" if missing == 1 else "are"
    return (
        f"{missing:,} of {plural(total, 'cell')} of the grid {verb} missing; "
        "the figures rest on those that are finished."
    )


def _about_noise(
    results: BenchmarkResults, column: NoiseColumn, ranked: Sequence[Score], epoch: str
) -> str:
    """The best method under one noise, how far it is from clean, and who is close."""
    best, others = ranked[0], ranked[1:]
    opening = "Highest mean: " if others else ""
    clean = _against_clean(results, column, best, epoch)
    return f"{opening}{best.name}, {best.figures}{clean}.{_others(best, others)}"


def _against_clean(results: BenchmarkResults, column: NoiseColumn, best: Score, epoch: str) -> str:
    """How far the best method is from its own score on clean labels."""
    clean = clean_column(results)
    if clean is None or column.kind == "clean":
        return ""
    own = next((s for s in methods_by_rank(results, clean, epoch) if s.name == best.name), None)
    if own is None:
        return ""
    distance = own.mean - best.mean
    words = f"{percent(abs(distance))} points {'below' if distance >= 0 else 'above'}"
    return f" ({words} its {percent(own.mean)} on clean labels)"


def _others(best: Score, others: Sequence[Score]) -> str:
    """Who is not separated from the best, or by how much the best leads."""
    if not others:
        return ""
    level = [other for other in others if separated(best, other) is False]
    if level:
        rivals = f"all {len(others)} others" if len(level) == len(others) > 2 else listed(level)
        return f" Not separated from it by {these_seeds([best, *level])}: {rivals}."
    lead = f" Next: {others[0]}, {percent(best.mean - others[0].mean)} points lower"
    if separated(best, others[0]) is None:
        return f"{lead}; one seed does not tell whether that is chance."
    return f"{lead}, more than the deviations."


def _title(column: NoiseColumn) -> str:
    return one_line(column.title or column.spec, 60)


def _clean_score(results: BenchmarkResults, method: MethodRow, epoch: str) -> Score | None:
    clean = clean_column(results)
    return None if clean is None else score(results, clean, method, epoch, "clean labels")
