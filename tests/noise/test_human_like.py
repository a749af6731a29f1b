"""Human-like noise: each part of a draw against a plain twin or by hand, and its file.

Exact rates, determinism and bad inputs are tested for all kinds in ``test_noise_contract.py``.
"""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mislabel.errors import InputError
from mislabel.features import Neighborhood
from mislabel.noise import make_noise
from mislabel.noise.human_like import (
    CLOSENESS_FLOOR,
    PRESETS,
    HumanLike,
    HumanParameters,
    HumanPlace,
    chances_with_sum,
    draw_targets,
    log_hazard,
    log_target_chances,
    neighbor_count,
    random_field,
    reach_lengths,
)

N, C = 300, 3
LABELS = np.random.default_rng(0).integers(0, C, N)
POINTS = np.random.default_rng(1).normal(size=(N, 2)) + LABELS[:, None]
PLACE = HumanPlace.of(POINTS, LABELS, C)
HUMAN = HumanParameters(
    mixing=0.4,
    loneliness=0.7,
    near_spread=0.0,
    far_spread=0.0,
    target_mixing=0.5,
    target_closeness=0.8,
    class_spread=0.3,
    pair_spread=0.5,
    rate=0.2,
    class_effects=(0.1, -0.3, 0.2),
    pair_effects=((1.0, 2.0, 0.5), (0.25, 1.0, 1.0), (3.0, 1.0, 1.0)),
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# Chances


def plain_neighbors(i: int, k: int) -> list[int]:
    """The k nearest others, by sorting all distances."""
    points = POINTS.astype(np.float32).astype(float).tolist()
    return sorted((j for j in range(N) if j != i), key=lambda j: math.dist(points[i], points[j]))[
        :k
    ]


def test_number_of_neighbors() -> None:
    assert [neighbor_count(*of) for of in ((50_000, 10), (300, 3), (100, 50), (3, 2))] == [
        100, 50, 2, 2,
    ]  # fmt: skip
    assert PLACE.near.neighbors.shape == (N, neighbor_count(N, C))


def test_hazards_against_a_plain_loop() -> None:
    k = neighbor_count(N, C)
    found = log_hazard(HUMAN, PLACE, rng())
    apart = [sorted(math.dist(x, z) for z in POINTS)[30] for x in POINTS]
    for i in range(N):
        others = sum(LABELS[j] != LABELS[i] for j in plain_neighbors(i, k))
        own = [apart[j] for j in range(N) if LABELS[j] == LABELS[i]]
        lonely = (sum(a < apart[i] for a in own) + own.count(apart[i]) / 2) / len(own) - 0.5
        wanted = 0.4 * math.log((others + 1) / (k + 1)) + 0.7 * lonely
        wanted += HUMAN.class_effects[LABELS[i]]
        assert found[i] == pytest.approx(wanted, abs=1e-12)


def test_target_chances_against_a_plain_loop() -> None:
    k = neighbor_count(N, C)
    rows = np.arange(0, N, 7)
    near = [[LABELS[j] for j in plain_neighbors(i, k)] for i in range(N)]
    found = np.exp(log_target_chances(HUMAN, PLACE, rows))
    for row, i in zip(found, rows, strict=True):
        own = LABELS[i]
        for c in range(C):
            of_class = [near[j].count(c) / k for j in range(N) if LABELS[j] == own]
            closeness = sum(of_class) / len(of_class) + CLOSENESS_FLOOR
            wanted = ((near[i].count(c) + 1) / (k + 1)) ** 0.5 * closeness**0.8
            wanted *= HUMAN.pair_effects[own][c]
            assert row[c] == pytest.approx(0 if c == own else wanted, rel=1e-12)


def test_classes_without_examples_have_a_factor_of_their_own() -> None:
    place = HumanPlace.of(POINTS, LABELS, C + 1)
    rows = np.arange(5)
    human = replace(HUMAN, class_effects=(), pair_effects=())
    plain = log_target_chances(human, place, rows)
    more = log_target_chances(replace(human, target_absent=0.7), place, rows)
    np.testing.assert_allclose(more[:, :C], plain[:, :C])
    np.testing.assert_allclose(more[:, C], plain[:, C] + 0.7)


def test_targets_are_drawn_in_proportion() -> None:
    rows = np.full(40_000, 5)
    chances = np.exp(log_target_chances(HUMAN, PLACE, rows[:1]))[0]
    chances /= chances.sum()
    shares = np.bincount(draw_targets(HUMAN, PLACE, rows, rng()), minlength=C) / len(rows)
    assert np.all(np.abs(shares - chances) <= 5 * np.sqrt(chances * (1 - chances) / len(rows)))


def test_chances_with_sum_by_hand() -> None:
    """Two hazards of 1 and two of 2; a factor of ln 2 makes chances of 1/2 and 3/4."""
    hazards = np.log([1.0, 1.0, 2.0, 2.0])
    np.testing.assert_allclose(chances_with_sum(hazards - 100, 2), _two_roots(2), rtol=1e-11)
    hazards = np.log([1.0, 1.0, 2.0, 2.0, 2.0, 2.0])
    np.testing.assert_allclose(chances_with_sum(hazards, 4), [0.5, 0.5, 0.75, 0.75, 0.75, 0.75])


def _two_roots(count: int) -> list[float]:
    """Of 2 (1 - x) + 2 (1 - x^2) = count, with x the chance to stay of the first."""
    x = (-1 + math.sqrt(1 + 4 * (4 - count) / 2)) / 2
    return [1 - x, 1 - x, 1 - x * x, 1 - x * x]


@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0, 1e4])
def test_chances_sum_to_the_count_and_keep_the_order(spread: float) -> None:
    hazards = spread * rng().normal(size=200) - 20
    for count in (0, 1, 40, 199, 200):
        chances = chances_with_sum(hazards, count)
        assert chances.sum() == pytest.approx(count, abs=1e-8)
        assert chances.min() >= 0 and chances.max() <= 1
        assert np.all(np.diff(chances[np.argsort(hazards)]) >= 0)


