"""``mislabel noise``: label files of every kind with their receipts, and what they say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_examples import MAKE, Called, call, spell

from mislabel.labels import load_labels
from mislabel.noise import NOISE
from tiny_data import N_TRAIN, blobs, write_data

CLEAN = blobs(N_TRAIN, 0)[1]
THIRD = np.where(np.arange(N_TRAIN) % 3 == 0, (CLEAN + 1) % 3, CLEAN)
"""The clean labels with every third one wrong."""

KINDS: dict[str, tuple[dict[str, Any], float | None]] = {
    "symmetric": ({"rate": 0.2}, 0.2),
    "pair": ({"rate": 0.2}, 0.2),
    "asymmetric": ({"rate": 0.2, "map": "0>1/1>2/2>0"}, 0.2),
    "class-dependent": ({"like": "third.csv"}, None),
    "instance": ({"rate": 0.2}, 0.2),
    "pmd": ({"rate": 0.3}, 0.3),
    "cluster": ({"rate": 0.3}, 0.3),
    "hybrid": ({"stages": "symmetric:0.2+pair:0.1"}, None),
    "human": ({"which": "random_label1", "file": "human.pt"}, 1 / 3),
    "file": ({"path": "third.csv"}, 1 / 3),
}
"Options of each kind, and the rate that it must have (None: the draw decides)."


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with data, a map and label files."""
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    rows = [f"{clean},{noisy}\n" for clean, noisy in zip(CLEAN, THIRD, strict=True)]
    Path("third.csv").write_text("given_label,noisy_label\n" + "".join(rows))
    torch.save({"clean_label": CLEAN, "random_label1": THIRD}, "human.pt")
    return tmp_path


def make(capsys: pytest.CaptureFixture[str], kind: str, **changes: Any) -> Called:
    """``noise KIND`` with the options of `KINDS` and changes."""
    return call(capsys, "noise", kind, *spell(MAKE, **KINDS[kind][0] | changes))


