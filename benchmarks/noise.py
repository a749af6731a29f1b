"""Speed and memory of noise, as ratios to plain twins and to the machine, in one run.

    python benchmarks/noise.py          # prints the table, writes noise.json and noise.md

Everything goes through the public `corrupt`: checks, draw and receipt. Positions are the published
CIFAR-10 map where MISLABEL_DATA names the data folder, else as many points in ten Gaussian blobs.
Ours is the median of many calls after a warm-up; the twins are timed once, or on a sample whose
size is stated and then scaled. What a twin labels is compared with what we label.

The bound of a row is the time that one core of this machine, as measured in the same run, needs at
least for the operations of the way we do it: hashing the inputs for the receipt, drawing random
numbers, arithmetic; or for moving the bytes that must be read and written once, if that is longer.
Peak memory is that of a fresh process, data and libraries included.
"""

import argparse
import hashlib
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import processor

from mislabel.features import load_map
from mislabel.files import write_json, write_text
from mislabel.noise import PMD, Asymmetric, ClassDependent, Cluster, NoiseModel, PairFlip, Symmetric
from mislabel.noise import cluster as cbn
from mislabel.noise.asymmetric import class_map_matrix
from mislabel.noise.base import Problem, check_problem
from mislabel.versions import library_versions

HERE = Path(__file__).parent
N, C, RADIUS = 50_000, 10, 2.0
LARGE, WIDTH, LARGE_RATE = 1_000_000, 64, 0.35
Row = dict[str, Any]
Twin = tuple[str, float, float | None]
"What the twin does, its seconds, and how many times faster we are to be."


# Timing


def timed(call: Callable[[], Any], repeats: int = 51) -> list[float]:
    """Wall-clock seconds of calls, after one that does not count."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def seconds(call: Callable[[], Any], repeats: int = 7) -> float:
    """Median wall-clock seconds of a call, after one that does not count."""
    return float(np.median(timed(call, repeats)))


def once(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one call, and what it returns."""
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, found


