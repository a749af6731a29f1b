"""Speed of neighbours, targets and loading, as ratios to plain twins timed in the same run.

    python benchmarks/run.py            # prints the table, writes results.json and results.md

Noise is measured by `noise.py`, the map by `map.py`.

Positions are the published CIFAR-10 map where MISLABEL_DATA names the data folder, else as many
points in ten Gaussian blobs. Each fast version is timed as the median of several calls after a
warm-up, each plain twin once. Twins are written here as one would write them at first.
"""

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mislabel.features import nearest_neighbors
from mislabel.files import write_json, write_text
from mislabel.learning import soft_neighbor_targets
from mislabel.learning.networks import build_network
from mislabel.learning.resident import Normalisation, ResidentExamples
from mislabel.versions import library_versions
from noise import once, positions_and_labels, seconds

HERE = Path(__file__).parent
N, C = 50_000, 10
Row = dict[str, Any]


def row(what: str, fast: float, twin: str, slow: float) -> Row:
    """One line of the table."""
    print(f"{what}: {1e3 * fast:.1f} ms, {slow / fast:.0f} times faster than {twin}", flush=True)
    return {"what": what, "ms": 1e3 * fast, "twin": twin, "twin_ms": 1e3 * slow,
            "ratio": slow / fast}  # fmt: skip


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
    rows = [*bench_neighbors(positions, labels), *bench_loading()]
    content = {
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "positions": kind,
        "versions": library_versions("numpy", "scipy", "torch", "faiss-cpu"),
        "rows": rows,
    }
    write_json(HERE / "results.json", content)
    write_text(HERE / "results.md", to_markdown(content))


if __name__ == "__main__":
    main()
