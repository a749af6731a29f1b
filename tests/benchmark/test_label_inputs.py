"""What labels are drawn from: files that are given, what stands in for them, and what is kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_examples import tiny_grid

from mislabel.benchmark import Grid, run_benchmark
from mislabel.benchmark.inputs import InputOptions, Inputs, LabelInputs
from mislabel.errors import InputError
from mislabel.features.output import save_features
from mislabel.noise import (
    PMD,
    EtaSource,
    Symmetric,
    cross_fitted_probabilities,
    network_probabilities,
)
from mislabel.noise.eta import CrossFitted
from tiny_data import N_CLASSES, N_TRAIN, blobs, write_data

X, CLEAN = blobs(N_TRAIN, 0)
RNG = np.random.default_rng(0)
CHANCES = RNG.dirichlet(np.ones(N_CLASSES), N_TRAIN).astype(np.float32)
"Class probabilities that know nothing of the classes."


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with data, a map, features and probabilities; an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MISLABEL_CACHE", str(tmp_path / "cache"))
    write_data(tmp_path)
    np.save("eta.npy", CHANCES)
    np.save("features.npy", X)
    return tmp_path


def load(**changes: Any) -> LabelInputs:
    settings: dict[str, Any] = {"data": "npz:tiny.npz", "map": Path("map.npy"), "device": "cpu"}
    return LabelInputs.load(InputOptions(**settings | changes))


def refusal(**changes: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(**changes)
    return str(caught.value)


def test_given_probabilities_serve_the_draw(here: Path) -> None:
    found = load(probabilities=Path("eta.npy"), seed=3)
    np.testing.assert_array_equal(found.probabilities, CHANCES)
    expected = PMD(factor=1.43).corrupt(CLEAN, n_classes=3, probabilities=CHANCES, seed=3)
    assert found.draw("pmd:factor=1.43") == expected
    assert found.draw("pmd:factor=1.43").receipt == expected.receipt
    assert not (here / "cache").exists(), "nothing was computed"


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".parquet", ".safetensors"])
def test_every_format(here: Path, suffix: str) -> None:
    path = Path(f"p{suffix}")
    if suffix in (".npy", ".safetensors"):
        save_features(path, CHANCES, {})
    elif suffix == ".npz":
        np.savez(path, CHANCES)
    else:
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.table({f"class {k}": CHANCES[:, k] for k in range(3)}), path)
    np.testing.assert_array_equal(load(probabilities=path).probabilities, CHANCES)


def test_a_subset_takes_its_rows(here: Path) -> None:
    found = load(probabilities=Path("eta.npy"), subset=30, seed=5)
    rows = found.dataset.train_indices
    assert len(rows) == 30 < N_TRAIN and (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(found.probabilities, CHANCES[rows])
    np.save("part.npy", CHANCES[rows])  # a file for this subset alone
    again = load(probabilities=Path("part.npy"), subset=30, seed=5)
    np.testing.assert_array_equal(again.probabilities, found.probabilities)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (CHANCES[:, :2], "probabilities='2 columns': must have one per class: 3"),
        (2 * CHANCES, "probabilities='row 0': must be at least 0 and sum to 1"),
        (CHANCES - [[0.6, -0.3, -0.3]], "probabilities='row "),
        (CHANCES[:50], "probabilities='50 rows': must have one row per example: 60"),
        (CHANCES[:, 0], "probabilities='bad.npy': must hold a matrix of numbers (N, d)"),
        (np.full((60, 3), np.nan), "probabilities='bad.npy': must be finite in float32; row 0"),
        (np.array([[{}]]), "probabilities='bad.npy': cannot be read (it holds pickled objects"),
    ],
    ids=range(7),
)
def test_bad_probabilities_are_refused_before_any_work(
    here: Path, values: np.ndarray, message: str
) -> None:
    np.save("bad.npy", values, allow_pickle=True)
    assert refusal(probabilities=Path("bad.npy")).startswith(message)


def test_other_refusals(here: Path) -> None:
    assert refusal(probabilities=Path("no.npy")) == "probabilities='no.npy': no such file"
    both = "eta='network': goes without a file of probabilities; give one"
    assert refusal(probabilities=Path("eta.npy"), eta="network") == both
    assert refusal(eta="network:cnn") == (
        "network='cnn': takes images; for feature vectors use 'mlp'"
    )
    assert refusal(eta="cross-fitted:1") == "folds=1: must be at least 2"


def test_the_source_gets_what_it_reads(here: Path) -> None:
    """Cross-fitting reads the map, or features that are given; a network reads the examples."""
    drawn = X[:, :2]
    for changes, expected in (
        ({}, cross_fitted_probabilities(drawn, CLEAN, n_classes=3, seed=2)),
        ({"eta": "cross-fitted:3"}, cross_fitted_probabilities(drawn, CLEAN, folds=3, seed=2)),
        ({"features": Path("features.npy")}, cross_fitted_probabilities(X, CLEAN, seed=2)),
        ({"eta": "network:epochs=3"}, network_probabilities(X, CLEAN, epochs=3, seed=2)),
        (
            {"eta": "network:epochs=3", "features": Path("map.npy")},
            network_probabilities(X, CLEAN, epochs=3, seed=2),
        ),
    ):
        np.testing.assert_array_equal(load(seed=2, **changes).probabilities, expected)


def test_probabilities_are_computed_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(eta="network:epochs=2").probabilities
    assert [path.suffix for path in (here / "cache").iterdir()] == [".npy"], "no checkpoint left"

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("computed")

    monkeypatch.setattr("mislabel.noise.eta_network.network_probabilities", never)
    np.testing.assert_array_equal(load(eta="network:epochs=2").probabilities, first)
    for changes in ({"seed": 1}, {"eta": "network:epochs=3"}, {"subset": 30}):
        with pytest.raises(AssertionError, match="computed"):
            _ = load(**{"eta": "network:epochs=2"} | changes).probabilities


def test_a_cache_that_cannot_be_written_is_no_error(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "file").touch()
    monkeypatch.setenv("MISLABEL_CACHE", str(here / "file" / "cache"))
    found = load(eta="network:epochs=2").probabilities
    np.testing.assert_array_equal(found, network_probabilities(X, CLEAN, epochs=2))


def test_what_is_done_is_said(here: Path) -> None:
    said: list[str] = []
    options = InputOptions(data="npz:tiny.npz", eta="network:epochs=2", device="cpu")
    LabelInputs.load(options, said.append).draw("pmd:factor=2")
    work = "Training mlp for class probabilities: epoch"
    assert said == ["Loading npz", *(f"{work} {n} of 2" for n in range(3)), "Drawing pmd:factor=2"]


def test_no_noise_computes_what_it_does_not_read(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("computed")

    monkeypatch.setattr(CrossFitted, "probabilities", never)
    monkeypatch.setattr("mislabel.benchmark.inputs.encode", never)
    found = load(map=None)
    assert found.draw("symmetric:0.2") == found.draw(Symmetric(rate=0.2))
    with pytest.raises(AssertionError, match="computed"):
        found.draw("pmd:0.2")


def test_a_grid_is_options_and_more(here: Path) -> None:
    grid = tiny_grid(here, probabilities=Path("eta.npy"), encoder="pixels", seed=4)
    assert isinstance(grid, InputOptions)
    inputs = Inputs.load(grid)
    assert inputs.grid is grid
    np.testing.assert_array_equal(inputs.probabilities, CHANCES)
    with pytest.raises(InputError, match=r"q=2\.0: must be above 0"):
        Inputs.load(tiny_grid(here, methods=["gce:q=2"]))


def grid_with(here: Path, **changes: Any) -> Grid:
    few = {"noises": ["pmd:factor=2"], "methods": ["standard"], "seeds": [1], "epochs": 1}
    return tiny_grid(here, **few | changes)


def test_a_run_is_tied_to_its_probabilities(here: Path) -> None:
    grid = grid_with(here, noises=["pmd:factor=1.43"], probabilities=Path("eta.npy"))
    found = run_benchmark(grid, "run", workers=1)
    expected = PMD(factor=1.43).corrupt(CLEAN, n_classes=3, probabilities=CHANCES)
    assert found.noises[0].labels == expected
    identity = found.metadata["identity"]
    assert identity["probabilities_sha256"] and identity["eta"] is None
    np.save("other.npy", CHANCES[::-1])
    for changes, name in (
        ({"probabilities": Path("other.npy")}, "probabilities_sha256"),
        ({"probabilities": None}, "probabilities_sha256"),
        ({"probabilities": None, "eta": "network:epochs=1"}, "probabilities_sha256"),
    ):
        with pytest.raises(InputError, match=f"holds a run with {name} '"):
            run_benchmark(grid_with(here, **changes), "run", workers=1)


def test_a_run_is_tied_to_its_eta(here: Path) -> None:
    run_benchmark(grid_with(here, eta="network:epochs=1"), "run", workers=1)
    for eta in ("network:epochs=2", "cross-fitted"):
        with pytest.raises(InputError, match="holds a run with eta 'network:epochs=1', not"):
            run_benchmark(grid_with(here, eta=eta), "run", workers=1)


def test_the_default_eta_is_that_of_runs_before_there_was_a_choice(here: Path) -> None:
    identity = Inputs.load(grid_with(here, eta="cross-fitted:5")).identity()
    assert identity["eta"] is None and identity["probabilities_sha256"] is None


def test_sources_say_what_they_read() -> None:
    assert issubclass(CrossFitted, EtaSource) and CrossFitted.reads == "features"
