"""From the rows of a study to scores: two proportions per example, with errors.

Among the runs that an example was in, n_in, and those that it was out of, n_out::

    inclusion = k_in / n_in,    exclusion = k_out / n_out,    k: runs that predict its given label
    standard error = sqrt(p (1 - p) / (n - 1)),    whose square is unbiased

Runs are independent given the design, so k is binomial given n. In place of "the label was
predicted" (correctness) the mean probability of the label may be taken, which differs less between
runs; its standard error is that of a mean, s / sqrt(n) with the sample deviation s.

Rows are read one after the other and only sums are kept, so memory does not grow with runs. Runs
are taken by number, so the order in which they were made does not matter; the halves are every
other finished run. An example that was never left out has no exclusion probability: NaN. With one
run there is no error: NaN.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError, did_you_mean
from mislabel.memorization.scores import Floats, MemorizationScores
from mislabel.memorization.store import DamagedRow, StudyFolder, unpack

MEASURES = ("correctness", "probability")
PLACES = ("exclusion", "inclusion")


@dataclass(kw_only=True, eq=False)
class Sums:
    """What is kept of the rows: per half of the runs, out or in, and example; all (2, 2, H).

    count: of runs. total, squares: sums of the measured value and of its square.
    """

    count: NDArray[np.int64]
    total: Floats
    squares: Floats

    @classmethod
    def of(cls, rows: Iterable[tuple[NDArray[np.bool_], NDArray[Any]]], n_examples: int) -> "Sums":
        """rows: per run, in order, which examples it trained on and its value of each, (H,)."""
        count, total, squares = np.zeros((3, 2, 2, n_examples))
        for number, (mask, value) in enumerate(rows):
            half = number % 2
            for place, among in enumerate((~mask, mask)):
                measured = np.where(among, value, 0).astype(np.float64)
                count[half, place] += among
                total[half, place] += measured
                squares[half, place] += measured**2
        return cls(count=count.astype(np.int64), total=total, squares=squares)

    def means(self) -> Floats:
        """(2, H) exclusion and inclusion, NaN without runs."""
        return _divided(self.total.sum(axis=0), self.counts())

    def halves(self) -> Floats:
        """(2, 2, H) the same of each half of the runs: half, place, example."""
        return _divided(self.total, self.count)

    def counts(self) -> NDArray[np.int64]:
        """(2, H) runs that each example was out of and in."""
        return np.asarray(self.count.sum(axis=0), dtype=np.int64)

    def errors(self) -> Floats:
        """(2, H) standard errors of the means, NaN with fewer than 2 runs.

        The sample variance of zeros and ones is p (1 - p) n / (n - 1), so one formula serves both
        measures.
        """
        means, count = self.means(), self.counts()
        variance = np.maximum(_divided(self.squares.sum(axis=0), count) - means**2, 0)
        return np.sqrt(_divided(variance, np.where(count > 1, count - 1, 0)))

    def bound(self) -> float:
        """The largest standard error of memorization, by a bound that p = 0 or 1 does not fool.

        After n runs that all agree, sqrt(p (1 - p) / (n - 1)) is 0 however few they were. In its
        place stands the deviation of p given the runs when all p were equally likely before,
        sqrt(q (1 - q) / (n + 3)) with q = (k + 1) / (n + 2): about 1 / n at the ends, the same as
        the standard error in between, and 0.29 without runs.
        """
        count, total = self.counts(), self.total.sum(axis=0)
        likely = (total + 1) / (count + 2)
        spread = np.sqrt(likely * (1 - likely) / (count + 3))
        return float(np.hypot(*spread).max())


def study_scores(
    study: str | Path | StudyFolder, *, measure: str = "correctness"
) -> MemorizationScores:
    """Scores of the held-out set of a study, finished or not.

    measure: "correctness", or "probability" where rows have it. Errors: `InputError`, also where a
    row is damaged: running the study again repairs it.
    """
    folder = study if isinstance(study, StudyFolder) else StudyFolder(study)
    runs, labels = folder.runs(), folder.labels
    if measure not in MEASURES:
        raise InputError("measure", measure, f"unknown choice; {did_you_mean(measure, MEASURES)}")
    if measure == "probability" and folder.keep != "probabilities":
        rule = f"this study keeps {folder.keep}; only probabilities tell"
        raise InputError("measure", measure, rule)
    if not runs:
        raise InputError(folder.argument, str(folder.path), "has no finished run")
    sums = study_sums(folder, runs, measure)
    means, errors, counts, halves = sums.means(), sums.errors(), sums.counts(), sums.halves()
    index = labels.index
    return MemorizationScores(
        index=labels.positions[index],
        labels=labels.labels[index],
        clean_labels=None if labels.clean_labels is None else labels.clean_labels[index],
        inclusion=means[1],
        exclusion=means[0],
        inclusion_error=errors[1],
        exclusion_error=errors[0],
        inclusion_count=counts[1],
        exclusion_count=counts[0],
        inclusion_halves=halves[:, 1],
        exclusion_halves=halves[:, 0],
        n_total=labels.n_total,
        class_names=labels.class_names,
        provenance=_provenance(folder, runs, measure),
    )


def study_sums(folder: StudyFolder, runs: Sequence[int], measure: str = "correctness") -> Sums:
    """Sums over runs in the order of their numbers; `InputError` for a damaged row."""
    index, n_examples = folder.labels.index, len(folder.labels.labels)
    name = "train" if measure == "correctness" else "train_probability"

    def rows() -> Iterable[tuple[NDArray[np.bool_], NDArray[Any]]]:
        for number in sorted(runs):
            row = read_row(folder, number, ("mask", name))
            value = row[name] if measure == "probability" else unpack(row[name], n_examples)
            yield unpack(row["mask"], n_examples)[index] == 1, value[index]

    return Sums.of(rows(), len(index))


def read_row(folder: StudyFolder, number: int, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Arrays of a row; a damaged one is an `InputError`."""
    try:
        return folder.row(number, names)
    except DamagedRow as damage:
        raise _damaged(folder, damage) from damage


def _damaged(folder: StudyFolder, damage: DamagedRow) -> InputError:
    rule = f"{damage}; run the study again to repair it"
    return InputError(folder.argument, str(folder.path), rule)


def _provenance(folder: StudyFolder, runs: Sequence[int], measure: str) -> dict[str, Any]:
    metadata, identity = folder.metadata, folder.identity
    try:
        versions = folder.about(runs[0]).get("versions")
    except DamagedRow as damage:
        raise _damaged(folder, damage) from damage
    return {
        "estimator": "held-out study",
        "title": f"{metadata.get('title', 'study')}, {len(runs):,} runs",
        "measure": measure,
        "runs": len(runs),
        "study": identity,
        **metadata.get("about", {}),
        "versions": versions,
    }


def _divided(totals: NDArray[Any], counts: NDArray[np.int64]) -> Floats:
    """totals / counts, NaN where the count is 0."""
    shares = np.full(np.broadcast_shapes(totals.shape, counts.shape), np.nan)
    np.divide(totals, counts, out=shares, where=counts > 0)
    return shares
