"""Links from pages to an explorer: where they lead, and that nothing else of a page changes."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from report_examples import results

from cleaned_examples import cleaned, points
from mislabel.report.cleaning_page import render_cleaning_page
from mislabel.report.links import explorer_address, view_link
from mislabel.report.page import render_benchmark_page
from mislabel.report.stress_page import render_stress_page
from mislabel.stress import StressResults, decide
from mislabel.stress.results import YOURS, StressNoise, Subject
from page_reader import Page, check_self_contained

FEW = (("clean", 0.0), ("symmetric", 0.2), ("cluster", 0.4))
HOSTILE = "\"'><script>alert(1)</script>&amp;"


def benchmark_page(explorer: str | None = None) -> str:
    return render_benchmark_page(results(columns=FEW, n=200, seeds=(1,)), explorer=explorer)


def cleaning_page(explorer: str | None = None) -> str:
    return render_cleaning_page(cleaned(), positions=points(), explorer=explorer)


def stress_results() -> StressResults:
    """A test of three noises, of which no training has ended."""
    rates = {"clean": 0.0, "symmetric:0.2": 0.2, "cluster:0.4": 0.4}
    return StressResults(
        metadata={"data": {"name": "digits"}},
        class_names=("cat", "dog"),
        noises=[
            StressNoise(spec=spec, kind=kind, family=kind, title=kind.capitalize(), rate=rate)
            for spec, rate in rates.items()
            for kind in [spec.partition(":")[0]]
        ],
        subjects=[Subject(name=YOURS, title="train.py")],
        seeds=(4, 5),
        cells=(),
    )


def stress_page(explorer: str | None = None) -> str:
    found = stress_results()
    return render_stress_page(found, decide(found, ()), explorer=explorer)


PAGES = (benchmark_page, cleaning_page, stress_page)
Render = Callable[..., str]


@pytest.mark.parametrize(
    ("folder", "page", "address"),
    [
        ("runs/a/explorer", "runs/a/report.html", "explorer/index.html"),
        ("explorer", "pages/page.html", "../explorer/index.html"),
        ("/x/y", "/x/z/page.html", "../y/index.html"),
        ("p", "p.html", "p/index.html"),
        (".", "page.html", "index.html"),
        ("a:b", "page.html", "a%3Ab/index.html"),
        ("a b#c?d%20\"'<>&", "page.html", "a%20b%23c%3Fd%2520%22%27%3C%3E%26/index.html"),
        ("javascript:alert(1)", "page.html", "javascript%3Aalert%281%29/index.html"),
        ("\u00e9\n\udcff", "page.html", "%C3%A9%0A%FF/index.html"),
    ],
)
def test_addresses_by_hand(folder: str, page: str, address: str) -> None:
    assert explorer_address(Path(folder), Path(page)) == address


def test_views_by_hand() -> None:
    assert view_link("x/index.html", labels=2, ring="flipped") == (
        "x/index.html#labels=2&ring=flipped"
    )
    assert view_link(None, at=3) == ""


def test_a_benchmark_links_each_map() -> None:
    page = check_self_contained(benchmark_page("x/index.html"), "x/index.html")
    views = ("", "#colour=clean&ring=none", "#labels=0&ring=flipped", "#labels=1&ring=flipped")
    assert page.links() == [f"x/index.html{view}" for view in views]
    assert page.text.index("Look at every label") < page.text.index("Verdict Table")


def test_cleaned_labels_link_each_example() -> None:
    page = check_self_contained(cleaning_page("x/index.html"), "x/index.html")
    first, given, corrected, *cards = page.links()
    assert first == "x/index.html"
    assert given == "x/index.html#colour=given&ring=changed"
    assert corrected == "x/index.html#colour=corrected&ring=changed"
    assert cards == [f"x/index.html#at={index}" for index in cleaned().surest(48)]
    assert len(cards) == 30


def test_a_stress_test_links_the_labels_of_each_noise() -> None:
    page = check_self_contained(stress_page("x/index.html"), "x/index.html")
    views = ("", "#labels=0&ring=flipped", "#labels=1&ring=flipped")
    assert page.links() == [f"x/index.html{view}" for view in views]
    assert "symmetric:0.2 labels of seed 4" in page.text and "clean labels of" not in page.text


@pytest.mark.parametrize("render", PAGES)
def test_nothing_but_links_is_added(render: Render) -> None:
    linked = render("x/index.html")
    without = re.sub(r'<p><a href="x/[^>]*>[^<]*</a></p>\n', "", linked)
    without = re.sub(r'<span><a href="x/[^>]*>[^<]*</a></span>', "", without)
    without = re.sub(r'<a href="x/[^>]*>(no\. \d+)</a>', r"\1", without)
    assert without == render() and without != linked
    assert Page(render()).links() == []


@pytest.mark.parametrize("render", PAGES)
def test_hostile_addresses_are_text(render: Render) -> None:
    page = check_self_contained(render(HOSTILE), HOSTILE)
    assert len(page.links()) > 1 and all(link.startswith(HOSTILE) for link in page.links())


@pytest.mark.parametrize("render", PAGES)
def test_all_pages_have_one_head(render: Render) -> None:
    head = render().partition("</head>")[0]
    head = re.sub(r"<title>.*?</title>", "", head)
    sheet = head.partition("<style>\n")[2]
    common = benchmark_page().partition("<style>\n")[2].partition("</style>")[0].rstrip()
    assert sheet.startswith(common)
    assert head.count("<meta") == 5 and "script" not in head
