"""A slow plain twin of adaptive targets, and constructed data whose classes are known.

The twin follows the module's formulas with loops over examples and classes and dense matrices in
float64. It shares only the seeded draws (signs) and the constants with the library.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy.linalg import expm

from mislabel.cleaning import adaptive
from mislabel.features import graph
from mislabel.seeds import generator

Array = np.ndarray
Table = list[list[float]]

# The twin


@dataclass(frozen=True)
class Plain:
    """As `AdaptiveTargets`, with what was found on the way."""

    targets: Array
    determined: bool
    stability: float
    regions: list[int]
    scales: list[int]
    weights: list[float]
    patches: Array
    noise: Array
    patch_rate: float
    scattered_rate: float


def plain_neighbors(features: Array) -> list[list[int]]:
    """All other examples, nearest first."""
    found = []
    for i, own in enumerate(features.astype(np.float64)):
        away = [(float(((own - other) ** 2).sum()), j) for j, other in enumerate(features)]
        found.append([j for _, j in sorted(away) if j != i])
    return found


def plain_step(neighbors: list[list[int]], k: int = 15) -> Array:
    """(N, N) chance of a step.

    One join for each that is among the k nearest of the other, over the number of joins of both.
    """
    joins = np.zeros((len(neighbors), len(neighbors)))
    for i, near in enumerate(neighbors):
        for j in near[:k]:
            joins[i, j] += 1
            joins[j, i] += 1
    weights = np.zeros_like(joins)
    for i, row in enumerate(joins):
        for j, count in enumerate(row):
            weights[i, j] = count / (joins[i].sum() * joins[j].sum())
    return weights / weights.sum(axis=1, keepdims=True)


def plain_walk(step: Array, time: float) -> Array:
    """(N, N) where walks of that time end."""
    return np.asarray(expm(time * (step - np.eye(len(step)))))


def signs(n_examples: int, seed: int) -> Array:
    """The draws that sizes are estimated with."""
    rng = generator(seed, "neighbor graph probes")
    return rng.choice(np.float32([-1, 1]), (n_examples, graph.PROBES)).astype(np.float64)


def plain_time_for(step: Array, size: float, seed: int) -> float:
    """Doublings until the size is passed, then a straight line in the logarithms."""
    probes, before, reached = signs(len(step), seed), 0.0, 1.0
    for doubling in range(17):
        time = float(2**doubling)
        now = 1 / float(((plain_walk(step, time) @ probes) ** 2).mean())
        if now >= size:
            share = math.log(size / reached) / math.log(now / reached)
            low = before if before else 0.5
            return low * (time / low) ** share
        if now < 1.0001 * reached:
            return before
        before, reached = time, now
    return before


def plain_ranks(values: dict[int, float], group: dict[int, int]) -> dict[int, float]:
    """Of each example among those of its group: (mean rank - 1/2) / size."""
    ranks = {}
    for i, own in values.items():
        same = [values[j] for j in values if group[j] == group[i]]
        below, equal = sum(v < own for v in same), sum(v == own for v in same)
        ranks[i] = (below + equal / 2) / len(same)
    return ranks


def plain_confusion(pairs: list[tuple[int, int]], n_classes: int) -> Table:
    """Row y: what is seen of y, by pairs (y, seen)."""
    total_wrong = sum(y != seen for y, seen in pairs)
    mean = total_wrong / len(pairs) if pairs else 0.0
    table = []
    for y in range(n_classes):
        of_class = [seen for true, seen in pairs if true == y]
        wrong = sum(seen != y for seen in of_class)
        rate = (wrong + adaptive.SHRINKAGE * mean) / (len(of_class) + adaptive.SHRINKAGE)
        flat = adaptive.SHRINKAGE * adaptive.FLAT
        row = []
        for seen in range(n_classes):
            count = of_class.count(seen) + flat / max(n_classes - 1, 1)
            row.append(1 - rate if seen == y else rate * count / (wrong + flat))
        table.append(row)
    return table


def plain_believed(
    table: Table, rate: float, seen: int, misplaced: float, falling: float = 0.0
) -> Table:
    error = math.sqrt(rate * (1 - rate) / max(seen, 1))
    sure = max(rate - 2 * error - max(falling, 0), 1e-12)
    kept = max(0.0, 1 - (misplaced / sure) ** 2)
    return [
        [kept * value + (1 - kept) * (y == z) for z, value in enumerate(row)]
        for y, row in enumerate(table)
    ]


def plain_unmix(shares: list[float], table: Table) -> list[float]:
    """Richardson and Lucy, one example."""
    classes = range(len(shares))
    found = [1 / len(shares)] * len(shares)
    for _ in range(adaptive.UNMIXING_STEPS):
        seen = [sum(found[y] * table[y][z] for y in classes) for z in classes]
        found = [
            found[y] * sum(table[y][z] * shares[z] / max(seen[z], 1e-9) for z in classes)
            for y in classes
        ]
    return [value / sum(found) for value in found]


def plain_posterior(
    label: int,
    prior: list[float],
    place: list[float],
    patches: Table,
    noise: Table,
    in_patch: tuple[float, float, float],
) -> list[float]:
    """Of one example: classes y by what the place's class b and the own label say, summed over b.

    prior, place: before anything is spread. patches, noise: as they are believed.
    """
    classes = range(len(prior))
    spread = [plain_spread(row, part) for row, part in
              ((prior, adaptive.REGION_ERROR), (place, adaptive.MISPLACED))]  # fmt: skip
    prior, place = spread
    doubt = min(1.0, (1 - max(place)) / adaptive.AMBIGUOUS)
    as_place, as_region, as_other = in_patch
    found = []
    for y in classes:
        total = 0.0
        for b in classes:
            expected = sum(prior[c] * (patches[c][b] + 1e-6) for c in classes)
            chance = (patches[y][b] + 1e-6) * place[b] / expected
            if b == y:
                trust = 1 - doubt * min(1.0, adaptive.DOUBT + 1 - noise[y][y])
                chance *= (noise[y][label] + 1e-12) ** trust
            elif label == b:
                chance *= as_place
            elif label == y:
                chance *= as_region
            else:
                chance *= as_other / max(len(prior) - 2, 1)
            total += chance
        found.append(prior[y] * total)
    return [value / sum(found) for value in found]


def plain_spread(shares: list[float], part: float) -> list[float]:
    return [(1 - part) * value + part / len(shares) for value in shares]


def plain_votes(
    labels: list[int], neighbors: list[list[int]], shares: Array, own_weight: float, size: float
) -> tuple[list[Array], list[int]]:
    """Label shares at each scale, one vote of the overall frequencies added, without one's own."""
    n_examples, n_classes = shares.shape
    overall = np.array([labels.count(c) / n_examples for c in range(n_classes)])
    widest = adaptive.neighbors_needed(n_examples, n_classes)
    scales = sorted({min(k, widest) for k in adaptive.SCALES})
    votes = []
    for k in scales:
        vote = np.tile(overall, (n_examples, 1))
        for i, near in enumerate(neighbors):
            for j in near[:k]:
                vote[i, labels[j]] += 1
        votes.append(vote / (k + 1))
    wide = np.zeros((n_examples, n_classes))
    for i in range(n_examples):
        row = shares[i].copy()
        row[labels[i]] = max(row[labels[i]] - own_weight, 0)
        wide[i] = (size * row / row.sum() + overall) / (size + 1)
    return [*votes, wide], [*scales, round(size)]


