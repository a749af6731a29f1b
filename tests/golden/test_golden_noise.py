"""Noise does not move: every kind and seed is as the golden file has it, on every processor."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import golden_draws
import numpy as np
import pytest
from golden_draws import SEEDS, SPECS, C, N, draw, inputs, moved, stored
from scipy.spatial import KDTree

from mislabel.files import hash_array
from mislabel.noise import NOISE
from mislabel.noise.human_like import neighbor_count, products, reach_lengths, sum_of_squares
from mislabel.seeds import generator
from mislabel.specs import split_spec

RENEW = "if that is meant, say so in the changelog and run python tests/golden/make.py"


@pytest.fixture(scope="module", autouse=True)
def files() -> Iterator[None]:
    """The working folder with the files that some specs name."""
    with tempfile.TemporaryDirectory() as folder, golden_draws.files(Path(folder)):
        yield


def test_the_inputs_have_not_moved() -> None:
    found = {name: hash_array(value) for name, value in inputs().items()}
    assert found == stored()["inputs"]


@pytest.mark.parametrize("spec", SPECS)
def test_noise_has_not_moved(spec: str) -> None:
    held = stored()["labels"].get(spec, {})
    found = {str(seed): hash_array(draw(spec, seed).labels) for seed in SEEDS}
    wrong = [seed for seed in found if found[seed] != held.get(seed)]
    assert not wrong, f"noise {spec!r} moved with seeds {', '.join(wrong)}; {RENEW}"


def test_every_kind_is_in_the_golden_file() -> None:
    missing = set(NOISE.names) - {split_spec(spec, "noise")[0] for spec in stored()["labels"]}
    assert not missing, f"add {missing} to SPECS in golden_draws.py, and {RENEW}"


def test_the_golden_file_holds_no_more_than_is_drawn() -> None:
    assert tuple(stored()["labels"]) == SPECS
    assert all(tuple(seeds) == tuple(map(str, SEEDS)) for seeds in stored()["labels"].values())


def test_seeds_and_kinds_differ_where_they_should() -> None:
    """Kinds that read labels draw none: one hash for all seeds; of all others each is its own."""
    drawn = [h for spec, held in stored()["labels"].items() for h in set(held.values())]
    same = [spec for spec, held in stored()["labels"].items() if len(set(held.values())) == 1]
    assert {spec.split(":")[0] for spec in same} == {"clean", "human", "file", "class-dependent"}
    assert [spec for spec in same if "class-dependent" in spec] == [
        "class-dependent:matrix=matrix.npy,compat=cifar-n"
    ]
    shared = {"human:random_label1,file=people.csv", "file:labels.npy"}
    assert len(set(drawn)) == len(drawn) - 1 and shared <= set(same)


def test_what_moved_is_named() -> None:
    held = {"inputs": {"features": "a"}, "labels": {"clean": {"0": "b"}, "pair:0.2": {"7": "c"}}}
    found = {"inputs": {"features": "z"}, "labels": {"clean": {"0": "b"}, "pair:0.2": {"7": "y"}}}
    assert moved(held, held) == []
    assert moved(found, held) == ["input features", "noise 'pair:0.2', seed 7"]
    new = {**held, "labels": {**held["labels"], "symmetric:0.2": {"1": "d"}}}
    assert moved(new, held) == moved(held, new) == ["noise 'symmetric:0.2', seed 1"]


def test_the_last_neighbour_that_counts_is_nearer_than_the_next() -> None:
    """Else the order of a search, which differs between platforms, would decide who counts."""
    k = neighbor_count(N, C)
    distances = KDTree(inputs()["positions"]).query(inputs()["positions"], k=k + 2)[0]
    assert (distances[:, 1] > 0).all()
    assert (distances[:, k + 1] > distances[:, k]).all()


# Other processors


CHILD = """
import json, sys, tempfile
from pathlib import Path
sys.path.insert(0, {here!r})
from golden_draws import golden, inputs, moved, stored
from mislabel.noise.human_like import reach_lengths
from mislabel.seeds import generator
with tempfile.TemporaryDirectory() as folder:
    lines = moved(golden(Path(folder)), stored())
points = inputs()["positions"].astype("float32")
print(json.dumps([lines, reach_lengths(points, (0.001, 0.03), generator(0, "lengths"))]))
"""


def test_an_older_processor_draws_the_same() -> None:
    """NumPy without vector instructions, and OpenBLAS with the kernels of 2008: no fused sums."""
    found = json.loads(_child(NPY_DISABLE_CPU_FEATURES=_vector_features(),
                              OPENBLAS_CORETYPE="Nehalem"))  # fmt: skip
    points = inputs()["positions"].astype(np.float32)
    assert found == [[], reach_lengths(points, (0.001, 0.03), generator(0, "lengths"))]


def _vector_features() -> str:
    """What NumPy found here beyond the processors that it is built for."""
    config: Any = np.show_config(mode="dicts")
    return " ".join(config["SIMD Extensions"].get("found", []))


def _child(**environment: str) -> str:
    code = CHILD.format(here=str(Path(__file__).parent))
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, check=True, text=True,
        stdout=subprocess.PIPE,
    ).stdout  # fmt: skip


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_products_round_once_per_dimension(dimensions: int) -> None:
    rng = np.random.default_rng(dimensions)
    first = rng.normal(size=(7, dimensions)).astype(np.float32)
    second = rng.normal(size=(11, dimensions)).astype(np.float32)
    wanted = np.zeros((7, 11), np.float32)
    for i, j in np.ndindex(7, 11):
        for x, y in zip(first[i], second[j], strict=True):
            wanted[i, j] = np.float32(float(x) * float(y) + float(wanted[i, j]))
    np.testing.assert_array_equal(products(first, second), wanted)
    squares = [float(sum_of_squares(first)[i]) for i in range(7)]
    # d products and d - 1 sums, each rounded by at most 2**-24 of itself.
    np.testing.assert_allclose(squares, np.square(first.astype(float)).sum(axis=1), rtol=6 * 2**-24)


def test_products_by_hand() -> None:
    """(1 + 2**-12)**2 - 1 is 2**-11 + 2**-24: rounded to float32 in between, the last is lost."""
    x = np.float32(1 + 2**-12)
    fused = products(np.array([[1, x]], np.float32), np.array([[-1, x]], np.float32))
    assert fused.dtype == np.float32 and fused.item() == 2**-11 + 2**-24
    assert np.float32(x * x) - np.float32(1) == 2**-11


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_in_many_dimensions_products_are_those_of_the_blas(kind: Any) -> None:
    points = np.random.default_rng(0).normal(size=(9, 5)).astype(kind)
    np.testing.assert_array_equal(products(points, points), points @ points.T)
    # Five products and four sums of terms up to 10 in size.
    bound = 100 * np.finfo(kind).eps
    np.testing.assert_allclose(sum_of_squares(points), np.square(points).sum(axis=1), atol=bound)
