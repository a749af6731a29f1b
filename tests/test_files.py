"""Files that are written whole or not at all, hashes of content, and the cache."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mislabel.cache import cache_folder, cached_array
from mislabel.errors import InputError
from mislabel.files import (
    atomic_path,
    canonical_json,
    hash_array,
    hash_file,
    hash_json,
    read_json,
    read_npy,
    write_json,
    write_text,
)

modest = settings(deadline=None, derandomize=True, max_examples=50)

# Atomic writing


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("content")
        assert not path.exists() and temporary.parent == path.parent
    assert path.read_text() == "content"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_an_error_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_text("half of the n")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_rename_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OSError, match=r"a\.txt"), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "é")
        assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").read_bytes() == "é".encode()


# JSON


def test_json_round_trip(tmp_path: Path) -> None:
    value = {"b": [1, 2.5, None, True], "a": {"é": "x"}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json", "receipt") == value
    text = (tmp_path / "a.json").read_text()
    assert text == json.dumps(value, indent=2) + "\n" and text.index('"b"') < text.index('"a"')
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert read_json(tmp_path / "a.json", "receipt") == value


@pytest.mark.parametrize("content", [None, b"", b'{"a": ', b"\xff\xfe"])
def test_json_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_json(path, "receipt")
    assert (caught.value.argument, caught.value.value) == ("receipt", str(path))
    assert caught.value.rule.startswith("cannot be read as JSON (")


def test_canonical_json() -> None:
    assert canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    assert hash_json({"b": 1, "a": 2}) == hash_json({"a": 2, "b": 1}) != hash_json({"a": 2})
    assert hash_json([]) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("inf"))


# Hashes


@modest
@given(st.lists(st.integers(-5, 5), min_size=6, max_size=6))
def test_hash_of_an_array_is_that_of_its_content(values: list[int]) -> None:
    array = np.array(values).reshape(2, 3)
    assert hash_array(array) == hash_array(np.asfortranarray(array))
    assert hash_array(array) == hash_array(np.repeat(array, 2, axis=1)[:, ::2])
    others = [array.ravel(), array.T, array.astype(np.int32), array.astype(float), array + 1]
    assert hash_array(array) not in {hash_array(other) for other in others}


def test_hashes_are_stable() -> None:
    assert hash_array(np.arange(3, dtype="<i8")) == (
        "129d7c8430eea69d8dc239e7cde4a4574ff8ecb9256150f828ec1d68afb5cddc"
    )
    assert len({hash_array(np.empty(shape)) for shape in [(0,), (0, 3), (3, 0)]}) == 3


def test_hash_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert hash_file(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# Arrays


@pytest.mark.parametrize("mapped", [False, True])
def test_arrays_are_read_back(tmp_path: Path, mapped: bool) -> None:
    for array in (np.arange(6.0).reshape(2, 3), np.empty((0, 2)), np.array(3), np.array(["é"])):
        np.save(tmp_path / "a.npy", array)
        found = read_npy(tmp_path / "a.npy", mapped=mapped)
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype and found.shape == array.shape
        assert isinstance(found, np.memmap) == mapped and found.flags.writeable != mapped


@modest
@given(data=st.data())
def test_damaged_arrays_are_a_value_error(tmp_path_factory: Any, data: st.DataObject) -> None:
    """No other error, and never more numbers than the file holds."""
    path = tmp_path_factory.getbasetemp() / "damaged.npy"
    np.save(path, np.arange(6.0).reshape(2, 3))
    raw = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, 127))
    raw[place] = data.draw(st.integers(0, 255).filter(lambda b: b != raw[place]))
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        found = read_npy(path)
    except ValueError:
        return
    assert found.nbytes <= path.stat().st_size


# The cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MISLABEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Counter:
    """Computes an array and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> np.ndarray:
        self.calls += 1
        return np.arange(4.0)


@pytest.mark.parametrize("mapped", [False, True])
def test_computed_once_for_one_key(cache: Path, mapped: bool) -> None:
    compute = Counter()
    for _ in range(3):
        found = cached_array("map", {"a": 1, "b": [2]}, compute, mapped=mapped)
        np.testing.assert_array_equal(found, np.arange(4.0))
        assert isinstance(found, np.memmap) == mapped
    cached_array("map", {"b": [2], "a": 1}, compute)
    assert compute.calls == 1
    for name, key in [("map", {"a": 2, "b": [2]}), ("other", {"a": 1, "b": [2]})]:
        cached_array(name, key, compute)
    assert compute.calls == 3 and len(list(cache.iterdir())) == 3


@pytest.mark.parametrize(
    "content",
    [b"", b"junk", b"PK\x03\x04junk", b"\x93NUMPY", b"\x93NUMPY\x01\x00v\x00{'descr'", "truncated"],
)
@pytest.mark.parametrize("mapped", [False, True])
def test_a_corrupted_entry_is_computed_again(
    cache: Path, content: bytes | str, mapped: bool
) -> None:
    compute = Counter()
    cached_array("map", {}, compute)
    (entry,) = cache.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(whole[:-1] if isinstance(content, str) else content)
    found = cached_array("map", {}, compute, mapped=mapped)
    np.testing.assert_array_equal(found, np.arange(4.0))
    assert compute.calls == 2 and entry.read_bytes() == whole
    cached_array("map", {}, compute, mapped=mapped)
    assert compute.calls == 2 and list(cache.iterdir()) == [entry]


def test_an_unwritable_cache_is_no_error(cache: Path) -> None:
    cache.write_text("a file, where a folder should be")
    compute = Counter()
    for _ in range(2):
        np.testing.assert_array_equal(cached_array("map", {}, compute), np.arange(4.0))
    assert compute.calls == 2 and cache.read_text().startswith("a file")


def test_errors_of_the_computation_leave_no_entry(cache: Path) -> None:
    def fail() -> np.ndarray:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cached_array("map", {}, fail)
    assert not cache.exists() or list(cache.iterdir()) == []


def test_where_the_cache_lies(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("MISLABEL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "xdg"))
    assert cache_folder().name == "mislabel"
