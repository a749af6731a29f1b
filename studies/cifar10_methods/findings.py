"""What the run says: which method stands which noise, beside the study's table. No training.

    python studies/cifar10_methods/findings.py RUN

Writes findings.json and README.md beside this file.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from mislabel.benchmark import load_results
from mislabel.benchmark.results import BenchmarkResults, summarise
from mislabel.files import write_json, write_text

HERE = Path(__file__).parent
PUBLISHED = {
    "standard": {"pmd": 84.40, "cbn": 75.44},
    "coteaching-plus": {"pmd": 67.08, "cbn": 60.98},
    "gce": {"pmd": 84.70, "cbn": 77.73},
    "plc": {"pmd": 86.11, "cbn": 80.51},
    "lra-diffusion": {"pmd": 97.12, "cbn": 91.74},
    "lra-diffusion-snls": {"pmd": 97.31, "cbn": 92.77},
}
"Lim, Larson & Leach 2025, CIFAR-10 at 35 %, all 50,000 images, best epoch, mean of three seeds."


def column(spec: str) -> str:
    """A short name of a noise."""
    for word, name in (("cluster", "cbn"), ("pmd", "pmd"), ("random", "random_label1")):
        if word in spec:
            return name
    return "worse_label"


def accuracies(results: BenchmarkResults, epoch: str) -> dict[str, dict[str, Any]]:
    """Per method and noise: mean, deviation over seeds in percent, and the number of seeds."""
    found: dict[str, dict[str, Any]] = {}
    for method in results.methods:
        row = found.setdefault(method.name, {})
        for noise in results.noises:
            summary = summarise(results.select(noise=noise.spec, method=method.spec), epoch)
            if summary.mean is not None and summary.deviation is not None:
                mean, deviation = 100 * summary.mean, 100 * summary.deviation
                row[column(noise.spec)] = {
                    "mean": mean, "deviation": deviation, "seeds": summary.count,
                }  # fmt: skip
    return found


def agreement(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Rank correlation with the study's table over the methods that both have."""
    answer = {}
    for noise in ("pmd", "cbn"):
        shared = [m for m in PUBLISHED if noise in found.get(m, {})]
        if len(shared) > 2:
            ours = [found[m][noise]["mean"] for m in shared]
            theirs = [PUBLISHED[m][noise] for m in shared]
            answer[noise] = {"methods": shared, "spearman": float(spearmanr(ours, theirs)[0])}
    return answer


def fitted(results: BenchmarkResults) -> dict[str, dict[str, float]]:
    """Per method and noise: the share of wrong labels that training fits in its last epoch."""
    found: dict[str, dict[str, float]] = {}
    for method in results.methods:
        for noise in results.noises:
            cells = results.select(noise=noise.spec, method=method.spec)
            last = [c.curves["wrong_fitted"][-1] for c in cells]
            values = [value for value in last if value is not None]
            if values:
                found.setdefault(method.name, {})[column(noise.spec)] = float(np.mean(values))
    return found


def page(content: dict[str, Any], titles: dict[str, str]) -> str:
    """The page, from the figures."""
    noises, last, best = content["noises"], content["last"], content["best"]
    lines = [
        "# Which method stands which noise?",
        "",
        "`METHODS=... studies/cifar10_methods/run.sh` (all methods without METHODS). "
        f"{content['command_data']}. The published CBN and PMD label files (35 %), and two human "
        "sets of CIFAR-10N; methods that take a noise rate are told the true one. The whole page "
        "is [report.html](report.html); this one is written by findings.py.",
        "",
        "Test accuracy in percent, last epoch (best epoch, selected on the test set, in brackets), "
        "mean over seeds ± population deviation of the last epoch:",
        "",
        "| method | seeds | " + " | ".join(f"{n} ({content['rates'][n]:.3f})" for n in noises)
        + " |",
        "|---|---:|" + "---:|" * len(noises),
    ]  # fmt: skip
    for method, row in sorted(last.items(), key=lambda item: -mean_of(item[1])):
        cells = [
            f"{row[n]['mean']:.1f} ± {row[n]['deviation']:.1f} ({best[method][n]['mean']:.1f})"
            if n in row else "" for n in noises
        ]  # fmt: skip
        seeds = min(value["seeds"] for value in row.values())
        lines.append(f"| {titles[method]} | {seeds} | " + " | ".join(cells) + " |")
    lines += ["", "Best and worst by last epoch:", ""]
    for noise in noises:
        rows = {m: r[noise]["mean"] for m, r in last.items() if noise in r}
        order = sorted(rows, key=lambda m: -rows[m])
        gaps = ", ".join(f"{titles[m]} {rows[m] - rows['standard']:+.1f}" for m in order)
        lines.append(f"- **{noise}**, points over Standard: {gaps}.")
    lines += ["", "## The order beside the study's table", ""]
    for noise, found in content["agreement"].items():
        names = ", ".join(titles[m] for m in found["methods"])
        lines.append(
            f"- {noise}: Spearman {found['spearman']:.2f} with the study's order over {names} "
            "(its best epoch, 50,000 images, hundreds of epochs, CLIP features)."
        )
    lines += [
        "",
        "Share of wrong labels fitted while training, last epoch, Standard: "
        + ", ".join(f"{n} {content['fitted']['standard'][n]:.2f}" for n in noises)
        + ". Where little is memorised there is little to be gained from methods that prevent it; "
        "the study trains until nearly all of it is.",
        "",
        (HERE / "reading.md").read_text().rstrip() if (HERE / "reading.md").is_file() else "",
    ]
    return "\n".join(lines).rstrip() + "\n"


def mean_of(row: dict[str, Any]) -> float:
    """Mean over the noises of a row."""
    return float(np.mean([value["mean"] for value in row.values()]))


def main() -> None:
    """Read the run and write what it says."""
    results = load_results(Path(sys.argv[1]))
    last, best = accuracies(results, "last"), accuracies(results, "best")
    first = results.noises[0].labels
    content = {
        "command": results.metadata["command"],
        "command_data": f"CIFAR-10, {len(first):,} training images, {len(results.seeds)} seeds",
        "noises": [column(noise.spec) for noise in results.noises],
        "rates": {column(noise.spec): noise.labels.rate for noise in results.noises},
        "last": last,
        "last10": accuracies(results, "last10"),
        "best": best,
        "agreement": agreement(best),
        "fitted": fitted(results),
    }
    write_json(HERE / "findings.json", content)
    titles = {method.name: method.title for method in results.methods}
    write_text(HERE / "README.md", page(content, titles))


if __name__ == "__main__":
    main()
