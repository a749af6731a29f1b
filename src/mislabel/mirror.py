"""Run folders in object storage: a folder of this machine that stands for one far away.

    with mirrored("s3://bucket/runs/c10") as store:
        run_benchmark(grid, store.path, progress=store.after(progress))

What is there is fetched first; what is new here is sent when runs finish, and at the end. To look
for it takes longer the more there is, so a large folder is looked through less often (`SHARE`).
Objects appear whole, and those by which something is finished (a cell's ``result.json``) are sent
last, so whoever reads sees a run's part whole or not at all. A folder of this machine, or of a disk
that machines share, is used as it is. Any address of fsspec goes: ``s3://``, ``gs://``, ``az://``,
``memory://``; its own package is needed for each (s3fs, gcsfs, adlfs).

Pitfall: two that write at once to one place must do different parts, or the same ones alike: as
with a shared folder, the later copy of a file is kept.
"""

import contextlib
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mislabel.cache import cache_folder
from mislabel.errors import InputError
from mislabel.files import hash_json, read_json, write_json
from mislabel.leftovers import tag
from mislabel.outputs import check_folder

STATE = ".mirror.json"
"Of the local folder: what each file was when it was last here and there the same."
LAST = ("result.json", "run.json", "study.json", "stress.json")
"Files by which others are complete; sent after them."
SHARE = 0.1
"Of the time, at most, that goes into looking for what is new while runs go on."
AT_ONCE = 200
"Objects that are fetched together."
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://.+")
Progress = Callable[[int, int], None]


def is_address(text: str | Path) -> bool:
    """Whether a text is an address of a store rather than a path."""
    return _ADDRESS.fullmatch(str(text)) is not None


class Mirror:
    """The local folder `path` of what is at `address`, or a folder by itself."""

    def __init__(self, path: Path, filesystem: Any = None, root: str = "") -> None:
        self.path = path
        self._filesystem, self._root = filesystem, root.rstrip("/")
        state = path / STATE
        self._state: dict[str, Any] = read_json(state, "store") if state.is_file() else {}
        self._due = -math.inf

    def fetch(self) -> None:
        """Bring here what is new there."""
        if self._filesystem is None:
            return
        self._filesystem.invalidate_cache()
        there = self._filesystem.find(self._root, detail=True)
        wanted = []
        for full, about in sorted(there.items()):
            name = full[len(self._root) :].strip("/")
            local, token = self._inside(name), _token(about)
            if self._state.get(name, [None])[0] != token or not local.is_file():
                wanted.append((full, name, local, token))
        for start in range(0, len(wanted), AT_ONCE):
            self._get(wanted[start : start + AT_ONCE])
        self._keep()

    def _get(self, wanted: Sequence[tuple[str, str, Path, str]]) -> None:
        """Objects by their full name, name, local place and token; together, where a store can."""
        parts = [local.with_name(f".{local.name}{tag()}.tmp") for _, _, local, _ in wanted]
        for part in parts:
            part.parent.mkdir(parents=True, exist_ok=True)
        self._filesystem.get([full for full, *_ in wanted], [str(part) for part in parts])
        for part, (_, name, local, token) in zip(parts, wanted, strict=True):
            part.replace(local)
            self._state[name] = [token, _stamp(local)]

    def send(self) -> None:
        """Bring there what is new here."""
        if self._filesystem is None:
            return
        started = time.monotonic()
        new = self._new()
        spent = time.monotonic() - started
        for name in new:
            local, full = self.path / name, f"{self._root}/{name}"
            stamp = _stamp(local)
            self._filesystem.makedirs(full.rpartition("/")[0], exist_ok=True)
            self._filesystem.put_file(str(local), full)
            self._filesystem.invalidate_cache()
            self._state[name] = [_token(self._filesystem.info(full)), stamp]
        started = time.monotonic()
        if new:
            self._keep()
        ended = time.monotonic()
        self._due = ended + (spent + ended - started) / SHARE

    def _new(self) -> list[str]:
        """Names of files that are not there as they are here, in the order of sending."""
        found = []
        for name, local in _files(self.path) if self.path.is_dir() else ():
            if self._state.get(name, [None, None])[1] != _stamp(local):
                found.append((local.name in LAST, name))
        return [name for _, name in sorted(found)]

    def after(self, progress: Progress) -> Progress:
        """`progress` that sends what is new after a finished run, if it is time to look for it."""

        def sending(done: int, total: int) -> None:
            progress(done, total)
            if time.monotonic() >= self._due and self.path.is_dir():
                self.send()

        return sending

    def _inside(self, name: str) -> Path:
        """The local place of a name, which must be below the folder."""
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or PurePosixPath(name).is_absolute() or "\\" in name:
            raise InputError("store", name, "is no name of a file below the store")
        return self.path.joinpath(*parts)

    def _keep(self) -> None:
        if self.path.is_dir():
            write_json(self.path / STATE, self._state)


@contextlib.contextmanager
def mirrored(out: str | Path, argument: str = "out") -> Iterator[Mirror]:
    """The folder `out`, or a local one in the cache that stands for the address `out`.

    Errors: `InputError` for a store that cannot be reached.
    """
    if not is_address(out):
        yield Mirror(Path(out))
        return
    filesystem, root = _opened(str(out), argument)
    path = cache_folder().absolute() / "stores" / hash_json(str(out).rstrip("/"))[:32]
    check_folder(path, argument)
    store = Mirror(path, filesystem, root)
    with _named(str(out), argument):
        store.fetch()
    try:
        yield store
    finally:
        with _named(str(out), argument):
            store.send()


def fetched(text: str) -> Path:
    """The folder of a path, or of an address whose content is fetched; for reading commands."""
    if not is_address(text):
        return Path(text)
    with mirrored(text, "folder") as store:
        if not store.path.is_dir():
            raise InputError("folder", text, "holds nothing")
        return store.path


def _opened(address: str, argument: str) -> tuple[Any, str]:
    import fsspec

    try:
        filesystem, root = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise InputError(argument, address, f"cannot be opened ({error})") from error
    return filesystem, str(root)


@contextlib.contextmanager
def _named(address: str, argument: str) -> Iterator[None]:
    """Errors of the store as ours; those of its own package are of many kinds."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(argument, address, f"cannot be reached ({words})") from error


def _token(about: dict[str, Any]) -> str:
    """What changes when an object does: its tag or else its time, and its size.

    Times come as numbers from one call of a store and as dates from another.
    """
    names = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "mtime", "created")
    value = next((about[name] for name in names if about.get(name) is not None), None)
    time = getattr(value, "timestamp", None)
    return f"{value if time is None else time()}|{about.get('size')}"


def _files(folder: str | Path, above: str = "") -> Iterator[tuple[str, Path]]:
    """Files by their names below a folder; what begins with a dot is being written, or ours."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, f"{above}{entry.name}/")
            elif entry.is_file():
                yield f"{above}{entry.name}", Path(entry.path)


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ino]
