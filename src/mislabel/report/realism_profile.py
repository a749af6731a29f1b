"""The figure of profiles: how several sets of labels err, side by side.

Lines differ in colour, marker and dashes, so that the figure reads in grey and by colour-blind
eyes. Error bars are the profiles' intervals.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure, SubFigure
from numpy.typing import ArrayLike

from mislabel.errors import InputError
from mislabel.realism.intervals import Estimate
from mislabel.realism.profile import Profile, Spatial
from mislabel.report.labelling import FEW_CLASSES
from mislabel.report.style import INK, MethodStyle, drawing, method_styles, new_figure
from mislabel.report.text import one_line, percent

PER_ROW = 6
MOST_RANKS = 20
"Closeness ranks that are drawn, where there are more classes."
WIDTH, HEIGHT, MATRIX = 9.6, 2.6, 2.2
"Inches: of the figure, of a row of panels, of a row of matrices."

Line: TypeAlias = tuple[str, MethodStyle, Profile, Spatial | None]


@drawing()
def profile_figure(profiles: Mapping[str, Profile]) -> Figure:
    """Panels of all figures of the profiles, by name, and a transition matrix for each.

    Without a neighbourhood there are only rates by class and matrices.
    Errors: `InputError` without profiles, or where only some have a neighbourhood.
    """
    if not profiles:
        raise InputError("profiles", profiles, "must be at least one")
    if len({one.spatial is None for one in profiles.values()}) > 1:
        raise InputError("profiles", list(profiles), "must all have a neighbourhood, or none")
    styles = method_styles(len(profiles))
    lines = [
        (one_line(name, 34), style, one, one.spatial)
        for (name, one), style in zip(profiles.items(), styles, strict=True)
    ]
    rows = 1 if lines[0][3] is None else 2
    matrix_rows = -(-len(lines) // PER_ROW)
    heights = [rows * HEIGHT, matrix_rows * MATRIX]
    figure = new_figure(height=sum(heights), width=WIDTH)
    parts = figure.add_gridspec(2, 1, height_ratios=heights)
    _draw_panels(figure.add_subfigure(parts[0]), lines)
    _draw_matrices(figure.add_subfigure(parts[1]), lines, matrix_rows)
    return figure


def _draw_panels(part: SubFigure, lines: Sequence[Line]) -> None:
    """One panel for each kind of figure; the legend has a place of its own."""
    if lines[0][3] is None:
        by_class, legend = part.subplots(1, 2, width_ratios=(2, 1))
    else:
        panels = part.subplots(2, 3)
        _draw_clustering(panels[0, 0], lines)
        _draw_ranks(panels[0, 1], lines)
        _draw_typicality(panels[1, 0], lines)
        _draw_others(panels[1, 1], lines)
        legend, by_class = panels[:, 2]
    _draw_classes(by_class, lines)
    legend.set_axis_off()
    handles, names = by_class.get_legend_handles_labels()
    legend.legend(handles, names, loc="center left", handlelength=3.2, borderaxespad=0)


def _draw_clustering(axes: Axes, lines: Sequence[Line]) -> None:
    """The index against k; hollow, at the first k, what classes alone would make of it."""
    axes.axhline(1, color=INK, linewidth=0.8)
    for number, (_, style, _, spatial) in enumerate(lines):
        if spatial is not None:
            places = np.array(spatial.ks) * _shift(number, len(lines), 0.1, log=True)
            _draw(axes, places, spatial.clustering, style)
            axes.plot(places[:1], spatial.clustering_by_class[:1], marker=style.marker,
                      color=style.colour, markerfacecolor="white", markersize=3.5)  # fmt: skip
            axes.set_xscale("log")
            axes.set_xticks(spatial.ks, labels=map(str, spatial.ks))
    axes.minorticks_off()
    axes.set_xlabel("nearest neighbours k (hollow: by classes alone)")
    axes.set_title("Clustering index", fontsize=9)


def _draw_ranks(axes: Axes, lines: Sequence[Line]) -> None:
    for number, (_, style, _, spatial) in enumerate(lines):
        if spatial is not None:
            count = min(len(spatial.target_rank.value), MOST_RANKS)
            places = np.arange(1, count + 1) + _shift(number, len(lines), 0.25)
            _draw(axes, places, spatial.target_rank, style, 100)
    _whole_ticks(axes, 1, min(lines[0][2].n_classes - 1, MOST_RANKS))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("rank of the class by closeness (1: closest)")
    axes.set_title("Wrong labels by closeness, %", fontsize=9)


def _draw_typicality(axes: Axes, lines: Sequence[Line]) -> None:
    for number, (_, style, _, spatial) in enumerate(lines):
        if spatial is not None:
            edges = spatial.typicality.edges
            middle = edges - edges[0] / 2 + _shift(number, len(lines), edges[0] / 4)
            _draw(axes, 100 * middle, spatial.typicality.rate, style, 100)
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("typicality within the class, percentile")
    axes.set_title("Wrong by typicality, %", fontsize=9)


def _draw_others(axes: Axes, lines: Sequence[Line]) -> None:
    for number, (_, style, _, spatial) in enumerate(lines):
        if spatial is not None:
            edges = spatial.other_share.edges
            places = np.arange(len(edges)) + _shift(number, len(lines), 0.25)
            _draw(axes, places, spatial.other_share.rate, style, 100)
            inner = [f"≤ {100 * edge:.0f}" for edge in edges[1:-1]]
            names = ["0", *inner, f"> {100 * edges[-2]:.0f}"]
            axes.set_xticks(range(len(edges)), labels=names)
            axes.set_xlabel(f"share of other classes among {spatial.n_neighbors} neighbours, %")
    axes.set_ylim(bottom=0)
    axes.set_title("Wrong by other classes around, %", fontsize=9)


def _draw_classes(axes: Axes, lines: Sequence[Line]) -> None:
    """Markers without lines, for classes have no order."""
    for number, (name, style, one, _) in enumerate(lines):
        places = np.arange(one.n_classes) + _shift(number, len(lines), 0.3)
        _draw(axes, places, one.rate_per_class, style, 100, joined=False)
        axes.plot([], [], color=style.colour, marker=style.marker, linestyle=style.line,
                  label=f"{name}: {percent(float(one.rate.value), 1)} % wrong")  # fmt: skip
    _whole_ticks(axes, 0, lines[0][2].n_classes - 1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("clean class")
    axes.set_title("Wrong by class, %", fontsize=9)


def _draw(
    axes: Axes,
    places: ArrayLike,
    estimate: Estimate,
    style: MethodStyle,
    scale: float = 1,
    *,
    joined: bool = True,
) -> None:
    """Values with error bars; as many as there are places."""
    x = np.asarray(places)
    value, low, high = (
        scale * getattr(estimate, name)[: len(x)] for name in ("value", "low", "high")
    )
    known = np.isfinite(value)
    x, value, low, high = x[known], value[known], low[known], high[known]
    bars = np.nan_to_num([value - low, high - value])
    axes.errorbar(x, value, yerr=np.maximum(bars, 0), color=style.colour, marker=style.marker,
                  linestyle=style.line if joined else "none", markersize=4, elinewidth=0.9,
                  linewidth=1.2)  # fmt: skip


def _shift(number: int, count: int, width: float, *, log: bool = False) -> float:
    """How far aside a line's markers stand, so that error bars do not cover each other."""
    place = width * (2 * number / (count - 1) - 1) if count > 1 else 0.0
    return float(np.exp(place)) if log else place


