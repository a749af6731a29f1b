"""Every kind of noise once more, as plain loops over Python numbers that are as slow as they look.

A twin takes labels, the number of classes, a generator in the state in which `corrupt` has it, and
the kind's parameters. It makes the same random draws in the same order, and nothing else that the
library does: sums, sorts, distances and solutions of equations are written out here.
"""

import math
from typing import Any

import numpy as np

Rng = np.random.Generator


def flip_count(rate: float, size: int) -> int:
    return math.floor(rate * size + 0.5)


def counts_per_class(rate: float, sizes: list[int], rng: Rng) -> list[int]:
    """Floors first, then one more for the largest remainder until the total is right."""
    counts = [math.floor(rate * n + 1e-9) for n in sizes]
    ties = rng.random(len(sizes)).tolist()
    waiting = [c for c, n in enumerate(sizes) if counts[c] < n]
    while sum(counts) < flip_count(rate, sum(sizes)):
        chosen = max(waiting, key=lambda c: (rate * sizes[c] - counts[c], -ties[c]))
        waiting.remove(chosen)
        counts[chosen] += 1
    return counts


def sizes_of(labels: list[int], n_classes: int) -> list[int]:
    return [labels.count(c) for c in range(n_classes)]


def smallest(
    scores: list[float], labels: list[int], n_classes: int, rate: float, per_class: bool, rng: Rng
) -> list[int]:
    """Which examples have the smallest scores, ascending; ties are random."""
    ties = rng.random(len(labels)).tolist()
    groups = [list(range(len(labels)))]
    counts = [flip_count(rate, len(labels))]
    if per_class:
        groups = [[i for i, y in enumerate(labels) if y == c] for c in range(n_classes)]
        counts = counts_per_class(rate, [len(g) for g in groups], rng)
    chosen = []
    for group, count in zip(groups, counts, strict=True):
        chosen += sorted(group, key=lambda i: (scores[i], ties[i]))[:count]
    return sorted(chosen)


def factor_for(chances: list[float], count: float) -> float:
    """The factor at which the chances, none above 1, sum to `count`, by bisection."""
    low, high = 0.0, 1.0
    while sum(min(1.0, high * c) for c in chances) < count and high < 1e30:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        enough = sum(min(1.0, middle * c) for c in chances) >= count
        low, high = (low, middle) if enough else (middle, high)
    return high


def systematic(chances: list[float], rng: Rng, count: int | None = None) -> list[int]:
    """Systematic sampling in random order: where the running sum passes start + 0, 1, 2, ..."""
    order = rng.permutation(len(chances)).tolist()
    if count is None:
        count = math.floor(sum(chances) + 0.5)
    if count == 0:
        return []
    factor = count / sum(chances)
    if max(chances) * factor > 1 + 1e-9:
        factor = factor_for(chances, count)
    start, running, passed, chosen = rng.random(), 0.0, 0, []
    for place, i in enumerate(order):
        running += min(1.0, chances[i] * factor)
        if place == len(order) - 1:
            running = count
        if math.floor(running + start) > passed and passed < count:
            chosen.append(i)
            passed += 1
    return sorted(chosen)


def symmetric(
    labels: list[int], n_classes: int, rng: Rng, *, rate: float, per_class: bool = False
) -> list[int]:
    scores = rng.random(len(labels)).tolist()
    chosen = smallest(scores, labels, n_classes, rate, per_class, rng)
    noisy = list(labels)
    shifts = rng.integers(1, n_classes, size=len(chosen)).tolist()
    for i, shift in zip(chosen, shifts, strict=True):
        noisy[i] = (labels[i] + shift) % n_classes
    return noisy


def transition(
    labels: list[int],
    n_classes: int,
    rng: Rng,
    *,
    matrix: list[list[float]],
    rate: float | None = None,
    per_class: bool = False,
) -> list[int]:
    """Draws from a transition matrix; `rate` None for its own."""
    flips = [1 - matrix[c][c] for c in range(n_classes)]
    able = [i for i, y in enumerate(labels) if flips[y] > 0]
    if rate is None:
        chosen = systematic([flips[y] for y in labels], rng)
    elif per_class:
        scores = rng.random(len(able)).tolist() if able else []
        some = [labels[i] for i in able]
        found = smallest(scores, some, n_classes, rate, True, rng) if able else []
        chosen = [able[place] for place in found]
    else:
        count = min(flip_count(rate, len(labels)), len(able))
        chances = [flips[y] for y in labels]
        factor = factor_for(chances, count) if count else 0.0
        chosen = systematic([min(1.0, factor * c) for c in chances], rng, count)
    noisy = list(labels)
    for i, u in zip(chosen, rng.random(len(chosen)).tolist(), strict=True):
        y, running = labels[i], 0.0
        for z in range(n_classes):
            if z != y and matrix[y][z] > 0:
                running += matrix[y][z] / flips[y]
                noisy[i] = z
                if u < running:
                    break
    return noisy


