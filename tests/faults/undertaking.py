"""Whole commands as processes that can be killed, and what they leave in their folders.

A process takes seconds to load its libraries, and tests of faults need hundreds of them. So they
are forked from one that has loaded them (`multiprocessing`'s fork server); from there on they are
processes like any other, leaders of a session of their own, with pipes, signals and limits.
"""

import atexit
import contextlib
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

PATIENCE = 120.0
"Seconds until a test gives up; the machine may be busy."
MARK = "MISLABEL_TEST_MARK"
"In the environment of every process of an undertaking, by which they are found again."
LOADED = (
    "mislabel.cli.bench", "mislabel.cli.memorize", "mislabel.cli.stress", "mislabel.cli.train",
    "mislabel.cli.clean", "mislabel.cli.explore", "mislabel.benchmark.run", "mislabel.learning",
    "mislabel.memorization.study", "mislabel.stress.engine", "mislabel.report.stress_terminal",
    "joblib.externals.loky.process_executor", "sklearn.cluster", "pyarrow.parquet", "rich.live",
    "torch._dynamo", "mislabel.report.training",
)  # fmt: skip
COSTS = frozenset({"seconds", "processor_seconds", "sha256", "files_sha256"})
"What may differ between two runs that did the same, and hashes of it."

server = multiprocessing.get_context("forkserver")
server.set_forkserver_preload(list(LOADED))


@dataclass
class Undertaking:
    """A command at work, in the folder above `folder`, which has its output and scratch files.

    words: without ``mislabel``. prepare: called in the process before the command, with its
    arguments.
    """

    words: list[str]
    folder: Path
    prepare: tuple[Callable[..., None], tuple[Any, ...]] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self.scratch.mkdir(parents=True, exist_ok=True)
        for name in ("stdout", "stderr"):
            (self.folder / name).write_bytes(b"")
        self.started = time.monotonic()
        self.process = server.Process(
            target=_run,
            args=(self.words, self.folder, self.prepare, self.environment | {MARK: self.mark}),
        )
        self.process.start()

    @property
    def scratch(self) -> Path:
        """Where its temporary files go."""
        return self.folder / "scratch"

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def lines(self) -> list[str]:
        """What it said on stderr, but for progress."""
        text = (self.folder / "stderr").read_text()
        return [x for x in text.splitlines() if x.startswith(("mislabel:", "Traceback"))]

    @property
    def said(self) -> str:
        """What it printed: the table, or what was found."""
        return (self.folder / "stdout").read_text()

    def signal(self, number: int, *, group: bool = True) -> None:
        """Send a signal to it, or to its whole process group."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)

    def kill(self, pid: int) -> None:
        """Kill one of its processes, which may have ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def wait(self) -> int:
        """Its exit status; negative where a signal ended it."""
        self.process.join(PATIENCE)
        status = self.process.exitcode
        if status is None:
            self.signal(signal.SIGKILL)
            raise AssertionError(f"did not end: {' '.join(self.words)}")
        return status

    def others(self) -> list[int]:
        """Processes that it started and that are still there."""
        return [pid for pid in _marked(self.mark) if pid != self.pid]

    def leaves_nobody(self) -> bool:
        """Whether all that it started ends."""
        return eventually(lambda: not self.others())

    def end(self) -> None:
        """Leave nothing running, whatever happened."""
        for pid in [*_marked(self.mark), *([self.pid] if self.process.is_alive() else [])]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.join(PATIENCE)


def run(words: list[str], folder: Path, **options: Any) -> Undertaking:
    """An undertaking that has ended."""
    undertaking = Undertaking(words, folder, **options)
    try:
        undertaking.wait()
    finally:
        undertaking.end()
    return undertaking


def eventually(done: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Whether `done` comes true."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def _run(
    words: list[str],
    folder: Path,
    prepare: tuple[Callable[..., None], tuple[Any, ...]] | None,
    environment: Mapping[str, str],
) -> None:
    """In the new process: the command, as a terminal would start it."""
    os.setsid()
    os.chdir(folder.parent)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(environment)
    os.environ["TMPDIR"] = str(folder / "scratch")
    tempfile.tempdir = None
    for number, name in ((1, "stdout"), (2, "stderr")):
        with (folder / name).open("wb") as file:
            os.dup2(file.fileno(), number)
    sys.argv = ["mislabel", *words]
    if prepare is not None:
        prepare[0](*prepare[1])
    os._exit(_status(words))  # what else multiprocessing does at an end belongs to its own users


def _status(words: list[str]) -> int:
    """Run the command to the end of its process, as an interpreter does."""
    from mislabel.cli import main

    status: Any = 1
    try:
        main(words)
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status if isinstance(status, int) else 0


def _marked(mark: str) -> list[int]:
    """Processes, zombies left out, that were started with a mark in their environment."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in path.read_bytes():
                found.append(int(path.parent.name))
    return found


# What folders hold


def content(out: Path) -> dict[str, Any]:
    """All that a folder holds, by path: bytes, and what is read from files that tell costs."""
    found = {}
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        name = str(path.relative_to(out))
        if path.suffix == ".html":
            found[name] = None  # says how long it all took
        elif path.suffix == ".json":
            found[name] = _without_costs(json.loads(path.read_bytes()))
        elif path.parent.name == "runs" and path.suffix == ".npz":
            found[name] = _row(path)
        else:
            found[name] = path.read_bytes()
    return found


def stamps(out: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of change of every file of the finished runs in a folder."""
    files = [*out.glob("cells/[!.]*/*"), *out.glob("runs/[!.]*.npz")]
    return {str(p.relative_to(out)): (p.stat().st_ino, p.stat().st_mtime_ns) for p in files}


def hidden(out: Path) -> list[str]:
    """Temporary files and folders."""
    return sorted(str(p.relative_to(out)) for p in out.rglob(".*"))


def _without_costs(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_costs(v) for k, v in value.items() if k not in COSTS}
    return [_without_costs(v) for v in value] if isinstance(value, list) else value


def _row(path: Path) -> dict[str, Any]:
    """A row of a study: arrays as bytes, and what is written down of it."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    about = _without_costs(json.loads(str(arrays.pop("about"))))
    return {"about": about} | {n: (a.dtype.str, a.tobytes()) for n, a in arrays.items()}
