"""Is the two-sample test calibrated, and what does it notice? On CIFAR-10, all 50,000 labels.

    MISLABEL_DATA=DATA python studies/realism_calibration/run.py

Calibration: two draws of one generator at the rate of human labels, per seed; the truth is 0.5.
Instance-dependent noise draws a projection first, so two of its draws are two generators; for the
calibration both share one, and two of them count as a known shift.
Power: CIFAR-10N `random_label1` against the same labels of which a known share was shifted.
Writes result.csv, result.json and README.md beside this file. Resumable: what result.csv holds is
not run again; more --seeds add to it.
"""

import argparse
import csv
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, kstest

from mislabel.features import Neighborhood, load_map
from mislabel.files import write_json, write_text
from mislabel.labels import NoisyLabels, load_labels
from mislabel.noise import cross_fitted_probabilities, make_noise
from mislabel.realism.discriminators import DISCRIMINATORS
from mislabel.realism.two_sample import two_sample_test
from mislabel.seeds import child_seed, generator
from mislabel.versions import library_versions

HERE = Path(__file__).parent
REFERENCE, RATE = "random_label1", 0.172
GENERATORS = (
    f"symmetric:{RATE}",
    f"class-dependent:like={REFERENCE},rate={RATE}",
    f"pmd:{RATE}",
    f"cluster:{RATE}",
    "instance, one projection",
)
TWO_PROJECTIONS = f"instance:{RATE}"
SHARES = (0.05, 0.1, 0.2, 0.4)
FIELDS = ("part", "what", "discriminator", "seed", "auc", "low", "high", "p_value", "n_dropped")
Row = dict[str, Any]
Job = tuple[dict[str, Any], Callable[[], tuple[NoisyLabels, NoisyLabels]]]


