"""Figures of label files by themselves: one described, several compared on one map."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.labels import NoisyLabels
from mislabel.report.labelling import draw_map, draw_transitions
from mislabel.report.style import WIDTH, drawing, new_figure
from mislabel.report.text import one_line, percent

PER_ROW = 3


@drawing()
def description_figure(
    labels: NoisyLabels,
    class_names: tuple[str, ...],
    positions: NDArray[np.floating] | None = None,
) -> Figure:
    """Transition matrix and rates of one set of labels and, with positions (N, 2), its map."""
    columns = 1 if positions is None else 2
    figure = new_figure(height=WIDTH + 0.3, width=columns * WIDTH)
    grid = figure.add_gridspec(1, columns)
    draw_transitions(figure.add_subfigure(grid[0]), labels, class_names)
    if positions is not None:
        _check_positions(positions, labels)
        draw_map(figure.add_subfigure(grid[1]).subplots(), positions, labels)
    figure.suptitle(f"{one_line(labels.receipt.generator, 40)}: {percent(labels.rate)} % wrong")
    return figure


@drawing()
def comparison_figure(
    positions: NDArray[np.floating], noises: Sequence[tuple[str, NoisyLabels]]
) -> Figure:
    """Several sets of labels on one map (N, 2), side by side, each with its title and rate."""
    rows = -(-len(noises) // PER_ROW)
    columns = min(PER_ROW, len(noises))
    figure = new_figure(height=rows * (WIDTH + 0.3), width=columns * WIDTH)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(noises) :]:
        axes.set_axis_off()
    for axes, (title, labels) in zip(panels, noises, strict=False):
        _check_positions(positions, labels)
        draw_map(axes, positions, labels)
        axes.set_title(f"{one_line(title, 34)}\n{percent(labels.rate)} % wrong", fontsize=9)
    return figure


def _check_positions(positions: NDArray[np.floating], labels: NoisyLabels) -> None:
    if positions.shape != (len(labels), 2):
        rule = f"must be ({len(labels)}, 2), one position per label"
        raise InputError("map", f"shape {positions.shape}", rule)
