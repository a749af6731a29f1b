"""Realism: human-like noise, its fit, the two-sample test and the profile, against plain twins.

    python benchmarks/realism.py             # prints the table, writes realism.json and realism.md
    python benchmarks/realism.py --strong    # also the strong two-sample test, which takes minutes

50,000 synthetic points on a map: ten Gaussian blobs that overlap. Each line is measured in a
process of its own with one thread, ours first: the least of several calls. Seconds are those of the
processor, because machines do other work too, with those on the clock beside them. Twins are timed
once, most of them on a sample whose size is stated, and scaled. What a twin finds is compared with
what we find. Peak memory is that of the process after our call, libraries and data included.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from machine import processor

from mislabel.features import Neighborhood
from mislabel.files import write_json, write_text
from mislabel.labels import NoisyLabels
from mislabel.noise.human_like import (
    ANCHORS,
    WAVES,
    HumanLike,
    HumanParameters,
    HumanPlace,
    log_target_chances,
    random_field,
    reach_lengths,
)
from mislabel.noise.human_like_fit import GROUPS, REACHES, _FitData, fit_human_like
from mislabel.realism.block_auc import BlockAUC, bootstrap_replicates, exchange_replicates
from mislabel.realism.blocks import Folds, make_folds
from mislabel.realism.context import SIZES, noise_context
from mislabel.realism.discriminators import DISCRIMINATORS, Rows, Scorer
from mislabel.realism.intervals import BlockSums
from mislabel.realism.profile import interval_blocks, profile_labels
from mislabel.realism.two_sample import BOOTSTRAP, two_sample_test
from mislabel.versions import library_versions

HERE = Path(__file__).parent
N, C, D = 50_000, 10, 64
RATE, EXCHANGES, RESAMPLES = 0.2, 999, 999
MIDDLES = {2: 60.0, D: 3.0}
"Spread of the middles of classes, by dimensions; that of a class is 10 in each."
Row = dict[str, Any]
Twin = tuple[str, float]
"What the twin does, and its seconds of processor time."


# The data


def points(dimensions: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """(N, dimensions) float32 positions in blobs that overlap, and (N,) clean labels."""
    rng = np.random.default_rng(0)
    clean = rng.integers(C, size=N)
    middles = rng.normal(scale=MIDDLES[dimensions], size=(C, dimensions))
    positions = middles[clean] + rng.normal(scale=10, size=(N, dimensions))
    return positions.astype(np.float32), clean


def human_like() -> HumanLike:
    return HumanLike(rate=RATE, effects="fitted")


def two_sets() -> tuple[np.ndarray, Neighborhood, NoisyLabels, NoisyLabels]:
    """Positions, neighbourhood, and two sets of noisy labels."""
    positions, clean = points()
    one, two = (human_like().corrupt(clean, positions=positions, seed=seed) for seed in (0, 1))
    return positions, Neighborhood.of(positions, clean, C), one, two


# Timing


def ours(what: str, call: Callable[[], Any], repeats: int = 3) -> tuple[Row, Any]:
    """The row of a call: least seconds and peak memory; and what it returned."""
    before = peak_mib()
    cpu, clock = [], []
    for _ in range(repeats):
        started = time.perf_counter(), time.process_time()
        found = call()
        clock.append(time.perf_counter() - started[0])
        cpu.append(time.process_time() - started[1])
    row = {
        "what": what, "cpu": min(cpu), "clock": min(clock), "calls": repeats,
        "before_mib": before, "peak_mib": peak_mib(), "twins": [], "share": {},
    }  # fmt: skip
    return row, found


def seconds(call: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    """The least seconds of processor time of some calls, and what the last returned."""
    spent = []
    for _ in range(repeats):
        started = time.process_time()
        found = call()
        spent.append(time.process_time() - started)
    return min(spent), found


def with_twins(row: Row, *twins: Twin, **more: Any) -> Row:
    """The row with what it is compared with."""
    row["twins"] = [{"twin": name, "cpu": s, "ratio": s / row["cpu"]} for name, s in twins]
    return row | more


def peak_mib() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


# Human-like noise


def noise() -> Row:
    """At 50,000 points of a map; the twin has the same neighbours."""
    positions, clean = points()
    row, noisy = ours(
        f"human-like noise, {N:,} points in 2-D",
        lambda: human_like().corrupt(clean, positions=positions, seed=0),
    )
    search, _ = seconds(lambda: Neighborhood.of(positions, clean, C), row["calls"])
    place, human = HumanPlace.of(positions, clean, C), human_like().human
    anchors = np.random.default_rng(1).choice(N, 50, replace=False)
    reach, lengths = seconds(lambda: plain_lengths(positions, anchors))
    rows = np.sort(np.random.default_rng(2).permutation(N)[:1_000])
    loop, found = seconds(lambda: plain_noise(human, place, rows, lengths))
    compare_noise(human, place, rows, lengths, found)
    plain = reach * ANCHORS / len(anchors) + loop * N / len(rows)
    sample = f"{len(rows):,} examples and {len(anchors)} anchors, scaled"
    row["share"] = {"neighbour search": search / row["cpu"]}
    row = with_twins(row, (f"example by example, the same search ({sample})", search + plain))
    name = "the same, both without the search"
    row["twins"].append({"twin": name, "cpu": plain, "ratio": plain / (row["cpu"] - search)})
    return row | {"rate": noisy.rate}


def plain_lengths(positions: np.ndarray, anchors: np.ndarray) -> list[float]:
    """Lengths of the fields: all distances of each anchor, sorted."""
    found = [
        np.sort(np.linalg.norm(positions - positions[i], axis=1))[[round(r * N) for r in REACHES]]
        for i in anchors
    ]
    return np.median(found, axis=0).tolist()


def waves_of(
    length: float, rng: np.random.Generator, dimensions: int
) -> tuple[np.ndarray, np.ndarray]:
    """(d, W) frequencies and (C, W) phases, drawn as `random_field` draws them."""
    scale = np.sqrt(rng.gamma(0.5, 2.0, size=WAVES)) * length
    waves = rng.standard_normal((dimensions, WAVES)) / scale
    return waves, rng.uniform(0, 2 * np.pi, (C, WAVES))


def plain_noise(
    human: HumanParameters, place: HumanPlace, rows: np.ndarray, lengths: list[float]
) -> list[tuple[float, float, float, float, np.ndarray | None]]:
    """Chance, flip and target of one example at a time.

    Left out, in the twin's favour: what the class explains of the fields, and the exact rate.
    Returns mixing, isolation and both fields of each, and the log chances of a flip's target.
    """
    rng, near, found = np.random.default_rng(3), place.near, []
    fields = [waves_of(length, np.random.default_rng(5), 2) for length in lengths]
    spreads = (human.near_spread, human.far_spread)
    for i in rows:
        label = near.clean_labels[i]
        classes = near.clean_labels[near.neighbors[i]]
        k = len(classes)
        mixing = np.log(((classes != label).sum() + 1) / (k + 1))
        kin = near.distances[near.clean_labels == label, 29]
        mine = near.distances[i, 29]
        isolation = ((kin < mine).sum() + (kin == mine).sum() / 2) / len(kin) - 0.5
        values = [
            np.cos(near.positions[i] @ waves + phases[label]).sum() * np.sqrt(2 / WAVES)
            for waves, phases in fields
        ]
        log_hazard = human.mixing * mixing + human.loneliness * isolation
        log_hazard += human.class_effects[label] + np.dot(spreads, values)
        logs = None
        if rng.random() < -np.expm1(-RATE * np.exp(log_hazard)):
            counts = np.bincount(classes, minlength=C)
            logs = human.target_mixing * np.log((counts + 1) / (k + 1))
            logs += human.target_closeness * place.log_closeness[label]
            logs += np.log(human.pair_effects[label])
            logs[label] = -np.inf
            chances = np.exp(logs - logs.max())
            rng.choice(C, p=chances / chances.sum())
        found.append((mixing, isolation, values[0], values[1], logs))
    return found


def compare_noise(
    human: HumanParameters, place: HumanPlace, rows: np.ndarray, lengths: list[float], found: Any
) -> None:
    """That the twin has the same chances; of the fields as far as float32 angles allow."""
    mixing, isolation, *fields, logs = zip(*found, strict=True)
    assert np.allclose(mixing, place.log_mixing[rows]), "the twin's mixing differs"
    assert np.allclose(isolation, place.isolation[rows]), "the twin's isolation differs"
    flips = np.array([i for i, log in zip(rows, logs, strict=True) if log is not None])
    theirs = np.array([log for log in logs if log is not None])
    assert np.allclose(theirs, log_target_chances(human, place, flips)), "its targets differ"
    for field, length in zip(fields, lengths, strict=True):
        waves, phases = waves_of(length, np.random.default_rng(5), 2)
        angles = place.near.positions[rows] @ waves + phases[place.near.clean_labels[rows]]
        rounding = np.abs(angles).sum(axis=1) * 2**-24  # an angle is rounded by half a unit
        rounding += WAVES * 2**-20  # cosines, and their sum
        drawn = random_field(place.near, length, np.random.default_rng(5))[rows]
        assert (np.abs(field - drawn) <= rounding * np.sqrt(2 / WAVES)).all(), "its fields differ"


def noise_many_dimensions() -> Row:
    """At 50,000 x 64, without a twin."""
    positions, clean = points(D)
    row, noisy = ours(
        f"human-like noise, {N:,} x {D} embedding",
        lambda: human_like().corrupt(clean, positions=positions, seed=0),
        repeats=2,
    )
    search, _ = seconds(lambda: Neighborhood.of(positions, clean, C), row["calls"])
    lengths, _ = seconds(lambda: reach_lengths(positions, REACHES, np.random.default_rng(0)))
    row["share"] = {"neighbour search": search / row["cpu"], "lengths": lengths / row["cpu"]}
    return row | {"rate": noisy.rate}


# The fit


def fit() -> Row:
    """With errors by leaving out each of 20 groups."""
    positions, clean = points()
    labels = human_like().corrupt(clean, positions=positions, seed=0)
    row, found = ours(
        f"fit with {GROUPS} jackknife groups", lambda: fit_human_like(labels, positions), repeats=2
    )
    everyone = np.ones(N)
    data = _FitData.of(labels, positions, everyone, REACHES, 0)
    some = [everyone, *data.without_groups(0)[:2]]
    plain, separate = seconds(lambda: [plain_fit(labels, positions, used) for used in some])
    for used, (slopes, exponents, _) in zip(some, separate, strict=True):
        assert np.allclose(slopes, data.hazard(used)[1]), "the separate fit's slopes differ"
        assert np.allclose(exponents, data.exponents(used)), "its exponents differ"
    spreads = [found.near_spread, found.far_spread]
    assert np.allclose(separate[0][2], spreads), "its spreads differ"
    name = f"{GROUPS + 1} whole fits, one without each group ({len(some)} of them, scaled)"
    return with_twins(row, (name, plain * (GROUPS + 1) / len(some)))


def plain_fit(
    labels: NoisyLabels, positions: np.ndarray, used: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slopes, exponents and spreads from some of the examples, all of it anew."""
    data = _FitData.of(labels, positions, used, REACHES, 0)
    effects, slopes = data.hazard(used)
    exponents = data.exponents(used)
    spreads = data.pair_moments(effects, slopes).spreads(used)
    data.pair_effects(exponents)
    return slopes, exponents, spreads


