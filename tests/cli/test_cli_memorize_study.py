"""``mislabel memorize run``, ``scores``, ``influence``, ``merge``, ``export`` and ``import``."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_examples import Called, call, spell

from mislabel.data import load_data
from mislabel.labels import NoisyLabels
from mislabel.memorization import load_scores
from mislabel.memorization.aggregate import study_scores
from mislabel.memorization.store import StudyFolder
from tiny_data import N_TEST, N_TRAIN, write_data

RUN: dict[str, Any] = {
    "--data": "npz:tiny.npz", "--labels": "labels.csv", "--epochs": "2", "--device": "cpu",
    "--workers": "1", "--runs": "6", "--out": "study",
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data and labels of which every fifth is wrong."""
    write_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    clean = load_data("npz:tiny.npz").y_train
    labels = np.where(np.arange(N_TRAIN) % 5 == 0, (clean + 1) % 3, clean)
    NoisyLabels(labels, clean_labels=clean, n_classes=3).save("labels.csv")
    return tmp_path


def memorize(capsys: pytest.CaptureFixture[str], *words: str) -> Called:
    return call(capsys, "memorize", *words)


def run(capsys: pytest.CaptureFixture[str], **changes: Any) -> Called:
    return memorize(capsys, "run", *spell(RUN, **changes))


