"""Human-like noise: flips where people err, to what people take it for, together in places.

Ours, with few parameters, fitted to human labels (`mislabel.noise.human_like_fit`) and carried over
to data that have none. An example i of class y is a Poisson trial: it flips with chance
``1 - exp(-hazard)``, the hazard being a product of

- ``((other + 1) / (k + 1)) ** mixing``, where `other` of its k nearest neighbours belong to other
  classes;
- ``exp(loneliness * (1/2 - typicality))``, the typicality running from 0 (the loneliest of the
  class) to 1 (the most crowded);
- ``exp(near_spread * g1 + far_spread * g2)``, two random fields over the points, alike for
  neighbours of one class (correlation ``exp(-distance / length)``), less what class, mixing and
  typicality explain of them: what makes errors cluster. Their lengths are the median distances
  within which a share `near_reach` or `far_reach` of all examples lies;
- the effect of the class: none, or drawn, or the one fitted;
- one factor for all, by which an exact rate is met. Hazards add up over annotators, so that labels
  which take any error of several people differ from those of one person by this factor alone.

A flip goes to class c with chances in proportion to ``((count + 1) / (k + 1)) ** target_mixing``,
where `count` of the k neighbours are of class c, times ``(M[y, c] + 0.001) ** target_closeness``,
where M[y, c] is the mean share of c among the neighbours of class y, times the effect of the pair.
A class without examples, whose place nobody knows, has ``exp(target_absent)`` besides.
"""

import json
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mislabel.errors import InputError, did_you_mean
from mislabel.features import Neighborhood
from mislabel.features.neighbors import TREE_DIMENSIONS
from mislabel.files import hash_json, read_json, write_json
from mislabel.noise.base import (
    FloatArray,
    IntArray,
    NoiseModel,
    NoiseRecord,
    PointArray,
    Problem,
    need_two_classes,
    needed,
)
from mislabel.noise.rates import (
    BoolArray,
    check_rate,
    flip_count,
    flip_counts_per_class,
    members_of_classes,
    systematic_sample,
)

FORMAT = 1
NEIGHBORS = 100
MAP = 2
"Dimensions of a map."
CLOSENESS_FLOOR = 0.001
WAVES = 512
"Of which a random field is the sum; more come closer to a Gaussian field."
ANCHORS = 1000
"Examples from which the length of a reach is taken."
ROWS = 8192
EFFECTS = ("none", "drawn", "fitted")
PRESETS = ("random_label1", "aggre_label", "worse_label")
"Of CIFAR-10N, on the map of CLIP's embedding; ``studies/realism`` makes them."
LARGEST_FILE = 2**27
"Bytes of a file of parameters; 1,000 classes take a quarter."
LARGEST_NUMBER = 1e4
"Of a parameter or log class effect, either sign; with more, chances are 0 or 1."
LEAST_PAIR_SPREAD = 1e-6
"Below, pairs of classes do not differ."
LOWEST_HAZARD = -300.0
"Logarithm, relative to the highest; what is below flips last, and numbers stay finite."
NOT_PARAMETERS = "holds no parameters of human-like noise (mislabel realism fit writes them)"


