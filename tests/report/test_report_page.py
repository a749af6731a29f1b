"""The benchmark page: what it must hold, and what it must never let through."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_examples import METHODS, results

from mislabel.benchmark.results import (
    EPOCH_CHOICES,
    BenchmarkResults,
    MethodRow,
    NoiseColumn,
    epoch_choices,
)
from mislabel.errors import InputError
from mislabel.labels import NoisyLabels
from mislabel.report import write_benchmark_page
from mislabel.report.page import render_benchmark_page

FEW = (("clean", 0.0), ("cluster", 0.2), ("cluster", 0.4))
HOSTILE = "<script>alert(1)</script>\"'&$x_1$\x07\x1b[31m\u202eevil\ud800"


class Page(HTMLParser):
    """A page read back: its tags, the text of each, and the tables in order."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.tables: list[list[list[tuple[str, str]]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append((dict(attrs).get("class") or "", ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)
        if self.open and {"td", "th"} & set(self.open):
            kind, text = self.tables[-1][-1][-1]
            self.tables[-1][-1][-1] = (kind, text + data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())


def small(**changes: object) -> BenchmarkResults:
    return results(columns=FEW, n=200, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def finished() -> BenchmarkResults:
    return results()


@pytest.fixture(scope="module")
def text(finished: BenchmarkResults) -> str:
    return render_benchmark_page(finished)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_it_holds_every_section_in_order(page: Page) -> None:
    sections = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert sections == ["verdict", "table", "rates", "map", "transitions", "curves", "receipts"]
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert links == [f"#{section}" for section in sections]
    assert not page.open
    assert "digits: 1,347 training examples, 450 test examples, 10 classes." in page.words
    assert "mislabel benchmark --data digits --seeds 3" in page.words
    figures = sum(tag == "figure" for tag, _ in page.tags)
    assert figures == 3 + 7 + 6 + 7  # kinds; clean and six noises; six noises; all columns


@pytest.mark.parametrize(
    ("place", "epoch", "reduce"),
    [
        (0, "last", lambda curve: curve[-1]),
        (1, "last10", lambda curve: np.mean(curve[-10:])),
        (2, "best", np.max),
    ],
)
def test_tables_show_mean_and_population_deviation(
    finished: BenchmarkResults, page: Page, place: int, epoch: str, reduce: object
) -> None:
    rows = page.tables[place][1:]
    assert len(rows) == 3
    means = []
    for row, method in zip(rows, finished.methods, strict=True):
        cells = [
            [reduce(c.curves["test_accuracy"]) for c in finished.cells  # type: ignore[operator]
             if c.method == method.spec and c.noise == noise.spec]
            for noise in finished.noises
        ]  # fmt: skip
        expected = [f"{100 * np.mean(v):.2f} ± {100 * np.std(v):.2f}" for v in cells]
        assert [text for _, text in row[1:]] == expected
        means.append([round(100 * float(np.mean(v)), 2) for v in cells])
    best = np.array(means) == np.max(means, axis=0)
    marked = [[kind == "best" for kind, _ in row[1:]] for row in rows]
    assert np.array_equal(best, marked)


@pytest.mark.parametrize("epoch", epoch_choices(small()))
def test_the_first_table_is_of_the_chosen_epoch_and_says_so(epoch: str) -> None:
    page = Page(render_benchmark_page(small(), epoch=epoch))
    captions = re.findall(r"Test accuracy in %: (.*?); mean ± population", page.words)
    assert captions[0] == EPOCH_CHOICES[epoch]
    assert sorted(captions) == sorted(EPOCH_CHOICES[e] for e in epoch_choices(small()))
    assert f"Test accuracy, {EPOCH_CHOICES[epoch]}." in page.words
    assert "selected on the test set (optimistic)" in page.words


def test_an_unknown_epoch_is_an_input_error_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^epoch='lst': unknown choice; did you mean 'last'\?"):
        write_benchmark_page(small(), tmp_path / "page.html", epoch="lst")
    assert not list(tmp_path.iterdir())


def test_the_file_is_written_whole_and_the_same_each_time(tmp_path: Path) -> None:
    first = write_benchmark_page(small(), tmp_path / "deep" / "a.html")
    second = write_benchmark_page(small(), tmp_path / "b.html")
    assert first == tmp_path / "deep" / "a.html"
    assert first.read_bytes() == second.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"deep", "b.html"}


def test_nothing_is_loaded_from_anywhere(text: str, page: Page) -> None:
    for tag, attrs in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        for name, value in attrs.items():
            assert not name.startswith("on")
            if name in {"src", "href"} and value is not None:
                assert value.startswith(("data:image/png;base64,", "#"))
            assert "url(" not in (value or "") or re.fullmatch(r".*url\(#[\w-]+\).*", value or "")
    assert "http:" not in text
    assert "https:" not in text
    policies = [attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv")]
    assert policies[0] is not None
    assert policies[0].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")


def test_ids_are_unique_and_every_reference_resolves(text: str, page: Page) -> None:
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    used = re.findall(r"""(?:href="|url\()#([\w-]+)""", text)
    assert used
    assert set(used) <= set(ids)


def test_figures_have_words_and_tables_have_scopes(page: Page) -> None:
    svg = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in svg)
    assert all(attrs["alt"] for tag, attrs in page.tags if tag == "img")
    assert all(attrs.get("scope") in {"row", "col"} for tag, attrs in page.tags if tag == "th")
    assert ("html", {"lang": "en"}) in page.tags


