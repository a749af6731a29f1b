"""Figures of accuracy: against the noise rate, by noise, and over epochs.

Points are means over seeds and bars and bands the population deviation, in percent. Axes are the
same for every figure of one benchmark, so that figures side by side can be compared by eye.
"""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mislabel.benchmark.results import (
    BenchmarkResults,
    CellResult,
    NoiseColumn,
    check_epoch,
    summarise,
)
from mislabel.errors import InputError, did_you_mean
from mislabel.report.style import MethodStyle, drawing, method_styles, new_figure
from mislabel.report.text import method_names, noise_names, noise_rate, one_line

_LEGEND_LINE = 0.17
"Inches that one line of the legend takes."


def line_kinds(results: BenchmarkResults) -> list[str]:
    """The noise kinds that have two rates or more: those that `rate_figure` can draw.

    Label files are of one kind only by name, so no line joins them.
    """
    rates: dict[str, set[float]] = {}
    for column in results.noises:
        rate = noise_rate(column)
        if rate is not None and column.kind not in ("clean", "file"):
            rates.setdefault(column.kind, set()).add(round(rate, 3))
    return [kind for kind, found in rates.items() if len(found) >= 2]


@drawing()
def rate_figure(results: BenchmarkResults, kind: str, epoch: str = "last") -> Figure:
    """Test accuracy against the realised rate of one noise kind, a line per method.

    A clean column of the benchmark stands at rate 0. Errors: `InputError` for an unknown kind
    or epoch.
    """
    check_epoch(epoch, results)
    kinds = [column.kind for column in results.noises]
    if kind not in kinds:
        raise InputError("kind", kind, f"not in this benchmark; {did_you_mean(kind, kinds)}")
    figure, axes = _panel(results, height=2.6)
    shown = [c for c in results.noises if c.kind in (kind, "clean") and noise_rate(c) is not None]
    shown.sort(key=lambda column: noise_rate(column) or 0.0)
    for method, style in zip(results.methods, method_styles(len(results.methods)), strict=True):
        points = [(noise_rate(c), *_bar(results, c.spec, method.spec, epoch)) for c in shown]
        x, y, deviation = 100 * np.array(points, dtype=float).reshape(-1, 3).T
        _error_bars(axes, style, x, y, xerr=None, yerr=deviation, linestyle=style.line)
    top = max([noise_rate(c) or 0.0 for c in results.noises], default=0.0)
    axes.set_xlim(-2, max(100 * top * 1.06, 5))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.set_ylim(*_limits(results, epoch))
    axes.set_xlabel("wrong labels, %")
    axes.set_ylabel("test accuracy, %")
    _legend(figure, results)
    return figure


@drawing()
def dots_figure(
    results: BenchmarkResults, epoch: str = "last", noises: Sequence[str] | None = None
) -> Figure:
    """Test accuracy by noise, a dot per method, for the specs in `noises` or all of them."""
    check_epoch(epoch, results)
    names = noise_names(results)
    specs = list(names) if noises is None else [_column(results, spec).spec for spec in noises]
    count = len(results.methods)
    row = max(0.34, 0.1 * count)
    figure, axes = _panel(results, height=0.5 + row * len(specs))
    for place, (method, style) in enumerate(
        zip(results.methods, method_styles(count), strict=True)
    ):
        bars = [_bar(results, spec, method.spec, epoch) for spec in specs]
        x, deviation = 100 * np.array(bars, dtype=float).reshape(-1, 2).T
        y = np.arange(len(specs)) + 0.72 * ((place + 0.5) / count - 0.5)
        _error_bars(axes, style, x, y, xerr=deviation, yerr=None, linestyle="none")
    axes.set_yticks(range(len(specs)), labels=[_wrapped(names[spec]) for spec in specs])
    axes.set_yticks(np.arange(len(specs) - 1) + 0.5, minor=True)
    axes.grid(visible=False, axis="y", which="major")
    axes.grid(visible=True, axis="y", which="minor")
    axes.tick_params(axis="y", which="both", length=0)
    axes.set_ylim(len(specs) - 0.5, -0.5)
    axes.set_xlim(*_limits(results, epoch))
    axes.set_xlabel("test accuracy, %")
    _legend(figure, results)
    return figure


@drawing()
def curves_figure(results: BenchmarkResults, noise: str) -> Figure:
    """Learning curves under one noise spec: test accuracy, and wrong labels fitted below it.

    Where no label is wrong there is no lower panel. Error: `InputError` for an unknown spec.
    """
    column = _column(results, noise)
    cells = [cell for cell in results.cells if cell.noise == noise]
    fitted = any(np.isfinite(_curves([cell], "wrong_fitted")).any() for cell in cells)
    rows = 2 if fitted else 1
    figure = new_figure(height=(3.7 if fitted else 2.6) + _legend_height(results))
    heights = (1.2, 1)[:rows]
    panels = figure.subplots(rows, 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    _draw_curves(panels[0], results, column, "test_accuracy", "-")
    panels[0].set_ylabel("test accuracy, %")
    panels[0].set_ylim(*_curve_limits(results))
    if fitted:
        _draw_curves(panels[1], results, column, "wrong_fitted", "--")
        panels[1].set_ylabel("wrong labels fitted, %")
        panels[1].set_ylim(-3, 103)
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, steps=[1, 2, 5, 10]))
    figure.align_ylabels(list(panels))
    _legend(figure, results)
    return figure


