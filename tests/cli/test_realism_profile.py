"""``mislabel realism profile``: sets of labels side by side."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_examples import Called, call

from mislabel.features.neighborhood import Neighborhood
from mislabel.labels import NoisyLabels
from mislabel.realism.profile import profile_labels
from tiny_data import N_TRAIN, blobs, write_data

CLEAN = blobs(N_TRAIN, 0)[1]
THIRD = np.where(np.arange(N_TRAIN) % 3 == 0, (CLEAN + 1) % 3, CLEAN)
"The clean labels with every third one wrong."
HALF = np.where(np.arange(N_TRAIN) % 2 == 0, (CLEAN + 2) % 3, CLEAN)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a map, features and label files of several kinds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MISLABEL_DATA", str(tmp_path))
    write_data(tmp_path)
    np.save("features.npy", blobs(N_TRAIN, 0)[0])
    rows = [f"{clean},{noisy}\n" for clean, noisy in zip(CLEAN, THIRD, strict=True)]
    Path("third.csv").write_text("given_label,noisy_label\n" + "".join(rows))
    np.save("half.npy", HALF)
    np.save("clean.npy", CLEAN)
    Path("cifar-n").mkdir()
    sets = {"clean_label": CLEAN, "random_label1": THIRD, "worse_label": HALF}
    torch.save(sets, "cifar-n/CIFAR-10_human.pt")
    return tmp_path


def realism(capsys: pytest.CaptureFixture[str], *words: str) -> Called:
    return call(capsys, "realism", "profile", *words)


def found(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    called = realism(capsys, *words, "--json")
    assert (called.status, called.err) == (0, "")
    content: dict[str, Any] = json.loads(called.out)
    return content


def test_json_is_that_of_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    content = found(capsys, "third.csv", "half.npy", "--map", "map.npy", "--resamples", "20")
    assert list(content["sets"]) == ["third", "half"]
    place = Neighborhood.of(np.load("map.npy"), CLEAN, 3)
    for name, noisy in (("third", THIRD), ("half", HALF)):
        labels = NoisyLabels(noisy, clean_labels=CLEAN, n_classes=3)
        expected = profile_labels(labels, place, n_resamples=20).to_json()
        one = content["sets"][name]
        assert one.pop("labels")["labels_sha256"] == labels.receipt_json()["labels_sha256"]
        assert one == json.loads(json.dumps(expected))
    assert content["neighbors_from"] == "map" and set(content["inputs"]) == {"map"}


def test_every_way_to_name_a_set(capsys: pytest.CaptureFixture[str]) -> None:
    sets = ["cifar-n/CIFAR-10_human.pt:random_label1", "human:worse_label", "third.csv",
            "file:half.npy", "symmetric:0.2"]  # fmt: skip
    content = found(capsys, *sets)
    names = ["random_label1", "worse_label", "third", "half", "symmetric:0.2"]
    assert list(content["sets"]) == names
    rates = [one["rate"]["value"] for one in content["sets"].values()]
    assert rates == [1 / 3, 1 / 2, 1 / 3, 1 / 2, 1 / 5]
    assert all(one["spatial"] is None for one in content["sets"].values())
    assert content["neighbors_from"] is None


def test_noise_is_drawn_on_the_map_or_the_features(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["third.csv", "cluster:0.3", "pmd:0.3"]
    for place in (["--map", "map.npy"], ["--features", "features.npy"],
                  ["--map", "map.npy", "--features", "features.npy"]):  # fmt: skip
        content = found(capsys, *words, *place, "--resamples", "9")
        assert content["neighbors_from"] == place[-2].removeprefix("--")
        assert [one["flips"] for one in content["sets"].values()] == [20, 18, 18]


def test_seed_is_that_of_noise_and_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["third.csv", "symmetric:0.3", "--map", "map.npy", "--resamples", "9"]
    first, again, other = (found(capsys, *words, "--seed", seed) for seed in "112")
    assert first == again
    hashes = [c["sets"]["symmetric:0.3"]["labels"]["labels_sha256"] for c in (first, other)]
    assert hashes[0] != hashes[1]


def test_classes_that_only_one_set_has(capsys: pytest.CaptureFixture[str]) -> None:
    odd = CLEAN.copy()
    odd[0] = 4
    np.save("odd.npy", odd)
    content = found(capsys, "third.csv", "odd.npy", "--map", "map.npy", "--resamples", "9")
    assert [len(one["class_sizes"]) for one in content["sets"].values()] == [5, 5]


def test_tables_fit_in_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    words = ["third.csv", "half.npy", "clean.npy", "human:worse_label", "--name", "[red]a",
             "--name", "b", "--name", "none", "--name", "d"]  # fmt: skip
    called = realism(capsys, *words, "--map", "map.npy", "--resamples", "9")
    assert (called.status, called.err) == (0, "")
    lines = called.out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80 and "…" not in called.out
    assert "[red]a" in called.out
    for title in (
        "Labels",
        "Clustering index",
        "Wrong labels by closeness",
        "Wrong by typicality",
        "Wrong by share of other classes among 59",
        "Wrong by class",
        "Most frequent",
    ):
        assert any(line.startswith(title) for line in lines)  # fmt: skip
    wrong = next(line for line in lines if line.startswith("wrong"))
    assert wrong.split() == ["wrong", "20", "30", "0", "30"]
    assert lines[-1] == "After each figure: its interval at 95 %."


def test_long_tables_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("many.npy", np.arange(30) % 25)
    called = realism(capsys, "symmetric:0.1", "--clean", "many.npy")
    assert called.status == 0
    assert called.out.count("... 5 more; --json prints all") == 2


def test_files_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["third.csv", "--map", "map.npy", "--resamples", "9", "-o", "p/out.json",
             "--picture", "p/out.png"]  # fmt: skip
    content = found(capsys, *words)
    assert json.loads(Path("p/out.json").read_text()) == content
    assert Path("p/out.png").read_bytes().startswith(b"\x89PNG")


NO_SET = "is neither a file, nor FILE:COLUMN, nor a noise such as human:random_label1"
ERRORS: dict[str, tuple[list[str], str]] = {
    "missing": (["none.npy"], f"labels='none.npy': {NO_SET}"),
    "missing column": (["none.pt:a"], f"labels='none.pt:a': {NO_SET}"),
    "column": (["third.csv:a"], "third.csv:a='a': unknown labels"),
    "several": (["cifar-n/CIFAR-10_human.pt"], "cifar-n/CIFAR-10_human.pt="),
    "human": (["human:none"], "which='none': unknown human labels"),
    "noise": (["third.csv", "symmetric:2"], "rate=2.0: must be"),
    "no clean": (["half.npy"], "clean=None: no file has clean labels; name one that has"),
    "other clean": (["third.csv", "--clean", "half.npy"], "third.csv="),
    "length": (["third.csv", "short.npy"], "short.npy='9 labels': must have length 60"),
    "map": (["third.csv", "--map", "short2.npy"], "map='9 rows': must have one row per label: 60"),
    "no map": (["third.csv", "cluster:0.3"], "positions=None: noise 'cluster' needs them"),
    "names": (["third.csv", "--name", "a", "--name", "b"], "name=['a', 'b']: must be as many"),
    "same": (["third.csv", "third.csv"], "name='third.csv': is the name of two sets"),
    "output": (["third.csv", "-o", "a.txt"], "output='a.txt': must end in .json"),
    "picture": (["third.csv", "--picture", "a.txt"], "picture='a.txt': must end in .png, .svg"),
    "resamples": (["third.csv", "--resamples", "0"], "n_resamples=0: must be a whole number"),
    "seed": (["third.csv", "--map", "map.npy", "--seed", "-1"], "seed=-1: must be a whole number"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_bad_input_is_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, message = ERRORS[name]
    np.save("short.npy", CLEAN[:9])
    np.save("short2.npy", np.zeros((9, 2)))
    called = realism(capsys, *words)
    assert called.status == 2 and called.out == "" and called.err.count("\n") == 1
    assert called.err.startswith(f"mislabel: error: {message}")


@pytest.mark.data
def test_clustering_of_human_labels_is_as_published(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures of the first study."""
    monkeypatch.setenv("MISLABEL_DATA", str(data_folder))
    words = ["human:random_label1", str(data_folder / "published/cifar10-cluster-0.35.npy"),
             "--map", str(data_folder / "cifar10/clip_tsne_train.parquet")]  # fmt: skip
    content = found(capsys, *words, "--resamples", "99")
    at_ten = [one["spatial"]["clustering"]["value"][1] for one in content["sets"].values()]
    assert at_ten == pytest.approx([1.22, 2.38], abs=0.005)