def test_a_study_from_the_beginning_to_its_scores(capsys: Any, folder: Path) -> None:
    called = run(capsys)
    assert called.status == 0 and called.out == (
        "study: 6 runs; mislabel memorize scores study sums them up\n"
    )
    first = called.err.splitlines()[0]
    assert first.startswith("mislabel: 6 runs of standard (mlp, 2 epochs) on 60 examples; 24 held")
    assert "17 of them in each run; about " in first and first.endswith("0.0 MB of disk")
    again = run(capsys, runs="8", json=None)
    assert again.err.startswith("mislabel: 8 runs of standard (mlp, 2 epochs) on 60 examples, 6 of")

    called = memorize(capsys, "scores", "study", "-o", "scores.npz", "--csv", "scores.csv")
    assert called.status == 0 and called.err == ""
    found, wanted = load_scores("scores.npz"), study_scores("study")
    np.testing.assert_array_equal(found.exclusion, wanted.exclusion)
    assert found.provenance["labels"] == "labels.csv" and found.provenance["runs"] == 8
    assert "standard (mlp, 2 epochs), 8 runs" in called.out and "incorrect learned" in called.out
    with Path("scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["index"]) for row in rows] == found.index.tolist()
    for row, value, count in zip(rows, found.exclusion, found.exclusion_count, strict=True):
        assert int(row["exclusion_count"]) == count
        assert (row["exclusion"] == "") == np.isnan(value)
        assert row["exclusion"] == "" or float(row["exclusion"]) == pytest.approx(value, abs=5e-7)

    told = memorize(capsys, "scores", "study", "--json", "--measure", "probability")
    groups = json.loads(told.out)["groups"]
    assert [groups[name]["count"] for name in ("all", "wrong", "right")] == [24, 12, 12]
    chance = study_scores("study", measure="probability")
    assert groups["all"]["inclusion"] == pytest.approx(np.nanmean(chance.inclusion), rel=1e-12)


def test_influence(capsys: Any) -> None:
    run(capsys)
    called = memorize(capsys, "influence", "study", "-o", "all.npy")
    assert called.out == f"all.npy: influence of 24 examples on {N_TEST} test examples\n"
    memorize(capsys, "influence", "study", "-o", "some.npy", "--test", "3,17")
    told = memorize(capsys, "influence", "study", "-o", "few.npy", "--test", "0:4", "--json")
    assert json.loads(told.out) == {"influence": "few.npy", "shape": [4, 24]}
    whole = np.load("all.npy")
    np.testing.assert_array_equal(np.load("some.npy"), whole[[3, 17]])
    np.testing.assert_array_equal(np.load("few.npy"), whole[:4])


def test_parts_are_merged_exported_and_imported(capsys: Any) -> None:
    run(capsys, runs="0:4", out="a")
    run(capsys, runs="3:9", out="b")
    called = memorize(capsys, "merge", "a", "b", "--out", "both")
    assert called.out == "both: 9 runs\n" and StudyFolder("both").runs() == list(range(9))
    called = memorize(capsys, "export", "both", "-o", "out.npz", "--runs-per-file", "5")
    assert called.out == "out-000.npz\nout-001.npz\n"
    words = ["--labels", "labels.csv", "--title", "ours", "-o", "scores.npz"]
    called = memorize(capsys, "import", "out-000.npz", "out-001.npz", *words)
    assert called.status == 0 and called.err == ""
    found, wanted = load_scores("scores.npz"), study_scores("both")
    chosen = np.isin(wanted.index, found.index)
    np.testing.assert_array_equal(found.inclusion, wanted.inclusion[chosen])
    assert found.title == "ours" and found.provenance["runs"] == 9


def test_a_table_is_imported(capsys: Any) -> None:
    labels = NoisyLabels.load("labels.csv")
    clean = labels.clean_labels
    assert clean is not None
    rows = [f"{i},{clean[i]},{labels.labels[i]},0.5,0.25" for i in range(5)]
    header = "index,clean_label,noisy_label,inclusion_prob,exclusion_prob"
    Path("table.csv").write_text("\n".join([header, *rows, ""]))
    words = ["--labels", "labels.csv", "-o", "scores.npz", "--json"]
    called = memorize(capsys, "import", "table.csv", *words)
    assert json.loads(called.out) == {"scores": "scores.npz", "examples": 5}
    assert load_scores("scores.npz").memorization.tolist() == [0.25] * 5


def test_designs_from_the_command_line(capsys: Any) -> None:
    """Positions in a file are of the full training set, of which these are a subset."""
    here = load_data("npz:tiny.npz", subset=30).train_indices
    Path("held.txt").write_text("\n".join(map(str, here[[3, 8, 20]])))
    assert run(capsys, subset="30", held_out="held.txt", runs="2").status == 0
    study = StudyFolder("study")
    assert study.labels.index.tolist() == [3, 8, 20] and study.labels.n_total == N_TRAIN
    assert study_scores(study).index.tolist() == here[[3, 8, 20]].tolist()
    options = {"design": "all", "labels": "symmetric:0.2", "keep": "correctness", "out": "other"}
    assert run(capsys, **options, fixed=["order", "initialisation"], until_se="0.5").status == 0
    design = StudyFolder("other").identity["design"]
    assert design["name"] == "all" and design["fixed"] == ["initialisation", "order"]


def test_methods_that_predict_from_features(capsys: Any) -> None:
    called = run(capsys, method="lra-diffusion:k=5,epochs=1", runs="1")
    assert called.status == 0
    assert {"guidance_sha256", "test_guidance_sha256"} <= StudyFolder("study").identity.keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs": "many"}, "runs='many': must be a number of runs (200), or which of them"),
        ({"runs": None}, "runs=None: give a number of runs, or until_se"),
        ({"design": "al"}, "design='al': unknown choice; did you mean 'all'?"),
        ({"held_out": "held.txt", "design": "all"}, "design='all': goes without a file of"),
        ({"held_out": "none.txt"}, "held_out='none.txt': is no file of positions"),
        ({"held_out": "far.txt"}, "held_out=60: is not in the training set"),
        ({"labels": "none.csv"}, "labels='none.csv': is neither a file nor a noise"),
        ({"method": "standart"}, "method='standart': unknown name; did you mean 'standard'?"),
        ({"evaluate": "augmented"}, "evaluate='augmented': training on these data does not"),
        ({"out": "tiny.npz"}, "out='tiny.npz': is a file; must be a folder"),
    ],
)
def test_bad_runs(capsys: Any, changes: Any, message: str) -> None:
    Path("held.txt").write_text("1\n2\n")
    Path("far.txt").write_text("1\n60\n")
    called = run(capsys, **changes)
    assert called.status == 2 and called.err.startswith(f"mislabel: error: {message}")
    assert len(called.err.splitlines()) == 1 and not Path("study").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["scores", "none"], "study='none': holds no study (no study.json)"),
        (["scores", "none", "-o", "a.csv"], "output='a.csv': must end in .npz"),
        (["scores", "none", "--csv", "a.npz"], "csv='a.npz': must end in .csv"),
        (["scores", "study", "--threshold", "2"], "threshold=2.0: must be between 0 and 1"),
        (["scores", "study", "--measure", "odds"], "measure='odds': unknown choice;"),
        (["influence", "study", "-o", "a.npz"], "output='a.npz': must end in .npy"),
        (["influence", "study", "-o", "a.npy", "--test", "x"], "test='x': must be positions"),
        (["influence", "study", "-o", "a.npy", "--test", "30"], "test=30: at index 0; must be"),
        (["merge", "none", "--out", "new"], "study='none': holds no study"),
        (["export", "study", "-o", "a.npy"], "output='a.npy': must end in .npz"),
        (["import", "a.npz", "--labels", "none", "-o", "b.npz"], "labels='none': is no file;"),
        (["import", "a.npz", "--labels", "labels.csv", "-o", "b.npz"], "file='a.npz': is no arch"),
        (["import", "a.npz", "--labels", "labels.csv", "--runs", "3", "-o", "b.npz"],
         "runs=3: goes with a table"),
        (["import", "a.csv", "b.csv", "--labels", "labels.csv", "-o", "b.npz"],
         "file='a.csv': a table goes alone"),
        (["import", "a.csv", "--labels", "labels.csv", "-o", "b.csv"], "must end in .npz"),
    ],
)  # fmt: skip
def test_bad_words(capsys: Any, words: list[str], message: str) -> None:
    if "study" in words:
        run(capsys, runs="1", epochs="1")
    called = memorize(capsys, *words)
    assert called.status == 2 and message in called.err and len(called.err.splitlines()) == 1
