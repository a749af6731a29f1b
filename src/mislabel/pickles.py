"""Pickles of plain values, read without executing anything from them.

A pickle is a program for a small stack machine, and `pickle.load` lets that program import and
call whatever it names. Public label files and the original CIFAR batches are pickles all the
same, so this module runs the program itself, on a machine that has no call and no import:
`pickletools` splits the bytes into opcodes, containers, strings and numbers are built as
written, and the few names that a NumPy array needs are understood by name. Every other name,
and every opcode that builds objects, is refused. A slow twin in the tests is `pickle.loads`.

Pitfalls that are taken care of: declared sizes and shapes are checked against the bytes that
are there; memo slots live in a dictionary (the C reader allocates up to the largest slot);
a string decoded over and over is counted; keys of dictionaries are scalars, whose hash is cheap.
"""

import pickletools
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError

MAX_ARCHIVE_BYTES = 256 * 2**20
MAX_DEPTH = 64
_SCALARS = (str, bytes, int, float, bool, type(None))
_MALFORMED = (ValueError, IndexError, KeyError, TypeError, OverflowError, struct.error, Warning)


def read_pickle(data: bytes, *, argument: str, source: str) -> Any:
    """The plain value in a pickle: containers, strings, numbers and numeric arrays.

    data: the pickle, of any protocol; strings that Python 2 wrote are read as Latin-1.
    argument, source: what `InputError` names when the pickle is broken or holds anything else.

    Arrays are read-only and in native byte order.
    """
    machine = _Machine(budget=2 * len(data) + 1024)
    try:
        value = machine.run(data)
        _check_plain(value, set(), set())
    except _RefusedError as refused:
        raise InputError(argument, source, str(refused)) from None
    except _MALFORMED as error:
        raise InputError(argument, source, f"is not a readable pickle ({error})") from error
    return value


def read_torch_archive(path: Path, *, argument: str) -> Any:
    """The plain value in a file of `torch.save` that holds NumPy arrays and no tensors.

    Such a file is a ZIP archive with one pickle, ``<name>/data.pkl``. PyTorch takes no part.
    """
    if not path.is_file():
        raise InputError(argument, str(path), "no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            data = _archived_pickle(archive)
    except _RefusedError as refused:
        raise InputError(argument, str(path), str(refused)) from None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError) as error:
        rule = f"cannot be read as an archive of torch.save ({error})"
        raise InputError(argument, str(path), rule) from error
    return read_pickle(data, argument=argument, source=str(path))


def text_keys(mapping: Mapping[Any, Any]) -> dict[str, Any]:
    """The same mapping with keys as str: bytes are decoded as Latin-1."""
    return {k.decode("latin-1") if isinstance(k, bytes) else str(k): v for k, v in mapping.items()}


def _archived_pickle(archive: zipfile.ZipFile) -> bytes:
    found = [i for i in archive.infolist() if i.filename.split("/")[1:] == ["data.pkl"]]
    if len(found) != 1:
        raise _RefusedError("is not an archive of torch.save: it holds no single <name>/data.pkl")
    if found[0].file_size > MAX_ARCHIVE_BYTES:
        size, limit = found[0].file_size, MAX_ARCHIVE_BYTES
        raise _RefusedError(f"unpacks to {size} bytes; at most {limit} are read")
    return archive.read(found[0])


class _RefusedError(Exception):
    """The pickle holds something that is not read; the text is the rule."""


def _refuse(what: str) -> _RefusedError:
    rule = f"is a pickle that refers to {what}; only plain arrays are read, nothing is executed"
    return _RefusedError(rule)


class _Name:
    """A name that the pickle mentions. Inert: a mark on the machine's stack."""

    def __init__(self, text: str) -> None:
        self.text = text


class _DType:
    """A dtype as far as the pickle has described it: its code, and later its byte order."""

    def __init__(self, code: Any) -> None:
        if not isinstance(code, str) or code not in _CODES:
            raise _refuse(f"values of type {code!r}")
        self.code, self.order = code, "="

    def set_state(self, state: Any) -> None:
        _version, order, *fields = state
        if order not in ("<", ">", "|", "=") or any(field is not None for field in fields[:3]):
            raise _refuse("values of a structured type")
        self.order = order

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.order.replace("|", "=") + self.code)