# The machine


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What one core does in a second, the best of several tries.

    copied: bytes read and bytes written, of an array much larger than the caches. hashed: bytes by
    SHA-256. multiplied: float32 operations in a matrix product. computed: float64 operations on an
    array in the cache, an operation of NumPy each. drawn: random numbers.
    """

    copied: float
    hashed: float
    multiplied: float
    computed: float
    drawn: float

    @classmethod
    def measured(cls) -> "Machine":
        """This machine, now."""
        large, target = np.ones(2**25), np.zeros(2**25)
        text = bytes(2**24)
        square = np.ones((1536, 1536), dtype=np.float32)
        small, result = np.ones(2**13), np.empty(2**13)
        rng = np.random.default_rng(0)

        def elementwise() -> None:
            for _ in range(200):
                np.multiply(small, small, out=result)

        with cbn._blas_threads().limit(limits=1, user_api="blas"):
            multiply = min(timed(lambda: square @ square, 7))
        return cls(
            copied=2 * large.nbytes / min(timed(lambda: np.copyto(target, large), 7)),
            hashed=len(text) / min(timed(lambda: hashlib.sha256(text), 7)),
            multiplied=2 * 1536**3 / multiply,
            computed=200 * 2**13 / min(timed(elementwise, 7)),
            drawn=2**20 / min(timed(lambda: rng.random(2**20), 7)),
        )


@dataclass(frozen=True, kw_only=True)
class Work:
    """What cannot be left out of a row: bytes moved and hashed, operations, random numbers."""

    moved: float
    hashed: float = 0.0
    multiplied: float = 0.0
    computed: float = 0.0
    drawn: float = 0.0

    def bound(self, machine: Machine) -> dict[str, Any]:
        """The least seconds, and what they are spent on."""
        parts = {
            "hashing": self.hashed / machine.hashed,
            "matrix products": self.multiplied / machine.multiplied,
            "other arithmetic": self.computed / machine.computed,
            "random numbers": self.drawn / machine.drawn,
        }
        arithmetic, traffic = sum(parts.values()), self.moved / machine.copied
        most = max(parts, key=lambda name: parts[name])
        kind = f"arithmetic ({most})" if arithmetic > traffic else "memory traffic"
        return {
            "bound_by": kind,
            "bound_ms": 1e3 * max(arithmetic, traffic),
            "arithmetic_ms": {name: 1e3 * value for name, value in parts.items() if value},
            "traffic_ms": 1e3 * traffic,
        }


def row(
    what: str,
    times: list[float],
    work: Work,
    machine: Machine,
    *twins: Twin,
    target_ms: float | None = None,
    **more: Any,
) -> Row:
    """One row of the results, printed as it is made."""
    ours = float(np.median(times))
    made: Row = {
        "what": what,
        "ms": 1e3 * ours,
        "best_ms": 1e3 * min(times),
        "calls": len(times),
        "target_ms": target_ms,
        "twins": [
            {"twin": twin, "ms": 1e3 * slow, "ratio": slow / ours, "target_ratio": target}
            for twin, slow, target in twins
        ],
        **work.bound(machine),
        **more,
    }
    made["times_the_bound"] = made["ms"] / made["bound_ms"]
    print(f"{what}: {made['ms']:.2f} ms, {made['times_the_bound']:.1f} x {made['bound_by']}")
    for twin in made["twins"]:
        print(f"  {twin['ratio']:.0f} times faster than {twin['twin']}", flush=True)
    return made


# Cluster-based noise on a map


def positions_and_labels() -> tuple[np.ndarray, np.ndarray, str]:
    """(N, 2) float32 positions, (N,) labels and what they are."""
    folder = os.environ.get("MISLABEL_DATA")
    if folder:
        positions = load_map(Path(folder) / "cifar10" / "clip_tsne_train.parquet")
        labels = np.load(Path(folder) / "published" / "cifar10-given-labels.npy")
        return positions, labels, "the published CIFAR-10 map"
    rng = np.random.default_rng(0)
    labels = rng.integers(C, size=N)
    middles = rng.normal(scale=60, size=(C, 2))
    positions = middles[labels] + rng.normal(scale=10, size=(N, 2))
    return positions.astype(np.float32), labels, "ten Gaussian blobs"


def research_loop(
    positions: np.ndarray, labels: np.ndarray, centres: list[np.ndarray], rows: np.ndarray
) -> np.ndarray:
    """CBN as research code does it, for some examples: class by class, example by example.

    The distance to every centre of the class by `numpy.linalg.norm`, without leaving the loop when
    one is near enough; each that is near enough looks for the nearest other centroid again.
    """
    noisy = labels.copy()
    centroids = [positions[labels == c].mean(axis=0) for c in range(C)]
    for label in range(C):
        chosen = positions[centres[label]]
        for i in rows[labels[rows] == label]:
            for centre in chosen:
                if np.linalg.norm(positions[i] - centre) < RADIUS:
                    nearest, least = label, math.inf
                    for other in range(C):
                        if other != label:
                            away = np.linalg.norm(positions[i] - centroids[other])
                            if away < least:
                                nearest, least = other, away
                    noisy[i] = nearest
    return noisy


def careful_loop(
    positions: np.ndarray, labels: np.ndarray, centres: list[np.ndarray]
) -> np.ndarray:
    """CBN by loops over Python numbers that stop at the first centre which is near enough."""
    points, given = positions.tolist(), labels.tolist()
    centroids = [positions[labels == c].mean(axis=0).tolist() for c in range(C)]
    chosen = [positions[rows].tolist() for rows in centres]
    noisy = list(given)
    for i, (x, y) in enumerate(points):
        for a, b in chosen[given[i]]:
            if ((x - a) ** 2 + (y - b) ** 2) ** 0.5 < RADIUS:
                away = [(x - a) ** 2 + (y - b) ** 2 for a, b in centroids]
                noisy[i] = min((c for c in range(C) if c != given[i]), key=away.__getitem__)
                break
    return np.array(noisy)


def the_problem(positions: np.ndarray, labels: np.ndarray, seed: int) -> Problem:
    return check_problem(labels, C, positions, None, None, None, seed, "cluster")


def bench_map(machine: Machine, positions: np.ndarray, labels: np.ndarray) -> list[Row]:
    """CBN by (n, r) with n = 57 and 190, and at a rate, on 50,000 points of a map."""
    rows = []
    exact = positions.astype(np.float64)
    sample = np.sort(np.random.default_rng(1).permutation(len(labels))[:1_000])
    for n in (57, 190):
        model = Cluster(n=n, r=RADIUS)
        noisy = model.corrupt(labels, positions=positions, seed=0)
        centres = cbn._centres_per_class(the_problem(positions, labels, 0), n)
        careful, found = once(lambda c=centres: careful_loop(exact, labels, c))
        assert np.array_equal(found, noisy.labels), "the careful loop disagrees"
        research, found = once(lambda c=centres: research_loop(exact, labels, c, sample))
        assert np.array_equal(found[sample], noisy.labels[sample]), "the research loop disagrees"
        share = f"{len(sample):,} of {len(labels):,} examples, scaled"
        rows.append(row(
            f"CBN n={n}, r={RADIUS:.0f}, {len(labels):,} points",
            timed(lambda m=model: m.corrupt(labels, positions=positions, seed=0)),
            map_work(len(labels), n, noisy.rate), machine,
            (f"the triple loop, linalg.norm each, no early exit ({share})",
             research * len(labels) / len(sample), 1_000 if n == 190 else None),
            ("a careful loop over Python floats, early exit", careful, None),
            target_ms=30, rate=noisy.rate,
        ))  # fmt: skip
    model = Cluster(rate=0.35)
    rows.append(row(
        f"CBN at an exact rate (57 centres a class), {len(labels):,} points",
        timed(lambda: model.corrupt(labels, positions=positions, seed=0)),
        map_work(len(labels), 57, 0.35), machine, rate=0.35,
    ))  # fmt: skip
    return rows


def map_work(size: int, n: int, rate: float) -> Work:
    """A product of matrices and a comparison for each example and centre of its class.

    Then for each flip all centroids, 6 operations each. Labels
    and positions are hashed (as float64) and read, labels are written.
    """
    return Work(
        moved=size * (8 + 8 + 8),
        hashed=size * (16 + 8),
        multiplied=2 * 3 * size * n,
        computed=size * n + 6 * size * rate * C,
    )


# PMD


def softmax_probabilities(labels: np.ndarray) -> np.ndarray:
    """(N, C) of a fairly good classifier."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(len(labels), C)) + 3 * np.eye(C)[labels]
    return np.asarray(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))


