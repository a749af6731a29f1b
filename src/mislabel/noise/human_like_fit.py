"""Fit `HumanLike` to labels whose clean labels are known.

Three steps, each with a plain meaning.

1. **Which flip.** Fisher scoring of the likelihood of ``1 - exp(-hazard)`` with the class, the
   mixing and the isolation of an example; the fields are left out.
2. **Together.** What is left, ``r = flipped - chance``, is multiplied over pairs of one class. To
   first order its expectation is ``s_i s_j (near^2 exp(-d / near_length) + far^2 exp(-d /
   far_length))`` with the slopes ``s = d chance / d log hazard``: least squares, at least 0. The
   exponentials are less their means over the class, which the class effects have taken: without
   this a field as wide as a class would seem to be none.
3. **To what.** Newton steps on the likelihood of the targets in the two exponents; then the effect
   of each pair, how much oftener it is seen than expected, shrunk as gamma-Poisson counts are.

Standard errors are those of the jackknife over groups of blocks of the points, so that neighbours
do not count as independent. Class effects are shrunk by theirs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from mislabel.errors import InputError
from mislabel.files import hash_array
from mislabel.labels import NoisyLabels, as_array
from mislabel.noise.base import FloatArray, IntArray, check_points
from mislabel.noise.human_like import HumanParameters, HumanPlace, reach_lengths
from mislabel.noise.rates import BoolArray, members_of_classes
from mislabel.seeds import child_state, generator
from mislabel.versions import library_versions

GROUPS, BLOCKS_PER_GROUP = 20, 5
FEWEST_FLIPS = 50
PAIR_ANCHORS = 10_000
"Examples whose pairs with all of their class make the second step."
LARGEST_BLOCK = 2**24
"Pairs whose distances are held at a time."
STEPS = 100
CLOSE_ENOUGH = 1e-10
CLASS_PRIOR = 2.0
"Standard deviation of log class effects about their mean before they are shrunk: wide."
SLOPE_PRIOR = 10.0
"Of slopes and exponents: so wide that it only decides where the data say nothing."
REACHES = (0.001, 0.03)
"Shares of the data; measured in CIFAR-10N; see the module of the model."


def fit_human_like(
    labels: NoisyLabels,
    positions: ArrayLike,
    *,
    used: ArrayLike | None = None,
    reaches: tuple[float, float] = REACHES,
    seed: int = 0,
) -> HumanParameters:
    """The parameters of the errors in `labels`, with standard errors.

    labels: N of them with their clean labels. positions: (N, d) a map or an embedding, of the kind
    that noise will be made on. used: (N,) bool, the examples whose labels are learned from; the
    others only count as neighbours, with their clean labels. By default all. reaches: of the near
    and the far field. seed: of the sample of pairs and of the blocks.
    Errors: `InputError` for fewer than 50 flips, no label that is right, or flips in one place.
    """
    everyone = np.ones(len(labels)) if used is None else _check_used(used, len(labels))
    data = _FitData.of(labels, positions, everyone, reaches, seed)
    kept = data.without_groups(seed)
    effects, slopes = data.hazard(everyone)
    exponents = data.exponents(everyone)
    moments = data.pair_moments(effects, slopes)
    effects_left, slopes_left = map(np.array, zip(*map(data.hazard, kept), strict=True))
    pairs, pair_spread = data.pair_effects(exponents)
    class_errors = _jackknife(effects_left - effects_left.mean(axis=1, keepdims=True))
    class_effects, class_spread = _shrunk(effects, class_errors, data.class_sizes > 0)
    by_class = {f"class_effects[{c}]": error for c, error in enumerate(class_errors.tolist())}
    left = np.c_[
        slopes_left,
        [moments.spreads(weights) for weights in kept],
        [data.exponents(weights) for weights in kept],
    ]
    found = np.r_[slopes, moments.spreads(everyone), exponents].tolist()
    return HumanParameters(
        **dict(zip(FITTED, found, strict=True)),
        class_spread=class_spread,
        pair_spread=pair_spread,
        rate=len(data.wrong) / float(everyone.sum()),
        near_reach=reaches[0],
        far_reach=reaches[1],
        class_effects=tuple(class_effects.tolist()),
        pair_effects=tuple(map(tuple, pairs.tolist())),
        errors=dict(zip(FITTED, _jackknife(left).tolist(), strict=True)) | by_class,
        source=_source(labels, data, seed),
    )


FITTED = (
    "mixing", "loneliness", "near_spread", "far_spread", "target_mixing", "target_closeness",
    "target_absent",
)  # fmt: skip
"In the order in which `fit_human_like` finds them."


@dataclass(frozen=True)
class _FitData:
    """The data of a fit. covariates: (N, 2). weights: (N,) 1 for examples that are used, or 0.

    Estimates take weights of their own, by which groups of the used ones are left out.
    """

    place: HumanPlace
    labels: IntArray
    weights: FloatArray
    covariates: FloatArray
    lengths: tuple[float, ...]
    anchors: IntArray

    @classmethod
    def of(
        cls,
        labels: NoisyLabels,
        positions: ArrayLike,
        weights: FloatArray,
        reaches: tuple[float, float],
        seed: int,
    ) -> "_FitData":
        """Check the labels, and find neighbours and lengths."""
        clean = labels.clean_labels
        if clean is None:
            raise InputError("labels", None, "need clean labels to be fitted to")
        points = check_points(positions, "positions", len(labels))
        n_flips, n_used = int(weights @ labels.flipped), int(weights.sum())
        if n_flips < FEWEST_FLIPS or n_flips == n_used:
            rule = f"at least {FEWEST_FLIPS} must be wrong, and some right"
            raise InputError("labels", f"{n_flips} of {n_used} wrong", rule)
        place = HumanPlace.of(points, clean, labels.n_classes)
        rng = generator(seed, "human-like", "fit")
        return cls(
            place=place,
            labels=labels.labels,
            weights=weights,
            covariates=np.stack([place.log_mixing, place.isolation], axis=1),
            lengths=tuple(reach_lengths(place.near.positions, reaches, rng)),
            anchors=np.sort(rng.permutation(np.flatnonzero(weights))[:PAIR_ANCHORS]),
        )

    @property
    def clean(self) -> IntArray:
        return self.place.near.clean_labels

    @property
    def n_classes(self) -> int:
        return self.place.near.n_classes

    @cached_property
    def class_sizes(self) -> IntArray:
        return np.bincount(self.clean[self.weights > 0], minlength=self.n_classes)

    @cached_property
    def wrong(self) -> IntArray:
        """The used examples that are flipped."""
        return np.flatnonzero((self.labels != self.clean) & (self.weights > 0))

    @cached_property
    def target_covariates(self) -> FloatArray:
        """(flips, C, 3) logarithms of what the exponents are exponents of, and who is absent."""
        mixing = self.place.log_target_mixing(self.wrong)
        closeness = self.place.log_closeness[self.clean[self.wrong]]
        absent = np.broadcast_to(self.place.absent.astype(float), mixing.shape)
        return np.stack([mixing, closeness, absent], axis=2)

    def groups(self, seed: int) -> IntArray:
        """(N,) groups of examples that lie together, of which one at a time is left out."""
        from sklearn.cluster import MiniBatchKMeans

        points = self.place.near.positions
        n_blocks = min(GROUPS * BLOCKS_PER_GROUP, len(points) // 2)
        state = child_state(seed, "human-like", "blocks")
        blocks = MiniBatchKMeans(n_blocks, n_init=1, random_state=state).fit_predict(points)
        order = generator(seed, "human-like", "groups").permutation(n_blocks)
        return np.asarray(order[blocks] % GROUPS, dtype=np.int64)

    def without_groups(self, seed: int) -> list[FloatArray]:
        """Weights (N,) without one group each; all have flips, and examples that are right."""
        groups = self.groups(seed)
        kept = [self.weights * (groups != group) for group in np.unique(groups)]
        flipped = self.labels != self.clean
        if len(kept) < 2 or any(not 0 < weights @ flipped < weights.sum() for weights in kept):
            rule = "wrong and right labels must lie in more than one place each"
            raise InputError("positions", f"{len(self.wrong)} wrong labels", rule)
        return kept

    def hazard(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(C,) log class effects and (2,) slopes."""
        flipped = (self.labels != self.clean).astype(float)
        return fit_hazard(flipped, self.clean, self.covariates, self.n_classes, weights)

    def exponents(self, weights: FloatArray) -> FloatArray:
        """(3,) exponents of the targets."""
        own, target = self.clean[self.wrong], self.labels[self.wrong]
        return fit_exponents(self.target_covariates, own, target, weights[self.wrong])

    def pair_effects(self, exponents: FloatArray) -> tuple[FloatArray, float]:
        """(C, C) factors by which pairs are seen oftener than expected, and their spread."""
        own, target = self.clean[self.wrong], self.labels[self.wrong]
        return fit_pair_effects(self.target_covariates @ exponents, own, target)

    def pair_moments(self, effects: FloatArray, slopes: FloatArray) -> "PairMoments":
        """The sums over pairs of which the fields' spreads follow."""
        hazards = np.exp(effects[self.clean] + self.covariates @ slopes)
        chances = -np.expm1(-hazards)
        rest = self.weights * ((self.labels != self.clean) - chances)
        return PairMoments.of(
            np.asarray(self.place.near.positions, dtype=np.float64),
            members_of_classes(self.clean, self.n_classes),
            self.anchors,
            rest,
            self.weights * hazards * (1 - chances),
            self.lengths,
        )


