"""An exploration made up for the tests: small, with every kind of column and every edge in it."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.cleaning import CleanedLabels
from mislabel.explorer import Exploration
from mislabel.labels import NoisyLabels, Receipt
from mislabel.memorization import MemorizationScores

N, C = 300, 4
HTML = "<img src=x onerror=\"document.title='owned'\">"
CLASSES = (HTML, "=cat", "dog, brown", "cow")
"A name that is markup, one that is a formula, and one that needs quotes in a CSV file."
SETS = ("human", "-cluster", "pmd")
"The scores are of the first, the cleaned labels of the second."
EDGES = (0.0, 0.3, 0.5, 0.6, 0.7, 0.9, 1.0)
"Values that scores take often, so that many lie exactly at a threshold."
SIDE = 6
"Of an image, in pixels; all pixels of one have the same colour."


@cache
def clean() -> NDArray[np.int64]:
    return np.random.default_rng(1).permutation(np.arange(N) % C)


@cache
def places() -> NDArray[np.float32]:
    """(N, 2) four clouds, in no order."""
    centres = np.float32([[0, 0], [30, 4], [6, 28], [33, 31]])[clean()]
    return (centres + np.random.default_rng(2).normal(scale=4, size=(N, 2))).astype(np.float32)


@cache
def label_sets() -> dict[str, NoisyLabels]:
    """Three sets, of which 30, 25 and 40 % are drawn anew."""
    found = {}
    for seed, (name, share) in enumerate(zip(SETS, (0.3, 0.25, 0.4), strict=True)):
        rng = np.random.default_rng([3, seed])
        drawn = np.where(rng.random(N) < share, rng.integers(0, C, N), clean())
        receipt = Receipt(generator=f"<b>{name}</b>")
        found[name] = NoisyLabels(drawn, clean_labels=clean(), n_classes=C, receipt=receipt)
    return found


@cache
def memorization() -> MemorizationScores:
    """Scores of all but the last ten examples, every ninth without an exclusion probability."""
    rng = np.random.default_rng(4)
    index = np.arange(N - 10)
    inclusion, exclusion = rng.choice(EDGES, size=(2, len(index)))
    drawn = rng.random((2, len(index)))
    spread = rng.random(len(index)) < 0.4
    inclusion, exclusion = np.where(spread, drawn, (inclusion, exclusion))
    exclusion[::9] = np.nan
    return MemorizationScores.of(
        label_sets()[SETS[0]],
        inclusion=inclusion,
        exclusion=exclusion,
        index=index,
        class_names=CLASSES,
        provenance={"estimator": "made-up", "title": "scores </script> made up"},
        inclusion_error=np.full(len(index), 0.03),
        exclusion_error=np.where(np.isnan(exclusion), np.nan, 0.04),
    )


@cache
def cleaned() -> CleanedLabels:
    """Cleaned labels of the second set; noise scores lie at 0.5, 0.6 and 0.7 as single floats."""
    given = label_sets()[SETS[1]].labels
    rng = np.random.default_rng(5)
    right = rng.choice(np.float32([0.3, 0.4, 0.5, 0.9, 0.05]), size=N)
    targets = np.repeat((1 - right)[:, None] / 3, C, axis=1).astype(np.float32)
    targets[np.arange(N), given] = right
    return CleanedLabels(
        labels=given,
        corrected_labels=np.where(right < 0.4, clean(), given),
        targets=targets,
        clean_labels=clean(),
        class_names=CLASSES,
        determined=False,
        stability=0.4,
        patch_rate=0.1,
        scattered_rate=0.1,
        receipt={"format": 1, "generator": "by hand"},
    )


@cache
def images() -> NDArray[np.uint8]:
    """(N, 6, 6, 3) images of one colour each."""
    colours = np.random.default_rng(6).integers(0, 256, (N, 1, 1, 3), dtype=np.uint8)
    return np.tile(colours, (1, SIDE, SIDE, 1))


def exploration(**changes: Any) -> Exploration:
    """All of it, as of a subset: the examples are called 5, 8, 11 and so on."""
    content: dict[str, Any] = {
        "name": "toy </script><img src=x>",
        "class_names": CLASSES,
        "images": images(),
        "indices": 3 * np.arange(N) + 5,
        "scores": memorization(),
        "cleaned": cleaned(),
    }
    return Exploration.of(places(), label_sets(), **content | changes)


def bare(count: int = 5, **changes: Any) -> Exploration:
    """A few examples on a line with a growing step, of two classes, and nothing known of them."""
    positions = np.stack([np.arange(count) ** 1.5, np.zeros(count)], axis=1)
    return Exploration.of(positions, {"labels": NoisyLabels(np.arange(count) % 2)}, **changes)
