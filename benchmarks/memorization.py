"""Memorization: aggregating a study against the plain dense computation, in one run.

    python benchmarks/memorization.py      # prints the table, writes memorization.json and .md
    python benchmarks/memorization.py --runs 50 --train 5000 --test 1000     # small, writes nothing

Rows are made up: each run trains on a random 70 % of the examples and is right on a random half.
Ours reads a study's folder, as `mislabel memorize scores` and `influence` do: inclusion, exclusion,
errors and halves, and the whole matrix of influence, written to a file. The twin reads the same
rows as dense arrays of an ``.npz`` file, in the published layout, and computes the same means and
influence in float64 by four matrix expressions, in place where that saves memory. Each runs in a
process of its own with one thread; peak memory is that process's, libraries included. What they
find is compared on a sample of the matrix. The twin takes 8 bytes for each of 2 N M results.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import processor

from mislabel.files import write_json, write_text
from mislabel.memorization.aggregate import study_scores
from mislabel.memorization.influence import study_influence
from mislabel.memorization.store import Answer, StudyFolder, StudyLabels
from mislabel.versions import library_versions

HERE = Path(__file__).parent
RUNS, TRAIN, TEST = 200, 50_000, 10_000
MANY = 1_500
"Runs of the published study, with which ours is measured alone."
STEPS = (97, 211)
"Of the sample of the influence matrix that is compared."
Measured = dict[str, Any]


def write_rows(folder: Path, runs: int, n_train: int, n_test: int, *, dense: bool) -> None:
    """A study's folder of made-up rows, and the same as dense arrays."""
    rng = np.random.default_rng(0)
    everything, labels = np.arange(n_train), np.zeros(n_train, dtype=np.int64)
    study = StudyFolder(folder / "study")
    given = StudyLabels(
        labels=labels, clean_labels=labels, test_labels=np.zeros(n_test, dtype=np.int64),
        index=everything, positions=everything, n_total=n_train, class_names=("a", "b"),
    )  # fmt: skip
    study.start({"keep": "correctness"}, given, {"title": "made up"})
    masks, trained, tested = [], [], []
    for number in range(runs):
        mask, train, test = rng.random(n_train) < 0.7, rng.random(n_train), rng.random(n_test)
        answer = Answer(train=(train < 0.5).astype(int), test=(test < 0.5).astype(int))
        study.save(number, mask, answer, {})
        if dense:
            masks.append(mask)
            trained.append(answer.train == 0)
            tested.append(answer.test == 0)
    if dense:
        np.savez(
            folder / "dense.npz", trainset_mask=np.array(masks),
            trainset_correctness=np.array(trained), testset_correctness=np.array(tested),
        )  # fmt: skip


def ours(folder: Path) -> tuple[Measured, Any, Any]:
    """Scores, then influence."""
    started = time.perf_counter()
    scores = study_scores(folder / "study")
    summed = time.perf_counter()
    path = study_influence(folder / "study", folder / "influence.npy")
    ended = time.perf_counter()
    found = np.load(path, mmap_mode="r")[:: STEPS[0], :: STEPS[1]]
    seconds = {"scores": summed - started, "influence": ended - summed}
    return seconds, np.array(found), scores.memorization


def plain(folder: Path) -> tuple[Measured, Any, Any]:
    """The dense twin."""
    started = time.perf_counter()
    with np.load(folder / "dense.npz") as file:
        mask = file["trainset_mask"].astype(np.float64)
        right = file["trainset_correctness"].astype(np.float64)
        tested = file["testset_correctness"].astype(np.float64)
    inside, outside = mask.sum(axis=0), (1 - mask).sum(axis=0)
    memorization = (mask * right).sum(axis=0) / inside - ((1 - mask) * right).sum(axis=0) / outside
    summed = time.perf_counter()
    influence = tested.T @ mask
    influence /= inside
    without = tested.T @ (1 - mask)
    without /= outside
    influence -= without
    ended = time.perf_counter()
    seconds = {"scores": summed - started, "influence": ended - summed}
    return seconds, influence[:: STEPS[0], :: STEPS[1]].copy(), memorization


def child(which: Callable[[Path], tuple[Measured, Any, Any]], folder: Path) -> None:
    """Measure one side in this process; the sample goes to a file."""
    before, started = peak_mib(), time.process_time()
    seconds, sample, memorization = which(folder)
    worked = time.process_time() - started
    np.savez(folder / f"{which.__name__}.npz", sample=sample, memorization=memorization)
    found = {
        "seconds": seconds, "cpu": worked, "peak_mib": peak_mib(), "libraries_mib": before,
    }  # fmt: skip
    print(json.dumps(found))


