"""What the figures of a stress test draw: means, intervals, names, and nothing where nothing is."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from numpy.testing import assert_allclose
from stress_examples import stress_results

from mislabel.report.embed import svg_markup
from mislabel.report.stress_figures import (
    MOST_CLASSES,
    curve_families,
    fitted_subjects,
    has_classes,
    stress_class_figure,
    stress_fitted_figure,
    stress_loss_figure,
    stress_rate_figure,
)
from mislabel.report.style import METHOD_COLOURS
from mislabel.stress.results import StressResults
from mislabel.stress.summary import drop_interval, metric_interval

YOURS = {
    "clean": [0.9, 0.92, 0.91],
    "symmetric:0.2": [0.8, 0.83, 0.81],
    "symmetric:0.4": [0.6, 0.66, "killed"],
    "pmd:0.2": [0.7, 0.72, 0.71],
}
SNLS = {"clean": [0.88, 0.9, 0.89], "symmetric:0.2": [0.86, 0.88, 0.87], "pmd:0.2": ["no"] * 3}


def results(**changes: Any) -> StressResults:
    return stress_results(YOURS, {"snls": SNLS}, **changes)


def drawn(axes: Axes) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of every subject: x, y and the bars' ends, (points, 2, 2)."""
    found = []
    for container in axes.containers:
        assert isinstance(container, ErrorbarContainer)
        line, _, bars = container
        assert line is not None
        ends = np.array(bars[0].get_segments()).reshape(-1, 2, 2)
        x, y = (np.asarray(data, dtype=float) for data in line.get_data())
        found.append((x, y, ends))
    return found


def legend(figure: Figure) -> list[str]:
    [box] = figure.legends
    return [text.get_text().strip() for text in box.get_texts()]


def test_rate_figure_draws_means_and_intervals() -> None:
    found = results()
    figure = stress_rate_figure(found, "symmetric")
    [axes] = figure.axes
    (x, y, bars), (x_snls, _, _) = drawn(axes)
    assert_allclose(x, [0, 20, 40])
    assert_allclose(x_snls, [0, 20])  # nothing at 40 %
    for place, noise in enumerate(["clean", "symmetric:0.2", "symmetric:0.4"]):
        twin = metric_interval(found, noise)
        assert_allclose(y[place], 100 * twin.mean)
        assert_allclose(bars[place, :, 1], [100 * twin.low, 100 * twin.high])
    assert axes.get_ylabel() == "accuracy, %"
    assert legend(figure) == ["Your code", "Snls"]
    assert axes.containers[0][0].get_color() == METHOD_COLOURS[0]


def test_families_of_one_rate_have_no_line() -> None:
    assert curve_families(results()) == ["symmetric"]


def test_axes_of_rates_are_shared_and_hold_every_mean() -> None:
    found = stress_results({**YOURS, "pmd:0.4": [0.3, 0.32, 0.1]}, {"snls": SNLS})
    axes = [stress_rate_figure(found, name).axes[0] for name in ("symmetric", "pmd")]
    assert axes[0].get_ylim() == axes[1].get_ylim()
    assert axes[0].get_xlim() == axes[1].get_xlim()
    low, high = axes[0].get_ylim()
    assert low < 24 and high > 91
    assert low >= 0 - 1.5 and high <= 101.5


def test_loss_figure_draws_a_row_per_noise() -> None:
    found = results()
    figure = stress_loss_figure(found)
    [axes] = figure.axes
    (x, y, bars), (x_snls, y_snls, _) = drawn(axes)
    specs = ["symmetric:0.2", "symmetric:0.4", "pmd:0.2"]
    twins = [drop_interval(found, spec) for spec in specs]
    assert_allclose(x, [100 * twin.mean for twin in twins])
    assert_allclose(bars[:, :, 0], [[100 * t.low, 100 * t.high] for t in twins])
    assert (np.round(y).tolist(), np.round(y_snls).tolist()) == ([0, 1, 2], [0])
    assert_allclose(x_snls, [2.0])
    names = [tick.get_text().replace("\n", " ") for tick in axes.get_yticklabels()]
    assert [name.replace("\xa0", " ") for name in names] == [
        "Symmetric at 20 %",
        "Symmetric at 40 %",
        "PMD at 20 %",
    ]
    low, high = axes.get_xlim()
    assert low < 0 < 30 < high
    assert axes.get_xlabel() == "loss, points"


def test_one_seed_has_no_bars() -> None:
    found = stress_results({"clean": [0.9], "pmd:0.2": [0.7], "pmd:0.4": [0.5]})
    for figure in (stress_loss_figure(found), stress_rate_figure(found, "pmd")):
        [(_, _, bars)] = drawn(figure.axes[0])
        assert_allclose(bars[:, 0], bars[:, 1])