def plain_weights(labels: list[int], votes: list[Array]) -> list[float]:
    """EM for the weights of a mixture."""
    weights = [1 / len(votes)] * len(votes)
    for _ in range(100):
        claims = [0.0] * len(votes)
        for i, z in enumerate(labels):
            parts = [w * vote[i, z] for w, vote in zip(weights, votes, strict=True)]
            for s, part in enumerate(parts):
                claims[s] += part / sum(parts)
        weights = [claim / len(labels) for claim in claims]
    return weights


def plain_stability(labels: list[int], shares: Array, wider: list[int], size: float) -> float:
    """The lesser of two kappas: with wider regions, and with labels that are drawn once more.

    size: examples that regions are found among, as the signs tell it.
    """
    n_examples, n_classes = shares.shape
    leading = [int(row.argmax()) for row in shares]
    if len(set(leading)) == 1:
        return float(len(set(labels)) == 1)
    same = sum(own == other for own, other in zip(leading, wider, strict=True)) / n_examples
    again = 0.0
    for row in shares:
        second, first = sorted(row)[-2:]
        apart = first - second
        error = math.sqrt(max(first * (1 - first) + second * (1 - second) + 2 * first * second,
                              1e-12) / size)  # fmt: skip
        again += NormalDist().cdf(apart / error) / n_examples
    of_own = [leading.count(c) / n_examples for c in range(n_classes)]
    of_wider = [wider.count(c) / n_examples for c in range(n_classes)]
    by_chance = sum(p * q for p, q in zip(of_own, of_wider, strict=True))
    alone = sum(p * p for p in of_own)
    return max(0.0, min((same - by_chance) / (1 - by_chance), (again - alone) / (1 - alone)))