class Data:
    """The map, human labels and class probabilities of CIFAR-10."""

    def __init__(self, folder: Path, neighbors: int) -> None:
        self.human = load_labels(folder / "cifar-n/CIFAR-10_human.pt", column=REFERENCE)
        assert self.human.clean_labels is not None
        self.clean = self.human.clean_labels
        self.map = load_map(folder / "cifar10/clip_tsne_train.parquet")
        self.place = Neighborhood.of(self.map, self.clean, 10, k=neighbors)
        self.eta = cross_fitted_probabilities(self.map, self.clean, n_classes=10, seed=0)

    def two_draws(self, spec: str, seed: int) -> tuple[NoisyLabels, NoisyLabels]:
        """Two draws of one generator."""
        if spec not in (*GENERATORS[:-1], TWO_PROJECTIONS):
            return self._one_projection(seed)
        one, two = (
            make_noise(spec).corrupt(
                self.clean,
                positions=self.map,
                features=self.map,
                probabilities=self.eta,
                seed=child_seed(seed, spec, draw),
            )
            for draw in ("reference", "candidate")
        )
        return one, two

    def _one_projection(self, seed: int) -> tuple[NoisyLabels, NoisyLabels]:
        """Two draws of instance-dependent noise (flips anywhere) with the same projection."""
        rng = generator(seed, "one projection")
        n_examples = len(self.clean)
        projection = rng.standard_normal((10, 2, 10))[self.clean]
        scaled = (self.map - self.map.mean(axis=0)) / self.map.std(axis=0)
        logits = np.einsum("nd,ndc->nc", scaled, projection)
        logits[np.arange(n_examples), self.clean] = -np.inf
        drawn = []
        for _ in range(2):
            flips = rng.choice(n_examples, round(RATE * n_examples), replace=False)
            labels = self.clean.copy()
            labels[flips] = (logits[flips] + rng.gumbel(size=(len(flips), 10))).argmax(axis=1)
            drawn.append(NoisyLabels(labels, clean_labels=self.clean, n_classes=10))
        return drawn[0], drawn[1]

    def shifted(self, kind: str, share: float, seed: int) -> tuple[NoisyLabels, NoisyLabels]:
        """The human labels, and the same with a share of the flips shifted."""
        rng = generator(seed, kind, str(share))
        flips = np.flatnonzero(self.human.flipped)
        chosen = rng.choice(flips, round(share * len(flips)), replace=False)
        labels = self.human.labels.copy()
        if kind == "moved":
            labels[chosen] = self.clean[chosen]
            labels[self._others(chosen, rng)] = self.human.labels[chosen]
        else:
            labels[chosen] = (self.clean[chosen] + rng.integers(1, 10, len(chosen))) % 10
        return self.human, NoisyLabels(labels, clean_labels=self.clean, n_classes=10)

    def _others(self, chosen: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """For each of the chosen another example of its class whose label is right."""
        others = np.empty_like(chosen)
        right = ~self.human.flipped
        for label in range(10):
            own = self.clean[chosen] == label
            pool = np.flatnonzero(right & (self.clean == label))
            others[own] = rng.choice(pool, int(own.sum()), replace=False)
        return others


def jobs(data: Data, arguments: argparse.Namespace) -> Iterator[Job]:
    """Every test: what it is called, and how its labels are made."""
    for seed in range(arguments.seeds):
        for spec in GENERATORS:
            key = {"part": "calibration", "what": spec, "seed": seed}
            yield key, partial(data.two_draws, spec, seed)
    for seed in range(arguments.power_seeds):
        key = {"part": "power", "what": f"two projections, {TWO_PROJECTIONS}", "seed": seed}
        yield key, partial(data.two_draws, TWO_PROJECTIONS, seed)
        for share in SHARES:
            for kind in ("moved", "redrawn"):
                key = {"part": "power", "what": f"{kind} {share:g}", "seed": seed}
                yield key, partial(data.shifted, kind, share, seed)


def main() -> None:
    """Run what is missing, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="of the calibration")
    parser.add_argument("--power-seeds", type=int, default=5)
    parser.add_argument("--discriminator", default="boosting", choices=DISCRIMINATORS.names)
    arguments = parser.parse_args()
    rows = read_rows()
    done = {(r["part"], r["what"], r["discriminator"], int(r["seed"])) for r in rows}
    data = Data(
        Path(os.environ["MISLABEL_DATA"]), DISCRIMINATORS[arguments.discriminator].neighbors
    )
    for key, make in jobs(data, arguments):
        key = {**key, "discriminator": arguments.discriminator}
        if (key["part"], key["what"], key["discriminator"], key["seed"]) in done:
            continue
        result = two_sample_test(
            *make(), data.place, discriminator=arguments.discriminator, seed=key["seed"]
        )
        figures = (result.auc, *result.interval, result.p_value)
        rounded = dict(zip(FIELDS[4:8], (round(v, 4) for v in figures), strict=True))
        rows.append({**key, **rounded, "n_dropped": sum(result.n_dropped)})
        write_rows(rows)
        print(rows[-1], flush=True)
    found = findings(read_rows())
    write_json(HERE / "result.json", found)
    write_text(HERE / "README.md", page(found))


def read_rows() -> list[Row]:
    """What has been run."""
    path = HERE / "result.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(rows: list[Row]) -> None:
    """All rows, one test each."""
    lines = [",".join(FIELDS)]
    for row in rows:
        cells = [str(row[name]) for name in FIELDS]
        lines.append(",".join(f'"{cell}"' if "," in cell else cell for cell in cells))
    write_text(HERE / "result.csv", "\n".join(lines) + "\n")


def findings(rows: list[Row]) -> dict[str, Any]:
    """Figures per generator and per shift."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["part"], row["discriminator"], row["what"]), []).append(row)
    calibration, power = [], []
    for (part, discriminator, what), members in groups.items():
        auc, low, high, p = (np.array([float(r[f]) for r in members]) for f in FIELDS[4:8])
        common = {
            "discriminator": discriminator,
            "what": what,
            "tests": len(auc),
            "mean_auc": auc.mean(),
            "deviation": auc.std(ddof=1) if len(auc) > 1 else None,
            "mean_half_width": ((high - low) / 2).mean(),
            "below_5_percent": int((p <= 0.05).sum()),
        }
        if part == "power":
            power.append(common | {"above": int((low > 0.5).sum())})
            continue
        held = int(((low <= 0.5) & (high >= 0.5)).sum())
        calibration.append(common | {"held": held, "uniform": kstest(p, "uniform").pvalue})
    return {
        "reference": REFERENCE,
        "rate": RATE,
        "calibration": calibration,
        "power": power,
        "versions": library_versions("numpy", "scikit-learn"),
    }


def page(found: dict[str, Any]) -> str:
    """The page, from the figures."""
    summaries = "\n\n".join(
        summary(name, [row for row in found["calibration"] if row["discriminator"] == name])
        for name in dict.fromkeys(row["discriminator"] for row in found["calibration"])
    )
    calibration = "\n".join(
        f"| {r['discriminator']} | `{r['what']}` | {r['tests']} | {r['mean_auc']:.4f} | "
        f"{_number(r['deviation'])} | {r['mean_half_width']:.3f} | {r['held']} | "
        f"{r['below_5_percent']} | {r['uniform']:.2f} |"
        for r in found["calibration"]
    )
    power = "\n".join(
        f"| {r['discriminator']} | {r['what']} | {r['tests']} | {r['mean_auc']:.4f} | "
        f"{_number(r['deviation'])} | {r['above']} | {r['below_5_percent']} |"
        for r in found["power"]
    )
    return f"""# Is the two-sample test calibrated, and what does it notice?

`MISLABEL_DATA=DATA python studies/realism_calibration/run.py`: CIFAR-10, 50,000 labels, the map,
rate {found["rate"]}.

## Two draws of one generator

The truth is an AUC of 0.5.

{summaries}

Two draws at exactly one rate get slightly less than 0.5: what one has more of in the training
blocks it has less of in the held-out ones. So p-values lean to the high side (last column:
Kolmogorov-Smirnov p-value of their being uniform); the test is cautious.

| test | generator | tests | mean AUC | deviation | half width | hold 0.5 | p <= 0.05 | uniform |
|---|---|---:|---:|---:|---:|---:|---:|---:|
{calibration}

## Known shifts of human labels

`{found["reference"]}` against itself with a share of its flips *moved* to random examples of the
same class (same transition matrix, less place), or *redrawn* (same places, uniform targets). And
two draws of instance-dependent noise, each with its own projection.

| test | shift | tests | mean AUC | deviation | interval above 0.5 | p <= 0.05 |
|---|---|---:|---:|---:|---:|---:|
{power}
"""


def summary(name: str, rows: list[Row]) -> str:
    """How many intervals of a discriminator hold the truth, against what is to be expected."""
    tests, held, below = (
        sum(row[key] for row in rows) for key in ("tests", "held", "below_5_percent")
    )
    fewest, most = binom.ppf([0.025, 0.975], tests, 0.95).astype(int)
    return (
        f"`{name}`: of {tests} intervals of 95 %, **{held} hold 0.5**; a test that is exactly\n"
        f"right has {fewest} to {most} of them in 95 of 100 such studies. {below} of {tests}\n"
        "p-values are at most 0.05."
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


if __name__ == "__main__":
    main()
