"""A Ray of this machine: the same results as local processes, data placed once, workers killed.

Ray runs in a process of its own here: it changes signals and warnings of the one that it is in.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from mislabel.executor import ray as ray_executor

pytest.importorskip("ray", reason="Ray is not installed (mislabel[ray])")
pytestmark = pytest.mark.faults  # by make test-faults, since starting Ray takes long
HERE = Path(__file__).parent
GRID = ["--data", "digits", "--subset", "200", "--noise", "symmetric:0.2", "--method", "standard",
        "--method", "gce", "--seeds", "2", "--epochs", "3", "--workers", "2"]  # fmt: skip


def _python(code: str, answer: Path) -> "dict[str, object]":
    """The JSON that a script which uses Ray writes to a file; Ray itself prints."""
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(answer)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(HERE)},
    )
    assert found.returncode == 0, found.stderr
    content: dict[str, object] = json.loads(answer.read_text())
    return content


def test_pieces_losses_and_arrays(tmp_path: Path) -> None:
    """One Ray for all of it, since starting one takes seconds."""
    found = _python(
        """
        import json, sys, tempfile
        from pathlib import Path
        import numpy as np, ray
        from pieces import die, die_once, fail, no_memory, square, threads, total
        from mislabel.errors import LostRunsError
        from mislabel.executor import Workers, make_executor

        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        put, puts = ray.put, []
        ray.put = lambda value: (puts.append(value.nbytes), put(value))[1]
        executor, two = make_executor("ray"), Workers(count=2, threads=1)

        def lost(function):
            done = []
            try:
                for result in executor.run(function, range(8), two, name="piece {}".format):
                    done.append(result)
            except LostRunsError as error:
                return sorted(done), str(error)

        def error(function):
            try:
                list(executor.run(function, range(3), two))
            except Exception as found:
                return type(found).__name__

        large, small = np.arange(50_000.0), np.arange(3.0)
        squares = sorted(executor.run(square, range(20), two))
        sums = sorted(executor.run(total, [(n, large if n % 2 else small) for n in range(6)], two))
        folder = Path(tempfile.mkdtemp())
        again = sorted(executor.run(die_once, [(folder, n) for n in range(8)], two))
        Path(sys.argv[1]).write_text(json.dumps({
            "squares": squares, "sums": sums, "puts": puts, "again": again,
            "died": (folder / "died").exists(), "error": error(fail),
            "no_memory": lost(no_memory), "die": lost(die),
            "threads": sorted(set(executor.run(threads, range(4), two))),
        }))
        """,
        tmp_path / "answer.json",
    )
    assert found["squares"] == [n**2 for n in range(20)]
    total_ = 50_000 * 49_999 / 2
    assert found["sums"] == [[n, total_ if n % 2 else 3.0, n % 2 == 0] for n in range(6)]
    assert found["puts"] == [400_000]  # once for three runs
    assert found["again"] == list(range(8)) and found["died"]
    assert found["error"] == "KeyError"
    others = [0, 1, 2, 4, 5, 6, 7]
    reason = "1 of 8 runs were lost: piece 3 (there was too little memory for it). "
    assert found["no_memory"][0] == others  # type: ignore[index]
    assert found["no_memory"][1].startswith(reason)  # type: ignore[index]
    assert found["die"][0] == others  # type: ignore[index]
    assert "piece 3 (its process was killed" in found["die"][1]  # type: ignore[index]
    assert found["threads"] == ["1"]


def test_machines_and_shares_of_their_gpus(tmp_path: Path) -> None:
    """Two machines, on paper, with a GPU each, of which runs take halves; then one is lost."""
    found = _python(
        """
        import json, sys, time
        from pathlib import Path
        import ray
        from ray.cluster_utils import Cluster
        from pieces import where
        from mislabel.executor import make_executor

        machine = {"num_cpus": 3, "num_gpus": 1, "object_store_memory": 10**8}
        head = machine | {"include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        other = cluster.add_node(**machine)
        ray.init(address=cluster.address, log_to_driver=False)
        executor = make_executor("ray", gpus=0.5)
        crew = executor.crew(None, 100, "cuda")
        done = list(executor.run(where, [0.3] * 16, crew))
        after, lost = [], False
        for result in executor.run(where, [0.5] * 12, crew):
            after.append(result)
            if not lost:
                cluster.remove_node(other, allow_graceful=False)
                lost = time.time()
        Path(sys.argv[1]).write_text(json.dumps({
            "crew": crew.count, "done": done, "after": after, "lost": lost,
            "capped": executor.crew(1, 100, "cuda").count,
        }))
        """,
        tmp_path / "answer.json",
    )
    assert found["crew"] == 4 and found["capped"] == 1
    done, after = found["done"], found["after"]
    assert isinstance(done, list) and isinstance(after, list) and isinstance(found["lost"], float)
    assert len(done) == 16 and len({place for place, _, _ in done}) == 2
    assert _most_at_once(done) == 2
    assert len(after) == 12 and _most_at_once(after) <= 2
    begun_later = {place for place, began, _ in after if began > found["lost"]}
    assert len(begun_later) == 1, "on the machine that is left"


def _most_at_once(runs: list[tuple[str, float, float]]) -> int:
    """Runs that one GPU had at the same time."""
    return max(
        sum(place == other and begin <= began < end for other, begin, end in runs)
        for place, began, _ in runs
    )


def _run(
    out: Path, *more: str, env: Mapping[str, str] = MappingProxyType({})
) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-m", "mislabel", "bench", "run", *GRID, "--out", str(out), *more]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdout=pipe, stderr=pipe, env={**os.environ, **env})


def _cells(out: Path) -> dict[str, object]:
    """Curves of each training by its folder."""
    found = {}
    for path in sorted((out / "cells").glob("*/result.json")):
        result = json.loads(path.read_text())
        found[path.parent.name] = (result["curves"], result["test_accuracy_per_class"])
    return found


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    out = tmp_path_factory.mktemp("local") / "run"
    with _run(out) as process:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    found = _cells(out)
    assert len(found) == 4
    return found


def test_ray_gives_the_same_numbers_though_a_worker_is_killed(
    local: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a Ray of its own, whatever cluster there is."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    out = tmp_path / "run"
    with _run(out, "--executor", "ray") as process:
        killed = _kill_a_worker(process)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    assert killed
    assert _cells(out) == local


def test_a_cluster_by_its_address_and_token(local: dict[str, object], tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
    words = ["start", "--head", "--port=0", "--block", "--num-cpus=2", "--include-dashboard=false",
             f"--ray-client-server-port={port}"]  # fmt: skip
    cluster = subprocess.Popen(
        [Path(sys.executable).with_name("ray"), *words], env=os.environ | token,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    out = tmp_path / "run"
    try:
        with _run(out, "--executor", f"ray://127.0.0.1:{port}", env=token) as process:
            _, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors
    finally:
        cluster.terminate()
        cluster.wait()
    assert _cells(out) == local


TRAIN = """
import numpy as np

def train(x, y, *, seed):
    classes = np.unique(y)
    means = np.stack([x[y == c].mean(axis=0) for c in classes])
    return lambda t: classes[((t[:, None] - means) ** 2).sum(axis=(2, 3, 4)).argmin(axis=1)]
"""
STUDY = ["memorize", "run", "--labels", "symmetric:0.2", "--runs", "4", "--epochs", "2"]
STRESS = ["stress", "run", "--train", "mine:train", "--suite", "suite.yaml"]


@pytest.mark.parametrize("words", [STUDY, STRESS], ids=["study", "stress"])
def test_studies_and_stress_tests_are_the_same_too(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(TRAIN)
    (tmp_path / "suite.yaml").write_text("noises:\n  - symmetric:0.2\nseeds: 2\n")
    found = {}
    for executor in ("local", "ray"):
        given = ["--data", "digits", "--subset", "200", "--workers", "2", "--executor", executor]
        process = subprocess.run(
            [sys.executable, "-m", "mislabel", *words, *given, "--out", executor],
            capture_output=True, text=True, timeout=300, cwd=tmp_path,
        )  # fmt: skip
        assert process.returncode == 0, process.stderr
        found[executor] = _answers(tmp_path / executor)
    assert found["ray"] == found["local"] and len(found["local"]) == 4


def _answers(out: Path) -> dict[str, object]:
    """What each run of a study, or cell of a stress test, found."""
    found: dict[str, object] = {}
    for path in out.glob("runs/*.npz"):
        with np.load(path) as archive:
            found[path.name] = {n: archive[n].tobytes() for n in archive.files if n != "about"}
    for path in out.glob("cells/*/result.json"):
        result = json.loads(path.read_text())
        found[path.parent.name] = (result["metrics"], result["failure"])
    return found


def _kill_a_worker(process: "subprocess.Popen[bytes]") -> bool:
    """Kill -9 the first process that is seen to do a run for `process`."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        for found in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = found.read_bytes()
                ours = b"ray::_in_worker" in words and _descends(found.parent, process.pid)
            except OSError:
                continue
            if ours:
                os.kill(int(found.parent.name), signal.SIGKILL)
                return True
        time.sleep(0.02)
    return False


def _descends(path: Path, ancestor: int) -> bool:
    """Whether a process is a descendant of another."""
    while path.name != "1":
        if int(path.name) == ancestor:
            return True
        parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
        if parent == "0":
            return False
        path = path.parent / parent
    return False


@pytest.mark.parametrize("failures", [0, 2, 3])
def test_a_server_that_fails_to_start_is_asked_for_again(failures: int) -> None:
    calls: list[str] = []

    class Fake:
        def init(self, address: str) -> None:
            calls.append(address)
            if len(calls) <= failures:
                raise ConnectionAbortedError("Initialization failure from server")

    if failures == 3:
        with pytest.raises(ConnectionAbortedError):
            ray_executor._init(Fake(), address="ray://there:1")
    else:
        ray_executor._init(Fake(), address="ray://there:1")
    assert calls == ["ray://there:1"] * min(failures + 1, 3)


def test_a_cluster_that_is_not_there() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "mislabel", "bench", "run", *GRID, "--out", "nowhere",
         "--executor", "ray://127.0.0.1:1"],
        capture_output=True, text=True, timeout=300, env=os.environ | {"RAY_AUTH_MODE": "disabled"},
    )  # fmt: skip
    assert process.returncode == 2
    (line,) = process.stderr.splitlines()
    assert line.startswith("mislabel: error: executor='ray://127.0.0.1:1': cannot be reached")
    assert "RAY_AUTH_MODE=token" in line
    assert not Path("nowhere").exists()
