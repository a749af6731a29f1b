"""The noise context of examples: what a discriminator is shown of each.

Of an example: its clean class, what its label became, the noise among its nearest neighbours and
their clean classes. Two parts are kept apart: `place_context` depends on the clean labels and the
positions alone and is the same for all sets of labels on the same data; `label_context` is what a
set of labels adds. `noise_context` is both side by side.

The rich context has more of everything. It is what the strong discriminator sees, so that noise
which was fitted to the standard one does not pass unseen.

Pitfall: neighbouring examples share most of their neighbours, so their contexts overlap, and who
trains on some and tests on others recognises places rather than kinds of noise. With `block`, an
example sees only labels of its own block, and contexts of different blocks have none in common.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mislabel.features.neighborhood import Neighborhood

SIZES = (5, 10, 30, 100)
"Sizes of the neighbourhoods whose noise is looked at."
RICH_SIZES = (5, 10, 30, 100, 300)
MIX = 30
"Neighbours whose clean classes are looked at."
MOST_COLUMNS = 50
"With more classes than this, shares of single classes are summarised."
NEAREST = 3
"Neighbours that the rich context looks at one by one."


@dataclass(frozen=True, kw_only=True)
class Context:
    """Columns by name and group. N examples, F columns.

    values: (N, F) float32. names: F names of columns. groups: columns that belong together, by
    the group's name. categorical: columns that hold classes.
    """

    values: NDArray[np.float32]
    names: tuple[str, ...]
    groups: Mapping[str, tuple[int, ...]]
    categorical: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.values)

    def beside(self, other: "Context") -> "Context":
        """The columns of both; the examples are the same."""
        width = len(self.names)
        moved = {g: tuple(width + c for c in columns) for g, columns in other.groups.items()}
        return Context(
            values=np.hstack([self.values, other.values]),
            names=self.names + other.names,
            groups={g: self.groups.get(g, ()) + moved.get(g, ()) for g in [*self.groups, *moved]},
            categorical=self.categorical + tuple(width + c for c in other.categorical),
        )

    def above(self, other: "Context") -> "Context":
        """The rows of both; the columns are the same."""
        values = np.vstack([self.values, other.values])
        return Context(
            values=values, names=self.names, groups=self.groups, categorical=self.categorical
        )


class _Columns:
    """Collects columns for a `Context`."""

    def __init__(self) -> None:
        self.parts: list[NDArray[Any]] = []
        self.names: list[str] = []
        self.groups: dict[str, list[int]] = {}
        self.categorical: list[int] = []

    def add(self, group: str, name: str, values: NDArray[Any], *, category: bool = False) -> Self:
        """One column (N,), or several (N, n) that are numbered."""
        block = values.astype(np.float32, copy=False).reshape(len(values), -1)
        first, width = len(self.names), block.shape[1]
        self.parts.append(block)
        self.names += [name] if width == 1 else [f"{name} {i}" for i in range(width)]
        self.groups.setdefault(group, []).extend(range(first, first + width))
        self.categorical += [first] if category else []
        return self

    def context(self) -> Context:
        return Context(
            values=np.hstack(self.parts),
            names=tuple(self.names),
            groups={name: tuple(columns) for name, columns in self.groups.items()},
            categorical=tuple(self.categorical),
        )


def noise_context(
    labels: NDArray[np.int64],
    place: Neighborhood,
    *,
    block: NDArray[np.int64] | None = None,
    rich: bool = False,
) -> Context:
    """What a discriminator is shown of each example.

    labels: (N,) as given, maybe wrong. place: neighbours and clean labels of the same examples.
    block: (N,) where given, an example sees the labels of its own block only, so that contexts of
    different blocks have none in common. rich: with what the strong discriminator sees beyond.
    """
    there = place_context(place, rich=rich)
    return there.beside(label_context(labels, place, block=block, rich=rich))


def place_context(place: Neighborhood, *, rich: bool = False) -> Context:
    """Clean class and the neighbours' clean classes; rich: typicality, and shares of other classes.

    Beyond `MOST_COLUMNS` classes the mix is the share of the own class, that of the most common
    other class, and the entropy in bits.
    """
    columns = _Columns()
    columns.add("clean class", "clean class", place.clean_labels, category=_is_category(place))
    mix = place.class_shares(MIX)
    if place.n_classes <= MOST_COLUMNS:
        columns.add("class mix", f"share among {MIX} of class", mix)
    else:
        columns.add("class mix", "own, other, entropy", _mix_summary(mix, place.clean_labels))
    if rich:
        columns.add("typicality", "typicality", place.typicality)
        for k in _sizes(place, RICH_SIZES):
            columns.add("class mix", f"other classes among {k}", place.other_share(k))
    return columns.context()


def label_context(
    labels: NDArray[np.int64],
    place: Neighborhood,
    *,
    block: NDArray[np.int64] | None = None,
    rich: bool = False,
) -> Context:
    """What the labels add: the own flip, and noise among the neighbours; see `noise_context`."""
    clean = place.clean_labels
    near = _Near.of(labels, place, block)
    columns = _Columns()
    columns.add("own label", "flipped", labels != clean)
    columns.add("own label", "noisy label", labels, category=_is_category(place))
    columns.add("own label", "closeness rank", place.closeness_rank[clean, labels])
    for k in _sizes(place, RICH_SIZES if rich else SIZES):
        columns.add("flips nearby", f"flipped among {k}", near.share(near.flipped, k))
        columns.add("same label nearby", f"same label among {k}", near.share(near.same, k))
    if rich:
        _add_rich(columns, labels, place, near)
    return columns.context()


@dataclass(frozen=True)
class _Near:
    """The labels of the K nearest neighbours, those that count. All (N, K).

    seen: whether they count. flipped, same, kin: whether they do and are flipped, have the
    example's label, are of its class. labels: as given.
    """

    seen: NDArray[np.bool_]
    flipped: NDArray[np.bool_]
    same: NDArray[np.bool_]
    kin: NDArray[np.bool_]
    labels: NDArray[np.int32]

    @classmethod
    def of(
        cls, labels: NDArray[np.int64], place: Neighborhood, block: NDArray[np.int64] | None
    ) -> "_Near":
        narrow, clean = labels.astype(np.int32), place.clean_labels.astype(np.int32)
        near = place.neighbors
        seen = np.ones(near.shape, dtype=bool)
        if block is not None:
            seen = block[near] == block[:, None]
        theirs = narrow[near]
        return cls(
            seen=seen,
            flipped=(narrow != clean)[near] & seen,
            same=(theirs == narrow[:, None]) & seen,
            kin=(clean[near] == clean[:, None]) & seen,
            labels=theirs,
        )

    def share(
        self, hits: NDArray[np.bool_], k: int, among: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """(N,) share of hits among the k nearest that count; 0 where none does."""
        of = (self.seen if among is None else among)[:, :k].sum(axis=1)
        shares: NDArray[np.float64] = hits[:, :k].sum(axis=1) / np.maximum(of, 1)
        return shares


def _add_rich(
    columns: _Columns, labels: NDArray[np.int64], place: Neighborhood, near: _Near
) -> None:
    """What the rich context has of the labels beyond the standard one."""
    alike = near.flipped & near.same
    group = "noise of the own class"
    for k in _sizes(place, (30, 100, 300)):
        flipped = near.share(near.flipped & near.kin, k, near.kin)
        columns.add(group, f"flipped among own class of {k}", flipped)
        same = near.share(alike & near.kin, k, near.kin)
        columns.add(group, f"flipped alike among own class of {k}", same)
        columns.add("same label nearby", f"flipped alike among {k}", near.share(alike, k))
    target = place.clean_labels[place.neighbors] == labels[:, None]
    for k in _sizes(place, (10, 100, 300)):
        columns.add("target nearby", f"clean class is the label of {k}", target[:, :k].mean(axis=1))
    columns.add("nearest", "nearest flipped", near.flipped[:, :NEAREST])
    columns.add("nearest", "nearest with same label", near.same[:, :NEAREST])
    columns.add("nearest", "place of the first flipped", _first(near.flipped))
    columns.add("nearest", "place of the first flipped alike", _first(alike))
    excess = _excess(place, near)
    if place.n_classes <= MOST_COLUMNS:
        columns.add("excess by class", f"excess among {MIX} of class", excess)
    own = np.take_along_axis(excess, labels[:, None], axis=1)[:, 0]
    columns.add("excess by class", "excess of the own label", own)
    columns.add("excess by class", "largest excess", excess.max(axis=1))


def _excess(place: Neighborhood, near: _Near) -> NDArray[np.float32]:
    """(N, C) share of each label among the `MIX` nearest that count, less that of the class."""
    seen = near.seen[:, :MIX]
    rows = np.broadcast_to(np.arange(len(seen))[:, None], seen.shape)[seen]
    counts = np.zeros((len(seen), place.n_classes), dtype=np.float32)
    for sign, kinds in ((1, near.labels), (-1, place.clean_labels[place.neighbors[:, :MIX]])):
        flat = rows * place.n_classes + kinds[:, :MIX][seen]
        counts += sign * np.bincount(flat, minlength=counts.size).reshape(counts.shape)
    counts /= np.maximum(seen.sum(axis=1, keepdims=True), 1)
    return counts


def _first(hits: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N,) log of how far down the list of neighbours the first hit stands; K + 1 for none."""
    found = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, hits.shape[1] + 1)
    logs: NDArray[np.float64] = np.log(found)
    return logs


def _mix_summary(mix: NDArray[np.float32], clean_labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N, 3) share of the own class, of the most common other class, and entropy in bits."""
    rows = np.arange(len(mix))
    own = mix[rows, clean_labels]
    logs = np.log2(mix, out=np.zeros_like(mix), where=mix > 0)
    others = mix.copy()
    others[rows, clean_labels] = 0
    return np.stack([own, others.max(axis=1), -(mix * logs).sum(axis=1)], axis=1)


def _sizes(place: Neighborhood, sizes: tuple[int, ...]) -> list[int]:
    """`sizes`, none above the neighbours that there are, each once."""
    most = place.neighbors.shape[1]
    return list(dict.fromkeys(min(k, most) for k in sizes))


def _is_category(place: Neighborhood) -> bool:
    """Whether trees can split by class; beyond this they take classes as numbers."""
    return place.n_classes <= 255
