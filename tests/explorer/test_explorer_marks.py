"""Files of marks: what is read of them, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.explorer import read_marks
from mislabel.explorer.marks import MARKS
from mislabel.files import hash_array
from mislabel.labels import load_labels

ROWS = [(3, "", 3), (1, "new", 0), (2, "right", 2), (0, "wrong", 0), (1, "unsure", 1)]


def write(
    path: Path, rows: list[tuple[int, str, int]] = ROWS, columns: str | None = None, **receipt: Any
) -> Path:
    """A file as the page exports it, with changes of its receipt; None takes an entry out."""
    head = columns or "sample_id,original_label,mark,noisy_label"
    lines = [head, *(f"{i},{given},{mark},{after}" for i, (given, mark, after) in enumerate(rows))]
    path.write_text("\n".join(lines) + "\n")
    after: NDArray[np.int64] = np.array([row[2] for row in rows], dtype=np.int64)
    content = {
        "format": 1,
        "generator": "explorer-marks",
        "n_classes": 4,
        "labels_sha256": hash_array(after),
        "inputs": {"labels": hash_array(np.array([row[0] for row in rows], dtype=np.int64))},
        "parameters": {"marks": {mark: sum(row[1] == mark for row in rows) for mark in MARKS}},
        **receipt,
    }
    path.with_name(f"{path.name}.receipt.json").write_text(json.dumps(content))
    return path


def test_marks_worked_by_hand(tmp_path: Path) -> None:
    marks = read_marks(write(tmp_path / "marked.csv"))
    assert len(marks) == 5 and marks.n_classes == 4
    assert marks.marks.tolist() == ["", "new", "right", "wrong", "unsure"]
    assert marks.labels.tolist() == [3, 1, 2, 0, 1]
    assert marks.marked_labels.tolist() == [3, 0, 2, 0, 1]
    assert marks.known.tolist() == [False, True, True, False, False]
    noisy = marks.noisy_labels
    assert noisy.labels.tolist() == [3, 1, 2, 0, 1] and noisy.n_classes == 4
    assert noisy.clean_labels is not None and noisy.clean_labels.tolist() == [3, 0, 2, 0, 1]
    assert np.flatnonzero(noisy.flipped).tolist() == [1]


def test_it_is_a_label_file_as_any_other(tmp_path: Path) -> None:
    labels = load_labels(write(tmp_path / "marked.csv"))
    assert labels.labels.tolist() == [3, 0, 2, 0, 1]
    assert (labels.receipt.generator, labels.n_classes) == ("explorer-marks", 4)
    assert labels.clean_labels is None


def test_without_its_receipt_it_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "marked.csv")
    path.with_name("marked.csv.receipt.json").unlink()
    with pytest.raises(InputError, match="or its receipt is missing") as caught:
        read_marks(path, "labels")
    assert caught.value.argument == "labels"


def test_a_receipt_of_other_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no file of marks"):
        read_marks(write(tmp_path / "marked.csv", generator="symmetric"))


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "marked.csv")
    path.write_text(path.read_text().replace("1,1,new,0", "1,1,new,2"))
    with pytest.raises(InputError, match="differs from its receipt"):
        read_marks(path)


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("0,3,,3", "0,3,right,3", "its marks differ from its receipt"),
        ("2,2,right,2", "2,2,unsure,2", "its marks differ from its receipt"),
        ("1,1,new,0", "1,2,new,0", "its original_label differs from its receipt"),
        ("2,2,right,2", "2,1,right,2", "only there; not so in row 2"),
        ("1,1,new,0", "1,0,new,0", "only there; not so in row 1"),
    ],
)
def test_marks_and_given_labels_that_were_changed_are_refused(
    tmp_path: Path, before: str, after: str, rule: str
) -> None:
    path = write(tmp_path / "marked.csv")
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(InputError, match=rule):
        read_marks(path)


@pytest.mark.parametrize(
    ("rows", "columns", "rule"),
    [
        ([(3, "", 3), (1, "", 1)], None, "has no marks"),
        ([(3, "maybe", 3)], None, "must be one of right, wrong, unsure, new"),
        ([(3, "=1+1", 3)], None, "must be one of right, wrong, unsure, new"),
        (ROWS, "sample_id,original_label,said,noisy_label", "has no column mark"),
        (ROWS, "sample_id,given,mark,noisy_label", "original_label"),
        (ROWS, "sample_id,mark,mark,noisy_label", "has several columns"),
        ([(4, "new", 0)], None, "must be between 0 and 3"),
        ([(3, "new", 4)], None, "must be between 0 and 3"),
    ],
)
def test_what_is_refused(
    rows: list[tuple[int, str, int]], columns: str | None, rule: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=rule):
        read_marks(write(tmp_path / "marked.csv", rows, columns))


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("1\n")
    (tmp_path / "empty.csv").touch()
    for name, rule in (
        ("missing.csv", "no such file"),
        ("empty.csv", "is empty"),
        ("labels.txt", "unknown format"),
    ):
        with pytest.raises(InputError, match=rule):
            read_marks(tmp_path / name)
