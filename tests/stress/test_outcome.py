"""What a training may leave, and everything that is no result, each with its reason."""

import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mislabel.stress.outcome import Outcome, OutcomeError, read_outcome

NAMES = ("cat", "dog", "owl")
CLASSES = [2, 0, 1, 1]
SCORES = [[0.1, 0.2, 0.7], [5, -1, 0], [0, 1, 0.5], [0.2, 0.5, 0.3]]
WORDS = ["owl", "cat", "dog", "dog"]
Write = Callable[[Path], object]


def read(out: Path, names: tuple[str, ...] = NAMES) -> Outcome:
    return read_outcome(out, n_test=4, n_train=6, class_names=names)


def text(content: str, suffix: str = ".csv") -> Write:
    return lambda out: Path(f"{out}{suffix}").write_text(content)


def npy(value: Any, suffix: str = ".npy") -> Write:
    def write(out: Path) -> None:
        with Path(f"{out}{suffix}").open("wb") as file:
            np.save(file, np.asarray(value), allow_pickle=True)

    return write


def as_json(value: Any) -> Write:
    return text(json.dumps(value), ".json")


@pytest.mark.parametrize(
    "write",
    [
        npy(CLASSES),
        npy(CLASSES, suffix=""),
        npy(np.array(CLASSES, dtype=np.uint8)),
        npy(np.array(CLASSES, dtype=np.float32)[:, None]),
        npy(SCORES),
        npy(np.asfortranarray(SCORES)),
        npy(WORDS),
        text("2\n0\n1\n1\n"),
        text("2\n0\n1\n1", suffix=""),
        text("2.0\r\n0.0\r\n1.0\r\n1.0\r\n"),
        text("owl\ncat\ndog\ndog\n"),
        text("prediction\n2\n0\n1\n1\n"),
        text("\ufeffPrediction\nowl\ncat\ndog\ndog\n"),
        text(",prediction\n0,2\n1,0\n2,1\n3,1\n"),
        text("label,predicted\n0,2\n0,0\n0,1\n0,1\n"),
        text("0\n2\n0\n1\n1\n"),
        text("0.1,0.2,0.7\n5,-1,0\n0,1,0.5\n.2,.5,.3\n"),
        text("cat,dog,owl\n.1,.2,.7\n5,-1,0\n0,1,0.5\n.2,.5,.3\n"),
        text("owl,cat,dog\n.7,.1,.2\n0,5,-1\n.5,0,1\n.3,.2,.5\n"),
        text("0,1,2\n.1,.2,.7\n5,-1,0\n0,1,0.5\n.2,.5,.3\n"),
        as_json(CLASSES),
        as_json(SCORES),
        as_json(WORDS),
        as_json({"predictions": CLASSES}),
    ],
)
def test_predictions_in_any_form(write: Write, tmp_path: Path) -> None:
    write(tmp_path / "out")
    found = read(tmp_path / "out")
    assert found.predictions is not None
    assert found.predictions.tolist() == CLASSES
    assert found.train_predictions is None
    assert found.metrics == {}


