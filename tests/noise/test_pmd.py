"""PMD noise: polynomials by hand, the solved factor against a slow twin, exact draws."""

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mislabel.errors import InputError
from mislabel.noise import PMD, make_noise
from mislabel.noise.pmd import FEW_CLASSES, MARGIN_POLYNOMIALS, Margins, _crossing, two_likeliest

modest = settings(deadline=None, derandomize=True, max_examples=100)
FIRST, SECOND, NEITHER = "first", "second", "neither"


def margins(rows: list[tuple[str, float]], type_: int | None = None) -> Margins:
    """Margins of examples that are right in their first, second or neither likeliest class.

    rows: (which, d), or (which, polynomial) without a type.
    """
    which, values = zip(*rows, strict=True)
    polynomial = np.array(values, dtype=float)
    if type_ is not None:
        polynomial = MARGIN_POLYNOMIALS[type_](polynomial)
    return Margins(
        likeliest=np.zeros(len(rows), dtype=np.int64),
        second=np.ones(len(rows), dtype=np.int64),
        polynomial=polynomial,
        first_right=np.array([w == FIRST for w in which]),
        second_right=np.array([w == SECOND for w in which]),
    )


def clean_of(rows: list[tuple[str, float]]) -> np.ndarray:
    return np.array([{FIRST: 0, SECOND: 1, NEITHER: 2}[which] for which, _ in rows])


def chance(margin: Margins, t: float) -> np.ndarray:
    """(n,) probability of a flip at 1/factor = t, example by example."""
    found = []
    for i, a in enumerate(margin.polynomial):
        p = min(a * t, 1.0)
        found.append(1 - p if margin.first_right[i] else p if margin.second_right[i] else 1.0)
    return np.array(found)


# Polynomials and the published factor


@pytest.mark.parametrize(
    ("type_", "d", "value"),
    [
        (1, 0.0, 0.5),
        (1, 0.5, 0.625),
        (1, 1.0, 1.0),
        (2, 0.0, 0.0),
        (2, 0.5, 0.125),
        (2, 1.0, 1.0),
        (3, 0.0, 0.0),
        (3, 0.5, 0.875 / 3),
        (3, 1.0, 1.0),
    ],
)
def test_polynomials_by_hand(type_: int, d: float, value: float) -> None:
    found = MARGIN_POLYNOMIALS[type_](np.array([d]))
    assert found[0] == pytest.approx(value, abs=1e-15)


def test_margins_by_hand() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.25, 0.5, 0.25 - 1e-9]])
    found = Margins.of(probabilities, np.array([0, 1, 2]), 2)
    assert found.likeliest.tolist() == [0, 2, 1] and found.second.tolist() == [1, 1, 0]
    np.testing.assert_allclose(found.polynomial, [0.125, 0.027, 0.015625], rtol=1e-12)
    assert found.first_right.tolist() == [True, False, False]
    assert found.second_right.tolist() == [False, True, False]


@modest
@given(
    n_classes=st.sampled_from([2, 3, 4, 7, FEW_CLASSES, FEW_CLASSES + 1, 50]),
    n_examples=st.sampled_from([1, 5, 700]), levels=st.sampled_from([1, 3, 10**9]),
    seed=st.integers(0, 1000), single=st.booleans(),
)  # fmt: skip
def test_the_two_likeliest_against_a_sort(
    n_classes: int, n_examples: int, levels: int, seed: int, single: bool
) -> None:
    """Few classes and many; equal probabilities, of which the lower class counts as likelier.

    Ties matter: how NumPy's partitions order them depends on the processor.
    """
    values = np.random.default_rng(seed).integers(levels, size=(n_examples, n_classes)) / levels
    eta = values.astype(np.float32 if single else np.float64)
    first, second, margin = two_likeliest(eta)
    order = np.argsort(-eta, axis=1, kind="stable")
    np.testing.assert_array_equal(first, order[:, 0])
    np.testing.assert_array_equal(second, order[:, 1])
    top = np.take_along_axis(eta.astype(np.float64), order, axis=1)
    np.testing.assert_array_equal(margin, top[:, 0] - top[:, 1])
    assert margin.dtype == np.float64


