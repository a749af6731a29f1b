"""``mislabel bench``: run, table and report, on tiny data."""

import csv
import html
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_examples import Called, call, run_words, spell

from mislabel.benchmark import TABLE_STYLES, format_table, load_results
from mislabel.cli import main
from mislabel.cli.options import parse_seeds
from mislabel.errors import InputError
from page_reader import check_self_contained, explorer_about, follow
from tiny_data import files, snapshot, write_data

GRID = {"noise": ["symmetric:0.2", "clean"], "method": ["standard", "gce"], "seeds": "2"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the data."""
    found = tmp_path_factory.mktemp("bench")
    write_data(found)
    return found


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module")
def run(folder: Path, one_thread: None) -> Path:
    """The folder of a run with eight trainings, made once for all tests."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.chdir(folder)
        main(run_words(**GRID))
    assert ended.value.code == 0
    return Path("run")


def test_run_prints_the_table_and_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    called = call(capsys, *run_words(**GRID, out="fresh"))
    assert called.status == 0
    results = load_results("fresh")
    assert len(results.cells) == 8 and results.n_missing == 0
    page = Path("fresh/report.html").absolute()
    assert called.out.splitlines()[-1] == f"Page: {page.as_uri()}" and page.is_file()
    table = called.out.rpartition("Page: ")[0]
    for line in format_table(results, "terminal").splitlines()[3:6]:
        assert [cell.strip() for cell in line.split("│")] in [
            [cell.strip() for cell in shown.split("│")] for shown in table.splitlines()
        ]
    counts = [int(line.removeprefix("training ")[:-2]) for line in called.err.splitlines()]
    assert counts == sorted(set(counts)) and counts[-1] == 8
    assert called.err.splitlines() == [f"training {count}/8" for count in counts]


def test_a_second_run_trains_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(run / "cells") | snapshot(run / "labels")
    called = call(capsys, *run_words(**GRID))
    assert called.status == 0 and called.err.splitlines() == ["training 8/8"]
    assert snapshot(run / "cells") | snapshot(run / "labels") == before


def test_run_with_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called = call(capsys, *run_words(**GRID), "--json", "--epoch", "best")
    content = json.loads(called.out)
    assert content["shown"] == "best" and len(content["table"]) == 4
    assert called.out == format_table(load_results(run), "json", epoch="best")
    assert all(line.startswith("training ") for line in called.err.splitlines())


@pytest.mark.parametrize("epoch", ["last", "last10", "best"])
@pytest.mark.parametrize("style", TABLE_STYLES)
def test_table_in_every_format(
    run: Path, style: str, epoch: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("bench", "table", str(run), "--format", style, "--epoch", epoch)
    called = call(capsys, *words)
    expected = format_table(load_results(run), style, epoch=epoch)
    assert (called.status, called.out, called.err) == (0, expected, "")
    written = call(capsys, *words, "-o", "deep/table.txt")
    assert (written.status, written.out, written.err) == (0, "", "")
    assert Path("deep/table.txt").read_text() == expected


def test_formats_can_be_read(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = {
        style: call(capsys, "bench", "table", str(run), "--format", style).out
        for style in TABLE_STYLES
    }
    rows = list(csv.DictReader(io.StringIO(shown["csv"])))
    entries = json.loads(shown["json"])["table"]
    assert [r["method"] for r in rows] == ["standard", "standard", "gce", "gce"]
    for row, entry in zip(rows, entries, strict=True):
        assert float(row["last_mean"]) == entry["last"]["mean"]
        percent = f"{100 * entry['last']['mean']:.2f}"
        assert all(percent in shown[style] for style in ("terminal", "markdown", "latex"))
    assert call(capsys, "bench", "table", str(run), "--json").out == shown["json"]
    assert call(capsys, "bench", "table", str(run)).out == shown["terminal"]


def test_report(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called = call(capsys, "bench", "report", str(run), "-o", "pages/page.html")
    assert (called.status, called.out, called.err) == (0, "pages/page.html\n", "")
    assert Path("pages/page.html").read_text().startswith("<!doctype html>")
    called = call(capsys, "bench", "report", str(run), "--json", "--epoch", "best")
    assert json.loads(called.out) == {"page": "run/report.html"}
    assert "selected on the test set (optimistic)" in Path("run/report.html").read_text()


def report(capsys: pytest.CaptureFixture[str], run: Path, *flags: str, **options: Any) -> Called:
    return call(capsys, "bench", "report", str(run), *flags, *spell({}, **options))


@pytest.mark.parametrize("place", ["labels", "deep/a b#c?d%20\"'<script>"])
def test_report_with_an_explorer(run: Path, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = Path("linked/page.html")
    found = report(capsys, run, o=page, explorer=place, data="npz:tiny.npz")
    assert (found.status, found.err) == (0, "")
    assert found.out.splitlines() == [str(page), f"{place}/index.html"]
    address = check_address(page)
    links = check_self_contained(page.read_text(), address).links()
    views = [follow(page, link)[1] for link in links]
    assert views == [{}, {"colour": "clean", "ring": "none"}, {"labels": "0", "ring": "flipped"}]
    assert {follow(page, link)[0].resolve() for link in links} == {
        Path(place, "index.html").resolve()
    }
    about = explorer_about(Path(place))
    assert [one["name"] for one in about["sets"]] == ["Symmetric at 20.0 %"]
    assert (about["data"], about["count"], about["images"]) == ("npz", 60, None)
    assert about["dataHash"] == load_results(run).metadata["identity"]["data_sha256"]


def check_address(page: Path) -> str:
    """The address of the explorer's page, which the first link outside of the page has."""
    first = re.findall(r'href="([^"#]+)"', page.read_text())[0]
    assert first.endswith("/index.html")
    return str(html.unescape(first))


def test_an_explorer_without_the_data_has_no_images(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = report(capsys, run, "--json", o="c.html", explorer="alone")
    assert json.loads(found.out) == {"page": "c.html", "explorer": "alone/index.html"}
    [line] = found.err.splitlines()
    assert line.startswith("mislabel: warning: the explorer has no images, for want of --data (")
    about, metadata = explorer_about(Path("alone")), load_results(run).metadata
    assert (about["images"], about["count"]) == (None, 60)
    assert about["dataHash"] == metadata["identity"]["data_sha256"]


def test_an_explorer_shows_the_images_of_a_subset(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("plane.npy", np.random.default_rng(0).normal(size=(1347, 2)))
    sizes = {"subset": 40, "test-subset": 30, "seed": 3}
    words = run_words(data="digits", map="plane.npy", noise="symmetric:0.2", out="few")
    words += [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    assert call(capsys, *words).status == 0
    found = report(capsys, Path("few"), explorer="few-labels")
    assert (found.status, found.err) == (0, "")
    about = explorer_about(Path("few-labels"))
    assert about["images"]["count"] == 1 and about["count"] == 40 and "indices" in about["columns"]
    assert Path("few-labels/images/0.webp").is_file()


def other_data() -> None:
    write_data(Path(), "other.npz", seed=5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"explorer": "run"}, "explorer='run': holds other things"),
        ({"explorer": "tiny.npz"}, "explorer='tiny.npz': is a file"),
        ({"explorer": "tiny.npz/x"}, "explorer='tiny.npz/x': cannot be written"),
        ({"explorer": "x", "o": "x/p.html"}, "explorer='x': must be a folder apart from x/p.html"),
        ({"explorer": "p.html/x", "o": "p.html"}, "must be a folder apart from p.html"),
        ({"explorer": "p", "o": "p"}, "must be a folder apart from p"),
        ({"data": "digits"}, "data='digits': goes with --explorer"),
        ({"image-size": "8"}, "image_size=8: goes with --explorer"),
        ({"explorer": "x", "data": "npz:none.npz"}, "no such file"),
        ({"explorer": "x", "data": "npz:other.npz"}, "holds other examples than those of npz in"),
        ({"explorer": "x", "epoch": "lst"}, "epoch='lst'"),
        ({"explorer": "x", "epoch": "selected"}, "epoch='selected'"),
    ],
)
def test_a_bad_explorer_is_one_line_and_nothing_written(
    run: Path, options: dict[str, str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other_data()
    before = files(Path())
    found = report(capsys, run, **{name.replace("-", "_"): v for name, v in options.items()})
    assert (found.status, found.out) == (2, "")
    [line] = found.err.splitlines()
    assert line.startswith("mislabel: error: ") and words in line
    assert files(Path()) == before


def test_an_explorer_needs_the_runs_map(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(run, "mapless")
    Path("mapless/map.npy").unlink()
    found = report(capsys, Path("mapless"), o="m.html", explorer="x", data="npz:tiny.npz")
    assert found.status == 2 and "explorer=None: needs a map, and the run has none" in found.err
    assert not Path("m.html").exists() and not Path("x").exists()
    assert report(capsys, Path("mapless"), o="m.html").status == 0


def test_noise_and_methods_may_be_given_again(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = run_words(noise=["clean", "clean"], method="snls:k=5", seeds="7,", out="again")
    assert call(capsys, *words).status == 0
    found = load_results("again").metadata["grid"]
    assert found == {"noises": ["clean"], "methods": ["snls:k=5"], "seeds": [7]}


def test_options_reach_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("features.npy", np.random.default_rng(0).normal(size=(60, 3)))
    words = run_words(
        epochs=2, subset=30, seed=5, features="features.npy", network="mlp", out="options"
    )
    assert call(capsys, *words).status == 0
    found = load_results("options")
    identity = found.metadata["identity"]
    assert (identity["subset"], identity["seed"]) == (30, 5)
    assert identity["map_sha256"] and identity["features_sha256"]
    assert len(found.noises[0].labels) == 30
    assert [len(c.curves["train_loss"]) for c in found.cells] == [2]


def test_probabilities_and_eta_reach_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("eta.npy", np.tile([0.5, 0.3, 0.2], (60, 1)))
    words = run_words(noise="pmd:factor=1.43", probabilities="eta.npy", out="given")
    assert call(capsys, *words).status == 0
    found = load_results("given")
    assert set(found.noises[0].labels.labels) == {0, 1}
    assert " --probabilities eta.npy " in found.metadata["command"]
    words = run_words(noise="pmd:factor=2", eta="network:epochs=2,network=mlp", out="network")
    assert call(capsys, *words).status == 0
    found = load_results("network").metadata
    assert found["identity"]["eta"] == "network:mlp,epochs=2"
    assert " --eta network:mlp,epochs=2 " in found["command"]


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("1", [1]), ("3", [1, 2, 3]), ("4,5", [4, 5]), ("4,", [4]), ("0,", [0]), (" 7 , 7 ", [7, 7])],
)
def test_seeds(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", ",", "1,,2", "1.5", "a", "3 4"])
def test_what_is_no_list_of_seeds(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_seeds(text)
    rule = "must be a number of seeds (3) or seeds with commas (4,5)"
    assert str(caught.value) == f"seeds={text!r}: {rule}"