@dataclass(frozen=True, kw_only=True)
class HumanParameters:
    """What people's errors on one data set look like; see the module for the meaning.

    class_spread, pair_spread: standard deviation of the log effects of classes, and of the effects
    of pairs of classes relative to 1. class_effects: (C,) log effects. pair_effects: (C, C)
    factors, 1 on the diagonal. errors: standard error of each number, by name. source: what they
    were fitted to.
    """

    mixing: float
    loneliness: float
    near_spread: float
    far_spread: float
    target_mixing: float
    target_closeness: float
    class_spread: float
    pair_spread: float
    rate: float
    target_absent: float = 0.0
    near_reach: float = 0.001
    far_reach: float = 0.03
    class_effects: tuple[float, ...] = ()
    pair_effects: tuple[tuple[float, ...], ...] = ()
    errors: dict[str, float] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path, argument: str = "like") -> "HumanParameters":
        """Read a file that `save` wrote; anything else is an `InputError`."""
        path = Path(path)
        if path.is_file() and path.stat().st_size > LARGEST_FILE:
            raise InputError(argument, str(path), f"is larger than {LARGEST_FILE} bytes")
        return _from_json(read_json(path, argument), str(path), argument)

    @classmethod
    def preset(cls, name: str) -> "HumanParameters":
        """Parameters that come with the package, one of `PRESETS`."""
        if name not in PRESETS:
            raise InputError("like", name, f"unknown name; {did_you_mean(name, PRESETS)}")
        file = resources.files("mislabel.noise") / "presets" / f"{name}.json"
        return _from_json(json.loads(file.read_text("utf-8")), name, "like")

    def save(self, path: str | Path) -> None:
        """Write a JSON file."""
        write_json(Path(path), self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The parameters as JSON values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {"format": FORMAT, "kind": "human-like"} | values

    def noise(self, rate: float | None = None, **options: Any) -> "HumanLike":
        """The noise model with these parameters; options: those of `HumanLike`."""
        return FittedHumanLike(rate=rate, like="fitted", given=self, **options)


@dataclass(frozen=True, kw_only=True)
class HumanLike(NoiseModel):
    """Noise with the parameters of human noise, at an exact rate.

    rate: share of flipped examples; by default that of the people.
    like: "random_label1", "aggre_label" or "worse_label" of CIFAR-10N, or the file of
        parameters that ``mislabel realism fit`` wrote.
    effects: "none", what is common to all classes; "drawn", classes and pairs differ at random
        as much as the fitted ones do; "fitted", the very classes of the fit.
    per_class: meet the rate in each class, not only overall.
    """

    name: ClassVar[str] = "human-like"
    rate: float | None = None
    like: str = "random_label1"
    effects: str = "none"
    per_class: bool = False

    def check_parameters(self) -> None:
        if self.rate is not None:
            check_rate(self.rate)
        if self.effects not in EFFECTS:
            hint = did_you_mean(self.effects, EFFECTS)
            raise InputError("effects", self.effects, f"unknown choice; {hint}")
        _ = self.human

    def used_inputs(self) -> tuple[str, ...]:
        """Positions, a map say; features where the parameters were fitted in more dimensions."""
        return ("features",) if self._on_embedding else ("positions",)

    @property
    def _on_embedding(self) -> bool:
        return int(self.human.source.get("dimensions", MAP)) > MAP

    def _with_stand_ins(self, problem: Problem) -> Problem:
        if self._on_embedding and problem.features is None:
            problem = replace(problem, features=problem.positions)
        return super()._with_stand_ins(problem)

    @cached_property
    def human(self) -> HumanParameters:
        """The parameters that `like` names."""
        if self.like in PRESETS:
            return HumanParameters.preset(self.like)
        if not Path(self.like).is_file():
            rule = f"is neither a file nor one of {', '.join(PRESETS)}"
            raise InputError("like", self.like, rule)
        return HumanParameters.load(self.like)

    def parameters(self) -> dict[str, Any]:
        like = self.like if self.like in PRESETS else Path(self.like).name
        return {
            "rate": self.rate,
            "like": like,
            "effects": self.effects,
            "per_class": self.per_class,
        }

    def _input_hashes(self, problem: Problem) -> dict[str, str]:
        return super()._input_hashes(problem) | {"parameters": hash_json(self.human.to_json())}

    def _corrupt(self, problem: Problem) -> IntArray:
        need_two_classes(problem)
        (name,) = self.used_inputs()
        positions = needed(getattr(problem, name), name, self.name)
        human = self._with_effects(problem)
        place = HumanPlace.of(positions, problem.clean_labels, problem.n_classes)
        flipped = np.flatnonzero(self._flips(problem, log_hazard(human, place, problem.rng)))
        labels = problem.clean_labels.copy()
        labels[flipped] = draw_targets(human, place, flipped, problem.rng)
        return labels

    def _with_effects(self, problem: Problem) -> HumanParameters:
        """The parameters with the effects of classes and pairs that are asked for."""
        human, c = self.human, problem.n_classes
        if self.effects == "none":
            return replace(human, class_effects=(), pair_effects=())
        if self.effects == "fitted":
            if len(human.class_effects) != c:
                rule = f"were fitted for {len(human.class_effects)} classes, and there are {c}"
                raise InputError("effects", "fitted", rule)
            return human
        classes = human.class_spread * problem.rng.standard_normal(c)
        pairs = np.ones((c, c))
        if human.pair_spread > LEAST_PAIR_SPREAD:
            shape = human.pair_spread**-2
            pairs = problem.rng.gamma(shape, 1 / shape, size=(c, c))
        return replace(
            human, class_effects=tuple(classes.tolist()), pair_effects=tuple(map(tuple, pairs))
        )

    def _flips(self, problem: Problem, hazards: FloatArray) -> BoolArray:
        """(N,) which examples flip, at the exact rate. hazards: (N,) logarithms."""
        rate = self.human.rate if self.rate is None else self.rate
        n, clean = len(hazards), problem.clean_labels
        if not self.per_class:
            chances = chances_with_sum(hazards, flip_count(rate, n))
            return systematic_sample(chances, problem.rng, count=flip_count(rate, n))
        flipped = np.zeros(n, dtype=bool)
        groups = members_of_classes(clean, problem.n_classes)
        sizes = np.array([len(group) for group in groups])
        counts = flip_counts_per_class(rate, sizes, problem.rng)
        for group, count in zip(groups, counts.tolist(), strict=True):
            if count:
                chances = chances_with_sum(hazards[group], count)
                flipped[group] = systematic_sample(chances, problem.rng, count=count)
        return flipped


@dataclass(frozen=True, kw_only=True)
class FittedHumanLike(HumanLike):
    """`HumanLike` with parameters at hand; `HumanParameters.noise` makes it."""

    given: HumanParameters

    @cached_property
    def human(self) -> HumanParameters:
        return self.given

    def parameters(self) -> dict[str, Any]:
        return super().parameters() | {"given": self.given.to_json()}


@dataclass(frozen=True)
class HumanPlace:
    """What chances are made of, for N examples in d dimensions and C classes.

    near: neighbours and classes. log_mixing: (N,). isolation: (N,) from -1/2 (the most crowded) to
    1/2 (the loneliest). log_closeness: (C, C).
    """

    near: Neighborhood
    log_mixing: FloatArray
    isolation: FloatArray
    log_closeness: FloatArray

    @classmethod
    def of(cls, positions: PointArray, clean_labels: IntArray, n_classes: int) -> "HumanPlace":
        """With `neighbor_count` neighbours each."""
        k = neighbor_count(len(clean_labels), n_classes)
        near = Neighborhood.of(positions, clean_labels, n_classes, k=k)
        k = near.neighbors.shape[1]
        log_mixing = np.log((near.other_share(k) * k + 1) / (k + 1))
        pairs = clean_labels[:, None] * n_classes + clean_labels[near.neighbors]
        counts = np.bincount(pairs.ravel(), minlength=n_classes**2).reshape(n_classes, n_classes)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        return cls(near, log_mixing, 0.5 - near.typicality, np.log(shares + CLOSENESS_FLOOR))

    @property
    def absent(self) -> BoolArray:
        """(C,) the classes without examples."""
        absent: BoolArray = np.bincount(self.near.clean_labels, minlength=self.near.n_classes) == 0
        return absent

    def left_over(self, values: FloatArray) -> FloatArray:
        """(N,) `values` less what class, mixing and isolation explain of them (least squares).

        The fit gives these all that they explain; a field has only what is left.
        """
        near, sizes = self.near, np.maximum(np.bincount(self.near.clean_labels), 1)

        def within(column: FloatArray) -> FloatArray:
            means = np.bincount(near.clean_labels, column) / sizes
            rest: FloatArray = column - means[near.clean_labels]
            return rest

        columns = np.stack([within(self.log_mixing), within(self.isolation)], axis=1)
        rest = within(values)
        explained: FloatArray = columns @ np.linalg.lstsq(columns, rest, rcond=None)[0]
        return rest - explained

    def log_target_mixing(self, rows: IntArray) -> FloatArray:
        """(n, C) logarithm of (count + 1) / (k + 1) of each class among neighbours of `rows`."""
        k = self.near.neighbors.shape[1]
        logs: FloatArray = np.log((self.near.class_counts(k, rows) + 1) / (k + 1))
        return logs


def neighbor_count(n_examples: int, n_classes: int) -> int:
    """k: 100, but at most half the mean size of a class, and at least 2."""
    return min(NEIGHBORS, n_examples - 1, max(2, n_examples // (2 * n_classes)))


def log_hazard(human: HumanParameters, place: HumanPlace, rng: np.random.Generator) -> FloatArray:
    """(N,) logarithm of each example's hazard, up to the factor common to all."""
    hazards: FloatArray = human.mixing * place.log_mixing + human.loneliness * place.isolation
    if human.class_effects:
        hazards += np.array(human.class_effects)[place.near.clean_labels]
    lengths = reach_lengths(place.near.positions, (human.near_reach, human.far_reach), rng)
    for spread, length in zip((human.near_spread, human.far_spread), lengths, strict=True):
        if spread > 0:
            hazards += spread * place.left_over(random_field(place.near, length, rng))
    return hazards


def reach_lengths(
    positions: PointArray, reaches: tuple[float, ...], rng: np.random.Generator
) -> list[float]:
    """For each share of all examples the median distance within which so many neighbours lie.

    Over 1,000 examples at random. At least the nearest neighbour counts. No length is 0, also where
    most examples have duplicates: the least is what float32 can tell apart.
    """
    n = len(positions)
    positions = positions - positions.mean(axis=0)  # else squares of large numbers cancel
    chosen = np.sort(rng.choice(n, min(n, ANCHORS), replace=False))
    ranks = [min(n - 1, max(1, round(reach * n))) for reach in reaches]
    squares = sum_of_squares(positions)
    found = []
    for rows in np.array_split(chosen, max(1, len(chosen) * n // 2**17)):
        apart = squares[rows, None] - 2 * products(positions[rows], positions) + squares
        nearest = np.partition(apart, max(ranks), axis=1)[:, : max(ranks) + 1]
        found.append(
            np.stack([np.partition(nearest, rank, axis=1)[:, rank] for rank in ranks], axis=1)
        )
    middle = np.median(np.sqrt(np.maximum(np.concatenate(found), 0)), axis=0)
    extent = float(np.abs(positions).max()) or 1.0
    return [max(float(length), extent * float(np.finfo(np.float32).eps)) for length in middle]


def sum_of_squares(points: PointArray) -> PointArray:
    """(N,) of each row (N, d); on a map the same on every processor, dimension by dimension."""
    if points.shape[1] > TREE_DIMENSIONS:
        plain: PointArray = np.einsum("ij,ij->i", points, points)
        return plain
    total = np.zeros(len(points), points.dtype)
    for column in points.T:
        total += column * column
    return total


def products(first: PointArray, second: PointArray) -> PointArray:
    """(n, m) dot products of rows (n, d) and (m, d).

    A BLAS rounds as its processor does, and what is left of float32 products that nearly cancel
    shows it. On a map they are summed here as a processor does that fuses products and sums:
    rounded once for each dimension, in order.
    """
    if first.shape[1] > TREE_DIMENSIONS or first.dtype != np.float32:
        plain: PointArray = first @ second.T
        return plain
    total = np.zeros((len(first), len(second)), np.float32)
    for x, y in zip(first.T.astype(np.float64), second.T.astype(np.float64), strict=True):
        total = (x[:, None] * y + total).astype(np.float32)
    return total


def random_field(near: Neighborhood, length: float, rng: np.random.Generator) -> FloatArray:
    """(N,) a field of mean 0 and variance 1, correlated ``exp(-distance / length)`` within classes.

    length: above 0. The sum of `WAVES` plane waves whose frequencies have the spectrum of that
    correlation, a multivariate Cauchy distribution (Rahimi & Recht 2007); a class has phases of its
    own, which makes the fields of two classes uncorrelated.
    """
    d = near.positions.shape[1]
    scale = np.sqrt(rng.gamma(0.5, 2.0, size=WAVES)) * length
    waves = rng.standard_normal((d, WAVES)) / scale
    phases = rng.uniform(0, 2 * np.pi, (near.n_classes, WAVES))
    total = np.empty(len(near))
    for start in range(0, len(near), ROWS):
        rows = slice(start, start + ROWS)
        angles = near.positions[rows] @ waves + phases[near.clean_labels[rows]]
        total[rows] = np.cos(angles.astype(np.float32)).sum(axis=1)
    field_: FloatArray = total * np.sqrt(2 / WAVES)
    return field_


def chances_with_sum(hazards: FloatArray, count: int) -> FloatArray:
    """(N,) chances ``1 - exp(-factor * exp(hazards))`` whose sum is `count`."""
    if count in (0, len(hazards)):
        return np.full(len(hazards), count / len(hazards))
    relative = np.exp(np.maximum(hazards - hazards.max(), LOWEST_HAZARD))

    def missing(log_factor: float) -> float:
        return float(-np.expm1(-np.exp(log_factor) * relative).sum()) - count

    from scipy.optimize import brentq

    low, high = -50.0, 50.0
    while missing(high) < 0:
        high *= 2
    found = brentq(missing, low, high, xtol=1e-12)
    chances: FloatArray = -np.expm1(-np.exp(found) * relative)
    return chances


def log_target_chances(human: HumanParameters, place: HumanPlace, rows: IntArray) -> FloatArray:
    """(n, C) logarithm of the chances of each class for flips of `rows`, up to a constant."""
    clean = place.near.clean_labels[rows]
    logs: FloatArray = human.target_mixing * place.log_target_mixing(rows)
    by_class = human.target_closeness * place.log_closeness + human.target_absent * place.absent
    logs += by_class[clean]
    if human.pair_effects:
        effects = np.array(human.pair_effects)
        logs += np.log(np.maximum(effects, np.finfo(float).tiny))[clean]
    logs[np.arange(len(rows)), clean] = -np.inf
    return logs


def draw_targets(
    human: HumanParameters, place: HumanPlace, rows: IntArray, rng: np.random.Generator
) -> IntArray:
    """(n,) a wrong label for each of `rows`."""
    found = np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), ROWS):
        logs = log_target_chances(human, place, rows[start : start + ROWS])
        found[start : start + ROWS] = (logs + rng.gumbel(size=logs.shape)).argmax(axis=1)
    return found


def _from_json(value: Any, shown: str, argument: str) -> HumanParameters:
    """The parameters that `to_json` made `value` of, or an `InputError`."""

    def broken(what: str) -> InputError:
        return InputError(argument, shown, f"{NOT_PARAMETERS}{what}")

    if not isinstance(value, dict) or value.get("kind") != "human-like":
        raise broken("")
    if value.get("format") != FORMAT:
        raise InputError(argument, shown, f"has format {value.get('format')!r}, not {FORMAT}")
    held = {one.name: value.get(one.name, _default(one)) for one in fields(HumanParameters)}
    for name, kind in HumanParameters.__annotations__.items():
        if kind is float and not _is_within(held[name], *_limits(name)):
            raise broken(f": {name} is {held[name]!r}")
    if not isinstance(held["errors"], dict) or not isinstance(held["source"], dict):
        raise broken(": its errors or its source are none")
    try:
        classes = np.asarray(held["class_effects"], dtype=float).reshape(-1)
        pairs = np.asarray(held["pair_effects"], dtype=float).reshape(len(classes), len(classes))
    except (TypeError, ValueError, OverflowError):
        raise broken(": its effects fit no classes") from None
    sensible = (np.abs(classes) <= LARGEST_NUMBER).all() and np.isfinite(pairs).all()
    if not sensible or (pairs < 0).any():
        raise broken(": its effects are out of range")
    held["class_effects"] = tuple(classes.tolist())
    held["pair_effects"] = tuple(map(tuple, pairs.tolist()))
    return HumanParameters(**held)


def _default(field_: Field[Any]) -> Any:
    """What a file that lacks the field means; None for one that it needs."""
    return field_.default if field_.default not in (MISSING, ()) else None


def _limits(name: str) -> tuple[float, float]:
    """The least and the largest value of a parameter."""
    if name == "rate" or name.endswith("_reach"):
        return 0.0, 1.0
    return (0.0 if name.endswith("_spread") else -LARGEST_NUMBER), LARGEST_NUMBER


def _is_within(value: Any, low: float, high: float) -> bool:
    """Whether it is a number in the range; NaN and bool are not."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and bool(low <= value <= high)


RECORD = NoiseRecord(
    name=HumanLike.name,
    title="Human-like",
    paper="none (fitted to CIFAR-N, Wei et al. 2022)",
    model=HumanLike,
    positional="rate",
    example="human-like:0.2",
    advice="errors where classes mix and examples are lonely, to close classes, slightly clustered",
)
