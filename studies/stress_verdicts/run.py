"""How often is a verdict of `mislabel stress` wrong, and how many seeds does it take?

    python studies/stress_verdicts/run.py [--seeds 240]

A decision tree, a small neural network and a logistic regression (scikit-learn) are trained on the
embedded digits under clean labels and two noises, many times over: every seed draws labels anew.
The mean over all seeds is taken for the truth. Then the seeds are dealt into tests of a few seeds
each, and every test is held against thresholds at known distances from the truth: its interval may
pass, fail or stay undecided, and a rule that compares the mean alone always passes or fails.

Writes result.csv, coverage.csv and README.md beside this file. Needs no data; trainings run on all
cores, and those that are there (trainings.csv) are not repeated.
"""

import argparse
import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from mislabel.benchmark.inputs import InputOptions, LabelInputs
from mislabel.executor import LocalExecutor, Workers
from mislabel.files import write_text
from mislabel.stress.intervals import interval

HERE = Path(__file__).parent
NOISES = ("clean", "symmetric:0.2", "human-like:0.2")
CODES: dict[str, Callable[[int], Any]] = {
    "tree": lambda seed: DecisionTreeClassifier(random_state=seed),
    "network": lambda seed: MLPClassifier((32,), max_iter=40, random_state=seed),
    "logistic": lambda seed: LogisticRegression(max_iter=100),
}
SIZES = (2, 3, 5, 10)
DISTANCES = (0.0, 0.005, 0.01, 0.02, 0.05)
"Of the threshold from the truth, in accuracy."
LEVEL = 0.95


def train(work: tuple[LabelInputs, str, str, int]) -> dict[str, Any]:
    """One training; its accuracy on the test images."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    inputs, code, noise, seed = work
    data = inputs.dataset
    x, x_test = (a.reshape(len(a), -1) / 255 for a in (data.x_train, data.x_test))
    labels = inputs.draw(noise, seed=seed).labels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # forty epochs are what is meant
        model = CODES[code](seed).fit(x, labels)
    correct = int((model.predict(x_test) == data.y_test).sum())
    return {"code": code, "noise": noise, "seed": seed, "correct": correct}


def trainings(n_seeds: int, path: Path) -> list[dict[str, Any]]:
    """Every training, from the file where it is there."""
    rows = list(csv.DictReader(path.read_text().splitlines())) if path.is_file() else []
    there = {(row["code"], row["noise"], int(row["seed"])) for row in rows}
    inputs = LabelInputs.load(InputOptions(data="digits"))
    _ = inputs.map
    todo = [
        (inputs, code, noise, seed)
        for seed in range(1, n_seeds + 1)
        for noise in NOISES
        for code in CODES
        if (code, noise, seed) not in there
    ]
    for row in LocalExecutor().run(train, todo, Workers.choose(None, len(todo) or 1, "cpu")):
        rows.append(row)
        if len(rows) % 100 == 0:
            print(f"{len(rows)} trainings", flush=True)
            write(path, rows)
    rows = [{**row, "seed": int(row["seed"]), "correct": int(row["correct"])} for row in rows]
    rows.sort(key=lambda row: (row["code"], row["noise"], row["seed"]))
    write(path, rows)
    return [row for row in rows if row["seed"] <= n_seeds]


def figures(rows: list[dict[str, Any]], n_test: int) -> dict[str, tuple[np.ndarray, float]]:
    """Per-seed values of each figure with their rounding step: accuracies, and drops by noise."""
    found: dict[str, tuple[np.ndarray, float]] = {}
    for code in CODES:
        by = {n: np.array([r["correct"] for r in rows if (r["code"], r["noise"]) == (code, n)])
              / n_test for n in NOISES}  # fmt: skip
        for noise in NOISES:
            found[f"{code}, accuracy, {noise}"] = (by[noise], 1 / n_test)
            if noise != "clean":
                drop = by["clean"] - by[noise]
                found[f"{code}, drop, {noise}"] = (drop, np.sqrt(2) / n_test)
    return found


def tests(values: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Disjoint tests of `size` seeds each."""
    for start in range(0, len(values) - size + 1, size):
        yield values[start : start + size]


