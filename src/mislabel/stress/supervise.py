"""One training as a process that can neither hang, nor outlive its caller, nor fill the disk.

Run as a script: ``python supervise.py SECONDS LOG COMMAND...``. The command gets a process group of
its own and no input; what it prints goes to the file LOG, of which the beginning and the end are
kept. It is ended, with all that it started, when its time is over, and when stdin closes, that is,
when the caller is gone. How it ended is printed as one line of JSON.

Only the standard library is imported, so that this costs little; `supervised` is the caller's side.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

LOG_HEAD = 256 * 1024
LOG_TAIL = 768 * 1024
"Bytes of output that are kept, from the beginning and from the end."
GRACE_SECONDS = 2.0
"Between asking a process to end and ending it."


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended: exit status (negative: by that signal), or timed out, or not started."""

    status: int | None
    timed_out: bool
    seconds: float
    problem: str = ""


class StoppedError(Exception):
    """The test was stopped while this command ran."""


_running: set["subprocess.Popen[bytes]"] = set()


def end_running() -> None:
    """End every command that this process has under supervision, as when a test is stopped."""
    for process in list(_running):
        assert process.stdin is not None
        process.stdin.close()


def supervised(
    command: Sequence[str], *, log: Path, timeout: float, env: Mapping[str, str], cwd: Path
) -> Ended:
    """Run a command under supervision, to its end.

    log: the file for its output. timeout: seconds. If this process ends, by whatever cause, so
    does the command. Raises `StoppedError` where `end_running` ended it.
    """
    words = [sys.executable, "-I", "-S", __file__, str(timeout), str(log), *command]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(env), cwd=cwd
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        _running.add(process)
        try:
            answer = process.stdout.read()  # stdin stays open until the answer is there
        finally:
            _running.discard(process)
        if process.stdin.closed:
            raise StoppedError
    try:
        return Ended(**json.loads(answer))
    except (ValueError, TypeError):
        problem = f"its supervisor ended with status {process.returncode}"
        return Ended(status=None, timed_out=False, seconds=0.0, problem=problem)


def main(arguments: list[str]) -> None:
    """The script; see the module."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller decides: it closes stdin
    seconds, log, command = float(arguments[0]), arguments[1], arguments[2:]
    started = time.monotonic()
    ending: dict[str, Any] = {"status": None, "timed_out": False}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        ending["problem"] = f"cannot be started: {error}"
    else:
        threading.Thread(target=_end_with_caller, args=(process,), daemon=True).start()
        ending |= _wait(process, seconds, log)
    ending["seconds"] = time.monotonic() - started
    print(json.dumps(ending), flush=True)


def _wait(process: "subprocess.Popen[bytes]", seconds: float, log: str) -> dict[str, Any]:
    """Wait for the end, or make one; returns status and whether the time was over."""
    assert process.stdout is not None
    reader = threading.Thread(target=_keep_output, args=(process.stdout, log), daemon=True)
    reader.start()
    timed_out = False
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        timed_out = True
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=GRACE_SECONDS)
    _signal(process, signal.SIGKILL)  # what it started and left behind
    process.wait()
    reader.join(timeout=GRACE_SECONDS)
    return {"status": process.returncode, "timed_out": timed_out}


def _end_with_caller(process: "subprocess.Popen[bytes]") -> None:
    """End the command when stdin closes."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    _signal(process, signal.SIGKILL)


def _signal(process: "subprocess.Popen[bytes]", number: int) -> None:
    """Send a signal to the whole group of the command."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _keep_output(stream: BinaryIO, log: str) -> None:
    """Copy the beginning of a stream into a file as it comes, and its end when that is there."""
    tail, kept, cut = bytearray(), 0, 0
    with Path(log).open("wb", buffering=0) as file:
        while block := os.read(stream.fileno(), 65536):
            head = block[: LOG_HEAD - kept]
            file.write(head)
            kept += len(head)
            tail += block[len(head) :]
            if len(tail) > 2 * LOG_TAIL:
                cut += len(tail) - LOG_TAIL
                del tail[:-LOG_TAIL]
        if cut + len(tail) > LOG_TAIL:
            cut += max(len(tail) - LOG_TAIL, 0)
            file.write(f"\n[... {cut:,} bytes left out ...]\n".encode())
        file.write(tail[-LOG_TAIL:])


if __name__ == "__main__":
    main(sys.argv[1:])
