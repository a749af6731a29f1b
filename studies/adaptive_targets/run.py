"""Adaptive soft neighbour targets: how right, how calibrated, why, and beside cleanlab.

    MISLABEL_DATA=/path/to/data python studies/adaptive_targets/run.py [--parts map,features,...]

Parts:
  map        label sets on the published map of CIFAR-10: published, human, and drawn at many rates
  features   the same in other features: digits' pixels, random patch features of 10,000 images,
             few examples of the map, and classes of unequal size
  ablations  parts of the method left out or replaced, and its constants halved and doubled
  cleanlab   wrong labels found, beside cleanlab with the same information (extra `cleanlab`)
  pictures   reliability.png, rates.png, map-*.png
  page       README.md, from the tables and from reading.md, which people wrote

Resumable: each measurement is a row of a table and is not made again. One thread, half an hour;
16 GB of memory and 400 MB of cache, for neighbours, are plenty.
"""

import argparse
import csv
import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from measures import (
    calibration_error,
    f1_of_blocks,
    log_loss,
    rankings,
    reliability,
    right,
    suspects,
)
from numpy.typing import NDArray

from mislabel.cache import cached_array
from mislabel.cleaning import AdaptiveTargets, adaptive, adaptive_targets, neighbors_needed
from mislabel.data import load_data
from mislabel.errors import InputError
from mislabel.features import Neighborhood, encode, load_map, nearest_neighbors, tsne_map
from mislabel.features.graph import NeighborGraph
from mislabel.files import hash_array, write_text
from mislabel.labels import load_labels
from mislabel.learning.targets import soft_neighbor_targets, usable_neighbors
from mislabel.noise import cross_fitted_probabilities, make_noise
from mislabel.realism.profile import interval_blocks
from mislabel.seeds import generator
from mislabel.versions import library_versions

HERE = Path(__file__).parent
Ints = NDArray[np.int64]
Row = dict[str, Any]

KS = (10, 100, 300, 1_000, 4_000)
MAP = "map of CIFAR-10"
CBN, PMD = "CBN 35 %, published", "PMD 35 %, published"
HUMAN = ("aggre_label", "random_label1", "random_label2", "random_label3", "worse_label")
SEEDS = (1, 2)
DRAWN = (
    *(f"cluster:{rate}" for rate in (0.05, 0.1, 0.2, 0.3, 0.35, 0.4, 0.5, 0.7)),
    *(f"pmd:{rate}" for rate in (0.1, 0.35, 0.5, 0.7)),
    *(f"symmetric:{rate}" for rate in (0.2, 0.4, 0.6, 0.8)),
    *("pair:0.3", "pair:0.4", "instance:0.3", "human-like:0.2", "human-like:0.4"),
)
FEW_DRAWN = ("clean", "symmetric:0.2", "symmetric:0.4", "pair:0.3", "cluster:0.1", "cluster:0.2",
             "cluster:0.35", "cluster:0.7", "pmd:0.35", "human-like:0.2")  # fmt: skip
ON_MAP = ("clean", "symmetric:0.4", "cluster:0.2", "cluster:0.35", "cluster:0.5", "cluster:0.7")
PATCHES = "patch features, 10,000"
PATCHES_DRAWN = ("clean", "symmetric:0.2", "symmetric:0.4", "cluster:0.2", "cluster:0.35")
ABLATED = (CBN, PMD, "random_label1", "worse_label", "symmetric:0.4", "cluster:0.2", "clean")
FOUND_IN = ("random_label1", "aggre_label", "worse_label", CBN, PMD, "cluster:0.2", "symmetric:0.2")
CONSTANTS = ("REGION", "MIDDLE", "NARROWER", "MISPLACED", "MISLED", "REGION_ERROR", "DOUBT",
             "AMBIGUOUS")  # fmt: skip
FILTERS = ("prune_by_noise_rate", "prune_by_class", "both", "confident_learning",
           "predicted_neq_given")  # fmt: skip
SCORES = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
RESAMPLES = 500


