"""``mislabel memorize estimate``: files of scores from every estimator, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_examples import Called, call, spell

from mislabel.files import hash_array
from mislabel.labels import NoisyLabels
from mislabel.memorization import load_scores
from mislabel.memorization.estimators import ESTIMATORS
from mislabel.memorization.neighbors import Neighbors
from tiny_data import N_TRAIN, blobs, write_data

CLEAN = blobs(N_TRAIN, 0)[1]
WRONG = np.where(np.arange(N_TRAIN) % 5 == 0, (CLEAN + 1) % 3, CLEAN)
OPTIONS: dict[str, Any] = {
    "--data": "npz:tiny.npz",
    "--labels": "labels.csv",
    "--device": "cpu",
    "-o": "scores.npz",
}
SPECS = {
    "neighbors": "neighbors:k=10",
    "early": "early:epochs=2",
    "subsets": "subsets:runs=20",
    "mlps": "mlps:members=20,epochs=1",
}
"Specs that are quick; of others the name."


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    rows = [f"{clean},{noisy}\n" for clean, noisy in zip(CLEAN, WRONG, strict=True)]
    Path("labels.csv").write_text("given_label,noisy_label\n" + "".join(rows))
    return tmp_path


def estimate(capsys: pytest.CaptureFixture[str], estimator: str, **changes: Any) -> Called:
    words = spell(OPTIONS, **changes)
    return call(capsys, "memorize", "estimate", estimator, *words)


@pytest.mark.parametrize("name", ESTIMATORS.names)
def test_every_estimator_writes_scores(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    called = estimate(capsys, SPECS.get(name, name))
    assert called.status == 0, called.err
    assert "error" not in called.err
    found = load_scores("scores.npz")
    np.testing.assert_array_equal(found.labels, WRONG)
    np.testing.assert_array_equal(found.clean_labels, CLEAN)
    assert found.provenance["estimator"] == name and found.class_names == ("0", "1", "2")
    lines = called.out.splitlines()
    assert lines[0] == f"scores.npz: {ESTIMATORS[name].title}, 60 of 60 examples"
    assert [line.split()[0] for line in lines[1:]] == ["all", "wrong", "right"]
    assert lines[2].startswith("  wrong labels (12): mean inclusion 0.")


def test_numbers_are_those_of_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    called = estimate(capsys, "neighbors:k=10", map="map.npy")
    labels = NoisyLabels(WRONG, clean_labels=CLEAN)
    ours = Neighbors(k=10)(labels, np.load("map.npy"))
    found = load_scores("scores.npz")
    np.testing.assert_array_equal(found.exclusion, ours.exclusion)
    mean, wrong = ours.exclusion.mean(), ours.exclusion[ours.wrong].mean()
    assert f"exclusion {mean:.3f}" in called.out and f"exclusion {wrong:.3f}" in called.out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    called = call(capsys, "memorize", "estimate", "ridge", *spell(OPTIONS), "--seed", "3", "--json")
    assert (called.status, called.err) == (0, "")
    found, scores = json.loads(called.out), load_scores("scores.npz")
    assert found["scores"] == "scores.npz" and found["provenance"] == scores.provenance
    assert found["provenance"]["seed"] == 3
    assert found["groups"]["wrong"]["count"] == 12
    assert found["groups"]["all"]["inclusion"] == pytest.approx(scores.inclusion.mean())


@pytest.mark.parametrize(
    "labels, wrong", [("symmetric:0.2", 12), ("file:labels.csv", 12), ("clean", 0)]
)
def test_labels_of_a_noise(labels: str, wrong: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert estimate(capsys, "neighbors:k=5", labels=labels).status == 0
    assert load_scores("scores.npz").wrong.sum() == wrong


def test_the_labels_of_the_data_may_be_wrong_anywhere(capsys: pytest.CaptureFixture[str]) -> None:
    called = estimate(capsys, "neighbors:k=5", labels=None)
    found = load_scores("scores.npz")
    np.testing.assert_array_equal(found.labels, CLEAN)
    assert found.clean_labels is None
    assert [line.split()[0] for line in called.out.splitlines()[1:]] == ["all"]


def test_chosen_examples(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("index.npy", np.array([30, 2, 9]))
    assert estimate(capsys, "ridge", index="index.npy").status == 0
    chosen = load_scores("scores.npz")
    np.testing.assert_array_equal(chosen.index, [2, 9, 30])
    assert estimate(capsys, "ridge").status == 0
    whole = load_scores("scores.npz")
    np.testing.assert_array_equal(chosen.exclusion, whole.exclusion[[2, 9, 30]])


def test_what_was_never_held_out_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs leave out one of four each, so at least two are never left out."""
    Path("index.txt").write_text("0\n1\n2\n3\n")
    called = estimate(capsys, "subsets:runs=2,design=index,keep=0.9", index="index.txt")
    assert called.status == 0
    found = load_scores("scores.npz")
    assert found.exclusion_count.sum() == 2
    np.testing.assert_array_equal(np.isnan(found.exclusion), found.exclusion_count == 0)
    assert f"exclusion {np.nanmean(found.exclusion):.3f}" in called.out


def test_given_features_and_maps(capsys: pytest.CaptureFixture[str]) -> None:
    """neighbors takes the map before the features, early the features before the examples."""
    features = np.random.default_rng(0).normal(size=(N_TRAIN, 7)).astype(np.float32)
    np.save("features.npy", features)
    for estimator, given, wanted in (
        ("neighbors:k=5", {"features": "features.npy"}, features),
        ("neighbors:k=5", {"features": "features.npy", "map": "map.npy"}, np.load("map.npy")),
        ("ridge", {"map": "map.npy"}, np.load("map.npy")),
        ("early:epochs=1", {"features": "features.npy"}, features),
        ("early:epochs=1", {"map": "map.npy"}, blobs(N_TRAIN, 0)[0]),
    ):
        assert estimate(capsys, estimator, **given).status == 0
        inputs = load_scores("scores.npz").provenance["inputs"]
        assert inputs["features"] == hash_array(np.asarray(wanted, dtype=np.float32))


@pytest.mark.parametrize(
    "estimator, changes, message",
    [
        ("rigde", {}, "estimator='rigde': unknown name; did you mean 'ridge'? Known: "),
        ("neighbors:k=0", {}, "k=0: must be a whole number of at least 1"),
        ("neighbors:k=60", {}, "k=60: must be between 1 and 59, the number of other examples"),
        ("ridge", {"o": "scores.csv"}, "output='scores.csv': must end in .npz"),
        ("ridge", {"o": "."}, "output='.': must end in .npz"),
        ("ridge", {"labels": "symetric:0.2"}, "labels='symetric:0.2': is neither a file nor a "),
        ("ridge", {"labels": "none.csv"}, "labels='none.csv': is neither a file nor a noise; "),
        ("ridge", {"labels": "clean", "column": "x"}, "column='x': goes with a label file"),
        ("ridge", {"index": "none.npy"}, "index='none.npy': is no file of positions"),
        ("ridge", {"data": "npz:none.npz"}, "data="),
    ],
)
def test_bad_input_is_one_line(
    estimator: str, changes: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    called = estimate(capsys, estimator, **changes)
    assert called.status == 2 and called.out == ""
    assert called.err.startswith(f"mislabel: error: {message}") and called.err.count("\n") == 1
    assert not Path("scores.npz").exists()
