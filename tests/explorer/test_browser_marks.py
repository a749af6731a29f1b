"""Marking labels in a real browser: by keys and buttons, over a reload, out to a file and back."""

import json
from pathlib import Path

import numpy as np
import pytest
from browser import Browser
from explorer_examples import CLASSES, SETS, C, N, clean, label_sets, places
from numpy.typing import NDArray
from selenium.webdriver.common.keys import Keys

from mislabel.cli import main
from mislabel.explorer import read_marks
from mislabel.files import hash_array
from mislabel.labels import load_labels

INDICES = 3 * np.arange(N) + 5
Marks = dict[int, tuple[str, int | None]]


def given() -> NDArray[np.int64]:
    return label_sets()[SETS[0]].labels


def marked(page: Browser) -> list[str]:
    """The last column of the list."""
    script = (
        "return [...document.querySelectorAll('#list tr td:last-child')].map((e) => e.textContent)"
    )
    return list(page.run(script))


def pressed(page: Browser) -> list[str]:
    """Buttons of the chosen example that are pressed."""
    script = (
        "return [...document.querySelectorAll('[aria-pressed=true]')].map((e) => e.textContent)"
    )
    return list(page.run(script))


def other(i: int) -> int:
    """A label that is not the given one."""
    return int((given()[i] + 1) % C)


def test_marks_by_keys_go_on_to_the_next_row(page: Browser) -> None:
    page.press("r")  # nothing is chosen, so nothing is marked
    assert marked(page)[:6] == [""] * 6
    page.press("n", "r", "w", "u", str(other(3)), str(given()[4]))
    wanted = ["right", "wrong", "unsure", CLASSES[other(3)], "right"]
    assert marked(page)[:6] == [*wanted, ""]
    assert page.text("#example h2") == f"Example {INDICES[5]}"
    assert page.text("#marking p") == (
        "5 of human marked: 2 right, 1 wrong, 1 unsure, 1 new label."
    )
    page.press("p", Keys.BACKSPACE)  # takes one away, and stays
    assert marked(page)[:6] == [*wanted[:4], "", ""]
    assert page.text("#example h2") == f"Example {INDICES[4]}"
    page.press("7")  # there is no such class
    assert marked(page)[4] == ""
    # Other labels have marks of their own.
    page.view(labels=1)
    assert marked(page) == [""] * 50
    assert page.text("#marking p").startswith("No label of -cluster is marked yet.")
    assert page.view(ring="marked", show="marked") == "4 of 300 shown; ringed: 4 marked"
    assert page.listed() == INDICES[:4].tolist()


def test_marks_by_buttons_stay(page: Browser) -> None:
    page.find("#onward").click()
    page.view(at=2)
    assert pressed(page) == []
    for name in ("wrong", "unsure"):
        page.find(f".marks button:nth-child({2 if name == 'wrong' else 3})").click()
        assert pressed(page) == [name] and page.text("#example h2") == f"Example {INDICES[2]}"
        assert marked(page)[2] == name
    page.find(".marks button:nth-child(3)").click()  # again: it is taken away
    assert pressed(page) == [] and marked(page)[2] == ""
    page.find(f"#new-label option[value='{other(2)}']").click()
    assert marked(page)[2] == CLASSES[other(2)]
    assert page.run("return document.getElementById('new-label').value") == str(other(2))
    page.find("#onward").click()


def test_marks_survive_a_reload(page: Browser) -> None:
    page.press("n", "r", "w", str(other(2)))
    before = marked(page)
    page.open(page.url)
    assert marked(page) == before and before[:4] == ["right", "wrong", CLASSES[other(2)], ""]


def test_marks_are_taken_away_when_asked(page: Browser) -> None:
    page.press("n", "r")
    page.run("window.confirm = () => false")
    page.find("#clear-marks").click()
    assert marked(page)[0] == "right"
    page.run("window.confirm = () => true")
    page.find("#clear-marks").click()
    assert marked(page)[0] == "" and not page.find("#export-marks").is_enabled()
    page.open(page.url)
    assert marked(page)[0] == ""


