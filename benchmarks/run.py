"""Speed of what the product exists for, as ratios to plain twins timed in the same run.

    python benchmarks/run.py            # prints the table, writes results.json and results.md

Positions are the published CIFAR-10 map where MISLABEL_DATA names the data folder, else as many
points in ten Gaussian blobs. Each fast version is timed as the median of several calls after a
warm-up, each plain twin once. Twins are written here as one would write them at first.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mislabel.features import load_map, nearest_neighbors
from mislabel.learning import soft_neighbor_targets
from mislabel.learning.networks import build_network
from mislabel.learning.resident import Normalisation, ResidentExamples
from mislabel.noise import PMD, Cluster, Symmetric
from mislabel.noise.base import check_problem
from mislabel.noise.cluster import distance_to_centres, nearest_other_class
from mislabel.versions import library_versions

HERE = Path(__file__).parent
N, C = 50_000, 10
Row = dict[str, Any]


def seconds(call: Callable[[], Any], repeats: int = 7) -> float:
    """Median wall-clock seconds of a call, after one that does not count."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def once(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one call, and what it returns."""
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, found


def row(what: str, fast: float, twin: str, slow: float) -> Row:
    """One line of the table."""
    print(f"{what}: {1e3 * fast:.1f} ms, {slow / fast:.0f} times faster than {twin}", flush=True)
    return {"what": what, "ms": 1e3 * fast, "twin": twin, "twin_ms": 1e3 * slow,
            "ratio": slow / fast}  # fmt: skip


def positions_and_labels() -> tuple[np.ndarray, np.ndarray, str]:
    """(N, 2) positions, (N,) labels and what they are."""
    folder = os.environ.get("MISLABEL_DATA")
    if folder:
        positions = load_map(Path(folder) / "cifar10" / "clip_tsne_train.parquet")
        labels = np.load(Path(folder) / "published" / "cifar10-given-labels.npy")
        return positions.astype(np.float64), labels, "published CIFAR-10 map"
    rng = np.random.default_rng(0)
    labels = rng.integers(C, size=N)
    centres = rng.normal(scale=60, size=(C, 2))
    return centres[labels] + rng.normal(scale=10, size=(N, 2)), labels, "ten Gaussian blobs"


def cluster_twin(
    positions: np.ndarray, labels: np.ndarray, centres: list[np.ndarray], radius: float
) -> list[int]:
    """CBN by three loops: examples, centres of their class, classes."""
    points, given = positions.tolist(), labels.tolist()
    centroids = [positions[labels == c].mean(axis=0).tolist() for c in range(C)]
    chosen = [positions[rows].tolist() for rows in centres]
    noisy = list(given)
    for i, (x, y) in enumerate(points):
        for a, b in chosen[given[i]]:
            if ((x - a) ** 2 + (y - b) ** 2) ** 0.5 < radius:
                best = None
                for c in range(C):
                    away = ((x - centroids[c][0]) ** 2 + (y - centroids[c][1]) ** 2) ** 0.5
                    if c != given[i] and (best is None or away < best[0]):
                        best = (away, c)
                noisy[i] = best[1] if best else given[i]
                break
    return noisy


def bench_cluster(positions: np.ndarray, labels: np.ndarray) -> Row:
    """CBN n=190, r=2 on 50,000 points: the whole call against the triple loop."""
    model = Cluster(n=190, r=2.0)
    fast = seconds(lambda: model.corrupt(labels, positions=positions, seed=0))
    problem = check_problem(labels, C, positions, None, None, None, 0, "cluster")
    members = [np.flatnonzero(labels == c) for c in range(C)]
    centres = [problem.rng.choice(m, size=190, replace=False) for m in members]
    slow, noisy = once(lambda: cluster_twin(positions, labels, centres, 2.0))
    flipped = distance_to_centres(problem, problem.positions, centres) < 2.0
    expected = labels.copy()
    expected[flipped] = nearest_other_class(problem, problem.positions, flipped)
    assert np.array_equal(noisy, expected), "the twin disagrees"
    return row("CBN n=190, 50,000 points on a map", fast, "three loops", slow)