def test_float32_probabilities_are_taken_as_they_are() -> None:
    """The same labels and receipt as for the same numbers in float64."""
    clean = np.arange(500) % 5
    logits = np.random.default_rng(0).normal(size=(500, 5)) + 2 * np.eye(5)[clean]
    eta = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    for model in (PMD(rate=0.6), PMD(rate=0.6, per_class=True, type=3), PMD(factor=1.4)):
        single = model.corrupt(clean, probabilities=eta, seed=2)
        double = model.corrupt(clean, probabilities=eta.astype(np.float64), seed=2)
        assert single == double and single.receipt == double.receipt


@pytest.mark.parametrize(("type_", "value"), [(1, 0.625), (2, 0.125), (3, 0.875 / 3)])
def test_factor_mode_keeps_the_likeliest_with_p(type_: int, value: float) -> None:
    """d = 1/2, p = value / 1.25, over 20,000 examples (Hoeffding, one failure in a million)."""
    probabilities = np.tile([0.7, 0.2, 0.1], (20_000, 1))
    noisy = PMD(type=type_, factor=1.25).corrupt(
        np.zeros(20_000, dtype=int), n_classes=3, probabilities=probabilities, seed=0
    )
    assert set(noisy.labels) == {0, 1}
    bound = math.sqrt(math.log(2 / 1e-6) / (2 * 20_000))
    assert abs(1 - noisy.rate - value / 1.25) <= bound


def test_factor_mode_clips_at_one() -> None:
    probabilities = np.tile([0.2, 0.7, 0.1], (500, 1))
    model = PMD(type=1, factor=0.5)  # p = 0.625 / 0.5
    noisy = model.corrupt(np.zeros(500, dtype=int), n_classes=3, probabilities=probabilities)
    assert set(noisy.labels) == {1}


# The solved factor


def test_a_solution_by_hand() -> None:
    """Ten sure examples, right first, type 1, d = 1/2: 3 flips of 10 mean 0.625 t = 0.7."""
    margin = margins([(FIRST, 0.5)] * 10, 1)
    assert margin.solve(3) == pytest.approx(0.7 / 0.625, rel=1e-14)
    assert margin.solve(10) == 0.0
    assert margin.solve(0) == 1 / 0.625


def test_two_crossings_give_the_largest() -> None:
    """Four right second with a = 1, three right first with a = 1/2.

    F rises from 3 at t = 0 to 5.5 at t = 1 and falls to 4 at t = 2, where it stays.
    """
    margin = margins([(SECOND, 1.0)] * 4 + [(FIRST, 0.5)] * 3)
    assert [chance(margin, t).sum() for t in (0, 1, 2, 9)] == [3, 5.5, 4, 4]
    assert margin.solve(5) == pytest.approx(1 + 1 / 3, rel=1e-14)  # and at t = 0.8
    assert margin.solve(4) == 2.0  # and at t = 0.4
    assert margin.solve(3) == 0.0
    for count, most in ((2, False), (6, True)):  # 6 is reached within half a flip, 2 is not
        if most:
            assert margin.solve(count) == pytest.approx(1.0)
        else:
            with pytest.raises(InputError) as caught:
                margin.solve(count)
            assert str(caught.value) == (
                "rate=0.2857: cannot be reached with these probabilities; "
                "between 0.4286 and 0.7857 can"
            )


rows = st.lists(
    st.tuples(
        st.sampled_from([FIRST, SECOND, NEITHER]),
        st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    ),
    min_size=1,
    max_size=30,
)


def slow_expected(margin: Margins) -> tuple[list[float], list[float]]:
    """Breakpoints of F and its values there, by loops."""
    breaks = sorted({0.0} | {float(1 / a) for a in margin.polynomial if a > 1e-9})
    return breaks, [float(chance(margin, t).sum()) for t in breaks]


