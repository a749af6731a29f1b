"""``mislabel memorize figures``, ``compare`` and ``list``: files, output and errors."""

import csv
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_examples import Called, call

from mislabel.cli import memorize_look
from mislabel.labels import NoisyLabels
from mislabel.memorization import THRESHOLD, MemorizationScores, load_scores
from tiny_data import N_CLASSES, N_TEST, N_TRAIN, blobs, files, write_data

CLEAN = blobs(N_TRAIN, 0)[1]
NOISY = np.where(np.arange(N_TRAIN) % 3 == 0, (CLEAN + 1) % N_CLASSES, CLEAN)
NAMES = np.array(["=ant", "[bold]bee", "<b>cat</b>"])
PICTURES = {f"{name}.{suffix}" for name in ("1-histograms", "2-scatter") for suffix in
            ("pdf", "png")}  # fmt: skip


def save(path: str, seed: int = 0, *, clean: bool = True, title: str = "made up") -> None:
    """Scores in which wrong labels are less probable, and the first is learned."""
    rng = np.random.default_rng(seed)
    wrong = NOISY != CLEAN
    inclusion = np.where(wrong, 0.5 + rng.random(N_TRAIN) / 2, 0.9)
    exclusion = np.where(wrong, rng.random(N_TRAIN) / 8, 0.9)
    inclusion[[0, 3]], exclusion[[0, 3]] = 0.9, 0.8
    MemorizationScores.of(
        NoisyLabels(NOISY, clean_labels=CLEAN if clean else None, n_classes=N_CLASSES),
        inclusion=inclusion,
        exclusion=exclusion,
        provenance={"estimator": "made-up", "title": title},
        inclusion_error=np.full(N_TRAIN, 0.05),
        exclusion_error=np.full(N_TRAIN, 0.05),
    ).save(path)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with data of features and of images, a map, and scores."""
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    rng = np.random.default_rng(0)
    images = {
        "x_train": rng.integers(256, size=(N_TRAIN, 4, 4, 3), dtype=np.uint8),
        "x_test": rng.integers(256, size=(N_TEST, 4, 4, 3), dtype=np.uint8),
    }
    write_data(tmp_path, "images.npz", class_names=NAMES, **images)
    save("a.npz")
    save("b.npz", 1, title="[red]other\x1b[0m")
    yield tmp_path


def memorize(capsys: pytest.CaptureFixture[str], *words: str) -> Called:
    return call(capsys, "memorize", *words)


def test_the_default_threshold_is_that_of_the_scores() -> None:
    for command in (memorize_look.figures, memorize_look.list_examples):
        assert inspect.signature(command).parameters["threshold"].default == THRESHOLD


def test_figures_of_two_files(capsys: pytest.CaptureFixture[str]) -> None:
    called = memorize(capsys, "figures", "--human", "a.npz", "--synthetic", "b.npz", "--map",
                      "map.npy", "--data", "npz:images.npz", "-o", "out")  # fmt: skip
    assert (called.status, called.err) == (0, "")
    parts = {f"{name}-{side}.{suffix}" for name in ("3-map", "4-closest")
             for side in ("human", "synthetic") for suffix in ("pdf", "png")}  # fmt: skip
    assert set(files(Path("out"))) == PICTURES | parts
    assert sorted(called.out.splitlines()) == sorted(f"out/{name}" for name in PICTURES | parts)


def test_figures_that_need_more_are_left_out_with_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    called = memorize(capsys, "figures", "--human", "a.npz", "-o", "out", "--json")
    assert called.status == 0 and set(files(Path("out"))) == PICTURES
    assert called.err.splitlines() == [
        "mislabel: figure 3-map-human is left out: needs --map",
        "mislabel: figure 4-closest-human is left out: needs --map and --data",
    ]
    found = json.loads(called.out)
    assert {Path(path).name for path in found["written"]} == PICTURES
    assert [entry["reason"] for entry in found["left_out"]] == ["needs --map", "needs --map and "
                                                                "--data"]  # fmt: skip


@pytest.mark.parametrize(
    ("scores", "data", "reasons"),
    [
        ("a.npz", "npz:tiny.npz", ["the examples of npz are no images"]),
        ("unknown.npz", "npz:images.npz", ["the scores have no clean labels"] * 2),
    ],
)
def test_figures_say_what_is_missing(
    scores: str, data: str, reasons: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    save("unknown.npz", clean=False)
    called = memorize(capsys, "figures", "--synthetic", scores, "--map", "map.npy", "--data",
                      data, "-o", "out")  # fmt: skip
    assert called.status == 0
    assert [line.partition("left out: ")[2] for line in called.err.splitlines()] == reasons


def test_figures_with_nothing_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    called = memorize(capsys, "figures", "--human", "a.npz", "--map", "map.npy", "--data",
                      "npz:images.npz", "--threshold", "0.95", "--class", "=ant",
                      "-o", "out")  # fmt: skip
    assert (called.status, called.err) == (0, "")
    assert len(files(Path("out"))) == 8


ERRORS: dict[str, tuple[list[str], str]] = {
    "none": ([], "human=None: name at least one file of scores, or --synthetic one"),
    "missing": (["--human", "c.npz"], "human='c.npz': no such file"),
    "no scores": (["--synthetic", "map.npy"], "synthetic='map.npy': is no file of scores"),
    "threshold": (
        ["--human", "a.npz", "--threshold", "1"],
        "threshold=1.0: must be from 0 to below 1",
    ),
    "data": (
        ["--human", "a.npz", "--data", "digits"],
        "data='digits': has 1,347 training examples; the scores are of 60",
    ),
    "map": (
        ["--human", "a.npz", "--map", "short.npy"],
        "map='shape (9, 2)': must be (60, 2), one position per training example",
    ),
    "class": (
        ["--human", "a.npz", "--map", "map.npy", "--data", "npz:images.npz", "--class", "ant"],
        "class='ant': unknown class; did you mean '=ant'?",
    ),
    "output": (["--human", "a.npz", "-o", "a.npz"], "output='a.npz': cannot be written"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_bad_input_to_figures_is_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, message = ERRORS[name]
    np.save("short.npy", np.zeros((9, 2)))
    called = memorize(capsys, "figures", *([] if "-o" in words else ["-o", "out"]), *words)
    assert called.status == 2 and called.out == ""
    assert called.err.startswith(f"mislabel: error: {message}")
    assert called.err.count("\n") == 1 and not Path("out").exists()


def test_compare_prints_a_table_for_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    called = memorize(capsys, "compare", "a.npz", "b.npz", "--bootstrap", "20")
    assert (called.status, called.err) == (0, "")
    assert called.out.startswith("A: made up\nB: [red]other\\x1b[0m\n\n")
    rows = [line.split() for line in called.out.splitlines()][5:14]
    assert [row[:2] for row in rows] == [
        [score, group] for score in ("inclusion", "exclusion", "memorization")
        for group in ("all", "wrong", "right")
    ]  # fmt: skip
    assert rows[0][2] == "60" and "…" not in called.out
    assert max(len(line.rstrip()) for line in called.out.splitlines()) <= 80


def test_compare_as_json_and_page(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "a.npz", "b.npz", "--bootstrap", "20", "--page", "p/page.html"]
    called = memorize(capsys, *words, "--json")
    found = json.loads(called.out)
    assert (found["a"], found["b"]) == ("made up", "[red]other\x1b[0m")
    assert len(found["agreement"]) == 9
    assert found["agreement"][0]["low"] <= found["agreement"][0]["spearman"]
    page = Path("p/page.html").read_text()
    assert "How well two estimates of memorization agree" in page
    again = memorize(capsys, *words)
    assert again.out.splitlines()[-1] == f"Page: {Path('p/page.html').absolute().as_uri()}"
    assert Path("p/page.html").read_text() == page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["c.npz", "a.npz"], "a='c.npz': no such file"),
        (["a.npz", "tiny.npz"], "b='tiny.npz': is no file of scores"),
        (["a.npz", "b.npz", "--bootstrap", "-1"], "bootstrap=-1: must be a whole number of at"),
        (["a.npz", "b.npz", "--seed", "-1"], "seed=-1: must be a whole number"),
        (["a.npz", "b.npz", "--page", "."], "page='.': is a folder; must be a file"),
    ],
)
def test_bad_input_to_compare_is_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    called = memorize(capsys, "compare", *words)
    assert called.status == 2 and called.out == "" and called.err.count("\n") == 1
    assert called.err.startswith(f"mislabel: error: {message}")


def list_words(data: str = "npz:images.npz", **changes: str) -> list[str]:
    words = ["list", "a.npz", "--data", data, "--map", "map.npy", "-o", "out"]
    for name, value in changes.items():
        words += [f"--{name}", value]
    return words


def test_list_writes_csv_json_and_page(capsys: pytest.CaptureFixture[str]) -> None:
    called = memorize(capsys, *list_words(top="4"))
    assert (called.status, called.err) == (0, "")
    assert files(Path("out")) == ["examples.csv", "examples.html", "examples.json"]
    found = json.loads(Path("out/examples.json").read_text())
    wrong = np.flatnonzero(NOISY != CLEAN)
    assert found["totals"]["learned"] == 2 and found["judged_by"] == "clean labels"
    assert {e["index"] for e in found["examples"]} <= set(wrong.tolist())
    assert [e["index"] for e in found["examples"] if e["kind"] == "learned"] == [0, 3]
    assert all(len(e["neighbors"]) == 10 for e in found["examples"])
    rows = list(csv.DictReader(Path("out/examples.csv").read_text().splitlines()))
    assert [int(row["index"]) for row in rows] == [e["index"] for e in found["examples"]]
    assert all(row["label"] in ("'=ant", "[bold]bee", "<b>cat</b>") for row in rows)
    page = Path("out/examples.html").read_text()
    assert "<b>cat</b>" not in page and "&lt;b&gt;cat&lt;/b&gt;" in page
    assert page.count('alt="Example') == len(rows) * 7
    assert "[bold]bee" in called.out and "<b>cat</b>" in called.out
    assert called.out.splitlines()[-1].startswith("Page: file://")


def test_list_as_json_is_what_the_file_holds(capsys: pytest.CaptureFixture[str]) -> None:
    called = memorize(capsys, *list_words(), "--json")
    assert json.loads(called.out) == json.loads(Path("out/examples.json").read_text())


def test_list_of_features_has_no_images(capsys: pytest.CaptureFixture[str]) -> None:
    called = call(capsys, "memorize", "list", "a.npz", "--data", "npz:tiny.npz", "-o", "out")
    assert (called.status, called.err) == (0, "")
    page = Path("out/examples.html").read_text()
    assert "<img" not in page and "no. 0" in page


def test_list_without_clean_labels_goes_by_what_is_suggested(
    capsys: pytest.CaptureFixture[str],
) -> None:
    save("a.npz", clean=False)
    np.save("p.npy", np.eye(N_CLASSES)[CLEAN])
    found = json.loads(memorize(capsys, *list_words(probabilities="p.npy"), "--json").out)
    assert found["judged_by"] == "suggested labels" and found["examples"]
    for entry in found["examples"]:
        assert entry["clean_label"] is None and entry["suggested_label"] != entry["label"]


def test_neighbours_without_scores_have_the_labels_of_the_file_or_of_the_data(
    capsys: pytest.CaptureFixture[str],
) -> None:
    few = np.flatnonzero(NOISY != CLEAN)
    load_scores("a.npz").select(few).save("a.npz")
    np.save("given.npy", np.zeros(N_TRAIN, dtype=int))
    for more, others in (({}, CLEAN), ({"labels": "given.npy"}, np.zeros(N_TRAIN, dtype=int))):
        found = json.loads(memorize(capsys, *list_words(**more), "--json").out)
        known = others.copy()
        known[few] = NOISY[few]
        assert found["examples"]
        for entry in found["examples"]:
            assert known[entry["neighbors"]].tolist() == entry["neighbor_labels"]


def test_list_of_a_subset_names_positions_in_the_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    called = memorize(capsys, *list_words(subset="30"), "--json")
    found = json.loads(called.out)
    assert found["examples"]
    for entry in found["examples"]:
        assert NOISY[entry["index"]] == entry["label"]
        assert NOISY[entry["neighbors"]].tolist() == entry["neighbor_labels"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"top": "0"}, "top=0: must be a whole number of at least 1"),
        ({"neighbors": "0"}, "neighbors=0: must be a whole number of at least 1"),
        ({"threshold": "-1"}, "threshold=-1.0: must be from 0 to below 1"),
        ({"labels": "map.npy"}, "labels=-0.00445"),
        ({"labels": "short.npy"}, "labels='9 rows': must have one row per example: 60"),
        ({"probabilities": "map.npy"}, "probabilities='2 columns': must have one per class: 3"),
        ({"features": "none.npy"}, "features='none.npy': no such file"),
    ],
)
def test_bad_input_to_list_is_one_line(
    changes: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("short.npy", np.zeros(9, dtype=int))
    called = memorize(capsys, *list_words(**changes))
    assert called.status == 2 and called.out == "" and called.err.count("\n") == 1
    assert called.err.startswith(f"mislabel: error: {message}")
    assert not Path("out").exists()


@pytest.mark.data
def test_published_scores_on_real_images(
    data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The 113 incorrect learned labels of the published half."""
    table = np.genfromtxt(data_folder / "published/memorization_rand1_dev.csv", delimiter=",",
                          names=True)  # fmt: skip
    table = table[np.argsort(table["index"])]
    index = table["index"].astype(np.int64)
    unknown, none = np.full(len(index), np.nan), np.zeros(len(index), dtype=np.int64)
    MemorizationScores(
        index=index,
        labels=table["noisy_label"].astype(np.int64),
        clean_labels=table["clean_label"].astype(np.int64),
        inclusion=table["inclusion_prob"],
        exclusion=table["exclusion_prob"],
        inclusion_error=unknown,
        exclusion_error=unknown,
        inclusion_count=none,
        exclusion_count=none,
        n_total=50_000,
        class_names=tuple("0123456789"),
    ).save("published.npz")
    cifar = data_folder / "cifar10"
    words = ["--data", f"cifar10:{cifar}", "--map", str(cifar / "clip_tsne_train.parquet")]
    called = memorize(capsys, "list", "published.npz", *words, "-o", "out", "--json")
    found = json.loads(called.out)
    assert found["totals"]["learned"] == 113
    assert "cat" in found["class_names"]
