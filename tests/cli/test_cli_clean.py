"""``mislabel clean``: files, page, what is printed, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_examples import Called, call, spell

from cleaned_examples import C, N, clean, cleaned, noisy, points
from mislabel.cleaning import clean_labels, load_cleaned
from mislabel.labels import NoisyLabels
from page_reader import check_self_contained, explorer_about, follow
from tiny_data import files

OPTIONS: dict[str, Any] = {
    "--data": "npz:clouds.npz",
    "--labels": "labels.csv",
    "--map": "map.npy",
    "-o": "out.csv",
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    x, y = points(), clean()
    np.savez("clouds.npz", x_train=x, y_train=y, x_test=x[:30], y_test=y[:30])
    np.save("map.npy", x)
    NoisyLabels(noisy(), clean_labels=y).save("labels.csv")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *flags: str, **changes: Any) -> Called:
    return call(capsys, "clean", *spell(OPTIONS, **changes), *flags)


def random_labels() -> None:
    np.save("random.npy", np.random.default_rng(1).integers(0, C, N))


def test_files_page_and_summary(capsys: pytest.CaptureFixture[str]) -> None:
    called = run(capsys, "--seed", "3")
    assert called.status == 0, called.err
    assert "error" not in called.err and "warning" not in called.err
    assert {"out.csv", "out.csv.receipt.json", "out.html"} <= set(files(Path()))
    found, ours = load_cleaned("out.csv"), cleaned()
    np.testing.assert_array_equal(found.targets, ours.targets)
    np.testing.assert_array_equal(found.corrected_labels, clean())
    for line in (
        "out.csv: cleaned labels of 300 examples",
        "30 of 300 labels change (10.0 %).",
        "Most frequent: 0 to 2 (10), 1 to 0 (10) and 2 to 1 (10).",
        "Known, since clean labels are given:",
        "  labels right as given                       90.0 %",
        "  labels right after correction              100.0 %",
        "  noise score, area under the curve            1.000",
        f"Page: {(Path.cwd() / 'out.html').as_uri()}",
    ):
        assert line in called.out.splitlines()
    page = check_self_contained(Path("out.html").read_text())
    assert page.sections() == ["verdict", "map", "changes", "scores", "examples", "receipts"]
    command = "mislabel clean --data npz:clouds.npz --labels labels.csv --map map.npy --seed 3"
    assert f"{command} -o out.csv" in page.text


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    called = run(capsys, "--json")
    found = json.loads(called.out)
    assert (found["cleaned"], found["page"]) == ("out.csv", "out.html")
    assert found == {"cleaned": "out.csv", "page": "out.html"} | load_cleaned("out.csv").summary()
    assert found["known"]["recall"] == 1.0 and found["warning"] is None


def test_the_same_command_gives_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys)
    first = {name: Path(name).read_bytes() for name in files(Path())}
    run(capsys)
    assert first == {name: Path(name).read_bytes() for name in files(Path())}


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
def test_other_formats(suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    called = run(capsys, "--no-report", o=f"out.{suffix}")
    assert called.status == 0 and "Page" not in called.out
    assert load_cleaned(f"out.{suffix}").n_changed == 30
    assert not Path("out.html").exists()


def test_the_datas_own_labels_are_cleaned_without_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.savez("clouds.npz", x_train=points(), y_train=noisy(), x_test=points(), y_test=clean())
    called = run(capsys, "--approximate", "--report", "page.html", labels=None)
    assert called.status == 0 and "Known" not in called.out
    found = load_cleaned("out.csv")
    np.testing.assert_array_equal(found.corrected_labels, clean())
    assert found.clean_labels is None and found.receipt["parameters"]["approximate"]
    assert found.receipt["labels_receipt"]["generator"] == "data"
    assert Path("page.html").exists() and not Path("out.html").exists()


def test_neighbors_come_from_features_and_the_picture_from_the_map(
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.save("features.npy", np.c_[points(), points()])
    np.save("map.npy", np.random.default_rng(0).normal(size=(N, 2)))
    run(capsys, features="features.npy")
    labels = NoisyLabels(noisy(), clean_labels=clean())
    ours = clean_labels(labels, np.load("features.npy"))
    np.testing.assert_array_equal(load_cleaned("out.csv").targets, ours.targets)
    assert "map" in check_self_contained(Path("out.html").read_text()).sections()


def test_corrected_labels_are_trained_on_by_command(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "--no-report")
    words = ["--data", "npz:clouds.npz", "--labels", "out.csv", "--epochs", "1"]
    words += ["--column", "corrected_label", "--method", "standard", "--device", "cpu"]
    called = call(capsys, "train", *words, "--out", "run")
    assert called.status == 0, called.err
    receipt = json.loads(Path("run/receipt.json").read_text())
    assert "corrected_label" in json.dumps(receipt)


def test_labels_that_determine_nothing_are_left_with_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    random_labels()
    called = run(capsys, labels="random.npy")
    assert called.status == 0
    [line] = [line for line in called.err.splitlines() if "warning" in line]
    assert line.startswith("mislabel: warning: these labels do not determine the classes (stab")
    assert "labels are left as they are; try features" in line
    assert "change (" not in called.out
    found = load_cleaned("out.csv")
    np.testing.assert_array_equal(found.corrected_labels, np.load("random.npy"))
    page = check_self_contained(Path("out.html").read_text())
    assert "These labels do not determine the classes" in page.text
    assert page.sections() == ["verdict", "map", "scores", "receipts"]


def test_status_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    random_labels()
    called = run(capsys, "--require-determined", "--no-report", "--json", labels="random.npy")
    assert called.status == 1 and Path("out.csv").exists()
    found = json.loads(called.out)
    assert not found["determined"] and "do not determine the classes" in found["warning"]
    assert run(capsys, "--require-determined", "--no-report").status == 0


def test_an_explorer_of_the_labels(capsys: pytest.CaptureFixture[str]) -> None:
    called = run(capsys, explorer='look/a:b#"<script>', report="pages/page.html")
    assert called.status == 0, called.err
    index = Path('look/a:b#"<script>/index.html')
    assert f"Explorer: {index.absolute().as_uri()}" in called.out.splitlines()
    address, page = "../look/a%3Ab%23%22%3Cscript%3E/index.html", Path("pages/page.html")
    links = check_self_contained(page.read_text(), address).links()
    assert {follow(page, link)[0].resolve() for link in links} == {index.resolve()}
    views = [follow(page, link)[1] for link in links]
    assert views[:3] == [
        {},
        {"colour": "given", "ring": "changed"},
        {"colour": "corrected", "ring": "changed"},
    ]
    surest = load_cleaned("out.csv").surest(48).tolist()
    assert views[3:] == [{"at": str(number)} for number in surest]
    about = explorer_about(index.parent)
    assert [one["name"] for one in about["sets"]] == ["labels"] and about["cleaned"] == 0
    assert {"clean", "noise", "corrected", "targets"} <= about["columns"].keys()


def test_an_explorer_alone_with_images_on_a_drawn_map(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ("--no-report", "--json")
    called = run(capsys, *flags, data="digits", labels="symmetric:0.1", map=None, explorer="x")
    assert called.status == 0, called.err
    found = json.loads(called.out)
    assert (found["page"], found["explorer"]) == (None, "x/index.html")
    about = explorer_about(Path("x"))
    assert about["images"]["count"] > 0 and about["count"] == 1347
    assert [one["name"] for one in about["sets"]] == ["symmetric:0.1"]
    assert not Path("out.html").exists()


def test_the_page_has_the_map_that_the_explorer_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, map=None).status == 0
    without = check_self_contained(Path("out.html").read_text())
    assert run(capsys, map=None, explorer="x").status == 0
    page = check_self_contained(Path("out.html").read_text(), "x/index.html")
    assert "map" in page.sections() and "map" not in without.sections()


def with_nan() -> None:
    rows = points().copy()
    rows[7, 0] = np.nan
    np.save("nan.npy", rows)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"o": "out.npy"}, "output='out.npy': must end in .csv, .parquet, .npz"),
        ({"o": "file/out.csv"}, "output='file/out.csv': cannot be written"),
        ({"o": "folder.csv"}, "output='folder.csv': is a folder"),
        ({"o": "labels.csv"}, "output='labels.csv': is the file of labels; name another"),
        ({"report": "page.pdf"}, "report='page.pdf': must end in .html"),
        ({"report": "file/page.html"}, "report='file/page.html': cannot be written"),
        ({"labels": "short.npy"}, "labels='299 labels': must have length 300"),
        ({"labels": "symetric:0.2"}, "is neither a file nor a noise; did you mean 'symmetric'"),
        ({"column": "nosy_label"}, "labels='nosy_label': unknown labels; did you mean"),
        ({"labels": None, "column": "x"}, "column='x': goes with a label file"),
        ({"features": "nan.npy"}, "must be finite in float32; row 7 is not"),
        ({"map": "nan.npy"}, "must be finite in float32; row 7 is not"),
        ({"features": "short.npy"}, "features="),
        ({"data": "npz:none.npz"}, "no such file"),
        ({"seed": "-1"}, "seed=-1"),
        ({"explorer": "file"}, "explorer='file': is a file"),
        ({"explorer": "file/x"}, "explorer='file/x': cannot be written"),
        ({"explorer": "folder.csv/.."}, "explorer='folder.csv/..': holds other things"),
        (
            {"explorer": "x", "o": "x/out.csv"},
            "explorer='x': must be a folder apart from x/out.csv",
        ),
        ({"explorer": "x", "report": "x/y/p.html"}, "must be a folder apart from x/y/p.html"),
        ({"explorer": "out.csv/x"}, "must be a folder apart from out.csv"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    changes: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with_nan()
    np.save("short.npy", noisy()[:-1])
    Path("file").write_text("no folder")
    Path("folder.csv").mkdir()
    before = files(Path())
    called = run(capsys, **changes)
    assert called.status == 2 and called.out == ""
    [line] = called.err.splitlines()
    assert line.startswith("mislabel: error: ") and words in line
    assert files(Path()) == before


def test_a_page_and_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    called = run(capsys, "--no-report", report="page.html")
    assert called.status == 2 and "goes without --no-report" in called.err


def test_images_of_digits_are_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    called = run(capsys, data="digits", labels="symmetric:0.1", map=None)
    assert called.status == 0, called.err
    page = check_self_contained(Path("out.html").read_text())
    assert page.count("img") == 48 and "map" not in page.sections()
    assert load_cleaned("out.csv").class_names == tuple("0123456789")
