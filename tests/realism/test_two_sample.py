"""The classifier two-sample test: its statistics against plain twins, and its calibration."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom, chi2, norm, t
from sklearn.metrics import roc_auc_score

from mislabel.errors import InputError
from mislabel.features import Neighborhood, load_map
from mislabel.labels import NoisyLabels, load_labels
from mislabel.noise import make_noise
from mislabel.realism import two_sample
from mislabel.realism.block_auc import (
    BlockAUC,
    bootstrap_replicates,
    exchange_replicates,
    group_aucs,
)
from mislabel.realism.discriminators import DISCRIMINATORS, DiscriminatorRecord
from mislabel.realism.two_sample import two_sample_test
from mislabel.registry import Registry

N, C = 3000, 4
CLEAN = np.arange(N) % C
CORNERS = np.array([[0, 0], [2, 0], [0, 2], [2, 2]])
POINTS = np.random.default_rng(0).normal(size=(N, 2)) + CORNERS[CLEAN]
PLACE = Neighborhood.of(POINTS, CLEAN, C)
SEEDS = 20
GENERATORS = ["symmetric:0.2", "pair:0.2", "cluster:n=20,rate=0.2"]


def draw(spec: str, seed: int) -> NoisyLabels:
    return make_noise(spec).corrupt(CLEAN, positions=POINTS, seed=seed)


def fit_linear(
    rows: np.ndarray, from_candidate: np.ndarray, categorical: tuple[int, ...], state: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Least squares on columns, products with the mix, and transitions: quick enough for many."""
    middle, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6

    def expand(rows: np.ndarray) -> np.ndarray:
        scaled = ((rows - middle) / spread).astype(np.float64)
        pairs = (scaled[:, 1:3, None] * scaled[:, None]).reshape(len(rows), -1)
        clean, noisy = (rows[:, c].astype(int) for c in categorical)
        return np.hstack([scaled, pairs, np.eye(36)[6 * clean + noisy]])

    x, y = expand(rows), np.where(from_candidate, 1.0, -1.0)
    weights = np.linalg.solve(x.T @ x + 10 * np.eye(x.shape[1]), x.T @ y)
    return lambda rows: expand(rows) @ weights


@pytest.fixture
def linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """``discriminator="boosting"`` is the linear one."""
    record: DiscriminatorRecord = replace(DISCRIMINATORS["boosting"], fit=fit_linear)
    monkeypatch.setattr(two_sample, "DISCRIMINATORS", Registry("discriminator", [record]))


# The statistics.


def scores_of(case: str, n: int = 60, n_blocks: int = 5) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(3)
    reference, candidate = rng.normal(size=n), rng.normal(size=n) + 0.5
    if case == "ties":
        reference, candidate = reference.round(), candidate.round()
    return reference, candidate, rng.integers(n_blocks, size=n) * 7


def plain_auc(reference: np.ndarray, candidate: np.ndarray) -> float:
    labels = np.r_[np.zeros(len(reference)), np.ones(len(candidate))]
    return float(roc_auc_score(labels, np.r_[reference, candidate]))


def test_auc_by_hand() -> None:
    """Candidate 2, 5 against reference 1, 2: pairs 2>1, 2=2, 5>1, 5>2 are 3.5 of 4."""
    fold = BlockAUC.of(np.array([1.0, 2.0]), np.array([2.0, 5.0]), np.array([0, 1]))
    assert fold.auc == 3.5 / 4
    # exchanged in block 1 (reference 2, candidate 5): candidate 2, 2 against 1, 5
    assert_allclose(fold.exchanged(np.array([[False, True]])), [2 / 4])
    # block 1 twice: candidate 5, 5 against reference 2, 2
    assert_allclose(fold.resampled(np.array([[0, 2]])), [1])


@pytest.mark.parametrize("case", ["plain", "ties"])
def test_replicates_as_the_plain_twin(case: str) -> None:
    reference, candidate, block = scores_of(case)
    fold = BlockAUC.of(reference, candidate, block)
    assert fold.auc == pytest.approx(plain_auc(reference, candidate))
    rng = np.random.default_rng(0)
    numbers = np.unique(block)
    for _ in range(20):
        swapped = rng.random(len(numbers)) < 0.5
        turn = swapped[np.searchsorted(numbers, block)]
        wanted = plain_auc(
            np.where(turn, candidate, reference), np.where(turn, reference, candidate)
        )
        assert fold.exchanged(swapped[None])[0] == pytest.approx(wanted)
        drawn = rng.integers(len(numbers), size=len(numbers))
        rows = np.concatenate([np.flatnonzero(block == numbers[b]) for b in drawn])
        times = np.bincount(drawn, minlength=len(numbers))
        wanted = plain_auc(reference[rows], candidate[rows])
        assert fold.resampled(times[None])[0] == pytest.approx(wanted)


