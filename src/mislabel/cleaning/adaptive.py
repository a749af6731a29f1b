"""Adaptive soft neighbour targets: class probabilities from noisy labels alone.

Soft Neighbor Label Sampling (`mislabel.learning.targets`) asks 100 neighbours, whatever the noise.
Where wrong labels lie in patches of about that size, the neighbours are wrong together. Here three
witnesses are heard for each example, and how far each is to be believed is read off the labels:

1. Its *region*: the class that leads among about half a class's worth of examples around it,
   reached by walks on the neighbour graph (`mislabel.features.graph`), which keep to where the data
   are dense. No patch is as large as that.
2. Its *place*: shares of the labels near it, a mixture of scales from 5 neighbours to the whole
   region, with weights by the likelihood of labels left out.
3. Its own label.

The middle of a region is where a class is known, so there the witnesses can be checked: how often
the place contradicts the region is the rate of patches, and how often the own label contradicts
both is the rate of scattered noise. Where those rates are next to nothing, as on clean labels, the
nearer witness is believed; else by Bayes' rule.

Two things show that no majority can be relied on: wider regions, of up to four times the size, have
other classes, as under patches that cover most of a class; or too few labels decide, as where they
say nothing of the features. Then the labels do not determine the classes, and
`AdaptiveTargets.determined` is False.

Assumes that most labels in the middle of a class's region are right, that a class is a few dense
regions of the features, and that noise is not rarer at the borders than in the middle. The method
is our own; ``docs/cleaning.md`` shows it in pictures, with ablations and where it fails.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import floor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.errors import InputError
from mislabel.features.graph import NeighborGraph
from mislabel.features.neighborhood import ranks_in_class
from mislabel.features.neighbors import nearest_neighbors
from mislabel.labels import as_array, check_labels
from mislabel.noise.base import check_points
from mislabel.seeds import check_seed

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

SCALES = (5, 10, 20, 50, 100, 200)
"Neighbours that vote; a data set of few examples per class uses the smaller ones."
REGION = 1 / 2
"Of a class's mean size: examples among which a region's leading class is found."
NARROWER = 8
"A region's own shares are taken over walks that many times shorter."
MIDDLE = 1 / 2
"Share of a region, by the share of its own class around an example, that counts as its middle."
PUREST = 1 / 4
"Share of the middle, by agreement of the place, in which scattered noise is measured..."
FEWEST = 50
"...or so many examples of each region, where that is more."
SHRINKAGE = 50
"Examples that the rates of one class are worth the mean rate of all, ..."
FLAT = 0.2
"...and how much of that a flat choice of the wrong class is worth."
MISPLACED = 0.02
"Share of examples that lie amid another class: rates of scattered noise are believed above it."
MISLED = 0.01
"Share of places that do: rates of patches are believed above it."
REGION_ERROR = 0.05
"Of a region's class, beyond what its rates say."
AMBIGUOUS = 0.1
"Where the place leaves more than this to other classes, noise may be more than in the middle, ..."
DOUBT = 0.5
"...so there the own label's weight is cut by this, plus the rate of noise, in the exponent."
UNCERTAIN = 0.02
"Of every target, spread over all classes."
UNMIXING_STEPS = 30
WIDER = 2.0
"Of a class's mean size, but at most half of all: examples that wider regions are found among."
FARTHEST = 6
"Walks of wider regions are at most that many times longer, lest they jump to clusters far apart."
STABLE = 0.84
"Stability of the regions; below, the classes are undetermined."
OWN_SHARE = 0.3
"Weight of the own label where classes are not determined (SNLS's alpha)."

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class AdaptiveTargets:
    """What `adaptive_targets` finds for N examples of C classes.

    labels: (N,) the given labels. targets: (N, C) class probabilities, rows sum to 1.
    determined: whether the labels determine the classes; see the module.
    stability: 0 to 1, how far regions agree with wider ones, or with what they would be if labels
    were drawn once more, whichever is less; 0 is chance (Cohen's kappa).
    regions: (N,) class of each example's region. region_size: examples that it is found among.
    scales: neighbours that vote, the last being the region's size. weights: of the scales.
    patches: (C, C) row y: shares of the classes that lead in the places amid region y.
    noise: (C, C) row y: shares of the labels in the purest part of region y.
    patch_rate, scattered_rate: share of places amid all regions that contradict them, and of labels
    in their purest parts; without meaning where classes are not determined.
    """

    labels: IntArray
    targets: FloatArray
    determined: bool
    stability: float
    regions: IntArray
    region_size: float
    scales: tuple[int, ...]
    weights: FloatArray
    patches: FloatArray
    noise: FloatArray
    patch_rate: float
    scattered_rate: float

    @property
    def corrected_labels(self) -> IntArray:
        """(N,) likeliest class; the given label where classes are not determined."""
        return self.targets.argmax(axis=1) if self.determined else self.labels.copy()

    @property
    def noise_scores(self) -> FloatArray:
        """(N,) probability that the given label is wrong."""
        scores: FloatArray = 1 - self.targets[np.arange(len(self.labels)), self.labels]
        return scores


def adaptive_targets(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    n_classes: int | None = None,
    neighbors: ArrayLike | None = None,
    approximate: bool = False,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> AdaptiveTargets:
    """Targets for noisy labels, from features or a map in which neighbours are alike.

    features: (N, d) finite numbers. labels: (N,) 0 to C - 1. n_classes: C, by default one more than
    the largest label. neighbors: (N, K) indices of nearest neighbours, nearest first, where they
    are known; K at least `neighbors_needed`. approximate: search for them approximately. seed: of
    the estimated sizes of walks.
    Cost: of the order of N C times the root of the region's size, after the neighbour search.
    Errors: `InputError` for fewer than 2 examples, or features that do not go with the labels.
    """
    given = check_labels(labels, n_classes=n_classes)
    n_classes = int(given.max()) + 1 if n_classes is None else n_classes
    if len(given) < 2:
        raise InputError("labels", f"{len(given)} examples", "adaptive targets need 2")
    points = _single_points(features, len(given))
    check_seed(seed)
    needed = neighbors_needed(len(given), n_classes)
    if neighbors is None:
        near = nearest_neighbors(points, needed, approximate=approximate)[1]
    else:
        near = _check_neighbors(neighbors, len(given), needed)
    progress(1, 4)
    graph = NeighborGraph.of(near)
    size = max(2.0, REGION * len(given) / n_classes)
    wide = max(2.0, min(WIDER / n_classes, 1 / 2) * len(given))
    time, longer = (graph.time_for(each, seed=seed) for each in (size, wide))
    longer = max(time, min(longer, FARTHEST * time))
    progress(2, 4)
    shares, stability = _regions(graph, given, n_classes, time, longer, seed)
    regions: IntArray = shares.argmax(axis=1)
    progress(3, 4)
    around = graph.diffuse(_one_hot(regions, n_classes), time / NARROWER)
    own = graph.own_weight(time, seed=seed)
    places, scales, weights = _places(given, near, shares, n_classes, own, size)
    evidence = _Evidence.of(given, regions, around, places)
    determined = stability >= STABLE
    if determined:
        found = _combine(given, around, places, evidence)
    else:
        found = (1 - OWN_SHARE) * shares + OWN_SHARE * _one_hot(given, n_classes)
    progress(4, 4)
    return AdaptiveTargets(
        labels=given,
        targets=_spread(found, UNCERTAIN),
        determined=determined,
        stability=stability,
        regions=regions,
        region_size=size,
        scales=scales,
        weights=weights,
        patches=evidence.patches,
        noise=evidence.noise,
        patch_rate=evidence.patch_rate,
        scattered_rate=evidence.noise_rate,
    )


def undetermined_text(stability: float) -> str:
    """That labels do not determine the classes, and by how much."""
    shown = floor(100 * stability) / 100  # 0.839 is not "0.84; 0.84 is needed"
    return f"these labels do not determine the classes (stability {shown:.2f}; {STABLE} is needed)"


def _single_points(features: ArrayLike, n_examples: int) -> FloatArray:
    """(N, d) float32, finite in that too, or an `InputError`."""
    points = check_points(features, "features", n_examples)
    with np.errstate(over="ignore"):
        single = points.astype(np.float32, copy=False)
    return check_points(single, "features", n_examples).astype(np.float32, copy=False)


def _check_neighbors(neighbors: ArrayLike, n_examples: int, needed: int) -> IntArray:
    """(N, needed) indices of other examples, or an `InputError`."""
    array = as_array(neighbors, "neighbors")
    if array.ndim != 2 or array.dtype.kind not in "iu":
        rule = "must be a matrix of whole numbers (N, K)"
        raise InputError("neighbors", f"{array.dtype} {array.shape}", rule)
    if len(array) != n_examples or array.shape[1] < needed:
        rule = f"must be ({n_examples}, {needed}) or wider"
        raise InputError("neighbors", f"shape {array.shape}", rule)
    near: IntArray = array[:, :needed].astype(np.int64, copy=False)
    wrong = (near < 0) | (near >= n_examples) | (near == np.arange(n_examples)[:, None])
    bad = np.flatnonzero(wrong.any(axis=1))
    if len(bad):
        rule = f"must be indices of other examples, 0 to {n_examples - 1}"
        raise InputError("neighbors", f"row {bad[0]}", rule)
    return near


def neighbors_needed(n_examples: int, n_classes: int) -> int:
    """How many neighbours of each example `adaptive_targets` looks at."""
    most = max(SCALES[0], n_examples // (2 * n_classes))
    return min(SCALES[-1], most, n_examples - 1)


def _regions(
    graph: NeighborGraph, labels: IntArray, n_classes: int, time: float, longer: float, seed: int
) -> tuple[FloatArray, float]:
    """(N, C) shares of the labels in each example's region, and the regions' stability.

    time, longer: of the walks that find regions and wider ones.
    """
    shares = graph.diffuse(_one_hot(labels, n_classes), time)
    regions = shares.argmax(axis=1)
    if np.ptp(regions) == 0:  # one for all: right where there is one class only
        return shares, float(np.ptp(labels) == 0)
    wider = graph.diffuse(shares, longer - time).argmax(axis=1)
    again = _chance_to_lead(shares, graph.size(time, seed=seed))
    own, other = (np.bincount(each, minlength=n_classes) / len(each) for each in (regions, wider))
    return shares, min(
        _kappa(float((regions == wider).mean()), float(own @ other)),
        _kappa(float(again.mean()), float(own @ own)),
    )


def _chance_to_lead(shares: FloatArray, size: float) -> FloatArray:
    """(N,) chance that the leading class would lead the second if labels were drawn once more.

    They are independent draws from the shares (N, C), as many as `size`; normal approximation.
    """
    from scipy.special import ndtr

    second, first = np.partition(shares, -2, axis=1)[:, -2:].T
    ahead = first - second
    variance = np.maximum(first + second - ahead**2, 1e-12) / size
    chance: FloatArray = ndtr(ahead / np.sqrt(variance))
    return chance


def _kappa(agreement: float, chance: float) -> float:
    """Agreement beyond what is due to chance (Cohen 1960), 0 to 1; chance: below 1."""
    return max(0.0, (agreement - chance) / (1 - chance))


def _places(
    labels: IntArray,
    neighbors: IntArray,
    shares: FloatArray,
    n_classes: int,
    own_weight: float,
    size: float,
) -> tuple[FloatArray, tuple[int, ...], FloatArray]:
    """(N, C) label shares of each place without its own label, the scales, and their weights.

    One unit of the labels' overall frequencies is added to each scale's counts. Weights maximise
    the likelihood of the labels left out (EM on a mixture).
    """
    n_examples, widest = neighbors.shape
    rows = np.arange(n_examples)
    overall = (np.bincount(labels, minlength=n_classes) / n_examples).astype(np.float32)
    counts = np.zeros((n_examples, n_classes), dtype=np.float32)
    votes, scales, start = [], [], 0
    for k in sorted({min(k, widest) for k in SCALES}):
        flat = (rows * n_classes)[:, None] + labels[neighbors[:, start:k]]
        counts += np.bincount(flat.ravel(), minlength=counts.size).reshape(counts.shape)
        votes.append((counts + overall) / (k + 1))
        scales.append(k)
        start = k
    wide = shares.copy()
    wide[rows, labels] = np.maximum(wide[rows, labels] - own_weight, 0)
    wide /= wide.sum(axis=1, keepdims=True) + np.finfo(np.float32).tiny
    votes.append((np.float32(size) * wide + overall) / np.float32(size + 1))
    scales.append(round(size))
    likelihood = np.stack([vote[rows, labels] for vote in votes], axis=1).astype(np.float64)
    weights = np.full(len(votes), 1 / len(votes))
    for _ in range(100):
        claims = likelihood * weights
        weights = (claims / claims.sum(axis=1, keepdims=True)).mean(axis=0)
    mixed = sum(np.float32(w) * vote for w, vote in zip(weights, votes, strict=True))
    return np.asarray(mixed), tuple(scales), weights.astype(np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Evidence:
    """How far places and labels are to be believed; see `AdaptiveTargets`.

    patch_rate, noise_rate: over all classes. n_middle, n_pure: examples that these and the
    confusions were measured on. falling: how much more noise there is in a part of the middle
    twice as large; classes that overlap do that. in_patch: where a place contradicts its region in
    the region's middle, shares of labels that side with the place, with the region, and with
    another class.
    """

    patches: FloatArray
    noise: FloatArray
    patch_rate: float
    noise_rate: float
    n_middle: int
    n_pure: int
    falling: float
    in_patch: tuple[float, float, float]

    @classmethod
    def of(
        cls, labels: IntArray, regions: IntArray, around: FloatArray, places: FloatArray
    ) -> "_Evidence":
        """around: (N, C) shares of the regions near each example. places: (N, C)."""
        rows, n_classes = np.arange(len(labels)), places.shape[1]
        leading: IntArray = places.argmax(axis=1)
        middle = _highest(around[rows, regions], regions, MIDDLE)
        agreed = np.flatnonzero(middle & (leading == regions))
        enough = FEWEST / np.maximum(np.bincount(regions[agreed], minlength=n_classes), 1)
        share = np.maximum(PUREST, enough)[regions[agreed]]
        purity = places[agreed, regions[agreed]]
        pure = agreed[_highest(purity, regions[agreed], share)]
        twice = agreed[_highest(purity, regions[agreed], 2 * share)]
        patched = np.flatnonzero(middle & (leading != regions))
        with_place = int((labels[patched] == leading[patched]).sum())
        with_region = int((labels[patched] == regions[patched]).sum())
        others = len(patched) - with_place - with_region
        return cls(
            patches=_confusion(regions[middle], leading[middle], n_classes),
            noise=_confusion(regions[pure], labels[pure], n_classes),
            patch_rate=_share_wrong(leading, regions, np.flatnonzero(middle)),
            noise_rate=_share_wrong(labels, regions, pure),
            n_middle=int(middle.sum()),
            n_pure=len(pure),
            falling=_share_wrong(labels, regions, twice) - _share_wrong(labels, regions, pure),
            in_patch=(
                (with_place + 4) / (len(patched) + 5),
                (with_region + 0.5) / (len(patched) + 5),
                (others + 0.5) / (len(patched) + 5),
            ),
        )

    def believed(self) -> tuple[FloatArray, FloatArray]:
        """(C, C) twice: patches and noise as far as they are not put down to the features."""
        return (
            _believed(self.patches, self.patch_rate, self.n_middle, MISLED),
            _believed(self.noise, self.noise_rate, self.n_pure, MISPLACED, self.falling),
        )


def _share_wrong(labels: IntArray, regions: IntArray, chosen: IntArray) -> float:
    return float((labels[chosen] != regions[chosen]).mean()) if len(chosen) else 0.0


def _highest(
    values: FloatArray, regions: IntArray, share: float | NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(N,) whether a value is in that share of its region's, by rank; the largest always is."""
    if not len(values):
        return np.zeros(0, dtype=np.bool_)
    largest = np.zeros(regions.max() + 1, dtype=values.dtype)
    np.maximum.at(largest, regions, values)
    above = ranks_in_class(values, regions) > 1 - share
    chosen: NDArray[np.bool_] = above | (values == largest[regions])
    return chosen


def _confusion(true: IntArray, seen: IntArray, n_classes: int) -> FloatArray:
    """(C, C) row y: shares of what is seen of y; rates drawn towards the mean of all classes."""
    counts = np.bincount(true * n_classes + seen, minlength=n_classes**2)
    counts = counts.reshape(n_classes, n_classes).astype(np.float64)
    totals, right = counts.sum(axis=1), counts.diagonal().copy()
    mean = (totals.sum() - right.sum()) / max(totals.sum(), 1)
    rates = (totals - right + SHRINKAGE * mean) / (totals + SHRINKAGE)
    wrong = counts + SHRINKAGE * FLAT / max(n_classes - 1, 1)
    np.fill_diagonal(wrong, 0)
    wrong *= (rates / np.maximum(wrong.sum(axis=1), 1e-12))[:, None]
    np.fill_diagonal(wrong, 1 - rates)
    return wrong.astype(np.float32)


def _believed(
    confusion: FloatArray, rate: float, seen: int, misplaced: float, falling: float = 0.0
) -> FloatArray:
    """The same, with as much of its errors as are not put down to the features.

    None where the rate over all classes, less two standard errors from `seen` examples and what it
    is still falling by towards the middle, is below `misplaced`, and nearly all where it is far
    above.
    """
    error = np.sqrt(rate * (1 - rate) / max(seen, 1))
    sure = max(rate - 2 * error - max(falling, 0.0), 1e-12)
    kept = max(0.0, 1 - (misplaced / sure) ** 2)
    believed: FloatArray = kept * confusion + (1 - kept) * np.eye(len(confusion), dtype=np.float32)
    return believed


def _unmix(shares: FloatArray, confusion: FloatArray) -> FloatArray:
    """(N, C) class shares that, seen through the confusion, look likest `shares` (EM).

    Richardson (1972) and Lucy (1974), from equal shares; a few steps keep it from overfitting.
    """
    found = np.full_like(shares, 1 / shares.shape[1])
    for _ in range(UNMIXING_STEPS):
        found *= (shares / np.maximum(found @ confusion, 1e-9)) @ confusion.T
    unmixed: FloatArray = found / found.sum(axis=1, keepdims=True)
    return unmixed


def _combine(
    labels: IntArray, around: FloatArray, places: FloatArray, evidence: _Evidence
) -> FloatArray:
    """(N, C) Bayes' rule over region, place and own label.

    The class y of an example has the region's shares as its prior. The place's class b is y, or a
    patch's; seen is a distribution over b (Jeffrey's rule). The own label comes from scattered
    noise where b is y, and from the patch where not.
    """
    n_examples, n_classes = places.shape
    rows = np.arange(n_examples)
    patches, noise = evidence.believed()
    patches += np.float32(1e-6)
    prior = _spread(around, REGION_ERROR)
    place = _spread(_unmix(places, noise), MISPLACED)
    noise += np.float32(1e-12)
    doubt = np.minimum(1, (1 - place.max(axis=1)) / AMBIGUOUS)
    trust = 1 - doubt[:, None] * np.minimum(1, DOUBT + 1 - noise.diagonal())
    place /= prior @ patches
    own = noise[:, labels].T ** trust
    as_place, as_region, as_other = evidence.in_patch
    as_other /= max(n_classes - 2, 1)
    here = place * patches.diagonal()
    elsewhere = place @ patches.T - here
    from_patch = as_other * elsewhere
    from_patch += ((as_place - as_other) * place[rows, labels])[:, None] * patches[:, labels].T
    from_patch[rows, labels] = as_region * elsewhere[rows, labels]
    found = prior * (here * own + from_patch)
    combined: FloatArray = found / found.sum(axis=1, keepdims=True)
    return combined


def _spread(shares: FloatArray, part: float) -> FloatArray:
    """Shares of which a part is spread over all classes."""
    spread: FloatArray = ((1 - part) * shares + part / shares.shape[1]).astype(np.float32)
    return spread


def _one_hot(labels: IntArray, n_classes: int) -> FloatArray:
    """(N, C) a one in each row."""
    held = np.zeros((len(labels), n_classes), dtype=np.float32)
    held[np.arange(len(labels)), labels] = 1
    return held
