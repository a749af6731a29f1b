"""The figure of a classifier two-sample test: the AUC, what gives the candidate away, and where."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mislabel.realism.two_sample_result import TwoSampleResult
from mislabel.report.style import INK, METHOD_COLOURS, drawing, new_figure
from mislabel.report.text import one_line

MOST_CLASSES = 20
"With more, the classes that are told apart best and worst are shown."
_BAR = 0.24
"Inches of a row's height."


@drawing()
def two_sample_figure(result: TwoSampleResult, class_names: Sequence[str] | None = None) -> Figure:
    """The AUC with its interval, importances if known, and the AUC per class; 0.5 is dashed.

    class_names: C names; by default the numbers of the classes.
    """
    classes = _shown_classes(result)
    names = [one_line(class_names[c], 24) if class_names else f"class {c}" for c in classes]
    groups = list((result.importance or {}).items())
    rows = [1, len(groups), len(classes)] if groups else [1, len(classes)]
    figure = new_figure(height=0.75 * len(rows) + _BAR * sum(rows), width=4.6)
    panels = figure.subplots(len(rows), 1, height_ratios=[0.5 + _BAR * 2 * n for n in rows])
    _draw_auc(panels[0], result)
    if groups:
        drops = [value.drop for _, value in groups]
        errors = [value.standard_error for _, value in groups]
        axes = panels[1]
        axes.barh(range(len(groups)), drops, xerr=errors, color=METHOD_COLOURS[0], height=0.65,
                  error_kw={"ecolor": INK, "elinewidth": 1})  # fmt: skip
        _name_rows(axes, [name for name, _ in groups])
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel("drop of the AUC when it is shuffled, ± standard error")
    _draw_classes(panels[-1], result, classes, names)
    return figure


def _draw_auc(axes: Axes, result: TwoSampleResult) -> None:
    low, high = result.interval
    axes.plot([low, high], [0, 0], color=METHOD_COLOURS[0], linewidth=3, solid_capstyle="butt")
    axes.plot(result.auc, 0, "o", color=METHOD_COLOURS[0], markersize=7)
    axes.text(result.auc, -0.3, f"{result.auc:.3f}", ha="center", va="bottom")
    _name_rows(axes, ["all examples"])
    axes.set_ylim(0.5, -0.75)
    _scale(axes, result)
    axes.set_xlabel(f"AUC with {100 * result.level:g} % interval; dashed: cannot be told apart")


def _draw_classes(
    axes: Axes, result: TwoSampleResult, classes: list[int], names: list[str]
) -> None:
    aucs = result.auc_per_class[classes]
    axes.plot(aucs, range(len(classes)), "o", color=METHOD_COLOURS[1])
    _name_rows(axes, names)
    _scale(axes, result)
    axes.set_xlabel("AUC among examples of one class")


def _scale(axes: Axes, result: TwoSampleResult) -> None:
    """The same axis for all AUCs, with the dashed line at 0.5."""
    aucs = result.auc_per_class
    shown = [0.5, *result.interval, *aucs[np.isfinite(aucs)]]
    axes.set_xlim(min(shown) - 0.04, max(shown) + 0.06)
    axes.axvline(0.5, color=INK, linewidth=1, linestyle="--")


def _name_rows(axes: Axes, names: list[str]) -> None:
    """One row per name, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def _shown_classes(result: TwoSampleResult) -> list[int]:
    """All classes in order or, where they are many, half of them the highest, half the lowest."""
    aucs = result.auc_per_class
    if len(aucs) <= MOST_CLASSES:
        return list(range(len(aucs)))
    order = [int(c) for c in np.argsort(-aucs, kind="stable") if np.isfinite(aucs[c])]
    if len(order) <= MOST_CLASSES:
        return order
    return order[: MOST_CLASSES // 2] + order[-MOST_CLASSES // 2 :]
