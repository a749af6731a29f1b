"""Figures of a stress test: what wrong labels cost, whom and where.

Points are means over seeds, bars the intervals of the tables; a single seed has none. Colours and
markers of subjects are the same in every figure, and your code comes first.
"""

import math
from collections.abc import Iterable, Sequence
from textwrap import wrap

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mislabel.report.style import INK, WIDTH, MethodStyle, drawing, method_styles, new_figure
from mislabel.stress.intervals import LEVEL, Interval
from mislabel.stress.results import YOURS, StressNoise, StressResults
from mislabel.stress.summary import (
    class_drops,
    curve_noises,
    drop_interval,
    families,
    metric_interval,
)
from mislabel.stress.wording import (
    Scale,
    capital,
    family_titles,
    metric_scale,
    noise_titles,
    subject_titles,
)
from mislabel.words import one_line

MOST_CLASSES = 30
"Of more classes, those that lose most are drawn."
_LEGEND_LINE = 0.17
"Inches that one line of the legend takes."


def curve_families(results: StressResults) -> list[str]:
    """Families that `stress_rate_figure` can draw: those of two rates or more."""
    return [name for name in families(results) if len(curve_noises(results, name)) > 2]


def fitted_subjects(results: StressResults) -> list[str]:
    """Subjects whose predictions of the training examples are known."""
    there = {cell.subject for cell in results.cells if "wrong_fitted" in cell.metrics}
    return [subject.name for subject in results.subjects if subject.name in there]


def has_classes(results: StressResults, subject: str = YOURS) -> bool:
    """Whether the loss of any class under any noise is known."""
    drops = (class_drops(results, noise.spec, subject) for noise in results.rates)
    return any(found.count for row in drops for found in row)


@drawing()
def stress_rate_figure(results: StressResults, family: str, *, level: float = LEVEL) -> Figure:
    """The metric against the realised rate of one family of noises, a line per subject."""
    scale, names = metric_scale(results), subject_titles(results)
    columns = curve_noises(results, family)
    figure = new_figure(height=2.5 + _legend_height(names.values()))
    axes = figure.subplots()
    for subject, style in _styled(results):
        found = [metric_interval(results, n.spec, subject, level=level) for n in columns]
        _draw_line(axes, columns, found, style, scale)
    every = [
        metric_interval(results, n.spec, s.name, level=level)
        for n in results.noises
        for s in results.subjects
    ]
    axes.set_ylim(*_limits(every, scale))
    _rate_axis(axes, results)
    axes.set_ylabel(scale.axis)
    _legend(figure, [capital(n) for n in names.values()], [style for _, style in _styled(results)])
    return figure


@drawing()
def stress_loss_figure(results: StressResults, *, level: float = LEVEL) -> Figure:
    """What every noise costs, a row per noise and a dot with its interval per subject."""
    scale, names, titles = metric_scale(results), subject_titles(results), noise_titles(results)
    rows, count = results.rates, len(results.subjects)
    height = 0.6 + max(0.3, 0.13 * count) * len(rows)
    figure = new_figure(height=height + _legend_height(names.values()))
    axes = figure.subplots()
    drawn = []
    for place, (subject, style) in enumerate(_styled(results)):
        found = [drop_interval(results, noise.spec, subject, level=level) for noise in rows]
        drawn += found
        y = np.arange(len(rows)) + 0.7 * ((place + 0.5) / count - 0.5)
        _draw_dots(axes, found, y, style, scale)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(rows)), [_wrapped(titles[noise.spec]) for noise in rows])
    axes.set_yticks(np.arange(len(rows) - 1) + 0.5, minor=True)
    axes.grid(visible=False, axis="y", which="major")
    axes.grid(visible=True, axis="y", which="minor")
    axes.tick_params(axis="y", which="both", length=0)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(*_limits(drawn, scale, inside=(-100, 100), at=0.0))
    axes.set_xlabel(scale.loss_axis)
    _legend(figure, [capital(n) for n in names.values()], [style for _, style in _styled(results)])
    return figure