def test_replicates_of_folds() -> None:
    """Exchanges leave 0.5 in the middle, exactly: each draw has an opposite one."""
    folds = [BlockAUC.of(*scores_of("plain", n)) for n in (40, 70)]
    for replicates in (exchange_replicates, bootstrap_replicates):
        one, two = (replicates(folds, 400, np.random.default_rng(5)) for _ in range(2))
        assert_array_equal(one, two)
        middle = 0.5 if replicates is exchange_replicates else np.mean([f.auc for f in folds])
        assert abs(one.mean() - middle) < 4 * one.std() / 20  # 4 standard errors
    every = np.array(np.meshgrid(*[[False, True]] * 5)).reshape(5, -1).T
    assert folds[0].exchanged(every).mean() == pytest.approx(0.5)


@pytest.mark.parametrize("case", ["plain", "ties"])
def test_aucs_of_groups(case: str) -> None:
    reference, candidate, group = scores_of(case)
    group = group // 7
    aucs, pairs = group_aucs(reference, candidate, group, 6)
    for g in range(5):
        own = group == g
        assert aucs[g] == pytest.approx(plain_auc(reference[own], candidate[own]))
        assert pairs[g] == own.sum() ** 2
    assert np.isnan(aucs[5]) and pairs[5] == 0


# The test as a whole.


def test_the_same_by_the_plain_way(linear: None) -> None:
    """Folds, trainings and AUCs anew, with scikit-learn's AUC, class by class too."""
    from mislabel.realism.blocks import make_folds
    from mislabel.realism.context import noise_context
    from mislabel.seeds import child_state

    one, two = draw("symmetric:0.2", 0), draw("cluster:n=20,rate=0.2", 1)
    found = two_sample_test(one, two, POINTS, seed=4)
    folds = make_folds(PLACE, seed=4)
    contexts = [noise_context(x.labels, PLACE, block=folds.block) for x in (one, two)]
    (a, b), columns = (c.values for c in contexts), contexts[0].categorical
    aucs, of_class, weights = [], [], []
    for fold in range(5):
        train, test, _ = folds.split(fold)
        state = child_state(4, "discriminator", str(fold))
        y = np.repeat([False, True], train.sum())
        score = fit_linear(np.vstack([a[train], b[train]]), y, columns, state)
        s, r, clean = score(a[test]), score(b[test]), CLEAN[test]
        aucs.append(plain_auc(s, r))
        of_class.append([plain_auc(s[clean == c], r[clean == c]) for c in range(C)])
        weights.append([(clean == c).sum() ** 2 for c in range(C)])
    assert_allclose(found.fold_aucs, aucs)
    assert found.auc == pytest.approx(np.mean(aucs))
    assert_allclose(found.auc_per_class, np.average(of_class, axis=0, weights=weights))
    assert found.p_value < 0.05 and found.told_apart
    assert sum(found.n_dropped) > 0 and found.n_blocks == 25
    assert "can be told" in found.verdict and "cannot" not in found.verdict


def test_same_seed_same_result(linear: None) -> None:
    one, two = draw("symmetric:0.2", 0), draw("symmetric:0.2", 1)
    first, again, other = (
        two_sample_test(one, two, where, seed=seed, importance=True).to_json()
        for where, seed in ((POINTS, 1), (PLACE, 1), (PLACE, 2))
    )
    assert first == again and first["auc"] != other["auc"]
    assert json.loads(json.dumps(first, allow_nan=False)) == first


def test_nothing_but_the_labels_themselves() -> None:
    """A set against itself: every score is tied."""
    labels = draw("symmetric:0.2", 0)
    found = two_sample_test(labels, labels, PLACE)
    assert found.auc == 0.5 and found.p_value == 1.0
    assert_allclose(found.interval, (0.5, 0.5))
    assert "cannot tell" in found.verdict


@pytest.mark.parametrize("name", DISCRIMINATORS.names)
def test_each_discriminator_tells_what_is_far_apart(name: str) -> None:
    n = 1200
    clean, points = CLEAN[:n], POINTS[:n]
    one, two = (
        make_noise(spec).corrupt(clean, positions=points, seed=1)
        for spec in ("symmetric:0.3", "cluster:n=3,rate=0.3")
    )
    found = two_sample_test(one, two, points, discriminator=name, n_folds=2, n_blocks=16)
    assert found.auc > 0.8 and found.told_apart and found.discriminator == name