@dataclass(frozen=True)
class PairMoments:
    """Of each anchor (A,), over its pairs with all others of its class, for L fields.

    gram: (A, L, L) and moment: (A, L), of the least squares of step 2.
    """

    anchors: IntArray
    gram: FloatArray
    moment: FloatArray

    @classmethod
    def of(
        cls,
        positions: FloatArray,
        classes: list[IntArray],
        anchors: IntArray,
        rest: FloatArray,
        slopes: FloatArray,
        lengths: tuple[float, ...],
    ) -> "PairMoments":
        """rest, slopes: (N,) r and s. classes: the examples of each. lengths: of the fields."""
        n_fields = len(lengths)
        gram, moment = np.zeros((len(rest), n_fields, n_fields)), np.zeros((len(rest), n_fields))
        chosen = np.zeros(len(rest), dtype=bool)
        chosen[anchors] = True
        for members in classes:
            left, squares = (rest * slopes)[members], np.square(slopes[members])
            for rows, kernels in _kernels(positions, members, chosen[members], lengths):
                for i, first in enumerate(kernels):
                    moment[rows, i] = (rest * slopes)[rows] * (first @ left)
                    for j, second in enumerate(kernels[: i + 1]):
                        both = np.square(slopes[rows]) * ((first * second) @ squares)
                        gram[rows, i, j] = gram[rows, j, i] = both
        return cls(anchors, gram[anchors], moment[anchors])

    def spreads(self, weights: FloatArray) -> FloatArray:
        """(L,) standard deviations of the fields. weights: (N,), those of the anchors count."""
        from scipy.optimize import nnls

        w = weights[self.anchors]
        gram, moment = np.einsum("a,aij->ij", w, self.gram), w @ self.moment
        scale = np.sqrt(np.diag(gram))
        scale[scale == 0] = 1
        values, vectors = np.linalg.eigh(gram / np.outer(scale, scale))
        roots = np.sqrt(np.maximum(values, 1e-9))  # two equal lengths share what there is
        found, _ = nnls((vectors * roots).T, vectors.T @ (moment / scale) / roots)
        spreads: FloatArray = np.sqrt(found / scale)
        return spreads


