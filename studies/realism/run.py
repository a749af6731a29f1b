"""How human is each kind of noise? CIFAR-10N against every generator, and against human-like noise.

    MISLABEL_DATA=/path/to/data python studies/realism/run.py [--parts presets,table,bars]

Parts:
  presets  fits human-like noise to the sets of CIFAR-10N; `--write-presets` puts the parameters of
           aggre, random1 and worse into the package
  table    AUC of every kind against random_label1, aggre_label and worse_label at their rates
  bars     fitted on half of the blocks and made for the other half; fitted on five classes and made
           for the other five; from random_label1 to worse_label with only the rate changed
  profiles the profiles of human and generated sets side by side
  patches  the same candidates on another map, of random patch features of the images, which the
           generator never saw: it was fitted on the map of CLIP's embedding
  order    whether images that follow each other in the file, as they may have been labelled
           together, err together

Resumable: each test is a row of results.csv and is not made again. README.md is written from
results.csv, parameters.json and order.csv, and from reading.md, which people wrote.
"""

import argparse
import csv
import io
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mislabel.data import load_data
from mislabel.errors import InputError
from mislabel.features import Neighborhood, encode, load_map, tsne_map
from mislabel.files import write_json, write_text
from mislabel.labels import NoisyLabels, load_labels
from mislabel.noise import fit_human_like, make_noise
from mislabel.noise.human_like import PRESETS, HumanPlace
from mislabel.noise.human_like_fit import FITTED
from mislabel.realism.blocks import make_folds
from mislabel.realism.profile import clustering_index, interval_blocks, profile_labels
from mislabel.realism.two_sample import two_sample_test

HERE = Path(__file__).parent
FIELDS = ["part", "reference", "candidate", "split", "seed", "discriminator", "auc", "low", "high",
          "p_value", "rate", "clustering_10", "seconds"]  # fmt: skip
HUMAN = ["aggre_label", "random_label1", "random_label2", "random_label3", "worse_label"]
KINDS = {
    "symmetric": "symmetric:{r}",
    "pair": "pair:{r}",
    "class-dependent": "class-dependent:like={set},rate={r}",
    "instance": "instance:{r}",
    "PMD": "pmd:{r}",
    "CBN": "cluster:{r}",
    "CBN, 1,000 centres a class": "cluster:{r},n=1000",
    "human-like": "human-like:{r},like={set},effects=fitted",
    "human-like, no effects": "human-like:{r},like={set}",
}
SPLITS = {"boosting": 10, "strong": 2}
DRAWS = {"boosting": 3, "strong": 1}
FLOORS = {"boosting": 10, "strong": 1}
"In so many of the splits people are compared with people too."
BLOCKS = 150
NO_PAIRS = ((1.0,) * 10,) * 10