def test_hostile_strings_are_shown_and_never_obeyed() -> None:
    given = small(
        class_names=(HOSTILE, *"123456789"),
        methods=[MethodRow(spec=HOSTILE, name=HOSTILE, title=HOSTILE), *METHODS],
        metadata={"data": {"name": HOSTILE}, "command": HOSTILE, "versions": {HOSTILE: HOSTILE},
                  HOSTILE: [HOSTILE, {HOSTILE: float("nan")}]},
    )  # fmt: skip
    renamed = [replace(c, title=HOSTILE, kind=HOSTILE if c.kind == "cluster" else c.kind)
               for c in given.noises]  # fmt: skip
    text = render_benchmark_page(replace(given, noises=renamed))
    text.encode("utf-8")
    page = Page(text)
    assert not page.open
    assert not any(tag == "script" for tag, _ in page.tags)
    assert "<script" not in text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800]", text)
    assert r"<script>alert(1)</script>" in page.words
    assert r"\x07\x1b[31m\u202eevil\ud800" in page.words
    assert "$x_1$" in page.words


@pytest.mark.parametrize("title", ["_private", "", " ", "学習", "a\nb", "%s {0} {{ x }} {% raw %}"])
def test_odd_titles_are_no_trouble(title: str) -> None:
    odd = [MethodRow(spec=f"m{title}", name="m", title=title)]
    text = render_benchmark_page(small(methods=odd, class_names=(title, *"123456789")))
    assert " ".join(title.split()) in Page(text).words


def test_equal_titles_are_told_apart_by_their_specs() -> None:
    twins = [MethodRow(spec=f"snls:k={k}", name="snls", title="SNLS") for k in (10, 100)]
    page = Page(render_benchmark_page(small(methods=twins)))
    assert "SNLS (snls:k=10)" in page.words
    assert "SNLS (snls:k=100)" in page.words


def test_missing_cells_are_shown_and_counted() -> None:
    whole = small()
    kept = [c for c in whole.cells if not (c.method == "gce" and c.noise == "cluster:0.4")]
    kept = [c for c in kept if not (c.method == "gce" and c.noise == "clean" and c.seed > 1)]
    page = Page(render_benchmark_page(replace(whole, cells=kept)))
    gce = [text for _, text in page.tables[0][2]]
    assert gce[3] == "–"
    only = next(c for c in kept if c.method == "gce" and c.noise == "clean")
    assert gce[1] == f"{100 * only.accuracy():.2f}1 of 3 seeds"
    assert "5 of 27 cells of the grid are missing" in page.words


def test_a_grid_without_a_finished_cell_is_a_page_too() -> None:
    page = Page(render_benchmark_page(small(cells=[])))
    assert "No cell of the grid is finished yet." in page.words
    assert page.words.count("No finished training to show.") == 2
    assert {text for row in page.tables[0][1:] for _, text in row[1:]} == {"–"}


def test_without_a_map_the_page_says_so() -> None:
    text = render_benchmark_page(small(map=None))
    assert "No map was used" in text
    assert "<img" not in text


def test_the_colours_of_few_classes_are_named() -> None:
    text = render_benchmark_page(small(class_names=("学習", "<b>", *"23456789")))
    key = re.search(r'<ul class="key".*?</ul>', text, re.DOTALL)
    assert key is not None
    assert 'background: #3f90da"></span>0: 学習</li>' in key.group()
    assert 'background: #ffa90e"></span>&lt;b&gt;</li>' in key.group()


def test_a_single_rate_becomes_dots_and_one_method_is_enough() -> None:
    one = results(columns=(("clean", 0.0), ("pmd", 0.3)), methods=METHODS[:1], n=200)
    page = Page(render_benchmark_page(one))
    assert "Accuracy by noise" in page.words
    assert "Highest mean" not in page.words
    assert "costs Standard:" in page.words


def test_unknown_clean_labels_are_said_to_be_unknown() -> None:
    given = small()
    blind = NoiseColumn(
        spec="file:x.npy", kind="file", title="From a file",
        labels=NoisyLabels(given.noises[1].labels.labels, n_classes=10),
    )  # fmt: skip
    page = Page(render_benchmark_page(replace(given, noises=[blind], cells=[])))
    assert "rate unknown" in page.words
    assert "so wrong ones cannot be marked" in page.words
    assert "There is no noise with known clean labels to show." in page.words


def test_a_hundred_classes() -> None:
    names = tuple(f"class {k}" for k in range(100))
    text = render_benchmark_page(results(columns=FEW, n=2000, class_names=names))
    assert len(text) < 1_000_000
    assert "100 classes" in text


def test_receipts_are_on_the_page(finished: BenchmarkResults, page: Page) -> None:
    for column in finished.noises:
        receipt = json.dumps(column.labels.receipt_json(), indent=2)
        assert " ".join(receipt.split()) in page.words


def test_size_of_the_page(text: str) -> None:
    assert len(text.encode()) < 1_500_000


def test_importing_the_report_does_not_load_matplotlib() -> None:
    code = "import sys, mislabel.report; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