def plain_evidence(
    labels: list[int], regions: list[int], around: Array, places: Array
) -> tuple[Table, Table, tuple[float, int], tuple[float, int, float], tuple[float, float, float]]:
    """Confusions of places and of labels; the rate of each, how many it comes from and by how much
    that of noise falls towards the middle; labels amid patches."""
    everyone, n_classes = range(len(labels)), places.shape[1]
    leading = [int(row.argmax()) for row in places]
    centrality = plain_ranks({i: around[i, regions[i]] for i in everyone}, dict(enumerate(regions)))
    middle = [
        i
        for i in everyone
        if centrality[i] > 1 - adaptive.MIDDLE
        or around[i, regions[i]]
        >= max(around[j, c] for j, c in enumerate(regions) if c == regions[i])
    ]
    agreed = [i for i in middle if leading[i] == regions[i]]
    purity = plain_ranks({i: places[i, regions[i]] for i in agreed}, dict(enumerate(regions)))
    pure, twice = [], []
    for i in agreed:
        of_region = sum(regions[j] == regions[i] for j in agreed)
        purest = max(places[j, regions[j]] for j in agreed if regions[j] == regions[i])
        enough = max(adaptive.PUREST, adaptive.FEWEST / of_region)
        if purity[i] > 1 - enough or places[i, regions[i]] == purest:
            pure.append(i)
        if purity[i] > 1 - 2 * enough or places[i, regions[i]] == purest:
            twice.append(i)
    wrong_pure = sum(labels[i] != regions[i] for i in pure) / max(len(pure), 1)
    wrong_twice = sum(labels[i] != regions[i] for i in twice) / max(len(twice), 1)
    patched = [i for i in middle if leading[i] != regions[i]]
    with_place = sum(labels[i] == leading[i] for i in patched)
    with_region = sum(labels[i] == regions[i] for i in patched)
    others, total = len(patched) - with_place - with_region, len(patched) + 5
    return (
        plain_confusion([(regions[i], leading[i]) for i in middle], n_classes),
        plain_confusion([(regions[i], labels[i]) for i in pure], n_classes),
        (len(patched) / max(len(middle), 1), len(middle)),
        (wrong_pure, len(pure), wrong_twice - wrong_pure),
        ((with_place + 4) / total, (with_region + 0.5) / total, (others + 0.5) / total),
    )


