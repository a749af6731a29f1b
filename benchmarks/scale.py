"""Scale: what 10,000 runs cost beside their own time, in the executors and in the stores.

    python benchmarks/scale.py             # scale.json, scale.md, the figures in docs/scale.md
    python benchmarks/scale.py --pages     # the two pages again, from scale.json
    python benchmarks/scale.py --runs 200  # small, writes nothing

Runs are fake: they sleep for 10 ms, or do nothing at all. A run tells how long it took, so overhead
is workers x seconds / runs less that. The driver's processor time per run is what bounds the runs
per second of a cluster, whatever its workers do; it is measured with runs that do nothing. Twins
are a bare `multiprocessing.Pool` and bare tasks of Ray. Each line is a process of its own.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from machine import processor
from numpy.typing import NDArray

from mislabel.executor import Executor, Workers, make_executor
from mislabel.files import write_json, write_text
from mislabel.versions import library_versions

HERE = Path(__file__).parent
RUNS, RUN_SECONDS, FEW = 10_000, 0.01, 10
"FEW: twins and one worker do 1 / FEW of the runs."
SLOTS = 1_000
"Runs at a time of the cluster that the driver is made to believe in."
MANY_BY_CLIENT = f"Ray by ray://, {2 * SLOTS:,} handed over, empty runs"
N_TRAIN, N_TEST, N_CLASSES = 2_000, 500, 10
CIFAR = (50_000, 10_000)
GRID = (10, 10)
"Noises and methods; seeds make up the rest of the cells."
EPOCHS = 30
PLAN_RUNS, PLAN_MINUTES, NODE_GPUS = 100_000, 10, 8
REQUEST_SECONDS, LINK_BYTES, LISTED, TOGETHER = 0.05, 125e6, 1_000, 100
"""Of the plan on paper, not measured: a request to object storage takes this long, this much comes
through a link per second, a request lists so many objects, so many requests go on together."""
PAGE = HERE.parent / "docs" / "scale.md"
FROM, TO = "<!-- benchmarks/scale.py writes from here -->", "<!-- to here -->"
TWO = Workers(count=2, threads=1)
ONE = Workers(count=1, threads=1)
Row = dict[str, Any]


# Executors


def sleep(seconds: float) -> float:
    """A fake run; how long it took."""
    started = time.perf_counter()
    if seconds:
        time.sleep(seconds)
    return time.perf_counter() - started


def watched(results: Iterable[float], workers: int) -> Row:
    """What runs cost, from what they return."""
    before, started, worked = rss_mib(), time.perf_counter(), time.process_time()
    own, first = [], 0.0
    for seconds in results:
        own.append(seconds)
        if len(own) == 1:
            first, worked = time.perf_counter(), time.process_time()
    ended, worked = time.perf_counter(), time.process_time() - worked
    return {
        "runs": len(own), "workers": workers, "start_s": first - started - own[0],
        "overhead_ms": 1e3 * (workers * (ended - first) / (len(own) - 1) - float(np.mean(own))),
        "driver_ms": 1e3 * worked / (len(own) - 1), "per_s": (len(own) - 1) / (ended - first),
        "driver_mib": peak_mib() - before,
    }  # fmt: skip


def through(executor: Executor, workers: Workers, runs: int, seconds: float) -> Row:
    """Runs through one of our executors."""
    return watched(executor.run(sleep, [seconds] * runs, workers), workers.count)


def local(runs: int) -> Row:
    """Local processes, and a bare pool."""
    ours, few = make_executor("local"), runs // FEW
    return {
        "local, 2 workers": through(ours, TWO, runs, RUN_SECONDS),
        "local, 2 workers, empty runs": through(ours, TWO, runs, 0.0),
        "local, 1 worker": through(ours, ONE, few, RUN_SECONDS),
        "bare pool, 2 workers": pool(few, RUN_SECONDS),
        "bare pool, 2 workers, empty runs": pool(runs, 0.0),
    }


def pool(runs: int, seconds: float) -> Row:
    """The plain twin of local processes."""

    def results() -> Iterator[float]:
        with multiprocessing.get_context("spawn").Pool(2) as bare:
            yield from bare.imap_unordered(sleep, [seconds] * runs)

    return watched(results(), 2)


def on_ray(runs: int) -> Row:
    """A Ray of this machine, and bare tasks."""
    import ray

    ours, few = make_executor("ray"), runs // FEW
    found = {"Ray, 2 workers": through(ours, TWO, runs, RUN_SECONDS)}
    ray.init(
        "local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
    )
    many = Workers(count=SLOTS, threads=1)
    found |= {
        "Ray, 2 workers, empty runs": through(ours, TWO, runs, 0.0),
        f"Ray, {2 * SLOTS:,} handed over, empty runs": through(ours, many, runs, 0.0),
        "bare tasks of Ray, 2 workers": tasks(few, 4, RUN_SECONDS),
        "bare tasks of Ray, 2 workers, empty runs": tasks(runs, 4, 0.0),
        f"bare tasks of Ray, {2 * SLOTS:,} handed over, empty runs": tasks(runs, 2 * SLOTS, 0.0),
    }
    del found[f"Ray, {2 * SLOTS:,} handed over, empty runs"]["overhead_ms"]
    del found[f"bare tasks of Ray, {2 * SLOTS:,} handed over, empty runs"]["overhead_ms"]
    ray.shutdown()
    return found


def tasks(runs: int, ahead: int, seconds: float) -> Row:
    """The plain twin of our executor on Ray, with as many runs handed over."""
    import ray

    task, waiting = ray.remote(sleep).options(num_cpus=1), iter([seconds] * runs)

    def results() -> Iterator[float]:
        running: list[Any] = []
        while True:
            running += [task.remote(each) for each in islice(waiting, ahead - len(running))]
            if not running:
                return
            ready, running = ray.wait(running, num_returns=1)
            yield ray.get(ready[0])

    return watched(results(), 2)


def by_client(runs: int) -> Row:
    """A cluster of this machine by its address, as `--executor ray://HOST:PORT` takes it."""
    few = runs // FEW
    with a_cluster() as address:
        ours, many = make_executor(address), Workers(count=SLOTS, threads=1)
        found = {
            "Ray by ray://, 2 workers": through(ours, TWO, few, RUN_SECONDS),
            "Ray by ray://, 2 workers, empty runs": through(ours, TWO, few, 0.0),
            MANY_BY_CLIENT: through(ours, many, 4 * few, 0.0),
        }
    del found[MANY_BY_CLIENT]["overhead_ms"]
    return found


@contextlib.contextmanager
def a_cluster() -> Iterator[str]:
    """The address of a cluster of this machine with two cores, which is then gone."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ["RAY_AUTH_MODE"] = "disabled"
    words = ["start", "--head", "--port=0", "--block", "--num-cpus=2", "--include-dashboard=false",
             f"--ray-client-server-port={port}"]  # fmt: skip
    ray = Path(sys.executable).with_name("ray")
    cluster = subprocess.Popen([ray, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"ray://127.0.0.1:{port}"
    finally:
        cluster.terminate()
        cluster.wait()


# Stores


@dataclass(frozen=True)
class FakeTrainer:
    """Sleeps and predicts the labels as given."""

    labels: NDArray[np.int64]
    n_test: int
    seconds: float

    def __call__(self, run: Any) -> Any:
        from mislabel.memorization.store import Answer

        time.sleep(self.seconds)
        chance = np.full(len(self.labels), 0.5)
        return Answer(train=self.labels, test=np.zeros(self.n_test, int), probability=chance)


def fake_plan(sizes: tuple[int, int], seconds: float, keep: str = "probabilities") -> Any:
    """A plan of a study on made-up labels."""
    from mislabel.memorization import make_design
    from mislabel.memorization.study import StudyPlan
    from mislabel.noise import Symmetric

    clean = np.random.default_rng(0).integers(0, N_CLASSES, sizes[0])
    labels = Symmetric(rate=0.2).corrupt(clean, n_classes=N_CLASSES, seed=0)
    return StudyPlan(
        train=FakeTrainer(labels.labels, sizes[1], seconds), design=make_design(labels),
        labels=labels, test_labels=np.zeros(sizes[1], int), identity={"made": "up"}, keep=keep,
    )  # fmt: skip


def study(runs: int) -> Row:
    """A held-out study through local processes: its store, going on, aggregating."""
    from mislabel.memorization import run_study, study_scores
    from mislabel.memorization.store import StudyFolder

    plan = fake_plan((N_TRAIN, N_TEST), RUN_SECONDS)
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "study"
        ticks: list[float] = []
        told = lambda done, total: ticks.append(time.perf_counter())  # noqa: E731
        folder = run_study(plan, out, runs=runs, workers=2, progress=told)
        slept = np.mean([folder.about(number)["seconds"] for number in folder.runs()])
        spent = 2 * (ticks[-1] - ticks[1]) / (runs - 1)
        found = {"runs": runs, "start_s": ticks[1] - ticks[0], "foretold": plan.row_bytes}
        found |= {"overhead_ms": 1e3 * (spent - float(slept)), **sizes_of(out / "runs")}
        folder.row_path(runs // 2).unlink()
        found["resume_s"] = timed(lambda: run_study(plan, out, runs=runs, workers=1))[0]
        again = StudyFolder(out)
        found["listing_s"], numbers = timed(again.runs)
        found["checking_s"] = timed(lambda: [again.check_row(number) for number in numbers])[0]
        found["scores_s"] = timed(lambda: study_scores(out))[0]
        found["peak_mib"] = peak_mib()
    return found


def rows(runs: int) -> Row:
    """Rows and data of CIFAR-10's size: bytes, checking, and what Ray is given."""
    from mislabel.memorization import run_study
    from mislabel.memorization.store import KEEPS

    found: Row = {"rows": max(5, runs // 200)}
    for keep in KEEPS:
        plan = fake_plan(CIFAR, 0.0, keep)
        with tempfile.TemporaryDirectory() as temporary:
            folder = run_study(plan, Path(temporary) / "study", runs=found["rows"], workers=1)
            size = sizes_of(folder.path / "runs")["bytes_per_run"]
            checked, _ = timed(lambda f=folder: [f.check_row(number) for number in f.runs()])
        found[keep] = {"bytes": size, "check_ms": 1e3 * checked / found["rows"]}
    return found | moved()


def moved() -> Row:
    """Bytes of a study's run with a learning method on CIFAR-10's size, as Ray gets them."""
    from mislabel.data import Dataset
    from mislabel.executor.ray import _Packer
    from mislabel.memorization import method_plan
    from mislabel.memorization.study import _Work, do_run

    plan, (n, m) = fake_plan(CIFAR, 0.0), CIFAR
    clean = plan.labels.clean_labels
    data = Dataset(
        name="made-up", x_train=np.zeros((n, 32, 32, 3), np.uint8), y_train=clean,
        x_test=np.zeros((m, 32, 32, 3), np.uint8), y_test=np.zeros(m, np.int64),
        class_names=tuple(map(str, range(N_CLASSES))), train_indices=np.arange(n), n_train_total=n,
    )  # fmt: skip
    full = method_plan(data, plan.labels, "standard:epochs=1")
    placed: list[int] = []

    class Store:
        def put(self, array: NDArray[Any]) -> int:
            placed.append(array.nbytes)
            return len(placed)

    packer = _Packer(Store())
    work = [_Work(plan=full, folder=Path("study"), number=number) for number in range(100)]
    packer.pack((do_run, work[0]))
    spent, packed = timed(lambda: [packer.pack((do_run, piece))[0] for piece in work])
    return {"placed": sum(placed), "arrays": len(placed),
            "content": len(packed[-1]), "pack_ms": 1e3 * spent / len(work)}  # fmt: skip


def cells(runs: int) -> Row:
    """A benchmark's run folder with that many cells that are finished."""
    from mislabel.benchmark import Grid, load_results
    from mislabel.benchmark.run import _metadata, cell_keys, missing_cells, run_benchmark
    from mislabel.benchmark.store import RunFolder

    per_seed = GRID[0] * GRID[1]
    grid = Grid(
        data="digits", subset=200,
        noises=[f"symmetric:0.{k:02d}" for k in range(1, GRID[0] + 1)],
        methods=[f"gce:q=0.{k:02d}" for k in range(1, GRID[1] + 1)],
        seeds=list(range(1, runs // per_seed + 1)),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "run"
        inputs = loaded(grid)
        labels = {spec: inputs.draw(spec) for spec in grid.noises}
        named, keys = timed(lambda: cell_keys(inputs, labels))
        folder = RunFolder(out)
        folder.start(_metadata(inputs), inputs.map)
        for spec, drawn in labels.items():
            folder.save_labels(spec, drawn)
        answers = np.zeros(len(inputs.dataset.y_test), np.int64)
        saved, _ = timed(lambda: [folder.save_cell(k, fake_cell(k), answers) for k in keys])
        found = {"cells": len(keys), "epochs": EPOCHS, "n_test": len(answers), "keys_s": named,
                 "save_ms": 1e3 * saved / len(keys), **sizes_of(out / "cells")}  # fmt: skip
        found["checking_s"] = timed(lambda: missing_cells(folder, keys))[0]
        found["resume_s"], results = timed(lambda: run_benchmark(grid, out))
        assert results.n_missing == 0
        found["load_s"] = timed(lambda: load_results(out))[0]
    return found | {"cells": len(keys), "peak_mib": peak_mib()}


def loaded(grid: Any) -> Any:
    """Inputs of a grid, with the map that is then in the cache."""
    from mislabel.benchmark.inputs import Inputs

    inputs = Inputs.load(grid, lambda _: None)
    assert inputs.map is not None
    return inputs


def fake_cell(key: Any) -> Any:
    """A result of `EPOCHS` epochs whose seeds are its own."""
    from mislabel.benchmark.results import CURVES, CellResult
    from mislabel.files import hash_json

    place = [key.noise, key.method, key.seed]
    hashes = {f"{n}_sha256": hash_json([*place, n]) for n in ("initial_weights", "first_order")}
    curve = [0.5123456789012345] * EPOCHS
    return CellResult(
        noise=key.noise, method=key.method, seed=key.seed, test_accuracy_per_class=[0.5] * 10,
        curves={name: curve for name in CURVES if name != "validation_accuracy"},
        seconds=1.0, provenance=hashes | library_versions("numpy", "torch"),
    )  # fmt: skip


def mirror(runs: int) -> Row:
    """A run folder in a store of fsspec, a folder by its address: sending cells, and a fetch."""
    from mislabel.mirror import Mirror, fetched, mirrored

    address, found, looks = f"file://{os.environ['MISLABEL_CACHE']}-far/run", Row(), [0]
    look = Mirror._new

    def counted(self: Mirror) -> list[str]:
        looks[0] += 1
        return look(self)

    Mirror._new = counted  # type: ignore[method-assign]
    started, sending = time.perf_counter(), 0.0
    with mirrored(address) as store:
        progress = store.after(lambda done, total: None)
        for number in range(runs):
            write_cell(store.path / "cells" / f"{number:06d}")
            spent, _ = timed(lambda n=number: progress(n + 1, runs))
            sending += spent
        found |= {"looks": looks[0], "share": sending / (time.perf_counter() - started)}
        found["seconds"] = sending + timed(store.send)[0]
        found["look_s"] = timed(store.send)[0]
        write_cell(store.path / "cells" / "one-more")
        found["send_one_s"] = timed(store.send)[0]
    os.environ["MISLABEL_CACHE"] += "-elsewhere"
    found["fetch_s"] = timed(lambda: fetched(address))[0]
    return found | {"cells": runs, "objects": 3 * runs + 3, "ms_per_cell": 1e3 * sending / runs}


def write_cell(folder: Path) -> None:
    """Files such as a cell has, without waiting for the disk."""
    folder.mkdir(parents=True)
    for name in ("config.json", "result.json", "test_predictions.npy"):
        (folder / name).write_bytes(b"x" * 2_000)


def screen(runs: int) -> Row:
    """Progress of so many runs on one screen, which is thrown away."""
    from mislabel.cli.options import progress_bar

    found: Row = {"updates": runs}
    for kind in ("file", "terminal"):
        os.environ |= {"FORCE_COLOR": "1"} if kind == "terminal" else {}
        with Path(os.devnull).open("w") as nowhere:
            before, sys.stderr = sys.stderr, nowhere
            with progress_bar() as (_, count):
                spent, _ = timed(lambda c=count: [c(n + 1, runs) for n in range(runs)])
            sys.stderr = before
        found[f"{kind}_us"] = 1e6 * spent / runs
    return found


# Measuring


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds on the clock, and what the call returns."""
    started = time.perf_counter()
    found = call()
    return time.perf_counter() - started, found


def sizes_of(folder: Path) -> Row:
    """Files below a folder: their number, bytes, and bytes with what the disk rounds up."""
    found = [path.stat() for path in folder.rglob("*") if path.is_file()]
    entries = sum(1 for _ in folder.iterdir())
    total, blocks = (sum(getattr(f, n) for f in found) for n in ("st_size", "st_blocks"))
    return {"files": len(found), "bytes": total, "bytes_per_run": total / entries,
            "disk_bytes_per_run": 512 * blocks / entries}  # fmt: skip


def rss_mib() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak_mib() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


LINES: dict[str, Callable[[int], Row]] = {
    "local": local, "ray": on_ray, "client": by_client, "study": study, "rows": rows,
    "cells": cells, "mirror": mirror, "screen": screen,
}  # fmt: skip


def child(line: str, runs: int) -> Row:
    """A line, measured in a process of its own with one thread and a cache of its own."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, __file__, "--child", line, "--runs", str(runs)]
        answer = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True,
            env=os.environ | one | {"MISLABEL_CACHE": f"{cache}/cache"},
        )  # fmt: skip
    row: Row = json.loads(answer.stdout.splitlines()[-1])
    print(line, json.dumps(row), flush=True)
    return row


def to_markdown(content: Row) -> str:
    """The page that shows the results."""
    load, versions = content["load"], content["versions"]
    named = ", ".join(f"{k} {v}" for k, v in versions.items())
    lines = [
        "# Scale: overhead per run, stores, going on",
        "",
        f"`python benchmarks/scale.py` on {content['processor']}, {content['cores']} cores, load "
        f"{load[0]:.1f} at the start and {load[1]:.1f} at the end. Versions: {named}. "
        "Figures per run are of all runs but the first, which is the start-up's.",
        "",
        "## Executors",
        "",
        f"Runs sleep for {1e3 * RUN_SECONDS:.0f} ms or, where they are called empty, do nothing. "
        "Overhead: workers x time per run, less what the runs say they took. Driver: processor "
        "time of the process that hands out the runs; its memory: the most, less before.",
        "",
        "| where | runs | start-up, s | overhead per run, ms | driver per run, ms | runs per s | "
        "driver's memory, MiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in {**content["local"], **content["ray"], **content["client"]}.items():
        overhead = f"{row['overhead_ms']:.2f}" if "overhead_ms" in row else ""
        lines.append(
            f"| {name} | {row['runs']:,} | {row['start_s']:.2f} | {overhead} | "
            f"{row['driver_ms']:.3f} | {row['per_s']:,.0f} | {max(0, row['driver_mib']):.0f} |"
        )
    screen_ = content["screen"]
    return "\n".join([
        *lines,
        "",
        f"Progress on one screen takes {screen_['terminal_us']:.0f} us per run on a terminal and "
        f"{screen_['file_us']:.0f} us where there is none ({screen_['updates']:,} updates).",
        "",
        *store_lines(content),
    ])  # fmt: skip


def store_lines(content: Row) -> list[str]:
    """The part of the page on stores."""
    done, grid, far, size = (content[name] for name in ("study", "cells", "mirror", "rows"))
    n = done["runs"]
    return [
        "## Stores",
        "",
        f"A study of {n:,} runs of {1e3 * RUN_SECONDS:.0f} ms on {N_TRAIN:,} training and "
        f"{N_TEST} test examples, probabilities kept, through 2 local workers; a benchmark's "
        f"folder of {grid['cells']:,} cells of {grid['epochs']} epochs and {grid['n_test']} test "
        "examples. Rows, and the JSON of cells, are brought to the disk (fsync) before they have "
        f"their names. The first run of the study was there after {done['start_s']:.1f} s, with "
        "the workers' libraries loaded.",
        "",
        "| | study | benchmark |",
        "|---|---:|---:|",
        f"| files | {done['files']:,} | {grid['files']:,} |",
        f"| bytes per run | {done['bytes_per_run']:,.0f} (foretold: {done['foretold']:,}) | "
        f"{grid['bytes_per_run']:,.0f} |",
        f"| on the disk, per run | {done['disk_bytes_per_run']:,.0f} | "
        f"{grid['disk_bytes_per_run']:,.0f} |",
        f"| overhead per run, with its row written; writing a cell, ms | "
        f"{done['overhead_ms']:.2f} | {grid['save_ms']:.2f} |",
        f"| listing what is there, s | {done['listing_s']:.3f} | |",
        f"| checking every row, every cell, s | {done['checking_s']:.2f} | "
        f"{grid['checking_s']:.2f} |",
        f"| naming every cell of the grid, s | | {grid['keys_s']:.2f} |",
        f"| going on: all but one run done; all done and read again, s | {done['resume_s']:.2f} | "
        f"{grid['resume_s']:.2f} |",
        f"| scores; reading all results, s | {done['scores_s']:.2f} | {grid['load_s']:.2f} |",
        f"| peak memory, libraries included, MiB | {done['peak_mib']:,.0f} | "
        f"{grid['peak_mib']:,.0f} |",
        "",
        f"A store of fsspec, a local folder by its address, {far['cells']:,} cells of 3 files that "
        f"finish as fast as they can be written: {far['seconds']:.1f} s of sending in all, with "
        f"{far['looks']} looks at the folder; one look at all of it takes {far['look_s']:.2f} s, a "
        f"look with one cell to send {far['send_one_s']:.2f} s, fetching {far['objects']:,} "
        "objects on another machine "
        f"{far['fetch_s']:.1f} s.",
        "",
        f"## A run on CIFAR-10's size ({CIFAR[0]:,} training, {CIFAR[1]:,} test examples)",
        "",
        "| kept | bytes per run | checking it, ms |",
        "|---|---:|---:|",
        *(f"| {keep} | {row['bytes']:,.0f} | {row['check_ms']:.2f} |"
          for keep, row in size.items() if isinstance(row, dict)),
        "",
        f"Ray is given {size['arrays']} arrays of {size['placed'] / 1e6:.1f} MB together once, and "
        f"{size['content']:,} bytes with every run, which takes the driver {size['pack_ms']:.2f} "
        "ms to write.",
        "",
    ]  # fmt: skip


def plan_lines(content: Row) -> list[str]:
    """The figures of docs/scale.md: 100,000 runs on 1,000 GPUs, from what was measured."""
    done, grid, size = (content[name] for name in ("study", "cells", "rows"))
    ray_, n, gpus = content["ray"], PLAN_RUNS, SLOTS
    rate, nodes, more = gpus / (60 * PLAN_MINUTES), gpus // NODE_GPUS, PLAN_RUNS / RUNS
    driver = ray_[f"Ray, {2 * SLOTS:,} handed over, empty runs"]["per_s"]
    kept, back = size["probabilities"], 17 * CIFAR[0] + 8 * CIFAR[1]
    row_s, cell_s = 3 * REQUEST_SECONDS, 9 * REQUEST_SECONDS
    moved_ = [
        ("data, to each machine once", f"{size['placed'] / 1e6:.0f} MB x {nodes} machines",
         f"{size['placed'] * nodes / 1e9:.0f} GB"),
        ("with each run, from the driver", f"{size['content'] / 1e3:.0f} kB x {n:,}",
         f"{size['content'] * n / 1e9:.0f} GB, {size['content'] * rate / 1e6:.2f} MB/s"),
        ("back, where the folder is out of a worker's reach",
         f"(17 N + 8 M) bytes = {back / 1e6:.2f} MB x {n:,}",
         f"{back * n / 1e9:.0f} GB, {back * rate / 1e6:.1f} MB/s"),
        *((f"stored, `--keep {keep}`", f"{size[keep]['bytes'] / 1e3:.1f} kB x {n:,}",
           f"{size[keep]['bytes'] * n / 1e9:.1f} GB in {n:,} files")
          for keep in ("correctness", "predictions", "probabilities")),
        (f"stored, a benchmark of {grid['epochs']} epochs",
         f"({grid['bytes_per_run']:,.0f} + M - {grid['n_test']}) bytes x {n:,}",
         f"{(grid['bytes_per_run'] + CIFAR[1] - grid['n_test']) * n / 1e9:.1f} GB in {3 * n:,} "
         "files"),
    ]  # fmt: skip
    limits = [
        ("sending cells to object storage", f"1 / (9 requests x {REQUEST_SECONDS:g} s)",
         1 / cell_s),
        ("sending a study's rows there", f"1 / (3 requests x {REQUEST_SECONDS:g} s)", 1 / row_s),
        ("cells written by the driver", f"1 / {grid['save_ms']:.1f} ms", 1e3 / grid["save_ms"]),
        ("runs handed out and taken back by Ray", f"measured, {2 * SLOTS:,} handed over", driver),
        ("the same through ray://HOST:PORT", f"measured, {2 * SLOTS:,} handed over",
         content["client"][MANY_BY_CLIENT]["per_s"]),
    ]  # fmt: skip
    start = [
        ("listing a folder of rows", f"{done['listing_s']:.3f} s x {more:.0f}",
         done["listing_s"] * more),
        ("listing as many objects", f"{n:,} / {LISTED:,} requests x {REQUEST_SECONDS:g} s",
         n / LISTED * REQUEST_SECONDS),
        ("checking every cell of a benchmark", f"{grid['checking_s']:.2f} s x {more:.0f}",
         grid["checking_s"] * more),
        ("checking every row of a study", f"{kept['check_ms']:.2f} ms x {n:,}, read from memory",
         kept["check_ms"] * n / 1e3),
        ("reading them from one disk or link", f"{kept['bytes'] * n / 1e9:.1f} GB / 125 MB/s",
         kept["bytes"] * n / LINK_BYTES),
        ("fetching rows on a new machine", f"the same + {n:,} x {REQUEST_SECONDS:g} s / {TOGETHER}",
         kept["bytes"] * n / LINK_BYTES + n * REQUEST_SECONDS / TOGETHER),
        ("reading a benchmark's results", f"{grid['load_s']:.1f} s x {more:.0f}",
         grid["load_s"] * more),
    ]  # fmt: skip
    lost = [(hours, 24 * gpus / hours, PLAN_MINUTES / 60 / hours) for hours in (50_000, 1_000, 24)]
    return [
        f"{n:,} runs of {PLAN_MINUTES} minutes, one per GPU, on {gpus:,} GPUs in {nodes} machines "
        f"are {n // gpus} rounds: {n / gpus * PLAN_MINUTES / 60:.1f} hours, {rate:.2f} runs per "
        f"second. Data of CIFAR-10's size, N = {CIFAR[0]:,} and M = {CIFAR[1]:,}.",
        "",
        "| what moves, what is stored | formula | figure |",
        "|---|---|---:|",
        *(f"| {what} | {formula} | {figure} |" for what, formula, figure in moved_),
        "",
        f"**What fails first**, by the runs per second that each part bears, of which "
        f"{rate:.2f} are needed. Shorter runs than in the last column leave GPUs idle.",
        "",
        "| part, in the order in which it fails | formula | runs per s | shortest run, s |",
        "|---|---|---:|---:|",
        *(f"| {what} | {formula} | {figure:,.1f} | {gpus / figure:,.1f} |"
          for what, formula, figure in sorted(limits, key=lambda limit: limit[2])),
        "",
        f"With four runs to a GPU (`--gpus-per-run 0.25`) there are {4 * gpus:,} at a time, and "
        "the last column is four times as long.",
        "",
        f"| going on with {n:,} | formula | s |",
        "|---|---|---:|",
        *(f"| {what} | {formula} | {figure:,.1f} |" for what, formula, figure in start),
        "",
        "| mean time to failure of a GPU's worker, h | failures per day, 24 h x "
        f"{gpus:,} / mean | work lost, half a run each | runs lost for good, "
        f"{n:,} x (run / mean)^3 |",
        "|---:|---:|---:|---:|",
        *(f"| {hours:,} | {day:,.1f} | {50 * share:.2g} % | {n * share**3:.1g} |"
          for hours, day, share in lost),
        "",
        f"Measured with `python benchmarks/scale.py` at load {content['load'][0]:.1f} of "
        f"{content['cores']} cores ([benchmarks/scale.md](../benchmarks/scale.md)); assumed, not "
        f"measured: {1e3 * REQUEST_SECONDS:.0f} ms per request to object storage, {TOGETHER} at a "
        f"time where a store can, {LISTED:,} objects in a listing, "
        f"{LINK_BYTES / 1e6:.0f} MB/s through a link, and the mean times to failure.",
    ]  # fmt: skip


def write_pages(content: Row) -> None:
    """The page beside this file, and the plan's figures in docs/scale.md."""
    write_text(HERE / "scale.md", to_markdown(content))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(FROM)
    _, _, after = rest.partition(TO)
    write_text(PAGE, "\n".join([before + FROM, "", *plan_lines(content), "", TO + after]))


def main() -> None:
    """Run everything and write the results beside this file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=RUNS, help="other than 10,000: nothing written")
    parser.add_argument("--pages", action="store_true", help="write the pages from scale.json")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(LINES[asked.child](asked.runs)))
        return
    if asked.pages:
        write_pages(json.loads((HERE / "scale.json").read_text(encoding="utf-8")))
        return
    load = os.getloadavg()[0]
    content = {
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
        "versions": library_versions("numpy", "joblib", "ray", "fsspec"),
        **{line: child(line, asked.runs) for line in LINES},
        "load": [load, os.getloadavg()[0]],
    }
    if asked.runs == RUNS:
        write_json(HERE / "scale.json", content)
        write_pages(content)


if __name__ == "__main__":
    main()
