"""Adaptive targets: seconds and peak memory beyond the neighbour search, and against plain twins.

    python benchmarks/cleaning.py              # prints the table, writes cleaning.json, cleaning.md
    python benchmarks/cleaning.py --million    # also a million examples, which takes ten minutes

Synthetic Gaussian blobs that overlap, ten to a class where there are many dimensions; 20 % of the
labels are wrong, half of them in patches. Each line is measured in a process of its own with one
thread; the neighbours are searched in another, so that peak memory is that of the targets. Seconds
are those of the processor, with those on the clock beside them. What a twin finds is compared with
what we find.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from machine import processor

from mislabel.cleaning import adaptive, adaptive_targets, neighbors_needed
from mislabel.features import nearest_neighbors
from mislabel.features.graph import NeighborGraph
from mislabel.files import write_json, write_text
from mislabel.noise import make_noise
from mislabel.versions import library_versions

HERE = Path(__file__).parent
Row = dict[str, Any]
Arrays = np.ndarray
DATA = {
    "map-50000": (50_000, 2, 10),
    "wide-10": (50_000, 512, 10),
    "wide-100": (50_000, 512, 100),
    "map-2000": (2_000, 2, 10),
    "map-10000": (10_000, 2, 10),
    "map-100000": (100_000, 2, 10),
    "map-200000": (200_000, 2, 10),
    "million": (1_000_000, 16, 10),
}
"Examples, dimensions and classes."
SCALING = ("map-10000", "map-50000", "map-100000", "map-200000")
MIDDLES = {2: 45.0, 16: 6.0, 512: 1.6}
"Spread of the middles of blobs, by dimensions; that of a blob is 10 on the map, else 1, per axis."


# The data


def points(n_examples: int, dimensions: int, n_classes: int) -> tuple[Arrays, Arrays]:
    """(N, d) float32 points and (N,) labels, wrong for 20 % of them."""
    rng = np.random.default_rng(0)
    n_blobs = 10 if dimensions == 2 else 100
    blob = rng.integers(n_blobs, size=n_examples)
    scale = 10 if dimensions == 2 else 1
    middles = rng.normal(scale=MIDDLES[dimensions], size=(n_blobs, dimensions))
    found = rng.standard_normal((n_examples, dimensions), dtype=np.float32)
    found = found * np.float32(scale) + middles[blob].astype(np.float32)
    clean = blob * n_classes // n_blobs
    labels = make_noise("symmetric:0.1").corrupt(clean, n_classes=n_classes, seed=0).labels.copy()
    for _ in range(20 * n_classes):  # patches of about 0.5 % of a class
        i, j = rng.integers(n_examples), rng.integers(n_classes)
        members = np.flatnonzero(clean == clean[i])
        apart = np.square(found[members] - found[i]).sum(axis=1)
        size = max(1, len(members) // 200)
        labels[members[np.argpartition(apart, size)[:size]]] = j
    return found, labels


def prepare(name: str, folder: Path) -> Row:
    """Files of points, labels and neighbours; how long the search took."""
    n_examples, dimensions, n_classes = DATA[name]
    found, labels = points(n_examples, dimensions, n_classes)
    started = time.perf_counter(), time.process_time()
    near = nearest_neighbors(
        found, neighbors_needed(n_examples, n_classes), approximate=name == "million"
    )[1]
    spent = time.process_time() - started[1], time.perf_counter() - started[0]
    for kind, array in (("points", found), ("labels", labels), ("near", near)):
        np.save(folder / f"{name}-{kind}.npy", array)
    return {"cpu": spent[0], "clock": spent[1], "peak_mib": peak_mib()}


def load(name: str, folder: Path) -> tuple[Arrays, Arrays, Arrays, int]:
    """Points, labels, neighbours and classes."""
    found = (np.load(folder / f"{name}-{kind}.npy") for kind in ("points", "labels", "near"))
    return (*found, DATA[name][2])


# Timing


def ours(name: str, folder: Path, repeats: int) -> Row:
    """Least seconds of some calls, and peak memory before and after them."""
    features, labels, near, n_classes = load(name, folder)
    warm = slice(0, 300)
    adaptive_targets(features[warm], labels[warm], n_classes=n_classes)  # libraries are loaded
    before = peak_mib()
    spent = [timed(lambda: adaptive_targets(features, labels, n_classes=n_classes, neighbors=near))
             for _ in range(repeats)]  # fmt: skip
    found = spent[0][2]
    return {
        "cpu": min(s[0] for s in spent), "clock": min(s[1] for s in spent), "calls": repeats,
        "before_mib": before, "peak_mib": peak_mib(), "stability": found.stability,
        "determined": found.determined, "region_size": found.region_size,
    }  # fmt: skip


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds of processor time and on the clock, and what the call returns."""
    started = time.perf_counter(), time.process_time()
    found = call()
    return time.process_time() - started[1], time.perf_counter() - started[0], found


