"""The page of cleaned labels and its figures: complete in itself, and safe with any name."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from cleaned_examples import C, N, by_hand, cleaned, points, undetermined
from mislabel.errors import InputError
from mislabel.report import cleaning_page
from mislabel.report.cleaning_figures import (
    FEWEST,
    change_figure,
    cleaned_map_figure,
    reliability,
    reliability_figure,
    score_figure,
)
from mislabel.report.cleaning_page import (
    headlines,
    known_facts,
    render_cleaning_page,
    write_cleaning_page,
)
from page_reader import Page, check_self_contained

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "\x1b[31m\u202ered")


def images() -> np.ndarray[Any, np.dtype[np.uint8]]:
    return (np.arange(N * 16) % 256).astype(np.uint8).reshape(N, 4, 4, 1)


def test_all_parts() -> None:
    text = render_cleaning_page(
        cleaned(), data="clouds", positions=points(), images=images(), command="mislabel clean"
    )
    page = check_self_contained(text)
    assert page.sections() == ["verdict", "map", "changes", "scores", "examples", "receipts"]
    assert "30 of 300 labels change (10.0 %)." in page.text
    assert page.count("img") == 2 + 30 and page.count("svg") == 3
    assert page.count("tr") == 1 + 3  # three kinds of changes
    assert "clouds: 300 labels, 3 classes." in page.text
    assert "mislabel clean" in page.text and '"stability"' in page.text
    assert '"noise_matrix"' not in page.text


def test_without_map_images_and_clean_labels() -> None:
    page = check_self_contained(render_cleaning_page(cleaned(known=False)))
    assert page.sections() == ["verdict", "changes", "scores", "examples", "receipts"]
    assert page.count("img") == 0 and page.count("svg") == 2
    assert "Known" not in page.text and "clean label " not in page.text


def test_what_is_not_determined_is_said_first() -> None:
    page = check_self_contained(render_cleaning_page(undetermined(), positions=points()))
    assert page.sections() == ["verdict", "map", "scores", "receipts"]
    verdict = page.text.partition("Verdict Map")[2]
    assert "These labels do not determine the classes (stability 0." in verdict
    assert "labels are left as they are. What to do: try features" in page.text
    assert "No label changes." in page.text and page.count("img") == 2
    assert "noise rate" not in page.text.partition("Receipts Method")[0]


def test_headlines_by_hand() -> None:
    assert headlines(by_hand()) == [
        "2 of 4 labels change (50.0 %).",
        "Estimated noise rate 50.0 % (the mean noise score). "
        "Kind of noise amid the classes: scattered 25.0 %, in patches 0.0 %.",
        "Most frequent: a to b (1) and b to a (1).",
        "The labels determine the classes (stability 0.95).",
    ]
    kept = by_hand(corrected_labels=by_hand().labels)
    assert headlines(kept)[0] == "None of 4 labels changes." and len(headlines(kept)) == 3


def test_known_facts_by_hand() -> None:
    quality = by_hand().quality()
    assert quality is not None
    shown = [figure for _, figure in known_facts(quality)]
    assert shown == ["50.0 %", "50.0 %", "50.0 %", "50.0 %", "0.750", "0.691"]
    nothing = dataclasses.replace(quality, precision=None, recall=None, auc=None)
    assert [figure for _, figure in known_facts(nothing)].count("–") == 3


def test_hostile_names_are_text() -> None:
    page = check_self_contained(
        render_cleaning_page(
            dataclasses.replace(cleaned(), class_names=HOSTILE),
            data=HOSTILE[0],
            positions=points(),
            command=HOSTILE[1],
        )
    )
    assert HOSTILE[0] in page.text and "\\x1b[31m\\u202ered" in page.text


def test_long_lists_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning_page, "CARDS", 4)
    monkeypatch.setattr(cleaning_page, "ROWS", 2)
    page = Page(render_cleaning_page(cleaned()))
    assert page.count("tr") == 1 + 2 and "The 2 most frequent of 3 kinds." in page.text
    assert "4 of 30 changed labels, the highest noise scores first." in page.text


def test_many_classes_have_no_key() -> None:
    many = dataclasses.replace(
        cleaned(known=False),
        class_names=tuple(map(str, range(40))),
        targets=np.pad(cleaned().targets, ((0, 0), (0, 40 - C))),
    )
    text = render_cleaning_page(many, positions=points())
    page = Page(text)
    assert page.count("img") == 2 and 'class="key"' not in text
    [matrix] = [attributes["href"] for tag, attributes in page.tags if tag == "image"]
    assert str(matrix).startswith("data:image/png;base64,")


def test_a_page_is_written(tmp_path: Any) -> None:
    path = write_cleaning_page(by_hand(), tmp_path / "new" / "page.html")
    assert "2 of 4 labels change" in check_self_contained(path.read_text()).text


def test_what_does_not_go_with_the_labels() -> None:
    with pytest.raises(InputError, match="map="):
        render_cleaning_page(cleaned(), positions=points()[1:])
    for wrong in (images()[1:], images()[..., 0]):
        with pytest.raises(InputError, match=r"images=.*must be \(300, height, width, channels"):
            render_cleaning_page(cleaned(), images=wrong)
    with pytest.raises(InputError, match="clean_labels=None"):
        reliability_figure(cleaned(known=False))


def words(figure: Figure) -> set[str]:
    return {text.get_text() for axes in figure.axes for text in axes.texts}


def test_matrix_shows_shares_of_the_labels_as_given() -> None:
    figure = change_figure(cleaned())
    heat, bars = figure.axes
    assert (heat.get_xlabel(), heat.get_ylabel()) == ("corrected label", "label as given")
    assert bars.get_xlabel() == "changed, %"
    assert words(figure) == {"90", "10"}


def test_map_marks_changed_labels() -> None:
    for corrected in (False, True):
        [axes] = cleaned_map_figure(cleaned(), points(), corrected=corrected).axes
        kept, changed = axes.collections
        assert (len(kept.get_offsets()), len(changed.get_offsets())) == (270, 30)
        assert_allclose(changed.get_offsets(), points()[::10])


def test_histogram_counts_kept_and_changed() -> None:
    axes = score_figure(cleaned()).axes[0]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["kept (270)", "changed (30)"]
    totals = [patch.get_data().values.sum() for patch in axes.patches]
    assert totals == [270, 30]


def test_reliability_against_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    stated = np.r_[rng.uniform(size=200), np.ones(FEWEST), np.full(FEWEST, 0.35)]
    true = rng.uniform(size=len(stated)) < stated
    bins: list[list[int]] = [[] for _ in range(10)]
    for i, value in enumerate(stated):
        bins[min(int(value * 10), 9)].append(i)
    full = [one for one in bins if len(one) >= FEWEST]
    x, y = reliability(stated, true)
    assert_allclose(x, [sum(stated[i] for i in one) / len(one) for one in full])
    assert_allclose(y, [sum(true[i] for i in one) / len(one) for one in full])
    assert len(reliability(stated[: FEWEST - 1], true[: FEWEST - 1])[0]) == 0
