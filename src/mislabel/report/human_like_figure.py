"""The figure of human-like noise: what its parameters say about where people err, and to what."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mislabel.noise.human_like import HumanParameters, neighbor_count
from mislabel.report.labelling import FEW_CLASSES
from mislabel.report.style import INK, METHOD_COLOURS, drawing, new_figure
from mislabel.report.text import one_line

WIDTH, HEIGHT = 8.4, 2.7
"Inches: of the figure, of a row of panels."
MOST_NAMES = 20
LARGEST_FACTOR = 8.0
"Of a pair that has a colour of its own."


@drawing()
def human_like_figure(human: HumanParameters, class_names: Sequence[str] | None = None) -> Figure:
    """How often examples flip, by their neighbours and typicality; effects of classes and pairs.

    All are factors: 1 is the mean class, the expected pair, or an example in the middle. Without
    effects of classes there is one row. class_names: C names, by default the numbers.
    """
    rows = 2 if human.class_effects else 1
    figure = new_figure(height=rows * HEIGHT, width=WIDTH)
    panels = figure.subplots(rows, 2, squeeze=False)
    _draw_mixing(panels[0, 0], human)
    _draw_typicality(panels[0, 1], human)
    if human.class_effects:
        names = class_names or [str(c) for c in range(len(human.class_effects))]
        shown = [one_line(name, 12) for name in names]
        _draw_classes(panels[1, 0], human, shown)
        _draw_pairs(figure, panels[1, 1], human, shown)
    return figure


def _draw_mixing(axes: Axes, human: HumanParameters) -> None:
    """Against the share of other classes, with the least and most that the error allows."""
    examples, classes = (human.source.get(name, 0) for name in ("n_examples", "n_classes"))
    k = neighbor_count(examples, classes) if examples and classes else 100
    share = np.linspace(0, 1, 101)
    logs = np.log((share * k + 1) / (k + 1)) - np.log((k / 2 + 1) / (k + 1))
    _draw_curve(axes, 100 * share, logs, human.mixing, human.errors.get("mixing", 0.0))
    axes.set_xlabel(f"neighbours of other classes, % of {k}")
    axes.set_ylabel("flips (1: at 50 %)")


def _draw_typicality(axes: Axes, human: HumanParameters) -> None:
    place = np.linspace(0, 1, 101)
    error = human.errors.get("loneliness", 0.0)
    _draw_curve(axes, 100 * place, 0.5 - place, human.loneliness, error)
    axes.set_xlabel("typicality within the class, percentile")
    axes.set_ylabel("flips (1: in the middle)")


def _draw_curve(
    axes: Axes, places: np.ndarray, logs: np.ndarray, slope: float, error: float
) -> None:
    axes.axhline(1, color=INK, linewidth=0.8)
    ends = np.exp(logs * (slope - error)), np.exp(logs * (slope + error))
    axes.fill_between(places, *ends, color=METHOD_COLOURS[0], alpha=0.25, linewidth=0)
    axes.plot(places, np.exp(logs * slope), color=METHOD_COLOURS[0])
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)


def _draw_classes(axes: Axes, human: HumanParameters, names: list[str]) -> None:
    """Factors of the classes, with the error before they were drawn to the mean."""
    effects = np.array(human.class_effects)
    errors = np.array([human.errors.get(f"class_effects[{c}]", 0.0) for c in range(len(effects))])
    factors = np.exp(effects)
    bars = factors - np.exp(effects - errors), np.exp(effects + errors) - factors
    axes.axhline(1, color=INK, linewidth=0.8)
    axes.errorbar(range(len(factors)), factors, yerr=bars, fmt="o", color=METHOD_COLOURS[1])
    axes.set_ylim(bottom=0)
    _name(axes, "x", names)
    axes.set_xlabel("class")
    axes.set_ylabel("flips (1: the mean class)")


def _draw_pairs(figure: Figure, axes: Axes, human: HumanParameters, names: list[str]) -> None:
    """Factors of the pairs, on a scale that is symmetric about 1."""
    factors = np.array(human.pair_effects)
    np.fill_diagonal(factors, np.nan)
    shown = np.clip(np.ma.masked_invalid(factors), 1 / LARGEST_FACTOR, LARGEST_FACTOR)
    top = max(1.5, float(np.exp(np.abs(np.log(shown)).max())) if shown.count() else 1.5)
    edges = np.arange(len(factors) + 1) - 0.5
    image = axes.pcolormesh(edges, edges, shown, norm=LogNorm(1 / top, top),
                            cmap=colormaps["RdBu_r"].with_extremes(bad="#e5e5e5"),
                            rasterized=len(factors) > FEW_CLASSES)  # fmt: skip
    axes.grid(visible=False)
    axes.set_aspect("equal")
    axes.set_ylim(len(factors) - 0.5, -0.5)
    _name(axes, "x", names)
    _name(axes, "y", names)
    axes.set_xlabel("wrong label")
    axes.set_ylabel("class")
    bar = figure.colorbar(image, ax=axes)
    ticks = [2.0**power for power in range(-3, 4) if 2 ** abs(power) <= 1.001 * top]
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    bar.ax.minorticks_off()
    bar.set_label("times as often as expected")


def _name(axes: Axes, axis: str, names: list[str]) -> None:
    """Names of classes along an axis, some of them where they are many or long."""
    if len(names) > MOST_NAMES:
        ticks = axes.xaxis if axis == "x" else axes.yaxis
        ticks.set_major_locator(MaxNLocator(8, integer=True))
        return
    long = axis == "x" and max(map(len, names)) > 2
    axes.tick_params(axis="x" if axis == "x" else "y", length=0)
    if axis == "x":
        axes.set_xticks(range(len(names)), names, rotation=45 if long else 0,
                        ha="right" if long else "center")  # fmt: skip
    else:
        axes.set_yticks(range(len(names)), names)
