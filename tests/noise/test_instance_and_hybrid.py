"""Instance-dependent and hybrid noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from mislabel.errors import InputError
from mislabel.noise import Hybrid, InstanceDependent, make_noise
from mislabel.noise.instance import _scaled, _truncated_normal
from mislabel.noise.rates import flip_count


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.sampled_from([0, 1, 2, 20]), min_size=2, max_size=5),
    rate=st.floats(0, 1),
    per_class=st.booleans(),
    seed=st.integers(0, 100),
)
def test_instance_rate_is_exact(sizes: list[int], rate: float, per_class: bool, seed: int) -> None:
    clean = np.repeat(np.arange(len(sizes)), sizes)
    if len(clean) == 0:
        return
    features = np.random.default_rng(seed).normal(size=(len(clean), 4))
    noisy = InstanceDependent(rate=rate, per_class=per_class).corrupt(
        clean, n_classes=len(sizes), features=features, seed=seed
    )
    assert noisy.flipped.sum() == flip_count(rate, len(clean))
    if per_class:
        for label, size in enumerate(sizes):
            assert abs(noisy.flipped[clean == label].sum() - rate * size) <= 1


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    chance=st.lists(st.floats(0.001, 0.999), min_size=1, max_size=30),
    share=st.floats(0, 1),
)
def test_scaling_meets_the_sum_and_keeps_ratios(chance: list[float], share: float) -> None:
    values, count = np.array(chance), round(share * len(chance))
    scaled = _scaled(values, count)
    assert scaled.sum() == pytest.approx(count, abs=1e-9)
    assert scaled.min() >= 0 and scaled.max() <= 1
    free = scaled < 1
    if free.any() and count:
        factors = scaled[free] / values[free]
        assert factors == pytest.approx(factors[0])


def test_flip_rates_are_a_truncated_normal() -> None:
    """Against the plain twin, rejection: equal quantiles within the DKW bound (1e-6)."""
    drawn = _truncated_normal(0.15, 20_000, np.random.default_rng(0))
    raw = np.random.default_rng(1).normal(0.15, 0.1, size=60_000)
    twin = raw[(raw > 0) & (raw < 1)][:20_000]
    assert drawn.min() > 0 and drawn.max() < 1
    grid = np.linspace(0, 0.6, 61)
    gap = np.abs([(drawn <= x).mean() - (twin <= x).mean() for x in grid]).max()
    assert gap < 2 * np.sqrt(np.log(2 / 1e-6) / (2 * 20_000))


def test_alike_examples_go_to_alike_classes() -> None:
    """Two tight groups of one class, far apart: within a group nearly all flips agree."""
    rng = np.random.default_rng(5)
    group = np.arange(400) % 2
    features = 100.0 * np.stack([group, 1 - group], axis=1) + rng.normal(size=(400, 2))
    clean = np.zeros(400, dtype=int)
    noisy = InstanceDependent(rate=1.0).corrupt(clean, n_classes=6, features=features, seed=3)
    spread = InstanceDependent(rate=1.0).corrupt(
        clean, n_classes=6, features=rng.normal(size=(400, 2)), seed=3
    )

    def purity(labels: np.ndarray) -> float:
        return float(np.mean([np.bincount(labels[group == g]).max() / 200 for g in (0, 1)]))

    assert purity(noisy.labels) > purity(spread.labels)


def test_hybrid_is_its_stages_in_sequence() -> None:
    """Symmetric first, then the asymmetric flips see its labels: every 0 becomes a 1."""
    clean = np.arange(4).repeat(25)
    noisy = Hybrid(stages="symmetric:0.4+asymmetric:1.0;map=0>1;per_class=true").corrupt(
        clean, seed=1
    )
    first = Hybrid(stages="symmetric:0.4+symmetric:0").corrupt(clean, seed=1)
    assert (first.labels == 0).any()
    np.testing.assert_array_equal(noisy.labels, np.where(first.labels == 0, 1, first.labels))
    assert noisy.receipt.parameters["stages"].startswith("symmetric:0.4+asymmetric")


def test_each_stage_has_a_stream_of_its_own() -> None:
    clean = np.zeros(1000, dtype=int)
    noisy = Hybrid(stages="symmetric:0.5+symmetric:0.5").corrupt(clean, n_classes=2, seed=1)
    # With one stream for both, the same half would flip twice and all labels be right again.
    assert 0.4 < noisy.rate < 0.6


def test_hybrid_needs_what_its_stages_need() -> None:
    model = make_noise("hybrid:pmd:0.2;type=2+cluster:0.1")
    assert set(model.used_inputs()) == {"probabilities", "positions"}
    for stages in ("symmetric:0.2", "symmetric:0.2+", "+"):
        with pytest.raises(InputError) as caught:
            Hybrid(stages=stages).corrupt([0, 1])
        assert str(caught.value) == f"stages={stages!r}: must be two or more specs joined by +"
    with pytest.raises(InputError) as caught:
        Hybrid(stages="symmetric:1.2+symmetric:0.1").corrupt([0, 1])
    assert str(caught.value) == "rate=1.2: must be between 0 and 1"


def test_labels_and_features_are_enough_for_every_kind() -> None:
    rng = np.random.default_rng(0)
    clean = np.arange(3).repeat(60)
    features = 4.0 * np.eye(3)[clean] + rng.normal(size=(180, 3))
    for spec in ("symmetric:0.2", "pmd:0.2", "cluster:0.2", "instance:0.2",
                 "hybrid:pmd:0.2+cluster:0.1"):  # fmt: skip
        with threadpool_limits(1):  # busy cores would fight over the classifier's small products
            noisy = make_noise(spec).corrupt(clean, features=features, seed=0)
        assert noisy.flipped.sum() == 36 or spec.startswith("hybrid")