def plc_loop(probabilities: np.ndarray) -> np.ndarray:
    """Type 1 as PLC's code does it: the two likeliest of all at once, then a loop over examples.

    In every step it computes the levels of all examples anew and takes one of them for a binomial
    draw.
    """
    draw = np.random.RandomState(0)
    order = np.argsort(probabilities, axis=1)
    u, s = order[:, -1], order[:, -2]
    every = np.arange(len(order))
    f = 0.5 - 0.5 * (probabilities[every, u] - probabilities[every, s]) ** 2
    noisy = np.zeros(len(order), dtype=np.int64)
    for i in range(len(order)):
        level = np.maximum(1 - f, 0.5)
        first = draw.binomial(1, level[i] / 1.43, 1)
        noisy[i] = (first * u[i] + (1 - first) * s[i])[0]
    return noisy


def choice_loop(probabilities: np.ndarray) -> np.ndarray:
    """Type 1 with an argsort and a `choice` of two labels for each example."""
    draw, noisy = np.random.RandomState(0), []
    for eta in probabilities:
        s, u = np.argsort(eta)[-2:]
        p = min(1.0, max(0.5 + (eta[u] - eta[s]) ** 2 / 2, 0.5) / 1.43)
        noisy.append(draw.choice([u, s], p=[p, 1 - p]))
    return np.array(noisy)


def bench_pmd(machine: Machine, labels: np.ndarray) -> list[Row]:
    """PMD at an exact rate, and by the factor, for 50,000 examples."""
    given = softmax_probabilities(labels)
    plc, noisy = once(lambda: plc_loop(given))
    choice, again = once(lambda: choice_loop(given))
    ours = PMD(factor=1.43).corrupt(labels, probabilities=given).rate
    for found in (noisy, again):
        assert abs((found != labels).mean() - ours) < 0.02, "the twin disagrees"
    size = len(labels)
    twins = [
        ("PLC's loop, all levels anew in each step, binomial each (rate inexact)", plc, 200),
        ("a loop, argsort and choice each (rate inexact)", choice, None),
    ]
    # Two comparisons for each probability at least, the polynomial, the sort for the factor.
    work = Work(
        moved=8 * size * (C + 2),
        hashed=8 * size * (C + 1),
        computed=size * (2 * C + 8 + math.log2(size)),
        drawn=2 * size,
    )
    models = {"at an exact rate": PMD(rate=0.35), "at an exact rate per class":
              PMD(rate=0.35, per_class=True), "by the factor": PMD(factor=1.43)}  # fmt: skip
    return [
        row(f"PMD {how}, {size:,} examples",
            timed(lambda m=model: m.corrupt(labels, probabilities=given)), work, machine,
            *twins, target_ms=10)
        for how, model in models.items()
    ]  # fmt: skip


# Draws from a transition matrix