def slow_solve(margin: Margins, target: float) -> float:
    """The largest t with F(t) = target, by bisection between breakpoints from the right."""
    breaks, values = slow_expected(margin)
    if abs(values[-1] - target) < 1e-9:
        return breaks[-1]
    for i in range(len(breaks) - 2, -1, -1):
        low, high = breaks[i], breaks[i + 1]
        if (values[i] - target) * (values[i + 1] - target) <= 0:
            rising = values[i + 1] > values[i]
            for _ in range(200):
                middle = (low + high) / 2
                above = chance(margin, middle).sum() > target
                low, high = (low, middle) if above == rising else (middle, high)
            return (low + high) / 2
    raise AssertionError("no crossing")


@modest
@given(rows=rows, type_=st.sampled_from([1, 2, 3]), data=st.data())
def test_solve_against_the_slow_twin(
    rows: list[tuple[str, float]], type_: int, data: st.DataObject
) -> None:
    rows = [(which, d if d > 0.01 else 0.0) for which, d in rows]
    margin = margins(rows, type_)
    _, values = slow_expected(margin)
    low, high = math.ceil(min(values) - 1e-9), math.floor(max(values) + 1e-9)
    if low > high:
        return
    count = data.draw(st.integers(low, high))
    found = margin.solve(count)
    assert chance(margin, found).sum() == pytest.approx(count, abs=1e-9 * len(rows))
    slow = slow_solve(margin, min(max(count, min(values)), max(values)))
    assert chance(margin, slow).sum() == pytest.approx(count, abs=1e-6)
    # Where F is flat or steep near the target the two may differ in t, never to the left.
    assert found >= slow * (1 - 1e-6) or chance(margin, slow).sum() == pytest.approx(
        chance(margin, found).sum(), abs=1e-9 * len(rows)
    )


@modest
@given(rows=rows, type_=st.sampled_from([1, 2, 3]), seed=st.integers(0, 100))
def test_every_accepted_count_is_drawn_exactly(
    rows: list[tuple[str, float]], type_: int, seed: int
) -> None:
    rows = [(which, d if d > 0.01 else 0.0) for which, d in rows]
    margin, clean = margins(rows, type_), clean_of(rows)
    _, values = slow_expected(margin)
    for count in range(len(rows) + 1):
        if not min(values) - 0.499 <= count <= max(values) + 0.499:
            if not min(values) - 0.501 <= count <= max(values) + 0.501:
                with pytest.raises(InputError, match="cannot be reached with these"):
                    margin.solve(count)
            continue
        labels = margin.draw(clean, count, np.random.default_rng(seed))
        assert (labels != clean).sum() == count
        assert set(labels[labels != clean]) <= {0, 1}


def test_a_count_half_a_flip_below_the_least_expected() -> None:
    """Five right first with a = 1, three right second with a = 1/2: F falls to 1.5 at t = 1."""
    rows = [(FIRST, 1.0)] * 5 + [(SECOND, 0.5)] * 3
    margin, clean = margins(rows), clean_of(rows)
    assert [chance(margin, t).sum() for t in (0, 1, 2)] == [5, 1.5, 3]
    for seed in range(20):
        labels = margin.draw(clean, 1, np.random.default_rng(seed))
        assert (labels != clean).sum() == 1


def test_flip_probabilities_are_kept_by_exact_draws() -> None:
    """Shares of 4,000 draws against 1 - p, p and 1 (Hoeffding, one failure in a million)."""
    rows = [(FIRST, 0.1), (FIRST, 0.5), (FIRST, 0.9), (SECOND, 0.2), (SECOND, 0.8), (NEITHER, 0.5)]
    rows = rows * 3
    margin, clean = margins(rows, 1), clean_of(rows)
    expected = chance(margin, margin.solve(10))
    np.testing.assert_allclose(expected[:6], [0.52, 0.40, 0.13, 0.50, 0.79, 1.0], atol=0.005)
    rng = np.random.default_rng(0)
    drawn = [margin.draw(clean, 10, rng) for _ in range(4_000)]
    bound = math.sqrt(math.log(2 * len(rows) / 1e-6) / (2 * 4_000))
    assert np.abs(np.mean(np.array(drawn) != clean, axis=0) - expected).max() <= bound
    p = np.minimum(margin.polynomial * margin.solve(10), 1)
    neither = np.array(drawn)[:, 5] == 0
    assert abs(neither.mean() - p[5]) <= bound


