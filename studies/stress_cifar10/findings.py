"""The page of the study, from what `mislabel stress` printed as JSON.

python studies/stress_cifar10/findings.py [FOLDER]      # of plain.json, mended.json and diff.json
"""

import json
import sys
from pathlib import Path
from typing import Any

from mislabel.files import write_text

HERE = Path(__file__).parent
COLUMNS = (("plain", "yours", "the script"), ("mended", "yours", "mended"),
           ("plain", "standard", "Standard"), ("plain", "elr", "ELR"))  # fmt: skip


def figure(found: dict[str, Any] | None) -> str:
    """Mean and interval in percent or points."""
    if found is None or found["mean"] is None:
        return ""
    mean, low, high = (f"{100 * found[name]:.1f}" for name in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def table(runs: dict[str, Any], pick: str) -> list[str]:
    """A row per noise, a column per training."""
    lines = [f"| noise | {' | '.join(title for _, _, title in COLUMNS)} |", "|---|" + "---:|" * 4]
    for place, noise in enumerate(runs["plain"]["noises"]):
        if pick == "drop" and noise["noise"] == "clean":
            continue
        row = []
        for run, subject, _ in COLUMNS:
            found = runs[run]["noises"][place]["subjects"][subject]
            row.append(figure(found["drop"] if pick == "drop" else found["metrics"].get(pick)))
        shown = f"`{noise['noise']}`, {100 * noise['rate']:.1f} % wrong"
        lines.append(f"| {shown} | {' | '.join(row)} |")
    return lines


def verdicts(runs: dict[str, Any]) -> list[str]:
    """Every threshold, of both versions."""
    lines = ["| training | threshold | verdict | reason |", "|---|---|---|---|"]
    for run, title in (("plain", "the script"), ("mended", "mended")):
        lines += [
            f"| {title} | `{d['text']}` | {d['state']} | {d['reason']} |"
            for d in runs[run]["decisions"]
        ]
    return lines


def changes(diff: dict[str, Any]) -> list[str]:
    """What the mend changes, cell by cell."""
    lines = ["| noise | change, points | p, adjusted | |", "|---|---:|---:|---|"]
    for row in [*diff["noises"], diff["overall"]]:
        name = "mean over noises" if row is diff["overall"] else f"`{row['noise']}`"
        p = "" if row["adjusted"] is None else f"{row['adjusted']:.2g}"
        lines.append(f"| {name} | {figure(row['found'])} | {p} | {row['state']} |")
    return lines


def advice(run: dict[str, Any]) -> list[str]:
    """The tool's own words on the script."""
    lines = [f"- {text}" for text in run["findings"]["headlines"]]
    for place, each in enumerate(run["findings"]["advice"], start=1):
        lines += [f"{place}. **{each['text']}**", *(f"   - {line}" for line in each["basis"])]
    return lines


def page(runs: dict[str, Any], diff: dict[str, Any]) -> str:
    data, seeds = runs["plain"]["data"], len(runs["plain"]["seeds"])
    wrong = [table(runs, name) for name in ("accuracy", "drop", "wrong_fitted")]
    parts = [
        "# A plain training script on CIFAR-10, under people's errors",
        "",
        "`studies/stress_cifar10/run.sh`: the script of "
        "[examples/cifar10_pytorch](../../examples/cifar10_pytorch), run as a command, as it is "
        f"and mended (`--mend`: images moved and mirrored), on {data['n_train']:,} training and "
        f"{data['n_test']:,} test images; beside it Standard and ELR of mislabel, with the recipe "
        f"that they choose themselves, on the same labels. {seeds} seeds, each a draw of labels "
        "and a training; `human:random_label1` is what people answered, the same for every seed. "
        "Means with 95 % intervals over seeds. The page of the script: [report.html](report.html).",
        "",
        "## Accuracy on clean test labels, %",
        "",
        *wrong[0],
        "",
        "## Points lost against clean labels",
        "",
        *wrong[1],
        "",
        "## Wrong labels that are fitted, %",
        "",
        *[line for line in wrong[2] if "`clean`" not in line],
        "",
        "## Verdicts",
        "",
        *verdicts(runs),
        "",
        "## The mend against the script, paired by cell",
        "",
        *changes(diff),
        "",
        "## What the tool says of the script",
        "",
        *advice(runs["plain"]),
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    read = {name: json.loads((folder / f"{name}.json").read_text())
            for name in ("plain", "mended", "diff")}  # fmt: skip
    text = page(read, read.pop("diff"))
    write_text(folder / "README.md", text)
    print(text)


if __name__ == "__main__":
    main()