# Fields


def test_field_has_the_stated_correlation() -> None:
    """Mean 0, variance 1, exp(-distance / length) within a class, 0 between classes.

    Over D draws the mean of g_i g_j is off by at most 5 standard errors, of which each is at most
    sqrt(2 / D): the variance of a product of two such variables is at most 2 (a sum of cosines
    has a fourth moment below 3).
    """
    draws = 3000
    distances = np.array([0.0, 0.3, 1.0, 3.0])
    points = np.zeros((8, 3))
    points[:4, 0] = points[4:, 0] = distances
    labels = np.repeat([0, 1], 4)
    near = Neighborhood.of(points, labels, 2, k=2)
    source = rng()
    fields = np.array([random_field(near, 0.7, source) for _ in range(draws)])
    bound = 5 * math.sqrt(2 / draws)
    assert np.abs(fields.mean(axis=0)).max() <= 5 / math.sqrt(draws)
    products = fields.T @ fields / draws
    apart = np.abs(distances[:, None] - distances)
    assert np.abs(products[:4, :4] - np.exp(-apart / 0.7)).max() <= bound
    assert np.abs(products[4:, 4:] - np.exp(-apart / 0.7)).max() <= bound
    assert np.abs(products[:4, 4:]).max() <= bound


def test_left_over_is_explained_by_nothing() -> None:
    values = rng().normal(size=N) + LABELS + 2 * PLACE.log_mixing - PLACE.isolation
    rest = PLACE.left_over(values)
    means = np.bincount(LABELS, rest) / np.bincount(LABELS)
    np.testing.assert_allclose(means, 0, atol=1e-12)
    for column in (PLACE.log_mixing, PLACE.isolation):
        assert abs(rest @ column) < 1e-9
    design = np.c_[np.eye(C)[LABELS], PLACE.log_mixing, PLACE.isolation]
    wanted = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    np.testing.assert_allclose(rest, wanted, atol=1e-10)


def test_fields_only_add_what_is_left_over() -> None:
    human = replace(HUMAN, near_spread=0.3, far_spread=0.6)
    added = log_hazard(human, PLACE, rng()) - log_hazard(HUMAN, PLACE, rng())
    np.testing.assert_allclose(PLACE.left_over(added), added, atol=1e-12)
    source = rng()
    near, far = reach_lengths(PLACE.near.positions, (0.001, 0.03), source)
    wanted = 0.3 * PLACE.left_over(random_field(PLACE.near, near, source))
    wanted += 0.6 * PLACE.left_over(random_field(PLACE.near, far, source))
    np.testing.assert_allclose(added, wanted, atol=1e-12)