@pytest.mark.parametrize(
    ("breaks", "expected", "count", "t"),
    [
        ([0, 1, 2], [4, 2, 0], 1, 1.5),
        ([0, 1, 2], [4, 2, 0], 0, 2.0),
        ([0, 1, 3], [0, 4, 2], 2, 3.0),
        ([0, 1, 3], [0, 4, 2], 3, 2.0),
        ([0, 1, 3, 4], [3, 3, 3, 1], 3, 3.0),
        ([0, 2], [1, 5], 5, 2.0),
        ([0], [3], 3, 0.0),
        ([0, 1], [2.4, 2.6], 3, 1.0),
    ],
)
def test_crossings_by_hand(breaks: Any, expected: Any, count: int, t: float) -> None:
    assert _crossing(np.array(breaks, float), np.array(expected, float), count) == t


# The whole model


def probabilities_of(rows: list[list[float]], repeat: int) -> np.ndarray:
    return np.repeat(np.array(rows), repeat, axis=0)


@pytest.mark.parametrize("rate", [0.45, 0.5, 0.7])
def test_flips_go_to_the_two_likeliest(rate: float) -> None:
    """Right first, right second and right third: the third class is never drawn."""
    probabilities = probabilities_of([[0.6, 0.3, 0.1, 0]] * 4 + [[0.3, 0.6, 0, 0.1]] * 2
                                     + [[0.1, 0.2, 0.7, 0]], 20)  # fmt: skip
    clean = np.zeros(140, dtype=int)
    noisy = PMD(rate=rate).corrupt(clean, n_classes=4, probabilities=probabilities, seed=3)
    assert noisy.flipped.sum() == round(rate * 140)
    top = np.argsort(probabilities, axis=1)[:, -2:]
    assert all(noisy.labels[i] in top[i] for i in np.flatnonzero(noisy.flipped))
    assert noisy.flipped[120:].all()


def test_ambiguous_examples_flip_most() -> None:
    """Type 2 at 20 %: of 50 sure and 50 ambiguous examples the ambiguous flip."""
    probabilities = probabilities_of([[0.98, 0.01, 0.01], [0.4, 0.35, 0.25]], 50)
    clean = np.zeros(100, dtype=int)
    noisy = PMD(rate=0.2, type=2).corrupt(clean, n_classes=3, probabilities=probabilities, seed=0)
    assert noisy.flipped[:50].sum() == 0 and noisy.flipped[50:].sum() == 20


@pytest.mark.parametrize("row", [[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]])
@pytest.mark.parametrize("type_", [1, 2, 3])
def test_ties(row: list[float], type_: int) -> None:
    """Equal probabilities give two different classes and, for type 1, any rate."""
    clean = np.repeat([0, 1], 50)
    probabilities = probabilities_of([row], 100)
    found = Margins.of(probabilities, clean, type_)
    assert (found.likeliest != found.second).all()
    first, second = found.likeliest[0], found.second[0]
    noisy = PMD(factor=1.0, type=type_).corrupt(
        clean, n_classes=3, probabilities=probabilities, seed=1
    )
    assert set(noisy.labels) <= {first, second}
    if type_ == 1:
        exact = PMD(rate=0.5).corrupt(clean, n_classes=3, probabilities=probabilities, seed=1)
        assert exact.rate == 0.5
    else:  # d = 0: p is 0 for every factor
        assert set(noisy.labels) == {second}


