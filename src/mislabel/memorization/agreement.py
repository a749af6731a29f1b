"""How well two estimates of memorization agree, and how well they could.

Spearman's rank correlation of inclusion, exclusion and memorization, for wrong and right labels
apart and together, with a bootstrap interval over examples. An estimate from R runs is noisy, so
no other can agree with it perfectly: where both have split halves, ``ceiling = sqrt(r_a r_b)`` with
``r = 2 s / (1 + s)`` (Spearman 1904; Spearman-Brown), s the correlation of the halves of one
estimate. It is the agreement of two noisy measurements of the same thing; of an estimate without
halves (r unknown) only the other's noise counts, which bounds the agreement of a perfect estimate.

Pitfall: the correlation over all labels is dominated by which labels are wrong; always look at
the wrong labels alone.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.memorization.scores import Floats, MemorizationScores
from mislabel.seeds import generator

SCORES = ("inclusion", "exclusion", "memorization")
GROUPS = ("all", "wrong", "right")
LEVEL = 0.95
FEWEST = 3
"Examples that a correlation takes."


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Of one score within one group of labels.

    spearman: rank correlation over `count` examples, with the bootstrap interval low to high; None
    where one side is constant or fewer than 3 examples have both. ceiling: of the agreement, None
    where neither estimate has halves. mean_a, mean_b: of the score.
    """

    score: str
    group: str
    count: int
    spearman: float | None
    low: float | None
    high: float | None
    ceiling: float | None
    mean_a: float | None
    mean_b: float | None

    @property
    def share_of_ceiling(self) -> float | None:
        """Correlation over ceiling; above 1 by chance, None where either is not known."""
        return self.spearman / self.ceiling if self.spearman is not None and self.ceiling else None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"share_of_ceiling": self.share_of_ceiling}


def compare(
    a: MemorizationScores, b: MemorizationScores, *, bootstrap: int = 1000, seed: int = 0
) -> list[Agreement]:
    """Agreement of two estimates on the examples that both have, per score and group.

    bootstrap: resamples of the examples for the interval of 95 % (percentiles); 0 for none.
    Groups need the clean labels of one of the two.
    Errors: `InputError` where the two are of different labels.
    """
    if isinstance(bootstrap, bool) or not isinstance(bootstrap, int) or bootstrap < 0:
        raise InputError("bootstrap", bootstrap, "must be a whole number of at least 0")
    a, b = _shared(a, b)
    rng = generator(seed, "bootstrap")
    return [
        _agreement(score, group, chosen, a, b, bootstrap, rng)
        for score in SCORES
        for group, chosen in _groups(a if a.clean_labels is not None else b)
    ]


def reliability(scores: MemorizationScores, score: str, chosen: NDArray[np.bool_]) -> float | None:
    """Split-half reliability of a score among chosen examples, by Spearman-Brown; None without.

    chosen: (M,) mask. It is of the whole estimate, not of a half.
    """
    halves = _halves(scores, score)
    if halves is None:
        return None
    first, second = halves[:, chosen]
    correlation = spearman(first, second)
    if correlation is None or correlation <= 0:
        return None if correlation is None else 0.0
    return 2 * correlation / (1 + correlation)


def spearman(a: Floats, b: Floats) -> float | None:
    """Rank correlation over the places where both are numbers; ties get their mean rank."""
    from scipy.stats import rankdata

    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < FEWEST:
        return None
    return _pearson(rankdata(a[both]), rankdata(b[both]))


def _pearson(a: Floats, b: Floats) -> float | None:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return None if scale == 0 else float(a @ b) / scale


def _agreement(
    score: str,
    group: str,
    chosen: NDArray[np.bool_],
    a: MemorizationScores,
    b: MemorizationScores,
    bootstrap: int,
    rng: np.random.Generator,
) -> Agreement:
    first, second = (getattr(side, score)[chosen] for side in (a, b))
    both = np.isfinite(first) & np.isfinite(second)
    first, second = first[both], second[both]
    low, high = _interval(first, second, bootstrap, rng)
    return Agreement(
        score=score,
        group=group,
        count=len(first),
        spearman=spearman(first, second),
        low=low,
        high=high,
        ceiling=_ceiling(reliability(a, score, chosen), reliability(b, score, chosen)),
        mean_a=float(first.mean()) if len(first) else None,
        mean_b=float(second.mean()) if len(first) else None,
    )


def _interval(
    a: Floats, b: Floats, bootstrap: int, rng: np.random.Generator
) -> tuple[float | None, float | None]:
    """Percentile interval; each resample is ranked anew."""
    if not bootstrap or len(a) < FEWEST:
        return None, None
    codes = [np.unique(side, return_inverse=True)[1] for side in (a, b)]
    draws = (rng.integers(len(a), size=len(a)) for _ in range(bootstrap))
    ranked = ((resampled_ranks(codes[0][d]), resampled_ranks(codes[1][d])) for d in draws)
    found = [value for pair in ranked if (value := _pearson(*pair)) is not None]
    if not found:
        return None, None
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def resampled_ranks(codes: NDArray[np.int64]) -> Floats:
    """Mean ranks of values from their places among the distinct ones, without sorting again.

    codes: (N,) of each value in a resample, such as ``np.unique(values, return_inverse=True)[1]``
    at the places drawn.
    """
    counts = np.bincount(codes)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[codes])


def _ceiling(first: float | None, second: float | None) -> float | None:
    known = [value for value in (first, second) if value is not None]
    return float(np.sqrt(np.prod(known))) if known else None


def _halves(scores: MemorizationScores, score: str) -> Floats | None:
    inclusion, exclusion = scores.inclusion_halves, scores.exclusion_halves
    if score == "memorization":
        return None if inclusion is None or exclusion is None else inclusion - exclusion
    return inclusion if score == "inclusion" else exclusion


def _groups(scores: MemorizationScores) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    everything = np.ones(len(scores), dtype=bool)
    yield "all", everything
    if scores.clean_labels is not None:
        yield "wrong", scores.wrong
        yield "right", ~scores.wrong


def _shared(
    a: MemorizationScores, b: MemorizationScores
) -> tuple[MemorizationScores, MemorizationScores]:
    """Both on the examples that both have; checked to be of the same labels."""
    if a.n_total != b.n_total:
        rule = f"is of {b.n_total:,} training examples, the other of {a.n_total:,}"
        raise InputError("scores", b.title, rule)
    a, b = a.select(b.index), b.select(a.index)
    if not len(a):
        raise InputError("scores", b.title, "has no example in common with the other")
    for name in ("labels", "clean_labels"):
        ours, theirs = getattr(a, name), getattr(b, name)
        if ours is not None and theirs is not None and (ours != theirs).any():
            count = int((ours != theirs).sum())
            raise InputError("scores", b.title, f"{count:,} of its {name} differ from the other's")
    return a, b