@drawing()
def stress_class_figure(results: StressResults, subject: str = YOURS) -> Figure:
    """Loss of accuracy of each class (rows) under each noise (columns), in points.

    The colours are on one scale around 0: orange is lost, blue is gained. Of more than
    `MOST_CLASSES` classes, those are drawn that lose most in the mean over noises.
    """
    columns = results.rates
    drops = [[d.mean for d in class_drops(results, n.spec, subject)] for n in columns]
    matrix = 100 * np.array(drops, dtype=float).reshape(len(columns), -1).T
    shown = _most(matrix)
    figure = new_figure(height=1.5 + 0.23 * len(shown), width=_class_width(len(columns)))
    axes = figure.subplots()
    _draw_heat(axes, matrix[shown])
    titles = noise_titles(results)
    axes.set_xticks(range(len(columns)), [_wrapped(titles[n.spec], 22) for n in columns],
                    rotation=60, ha="right", rotation_mode="anchor")  # fmt: skip
    names = [one_line(results.class_names[c], 16) for c in shown]
    axes.set_yticks(range(len(shown)), [f" {name}" for name in names])
    return figure


@drawing()
def stress_fitted_figure(
    results: StressResults, subject: str = YOURS, *, level: float = LEVEL
) -> Figure:
    """Share of the wrong labels that are predicted as given, against the rate; a line per family.

    Right labels are not among them, so code that learns only what is right stays at the bottom.
    """
    scale, titles = metric_scale(results, "wrong_fitted"), family_titles(results)
    names = families(results)
    styles = method_styles(len(names))
    figure = new_figure(height=2.3 + _legend_height(titles.values()))
    axes = figure.subplots()
    width = 0.012 * _top_rate(results)  # points of one rate stand beside each other
    for place, (name, style) in enumerate(zip(names, styles, strict=True)):
        columns = curve_noises(results, name)
        found = [
            metric_interval(results, n.spec, subject, metric="wrong_fitted", level=level)
            for n in columns
        ]
        shift = width * (place - (len(names) - 1) / 2)
        _draw_line(axes, columns, found, style, scale, shift=shift)
    axes.set_ylim(-3, 103)
    _rate_axis(axes, results)
    axes.set_ylabel("wrong labels fitted, %")
    _legend(figure, [titles[name] for name in names], styles)
    return figure


def _styled(results: StressResults) -> list[tuple[str, MethodStyle]]:
    """Subjects with their styles."""
    styles = method_styles(len(results.subjects))
    return [(s.name, style) for s, style in zip(results.subjects, styles, strict=True)]


def _draw_line(
    axes: Axes,
    columns: Sequence[StressNoise],
    found: Sequence[Interval],
    style: MethodStyle,
    scale: Scale,
    *,
    shift: float = 0.0,
) -> None:
    """Means with intervals against the realised rate, where there are any."""
    points = [(100 * n.rate + shift, f) for n, f in zip(columns, found, strict=True) if f.count]
    x = [rate for rate, _ in points]
    y = [scale.factor * f.mean for _, f in points]
    bars = _bars([f for _, f in points], scale)
    axes.errorbar(x, y, yerr=bars, color=style.colour, marker=style.marker, linestyle=style.line,
                  capsize=2, elinewidth=1)  # fmt: skip


def _draw_dots(
    axes: Axes, found: Sequence[Interval], y: Iterable[float], style: MethodStyle, scale: Scale
) -> None:
    points = [(place, f) for place, f in zip(y, found, strict=True) if f.count]
    axes.errorbar([scale.factor * f.mean for _, f in points], [place for place, _ in points],
                  xerr=_bars([f for _, f in points], scale), color=style.colour,
                  marker=style.marker, linestyle="none", capsize=2, elinewidth=1)  # fmt: skip


