"""The fit of human-like noise: its steps against plain twins and by hand; what it recovers."""

import math
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import chi2

from mislabel.errors import InputError
from mislabel.labels import NoisyLabels
from mislabel.noise import make_noise
from mislabel.noise.human_like import HumanParameters
from mislabel.noise.human_like_fit import (
    CLASS_PRIOR,
    FITTED,
    SLOPE_PRIOR,
    PairMoments,
    _jackknife,
    _shrunk,
    fit_exponents,
    fit_hazard,
    fit_human_like,
    fit_pair_effects,
)
from mislabel.noise.rates import members_of_classes


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# The steps


def plain_hazard_loss(at: np.ndarray, flipped, clean, covariates, c, weights) -> float:  # type: ignore[no-untyped-def]
    """Less the logarithm of likelihood times prior, an example at a time."""
    total = 0.0
    for f, y, x, w in zip(flipped, clean, covariates, weights, strict=True):
        hazard = math.exp(at[y] + sum(a * b for a, b in zip(at[c:], x, strict=True)))
        total -= w * (math.log(1 - math.exp(-hazard)) if f else -hazard)
    mean = sum(at[:c]) / c
    total += sum((a - mean) ** 2 for a in at[:c]) / (2 * CLASS_PRIOR**2)
    return float(total + sum(b**2 for b in at[c:]) / (2 * SLOPE_PRIOR**2))


def test_hazard_is_the_best_of_the_plain_likelihood() -> None:
    """One class has no flips, another no examples; weights are not all 1."""
    n, c = 240, 5
    source = rng()
    clean = source.integers(0, 4, n)
    covariates = source.normal(size=(n, 2))
    chances = 1 - np.exp(-np.exp(-1 + 0.3 * clean + covariates @ [0.8, -0.5]))
    flipped = (source.random(n) < chances).astype(float) * (clean != 2)
    weights = source.integers(0, 3, n) / 2
    given = (flipped, clean, covariates, c, weights)
    effects, slopes = fit_hazard(flipped, clean, covariates, c, weights)
    found = np.r_[effects, slopes]
    best = minimize(plain_hazard_loss, np.r_[np.full(c, -1.0), 0, 0], args=given, method="BFGS")
    assert plain_hazard_loss(found, *given) <= best.fun + 1e-9
    np.testing.assert_allclose(found, best.x, atol=1e-3)


def plain_target_loss(at: np.ndarray, covariates, own, targets, weights) -> float:  # type: ignore[no-untyped-def]
    total = float(at @ at) / (2 * SLOPE_PRIOR**2)
    for rows, y, z, w in zip(covariates, own, targets, weights, strict=True):
        others = [float(x @ at) for c, x in enumerate(rows) if c != y]
        total -= w * (float(rows[z] @ at) - math.log(sum(map(math.exp, others))))
    return total


def test_exponents_are_the_best_of_the_plain_likelihood() -> None:
    n, c = 150, 4
    source = rng(1)
    covariates = source.normal(size=(n, c, 2))
    own = source.integers(0, c, n)
    scores = covariates @ [1.0, -0.5] + source.gumbel(size=(n, c))
    scores[np.arange(n), own] = -np.inf
    given = (covariates, own, scores.argmax(axis=1), source.integers(0, 3, n) / 2)
    found = fit_exponents(*given)
    best = minimize(plain_target_loss, np.zeros(2), args=given, method="BFGS")
    assert plain_target_loss(found, *given) <= best.fun + 1e-9
    np.testing.assert_allclose(found, best.x, atol=1e-3)


def test_likelihoods_without_a_top_end_at_the_prior() -> None:
    """Flips that a covariate separates, and one of no information."""
    n = 200
    line = np.linspace(-1, 1, n)
    covariates = np.stack([line, np.zeros(n)], axis=1)
    flipped = (line > 0).astype(float)
    _, slopes = fit_hazard(flipped, np.zeros(n, dtype=int), covariates, 1, np.ones(n))
    assert 5 < slopes[0] < 1000 and slopes[1] == 0
    targets = np.stack([np.zeros((n, 2)), np.ones((n, 2)), -np.ones((n, 2))], axis=1)
    targets[:, :, 1] = 0
    own, taken = np.zeros(n, dtype=int), np.ones(n, dtype=int)
    exponents = fit_exponents(targets, own, taken, np.ones(n))
    assert 1 < exponents[0] < 100 and exponents[1] == 0