class Rows:
    """results.csv: rows by their key, each written when it is found."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = self._read()

    def _read(self) -> list[dict[str, str]]:
        return list(csv.DictReader(self.path.open())) if self.path.is_file() else []

    def has(self, **key: object) -> bool:
        return any(all(row[k] == str(v) for k, v in key.items()) for row in self.rows)

    def add(self, **row: object) -> None:
        self.rows = [*self._read(), {name: str(row[name]) for name in FIELDS}]  # others write too
        text = io.StringIO()
        writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())
        print(row, flush=True)


class Study:
    """The data, read once."""

    def __init__(self, data: Path, rows: Rows) -> None:
        self.positions = load_map(data / "cifar10" / "clip_tsne_train.parquet")
        file = data / "cifar-n" / "CIFAR-10_human.pt"
        self.sets = {name: load_labels(file, column=name, n_classes=10) for name in HUMAN}
        self.clean = self.sets["random_label1"].clean_labels
        assert self.clean is not None
        self.place = Neighborhood.of(self.positions, self.clean, 10, k=300)
        self.published = {
            f"{name}, published at 35 %": load_labels(
                data / "published" / f"cifar10-{file}-0.35.npy",
                clean_labels=self.clean, n_classes=10,
            )
            for name, file in (("PMD", "pmd"), ("CBN", "cluster"))
        }  # fmt: skip
        self.rows = rows

    def test(
        self,
        reference: NoisyLabels,
        candidate: NoisyLabels,
        place: Neighborhood,
        discriminator: str,
        key: dict[str, object],
    ) -> None:
        """One row."""
        started = time.perf_counter()
        found = two_sample_test(
            reference, candidate, place, discriminator=discriminator, seed=int(str(key["seed"]))
        )
        index = clustering_index(candidate.flipped, place.neighbors[:, :10])
        self.rows.add(
            **key, discriminator=discriminator, auc=round(found.auc, 4),
            low=round(found.interval[0], 4), high=round(found.interval[1], 4),
            p_value=round(found.p_value, 4), rate=round(reference.rate, 5),
            clustering_10=round(index, 3), seconds=round(time.perf_counter() - started, 1),
        )  # fmt: skip


def presets(study: Study, write: bool) -> None:
    """parameters.json, and the presets of the package."""
    found = {}
    for name in HUMAN:
        human = fit_human_like(study.sets[name], study.positions)
        found[name] = human.to_json()
        if write and name in PRESETS:
            import mislabel.noise

            human.save(Path(mislabel.noise.__file__).parent / "presets" / f"{name}.json")
    write_json(HERE / "parameters.json", found)


def table(study: Study, discriminators: list[str], references: list[str]) -> None:
    """Every kind, every human set, at the rate of the reference."""
    for discriminator in discriminators:
        for set_ in references:
            reference = study.sets[set_]
            for name, candidate in candidates(study, set_):
                key = {
                    "part": "table",
                    "reference": set_,
                    "candidate": name,
                    "split": "",
                    "seed": 0,
                }
                if study.rows.has(**key, discriminator=discriminator):
                    continue
                try:
                    made = candidate()
                except InputError as error:  # PMD has a least rate; the place stays empty
                    print(set_, name, error, flush=True)
                    continue
                study.test(reference, made, study.place, discriminator, key)


def candidates(study: Study, set_: str) -> Iterator[tuple[str, object]]:
    """Names and how each is made; human sets with fewer flips than the reference are left out."""
    reference = study.sets[set_]
    for name, labels in study.sets.items():
        if name != set_ and labels.rate >= reference.rate:
            yield f"human {name}", lambda labels=labels: labels
    for name, labels in study.published.items():
        if labels.rate >= reference.rate:
            yield name, lambda labels=labels: labels
    for name, spec in KINDS.items():
        model = make_noise(spec.format(r=repr(reference.rate), set=set_))
        yield (
            name,
            lambda model=model: model.corrupt(
                study.clean,
                n_classes=10,
                positions=study.positions,
                features=study.positions,
                seed=1,
            ),
        )


def profiles(study: Study) -> None:
    """profiles.json: human sets, and every kind at the rate of random_label1."""
    sets = {f"human {name}": labels for name, labels in study.sets.items()}
    sets |= study.published | {
        name: candidate() for name, candidate in candidates(study, "random_label1") if name in KINDS
    }
    place = Neighborhood.of(study.positions, study.clean, 10)
    blocks = interval_blocks(place)
    found = {
        name: profile_labels(labels, place, blocks=blocks).to_json()
        for name, labels in sets.items()
    }
    for content in found.values():
        del content["transition_matrix"], content["rate_per_class"]
    write_json(HERE / "profiles.json", found)


def patches(study: Study) -> None:
    """The first column of the table on a map of other features of the images."""
    images = load_data(f"cifar10:{Path(os.environ['MISLABEL_DATA']) / 'cifar10'}").x_train
    place = None
    for name, candidate in candidates(study, "random_label1"):
        key = {"part": "patches", "reference": "random_label1", "candidate": name, "split": "",
               "seed": 0}  # fmt: skip
        if study.rows.has(**key, discriminator="boosting"):
            continue
        if place is None:
            place = Neighborhood.of(tsne_map(encode("patches", images)), study.clean, 10, k=300)
        study.test(study.sets["random_label1"], candidate(), place, "boosting", key)


def bars(study: Study, discriminators: list[str]) -> None:
    """What is carried over: to other places, other classes, another rate."""
    for discriminator in discriminators:
        splits = SPLITS[discriminator]
        for split in range(splits):
            _half(study, split, discriminator)
        for split in range(splits):
            _classes(study, split, discriminator)
        for seed in range(DRAWS[discriminator]):
            _rate(study, seed, discriminator)


def _half(study: Study, split: int, discriminator: str) -> None:
    set_ = "random_label1"
    folds = make_folds(study.place, n_blocks=BLOCKS, n_folds=2, buffer=1, seed=split)
    fitted_on = folds.fold == 0
    _carried(study, set_, "half of the blocks", fitted_on, split, discriminator, "fitted")


def _classes(study: Study, split: int, discriminator: str) -> None:
    chosen = np.random.default_rng(split).permutation(10)[:5]
    fitted_on = np.isin(study.clean, chosen)
    _carried(study, "random_label1", "five classes", fitted_on, split, discriminator, "none")


def _carried(
    study: Study, set_: str, name: str, fitted_on: np.ndarray, split: int, discriminator: str,
    effects: str,
) -> None:  # fmt: skip
    """Fitted on the examples `fitted_on` alone, made for the others alone: nothing is shared."""
    key = {"part": "bars", "reference": set_, "candidate": name, "split": split, "seed": split}
    known = {**key, "candidate": f"{name}, rates of the classes known"}
    people = ("random_label2", "random_label3") if split < FLOORS[discriminator] else ()
    floors = [{**key, "candidate": f"{name}: human {other}"} for other in people]
    wanted = (key, *([known] if effects == "none" else []), *floors)
    if all(study.rows.has(**k, discriminator=discriminator) for k in wanted):
        return
    labels, others = study.sets[set_], np.flatnonzero(~fitted_on)
    reference = labels.take(others)
    place = Neighborhood.of(study.positions[others], study.clean[others], 10, k=300)
    used = np.flatnonzero(fitted_on)
    human_ = fit_human_like(labels.take(used), study.positions[used])
    makers = [(key, human_, effects)]
    if effects == "none":  # five numbers of the other classes, and nothing else of them
        own = fit_human_like(reference, study.positions[others])
        makers.append((known, replace(human_, class_effects=own.class_effects,
                                      pair_effects=NO_PAIRS), "fitted"))  # fmt: skip
    for k, parameters, kind in makers:
        if not study.rows.has(**k, discriminator=discriminator):
            made = parameters.noise(reference.rate, effects=kind).corrupt(
                study.clean[others], n_classes=10, positions=study.positions[others], seed=split
            )
            study.test(reference, made, place, discriminator, k)
    for k, other in zip(floors, people, strict=True):
        candidate = study.sets[other].take(others)
        if candidate.rate >= reference.rate and not study.rows.has(
            **k, discriminator=discriminator
        ):
            study.test(reference, candidate, place, discriminator, k)


def _rate(study: Study, seed: int, discriminator: str) -> None:
    """From random_label1 to other sets: only the rate is changed."""
    human = fit_human_like(study.sets["random_label1"], study.positions)
    for set_ in ("worse_label", "random_label2", "random_label3", "aggre_label"):
        if set_ != "worse_label" and discriminator == "strong":
            continue  # a minute or two each
        reference = study.sets[set_]
        key = {"part": "bars", "reference": set_, "candidate": "fitted to random_label1",
               "split": "", "seed": seed}  # fmt: skip
        if not study.rows.has(**key, discriminator=discriminator):
            made = human.noise(reference.rate, effects="fitted").corrupt(
                study.clean, n_classes=10, positions=study.positions, seed=seed
            )
            study.test(reference, made, study.place, discriminator, key)


def order(study: Study) -> None:
    """Correlation of what is left of flips after class rates, by distance in the file's order."""
    lines = ["set,lag,inside,inside_error,across,across_error"]
    index = np.arange(len(study.clean))
    for name, labels in study.sets.items():
        rest = labels.flipped - labels.rate_per_class[study.clean]
        variance = rest.var()
        for lag in range(1, 10):
            product = rest[:-lag] * rest[lag:] / variance
            same = index[:-lag] // 10 == index[lag:] // 10  # tens, the size of CIFAR-N's tasks
            parts = [
                (product[chosen].mean(), product[chosen].std() / np.sqrt(chosen.sum()))
                for chosen in (same, ~same)
            ]
            lines.append(f"{name},{lag}," + ",".join(f"{a:.5f},{b:.5f}" for a, b in parts))
    write_text(HERE / "order.csv", "\n".join(lines) + "\n")
    lines = ["first,second,correlation,error,both_wrong,expected"]
    people = HUMAN[1:4]
    for i, first in enumerate(people):
        for second in people[i + 1 :]:
            a, b = study.sets[first], study.sets[second]
            rest = [s.flipped - s.rate_per_class[study.clean] for s in (a, b)]
            r = float(np.corrcoef(*rest)[0, 1])
            both = float((a.flipped & b.flipped).mean())
            chance = float((a.rate_per_class * b.rate_per_class)[study.clean].mean())
            lines.append(
                f"{first},{second},{r:.4f},{len(rest[0]) ** -0.5:.4f},{both:.4f},{chance:.4f}"
            )
    write_text(HERE / "same_image.csv", "\n".join(lines) + "\n")
    write_text(HERE / "class_effects.csv", "\n".join(_class_lines(study)) + "\n")


