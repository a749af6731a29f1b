"""Files: atomic writing, JSON that is the same for the same content, and hashes."""

import contextlib
import hashlib
import json
import os
import tempfile
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mislabel.errors import InputError

_NOT_AN_ARRAY = (
    EOFError, MemoryError, OverflowError, RuntimeWarning, SyntaxError, TypeError, UserWarning,
    ValueError, tokenize.TokenError,
)  # fmt: skip
"What a damaged header makes NumPy raise."
_HASHED_AT_ONCE = 2**20
"Bytes that are converted to another type at a time."


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it there on success.

    On any error the temporary file is removed and `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, indented, keys in the given order."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path, argument: str) -> Any:
    """Read JSON; a missing or broken file is an `InputError` that names `argument`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(argument, str(path), f"cannot be read as JSON ({error})") from error


def read_npy(path: Path, *, mapped: bool = False) -> NDArray[Any]:
    """The array of an ``.npy`` file, or a `ValueError` where the file is none or not complete.

    Nothing in the file is executed, and no more memory is taken than the file is long.
    mapped: memory-map the file read-only instead of reading it.
    """
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            raise ValueError("it is an archive of arrays; a single .npy is expected")
    try:
        array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except _NOT_AN_ARRAY as error:
        if "Python objects" in str(error):
            raise ValueError("it holds pickled objects, which are never loaded") from error
        raise ValueError(" ".join(str(error).split())) from error
    return array if mapped else np.array(array)


def canonical_json(value: Any) -> str:
    """JSON text that is equal for equal content: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def hash_json(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def hash_array(array: NDArray[Any], *, as_type: DTypeLike | None = None) -> str:
    """SHA-256 (hex) of an array's dtype, shape and content.

    as_type: hash the array as if it were of this type, converted a block of rows at a time, so
    that the same numbers in another type have the same hash.
    """
    kind = array.dtype if as_type is None else np.dtype(as_type)
    digest = hashlib.sha256(f"{kind.str}{array.shape}".encode())
    if kind == array.dtype:
        digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()
    rows = max(1, _HASHED_AT_ONCE * len(array) // max(1, array.size * kind.itemsize))
    for start in range(0, len(array), rows):
        digest.update(np.ascontiguousarray(array[start : start + rows], dtype=kind).data)
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
