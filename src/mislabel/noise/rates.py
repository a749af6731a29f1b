"""Exact rates: which examples flip, so that a rate is met to within one example.

A rate of r on N examples means ``round(r * N)`` flips, halves rounded up. Per class, each class
of n examples gets ``floor(r * n)`` or ``ceil(r * n)`` flips (largest remainders first), and the
sum is still ``round(r * N)``. Nothing is truncated: a class of one flips when its turn comes.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def check_rate(rate: float, *, maximum: float = 1.0, minimum: float = 0.0) -> float:
    """A rate is a number in the reachable range; the message states that range."""
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number):
        raise InputError("rate", rate, "must be a number")
    if not minimum <= rate <= maximum:
        raise InputError("rate", rate, f"must be between {stated_range(minimum, maximum)}")
    return float(rate)


def stated_range(low: float, high: float) -> str:
    """``0.25 and 0.75``: the ends rounded inwards, so that both can be typed.

    Four digits, or as many as it takes for a number to be left between them.
    """
    ends = [repr(round(float(end), 12)) for end in (low, high)]
    for digits in (4, 6, 8, 12):
        least = float(Context(digits, ROUND_CEILING).create_decimal(ends[0]))
        most = float(Context(digits, ROUND_FLOOR).create_decimal(ends[1]))
        if least <= most:
            break
    return f"{least:.{digits}g} and {most:.{digits}g}"


def check_positive(value: float, name: str) -> float:
    """A finite number above 0."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not (number and np.isfinite(value) and value > 0):
        raise InputError(name, value, "must be a positive number")
    return float(value)


def flip_count(rate: float, n_examples: int) -> int:
    """How many of `n_examples` flip at `rate`: nearest whole number, halves up."""
    return int(np.floor(rate * n_examples + 0.5))


def flip_counts_per_class(rate: float, class_sizes: IntArray, rng: np.random.Generator) -> IntArray:
    """(C,) flips per class: each within one of ``rate * size``, the sum ``flip_count``.

    Largest remainders are served first; equal remainders in random order.
    """
    wanted = rate * class_sizes
    counts: IntArray = np.floor(wanted + 1e-9).astype(np.int64)
    missing = flip_count(rate, int(class_sizes.sum())) - int(counts.sum())
    remainder = np.where(counts < class_sizes, wanted - counts, -1.0)
    order = np.lexsort((rng.random(len(counts)), -remainder))
    counts[order[:missing]] += 1
    return counts


def members_of_classes(labels: IntArray, n_classes: int) -> list[IntArray]:
    """The indices of each class's examples, ascending. labels: (N,)."""
    short = labels.astype(np.uint16) if n_classes <= 2**16 else labels  # sorted by radix
    order = np.argsort(short, kind="stable")
    sizes = np.bincount(labels, minlength=n_classes)
    return np.split(order, np.cumsum(sizes)[:-1])


def flip_smallest(
    scores: FloatArray,
    clean_labels: IntArray,
    n_classes: int,
    rate: float,
    *,
    per_class: bool,
    rng: np.random.Generator,
) -> BoolArray:
    """(N,) True for the examples with the smallest `scores`, at exactly `rate`.

    scores: (N,); equal scores are served in random order. per_class: the rate holds in each
    class, not only overall.
    """
    n_examples = len(scores)
    ties = rng.random(n_examples)
    flipped = np.zeros(n_examples, dtype=bool)
    if not per_class:
        flipped[_smallest(scores, ties, flip_count(rate, n_examples))] = True
        return flipped
    groups = members_of_classes(clean_labels, n_classes)
    counts = flip_counts_per_class(rate, np.array([len(group) for group in groups]), rng)
    for group, count in zip(groups, counts, strict=True):
        if count:
            flipped[group[_smallest(scores[group], ties[group], int(count))]] = True
    return flipped


def _smallest(scores: FloatArray, ties: FloatArray, count: int) -> IntArray:
    """Indices of the `count` smallest scores; only the scores at the border need `ties`."""
    if count == 0:
        return np.empty(0, dtype=np.int64)
    border = np.partition(scores, count - 1)[count - 1]
    below = np.flatnonzero(scores < border)
    equal = np.flatnonzero(scores == border)
    chosen = equal[np.argsort(ties[equal])[: count - len(below)]]
    return np.concatenate([below, chosen])


def systematic_sample(
    probabilities: FloatArray, rng: np.random.Generator, *, count: int | None = None
) -> BoolArray:
    """(N,) a random set in which example i is with probability `probabilities[i]`, of fixed size.

    count: the size; by default the sum of the probabilities, rounded. Systematic sampling in
    random order: the marginal probabilities are kept exactly when their sum is the size (Madow
    1949), otherwise scaled to it, and none above 1.
    """
    order = rng.permutation(len(probabilities))
    chances = probabilities[order]
    total = np.cumsum(chances)
    count = int(np.floor(total[-1] + 0.5)) if count is None else count
    chosen = np.zeros(len(order), dtype=bool)
    if count == 0:
        return chosen
    if chances.max() * count > total[-1] * (1 + 1e-9):
        total = np.cumsum(_capped(chances, count))
    last = np.searchsorted(total, total[-1])  # the last that may be chosen; zeros may follow
    total *= count / total[-1]
    total[last:] = count
    steps = np.minimum(np.floor(total + rng.random()), count)
    chosen[order] = np.diff(steps, prepend=0.0) > 0
    return chosen


def _capped(chances: FloatArray, count: int) -> FloatArray:
    """`chances` in proportion, but none above 1, with the sum `count`; zeros stay zero."""
    scaled: FloatArray = chances * (count / chances.sum())
    while scaled.max() > 1 + 1e-12:
        full = scaled >= 1
        scaled[full] = 1
        scaled[~full] *= (count - full.sum()) / scaled[~full].sum()
    return scaled
