"""The result of every estimate: what it derives, what a file keeps, what a bad file says."""

import contextlib
import io
import json
import pickle
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from memorization_examples import drawn, scores
from mislabel.errors import InputError
from mislabel.memorization import MemorizationScores, load_scores


def test_derived_values_worked_by_hand() -> None:
    found = scores(
        [0.9, 0.9, 0.7, 0.2],
        [0.1, 0.8, np.nan, 0.3],
        labels=[0, 1, 1, 2],
        clean_labels=[1, 2, 1, 2],
        inclusion_error=np.array([0.03, 0.0, 0.1, np.nan]),
        exclusion_error=np.array([0.04, 0.2, np.nan, 0.1]),
    )
    assert_allclose(found.memorization, [0.8, 0.1, np.nan, -0.1])
    assert_allclose(found.memorization_error, [0.05, 0.2, np.nan, np.nan])
    assert found.wrong.tolist() == [True, True, False, False]
    assert found.learned().tolist() == [False, True, False, False]
    assert found.learned(0.05).tolist() == [True, True, False, True]
    assert found.incorrect_learned(0.05).tolist() == [True, True, False, False]
    assert found.memorized().tolist() == [True, False, False, False]
    assert found.memorized(0.8 + 1e-9).tolist() == [False] * 4
    assert (len(found), found.n_total, found.title) == (4, 4, "made up")


def test_what_is_not_given_is_unknown() -> None:
    found = scores([1.0], [0.5])
    assert np.isnan(found.inclusion_error).all() and np.isnan(found.memorization_error).all()
    assert found.inclusion_count.tolist() == found.exclusion_count.tolist() == [0]
    assert found.inclusion_halves is None and found.clean_labels is None
    with pytest.raises(InputError, match="have no clean labels to tell wrong labels by"):
        _ = found.wrong


def test_scores_of_some_examples_keep_their_places() -> None:
    found = drawn(12).select(np.array([9, 1, 5, 400]))
    assert found.index.tolist() == [1, 5, 9]
    assert found.n_total == 12
    whole = drawn(12)
    assert_array_equal(found.labels, whole.labels[[1, 5, 9]])
    assert found.inclusion_halves is not None and whole.inclusion_halves is not None
    assert_array_equal(found.inclusion_halves, whole.inclusion_halves[:, [1, 5, 9]])
    assert len(whole.select(np.array([], dtype=np.int64))) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"index": np.array([1, 1, 2])}, "index must be ascending without repetition"),
        ({"exclusion": np.zeros(2)}, r"exclusion has shape \(2,\), not \(3,\)"),
        ({"inclusion_halves": np.zeros(3)}, r"inclusion_halves has shape \(3,\), not \(2, 3\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    whole = drawn(3)
    content = {entry.name: getattr(whole, entry.name) for entry in fields(whole)}
    with pytest.raises(ValueError, match=message):
        MemorizationScores(**(content | changes))


def same(a: MemorizationScores, b: MemorizationScores) -> None:
    for entry in fields(a):
        first, second = getattr(a, entry.name), getattr(b, entry.name)
        if isinstance(first, np.ndarray):
            assert first.dtype == second.dtype
            assert_array_equal(first, second)
        else:
            assert first == second


@pytest.mark.parametrize(
    "whole", [drawn(20), scores([1.0, 0.5], [np.nan, 0.0])], ids=["all", "few"]
)
def test_save_and_load_give_the_same(whole: MemorizationScores, tmp_path: Path) -> None:
    whole.save(tmp_path / "a" / "scores.npz")
    same(load_scores(tmp_path / "a" / "scores.npz"), whole)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["scores.npz"]


def test_a_selection_is_saved_with_its_places(tmp_path: Path) -> None:
    some = drawn(20).select(np.array([3, 17]))
    some.save(tmp_path / "some.npz")
    same(load_scores(tmp_path / "some.npz"), some)


def test_other_endings_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"output='.*scores\.csv': must end in \.npz"):
        drawn().save(tmp_path / "scores.csv")
    with pytest.raises(InputError, match=r"human='.*none\.npz': no such file"):
        load_scores(tmp_path / "none.npz", "human")
    with pytest.raises(InputError, match="no such file"):
        load_scores(tmp_path)


def content(path: Path) -> dict[str, Any]:
    """The arrays of a saved file, and its header as JSON values."""
    drawn(6).save(path)
    with np.load(path) as archive:
        arrays: dict[str, Any] = {name: archive[name] for name in archive.files}
    arrays["header"] = json.loads(str(arrays["header"][()]))
    return arrays


def write(path: Path, arrays: dict[str, Any]) -> Path:
    header = arrays.get("header")
    packed = {} if header is None else {"header": np.array(json.dumps(header))}
    np.savez(path, allow_pickle=True, **(arrays | packed))
    return path