def pair(labels: list[int], n_classes: int, rng: Rng, **parameters: Any) -> list[int]:
    matrix = [[float(z == (y + 1) % n_classes) for z in range(n_classes)] for y in range(n_classes)]
    return transition(labels, n_classes, rng, matrix=matrix, **parameters)


def asymmetric(
    labels: list[int], n_classes: int, rng: Rng, *, flips: dict[int, int], **parameters: Any
) -> list[int]:
    matrix = [[float(z == flips.get(y, y)) for z in range(n_classes)] for y in range(n_classes)]
    return transition(labels, n_classes, rng, matrix=matrix, **parameters)


def compatible(labels: list[int], matrix: list[list[float]]) -> list[int]:
    """The draws of the authors of CIFAR-N."""
    draw = np.random.RandomState(0)
    return [draw.multinomial(1, matrix[y]).tolist().index(1) for y in labels]


def distance(x: list[float], y: list[float]) -> float:
    squared = 0.0
    for a, b in zip(x, y, strict=True):
        squared += (a - b) * (a - b)
    return math.sqrt(squared)


def centre_distances(
    labels: list[int], positions: list[list[float]], centres: list[list[int]]
) -> list[float]:
    """To the nearest centre of the own class."""
    return [
        min(distance(x, positions[c]) for c in centres[y])
        for x, y in zip(positions, labels, strict=True)
    ]


def nearest_centroid(labels: list[int], positions: list[list[float]], i: int) -> int:
    """The other class whose mean position is nearest to example i; of equal ones the first."""
    best = (math.inf, -1)
    for c in sorted(set(labels) - {labels[i]}):
        members = [x for x, y in zip(positions, labels, strict=True) if y == c]
        mean = [sum(column) / len(members) for column in zip(*members, strict=True)]
        best = min(best, (distance(positions[i], mean), c))
    return best[1]


def cluster(
    labels: list[int],
    n_classes: int,
    rng: Rng,
    *,
    positions: list[list[float]],
    n: int,
    r: float | None = None,
    rate: float | None = None,
    per_class: bool = False,
) -> list[int]:
    centres = []
    for c in range(n_classes):
        members = [i for i, y in enumerate(labels) if y == c]
        centres.append(rng.choice(members, size=min(n, len(members)), replace=False).tolist())
    away = centre_distances(labels, positions, centres)
    if rate is not None:
        chosen = smallest(away, labels, n_classes, rate, per_class, rng)
    else:
        chosen = [i for i, d in enumerate(away) if d < r]  # type: ignore[operator]
    noisy = list(labels)
    for i in chosen:
        noisy[i] = nearest_centroid(labels, positions, i)
    return noisy


def two_likeliest(eta: list[float]) -> tuple[int, int]:
    """Of equal probabilities the lower class is likelier."""
    order = sorted(range(len(eta)), key=lambda c: (-eta[c], c))
    return order[0], order[1]


def polynomial(d: float, type_: int) -> float:
    if type_ == 1:
        return max(1 - (0.5 - d * d / 2), 0.5)
    return d**3 if type_ == 2 else (d**3 + d**2 + d) / 3


def flip_chance(y: int, u: int, s: int, p: float) -> float:
    return 1 - p if y == u else p if y == s else 1.0


def pmd_time(rows: list[tuple[int, int, int, float]], count: int) -> float | None:
    """The largest 1/factor at which `count` flips are expected, None where there is none.

    rows: clean label, likeliest, second and polynomial of each example.
    """

    def expected(t: float) -> float:
        return sum(flip_chance(y, u, s, min(1.0, a * t)) for y, u, s, a in rows)

    breaks = sorted({0.0} | {1 / a for y, u, s, a in rows if a > 0 and y in (u, s)})
    values = [expected(t) for t in breaks]
    low, high = min(values), max(values)
    if not low - 0.5 <= count <= high + 0.5:
        return None
    target = min(max(count, low), high)
    if abs(values[-1] - target) < 1e-12:
        return breaks[-1]
    for k in range(len(breaks) - 2, -1, -1):
        if min(values[k], values[k + 1]) <= target <= max(values[k], values[k + 1]):
            left, right, rising = breaks[k], breaks[k + 1], values[k + 1] > values[k]
            for _ in range(200):
                middle = (left + right) / 2
                over = (expected(middle) > target) == rising
                left, right = (left, middle) if over else (middle, right)
            return right
    raise AssertionError("no crossing")