def coverage(found: dict[str, tuple[np.ndarray, float]]) -> list[dict[str, Any]]:
    """How often the interval holds the truth, per figure and number of seeds."""
    rows = []
    for name, (values, step) in found.items():
        truth = values.mean()
        for size in SIZES:
            every = [interval(part, step=step, level=LEVEL) for part in tests(values, size)]
            held = [one.low <= truth <= one.high for one in every]
            width = np.median([one.high - one.low for one in every])
            rows.append({
                "figure": name, "deviation": round(float(values.std(ddof=1)), 5), "seeds": size,
                "tests": len(every), "covered": sum(held), "median_width": round(float(width), 5),
            })  # fmt: skip
    return rows


def verdicts(found: dict[str, tuple[np.ndarray, float]]) -> list[dict[str, Any]]:
    """Shares of right, wrong and undecided verdicts at thresholds around the truth."""
    rows = []
    for size in SIZES:
        for distance in DISTANCES:
            counts = dict.fromkeys(("tests", "right", "wrong", "undecided", "mean_wrong"), 0)
            for values, step in found.values():
                for part in tests(values, size):
                    one = interval(part, step=step, level=LEVEL)
                    for side in (-1, 1):
                        _judge(counts, one, values.mean() + side * distance, side)
            rows.append({"seeds": size, "distance": distance, **counts})
    return rows


def _judge(counts: dict[str, int], one: Any, threshold: float, side: int) -> None:
    """Count a verdict on ``figure >= threshold``; above the truth (side 1) it must not pass."""
    counts["tests"] += 1
    passes, fails = one.low >= threshold, one.high < threshold
    counts["undecided"] += not passes and not fails
    counts["wrong"] += passes if side == 1 else fails
    counts["right"] += fails if side == 1 else passes
    counts["mean_wrong"] += (one.mean >= threshold) == (side == 1)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def page(covered: list[dict[str, Any]], judged: list[dict[str, Any]], n_seeds: int) -> str:
    lines = [
        "# How often is a verdict of a stress test wrong?",
        "",
        f"`python studies/stress_verdicts/run.py`: three scikit-learn classifiers on digits, "
        f"{n_seeds} seeds each of clean labels, symmetric:0.2 and human-like:0.2; a seed draws "
        "labels and trains. "
        "The mean over all seeds counts as the truth. Figures are accuracies and drops from clean, "
        f"{len(covered) // len(SIZES)} in all, each dealt into disjoint tests of a few seeds.",
        "",
        "## Does the 95 % interval hold the truth?",
        "",
        "| seeds | tests | held | median width, points, over figures |",
        "|---:|---:|---:|---:|",
    ]
    for size in SIZES:
        mine = [row for row in covered if row["seeds"] == size]
        count, held = sum(r["tests"] for r in mine), sum(r["covered"] for r in mine)
        width = 100 * float(np.median([r["median_width"] for r in mine]))
        lines.append(f"| {size} | {count:,} | {100 * held / count:.1f} % | {width:.1f} |")
    lines += [
        "",
        "Per figure: [coverage.csv](coverage.csv). The truth is a mean over the same seeds, which "
        "flatters coverage a little, most for many seeds.",
        "",
        "## Verdicts on thresholds at a known distance from the truth",
        "",
        "Half of the thresholds lie above the truth and must not pass, half below, and must not "
        "fail. "
        "The last column is the rule that compares the mean over seeds alone.",
        "",
        "| seeds | distance, points | right | wrong | undecided | mean alone wrong |",
        "|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for row in judged:
        shares = [f"{100 * row[name] / row['tests']:.1f} %"
                  for name in ("right", "wrong", "undecided", "mean_wrong")]  # fmt: skip
        lines.append(f"| {row['seeds']} | {100 * row['distance']:.1f} | {' | '.join(shares)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=240)
    n_seeds = parser.parse_args().seeds
    rows = trainings(n_seeds, HERE / "trainings.csv")
    found = figures(rows, len(LabelInputs.load(InputOptions(data="digits")).dataset.y_test))
    covered, judged = coverage(found), verdicts(found)
    write(HERE / "coverage.csv", covered)
    write(HERE / "result.csv", judged)
    text = page(covered, judged, n_seeds)
    write_text(HERE / "README.md", text)
    print(text)


if __name__ == "__main__":
    main()
