"""Files: atomic writing, safe reading, JSON that is the same for the same content, and hashes.

Whatever is read may be damaged or made to do harm. `UNREADABLE` is what readers then raise, and
`check_unpacked` and `check_plain` are the bounds that every reader of packed files keeps.
"""

import contextlib
import errno
import hashlib
import json
import lzma
import math
import os
import secrets
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mislabel.errors import InputError
from mislabel.leftovers import tag

UNREADABLE = (
    OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError,
    RuntimeError, MemoryError, SyntaxError, UserWarning, RuntimeWarning, struct.error,
    tokenize.TokenError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip
"What a damaged file makes NumPy, zipfile, json and Arrow raise, and code that reads its values."
LARGEST_JSON = 2**28
"Bytes of a JSON file."
UNPACKED_FREE, UNPACKED_RATIO = 2**30, 200
"A file may unpack to so many bytes, and to more where that is at most so many times its own size."
_HASHED_AT_ONCE = 2**20
"Bytes that are converted to another type at a time."


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of a disk, which NumPy and safetensors tell in words of their own, with a path."""
    try:
        yield
    except Exception as error:
        text = str(error)
        known = isinstance(error, OSError) and error.errno is not None
        full = text.endswith(" written") or "No space left on device" in text
        if known and error.filename is None:  # type: ignore[attr-defined]
            raise OSError(error.errno, error.strerror or text, str(path)) from error  # type: ignore[attr-defined]
        if not known and full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it there on success.

    On any error the temporary file is removed and `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}{tag()}{secrets.token_hex(4)}.tmp")
    try:  # Ctrl-C at any moment finds the file not yet made, or comes here
        temporary.touch(mode=0o600, exist_ok=False)
        with naming(path):
            yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The only process in such a block for a folder, which is made; where a disk can lock."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, indented, keys in the given order."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path, argument: str) -> Any:
    """Read JSON; a missing or broken file is an `InputError` that names `argument`.

    Broken is also what nests too deep for Python, has more than `LARGEST_JSON` bytes, or numbers
    that are not finite, which JSON has no word for.
    """
    try:
        check_plain(path, LARGEST_JSON)
        text = path.read_text(encoding="utf-8")
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise InputError(argument, str(path), "cannot be read as JSON (nested too deep)") from error
    except (OSError, ValueError) as error:
        raise InputError(argument, str(path), f"cannot be read as JSON ({error})") from error


def read_npy(path: Path, *, mapped: bool = False) -> NDArray[Any]:
    """The array of an ``.npy`` file, or a `ValueError` where the file is none or not complete.

    Nothing in the file is executed, and no more memory is taken than the file is long.
    mapped: memory-map the file read-only instead of reading it.
    """
    check_plain(path)
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            raise ValueError("it is an archive of arrays; a single .npy is expected")
    with _as_value_error(keep=OSError):
        array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
        return array if mapped else np.array(array)


class _Archive(np.lib.npyio.NpzFile):
    """An archive whose arrays fill their members: the checksum of one that is longer than its
    array would never be compared."""

    def __getitem__(self, key: str) -> Any:
        array = super().__getitem__(key)
        if self.zip is not None and isinstance(array, np.ndarray):
            member = self.zip.getinfo(key if key in self.zip.namelist() else f"{key}.npy")
            with self.zip.open(member) as stream:
                start = stream.read(12)
            wide = 4 if start[6] > 1 else 2
            header = 8 + wide + int.from_bytes(start[8 : 8 + wide], "little")
            if header + array.nbytes != member.file_size:
                raise ValueError(f"{key} is not as long as its header says")
        return array


@contextlib.contextmanager
def open_npz(path: Path) -> Iterator[Any]:
    """The archive of an ``.npz`` file, to take arrays from by name; it is closed in any case.

    Nothing in it is executed. What is wrong with it, also what comes out while arrays are taken
    from it, is a `ValueError`; so is an archive that unpacks to far more than its own size. A file
    that is not there is an `OSError`.
    """
    check_plain(path)
    with (
        _as_value_error(keep=OSError),
        path.open("rb") as file,
        _Archive(file, allow_pickle=False) as archive,
    ):
        members = [] if archive.zip is None else archive.zip.infolist()
        check_unpacked(sum(member.file_size for member in members), path.stat().st_size)
        yield _Arrays(archive)


def check_plain(path: Path, most: int | None = None) -> None:
    """Raise where a path is no plain file (`OSError`) or has more bytes than `most` (`ValueError`).

    What is no plain file, a pipe or a device, might never end.
    """
    size = path.stat().st_size
    if not path.is_file():
        raise OSError("it is no plain file")
    if most is not None and size > most:
        raise ValueError(f"it has {size:,} bytes; at most {most:,} are read")


def check_unpacked(unpacked: int, packed: int) -> None:
    """Raise `ValueError` where a file of `packed` bytes would unpack to far more than it may."""
    if unpacked > max(UNPACKED_FREE, UNPACKED_RATIO * packed):
        rule = f"it unpacks to {unpacked:,} bytes, more than {UNPACKED_RATIO} times its own size"
        raise ValueError(f"{rule}; store it less tightly packed")


def check_links(folder: Path, argument: str) -> None:
    """Raise `InputError` where a link in `folder` leads out of it; folders below are not looked at.

    What somebody else wrote could have this machine's own files read, shown, or written over.
    """
    with os.scandir(folder) as entries:
        links = [Path(entry.path) for entry in entries if entry.is_symlink()]
    for link in sorted(links):
        if not link.resolve().is_relative_to(folder.resolve()):
            raise InputError(argument, str(link), "is a link that leads out of the folder")


@contextlib.contextmanager
def reading(argument: str, path: Path) -> Iterator[None]:
    """What is wrong with what is read at `path` as an `InputError` that names it."""
    try:
        yield
    except InputError:
        raise
    except UNREADABLE as error:
        text = error_line(error)
        if isinstance(error, LookupError):
            text = f"{type(error).__name__}: {text}"
        raise InputError(argument, str(path), f"is damaged ({text})") from error


def error_line(error: BaseException) -> str:
    """What an error says, on one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


class _Arrays:
    """An archive of arrays; members that are none are errors, where NumPy returns bytes."""

    def __init__(self, archive: Any) -> None:
        self.archive, self.files = archive, list(archive.files)

    def __getitem__(self, name: str) -> NDArray[Any]:
        found = self.archive[name]
        if not isinstance(found, np.ndarray):
            raise ValueError(f"{name} is no array")
        return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is not finite")
    return value


@contextlib.contextmanager
def _as_value_error(*, keep: type[Exception]) -> Iterator[None]:
    """Errors of a damaged file as `ValueError`, but those that are one, or of the kind `keep`."""
    try:
        yield
    except (InputError, keep):
        raise
    except UNREADABLE as error:
        if "Python objects" in str(error):
            raise ValueError("it holds pickled objects, which are never loaded") from error
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


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
