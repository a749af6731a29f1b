"""Numbers of flips that are random stay within exact binomial bounds.

Each test allows one failure in a million over all its counts together (Bonferroni); seeds are
fixed. `within` takes counts, numbers of trials and probabilities of one shape.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mislabel.noise import (
    PMD,
    ClassDependent,
    Hybrid,
    InstanceDependent,
    NoiseModel,
    PairFlip,
    Symmetric,
)


def within(counts: Any, trials: Any, probabilities: Any) -> bool:
    """Whether all counts lie in the central 1 - 1e-6 of their binomials."""
    from scipy.stats import binom

    counts, trials, p = np.broadcast_arrays(counts, trials, probabilities)
    low, high = binom.interval(1 - 1e-6 / counts.size, trials, p)
    return bool(((low <= counts) & (counts <= high)).all())


def test_the_bounds_bind() -> None:
    """Five deviations are too far; four are not."""
    deviation = math.sqrt(10_000 * 0.3 * 0.7)
    assert within(3_000 + 4 * deviation, 10_000, 0.3)
    assert not within(3_000 + 5 * deviation, 10_000, 0.3)
    assert not within([3_000, 0], 10_000, 0.3)


@pytest.mark.parametrize("type_", [1, 2, 3])
def test_pmd_by_the_factor(type_: int) -> None:
    """Right first, right second and right in neither: labels u with p, else s, in each group."""
    rows = np.array([[0.6, 0.3, 0.1, 0.0], [0.3, 0.6, 0.1, 0.0], [0.1, 0.0, 0.25, 0.65]])
    margins = np.array([0.3, 0.3, 0.4])
    polynomial = {
        1: 0.5 + margins**2 / 2,
        2: margins**3,
        3: (margins**3 + margins**2 + margins) / 3,
    }
    p = polynomial[type_] / 1.2
    clean, size = np.zeros(30_000, dtype=int), 10_000
    noisy = PMD(type=type_, factor=1.2).corrupt(
        clean, n_classes=4, probabilities=np.repeat(rows, size, axis=0), seed=0
    )
    first, second = np.array([0, 1, 3]), np.array([1, 0, 2])
    drawn = noisy.labels.reshape(3, size)
    assert ((drawn == first[:, None]) | (drawn == second[:, None])).all()
    assert within((drawn == first[:, None]).sum(axis=1), size, p)


MATRIX = np.array(
    [[0.7, 0.2, 0.1, 0.0], [0.05, 0.8, 0.05, 0.1], [0, 0, 1, 0], [0.3, 0.3, 0.3, 0.1]]
)


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    np.save(tmp_path / "matrix.npy", MATRIX)
    return tmp_path / "matrix.npy"


def test_compatible_draws_follow_the_matrix(matrix: Path) -> None:
    """Every cell is binomial, since the rate is random there."""
    clean = np.random.default_rng(0).permutation(np.arange(4).repeat(5_000))
    noisy = ClassDependent(matrix=matrix, compat="cifar-n").corrupt(clean)
    assert within(noisy.counts, 5_000, MATRIX)


def test_targets_follow_the_matrix(matrix: Path) -> None:
    """Given how many of a class flip, where they go is binomial for each target."""
    clean = np.arange(4).repeat(5_000)
    for model in (ClassDependent(matrix=matrix), ClassDependent(matrix=matrix, rate=0.5)):
        counts = model.corrupt(clean, seed=1).counts
        off = ~np.eye(4, dtype=bool)
        flips = np.where(off, counts, 0).sum(axis=1)
        chances = np.where(off, MATRIX, 0) / np.maximum(1 - np.diag(MATRIX), 1e-9)[:, None]
        assert within(np.where(off, counts, 0), flips[:, None], chances)


@pytest.mark.parametrize(
    "model", [Symmetric(rate=0.6), InstanceDependent(rate=0.6)], ids=["symmetric", "instance"]
)
def test_targets_are_uniform(model: NoiseModel) -> None:
    """Instance-dependent noise knows no direction where all features are alike."""
    clean = np.arange(5).repeat(2_000)
    noisy = model.corrupt(clean, features=np.ones((10_000, 3)), seed=2)
    off = ~np.eye(5, dtype=bool)
    flips = np.where(off, noisy.counts, 0).sum(axis=1)
    assert within(np.where(off, noisy.counts, 0), flips[:, None], off / 4)


RANDOM = {
    "symmetric": Symmetric(rate=0.3),
    "symmetric per class": Symmetric(rate=0.3, per_class=True),
    "pair": PairFlip(rate=0.3),
    "instance": InstanceDependent(rate=0.3),
    "instance per class": InstanceDependent(rate=0.3, per_class=True),
    "hybrid": Hybrid(stages="symmetric:0.3+symmetric:0"),
}


@pytest.mark.parametrize("model", RANDOM.values(), ids=RANDOM.keys())
def test_each_example_flips_as_often_as_any(model: NoiseModel) -> None:
    """In 0.3 of 400 seeds, each of 40 examples whatever its place, ten in each of four classes."""
    clean = np.arange(40) % 4
    features = np.random.default_rng(3).normal(size=(40, 3))
    flips = sum(
        model.corrupt(clean, features=features, seed=s).flipped.astype(int) for s in range(400)
    )
    assert within(flips, 400, 0.3)


def test_each_example_flips_as_its_class_says(matrix: Path) -> None:
    """In 1 - T[y, y] of 400 seeds, scaled: 11.4 flips are expected of 40 examples, 11 drawn."""
    clean = np.array([0] * 10 + [1] * 15 + [2] * 9 + [3] * 6)
    model = ClassDependent(matrix=matrix)
    assert np.isclose((1 - np.diag(MATRIX))[clean].sum(), 11.4)
    drawn = [model.corrupt(clean, seed=s).flipped for s in range(400)]
    assert {int(flipped.sum()) for flipped in drawn} == {11}
    assert within(np.sum(drawn, axis=0), 400, (1 - np.diag(MATRIX))[clean] * 11 / 11.4)


def test_hybrid_of_two_uniform_stages() -> None:
    """30 % then 40 % of 10,000, five classes: 12 % of all flip twice, a quarter of those back.

    How many flip twice is hypergeometric, how many of those back is binomial.
    """
    from scipy.stats import hypergeom

    clean = np.arange(5).repeat(2_000)
    noisy = Hybrid(stages="symmetric:0.3+symmetric:0.4").corrupt(clean, seed=4)
    first = Hybrid(stages="symmetric:0.3+symmetric:0").corrupt(clean, seed=4)
    again = first.flipped & (noisy.labels != first.labels)
    low, high = hypergeom.interval(1 - 1e-6, 10_000, 3_000, 4_000)
    assert low <= again.sum() <= high
    back = again & (noisy.labels == clean)
    assert within(back.sum(), again.sum(), 1 / 4)
    assert noisy.flipped.sum() == 3_000 + 4_000 - again.sum() - back.sum()