def _draw_heat(axes: Axes, matrix: np.ndarray) -> None:
    """A matrix of losses in points around 0, with its figures where they fit."""
    finite = np.abs(matrix[np.isfinite(matrix)])
    top = max(float(finite.max()) if len(finite) else 0.0, 1.0)
    colours = matplotlib.colormaps["PuOr_r"].with_extremes(bad="#e5e5e5")
    edges = [np.arange(size + 1) - 0.5 for size in matrix.shape[::-1]]
    axes.pcolormesh(*edges, np.ma.masked_invalid(matrix), cmap=colours,
                    norm=Normalize(-top, top), edgecolors="white", linewidth=0.6)  # fmt: skip
    axes.set_ylim(matrix.shape[0] - 0.5, -0.5)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(matrix):
        if math.isfinite(value):
            text = f"{value:.0f}".replace("-0", "0").replace("-", "−")
            axes.text(column, row, text, ha="center", va="center", fontsize=7.5,
                      color="white" if abs(value) > 0.6 * top else INK)  # fmt: skip


def _most(matrix: np.ndarray) -> list[int]:
    """Rows to draw: all of few, else those of the largest means, in their order."""
    if len(matrix) <= MOST_CLASSES:
        return list(range(len(matrix)))
    means = np.nan_to_num(np.ma.masked_invalid(matrix).mean(axis=1).filled(-np.inf))
    return sorted(np.argsort(-means, kind="stable")[:MOST_CLASSES].tolist())


def _bars(found: Sequence[Interval], scale: Scale) -> np.ndarray:
    """(2, n) lengths of bars below and above the means, 0 where there is no interval."""
    ends = np.array([[f.mean - f.low, f.high - f.mean] for f in found]).reshape(-1, 2).T
    return scale.factor * np.where(np.isfinite(ends), ends, 0.0)


def _limits(
    found: Sequence[Interval],
    scale: Scale,
    *,
    inside: tuple[float, float] = (0, 100),
    at: float | None = None,
) -> tuple[float, float]:
    """Limits of an axis around means and bars; long bars may leave it, means never do.

    inside: limits of percentages. at: a value that is shown too.
    """
    means = [scale.factor * f.mean for f in found if f.count]
    means += [] if at is None or not means else [at]
    if not means:
        return inside if scale.is_percent else (0.0, 1.0)
    span = max(max(means) - min(means), 2.0 if scale.is_percent else 0.02 * abs(max(means)), 1e-9)
    low, high = min(means) - span, max(means) + span
    ends = [scale.factor * end for f in found for end in (f.low, f.high) if math.isfinite(end)]
    low = max(low, min([*means, *ends]) - 0.06 * span)
    high = min(high, max([*means, *ends]) + 0.06 * span)
    if scale.is_percent:
        low, high = max(low, inside[0] - 1.5), min(high, inside[1] + 1.5)
    return low, high


def _rate_axis(axes: Axes, results: StressResults) -> None:
    """The axis of rates, the same in every figure."""
    top = _top_rate(results)
    axes.set_xlim(-0.03 * top, 1.05 * top)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.set_xlabel("wrong labels, %")


def _top_rate(results: StressResults) -> float:
    """The highest rate in percent, at least 5."""
    return max([100 * n.rate for n in results.rates if math.isfinite(n.rate)] + [5.0])


def _class_width(columns: int) -> float:
    return min(max(1.5 + 0.4 * columns, 0.8 * WIDTH), 9.0)


def _legend_columns(names: Iterable[str]) -> int:
    """Two columns where every name fits into half of the width."""
    return 2 if max(map(len, names), default=0) <= 22 else 1


def _legend_height(names: Iterable[str]) -> float:
    shown = list(names)
    return 0.12 + _LEGEND_LINE * -(-len(shown) // _legend_columns(shown))


def _legend(figure: Figure, names: Sequence[str], styles: Sequence[MethodStyle]) -> None:
    # Matplotlib takes a label with a leading underscore for a private one: the space hides it.
    labels = [f" {one_line(name, 48)}" for name in names]
    lines = [Line2D([], [], color=s.colour, marker=s.marker, linestyle="-") for s in styles]
    figure.legend(lines, labels, loc="outside lower center", ncols=_legend_columns(names),
                  handlelength=2.2, columnspacing=1.2, borderpad=0.3, labelspacing=0.3)  # fmt: skip


def _wrapped(name: str, width: int = 18) -> str:
    """A name on at most two short lines."""
    return "\n".join(wrap(name, width, max_lines=2, placeholder="…"))
