"""Scores made up for the tests: small, known, or drawn from a stated distribution."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.labels import NoisyLabels
from mislabel.memorization import MemorizationScores

NAMES = ("ant", "bee", "cat")


def scores(
    inclusion: Any,
    exclusion: Any,
    *,
    labels: Any = None,
    clean_labels: Any = None,
    title: str = "made up",
    class_names: tuple[str, ...] = NAMES,
    **more: Any,
) -> MemorizationScores:
    """Scores of all examples; by default all labels are 0 and the clean ones are not known."""
    n = len(inclusion)
    given = NoisyLabels(
        np.zeros(n, dtype=int) if labels is None else labels,
        clean_labels=clean_labels,
        n_classes=len(class_names),
    )
    if "index" in more and more["index"] is not None:
        more["index"] = np.asarray(more["index"])
    return MemorizationScores.of(
        given,
        inclusion=np.asarray(inclusion, dtype=float),
        exclusion=np.asarray(exclusion, dtype=float),
        class_names=class_names,
        provenance={"estimator": "made-up", "title": title},
        **more,
    )


def drawn(n: int = 60, seed: int = 0, **more: Any) -> MemorizationScores:
    """`n` examples, a third of them wrong, with errors, counts, halves and a few unknowns."""
    rng = np.random.default_rng(seed)
    clean = np.arange(n) % 3
    labels = np.where(np.arange(n) % 4 == 1, (clean + 1) % 3, clean)
    inclusion, exclusion = rng.random((2, n))
    exclusion[:2] = np.nan
    known: dict[str, Any] = {
        "inclusion_error": np.full(n, 0.03),
        "exclusion_error": np.full(n, 0.04),
        "inclusion_count": np.full(n, 70),
        "exclusion_count": np.full(n, 30),
        "inclusion_halves": rng.random((2, n)),
        "exclusion_halves": rng.random((2, n)),
    }
    return scores(inclusion, exclusion, labels=labels, clean_labels=clean, **(known | more))


def correlated(n: int, rho: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pairs of normal variables of that correlation, brought to 0..1 by the normal distribution."""
    from scipy.stats import norm

    first, second = np.random.default_rng(seed).normal(size=(2, n))
    return norm.cdf(first), norm.cdf(rho * first + np.sqrt(1 - rho**2) * second)
