"""`NoisyLabels`: the one value that flows through everything.

A set of labels, the clean labels when they are known, and a receipt that says where the labels
came from: generator, parameters, seed, versions, hashes of the inputs and the realised rate.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.errors import InputError
from mislabel.files import hash_array
from mislabel.labels.check import check_labels


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """Where labels came from. Everything needed to make them again.

    generator: name of the noise model, or "file".
    parameters: its parameters, as JSON values.
    seed: the seed of the draw, None where nothing was drawn.
    versions: of mislabel and the libraries that took part.
    inputs: SHA-256 of each input, by name.
    """

    generator: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


class NoisyLabels:
    """Labels as given, maybe wrong, with the clean labels when known.

    labels: (N,) whole numbers from 0 to C - 1.
    clean_labels: (N,) likewise, or None when they are not known.
    n_classes: C; by default one more than the largest label.
    receipt: where the labels came from.

    The arrays are int64 and read-only. Two sets are equal when labels, clean labels and C are;
    the receipt does not count.
    """

    def __init__(
        self,
        labels: ArrayLike,
        *,
        clean_labels: ArrayLike | None = None,
        n_classes: int | None = None,
        receipt: Receipt | None = None,
    ) -> None:
        self.labels = check_labels(labels, n_classes=n_classes)
        self.clean_labels: NDArray[np.int64] | None = None
        if clean_labels is not None:
            self.clean_labels = check_labels(
                clean_labels, name="clean_labels", n_examples=len(self.labels), n_classes=n_classes
            )
        largest = max(int(a.max()) for a in (self.labels, self.clean_labels) if a is not None)
        self.n_classes = largest + 1 if n_classes is None else n_classes
        self.receipt = receipt if receipt is not None else Receipt(generator="unknown")

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        known = f"rate={self.rate:.4f}" if self.clean_labels is not None else "clean labels unknown"
        return f"NoisyLabels({self.receipt.generator}, N={len(self)}, C={self.n_classes}, {known})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NoisyLabels):
            return NotImplemented
        if (self.clean_labels is None) != (other.clean_labels is None):
            return False
        return (
            self.n_classes == other.n_classes
            and np.array_equal(self.labels, other.labels)
            and (self.clean_labels is None or np.array_equal(self._clean, other._clean))
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def _clean(self) -> NDArray[np.int64]:
        if self.clean_labels is None:
            raise InputError("clean_labels", None, "are needed for this and were not given")
        return self.clean_labels

    @cached_property
    def flipped(self) -> NDArray[np.bool_]:
        """(N,) whether the label differs from the clean label."""
        flipped: NDArray[np.bool_] = self.labels != self._clean
        flipped.flags.writeable = False
        return flipped

    @property
    def rate(self) -> float:
        """Share of all examples whose label is flipped."""
        return float(self.flipped.mean())

    @cached_property
    def rate_per_class(self) -> NDArray[np.float64]:
        """(C,) share of flipped examples among those of each clean class; NaN for none."""
        totals = np.bincount(self._clean, minlength=self.n_classes)
        flips = np.bincount(self._clean[self.flipped], minlength=self.n_classes)
        return _divide(flips, totals)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(C, C) number of examples by [clean, noisy] label."""
        pairs = self._clean * self.n_classes + self.labels
        flat = np.bincount(pairs, minlength=self.n_classes**2)
        return flat.reshape(self.n_classes, self.n_classes).astype(np.int64)

    @property
    def transition_matrix(self) -> NDArray[np.float64]:
        """(C, C) share of noisy labels by [clean, noisy]; rows sum to 1, NaN for no examples."""
        return _divide(self.counts, self.counts.sum(axis=1, keepdims=True))

    def take(self, indices: NDArray[np.int64]) -> "NoisyLabels":
        """The labels at `indices`, with the same receipt."""
        clean = None if self.clean_labels is None else self.clean_labels[indices]
        return NoisyLabels(
            self.labels[indices],
            clean_labels=clean,
            n_classes=self.n_classes,
            receipt=self.receipt,
        )

    def receipt_json(self) -> dict[str, Any]:
        """The receipt as JSON values, with the hash of the labels and the realised rates."""
        known = self.clean_labels is not None
        per_class = self.rate_per_class.tolist() if known else []
        return {
            "format": 1,
            **asdict(self.receipt),
            "n_examples": len(self),
            "n_classes": self.n_classes,
            "labels_sha256": hash_array(self.labels),
            **({"clean_labels_sha256": hash_array(self._clean)} if known else {}),
            "rate": self.rate if known else None,
            "rate_per_class": [None if np.isnan(r) else r for r in per_class],
        }

    def save(self, path: str | Path) -> None:
        """Write labels in the format that the suffix names, and the receipt beside them.

        ``.npy`` (labels alone), ``.csv``, ``.parquet`` and ``.pt`` (labels, and clean labels
        when known). The receipt goes to ``<path>.receipt.json``.
        """
        from mislabel.labels.formats import save_labels

        save_labels(self, Path(path))

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        clean_labels: ArrayLike | None = None,
        n_classes: int | None = None,
        column: str | None = None,
    ) -> "NoisyLabels":
        """Read a label file; see `mislabel.labels.load_labels`."""
        from mislabel.labels.formats import load_labels

        return load_labels(path, clean_labels=clean_labels, n_classes=n_classes, column=column)


def _divide(counts: NDArray[np.int64], totals: NDArray[np.int64]) -> NDArray[np.float64]:
    """counts / totals, NaN where the total is 0."""
    shares: NDArray[np.float64] = np.full(counts.shape, np.nan)
    np.divide(counts, totals, out=shares, where=totals > 0)
    return shares
