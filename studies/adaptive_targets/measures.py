"""What targets, scores and lists of suspects are measured by, given the clean labels."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

CLIP = 1e-9
BINS = 15


def right(found: Ints, clean: Ints) -> float:
    """Share of labels (N,) that are the clean ones."""
    return float((found == clean).mean())


def log_loss(targets: NDArray[np.float32], clean: Ints) -> float:
    """Mean of minus the log of the clean label's entry of targets (N, C), entries clipped."""
    entries = targets[np.arange(len(clean)), clean].astype(np.float64)
    return float(-np.log(np.maximum(entries, CLIP)).mean())


def reliability(said: NDArray[np.float32], true: Bools) -> list[tuple[int, int, float, float]]:
    """Bin, count, mean of what was said and share that is true, of bins of equal width.

    said: (N,) probabilities from 0 to 1. Empty bins are left out.
    """
    bins = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    sums, hits = (np.bincount(bins, weights=w, minlength=BINS) for w in (said, true))
    return [
        (int(b), int(counts[b]), float(sums[b] / counts[b]), float(hits[b] / counts[b]))
        for b in np.flatnonzero(counts)
    ]


def calibration_error(rows: list[tuple[int, int, float, float]]) -> float:
    """Expected calibration error: mean over examples of how far their bin is off."""
    total = sum(count for _, count, _, _ in rows)
    return sum(count * abs(mean - share) for _, count, mean, share in rows) / total


def suspects(found: Bools, wrong: Bools) -> dict[str, float]:
    """Precision, recall and F1 of the examples found (N,) for those that are wrong (N,)."""
    hits = int((found & wrong).sum())
    n_found, n_wrong = int(found.sum()), int(wrong.sum())
    return {
        "precision": hits / n_found if n_found else 0.0,
        "recall": hits / n_wrong if n_wrong else 0.0,
        "f1": 2 * hits / (n_found + n_wrong) if n_found + n_wrong else 0.0,
    }


def rankings(
    scores: Floats, wrong: Bools, weights: Iterable[Floats]
) -> Iterator[tuple[float, float]]:
    """Area under the ROC curve and average precision, for each row (N,) of weights.

    scores: (N,) high where a label looks wrong; equal scores are taken together.
    """
    order = np.argsort(-scores, kind="stable")
    held = scores[order]
    starts = np.flatnonzero(np.r_[True, held[1:] != held[:-1]])
    hit = wrong[order]
    for row in weights:
        weight = row[order]
        positive = np.add.reduceat(np.where(hit, weight, 0), starts)
        negative = np.add.reduceat(np.where(hit, 0, weight), starts)
        caught, false = positive.cumsum(), negative.cumsum()
        auc = ((caught - positive / 2) * negative).sum() / (caught[-1] * false[-1])
        precision = caught / np.maximum(caught + false, 1e-300)
        yield float(auc), float((precision * positive).sum() / caught[-1])


def f1_of_blocks(found: Bools, wrong: Bools, blocks: Ints, times: NDArray[np.int64]) -> Floats:
    """(R,) F1 where each block (N,) is drawn as often as a row of times (R, B) says."""
    n_blocks = times.shape[1]
    hits, found_in, wrong_in = (
        times @ np.bincount(blocks, weights=w, minlength=n_blocks)
        for w in (found & wrong, found, wrong)
    )
    f1: Floats = 2 * hits / np.maximum(found_in + wrong_in, 1)
    return f1