def test_reach_lengths_against_sorted_distances() -> None:
    """With fewer than 1,000 examples all of them count; an offset changes nothing."""
    apart = np.sort(np.linalg.norm(POINTS[:, None] - POINTS, axis=2), axis=1)
    reaches = (0.001, 0.03, 0.5, 1.0)
    wanted = [np.median(apart[:, rank]) for rank in (1, 9, 150, N - 1)]
    np.testing.assert_allclose(reach_lengths(POINTS, reaches, rng()), wanted, rtol=1e-6)
    np.testing.assert_allclose(reach_lengths(POINTS + 1e6, reaches, rng()), wanted, rtol=1e-6)


def test_lengths_are_never_nothing() -> None:
    assert reach_lengths(np.zeros((50, 2)), (0.001, 0.5), rng())[0] > 0
    mostly = np.r_[np.zeros((40, 2)), POINTS[:10]]
    assert reach_lengths(mostly, (0.001, 0.5), rng())[0] > 0


# Draws


def odd_places() -> dict[str, np.ndarray]:
    """Places that are all alike, mostly alike, huge, tiny, and of other dimensions."""
    flat = rng(4).normal(size=(N, 2))
    return {
        "equal": np.full((N, 2), 7.0),
        "mostly equal": np.where(np.arange(N)[:, None] < 250, 0.0, flat),
        "huge": flat * 1e15,
        "tiny": flat * 1e-15,
        "far off": flat + 1e7,
        "1-d": flat[:, :1],
        "3-d": rng(5).normal(size=(N, 3)),
        "64-d": rng(6).normal(size=(N, 64)),
    }


@pytest.mark.parametrize("name", odd_places())
def test_odd_places(name: str) -> None:
    noisy = make_noise("human-like:0.2").corrupt(LABELS, positions=odd_places()[name])
    assert noisy.flipped.sum() == 60


@pytest.mark.parametrize("effects", ["none", "drawn"])
@pytest.mark.parametrize(("n", "c"), [(3, 2), (5, 4), (300, 100), (40, 1000)])
def test_few_examples_and_many_classes(n: int, c: int, effects: str) -> None:
    labels = np.arange(n) % min(n, c)
    model = HUMAN.noise(0.4, effects=effects)
    noisy = model.corrupt(labels, n_classes=c, positions=rng().normal(size=(n, 2)))
    assert noisy.flipped.sum() == math.floor(0.4 * n + 0.5)


