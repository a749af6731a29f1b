"""How far off is the noise rate that is estimated from held-out noisy labels?

`estimate_noise_rate` (what Co-teaching takes where no rate is given) against the rate that is
there, by kind of noise: digits with the default recipe, and a small part of CIFAR-10 with the fast
one, on which the network is often wrong. One command:

    MISLABEL_DATA=/path/to/data python studies/noise_rate/run.py

Needs cifar10/ in the folder named by MISLABEL_DATA. One thread, about two minutes. Writes
result.csv and README.md beside this file.
"""

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev

import numpy as np
import torch
from numpy.typing import NDArray

from mislabel.data import Dataset, load_data
from mislabel.features.maps import tsne_map
from mislabel.files import write_text
from mislabel.learning import estimate_noise_rate
from mislabel.noise import cross_fitted_probabilities, make_noise
from mislabel.versions import library_versions

HERE = Path(__file__).resolve().parent
DIGITS_NOISE = ("clean", "symmetric:0.2", "symmetric:0.4", "cluster:0.35", "pmd:0.35")
DIGITS_SEEDS = range(10)
CIFAR_NOISE = ("clean", "symmetric:0.2", "symmetric:0.4")
CIFAR_SUBSET = 5_000


@dataclass(frozen=True, kw_only=True)
class Row:
    """One estimate. counted: held-out labels."""

    data: str
    noise: str
    seed: int
    rate: float
    estimate: float
    counted: int


def estimate(
    data: Dataset, noise: str, seed: int, positions: NDArray | None, eta: NDArray | None
) -> Row:
    """Corrupt the training labels and estimate how many were; noise and estimate share the seed."""
    drawn = make_noise(noise).corrupt(
        data.y_train, positions=positions, probabilities=eta, seed=seed
    )
    found = estimate_noise_rate(data.x_train, drawn.labels, seed=seed, device="cpu")
    return Row(
        data=f"{data.name}, {len(data.x_train):,}",
        noise=noise,
        seed=seed,
        rate=float((drawn.labels != data.y_train).mean()),
        estimate=found.rate,
        counted=found.n_held_out,
    )


def measure() -> list[Row]:
    """All estimates."""
    digits = load_data("digits")
    features = digits.x_train.reshape(len(digits.x_train), -1).astype(np.float32)
    positions, eta = tsne_map(features), cross_fitted_probabilities(features, digits.y_train)
    rows = [
        estimate(digits, noise, seed, positions, eta)
        for noise in DIGITS_NOISE
        for seed in DIGITS_SEEDS
    ]
    spec = f"cifar10:{Path(os.environ['MISLABEL_DATA']) / 'cifar10'}"
    cifar = load_data(spec, subset=CIFAR_SUBSET, seed=0)
    return rows + [estimate(cifar, noise, 0, None, None) for noise in CIFAR_NOISE]


def write(rows: list[Row]) -> None:
    """Each estimate as CSV, and a page of their means."""
    text = io.StringIO()
    table = csv.DictWriter(text, fieldnames=list(vars(rows[0])), lineterminator="\n")
    table.writeheader()
    table.writerows(
        vars(r) | {"rate": f"{r.rate:.4f}", "estimate": f"{r.estimate:.4f}"} for r in rows
    )
    write_text(HERE / "result.csv", text.getvalue())
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.data, row.noise), []).append(row)
    lines = [summary(*key, group) for key, group in groups.items()]
    versions = library_versions("numpy", "torch", "scikit-learn")
    page = PAGE.format(
        rows="\n".join(lines), versions=", ".join(f"{name} {v}" for name, v in versions.items())
    )
    write_text(HERE / "README.md", page)


def summary(data: str, noise: str, group: list[Row]) -> str:
    """A line of the table."""
    found = [row.estimate for row in group]
    spread = f"{pstdev(found):.3f}" if len(found) > 1 else "–"
    off = fmean(row.estimate - row.rate for row in group)
    rate = fmean(row.rate for row in group)
    return (
        f"| {data} | `{noise}` | {rate:.3f} | {fmean(found):.3f} | {spread} | {off:+.3f} "
        f"| {len(group)} | {group[0].counted} |"
    )


PAGE = """# The noise rate, estimated from held-out noisy labels

`mislabel.learning.estimate_noise_rate` trains a network for half of the recipe's epochs on 80 % of
the examples and counts the other 20 % as confident learning does. No clean label is used, other
than to say how far off it was. Deviation: over seeds of noise, split and training, population.

| data, examples | noise | rate | estimate | deviation | mean error | seeds | labels counted |
| --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

Where the network can learn the classes, noise without a pattern is estimated well, and so is PMD's,
which lies between classes. Noise in patches is learned like a concept, and most of it is missed.
Where the network is often wrong itself (a few thousand natural images, a few epochs), its own
errors are counted as noise: there, give the rate if it is known.

One CPU thread. Versions: {versions}. All estimates: `result.csv`. Written by one command:

    MISLABEL_DATA=/path/to/data python studies/noise_rate/run.py
"""


def main() -> None:
    torch.set_num_threads(1)
    rows = measure()
    write(rows)
    for row in rows:
        print(f"{row.data} {row.noise} {row.seed}: {row.rate:.3f} {row.estimate:.3f}")


if __name__ == "__main__":
    main()
