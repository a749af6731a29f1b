"""The classifier two-sample test: can a classifier tell a candidate noise from a reference?

Every example is described twice by its noise context (`mislabel.realism.context`), once under the
reference labels and once under the candidate's, at the same rate. A discriminator learns on some
blocks of the data which is which, and its scores on held-out blocks are compared: the AUC is how
often a context of the candidate scores above one of the reference, 0.5 when they cannot be told
apart. Source: Lopez-Paz & Oquab, "Revisiting classifier two-sample tests", ICLR 2017.

Blocks, not examples, are what is drawn at random: whole blocks are resampled for the interval, and
whole blocks exchange reference and candidate for the p-value. Both take the scores as they are.

Pitfall: folds are not independent. Let ``s_b = 1`` or ``-1`` say which way round block b is. To
first order the AUC is a sum over pairs of blocks in different folds, ``s_a s_b k(a, b)``, and each
pair counts twice: once when a is trained on and b held out, and once the other way round. Holding
the scores fixed sees the two as independent, which gives ``2 k^2`` where it is ``(2 k)^2``: half
the variance. So all deviations are stretched by the square root of 2 (`DEPENDENCE`). Nadeau &
Bengio, "Inference for the generalization error", 2003, correct the cross-validated error in the
same way. The p-value by `refit` trains anew for every exchange and needs no such factor.

Pitfall: of two draws with exactly as many flips, what one has more of in the training blocks it has
less of in the held-out ones. Two draws of one generator then get an AUC slightly below 0.5, which
makes the test cautious; on 50,000 examples it is less than 0.01.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.errors import InputError
from mislabel.features.neighborhood import Neighborhood
from mislabel.files import hash_array
from mislabel.labels import NoisyLabels
from mislabel.realism.block_auc import (
    BlockAUC,
    bootstrap_replicates,
    exchange_replicates,
    group_aucs,
)
from mislabel.realism.blocks import Folds, make_folds
from mislabel.realism.context import Context, label_context, place_context
from mislabel.realism.discriminators import DISCRIMINATORS, DiscriminatorRecord, Scorer
from mislabel.realism.two_sample_result import Importance, TwoSampleResult
from mislabel.seeds import check_seed, child_state, generator
from mislabel.versions import library_versions

DEPENDENCE = 2**0.5
"What deviations with fixed scores are stretched by; see the module."
BOOTSTRAP = 1999
FloatArray = NDArray[np.float64]
Progress = Callable[[int, int], None]
"Called with the number of trainings done, and of all."


def two_sample_test(
    reference: NoisyLabels,
    candidate: NoisyLabels,
    positions: ArrayLike | Neighborhood,
    *,
    discriminator: str = "boosting",
    n_blocks: int | None = None,
    n_folds: int = 5,
    buffer: int = 30,
    n_permutations: int = 999,
    refit: bool = False,
    importance: bool = False,
    level: float = 0.95,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> TwoSampleResult:
    """Whether `candidate` can be told from `reference`; see the module.

    reference, candidate: N labels with the same clean labels. A candidate with more flips than the
    reference is thinned: flips are set back at random until it has as many.
    positions: (N, d) a map or an embedding, or its `Neighborhood` where several tests share it.
    discriminator: a name in `DISCRIMINATORS`.
    n_blocks: by default one per 300 examples, at most 150, at least 5 per fold. buffer: training
    examples with any held-out one among so many nearest neighbours are dropped.
    n_permutations: exchanges of blocks for the p-value. refit: train anew for each of them, which
    takes n_permutations times as long.
    importance: also how much the AUC drops when a group of columns is shuffled.
    level: of the interval. progress: told how many trainings are done.

    Errors: `InputError` for labels that do not fit together, a candidate with fewer flips than the
    reference, a reference without flips, and settings that leave nothing to train on.
    """
    record = DISCRIMINATORS[discriminator]
    _check_numbers(n_permutations, level)
    place = _check_place(reference, candidate, positions, record)
    thinned = _thinned(reference, candidate, check_seed(seed))
    folds = make_folds(place, n_blocks=n_blocks, n_folds=n_folds, buffer=buffer, seed=seed)
    both = _contexts((reference.labels, thinned), place, folds, record)
    trial = _Trial(both, folds, record, seed)
    total = n_folds * (1 + n_permutations * refit)
    held = trial.run(importance=importance, progress=lambda done: progress(done, total))
    aucs = [fold.by_blocks(folds) for fold in held]
    auc = float(np.mean([fold.auc for fold in aucs]))
    rng = generator(seed, "permutations")
    if refit:
        null = np.empty(n_permutations)
        for i in range(n_permutations):
            swapped = rng.random(folds.n_blocks) < 0.5
            null[i] = trial.refitted(swapped)
            progress(n_folds * (2 + i), total)
    else:
        null = 0.5 + DEPENDENCE * (exchange_replicates(aucs, n_permutations, rng) - 0.5)
    return TwoSampleResult(
        auc=auc,
        interval=_interval(aucs, level, generator(seed, "bootstrap")),
        level=level,
        p_value=float((1 + (null >= auc - 1e-12).sum()) / (1 + n_permutations)),
        p_method="refit" if refit else "exchange",
        n_permutations=n_permutations,
        fold_aucs=tuple(fold.auc for fold in aucs),
        auc_per_class=_per_class(held, folds, place),
        importance=_importances(held) if importance else None,
        n_examples=len(place),
        n_blocks=folds.n_blocks,
        n_folds=n_folds,
        buffer=buffer,
        n_dropped=tuple(fold.n_dropped for fold in held),
        reference_rate=reference.rate,
        candidate_rate=candidate.rate,
        n_thinned=int((thinned != candidate.labels).sum()),
        discriminator=record.name,
        seed=seed,
        versions=library_versions("numpy", "scikit-learn"),
        inputs={
            "reference": hash_array(reference.labels),
            "candidate": hash_array(candidate.labels),
            "clean_labels": hash_array(place.clean_labels),
            "positions": hash_array(place.positions, as_type=np.float64),
        },
    )


@dataclass(frozen=True)
class _HeldOut:
    """What a fold gave. examples: (n,) indices. scores: (2, n) reference, candidate.
    drops: of the AUC, by the group of columns that was shuffled."""

    examples: NDArray[np.int64]
    scores: FloatArray
    n_dropped: int
    drops: dict[str, float]

    def by_blocks(self, folds: Folds) -> BlockAUC:
        """The scores summed by pairs of blocks."""
        reference, candidate = self.scores
        return BlockAUC.of(reference, candidate, folds.block[self.examples])


@dataclass(frozen=True)
class _Trial:
    """The trainings of one test. both: (2N, F) contexts, reference above candidate."""

    both: Context
    folds: Folds
    record: DiscriminatorRecord
    seed: int

    def run(self, *, importance: bool, progress: Callable[[int], None]) -> list[_HeldOut]:
        """Train and score each fold."""
        found = []
        unchanged = np.zeros(self.folds.n_blocks, dtype=bool)
        for fold in range(self.folds.n_folds):
            scorer, held_out, dropped = self._train(fold, unchanged)
            rows = self.both.values[np.r_[held_out, held_out]]
            scores = scorer(rows).reshape(2, -1)
            rng = generator(self.seed, "importance", str(fold))
            drops = _drops(scorer, rows, scores, self.both, rng) if importance else {}
            found.append(_HeldOut(np.flatnonzero(held_out), scores, dropped, drops))
            progress(fold + 1)
        return found

    def refitted(self, swapped: NDArray[np.bool_]) -> float:
        """The mean AUC when all is done with reference and candidate exchanged in some blocks."""
        aucs = []
        for fold in range(self.folds.n_folds):
            scorer, held_out, _ = self._train(fold, swapped)
            scores = scorer(self.both.values[np.r_[held_out, held_out]]).reshape(2, -1)
            turned = np.where(swapped[self.folds.block[held_out]], scores[::-1], scores)
            aucs.append(_auc(*turned))
        return float(np.mean(aucs))

    def _train(
        self, fold: int, swapped: NDArray[np.bool_]
    ) -> tuple[Scorer, NDArray[np.bool_], int]:
        """A scorer trained without a fold, which examples are held out, and how many dropped."""
        train, held_out, dropped = self.folds.split(fold)
        if not train.any():
            rule = f"leaves nothing to train on without fold {fold}; take a smaller one"
            raise InputError("buffer", self.folds.buffer, rule)
        turned = swapped[self.folds.block[train]]
        rows = self.both.values[np.r_[train, train]]
        state = child_state(self.seed, "discriminator", str(fold))
        scorer = self.record.fit(rows, np.r_[turned, ~turned], self.both.categorical, state)
        return scorer, held_out, dropped


def _contexts(
    sets: tuple[NDArray[np.int64], NDArray[np.int64]],
    place: Neighborhood,
    folds: Folds,
    record: DiscriminatorRecord,
) -> Context:
    """(2N, F) contexts under the first labels, then under the second."""
    there = place_context(place, rich=record.rich)
    one, two = (
        there.beside(label_context(labels, place, block=folds.block, rich=record.rich))
        for labels in sets
    )
    return one.above(two)


def _drops(
    scorer: Scorer,
    rows: NDArray[np.float32],
    scores: FloatArray,
    both: Context,
    rng: np.random.Generator,
) -> dict[str, float]:
    """How much the AUC drops when the columns of a group are shuffled jointly among the rows."""
    whole = _auc(*scores)
    drops = {}
    for group, columns in both.groups.items():
        shuffled = rows.copy()
        shuffled[:, columns] = rows[rng.permutation(len(rows))][:, columns]
        drops[group] = whole - _auc(*scorer(shuffled).reshape(2, -1))
    return drops


def _auc(reference: FloatArray, candidate: FloatArray) -> float:
    """How often a score of the candidate is above one of the reference, ties half."""
    aucs, _ = group_aucs(reference, candidate, np.zeros(len(reference), dtype=np.int64), 1)
    return float(aucs[0])


def _importances(held: list[_HeldOut]) -> dict[str, Importance]:
    """Mean and standard error over folds, largest first."""
    found = {}
    for group in held[0].drops:
        drops = np.array([fold.drops[group] for fold in held])
        error = float(drops.std(ddof=1) / np.sqrt(len(drops)))
        found[group] = Importance(drop=float(drops.mean()), standard_error=error)
    return dict(sorted(found.items(), key=lambda item: -item[1].drop))


def _interval(aucs: list[BlockAUC], level: float, rng: np.random.Generator) -> tuple[float, float]:
    """By bootstrap over the blocks of each fold, stretched for what fixed scores do not show.

    A bootstrap over B blocks has (B - 1) / B of the variance; that is made good too.
    """
    auc = float(np.mean([fold.auc for fold in aucs]))
    fewest = min(len(fold.sizes) for fold in aucs)
    stretch = DEPENDENCE * (fewest / (fewest - 1)) ** 0.5
    drawn = bootstrap_replicates(aucs, BOOTSTRAP, rng)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return max(0.0, auc + stretch * (low - auc)), min(1.0, auc + stretch * (high - auc))


def _per_class(held: list[_HeldOut], folds: Folds, place: Neighborhood) -> FloatArray:
    """(C,) the AUC among pairs of one clean class and fold; NaN for a class without examples."""
    n_classes = place.n_classes
    examples = np.concatenate([fold.examples for fold in held])
    scores = np.hstack([fold.scores for fold in held])
    group = folds.fold[examples] * n_classes + place.clean_labels[examples]
    aucs, pairs = group_aucs(scores[0], scores[1], group, folds.n_folds * n_classes)
    wins = np.where(pairs > 0, aucs * pairs, 0).reshape(-1, n_classes).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(wins / pairs.reshape(-1, n_classes).sum(axis=0))


def _thinned(reference: NoisyLabels, candidate: NoisyLabels, seed: int) -> NDArray[np.int64]:
    """(N,) the candidate's labels with as many flips as the reference has."""
    wanted, flips = int(reference.flipped.sum()), np.flatnonzero(candidate.flipped)
    if wanted == 0:
        raise InputError("reference", reference.rate, "needs at least one flipped label")
    if len(flips) < wanted:
        rule = f"is below the reference's rate {reference.rate:.4f}; draw it at that rate"
        raise InputError("candidate", f"rate {candidate.rate:.4f}", rule)
    back = generator(seed, "thinning").choice(flips, len(flips) - wanted, replace=False)
    labels = candidate.labels.copy()
    labels[back] = _clean_of(candidate)[back]
    return labels


