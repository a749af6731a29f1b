"""Scores in short: means, flags and reliability per group, and as a table of examples."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from mislabel.errors import InputError
from mislabel.files import write_text
from mislabel.memorization.agreement import SCORES, reliability
from mislabel.memorization.scores import THRESHOLD, Floats, MemorizationScores


def summarise(scores: MemorizationScores, threshold: float = THRESHOLD) -> dict[str, Any]:
    """Counts and means for all, wrong and right labels, as JSON values.

    Of each group: count, mean inclusion, exclusion and memorization over the examples that have
    them, the largest standard error of memorization, how many are learned and memorized at the
    threshold, and the split-half reliability of each score. None is unknown.
    """
    _check(threshold)
    everything = np.ones(len(scores), dtype=bool)
    groups = {"all": everything}
    if scores.clean_labels is not None:
        groups |= {"wrong": scores.wrong, "right": ~scores.wrong}
    known = scores.clean_labels is not None
    return {
        "title": scores.title,
        "threshold": threshold,
        "incorrect_learned": int(scores.incorrect_learned(threshold).sum()) if known else None,
        "groups": {
            name: {
                "count": int(chosen.sum()),
                **{score: _mean(getattr(scores, score)[chosen]) for score in SCORES},
                "largest_error": _largest(scores.memorization_error[chosen]),
                "learned": int(scores.learned(threshold)[chosen].sum()),
                "memorized": int(scores.memorized(threshold)[chosen].sum()),
                **{f"reliability_{score}": reliability(scores, score, chosen) for score in SCORES},
            }
            for name, chosen in groups.items()
        },
    }


def write_csv(scores: MemorizationScores, path: Path, threshold: float = THRESHOLD) -> None:
    """A row per example: index, labels, scores with errors and counts, flags; empty is unknown."""
    _check(threshold)
    columns: dict[str, Any] = {"index": scores.index, "label": scores.labels}
    if scores.clean_labels is not None:
        columns["clean_label"] = scores.clean_labels
    for name in SCORES:
        columns[name] = _text(getattr(scores, name))
        columns[f"{name}_error"] = _text(getattr(scores, f"{name}_error"))
    columns |= {
        "inclusion_count": scores.inclusion_count,
        "exclusion_count": scores.exclusion_count,
        "learned": scores.learned(threshold).astype(int),
        "memorized": scores.memorized(threshold).astype(int),
    }
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    texts = [np.asarray(column).astype(str).tolist() for column in columns.values()]
    writer.writerows(zip(*texts, strict=True))
    write_text(path, text.getvalue())


def _check(threshold: float) -> None:
    if not 0 <= threshold <= 1:
        raise InputError("threshold", threshold, "must be between 0 and 1")


def _text(values: Floats) -> Any:
    return np.where(np.isnan(values), "", np.round(values, 6).astype(str))


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _largest(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.max()) if len(known) else None
