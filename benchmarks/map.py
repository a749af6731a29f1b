"""Speed and faithfulness of the t-SNE map against scikit-learn's, in one run on the same cores.

    python benchmarks/map.py                        # 50,000 x 512 synthetic clusters
    python benchmarks/map.py --points cifar10       # pixel features of CIFAR-10's training images
    python benchmarks/map.py --size 10000           # fewer points

Faithfulness is the share of the 30 nearest neighbours in the features that are among the 30
nearest on the map, over 5,000 examples. Adds a row to map.json, by points and size, and writes
map.md. CIFAR-10 is looked for in the folder that MISLABEL_DATA names. With 50,000 points
scikit-learn's t-SNE takes about ten minutes on two cores. Seconds of processor time are beside
those on the clock, for machines that do other work too.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from mislabel.data import load_data
from mislabel.features import encode, nearest_neighbors
from mislabel.features.maps import embed_tsne, median_radius
from mislabel.files import atomic_path, write_json
from mislabel.versions import library_versions

HERE = Path(__file__).parent
K, SAMPLE, PERPLEXITY = 30, 5_000, 30.0


def synthetic(size: int) -> np.ndarray:
    """(size, 512) ten Gaussian clusters, as far apart as their own spread."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(10, 512))
    labels = rng.integers(10, size=size)
    return np.asarray(centres[labels] + rng.normal(size=(size, 512)), dtype=np.float32)


def kept(true: np.ndarray, positions: np.ndarray) -> float:
    """Share of the true neighbours that are neighbours on the map."""
    _, found = nearest_neighbors(positions, K)
    rows = np.random.default_rng(1).permutation(len(true))[:SAMPLE]
    return float(np.mean([len(np.intersect1d(true[i], found[i])) for i in rows])) / K


def cifar10(size: int) -> np.ndarray:
    """(size, d) pixel features of the first training images."""
    data = load_data(f"cifar10:{Path(os.environ['MISLABEL_DATA']) / 'cifar10'}")
    return encode("pixels", data.x_train[:size])


POINTS = {"synthetic": synthetic, "cifar10": cifar10}


def main() -> None:
    """Measure both and write the results beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=50_000)
    parser.add_argument("--points", choices=POINTS, default="synthetic")
    arguments = parser.parse_args()
    points = POINTS[arguments.points](arguments.size)
    _, true = nearest_neighbors(points, K)
    found: dict[str, dict[str, Any]] = {}
    for tool, embed in {"mislabel": _ours, "scikit-learn": _theirs}.items():
        start, processor = time.perf_counter(), time.process_time()
        positions = embed(points)
        found[tool] = {
            "seconds": time.perf_counter() - start,
            "processor_seconds": time.process_time() - processor,
            "kept": kept(true, positions),
            "median_radius": median_radius(positions),
        }
        print(tool, found[tool], flush=True)
    ours, theirs = found["mislabel"], found["scikit-learn"]
    row = {
        "points": arguments.points,
        "shape": list(points.shape),
        "cores": len(os.sched_getaffinity(0)),
        "versions": library_versions("openTSNE", "scikit-learn", "numpy"),
        "tools": found,
        "speed_ratio": theirs["seconds"] / ours["seconds"],
        "processor_ratio": theirs["processor_seconds"] / ours["processor_seconds"],
        "kept_ratio": ours["kept"] / theirs["kept"],
    }
    file = HERE / "map.json"
    rows = json.loads(file.read_text()) if file.is_file() else []
    key = (row["points"], row["shape"])
    rows = sorted(
        [*(r for r in rows if (r["points"], r["shape"]) != key), row],
        key=lambda r: (r["points"], r["shape"]),
    )
    write_json(file, rows)
    with atomic_path(HERE / "map.md") as path:
        path.write_text(_page(rows))


def _ours(points: np.ndarray) -> np.ndarray:
    return embed_tsne(points, PERPLEXITY, seed=0)


def _theirs(points: np.ndarray) -> np.ndarray:
    from sklearn.manifold import TSNE

    model = TSNE(perplexity=PERPLEXITY, init="pca", random_state=0, n_jobs=-1)
    return np.asarray(model.fit_transform(points))


def _page(rows: list[dict[str, Any]]) -> str:
    lines = [
        "# The map against scikit-learn's t-SNE",
        "",
        f"`python benchmarks/map.py --points NAME --size N`, perplexity {PERPLEXITY:.0f}. Kept is "
        f"the share of the {K} nearest neighbours that are so on the map; the radius is the median "
        "distance to the 30th neighbour before our map is scaled to the published one's.",
        "",
        "| points | cores | tool | seconds | of processor time | kept | radius |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        name = f"{row['points']}, {row['shape'][0]:,} x {row['shape'][1]}"
        for tool, found in row["tools"].items():
            lines.append(
                f"| {name} | {row['cores']} | {tool} | {found['seconds']:.0f} "
                f"| {found['processor_seconds']:.0f} | {found['kept']:.4f} "
                f"| {found['median_radius']:.2f} |"
            )
        lines.append(
            f"| | | **ratio** | {row['speed_ratio']:.1f} | {row['processor_ratio']:.1f} "
            f"| {row['kept_ratio']:.2f} | |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
