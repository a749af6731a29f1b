"""Rates are met exactly, overall and per class, small and absent classes included."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noise_examples import sure_probabilities

from mislabel.errors import InputError
from mislabel.files import hash_array
from mislabel.noise import PMD, Cluster, NoiseModel, Symmetric, make_noise, transition
from mislabel.noise.rates import (
    flip_count,
    flip_counts_per_class,
    flip_smallest,
    members_of_classes,
    stated_range,
    systematic_sample,
)
from mislabel.noise.transition import _targets

modest = settings(deadline=None, derandomize=True, max_examples=60)
MODELS: list[type[Any]] = [Symmetric, Cluster, PMD]
sizes = st.lists(st.sampled_from([0, 1, 2, 3, 7, 20, 57]), min_size=2, max_size=8).filter(
    lambda s: sum(n > 0 for n in s) >= 2
)
rates = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.1, 0.35, 0.5, 0.7, 1.0]))


def draw(model: NoiseModel, sizes: list[int], seed: int) -> Any:
    """Labels of a model on classes of these sizes, with inputs that allow every rate."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    positions = np.random.default_rng(seed + 1).normal(size=(len(labels), 2))
    return model.corrupt(
        labels,
        n_classes=len(sizes),
        positions=positions,
        probabilities=sure_probabilities(labels, len(sizes)),
        seed=seed,
    )


@modest
@given(sizes=sizes, rate=rates, seed=st.integers(0, 1000))
@pytest.mark.parametrize("model", MODELS)
def test_overall_rate(model: type[Any], sizes: list[int], rate: float, seed: int) -> None:
    noisy = draw(model(rate=rate), sizes, seed)
    assert noisy.flipped.sum() == flip_count(rate, sum(sizes))


@modest
@given(sizes=sizes, rate=rates, seed=st.integers(0, 1000))
@pytest.mark.parametrize("model", MODELS)
def test_rate_per_class(model: type[Any], sizes: list[int], rate: float, seed: int) -> None:
    noisy = draw(model(rate=rate, per_class=True), sizes, seed)
    flips = np.bincount(noisy.clean_labels[noisy.flipped], minlength=len(sizes))
    assert flips.sum() == flip_count(rate, sum(sizes))
    assert (np.abs(flips - rate * np.array(sizes)) < 1 + 1e-9).all()


def test_a_hundred_classes_of_twenty() -> None:
    """Truncating 0.4 / 99 of 20 examples to whole numbers would flip none."""
    for model in (Symmetric(rate=0.4), Symmetric(rate=0.4, per_class=True)):
        assert draw(model, [20] * 100, 0).rate == 0.4
    per_class = draw(Symmetric(rate=0.4, per_class=True), [20] * 100, 0).rate_per_class
    np.testing.assert_array_equal(per_class, 0.4)


# The pieces


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.0, 1.0, "0 and 1"),
        (3 / 7, 5.5 / 7, "0.4286 and 0.7857"),
        (0.1 + 0.2, 0.7, "0.3 and 0.7"),
        (0.12341, 0.12349, "0.12341 and 0.12349"),
        (0.3, 0.3, "0.3 and 0.3"),
        (1 / 300_000, 2 / 3, "3.334e-06 and 0.6666"),
        (np.float64(0.25), np.float64(0.5), "0.25 and 0.5"),
    ],
)
def test_ranges_are_stated_rounded_inwards(low: float, high: float, text: str) -> None:
    assert stated_range(low, high) == text


def test_the_stated_end_of_a_transition_matrix_can_be_typed() -> None:
    """Two of three examples can flip; 0.6667 would be too much."""
    model = make_noise("asymmetric:0.7,map=0>1")
    with pytest.raises(InputError) as caught:
        model.corrupt([0, 0, 1])
    assert str(caught.value) == "rate=0.7: must be between 0 and 0.6666"
    assert make_noise("asymmetric:0.6666,map=0>1").corrupt([0, 0, 1]).flipped.sum() == 2


@modest
@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.sampled_from([7, 9]))
def test_members_of_classes(labels: list[int], n_classes: int) -> None:
    found = members_of_classes(np.array(labels), n_classes)
    assert len(found) == n_classes
    expected = [[i for i, y in enumerate(labels) if y == c] for c in range(7)]
    assert [group.tolist() for group in found[:7]] == expected
    assert not any(len(group) for group in found[7:])


def test_members_of_more_classes_than_16_bits_count() -> None:
    found = members_of_classes(np.array([65_537, 1, 65_536, 1]), 65_538)
    assert found[1].tolist() == [1, 3] and found[0].tolist() == []
    assert found[65_536].tolist() == [2] and found[65_537].tolist() == [0]


@modest
@given(numerator=st.integers(0, 64), n=st.integers(0, 10**6))
def test_flip_count_rounds_halves_up(numerator: int, n: int) -> None:
    assert flip_count(numerator / 64, n) == math.floor(Fraction(numerator, 64) * n + Fraction(1, 2))


