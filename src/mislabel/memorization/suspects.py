"""The examples that matter: wrong-looking labels, memorized or learned.

Two lists. *Memorized*: memorization is above the threshold, so the label is predicted only when
trained on; highest memorization first. *Learned*: inclusion and exclusion probability are both
above it, so the label is predicted even when it was not trained on; the highest of the smaller
probability first. Only wrong-looking labels are listed:

- where clean labels are known, those that differ from them (the learned ones are then the
  "incorrect learned" examples of Lim, Larson & Leach 2025);
- else those that differ from the suggested label;
- with neither, every memorized label, since a low exclusion probability alone is suspicious, and
  no learned one, since nothing speaks against it.

The suggested label is the most frequent among the given labels of the nearest neighbours, or the
likeliest of given class probabilities; with both, of their mean. A tie among neighbours goes to
the class of the nearest.

Pitfall: probabilities of a model that has fitted the labels suggest the given ones.
"""

import csv
import io
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.data import Dataset
from mislabel.errors import InputError
from mislabel.features import nearest_neighbors
from mislabel.labels import check_count
from mislabel.memorization.scores import THRESHOLD, MemorizationScores
from mislabel.words import safe_cell

KINDS = {
    "memorized": "wrong-looking labels that are memorized",
    "learned": "wrong-looking labels that are learned without memorization",
}
FORMAT = 1
_TIE = 1e-6
"Weight of nearness, by which a tie among neighbours is decided."


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """One example.

    kind: a key of `KINDS`. index: its position in the full training set. label, clean_label,
    suggested_label: numbers of classes, the last two None where not known. suggested_share,
    label_share: share of the suggestion's votes (or its probability) for that label and for the
    given one. neighbors, neighbor_labels: positions and given labels of the nearest examples,
    nearest first. The scores are as in `MemorizationScores`, None where not known.
    """

    kind: str
    index: int
    label: int
    clean_label: int | None
    suggested_label: int | None
    suggested_share: float | None
    label_share: float | None
    inclusion: float | None
    inclusion_error: float | None
    exclusion: float | None
    exclusion_error: float | None
    memorization: float | None
    memorization_error: float | None
    neighbors: tuple[int, ...] = ()
    neighbor_labels: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Suspects:
    """What `find_suspects` found.

    examples: memorized ones first, each kind in its order. totals: how many of each kind there
    are, listed or not. judged_by: what makes a label look wrong: "clean labels", "suggested
    labels" or "exclusion".
    """

    examples: tuple[Suspect, ...]
    totals: dict[str, int]
    threshold: float
    judged_by: str
    class_names: tuple[str, ...]
    title: str

    def of(self, kind: str) -> list[Suspect]:
        """The listed examples of a kind, in order."""
        return [suspect for suspect in self.examples if suspect.kind == kind]

    def to_json(self) -> dict[str, Any]:
        """As JSON values; labels are numbers of `class_names`."""
        return {
            "format": FORMAT,
            "scores": self.title,
            "threshold": self.threshold,
            "judged_by": self.judged_by,
            "totals": self.totals,
            "class_names": list(self.class_names),
            "examples": [asdict(suspect) for suspect in self.examples],
        }

    def to_csv(self) -> str:
        """As CSV with class names; no cell can be taken for a formula by a spreadsheet."""
        columns = [entry.name for entry in fields(Suspect)]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        for suspect in self.examples:
            writer.writerow([self._cell(name, getattr(suspect, name)) for name in columns])
        return text.getvalue()

    def _cell(self, name: str, value: Any) -> str:
        if value is None:
            return ""
        if name == "neighbor_labels":
            return safe_cell("|".join(self.class_names[label] for label in value))
        if name.endswith("label"):
            return safe_cell(self.class_names[value])
        if isinstance(value, float):
            return f"{value:.6g}"
        return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def find_suspects(
    scores: MemorizationScores,
    *,
    features: NDArray[np.floating] | None = None,
    labels: NDArray[np.int64] | None = None,
    probabilities: NDArray[np.floating] | None = None,
    neighbors: int = 10,
    threshold: float = THRESHOLD,
    top: int = 50,
) -> Suspects:
    """The wrong-looking labels that are memorized, and those that are learned.

    features: (n_total, d) or a map (n_total, 2) of the full training set, for neighbours.
    labels: (n_total,) its given labels, with which neighbours vote; of scored examples those of
    the scores count. Both or neither. probabilities: (n_total, C). neighbors: voting.
    top: examples listed of each kind. Errors: `InputError`.
    """
    check_count(neighbors, "neighbors")
    check_count(top, "top")
    if not 0 <= threshold < 1:
        raise InputError("threshold", threshold, "must be from 0 to below 1")
    belief = _Belief.of(scores, features, labels, probabilities, neighbors)
    judged_by, wrong = _wrong_looking(scores, belief)
    smaller = np.minimum(scores.inclusion, scores.exclusion)
    chosen = {
        "memorized": (wrong & scores.memorized(threshold), scores.memorization),
        "learned": (wrong & scores.learned(threshold), smaller),
    }
    if judged_by == "exclusion":
        chosen["learned"] = (np.zeros(len(scores), dtype=bool), smaller)
    examples = [
        _suspect(scores, belief, kind, int(place))
        for kind, (mask, rank) in chosen.items()
        for place in _highest(mask, rank, top)
    ]
    return Suspects(
        examples=tuple(examples),
        totals={kind: int(mask.sum()) for kind, (mask, _) in chosen.items()},
        threshold=threshold,
        judged_by=judged_by,
        class_names=scores.class_names,
        title=scores.title,
    )