@pytest.mark.parametrize("value", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("name", ["mixing", "loneliness", "target_mixing", "near_spread",
                                  "pair_spread", "class_spread"])  # fmt: skip
def test_extreme_parameters(name: str, value: float) -> None:
    human = replace(HUMAN, **{name: abs(value) if name.endswith("spread") else value})
    noisy = human.noise(0.9, effects="drawn").corrupt(LABELS, positions=POINTS)
    assert noisy.flipped.sum() == 270


def test_default_rate_is_that_of_the_people() -> None:
    assert HumanLike().human.rate == pytest.approx(0.17, abs=0.01)
    assert HUMAN.noise().corrupt(LABELS, positions=POINTS).rate == 0.2


def test_fitted_effects_need_their_classes() -> None:
    with pytest.raises(InputError) as caught:
        HUMAN.noise(effects="fitted").corrupt(LABELS, n_classes=4, positions=POINTS)
    assert str(caught.value) == "effects='fitted': were fitted for 3 classes, and there are 4"


def test_effects_none_and_fitted_and_drawn() -> None:
    """Fitted: class 1 never flips. None: it does. Drawn: classes differ from draw to draw."""
    never = replace(HUMAN, class_effects=(0.0, -1e3, 0.0))
    fitted = never.noise(effects="fitted").corrupt(LABELS, positions=POINTS)
    assert fitted.rate_per_class[1] == 0
    assert never.noise().corrupt(LABELS, positions=POINTS).rate_per_class[1] > 0.05
    wide = replace(HUMAN, class_spread=3.0).noise(effects="drawn")
    rates = [wide.corrupt(LABELS, positions=POINTS, seed=s).rate_per_class for s in range(4)]
    assert np.ptp(rates, axis=0).max() > 0.2


def test_unknown_choices() -> None:
    for model, message in (
        (
            HumanLike(effects="fited"),
            "effects='fited': unknown choice; did you mean 'fitted'? Known: drawn, fitted, none",
        ),
        (
            HumanLike(like="nobody"),
            "like='nobody': is neither a file nor one of random_label1, aggre_label, worse_label",
        ),
    ):
        with pytest.raises(InputError) as caught:
            model.corrupt(LABELS, positions=POINTS)
        assert str(caught.value) == message
    with pytest.raises(InputError, match="like='random_label': unknown name; did you mean"):
        HumanParameters.preset("random_label")


# The file


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_of_cifar10(name: str) -> None:
    human = HumanParameters.preset(name)
    assert len(human.class_effects) == len(human.pair_effects) == 10
    assert human.source["n_examples"] == 50_000
    noisy = HumanLike(like=name, effects="drawn").corrupt(LABELS, positions=POINTS)
    assert noisy.rate == pytest.approx(human.rate, abs=0.5 / N)


def test_file_holds_everything(tmp_path: Path) -> None:
    human = replace(HUMAN, errors={"mixing": 0.1}, source={"n_examples": 3})
    human.save(tmp_path / "human.json")
    assert HumanParameters.load(tmp_path / "human.json") == human
    from_file = HumanLike(like=str(tmp_path / "human.json"), effects="fitted")
    at_hand = human.noise(effects="fitted")
    drawn = [m.corrupt(LABELS, positions=POINTS, seed=3) for m in (from_file, at_hand)]
    np.testing.assert_array_equal(drawn[0].labels, drawn[1].labels)
    assert drawn[0].receipt.parameters["like"] == "human.json"
    assert drawn[0].receipt.inputs["parameters"] == drawn[1].receipt.inputs["parameters"]


NOT = "holds no parameters of human-like noise (mislabel realism fit writes them)"
WHOLE = HUMAN.to_json()


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("[]", NOT),
        ("3", NOT),
        ('{"kind": "cluster"}', NOT),
        (WHOLE | {"format": 2}, "has format 2, not 1"),
        (WHOLE | {"mixing": None}, f"{NOT}: mixing is None"),
        (WHOLE | {"mixing": "0.3"}, f"{NOT}: mixing is '0.3'"),
        (WHOLE | {"mixing": True}, f"{NOT}: mixing is True"),
        (WHOLE | {"mixing": math.nan}, "cannot be read as JSON (the number NaN is not finite)"),
        (
            WHOLE | {"loneliness": -math.inf},
            "cannot be read as JSON (the number -Infinity is not finite)",
        ),
        (WHOLE | {"near_spread": -0.1}, f"{NOT}: near_spread is -0.1"),
        (WHOLE | {"rate": 1.5}, f"{NOT}: rate is 1.5"),
        (WHOLE | {"far_reach": 3}, f"{NOT}: far_reach is 3"),
        ({k: v for k, v in WHOLE.items() if k != "rate"}, f"{NOT}: rate is None"),
        (WHOLE | {"errors": None}, f"{NOT}: its errors or its source are none"),
        (WHOLE | {"class_effects": [0.1, 0.2]}, f"{NOT}: its effects fit no classes"),
        (WHOLE | {"class_effects": "many"}, f"{NOT}: its effects fit no classes"),
        (WHOLE | {"class_effects": {}}, f"{NOT}: its effects fit no classes"),
        (WHOLE | {"class_effects": [10**400, 0, 0]}, f"{NOT}: its effects fit no classes"),
        (WHOLE | {"pair_effects": [[1, 2], [1], [1]]}, f"{NOT}: its effects fit no classes"),
        (WHOLE | {"pair_effects": None}, f"{NOT}: its effects fit no classes"),
        (WHOLE | {"pair_effects": [[1, 2, -3]] * 3}, f"{NOT}: its effects are out of range"),
        (
            WHOLE | {"pair_effects": [[1, 2, math.nan]] * 3},
            "cannot be read as JSON (the number NaN is not finite)",
        ),
        (
            WHOLE | {"class_effects": [1, 2, math.inf]},
            "cannot be read as JSON (the number Infinity is not finite)",
        ),
        ("[" * 100_000, "cannot be read as JSON (nested too deep)"),
    ],
)
def test_broken_files(content: Any, rule: str, tmp_path: Path) -> None:
    path = tmp_path / "human.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InputError) as caught:
        HumanLike(like=str(path)).corrupt(LABELS, positions=POINTS)
    assert caught.value.argument == "like" and caught.value.rule == rule


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "huge.json").touch()
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(2**31)
    for name, rule in (("broken.json", "cannot be read"), ("huge.json", "is larger than"),
                       ("none.json", "cannot be read"), ("", "cannot be read")):  # fmt: skip
        with pytest.raises(InputError) as caught:
            HumanParameters.load(tmp_path / name)
        assert rule in caught.value.rule
