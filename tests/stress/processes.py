"""Processes of the tests: which are there, and waiting until something is so."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 30.0
"Seconds until a test gives up."


def eventually(done: Callable[[], bool]) -> bool:
    """Whether `done` comes true."""
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.is_file() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


def is_written(path: Path) -> bool:
    """Whether there is something in a file."""
    return path.is_file() and path.stat().st_size > 0


def start(script: Path, *arguments: str | Path) -> subprocess.Popen[bytes]:
    """A Python script as a process that leads a group of its own."""
    return subprocess.Popen(
        [sys.executable, str(script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