_CODES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}


class _Array:
    """An array that the pickle has announced but not yet described, and its memo slots."""

    def __init__(self) -> None:
        self.slots: list[int] = []


_MARKED = {"TUPLE", "LIST", "DICT", "APPENDS", "SETITEMS", "POP_MARK"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = {  # opcodes whose argument is the value
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip


class _Machine:
    """The stack machine of the pickle format, without its instructions that call or import.

    budget: how many bytes may be made from the pickle's own strings and arrays in all.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        """Run the program up to its STOP; what lies behind it is not looked at."""
        for opcode, argument, _ in pickletools.genops(data):
            name = opcode.name
            if name in _LITERALS:
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name in _MARKED:
                self._marked(name)
            elif name in _ACTIONS:
                _ACTIONS[name](self, argument)
            elif name not in ("PROTO", "FRAME", "STOP"):
                what = "" if argument is None else f" {str(argument).replace(' ', '.')}"
                raise _refuse(what.strip() if name == "INST" else f"the opcode {name}{what}")
        return self.pop()

    def pop(self) -> Any:
        if self.marks and self.marks[-1] >= len(self.stack):
            raise IndexError("a mark is in the way")
        return self.stack.pop()

    def _marked(self, name: str) -> None:
        """Opcodes that take everything above the last mark."""
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        if name == "TUPLE":
            self.stack.append(tuple(items))
        elif name == "LIST":
            self.stack.append(items)
        elif name == "DICT":
            self.stack.append({})
            self.set_items(items)
        elif name == "APPENDS":
            self.extend(items)
        elif name == "SETITEMS":
            self.set_items(items)

    def extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError("items for something that is no list")
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict):
            raise TypeError("keys for something that is no dictionary")
        self.stack[-1].update(_pairs(items[::2], items[1::2]))

    def take(self, n: int) -> list[Any]:
        """The last `n` values, in the order in which they were pushed."""
        return [self.pop() for _ in range(n)][::-1]

    def discard(self) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def put(self, slot: int) -> None:
        top = self.memo[slot] = self.stack[-1]
        if isinstance(top, _Array):
            top.slots.append(slot)

    def name(self, text: str) -> None:
        if text not in _NAMES:
            raise _refuse(text)
        self.stack.append(_Name(_NAMES[text]))

    def stack_name(self) -> None:
        module, name = self.take(2)
        self.name(f"{module}.{name}")

    def reduce(self) -> None:
        """What the pickle means as a call: one of the few meanings of `_NAMES`."""
        name, args = self.take(2)
        if not isinstance(name, _Name) or not isinstance(args, tuple):
            raise TypeError("a call of something that is no name")
        self.stack.append(_MEANINGS[name.text](self, *args))

    def build(self) -> None:
        """The state of a dtype or an array; an array takes its place on stack and in memo."""
        target, state = self.take(2)
        if isinstance(target, _DType):
            target.set_state(state)
            self.stack.append(target)
        elif isinstance(target, _Array):
            _version, shape, dtype, fortran, raw = state
            array = self.array(dtype, shape, raw, "F" if fortran else "C")
            self.memo.update(dict.fromkeys(target.slots, array))
            self.stack.append(array)
        else:
            raise _refuse("the state of an object")

    def array(self, dtype: Any, shape: Any, raw: Any, order: Any) -> NDArray[Any]:
        """An array over `raw`, whose length must be that of `shape`."""
        if not isinstance(dtype, _DType):
            raise TypeError("an array without a dtype")
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"bad shape of an array: {shape}")
        content = raw if isinstance(raw, bytes | bytearray) else self.encode(raw)
        size = int(np.prod([*map(int, shape)], dtype=object)) * dtype.dtype.itemsize
        if size != len(content):
            raise ValueError(f"{len(content)} bytes for an array of {size}")
        array = np.frombuffer(content, dtype.dtype).reshape(shape, order=order)
        if not array.dtype.isnative:
            self.spend(size)
            array = array.astype(array.dtype.newbyteorder("="))
        array.flags.writeable = False
        return array

    def encode(self, text: Any, encoding: Any = "latin1") -> bytes:
        """Bytes that are written as a string with one character per byte."""
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise _refuse(f"an encoding {encoding!r}")
        self.spend(len(text))
        return text.encode("latin-1")

    def spend(self, n: int) -> None:
        self.budget -= n
        if self.budget < 0:
            raise _RefusedError("is a pickle that would unpack to far more than its own size")


def _reconstruct(machine: _Machine, kind: Any, *_: Any) -> _Array:
    if not isinstance(kind, _Name) or kind.text != "ndarray":
        raise _refuse("an array of a special kind")
    return _Array()


def _from_buffer(
    machine: _Machine, raw: Any, dtype: Any, shape: Any, order: Any, axes: Any = None
) -> NDArray[Any]:
    if order in ("C", "F"):
        return machine.array(dtype, shape, raw, order)
    return machine.array(dtype, shape, raw, "C").transpose(axes)


def _scalar(machine: _Machine, dtype: Any, raw: Any) -> Any:
    return machine.array(dtype, (), raw, "C")[()]


def _bytes(machine: _Machine) -> bytes:
    return b""


def _ordered_dict(machine: _Machine, pairs: Any = ()) -> dict[Any, Any]:
    return _pairs([key for key, _ in pairs], [value for _, value in pairs])


def _pairs(keys: list[Any], values: list[Any]) -> dict[Any, Any]:
    if not all(isinstance(key, _SCALARS) for key in keys):
        raise TypeError("a key that is neither a string nor a number")
    return dict(zip(keys, values, strict=True))


def _check_plain(value: Any, parents: set[int], done: set[int]) -> None:
    """Refuse names and half-made arrays anywhere in `value`, and containers in themselves."""
    if isinstance(value, _Name | _DType | _Array):
        raise _refuse("a name that is not a value")
    if not isinstance(value, dict | list | tuple) or id(value) in done:
        return
    if id(value) in parents or len(parents) >= MAX_DEPTH:
        rule = f"is a pickle whose lists contain themselves or nest deeper than {MAX_DEPTH}"
        raise _RefusedError(rule)
    parents.add(id(value))
    for item in value.values() if isinstance(value, dict) else value:
        _check_plain(item, parents, done)
    parents.discard(id(value))
    done.add(id(value))


_NAMES = {
    "numpy.core.multiarray._reconstruct": "reconstruct",
    "numpy._core.multiarray._reconstruct": "reconstruct",
    "numpy.core.multiarray.scalar": "scalar",
    "numpy._core.multiarray.scalar": "scalar",
    "numpy.core.numeric._frombuffer": "from_buffer",
    "numpy._core.numeric._frombuffer": "from_buffer",
    "numpy.ndarray": "ndarray",
    "numpy.dtype": "dtype",
    "_codecs.encode": "encode",
    "builtins.bytes": "bytes",
    "__builtin__.bytes": "bytes",
    "collections.OrderedDict": "ordered_dict",
}
_MEANINGS: dict[str, Callable[..., Any]] = {
    "reconstruct": _reconstruct,
    "scalar": _scalar,
    "from_buffer": _from_buffer,
    "dtype": lambda machine, code, *_: _DType(code),
    "encode": _Machine.encode,
    "bytes": _bytes,
    "ordered_dict": _ordered_dict,
}
_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "POP": lambda m, _: m.discard(),
    "DUP": lambda m, _: m.stack.append(m.stack[-1]),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "APPEND": lambda m, _: m.extend([m.pop()]),
    "SETITEM": lambda m, _: m.set_items(m.take(2)),
    "TUPLE1": lambda m, _: m.stack.append(tuple(m.take(1))),
    "TUPLE2": lambda m, _: m.stack.append(tuple(m.take(2))),
    "TUPLE3": lambda m, _: m.stack.append(tuple(m.take(3))),
    "GLOBAL": lambda m, arg: m.name(arg.replace(" ", ".", 1)),
    "STACK_GLOBAL": lambda m, _: m.stack_name(),
    "REDUCE": lambda m, _: m.reduce(),
    "BUILD": lambda m, _: m.build(),
    "MEMOIZE": lambda m, _: m.put(len(m.memo)),
    **dict.fromkeys(["PUT", "BINPUT", "LONG_BINPUT"], lambda m, i: m.put(i)),
    **dict.fromkeys(["GET", "BINGET", "LONG_BINGET"], lambda m, i: m.stack.append(m.memo[i])),
}