def _class_lines(study: Study) -> list[str]:
    """Rank correlation over classes of their effects with measures of their place."""
    from scipy.stats import spearmanr

    place = HumanPlace.of(study.positions, study.clean, 10)
    centres = place.near.class_centres
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2) + np.diag([np.inf] * 10)
    close = place.log_closeness - np.diag([np.inf] * 10)
    classes = range(10)
    measures = {
        "mean log mixing": [place.log_mixing[study.clean == c].mean() for c in classes],
        "log distance to the nearest centre": np.log(apart.min(axis=1)),
        "closeness of the closest class": close.max(axis=1),
        "log extent": [
            np.log(study.positions[study.clean == c].std(axis=0).mean()) for c in classes
        ],
    }
    parameters = json.loads((HERE / "parameters.json").read_text())
    lines = ["measure," + ",".join(parameters)]
    for name, values in measures.items():
        found = [spearmanr(values, p["class_effects"])[0] for p in parameters.values()]
        lines.append(f"{name}," + ",".join(f"{r:.2f}" for r in found))
    return lines


def page() -> str:
    """README.md from the files beside this one."""
    rows = Rows(HERE / "results.csv").rows
    for row in rows:
        if row["part"] == "patches":
            row |= {"part": "table", "reference": "random_label1, map of patches"}
    lines = [
        "# How human is each kind of noise?",
        "",
        (HERE / "reading.md").read_text().rstrip(),
        "",
    ]
    lines += _table_lines([row for row in rows if row["part"] == "table"])
    lines += _bar_lines([row for row in rows if row["part"] == "bars"])
    lines += _profile_lines(json.loads((HERE / "profiles.json").read_text()))
    lines += _parameter_lines(json.loads((HERE / "parameters.json").read_text()))
    lines += _order_lines(list(csv.DictReader((HERE / "order.csv").open())))
    lines += ["", "All tests: `results.csv`. Written by one command:", "",
              "    MISLABEL_DATA=/path/to/data python studies/realism/run.py", ""]  # fmt: skip
    return "\n".join(lines)