class Table:
    """A table in a file: rows by their key, written when they are found."""

    def __init__(self, name: str, key: tuple[str, ...]) -> None:
        self.path, self.key = HERE / name, key
        self.rows: list[Row] = []
        if self.path.is_file():
            with self.path.open(newline="") as file:
                self.rows = list(csv.DictReader(file))
        self._keys = {self._key_of(row) for row in self.rows}

    def _key_of(self, row: Row) -> tuple[str, ...]:
        return tuple(str(row[name]) for name in self.key)

    def has(self, *key: object) -> bool:
        """Whether there is a row whose first keys are these."""
        wanted = tuple(map(str, key))
        return any(known[: len(wanted)] == wanted for known in self._keys)

    def add(self, rows: list[Row]) -> None:
        """Append rows; numbers are rounded."""
        made = [{name: _cell(value) for name, value in row.items()} for row in rows]
        self.rows += made
        self._keys |= {self._key_of(row) for row in made}
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())


def _cell(value: Any) -> str:
    return f"{value:.5f}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """Examples: features (N, d), clean labels (N,) and published sets of labels by name.

    drawn: noise that is drawn, at each of the seeds, on positions (N, 2) or the features.
    """

    name: str
    features: NDArray[np.float32]
    clean: Ints
    published: dict[str, Ints] = field(default_factory=dict)
    drawn: tuple[str, ...] = FEW_DRAWN
    seeds: tuple[int, ...] = SEEDS
    n_classes: int = 10
    positions: NDArray[np.float32] | None = None

    @cached_property
    def neighbors(self) -> Ints:
        """(N, K) as many as the targets need."""
        return nearest_neighbors(self.features, neighbors_needed(len(self.clean), self.n_classes))[
            1
        ]

    @cached_property
    def wide(self) -> NDArray[np.uint16]:
        """(N, k) neighbours for the widest vote, in the cache."""
        k = max(self.ks)
        key = {"points": hash_array(self.features), "k": k, "format": 1}
        return cached_array("wide-neighbors", key, lambda: _wide(self.features, k), mapped=True)

    @property
    def ks(self) -> tuple[int, ...]:
        """Of the fixed numbers of neighbours those that are below half of all examples."""
        return tuple(k for k in KS if k < len(self.clean) / 2)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """(N, C) of a classifier cross-fitted on the clean labels, for PMD."""
        return cross_fitted(self, self.clean)

    def sets(self) -> Iterator[tuple[str, int, Ints]]:
        """Name, seed (0 where none) and labels of each set."""
        for name, labels in self.published.items():
            yield name, 0, labels
        for noise in self.drawn:
            for seed in self.seeds if noise != "clean" else (0,):
                try:
                    yield noise, seed, self.draw(noise, seed)
                except InputError as error:  # PMD has a least rate
                    print(self.name, noise, error, flush=True)

    def draw(self, noise: str, seed: int) -> Ints:
        """(N,) labels of a set."""
        if noise in self.published:
            return self.published[noise]
        where = self.features if self.positions is None else self.positions
        return make_noise(noise).corrupt(
            self.clean, n_classes=self.n_classes, positions=where,
            features=self.features, seed=seed,
            probabilities=self.probabilities if noise.startswith("pmd") else None,
        ).labels  # fmt: skip

    def take(self, rows: Ints, name: str) -> "Place":
        """Some of the examples, without published sets."""
        found = replace(self, name=name, features=self.features[rows], clean=self.clean[rows],
                        published={}, drawn=FEW_DRAWN)  # fmt: skip
        return found


def _wide(points: NDArray[np.float32], k: int) -> NDArray[np.uint16]:
    """(N, k) nearest other examples; the k-d tree is asked by blocks, for memory."""
    if points.shape[1] > 3:
        return nearest_neighbors(points, k)[1].astype(np.uint16)
    from scipy.spatial import KDTree

    tree, found = KDTree(points), np.empty((len(points), k), dtype=np.uint16)
    assert len(points) <= 2**16
    for start in range(0, len(points), 1_000):
        block = points[start : start + 1_000]
        near = tree.query(block, k=k + 1)[1]
        own = near == np.arange(start, start + len(block))[:, None]
        own[~own.any(axis=1), -1] = True
        found[start : start + len(block)] = near[~own].reshape(len(block), k)
    return found


def cross_fitted(place: Place, labels: Ints) -> NDArray[np.float64]:
    """(N, C) the house's out-of-sample probabilities, from the cache when there."""
    versions = library_versions("numpy", "scikit-learn")
    key = {"points": hash_array(place.features), "labels": hash_array(labels), "v": versions}
    return cached_array(
        "study-cross-fitted", key,
        lambda: cross_fitted_probabilities(place.features, labels, n_classes=place.n_classes),
    )  # fmt: skip


