"""What the golden file of noise holds: draws of every kind on inputs that are equal everywhere.

The inputs are integers from SplitMix64 (Steele, Lea and Flood 2014), divided by powers of two, so
that no platform rounds them: no random generator of NumPy and no function of a maths library takes
part. No tie between distances decides, so that no order among equals is left open.
"""

import contextlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.files import hash_array
from mislabel.labels import NoisyLabels
from mislabel.noise import make_noise

FILE = Path(__file__).with_name("noise.json")
FORMAT = 1
CLASS_SIZES = (700, 560, 520, 480, 420, 380, 340, 300, 200, 100)
"Uneven; 700 examples leave room for the 300 centres from which a k-d tree is searched."
N, C, D = sum(CLASS_SIZES), len(CLASS_SIZES), 12
SEEDS = (0, 1, 2025, 2**63 - 1)
SPECS = (
    "clean",
    "symmetric:0.2",
    "symmetric:0.45,per_class=true",
    "pair:0.2",
    "pair:0.45,per_class=true",
    "asymmetric:0.2",
    "asymmetric:0.4,map=7>1/2>7/5>6/6>5/3>8,per_class=true",
    "class-dependent:matrix=matrix.npy",
    "class-dependent:matrix=matrix.npy,rate=0.3",
    "class-dependent:matrix=matrix.npy,rate=0.3,per_class=true",
    "class-dependent:like=people.csv",
    "class-dependent:matrix=matrix.npy,compat=cifar-n",
    "instance:0.2",
    "instance:0.4,per_class=true",
    "pmd:0.35",
    "pmd:0.35,per_class=true",
    "pmd:0.3,type=2",
    "pmd:0.3,type=3",
    "pmd:factor=1.43",
    "cluster:0.35",
    "cluster:0.35,per_class=true",
    "cluster:n=30,r=0.5",
    "cluster:n=90,r=0.25",
    "cluster:0.35,space=features",
    "hybrid:pmd:0.2+symmetric:0.2",
    "hybrid:cluster:0.2+pair:0.1+instance:0.1",
    "human-like:0.2",
    "human-like:like=worse_label,effects=drawn",
    "human-like:0.3,like=aggre_label,effects=fitted,per_class=true",
    "human:random_label1,file=people.csv",
    "file:labels.npy",
)
"Every kind of the registry, in the variants that take another way through the code."


def numbers(stream: int, shape: tuple[int, ...], bits: int) -> NDArray[np.int64]:
    """Whole numbers from 0 to 2**bits - 1: SplitMix64 of a counter that starts at 2**32 stream."""
    count = int(np.prod(shape))
    x = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(stream << 32)
    x *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x ^= x >> np.uint64(shift)
        x *= np.uint64(factor)
    x ^= x >> np.uint64(31)
    return (x >> np.uint64(64 - bits)).astype(np.int64).reshape(shape)


def clean_labels() -> NDArray[np.int64]:
    """(N,) classes of `CLASS_SIZES` in mixed order."""
    return np.repeat(np.arange(C, dtype=np.int64), CLASS_SIZES)[_order(1)]


@cache
def inputs() -> dict[str, NDArray[Any]]:
    """What kinds of noise read: positions (N, 2), probabilities (N, C) and features (N, D)."""
    labels = clean_labels()
    weights = 1 + numbers(2, (N, C), 12)
    likely = np.flatnonzero(numbers(3, (N,), 4) > 0)  # one in sixteen is taken for another class
    weights[likely, labels[likely]] += 4096
    return {
        "clean_labels": labels,
        "positions": _around(numbers(4, (C, 2), 3), labels, stream=5),
        "probabilities": weights / weights.sum(axis=1, keepdims=True),
        "features": _around(numbers(6, (C, D), 1), labels, stream=7),
    }


def _around(centres: NDArray[np.int64], labels: NDArray[np.int64], stream: int) -> NDArray[Any]:
    """Points (N, d) less than 2 from the centre of their class, along each axis; exact in float32.

    Differences of two even numbers, so that they crowd around the centre.
    """
    first, second = numbers(stream, (2, len(labels), centres.shape[1]), 16)
    return centres[labels] + (first - second) / 2**15


def _order(stream: int) -> NDArray[np.int64]:
    return np.argsort(numbers(stream, (N,), 62), kind="stable")


@contextlib.contextmanager
def files(folder: Path) -> Iterator[None]:
    """Work in `folder`, which gets the files that some of `SPECS` name."""
    labels = clean_labels()
    chances = 1 + numbers(8, (C, C), 4) + 128 * np.eye(C, dtype=np.int64)
    np.save(folder / "matrix.npy", chances / chances.sum(axis=1, keepdims=True))
    noisy = np.where(numbers(9, (N,), 2) == 0, (labels + 1 + numbers(10, (N,), 2)) % C, labels)
    np.save(folder / "labels.npy", noisy)
    rows = "".join(f"{clean},{wrong}\n" for clean, wrong in zip(labels, noisy, strict=True))
    (folder / "people.csv").write_text(f"clean_label,random_label1\n{rows}", encoding="utf-8")
    with contextlib.chdir(folder):
        yield


def draw(spec: str, seed: int) -> NoisyLabels:
    """The draw of a spec; in `files`."""
    return make_noise(spec).corrupt(**inputs(), n_classes=C, seed=seed)


def golden(folder: Path) -> dict[str, Any]:
    """What the golden file should hold: SHA-256 of all inputs and of all labels drawn."""
    with files(folder):
        drawn = {
            spec: {str(seed): hash_array(draw(spec, seed).labels) for seed in SEEDS}
            for spec in SPECS
        }
    given = {name: hash_array(value) for name, value in inputs().items()}
    return {"format": FORMAT, "inputs": given, "labels": drawn}


def stored() -> dict[str, Any]:
    """What it holds."""
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content


def moved(found: dict[str, Any], held: dict[str, Any]) -> list[str]:
    """One line for each input and each draw that is not as it was, or is new, or is gone."""
    lines = [
        f"input {name}"
        for name in sorted(found["inputs"].keys() | held["inputs"].keys())
        if found["inputs"].get(name) != held["inputs"].get(name)
    ]
    for spec in sorted(found["labels"].keys() | held["labels"].keys()):
        now, before = (content["labels"].get(spec, {}) for content in (found, held))
        seeds = sorted(now.keys() | before.keys(), key=int)
        lines += [
            f"noise {spec!r}, seed {seed}" for seed in seeds if now.get(seed) != before.get(seed)
        ]
    return lines