@modest
@given(rate=st.floats(0, 1), n=st.integers(0, 10**6))
def test_flip_count_is_within_half_an_example(rate: float, n: int) -> None:
    assert abs(flip_count(rate, n) - rate * n) <= 0.5 + 1e-9


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (40_000, 9), (2, 200_000), (0, 4), (4, 0)])
def test_float32_hashes_as_float64(shape: tuple[int, int]) -> None:
    """Block by block, also where a row or the whole is larger than a block."""
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    expected = hash_array(values.astype(np.float64))
    assert hash_array(values, as_type=np.float64) == expected
    assert hash_array(np.asfortranarray(values), as_type="f8") == expected
    assert hash_array(values) != expected
    assert hash_array(values.astype(np.float64), as_type=np.float64) == expected


def slow_counts_per_class(rate: float, sizes: list[int], ties: np.ndarray) -> list[int]:
    """Floors first, then one more for the largest remainder until the total is right."""
    counts = [math.floor(rate * n + 1e-9) for n in sizes]
    waiting = [c for c, n in enumerate(sizes) if counts[c] < n]
    while sum(counts) < flip_count(rate, sum(sizes)):
        chosen = max(waiting, key=lambda c: (rate * sizes[c] - counts[c], -ties[c]))
        waiting.remove(chosen)
        counts[chosen] += 1
    return counts


@modest
@given(sizes=sizes, rate=rates, seed=st.integers(0, 1000))
def test_counts_per_class_against_the_slow_twin(sizes: list[int], rate: float, seed: int) -> None:
    found = flip_counts_per_class(rate, np.array(sizes), np.random.default_rng(seed))
    ties = np.random.default_rng(seed).random(len(sizes))
    assert found.tolist() == slow_counts_per_class(rate, sizes, ties)


def test_equal_remainders_are_served_in_turn() -> None:
    """Ten classes of 5 at 0.1 want half a flip each: each gets it in half of the draws.

    Hoeffding over 2,000 draws, ten classes, one failure in a million: 0.0649.
    """
    rng = np.random.default_rng(0)
    draws = [flip_counts_per_class(0.1, np.full(10, 5), rng) for _ in range(2_000)]
    bound = math.sqrt(math.log(2 * 10 / 1e-6) / (2 * 2_000))
    assert np.abs(np.mean(draws, axis=0) - 0.5).max() <= bound
    assert {int(d.sum()) for d in draws} == {5}


@modest
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=40),
    rates,
    st.booleans(),
    st.integers(0, 1000),
)
def test_smallest_scores_flip(
    rows: list[tuple[int, int]], rate: float, per_class: bool, seed: int
) -> None:
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    flipped = flip_smallest(
        scores.astype(float), labels, 4, rate,
        per_class=per_class, rng=np.random.default_rng(seed),
    )  # fmt: skip
    assert flipped.sum() == flip_count(rate, len(rows))
    groups = [labels == c for c in range(4)] if per_class else [np.ones(len(rows), bool)]
    for group in groups:
        inside, outside = scores[group & flipped], scores[group & ~flipped]
        assert not (len(inside) and len(outside)) or inside.max() <= outside.min()


def test_equal_scores_flip_in_random_order() -> None:
    """Of ten equal scores each is among the chosen three with probability 0.3 (Hoeffding)."""
    rng = np.random.default_rng(0)
    labels = np.zeros(10, dtype=int)
    for per_class in (False, True):
        draws = [
            flip_smallest(np.ones(10), labels, 1, 0.3, per_class=per_class, rng=rng)
            for _ in range(2_000)
        ]
        bound = math.sqrt(math.log(2 * 10 / 1e-6) / (2 * 2_000))
        assert np.abs(np.mean(draws, axis=0) - 0.3).max() <= bound


chances = st.lists(
    st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=60
)


@modest
@given(chances, st.integers(0, 1000))
def test_systematic_sample_has_a_fixed_size(chances: list[float], seed: int) -> None:
    p = np.array(chances)
    chosen = systematic_sample(p, np.random.default_rng(seed))
    assert abs(chosen.sum() - p.sum()) <= 0.5 + 1e-9
    assert not chosen[p == 0].any()
    if chosen.sum() >= p.sum():
        assert chosen[p == 1].all()


@modest
@given(chances.filter(lambda c: sum(x > 0.01 for x in c) >= 1), st.integers(0, 1000), st.data())
def test_systematic_sample_of_a_given_size(
    chances: list[float], seed: int, data: st.DataObject
) -> None:
    p = np.array(chances)
    count = data.draw(st.integers(0, int((p > 0.01).sum())))
    chosen = systematic_sample(p, np.random.default_rng(seed), count=count)
    assert chosen.sum() == count and not chosen[p == 0].any()


class Always:
    """A generator whose every number is the same, and whose order is the given one."""

    def __init__(self, value: float) -> None:
        self.value = value

    def random(self, size: int | None = None) -> Any:
        return self.value if size is None else np.full(size, self.value)

    def permutation(self, n: int) -> np.ndarray:
        return np.arange(n)


