"""Cleaned labels: corrected labels, soft targets and noise scores, with a receipt.

`clean_labels` asks `mislabel.cleaning.adaptive` and keeps what a reader needs: ::

    cleaned = clean_labels(labels, features)
    cleaned.corrected_labels, cleaned.targets, cleaned.noise_scores
    cleaned.save("cleaned.csv")  # and cleaned.csv.receipt.json
    load_cleaned("cleaned.csv")

Pitfall: where `CleanedLabels.determined` is False nothing is corrected, and `CleanedLabels.warning`
says so; soft targets are then a broad vote, and their noise scores are not to be used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.cleaning import adaptive
from mislabel.cleaning.adaptive import (
    STABLE,
    AdaptiveTargets,
    FloatArray,
    IntArray,
    Progress,
    adaptive_targets,
    neighbors_needed,
    undetermined_text,
)
from mislabel.errors import InputError
from mislabel.files import hash_array
from mislabel.labels import NoisyLabels
from mislabel.versions import library_versions

GENERATOR = "adaptive-targets"
ADVICE = "try features in which alike examples are nearer to each other, or verify some labels"
"Where labels do not determine the classes."


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How good cleaning was, known since clean labels are given. Shares from 0 to 1.

    given_accuracy, corrected_accuracy: labels that are right. precision: changed labels that were
    wrong; recall: wrong labels that were changed. auc: chance that a wrong label has a higher noise
    score than a right one. log_loss: of the targets, in nats. None where nothing was changed, no
    label is wrong, or all are.
    """

    given_accuracy: float
    corrected_accuracy: float
    precision: float | None
    recall: float | None
    auc: float | None
    log_loss: float