def _kernels(
    positions: FloatArray,
    members: IntArray,
    chosen: BoolArray,
    lengths: tuple[float, ...],
) -> Iterator[tuple[IntArray, list[FloatArray]]]:
    """Some anchors (n,) of a class, and by length their correlation with its members (n, m).

    The correlation of fields whose mean over the class is taken away. 0 with the anchor itself.
    chosen: (m,) which of `members` are anchors; the mean over the class is taken over them.
    """
    from scipy.spatial.distance import cdist

    places = np.flatnonzero(chosen)
    n_parts = -(-len(places) * len(members) // LARGEST_BLOCK)
    parts = np.array_split(places, n_parts) if len(places) else []

    def plain(part: IntArray) -> list[FloatArray]:
        apart = cdist(positions[members[part]], positions[members]).astype(np.float32)
        return [np.exp(apart / -length) for length in lengths]

    sums = [[kernel.sum(axis=0) for kernel in plain(part)] for part in parts]
    means = [np.sum(column, axis=0) / len(places) for column in zip(*sums, strict=True)]
    for part in parts:
        kernels = plain(part)
        for kernel, mean in zip(kernels, means, strict=True):
            kernel -= kernel.mean(axis=1, keepdims=True)
            kernel -= mean - mean.mean()
            kernel[np.arange(len(part)), part] = 0
        yield members[part], kernels


def fit_hazard(
    flipped: FloatArray,
    clean_labels: IntArray,
    covariates: FloatArray,
    n_classes: int,
    weights: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """(C,) effects a and (p,) slopes b of chances ``1 - exp(-exp(a[class] + covariates b))``.

    flipped: (N,) 0 or 1. covariates: (N, p). weights: (N,). Maximum likelihood with a wide prior
    on the class effects about their mean, by which a class without flips has one, and on the
    slopes. Fisher scoring; classes are eliminated first, so that many of them cost little.
    """
    mean = np.log(-np.log1p(-np.average(flipped, weights=weights)))
    start = np.r_[np.full(n_classes, mean), np.zeros(covariates.shape[1])]

    def look(at: FloatArray) -> tuple[float, FloatArray]:
        effects, slopes = at[:n_classes], at[n_classes:]
        logs = np.clip(effects[clean_labels] + covariates @ slopes, -300.0, 30.0)
        hazards = np.exp(logs)
        chances = -np.expm1(-hazards)
        odds = hazards * (1 - chances) / chances
        away = effects - effects.mean()
        value = weights @ (flipped * np.log(chances) - (1 - flipped) * hazards)
        value -= (away @ away / CLASS_PRIOR**2 + slopes @ slopes / SLOPE_PRIOR**2) / 2
        score = weights * (flipped * (odds + hazards) - hazards)
        information = weights * hazards * odds
        by_class = np.bincount(clean_labels, score, n_classes) - away / CLASS_PRIOR**2
        own = np.bincount(clean_labels, information, n_classes) + CLASS_PRIOR**-2
        cross = np.stack(
            [np.bincount(clean_labels, information * column, n_classes) for column in covariates.T]
        )
        inner = (covariates * information[:, None]).T @ covariates - (cross / own) @ cross.T
        inner += np.eye(len(slopes)) / SLOPE_PRIOR**2
        slope_score = covariates.T @ score - slopes / SLOPE_PRIOR**2
        step = np.linalg.solve(inner, slope_score - (cross / own) @ by_class)
        return float(value), np.r_[(by_class - step @ cross) / own, step]

    found = _climb(start, look)
    return found[:n_classes], found[n_classes:]


def fit_exponents(
    covariates: FloatArray, own: IntArray, targets: IntArray, weights: FloatArray
) -> FloatArray:
    """(p,) exponents of a conditional logit: which of the other classes a flip goes to.

    covariates: (n, C, p). own, targets: (n,) clean and noisy label. weights: (n,). Newton steps on
    the likelihood with a wide prior.
    """
    rows = np.arange(len(own))
    seen = covariates[rows, targets]
    prior = np.eye(covariates.shape[2]) / SLOPE_PRIOR**2

    def look(at: FloatArray) -> tuple[float, FloatArray]:
        chances = _target_chances(covariates @ at, own)
        mean = np.einsum("nc,ncp->np", chances, covariates)
        away = covariates - mean[:, None]
        information = np.einsum("n,nc,ncp,ncq->pq", weights, chances, away, away, optimize=True)
        held = np.maximum(chances[rows, targets], np.finfo(float).tiny)
        value = weights @ np.log(held) - at @ prior @ at / 2
        score = weights @ (seen - mean) - prior @ at
        return float(value), np.linalg.solve(information + prior, score)

    return _climb(np.zeros(covariates.shape[2]), look)


def _climb(start: FloatArray, look: Callable[[FloatArray], tuple[float, FloatArray]]) -> FloatArray:
    """The top of a function; `look` gives its value and a step up, halved while it leads down."""
    at = start
    value, step = look(at)
    for _ in range(STEPS):
        reached, following = look(at + step)
        if reached >= value - 1e-12 * abs(value):  # sums of many numbers are rounded
            at, value, step = at + step, reached, following
        else:
            step = step / 2
        if np.abs(step).max() < CLOSE_ENOUGH:
            break
    return at


def fit_pair_effects(
    logs: FloatArray, own: IntArray, targets: IntArray
) -> tuple[FloatArray, float]:
    """(C, C) effects of pairs (1 on the diagonal), and their standard deviation.

    logs: (n, C) log chances of targets without effects. An effect is (seen + 1/v) / (exposure +
    1/v), where v, the variance of effects, is what the counts scatter beyond Poisson's law.
    """
    n_classes = logs.shape[1]
    flat = own * n_classes + targets
    seen = np.bincount(flat, minlength=n_classes**2).reshape(n_classes, n_classes).astype(float)

    def expected(effects: FloatArray) -> FloatArray:
        chances = _target_chances(logs + np.log(effects)[own], own)
        total = np.zeros((n_classes, n_classes))
        np.add.at(total, own, chances)
        return total

    effects = np.ones((n_classes, n_classes))
    first = expected(effects)
    variance = (np.square(seen - first) - first).sum() / np.square(first).sum()
    if variance <= 0:
        return effects, 0.0
    for _ in range(STEPS):
        exposure = expected(effects) / effects
        new = (seen + 1 / variance) / (exposure + 1 / variance)
        np.fill_diagonal(new, 1)
        moved, effects = np.abs(np.log(new / effects)).max(), new
        if moved < 1e-6:
            break
    return effects, float(np.sqrt(variance))


def _target_chances(logs: FloatArray, own: IntArray) -> FloatArray:
    """(n, C) chances of targets; none for the own class."""
    logs = logs.copy()
    logs[np.arange(len(own)), own] = -np.inf
    chances: FloatArray = np.exp(logs - logs.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    return chances


def _check_used(used: ArrayLike, n_examples: int) -> FloatArray:
    """(N,) weights 1 and 0."""
    mask = as_array(used, "used")
    if mask.shape != (n_examples,) or mask.dtype != bool:
        raise InputError("used", f"{mask.dtype} {mask.shape}", f"must be bool ({n_examples},)")
    return mask.astype(np.float64)


def _jackknife(left_out: FloatArray) -> FloatArray:
    """(p,) standard errors from estimates (G, p), each without one of G groups."""
    n = len(left_out)
    away = left_out - left_out.mean(axis=0)
    return np.asarray(np.sqrt((n - 1) / n * np.square(away).sum(axis=0)))


def _shrunk(
    effects: FloatArray, errors: FloatArray, present: np.typing.NDArray[np.bool_]
) -> tuple[FloatArray, float]:
    """(C,) effects about 0, drawn towards it by their errors, and their own spread."""
    centred = np.where(present, effects - effects[present].mean(), 0.0)
    variance = max(0.0, float(centred[present].var() - np.square(errors[present]).mean()))
    total = variance + np.square(errors)
    kept = np.divide(variance, total, out=np.zeros_like(total), where=total > 0)
    return np.where(present, centred * kept, 0.0), float(np.sqrt(variance))


def _source(labels: NoisyLabels, data: _FitData, seed: int) -> dict[str, object]:
    """What the parameters were fitted to."""
    points = data.place.near.positions
    return {
        "generator": labels.receipt.generator,
        "n_examples": len(labels),
        "n_classes": labels.n_classes,
        "used": int(data.weights.sum()),
        "flips": len(data.wrong),
        "dimensions": int(points.shape[1]),
        "seed": seed,
        "labels_sha256": hash_array(labels.labels),
        "positions_sha256": hash_array(points, as_type=np.float64),
        "versions": dict(library_versions("numpy", "scipy", "scikit-learn")),
    }