def test_other_metrics_are_plain_numbers() -> None:
    found = stress_results(
        {"clean": [1.0, 1.2], "pmd:0.2": [1.5, 1.8], "pmd:0.4": [2.0, 2.2]},
        metric="log_loss",
        lower_is_better=True,
    )
    rates, losses = stress_rate_figure(found, "pmd").axes[0], stress_loss_figure(found).axes[0]
    assert rates.get_ylabel() == "log_loss"
    assert losses.get_xlabel() == "loss of log_loss"
    assert_allclose(drawn(rates)[0][1], [1.1, 1.65, 2.1])
    assert_allclose(drawn(losses)[0][0], [0.55, 1.0])


@pytest.mark.parametrize("seeds", [1, 2])
def test_long_bars_leave_the_axis_to_the_means(seeds: int) -> None:
    """Two seeds have intervals 13 deviations wide, here from -100 % to 250 %."""
    found = stress_results({"clean": [0.9, 0.4][:seeds], "pmd:0.2": [0.7, 0.9][:seeds],
                            "pmd:0.4": [0.6, 0.9][:seeds]})  # fmt: skip
    low, high = stress_rate_figure(found, "pmd").axes[0].get_ylim()
    means = [100 * metric_interval(found, noise.spec).mean for noise in found.noises]
    assert low < min(means) and max(means) < high
    assert high - low < 4 * max(max(means) - min(means), 2)


def test_class_figure_shows_points_lost() -> None:
    found = stress_results(YOURS, class_losses=[0.0, 0.2, -0.2])
    figure = stress_class_figure(found)
    [axes] = figure.axes
    values = np.array([text.get_text().replace("−", "-") for text in axes.texts], dtype=float)
    twin = np.array([[10, 28, 20], [30, 48, 40], [-10, 8, 0]])
    assert_allclose(values.reshape(3, 3), twin)
    assert [tick.get_text().strip() for tick in axes.get_yticklabels()] == ["cat", "dog", "owl"]
    assert has_classes(found)


def test_of_many_classes_those_that_lose_most_are_drawn() -> None:
    names = [f"class {k}" for k in range(40)]
    losses = [0.01 * (k % 37) for k in range(40)]
    found = stress_results(
        {"clean": [0.9], "pmd:0.2": [0.8]}, class_names=names, class_losses=losses
    )
    labels = stress_class_figure(found).axes[0].get_yticklabels()
    twin = sorted(range(40), key=lambda k: (-losses[k], k))[:MOST_CLASSES]
    assert [label.get_text().strip() for label in labels] == [f"class {k}" for k in sorted(twin)]


def test_classes_without_predictions() -> None:
    assert not has_classes(stress_results({"clean": [0.9], "pmd:0.2": ["no"]}))
    assert not has_classes(stress_results({"clean": [0.9]}))


def test_fitted_figure_has_a_line_per_family() -> None:
    rows = {spec: [{"accuracy": 0.8, "wrong_fitted": share}] for spec, share in
            (("symmetric:0.2", 0.3), ("symmetric:0.4", 0.5), ("pmd:0.2", 0.9))}  # fmt: skip
    found = stress_results({"clean": [0.9], **rows}, {"snls": SNLS})
    assert fitted_subjects(found) == ["yours"]
    figure = stress_fitted_figure(found)
    lines = drawn(figure.axes[0])
    shift = 0.5 * 0.012 * 40  # families stand beside each other
    assert_allclose(
        np.concatenate([line[0] for line in lines]), [20 - shift, 40 - shift, 20 + shift]
    )
    assert_allclose(np.concatenate([line[1] for line in lines]), [30, 50, 90])
    assert legend(figure) == ["Symmetric", "PMD"]


def all_figures(found: StressResults, families: Sequence[str]) -> list[Figure]:
    lines = [stress_rate_figure(found, family) for family in families]
    return [stress_loss_figure(found), *lines, stress_class_figure(found)]


def test_figures_of_a_test_without_any_figure() -> None:
    empty = stress_results({"clean": ["no"], "pmd:0.2": ["no"], "pmd:0.4": [None]}, seeds=[1])
    for figure in all_figures(empty, ["pmd"]):
        assert "<svg" in svg_markup(figure, ident="x", alt="nothing")


def test_hostile_names_are_escaped_and_not_numbers_are_left_out() -> None:
    names = ("<script>alert(1)</script>", "$x_1$", "_a\x1b[31m")
    found = stress_results({**YOURS, "pmd:0.4": [math.nan] * 3}, class_names=names)
    for number, figure in enumerate(all_figures(found, ["pmd"])):
        text = svg_markup(figure, ident=f"f{number}", alt="<b>")
        assert "<script" not in text and "\x1b" not in text
    assert "&lt;script&gt;al" in svg_markup(stress_class_figure(found), ident="x", alt="")
