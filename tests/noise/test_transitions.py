"""Draws from transition matrices: by hand, against plain twins, at exact rates."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mislabel.errors import InputError
from mislabel.labels import load_labels
from mislabel.noise import (
    Asymmetric,
    ClassDependent,
    PairFlip,
    estimate_transition_matrix,
    make_noise,
)
from mislabel.noise.asymmetric import CIFAR100_SUPERCLASSES, CLASS_MAPS, class_map_matrix
from mislabel.noise.base import check_problem
from mislabel.noise.rates import flip_count
from mislabel.noise.transition import check_transition_matrix, draw_transitions


def draw(
    clean: np.ndarray, matrix: np.ndarray, *, rate: float | None, per_class: bool, seed: int = 0
) -> np.ndarray:
    problem = check_problem(clean, len(matrix), None, None, None, None, seed, "test")
    return draw_transitions(problem, matrix, rate=rate, per_class=per_class)


def random_matrix(rng: np.random.Generator, n_classes: int) -> np.ndarray:
    """Rows of many shapes: some classes never flip, some targets never occur."""
    matrix = rng.random((n_classes, n_classes)) * (rng.random((n_classes, n_classes)) < 0.6)
    matrix += 0.3 * np.eye(n_classes)
    matrix[0] = np.eye(n_classes)[0]
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.sampled_from([0, 1, 2, 20, 37]), min_size=2, max_size=6),
    share=st.floats(0, 1),
    seed=st.integers(0, 1000),
    per_class=st.booleans(),
)
def test_rate_is_exact_for_any_matrix(
    sizes: list[int], share: float, seed: int, per_class: bool
) -> None:
    clean = np.repeat(np.arange(len(sizes)), sizes)
    if len(clean) == 0:
        return
    matrix = random_matrix(np.random.default_rng(seed), len(sizes))
    flipping = (np.diag(matrix) < 1)[clean]
    reachable = flipping.mean()
    rate = share if per_class else share * reachable
    noisy = draw(clean, matrix, rate=rate, per_class=per_class, seed=seed)
    flipped = noisy != clean
    assert not flipped[~flipping].any()
    assert (matrix[clean, noisy] > 0)[flipped].all()
    if per_class:
        for label in np.unique(clean[flipping]):
            members = clean == label
            assert abs(flipped[members].sum() - rate * members.sum()) < 1
    else:
        assert flipped.sum() == min(flip_count(rate, len(clean)), flipping.sum())


def test_without_a_rate_each_class_flips_as_the_matrix_says() -> None:
    """Systematic sampling fixes the total; each class stays near its own share (Hoeffding)."""
    clean = np.repeat(np.arange(3), 4000)
    matrix = np.array([[0.9, 0.1, 0.0], [0.0, 0.5, 0.5], [0.2, 0.1, 0.7]])
    noisy = draw(clean, matrix, rate=None, per_class=False, seed=4)
    assert (noisy != clean).sum() == 400 + 2000 + 1200
    found = estimate_transition_matrix(clean, noisy, 3)
    bound = np.sqrt(np.log(2 * 9 / 1e-6) / (2 * 4000))  # nine entries, 1e-6 in all
    assert np.abs(found - matrix).max() < bound
    assert found[0, 2] == 0 and found[1, 0] == 0


def test_another_rate_keeps_the_pattern() -> None:
    """At half the matrix's rate every propensity is halved: sum n q = 900, wanted 450."""
    clean = np.repeat(np.arange(2), 1000)
    matrix = np.array([[0.7, 0.3], [0.6, 0.4]])
    shares = np.zeros(2)
    for seed in range(200):
        noisy = draw(clean, matrix, rate=0.225, per_class=False, seed=seed)
        assert (noisy != clean).sum() == 450
        shares += [(noisy != clean)[clean == c].mean() / 200 for c in (0, 1)]
    bound = np.sqrt(np.log(4 / 1e-6) / (2 * 200_000))
    np.testing.assert_allclose(shares, [0.15, 0.3], atol=bound)


def test_propensities_saturate_at_one() -> None:
    """Class 1 flips wholly (0.8 x factor > 1); class 0 has to give the rest: 15 - 10 = 5."""
    clean = np.repeat(np.arange(2), 10)
    noisy = draw(clean, np.array([[0.9, 0.1], [0.8, 0.2]]), rate=0.75, per_class=False)
    flipped = noisy != clean
    assert flipped[clean == 1].all()
    assert flipped[clean == 0].sum() == 5


def test_unreachable_rate_states_the_range() -> None:
    with pytest.raises(InputError) as caught:
        Asymmetric(rate=0.6, map="0>1").corrupt([0, 0, 1, 2], n_classes=3)
    assert str(caught.value) == "rate=0.6: must be between 0 and 0.5"


