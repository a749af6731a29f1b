"""A tiny grid, what its folder holds, and results made up by hand."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mislabel.benchmark import BenchmarkResults, CellResult, Grid, MethodRow, NoiseColumn
from mislabel.labels import NoisyLabels


def tiny_grid(folder: Path, **changes: Any) -> Grid:
    """Two noises x two methods x two seeds, three epochs, on the data in `folder`."""
    settings: dict[str, Any] = {
        "data": f"npz:{folder / 'tiny.npz'}",
        "noises": ["symmetric:0.2", "cluster:0.3"],
        "methods": ["standard", "snls:k=5"],
        "seeds": [1, 2],
        "map": folder / "map.npy",
        "epochs": 3,
        "device": "cpu",
    }
    return Grid(**settings | changes)


def cells(folder: Path) -> dict[tuple[str, str, int], dict[str, Any]]:
    """Content of every result.json of a finished cell, by place in the grid."""
    found = [json.loads(p.read_text()) for p in folder.glob("cells/[!.]*/result.json")]
    return {(cell["noise"], cell["method"], cell["seed"]): cell for cell in found}


def numbers(results: BenchmarkResults) -> dict[tuple[str, str, int], Any]:
    """Everything about the cells but what they cost."""
    return {
        (c.noise, c.method, c.seed): (c.curves, c.test_accuracy_per_class) for c in results.cells
    }


def column(spec: str, title: str = "Symmetric", rate: float = 0.25) -> NoiseColumn:
    """A noise whose rate on eight examples is `rate`."""
    clean = np.zeros(8, dtype=np.int64)
    labels = (np.arange(8) < 8 * rate).astype(np.int64)
    noisy = NoisyLabels(labels, clean_labels=clean, n_classes=2)
    return NoiseColumn(spec=spec, kind=spec.split(":")[0], title=title, labels=noisy)


def cell(noise: str, method: str, seed: int, curve: Sequence[float]) -> CellResult:
    """A training with this curve of test accuracies, which took 1.5 seconds."""
    return CellResult(
        noise=noise,
        method=method,
        seed=seed,
        curves={"test_accuracy": list(curve)},
        test_accuracy_per_class=[curve[-1], None],
        seconds=1.5,
    )


def made_up(*, complete: bool = True) -> BenchmarkResults:
    """Two methods under two noises with two seeds; incomplete: one cell and a pair are missing.

    Last epochs: standard 0.5 and 0.7 under the first noise, 0.25 and 0.25 under the second;
    gce 0.9 and 0.8, then 0.5 and 0.75. The best epochs of all are 0.95.
    """
    first, second = "symmetric:0.25", "file:a_b&c|d.npy"
    ends = {
        (first, "standard"): (0.5, 0.7),
        (second, "standard"): (0.25, 0.25),
        (first, "gce:q=0.5"): (0.9, 0.8),
        (second, "gce:q=0.5"): (0.5, 0.75),
    }
    found = [
        cell(noise, method, seed, [0.05, 0.95, end])
        for (noise, method), pair in ends.items()
        for seed, end in zip((1, 2), pair, strict=True)
    ]
    if not complete:
        found = [c for c in found if (c.noise, c.method) != (second, "standard")]
        found = [c for c in found if (c.noise, c.method, c.seed) != (first, "gce:q=0.5", 2)]
    return BenchmarkResults(
        metadata={"data": {"name": "made up"}},
        class_names=("a", "b"),
        noises=[column(first), column(second, "From a file", rate=0.5)],
        methods=[
            MethodRow(spec="standard", name="standard", title="Standard"),
            MethodRow(spec="gce:q=0.5", name="gce", title="GCE (q_1=50%|x)"),
        ],
        seeds=[1, 2],
        cells=found,
    )