def _clean_of(labels: NoisyLabels) -> NDArray[np.int64]:
    assert labels.clean_labels is not None
    return labels.clean_labels


def _check_place(
    reference: NoisyLabels,
    candidate: NoisyLabels,
    positions: ArrayLike | Neighborhood,
    record: DiscriminatorRecord,
) -> Neighborhood:
    """Neighbours of examples whose clean labels both sets share."""
    from mislabel.noise.base import check_points

    for name, labels in (("reference", reference), ("candidate", candidate)):
        if labels.clean_labels is None:
            raise InputError(name, labels.receipt.generator, "its clean labels must be known")
    clean = _clean_of(reference)
    if len(candidate) != len(clean):
        rule = f"must be as many as of the reference: {len(clean)}"
        raise InputError("candidate", f"{len(candidate)} labels", rule)
    differ = int((clean != _clean_of(candidate)).sum())
    if differ:
        rule = "must have the same clean labels as the reference"
        raise InputError("candidate", f"{differ} different clean labels", rule)
    n_classes = max(reference.n_classes, candidate.n_classes)
    if not isinstance(positions, Neighborhood):
        points = check_points(positions, "positions", len(clean))
        return Neighborhood.of(points, clean, n_classes, k=record.neighbors)
    if not np.array_equal(positions.clean_labels, clean) or positions.n_classes < n_classes:
        rule = "must be those of the reference's clean labels"
        raise InputError("positions", f"neighbourhood of {len(positions)}", rule)
    return positions


def _check_numbers(n_permutations: int, level: float) -> None:
    whole = isinstance(n_permutations, int | np.integer) and not isinstance(n_permutations, bool)
    if not whole or n_permutations < 1:
        raise InputError("n_permutations", n_permutations, "must be a whole number of at least 1")
    if not isinstance(level, float) or not 0 < level < 1:
        raise InputError("level", level, "must be above 0 and below 1")
