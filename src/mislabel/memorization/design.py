"""Designs of held-out studies: which examples each run leaves out, and its seeds.

A study has a *held-out set* H of M examples; all others are in every run. Run r trains on the
others and a share `keep` of H, drawn without replacement, so every example of H is in about
keep R of R runs and out of the rest (Feldman & Zhang 2020, "What neural networks memorize and
why", section 3). What H is:

    balanced   all wrong labels, and as many right ones drawn once (or all, where there are fewer)
    all        all examples; the only design that needs no clean labels
    file       positions that are given
    lim2025    balanced, by the very draws of Lim, Larson & Leach 2025

Subset, initialisation, order and augmentation of a run have seeds of their own, children of the
study's by the run's number, so that any worker may do any run. `fixed` streams are the same for
all runs: with initialisation and order fixed, runs differ by subset and augmentation alone.

The study's draws were found from its published files: the right labels of H are
``RandomState(0).choice(right, count, replace=False)``; run s, from 0, keeps the first int(0.7 M) of
``RandomState(s).permutation(M)`` of the wrong labels, ascending, and then the right ones in the
order of the draw. With 1,500 runs this gives every denominator of the published probabilities.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.errors import InputError, did_you_mean
from mislabel.files import check_plain, hash_array, read_npy
from mislabel.labels import NoisyLabels, check_labels
from mislabel.seeds import TrainingSeeds, check_seed, child_sequence, generator

DESIGNS = ("balanced", "all", "lim2025")
KEEP = 0.7
STREAMS = ("initialisation", "order", "augmentation")
Index = NDArray[np.int64]
LARGEST_INDEX = 2**26
"Bytes of a text file of positions."


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of a study.

    number: from 0. mask: (N,) bool, the examples to train on. seeds: of the training. seed: of
    anything else that it draws.
    """

    number: int
    mask: NDArray[np.bool_]
    seeds: TrainingSeeds
    seed: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """See the module; `make_design` makes one.

    drawn: (M,) the held-out set in the order that runs draw from. n_total: N, of the training set.
    keep: share of the held-out set that a run trains on. seed: of the study.
    """

    name: str
    drawn: Index
    n_total: int
    keep: float = KEEP
    seed: int = 0
    fixed: tuple[str, ...] = ()

    @cached_property
    def index(self) -> Index:
        """(M,) the held-out set, ascending."""
        return np.sort(self.drawn)

    @property
    def n_kept(self) -> int:
        """How many of the held-out set a run trains on; at least one is kept and one left out."""
        count = self.keep * len(self.drawn)
        return int(count) if self.name == "lim2025" else min(max(1, round(count)), self._most)

    @property
    def _most(self) -> int:
        return len(self.drawn) - 1

    def mask(self, number: int) -> NDArray[np.bool_]:
        """(N,) the examples that run `number` trains on."""
        mask = np.ones(self.n_total, dtype=bool)
        mask[self.drawn[self._permutation(number)[self.n_kept :]]] = False
        return mask

    def run(self, number: int) -> Run:
        """Everything that is drawn for run `number`."""
        seeds = {name: self._seed(name, 0 if name in self.fixed else number) for name in STREAMS}
        return Run(
            number=number,
            mask=self.mask(number),
            seeds=TrainingSeeds(**seeds),
            seed=self._seed("run", number),
        )

    def to_json(self) -> dict[str, Any]:
        """What a study folder is tied to, as JSON values."""
        return {
            "name": self.name,
            "held_out": len(self.drawn),
            "held_out_sha256": hash_array(self.drawn),
            "keep": self.keep,
            "seed": self.seed,
            "fixed": list(self.fixed),
        }

    def _permutation(self, number: int) -> Index:
        if self.name == "lim2025":
            found = np.random.RandomState(number).permutation(len(self.drawn))
        else:
            found = np.random.default_rng(self._child("subset", number)).permutation(
                len(self.drawn)
            )
        return np.asarray(found, dtype=np.int64)

    def _seed(self, stream: str, number: int) -> int:
        return int(self._child(stream, number).generate_state(1, np.uint64)[0]) >> 1

    def _child(self, stream: str, number: int) -> np.random.SeedSequence:
        """The child of that number of a stream's sequence."""
        parent = child_sequence(self.seed, "memorization", stream)
        return np.random.SeedSequence(parent.entropy, spawn_key=(*parent.spawn_key, number))


def make_design(
    labels: NoisyLabels,
    design: str = "balanced",
    *,
    held_out: ArrayLike | None = None,
    keep: float = KEEP,
    seed: int = 0,
    fixed: Sequence[str] = (),
) -> Design:
    """The design of that name for a set of labels (N,), with their clean labels.

    held_out: positions (M,) in place of a design. keep: share that a run trains on, above 0 and
    below 1. seed: of the study. fixed: names of `STREAMS` that are the same for all runs.
    Errors: `InputError`, also where the design needs clean labels or wrong ones and has none.
    """
    check_seed(seed)
    if design not in DESIGNS:
        raise InputError("design", design, f"unknown choice; {did_you_mean(design, DESIGNS)}")
    if not 0 < keep < 1:
        raise InputError("keep", keep, "must be above 0 and below 1")
    if design == "lim2025" and keep != KEEP:
        raise InputError("keep", keep, f"is {KEEP} in the design lim2025")
    for name in fixed:
        if name not in STREAMS:
            raise InputError("fixed", name, f"unknown choice; {did_you_mean(name, STREAMS)}")
    drawn = _held_out(labels, design, seed) if held_out is None else _given(held_out, len(labels))
    if len(drawn) < 2:
        raise InputError("held_out", f"{len(drawn)} examples", "a study holds out at least 2")
    return Design(
        name=design if held_out is None else "file",
        drawn=drawn,
        n_total=len(labels),
        keep=float(keep),
        seed=seed,
        fixed=tuple(name for name in STREAMS if name in fixed),
    )


def _held_out(labels: NoisyLabels, design: str, seed: int) -> Index:
    if design == "all":
        return np.arange(len(labels))
    if labels.clean_labels is None:
        rule = "needs clean labels to know the wrong ones; take all, or give held_out"
        raise InputError("design", design, rule)
    wrong, right = np.flatnonzero(labels.flipped), np.flatnonzero(~labels.flipped)
    if not len(wrong):
        raise InputError("design", design, "there are no wrong labels to hold out; take all")
    count = min(len(wrong), len(right))
    if design == "lim2025":
        drawn = np.random.RandomState(0).choice(right, count, replace=False)
    else:
        drawn = generator(seed, "memorization", "right").permutation(right)[:count]
    return np.concatenate([wrong, drawn])


def _given(held_out: ArrayLike, n_examples: int) -> Index:
    index = check_labels(held_out, name="held_out", n_classes=n_examples)
    values, counts = np.unique(index, return_counts=True)
    if (counts > 1).any():
        raise InputError("held_out", int(values[counts > 1][0]), "is there twice")
    return values


def load_index(path: Path, argument: str = "held_out") -> Index:
    """Positions in the training set from an ``.npy`` file, or a text file with one on each line."""
    try:
        if path.suffix == ".npy":
            return check_labels(read_npy(path), name=argument)
        check_plain(path, LARGEST_INDEX)
        text = path.read_text(encoding="utf-8").split()
        return check_labels([int(word) for word in text], name=argument)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        rule = f"is no file of positions ({' '.join(str(error).split())[:200]})"
        raise InputError(argument, str(path), rule) from error