def cifar_map(data: Path) -> Place:
    """All of CIFAR-10's training examples on the published map."""
    file = data / "cifar-n" / "CIFAR-10_human.pt"
    human = {name: load_labels(file, column=name, n_classes=10) for name in HUMAN}
    clean = human["random_label1"].clean_labels
    assert clean is not None
    files = {
        name: load_labels(data / "published" / f"cifar10-{kind}-0.35.npy", n_classes=10).labels
        for name, kind in ((CBN, "cluster"), (PMD, "pmd"))
    }
    people = {name: labels.labels for name, labels in human.items()}
    return Place(
        name=MAP,
        features=load_map(data / "cifar10" / "clip_tsne_train.parquet"),
        clean=clean,
        published={"clean": clean, **files, **people},
        drawn=DRAWN,
    )


def other_places(data: Path, whole: Place) -> Iterator[Callable[[], Place]]:
    """Embeddings, few examples and unequal classes; made when they are needed."""
    rng = generator(0, "adaptive targets study")
    yield _digits
    yield _digits_on_map
    yield lambda: _patches(data, whole)
    for size in (1_000, 4_000):
        rows = rng.choice(len(whole.clean), size, replace=False)
        yield lambda rows=rows: whole.take(rows, f"map, {len(rows):,} examples")
    order = rng.permutation(len(whole.clean))
    kept = [order[whole.clean[order] == c][: int(5_000 * 0.6**c)] for c in range(10)]
    yield lambda: whole.take(np.concatenate(kept), "map, classes of 5,000 down to 50")


def _digits() -> Place:
    from sklearn.datasets import load_digits

    pixels, clean = load_digits(return_X_y=True)
    return Place(name="digits, pixels", features=pixels.astype(np.float32),
                 clean=clean.astype(np.int64))  # fmt: skip


def _digits_on_map() -> Place:
    """Noise is drawn on a map that the method does not see, as `mislabel clean` does it."""
    place = _digits()
    return replace(place, name="digits, pixels, noise on their map", drawn=ON_MAP,
                   seeds=tuple(range(1, 9)), positions=tsne_map(place.features))  # fmt: skip


def _patches(data: Path, whole: Place) -> Place:
    """A part of CIFAR-10's images, in features that were never trained."""
    part = load_data(f"cifar10:{data / 'cifar10'}", subset=10_000, seed=0)
    rows = part.train_indices
    assert np.array_equal(part.y_train, whole.clean[rows])
    published = {name: whole.published[name][rows] for name in ("random_label1", "worse_label")}
    return Place(name=PATCHES, features=encode("patches", part.x_train), clean=part.y_train,
                 published=published, drawn=PATCHES_DRAWN, seeds=(1,))  # fmt: skip


# Right and calibrated


def votes(place: Place, labels: Ints, ks: tuple[int, ...]) -> dict[int, NDArray[np.uint16]]:
    """(N, C) counts of labels among the k nearest neighbours, for each k, blocks at a time."""
    n_examples, c = len(labels), place.n_classes
    found = {k: np.empty((n_examples, c), dtype=np.uint16) for k in ks}
    small = labels.astype(np.uint16)
    for start in range(0, n_examples, 1_000):
        held = small[place.wide[start : start + 1_000, : max(ks)]]
        held = held + (np.arange(len(held), dtype=np.uint16) * np.uint16(c))[:, None]
        counts, before = np.zeros(len(held) * c, dtype=np.int64), 0
        for k in sorted(ks):
            counts += np.bincount(held[:, before:k].ravel(), minlength=len(counts))
            found[k][start : start + len(held)] = counts.reshape(-1, c)
            before = k
    return found


