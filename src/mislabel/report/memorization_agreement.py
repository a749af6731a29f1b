"""The page of two estimates of memorization: how well they agree, and against each other.

One HTML file that loads nothing and runs no script; the same scores give the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from mislabel.files import write_text
from mislabel.memorization import Agreement, MemorizationScores
from mislabel.memorization.agreement import LEVEL, SCORES
from mislabel.memorization.scores import Floats
from mislabel.report.embed import png_markup
from mislabel.report.memorization_figures import GROUP_NAMES, groups
from mislabel.report.memorization_tables import agreement_rows
from mislabel.report.style import INK, drawing, new_figure
from mislabel.report.template import render
from mislabel.report.text import one_line, visible

FEW_POINTS = 1500
"Up to so many examples are drawn one by one, more as hexagons that count them."
_PANEL = 2.6


def write_agreement_page(
    a: MemorizationScores, b: MemorizationScores, agreements: Sequence[Agreement], path: Path
) -> Path:
    """Write what `mislabel.memorization.compare` found of two estimates as a page."""
    path = Path(path)
    write_text(path, render_agreement_page(a, b, agreements))
    return path


def render_agreement_page(
    a: MemorizationScores, b: MemorizationScores, agreements: Sequence[Agreement]
) -> str:
    """The page as text; see `write_agreement_page`."""
    a, b = shared(a, b)
    titles = [one_line(scores.title, 80) for scores in (a, b)]
    panels = [(score.capitalize(), _picture(a, b, score)) for score in SCORES]
    return render(
        "memorization_agreement.html.j2",
        titles=titles,
        count=f"{len(a):,}",
        total=f"{a.n_total:,}",
        level=f"{100 * LEVEL:.0f}",
        rows=agreement_rows(agreements),
        panels=panels,
        halves=[scores.inclusion_halves is not None for scores in (a, b)],
        few=f"{FEW_POINTS:,}",
    )


@drawing()
def agreement_figure(a: MemorizationScores, b: MemorizationScores, score: str) -> Figure:
    """One estimate against the other on the examples that both have, a panel per group of labels.

    score: one of ``inclusion``, ``exclusion`` and ``memorization``. On the dotted line both are
    equal. More than `FEW_POINTS` examples are counted in hexagons, darker for more (logarithmic).
    """
    a, b = shared(a, b)
    known = a if a.clean_labels is not None else b
    drawn = [("all", np.ones(len(a), dtype=bool))]
    drawn += [entry for entry in groups(known) if entry[0] != "all"]
    figure = new_figure(height=_PANEL + 0.7, width=len(drawn) * (_PANEL + 0.1) + 0.4)
    panels = figure.subplots(1, len(drawn), sharex=True, sharey=True, squeeze=False)[0]
    first, second = getattr(a, score), getattr(b, score)
    low = _lowest(np.concatenate([first, second]))
    for axes, (group, chosen) in zip(panels, drawn, strict=True):
        _draw_pairs(axes, first[chosen], second[chosen], low)
        axes.set_title(GROUP_NAMES[group], fontsize=9)
        axes.set_xlabel(one_line(a.title, 36))
    panels[0].set_ylabel(one_line(b.title, 36))
    return figure


def shared(
    a: MemorizationScores, b: MemorizationScores
) -> tuple[MemorizationScores, MemorizationScores]:
    """Both on the examples that both have."""
    return a.select(b.index), b.select(a.index)


def _picture(a: MemorizationScores, b: MemorizationScores, score: str) -> Markup:
    alt = f"{score}: {one_line(b.title, 60)} against {one_line(a.title, 60)}, by group of labels."
    return png_markup(agreement_figure(a, b, score), alt=visible(alt))


def _lowest(values: Floats) -> float:
    """Where the axes begin: at 0 or, where there are values below, at a tenth below them."""
    return min(0.0, float(np.floor(10 * np.min(values[np.isfinite(values)], initial=0.0)) / 10))


def _draw_pairs(axes: Axes, first: Floats, second: Floats, low: float) -> None:
    both = np.isfinite(first) & np.isfinite(second)
    first, second = first[both], second[both]
    if len(first) > FEW_POINTS:
        axes.hexbin(first, second, gridsize=36, extent=(low, 1, low, 1), mincnt=1, cmap="Blues",
                    norm=LogNorm(vmin=0.5), linewidths=0.1)  # fmt: skip
    else:
        axes.scatter(first, second, s=9, alpha=0.6, linewidths=0, color="#0072B2")
    axes.plot([low, 1], [low, 1], linestyle=":", linewidth=0.9, color=INK)
    pad = 0.02 * (1 - low)
    axes.set(xlim=(low - pad, 1 + pad), ylim=(low - pad, 1 + pad), box_aspect=1)
