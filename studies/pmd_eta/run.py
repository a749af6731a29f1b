"""Which probabilities make PMD noise like the published one? The measuring half of ``run.sh``.

Draws PMD at 35 % from each file of probabilities in the folder of ``run.sh``, beside CBN and
symmetric noise, and compares with the published PMD labels: clustering on the published map (and
at 17 %), row entropy, transition matrix, rate per class. Measures what an epoch of the published
network costs here. Writes result.json, result.csv and README.md beside this file.
"""

import csv
import io
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mislabel.benchmark.inputs import InputOptions, LabelInputs
from mislabel.data import Dataset, load_data
from mislabel.errors import InputError
from mislabel.features import load_map, nearest_neighbors
from mislabel.files import read_json, write_json, write_text
from mislabel.labels import NoisyLabels, load_labels
from mislabel.noise import network_probabilities
from mislabel.noise.eta import describe_probabilities
from mislabel.realism.profile import NEIGHBORS, clustering_index, row_entropy
from mislabel.versions import library_versions

HERE = Path(__file__).resolve().parent
RATE, LOWER = 0.35, 0.17
ETAS = {
    "map": "PMD, eta cross-fitted on the published map",
    "pixels": "PMD, eta cross-fitted on pixels",
    "cnn": "PMD, eta of a small CNN trained as published",
    "cnn-fitted": "PMD, eta of a small CNN, fast recipe without augmentation",
}
SEEDED = "map"
"The eta that is drawn from twice, to show what the seed does."
OTHERS = {"cluster": "CBN", "symmetric": "symmetric"}
TIMED = {"cnn": 512, "preact_resnet34": 512}
"Examples of the two epochs that are timed, by network."


def main(work: Path, images: int) -> None:
    root = Path(os.environ["MISLABEL_DATA"])
    data, map_file = f"cifar10:{root / 'cifar10'}", root / "cifar10/clip_tsne_train.parquet"
    dataset = load_data(data, subset=images, seed=0)
    positions = dataset.align(load_map(map_file), "map")
    _, neighbors = nearest_neighbors(positions, NEIGHBORS)
    whole = load_labels(
        root / "published/cifar10-pmd-0.35.npy",
        clean_labels=np.load(root / "published/cifar10-given-labels.npy"),
        n_classes=10,
    )
    published = whole.take(dataset.train_indices)
    assert published.clean_labels is not None
    np.testing.assert_array_equal(published.clean_labels, dataset.y_train)

    def inputs(**more: Any) -> LabelInputs:
        options = InputOptions(data=data, subset=images, map=map_file, device="cpu", **more)
        return LabelInputs(options, dataset, print)

    def row(name: str, labels: NoisyLabels, **more: Any) -> dict[str, Any]:
        return {"noise": name} | compare(labels, published, neighbors) | more

    rows = [row("PMD, as published", published)]
    for name, title in ETAS.items():
        file = work / f"{name}-{images}.npy"
        given = inputs(probabilities=file)
        fit = describe_probabilities(given.probabilities, dataset.y_train)
        spec = read_json(file.with_name(f"{file.name}.receipt.json"), "receipt")["eta"]
        lower = clustering_at(given, f"pmd:{LOWER}", neighbors)
        rows.append(row(title, draw(given), eta=spec, **fit, clustering_index_lower=lower))
    file = work / f"{SEEDED}-{images}.npy"
    twice = [draw(inputs(probabilities=file, seed=seed)) for seed in (0, 1)]
    floor = compare(twice[1], twice[0], neighbors)
    for kind, title in OTHERS.items():
        lower = clustering_at(inputs(), f"{kind}:{LOWER}", neighbors)
        labels = inputs().draw(f"{kind}:{RATE}")
        rows.append(row(title, labels, clustering_index_lower=lower))
    settings = {
        "data": dataset.name,
        "data_sha256": dataset.fingerprint,
        "examples": len(dataset),
        "rate": RATE,
        "lower_rate": LOWER,
        "neighbors": NEIGHBORS,
        "threads": torch.get_num_threads(),
        "between_seeds": {k: v for k, v in floor.items() if "distance" in k or "difference" in k},
        "epochs_timed": [time_epoch(dataset, name, count) for name, count in TIMED.items()],
        "versions": library_versions("numpy", "torch", "scikit-learn", "faiss-cpu"),
    }
    write(rows, settings)


