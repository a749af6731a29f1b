"""Benchmark results made up for the tests of the report: plausible, small, known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.benchmark.results import BenchmarkResults, CellResult, MethodRow, NoiseColumn
from mislabel.labels import NoisyLabels, Receipt

METHODS = (
    MethodRow(spec="standard", name="standard", title="Standard"),
    MethodRow(spec="gce", name="gce", title="Generalised cross-entropy"),
    MethodRow(spec="snls:k=20", name="snls", title="Soft neighbour labels"),
)
TITLES = {"symmetric": "Symmetric noise", "pmd": "PMD noise, type I", "cluster": "Cluster noise",
          "clean": "Clean labels"}  # fmt: skip
FALL = {"clean": 0.0, "symmetric": 0.28, "pmd": 0.45, "cluster": 0.8}
"How much of the rate each kind takes off the accuracy of Standard at the end."


def blobs(n: int, n_classes: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """A map of `n_classes` round blobs, and the class of every example."""
    rng = np.random.default_rng(7)
    classes = np.sort(rng.integers(n_classes, size=n))
    classes = rng.permutation(np.where(np.arange(n) < n_classes, np.arange(n), classes))
    angle = 2 * np.pi * np.arange(n_classes) / n_classes
    centres = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (20 + 14 * (angle % 2.3))[:, None]
    positions = centres[classes] + rng.normal(scale=4.5, size=(n, 2))
    return positions.astype(np.float32), classes


def wrong_labels(
    kind: str, rate: float, positions: NDArray[np.float32], clean: NDArray[np.int64], n_classes: int
) -> NoisyLabels:
    """Labels with about `rate` wrong: scattered, or in patches for ``cluster``."""
    rng = np.random.default_rng(round(1000 * rate))
    score = rng.random(len(clean))
    if kind == "cluster":
        centres = positions[rng.choice(len(clean), size=4 * n_classes, replace=False)]
        score = np.linalg.norm(positions[:, None] - centres[None], axis=2).min(axis=1)
    flips = np.argsort(score)[: round(rate * len(clean))]
    labels = clean.copy()
    step = rng.integers(1, n_classes, len(flips)) if kind == "symmetric" else 1
    labels[flips] = (clean[flips] + step) % n_classes
    receipt = Receipt(generator=kind, parameters={"rate": rate}, seed=1, versions={"numpy": "2.0"})
    return NoisyLabels(labels, clean_labels=clean, n_classes=n_classes, receipt=receipt)


def cell(noise: NoiseColumn, method: MethodRow, seed: int, epochs: int = 30) -> CellResult:
    """A training that first learns and then, under noise, fits wrong labels and gets worse."""
    rng = np.random.default_rng([seed, len(noise.spec), len(method.spec)])
    robust = {"standard": 0.0, "gce": 0.45, "snls": 0.55}.get(method.name, 0.3)
    rate = noise.labels.rate if noise.labels.clean_labels is not None else 0.0
    time = np.linspace(0, 1, epochs)
    fitted = (1 - robust) * time**1.6 * (0.92 if noise.kind != "cluster" else 0.98)
    loss = FALL.get(noise.kind, 0.5) * rate * (0.25 + 0.75 * fitted / fitted.max() * (1 - robust))
    accuracy = 0.965 - 0.7 * np.exp(-9 * time) - loss + rng.normal(scale=0.006, size=epochs)
    accuracy += rng.normal(scale=0.006)
    wrong: list[float | None] = [float(v) for v in fitted] if rate else [None] * epochs
    return CellResult(
        noise=noise.spec,
        method=method.spec,
        seed=seed,
        curves={"test_accuracy": accuracy.clip(0, 1).tolist(), "wrong_fitted": wrong},
        test_accuracy_per_class=[float(accuracy[-1])] * noise.labels.n_classes,
        seconds=4.2,
    )


def results(
    *,
    columns: Sequence[tuple[str, float]] = (("clean", 0.0), ("symmetric", 0.2), ("symmetric", 0.4),
                                            ("pmd", 0.2), ("pmd", 0.4), ("cluster", 0.2),
                                            ("cluster", 0.4)),
    methods: Sequence[MethodRow] = METHODS,
    seeds: Sequence[int] = (1, 2, 3),
    n: int = 1347,
    class_names: tuple[str, ...] = tuple("0123456789"),
    **changes: Any,
) -> BenchmarkResults:  # fmt: skip
    """A finished benchmark shaped like the one on the embedded digits."""
    positions, clean = blobs(n, len(class_names))
    noises = [
        NoiseColumn(
            spec=kind if kind == "clean" else f"{kind}:{rate}",
            kind=kind,
            title=TITLES.get(kind, kind),
            labels=wrong_labels(kind, rate, positions, clean, len(class_names)),
        )
        for kind, rate in columns
    ]
    values: dict[str, Any] = {
        "metadata": {
            "data": {"name": "digits", "n_train": n, "n_test": 450},
            "seed": 0,
            "command": "mislabel benchmark --data digits --seeds 3",
            "versions": {"mislabel": "0.1.0", "numpy": "2.0", "torch": "2.4"},
        },
        "class_names": class_names,
        "noises": noises,
        "methods": list(methods),
        "seeds": list(seeds),
        "cells": [cell(n_, m, s) for n_ in noises for m in methods for s in seeds],
        "map": positions,
    }
    return BenchmarkResults(**(values | changes))
