"""Seeds: one number in, independent named streams out; no global state is touched.

Initialisation, order, augmentation, subset and noise each have a stream of their own, so that
two runs can share one (the same initial weights, say) and differ in another. Child seeds are
spawned by name through `numpy.random.SeedSequence`, never computed by arithmetic, so streams of
different names or different seeds do not collide.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from mislabel.errors import InputError


def check_seed(seed: int, name: str = "seed") -> int:
    """A seed is a whole number from 0 to 2**63 - 1."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise InputError(name, seed, "must be a whole number from 0 to 2**63 - 1")
    return int(seed)


def child_sequence(seed: int, *names: str) -> np.random.SeedSequence:
    """The seed sequence of the stream called `names` under `seed`."""
    spawn_key = tuple(zlib.crc32(name.encode()) for name in names)
    return np.random.SeedSequence(check_seed(seed), spawn_key=spawn_key)


def child_seed(seed: int, *names: str) -> int:
    """A 63-bit seed for libraries that want a number (PyTorch)."""
    return int(child_sequence(seed, *names).generate_state(1, np.uint64)[0]) >> 1


def child_state(seed: int, *names: str) -> int:
    """A 32-bit seed for libraries that want a small number (scikit-learn, openTSNE)."""
    return int(child_sequence(seed, *names).generate_state(1, np.uint32)[0])


def generator(seed: int, *names: str) -> np.random.Generator:
    """A NumPy generator for the stream called `names` under `seed`."""
    return np.random.default_rng(child_sequence(seed, *names))


@dataclass(frozen=True, kw_only=True)
class TrainingSeeds:
    """The separate seeds of one training run."""

    initialisation: int
    order: int
    augmentation: int

    @classmethod
    def spawn(cls, seed: int) -> "TrainingSeeds":
        """Spawn the three seeds from one."""
        return cls(
            initialisation=child_seed(seed, "initialisation"),
            order=child_seed(seed, "order"),
            augmentation=child_seed(seed, "augmentation"),
        )
