"""The pages of agreement and of examples: complete in themselves, and safe with any name."""

import base64
import io
import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from memorization_examples import drawn, scores
from mislabel.memorization import MemorizationScores, compare
from mislabel.memorization.suspects import find_suspects
from mislabel.report import memorization_agreement
from mislabel.report.memorization_agreement import (
    FEW_POINTS,
    agreement_figure,
    render_agreement_page,
)
from mislabel.report.memorization_list import SIDE, image_markup, render_list_page
from mislabel.report.memorization_tables import agreement_rows
from page_reader import Page, check_self_contained

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "\x1b[31m\u202ered")
LABELS: dict[str, Any] = {"labels": [1, 2, 1, 0], "clean_labels": [0, 0, 1, 0]}
LINE = np.arange(4, dtype=np.float32)[:, None] ** 1.5
"Features on a line with growing gaps, so that the left one of two neighbours is nearer."
IMAGES = (np.arange(4 * 8 * 8, dtype=np.uint8)).reshape(4, 8, 8, 1)


def four(**more: Any) -> MemorizationScores:
    """Labels 0 and 1 are wrong, 0 is learned, 1 is memorized."""
    return scores([1, 1, 0.9, 0.5], [0.8, 0, 0.9, np.nan], **(LABELS | more))


def test_agreement_page_has_a_row_per_score_and_group() -> None:
    a, b = drawn(60, seed=1), drawn(60, seed=2)
    found = compare(a, b, bootstrap=20)
    page = check_self_contained(render_agreement_page(a, b, found))
    assert page.count("tr") == 1 + 9 and page.count("img") == 3
    for row in agreement_rows(found):
        assert " ".join(row) in page.text
    assert "60 of 60 training examples have both" in page.text
    assert "from split halves of both" in page.text


def test_rows_worked_by_hand() -> None:
    a = scores([0.1, 0.2, 0.3], [0.5] * 3, inclusion_halves=np.array([[1, 2, 3.0], [2, 1, 3.0]]))
    rows = agreement_rows(compare(a, scores([0.3, 0.2, 0.4], [0.5] * 3), bootstrap=0))
    dash = "–"
    assert rows[0] == (
        "inclusion", "all", "3", "0.500", dash, dash, "0.816", "61 %", "0.200", "0.300",
    )  # fmt: skip
    assert rows[1] == (
        "exclusion", "all", "3", dash, dash, dash, dash, dash, "0.500", "0.500",
    )  # fmt: skip


def test_agreement_page_says_which_side_has_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memorization_agreement, "_picture", lambda *_: "")
    bare = scores([0.1, 0.2, 0.9], [0.1, 0.3, 0.2])
    halves = scores([0.1, 0.2, 0.9], [0.1, 0.3, 0.2], inclusion_halves=np.zeros((2, 3)))
    for a, b, words in (
        (bare, bare, "neither estimate has any"),
        (halves, bare, "of A alone"),
        (bare, halves, "of B alone"),
    ):
        assert words in Page(render_agreement_page(a, b, compare(a, b, bootstrap=0))).text


def test_agreement_page_with_hostile_titles_is_the_same_each_time() -> None:
    a, b = (scores([0.1, 0.2, 0.9], [0.1, 0.3, 0.2], title=HOSTILE[k]) for k in (0, 2))
    found = compare(a, b, bootstrap=0)
    text = render_agreement_page(a, b, found)
    assert text == render_agreement_page(a, b, found)
    assert HOSTILE[0] in check_self_contained(text).text
    assert "\\x1b[31m\\u202ered" in text


def test_agreement_figure_draws_shared_examples_by_group() -> None:
    a, b = drawn(60, seed=1), drawn(60, seed=2)
    figure = agreement_figure(a.select(np.arange(40)), b.select(np.arange(10, 60)), "inclusion")
    everything, wrong, right = figure.axes
    assert_allclose(everything.collections[0].get_offsets()[:, 0], a.inclusion[10:40])
    assert_allclose(everything.collections[0].get_offsets()[:, 1], b.inclusion[10:40])
    chosen = a.inclusion[10:40][a.wrong[10:40]]
    assert_allclose(wrong.collections[0].get_offsets()[:, 0], chosen)
    assert right.get_title() == "right labels"
    assert (wrong.get_xlabel(), everything.get_ylabel()) == ("made up", "made up")