# The two-sample test


def context() -> Row:
    """The standard context, with blocks as the test uses it."""
    _, place, labels, _ = two_sets()
    block = make_folds(place).block
    row, found = ours(
        f"noise context, {N:,} examples, neighbours known",
        lambda: noise_context(labels.labels, place, block=block),
    )
    rows = np.sort(np.random.default_rng(1).permutation(N)[:2_000])
    plain, theirs = seconds(lambda: plain_context(labels.labels, place, block, rows))
    assert np.allclose(theirs, found.values[rows]), "the twin's context differs"
    name = f"example by example ({len(rows):,} of them, scaled)"
    return with_twins(row, (name, plain * N / len(rows)))


def plain_context(
    labels: np.ndarray, place: Neighborhood, block: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """(n, F) the context of some examples, one at a time."""
    clean, ranks, found = place.clean_labels, place.closeness_rank, []
    for i in rows:
        near = place.neighbors[i]
        mix = np.bincount(clean[near[:30]], minlength=C) / 30
        values = [clean[i], *mix, labels[i] != clean[i], labels[i], ranks[clean[i], labels[i]]]
        for k in SIZES:
            seen = near[:k][block[near[:k]] == block[i]]
            if len(seen):
                flipped, same = labels[seen] != clean[seen], labels[seen] == labels[i]
                values += [flipped.mean(), same.mean()]
            else:
                values += [0.0, 0.0]
        found.append(values)
    return np.array(found, dtype=np.float64)


def scored_folds() -> tuple[Folds, list[np.ndarray], list[np.ndarray]]:
    """Folds, the examples of each, and made-up scores (2, n): reference, candidate."""
    positions, clean = points()
    folds = make_folds(Neighborhood.of(positions, clean, C))
    rng = np.random.default_rng(0)
    examples = [np.flatnonzero(folds.fold == fold) for fold in range(folds.n_folds)]
    shift = np.array([[0.0], [0.2]])
    scores = [rng.normal(size=(2, len(rows))) + shift for rows in examples]
    return folds, examples, scores


def replicates() -> Row:
    """Exchanged and resampled blocks of a test with five folds."""
    folds, examples, scores = scored_folds()

    def all_replicates() -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        sums = [
            BlockAUC.of(*pair, folds.block[rows])
            for rows, pair in zip(examples, scores, strict=True)
        ]
        return exchange_replicates(sums, EXCHANGES, rng), bootstrap_replicates(sums, BOOTSTRAP, rng)

    row, found = ours(f"{EXCHANGES} exchanges and {BOOTSTRAP:,} resamples of blocks, AUC of each",
                      all_replicates)  # fmt: skip
    tried = 5
    blocks = [np.unique(folds.block[rows], return_inverse=True)[1] for rows in examples]
    swaps, times = drawn_blocks([int(block.max()) + 1 for block in blocks])
    exchanged, one = seconds(lambda: [
        np.mean([plain_exchange(s, b, w[r]) for s, b, w in zip(scores, blocks, swaps, strict=True)])
        for r in range(tried)
    ])  # fmt: skip
    resampled, two = seconds(lambda: [
        np.mean([plain_resample(s, b, t[r]) for s, b, t in zip(scores, blocks, times, strict=True)])
        for r in range(tried)
    ])  # fmt: skip
    assert np.allclose(one, found[0][:tried]), "the exchanges differ"
    assert np.allclose(two, found[1][:tried]), "the resamples differ"
    plain = (exchanged * EXCHANGES + resampled * BOOTSTRAP) / tried
    return with_twins(
        row, (f"scikit-learn's roc_auc_score of each ({tried} of each kind, scaled)", plain)
    )


def drawn_blocks(sizes: list[int]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Of each fold which blocks are exchanged, and how often each occurs, as ours draws them."""
    rng = np.random.default_rng(0)
    swaps = [rng.random((EXCHANGES, size)) < 0.5 for size in sizes]
    times = [rng.multinomial(size, np.full(size, 1 / size), size=BOOTSTRAP) for size in sizes]
    return swaps, times


def plain_exchange(scores: np.ndarray, block: np.ndarray, swapped: np.ndarray) -> float:
    """The AUC with the labels of some blocks turned round."""
    from sklearn.metrics import roc_auc_score

    turned = swapped[block]
    return float(roc_auc_score(np.r_[turned, ~turned], scores.ravel()))


def plain_resample(scores: np.ndarray, block: np.ndarray, times: np.ndarray) -> float:
    """The AUC of the examples of the blocks that were drawn, as often as they were."""
    from sklearn.metrics import roc_auc_score

    rows = np.repeat(np.arange(len(block)), times[block])
    truth = np.r_[np.zeros(len(rows)), np.ones(len(rows))]
    return float(roc_auc_score(truth, scores[:, rows].ravel()))


@contextmanager
def timed_discriminator(name: str) -> Iterator[tuple[str, list[float]]]:
    """A discriminator that notes the seconds of its training and scoring, and its name."""
    spent: list[float] = []
    record = DISCRIMINATORS[name]

    def train(rows: Rows, turned: np.ndarray, classes: tuple[int, ...], state: int) -> Scorer:
        took, scorer = seconds(lambda: record.fit(rows, turned, classes, state))
        spent.append(took)

        def score(rows: Rows) -> np.ndarray:
            took, scores = seconds(lambda: scorer(rows))
            spent.append(took)
            return np.asarray(scores)

        return score

    DISCRIMINATORS.register(replace(record, name=f"timed-{name}", fit=train))
    yield f"timed-{name}", spent


def whole_test(name: str) -> Row:
    """From labels and positions to the result, once."""
    positions, _, one, two = two_sets()
    with timed_discriminator(name) as (timed, spent):
        row, found = ours(
            f"whole two-sample test, {name}",
            lambda: two_sample_test(one, two, positions, discriminator=timed),
            repeats=1,
        )
    row["share"] = {"discriminator": sum(spent) / row["cpu"]}
    return row | {"auc": found.auc}


def test_standard() -> Row:
    return whole_test("boosting")


def test_strong() -> Row:
    return whole_test("strong")


# The profile


def profile() -> Row:
    """With intervals from 999 resamples of blocks; blocks and neighbours are given."""
    _, place, labels, _ = two_sets()
    blocks = interval_blocks(place)
    row, found = ours(
        f"profile with {RESAMPLES} resamples of blocks, neighbours and blocks known",
        lambda: profile_labels(labels, place, blocks=blocks, n_resamples=RESAMPLES),
    )
    drawn = BlockSums.of(blocks, n_resamples=RESAMPLES, level=0.95, seed=0).weights
    members = [np.flatnonzero(blocks == b) for b in range(drawn.shape[1])]
    spatial, tried = found.spatial, 5
    point = resample_from_neighbors(labels, place, np.arange(N), spatial.ks)
    assert np.allclose(point[:-2], [*spatial.clustering.value, spatial.mean_target_rank.value])
    kept = np.stack(per_example(labels, place, spatial.ks), axis=1)
    rows = [np.concatenate([np.tile(members[b], int(n)) for b, n in enumerate(times) if n])
            for times in drawn[:tried]]  # fmt: skip
    anew, one = seconds(
        lambda: [resample_from_neighbors(labels, place, r, spatial.ks) for r in rows]
    )
    summed, two = seconds(lambda: [figures(kept[r].sum(axis=0), spatial.ks) for r in rows])
    assert np.allclose(one, two), "the two twins differ"
    assert_inside(two, drawn, blocks, kept, spatial.ks)
    return with_twins(
        row,
        (f"examples of drawn blocks by index, sums of values kept of each ({tried}, scaled)",
         summed * RESAMPLES / tried),
        (f"the same, and the values anew from their neighbours ({tried}, scaled)",
         anew * RESAMPLES / tried),
    )  # fmt: skip


def assert_inside(
    found: list[np.ndarray],
    drawn: np.ndarray,
    blocks: np.ndarray,
    kept: np.ndarray,
    ks: tuple[int, ...],
) -> None:
    """That sums by block, weighted by how often they were drawn, give the twin's figures."""
    sums = np.zeros((drawn.shape[1], kept.shape[1]))
    np.add.at(sums, blocks, kept)
    for times, figure in zip(drawn, found, strict=False):
        assert np.allclose(figures(times @ sums, ks), figure), "sums by block differ"


def per_example(labels: NoisyLabels, place: Neighborhood, ks: tuple[int, ...]) -> list[np.ndarray]:
    """What is summed of each example: hits for each k, flips, ranks of target and class."""
    return values_of(labels, place, np.arange(N), ks)


def values_of(
    labels: NoisyLabels, place: Neighborhood, rows: np.ndarray, ks: tuple[int, ...]
) -> list[np.ndarray]:
    from mislabel.features.neighborhood import ranks_in_class

    flipped, clean = labels.flipped, place.clean_labels
    mine = flipped[rows]
    near = flipped[place.neighbors[rows]]
    hits = [np.where(mine, near[:, :k].sum(axis=1), 0) for k in ks]
    rank = np.where(mine, place.closeness_rank[clean[rows], labels.labels[rows]], 0)
    mixed = ranks_in_class(place.other_share(), clean)[rows]
    typical = place.typicality[rows]
    return [*hits, mine, np.ones(len(rows)), rank, typical * mine, typical, mixed * mine, mixed]


def figures(sums: np.ndarray, ks: tuple[int, ...]) -> np.ndarray:
    """Clustering index for each k, mean rank of targets and both trends."""
    hits, (flips, n, rank, typical_flips, typical, mixed_flips, mixed) = np.split(sums, [len(ks)])
    clustering = hits / ks / flips / (flips / n)
    trends = 0.5 + np.array([typical_flips, mixed_flips]) / flips - np.array([typical, mixed]) / n
    return np.r_[clustering, rank / flips, trends]


def resample_from_neighbors(
    labels: NoisyLabels, place: Neighborhood, rows: np.ndarray, ks: tuple[int, ...]
) -> np.ndarray:
    return figures(np.array([v.sum() for v in values_of(labels, place, rows, ks)]), ks)


LINES: dict[str, Callable[[], Row]] = {
    "noise": noise,
    "noise-64": noise_many_dimensions,
    "fit": fit,
    "context": context,
    "replicates": replicates,
    "profile": profile,
    "test": test_standard,
    "strong": test_strong,
}


def in_a_process_of_its_own(name: str) -> Row:
    """A line, measured with one thread."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, __file__, "--child", name]
    answer = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | one
    )
    row: Row = json.loads(answer.stdout.splitlines()[-1])
    print(f"{row['what']}: {row['cpu']:.2f} s of processor time, {row['clock']:.2f} s")
    for part, share in row["share"].items():
        print(f"  of it {part}: {share:.0%}")
    for twin in row["twins"]:
        print(f"  {twin['ratio']:.1f} times faster than {twin['twin']}")
    print(f"  peak {row['peak_mib']:,.0f} MiB, before {row['before_mib']:,.0f}", flush=True)
    return row


def to_markdown(content: Row) -> str:
    """The page that shows the results."""
    load = content["load"]
    lines = [
        "# Speed and memory of realism",
        "",
        f"`python benchmarks/realism.py{' --strong' if content['strong'] else ''}` on "
        f"{content['processor']}, one thread a process, load {load[0]:.1f} at the start and "
        f"{load[1]:.1f} at the end of {content['cores']} cores. "
        f"Versions: {', '.join(f'{k} {v}' for k, v in content['versions'].items())}.",
        "",
        f"{N:,} synthetic points of ten classes that overlap; human-like labels at a rate of "
        f"{RATE}. Times are seconds of processor time, the least of a few calls, with seconds on "
        "the clock beside them, which on a busy machine say more about the others. Peak memory is "
        "that of a fresh process after our call, libraries and data included.",
        "",
        "| what | processor, s | clock, s | calls | of it | peak memory, MiB | before the call |",
        "|---|---:|---:|---:|---|---:|---:|",
    ]
    for row in content["rows"]:
        parts = ", ".join(f"{part} {share:.0%}" for part, share in row["share"].items())
        lines.append(
            f"| {row['what']} | {row['cpu']:.2f} | {row['clock']:.2f} | {row['calls']} | {parts} "
            f"| {row['peak_mib']:,.0f} | {row['before_mib']:,.0f} |"
        )
    lines += ["", "| what | plain twin | its processor time, s | ratio |", "|---|---|---:|---:|"]
    for row in content["rows"]:
        lines += [
            f"| {row['what']} | {twin['twin']} | {twin['cpu']:,.2f} | {twin['ratio']:.1f} |"
            for twin in row["twins"]
        ]
    return "\n".join([*lines, "", *NOTES, ""])


NOTES = (
    "The twin of the noise leaves out, in its favour, the exact rate and what class, mixing and "
    "isolation explain of the fields; like ours it leaves the cosines of a field to NumPy. The "
    "search for neighbours may use several threads; its processor time is that of all. Of the "
    "profile ours is all of it, the twins are the resampling alone. Whole tests include the search "
    "and leave out the importance of columns.",
)


def main() -> None:
    """Run everything and write the results beside this file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strong", action="store_true", help="also the strong two-sample test")
    parser.add_argument("--child", choices=LINES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(LINES[asked.child]()))
        return
    load = os.getloadavg()[0]
    names = [name for name in LINES if asked.strong or name != "strong"]
    rows = [in_a_process_of_its_own(name) for name in names]
    content = {
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
        "load": [load, os.getloadavg()[0]],
        "strong": asked.strong,
        "versions": library_versions("numpy", "scipy", "scikit-learn"),
        "rows": rows,
    }
    write_json(HERE / "realism.json", content)
    write_text(HERE / "realism.md", to_markdown(content))


if __name__ == "__main__":
    main()