def measured(place: Place, labels: Ints) -> tuple[Row, dict[str, list[Any]], AdaptiveTargets]:
    """Figures of one set, and the bins of its reliability diagrams."""
    started = time.process_time()
    found = adaptive_targets(
        place.features, labels, n_classes=place.n_classes, neighbors=place.neighbors
    )
    seconds = time.process_time() - started
    clean, rows = place.clean, np.arange(len(labels))
    k = usable_neighbors(100, len(labels), place.n_classes)
    snls = soft_neighbor_targets(labels, place.neighbors[:, :k], place.n_classes)
    counted = votes(place, labels, place.ks)
    fixed = {k: right(counts.argmax(axis=1), clean) for k, counts in counted.items()}
    best = max(fixed, key=lambda k: fixed[k])
    bins = {
        "snls": reliability(snls.max(axis=1), snls.argmax(axis=1) == clean),
        "adaptive": reliability(found.targets.max(axis=1), found.targets.argmax(axis=1) == clean),
        "noise score": reliability(found.noise_scores, labels != clean),
        "snls noise score": reliability(1 - snls[rows, labels], labels != clean),
    }
    row = {
        "examples": len(labels),
        "rate": float((labels != clean).mean()),
        "given": right(labels, clean),
        "snls": right(snls.argmax(axis=1), clean),
        **{f"vote_{k}": fixed.get(k, "") for k in KS},
        "best_k": best,
        "best_vote": fixed[best],
        "region": right(found.regions, clean),
        "adaptive": right(found.targets.argmax(axis=1), clean),
        "corrected": right(found.corrected_labels, clean),
        "changed": float((found.corrected_labels != labels).mean()),
        "log_loss_snls": log_loss(snls, clean),
        "log_loss_adaptive": log_loss(found.targets, clean),
        **{f"error_{name}".replace(" ", "_"): calibration_error(b) for name, b in bins.items()},
        "stability": found.stability,
        "determined": found.determined,
        "estimated_rate": float(found.noise_scores.mean()),
        "seconds": seconds,
    }
    return row, bins, found


def measure_sets(place: Place, results: Table, diagrams: Table | None = None) -> None:
    """A row for each set of labels of a place, and its diagrams."""
    for noise, seed, labels in place.sets():
        key = {"data": place.name, "noise": noise, "seed": seed}
        if results.has(*key.values()):
            continue
        row, bins, _ = measured(place, labels)
        if diagrams is not None and not diagrams.has(*key.values()):
            diagrams.add([
                {**key, "what": what, "bin": b, "count": count, "mean": mean, "share": share}
                for what, rows in bins.items() for b, count, mean, share in rows
            ])  # fmt: skip
        results.add([{**key, **row}])
        print(
            f"{place.name} {noise} {seed}: given {row['given']:.4f} SNLS {row['snls']:.4f} "
            f"best {row['best_vote']:.4f} adaptive {row['adaptive']:.4f} corrected "
            f"{row['corrected']:.4f} loss {row['log_loss_snls']:.3f} "
            f"{row['log_loss_adaptive']:.3f} stable {row['stability']:.3f} "
            f"{'' if row['determined'] else 'UNDETERMINED'} {row['seconds']:.1f} s",
            flush=True,
        )


# Ablations


class SharedGraph(NeighborGraph):
    """A graph that remembers its times, which do not depend on the labels."""

    def time_for(self, size: float, *, seed: int = 0) -> float:
        return _remembered((self, "time", size), lambda: NeighborGraph.time_for(self, size))

    def own_weight(self, time: float, *, seed: int = 0) -> float:
        return _remembered((self, "own", time), lambda: NeighborGraph.own_weight(self, time))