def test_every_kind_is_tried() -> None:
    assert KINDS.keys() == set(NOISE.names) - {"clean"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_writes_labels_and_a_receipt(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    called = make(capsys, kind)
    assert (called.status, called.err) == (0, "")
    labels = load_labels("out.csv")
    receipt = json.loads(Path("out.csv.receipt.json").read_text())
    assert receipt["generator"] == labels.receipt.generator == kind
    np.testing.assert_array_equal(labels.clean_labels, CLEAN)
    assert labels.n_classes == 3 and receipt["seed"] == 0
    assert receipt["rate"] == labels.rate > 0
    wanted = KINDS[kind][1]
    if wanted is not None:
        assert labels.rate == pytest.approx(wanted, abs=0.5 / N_TRAIN)
    wrong = int(labels.flipped.sum())
    assert called.out.startswith(f"60 labels, {wrong} wrong: rate {wrong / 60:.4f}")
    if kind in ("human", "file"):
        np.testing.assert_array_equal(labels.labels, THIRD)


@pytest.mark.parametrize("kind", KINDS)
def test_json_goes_to_stdout_alone(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["noise", kind, *spell(MAKE, **KINDS[kind][0]), "--json"]
    called = call(capsys, *words)
    assert (called.status, called.err) == (0, "")
    content = json.loads(called.out)
    matrix = np.array(content.pop("transition_matrix"))
    assert content.items() >= json.loads(Path("out.csv.receipt.json").read_text()).items()
    np.testing.assert_array_equal(matrix, load_labels("out.csv").transition_matrix)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-15)


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".parquet", ".pt", ".csv.gz"])
def test_every_format_holds_the_same_labels(
    suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(capsys, "symmetric").status == 0
    assert make(capsys, "symmetric", o=f"again{suffix}").status == 0
    labels = load_labels(f"again{suffix}", clean_labels=CLEAN)
    np.testing.assert_array_equal(labels.labels, load_labels("out.csv").labels)
    assert Path(f"again{suffix}.receipt.json").is_file()


@pytest.mark.parametrize("kind", ["symmetric", "pmd", "cluster"])
def test_the_seed_decides_the_labels(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    for output, seed in (("a.npy", 3), ("b.npy", 3), ("c.npy", 4)):
        assert make(capsys, kind, o=output, seed=seed).status == 0
    first, again, other = (Path(f"{name}.npy").read_bytes() for name in "abc")
    assert first == again != other


def test_subsets_stay_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """A file of the full set serves a subset of it."""
    words = spell(MAKE, path="third.csv", subset=30)
    assert call(capsys, "noise", "file", *words).status == 0
    labels = load_labels("out.csv")
    assert len(labels) == 30
    assert labels.clean_labels is not None
    wrong = labels.labels != labels.clean_labels
    np.testing.assert_array_equal(labels.labels[wrong], (labels.clean_labels[wrong] + 1) % 3)
    assert 0 < wrong.sum() < 30


def test_parameters_of_a_kind_are_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    words = spell(MAKE, n=3, r=1.5, o="by_radius.csv")
    words = ["--n" if w == "-n" else "--r" if w == "-r" else w for w in words]
    assert call(capsys, "noise", "cluster", *words).status == 0
    receipt = json.loads(Path("by_radius.csv.receipt.json").read_text())
    assert receipt["parameters"] == {"rate": None, "n": 3, "r": 1.5, "per_class": False}
    assert call(capsys, "noise", "symmetric", *spell(MAKE, rate=0.2), "--per-class").status == 0
    assert load_labels("out.csv").rate_per_class.tolist() == [0.2, 0.2, 0.2]


def test_describe_says_what_making_said(capsys: pytest.CaptureFixture[str]) -> None:
    made = make(capsys, "cluster")
    assert call(capsys, "noise", "describe", "out.csv").out == made.out
    described = call(capsys, "noise", "describe", "out.csv", "--json")
    content = json.loads(described.out)
    assert content["generator"] == "cluster" and content["n_examples"] == 60
    assert described.err == "" and described.status == 0


def test_describe_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """Class 0: four labels, one of them 1. Class 1: two labels, both right. Class 2: none."""
    Path("a.csv").write_text("given_label,noisy_label\n0,0\n0,0\n0,1\n0,0\n1,1\n1,1\n")
    np.save("three.npy", np.array([0, 0, 0, 0, 1, 1]))
    called = call(capsys, "noise", "describe", "a.csv", "--json")
    content = json.loads(called.out)
    assert content["transition_matrix"] == [[0.75, 0.25], [0, 1]]
    assert content["rate"] == pytest.approx(1 / 6) and content["rate_per_class"] == [0.25, 0]
    table = call(capsys, "noise", "describe", "a.csv").out
    assert table.startswith("6 labels, 1 wrong: rate 0.1667")
    cells = [[part.strip() for part in line.split("│")[1:-1]] for line in table.splitlines()]
    assert ["0", "25.0", "75", "25"] in cells and ["1", "0.0", "·", "100"] in cells


def test_describe_takes_clean_labels_from_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("noisy.npy", THIRD)
    np.save("clean.npy", CLEAN)
    words = ("noise", "describe", "noisy.npy", "--clean", "clean.npy", "--json")
    assert json.loads(call(capsys, *words).out)["rate"] == pytest.approx(1 / 3)
    words = ("noise", "describe", "human.pt", "--column", "random_label1", "--json")
    assert json.loads(call(capsys, *words).out)["rate"] == pytest.approx(1 / 3)


def test_many_classes_are_not_all_printed(capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{label},{label}\n" for label in range(25))
    Path("many.csv").write_text("given_label,noisy_label\n" + rows)
    called = call(capsys, "noise", "describe", "many.csv")
    assert called.out.splitlines()[-1] == "... 5 more classes; --json prints all"
    content = json.loads(call(capsys, "noise", "describe", "many.csv", "--json").out)
    assert len(content["transition_matrix"]) == 25
