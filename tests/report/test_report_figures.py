"""The figures: what is drawn where, and that nothing is left behind."""

import io
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image
from report_examples import METHODS, blobs, results, wrong_labels

from mislabel.benchmark.results import BenchmarkResults, summarise
from mislabel.errors import InputError
from mislabel.labels import NoisyLabels
from mislabel.report.embed import png_markup
from mislabel.report.figures import (
    curves_figure,
    dots_figure,
    line_kinds,
    map_figure,
    rate_figure,
    save_figure,
    transition_figure,
)
from mislabel.report.labelling import map_names
from mislabel.report.style import class_colours, method_styles

NAMES = tuple("abcdefghij")


@pytest.fixture(scope="module")
def found() -> BenchmarkResults:
    return results(n=300)


def test_rate_figure_draws_the_means_at_the_realised_rates(found: BenchmarkResults) -> None:
    figure = rate_figure(found, "cluster")
    bars = figure.axes[0].containers
    assert len(bars) == len(METHODS)
    columns = [c for c in found.noises if c.kind in ("clean", "cluster")]
    for container, method in zip(bars, METHODS, strict=True):
        cells = [summarise(found.select(noise=c.spec, method=method.spec)) for c in columns]
        line = container[0]
        assert_allclose(line.get_xdata(), [100 * c.labels.rate for c in columns])
        assert_allclose(line.get_ydata(), [100 * (s.mean or 0) for s in cells])
        [segments] = [part.get_segments() for part in container[2]]
        lengths = [segment[1, 1] - segment[0, 1] for segment in segments]
        assert_allclose(lengths, [200 * (s.deviation or 0) for s in cells], atol=1e-9)


def test_kinds_with_two_rates_get_lines_and_files_do_not() -> None:
    columns = (("clean", 0.0), ("pmd", 0.2), ("cluster", 0.2), ("cluster", 0.4),
               ("file", 0.1), ("file", 0.3))  # fmt: skip
    assert line_kinds(results(columns=columns, n=200)) == ["cluster"]


def test_dots_figure_has_a_row_per_noise(found: BenchmarkResults) -> None:
    figure = dots_figure(found, "best", ["pmd:0.2", "clean"])
    ticks = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert [tick.split("\n")[0] for tick in ticks] == ["PMD noise, type I", "Clean labels"]


def test_curves_figure_shows_what_is_fitted_only_where_labels_are_wrong(
    found: BenchmarkResults,
) -> None:
    assert len(curves_figure(found, "clean").axes) == 1
    upper, lower = curves_figure(found, "cluster:0.4").axes
    cells = found.select(noise="cluster:0.4", method="gce")
    mean = np.mean([c.curves["test_accuracy"] for c in cells], axis=0)
    assert_allclose(upper.lines[1].get_ydata(), 100 * mean)
    assert upper.lines[1].get_linestyle() == "-"
    assert lower.lines[1].get_linestyle() == "--"
    assert_allclose(upper.lines[1].get_xdata(), np.arange(1, 31))


def test_map_figure_draws_right_and_wrong_labels_apart() -> None:
    positions, clean = blobs(200, 10)
    labels = wrong_labels("symmetric", 0.25, positions, clean, 10)
    right, wrong = map_figure(positions, labels, NAMES).axes[0].collections
    assert_allclose(right.get_offsets(), positions[~labels.flipped])
    assert_allclose(wrong.get_offsets(), positions[labels.flipped])
    expected = class_colours(10)[labels.labels[labels.flipped]]
    assert_allclose(wrong.get_facecolors()[:, :3], expected)  # type: ignore[attr-defined]


def test_map_figure_writes_names_when_asked() -> None:
    positions, clean = blobs(200, 10)
    labels = NoisyLabels(clean, clean_labels=clean)
    axes = map_figure(positions, labels, NAMES, names=True).axes[0]
    assert [text.get_text() for text in axes.texts] == list(NAMES)


