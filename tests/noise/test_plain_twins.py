"""Every kind of noise draws, label by label, what its plain twin draws from the same stream.

The twins' sums are rounded in another order, so a flip could differ where a random number falls
within about 1e-14 of a border; the examples are fixed, and none does.
"""

from pathlib import Path
from typing import Any

import numpy as np
import plain_twins as twins
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mislabel.errors import InputError
from mislabel.noise import (
    PMD,
    Asymmetric,
    ClassDependent,
    Cluster,
    Hybrid,
    InstanceDependent,
    NoiseModel,
    PairFlip,
    Symmetric,
    estimate_transition_matrix,
)
from mislabel.seeds import generator

modest = settings(deadline=None, derandomize=True, max_examples=40)
rates = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.1, 0.35, 0.5, 1.0]))
seeds = st.integers(0, 10**6)


@st.composite
def class_labels(draw: st.DrawFn, most: int = 9) -> tuple[np.ndarray, int]:
    """(N,) labels of two to five classes in random order, some small, some absent; and C."""
    sizes = draw(
        st.lists(st.sampled_from([0, 1, 2, 3, most]), min_size=2, max_size=5).filter(
            lambda chosen: sum(n > 0 for n in chosen) >= 2
        )
    )
    rng = np.random.default_rng(draw(seeds))
    return rng.permutation(np.repeat(np.arange(len(sizes)), sizes)), len(sizes)


def agree(model: NoiseModel, labels: np.ndarray, n_classes: int, seed: int, **given_: Any) -> None:
    """The model's labels are the twin's; `parameters` are the twin's own."""
    parameters = given_.pop("parameters")
    expected = twins.KINDS[model.name](
        labels.tolist(), n_classes, generator(seed, "noise", model.name), **parameters
    )
    if expected is None:
        with pytest.raises(InputError, match="cannot be reached"):
            model.corrupt(labels, n_classes=n_classes, seed=seed, **given_)
        return
    noisy = model.corrupt(labels, n_classes=n_classes, seed=seed, **given_)
    assert noisy.labels.tolist() == expected


@modest
@given(scene=class_labels(), rate=rates, per_class=st.booleans(), seed=seeds)
def test_symmetric(scene: Any, rate: float, per_class: bool, seed: int) -> None:
    parameters = {"rate": rate, "per_class": per_class}
    agree(Symmetric(**parameters), *scene, seed, parameters=parameters)


@modest
@given(scene=class_labels(), rate=rates, per_class=st.booleans(), seed=seeds)
def test_pair_flip(scene: Any, rate: float, per_class: bool, seed: int) -> None:
    parameters = {"rate": rate, "per_class": per_class}
    agree(PairFlip(**parameters), *scene, seed, parameters=parameters)


@modest
@given(scene=class_labels(), share=rates, per_class=st.booleans(), seed=seeds)
def test_asymmetric(scene: Any, share: float, per_class: bool, seed: int) -> None:
    labels, n_classes = scene
    flips = {0: 1, n_classes - 1: 0}
    reachable = np.isin(labels, list(flips)).mean()
    parameters = {"rate": share if per_class else share * reachable, "per_class": per_class}
    text = "/".join(f"{a}>{b}" for a, b in flips.items())
    agree(
        Asymmetric(map=text, **parameters), labels, n_classes, seed,
        parameters={"flips": flips, **parameters},
    )  # fmt: skip


def some_matrix(seed: int, n_classes: int) -> np.ndarray:
    """Rows of many shapes: a class that never flips, targets that never occur."""
    rng = np.random.default_rng(seed)
    matrix = rng.random((n_classes, n_classes)) * (rng.random((n_classes, n_classes)) < 0.6)
    matrix += 0.3 * np.eye(n_classes)
    matrix[1] = np.eye(n_classes)[1]
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def matrix_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("twins") / "matrix.npy"


@modest
@given(scene=class_labels(), share=st.one_of(st.none(), rates), per_class=st.booleans(), seed=seeds)
def test_class_dependent(
    matrix_file: Path, scene: Any, share: float | None, per_class: bool, seed: int
) -> None:
    labels, n_classes = scene
    matrix = some_matrix(seed, n_classes)
    np.save(matrix_file, matrix)
    per_class = per_class and share is not None
    reachable = (np.diag(matrix) < 1)[labels].mean()
    rate = share if share is None or per_class else share * reachable
    parameters = {"rate": rate, "per_class": per_class}
    agree(
        ClassDependent(matrix=matrix_file, **parameters), labels, n_classes, seed,
        parameters={"matrix": matrix.tolist(), **parameters},
    )  # fmt: skip


@modest
@given(scene=class_labels(), seed=seeds)
def test_class_dependent_as_the_authors_of_cifar_n_draw(
    matrix_file: Path, scene: Any, seed: int
) -> None:
    labels, n_classes = scene
    matrix = some_matrix(seed, n_classes)
    np.save(matrix_file, matrix)
    model = ClassDependent(matrix=matrix_file, compat="cifar-n")
    noisy = model.corrupt(labels, n_classes=n_classes)
    assert noisy.labels.tolist() == twins.compatible(labels.tolist(), matrix.tolist())


