"""A run that is killed: its workers end too, and it goes on where it was."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmark_examples import cells, numbers, tiny_grid

from mislabel.benchmark import load_results, run_benchmark
from mislabel.benchmark.grid import Grid
from tiny_data import snapshot, write_data

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
SEEDS, EPOCHS, WORKERS = 12, 100, 2
MANY = 500
"Seeds that no machine is through with before it is interrupted."
PATIENCE = 60.0
"Seconds until a test gives up; a worker takes some to load its libraries."


def wait(done: Callable[[], bool], seconds: float) -> bool:
    """Whether `done` comes true within `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done():
            return True
        time.sleep(0.02)
    return done()


def grid(folder: Path, n_seeds: int = SEEDS) -> Grid:
    """The grid of the command that `start` runs, or its first seeds."""
    seeds = range(1, n_seeds + 1)
    return tiny_grid(
        folder, noises=["symmetric:0.2"], methods=["standard"], seeds=seeds, epochs=EPOCHS
    )


def _hear_interrupts() -> None:
    """Shells let what they start in the background ignore SIGINT; a terminal does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(folder: Path, out: Path, n_seeds: int = SEEDS) -> subprocess.Popen[str]:
    """The command of the grid in a process group of its own, one thread for each worker."""
    words = [
        "bench", "run", "--data", f"npz:{folder / 'tiny.npz'}", "--map", str(folder / "map.npy"),
        "--noise", "symmetric:0.2", "--method", "standard", "--seeds", str(n_seeds),
        "--epochs", str(EPOCHS), "--device", "cpu", "--workers", str(WORKERS), "--out", str(out),
    ]  # fmt: skip
    one_thread = {"LOKY_MAX_CPU_COUNT": str(WORKERS), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "mislabel", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_hear_interrupts,
        env=os.environ | one_thread,
    )


def children(pid: int) -> dict[int, str]:
    """Process ids of the children of `pid`, and when they started."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[1]) == pid and fields[0] != "Z":
            found[int(path.parent.name)] = fields[19]
    return found


def alive(pid: int, started: str) -> bool:
    """Whether the process that started then still runs (a zombie does not)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[19] == started and fields[0] != "Z"


def wait_for_a_cell(process: subprocess.Popen[str], out: Path) -> None:
    """Wait until the first training is finished; the process must still run then."""
    found = wait(lambda: len(cells(out)) >= 1 or process.poll() is not None, PATIENCE)
    if process.poll() is not None:
        pytest.fail(f"ended by itself: {process.communicate()[1]}")
    assert found, "no training was finished in time"


def end(process: subprocess.Popen[str]) -> None:
    """Leave nothing running, whatever happened."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # workers that outlive it too: they hold its pipes
    process.communicate()


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    write_data(tmp_path)
    out = tmp_path / "run"
    process = start(tmp_path, out)
    try:
        wait_for_a_cell(process, out)
        helpers = children(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert len(helpers) >= WORKERS
        gone = wait(lambda: not any(alive(*helper) for helper in helpers.items()), 10)
        assert gone, "workers outlive the run"
    finally:
        end(process)
    before = snapshot(out / "cells")
    n_finished = len(cells(out))
    assert 1 <= n_finished < SEEDS, "killed too late to show anything"
    assert load_results(out).n_missing == SEEDS - n_finished

    resumed = run_benchmark(grid(tmp_path), out, workers=1)
    assert resumed.n_missing == 0 and {c.provenance["threads"] for c in resumed.cells} == {1}
    after = snapshot(out / "cells")
    finished = {name: value for name, value in before.items() if not name.startswith(".cell-")}
    assert finished.items() <= after.items()
    undisturbed = run_benchmark(grid(tmp_path), tmp_path / "undisturbed", workers=1)
    assert numbers(resumed) == numbers(undisturbed)


def test_an_interrupted_run_says_one_line_and_goes_on(tmp_path: Path) -> None:
    """Ctrl-C reaches the whole process group, workers included, as in a terminal."""
    write_data(tmp_path)
    out = tmp_path / "run"
    process = start(tmp_path, out, MANY)
    try:
        wait_for_a_cell(process, out)
        os.killpg(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=PATIENCE)
    finally:
        end(process)
    assert process.returncode == 130 and stdout == ""
    lines = [line for line in stderr.splitlines() if not line.startswith("training ")]
    assert lines == ["mislabel: stopped; the same command goes on from here"]
    n_finished = len(cells(out))
    assert 1 <= n_finished < MANY, "interrupted too late to show anything"
    before = snapshot(out / "cells")
    assert not [name for name in before if name.startswith(".cell-")]
    first = grid(tmp_path, n_finished + 1)
    resumed = run_benchmark(first, out, workers=1)
    assert {cell.seed for cell in resumed.cells} >= set(first.seeds)
    assert before.items() <= snapshot(out / "cells").items()
