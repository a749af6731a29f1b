"""Does SimCLR, trained shortly on the images alone, find better neighbours than pixels do?

The share of examples whose class is the majority of their 20 nearest other examples (leave one
out), in the features of `pixels` and of `simclr`, on a subset of CIFAR-10. One command, resumable:

    MISLABEL_DATA=/path/to/data python studies/simclr_neighbors/run.py

Needs cifar10/ in the folder named by MISLABEL_DATA. One thread, about eight minutes. Writes
result.json, result.csv and README.md beside this file.
"""

import argparse
import csv
import io
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mislabel.data import Dataset, load_data
from mislabel.features import encode, nearest_neighbors
from mislabel.files import write_json, write_text
from mislabel.versions import library_versions

HERE = Path(__file__).resolve().parent
NEIGHBORS = 20
ENCODERS = ("pixels", "simclr:epochs={epochs}")


def neighbor_accuracy(features: NDArray[Any], labels: NDArray[np.int64], k: int) -> float:
    """Share of examples (N, d) whose class most of their k nearest others have.

    Of classes with equally many votes the first counts.
    """
    _, indices = nearest_neighbors(features, k)
    votes = (labels[indices][:, :, None] == np.arange(labels.max() + 1)).sum(axis=1)
    return float((votes.argmax(axis=1) == labels).mean())


def measure(spec: str, data: Dataset) -> dict[str, Any]:
    """Accuracies of one encoder, by Euclidean distance and by angle, and how long it took."""
    start = time.perf_counter()
    features = encode(spec, data.x_train, device="cpu")
    seconds = time.perf_counter() - start
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    accuracy = neighbor_accuracy(features, data.y_train, NEIGHBORS)
    angle = neighbor_accuracy(features / np.maximum(lengths, 1e-12), data.y_train, NEIGHBORS)
    return {
        "encoder": spec,
        "features": features.shape[1],
        "accuracy": accuracy,
        "accuracy_by_angle": angle,
        "standard_error": float(np.sqrt(accuracy * (1 - accuracy) / len(features))),
        "seconds": round(seconds, 1),
    }


def write(rows: list[dict[str, Any]], settings: dict[str, Any]) -> None:
    """The results as JSON, CSV and a page to read."""
    write_json(HERE / "result.json", {"settings": settings, "results": rows})
    text = io.StringIO()
    table = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(HERE / "result.csv", text.getvalue())
    lines = [
        f"| `{r['encoder']}` | {r['features']} | {r['accuracy']:.3f} ± {r['standard_error']:.3f} "
        f"| {r['accuracy_by_angle']:.3f} | {r['seconds']:.0f} s |"
        for r in rows
    ]
    versions = ", ".join(f"{name} {v}" for name, v in settings["versions"].items())
    page = PAGE.format(rows="\n".join(lines), **(settings | {"versions": versions}))
    write_text(HERE / "README.md", page)


PAGE = """# Neighbours by SimCLR and by pixels

Share of examples whose class is the majority of their {neighbors} nearest other examples: CIFAR-10,
{subset:,} training images (class-balanced, seed {seed}), labels used for measuring only. Chance is
0.1. ± is the binomial standard error over the examples; one training, one seed.

| encoder | features | accuracy | by angle | time |
| --- | --- | --- | --- | --- |
{rows}

Time on {threads} CPU thread; 0 s means that the features were in the cache. Versions:
{versions}. Numbers in full: `result.json`.

Written by one command, which goes on where it was stopped:

    MISLABEL_DATA=/path/to/data python studies/simclr_neighbors/run.py
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subset", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the subset")
    given = parser.parse_args()
    torch.set_num_threads(1)
    spec = f"cifar10:{Path(os.environ['MISLABEL_DATA']) / 'cifar10'}"
    data = load_data(spec, subset=given.subset, seed=given.seed)
    rows = [measure(encoder.format(epochs=given.epochs), data) for encoder in ENCODERS]
    settings = {
        "data": data.name,
        "data_sha256": data.fingerprint,
        "subset": given.subset,
        "seed": given.seed,
        "neighbors": NEIGHBORS,
        "threads": torch.get_num_threads(),
        "versions": library_versions("numpy", "torch", "faiss-cpu", "scikit-learn"),
    }
    write(rows, settings)
    for row in rows:
        print(f"{row['encoder']}: {row['accuracy']:.3f}")


if __name__ == "__main__":
    main()