def test_importance_names_what_differs(linear: None) -> None:
    found = two_sample_test(
        draw("symmetric:0.2", 0), draw("cluster:n=5,rate=0.2", 1), PLACE, importance=True
    )
    assert found.importance is not None
    assert set(found.importance) == {
        "clean class", "class mix", "own label", "flips nearby", "same label nearby",
    }  # fmt: skip
    drops = [value.drop for value in found.importance.values()]
    assert drops == sorted(drops, reverse=True) and drops[0] > 0.05
    assert next(iter(found.importance)) in ("flips nearby", "same label nearby")
    assert all(value.standard_error > 0 for value in found.importance.values())
    assert found.importance["clean class"].drop < 0.05


def test_thinned_to_the_rate_of_the_reference(linear: None) -> None:
    one, two = draw("symmetric:0.2", 0), draw("symmetric:0.3", 1)
    found = two_sample_test(one, two, PLACE)
    assert (found.reference_rate, found.candidate_rate) == (0.2, 0.3)
    assert found.n_thinned == N // 10
    thinned = two_sample._thinned(one, two, 0)
    assert (thinned != CLEAN).sum() == one.flipped.sum()
    changed = thinned != two.labels
    assert_array_equal(thinned[changed], CLEAN[changed])


def test_refit_exchanges_and_trains_anew(linear: None) -> None:
    calls: list[tuple[int, int]] = []
    one, two = draw("symmetric:0.2", 0), draw("cluster:n=20,rate=0.2", 1)
    found = two_sample_test(
        one, two, PLACE, n_permutations=19, refit=True, progress=lambda *c: calls.append(c)
    )
    assert found.p_value == 1 / 20 and found.p_method == "refit"
    assert calls[-1] == (100, 100) and calls[4] == (5, 100)


def test_class_without_examples(linear: None) -> None:
    one, two = (
        NoisyLabels(x.labels, clean_labels=CLEAN, n_classes=6)
        for x in (draw("symmetric:0.2", 0), draw("pair:0.2", 0))
    )
    found = two_sample_test(one, two, POINTS)
    assert_array_equal(np.isnan(found.auc_per_class), [False] * 4 + [True] * 2)
    assert found.to_json()["auc_per_class"][4:] == [None, None]