def peak_mib() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


# Twins


def against_walk(name: str, folder: Path) -> Row:
    """The Chebyshev series against steps of the walk, one by one, on the labels."""
    _, labels, near, n_classes = load(name, folder)
    graph = NeighborGraph.of(near)
    time_ = graph.time_for(len(labels) / (2 * n_classes))
    held = np.eye(n_classes, dtype=np.float32)[labels]
    series, _, found = min((timed(lambda: graph.diffuse(held, time_)) for _ in range(3)),
                           key=lambda s: s[0])  # fmt: skip
    steps, _, walked = timed(lambda: walk(graph.step, held, round(time_)))
    return {
        "time": time_, "cpu": series, "twin_cpu": steps, "ratio": steps / series,
        "apart": float(np.abs(found - walked).max()),
        "same_class": float((found.argmax(axis=1) == walked.argmax(axis=1)).mean()),
    }  # fmt: skip


def walk(step: Any, values: Arrays, steps: int) -> Arrays:
    """Means over where walks of so many steps end."""
    for _ in range(steps):
        values = step @ values
    return values


def against_twin(name: str, folder: Path) -> Row:
    """The whole against dense matrices and loops over examples."""
    features, labels, near, n_classes = load(name, folder)
    call = lambda: adaptive_targets(features, labels, n_classes=n_classes, neighbors=near)  # noqa: E731
    call()
    cpu, _, found = min((timed(call) for _ in range(5)), key=lambda s: s[0])
    rates = rates_of(call)
    twin, _, plain = timed(lambda: plain_targets(labels, near, n_classes, rates))
    targets, stability = plain
    assert abs(stability - found.stability) < 1e-3, (stability, found.stability)
    apart = float(np.abs(targets - found.targets).max())
    assert apart < 1e-3, apart
    return {"cpu": cpu, "twin_cpu": twin, "ratio": twin / cpu, "apart": apart,
            "examples": len(labels)}  # fmt: skip


def rates_of(call: Callable[[], Any]) -> Any:
    """The evidence that a call weighs: equal shares are cut by rounding, so a twin is given it."""
    combine, seen = adaptive._combine, []

    def watch(labels: Arrays, around: Arrays, places: Arrays, evidence: Any) -> Any:
        seen.append(evidence)
        return combine(labels, around, places, evidence)

    adaptive._combine = watch
    call()
    adaptive._combine = combine
    return seen[0]


def plain_targets(
    labels: Arrays, near: Arrays, n_classes: int, evidence: Any
) -> tuple[Arrays, float]:
    """(N, C) targets and stability, with the same times and sizes of walks."""
    n = len(labels)
    step = plain_walk(near[:, :15])
    graph = NeighborGraph.of(near)
    size = max(2.0, adaptive.REGION * n / n_classes)
    time_, longer = (graph.time_for(each) for each in (size, adaptive.WIDER * n / n_classes))
    held = np.eye(n_classes)[labels]
    kernel = heat(step, time_)
    shares = kernel @ held
    regions = shares.argmax(axis=1)
    wider = (heat(step, min(longer, adaptive.FARTHEST * time_)) @ held).argmax(axis=1)
    stability = plain_stability(shares, regions, wider, graph.size(time_))
    around = heat(step, time_ / adaptive.NARROWER) @ np.eye(n_classes)[regions]
    places = plain_places(labels, near, shares, graph.own_weight(time_), size, n_classes)
    rows = plain_bayes(labels, around, places, evidence, n_classes)
    return (1 - adaptive.UNCERTAIN) * rows + adaptive.UNCERTAIN / n_classes, stability