def test_a_folder_with_everything(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    npy(SCORES)(out / "predictions")
    text("0\n1\n2\n0\n1\n2\n")(out / "train_predictions")
    as_json({"f1": 0.5, "loss": 2})(out / "metrics")
    found = read(out)
    assert found.predictions is not None
    assert found.train_predictions is not None
    assert found.predictions.tolist() == CLASSES
    assert found.train_predictions.tolist() == [0, 1, 2, 0, 1, 2]
    assert found.metrics == {"f1": 0.5, "loss": 2.0}


def test_one_json_file_with_everything(tmp_path: Path) -> None:
    content = {"predictions": CLASSES, "train_predictions": [0] * 6, "f1": 1, "metrics": {"g": 2}}
    as_json(content)(tmp_path / "out")
    found = read(tmp_path / "out")
    assert found.metrics == {"f1": 1.0, "g": 2.0}
    assert found.train_predictions is not None
    assert found.train_predictions.tolist() == [0] * 6


@pytest.mark.parametrize(
    "write", [as_json({"f1": 0.25, "loss": 3}), text("f1, loss\n0.25,3\n"), text("f1,loss\n.25,3")]
)
def test_metrics_alone(write: Write, tmp_path: Path) -> None:
    write(tmp_path / "out")
    found = read(tmp_path / "out")
    assert found.predictions is None
    assert found.metrics == {"f1": 0.25, "loss": 3.0}


def test_numbers_are_numbers_whatever_the_classes_are_called(tmp_path: Path) -> None:
    """Where classes are called 1, 2, 3, a program still gets and gives 0, 1, 2."""
    text("2\n1\n1\n2\n")(tmp_path / "out")
    found = read(tmp_path / "out", ("1", "2", "3"))
    assert found.predictions is not None
    assert found.predictions.tolist() == [2, 1, 1, 2]


class Trap:
    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


BAD: dict[str, tuple[Write, str]] = {
    "nothing": (lambda out: None, "left no result at {out}"),
    "an empty folder": (
        lambda out: out.mkdir(),
        "left none of predictions, train_predictions, metrics in the folder {out}",
    ),
    "a folder in place of a file": (
        lambda out: Path(f"{out}.npy").mkdir(),
        "left no result at {out}",
    ),
    "a pipe": (lambda out: os.mkfifo(out), "left no result at {out}"),
    "a pipe with a suffix": (lambda out: os.mkfifo(f"{out}.csv"), "left no result at {out}"),
    "a device": (lambda out: out.symlink_to("/dev/zero"), "left no result at {out}"),
    "a loop": (lambda out: out.symlink_to(out), "left no result at {out}"),
    "two": (
        lambda out: (npy(CLASSES)(out), text("1")(out)),
        "left several results: out.npy, out.csv",
    ),
    "empty": (text(""), "out.csv is empty"),
    "empty array file": (text("", ".npy"), "out.npy is empty"),
    "blank": (text("\n\n"), "out.csv is empty"),
    "garbage": (lambda out: out.write_bytes(b"\x80\x81"), r"out cannot be read \('utf-8' codec .*"),
    "garbage as array": (lambda out: Path(f"{out}.npy").write_bytes(b"x"), "out.npy is no .npy"),
    "damaged array": (
        lambda out: Path(f"{out}.npy").write_bytes(b"\x93NUMPY\x01\x00"),
        r"out.npy cannot be read \(EOF: reading array header length.*",
    ),
    "cut array": (
        lambda out: (npy(SCORES)(out), os.truncate(f"{out}.npy", 150)),
        r"out.npy cannot be read \(mmap length is greater than file size\)",
    ),
    "archive": (
        lambda out: np.savez(f"{out}.npz", a=1) or Path(f"{out}.npz").rename(f"{out}.npy"),
        r"out.npy is no .npy",
    ),
    "pickle": (
        npy(np.array([Trap()] * 4, dtype=object)),
        r"out.npy cannot be read \(it holds pickled objects, which are never loaded\)",
    ),
    "bare pickle": (
        lambda out: out.write_bytes(pickle.dumps(Trap())),
        r"out cannot be read \('utf-8' codec .*",
    ),
    "NaN": (
        npy([[0, 1, 2], [0, 1, np.nan], [0, 0, 0], [0, 0, 0]]),
        "predictions are not finite, first in row 1",
    ),
    "NaN classes": (text("0\n1\nnan\n0\n"), "predictions are not finite, first in row 2"),
    "infinite": (npy([0, np.inf, 1, 0]), "predictions are not finite, first in row 1"),
    "too few": (npy([0, 1]), r"predictions have shape \(2,\); must have one row per example: 4"),
    "a number": (npy(1.0), r"predictions have shape \(\); must have one row per example: 4"),
    "a number as text": (
        text("0.83"),
        r"predictions have shape \(1,\); must have one row per example: 4",
    ),
    "three dimensions": (
        npy(np.zeros((4, 3, 1))),
        r"predictions have shape \(4, 3, 1\); must have one row per example: 4",
    ),
    "too many columns": (
        npy(np.zeros((4, 4))),
        "predictions have 4 columns; must have one per class: 3",
    ),
    "no columns": (
        npy(np.zeros((4, 0))),
        "predictions have 0 columns; must have one per class: 3",
    ),
    "unknown class": (npy([0, 1, 3, 0]), "predictions hold 3; must be classes from 0 to 2"),
    "negative": (npy([0, 1, -1, 0]), "predictions hold -1; must be classes from 0 to 2"),
    "fraction": (npy([0, 1, 0.5, 0]), "predictions hold 0.5; must be classes from 0 to 2"),
    "beyond int64": (npy([0, 1, 1e300, 0]), r"predictions hold 1e\+300; must be .*"),
    "unknown name": (
        as_json(["cat", "cow", "owl", "dog"]),
        "predictions hold 'cow', which is neither a number nor a class",
    ),
    "complex": (npy([1j, 0, 1, 2]), "predictions are of type complex128; must be numbers"),
    "dates": (
        npy(np.zeros(4, "M8[s]")),
        r"predictions are of type datetime64\[s\]; must be numbers",
    ),
    "objects": (as_json([{}, {}, {}, {}]), "predictions are of type object; must be numbers"),
    "nothings": (as_json([None] * 4), "predictions are of type object; must be numbers"),
    "ragged": (as_json([[0, 1], [0], [1], [1]]), r"predictions are no array of numbers \(.*"),
    "ragged rows": (text("0,1\n0\n"), "out.csv has rows of different lengths"),
    "constant": (npy([1, 1, 1, 1]), "predictions are constant: class 'dog' for every test example"),
    "constant scores": (
        npy(np.zeros((4, 3))),
        "predictions are constant: class 'cat' for every test example",
    ),
    "NUL": (text("0\n\0\n1\n1\n"), "predictions hold '', which is neither a number nor a class"),
    "long field": (text("a" * 200_000), r"out.csv cannot be read \(field larger than .*"),
    "open quote": (text('"0\n1\n1\n2\n'), r"predictions have shape \(0,\); .*"),
    "deep JSON": (text("[" * 100_000, ".json"), r"out.json cannot be read \(maximum recursion.*"),
    "broken JSON": (text("{", ".json"), r"out.json cannot be read \(Expecting property.*"),
    "long number": (text("[" + "9" * 5000 + "]", ".json"), r"out.json cannot be read \(Exceeds.*"),
    "no figures": (as_json({}), "left neither predictions nor metrics"),
    "metric NaN": (text('{"f1": NaN}', ".json"), "metric 'f1' is nan; must be finite"),
    "metric as text": (as_json({"f1": "0.5"}), "metric 'f1' is 0.5; must be finite"),
    "metric true": (as_json({"f1": True}), "metric 'f1' is True; must be finite"),
    "metric none": (as_json({"f1": None}), "metric 'f1' is None; must be finite"),
    "metric too large": (
        as_json({"f1": 10**400}),
        "metric 'f1' is 1000000000000000000000000000000000000000; must be finite",
    ),
    "metric in CSV": (text("f1\nhigh\n"), "metric 'f1' is nan; must be finite"),
    "metric with escapes": (as_json({"\x1b[2J": 1}), r"metric '\\x1b\[2J' must be a name of .*"),
    "metric with surrogate": (as_json({"\ud800": 1}), r"metric '\\ud800' must be a name of .*"),
    "many metrics": (
        as_json({str(i): i for i in range(1001)}),
        "left 1001 metrics; must be at most 1000",
    ),
    "metrics in a list": (as_json({"metrics": [1]}), "metrics must be figures by name"),
}


@pytest.mark.parametrize("name", BAD)
def test_no_result(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write, reason = BAD[name]
    write(tmp_path / "out")
    with pytest.raises(OutcomeError) as caught:
        read(tmp_path / "out")
    message = str(caught.value)
    assert message == reason or re.fullmatch(reason, message, re.DOTALL), message
    assert not (tmp_path / "executed").exists()


def test_metrics_file_without_names(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    as_json([1, 2])(tmp_path / "out" / "metrics")
    with pytest.raises(OutcomeError) as caught:
        read(tmp_path / "out")
    assert str(caught.value) == 'metrics must be figures by name, as in {"f1": 0.83}'


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((2**33,), r"predictions have shape (8589934592,); must have one row per example: 4"),
        ((4, 2**31), "predictions have 2147483648 columns; must have one per class: 3"),
    ],
)
def test_a_huge_array_is_not_read(shape: tuple[int, ...], reason: str, tmp_path: Path) -> None:
    """Sparse files: the length is there, the content is not."""
    path = tmp_path / "out.npy"
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + int(np.prod(shape)))
    with pytest.raises(OutcomeError) as caught:
        read(tmp_path / "out")
    assert str(caught.value) == reason


def test_a_huge_text_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "out.csv").open("wb") as file:
        file.write(b"0\n")
        file.truncate(10 * 2**30)
    with pytest.raises(OutcomeError) as caught:
        read(tmp_path / "out")
    assert str(caught.value) == "out.csv is larger than 16 MiB"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Administrators may read everything, so the refusal is made up."""
    npy(CLASSES)(tmp_path / "out")

    def refused(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refused)
    with pytest.raises(OutcomeError) as caught:
        read(tmp_path / "out")
    assert str(caught.value) == "its result cannot be read (Permission denied)"
