"""What holds for every kind of noise, over random shapes and class sizes.

`test_noise_contract.py` runs over the registry with one problem; here the problem is random:
absent classes, classes of 1, 2 and 20 examples, any rate, overall and per class.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noise_examples import sure_probabilities

from mislabel.noise import (
    PMD,
    Asymmetric,
    ClassDependent,
    Cluster,
    HumanLike,
    Hybrid,
    InstanceDependent,
    NoiseModel,
    PairFlip,
    Symmetric,
)
from mislabel.noise.rates import flip_count

modest = settings(deadline=None, derandomize=True, max_examples=25)
seeds = st.integers(0, 10**6)
rates = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.1, 0.35, 0.5, 0.7, 1.0]))


@dataclass(frozen=True)
class Kind:
    """A kind of noise that has a rate: how to make it, and which classes it flips."""

    name: str
    make: Callable[..., NoiseModel]
    flips: Callable[[int], set[int]] = lambda n_classes: set(range(n_classes))


FOLDER: list[Path] = []


def class_dependent(n_classes: int, **parameters: Any) -> NoiseModel:
    """A matrix whose last class never flips; it is written to a file."""
    matrix = np.random.default_rng(n_classes).random((n_classes, n_classes)) + 0.1
    matrix[-1] = np.eye(n_classes)[-1]
    path = FOLDER[0] / f"matrix-{n_classes}.npy"
    np.save(path, matrix / matrix.sum(axis=1, keepdims=True))
    return ClassDependent(matrix=path, **parameters)


KINDS = [
    Kind("symmetric", lambda _, **p: Symmetric(**p)),
    Kind("pair", lambda _, **p: PairFlip(**p)),
    Kind("asymmetric", lambda _, **p: Asymmetric(map="0>1/1>0", **p), lambda _: {0, 1}),
    Kind("class-dependent", class_dependent, lambda n_classes: set(range(n_classes - 1))),
    Kind("instance", lambda _, **p: InstanceDependent(**p)),
    Kind("pmd", lambda _, **p: PMD(**p)),
    Kind("cluster", lambda _, **p: Cluster(**p)),
    Kind("human-like", lambda _, **p: HumanLike(**p)),
    Kind("cluster in many dimensions", lambda _, **p: Cluster(n=1, **p)),
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=[k.name for k in KINDS])


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    FOLDER[:] = [tmp_path_factory.mktemp("matrices")]


@st.composite
def problems(draw: st.DrawFn, sizes: tuple[int, ...] = (0, 1, 2, 7, 20)) -> dict[str, Any]:
    """Arguments of `corrupt`: labels in random order, and what any kind may read."""
    chosen = draw(
        st.lists(st.sampled_from(sizes), min_size=2, max_size=6).filter(
            lambda some: sum(n > 0 for n in some) >= 2
        )
    )
    rng = np.random.default_rng(draw(seeds))
    labels = rng.permutation(np.repeat(np.arange(len(chosen)), chosen))
    return {
        "clean_labels": labels,
        "n_classes": len(chosen),
        "positions": rng.normal(size=(len(labels), 2)),
        "features": rng.normal(size=(len(labels), draw(st.integers(1, 12)))),
        "probabilities": sure_probabilities(labels, len(chosen)),
    }


def arguments(kind: Kind, problem: dict[str, Any]) -> dict[str, Any]:
    """The problem as the kind is to see it."""
    if "many dimensions" in kind.name:
        return problem | {"positions": np.tile(problem["positions"], (1, 4))}
    return problem


def test_every_rated_kind_is_here() -> None:
    from dataclasses import fields

    from mislabel.noise import NOISE

    rated = {r.name for r in NOISE if "rate" in {f.name for f in fields(r.model)}}
    assert rated <= {kind.name for kind in KINDS}


@modest
@given(problem=problems(), share=rates, per_class=st.booleans(), seed=seeds)
@every_kind
def test_rate_range_and_clean_labels(
    kind: Kind, problem: dict[str, Any], share: float, per_class: bool, seed: int
) -> None:
    """The rate is met, overall or in every class that flips; the rest is left as it was."""
    clean, n_classes = problem["clean_labels"], problem["n_classes"]
    able = np.isin(clean, list(kind.flips(n_classes)))
    rate = share if per_class else share * able.mean()
    before = {name: np.copy(value) for name, value in problem.items()}
    model = kind.make(n_classes, rate=rate, per_class=per_class)
    noisy = model.corrupt(**arguments(kind, problem), seed=seed)
    assert noisy.labels.shape == clean.shape and noisy.labels.dtype == np.int64
    assert noisy.labels.min() >= 0 and noisy.labels.max() < n_classes
    for name, value in problem.items():
        np.testing.assert_array_equal(value, before[name])
    np.testing.assert_array_equal(noisy.clean_labels, before["clean_labels"])
    flipped = noisy.labels != clean
    assert not flipped[~able].any()
    if per_class:
        assert flipped.sum() == flip_count(rate, int(able.sum()))
        for label in np.unique(clean[able]):
            members = clean == label
            assert abs(flipped[members].sum() - rate * members.sum()) < 1 + 1e-9
    else:
        assert flipped.sum() == min(flip_count(rate, len(clean)), able.sum())
    np.testing.assert_array_equal(noisy.flipped, flipped)


@modest
@given(problem=problems(), rate=st.floats(0, 0.3), seed=seeds)
@every_kind
def test_same_seed_same_labels(kind: Kind, problem: dict[str, Any], rate: float, seed: int) -> None:
    """Also when other draws were made in between, and from copies of the inputs."""
    clean, n_classes = problem["clean_labels"], problem["n_classes"]
    model = kind.make(n_classes, rate=rate * np.isin(clean, list(kind.flips(n_classes))).mean())
    given_ = arguments(kind, problem)
    first = model.corrupt(**given_, seed=seed)
    model.corrupt(**given_, seed=seed + 1)
    copies = {
        k: v if isinstance(v, int) else np.asfortranarray(v.copy()) for k, v in given_.items()
    }
    assert model.corrupt(**copies, seed=seed) == first


@modest
@given(problem=problems(sizes=(20, 21, 40)), rate=st.floats(0.2, 0.8), seed=seeds)
@every_kind
def test_other_seed_other_labels(
    kind: Kind, problem: dict[str, Any], rate: float, seed: int
) -> None:
    """With 40 examples or more, four seeds in a row do not all give the same two draws."""
    clean, n_classes = problem["clean_labels"], problem["n_classes"]
    model = kind.make(n_classes, rate=rate * np.isin(clean, list(kind.flips(n_classes))).mean())
    given_ = arguments(kind, problem)
    draws = {model.corrupt(**given_, seed=seed + k).labels.tobytes() for k in range(4)}
    assert len(draws) > 2


@modest
@given(problem=problems(sizes=(1, 2, 7, 20)), d=st.sampled_from([2, 3, 9]), seed=seeds,
       radius=st.one_of(st.none(), st.floats(0.05, 3)))  # fmt: skip
def test_centres_of_another_class_never_flip_an_example(
    problem: dict[str, Any], d: int, seed: int, radius: float | None
) -> None:
    """Who flips in a class depends on that class alone: the others may lie anywhere.

    The same draw, once with all classes in one heap and once with the others moved far away, or
    right onto the examples of the class.
    """
    clean, n_classes = problem["clean_labels"], problem["n_classes"]
    rng = np.random.default_rng(seed)
    heap = rng.normal(size=(len(clean), d))
    model = Cluster(n=1, r=radius) if radius else Cluster(n=1, rate=0.4, per_class=True)
    together = model.corrupt(clean, n_classes=n_classes, positions=heap, seed=seed)
    for label in np.unique(clean):
        own = clean == label
        apart = np.where(own[:, None], heap, heap + 1000.0)
        onto = heap.copy()
        onto[~own] = heap[own][rng.integers(own.sum(), size=int((~own).sum()))]
        for moved in (apart, onto):
            noisy = model.corrupt(clean, n_classes=n_classes, positions=moved, seed=seed)
            np.testing.assert_array_equal(noisy.flipped[own], together.flipped[own])


stage = st.sampled_from(["symmetric", "pair", "instance", "cluster"])


@modest
@given(problem=problems(sizes=(2, 7, 20)), kinds=st.tuples(stage, stage),
       first=st.floats(0, 0.5), second=rates, seed=seeds)  # fmt: skip
def test_hybrid_stages_meet_their_rates(
    problem: dict[str, Any], kinds: tuple[str, str], first: float, second: float, seed: int
) -> None:
    """Each rate is exact with respect to the labels before the stage; the clean ones stay."""
    clean = problem["clean_labels"]
    specs = [f"{kind}:{rate!r}" for kind, rate in zip(kinds, (first, second), strict=True)]
    if "cluster" in kinds:
        specs = [s + ";n=1" if s.startswith("cluster") else s for s in specs]
    noisy = Hybrid(stages="+".join(specs)).corrupt(**problem, seed=seed)
    halfway = Hybrid(stages=f"{specs[0]}+symmetric:0").corrupt(**problem, seed=seed)
    assert halfway.flipped.sum() == flip_count(first, len(clean))
    assert (noisy.labels != halfway.labels).sum() == flip_count(second, len(clean))
    assert noisy.labels.min() >= 0 and noisy.labels.max() < problem["n_classes"]
    np.testing.assert_array_equal(noisy.clean_labels, clean)
    assert Hybrid(stages="+".join(specs)).corrupt(**problem, seed=seed) == noisy
