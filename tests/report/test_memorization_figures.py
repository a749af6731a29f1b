"""The study's figures: what is drawn where, worked by hand on a few examples."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from memorization_examples import drawn, scores
from mislabel.errors import InputError
from mislabel.memorization import MemorizationScores
from mislabel.report.figures import save_figure
from mislabel.report.memorization_figures import (
    BINS,
    closest_figure,
    closest_together,
    groups,
    histogram_figure,
    learned_map_figure,
    scatter_figure,
)
from mislabel.report.style import class_colours

LABELS: dict[str, Any] = {"labels": [1, 2, 1, 0], "clean_labels": [0, 0, 1, 0]}
PLACES = np.array([[0, 0], [1, 0], [2, 2], [5, 1]], dtype=np.float32)
IMAGES = (np.arange(4 * 3 * 3, dtype=np.uint8) * 7).reshape(4, 3, 3, 1)


def four(**more: Any) -> MemorizationScores:
    """Labels 0 and 1 are wrong, 0 is learned, 1 is memorized."""
    return scores([1, 1, 0.9, 0.5], [0.8, 0, 0.9, np.nan], **(LABELS | more))


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_groups_are_wrong_and_right_labels_or_all() -> None:
    assert [(name, mask.tolist()) for name, mask in groups(four())] == [
        ("wrong", [True, True, False, False]),
        ("right", [False, False, True, True]),
    ]
    assert [name for name, _ in groups(four(clean_labels=None))] == ["all"]


def test_histograms_share_bins_and_axis() -> None:
    """Memorization 0.2 and 1 of wrong, 0 of right labels in the one; -0.5 to 1 in the other."""
    other = scores([0, 0.5], [0.5, 0], labels=[1, 0], clean_labels=[0, 0])
    figure = histogram_figure([("human", four()), ("synthetic", other)])
    first, second = figure.axes
    assert first.get_ylim() == second.get_ylim()
    wrong, right = first.patches
    values, edges, _ = wrong.get_data()  # type: ignore[attr-defined]
    assert_allclose(edges, np.linspace(-0.5, 1, BINS + 1))
    assert_allclose(values[[9, 19]], 50)  # 0.175 to 0.25, and the last
    assert values.sum() == pytest.approx(100)
    shares = right.get_data()[0]  # type: ignore[attr-defined]
    assert shares[6] == pytest.approx(100) and shares.sum() == pytest.approx(100)
    assert wrong.get_hatch() and not right.get_hatch()
    legend = first.get_legend()
    assert legend is not None and legend.get_title().get_text() == "human"
    assert [text.get_text() for text in legend.get_texts()] == ["wrong (2)", "right (1)"]


@pytest.mark.parametrize(
    "values", [([], []), ([np.nan] * 3, [0.1] * 3), ([0.5] * 3, [0.5] * 3)], ids=["0", "nan", "one"]
)
def test_histograms_and_scatters_of_next_to_nothing(values: tuple[Any, Any]) -> None:
    n = len(values[0])
    whole = drawn(3) if not n else scores(*values, labels=[0] * n, clean_labels=[0] * n)
    found = whole.select(np.arange(n))
    for figure in (histogram_figure([("x", found)]), scatter_figure([("x", found)])):
        figure.canvas.draw()


def test_scatter_has_a_row_per_group_and_a_column_per_study() -> None:
    figure = scatter_figure([("human", four()), ("synthetic", drawn(30))])
    assert len(figure.axes) == 4
    wrong, _, right, _ = figure.axes
    assert_allclose(wrong.collections[0].get_offsets(), [[1, 0.8], [1, 0]])
    assert_allclose(right.collections[0].get_offsets(), [[0.9, 0.9]])  # the other is unknown
    assert texts(wrong) == ["1 inside", "wrong labels (2)"]
    assert texts(right) == ["1 inside", "right labels (1)"]
    assert (wrong.get_title(), right.get_xlabel()) == ("human", "inclusion probability")
    assert wrong.get_ylabel() == "exclusion probability"
    markers = [axes.collections[0].get_paths()[0] for axes in (wrong, right)]
    assert len(markers[0]) != len(markers[1])


def test_scatter_of_one_file_and_of_unknown_clean_labels() -> None:
    assert len(scatter_figure([("x", four())]).axes) == 2
    mixed = scatter_figure([("x", four()), ("y", four(clean_labels=None))])
    assert [axes.axison for axes in mixed.axes] == [True, True, True, False]


def test_the_threshold_is_where_the_corner_is() -> None:
    axes = scatter_figure([("x", four())], threshold=0.9).axes[0]
    [corner] = axes.patches
    assert corner.get_xy() == (0.9, 0.9)  # type: ignore[attr-defined]
    assert texts(axes)[0] == "0 inside"


def test_map_rings_the_incorrect_learned_in_the_colour_of_their_label() -> None:
    clean = np.array([0, 0, 1, 0])
    axes = learned_map_figure(four(), PLACES, clean_labels=clean).axes[0]
    points, halo, rings = axes.collections
    assert_allclose(points.get_offsets(), PLACES)
    colours = class_colours(3)
    assert_allclose(points.get_facecolors()[:, :3], colours[clean])  # type: ignore[attr-defined]
    assert_allclose(rings.get_offsets(), PLACES[:1])
    assert_allclose(halo.get_offsets(), PLACES[:1])
    assert_allclose(rings.get_facecolors()[:, :3], colours[[1]])  # type: ignore[attr-defined]
    assert texts(axes)[:2] == ["ant", "bee"]
    assert texts(axes)[-1] == "ringed: 1 incorrect learned, filled as labelled"


def test_map_without_data_shows_the_scored_examples() -> None:
    some = four().select(np.array([0, 2]))
    axes = learned_map_figure(some, PLACES).axes[0]
    assert_allclose(axes.collections[0].get_offsets(), PLACES[[0, 2]])
    assert_allclose(axes.collections[2].get_offsets(), PLACES[:1])


def test_map_with_nothing_to_ring_says_so() -> None:
    axes = learned_map_figure(four(), PLACES, threshold=0.9).axes[0]
    assert texts(axes)[-1] == "no incorrect learned label at threshold 0.9"


def plain_closest(points: Any, count: int) -> list[int]:
    """Places by their sum of distances to all others, one by one."""
    sums = []
    for x, y in points:
        distances = [float(np.hypot(x - u, y - v)) for u, v in points]
        sums.append(sum(distances))
    return sorted(range(len(sums)), key=lambda place: (sums[place], place))[:count]


def test_closest_together_worked_by_hand() -> None:
    """On a line at 0, 1, 2, 10: sums of 13, 11, 11 and 27."""
    line = np.array([[0, 0], [1, 0], [2, 0], [10, 0]])
    assert closest_together(line, 3).tolist() == [1, 2, 0]
    assert closest_together(line[:0], 3).tolist() == []


def test_closest_together_equals_its_plain_twin() -> None:
    points = np.random.default_rng(0).normal(size=(40, 2))
    assert closest_together(points, 10).tolist() == plain_closest(points, 10)


def twelve() -> MemorizationScores:
    """All of clean class 0, and learned with label 1 or, every third, 2."""
    labels = np.where(np.arange(12) % 3 == 0, 2, 1)
    return scores([1] * 12, [1] * 12, labels=labels, clean_labels=[0] * 12)


def test_closest_figure_shows_ten_titled_as_labelled() -> None:
    places = np.column_stack([np.arange(12.0) ** 2, np.zeros(12)])
    images = np.arange(12 * 2 * 2 * 3, dtype=np.uint8).reshape(12, 2, 2, 3)
    figure = closest_figure(twelve(), places, images)
    order = plain_closest(places, 10)
    assert [axes.get_title() for axes in figure.axes] == [
        "cat" if place % 3 == 0 else "bee" for place in order
    ]
    for axes, place in zip(figure.axes, order, strict=True):
        assert_allclose(axes.images[0].get_array(), images[place])
    assert figure.get_suptitle() == "ant: the 10 closest together of 12 incorrect learned"


def test_closest_figure_of_fewer_and_of_none() -> None:
    figure = closest_figure(four(), PLACES, IMAGES)
    assert [axes.get_title() for axes in figure.axes] == ["bee"]
    assert_allclose(figure.axes[0].images[0].get_array(), IMAGES[0, ..., 0])
    none = closest_figure(four(), PLACES, IMAGES, name="cat")
    assert none.get_suptitle() == "cat: no incorrect learned label at threshold 0.6"
    none.canvas.draw()


def test_figures_of_other_places_or_classes_are_input_errors() -> None:
    for draw in (learned_map_figure, lambda *a: closest_figure(*a, IMAGES)):
        with pytest.raises(InputError, match=r"must be \(4, 2\), one position per training"):
            draw(four(), PLACES[:3])
    with pytest.raises(InputError, match=r"class='ent': unknown class; did you mean 'ant'\?"):
        closest_figure(four(), PLACES, IMAGES, name="ent")


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_saved_figures_are_the_same_each_time_and_embed_fonts(suffix: str, tmp_path: Path) -> None:
    hostile = four(class_names=("$x_", "<b>", "\x1b[31m"))
    whole = drawn(40, seed=2)

    def draw() -> list[Any]:
        return [
            histogram_figure([("$a_b$", whole)]),
            scatter_figure([("<i>", whole)]),
            learned_map_figure(hostile, PLACES),
            closest_figure(hostile, PLACES, IMAGES),
        ]

    for number, (one, other) in enumerate(zip(draw(), draw(), strict=True)):
        paths = [tmp_path / f"{number}{name}.{suffix}" for name in "ab"]
        save_figure(one, paths[0])
        save_figure(other, paths[1])
        content = paths[0].read_bytes()
        assert content == paths[1].read_bytes()
        if suffix == "pdf":
            assert b"/FontFile2" in content and b"/Type3" not in content
            assert b"CreationDate" not in content