@modest
@given(scene=class_labels(), seed=seeds)
def test_estimated_matrix(scene: Any, seed: int) -> None:
    clean, n_classes = scene
    labels = np.random.default_rng(seed).integers(n_classes, size=len(clean))
    found = estimate_transition_matrix(clean, labels, n_classes)
    for y in range(n_classes):
        pairs = [b for a, b in zip(clean.tolist(), labels.tolist(), strict=True) if a == y]
        for z in range(n_classes):
            share = pairs.count(z) / len(pairs) if pairs else float(y == z)
            assert found[y, z] == pytest.approx(share, abs=1e-15)


@modest
@given(
    scene=class_labels(), rate=st.one_of(st.none(), rates), per_class=st.booleans(), seed=seeds,
    d=st.sampled_from([1, 2, 3, 4, 7, 12]), grid=st.booleans(), single=st.booleans(),
)  # fmt: skip
def test_cluster(
    scene: Any, rate: float | None, per_class: bool, seed: int, d: int, grid: bool, single: bool
) -> None:
    """On whole numbers, where distances are equal, and on others; in float32 and float64."""
    labels, n_classes = scene
    rng = np.random.default_rng(seed)
    positions = rng.integers(-3, 4, size=(len(labels), d)) if grid else None
    if positions is None:
        positions = rng.normal(size=(len(labels), d)) + 100 * rng.normal(size=d)
    positions = positions.astype(np.float32 if single else np.float64)
    parameters: dict[str, Any] = {"n": 1, "r": 2.0}
    if rate is not None:
        parameters = {"n": 1, "rate": rate, "per_class": per_class}
    agree(
        Cluster(**parameters), labels, n_classes, seed, positions=positions,
        parameters={"positions": positions.tolist(), **parameters},
    )  # fmt: skip


@modest
@given(
    scene=class_labels(), rate=rates, per_class=st.booleans(), type_=st.sampled_from([1, 2, 3]),
    skill=st.sampled_from([0.0, 2.0, 5.0]), seed=seeds,
)  # fmt: skip
def test_pmd_at_a_rate(
    scene: Any, rate: float, per_class: bool, type_: int, skill: float, seed: int
) -> None:
    """With classifiers that know nothing, something and nearly all; rates out of reach included."""
    labels, n_classes = scene
    logits = np.random.default_rng(seed).normal(size=(len(labels), n_classes))
    logits[np.arange(len(labels)), labels] += skill
    eta = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    parameters = {"rate": rate, "type": type_, "per_class": per_class}
    agree(
        PMD(**parameters), labels, n_classes, seed, probabilities=eta,
        parameters={"probabilities": eta.tolist(), **parameters},
    )  # fmt: skip


@modest
@given(
    scene=class_labels(), factor=st.floats(0.3, 5), type_=st.sampled_from([1, 2, 3]), seed=seeds,
    single=st.booleans(),
)  # fmt: skip
def test_pmd_by_the_factor(scene: Any, factor: float, type_: int, seed: int, single: bool) -> None:
    """With equal probabilities: eighths, so that sums are exact."""
    labels, n_classes = scene
    eta = np.random.default_rng(seed).multinomial(8, np.full(n_classes, 1 / n_classes), len(labels))
    eta = (eta / 8).astype(np.float32 if single else np.float64)
    parameters = {"factor": factor, "type": type_}
    agree(
        PMD(**parameters), labels, n_classes, seed, probabilities=eta,
        parameters={"probabilities": eta.tolist(), **parameters},
    )  # fmt: skip


@modest
@given(
    scene=class_labels(), rate=rates, per_class=st.booleans(), d=st.integers(1, 6), seed=seeds,
    single=st.booleans(),
)  # fmt: skip
def test_instance_dependent(
    scene: Any, rate: float, per_class: bool, d: int, seed: int, single: bool
) -> None:
    labels, n_classes = scene
    features = np.random.default_rng(seed).normal(size=(len(labels), d)) * np.arange(d) + 5
    features = features.astype(np.float32 if single else np.float64)
    parameters = {"rate": rate, "per_class": per_class}
    agree(
        InstanceDependent(**parameters), labels, n_classes, seed, features=features,
        parameters={"features": features.tolist(), **parameters},
    )  # fmt: skip


@modest
@given(scene=class_labels(), first=rates, second=rates, third=rates, seed=seeds)
def test_hybrid(scene: Any, first: float, second: float, third: float, seed: int) -> None:
    """Stage by stage, each from a stream of its own and on the labels of the one before."""
    labels, n_classes = scene
    points = np.random.default_rng(seed).normal(size=(len(labels), 2))
    stages = [
        ("symmetric", f"symmetric:{first!r}", {"rate": first}),
        ("cluster", f"cluster:{second!r};n=1", {"rate": second, "n": 1}),
        ("pair", f"pair:{third!r}", {"rate": third}),
    ]
    expected = labels.tolist()
    for number, (name, _, parameters) in enumerate(stages):
        if name == "cluster":
            parameters = parameters | {"positions": points.tolist()}
            if len(set(expected)) < 2:
                return
        rng = generator(seed, "noise", "hybrid", str(number), name)
        expected = twins.KINDS[name](expected, n_classes, rng, **parameters)
    model = Hybrid(stages="+".join(spec for _, spec, _ in stages))
    noisy = model.corrupt(labels, n_classes=n_classes, positions=points, seed=seed)
    assert noisy.labels.tolist() == expected
    np.testing.assert_array_equal(noisy.clean_labels, labels)