@pytest.mark.parametrize("chances", [[1.0] * 49, [0.9555341246752735, 0.0], [0.3, 0.1, 0.0, 0.0]])
def test_systematic_sample_from_the_very_start(chances: list[float]) -> None:
    """With a start of 0 one is missed unless the sum is the size to the last digit.

    49 * (1 / 49) is less than 1. Zeros that follow the last chance are not taken for it.
    """
    p = np.array(chances)
    chosen = systematic_sample(p, Always(0.0), count=1)  # type: ignore[arg-type]
    assert chosen.sum() == 1 and not chosen[p == 0].any()


@pytest.fixture(params=["few classes", "many classes"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets are found by one way for few classes and by another for many."""
    if request.param == "many classes":
        monkeypatch.setattr(transition, "FEW_CLASSES", 1)


@pytest.mark.usefixtures("both_ways")
def test_targets_at_the_ends_of_the_random_numbers() -> None:
    """0 takes the first target that occurs; what is nearly 1 takes the last, whatever rounding."""
    matrix = np.array([[0.5, 0.0, 0.5, 0.0], [0.0, 0.2, 0.0, 0.8], [0.1, 0.1, 0.1, 0.7],
                       [0.0, 0.0, 1.0, 0.0]])  # fmt: skip
    for value, targets in ((0.0, [2, 3, 0, 2]), (np.nextafter(1, 0), [2, 3, 3, 2])):
        rng: Any = Always(value)
        assert _targets(np.array([0, 1, 2, 3]), matrix, rng).tolist() == targets
    tenths = np.full((11, 11), 0.1) - 0.1 * np.eye(11)  # ten tenths add up to less than 1
    assert _targets(np.array([0, 10]), tenths, rng).tolist() == [10, 9]


@pytest.mark.usefixtures("both_ways")
@modest
@given(st.lists(st.integers(0, 5), max_size=30), st.integers(0, 1000))
def test_targets_against_a_walk_through_the_row(labels: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.random((6, 6)) * (rng.random((6, 6)) < 0.6) + np.diag([0.0] * 5 + [0.5])
    matrix[:, 5] += 0.1
    matrix[5, 0] += 0.1
    matrix /= matrix.sum(axis=1, keepdims=True)
    found = _targets(np.array(labels, dtype=np.int64), matrix, np.random.default_rng(seed))
    drawn = np.random.default_rng(seed).random(len(labels))
    for y, z, u in zip(labels, found.tolist(), drawn.tolist(), strict=True):
        chances = {c: float(matrix[y, c]) for c in range(6) if c != y and matrix[y, c] > 0}
        below = sum(p for c, p in chances.items() if c < z) / sum(chances.values())
        assert z in chances
        assert below - 1e-12 <= u <= below + chances[z] / sum(chances.values()) + 1e-12


@pytest.mark.parametrize(
    ("chances", "expected"),
    [
        ([0.1, 0.9, 0.25, 0.75, 0.5, 0.5, 1.0, 0.0], None),
        ([0.01] * 99 + [0.01], None),
        ([0.8, 0.8, 0.8], [2 / 3] * 3),  # 2.4 goes down to 2
        ([0.9, 0.9, 0.9], [1.0] * 3),  # 2.7 goes up to 3
        ([1.0, 1.0, 0.6, 0.0], [1.0, 1.0, 1.0, 0.0]),  # up to 3, none above 1
        ([1.0, 0.9, 0.4, 0.2, 0.2], [1.0, 1.0, 0.5, 0.25, 0.25]),  # 2.7 goes up to 3
    ],
)
def test_inclusion_probabilities(chances: list[float], expected: list[float] | None) -> None:
    """Shares of 4,000 draws, by Hoeffding's bound at one failure in a million."""
    p = np.array(chances)
    rng = np.random.default_rng(0)
    share = np.mean([systematic_sample(p, rng) for _ in range(4_000)], axis=0)
    bound = math.sqrt(math.log(2 * len(p) / 1e-6) / (2 * 4_000))
    assert np.abs(share - (p if expected is None else np.array(expected))).max() <= bound


def test_symmetric_targets_are_uniform() -> None:
    """Each wrong label takes a third of 6,000 flips (Hoeffding, one failure in a million)."""
    labels = np.zeros(6_000, dtype=int)
    noisy = Symmetric(rate=1.0).corrupt(labels, n_classes=4, seed=0).labels
    share = np.bincount(noisy, minlength=4) / 6_000
    bound = math.sqrt(math.log(2 * 3 / 1e-6) / (2 * 6_000))
    assert share[0] == 0 and np.abs(share[1:] - 1 / 3).max() <= bound


def test_symmetric_flips_are_spread_evenly() -> None:
    """Each of 50 examples flips in 0.3 of 2,000 seeds (Hoeffding, one failure in a million)."""
    labels = np.arange(50) % 5
    share = np.mean(
        [Symmetric(rate=0.3).corrupt(labels, seed=s).flipped for s in range(2_000)], axis=0
    )
    bound = math.sqrt(math.log(2 * 50 / 1e-6) / (2 * 2_000))
    assert np.abs(share - 0.3).max() <= bound