def test_matrix_is_checked() -> None:
    with pytest.raises(InputError) as caught:
        check_transition_matrix(np.eye(2), 3, "matrix")
    rule = "must be 3 x 3, one row and column per class"
    assert str(caught.value) == f"matrix='shape (2, 2)': {rule}"
    with pytest.raises(InputError) as caught:
        check_transition_matrix([[0.5, 0.5], [0.5, 0.6]], 2, "matrix")
    assert str(caught.value) == "matrix='row 1': must be at least 0 and sum to 1"
    with pytest.raises(InputError):
        check_transition_matrix([[1.5, -0.5], [0, 1]], 2, "matrix")


def test_pair_flip_goes_to_the_next_class() -> None:
    clean = np.arange(5).repeat(8)
    noisy = PairFlip(rate=0.5).corrupt(clean, seed=2)
    flipped = noisy.flipped
    assert flipped.sum() == 20
    np.testing.assert_array_equal(noisy.labels[flipped], (clean[flipped] + 1) % 5)


# Asymmetric


def test_named_maps_by_hand() -> None:
    truck, automobile, bird, airplane, cat, dog, deer, horse = 9, 1, 2, 0, 3, 5, 4, 7
    expected = {truck: automobile, bird: airplane, cat: dog, dog: cat, deer: horse}
    assert CLASS_MAPS["cifar10"] == (10, expected)
    assert CLASS_MAPS["mnist"] == (10, {7: 1, 2: 7, 5: 6, 6: 5, 3: 8})
    n_classes, rings = CLASS_MAPS["cifar100"]
    assert n_classes == 100 and sorted(rings) == sorted(rings.values()) == list(range(100))
    assert rings[4] == 30 and rings[95] == 4  # beaver -> dolphin, whale -> beaver


@pytest.mark.data
def test_superclasses_are_those_of_cifar_100(data_folder: Path) -> None:
    from mislabel.pickles import read_torch_archive

    path = data_folder / "cifar-n" / "CIFAR-100_human.pt"
    content = read_torch_archive(path, argument="file")
    fine, coarse = (np.asarray(content[k]) for k in ("clean_label", "clean_coarse_label"))
    found = tuple(tuple(np.unique(fine[coarse == c]).tolist()) for c in range(20))
    assert found == CIFAR100_SUPERCLASSES


def test_own_map_and_its_errors() -> None:
    np.testing.assert_array_equal(class_map_matrix("0>2", 3), [[0, 0, 1], [0, 1, 0], [0, 0, 1]])
    for text, rule in {
        "0>3": "has 0>3; must join two classes from 0 to 2",
        "1>1": "has 1>1; must join two classes from 0 to 2",
        "0>1/0>2": "must send each class to one other",
        "mnist": "is for 10 classes; the data have 3",
        "cifar": "must be a name or pairs such as 7>1/2>7; did you mean 'cifar10'? "
        "Known: cifar10, cifar100, mnist",
    }.items():
        with pytest.raises(InputError) as caught:
            class_map_matrix(text, 3)
        assert str(caught.value) == f"map={text!r}: {rule}"


def test_per_class_is_the_rate_of_the_papers() -> None:
    clean = np.arange(10).repeat(100)
    noisy = Asymmetric(rate=0.4, per_class=True).corrupt(clean)
    expected = [0, 0, 0.4, 0.4, 0.4, 0.4, 0, 0, 0, 0.4]
    np.testing.assert_allclose(noisy.rate_per_class, expected)


# Class-dependent


def test_estimated_matrix_by_hand() -> None:
    clean, labels = np.array([0, 0, 0, 0, 2]), np.array([0, 1, 1, 2, 2])
    expected = [[0.25, 0.5, 0.25], [0, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(estimate_transition_matrix(clean, labels, 3), expected)


def test_matrix_from_a_file(tmp_path: Path) -> None:
    matrix = np.array([[0.5, 0.5], [0.0, 1.0]])
    np.save(tmp_path / "matrix.npy", matrix)
    model = ClassDependent(matrix=tmp_path / "matrix.npy")
    noisy = model.corrupt(np.array([0] * 10 + [1] * 10), seed=1)
    assert noisy.counts.tolist() == [[5, 5], [0, 10]]
    assert noisy.receipt.inputs["file"]


def test_parameters_that_exclude_each_other() -> None:
    for parameters, message in {
        "": "like=None: give either like or matrix",
        "a.csv,matrix=b.npy": "like='a.csv': give either like or matrix",
        "a.csv,per_class=true": "per_class=True: goes with rate",
        "a.csv,compat=x": "compat='x': must be cifar-n",
        "a.csv,compat=cifar-n,rate=0.2": "rate=0.2: is random in compatible draws; leave it out",
    }.items():
        with pytest.raises(InputError) as caught:
            make_noise(f"class-dependent:{parameters}").corrupt([0, 1])
        assert str(caught.value) == message


@pytest.mark.data
def test_compatible_draws_meet_the_published_file_in_every_place(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISLABEL_DATA", str(data_folder))
    clean = np.load(data_folder / "published" / "cifar10-given-labels.npy")
    published = load_labels(data_folder / "published" / "cifar_rand1_syn_labels.csv")
    noisy = make_noise("class-dependent:random_label1,compat=cifar-n").corrupt(clean)
    np.testing.assert_array_equal(noisy.labels, published.labels)