def test_a_name_that_the_font_cannot_write_becomes_the_number_of_its_class() -> None:
    assert map_names(("café", "学習", "")) == ["café", "1", "2"]


def test_a_map_of_the_wrong_size_is_an_input_error() -> None:
    labels = NoisyLabels([0, 1, 1], clean_labels=[0, 1, 0])
    with pytest.raises(InputError, match=r"must be \(3, 2\), one position per label"):
        map_figure(np.zeros((2, 2)), labels, ("a", "b"))


def test_a_map_of_fifty_thousand_points_stays_small() -> None:
    positions, clean = blobs(50_000, 10)
    labels = wrong_labels("symmetric", 0.4, positions, clean, 10)
    assert len(png_markup(map_figure(positions, labels, NAMES), alt="map")) < 400_000


def test_transition_figure_writes_the_shares() -> None:
    labels = NoisyLabels([0, 0, 0, 1, 1, 0], clean_labels=[0, 0, 0, 0, 1, 1], n_classes=3)
    heat, bars = transition_figure(labels, ("a", "b", "c")).axes
    shown = {text.get_position(): text.get_text() for text in heat.texts}
    assert shown == {(0, 0): "75", (1, 0): "25", (0, 1): "50", (1, 1): "50"}
    assert [text.get_text() for text in bars.texts] == ["25", "50"]


def test_unknown_names_are_input_errors(found: BenchmarkResults) -> None:
    with pytest.raises(InputError, match=r"kind='clutser'.*did you mean 'cluster'"):
        rate_figure(found, "clutser")
    with pytest.raises(InputError, match=r"noise='pmd:0.3'.*did you mean 'pmd:0.[24]'"):
        curves_figure(found, "pmd:0.3")
    with pytest.raises(InputError, match="epoch='first'"):
        dots_figure(found, "first")


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_saved_figures_are_the_same_each_time(
    suffix: str, found: BenchmarkResults, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{name}.{suffix}" for name in "ab"]
    for path in paths:
        assert save_figure(rate_figure(found, "pmd"), path) == path
    assert paths[0].read_bytes() == paths[1].read_bytes()
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert paths[0].read_bytes().startswith(start)


def test_other_suffixes_are_refused(found: BenchmarkResults, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.png, \.svg or \.pdf"):
        save_figure(rate_figure(found, "pmd"), tmp_path / "figure.gif")


def test_a_figure_of_a_picture_has_the_width_it_says() -> None:
    positions, clean = blobs(100, 10)
    markup = png_markup(map_figure(positions, NoisyLabels(clean), NAMES), alt='a "map"')
    assert 'width="380" height="380"' in markup
    assert 'alt="a &#34;map&#34;"' in markup
    import base64

    data = base64.b64decode(markup.split("base64,")[1].split('"')[0])
    assert Image.open(io.BytesIO(data)).size == (760, 760)


def test_settings_of_the_user_stay_and_do_not_count(
    found: BenchmarkResults, tmp_path: Path
) -> None:
    plain = save_figure(rate_figure(found, "pmd"), tmp_path / "plain.svg").read_bytes()
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        before = dict(matplotlib.rcParams)
        loud = save_figure(rate_figure(found, "pmd"), tmp_path / "loud.svg").read_bytes()
        assert dict(matplotlib.rcParams) == before
    assert loud == plain


def test_no_figure_stays_open(found: BenchmarkResults, tmp_path: Path) -> None:
    import matplotlib.pyplot as plt

    save_figure(curves_figure(found, "clean"), tmp_path / "curves.png")
    assert plt.get_fignums() == []


def test_method_styles_do_not_repeat() -> None:
    styles = method_styles(315)
    assert len(set(styles)) == 315


@pytest.mark.parametrize("n_classes", [1, 2, 10, 11, 100])
def test_class_colours_are_colours_and_differ(n_classes: int) -> None:
    colours = class_colours(n_classes)
    assert colours.shape == (n_classes, 3)
    assert ((colours >= 0) & (colours <= 1)).all()
    assert len(np.unique(colours, axis=0)) == n_classes