def test_axes_begin_at_a_tenth_below_the_lowest_value() -> None:
    a, b = scores([0.5, 0.9], [0.75, 0.1]), scores([0.5, 1.0], [0.5, 0.0])
    for score, low in (("memorization", -0.3), ("inclusion", 0.0)):
        axes = agreement_figure(a, b, score).axes[0]
        pad = 0.02 * (1 - low)
        assert_allclose([axes.get_xlim(), axes.get_ylim()], [(low - pad, 1 + pad)] * 2)


def test_many_examples_are_counted_in_hexagons() -> None:
    n = FEW_POINTS + 3
    a, b = drawn(n, seed=1), drawn(n, seed=2)
    hexagons = agreement_figure(a, b, "memorization").axes[0].collections[0]
    counts = hexagons.get_array()
    assert counts is not None and counts.sum() == n - 2  # two were never held out
    few = agreement_figure(a.select(np.arange(n - 1)), b, "memorization").axes[0]
    assert few.collections[0].get_array() is None


def test_list_page_shows_each_example_with_its_neighbours() -> None:
    known = {name: np.full(4, 0.031) for name in ("inclusion_error", "exclusion_error")}
    found = find_suspects(four(**known), features=LINE, labels=np.zeros(4, np.int64),
                          neighbors=2)  # fmt: skip
    page = check_self_contained(render_list_page(found, images=IMAGES))
    assert page.count("img") == 2 * (1 + 2)
    assert "cat as labelled · no. 1" in page.text and "bee as labelled · no. 0" in page.text
    assert "clean ant" in page.text
    assert "suggested bee (100 %; as labelled 0 %)" in page.text  # 1: neighbours 0 and 2
    assert "inclusion 1.00 ± 0.03" in page.text and "memorization 1.00 ± 0.04" in page.text
    assert page.text.count("1 of 1.") == 2
    titles = [found.get("title") for tag, found in page.tags if tag == "li" and "title" in found]
    assert titles == ["no. 0", "no. 2", "no. 1", "no. 2"]


def test_list_page_without_images_and_without_examples() -> None:
    found = find_suspects(four(), features=LINE, labels=np.zeros(4, np.int64), neighbors=2)
    page = check_self_contained(render_list_page(found))
    assert page.count("img") == 0 and page.text.count("no. 1") == 1
    nothing = check_self_contained(render_list_page(find_suspects(four(), threshold=0.99)))
    assert nothing.text.count("There is none.") == 1  # memorization 1 remains
    unknown = render_list_page(find_suspects(four(clean_labels=None)))
    assert "Neither clean nor suggested labels are known" in unknown


def test_class_names_with_markup_are_shown_as_text() -> None:
    named = four(class_names=HOSTILE, title=HOSTILE[1])
    found = find_suspects(named, features=LINE, labels=np.zeros(4, np.int64), neighbors=3)
    text = render_list_page(found, images=IMAGES)
    page = check_self_contained(text)
    assert (
        HOSTILE[0] in page.text and HOSTILE[1] in page.text and "\\x1b[31m\\u202ered" in page.text
    )
    assert text == render_list_page(found, images=IMAGES)


def test_images_of_a_subset_are_found_by_position() -> None:
    found = find_suspects(four(), top=1)
    text = render_list_page(found, images=IMAGES[[0, 1]], positions=np.array([0, 1]))
    pictures = re.findall(r'base64,([^"]+)" alt="Example (\d)"', text)
    assert [number for _, number in pictures] == ["1", "0"]
    for data, number in pictures:
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert_allclose(shown, IMAGES[int(number), ..., 0])


@pytest.mark.parametrize(
    ("shape", "size", "mode"),
    [
        ((8, 6, 1), (6, 8), "L"),
        ((8, 6, 3), (6, 8), "RGB"),
        ((8, 6, 4), (6, 8), "RGBA"),
        ((8, 6, 2), (6, 8), "L"),
        ((4 * SIDE, 2 * SIDE, 3), (SIDE // 2, SIDE), "RGB"),
    ],
)
def test_images_of_any_form_become_small_pngs(
    shape: tuple[int, ...], size: tuple[int, int], mode: str
) -> None:
    markup = str(image_markup(np.zeros(shape, np.uint8), alt='a "b"'))
    data = base64.b64decode(markup.split("base64,")[1].split('"')[0])
    image = Image.open(io.BytesIO(data))
    assert (image.size, image.mode) == (size, mode)
    assert 'alt="a &#34;b&#34;"' in markup