def pmd(
    labels: list[int],
    n_classes: int,
    rng: Rng,
    *,
    probabilities: list[list[float]],
    type: int = 1,
    rate: float | None = None,
    factor: float | None = None,
    per_class: bool = False,
) -> list[int] | None:
    """None where the rate cannot be reached."""
    rows = []
    for y, eta in zip(labels, probabilities, strict=True):
        u, s = two_likeliest(eta)
        rows.append((y, u, s, polynomial(eta[u] - eta[s], type)))
    if factor is not None:
        draws = rng.random(len(rows)).tolist()
        return [u if v < min(1.0, a / factor) else s
                for (_, u, s, a), v in zip(rows, draws, strict=True)]  # fmt: skip
    assert rate is not None
    groups, counts = [list(range(len(labels)))], [flip_count(rate, len(labels))]
    if per_class:
        groups = [[i for i, y in enumerate(labels) if y == c] for c in range(n_classes)]
        counts = counts_per_class(rate, [len(g) for g in groups], rng)
    noisy = list(labels)
    for group, count in zip(groups, counts, strict=True):
        if not group:
            continue
        t = pmd_time([rows[i] for i in group], count)
        if t is None:
            return None
        chances = [flip_chance(*rows[i][:3], min(1.0, rows[i][3] * t)) for i in group]
        chosen = set(systematic(chances, rng, count))
        draws = rng.random(len(group)).tolist()
        for place, i in enumerate(group):
            y, u, s, a = rows[i]
            if place in chosen:
                first = y == s if y in (u, s) else draws[place] < min(1.0, a * t)
                noisy[i] = u if first else s
    return noisy


def instance(
    labels: list[int],
    n_classes: int,
    rng: Rng,
    *,
    features: list[list[float]],
    rate: float,
    per_class: bool = False,
) -> list[int]:
    from scipy.stats import truncnorm

    low, high = -rate / 0.1, (1 - rate) / 0.1
    q = truncnorm.rvs(low, high, loc=rate, scale=0.1, size=len(labels), random_state=rng).tolist()
    groups, counts = [list(range(len(labels)))], [flip_count(rate, len(labels))]
    if per_class:
        groups = [[i for i, y in enumerate(labels) if y == c] for c in range(n_classes)]
        counts = counts_per_class(rate, [len(g) for g in groups], rng)
    chosen: list[int] = []
    for group, count in zip(groups, counts, strict=True):
        if count or not per_class:
            some = [q[i] for i in group]
            factor = factor_for(some, count) if 0 < count < len(group) else math.inf * count
            chances = [min(1.0, factor * c) if count else 0.0 for c in some]
            chosen += [group[place] for place in systematic(chances, rng, count)]
    scaled = standardised(features)
    noisy = list(labels)
    for label in sorted({labels[i] for i in chosen}):
        members = sorted(i for i in chosen if labels[i] == label)
        projection = rng.standard_normal((len(features[0]), n_classes)).tolist()
        gumbel = rng.gumbel(size=(len(members), n_classes)).tolist()
        for i, noise in zip(members, gumbel, strict=True):
            logits = {
                c: sum(x * w[c] for x, w in zip(scaled[i], projection, strict=True)) + noise[c]
                for c in range(n_classes)
                if c != label
            }
            noisy[i] = max(logits, key=logits.__getitem__)
    return noisy


def standardised(features: list[list[float]]) -> list[list[float]]:
    """Each column less its mean, over its deviation where that is not 0."""
    columns = []
    for column in zip(*features, strict=True):
        mean = math.fsum(column) / len(column)
        spread = math.sqrt(math.fsum((x - mean) ** 2 for x in column) / len(column))
        columns.append([(x - mean) / (spread or 1.0) for x in column])
    return [list(row) for row in zip(*columns, strict=True)]


KINDS = {
    "symmetric": symmetric,
    "pair": pair,
    "asymmetric": asymmetric,
    "class-dependent": transition,
    "cluster": cluster,
    "pmd": pmd,
    "instance": instance,
}
