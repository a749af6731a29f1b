"""Pickles: plain values come out as `pickle.loads` has them, and nothing else does anything."""

import collections
import copyreg
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mislabel.errors import InputError
from mislabel.pickles import read_pickle, read_torch_archive, text_keys

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
ONLY = "only plain arrays are read, nothing is executed"


def read(data: bytes) -> Any:
    return read_pickle(data, argument="labels", source="x.pt")


def refusal(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        read(data)
    assert (caught.value.argument, caught.value.value) == ("labels", "x.pt")
    return caught.value.rule


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(st.characters(max_codepoint=0x7F))
    | st.text()
    | st.binary()
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=20,
)


@given(value=values, protocol=st.sampled_from(PROTOCOLS))
def test_plain_values_equal_those_of_the_slow_twin(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol=protocol)
    assert read(data) == pickle.loads(data) == value  # noqa: S301


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int64),
        np.arange(12, dtype=np.uint8).reshape(3, 4),
        np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
        np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
        np.arange(5, dtype=">i4"),
        np.array([True, False]),
        np.array(3.5),
        np.zeros((0, 4), dtype=np.float16),
        np.arange(10)[::2],
    ],
    ids=lambda a: f"{a.dtype.str}{a.shape}",
)
def test_numeric_arrays_of_every_protocol(array: np.ndarray, protocol: int) -> None:
    value = {"a": array, "again": [array, array]}
    found = read(pickle.dumps(value, protocol=protocol))
    np.testing.assert_array_equal(found["a"], array)
    assert found["a"].dtype == array.dtype.newbyteorder("=")
    assert not found["a"].flags.writeable
    assert found["again"][0] is found["a"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scalars_and_ordered_dictionaries(protocol: int) -> None:
    value = collections.OrderedDict(b=np.float32(2.5), a=np.int64(7), c=b"")
    found = read(pickle.dumps(value, protocol=protocol))
    assert found == {"b": 2.5, "a": 7, "c": b""} and list(found) == ["b", "a", "c"]
    assert type(found) is dict and found["a"].dtype == np.int64


def test_strings_of_python_2_are_latin_1() -> None:
    assert read(b"\x80\x02}U\x04dataT\x03\x00\x00\x00\x00\xe9\xffs.") == {"data": "\x00é\xff"}
    assert read(b"(dp0\nS'labels'\np1\n(lp2\nI3\naI01\nas.") == {"labels": [3, True]}


def test_array_of_python_2() -> None:
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85"
        b"U\x01b\x87Rq\x03(K\x01K\x02K\x02\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04\x00\x7f\x80\xfftb."
    )
    np.testing.assert_array_equal(read(data), np.array([[0, 127], [128, 255]], dtype=np.uint8))


def test_text_keys() -> None:
    assert text_keys({b"data": 1, "labels": 2, 3: 4}) == {"data": 1, "labels": 2, "3": 4}


