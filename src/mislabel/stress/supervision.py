"""The caller's side of `mislabel.stress.supervise`: commands under supervision, ended together."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = str(Path(__file__).with_name("supervise.py"))
END_SECONDS = 6.0
"How long a supervisor may take to end its command."


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended: exit status (negative: by that signal), or timed out, or not started."""

    status: int | None
    timed_out: bool
    seconds: float
    problem: str = ""


class StoppedError(Exception):
    """The test was stopped while this command ran, or before."""


class Supervision:
    """The commands of one test, which can be ended together, from any thread."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def __reduce__(self) -> tuple[type["Supervision"], tuple[()]]:
        """In another process, one of its own, which ends with that process."""
        return Supervision, ()

    def stop(self) -> None:
        """End every command that is running, and let none start any more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                assert process.stdin is not None
                process.stdin.close()

    def run(
        self, command: Sequence[str], *, log: Path, timeout: float, env: Mapping[str, str]
    ) -> Ended:
        """Run a command to its end, in the current folder.

        log: the file for its output. timeout: seconds. If this process ends, by whatever cause, so
        does the command. Raises `StoppedError` where `stop` ended it.
        """
        words = [sys.executable, "-I", "-S", SCRIPT, str(timeout), str(log), *command]
        with self._started(words, env) as process:
            assert process.stdout is not None
            try:
                answer = process.stdout.read()  # stdin stays open until the answer is there
            except BaseException:
                _end(process)
                raise
            finally:
                with self._lock:
                    self._running.discard(process)
        if self._stopped:
            raise StoppedError
        try:
            return Ended(**json.loads(answer))
        except (ValueError, TypeError):
            problem = f"its supervisor ended with status {process.returncode}"
            return Ended(status=None, timed_out=False, seconds=0.0, problem=problem)

    def _started(self, words: Sequence[str], env: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """A supervisor, in a session of its own: signals to our group, Ctrl-C too, end us alone."""
        with self._lock:
            if self._stopped:
                raise StoppedError
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=dict(env),
                start_new_session=True,
            )
            self._running.add(process)
            return process


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a supervisor and its command, and wait until they are gone."""
    assert process.stdin is not None
    process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=END_SECONDS)