def _table_lines(rows: list[dict[str, str]]) -> list[str]:
    columns = list(dict.fromkeys((r["reference"], r["discriminator"]) for r in rows))
    names = list(dict.fromkeys(r["candidate"] for r in rows))
    found = {(r["reference"], r["discriminator"], r["candidate"]): r for r in rows}
    names.sort(key=lambda n: float(found.get((*columns[0], n), {"auc": "9"})["auc"]))
    lines = ["## Who can be told from people", "",
             "AUC of the two-sample test on the published map of CIFAR-10, each at the rate of the "
             "human set it is compared with, 95 % interval by blocks; 0.5 cannot be told apart. "
             "CI: clustering index of the candidate at 10 neighbours, before any thinning.", "",
             "| candidate | CI | " + " | ".join(f"{r}, {d}" for r, d in columns) + " |",
             "|---|---:|" + "---:|" * len(columns)]  # fmt: skip
    for name in names:
        cells = [found.get((*column, name)) for column in columns]
        index = next(c["clustering_10"] for c in cells if c)
        shown = [f"{float(c['auc']):.3f} ({float(c['low']):.2f} to {float(c['high']):.2f})" if c
                 else "" for c in cells]  # fmt: skip
        lines.append(f"| {name} | {float(index):.2f} | " + " | ".join(shown) + " |")
    return lines


def _bar_lines(rows: list[dict[str, str]]) -> list[str]:
    lines = ["", "## What human-like noise carries over", "",
             "Mean AUC over splits or draws (least to most), and how many are within the bar.", "",
             "| fitted to random_label1, made for | compared with | discriminator | AUC | bar | "
             "within it |", "|---|---|---|---:|---:|---:|"]  # fmt: skip
    keys = dict.fromkeys((r["candidate"], r["reference"], r["discriminator"]) for r in rows)
    for name, reference, discriminator in sorted(keys):
        chosen = [r for r in rows if r["candidate"] == name and r["reference"] == reference]
        values = np.array([float(r["auc"]) for r in chosen if r["discriminator"] == discriminator])
        bar = _bar(name, reference)
        within = "" if bar is None else f"{(values <= bar).sum()} of {len(values)}"
        span = f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"
        shown = "" if bar is None else str(bar)
        lines.append(f"| {name} | {reference} | {discriminator} | {span} | {shown} | {within} |")
    return lines


def _bar(name: str, reference: str) -> float | None:
    if name == "half of the blocks":
        return 0.55
    if name == "five classes":
        return 0.60
    return 0.62 if (name, reference) == ("fitted to random_label1", "worse_label") else None