def test_unreachable_rates_state_the_range() -> None:
    """A quarter is right in neither class, a quarter right second: between 0.25 and 1 can."""
    probabilities = probabilities_of([[0.6, 0.4, 0], [0.6, 0.4, 0], [0.4, 0.6, 0],
                                      [0.0, 0.4, 0.6]], 10)  # fmt: skip
    clean = np.zeros(40, dtype=int)
    _, values = slow_expected(Margins.of(probabilities, clean, 1))
    low, high = min(values) / 40, max(values) / 40
    assert (low, high) == (0.5, 0.75)
    for rate in (0.1, 0.9):
        with pytest.raises(InputError) as caught:
            PMD(rate=rate).corrupt(clean, n_classes=3, probabilities=probabilities)
        assert str(caught.value) == (
            f"rate={rate}: cannot be reached with these probabilities; between 0.5 and 0.75 can"
        )
    for rate in (0.5, 0.75):
        noisy = PMD(rate=rate).corrupt(clean, n_classes=3, probabilities=probabilities)
        assert noisy.rate == rate


def test_unreachable_rates_are_named_as_they_were_given() -> None:
    """Of 7 examples 0.1 would be one flip, a rate of 0.1429; the message says 0.1."""
    probabilities = np.tile([0.0, 0.7, 0.3], (7, 1))
    with pytest.raises(InputError) as caught:
        PMD(rate=0.1).corrupt(np.zeros(7, dtype=int), n_classes=3, probabilities=probabilities)
    rule = "cannot be reached with these probabilities; between 1 and 1 can"
    assert str(caught.value) == f"rate=0.1: {rule}"
    with pytest.raises(InputError) as caught:
        make_noise("pmd:0.1").corrupt([0] * 7, n_classes=3, probabilities=probabilities, seed=1)
    assert str(caught.value) == f"rate=0.1: {rule}"


def test_unreachable_rates_name_the_class() -> None:
    """Class 1 is always right first; of class 3 half is right in neither."""
    probabilities = probabilities_of([[0.2, 0.5, 0.2, 0.1], [0.1, 0.2, 0.2, 0.5],
                                      [0.4, 0.3, 0.2, 0.1]], 10)  # fmt: skip
    clean = np.repeat([1, 3, 3], 10)
    model = PMD(rate=0.25, per_class=True)
    with pytest.raises(InputError) as caught:
        model.corrupt(clean, n_classes=4, probabilities=probabilities)
    assert str(caught.value) == (
        "rate=0.25: cannot be reached in class 3 with these probabilities; between 0.5 and 1 can"
    )
    assert PMD(rate=0.5, per_class=True).corrupt(
        clean, n_classes=4, probabilities=probabilities
    ).rate_per_class[[1, 3]].tolist() == [0.5, 0.5]  # fmt: skip


@modest
@given(skill=st.floats(0, 4), seed=st.integers(0, 1000), size=st.integers(3, 400))
def test_the_ends_of_the_stated_range_can_be_reached(skill: float, seed: int, size: int) -> None:
    """What the message says can be typed: its digits are rounded inwards."""
    rng = np.random.default_rng(seed)
    clean = rng.integers(4, size=size)
    logits = rng.normal(size=(size, 4)) + skill * np.eye(4)[clean]
    eta = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for rate in (0.0, 1.0):
        try:
            PMD(rate=rate).corrupt(clean, n_classes=4, probabilities=eta)
        except InputError as error:
            ends = [float(end) for end in re.findall(r"[\d.e-]+(?= and| can)", str(error))]
            for end in ends:
                PMD(rate=end).corrupt(clean, n_classes=4, probabilities=eta)
            assert len(ends) == 2 and ends[0] <= ends[1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "rate=None: give either rate or factor, not both"),
        ({"rate": 0.1, "factor": 1.0}, "rate=0.1: give either rate or factor, not both"),
        ({"rate": 0.1, "type": 4}, "type=4: must be 1, 2 or 3"),
        ({"rate": 0.1, "type": "one"}, "type='one': must be 1, 2 or 3"),
        ({"factor": 0.0}, "factor=0.0: must be a positive number"),
        ({"factor": -1.0}, "factor=-1.0: must be a positive number"),
        ({"factor": float("inf")}, "factor=inf: must be a positive number"),
        ({"factor": "big"}, "factor='big': must be a positive number"),
        ({"factor": 1.0, "per_class": True}, "per_class=True: goes with rate, not with factor"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        PMD(**parameters).corrupt([0, 1], probabilities=[[0.6, 0.4], [0.4, 0.6]])
    assert str(caught.value) == message