def plain_stability(shares: Arrays, regions: Arrays, wider: Arrays, size: float) -> float:
    """The lesser kappa of regions with wider ones, and with those of labels drawn once more."""
    n, n_classes = shares.shape
    again = 0.0
    for row in shares:
        second, first = sorted(row)[-2:]
        error = math.sqrt(max(first + second - (first - second) ** 2, 1e-12) / size)
        again += NormalDist().cdf((first - second) / error) / n
    own, other = ([sum(found == c) / n for c in range(n_classes)] for found in (regions, wider))
    kept = ((regions == wider).mean(), sum(p * q for p, q in zip(own, other, strict=True)))
    drawn = (again, sum(p * p for p in own))
    return min((same - chance) / (1 - chance) for same, chance in (kept, drawn))


def plain_walk(near: Arrays) -> Arrays:
    """(N, N) dense walk between nearest neighbours."""
    joined = np.zeros((len(near), len(near)))
    for i, row in enumerate(near):
        for j in row:
            joined[i, j] += 1
            joined[j, i] += 1
    degrees = joined.sum(axis=1)
    joined /= degrees[:, None] * degrees
    return joined / joined.sum(axis=1, keepdims=True)


def heat(step: Arrays, time_: float) -> Arrays:
    """(N, N) kernel of the walk of that time."""
    from scipy.linalg import expm

    return expm(-time_ * (np.eye(len(step)) - step))


def plain_places(
    labels: Arrays, near: Arrays, shares: Arrays, own: float, size: float, n_classes: int
) -> Arrays:
    """(N, C) the mixture over scales, example by example."""
    n = len(labels)
    overall = np.bincount(labels, minlength=n_classes) / n
    scales = sorted({min(k, near.shape[1]) for k in adaptive.SCALES})
    votes = np.empty((len(scales) + 1, n, n_classes))
    for i in range(n):
        for s, k in enumerate(scales):
            counts = np.zeros(n_classes)
            for j in near[i, :k]:
                counts[labels[j]] += 1
            votes[s, i] = (counts + overall) / (k + 1)
        wide = shares[i].copy()
        wide[labels[i]] = max(0.0, wide[labels[i]] - own)
        votes[-1, i] = (size * wide / wide.sum() + overall) / (size + 1)
    weights = np.full(len(votes), 1 / len(votes))
    for _ in range(100):
        total = np.zeros(len(votes))
        for i in range(n):
            claims = weights * votes[:, i, labels[i]]
            total += claims / claims.sum()
        weights = total / n
    return np.tensordot(weights, votes, axes=1)


def plain_bayes(
    labels: Arrays, around: Arrays, places: Arrays, evidence: Any, n_classes: int
) -> Arrays:
    """(N, C) Bayes' rule, example by example and class by class."""
    patches, noise = evidence.believed()
    patches += np.float32(1e-6)
    as_place, as_region, as_other = evidence.in_patch
    found = np.empty((len(labels), n_classes))
    for i, label in enumerate(labels):
        prior = (1 - adaptive.REGION_ERROR) * around[i] + adaptive.REGION_ERROR / n_classes
        place = np.full(n_classes, 1 / n_classes)
        for _ in range(adaptive.UNMIXING_STEPS):
            place = place * (noise @ (places[i] / np.maximum(place @ noise, 1e-9)))
        place = (1 - adaptive.MISPLACED) * place / place.sum() + adaptive.MISPLACED / n_classes
        doubt = min(1.0, (1 - place.max()) / adaptive.AMBIGUOUS)
        place = place / (prior @ patches)
        for y in range(n_classes):
            trust = 1 - doubt * min(1.0, adaptive.DOUBT + 1 - noise[y, y])
            total = place[y] * patches[y, y] * (noise[y, label] + 1e-12) ** trust
            for b in range(n_classes):
                if b != y:
                    other = as_other / max(n_classes - 2, 1)
                    seen = as_region if label == y else as_place if label == b else other
                    total += place[b] * patches[y, b] * seen
            found[i, y] = prior[y] * total
        found[i] /= found[i].sum()
    return found


LINES: dict[str, Callable[..., Row]] = {
    "prepare": prepare,
    "ours": lambda name, folder: ours(name, folder, 1 if name == "million" else 2),
    "walk": against_walk,
    "twin": against_twin,
}


