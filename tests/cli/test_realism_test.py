"""``mislabel realism test``."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli_examples import call

from mislabel.labels import NoisyLabels
from mislabel.noise import make_noise
from mislabel.realism.two_sample import two_sample_test

N = 600
CLEAN = np.arange(N) % 3
POINTS = (np.random.default_rng(0).normal(size=(N, 2)) + 2 * CLEAN[:, None]).astype(np.float32)
WORDS = ("realism", "test", "--reference", "even.csv", "--candidate", "patches.csv")
QUICK = (*WORDS, "--map", "map.npy", "--no-importance", "--permutations", "99")


def draw(spec: str) -> NoisyLabels:
    return make_noise(spec).corrupt(CLEAN, positions=POINTS, seed=1)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even noise, noise in patches with a higher rate, less noise, and the map."""
    monkeypatch.chdir(tmp_path)
    draw("symmetric:0.3").save("even.csv")
    draw("cluster:n=3,rate=0.35").save("patches.csv")
    draw("symmetric:0.1").save("less.csv")
    np.save("map.npy", POINTS)


def test_everything_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--picture", "test.png", "-o", "test.json", "--at-most", "0.55")
    called = call(capsys, *WORDS, "--map", "map.npy", *words)
    assert called.status == 1  # above --at-most
    assert "can be told from the reference" in " ".join(called.out.split())
    assert "30 of the candidate's flips set back" in " ".join(called.out.split())
    assert "flips nearby" in called.out and "AUC by class" in called.out
    assert "training 5/5" in called.err
    written = json.loads(Path("test.json").read_text())
    wanted = two_sample_test(
        draw("symmetric:0.3"), draw("cluster:n=3,rate=0.35"), POINTS, importance=True
    )
    assert written == json.loads(json.dumps(wanted.to_json()))
    assert Path("test.png").read_bytes().startswith(b"\x89PNG")


def test_json_of_features(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("features.npy", np.hstack([POINTS, POINTS[:, :1]]))
    words = ("--no-importance", "--permutations", "99", "--at-most", "1", "--json")
    called = call(capsys, *WORDS, "--features", "features.npy", *words)
    found = json.loads(called.out)
    assert called.status == 0
    assert found["importance"] is None and found["n_permutations"] == 99
    assert found["discriminator"] == "boosting" and found["auc"] > 0.6


def test_columns_and_clean_labels(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("clean.npy", CLEAN)
    np.save("human.npy", draw("symmetric:0.3").labels)
    called = call(capsys, *QUICK, "--reference", "human.npy", "--clean", "clean.npy", "--json")
    assert called.status == 0
    called = call(capsys, *QUICK, "--candidate", "patches.csv:nosuch")
    assert called.status == 2 and called.err.startswith("mislabel: error: candidate")


def test_a_candidate_is_drawn_from_its_spec(capsys: pytest.CaptureFixture[str]) -> None:
    called = call(capsys, *QUICK, "--candidate", "symmetric:0.3", "--json")
    drawn = make_noise("symmetric:0.3").corrupt(CLEAN, seed=0)
    wanted = two_sample_test(draw("symmetric:0.3"), drawn, POINTS, n_permutations=99)
    assert json.loads(called.out)["auc"] == wanted.auc


def test_features_go_before_the_map(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("features.npy", np.hstack([POINTS, POINTS[:, :1] ** 2]))
    both = call(capsys, *QUICK, "--features", "features.npy", "--json")
    one = call(capsys, *WORDS, *QUICK[8:], "--features", "features.npy", "--json")
    assert json.loads(both.out)["auc"] == json.loads(one.out)["auc"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (WORDS, "map=None: give --map or --features"),
        (
            (*QUICK, "--candidate", "less.csv"),
            "candidate='rate 0.1000': is below the reference's rate 0.3000; draw it at that rate",
        ),
        (
            (*QUICK, "--candidate", "none.csv"),
            "candidate='none.csv': is neither a file, nor FILE:COLUMN, nor a noise such as "
            "human:random_label1",
        ),
        ((*QUICK, "--at-most", "2"), "at-most=2.0: must be between 0 and 1"),
        ((*QUICK, "-o", "x.csv"), "output='x.csv': must end in .json"),
        ((*QUICK, "--picture", "x.bmp"), "picture='x.bmp': must end in .png, .svg or .pdf"),
        (
            (*QUICK, "--discriminator", "weak"),
            "discriminator='weak': unknown name; Known: boosting, strong",
        ),
    ],
)
def test_errors_are_one_line(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    called = call(capsys, *words)
    assert called.status == 2 and called.out == ""
    assert called.err == f"mislabel: error: {message}\n"


def test_noise_does_not_import_realism() -> None:
    import subprocess
    import sys

    code = "import sys, mislabel.noise; print(any('realism' in m for m in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
