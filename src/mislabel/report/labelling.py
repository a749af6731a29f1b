"""Figures of the labels themselves: where the wrong ones lie, and what turns into what."""

import math

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure, FigureBase
from matplotlib.font_manager import findfont, get_font
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.labels import NoisyLabels
from mislabel.report.style import INK, WIDTH, class_colours, drawing, new_figure
from mislabel.report.text import one_line

FEW_CLASSES = 12
"Up to so many classes their names and the figures in the cells are written out."


@drawing()
def map_figure(
    positions: NDArray[np.floating],
    labels: NoisyLabels,
    class_names: tuple[str, ...],
    *,
    names: bool = False,
) -> Figure:
    """The map (N, 2): right labels pale, in the colour of their class; wrong ones on top.

    A wrong label has the full colour of the class it was turned into. Without clean labels, or
    without flips, all have their full colour. names: write the class names on the map.
    """
    if positions.shape != (len(labels), 2):
        rule = f"must be ({len(labels)}, 2), one position per label"
        raise InputError("map", f"shape {positions.shape}", rule)
    figure = new_figure(height=WIDTH)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    figure.set_layout_engine("none")
    draw_map(axes, positions, labels)
    if names:
        _write_names(axes, positions, labels, class_names)
    return figure


@drawing()
def transition_figure(labels: NoisyLabels, class_names: tuple[str, ...]) -> Figure:
    """The transition matrix (rows clean, columns noisy) and the rate of every class beside it.

    The colour goes with the square root of the share, from 0 to 100 %, so that small shares
    show and figures of several noises compare. Error: `InputError` without clean labels.
    """
    figure = new_figure(height=3.75)
    draw_transitions(figure, labels, class_names)
    return figure


def draw_transitions(figure: FigureBase, labels: NoisyLabels, class_names: tuple[str, ...]) -> None:
    """Draw what `transition_figure` shows into a figure or a part of one."""
    matrix, count = labels.transition_matrix, labels.n_classes
    heat, bars = figure.subplots(1, 2, sharey=True, width_ratios=(4.6, 1))
    for axes in (heat, bars):
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    colours = matplotlib.colormaps["Blues"].with_extremes(bad="#e5e5e5")
    edges = np.arange(count + 1) - 0.5
    heat.pcolormesh(edges, edges, np.ma.masked_invalid(matrix), cmap=colours,
                    norm=PowerNorm(0.5, 0, 1), edgecolors="white",
                    linewidth=0.6 if count <= FEW_CLASSES else 0,
                    rasterized=count > FEW_CLASSES)  # fmt: skip
    heat.set_ylim(count - 0.5, -0.5)
    heat.set_xlabel("label as given")
    heat.set_ylabel("clean class")
    _class_ticks(heat, class_names, count)
    _draw_rates(bars, labels)
    if count <= FEW_CLASSES:
        _write_shares(heat, matrix)


def draw_map(axes: Axes, positions: NDArray[np.floating], labels: NoisyLabels) -> None:
    """Draw what `map_figure` shows into axes."""
    axes.set_axis_off()
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.02)
    _draw_labels(axes, positions, labels)


def _draw_labels(axes: Axes, positions: NDArray[np.floating], labels: NoisyLabels) -> None:
    """Right labels pale and wrong ones on top, or all alike when none is known to be wrong."""
    size = float(np.clip(12000 / len(labels), 0.7, 20))
    colours = class_colours(labels.n_classes)
    wrong = np.zeros(len(labels), dtype=bool) if labels.clean_labels is None else labels.flipped
    if not wrong.any():
        _scatter(axes, positions, colours[labels.labels], size)
    else:
        pale = 0.32 * colours + 0.68
        _scatter(axes, positions[~wrong], pale[labels.labels[~wrong]], size)
        _scatter(axes, positions[wrong], colours[labels.labels[wrong]], 1.4 * size, edge=size > 3)


def map_names(class_names: tuple[str, ...]) -> list[str]:
    """What stands on the map for each class: its name, its number where the font lacks a letter."""
    known = get_font(findfont("DejaVu Sans:bold")).get_charmap()
    names = [one_line(name, 16) for name in class_names]
    return [
        name if name and all(ord(c) in known for c in name) else str(number)
        for number, name in enumerate(names)
    ]


def _scatter(
    axes: Axes,
    positions: NDArray[np.floating],
    colours: NDArray[np.float64],
    size: float,
    *,
    edge: bool = False,
) -> None:
    """Points in the order of the data, so that no class covers the others."""
    edges = {"edgecolors": INK, "linewidths": 0.3} if edge else {"linewidths": 0}
    axes.scatter(positions[:, 0], positions[:, 1], s=size, c=colours, **edges)


def _write_names(
    axes: Axes,
    positions: NDArray[np.floating],
    labels: NoisyLabels,
    class_names: tuple[str, ...],
) -> None:
    """Each class's name at the median of its examples."""
    for number, name in enumerate(map_names(class_names)):
        members = positions[labels.labels == number]
        members = members[np.isfinite(members).all(axis=1)]
        if len(members):
            x, y = np.median(members, axis=0)
            halo = [withStroke(linewidth=2.5, foreground="white")]
            axes.text(float(x), float(y), name, ha="center", va="center",
                      fontsize=10, fontweight="bold", path_effects=halo)  # fmt: skip


def _class_ticks(axes: Axes, class_names: tuple[str, ...], count: int) -> None:
    """Names of few classes, numbers of many."""
    if count > FEW_CLASSES:
        step = 10 if count <= 200 else 10 ** math.floor(math.log10(count))
        axes.set_xticks(range(0, count, step))
        axes.set_yticks(range(0, count, step))
        return
    names = [one_line(name, 11) for name in (*class_names, *map(str, range(count)))][:count]
    upright = all(len(name) <= 2 for name in names)
    axes.set_xticks(range(count), labels=names, rotation=0 if upright else 90)
    axes.set_yticks(range(count), labels=names)


def _write_shares(axes: Axes, matrix: NDArray[np.float64]) -> None:
    """Every share in whole percent; nothing for none, ``<1`` for less than a half."""
    for (row, column), share in np.ndenumerate(matrix):
        if share > 0:
            text = f"{100 * share:.0f}" if share >= 0.005 else "<1"
            axes.text(column, row, text, ha="center", va="center", fontsize=7.5,
                      color="white" if share > 0.36 else INK)  # fmt: skip


def _draw_rates(axes: Axes, labels: NoisyLabels) -> None:
    """Bars of the share of wrong labels per clean class."""
    rates, count = 100 * labels.rate_per_class, labels.n_classes
    axes.barh(range(count), np.nan_to_num(rates), height=0.72 if count <= FEW_CLASSES else 1,
              color="#8c959f")  # fmt: skip
    axes.tick_params(axis="y", labelleft=False)
    axes.set_xlabel("wrong, %", loc="left", fontsize=8)
    if count > FEW_CLASSES:
        axes.set_xlim(0, 100)
        axes.set_xticks([0, 100])
        return
    axes.set_xticks([])
    axes.set_xlim(0, 150)
    for row, rate in enumerate(rates):
        if np.isfinite(rate):
            axes.annotate(f"{rate:.0f}", (rate, row), (2, 0), textcoords="offset points",
                          va="center", fontsize=7.5)  # fmt: skip
