"""Speed and faithfulness of the t-SNE map against scikit-learn's, in one run on the same cores.

    python benchmarks/map.py                    # 50,000 x 512 synthetic clusters
    python benchmarks/map.py --size 10000       # fewer points
    python benchmarks/map.py --features FILE    # your own embedding

Faithfulness is the share of the 30 nearest neighbours in the features that are among the 30
nearest on the map, over 5,000 examples. Writes map.json and map.md. With 50,000 points
scikit-learn's t-SNE takes about ten minutes on two cores.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from mislabel.features import load_features, nearest_neighbors
from mislabel.features.maps import embed_tsne
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


def main() -> None:
    """Measure both and write the results beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=50_000)
    parser.add_argument("--features", type=Path)
    arguments = parser.parse_args()
    if arguments.features:
        points, name = load_features(arguments.features)[: arguments.size], "given features"
    else:
        points, name = synthetic(arguments.size), "ten Gaussian clusters"
    _, true = nearest_neighbors(points, K)
    found: dict[str, dict[str, Any]] = {}
    for tool, embed in {"mislabel": _ours, "scikit-learn": _theirs}.items():
        start = time.perf_counter()
        positions = embed(points)
        seconds = time.perf_counter() - start
        found[tool] = {
            "seconds": seconds,
            "kept": kept(true, positions),
            "scale": float(positions.std()),
        }
        print(tool, found[tool], flush=True)
    ours, theirs = found["mislabel"], found["scikit-learn"]
    content = {
        "points": name,
        "shape": list(points.shape),
        "cores": len(os.sched_getaffinity(0)),
        "versions": library_versions("openTSNE", "scikit-learn", "numpy"),
        "tools": found,
        "speed_ratio": theirs["seconds"] / ours["seconds"],
        "kept_ratio": ours["kept"] / theirs["kept"],
    }
    (HERE / "map.json").write_text(json.dumps(content, indent=2) + "\n")
    (HERE / "map.md").write_text(_page(content))


def _ours(points: np.ndarray) -> np.ndarray:
    return embed_tsne(points, PERPLEXITY, seed=0)


def _theirs(points: np.ndarray) -> np.ndarray:
    from sklearn.manifold import TSNE

    model = TSNE(perplexity=PERPLEXITY, init="pca", random_state=0, n_jobs=-1)
    return np.asarray(model.fit_transform(points))


def _page(content: dict[str, Any]) -> str:
    lines = [
        "# The map against scikit-learn's t-SNE",
        "",
        f"`python benchmarks/map.py --size {content['shape'][0]}` on {content['cores']} cores: "
        f"{content['points']}, "
        f"{content['shape'][0]} x {content['shape'][1]}, perplexity {PERPLEXITY:.0f}.",
        "",
        f"| | seconds | share of the {K} nearest kept | scale (deviation) |",
        "|---|---:|---:|---:|",
    ]
    for tool, row in content["tools"].items():
        lines.append(f"| {tool} | {row['seconds']:.0f} | {row['kept']:.4f} | {row['scale']:.1f} |")
    lines += [
        f"| ratio | {content['speed_ratio']:.1f} times faster | {content['kept_ratio']:.2f} | |",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