_memory: dict[Any, Any] = {}
_regions, _combine, _places = adaptive._regions, adaptive._combine, adaptive._places
_evidence = adaptive._Evidence


def _remembered(key: Any, compute: Callable[[], Any]) -> Any:
    if key not in _memory:
        _memory[key] = compute()
    return _memory[key]


def same_regions(graph: Any, labels: Ints, n_classes: int, *times: Any) -> Any:
    """Regions, found once for each set of labels, graph and times."""
    key = ("regions", hash_array(labels), graph, *times)
    return _remembered(key, lambda: _regions(graph, labels, n_classes, *times))


def graphs(place: Place, k: int = 15) -> SimpleNamespace:
    """Stands in for `NeighborGraph`: one graph for all sets of labels."""
    made = _remembered(
        ("graph", k), lambda: SharedGraph(NeighborGraph.of(place.neighbors, k=k).step)
    )
    return SimpleNamespace(of=lambda near: made)


def without_region(*given: Any) -> Any:
    """No patches: the region then drops out of Bayes' rule."""
    found = _evidence.of(*given)
    return replace(found, patches=np.eye(len(found.patches), dtype=np.float32))


def overlap_as_noise(*given: Any) -> Any:
    """Noise that grows away from the middle is all taken for noise."""
    return replace(_evidence.of(*given), falling=0.0)


def region_only(labels: Ints, around: Any, places: Any, evidence: Any) -> Any:
    """Neither place nor own label."""
    return adaptive._spread(around, adaptive.REGION_ERROR)


def without_own(labels: Ints, around: Any, places: Any, evidence: Any) -> Any:
    """Region and place alone: the prior, and the place seen through the patches."""
    patches, noise = evidence.believed()
    patches += np.float32(1e-6)
    prior = adaptive._spread(around, adaptive.REGION_ERROR)
    place = adaptive._spread(adaptive._unmix(places, noise), adaptive.MISPLACED)
    found = prior * ((place / (prior @ patches)) @ patches.T)
    return found / found.sum(axis=1, keepdims=True)


def one_scale(k: int) -> Callable[..., Any]:
    """The place from k neighbours alone."""

    def places(labels: Ints, neighbors: Ints, shares: Any, n_classes: int, *more: Any) -> Any:
        overall = np.bincount(labels, minlength=n_classes) / len(labels)
        counts = soft_neighbor_targets(labels, neighbors[:, :k], n_classes, alpha=0.0) * k
        return ((counts + overall) / (k + 1)).astype(np.float32), (k,), np.ones(1, np.float32)

    return places


def ball(place: Place) -> dict[str, Any]:
    """Regions by a vote of the nearest examples; the stability stays that of the walk."""
    size = round(adaptive.REGION * len(place.clean) / place.n_classes)

    def regions(graph: Any, labels: Ints, n_classes: int, *more: Any) -> Any:
        counts = votes(place, labels, (size - 1,))[size - 1].astype(np.float32)
        counts[np.arange(len(labels)), labels] += 1
        return counts / size, same_regions(graph, labels, n_classes, *more)[1]

    return {"_regions": regions}