def _whole_ticks(axes: Axes, first: int, last: int) -> None:
    step = max(1, -(-(last - first) // 10))
    axes.set_xticks(range(first, last + 1, step))


def _draw_matrices(part: SubFigure, lines: Sequence[Line], rows: int) -> None:
    """What wrong labels are, by clean class: the diagonal is left out, the scale is shared."""
    columns = min(len(lines), PER_ROW)
    spare = [] if columns == PER_ROW else [PER_ROW - columns]
    ratios = [*([1] * columns), 0.06, *spare]
    grid = part.add_gridspec(rows, len(ratios), width_ratios=ratios)
    matrices = [one.transition_matrix.copy() for _, _, one, _ in lines]
    for matrix in matrices:
        np.fill_diagonal(matrix, np.nan)
    tops = [np.nanmax(m) for m in matrices if np.isfinite(m).any()]
    norm = PowerNorm(0.5, 0, max(100 * max(tops, default=0.0), 1))
    colours = colormaps["Blues"].with_extremes(bad="#e5e5e5")
    for number, ((name, _, one, _), matrix) in enumerate(zip(lines, matrices, strict=True)):
        axes = part.add_subplot(grid[number // columns, number % columns])
        edges = np.arange(one.n_classes + 1) - 0.5
        image = axes.pcolormesh(edges, edges, 100 * np.ma.masked_invalid(matrix), cmap=colours,
                                norm=norm, rasterized=one.n_classes > FEW_CLASSES)  # fmt: skip
        axes.grid(visible=False)
        axes.set_aspect("equal")
        axes.set_ylim(one.n_classes - 0.5, -0.5)
        _whole_ticks(axes, 0, one.n_classes - 1)
        axes.set_yticks(axes.get_xticks())
        axes.tick_params(labelsize=7)
        axes.set_title(one_line(name, 24), fontsize=8.5)
        axes.set_xlabel("wrong label")
        if number % columns == 0:
            axes.set_ylabel("clean class")
    bar = part.colorbar(image, cax=part.add_subplot(grid[:, columns]))
    bar.set_label("share of the class, %")