def plain_adaptive_targets(features: Array, given: Array, n_classes: int, seed: int = 0) -> Plain:
    """The whole of `adaptive_targets`."""
    labels, n_examples = [int(z) for z in given], len(given)
    held = np.array([[float(z == c) for c in range(n_classes)] for z in labels])
    neighbors = plain_neighbors(features)
    needed = adaptive.neighbors_needed(n_examples, n_classes)
    step = plain_step([near[:needed] for near in neighbors])
    size = max(2.0, adaptive.REGION * n_examples / n_classes)
    time = plain_time_for(step, size, seed)
    walk = plain_walk(step, time)
    shares = walk @ held
    regions = [int(row.argmax()) for row in shares]
    probes = signs(n_examples, seed)
    most = max(2.0, min(adaptive.WIDER / n_classes, 0.5) * n_examples)
    longer = max(time, min(plain_time_for(step, most, seed), adaptive.FARTHEST * time))
    wider = [int(row.argmax()) for row in plain_walk(step, longer) @ held]
    reached = 1 / float(((walk @ probes) ** 2).mean())
    stability = plain_stability(labels, shares, wider, reached)
    of_regions = np.array([[float(r == c) for c in range(n_classes)] for r in regions])
    around = plain_walk(step, time / adaptive.NARROWER) @ of_regions
    own_weight = max(0.0, float((probes * (walk @ probes)).mean()))
    votes, scales = plain_votes(labels, neighbors, shares, own_weight, size)
    weights = plain_weights(labels, votes)
    places = sum(w * vote for w, vote in zip(weights, votes, strict=True))
    patches, noise, of_patches, (rate, n_pure, falling), in_patch = plain_evidence(
        labels, regions, around, places
    )
    rows: list[Any] = []
    for i, z in enumerate(labels):
        if stability >= adaptive.STABLE:
            by_patches = plain_believed(patches, *of_patches, adaptive.MISLED)
            by_noise = plain_believed(noise, rate, n_pure, adaptive.MISPLACED, falling)
            place = plain_unmix(places[i].tolist(), by_noise)
            row = plain_posterior(z, around[i].tolist(), place, by_patches, by_noise, in_patch)
        else:
            alpha = adaptive.OWN_SHARE
            row = [(1 - alpha) * shares[i, c] + alpha * (c == z) for c in range(n_classes)]
        rows.append(plain_spread(row, adaptive.UNCERTAIN))
    return Plain(
        targets=np.array(rows),
        determined=stability >= adaptive.STABLE,
        stability=stability,
        regions=regions,
        scales=scales,
        weights=weights,
        patches=np.array(patches),
        noise=np.array(noise),
        patch_rate=of_patches[0],
        scattered_rate=rate,
    )


# Data whose classes are known


def blobs(
    n_examples: int, n_classes: int, *, apart: float = 8.0, d: int = 2, seed: int = 0
) -> tuple[Array, Array]:
    """(N, d) Gaussian clusters of deviation 1, centres on a circle `apart` from their next."""
    rng = np.random.default_rng(seed)
    clean = rng.permutation(np.arange(n_examples) % n_classes)
    radius = apart / (2 * math.sin(math.pi / max(n_classes, 2)))
    turn = 2 * math.pi * clean / n_classes
    points = rng.normal(size=(n_examples, d))
    points[:, 0] += radius * np.cos(turn)
    points[:, 1] += radius * np.sin(turn)
    return points.astype(np.float32), clean


def rings(n_examples: int, n_classes: int, *, seed: int = 0) -> tuple[Array, Array]:
    """(N, 2) concentric rings of radius 3, 6, 9, ... and deviation 0.3, as dense as each other."""
    rng = np.random.default_rng(seed)
    around = np.arange(1, n_classes + 1)
    clean = rng.choice(n_classes, n_examples, p=around / around.sum())
    turn = rng.uniform(0, 2 * math.pi, n_examples)
    radius = 3 * (clean + 1) + rng.normal(scale=0.3, size=n_examples)
    points = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1)
    return points.astype(np.float32), clean


def flip_some(clean: Array, n_classes: int, rate: float, seed: int = 0) -> Array:
    """Symmetric noise: exactly that share gets another class."""
    rng = np.random.default_rng(seed)
    labels = clean.copy()
    chosen = rng.choice(len(clean), round(rate * len(clean)), replace=False)
    labels[chosen] = (clean[chosen] + rng.integers(1, n_classes, len(chosen))) % n_classes
    return labels


def flip_patches(
    points: Array, clean: Array, n_classes: int, *, patches: int, size: int, seed: int = 0
) -> Array:
    """In each class that many random examples and the `size` nearest to each get the next class."""
    rng = np.random.default_rng(seed)
    labels = clean.copy()
    for c in range(n_classes):
        members = np.flatnonzero(clean == c)
        for centre in rng.choice(members, patches, replace=False):
            away = ((points[members] - points[centre]) ** 2).sum(axis=1)
            labels[members[np.argsort(away)[:size]]] = (c + 1) % n_classes
    return labels
