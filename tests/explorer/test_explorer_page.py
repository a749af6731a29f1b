"""The folder: what is in it, that it is replaced in one step, and that names stay text."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from explorer_examples import SETS, C, N, bare, exploration, label_sets, places

from cleaned_examples import points, undetermined
from mislabel.errors import InputError
from mislabel.explorer import Exploration, page, write_explorer
from mislabel.explorer.page import MARKER, STATIC, check_explorer_folder
from mislabel.files import hash_array
from mislabel.labels import NoisyLabels, Receipt
from page_reader import Page
from tiny_data import files, snapshot

HOSTILE = (
    "<img onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "]]>\u2028\u2029",
    "\x1b[31m\u202e\0",
)
OWN = {*STATIC, "mislabel.css", "deck.gl.js"}
"Files that are not written from what the user gives."


def about(folder: Path) -> dict[str, Any]:
    text = (folder / "data" / "about.js").read_bytes().decode("ascii")
    call = re.fullmatch(r"mislabel\.about\((.*)\);\n", text, re.DOTALL)
    assert call
    return json.loads(call[1])  # type: ignore[no-any-return]


def test_what_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "page"
    assert write_explorer(exploration(), folder) == folder / "index.html"
    columns = ["positions", "labels0", "labels1", "labels2", "clean", "indices", "neighbors",
               "inclusion", "exclusion", "inclusion_error", "exclusion_error", "noise",
               "corrected", "targets"]  # fmt: skip
    wanted = OWN | {MARKER, "data", "images", "images/0.webp", "images/1.webp", "data/about.js"}
    assert set(files(folder)) == wanted | {f"data/{name}-0.js" for name in columns}
    found = about(folder)
    assert list(found["columns"]) == columns
    assert (found["format"], found["count"], len(found["classes"])) == (1, N, C)
    assert [one["name"] for one in found["sets"]] == list(SETS)
    hashes = [hash_array(one.labels) for one in label_sets().values()]
    assert [one["hash"] for one in found["sets"]] == hashes
    assert (found["scored"], found["cleaned"]) == (0, 1)
    assert found["warning"].endswith("labels are left as they are")
    assert found["neighbors"] == {"count": 8, "in": "map"}
    assert found["thresholds"] == {
        "inclusion": 0.6, "exclusion": 0.6, "memorization": 0.6, "noise": 0.5,
    }  # fmt: skip
    colours = found["classColours"] + found["scale"]
    assert len(colours) == C + 256 and all(0 <= v <= 255 for colour in colours for v in colour)
    assert [p for p in folder.rglob("*") if p.stat().st_mode & 0o444 != 0o444] == []


def test_without_images_scores_and_clean_labels(tmp_path: Path) -> None:
    write_explorer(bare(), tmp_path / "page")
    found = about(tmp_path / "page")
    assert list(found["columns"]) == ["positions", "labels0", "neighbors"]
    assert [found[name] for name in ("scored", "cleaned", "images", "warning", "scores")] == [
        None
    ] * 5
    assert files(tmp_path / "page" / "images") == []


def test_the_same_exploration_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write_explorer(exploration(), tmp_path / name)
    first, second = (snapshot(tmp_path / name) for name in "ab")
    assert {k: v for k, (_, v) in first.items()} == {k: v for k, (_, v) in second.items()}


def test_a_page_of_before_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "page"
    write_explorer(exploration(), folder)
    write_explorer(bare(), folder)
    write_explorer(bare(), tmp_path / "fresh")
    assert files(folder) == files(tmp_path / "fresh")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fresh", "page"]  # no leftovers


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    assert write_explorer(bare(), tmp_path / "page").is_file()
    assert [p.name for p in tmp_path.iterdir()] == ["page"]


def test_other_things_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    before = snapshot(tmp_path)
    for name, rule in (("full", "holds other things"), ("file", "is a file; must be a folder")):
        with pytest.raises(InputError, match=rule) as caught:
            write_explorer(bare(), tmp_path / name)
        assert caught.value.argument == "output"
    assert snapshot(tmp_path) == before and files(tmp_path) == ["file", "full", "full/thesis.tex"]


@pytest.mark.parametrize("step", ["_write_columns", "write_sheets", "_describe"])
@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()], ids=type)
def test_an_interrupted_write_leaves_the_page_of_before(
    step: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_explorer(bare(), tmp_path / "page")
    before = snapshot(tmp_path)

    def stop(*_: object) -> None:
        raise error

    monkeypatch.setattr(page, step, stop)
    for folder in (tmp_path / "page", tmp_path / "other"):
        with pytest.raises(type(error)):
            write_explorer(exploration(), folder)
    assert snapshot(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["page"]


def test_ctrl_c_while_the_page_of_before_is_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_explorer(bare(), tmp_path / "page")
    before = snapshot(tmp_path)
    rename = Path.replace

    def stopped(path: Path, target: Path) -> Path:
        rename(path, target)
        if target.name == "old":
            raise KeyboardInterrupt
        return target

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_explorer(exploration(), tmp_path / "page")
    assert snapshot(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["page"]


def test_a_rename_that_fails_leaves_the_page_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_explorer(bare(), tmp_path / "page")
    before = snapshot(tmp_path)
    rename = Path.replace

    def fail(path: Path, target: Path) -> Path:
        if target == tmp_path / "page" and path.name == "new":
            raise OSError("the disk is gone")
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        write_explorer(exploration(), tmp_path / "page")
    assert snapshot(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["page"]


def test_without_the_drawing_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="pydeck=None: is needed to draw the map"):
        check_explorer_folder(tmp_path / "page")
    assert files(tmp_path) == []


def hostile() -> Exploration:
    """Names that are markup wherever a user can give one."""
    wrong = {
        f"{name}{k}": NoisyLabels(
            one.labels, clean_labels=one.clean_labels, n_classes=C,
            receipt=Receipt(generator=HOSTILE[k], parameters={HOSTILE[0]: HOSTILE[1]}),
        )
        for k, (name, one) in enumerate(zip(HOSTILE, label_sets().values(), strict=False))
    }  # fmt: skip
    shown = exploration(name=" ".join(HOSTILE), class_names=HOSTILE)
    return replace(shown, labels=wrong, scored=next(iter(wrong)), cleaned_set=list(wrong)[1])


def test_hostile_names_are_markup_in_no_file(tmp_path: Path) -> None:
    write_explorer(hostile(), tmp_path / "hostile")
    write_explorer(bare(), tmp_path / "plain")
    for name in sorted(OWN):  # nothing that the user gives is in them
        mine, other = ((tmp_path / folder / name).read_bytes() for folder in ("hostile", "plain"))
        assert mine == other, name
    for path in (tmp_path / "hostile").rglob("*.js*"):
        if path.name in OWN:
            continue
        text = path.read_bytes().decode("ascii")  # so no line or paragraph separator
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
        if path.parent.name == "data" and path.name != "about.js":
            assert re.fullmatch(r'mislabel\.column\("\w+",\d+,"[\w+/=]*"\);\n', text)
    found = about(tmp_path / "hostile")
    everything = [
        *found["classes"],
        found["data"],
        *[v for one in found["sets"] for v in one.values()],
    ]
    assert all(text.isprintable() for text in everything)
    assert (
        found["classes"][:2] == list(HOSTILE[:2]) and found["classes"][3] == "\\x1b[31m\\u202e\\x00"
    )


def test_text_of_about_cannot_end_a_script_element(tmp_path: Path) -> None:
    """It is loaded as a file, but somebody may put it into a page."""
    write_explorer(hostile(), tmp_path / "page")
    text = (tmp_path / "page" / "data" / "about.js").read_text()
    assert "</script" not in text.lower() and "<!--" not in text and "<img" not in text


def test_long_names_are_cut_and_spaces_are_one(tmp_path: Path) -> None:
    sets = {"x" * 300: NoisyLabels([0, 1, 1])}
    shown = Exploration.of(places()[:3], sets, name="a\n\tb", class_names=("y" * 300, " z  z "))
    write_explorer(shown, tmp_path / "page")
    found = about(tmp_path / "page")
    assert found["data"] == "a b" and found["classes"] == ["y" * 59 + "…", "z z"]
    assert found["sets"][0]["name"] == "x" * 59 + "…"


def test_index_is_closed_to_everything_but_its_folder(tmp_path: Path) -> None:
    write_explorer(bare(), tmp_path / "page")
    text = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    found = Page(text)
    [policy] = [
        a["content"] for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = {part.split()[0]: part.split()[1:] for part in str(policy).split(";")}
    assert rules == {
        "default-src": ["'none'"], "script-src": ["'self'"], "style-src": ["'self'"],
        "img-src": ["'self'", "data:"], "base-uri": ["'none'"], "form-action": ["'none'"],
    }  # fmt: skip
    first = [tag for tag, _ in found.tags].index
    assert text.index("Content-Security-Policy") < min(text.index("<link"), text.index("<script"))
    assert first("meta") < first("link")
    for tag, attributes in found.tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("src", "href"):
            there = attributes.get(name)
            if there is not None and not there.startswith(("#", "data:,")):
                assert (tmp_path / "page" / there).is_file(), (tag, there)


def test_scripts_are_listed_in_the_page(tmp_path: Path) -> None:
    write_explorer(bare(), tmp_path / "page")
    found = Page((tmp_path / "page" / "index.html").read_text(encoding="utf-8"))
    scripts = [a["src"] for tag, a in found.tags if tag == "script"]
    assert set(scripts) == {name for name in OWN if name.endswith(".js")}
    assert scripts[0] == "deck.gl.js" and scripts[-1] == "explorer.js"


def test_warning_of_undetermined_labels(tmp_path: Path) -> None:
    done = undetermined()
    sets = {"one": NoisyLabels(done.labels, n_classes=3)}
    shown = Exploration.of(points(), sets, cleaned=done)
    write_explorer(shown, tmp_path / "page")
    assert about(tmp_path / "page")["warning"] == done.warning is not None
