"""``mislabel realism fit``, its figure, and noise made from its file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_examples import call
from matplotlib.figure import Figure

from mislabel.cli.realism_fit import sentences
from mislabel.explorer.marks import MARKS
from mislabel.files import hash_array
from mislabel.labels import NoisyLabels, load_labels
from mislabel.labels.formats import receipt_path
from mislabel.noise import make_noise
from mislabel.noise.human_like import HumanParameters
from mislabel.noise.human_like_fit import FITTED, fit_human_like
from mislabel.report.human_like_figure import human_like_figure

N = 600
CLEAN = np.arange(N) % 3
POINTS = (np.random.default_rng(0).normal(size=(N, 2)) + 2 * CLEAN[:, None]).astype(np.float32)
WORDS = ("realism", "fit", "labels.csv", "--map", "map.npy")


def labels() -> NoisyLabels:
    return make_noise("human-like:0.3,effects=drawn").corrupt(CLEAN, positions=POINTS, seed=1)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    labels().save("labels.csv")
    np.save("map.npy", POINTS)


def words_of(text: str) -> str:
    return " ".join(text.split())


def test_everything_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    called = call(capsys, *WORDS, "-o", "human.json", "--picture", "human.png", "--seed", "3")
    assert called.status == 0 and called.err == ""
    assert words_of(called.out).startswith("180 of 600 labels are wrong (30.0 %), 3 classes")
    for name in (*FITTED[:6], "class_spread", "pair_spread"):
        assert name.replace("_", " ") in called.out
    assert "class 2 flips" in called.out and "Effects of pairs" in called.out
    human = HumanParameters.load("human.json")
    assert human == fit_human_like(labels(), POINTS, seed=3)
    assert Path("human.png").read_bytes().startswith(b"\x89PNG")


def test_the_file_makes_noise(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, *WORDS, "-o", "human.json").status == 0
    images = np.zeros((N, 4, 4), dtype=np.uint8)
    np.savez("data.npz", x_train=images, y_train=CLEAN, x_test=images[:9], y_test=CLEAN[:9])
    make = ("noise", "human-like", "--data", "npz:data.npz", "--map", "map.npy", "--rate", "0.1")
    made = call(capsys, *make, "--like", "human.json", "--effects", "fitted", "-o", "made.csv")
    assert made.status == 0
    assert load_labels(Path("made.csv")).flipped.sum() == 60
    wrong = call(capsys, *make, "--like", "labels.csv", "-o", "made.csv")
    assert wrong.status == 2
    assert wrong.err.startswith("mislabel: error: like='labels.csv': cannot be read as JSON")


def test_json_features_and_clean_labels(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("people.npy", labels().labels)
    np.save("clean.npy", CLEAN)
    np.save("features.npy", np.hstack([POINTS, POINTS[:, :1]]))
    words = ("realism", "fit", "people.npy", "--clean", "clean.npy", "--features", "features.npy")
    called = call(capsys, *words, "--json")
    assert called.status == 0
    found = json.loads(called.out)
    assert found["kind"] == "human-like" and found["source"]["dimensions"] == 3
    assert found["errors"].keys() >= {*FITTED, "class_effects[2]"}


def test_parameters_of_an_embedding_make_noise_on_features(
    capsys: pytest.CaptureFixture[str],
) -> None:
    features = np.hstack([POINTS, np.random.default_rng(1).normal(size=(N, 3))]).astype(np.float32)
    np.save("features.npy", features)
    assert call(capsys, *WORDS[:3], "--features", "features.npy", "-o", "human.json").status == 0
    images = np.zeros((N, 4, 4), dtype=np.uint8)
    np.savez("data.npz", x_train=images, y_train=CLEAN, x_test=images[:9], y_test=CLEAN[:9])
    make = ("noise", "human-like", "--data", "npz:data.npz", "--features", "features.npy")
    assert call(capsys, *make, "--like", "human.json", "-o", "made.csv").status == 0
    model = HumanParameters.load("human.json").noise()
    wanted = model.corrupt(CLEAN, features=features)
    assert load_labels(Path("made.csv")).labels.tolist() == wanted.labels.tolist()
    assert model.corrupt(CLEAN, positions=features) == wanted


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (WORDS[:3], "map=None: give --map or --features"),
        ((*WORDS, "--features", "map.npy"), "map='map.npy': give --map or --features"),
        (
            ("realism", "fit", "none.csv", *WORDS[3:]),
            "labels='none.csv': is neither a file, nor FILE:COLUMN, nor a noise such as "
            "human:random_label1",
        ),
        ((*WORDS, "-o", "x.csv"), "output='x.csv': must end in .json"),
        ((*WORDS, "--picture", "x.bmp"), "picture='x.bmp': must end in .png, .svg or .pdf"),
        ((*WORDS, "--seed", "-1"), "seed=-1: must be a whole number from 0 to 2**63 - 1"),
        (
            (*WORDS[:4], "short.npy"),
            "map='599 rows': must have one row per label: 600",
        ),
        (
            ("realism", "fit", "people.npy", *WORDS[3:]),
            "clean=None: no file has clean labels; name one that has",
        ),
        (
            ("realism", "fit", "right.csv", *WORDS[3:]),
            "labels='0 of 600 wrong': at least 50 must be wrong, and some right",
        ),
    ],
)
def test_errors_are_one_line(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("short.npy", POINTS[1:])
    np.save("people.npy", labels().labels)
    NoisyLabels(CLEAN, clean_labels=CLEAN).save("right.csv")
    called = call(capsys, *words)
    assert called.status == 2 and called.err == f"mislabel: error: {message}\n"
    assert called.out == ""


def test_sentences_are_worked_out_by_hand() -> None:
    """100 neighbours: 101 to the power of 1/2 is 10.05; exp(ln 3) is 3."""
    human = replace(
        HumanParameters.preset("random_label1"),
        mixing=0.5,
        loneliness=float(np.log(3)),
        target_closeness=0.30103,
        near_reach=0.001,
    )
    said = sentences(human)
    assert "flips 10.05 times as often as one with none" in said["mixing"]
    assert "flips 3.00 times as often" in said["loneliness"]
    assert "taken 2.00 times as often" in said["target_closeness"]
    assert "within 0.1 % of the data" in said["near_spread"]


def figure_of(n_classes: int) -> Figure:
    rng = np.random.default_rng(0)
    human = replace(
        HumanParameters.preset("random_label1"),
        class_effects=tuple(rng.normal(size=n_classes)),
        pair_effects=tuple(map(tuple, rng.gamma(1, size=(n_classes, n_classes)))),
    )
    return human_like_figure(human, [f"class {c}" for c in range(n_classes)] or None)


@pytest.mark.parametrize("n_classes", [0, 2, 10, 100])
def test_figure(n_classes: int, tmp_path: Path) -> None:
    """Curves, and with classes their factors with errors and the matrix of pairs."""
    figure = figure_of(n_classes)
    figure.savefig(tmp_path / "figure.png")
    assert len(figure.axes) == (5 if n_classes else 2)
    share, flips = figure.axes[0].lines[1].get_data()
    slope = HumanParameters.preset("random_label1").mixing
    np.testing.assert_allclose(flips, ((np.asarray(share) + 1) / 51) ** slope)
    place, flips = figure.axes[1].lines[1].get_data()
    assert np.all(np.diff(flips) < 0) and np.interp(50, place, flips) == pytest.approx(1)


def marked(path: Path, shown: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> None:
    """A file as the explorer exports it, of somebody who knows the clean labels of those shown."""
    given = labels().labels
    after = np.where(shown, CLEAN, given)
    marks = np.where(~shown, "", np.where(given == CLEAN, "right", "new"))
    rows = [f"{i},{g},{m},{a}" for i, (g, m, a) in enumerate(zip(given, marks, after, strict=True))]
    path.write_text("\n".join(["sample_id,original_label,mark,noisy_label", *rows]) + "\n")
    content = {
        "format": 1,
        "generator": "explorer-marks",
        "n_classes": 3,
        "labels_sha256": hash_array(after),
        "inputs": {"labels": hash_array(given)},
        "parameters": {"marks": {m: int((marks == m).sum()) for m in MARKS}},
    }
    receipt_path(path).write_text(json.dumps(content))


def test_labels_that_were_marked_in_the_explorer(capsys: pytest.CaptureFixture[str]) -> None:
    """Learned from those alone; the others only count as neighbours."""
    shown = np.random.default_rng(1).permutation(N) < 400
    marked(Path("marked.csv"), shown)
    words = ("realism", "fit", "marked.csv", "--marked", "--map", "map.npy", "-o", "human.json")
    assert call(capsys, *words).status == 0
    found = HumanParameters.load("human.json")
    given = labels().labels
    clean = np.where(shown, CLEAN, given)
    wanted = fit_human_like(NoisyLabels(given, clean_labels=clean), POINTS, used=shown)
    assert found.source["used"] == 400
    assert found.rate == wanted.rate == float((given != CLEAN)[shown].mean())
    assert all(getattr(found, name) == getattr(wanted, name) for name in FITTED)


def test_marks_are_not_taken_for_what_they_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    called = call(capsys, *WORDS, "--marked")
    assert called.status == 2 and "is no file of marks" in called.err
    marked(Path("marked.csv"), np.ones(N, dtype=bool))
    words = ("realism", "fit", "marked.csv", "--map", "map.npy", "--marked", "--clean", "x.csv")
    called = call(capsys, *words)
    assert called.status == 2 and "goes without --marked" in called.err
