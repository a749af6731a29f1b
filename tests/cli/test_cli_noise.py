"""``mislabel noise``: label files of every kind with their receipts, and what they say."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_examples import MAKE, Called, call, spell

from mislabel.files import hash_json
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
    "human-like": ({"rate": 0.2}, 0.2),
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
    assert labels.n_classes == 3
    assert receipt["seed"] == (None if kind in ("human", "file") else 0)
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
    receipt = json.loads(Path("out.csv.receipt.json").read_text())
    assert receipt.pop("sha256") == hash_json(receipt)  # the file's own seal
    assert content.items() >= receipt.items()
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
    wanted = {"rate": None, "n": 3, "r": 1.5, "per_class": False, "space": "map"}
    assert receipt["parameters"] == wanted
    words = spell(MAKE, rate=0.3, space="features", o="no_map.csv")
    words = ["-o" if w == "--o" else w for w in words]
    assert call(capsys, "noise", "cluster", *words).status == 0
    receipt = json.loads(Path("no_map.csv.receipt.json").read_text())
    assert receipt["inputs"].keys() == {"clean_labels", "features"}
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


# Class probabilities


@pytest.mark.parametrize("eta", ["cross-fitted", "network:epochs=3"])
@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_kept_probabilities_make_the_same_labels(
    eta: str, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"--data": "npz:tiny.npz", "--map": "map.npy", "--seed": "3"}
    kept = call(capsys, "noise", "eta", *spell(options, eta=eta, o=f"eta{suffix}"))
    assert (kept.status, kept.err) == (0, "")
    assert kept.out.startswith(f"eta{suffix}: 60 x 3 probabilities ({eta}); the likeliest class")
    for more in ({"eta": eta, "o": "a.npy"}, {"probabilities": f"eta{suffix}", "o": "b.npy"}):
        words = spell(options, factor=2, **more)
        assert call(capsys, "noise", "pmd", *words).status == 0
    assert Path("a.npy").read_bytes() == Path("b.npy").read_bytes()
    first, second = (load_labels(f"{name}.npy").receipt for name in "ab")
    assert first.inputs == second.inputs, "the receipt has the hash of the probabilities"


def test_the_receipt_of_kept_probabilities(capsys: pytest.CaptureFixture[str]) -> None:
    words = spell({"--data": "npz:tiny.npz"}, eta="network:mlp,epochs=2", subset=30, o="eta.npy")
    found = json.loads(call(capsys, "noise", "eta", *words, "--json").out)
    receipt = json.loads(Path("eta.npy.receipt.json").read_text())
    assert found.items() >= receipt.items()
    assert found["probabilities"] == "eta.npy" and 0 <= found["accuracy"] <= 1
    assert (receipt["eta"], receipt["data"], receipt["subset"], receipt["seed"]) == (
        "network:mlp,epochs=2", "npz", 30, 0,
    )  # fmt: skip
    assert receipt["settings"]["recipe"]["epochs"] == 2 and receipt["shape"] == [30, 3]
    assert np.load("eta.npy").shape == (30, 3)


def test_probabilities_of_the_full_set_serve_a_subset(capsys: pytest.CaptureFixture[str]) -> None:
    """Each example's second likeliest class tells its place in the full set."""
    second = np.arange(N_TRAIN) % 2
    chances = np.full((N_TRAIN, 3), 0.1)
    chances[np.arange(N_TRAIN), (CLEAN + 1 + second) % 3] = 0.2
    chances[np.arange(N_TRAIN), CLEAN] = 0.7
    np.save("eta.npy", chances)
    words = spell(MAKE, rate=0.5, probabilities="eta.npy", subset=30, o="all.parquet")
    assert call(capsys, "noise", "pmd", *words).status == 0
    labels = load_labels("all.parquet")
    from mislabel.data import load_data

    rows = load_data("npz:tiny.npz", subset=30).train_indices
    wrong = labels.flipped
    assert wrong.sum() == 15
    expected = (CLEAN + 1 + second)[rows] % 3
    np.testing.assert_array_equal(labels.labels[wrong], expected[wrong])


