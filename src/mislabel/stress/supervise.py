"""One training as a process that can neither hang, nor outlive its caller, nor fill the disk.

Run as a script: ``python supervise.py SECONDS LOG COMMAND...``. The command gets a process group of
its own and no input; what it prints goes to the file LOG, of which the beginning and the end are
kept. It is ended, with all that it started, when its time is over, and when stdin closes, that is,
when the caller is gone. How it ended is printed as one line of JSON.

On Linux "all that it started" includes daemons: what loses its parent becomes a child of the
supervisor, which ends it; and where the supervisor itself is killed, the command ends too.
Elsewhere a process that leaves the group of the command (``setsid``) outlives it; nothing waits
for it.

As little as possible is imported, and of the standard library alone, since this is started once per
training; the caller's side is `mislabel.stress.supervision`.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from io import FileIO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

LOG_HEAD = 256 * 1024
LOG_TAIL = 768 * 1024
"Bytes of output that are kept, from the beginning and from the end."
GRACE_SECONDS = 2.0
"Between asking a process to end and ending it."
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main(arguments: list[str]) -> None:
    """The script; see the module."""
    prepare = _adopt_orphans()
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
            preexec_fn=prepare,
        )
    except (OSError, ValueError) as error:
        ending["problem"] = f"cannot be started: {error}"
    else:
        threading.Thread(target=_end_with_caller, args=(process,), daemon=True).start()
        ending |= _wait(process, seconds, log)
    ending["seconds"] = time.monotonic() - started
    with contextlib.suppress(BrokenPipeError):  # the caller is gone
        os.write(sys.stdout.fileno(), json.dumps(ending).encode())


def _wait(process: "subprocess.Popen[bytes]", seconds: float, log: str) -> "dict[str, Any]":
    """Wait for the end, or make one; returns status and whether the time was over."""
    assert process.stdout is not None
    reader = threading.Thread(target=_keep_output, args=(process.stdout, log), daemon=True)
    reader.start()
    over = threading.Event()
    timer = threading.Timer(seconds, _end_late, (process, over))
    timer.daemon = True
    timer.start()
    process.wait()  # without a timeout: with one, Python asks again and again
    timer.cancel()
    _signal(process, signal.SIGKILL)  # what it started and left behind
    _end_orphans()
    reader.join(timeout=GRACE_SECONDS)
    return {"status": process.returncode, "timed_out": over.is_set()}


def _end_late(process: "subprocess.Popen[bytes]", over: threading.Event) -> None:
    """End a command whose time is over: first ask, then force it."""
    over.set()
    _signal(process, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    _signal(process, signal.SIGKILL)


def _end_with_caller(process: "subprocess.Popen[bytes]") -> None:
    """End the command when stdin closes."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    _signal(process, signal.SIGKILL)


def _signal(process: "subprocess.Popen[bytes]", number: int) -> None:
    """Send a signal to the whole group of the command."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _adopt_orphans() -> Callable[[], None] | None:
    """Become the parent of every process below this one that loses its own; Linux only.

    Returns what a child calls so that it is killed where this process ends before it.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return lambda: prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def _end_orphans() -> None:
    """End the children of this process, until there are none; Linux only.

    The end of one may bring its own children here. One that cannot be ended is given up.
    """
    end = time.monotonic() + GRACE_SECONDS
    while (children := list(_children())) and time.monotonic() < end:
        for child in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.001)


def _children() -> Iterable[int]:
    """Process ids of the children of this process, from /proc."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), FileIO(f"/proc/{name}/stat") as file:
            _, parent, *_ = file.readall().rpartition(b")")[2].split()
            if int(parent) == os.getpid():
                yield int(name)


def _keep_output(stream: "BinaryIO", log: str) -> None:
    """Copy the beginning of a stream into a file as it comes, and its end when that is there.

    A file that cannot be written to is no reason to stop reading: the command would wait for it.
    """
    tail, kept, cut = bytearray(), 0, 0
    with _opened(log) as file:
        while block := os.read(stream.fileno(), 65536):
            head = block[: LOG_HEAD - kept]
            _write(file, head)
            kept += len(head)
            tail += block[len(head) :]
            if len(tail) > 2 * LOG_TAIL:
                cut += len(tail) - LOG_TAIL
                del tail[:-LOG_TAIL]
        cut += max(len(tail) - LOG_TAIL, 0)
        if cut:
            _write(file, f"\n[... {cut:,} bytes left out ...]\n".encode())
        _write(file, bytes(tail[-LOG_TAIL:]))


def _opened(log: str) -> FileIO:
    try:
        return FileIO(log, "wb")
    except OSError:
        return FileIO(os.devnull, "wb")


def _write(file: FileIO, content: bytes) -> None:
    with contextlib.suppress(OSError):
        file.write(content)


if __name__ == "__main__":
    main(sys.argv[1:])