def test_pair_effects_by_hand() -> None:
    """Three classes, even chances: of 12 flips of class 0, 11 go to 1; 6 are expected.

    Class 1 sends 4 and 4, class 2 sends 6 and 6, as expected. The variance is, class by class,
    (5^2 - 6 + 5^2 - 6 - 4 - 4 - 6 - 6) / (6^2 + 6^2 + 4^2 + 4^2 + 6^2 + 6^2) = 18 / 176.
    """
    own = np.repeat([0, 0, 1, 1, 2, 2], [11, 1, 4, 4, 6, 6])
    targets = np.repeat([1, 2, 0, 2, 0, 1], [11, 1, 4, 4, 6, 6])
    effects, spread = fit_pair_effects(np.zeros((32, 3)), own, targets)
    assert spread == pytest.approx(math.sqrt(18 / 176))
    np.testing.assert_allclose(effects[[1, 1, 2, 2], [0, 2, 0, 1]], 1, rtol=1e-6)
    np.testing.assert_array_equal(np.diag(effects), 1)
    a, b, extra = *effects[0, 1:], 176 / 18
    for seen, effect in ((11, a), (1, b)):  # of 12 flips a share effect / (a + b) is expected
        assert effect == pytest.approx((seen + extra) / (12 / (a + b) + extra), rel=1e-5)
    assert a > 1 > b


def test_pairs_as_even_as_chance_have_no_effects() -> None:
    own, targets = np.repeat([0, 1, 2], 20), np.tile([1, 2, 0, 2, 0, 1], 10)
    targets = np.r_[np.tile([1, 2], 10), np.tile([0, 2], 10), np.tile([0, 1], 10)]
    effects, spread = fit_pair_effects(np.zeros((60, 3)), own, targets)
    assert spread == 0
    np.testing.assert_array_equal(effects, 1)


def plain_moments(points, clean, anchors, rest, slopes, lengths):  # type: ignore[no-untyped-def]
    """Gram and moment of each anchor by a double loop over pairs of one class."""
    gram, moment = np.zeros((len(anchors), 2, 2)), np.zeros((len(anchors), 2))

    def kernel(i: int, j: int, length: float) -> float:
        return math.exp(-math.dist(points[i], points[j]) / length)

    for row, i in enumerate(anchors):
        members = [j for j in range(len(points)) if clean[j] == clean[i]]
        sample = [a for a in anchors if clean[a] == clean[i]]
        for j in members:
            if j == i:
                continue
            centred = []
            for length in lengths:
                of_i = sum(kernel(i, m, length) for m in members) / len(members)
                of_j = sum(kernel(a, j, length) for a in sample) / len(sample)
                all_ = sum(kernel(a, m, length) for a in sample for m in members)
                of_all = all_ / (len(sample) * len(members))
                centred.append(kernel(i, j, length) - of_i - of_j + of_all)
            both = slopes[i] * slopes[j]
            for f in range(2):
                moment[row, f] += rest[i] * rest[j] * both * centred[f]
                for g in range(2):
                    gram[row, f, g] += both**2 * centred[f] * centred[g]
    return gram, moment


