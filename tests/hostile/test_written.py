"""What we write of hostile names: tables without formulas, pages without markup, plain text."""

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_readers import READERS, _labels

from cleaned_examples import cleaned
from memorization_examples import drawn
from mislabel.errors import InputError, printable
from mislabel.explorer.exploration import Exploration
from mislabel.labels import load_labels
from mislabel.labels.formats import load_filenames, save_labels
from mislabel.report.cleaning_page import render_cleaning_page
from mislabel.words import no_formula, safe_cell
from page_reader import Page, check_self_contained

NAMES = (
    '=HYPERLINK("http://x","y")', "<script>alert(1)</script>", "\x1b[31mred\x1b]0;title\x07",
    "\"'><img src=x onerror=alert(1)>", "\u202egnp.exe", "@SUM(A1)", "+1", "-1+cmd|' /C x'!A0",
    "</script></style>--><svg onload=x>", "a\x00b\x9b31mc", "{{ 7 * 7 }}", "\ud800", "a\r\nb",
)  # fmt: skip
"Names of classes that mean something to a spreadsheet, a browser, a terminal or a template."
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def no_formulas(text: str) -> None:
    """No cell of a table could be taken for a formula, but numbers."""
    for row in csv.reader(io.StringIO(text, newline="")):
        for cell in row:
            number = re.fullmatch(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?|-?(nan|inf)", cell)
            assert number or not cell.startswith(tuple("=+-@\t\r＝＋－＠")), cell


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_is_no_formula_and_can_be_printed(name: str) -> None:
    no_formulas(safe_cell(name))
    assert not CONTROL.search(safe_cell(name))
    assert no_formula("a=1") == "a=1" and no_formula("=1") == "'=1"


def test_csv_of_labels(tmp_path: Path) -> None:
    """Names of files come from another's table and go into ours."""
    names = [NAMES[0], "+1.png", *(f"{i}.png" for i in range(10))]
    for suffix in (".csv", ".csv.gz"):
        path = tmp_path / f"labels{suffix}"
        save_labels(_labels(), path, csv_layout="indexed", filenames=names)
        assert load_filenames(path)[:3] == [f"'{NAMES[0]}", "'+1.png", "0.png"]
        load_labels(path)
    no_formulas((tmp_path / "labels.csv").read_text())


def test_csv_of_probabilities(tmp_path: Path) -> None:
    from mislabel.benchmark.prediction import save_probabilities

    names = NAMES[:3] + NAMES[5:8]
    save_probabilities(tmp_path / "p.csv", np.full((2, 6), 1 / 6, np.float32), names)
    no_formulas((tmp_path / "p.csv").read_text())


def test_csv_of_a_benchmark() -> None:
    from mislabel.benchmark.tables import format_table

    no_formulas(format_table(_results(), "csv"))


def test_csv_of_memorization(tmp_path: Path) -> None:
    from mislabel.memorization.summary import write_csv
    from mislabel.memorization.suspects import find_suspects

    scores = replace(drawn(), class_names=tuple(NAMES[: len(drawn().class_names)]))
    write_csv(scores, tmp_path / "scores.csv")
    no_formulas((tmp_path / "scores.csv").read_text())
    no_formulas(find_suspects(scores).to_csv())


def test_csv_of_cleaned_labels(tmp_path: Path) -> None:
    path = tmp_path / "cleaned.csv"
    cleaned().save(path)
    no_formulas(path.read_text())


# Pages


def _results() -> Any:
    from mislabel.benchmark.results import BenchmarkResults, CellResult, MethodRow, NoiseColumn

    labels = _labels()
    columns = [NoiseColumn(spec=name, kind=name, title=name, labels=labels) for name in NAMES[:2]]
    row = MethodRow(spec=NAMES[2], name=NAMES[3], title=NAMES[8])
    cells = [
        CellResult(
            noise=column.spec, method=row.spec, seed=1, seconds=1.0,
            curves={"test_accuracy": [0.5, 0.6]}, test_accuracy_per_class=[0.5, 0.6, 0.7],
        )
        for column in columns
    ]  # fmt: skip
    metadata = {
        "data": {"name": NAMES[1], "n_test": 10, "subset": None},
        "command": NAMES[3],
        "versions": {NAMES[1]: NAMES[2]},
        "identity": {NAMES[9]: NAMES[10]},
    }
    return BenchmarkResults(
        metadata=metadata, class_names=NAMES[:3], noises=columns, methods=[row], seeds=[1],
        cells=cells, map=np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32),
    )  # fmt: skip


