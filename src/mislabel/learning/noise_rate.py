"""The share of wrong labels, estimated from a held-out part of the noisy labels themselves.

A network is trained shortly, by cross-entropy, on 80 % of the examples and asked for the class
probabilities p of the other 20 %, whose labels z are then counted as in confident learning
(Northcutt, Jiang & Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR
2021, section 3.1):

    t_j = mean of p_j over the examples with label j                      (how sure it is of j)
    J[i, j] = number with label i whose largest p_k among {k: p_k >= t_k} is that of j
    rate = sum over i of (share of label i) * (1 - J[i, i] / sum over j of J[i, j])

No clean label is used. Pitfalls: what is counted is how far the labels depart from what the
network can learn of them. Noise that looks like a concept (whole patches with one wrong label) is
learned and hardly counted; the network's own errors on hard data are counted as noise. How far off
that is on one data set: `studies/noise_rate`.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.errors import InputError
from mislabel.learning.recipes import Recipe
from mislabel.learning.standard import Standard
from mislabel.seeds import child_seed, generator

HELD_OUT_SHARE = 0.2
SHORT = 0.5
"Of the epochs of the recipe: enough to learn, too few to learn by heart."
ROUNDING = 1e-6
"What float32 probabilities may fall short of their own mean."


@dataclass(frozen=True, kw_only=True)
class NoiseRate:
    """An estimate: the share of wrong labels, and the number of labels that it was counted on.

    standard_error: of the counting alone, binomial; the bias described in the module comes on top.
    """

    rate: float
    n_held_out: int

    @property
    def standard_error(self) -> float:
        return sqrt(self.rate * (1 - self.rate) / self.n_held_out)


def estimate_noise_rate(
    X: ArrayLike,
    y: ArrayLike,
    *,
    recipe: str | Recipe = "auto",
    network: Any = None,
    epochs: int | None = None,
    augment: str = "none",
    seed: int = 0,
    device: str = "auto",
) -> NoiseRate:
    """Estimate the share of wrong labels; see the module.

    X: uint8 images (N, h, w, c) or float features (N, d). y: (N,) noisy labels; where all are the
    same the rate is 0. recipe, network, augment, device: of the training, as in
    `NoisyLabelClassifier`. epochs: by default half of the recipe's. seed: decides the split and
    the training, and so the estimate.
    """
    examples, labels = np.asarray(X), np.asarray(y)
    if len(examples) < 2:
        raise InputError("X", f"{len(examples)} examples", "to estimate a noise rate takes 2")
    if len(examples) != len(labels):
        raise InputError("y", f"{len(labels)} labels", f"must have length {len(examples)}")
    classes, encoded = np.unique(labels, return_inverse=True)
    train_on, count_on = _split(len(examples), seed)
    if len(classes) == 1:
        return NoiseRate(rate=0.0, n_held_out=len(count_on))
    method = Standard(
        recipe=recipe,
        network=network,
        augment=augment,
        seed=child_seed(seed, "noise rate"),
        device=device,
    )
    whole = method.resolve_recipe(examples.shape[1:]).epochs
    method.epochs = max(1, round(SHORT * whole)) if epochs is None else epochs
    method.fit(examples[train_on], labels[train_on], classes=classes)
    probabilities = method.predict_proba(examples[count_on])
    rate = confident_noise_rate(probabilities, encoded[count_on])
    return NoiseRate(rate=rate, n_held_out=len(count_on))


def confident_noise_rate(probabilities: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """The share of wrong labels by confident learning's counts, at most 1 - 1/C.

    probabilities: (N, C) out of sample. labels: (N,) noisy. A label that no example is confidently
    counted for is taken for right. Above 1 - 1/C labels would be worse than drawn at random, and
    no network trained on them could say so.
    """
    chances = np.asarray(probabilities, dtype=np.float64)
    n_examples, n_classes = int(chances.shape[0]), int(chances.shape[1])
    totals = np.bincount(labels, minlength=n_classes)
    own = np.bincount(labels, weights=chances[np.arange(n_examples), labels], minlength=n_classes)
    thresholds = np.where(totals > 0, own / np.maximum(totals, 1), np.inf)
    above = chances >= thresholds - ROUNDING
    guess = np.where(above, chances, -np.inf).argmax(axis=1)
    sure = above.any(axis=1)
    counted = np.bincount(labels[sure], minlength=n_classes)
    agreed = np.bincount(labels[sure & (guess == labels)], minlength=n_classes)
    wrong = np.where(counted > 0, 1 - agreed / np.maximum(counted, 1), 0.0)
    rate = float(totals @ wrong) / n_examples
    return min(rate, 1 - 1 / n_classes)


def _split(n_examples: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions to train on and to count on, each in order."""
    count = max(1, round(HELD_OUT_SHARE * n_examples))
    held = np.zeros(n_examples, dtype=bool)
    held[generator(seed, "noise rate").permutation(n_examples)[:count]] = True
    everything = np.arange(n_examples)
    return everything[~held], everything[held]