@pytest.mark.parametrize("block", [2**24, 40])
def test_moments_of_pairs_against_a_double_loop(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mislabel.noise.human_like_fit.LARGEST_BLOCK", block)
    n = 24
    source = rng(2)
    points, clean = source.normal(size=(n, 2)), source.integers(0, 3, n)
    rest, slopes = source.normal(size=n), source.random(n)
    anchors, lengths = np.sort(source.permutation(n)[:15]), (0.3, 2.0)
    found = PairMoments.of(points, members_of_classes(clean, 4), anchors, rest, slopes, lengths)
    gram, moment = plain_moments(points.tolist(), clean, anchors, rest, slopes, lengths)
    np.testing.assert_allclose(found.gram, gram, rtol=2e-4, atol=1e-6)  # kernels are float32
    np.testing.assert_allclose(found.moment, moment, rtol=2e-4, atol=1e-6)


def test_spreads_by_hand() -> None:
    """Variances 4 and 1 where the sums say so; a negative one is 0, and the other fits alone."""
    anchors = np.array([0, 2])
    gram = np.array([[[2.0, 1.0], [1.0, 3.0]], [[1.0, 0.0], [0.0, 5.0]]])
    moments = PairMoments(anchors, gram, gram @ [4.0, 1.0])
    np.testing.assert_allclose(moments.spreads(np.ones(3)), [2, 1])
    np.testing.assert_allclose(moments.spreads(np.array([1.0, 9.0, 0.0])), [2, 1])
    negative = PairMoments(anchors, gram, gram @ [4.0, -1.0])
    alone = (3 * 4 - 1) / 3  # the first equation, ((3, 1), (1, 8)) @ (4, -1), without the other
    np.testing.assert_allclose(negative.spreads(np.ones(3)), [math.sqrt(alone), 0])
    assert moments.spreads(np.zeros(3)).tolist() == [0, 0]


def test_jackknife_by_hand() -> None:
    """Of a mean it is the standard error: of 1, 2, 6 it is sqrt(7 / 3)."""
    values = np.array([1.0, 2.0, 6.0])
    left_out = (values.sum() - values) / 2
    assert _jackknife(left_out[:, None])[0] == pytest.approx(math.sqrt(7 / 3))


def test_shrunk_by_hand() -> None:
    """Effects -1, 0, 1 have variance 2/3, of which 1/6 is error: each keeps 3/4."""
    present = np.array([True, True, True, False])
    error = math.sqrt(1 / 6)
    errors = np.array([error, error, error, 9.0])
    effects, spread = _shrunk(np.array([4.0, 5.0, 6.0, 77.0]), errors, present)
    np.testing.assert_allclose(effects, [-0.75, 0, 0.75, 0])
    assert spread == pytest.approx(math.sqrt(0.5))
    effects, spread = _shrunk(np.array([4.0, 5.0, 6.0, 77.0]), np.ones(4), present)
    assert effects.tolist() == [0, 0, 0, 0] and spread == 0


# What is recovered


N, DRAWS = 5000, 5
TRUE = HumanParameters(
    mixing=0.3,
    loneliness=0.5,
    near_spread=0.5,
    far_spread=0.5,
    target_mixing=0.5,
    target_closeness=0.6,
    class_spread=0.3,
    pair_spread=0.0,
    rate=0.2,
    near_reach=0.003,
    far_reach=0.02,
    class_effects=(0.3, -0.1, -0.4, 0.2),
    pair_effects=((1.0,) * 4,) * 4,
)
SHARP = ("mixing", "loneliness", "target_mixing", "target_closeness")
"What is fitted by likelihood, without a bound at 0."


@cache
def places() -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) points of four classes that overlap, and their classes."""
    clean = rng().permutation(np.arange(N) % 4)
    centres = 1.6 * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
    return centres[clean] + rng(1).normal(size=(N, 2)), clean


@cache
def fits(near_spread: float, far_spread: float, draws: int = DRAWS) -> list[HumanParameters]:
    """Fits to several draws from the generator with known parameters."""
    points, clean = places()
    model = replace(TRUE, near_spread=near_spread, far_spread=far_spread)
    noise = model.noise(effects="fitted")
    drawn = [noise.corrupt(clean, positions=points, seed=seed) for seed in range(draws)]
    return [fit_human_like(one, points, reaches=(0.003, 0.02)) for one in drawn]


def values(name: str) -> tuple[np.ndarray, np.ndarray]:
    """(D,) estimates of a parameter and their stated errors."""
    found = fits(0.5, 0.5)
    return np.array([getattr(f, name) for f in found]), np.array([f.errors[name] for f in found])


@pytest.mark.parametrize("name", [*SHARP, "near_spread", "far_spread"])
def test_known_parameters_are_recovered(name: str) -> None:
    """The mean of D estimates is off by at most 4 of its standard errors, as stated."""
    found, errors = values(name)
    assert abs(found.mean() - getattr(TRUE, name)) <= 4 * np.sqrt(np.mean(errors**2) / DRAWS)


def test_known_class_effects_are_recovered() -> None:
    found = np.array([f.class_effects for f in fits(0.5, 0.5)])
    errors = [[f.errors[f"class_effects[{c}]"] for c in range(4)] for f in fits(0.5, 0.5)]
    bound = 4 * np.sqrt(np.mean(np.square(errors), axis=0) / DRAWS)
    assert np.all(np.abs(found.mean(axis=0) - TRUE.class_effects) <= bound)


def test_stated_errors_are_those_of_the_scatter() -> None:
    """Squared deviations over squared errors: about chi-squared with 4 (D - 1) degrees."""
    total = 0.0
    for name in SHARP:
        found, errors = values(name)
        total += np.square(found - found.mean()).sum() / np.mean(errors**2)
    low, high = chi2.ppf([1e-4, 1 - 1e-4], len(SHARP) * (DRAWS - 1))
    assert low <= total <= high


def test_labels_without_fields_show_none() -> None:
    """Less variance is found than a third of what is found where there are fields."""
    with_fields = np.mean([f.near_spread**2 + f.far_spread**2 for f in fits(0.5, 0.5)])
    without = np.mean([f.near_spread**2 + f.far_spread**2 for f in fits(0.0, 0.0, 3)])
    assert without < with_fields / 3


# What the fit is given


def few(n: int = 400, c: int = 4, *, share: float = 0.3) -> tuple[NoisyLabels, np.ndarray]:
    clean = np.arange(n) % 4
    noisy = make_noise(f"symmetric:{share}").corrupt(clean, n_classes=c, seed=1)
    return noisy, rng(3).normal(size=(n, 2))


def test_same_seed_same_parameters() -> None:
    labels, points = few()
    assert fit_human_like(labels, points, seed=4) == fit_human_like(labels, points, seed=4)
    assert fit_human_like(labels, points, seed=4).errors != fit_human_like(labels, points).errors


def test_labels_that_are_not_used_do_not_matter() -> None:
    labels, points = few()
    used = np.arange(400) < 250
    other = np.where(used, labels.labels, (labels.labels + 1) % 4)
    changed = NoisyLabels(other, clean_labels=labels.clean_labels, n_classes=4)
    first, second = (fit_human_like(one, points, used=used) for one in (labels, changed))
    assert replace(first, source={}) == replace(second, source={})
    assert first.rate == labels.flipped[used].mean()
    assert first.source["used"] == 250 and first.source["n_examples"] == 400


def odd_cases() -> dict[str, tuple[NoisyLabels, np.ndarray]]:
    labels, points = few()
    clean = labels.clean_labels
    assert clean is not None
    binary = make_noise("symmetric:0.3").corrupt(np.arange(400) % 2, seed=1)
    deep = NoisyLabels(np.where(points[:, 0] > 0.8, (clean + 1) % 4, clean), clean_labels=clean)
    return {
        "mostly equal places": (labels, np.where(np.arange(400)[:, None] < 350, 0.0, points)),
        "classes far apart": (labels, 0.1 * points + 100 * clean[:, None]),
        "far off": (labels, points + 1e7),
        "huge": (labels, points * 1e15),
        "3-d": (labels, rng(5).normal(size=(400, 3))),
        "64-d": (labels, rng(6).normal(size=(400, 64))),
        "100 classes": few(c=100),
        "two classes": (binary, points),
        "errors in one half only": (deep, points),
        "hardly any right": few(share=0.97),
    }


@pytest.mark.parametrize("name", odd_cases())
def test_odd_cases_have_finite_parameters(name: str, tmp_path: Path) -> None:
    labels, points = odd_cases()[name]
    human = fit_human_like(labels, points)
    assert np.isfinite([getattr(human, one) for one in FITTED]).all()
    assert np.isfinite(list(human.errors.values())).all()
    human.save(tmp_path / "human.json")
    assert HumanParameters.load(tmp_path / "human.json") == human
    again = human.noise(effects="fitted").corrupt(
        labels.clean_labels, n_classes=labels.n_classes, positions=points
    )
    assert again.flipped.sum() == labels.flipped.sum()


def test_what_cannot_be_fitted() -> None:
    labels, points = few()
    clean = labels.clean_labels
    assert clean is not None
    one_right = np.where(np.arange(400) < 399, (clean + 1) % 4, clean)
    lie = "wrong and right labels must lie in more than one place each"
    cases = [
        (NoisyLabels(clean), points, {}, "labels=None: need clean labels to be fitted to"),
        (few(share=0.1)[0], points, {},
         "labels='40 of 400 wrong': at least 50 must be wrong, and some right"),
        (few(share=1)[0], points, {},
         "labels='400 of 400 wrong': at least 50 must be wrong, and some right"),
        (labels, np.zeros((400, 2)), {}, f"positions='120 wrong labels': {lie}"),
        (NoisyLabels(one_right, clean_labels=clean), points, {},
         f"positions='399 wrong labels': {lie}"),
        (labels, points[:-1], {}, "positions='399 rows': must have one row per label: 400"),
        (labels, points[:, 0], {},
         "positions='float64 (400,)': must be a matrix of numbers (N, d)"),
        (labels, np.full((400, 2), np.nan), {}, "positions='row 0': must be finite"),
        (labels, points, {"used": np.zeros(400, bool)},
         "labels='0 of 0 wrong': at least 50 must be wrong, and some right"),
        (labels, points, {"used": np.ones(400)},
         "used='float64 (400,)': must be bool (400,)"),
        (labels, points, {"used": [[True], [True, False]]},
         "used='ragged rows': must have equal lengths"),
    ]  # fmt: skip
    for given, where, options, message in cases:
        with pytest.raises(InputError) as caught:
            fit_human_like(given, where, **options)  # type: ignore[arg-type]
        assert str(caught.value) == message


def test_python_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parents[2] / "docs" / "human-like.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S)
    exec(compile(example, page.name, "exec"), {})  # our own text
    first, second = capsys.readouterr().out.splitlines()
    assert float(first.split()[0]) == 359 / 1797  # 20 % of 1797 is 359 to the nearest
    assert len(second.split()) == 2