def _draw_curves(
    axes: Axes, results: BenchmarkResults, column: NoiseColumn, name: str, line: str
) -> None:
    styles = method_styles(len(results.methods))
    for place, (method, style) in enumerate(zip(results.methods, styles, strict=True)):
        curves = _curves(results.select(noise=column.spec, method=method.spec), name)
        if not np.isfinite(curves).any():
            continue
        masked = np.ma.masked_invalid(100 * curves)
        mean, deviation = masked.mean(axis=0).filled(np.nan), masked.std(axis=0).filled(np.nan)
        epochs = np.arange(1, len(mean) + 1)
        step = max(len(mean) // 5, 1)
        start = int(step * place / len(styles))
        axes.plot(epochs, mean, color=style.colour, linestyle=line, marker=style.marker,
                  markevery=(start, step), markersize=4)  # fmt: skip
        axes.fill_between(epochs, mean - deviation, mean + deviation, color=style.colour,
                          alpha=0.18, linewidth=0)  # fmt: skip


def _error_bars(
    axes: Axes, style: MethodStyle, x: NDArray[Any], y: NDArray[Any], **options: Any
) -> None:
    """Points with bars where there is a figure."""
    there = np.isfinite(x) & np.isfinite(y)
    for side in ("xerr", "yerr"):
        if options[side] is not None:
            options[side] = options[side][there]
    axes.errorbar(x[there], y[there], color=style.colour, marker=style.marker, capsize=2,
                  elinewidth=1, **options)  # fmt: skip


def _bar(results: BenchmarkResults, noise: str, method: str, epoch: str) -> tuple[float, float]:
    summary = summarise(results.select(noise=noise, method=method), epoch)
    if summary.mean is None or summary.deviation is None:
        return np.nan, np.nan
    return summary.mean, summary.deviation


def _curves(cells: Sequence[CellResult], name: str) -> NDArray[np.float64]:
    """(cells, epochs) one curve of each cell, NaN where there is no value."""
    found = [np.array(cell.curves.get(name) or (), dtype=float) for cell in cells]
    stacked = np.full((len(found), max(map(len, found), default=0)), np.nan)
    for row, curve in zip(stacked, found, strict=True):
        row[: len(curve)] = curve
    return stacked


def _limits(results: BenchmarkResults, epoch: str) -> tuple[float, float]:
    cells = [cell for cell in results.cells if epoch != "selected" or cell.selects]
    return _padded(np.array([cell.accuracy(epoch) for cell in cells], dtype=float))


def _curve_limits(results: BenchmarkResults) -> tuple[float, float]:
    """Limits around all epochs but the first fifth, whose low values would flatten the rest."""
    curves = _curves(results.cells, "test_accuracy")
    return _padded(curves[:, curves.shape[1] // 5 :].ravel())


def _padded(values: NDArray[np.float64]) -> tuple[float, float]:
    """Limits in percent around the finite values, with a margin."""
    finite = 100 * values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 100.0
    margin = max(0.06 * float(np.ptp(finite)), 1.0)
    return float(finite.min()) - margin, min(float(finite.max()) + margin, 101.5)


def _panel(results: BenchmarkResults, height: float) -> tuple[Figure, Axes]:
    figure = new_figure(height=height + _legend_height(results))
    return figure, figure.subplots()


def _legend_height(results: BenchmarkResults) -> float:
    return 0.12 + _LEGEND_LINE * -(-len(results.methods) // _legend_columns(results))


def _legend_columns(results: BenchmarkResults) -> int:
    """Two columns where every name fits into half of the width."""
    return 2 if max(map(len, method_names(results).values()), default=0) <= 22 else 1


def _legend(figure: Figure, results: BenchmarkResults) -> None:
    styles = method_styles(len(results.methods))
    # Matplotlib takes a label with a leading underscore for a private one: the space hides it.
    labels = [f" {one_line(name, 48)}" for name in method_names(results).values()]
    lines = [Line2D([], [], color=s.colour, marker=s.marker, linestyle="-") for s in styles]
    figure.legend(lines, labels, loc="outside lower center", ncols=_legend_columns(results),
                  handlelength=1.8, columnspacing=1.2, borderpad=0.3, labelspacing=0.3)  # fmt: skip


def _column(results: BenchmarkResults, noise: str) -> NoiseColumn:
    for column in results.noises:
        if column.spec == noise:
            return column
    known = did_you_mean(noise, [column.spec for column in results.noises])
    raise InputError("noise", noise, f"not in this benchmark; {known}")


def _wrapped(name: str) -> str:
    """A name on at most two short lines."""
    return "\n".join(wrap(name, 18, max_lines=2, placeholder="…"))