@dataclass(frozen=True, kw_only=True, eq=False)
class CleanedLabels:
    """What cleaning N labels of C classes gave.

    labels: (N,) as given. corrected_labels: (N,). targets: (N, C) class probabilities, rows sum to
    1. clean_labels: (N,) or None where they are not known. class_names: C of them.
    determined, stability: whether the labels determine the classes; see `AdaptiveTargets`.
    patch_rate, scattered_rate: see `AdaptiveTargets`.
    receipt: where all of it comes from, JSON values.
    """

    labels: IntArray
    corrected_labels: IntArray
    targets: FloatArray
    clean_labels: IntArray | None
    class_names: tuple[str, ...]
    determined: bool
    stability: float
    patch_rate: float
    scattered_rate: float
    receipt: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    @cached_property
    def noise_scores(self) -> FloatArray:
        """(N,) probability that the given label is wrong."""
        scores: FloatArray = 1 - self.targets[np.arange(len(self)), self.labels]
        return scores

    @property
    def noise_rate(self) -> float:
        """Estimated share of wrong labels: the mean noise score."""
        return float(self.noise_scores.mean(dtype=np.float64))

    @cached_property
    def changed(self) -> NDArray[np.bool_]:
        """(N,) whether the corrected label is another than the given one."""
        return np.asarray(self.labels != self.corrected_labels)

    @property
    def n_changed(self) -> int:
        return int(self.changed.sum())

    def changes(self) -> list[tuple[int, int, int]]:
        """Given label, corrected label and how many, the most frequent first."""
        pairs = self.labels[self.changed] * self.n_classes + self.corrected_labels[self.changed]
        codes, counts = np.unique(pairs, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return [
            (*divmod(code, self.n_classes), count)
            for code, count in zip(codes[order].tolist(), counts[order].tolist(), strict=True)
        ]

    def surest(self, count: int) -> IntArray:
        """Positions of the changed labels with the highest noise scores, the highest first."""
        changed = np.flatnonzero(self.changed)
        order = np.argsort(-self.noise_scores[changed], kind="stable")
        return changed[order[:count]]

    @property
    def warning(self) -> str | None:
        """What is to be said where the labels do not determine the classes."""
        if self.determined:
            return None
        return f"{undetermined_text(self.stability)}: labels are left as they are"

    def quality(self) -> Quality | None:
        """How good the cleaning is; None where clean labels are not known."""
        if self.clean_labels is None:
            return None
        wrong = self.labels != self.clean_labels
        found = int((wrong & self.changed).sum())
        right = self.targets[np.arange(len(self)), self.clean_labels].astype(np.float64)
        return Quality(
            given_accuracy=float(1 - wrong.mean()),
            corrected_accuracy=float((self.corrected_labels == self.clean_labels).mean()),
            precision=found / self.n_changed if self.n_changed else None,
            recall=found / int(wrong.sum()) if wrong.any() else None,
            auc=_auc(self.noise_scores, wrong),
            log_loss=float(-np.log(np.maximum(right, 1e-12)).mean()),
        )

    def summary(self) -> dict[str, Any]:
        """The figures of all labels together, JSON values."""
        quality = self.quality()
        return {
            "n_examples": len(self),
            "n_classes": self.n_classes,
            "class_names": list(self.class_names),
            "determined": self.determined,
            "stability": self.stability,
            "stability_needed": STABLE,
            "warning": self.warning,
            "n_changed": self.n_changed,
            "share_changed": self.n_changed / len(self),
            "noise_rate": self.noise_rate,
            "scattered_rate": self.scattered_rate,
            "patch_rate": self.patch_rate,
            "changes": [
                {"given": given, "corrected": corrected, "count": count}
                for given, corrected, count in self.changes()
            ],
            "known": None if quality is None else asdict(quality),
        }

    def save(self, path: str | Path) -> None:
        """Write ``.csv``, ``.parquet`` or ``.npz``, and the receipt beside it, atomically.

        A row per example with ``sample_id``, ``original_label``, ``corrected_label``,
        ``noise_score``, ``target_0`` and so on and, where known, ``clean_label``; or arrays. See
        `mislabel.cleaning.formats`.
        """
        from mislabel.cleaning.formats import save_cleaned

        save_cleaned(self, Path(path))


def clean_labels(
    labels: NoisyLabels | ArrayLike,
    features: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    neighbors: ArrayLike | None = None,
    approximate: bool = False,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> CleanedLabels:
    """Corrected labels, soft targets and noise scores of N labels, from the labels alone.

    labels: (N,) whole numbers from 0; clean labels that `NoisyLabels` may bring are only compared
    with. features: (N, d) finite numbers, a map say, in which neighbours are alike. class_names: C
    of them, by default the numbers. neighbors, approximate, seed, progress: see `adaptive_targets`.
    Errors: `InputError` for labels, features or names that do not go together.
    """
    if not isinstance(labels, NoisyLabels):
        count = None if class_names is None else len(class_names)
        labels = NoisyLabels(labels, n_classes=count)
    names = tuple(map(str, range(labels.n_classes) if class_names is None else class_names))
    if len(names) != labels.n_classes:
        rule = f"must be {labels.n_classes}, one per class"
        raise InputError("class_names", f"{len(names)} names", rule)
    found = adaptive_targets(
        features,
        labels.labels,
        n_classes=labels.n_classes,
        neighbors=neighbors,
        approximate=approximate,
        seed=seed,
        progress=progress,
    )
    origin = {
        "parameters": {
            "neighbors": neighbors_needed(len(labels), labels.n_classes),
            "neighbors_given": neighbors is not None,
            "approximate": approximate,
            **_constants(),
        },
        "seed": seed,
        "versions": library_versions("numpy", "scipy", "scikit-learn", "faiss-cpu"),
        "inputs": _input_hashes(labels, features),
        "labels_receipt": asdict(labels.receipt),
        "class_names": list(names),
    }
    return CleanedLabels(
        labels=labels.labels,
        corrected_labels=found.corrected_labels,
        targets=found.targets,
        clean_labels=labels.clean_labels,
        class_names=names,
        determined=found.determined,
        stability=found.stability,
        patch_rate=found.patch_rate,
        scattered_rate=found.scattered_rate,
        receipt={"format": 1, "generator": GENERATOR} | origin | _findings(found),
    )


def _input_hashes(labels: NoisyLabels, features: ArrayLike) -> dict[str, str]:
    """SHA-256 of what cleaning depends on, and of the clean labels, by name."""
    hashes = {
        "labels": hash_array(labels.labels),
        "features": hash_array(np.asarray(features), as_type=np.float32),
    }
    if labels.clean_labels is not None:
        hashes["clean_labels"] = hash_array(labels.clean_labels)
    return hashes


def _findings(found: AdaptiveTargets) -> dict[str, Any]:
    """What was found, as JSON values; column and labels_sha256 are of the corrected labels."""
    corrected = found.corrected_labels
    return {
        "n_examples": len(corrected),
        "n_classes": found.targets.shape[1],
        "column": "corrected_label",
        "labels_sha256": hash_array(corrected),
        "targets_sha256": hash_array(found.targets),
        "determined": found.determined,
        "stability": found.stability,
        "n_changed": int((corrected != found.labels).sum()),
        "noise_rate": float(found.noise_scores.mean(dtype=np.float64)),
        "patch_rate": found.patch_rate,
        "scattered_rate": found.scattered_rate,
        "region_size": found.region_size,
        "scales": list(found.scales),
        "weights": found.weights.tolist(),
        "patch_rate_per_class": (1 - found.patches.diagonal()).tolist(),
        "noise_matrix": found.noise.tolist(),
    }


def _constants() -> dict[str, Any]:
    """The constants of the method by name."""
    found = {name.lower(): value for name, value in vars(adaptive).items() if name.isupper()}
    return {k: list(value) if isinstance(value, tuple) else value for k, value in found.items()}


def _auc(scores: FloatArray, wrong: NDArray[np.bool_]) -> float | None:
    """Chance that a wrong label's score is above a right one's."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(wrong, scores)) if 0 < wrong.sum() < len(wrong) else None