def multinomial_loop(labels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A multinomial draw for each example."""
    draw = np.random.RandomState(0)
    return np.array([draw.multinomial(1, matrix[y]).argmax() for y in labels])


def bench_transitions(machine: Machine, labels: np.ndarray, folder: Path) -> list[Row]:
    """Draws from five transition matrices for 50,000 examples."""
    mixed = np.random.default_rng(2).random((C, C)) + 25 * np.eye(C)
    mixed /= mixed.sum(axis=1, keepdims=True)
    np.save(folder / "matrix.npy", mixed)
    path = folder / "matrix.npy"
    eye, asymmetric = np.eye(C), class_map_matrix("cifar10", C)
    models: dict[str, tuple[NoiseModel, np.ndarray]] = {
        "symmetric": (Symmetric(rate=0.2), 0.8 * eye + 0.2 * (1 - eye) / (C - 1)),
        "pair flip": (PairFlip(rate=0.2), 0.8 * eye + 0.2 * np.roll(eye, 1, axis=1)),
        "asymmetric per class": (Asymmetric(rate=0.4, per_class=True),
                                 0.6 * eye + 0.4 * asymmetric),
        "class-dependent": (ClassDependent(matrix=path), mixed),
        "class-dependent at a rate": (ClassDependent(matrix=path, rate=0.3), mixed),
    }  # fmt: skip
    rows = []
    for name, (model, matrix) in models.items():
        slow, found = once(lambda m=matrix: multinomial_loop(labels, m))
        noisy = model.corrupt(labels)
        rate, size = noisy.rate, len(labels)
        if name != "class-dependent at a rate":
            assert abs((found != labels).mean() - rate) < 0.02, "the twin disagrees"
        # A random number for each example and each flip, about ten operations for each example.
        work = Work(moved=16 * size, hashed=8 * size, computed=10 * size, drawn=(1 + rate) * size)
        rows.append(row(
            f"{name}, {size:,} labels", timed(lambda m=model: m.corrupt(labels)), work, machine,
            ("a multinomial draw each (rate inexact)", slow, 25), target_ms=10, rate=rate,
        ))  # fmt: skip
    return rows


# A million examples in embedding space


def large_child(n: int, size: int) -> dict[str, Any]:
    """CBN on `size` x 64 float32 features at an exact rate; run in a process of its own."""
    rng = np.random.default_rng(0)
    labels = rng.integers(C, size=size)
    features = rng.standard_normal((size, WIDTH), dtype=np.float32)
    middles = rng.standard_normal((C, WIDTH), dtype=np.float32)
    for start in range(0, size, 2**14):  # so that the data are made in little more memory
        features[start : start + 2**14] += middles[labels[start : start + 2**14]]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = Cluster(rate=LARGE_RATE, n=n)
    took, noisy = once(lambda: model.corrupt(labels, positions=features, seed=0))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    again, _ = once(lambda: model.corrupt(labels, positions=features, seed=0))
    assert int(noisy.flipped.sum()) == round(LARGE_RATE * size)
    sample = np.sort(rng.permutation(size)[:300])
    problem = the_problem(features, labels, 0)
    centres = cbn._centres_per_class(problem, n)
    slow, distance = once(lambda: [
        min(np.linalg.norm(features[i] - features[c]) for c in centres[labels[i]]) for i in sample
    ])  # fmt: skip
    exact = plain_distances(features, labels, centres, sample)
    ours = cbn.distance_to_centres(problem, features, centres)[sample]
    flipped = noisy.flipped[sample]
    assert np.array_equal(ours, exact), "the plain distances differ"
    assert np.allclose(distance, exact, rtol=1e-5)
    assert exact[flipped].max() <= exact[~flipped].min(), "others than the nearest flipped"
    return {"times": [took, again], "peak_kib": peak, "before_kib": before,
            "twin": slow * size / len(sample), "sample": len(sample)}  # fmt: skip


def plain_distances(
    features: np.ndarray, labels: np.ndarray, centres: list[np.ndarray], sample: np.ndarray
) -> np.ndarray:
    """(n,) distance of some examples to the nearest centre of their class, number by number."""
    found = []
    for i in sample:
        x, nearest = features[i].tolist(), math.inf
        for centre in features[centres[labels[i]]].tolist():
            squared = 0.0
            for a, b in zip(x, centre, strict=True):
                squared += (a - b) * (a - b)
            nearest = min(nearest, math.sqrt(squared))
        found.append(nearest)
    return np.array(found)


def in_a_process_of_its_own(n: int, size: int) -> dict[str, Any]:
    """What `large_child` measures. To be asked while this process is small.

    A child's peak memory is at least that of the process that started it.
    """
    command = [sys.executable, __file__, "--child", str(n), "--large", str(size)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(answer.splitlines()[-1])
    return found


def bench_large(machine: Machine, n: int, size: int, found: dict[str, Any]) -> Row:
    """The child's measurements as a row."""
    flips = LARGE_RATE * size
    # Features are hashed as float64, and read at least once; the sums of classes, the product with
    # the centres and two comparisons of each result, one distance for each example and each flip.
    work = Work(
        moved=size * (4 * WIDTH + 16),
        hashed=size * (8 * WIDTH + 8),
        multiplied=2 * (WIDTH + 1) * (size * n + flips * C),
        computed=WIDTH * (size + 3 * (size + flips)) + 2 * (size * n + flips * C),
        drawn=size,
    )
    share = f"{found['sample']:,} examples, scaled"
    made = row(
        f"CBN n={n} at a rate, {size:,} x {WIDTH} float32", found["times"], work, machine,
        (f"linalg.norm for each example and centre, without targets ({share})", found["twin"],
         None),
        peak_gib=found["peak_kib"] / 2**20, data_gib=found["before_kib"] / 2**20,
        target_gib=4,
    )  # fmt: skip
    print(f"  peak memory {made['peak_gib']:.2f} GiB, {made['data_gib']:.2f} before the call")
    return made


# The page


def to_markdown(content: dict[str, Any]) -> str:
    """The page that shows the results."""
    machine = content["machine"]
    lines = [
        "# Speed and memory of noise",
        "",
        f"`python benchmarks/noise.py` on {content['cores']} cores ({content['processor']}), "
        f"load {content['load'][0]:.1f} at the start and {content['load'][1]:.1f} at the end; "
        f"positions are {content['positions']}. "
        f"Versions: {', '.join(f'{k} {v}' for k, v in content['versions'].items())}.",
        "",
        "Times are medians of whole calls of `corrupt`, checks and receipt included "
        f"({content['rows'][0]['calls']} calls; 2 for the large ones), in brackets the best. ",
        "The bound is the time that one core needs at least, as measured in the same run: "
        f"it copies {machine['copied'] / 1e9:.1f} GB/s (reads and writes counted), hashes "
        f"{machine['hashed'] / 1e9:.2f} GB/s (SHA-256), multiplies matrices at "
        f"{machine['multiplied'] / 1e9:.0f} Gflop/s (float32), does "
        f"{machine['computed'] / 1e9:.1f} G operations/s on float64 in the cache and draws "
        f"{machine['drawn'] / 1e6:.0f} M random numbers/s.",
        "",
        "| what | ms | target | bound, ms | bound by | times the bound |",
        "|---|---:|---:|---:|---|---:|",
    ]
    for entry in content["rows"]:
        target = "" if entry["target_ms"] is None else f"< {entry['target_ms']:.0f}"
        lines.append(
            f"| {entry['what']} | {entry['ms']:.2f} ({entry['best_ms']:.2f}) | {target} "
            f"| {entry['bound_ms']:.2f} | {entry['bound_by']} | {entry['times_the_bound']:.1f} |"
        )
    lines += [
        "",
        "| what | plain twin | its time, ms | ratio | target |",
        "|---|---|---:|---:|---:|",
    ]
    for entry in content["rows"]:
        for twin in entry["twins"]:
            target = "" if twin["target_ratio"] is None else f"{twin['target_ratio']:,}"
            lines.append(
                f"| {entry['what']} | {twin['twin']} | {twin['ms']:,.0f} | {twin['ratio']:,.0f} "
                f"| {target} |"
            )
    lines += ["", "| what | peak memory, GiB | before the call | target |", "|---|---:|---:|---:|"]
    for entry in content["rows"]:
        if "peak_gib" in entry:
            lines.append(
                f"| {entry['what']} | {entry['peak_gib']:.2f} | {entry['data_gib']:.2f} "
                f"| < {entry['target_gib']} |"
            )
    return "\n".join([*lines, ""])


def main() -> None:
    """Run everything and write the results beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", type=int, default=LARGE, help="examples of the large rows")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(large_child(arguments.child, arguments.large)))
        return
    load = os.getloadavg()[0]
    large = {n: in_a_process_of_its_own(n, arguments.large) for n in (57, 190)}
    positions, labels, kind = positions_and_labels()
    machine = Machine.measured()
    rows = bench_map(machine, positions, labels) + bench_pmd(machine, labels)
    with tempfile.TemporaryDirectory() as folder:
        rows += bench_transitions(machine, labels, Path(folder))
    rows += [bench_large(machine, n, arguments.large, found) for n, found in large.items()]
    content = {
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
        "load": [load, os.getloadavg()[0]],
        "positions": kind,
        "versions": library_versions("numpy", "scipy"),
        "machine": vars(machine),
        "rows": rows,
    }
    write_json(HERE / "noise.json", content)
    write_text(HERE / "noise.md", to_markdown(content))


if __name__ == "__main__":
    main()