def child(line: str, name: str, folder: Path) -> Row:
    """A line, measured in a process of its own with one thread."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, __file__, "--child", line, name, str(folder)]
    answer = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | one
    )
    row: Row = json.loads(answer.stdout.splitlines()[-1])
    print(line, name, {k: round(v, 4) for k, v in row.items()}, flush=True)
    return row


def measure(million: bool) -> Row:
    """All lines."""
    found: Row = {"whole": {}}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in DATA:
            if name == "million" and not million:
                continue
            search = child("prepare", name, folder)
            if name == "map-2000":
                found["twin"] = child("twin", name, folder)
            else:
                found["whole"][name] = child("ours", name, folder) | {"search": search}
            if name == "map-50000":
                found["walk"] = child("walk", name, folder)
            for file in folder.iterdir():
                file.unlink()
    return found


def to_markdown(content: Row) -> str:
    """The page that shows the results."""
    load_ = content["load"]
    versions = ", ".join(f"{k} {v}" for k, v in content["versions"].items())
    lines = [
        "# Speed and memory of adaptive targets",
        "",
        f"`python benchmarks/cleaning.py{' --million' if content['million'] else ''}` on "
        f"{content['processor']}, one thread a process, load {load_[0]:.1f} at the start and "
        f"{load_[1]:.1f} at the end of {content['cores']} cores. Versions: {versions}.",
        "",
        "Synthetic blobs that overlap, 20 % of the labels wrong, half of them in patches. Seconds "
        "are beyond the neighbour search, which is beside them; peak memory is that of a process "
        "that reads points, labels and neighbours and makes the targets, libraries included.",
        "",
        "| examples x dimensions, classes | processor, s | clock, s | search, clock, s | "
        "peak memory, MiB | before the call | determined |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, row in content["whole"].items():
        n_examples, dimensions, n_classes = DATA[name]
        lines.append(
            f"| {n_examples:,} x {dimensions}, {n_classes} | {row['cpu']:.1f} | {row['clock']:.1f} "
            f"| {row['search']['clock']:.1f}{' (approximate)' if name == 'million' else ''} | "
            f"{row['peak_mib']:,.0f} | {row['before_mib']:,.0f} | "
            f"{'yes' if row['determined'] else 'no'} |"
        )
    small, large = (content["whole"][name] for name in (SCALING[0], SCALING[-1]))
    sizes = [DATA[name][0] for name in (SCALING[0], SCALING[-1])]
    power = np.log(large["cpu"] / small["cpu"]) / np.log(sizes[1] / sizes[0])
    twin, walked = content["twin"], content["walk"]
    return "\n".join([
        *lines,
        "",
        f"From {sizes[0]:,} to {sizes[1]:,} examples of a map the time grows with the number of "
        f"examples to the power {power:.2f}: a region has more examples, and walks are longer.",
        "",
        "| what | processor, s | plain twin | its processor time, s | ratio |",
        "|---|---:|---|---:|---:|",
        f"| {twin['examples']:,} examples on a map, all of it | {twin['cpu']:.3f} | dense heat "
        f"kernels, loops over examples and classes; entries differ by at most {twin['apart']:.0e} "
        f"| {twin['twin_cpu']:.1f} | {twin['ratio']:.0f} |",
        f"| one walk of time {walked['time']:.0f} over 50,000 examples | {walked['cpu']:.2f} | "
        f"as many steps, one by one; {100 * walked['same_class']:.2f} % have the same leading "
        f"class | {walked['twin_cpu']:.2f} | {walked['ratio']:.1f} |",
        "",
        "The twin is given the times and sizes of walks, the share that returns to its start and "
        "the rates of patches and noise.",
        "",
    ])  # fmt: skip


def main() -> None:
    """Run everything and write the results beside this file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--million", action="store_true", help="also a million examples")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        line, name, folder = asked.child
        print(json.dumps(LINES[line](name, Path(folder))))
        return
    load_ = os.getloadavg()[0]
    content = {
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
        "million": asked.million,
        "versions": library_versions("numpy", "scipy", "scikit-learn", "faiss-cpu"),
        **measure(asked.million),
        "load": [load_, os.getloadavg()[0]],
    }
    write_json(HERE / "cleaning.json", content)
    write_text(HERE / "cleaning.md", to_markdown(content))


if __name__ == "__main__":
    main()