def variants(place: Place) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is changed in `mislabel.cleaning.adaptive`, by name."""
    yield "as it is", {}
    yield "without the region", {"_Evidence": SimpleNamespace(of=without_region)}
    yield "overlap taken for noise", {"_Evidence": SimpleNamespace(of=overlap_as_noise)}
    yield "the region alone", {"_combine": region_only}
    yield "without the own label", {"_combine": without_own}
    yield "place: 10 neighbours", {"_places": one_scale(10)}
    yield "place: 100 neighbours", {"_places": one_scale(100)}
    yield "region: a ball, not a walk", ball(place)
    for name in CONSTANTS:
        for factor, word in ((0.5, "halved"), (2, "doubled")):
            yield f"{name} {word}", {name: getattr(adaptive, name) * factor}
    for k in (8, 30):
        yield f"graph of {k} neighbours", {"NeighborGraph": graphs(place, k)}


@contextmanager
def changed(changes: dict[str, Any]) -> Iterator[None]:
    """The module with other constants or functions for the time being."""
    before = {name: getattr(adaptive, name) for name in changes}
    for name, value in changes.items():
        setattr(adaptive, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(adaptive, name, value)


def ablate(place: Place, table: Table) -> None:
    """A row for each set and variant."""
    for noise in ABLATED:
        labels = place.draw(noise, 1)
        for variant, changes in variants(place):
            if table.has(noise, variant):
                continue
            shared = {"_regions": same_regions, "NeighborGraph": graphs(place)}
            with changed(shared | changes):
                found = adaptive_targets(
                    place.features, labels, n_classes=10, neighbors=place.neighbors
                )
            best = found.targets.argmax(axis=1)
            row = {
                "noise": noise, "variant": variant, "right": right(best, place.clean),
                "corrected": right(found.corrected_labels, place.clean),
                "log_loss": log_loss(found.targets, place.clean),
                "region": right(found.regions, place.clean), "stability": found.stability,
                "determined": found.determined,
            }  # fmt: skip
            table.add([row])
            print(*row.values(), flush=True)
        for key in [k for k in _memory if k[0] == "regions"]:
            del _memory[key]


# cleanlab


def classifiers(place: Place, labels: Ints) -> dict[str, NDArray[np.float64]]:
    """(N, C) out-of-sample probabilities that cleanlab may use: from the same map and labels."""
    counted = votes(place, labels, place.ks)
    overall = np.bincount(labels, minlength=place.n_classes) / len(labels)
    fitted = cross_fitted(place, labels).astype(np.float64)
    near = {f"vote of {k:,}": (counts + overall) / (k + 1) for k, counts in counted.items()}
    found = {"cross-fitted": fitted, **near}
    return {name: p / p.sum(axis=1, keepdims=True) for name, p in found.items()}


def compare(place: Place, found: Table, ranked: Table, differences: Table) -> None:
    """Wrong labels found by adaptive targets and by cleanlab, all its ways, on each set."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    blocks = interval_blocks(Neighborhood.of(place.features, place.clean, 10, k=30))
    for noise in FOUND_IN:
        if differences.has(noise):
            continue
        labels = place.draw(noise, 1)
        wrong, every = labels != place.clean, np.ones((1, len(labels)))
        ours = adaptive_targets(place.features, labels, n_classes=10, neighbors=place.neighbors)
        lists = {("adaptive targets", ""): ours.corrected_labels != labels}
        scores = {("adaptive targets", ""): ours.noise_scores.astype(np.float64)}
        for source, probabilities in classifiers(place, labels).items():
            for way in FILTERS:
                lists[source, way] = find_label_issues(
                    labels, probabilities, filter_by=way, n_jobs=1
                )
            for way in SCORES:
                quality = get_label_quality_scores(labels, probabilities, method=way)
                scores[source, way] = 1 - quality
        list_rows = [
            {"noise": noise, "source": source, "way": way, **suspects(held, wrong)}
            for (source, way), held in lists.items()
        ]
        score_rows = []
        for (source, way), held in scores.items():
            auc, precision = next(rankings(held, wrong, every))
            score_rows.append({"noise": noise, "source": source, "way": way, "auc": auc,
                               "average_precision": precision})  # fmt: skip
        if not found.has(noise):
            found.add(list_rows)
        if not ranked.has(noise):
            ranked.add(score_rows)
        differences.add([
            {"noise": noise, **row}
            for row in paired(lists, scores, list_rows, score_rows, wrong, blocks)
        ])  # fmt: skip
        print(noise, differences.rows[-1], flush=True)