def _cleaning_page() -> str:
    labels = cleaned()
    return render_cleaning_page(replace(labels, class_names=NAMES[: len(labels.class_names)]))


def _benchmark_page() -> str:
    from mislabel.report.page import render_benchmark_page

    return render_benchmark_page(_results())


PAGES: list[Callable[[], str]] = [_cleaning_page, _benchmark_page]


@pytest.mark.parametrize("render", PAGES)
def test_pages_hold_no_markup_of_others(render: Callable[[], str]) -> None:
    text = render()
    page = check_self_contained(text)
    assert not {tag for tag, _ in page.tags} & {"script", "object", "embed", "base"}
    assert not CONTROL.search(text)
    assert "onerror" not in {name for _, attributes in page.tags for name in attributes}


def test_the_explorer_holds_no_markup_of_others(tmp_path: Path) -> None:
    from mislabel.explorer.page import write_explorer

    positions = np.random.default_rng(0).normal(size=(12, 2))
    shown = Exploration.of(positions, {NAMES[1]: _labels()}, name=NAMES[3], class_names=NAMES[:3])
    page = write_explorer(shown, tmp_path / "page")
    about = (page.parent / "data" / "about.js").read_text("ascii")
    assert "<" not in about and not CONTROL.search(about)
    assert not re.search(r"\\u(00[01][0-9a-f]|007f|00[89][0-9a-f]|202[a-e])", about)
    told = json.loads(about.removeprefix("mislabel.about(").rstrip().removesuffix(");"))
    assert not any(CONTROL.search(name) for name in told["classes"])
    names = Page(page.read_text()).text
    assert not any(name in names for name in NAMES)
    static = "".join(
        path.read_text() for path in page.parent.glob("*.js") if "deck" not in path.name
    )
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", static)


# The terminal


@pytest.mark.parametrize("name", NAMES)
def test_errors_hold_no_control_characters(name: str) -> None:
    for error in (InputError(name, name, name), InputError("x", ValueError(name), name)):
        assert str(error).isprintable()
    assert printable("a\nb\x1bc\xa0d") == "a b?c d"


def _call(*words: str) -> Any:
    """The exit status of ``mislabel WORDS``."""
    from mislabel.cli import main

    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return ended.value.code


def test_no_escape_sequence_reaches_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands that print what files say: tables of runs, columns, titles, and errors of them."""
    monkeypatch.chdir(tmp_path)
    reader = next(reader for reader in READERS if reader.name == "run")
    (tmp_path / "run").mkdir()
    reader.make(tmp_path / "run")
    shutil.rmtree(tmp_path / "run-data")
    evil = "\x1b[31m\x1b]0;x\x07\x9b5m"
    about = tmp_path / "run" / "run.json"
    content = json.loads(about.read_text())
    content["data"]["class_names"] = [f"{evil}{i}" for i in range(3)]
    content["data"]["name"] = evil
    content["identity"]["data"] = evil
    about.write_text(json.dumps(content))
    scores = replace(drawn(), class_names=tuple(f"{evil}{i}" for i in range(3)),
                     provenance={"title": evil, "estimator": evil})  # fmt: skip
    scores.save(tmp_path / "scores.npz")
    drawn(seed=1).save(tmp_path / "other.npz")
    arrays = {"x_train": np.zeros((60, 2)), "y_train": scores.labels}
    np.savez("data.npz", class_names=list(scores.class_names), x_test=np.zeros((3, 2)),
             y_test=np.arange(3), **arrays)  # fmt: skip
    (tmp_path / "labels.csv").write_text(f"given_label,noisy_label,{evil}\n0,1,2\n")
    (tmp_path / f"{evil.replace('/', '')}.npy").write_bytes(b"x")
    for words in (
        ["bench", "table", "run"], ["bench", "audit", "run"], ["bench", "report", "run"],
        ["memorize", "list", "scores.npz", "--data", "npz:data.npz", "-o", "list"],
        ["memorize", "compare", "scores.npz", "other.npz"],
        ["noise", "describe", "labels.csv", "--column", evil],
        ["noise", "describe", f"{evil}.npy"], ["noise", "describe", f"{evil}"], [evil],
        ["noise", "describe", "labels.csv"], ["bench", "table", f"{evil}"], ["--" + evil],
        ["noise", "convert", "labels.csv", f"{evil}.{evil}"],
    ):  # fmt: skip
        status = _call(*words)
        assert not status or evil in "".join(words) or words[0] == "noise", words
        printed = capfd.readouterr()
        for text in (printed.out, printed.err):
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text), (words, text)
        assert "Traceback" not in printed.err, words
