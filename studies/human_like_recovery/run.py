"""Does the fit of human-like noise find the parameters that its own draws were made with?

    python studies/human_like_recovery/run.py [--draws 24]

8,000 points of four classes that overlap, a rate of 0.2, with both fields and without. Needs no
data. Writes result.csv and README.md beside this file.
"""

import argparse
import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np

from mislabel.files import write_text
from mislabel.noise import HumanParameters, fit_human_like

HERE = Path(__file__).parent
SIZE, REACHES = 8_000, (0.003, 0.02)
TRUE = HumanParameters(
    mixing=0.3, loneliness=0.5, near_spread=0.5, far_spread=0.5, target_mixing=0.5,
    target_closeness=0.6, class_spread=0.25, pair_spread=0.0, rate=0.2,
    near_reach=REACHES[0], far_reach=REACHES[1], class_effects=(0.3, -0.3, 0.2, -0.2),
    pair_effects=((1.0,) * 4,) * 4,
)  # fmt: skip
SHOWN = ("mixing", "loneliness", "near_spread", "far_spread", "target_mixing", "target_closeness")


def points() -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) points and (N,) classes."""
    rng = np.random.default_rng(0)
    classes = np.arange(SIZE) % 4
    centres = np.array([[0.0, 0.0], [2.5, 0.0], [0.0, 2.5], [3.0, 3.0]])
    return centres[classes] + rng.normal(size=(SIZE, 2)), classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=24)
    draws = parser.parse_args().draws
    positions, classes = points()
    rows = []
    for fields in (0.5, 0.0):
        true = replace(TRUE, near_spread=fields, far_spread=fields)
        found = []
        for seed in range(draws):
            labels = true.noise(0.2, effects="fitted").corrupt(
                classes, positions=positions, seed=seed
            )
            found.append(fit_human_like(labels, positions, reaches=REACHES, seed=seed))
        for name in SHOWN:
            values = np.array([getattr(fit, name) for fit in found])
            stated = np.mean([fit.errors[name] for fit in found])
            rows.append({
                "fields": fields, "parameter": name, "true": getattr(true, name), "draws": draws,
                "mean": round(values.mean(), 4), "scatter": round(values.std(ddof=1), 4),
                "stated_error": round(stated, 4),
            })  # fmt: skip
            print(rows[-1], flush=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(HERE / "result.csv", text.getvalue())
    write_text(HERE / "README.md", page(rows))


def page(rows: list[dict[str, object]]) -> str:
    """README.md."""
    lines = [
        "# Does the fit of human-like noise find what was put in?", "",
        f"`python studies/human_like_recovery/run.py`: {rows[0]['draws']} draws of the generator "
        f"on {SIZE:,} points of four overlapping classes, fitted again. Scatter is the standard "
        "deviation of the estimates over draws; the stated error should be as large.", "",
        "| fields | parameter | true | mean of the estimates | scatter | stated error |",
        "|---|---|---:|---:|---:|---:|",
    ]  # fmt: skip
    for row in rows:
        names = ("fields", "parameter", "true", "mean", "scatter", "stated_error")
        lines.append("| " + " | ".join(str(row[name]) for name in names) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