def paired(
    lists: dict[tuple[str, str], Any],
    scores: dict[tuple[str, str], Any],
    list_rows: list[Row],
    score_rows: list[Row],
    wrong: NDArray[np.bool_],
    blocks: Ints,
) -> Iterator[Row]:
    """Ours less cleanlab's, with 95 % intervals from resampled blocks of the map.

    Against cleanlab as it comes (its defaults, the house's classifier), and against the best of
    all its ways on this set and measure, which only the clean labels tell.
    """
    rng = generator(0, "adaptive targets study", "blocks")
    n_blocks = int(blocks.max()) + 1
    times = rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), RESAMPLES)
    drawn: dict[Any, NDArray[np.float64]] = {}
    ours = ("adaptive targets", "")
    used = {}
    for measure, rows, default in (
        ("f1", list_rows, FILTERS[0]), ("auc", score_rows, SCORES[0]),
        ("average_precision", score_rows, SCORES[0]),
    ):  # fmt: skip
        best = max((r for r in rows if r["way"]), key=lambda r: r[measure])
        used[measure] = {"as it comes": ("cross-fitted", default),
                         "best of all": (best["source"], best["way"])}  # fmt: skip
    for way in {ours, *used["f1"].values()}:
        drawn["f1", way] = f1_of_blocks(lists[way], wrong, blocks, times)
    for way in {ours, *used["auc"].values(), *used["average_precision"].values()}:
        weights = (row[blocks].astype(np.float64) for row in times)
        both = np.array(list(rankings(scores[way], wrong, weights)))
        drawn["auc", way], drawn["average_precision", way] = both.T
    points = {("f1", (r["source"], r["way"])): r["f1"] for r in list_rows}
    for row in score_rows:
        for measure in ("auc", "average_precision"):
            points[measure, (row["source"], row["way"])] = row[measure]
    for measure, against in used.items():
        for name, way in against.items():
            apart = drawn[measure, ours] - drawn[measure, way]
            low, high = np.quantile(apart, [0.025, 0.975])
            yield {
                "measure": measure, "against": name, "source": way[0], "way": way[1],
                "ours": points[measure, ours], "cleanlab": points[measure, way],
                "low": float(low), "high": float(high),
            }  # fmt: skip


def tables() -> dict[str, Table]:
    """All tables of the study, by part."""
    key = ("data", "noise", "seed")
    return {
        "map": Table("map.csv", key),
        "features": Table("features.csv", key),
        "reliability": Table("reliability.csv", (*key, "what", "bin")),
        "ablations": Table("ablations.csv", ("noise", "variant")),
        "found": Table("cleanlab-found.csv", ("noise", "source", "way")),
        "ranked": Table("cleanlab-ranked.csv", ("noise", "source", "way")),
        "differences": Table("cleanlab-differences.csv", ("noise", "measure", "against")),
    }


def check_method(features: Table) -> None:
    """Rows that another version of the method made are not added to: one of them is made again."""
    noise, seed = "cluster:0.2", 1
    place = _digits()
    rows = [r for r in features.rows
            if (r["data"], r["noise"], r["seed"]) == (place.name, noise, str(seed))]  # fmt: skip
    if rows:
        again = measured(place, place.draw(noise, seed))[0]
        for name in ("adaptive", "log_loss_adaptive", "stability"):
            if abs(again[name] - float(rows[0][name])) > 1e-3:
                raise SystemExit(f"{name} of {place.name} has changed; remove the tables first")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", default="features,map,ablations,cleanlab,pictures,page")
    parts = parser.parse_args().parts.split(",")
    kept = tables()
    if set(parts) - {"page"}:
        data = Path(os.environ["MISLABEL_DATA"])
        whole = cifar_map(data)
        check_method(kept["features"])
    if "features" in parts:
        for make in other_places(data, whole):
            measure_sets(make(), kept["features"])
    if "map" in parts:
        measure_sets(whole, kept["map"], kept["reliability"])
    if "ablations" in parts:
        ablate(whole, kept["ablations"])
    if "cleanlab" in parts:
        compare(whole, kept["found"], kept["ranked"], kept["differences"])
    if "pictures" in parts:
        from pictures import draw_all

        draw_all(whole, kept["map"].rows, kept["reliability"].rows)
    if "page" in parts:
        from page import page

        versions = library_versions("numpy", "scipy", "scikit-learn", "torch", "cleanlab")
        rows = {name: table.rows for name, table in kept.items()}
        write_text(HERE / "README.md", page(rows, versions))


if __name__ == "__main__":
    main()