ONE = NoisyLabels(np.r_[1, CLEAN[1:]], clean_labels=CLEAN)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": NoisyLabels(CLEAN)}, "reference='unknown': its clean labels must be known"),
        (
            {"candidate": ONE.take(np.arange(100))},
            "candidate='100 labels': must be as many as of the reference: 3000",
        ),
        (
            {"candidate": NoisyLabels(CLEAN, clean_labels=np.r_[1, CLEAN[1:]])},
            "candidate='1 different clean labels': "
            "must have the same clean labels as the reference",
        ),
        (
            {"reference": NoisyLabels(CLEAN, clean_labels=CLEAN)},
            "reference=0.0: needs at least one flipped label",
        ),
        (
            {"candidate": NoisyLabels(CLEAN, clean_labels=CLEAN)},
            "candidate='rate 0.0000': is below the reference's rate 0.0003; draw it at that rate",
        ),
        ({"positions": POINTS[:5]}, "positions='5 rows': must have one row per label: 3000"),
        (
            {"positions": Neighborhood.of(POINTS, (CLEAN + 1) % C, C)},
            "positions='neighbourhood of 3000': must be those of the reference's clean labels",
        ),
        (
            {"discriminator": "bosting"},
            "discriminator='bosting': unknown name; did you mean 'boosting'? "
            "Known: boosting, strong",
        ),
        ({"n_permutations": 0}, "n_permutations=0: must be a whole number of at least 1"),
        ({"level": 95}, "level=95: must be above 0 and below 1"),
        ({"seed": -1}, "seed=-1: must be a whole number from 0 to 2**63 - 1"),
        (
            {"n_blocks": 4, "n_folds": 2, "buffer": 1500,
             "positions": Neighborhood.of(POINTS, CLEAN, C, k=1500)},
            "buffer=1500: leaves nothing to train on without fold 0; take a smaller one",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    given = {"reference": ONE, "candidate": ONE, "positions": PLACE, **changes}
    with pytest.raises(InputError) as caught:
        two_sample_test(**given)
    assert str(caught.value) == message


# Calibration: two draws of one generator, of which the truth is 0.5.


def check_calibration(spec: str) -> None:
    """Each bound is passed by a calibrated test in all but one of a thousand cases.

    The mean is bounded above only: two draws at exactly one rate get a little less than 0.5, since
    what is more in the training blocks is less in the held-out ones (see `two_sample`).
    """
    found = [
        two_sample_test(draw(spec, 2 * s), draw(spec, 2 * s + 1), PLACE, seed=s)
        for s in range(SEEDS)
    ]
    missed = sum(not r.interval[0] <= 0.5 <= r.interval[1] for r in found)
    assert missed <= binom.ppf(0.999, SEEDS, 0.05)
    assert sum(r.p_value <= 0.05 for r in found) <= binom.ppf(0.999, SEEDS, 0.05)
    aucs = np.array([r.auc for r in found])
    error = aucs.std(ddof=1) / np.sqrt(SEEDS)
    assert aucs.mean() - 0.5 < t.ppf(0.999, SEEDS - 1) * error


@pytest.mark.parametrize("spec", GENERATORS)
def test_calibration(linear: None, spec: str) -> None:
    check_calibration(spec)


@pytest.mark.slow
@pytest.mark.parametrize("spec", GENERATORS)
def test_calibration_of_boosting(spec: str) -> None:
    check_calibration(spec)


def independent_flips(seed: int) -> NoisyLabels:
    """Flips that know nothing of each other, not even how many there are to be."""
    hit = np.random.default_rng([7, seed]).random(N) < 0.2
    return NoisyLabels(np.where(hit, (CLEAN + 1) % C, CLEAN), clean_labels=CLEAN, n_classes=C)


def test_unbiased_where_flips_are_independent(
    linear: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the mean is bounded on both sides; and fixed scores show half the variance."""
    monkeypatch.setattr(two_sample, "_thinned", lambda reference, candidate, seed: candidate.labels)
    count = 2 * SEEDS
    found = [
        two_sample_test(independent_flips(2 * s), independent_flips(2 * s + 1), PLACE, seed=s)
        for s in range(count)
    ]
    aucs = np.array([r.auc for r in found])
    error = aucs.std(ddof=1) / np.sqrt(count)
    assert abs(aucs.mean() - 0.5) < t.ppf(0.9995, count - 1) * error
    squares = [((r.interval[1] - r.interval[0]) / (2 * norm.ppf(0.975))) ** 2 for r in found]
    ratio = (count - 1) * aucs.var(ddof=1) / np.mean(squares)
    assert chi2.ppf(0.0005, count - 1) < ratio < chi2.ppf(0.9995, count - 1)


@pytest.fixture(scope="module")
def human(data_folder: Path) -> tuple[NoisyLabels, Neighborhood]:
    """CIFAR-10N `random_label1`, and its place on the published map."""
    labels = load_labels(data_folder / "cifar-n" / "CIFAR-10_human.pt", column="random_label1")
    positions = load_map(data_folder / "cifar10" / "clip_tsne_train.parquet")
    assert labels.clean_labels is not None
    return labels, Neighborhood.of(positions, labels.clean_labels, 10, k=300)


@pytest.mark.data
@pytest.mark.slow
def test_the_first_table(human: tuple[NoisyLabels, Neighborhood], data_folder: Path) -> None:
    """Other people are not told apart, generators are: AUCs within the intervals of the page."""
    labels, place = human
    file = data_folder / "cifar-n" / "CIFAR-10_human.pt"
    others = load_labels(file, column="random_label3")
    assert not two_sample_test(labels, others, place).told_apart
    for spec, low, high in (
        ("class-dependent:like=random_label1,rate=0.1724", 0.69, 0.765),
        ("symmetric:0.1724", 0.76, 0.836),
        ("cluster:n=57,rate=0.1724", 0.965, 0.977),
    ):
        drawn = make_noise(spec).corrupt(place.clean_labels, positions=place.positions, seed=1)
        assert low < two_sample_test(labels, drawn, place).auc < high


@pytest.mark.data
@pytest.mark.slow
def test_strong_notices_more(human: tuple[NoisyLabels, Neighborhood]) -> None:
    """Of a fifth of the flips the targets are drawn anew, each of the other nine as likely."""
    labels, place = human
    rng = np.random.default_rng(0)
    flips = np.flatnonzero(labels.flipped)
    chosen = rng.choice(flips, len(flips) // 5, replace=False)
    shifted = labels.labels.copy()
    shifted[chosen] = (place.clean_labels[chosen] + rng.integers(1, 10, len(chosen))) % 10
    candidate = NoisyLabels(shifted, clean_labels=place.clean_labels)
    standard, strong = (
        two_sample_test(labels, candidate, place, discriminator=name)
        for name in DISCRIMINATORS.names
    )
    assert standard.told_apart and strong.told_apart
    assert strong.interval[0] > standard.interval[1]