class Evil:
    """Its pickle runs a command that creates a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


class Plain:
    """Its pickle builds an object."""

    def __init__(self) -> None:
        self.x = 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("wrap", [lambda e: e, lambda e: [1, e], lambda e: {"a": (e,)}])
def test_nothing_is_executed(tmp_path: Path, protocol: int, wrap: Any) -> None:
    marker = tmp_path / "marker"
    data = pickle.dumps(wrap(Evil(marker)), protocol=protocol)
    assert refusal(data) == f"is a pickle that refers to {os.name}.system; {ONLY}"
    assert not marker.exists()
    pickle.loads(data)  # noqa: S301  the twin shows that the pickle does bite
    assert marker.exists()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"cos\nsystem\n(S'touch %s'\ntR.", "os.system"),
        (b"(S'touch %s'\nios\nsystem\n.", "os.system"),
        (b"(cos\nsystem\nS'touch %s'\no.", "os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93(S'touch %s'\ntR.", "os.system"),
        (b'cbuiltins\neval\n(S\'open("%s", "w")\'\ntR.', "builtins.eval"),
        (b"c__builtin__\ngetattr\n(S'%s'\ntR.", "__builtin__.getattr"),
        (b"cnumpy\nload\n(S'%s'\ntR.", "numpy.load"),
        (b"cnumpy.core.multiarray\nfromfile\n.", "numpy.core.multiarray.fromfile"),
        (b"ccollections\nOrderedDict.fromkeys\n.", "collections.OrderedDict.fromkeys"),
        (b"P%s\n.", "the opcode PERSID %s"),
        (b"S'%s'\nQ.", "the opcode BINPERSID"),
        (b"\x80\x02\x82\x01.", "the opcode EXT1 1"),
        (b"\x80\x02\x83\x01\x00.", "the opcode EXT2 1"),
        (b"\x80\x02\x84\x01\x00\x00\x00.", "the opcode EXT4 1"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "the opcode NEWOBJ"),
        (b"\x80\x04cnumpy\nndarray\n)}\x92.", "the opcode NEWOBJ_EX"),
        (b"(cnumpy\nndarray\no.", "the opcode OBJ"),
        (b"\x80\x02cnumpy\nndarray\n}b.", "the state of an object"),
        (b"\x80\x02}}b.", "the state of an object"),
        (b"\x80\x05\x97.", "the opcode NEXT_BUFFER"),
        (b"\x80\x02cnumpy\nndarray\n.", "a name that is not a value"),
        (b"\x80\x02]cnumpy\nndarray\na.", "a name that is not a value"),
        (b"\x80\x02cnumpy\ndtype\nU\x02i8\x85R.", "a name that is not a value"),
        (b"\x80\x02cnumpy\ndtype\nU\x01O\x85R.", "values of type 'O'"),
        (b"c_codecs\nencode\n(S'a'\nS'rot13'\ntR.", "an encoding 'rot13'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_programs(tmp_path: Path, data: bytes, what: str) -> None:
    marker = str(tmp_path / "marker")
    copyreg.add_extension("os", "system", 1)
    try:
        rule = refusal(data.replace(b"%s", marker.encode()))
    finally:
        copyreg.remove_extension("os", "system", 1)
    assert rule == f"is a pickle that refers to {what.replace('%s', marker)}; {ONLY}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (Plain(), f"{__name__}.Plain"),
        ({1, 2}, "the opcode EMPTY_SET"),
        (np.array([None, 1]), "values of type 'O8'"),
        (np.array(["a"]), "values of type 'U1'"),
        (np.zeros(2, dtype=[("a", "i4")]), "values of type 'V4'"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "values of type 'M8'"),
        (1 + 2j, "builtins.complex"),
        (np.ma.masked_array([1]), "numpy.ma._mareconstruct"),
    ],
    ids=lambda v: v if isinstance(v, str) else type(v).__name__,
)
def test_other_values_are_refused_by_name(value: Any, what: str) -> None:
    rule = refusal(pickle.dumps(value, protocol=4))
    assert rule.replace("numpy.ma.core.", "numpy.ma.") == (
        f"is a pickle that refers to {what}; {ONLY}"
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_prefix_is_an_error(protocol: int) -> None:
    value = {"labels": np.arange(3), "names": ["a", "b"], "rate": 0.5, "n": 2**40}
    data = pickle.dumps(value, protocol=protocol)
    for end in range(len(data)):
        assert refusal(data[:end]).startswith("is not a readable pickle (")


@given(data=st.binary(max_size=60), start=st.sampled_from([b"", b"\x80\x02", b"(", b"]q\x00"]))
def test_garbage_is_an_input_error_or_plain(data: bytes, start: bytes) -> None:
    try:
        read(start + data + b".")
    except InputError as error:
        assert error.argument == "labels"


@given(st.data())
def test_a_changed_byte_is_an_input_error_or_plain(draw: Any) -> None:
    data = bytearray(pickle.dumps({"a": np.arange(3), "b": [1, "x"]}, protocol=2))
    data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        read(bytes(data))
    except InputError as error:
        assert error.argument == "labels"


def test_lists_in_themselves_and_deep_nesting() -> None:
    ring: list[Any] = []
    ring.append([ring])
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    for value in (ring, deep):
        rule = refusal(pickle.dumps(value))
        assert rule == "is a pickle whose lists contain themselves or nest deeper than 64"
    assert refusal(b"(" * 100_000 + b"t" * 100_000 + b".").endswith("nest deeper than 64")


def test_doubling_costs_nothing() -> None:
    value: Any = ()
    for _ in range(60):
        value = (value, value)
    assert len(read(pickle.dumps(value))) == 2
    key = pickle.dumps({1: value}).replace(b"K\x01", b"", 1)
    assert refusal(b"\x80\x02})K\x01s.").startswith("is not a readable pickle (a key")
    assert refusal(key).startswith("is not a readable pickle (")


def test_sizes_are_checked_against_what_is_there() -> None:
    assert read(b"\x80\x02]r\xff\xff\xff\xff.") == []  # the C reader would take 64 GiB
    for opcode in (b"\x8e", b"\x8d", b"\x96"):
        huge = b"\x80\x05" + opcode + struct.pack("<Q", 2**50) + b"x."
        assert refusal(huge).startswith("is not a readable pickle (expected")
    grown = pickle.dumps(np.arange(3), protocol=2).replace(b"K\x03\x85", b"K\x04\x85", 1)
    assert refusal(grown) == "is not a readable pickle (24 bytes for an array of 32)"
    negative = grown.replace(b"K\x04\x85", b"J\xff\xff\xff\xff\x85", 1)
    assert refusal(negative) == "is not a readable pickle (bad shape of an array: (-1,))"


def test_a_string_decoded_over_and_over_is_stopped() -> None:
    text = b"X" + struct.pack("<I", 10_000) + b"a" * 10_000 + b"q\x010"
    bomb = b"\x80\x02" + text + b"](" + b"c_codecs\nencode\nh\x01\x85R" * 1000 + b"e."
    assert refusal(bomb) == "is a pickle that would unpack to far more than its own size"


# ------------------------------------------------------------------ archives of torch.save


def write_archive(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def archive_rule(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_torch_archive(path, argument="labels")
    assert (caught.value.argument, caught.value.value) == ("labels", str(path))
    return caught.value.rule


@pytest.mark.data
@pytest.mark.parametrize("name", ["CIFAR-10", "CIFAR-100"])
def test_cifar_n_as_published(data_folder: Path, name: str) -> None:
    path = data_folder / "cifar-n" / f"{name}_human.pt"
    found = read_torch_archive(path, argument="labels")
    given = np.load(data_folder / f"published/{name.lower().replace('-', '')}-given-labels.npy")
    np.testing.assert_array_equal(found["clean_label"], given)
    assert all(len(v) == 50_000 for v in found.values())


def test_what_torch_saves(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "x.pt"
    torch.save({"labels": np.arange(5)}, path)
    np.testing.assert_array_equal(read_torch_archive(path, argument="labels")["labels"], range(5))
    torch.save({"labels": torch.arange(5)}, path)
    expected = f"is a pickle that refers to torch._utils._rebuild_tensor_v2; {ONLY}"
    assert archive_rule(path) == expected


def test_broken_archives(tmp_path: Path) -> None:
    good = write_archive(tmp_path / "a.pt", {"a/data.pkl": pickle.dumps([1] * 1000)})
    assert read_torch_archive(good, argument="labels") == [1] * 1000
    assert archive_rule(tmp_path / "none.pt") == "no such file"
    cut = tmp_path / "cut.pt"
    for size in (0, 10, good.stat().st_size // 2, good.stat().st_size - 1):
        cut.write_bytes(good.read_bytes()[:size])
        assert archive_rule(cut).startswith("cannot be read as an archive of torch.save (")
    empty = write_archive(tmp_path / "b.pt", {"a/version": b"3"})
    twice = write_archive(tmp_path / "c.pt", {"a/data.pkl": b"N.", "b/data.pkl": b"N."})
    for path in (empty, twice):
        expected = "is not an archive of torch.save: it holds no single <name>/data.pkl"
        assert archive_rule(path) == expected


def test_an_archive_that_unpacks_to_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mislabel.pickles.MAX_ARCHIVE_BYTES", 1000)
    path = write_archive(tmp_path / "a.pt", {"a/data.pkl": bytes(100_000)})
    assert archive_rule(path) == "unpacks to 100000 bytes; at most 1000 are read"