def vote(
    labels: NDArray[np.int64], neighbors: NDArray[np.int64], n_classes: int
) -> NDArray[np.float64]:
    """(M, C) share of the neighbours (M, k), nearest first, with each label; ties are broken.

    labels: (N,) of all examples. To the shares comes a millionth at most for nearness, so that of
    two equal ones the class with the nearest neighbour is ahead.
    """
    rows, k = neighbors.shape
    weights = 1 + _TIE * 0.5 ** np.arange(1, k + 1)
    flat = (np.arange(rows) * n_classes)[:, None] + labels[neighbors]
    tiled = np.broadcast_to(weights, neighbors.shape).ravel()
    counts = np.bincount(flat.ravel(), weights=tiled, minlength=rows * n_classes)
    return np.asarray(counts.reshape(rows, n_classes) / k)


def on_dataset(scores: MemorizationScores, dataset: Dataset) -> MemorizationScores:
    """The scores of the examples of `dataset`, with its class names; `index` are its rows.

    The scores are of the full training set, or of this subset of it. Error: `InputError`.
    """
    if scores.n_total == dataset.n_train_total != len(dataset):
        scores = scores.select(dataset.train_indices)
        rows = np.searchsorted(dataset.train_indices, scores.index).astype(np.int64)
        scores = replace(scores, index=rows, n_total=len(dataset))
    if scores.n_total != len(dataset):
        rule = f"has {len(dataset):,} training examples; the scores are of {scores.n_total:,}"
        raise InputError("data", dataset.name, rule)
    known = (scores.labels, scores.clean_labels)
    largest = max((int(a.max()) for a in known if a is not None and len(a)), default=0)
    if largest >= dataset.n_classes:
        rule = f"has {dataset.n_classes} classes; the scores have a label {largest}"
        raise InputError("data", dataset.name, rule)
    return replace(scores, class_names=dataset.class_names)


def relabelled(suspects: Suspects, positions: NDArray[np.int64]) -> Suspects:
    """The same with each row of a subset called by its position in the full training set."""
    names = positions.tolist()
    examples = [
        replace(s, index=names[s.index], neighbors=tuple(names[n] for n in s.neighbors))
        for s in suspects.examples
    ]
    return replace(suspects, examples=tuple(examples))


@dataclass(frozen=True, kw_only=True)
class _Belief:
    """What neighbours and probabilities say of the M scored examples.

    shares: (M, C) or None. neighbors: (M, k) positions, or none (M, 0). labels: (n_total,).
    """

    shares: NDArray[np.float64] | None
    neighbors: NDArray[np.int64]
    labels: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        scores: MemorizationScores,
        features: NDArray[np.floating] | None,
        labels: NDArray[np.int64] | None,
        probabilities: NDArray[np.floating] | None,
        k: int,
    ) -> "_Belief":
        if (features is None) != (labels is None):
            raise InputError("features", None, "and labels are needed together, for neighbours")
        for name, rows in (("features", features), ("labels", labels),
                           ("probabilities", probabilities)):  # fmt: skip
            if rows is not None and len(rows) != scores.n_total:
                rule = f"must have one row per training example: {scores.n_total}"
                raise InputError(name, f"{len(rows)} rows", rule)
        n_classes, found = len(scores.class_names), []
        near = np.zeros((len(scores), 0), dtype=np.int64)
        given = np.zeros(scores.n_total, dtype=np.int64) if labels is None else labels.copy()
        given[scores.index] = scores.labels
        if features is not None:
            near = nearest_neighbors(features, min(k, len(features) - 1))[1][scores.index]
            found.append(vote(given, near, n_classes))
        if probabilities is not None:
            if probabilities.shape[1] != n_classes:
                rule = f"must have a column per class: {n_classes}"
                raise InputError("probabilities", f"{probabilities.shape[1]} columns", rule)
            found.append(np.asarray(probabilities[scores.index], dtype=np.float64))
        shares = np.mean(found, axis=0) if found else None
        return cls(shares=shares, neighbors=near, labels=given)


def _wrong_looking(scores: MemorizationScores, belief: _Belief) -> tuple[str, NDArray[np.bool_]]:
    if scores.clean_labels is not None:
        return "clean labels", scores.wrong
    if belief.shares is not None:
        return "suggested labels", np.asarray(belief.shares.argmax(axis=1) != scores.labels)
    return "exclusion", np.ones(len(scores), dtype=bool)


def _highest(mask: NDArray[np.bool_], rank: NDArray[np.float64], top: int) -> NDArray[np.int64]:
    """Places where `mask`, highest `rank` first, at most `top`."""
    places = np.flatnonzero(mask)
    return places[np.argsort(-rank[places], kind="stable")[:top]]


def _suspect(scores: MemorizationScores, belief: _Belief, kind: str, place: int) -> Suspect:
    label = int(scores.labels[place])
    near = tuple(belief.neighbors[place].tolist())
    suggested, shares = None, None
    if belief.shares is not None:
        shares = belief.shares[place]
        suggested = int(shares.argmax())
    measured = ("inclusion", "exclusion", "memorization")
    values = {name: getattr(scores, name)[place] for name in
              (*measured, *(f"{name}_error" for name in measured))}  # fmt: skip
    return Suspect(
        kind=kind,
        index=int(scores.index[place]),
        label=label,
        clean_label=None if scores.clean_labels is None else int(scores.clean_labels[place]),
        suggested_label=suggested,
        suggested_share=_share(shares, suggested),
        label_share=_share(shares, label),
        neighbors=near,
        neighbor_labels=tuple(belief.labels[list(near)].tolist()),
        **{name: float(v) if np.isfinite(v) else None for name, v in values.items()},
    )


def _share(shares: NDArray[np.float64] | None, label: int | None) -> float | None:
    """The share of a label, without what broke ties."""
    return None if shares is None or label is None else round(float(shares[label]), 5)