def peak_mib() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def in_a_process_of_its_own(which: str, folder: Path) -> Measured:
    """What `child` measures, with one thread."""
    command = [sys.executable, __file__, "--child", which, "--folder", str(folder)]
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    answer = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | one
    ).stdout
    found: Measured = json.loads(answer.splitlines()[-1])
    found["total"] = sum(found["seconds"].values())
    print(
        f"  {which}: scores {found['seconds']['scores']:.2f} s, influence "
        f"{found['seconds']['influence']:.2f} s, CPU {found['cpu']:.2f} s, "
        f"peak {found['peak_mib']:,.0f} MiB",
        flush=True,
    )
    return found


def aggregation(runs: int, n_train: int, n_test: int, *, twin: bool) -> Measured:
    """Both sides on the same rows, or ours alone."""
    print(f"{runs:,} runs x {n_train:,} x {n_test:,}", flush=True)
    row: Measured = {"runs": runs, "train": n_train, "test": n_test}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder, runs, n_train, n_test, dense=twin)
        rows = [path.stat().st_size for path in (folder / "study/runs").iterdir()]
        row |= {"row_bytes": int(np.mean(rows)), "ours": in_a_process_of_its_own("ours", folder)}
        if twin:
            row["plain"] = in_a_process_of_its_own("plain", folder)
            row["difference"] = difference(folder)
            print(f"  largest difference {row['difference']:.1e}", flush=True)
    return row


def difference(folder: Path) -> float:
    """The largest between both sides, of memorization and of the sample of influence."""
    with np.load(folder / "ours.npz") as one, np.load(folder / "plain.npz") as other:
        return float(max(np.nanmax(np.abs(one[name] - other[name])) for name in one.files))


def to_markdown(content: Measured) -> str:
    """The page that shows the results."""
    lines = [
        "# Memorization: aggregating a study",
        "",
        f"`python benchmarks/memorization.py` on {content['processor']}, one thread a process, "
        f"load {content['load'][0]:.1f} at the start and {content['load'][1]:.1f} at the end of "
        f"{content['cores']} cores. "
        f"Versions: {', '.join(f'{k} {v}' for k, v in content['versions'].items())}.",
        "",
        "Rows are made up. Ours reads the folder of a study and computes scores with errors and "
        "halves, and the whole influence matrix into a file; the twin computes means and influence "
        "in dense float64 in memory. Peak memory is of the whole process; the libraries alone take "
        f"{content['rows'][0]['ours']['libraries_mib']:,.0f} MiB.",
        "",
        "| runs x training x test | | scores, s | influence, s | together, s | of it CPU, s "
        "| peak memory, MiB |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in content["rows"]:
        size = f"{row['runs']:,} x {row['train']:,} x {row['test']:,}"
        for side in ("ours", "plain"):
            if side in row:
                found = row[side]
                lines.append(
                    f"| {size} | {side} | {found['seconds']['scores']:.2f} "
                    f"| {found['seconds']['influence']:.2f} | {found['total']:.2f} "
                    f"| {found['cpu']:.2f} | {found['peak_mib']:,.0f} |"
                )
    for row in content["rows"]:
        if "plain" in row:
            lines += [
                "",
                f"With {row['runs']:,} runs ours takes "
                f"{row['ours']['total'] / row['plain']['total']:.2f} of the twin's time, "
                f"{row['ours']['cpu'] / row['plain']['cpu']:.2f} of its CPU time and "
                f"{row['ours']['peak_mib'] / row['plain']['peak_mib']:.3f} of its memory; the "
                f"largest difference is {row['difference']:.1e} (influence is stored as float32). "
                f"A row of correctness takes {row['row_bytes']:,} bytes on disk.",
            ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Run everything; at full size, write the results beside this file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--train", type=int, default=TRAIN)
    parser.add_argument("--test", type=int, default=TEST)
    parser.add_argument("--child", choices=("ours", "plain"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child({"ours": ours, "plain": plain}[asked.child], asked.folder)
        return
    load, size = os.getloadavg()[0], (asked.train, asked.test)
    rows = [aggregation(asked.runs, *size, twin=True)]
    if (asked.runs, *size) != (RUNS, TRAIN, TEST):
        return
    rows.append(aggregation(MANY, *size, twin=False))
    content = {
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
        "load": [load, os.getloadavg()[0]],
        "versions": library_versions("numpy"),
        "rows": rows,
    }
    write_json(HERE / "memorization.json", content)
    write_text(HERE / "memorization.md", to_markdown(content))


if __name__ == "__main__":
    main()