def draw(inputs: LabelInputs) -> NoisyLabels:
    """PMD at the rate, or at the lowest one above it that these probabilities can make."""
    try:
        return inputs.draw(f"pmd:{RATE}")
    except InputError as error:
        lowest = re.search(r"between ([\d.]+) and", error.rule)
        if lowest is None:
            raise
        return inputs.draw(f"pmd:{float(lowest[1]) + 0.0005:.4f}")


def clustering_at(inputs: LabelInputs, spec: str, neighbors: Any) -> float | None:
    """The clustering index of a noise at a rate, None where its probabilities cannot make it."""
    try:
        return clustering_index(inputs.draw(spec).flipped, neighbors)
    except InputError:
        return None


def compare(labels: NoisyLabels, published: NoisyLabels, neighbors: Any) -> dict[str, float]:
    """Profile of labels, and how far they are from the published ones.

    matrix_distance: total variation between the rows of the two transition matrices, mean over
    classes. rate_difference: absolute, of the rates per class, mean over classes.
    """
    matrix, wanted = labels.transition_matrix, published.transition_matrix
    rates = np.abs(labels.rate_per_class - published.rate_per_class)
    return {
        "rate": labels.rate,
        "clustering_index": clustering_index(labels.flipped, neighbors),
        "row_entropy_bits": row_entropy(labels),
        "matrix_distance": float(np.abs(matrix - wanted).sum(axis=1).mean() / 2),
        "rate_difference": float(rates.mean()),
        "largest_rate_difference": float(rates.max()),
    }


def time_epoch(dataset: Dataset, network: str, count: int) -> dict[str, Any]:
    """Seconds of the second of two epochs on `count` images; the first warms up."""
    part, ends = dataset.subset(count, seed=0), [0.0]
    found = network_probabilities(
        part.x_train,
        part.y_train,
        n_classes=part.n_classes,
        network=network,
        epochs=2,
        augment=part.augment,
        device="cpu",
        progress=lambda done, total: ends.append(time.perf_counter()),
    )
    assert found.shape == (count, 10) and np.allclose(found.sum(axis=1), 1, atol=1e-5)
    seconds = ends[2] - ends[1]
    return {
        "network": network,
        "images": count,
        "seconds_per_epoch": round(seconds, 2),
        "seconds_per_epoch_of_50000": round(seconds * 50_000 / count),
        "hours_for_25_epochs": round(seconds * 50_000 / count * 25 / 3600, 2),
        "load_average": round(os.getloadavg()[0], 1),
    }


def write(rows: list[dict[str, Any]], settings: dict[str, Any]) -> None:
    """The results as JSON, CSV and a page to read."""
    write_json(HERE / "result.json", {"settings": settings, "results": rows})
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.DictWriter(text, fieldnames=columns, lineterminator="\n", restval="")
    table.writeheader()
    table.writerows(rows)
    write_text(HERE / "result.csv", text.getvalue())
    write_text(HERE / "README.md", page(rows, settings))


def shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def page(rows: list[dict[str, Any]], settings: dict[str, Any]) -> str:
    lines = [
        f"| {r['noise']} | {r['rate']:.3f} | {r['clustering_index']:.2f} "
        f"| {shown(r.get('clustering_index_lower'))} "
        f"| {r['row_entropy_bits']:.2f} | {r['matrix_distance']:.3f} "
        f"| {r['rate_difference']:.3f} | {r['largest_rate_difference']:.3f} |"
        for r in rows
    ]
    fits = [
        f"| {r['noise'].removeprefix('PMD, ')} | `{r['eta']}` | {r['accuracy']:.1%} "
        f"| {r['mean_margin']:.2f} | {r['neither']:.1%} | {r['clustering_index']:.2f} |"
        for r in sorted(rows, key=lambda row: row.get("accuracy", 0))
        if "eta" in r
    ]
    costs = [
        f"| `{t['network']}` | {t['images']} | {t['seconds_per_epoch']:.1f} s "
        f"| {t['seconds_per_epoch_of_50000']:,.0f} s | {t['hours_for_25_epochs']:.1f} h |"
        for t in settings["epochs_timed"]
    ]
    missed = [r for r in rows if "eta" in r and abs(r["rate"] - settings["rate"]) > 0.001]
    note = "".join(
        f"{r['noise']} cannot make {settings['rate']:.0%}: drawn at the lowest rate it can, "
        f"{r['rate']:.1%}.\n"
        for r in missed
    )
    floor = settings["between_seeds"]
    versions = ", ".join(f"{name} {v}" for name, v in settings["versions"].items())
    return PAGE.format(
        rows="\n".join(lines),
        fits="\n".join(fits),
        costs="\n".join(costs),
        note=f"\n{note}" if note else "",
        loads=" and ".join(str(t["load_average"]) for t in settings["epochs_timed"]),
        floor_matrix=floor["matrix_distance"],
        floor_rate=floor["rate_difference"],
        **(settings | {"versions": versions}),
    )


PAGE = """# Which probabilities make PMD noise like the published one?

PMD noise is made of a classifier's class probabilities (eta). Zhang et al. 2021 recorded those of a
PreAct ResNet-34 in the last of 25 epochs of training; a classifier that is cross-fitted on features
takes no network. Here: CIFAR-10, {examples:,} training images (class-balanced, seed 0), PMD type I
at {rate:.0%} from four etas, beside the published label file for the same images (whose eta came
from a network on all 50,000), CBN and symmetric noise.

| noise | rate | clustering | at {lower_rate:.0%} | entropy | matrix | rates | largest |
| --- | --- | --- | --- | --- | --- | --- | --- |
{rows}
{note}
*Clustering* is how much likelier one of the {neighbors} nearest neighbours on the published map is
wrong for a wrong label than for any, 1 being chance; beside it that of the same noise at
{lower_rate:.0%}, – where that cannot be had. *Entropy*: of the rows of the transition matrix,
in bits. *Matrix*, *rates* and *largest* are distances to the published file: the total variation
between the rows of the two matrices, mean over classes, and the absolute difference of the rates
per class, mean and largest. One draw each; two seeds of one eta differ by {floor_matrix:.3f} in the
matrix and {floor_rate:.3f} in the rates.

## How well each eta knows the clean labels

| eta | spec | likeliest class right | mean margin | two likeliest wrong | clustering index |
| --- | --- | --- | --- | --- | --- |
{fits}

The margin is the difference of the two largest probabilities. With a margin of 1 an example flips
with the same chance as any other of margin 1; one whose two likeliest classes are both wrong
always flips.

## What the published network costs

The networks above are the house's small CNN (0.28 M weights), in the published recipe and in the
house's fast one without augmentation. The published PreAct ResNet-34 (21.3 M) runs too; this is
what the second of two epochs took, and by proportion what all 50,000 images would take:

| network | images | an epoch | of 50,000 | 25 epochs |
| --- | --- | --- | --- | --- |
{costs}

CPU threads: {threads}; float32; load averages meanwhile: {loads}. Versions: {versions}.
Numbers in full: `result.json`, `result.csv`.

Written by one command, which computes no probabilities again that are there:

    MISLABEL_DATA=/path/to/data studies/pmd_eta/run.sh
"""


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
