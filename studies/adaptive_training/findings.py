"""What training on adaptive targets gains, from a finished run. No training.

    python studies/adaptive_training/findings.py RUN

Writes findings.json and README.md beside this file.
"""

import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from mislabel.benchmark import load_results
from mislabel.benchmark.results import BenchmarkResults
from mislabel.cleaning import adaptive_targets
from mislabel.features import nearest_neighbors
from mislabel.files import write_json, write_text
from mislabel.learning import soft_neighbor_targets
from mislabel.stress.intervals import interval

HERE = Path(__file__).parent
FAMILIES = {
    "Standard": ("standard", "snls", "adaptive"),
    "LRA-Diffusion": ("lra-diffusion", "lra-diffusion-snls", "lra-diffusion-adaptive"),
}
"Each on the labels as given (LRA-Diffusion: on those of 10 neighbours), SNLS, and adaptive."


def column(spec: str) -> str:
    """A short name of a noise."""
    for word, name in (("cluster", "CBN 35 %"), ("pmd", "PMD 35 %"), ("random", "random_label1")):
        if word in spec:
            return name
    return "worse_label"


def accuracies(results: BenchmarkResults) -> dict[tuple[str, str], list[float]]:
    """Test accuracy of the last epoch in percent, by method and noise, one per seed."""
    return {
        (method.name, noise.spec): [
            100 * cell.accuracy("last")
            for cell in results.select(noise=noise.spec, method=method.spec)
        ]
        for method, noise in product(results.methods, results.noises)
    }


def gains(found: dict[tuple[str, str], list[float]], noises: list[str]) -> list[dict[str, Any]]:
    """Adaptive less another kind of targets, seed by seed, with Student's 95 % interval."""
    rows = []
    for (family, (given, snls, adaptive)), noise in product(FAMILIES.items(), noises):
        for name, other in (("given labels", given), ("SNLS", snls)):
            pairs = np.subtract(found[adaptive, noise], found[other, noise])
            around = interval(list(pairs))
            rows.append({
                "method": family, "noise": column(noise), "over": name, "gain": float(pairs.mean()),
                "low": around.low, "high": around.high, "seeds": len(pairs),
            })  # fmt: skip
    return rows


def targets(results: BenchmarkResults) -> list[dict[str, Any]]:
    """Share of the training examples whose target favours the clean label."""
    assert results.map is not None
    rows = []
    _, near = nearest_neighbors(results.map, 100)
    for noise in results.noises:
        labels, clean = noise.labels.labels, noise.labels.clean_labels
        n_classes = noise.labels.n_classes
        snls = soft_neighbor_targets(labels, near, n_classes)
        ours = adaptive_targets(results.map, labels, n_classes=n_classes)
        rows.append({
            "noise": column(noise.spec),
            "given": float((labels == clean).mean()),
            "snls": float((snls.argmax(axis=1) == clean).mean()),
            "adaptive": float((ours.targets.argmax(axis=1) == clean).mean()),
            "determined": ours.determined,
        })  # fmt: skip
    return rows


def page(content: dict[str, Any]) -> str:
    """The page, from the figures."""
    noises = content["noises"]
    lines = [
        "# What training on adaptive targets gains",
        "",
        "`studies/adaptive_training/run.sh`. CIFAR-10, "
        f"{content['n_examples']:,} training images, {content['seeds']} seeds, 8 epochs "
        "(LRA-Diffusion: 30), neighbours on the published map of CLIP embeddings. The published "
        "CBN and PMD labels and two human sets of CIFAR-10N. The trainings are those of "
        "[the study of the methods](../cifar10_methods/README.md), which has the whole table; this "
        "page is written by findings.py.",
        "",
        "Test accuracy of the last epoch in percent, mean over seeds ± population deviation:",
        "",
        "| method | targets | " + " | ".join(noises) + " |",
        "|---|---|" + "---:|" * len(noises),
    ]
    for family, kinds in FAMILIES.items():
        for kind, name in zip(kinds, ("given labels", "SNLS", "adaptive"), strict=True):
            cells = [content["accuracy"][kind][noise] for noise in noises]
            shown = " | ".join(f"{np.mean(c):.1f} ± {np.std(c):.1f}" for c in cells)
            lines.append(f"| {family} | {name} | {shown} |")
    lines += [
        "",
        "Gain of adaptive targets in points, the same seeds paired, with Student's 95 % interval:",
        "",
        "| method | noise | over | gain | 95 % |",
        "|---|---|---|---:|---:|",
    ]
    for row in content["gains"]:
        lines.append(
            f"| {row['method']} | {row['noise']} | {row['over']} | {row['gain']:+.1f} | "
            f"{row['low']:+.1f} to {row['high']:+.1f} |"
        )
    lines += [
        "",
        "Share of the training examples whose target favours the clean label, in percent:",
        "",
        "| noise | given labels | SNLS | adaptive |",
        "|---|---:|---:|---:|",
    ]
    for row in content["targets"]:
        shares = " | ".join(f"{100 * row[kind]:.1f}" for kind in ("given", "snls", "adaptive"))
        lines.append(f"| {row['noise']} | {shares} |")
    reading = HERE / "reading.md"
    lines += ["", reading.read_text().rstrip() if reading.is_file() else ""]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Read the run and write what it says."""
    results = load_results(Path(sys.argv[1]))
    found = accuracies(results)
    noises = [noise.spec for noise in results.noises]
    content = {
        "command": results.metadata["command"],
        "n_examples": len(results.noises[0].labels),
        "seeds": len(results.seeds),
        "noises": [column(noise) for noise in noises],
        "accuracy": {
            method.name: {column(noise): found[method.name, noise] for noise in noises}
            for method in results.methods
        },
        "gains": gains(found, noises),
        "targets": targets(results),
    }
    write_json(HERE / "findings.json", content)
    write_text(HERE / "README.md", page(content))


if __name__ == "__main__":
    main()
