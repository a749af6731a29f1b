"""``mislabel explore``: the page, what is printed, what it refuses, and serving."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_examples import Called, call, spell
from numpy.typing import NDArray

from cleaned_examples import C, N, clean, cleaned, noisy, points
from mislabel.data import load_data
from mislabel.labels import NoisyLabels
from mislabel.memorization import MemorizationScores
from tiny_data import files, snapshot

OPTIONS: dict[str, Any] = {
    "--data": "npz:clouds.npz",
    "--labels": "labels.csv",
    "--map": "map.npy",
    "-o": "page",
}


def found_scores(labels: NDArray[np.int64]) -> MemorizationScores:
    """Every label is learned, but wrong ones of class 1 are memorized."""
    given = NoisyLabels(labels, clean_labels=clean())
    memorized = given.flipped & (clean() == 1)
    return MemorizationScores.of(
        given,
        inclusion=np.full(N, 0.9),
        exclusion=np.where(memorized, 0.1, 0.9),
        provenance={"estimator": "made-up", "title": "made up"},
    )


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder; every tenth label is wrong: 10 of each class."""
    monkeypatch.chdir(tmp_path)
    x, y = points(), clean()
    np.savez("clouds.npz", x_train=x, y_train=y, x_test=x[:30], y_test=y[:30])
    np.save("map.npy", x)
    NoisyLabels(noisy(), clean_labels=y).save("labels.csv")
    np.save("other.npy", np.where(np.arange(N) < 30, (y + 1) % C, y))
    rows = "\n".join(f"{a},{b}" for a, b in zip(noisy(), (noisy() + 1) % C, strict=True))
    Path("two.csv").write_text(f"first,second\n{rows}\n")
    found_scores(noisy()).save("scores.npz")
    cleaned().save("cleaned.csv")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *flags: str, **changes: Any) -> Called:
    return call(capsys, "explore", *spell(OPTIONS, **changes), *flags)


def about(folder: str = "page") -> dict[str, Any]:
    text = Path(folder, "data/about.js").read_text()
    return json.loads(text.removeprefix("mislabel.about(").removesuffix(");\n"))  # type: ignore[no-any-return]


def names(folder: str = "page") -> list[str]:
    return [one["name"] for one in about(folder)["sets"]]


def test_page_and_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    called = run(capsys, "--scores", "scores.npz", "--targets", "cleaned.csv")
    assert called.status == 0, called.err
    assert "error" not in called.err and "warning" not in called.err
    page = Path.cwd() / "page" / "index.html"
    assert called.out.splitlines() == [
        "npz: 300 examples, 3 classes",
        "  labels: 30 flipped, 20 incorrect learned, 10 memorized, 30 changed, 30 noisy",
        f"Page: {page.as_uri()}",
    ]
    assert page.is_file() and names() == ["labels"]
    assert about()["neighbors"] == {"count": 8, "in": "map"} and about()["images"] is None


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    called = run(capsys, "--json", labels=["labels.csv", "other.npy"], scores="scores.npz")
    assert called.status == 0, called.err
    found = json.loads(called.out)
    assert found.pop("data") == about()["data"]
    assert found == {
        "page": "page/index.html",
        "n_examples": N,
        "n_classes": C,
        "images": False,
        "labels": {
            "labels": {"rate": 0.1, "flipped": 30, "incorrect-learned": 20, "memorized": 10},
            "other": {"rate": 0.1, "flipped": 30},
        },
    }


def test_the_same_command_gives_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    for folder in "ab":
        assert run(capsys, o=folder).status == 0
    first, second = (snapshot(Path(folder)) for folder in "ab")
    assert {k: v for k, (_, v) in first.items()} == {k: v for k, (_, v) in second.items()}


def test_the_datas_own_labels_without_others(capsys: pytest.CaptureFixture[str]) -> None:
    called = run(capsys, labels=None)
    assert "  labels: clean labels are not known" in called.out.splitlines()
    assert names() == ["labels"] and about()["sets"][0]["generator"] == "data"
    assert "clean" not in about()["columns"]


def test_a_column_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    called = run(capsys, labels=["two.csv:first", "two.csv:second"])
    assert called.status == 0, called.err
    assert names() == ["two.csv:first", "two.csv:second"]
    found = [int(n) for n in re.findall(r"(\d+) flipped", called.out)]
    wanted = [int((labels != clean()).sum()) for labels in (noisy(), (noisy() + 1) % C)]
    assert found == wanted == [30, 300]


def test_noise_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    called = run(capsys, labels=["symmetric:0.2", "cluster:0.3"], seed=3)
    assert called.status == 0, called.err
    assert names() == ["symmetric:0.2", "cluster:0.3"]
    assert [one["generator"] for one in about()["sets"]] == ["symmetric", "cluster"]
    assert "symmetric:0.2: 60 flipped" in called.out


def test_names_of_the_sets(capsys: pytest.CaptureFixture[str]) -> None:
    labels = ["labels.csv", "other.npy"]
    assert run(capsys, labels=labels, name=["first", "second"]).status == 0
    assert names() == ["first", "second"]
    Path("deep").mkdir()
    NoisyLabels(noisy()).save("deep/labels.csv")
    assert run(capsys, labels=["labels.csv", "deep/labels.csv"]).status == 0
    assert names() == ["labels.csv", "deep/labels.csv"]  # one short name for two files


def test_subset_has_indices_of_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    called = run(capsys, "--json", subset=60, scores="scores.npz", seed=5)
    assert called.status == 0, called.err
    assert json.loads(called.out)["n_examples"] == 60
    wanted = load_data("npz:clouds.npz", subset=60, seed=5).train_indices
    rows = noisy()[wanted] != clean()[wanted]
    assert json.loads(called.out)["labels"]["labels"]["flipped"] == int(rows.sum())
    assert about()["columns"]["indices"] == {"type": "u4", "width": 1, "rows": 60}