NO_MARKS = (
    '[[0], ["0","right"], [-1,"right"], [300,"right"], [0.5,"right"], [0,"<b>"], [0,"new"],'
    '[0,"new",99], [0,"constructor"]]'
)


@pytest.mark.parametrize(
    ("kept", "told"), [(NO_MARKS, False), ("[[0,'right']", True), ("null", True)]
)
def test_what_is_kept_and_no_mark_is_left_out(page: Browser, kept: str, told: bool) -> None:
    page.press("n", "r")
    [key] = page.run("return Object.keys(localStorage)")
    page.run("localStorage.setItem(arguments[0], arguments[1])", key, kept)
    page.open(page.url)
    assert marked(page) == [""] * 50 and page.status.startswith("300 of 300 shown")
    assert ("Marks of before could not be read" in page.text("#problem")) == told


def mark(page: Browser, marks: Marks) -> None:
    """Mark by keys: the examples are chosen by the address."""
    keys = {"right": "r", "wrong": "w", "unsure": "u"}
    for i, (name, label) in marks.items():
        page.view(at=i)
        page.press(str(label) if name == "new" else keys[name])


def test_export_and_what_reads_it(
    page: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marks: Marks = {
        0: ("right", None), 7: ("wrong", None), 8: ("unsure", None), 60: ("new", other(60)),
        61: ("new", other(61)), 299: ("right", None),
    }  # fmt: skip
    mark(page, marks)
    folder = tmp_path / "saved"
    names = ("marked.csv", "marked.csv.receipt.json")
    text, receipt_text = page.download("#export-marks", folder, *names)
    after = given().copy()
    after[[60, 61]] = [other(60), other(61)]
    lines = ["sample_id,original_label,mark,noisy_label"]
    for i in range(N):
        lines.append(f"{i},{given()[i]},{marks[i][0] if i in marks else ''},{after[i]}")
    assert text == "\n".join(lines) + "\n"

    receipt = json.loads(receipt_text)
    assert receipt["labels_sha256"] == hash_array(after)
    assert receipt["inputs"]["labels"] == hash_array(given())
    assert receipt["parameters"] == {
        "labels": SETS[0],
        "marks": {"right": 2, "wrong": 1, "unsure": 1, "new": 2},
    }
    found = load_labels(folder / "marked.csv", clean_labels=clean())
    np.testing.assert_array_equal(found.labels, after)
    assert (found.n_classes, found.receipt.generator) == (C, "explorer-marks")
    read = read_marks(folder / "marked.csv")
    assert {int(i): str(read.marks[i]) for i in np.flatnonzero(read.marks != "")} == {
        i: name for i, (name, _) in marks.items()
    }
    np.testing.assert_array_equal(read.labels, given())
    np.testing.assert_array_equal(read.marked_labels, after)
    assert np.flatnonzero(read.known).tolist() == [0, 60, 61, 299]
    check_commands(folder, after, capsys)


def check_commands(
    folder: Path, after: NDArray[np.int64], capsys: pytest.CaptureFixture[str]
) -> None:
    """``mislabel noise file`` and ``mislabel explore`` read the exported labels."""
    x = places()
    np.savez(folder / "toy.npz", x_train=x, y_train=clean(), x_test=x[:9], y_test=clean()[:9])
    np.save(folder / "map.npy", x)
    data = ["--data", f"npz:{folder}/toy.npz", "--map", f"{folder}/map.npy"]
    exported = f"{folder}/marked.csv"
    for words in (
        ["noise", "file", "--path", exported, *data, "-o", f"{folder}/again.npy"],
        ["explore", "--labels", exported, *data, "-o", f"{folder}/page", "--json"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert not ended.value.code, capsys.readouterr().err
    np.testing.assert_array_equal(np.load(folder / "again.npy"), after)
    assert '"marked": {' in capsys.readouterr().out
    assert hash_array(after) in (folder / "page" / "data" / "about.js").read_text()
