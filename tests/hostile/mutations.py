"""Damage and malice for the fuzz tests: bytes changed blindly, and values changed where they stand.

Blind changes are mostly stopped by a checksum or a parser; so the files inside archives, the text
of headers and the values of JSON are changed too, and put back so that the outer layer is whole.
"""

import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

VALUES: list[Any] = [
    None, True, -1, 0, 3, 2**63, -(2**70), 1e308, float("nan"), float("inf"), "", "x", "\x1b[31m",
    "../../../etc/passwd", "/etc/passwd", "\x00", "\ud800", "=1+1", "<script>", [], {}, [[]],
    [None], ["a", "a"], {"": None}, "9" * 400, [1e400] * 3, {"a": {"b": {"c": []}}},
]  # fmt: skip
"What a place in JSON is given instead of its value."
WORDS = [
    b"", b"nan", b"-1", b"1e400", b"9" * 400, b'"', b"\x00", b"\xff", b"x", b"=1+1", b"0.5", b"\n",
]  # fmt: skip
"What a cell of text is given instead of its value."


def mutated(draw: Draw, content: bytes) -> bytes:
    """`content` changed in one of the ways that fit it."""
    ways = [_blind, _blind]
    if content[:1] in (b"{", b"["):
        ways += [_json] * 4
    elif content.startswith(b"PK\x03\x04"):
        ways += [_member] * 4
    elif content.startswith(b"\x93NUMPY"):
        ways += [_header] * 2
    elif content[8:9] == b"{":
        ways += [_safetensors] * 2
    elif b"\x00" not in content[:200]:
        ways += [_word] * 2
    return draw(st.sampled_from(ways))(draw, content)


def _blind(draw: Draw, content: bytes) -> bytes:
    """Bytes flipped, set, cut off, cut out, doubled or put in; or others altogether."""
    way = draw(
        st.sampled_from(["flip", "set", "zero", "cut", "out", "double", "put", "end", "other"])
    )
    at = draw(st.integers(0, max(len(content) - 1, 0)))
    length = draw(st.sampled_from([1, 2, 4, 8, 64]))
    noise = draw(st.binary(min_size=length, max_size=length))
    rest, flipped = content[at + length :], bytes(b ^ 255 for b in content[at : at + 1])
    changes: dict[str, Callable[[], bytes]] = {
        "flip": lambda: content[:at] + flipped + content[at + 1 :],
        "set": lambda: content[:at] + noise + rest,
        "zero": lambda: content[:at] + bytes(length) + rest,
        "cut": lambda: content[:at],
        "out": lambda: content[:at] + rest,
        "double": lambda: content[:at] + content[at // 2 :],
        "put": lambda: content[:at] + noise + content[at:],
        "end": lambda: content + noise,
        "other": lambda: noise,
    }
    return changes[way]()


def _json(draw: Draw, content: bytes) -> bytes:
    """One value, anywhere, replaced, renamed or taken out."""
    try:
        value = json.loads(content)
    except ValueError:
        return _blind(draw, content)
    places = list(_places(value))
    if not places:
        return json.dumps(draw(st.sampled_from(VALUES))).encode()
    holder, key = draw(st.sampled_from(places))
    way = draw(st.sampled_from(["replace", "replace", "replace", "remove", "deep"]))
    if way == "replace":
        holder[key] = draw(st.sampled_from(VALUES))
    elif way == "remove":
        del holder[key]
    else:
        holder[key] = "@deep@"
    text = json.dumps(value).replace('"@deep@"', "[" * 3000 + "]" * 3000)
    return text.encode("utf-8", "surrogatepass")


def _places(value: Any) -> Any:
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _member(draw: Draw, content: bytes) -> bytes:
    """A file inside an archive changed, or renamed, or left out; the archive is whole."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {info.filename: archive.read(info) for info in archive.infolist()}
    except (zipfile.BadZipFile, KeyError):
        return _blind(draw, content)
    name = draw(st.sampled_from(sorted(members)))
    way = draw(st.sampled_from(["change", "change", "change", "rename", "remove"]))
    held = members.pop(name)
    if way == "change":
        members[name] = mutated(draw, held)
    elif way == "rename":
        members[draw(st.sampled_from(["../x.npy", "/etc/x", "x", "a/b/data.pkl", "é.npy"]))] = held
    return packed(members)


def packed(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive of these files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, held in members.items():
            archive.writestr(name, held)
    return stream.getvalue()


def _header(draw: Draw, content: bytes) -> bytes:
    """The text of an NPY header with other words, its length right."""
    size = int.from_bytes(content[8:10], "little")
    text, rest = content[10 : 10 + size].decode("latin-1"), content[10 + size :]
    old, new = draw(
        st.sampled_from(
            [
                ("'descr'", "'dascr'"), ("<i8", "|O"), ("<i8", "<f8"), ("<f4", "|V0"),
                ("<i8", "<U9"), ("<", ">"), ("False", "True"), ("False", "0"),
                ("(", "(99999999999, "), ("(", "(-1, "), ("(", "(0, "), ("'shape'", "1"),
                ("{", "[" * 300), ("{", "{" * 90), (",", "+"),
                ("}", "} #"), ("(", "(1e9, "), ("'<", "[('a', '<i8'), ('b', '<"), (":", "\t:\r"),
            ]
        )
    )  # fmt: skip
    words = text.replace(old, new, 1).encode("latin-1")
    return content[:8] + len(words).to_bytes(2, "little") + words + rest


def _safetensors(draw: Draw, content: bytes) -> bytes:
    """A value in the header of safetensors replaced, its length right."""
    size = int.from_bytes(content[:8], "little")
    words, rest = _json(draw, content[8 : 8 + size]), content[8 + size :]
    return len(words).to_bytes(8, "little") + words + rest


def _word(draw: Draw, content: bytes) -> bytes:
    """A cell or a line of text replaced."""
    separator = draw(st.sampled_from([b",", b"\n", b" ", b":"]))
    parts = content.split(separator)
    at = draw(st.integers(0, len(parts) - 1))
    parts[at] = draw(st.sampled_from(WORDS))
    return separator.join(parts)


@contextlib.contextmanager
def replaced(path: Any, content: bytes) -> Any:
    """The file at `path` with other content, and with its own again afterwards."""
    own = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(own)