def test_compare_draws_from_probabilities(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("eta.npy", np.tile([0.5, 0.3, 0.2], (N_TRAIN, 1)))
    words = spell({**MAKE, "-o": "a.png"}, probabilities="eta.npy")
    called = call(capsys, "noise", "compare", "pmd:factor=1.5", "third.csv", *words, "--json")
    assert json.loads(called.out)["rates"]["file:third.csv"] == pytest.approx(1 / 3)
    assert (called.status, called.err) == (0, "")
    for bad in ("short.npy", "wide.npy"):
        np.save(bad, np.full((N_TRAIN - 1, 3) if bad == "short.npy" else (N_TRAIN, 4), 0.25))
        words = spell({**MAKE, "-o": "b.png"}, probabilities=bad)
        refused = call(capsys, "noise", "compare", "pmd:0.2", *words)
        assert refused.status == 2 and "error: probabilities=" in refused.err


def test_files_with_a_comma_in_their_name(capsys: pytest.CaptureFixture[str]) -> None:
    Path("third.csv").rename('a, "b".csv')
    words = spell(MAKE, path='a, "b".csv')
    assert call(capsys, "noise", "file", *words).status == 0
    np.testing.assert_array_equal(load_labels("out.csv").labels, THIRD)
    for name in ('a, "b".csv', 'file:"a, ""b"".csv"'):
        called = call(capsys, "noise", "compare", name, *spell({**MAKE, "-o": "a.png"}), "--json")
        assert json.loads(called.out)["rates"] == {
            'file:"a, ""b"".csv"': pytest.approx(1 / 3),
        }


# Human labels of CIFAR-100N


def test_coarse_human_labels_of_cifar100(capsys: pytest.CaptureFixture[str]) -> None:
    """On CIFAR-100 with its coarse labels; with its fine ones they are not aligned."""
    fine, coarse = [0, 99, 5, 30], [4, 19, 6, 0]
    pixels = np.random.default_rng(0).integers(0, 256, size=(4, 3072), dtype=np.uint8)
    batch = {b"data": pixels, b"fine_labels": fine, b"coarse_labels": coarse}
    meta = {b"fine_label_names": [b"f%d" % n for n in range(100)],
            b"coarse_label_names": [b"c%d" % n for n in range(20)]}  # fmt: skip
    for name, content in {"train": batch, "test": batch, "meta": meta}.items():
        Path(name).write_bytes(pickle.dumps(content, protocol=2))
    people = {"clean_label": np.array(fine), "noisy_label": np.array([0, 1, 5, 30])}
    people |= {"clean_coarse_label": coarse, "noisy_coarse_label": [4, 3, 6, 1]}  # lists, as theirs
    torch.save(people, "people.pt")
    given = {"--file": "people.pt", "-o": "out.csv"}
    words = spell(given, data="cifar100-coarse:.", which="noisy_coarse_label")
    assert call(capsys, "noise", "human", *words).status == 0
    labels = load_labels("out.csv")
    assert labels.labels.tolist() == [4, 3, 6, 1] and labels.n_classes == 20
    assert labels.flipped.tolist() == [False, True, False, True]
    words = spell(given, data="cifar100:.", which="noisy_coarse_label")
    refused = call(capsys, "noise", "human", *words)
    assert refused.err.endswith("is not the data's, 0: not aligned\n") and refused.status == 2
    words = spell(given, data="cifar100:.", which="noisy_label")
    assert call(capsys, "noise", "human", *words).status == 0
    assert load_labels("out.csv").rate == 0.25


@pytest.mark.data
@pytest.mark.parametrize(
    ("which", "clean", "n_classes", "rate"),
    [("noisy_label", "clean_label", 100, 0.402),
     ("noisy_coarse_label", "clean_coarse_label", 20, 0.26404)],
)  # fmt: skip
def test_the_real_labels_of_cifar_100n(
    which: str, clean: str, n_classes: int, rate: float,
    data_folder: Path, here: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """On stand-ins for the images, since the labels are all that is needed."""
    file = data_folder / "cifar-n/CIFAR-100_human.pt"
    truth = load_labels(file, column=clean).labels
    x = np.zeros((len(truth), 1))
    arrays = {"x_train": x, "y_train": truth, "x_test": x[:1], "y_test": truth[:1]}
    write_data(here, "people.npz", **arrays)
    words = spell({"--data": "npz:people.npz", "--file": str(file), "-o": "out.npy"}, which=which)
    found = json.loads(call(capsys, "noise", "human", *words, "--json").out)
    assert found["n_examples"] == 50_000 and found["n_classes"] == n_classes
    assert found["rate"] == rate and found["seed"] is None
    labels = load_labels("out.npy", clean_labels=truth)
    np.testing.assert_array_equal(labels.labels, load_labels(file, column=which).labels)