def bench_draws(labels: np.ndarray) -> list[Row]:
    """Symmetric and PMD draws for 50,000 examples against loops over examples."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(N, C)) + 3 * np.eye(C)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    def symmetric_twin() -> list[int]:
        draw = np.random.RandomState(0)
        matrix = np.full((C, C), 0.2 / (C - 1))
        np.fill_diagonal(matrix, 0.8)
        return [int(draw.multinomial(1, matrix[y]).argmax()) for y in labels]

    def pmd_twin() -> list[int]:
        draw, found = np.random.RandomState(0), []
        for eta in probabilities:
            u, s = np.argsort(eta)[::-1][:2]
            d = eta[u] - eta[s]
            p = min(1.0, max(1 - (0.5 - d**2 / 2), 0.5) / 1.43)
            found.append(int(u if draw.random_sample() < p else s))
        return found

    symmetric = seconds(lambda: Symmetric(rate=0.2).corrupt(labels, seed=0))
    pmd = seconds(lambda: PMD(rate=0.35).corrupt(labels, probabilities=probabilities, seed=0))
    return [
        row("symmetric, 50,000 labels", symmetric, "a multinomial draw each",
            once(symmetric_twin)[0]),
        row("PMD at an exact rate, 50,000 labels", pmd, "a loop, inexact rate",
            once(pmd_twin)[0]),
    ]  # fmt: skip


def bench_neighbors(positions: np.ndarray, labels: np.ndarray) -> list[Row]:
    """100 neighbours on the map, and soft targets from them."""
    import faiss

    points = positions.astype(np.float32)

    def flat() -> None:
        index = faiss.IndexFlatL2(2)
        index.add(points)
        index.search(points, 101)

    def targets_twin() -> list[list[float]]:
        rows, given = neighbors.tolist(), labels.tolist()
        found = []
        for i, near in enumerate(rows):
            target = [0.0] * C
            for j in near:
                target[given[j]] += 0.7 / len(near)
            target[given[i]] += 0.3
            found.append(target)
        return found

    tree = seconds(lambda: nearest_neighbors(points, 100), repeats=3)
    _, neighbors = nearest_neighbors(points, 100)
    fast = seconds(lambda: soft_neighbor_targets(labels, neighbors, C))
    slow, twin = once(targets_twin)
    assert np.allclose(twin, soft_neighbor_targets(labels, neighbors, C), atol=1e-5)
    return [
        row("100 neighbours of 50,000 points in 2-D", tree, "FAISS, all pairs", once(flat)[0]),
        row("SNLS targets from 50,000 x 100 neighbours", fast, "two loops", slow),
    ]


def bench_loading() -> list[Row]:
    """Crop, flip and normalise 50,000 images of 32 x 32, against PIL image by image."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(N, 32, 32, 3), dtype=np.uint8)
    normalisation = Normalisation.of(images[:1000])
    resident = ResidentExamples(images, normalisation, torch.device("cpu"), augment=True)
    generator = torch.Generator().manual_seed(0)

    def epoch() -> None:
        for index in torch.randperm(N).split(128):
            resident.batch(index, generator)

    def twin_share() -> None:
        for image in images[: N // 10]:
            padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
            top, left = np.random.randint(9, size=2)  # noqa: NPY002 - as such pipelines do
            picture = Image.fromarray(padded).crop((left, top, left + 32, top + 32))
            if np.random.random() < 0.5:  # noqa: NPY002
                picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            tensor = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float()
            (tensor - 120) / 60

    fast = seconds(epoch, repeats=3)
    slow = 10 * once(twin_share)[0]
    share = fast / (fast + N / 128 * _step_seconds(resident, generator))
    loading = row("load and augment 50,000 images", fast, "PIL, one by one (a tenth, x 10)", slow)
    print(f"  which is {100 * share:.1f} % of an epoch with the small CNN")
    return [loading | {"share_of_epoch_with_cnn": share}]


def _step_seconds(resident: ResidentExamples, generator: torch.Generator) -> float:
    """One training step of the small CNN with a batch of 128 that is already loaded."""
    network = build_network("cnn", (32, 32, 3), C).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, fused=True)
    inputs = resident.batch(torch.arange(128), generator)
    labels = torch.arange(128) % C

    def step() -> None:
        loss = torch.nn.functional.cross_entropy(network(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return seconds(step)


def to_markdown(content: dict[str, Any]) -> str:
    """The page that shows the results."""
    lines = [
        "# Speed",
        "",
        f"`python benchmarks/run.py` on {content['cores']} cores, {content['positions']}."
        f" Versions: {', '.join(f'{k} {v}' for k, v in content['versions'].items())}.",
        "",
        "| what | time, ms | plain twin | its time, ms | ratio |",
        "|---|---:|---|---:|---:|",
    ]
    for entry in content["rows"]:
        lines.append(
            f"| {entry['what']} | {entry['ms']:.1f} | {entry['twin']} | {entry['twin_ms']:.0f} "
            f"| {entry['ratio']:.0f} |"
        )
        if "share_of_epoch_with_cnn" in entry:
            share = 100 * entry["share_of_epoch_with_cnn"]
            lines.append(f"| its share of an epoch with the small CNN | {share:.1f} % | | | |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Run everything and write the results beside this file."""
    positions, labels, kind = positions_and_labels()
    rows = [bench_cluster(positions, labels), *bench_draws(labels)]
    rows += [*bench_neighbors(positions, labels), *bench_loading()]
    content = {
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "positions": kind,
        "versions": library_versions("numpy", "scipy", "torch", "faiss-cpu"),
        "rows": rows,
    }
    (HERE / "results.json").write_text(json.dumps(content, indent=2) + "\n")
    (HERE / "results.md").write_text(to_markdown(content))


if __name__ == "__main__":
    main()
