"""``mislabel bench``: run, table and report, on tiny data."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from cli_examples import call, run_words

from mislabel.benchmark import TABLE_STYLES, format_table, load_results
from mislabel.cli import main
from mislabel.cli.options import parse_seeds
from mislabel.errors import InputError
from tiny_data import snapshot, write_data

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
