"""What a killed process leaves half written, told from what another one is writing now.

Every temporary file and folder of ours has its maker in its name (`tag`): machine and process. On
the same machine it is left over as soon as that process has ended, whatever the clock says. Of
another machine nothing but its age can be known: a write takes far less than an hour.
"""

import contextlib
import functools
import glob
import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

LEFTOVER_SECONDS = 3600
_TAG = re.compile(r"\.~([0-9a-f]{8})-(\d+)-(\d+)~")
_UNTAGGED = re.compile(r"\.(cell|until)-|.*\.tmp$")
"As earlier versions called them."
_UNTIL = re.compile(r"\.until-(\d{1,15})-")
"A folder that may be at work until then, in seconds since 1970."


def tag() -> str:
    """Part of the name of what this process writes: ``.~machine-process-start~``."""
    pid = os.getpid()
    return f".~{_machine()}-{pid}-{_started(pid)}~"


@contextlib.contextmanager
def temporary_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """As `new_folder`, for this user alone; those of killed processes before are removed first.

    parent: by default where temporary files go.
    """
    place = Path(tempfile.gettempdir()) if parent is None else parent
    remove_leftovers(place, pattern=f"{glob.escape(prefix)}.~*")
    with new_folder(prefix, place, mode=0o700) as path:
        yield path


@contextlib.contextmanager
def new_folder(prefix: str, parent: Path, *, mode: int = 0o777) -> Iterator[Path]:
    """A folder in `parent` whose name begins with `prefix`; it is gone afterwards.

    That is so at whatever moment Ctrl-C comes, also while the folder is made.
    """
    path = parent / f"{prefix}{tag()}{secrets.token_hex(4)}"
    try:
        path.mkdir(mode=mode)
        yield path
    finally:
        remove_folder(path)


def remove_leftovers(*folders: Path, pattern: str = ".*") -> None:
    """Remove what killed processes left half written in folders, of the names of a pattern.

    What cannot be removed is no error.
    """
    for folder in folders:
        for path in list(folder.glob(pattern)):
            with contextlib.suppress(OSError):
                if _is_left(path):
                    _remove(path)


def remove_folder(path: Path) -> None:
    """Remove a folder of ours, also where Ctrl-C comes meanwhile; what cannot be is no error."""
    try:
        shutil.rmtree(path, ignore_errors=True)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def _is_left(path: Path) -> bool:
    found = _TAG.search(path.name)
    if found is not None and found[1] == _machine():
        return _started(int(found[2])) != int(found[3])
    if found is None and not _UNTAGGED.match(path.name):
        return False
    until = _UNTIL.match(path.name)
    changed = path.lstat().st_mtime + LEFTOVER_SECONDS
    return _now(path.parent) > max(changed, int(until[1]) if until else 0)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _now(folder: Path) -> float:
    """Seconds since 1970 by the clock that dates files in a folder, which may be another's."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime


@functools.cache
def _machine() -> str:
    """Eight digits for this machine since it was started, and the processes that can be seen."""
    parts = [os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def _started(pid: int) -> int:
    """When a process started, in ticks; 0 where it runs and that cannot be told, -1 if it is gone.

    A number of a process may be given again to another. Gone is also one that has ended and for
    which its parent has not asked, which some containers never do.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = text.rpartition(")")[2].split()
        return -1 if fields[0] in "ZX" else int(fields[19])
    except (OSError, ValueError, IndexError):
        pass
    if os.name != "posix":
        return 0  # asking would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return -1
    except (OSError, OverflowError):
        pass
    return 0