def test_neighbors_come_from_features(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("features.npy", np.c_[points(), points()])
    assert run(capsys, features="features.npy").status == 0
    assert about()["neighbors"]["in"] == "features"


def test_images_of_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("map.npy", np.random.default_rng(0).normal(size=(len(load_data("digits")), 2)))
    called = run(capsys, data="digits", labels="symmetric:0.2", subset=300)
    assert called.status == 0, called.err
    assert about()["images"] == {
        "width": 8, "height": 8, "across": 16, "perSheet": 256, "count": 2,
    }  # fmt: skip


def test_labels_that_determine_nothing_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    from cleaned_examples import undetermined

    undetermined().save("random.csv")
    np.save("random.npy", undetermined().labels)
    called = run(capsys, labels="random.npy", targets="random.csv")
    assert called.status == 0
    assert f"mislabel: warning: {undetermined().warning}" in called.err.splitlines()
    assert about()["warning"] == undetermined().warning


def prepare_bad() -> None:
    found_scores(np.load("other.npy")).save("of_other.npz")
    other = np.where(np.arange(N) == 7, (clean() + 1) % C, clean())
    NoisyLabels(noisy(), clean_labels=other).save("aligned_otherwise.csv")
    np.save("short.npy", noisy()[:50])
    np.save("short_map.npy", points()[:50])
    np.save("deep_map.npy", np.zeros((N, 3)))
    Path("full").mkdir()
    Path("full/thesis.tex").write_text("years of work")
    Path("file").write_text("a file")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"o": "full"}, "output='full': holds other things; give a new or empty folder, or one with"
                        " an explorer"),
        ({"o": "file"}, "output='file': is a file; must be a folder"),
        ({"o": "file/page"}, "output='file/page': cannot be written"),
        ({"o": None}, "Missing option '--output' / '-o'."),
        ({"port": 8000}, "port=8000: goes with --serve"),
        ({"port": 70000}, "port=70000: must be from 0 to 65535"),
        ({"port": -1}, "port=-1: must be from 0 to 65535"),
        ({"labels": ["labels.csv", "labels.csv"]},
         "labels='labels.csv': is there twice; give each a --name of its own"),
        ({"labels": ["labels.csv", "other.npy"], "name": ["a", "a"]},
         "labels='a': is there twice; give each a --name of its own"),
        ({"name": ["a", "b"]}, "name=['a', 'b']: must be as many as sets of labels: 1"),
        ({"labels": None, "name": "a"}, "name=['a']: must be as many as sets of labels: 0"),
        ({"labels": "missing.csv"}, "labels='missing.csv': is neither a file nor a noise;"),
        ({"labels": "two.csv"}, "labels=['first', 'second']: holds several sets of labels"),
        ({"labels": "two.csv:third"}, "labels='third': unknown labels;"),
        ({"labels": "labels.csv:"}, "labels='labels.csv:': must name a column after"),
        ({"labels": "short.npy"}, "labels='50 labels': must have length 300"),
        ({"labels": "aligned_otherwise.csv"}, "not aligned"),
        ({"scores": "of_other.npz"}, "scores='made up': are of other labels than all that are "
                                     "shown; give theirs with --labels"),
        ({"scores": "missing.npz"}, "scores='missing.npz': no such file"),
        ({"scores": "map.npy"}, "scores='map.npy': is no file of scores"),
        ({"targets": "cleaned.csv", "labels": "other.npy"}, "targets='300 labels': were cleaned"
         " from other labels than all that are shown; give theirs with --labels"),
        ({"targets": "labels.csv"}, "targets='labels.csv': is no file of cleaned labels"),
        ({"map": "short_map.npy"}, "map='50 rows': must have one row per example: 300"),
        ({"map": "deep_map.npy"}, "map='deep_map.npy': must have 2 columns, not 3"),
        ({"data": "npz:missing.npz"}, "missing.npz"),
        ({"subset": 0}, "subset=0"),
    ],
)  # fmt: skip
def test_one_line_status_2_and_nothing_written(
    changes: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare_bad()
    before = snapshot(Path()), files(Path())
    called = run(capsys, **changes)
    [line] = called.err.splitlines()
    assert line.startswith("mislabel: error: ") and message in line
    assert (called.status, called.out) == (2, "")
    assert (snapshot(Path()), files(Path())) == before


def test_what_was_there_is_kept_where_the_new_page_fails(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(capsys).status == 0
    before = snapshot(Path("page"))
    assert run(capsys, scores="missing.npz").status == 2
    assert snapshot(Path("page")) == before
    assert run(capsys, labels="other.npy").status == 0
    assert names() == ["other"]


def test_help_names_all_options(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(call(capsys, "explore", "--help").out.split())
    assert text.count("Example: mislabel explore") == 2
    for option in (*OPTIONS, "--scores", "--targets", "--name", "--serve", "--port", "--json"):
        assert option in text


def test_serving_until_ctrl_c() -> None:
    """The page is served on loopback; Ctrl-C is the way to end it, so it ends well."""
    words = [sys.executable, "-m", "mislabel", "explore", *spell(OPTIONS), "--serve"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            *_, line = [process.stdout.readline() for _ in range(4)]
            found = re.fullmatch(r"Serving http://127\.0\.0\.1:(\d+)/ \(Ctrl-C ends it\)\n", line)
            assert found, line
            connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=20)
            connection.request("GET", "/")
            answer = connection.getresponse()
            assert answer.status == 200 and b'id="map"' in answer.read()
            connection.close()
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, rest) == (0, "")
    assert "Traceback" not in errors and "stopped" not in errors