def _profile_lines(found: dict[str, Any]) -> list[str]:
    lines = ["", "## Profiles", "",
             "As in [docs/realism-profile.md](../../docs/realism-profile.md); 95 % intervals.", "",
             "| set | rate | clustering, k = 10 | of which by class | mean closeness rank "
             "| to a class nearby | more typical | more other classes around |",
             "|---|---:|---:|---:|---:|---:|---:|---:|"]  # fmt: skip
    for name, one in found.items():
        spatial = one["spatial"]
        k = spatial["ks"].index(10)
        clustering = {part: values[k] for part, values in spatial["clustering"].items()}
        cells = [
            f"{one['rate']['value']:.3f}", _span(clustering),
            f"{spatial['clustering_by_class'][k]:.2f}", _span(spatial["mean_target_rank"]),
            _span(spatial["target_nearby"]), _span(spatial["typicality"]["trend"]),
            _span(spatial["other_share"]["trend"]),
        ]  # fmt: skip
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _span(figure: dict[str, float]) -> str:
    return "{value:.2f} ({low:.2f} to {high:.2f})".format(**figure)


def _parameter_lines(parameters: dict[str, dict[str, object]]) -> list[str]:
    lines = ["", "## Parameters", "", "With jackknife standard errors.", "",
             "| | " + " | ".join(parameters) + " |",
             "|---|" + "---:|" * len(parameters)]  # fmt: skip
    for name in FITTED:
        cells = [f"{p[name]:.3f} ± {p['errors'][name]:.3f}" for p in parameters.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for name in ("class_spread", "pair_spread"):
        lines.append(
            f"| {name} | " + " | ".join(f"{p[name]:.3f}" for p in parameters.values()) + " |"
        )
    return lines


def _order_lines(rows: list[dict[str, str]]) -> list[str]:
    lines = ["", "## Do images labelled together err together?", "",
             "Correlation of flips, less their class's rate, of images 1 to 9 apart in the file: "
             "mean over distances within the same ten images of a task, and over pairs of two "
             "tasks (standard error).", "",
             "| set | same ten | two tens |", "|---|---:|---:|"]  # fmt: skip
    for name in dict.fromkeys(row["set"] for row in rows):
        cells = []
        for part in ("inside", "across"):
            found = np.array([[float(r[part]), float(r[f"{part}_error"])]
                              for r in rows if r["set"] == name])  # fmt: skip
            weights = found[:, 1] ** -2.0
            mean, error = (weights @ found[:, 0]) / weights.sum(), weights.sum() ** -0.5
            cells.append(f"{mean:+.4f} ({error:.4f})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "Do different people err on the same images? Share of images that both label "
              "wrong, and what it would be if people erred independently within a class.", "",
              "| one | other | both wrong | expected | correlation |",
              "|---|---|---:|---:|---:|"]  # fmt: skip
    for row in csv.DictReader((HERE / "same_image.csv").open()):
        lines.append(
            f"| {row['first']} | {row['second']} | {row['both_wrong']} | {row['expected']} | "
            f"{row['correlation']} ({row['error']}) |"
        )
    found = list(csv.reader((HERE / "class_effects.csv").open()))
    lines += ["", "## Does a class's place say how often it is mistaken?", "",
              "Rank correlation over the ten classes of the class effect with measures of the "
              "class's place on the map; beyond 0.65 is significant at 5 % for one of them.", "",
              "| " + " | ".join(found[0]) + " |", "|---|" + "---:|" * (len(found[0]) - 1),
              *("| " + " | ".join(row) + " |" for row in found[1:])]  # fmt: skip
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", default="presets,profiles,table,bars,patches,order")
    parser.add_argument("--discriminators", default="boosting,strong")
    parser.add_argument("--references", default="random_label1,aggre_label,worse_label")
    parser.add_argument("--write-presets", action="store_true")
    options = parser.parse_args()
    study = Study(Path(os.environ["MISLABEL_DATA"]), Rows(HERE / "results.csv"))
    discriminators = options.discriminators.split(",")
    for part in options.parts.split(","):
        if part == "presets":
            presets(study, options.write_presets)
        elif part == "table":
            table(study, discriminators, options.references.split(","))
        elif part == "bars":
            bars(study, discriminators)
        elif part == "profiles":
            profiles(study)
        elif part == "patches":
            patches(study)
        elif part == "order":
            order(study)
    write_text(HERE / "README.md", page())


if __name__ == "__main__":
    main()