def changed(name: str, value: Any) -> Any:
    return lambda arrays: arrays | {name: value}


def head(**values: Any) -> Any:
    return lambda arrays: arrays | {"header": arrays["header"] | values}


def without(name: str) -> Any:
    return lambda arrays: {k: v for k, v in arrays.items() if k != name}


def shifted(name: str, by: float) -> Any:
    return lambda arrays: arrays | {name: arrays[name] + type(arrays[name].flat[0])(by)}


def headless(name: str) -> Any:
    return lambda arrays: (
        arrays | {"header": {k: v for k, v in arrays["header"].items() if k != name}}
    )


BROKEN: dict[str, Any] = {
    "format": (head(format=99), "its format is 99, this version reads 1"),
    "no format": (headless("format"), "'format'"),
    "no header": (without("header"), "header"),
    "header no mapping": (changed("header", [1]), "list indices"),
    "no names": (headless("class_names"), "'class_names'"),
    "names no list": (head(class_names=3), "class_names is no list"),
    "names a text": (head(class_names="abc"), "class_names is no list"),
    "total no number": (head(n_total="many"), "invalid literal"),
    "total null": (head(n_total=None), "NoneType"),
    "provenance": (head(provenance=[1]), "provenance is no mapping"),
    "unknown array": (changed("extra", np.zeros(6)), r"unknown arrays \['extra'\]"),
    "missing array": (without("exclusion"), "exclusion"),
    "no index": (without("index"), "'index'"),
    "float index": (changed("index", np.arange(6.0)), "index is float64, not int64"),
    "float32": (changed("inclusion", np.zeros(6, np.float32)), "inclusion is float32, not float64"),
    "objects": (changed("inclusion", np.array([object()] * 6)), "allow_pickle"),
    "too long": (changed("labels", np.zeros(7, np.int64)), r"labels has shape \(7,\), not \(6,\)"),
    "matrix": (changed("index", np.zeros((2, 3), np.int64)), "index"),
    "one half": (changed("inclusion_halves", np.zeros((1, 6))), "inclusion_halves has shape"),
    "above 1": (shifted("inclusion", 1), "inclusion must be from 0 to 1"),
    "below 0": (shifted("exclusion", -1), "exclusion must be from 0 to 1"),
    "halves": (shifted("exclusion_halves", 1), "exclusion_halves must be from 0 to 1"),
    "infinite": (changed("inclusion", np.full(6, np.inf)), "inclusion must be from 0 to 1"),
    "negative error": (shifted("inclusion_error", -1), "inclusion_error must not be negative"),
    "negative count": (shifted("exclusion_count", -100), "exclusion_count must not be negative"),
    "index outside": (shifted("index", 1), "index must be from 0 to 5"),
    "index negative": (shifted("index", -1), "index must be from 0 to 5"),
    "index twice": (changed("index", np.zeros(6, np.int64)), "ascending without repetition"),
    "label": (shifted("labels", 3), "labels must be from 0 to 2"),
    "clean label": (shifted("clean_labels", -1), "clean_labels must be from 0 to 2"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_breaks_a_rule_is_one_line(name: str, tmp_path: Path) -> None:
    change, message = BROKEN[name]
    path = write(tmp_path / "scores.npz", change(content(tmp_path / "whole.npz")))
    with pytest.raises(InputError, match=message) as caught:
        load_scores(path)
    assert "is no file of scores (" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_an_input_error(tmp_path: Path) -> None:
    """Cut short anywhere, or with a byte changed anywhere in its headers."""
    path = tmp_path / "scores.npz"
    drawn(6).save(path)
    whole = path.read_bytes()
    for length in (*range(0, 200, 7), len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match="is no file of scores"):
            load_scores(path)


def test_changed_bytes_never_raise_anything_else(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    drawn(6).save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(len(whole), size=150):
        path.write_bytes(whole[:place] + bytes([rng.integers(256)]) + whole[place + 1 :])
        with contextlib.suppress(InputError):
            load_scores(path)


def test_pickles_are_not_executed(tmp_path: Path) -> None:
    path, executed = tmp_path / "scores.npz", tmp_path / "executed"

    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (executed,))

    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="is no file of scores"):
        load_scores(path)
    arrays, stream = content(tmp_path / "whole.npz"), io.BytesIO()
    np.save(stream, np.array([Bomb()] * 6, dtype=object), allow_pickle=True)
    write(path, {k: v for k, v in arrays.items() if k != "inclusion"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("inclusion.npy", stream.getvalue())
    with pytest.raises(InputError, match="Object arrays cannot be loaded"):
        load_scores(path)
    assert not executed.exists()
