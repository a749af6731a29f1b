"""Run folders in object storage: a folder of this machine that stands for one far away.

    with mirrored("s3://bucket/runs/c10") as store:
        run_benchmark(grid, store.path, progress=store.after(progress))

What is there is fetched first; what is new here is sent after every finished run, and at the end.
Objects appear whole, and those by which something is finished (a cell's ``result.json``) are sent
last, so whoever reads sees a run's part whole or not at all. A folder of this machine, or of a disk
that machines share, is used as it is. Any address of fsspec goes: ``s3://``, ``gs://``, ``az://``,
``memory://``; its own package is needed for each (s3fs, gcsfs, adlfs).

Pitfall: two that write at once to one place must do different parts, or the same ones alike: as
with a shared folder, the later copy of a file is kept.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mislabel.cache import cache_folder
from mislabel.errors import InputError
from mislabel.files import hash_json, read_json, write_json
from mislabel.outputs import check_folder

STATE = ".mirror.json"
"Of the local folder: what each file was when it was last here and there the same."
LAST = ("result.json", "run.json", "study.json", "stress.json")
"Files by which others are complete; sent after them."
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

    def fetch(self) -> None:
        """Bring here what is new there."""
        if self._filesystem is None:
            return
        self._filesystem.invalidate_cache()
        there = self._filesystem.find(self._root, detail=True)
        for full, about in sorted(there.items()):
            name = full[len(self._root) :].strip("/")
            local = self._inside(name)
            token = _token(about)
            if self._state.get(name, [None])[0] == token and local.is_file():
                continue
            local.parent.mkdir(parents=True, exist_ok=True)
            part = local.with_name(f".{local.name}.tmp")
            self._filesystem.get_file(full, str(part))
            part.replace(local)
            self._state[name] = [token, _stamp(local)]
        self._keep()

    def send(self) -> None:
        """Bring there what is new here."""
        if self._filesystem is None:
            return
        files = [p for p in self.path.rglob("*") if p.is_file() and not _is_hidden(p, self.path)]
        for local in sorted(files, key=lambda p: (p.name in LAST, str(p))):
            name = local.relative_to(self.path).as_posix()
            stamp = _stamp(local)
            if self._state.get(name, [None, None])[1] == stamp:
                continue
            full = f"{self._root}/{name}"
            self._filesystem.makedirs(full.rpartition("/")[0], exist_ok=True)
            self._filesystem.put_file(str(local), full)
            self._filesystem.invalidate_cache()
            self._state[name] = [_token(self._filesystem.info(full)), stamp]
        self._keep()

    def after(self, progress: Progress) -> Progress:
        """`progress` that sends what is new after every finished run."""

        def sending(done: int, total: int) -> None:
            progress(done, total)
            if self._filesystem is not None and (self.path.is_dir()):
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


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def _is_hidden(path: Path, root: Path) -> bool:
    """Whether a file is what is being written, or ours alone."""
    return any(part.startswith(".") for part in path.relative_to(root).parts)
