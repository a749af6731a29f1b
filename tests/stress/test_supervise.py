"""A supervised command: how it ended, its log, and that nothing of it is left."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from processes import eventually, is_gone, is_written, start

from mislabel.stress import supervise
from mislabel.stress.supervise import LOG_HEAD, LOG_TAIL
from mislabel.stress.supervision import Ended, StoppedError, Supervision

PYTHON = (sys.executable, "-I", "-S", "-c")
LONG = 600.0
HANG = "import signal; signal.pause()"
TELL = "import os, pathlib, sys; pathlib.Path({path!r}).write_text(str(os.getpid()));"
linux = pytest.mark.skipif(sys.platform != "linux", reason="adopts orphans")


def run(code: str, folder: Path, timeout: float = LONG) -> tuple[Ended, bytes]:
    log = folder / "log.txt"
    ended = Supervision().run([*PYTHON, code], log=log, timeout=timeout, env=os.environ)
    return ended, log.read_bytes()


@pytest.mark.parametrize(
    ("code", "status", "log"),
    [
        ("print('fine')", 0, b"fine\n"),
        ("import sys; print('no', file=sys.stderr); sys.exit(3)", 3, b"no\n"),
        ("import os; os._exit(7)", 7, b""),
        ("import os; os.kill(os.getpid(), 9)", -9, b""),
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV, b""),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\x1b[31m\\0')", 0, b"\xff\x1b[31m\0"),
        ("print(input())", 1, b"EOFError: EOF when reading a line\n"),
    ],
)
def test_how_it_ended(code: str, status: int, log: bytes, tmp_path: Path) -> None:
    ended, found = run(code, tmp_path)
    assert (ended.status, ended.timed_out, ended.problem) == (status, False, "")
    assert found.endswith(log)
    assert log or not found


def test_time_is_over(tmp_path: Path) -> None:
    ended, _ = run(HANG, tmp_path, timeout=0.2)
    assert (ended.status, ended.timed_out) == (-signal.SIGTERM, True)


def test_time_is_over_and_it_does_not_listen(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(15, signal.SIG_IGN)\nwhile True: signal.pause()"
    ended, _ = run(deaf, tmp_path, timeout=0.5)
    assert (ended.status, ended.timed_out) == (-signal.SIGKILL, True)


def test_it_cannot_be_started(tmp_path: Path) -> None:
    ended = Supervision().run(
        ["no-such-program"], log=tmp_path / "log", timeout=LONG, env=os.environ
    )
    assert ended.status is None
    problem = "cannot be started: [Errno 2] No such file or directory: 'no-such-program'"
    assert ended.problem == problem


def test_interrupts_work_in_it(tmp_path: Path) -> None:
    ended, log = run("import os, signal; os.kill(os.getpid(), signal.SIGINT)", tmp_path)
    assert ended.status == -signal.SIGINT
    assert b"KeyboardInterrupt" in log


def test_garbage_is_cut(tmp_path: Path) -> None:
    many = 40_000_000
    code = f"import sys; sys.stdout.write('a' * 1000 + 'x' * {many} + 'z' * 1000)"
    _, log = run(code, tmp_path)
    cut = many + 2000 - LOG_HEAD - LOG_TAIL
    assert log.startswith(b"a" * 1000 + b"x")
    assert log.endswith(b"x" + b"z" * 1000)
    middle = f"\n[... {cut:,} bytes left out ...]\n".encode()
    assert log[LOG_HEAD : LOG_HEAD + len(middle)] == middle
    assert len(log) == LOG_HEAD + len(middle) + LOG_TAIL


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_nothing_is_cut_that_need_not_be(more: int, tmp_path: Path) -> None:
    size = LOG_HEAD + LOG_TAIL + more
    _, log = run(f"import sys; sys.stdout.write('x' * {size})", tmp_path)
    assert (b"left out" in log) == (more > 0)
    assert log.count(b"x") == min(size, LOG_HEAD + LOG_TAIL)


def test_a_log_that_cannot_be_written_does_not_block(tmp_path: Path) -> None:
    code = "import sys; sys.stdout.write('x' * 1_000_000)"
    log = tmp_path / "none" / "log"
    ended = Supervision().run([*PYTHON, code], log=log, timeout=LONG, env=os.environ)
    assert ended.status == 0


def test_what_it_started_holds_nobody_up(tmp_path: Path) -> None:
    """A child in the background has the pipe of the output, and would keep it for ever."""
    code = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", {HANG!r}])
print(child.pid)
"""
    ended, log = run(code, tmp_path)
    assert ended.status == 0
    assert is_gone(int(log))


DAEMON = """
import os, sys
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(write, str(os.getpid()).encode())
        import signal
        signal.pause()
    os._exit(0)
print(os.read(read, 99).decode(), flush=True)
"""


@linux
@pytest.mark.parametrize("then", ["", HANG])
def test_daemons_are_found(then: str, tmp_path: Path) -> None:
    ended, log = run(DAEMON + then, tmp_path, timeout=LONG if not then else 0.5)
    assert ended.timed_out == bool(then)
    assert is_gone(int(log))


def test_stop_ends_all_and_lets_none_start(tmp_path: Path) -> None:
    supervision, told, raised = Supervision(), tmp_path / "pid", threading.Event()

    def supervised() -> None:
        try:
            code = TELL.format(path=str(told)) + HANG
            supervision.run([*PYTHON, code], log=tmp_path / "log", timeout=LONG, env=os.environ)
        except StoppedError:
            raised.set()

    thread = threading.Thread(target=supervised)
    thread.start()
    assert eventually(lambda: is_written(told))
    supervision.stop()
    thread.join()
    assert raised.is_set()
    assert is_gone(int(told.read_text()))
    with pytest.raises(StoppedError):
        supervision.run([*PYTHON, "1"], log=tmp_path / "log", timeout=LONG, env=os.environ)


CALLER = f"""
import os, signal, sys
from pathlib import Path
sys.path.append({str(Path(supervise.__file__).parent)!r})  # alone, since all of mislabel takes long
from supervision import Supervision
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup would have it ignore
words = [sys.executable, "-I", "-S", "-c", sys.argv[1]]
Supervision().run(words, log=Path(sys.argv[2]), timeout=600, env=os.environ)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_it_ends_with_its_caller(number: int, tmp_path: Path) -> None:
    """Signals go to the group of the caller, as from a terminal or ``timeout``."""
    script, told = tmp_path / "caller.py", tmp_path / "pid"
    script.write_text(CALLER)
    code = f"import signal; signal.signal(1, signal.SIG_IGN);{TELL.format(path=str(told))}{HANG}"
    with start(script, code, tmp_path / "log") as caller:
        assert eventually(lambda: is_written(told))
        os.killpg(caller.pid, number)
        assert eventually(lambda: is_gone(int(told.read_text())))
        caller.communicate()


@linux
def test_it_ends_with_its_supervisor(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = TELL.format(path=str(told)) + "os.kill(os.getppid(), 9);" + HANG
    ended, _ = run(code, tmp_path)
    assert ended.problem == "its supervisor ended with status -9"
    assert eventually(lambda: is_gone(int(told.read_text())))


@linux
def test_daemons_end_with_the_caller(tmp_path: Path) -> None:
    script, log = tmp_path / "caller.py", tmp_path / "log"
    script.write_text(CALLER)
    with start(script, DAEMON + HANG, log) as caller:
        assert eventually(lambda: is_written(log))
        caller.kill()
        assert eventually(lambda: is_gone(int(log.read_text())))
        caller.communicate()
