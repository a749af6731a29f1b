"""Stress tests: what supervision costs per training, and the memory that a training's data takes.

    python benchmarks/stress.py              # prints the figures, writes stress.json and .md

Time: trainings that do next to nothing, through a whole stress test and through the plainest loop
that starts the same process for each: for a command `subprocess.run`, for a Python function a
process of `multiprocessing` ("spawn"), which gets its examples by pickling; so nothing heavy is
imported at the top of this file, which such a process reads anew. Memory: what a process
that has read every example of a data set of CIFAR-10's size holds for itself alone.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
TRAININGS, REPEATS = 20, 3
PROGRAM = """
import sys
import numpy as np
labels, out = np.load(sys.argv[1]), sys.argv[2]
np.save(out, np.arange(int(sys.argv[3])) % 3)
"""
MEASURED = "STRESS_BENCHMARK_MEMORY"
Row = dict[str, Any]


def small() -> tuple[Any, ...]:
    """Data that cost nothing: 300 training and 90 test examples of three classes."""
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(300, 4)).astype(np.float32),
        np.arange(300) % 3,
        rng.normal(size=(90, 4)).astype(np.float32),
        np.arange(90) % 3,
    )


def train(x: NDArray[Any], y: NDArray[Any], *, seed: int) -> Any:
    """A training that does nothing."""
    return lambda z: np.arange(len(z)) % 3


def read_all(x: NDArray[Any], y: NDArray[Any], *, seed: int) -> Any:
    """Read every example, and write down what this process holds for itself."""
    total = int(x.sum(dtype=np.int64))
    Path(os.environ[MEASURED]).write_text(str(own_memory()))
    return lambda z: (np.arange(len(z)) + total) % 10


def own_memory() -> int:
    """Bytes that this process shares with no file and no other: anonymous memory (Linux)."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def in_process(function: Any, arrays: tuple[Any, ...], labels: NDArray[Any], out: str) -> None:
    """The twin's process: train, predict, save."""
    x, _, x_test, _ = arrays
    np.save(out, function(x, labels, seed=1)(x_test))


def stress(code: Any, data: tuple[Any, ...], trainings: int = TRAININGS, **options: Any) -> None:
    """A stress test of so many trainings, one at a time, without any noise to draw."""
    from mislabel.stress import Suite, run

    suite = Suite(name="clean", version=1, noises=["clean"], seeds=range(1, trainings + 1))
    results = run(code, data, suite=suite, workers=1, **options)
    assert not results.failures, results.failures[0].failure


def timed(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def median(calls: int, call: Any) -> float:
    return float(np.median([timed(call) for _ in range(calls)]))


def commands(folder: Path) -> Row:
    """A program that loads the labels and writes predictions."""
    program = folder / "program.py"
    program.write_text(PROGRAM)
    labels = folder / "labels.npy"
    np.save(labels, small()[1])
    from mislabel.stress import Command

    command = Command(f"{sys.executable} {program} {{labels}} {{out}} 90")

    def bare() -> None:
        for number in range(TRAININGS):
            out = str(folder / f"bare{number}")
            subprocess.run([sys.executable, program, labels, out, "90"], check=True)

    return ratio(lambda: stress(command, small()), bare)


def functions(folder: Path) -> Row:
    """A Python function that does nothing."""
    context = multiprocessing.get_context("spawn")

    def bare() -> None:
        for number in range(TRAININGS):
            arguments = (train, small(), small()[1], str(folder / f"function{number}"))
            process = context.Process(target=in_process, args=arguments)
            process.start()
            process.join()

    return ratio(lambda: stress(train, small()), bare)


def ratio(ours: Any, bare: Any) -> Row:
    """Seconds per training of both, and their ratio."""
    ours()
    found = {"ours": median(REPEATS, ours) / TRAININGS, "bare": median(REPEATS, bare) / TRAININGS}
    return found | {"ratio": found["ours"] / found["bare"]}


def memory(folder: Path) -> Row:
    """What one training holds for itself of 154 MB of images, ours and pickled."""
    rng = np.random.default_rng(0)
    arrays = (
        rng.integers(256, size=(50_000, 32, 32, 3), dtype=np.uint8),
        rng.integers(10, size=50_000),
        rng.integers(256, size=(10_000, 32, 32, 3), dtype=np.uint8),
        np.arange(10_000) % 10,
    )
    os.environ[MEASURED] = str(folder / "ours")
    stress(read_all, arrays, trainings=1, predict_train=False)
    os.environ[MEASURED] = str(folder / "bare")
    process = multiprocessing.get_context("spawn").Process(
        target=in_process, args=(read_all, arrays, arrays[1], str(folder / "memory"))
    )
    process.start()
    process.join()
    found = {name: int((folder / name).read_text()) / 2**20 for name in ("ours", "bare")}
    data = sum(array.nbytes for array in (arrays[0], arrays[2])) / 2**20
    return found | {"data": data, "ratio": found["ours"] / found["bare"]}


def to_markdown(content: Row) -> str:
    """The page that shows the results."""
    held = content["memory"]
    lines = [
        "# Stress tests",
        "",
        f"`python benchmarks/stress.py` on {content['processor']}, {content['cores']} cores, load "
        f"{content['load'][0]:.1f} at the start and {content['load'][1]:.1f} at the end. "
        f"Versions: {', '.join(f'{k} {v}' for k, v in content['versions'].items())}.",
        "",
        f"Seconds per training of {TRAININGS} that do next to nothing, one at a time (median of "
        f"{REPEATS}). Ours is the whole test: labels drawn and written, each training supervised, "
        "its output kept, what it left checked, measured and stored. Bare is the start of the same "
        "process alone:",
        "",
        "| training | ours, s | bare, s | ratio |",
        "|---|---:|---:|---:|",
    ]
    for name in ("command", "function"):
        row = content[name]
        lines.append(f"| {name} | {row['ours']:.3f} | {row['bare']:.3f} | {row['ratio']:.2f} |")
    lines += [
        "",
        f"Memory that a training holds for itself after reading all of {held['data']:.0f} MiB of "
        f"images: {held['ours']:.0f} MiB, since the file is mapped and shared by all; "
        f"{held['bare']:.0f} MiB where the images come by pickling. Ratio {held['ratio']:.2f}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run everything and write the results beside this file."""
    from memorization import processor
    from mislabel.files import write_json, write_text
    from mislabel.versions import library_versions

    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        content = {
            "command": commands(Path(folder)),
            "function": functions(Path(folder)),
            "memory": memory(Path(folder)),
        }
    content |= {
        "cores": os.cpu_count(),
        "processor": processor(),
        "load": [load, os.getloadavg()[0]],
        "versions": library_versions("numpy"),
    }
    write_json(HERE / "stress.json", content)
    write_text(HERE / "stress.md", to_markdown(content))
    print(to_markdown(content))


if __name__ == "__main__":
    main()
