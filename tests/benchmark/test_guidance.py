"""Methods that predict from features: which features they get, of training and test examples."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_examples import numbers, tiny_grid

from mislabel.benchmark import Grid, run_benchmark
from mislabel.benchmark import run as run_module
from mislabel.benchmark.inputs import Inputs
from mislabel.errors import InputError
from mislabel.features import encode
from tiny_data import N_TEST, N_TRAIN, blobs, write_data

RNG = np.random.default_rng(0)
TRAIN, TEST = RNG.normal(size=(N_TRAIN, 3)), RNG.normal(size=(N_TEST, 3))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data, a map, features of both parts; an empty cache."""
    monkeypatch.setenv("MISLABEL_CACHE", str(tmp_path / "cache"))
    write_data(tmp_path)
    np.save(tmp_path / "train.npy", TRAIN)
    np.save(tmp_path / "test.npy", TEST)
    return tmp_path


def grid(folder: Path, **changes: Any) -> Grid:
    settings = {"methods": ["lra-diffusion:k=3"], "noises": ["symmetric:0.2"], "seeds": [1]}
    return tiny_grid(folder, **settings | {"epochs": 1} | changes)


def refusal(folder: Path, **changes: Any) -> str:
    with pytest.raises(InputError) as caught:
        Inputs.load(grid(folder, **changes))
    return str(caught.value)


def test_given_features_of_both_are_used(here: Path) -> None:
    files = {"features": here / "train.npy", "test_features": here / "test.npy"}
    inputs = Inputs.load(grid(here, **files))
    train, test = inputs.guidance
    np.testing.assert_array_equal(train, TRAIN.astype(np.float32))
    np.testing.assert_array_equal(test, TEST.astype(np.float32))
    np.testing.assert_array_equal(inputs.features, train)


@pytest.mark.parametrize("given", [{}, {"map": None}, {"features": "train.npy"}], ids=str)
def test_without_features_of_the_test_examples_the_encoder_makes_both(
    here: Path, given: dict[str, Any]
) -> None:
    """It learns from the training examples; what was given serves the neighbours."""
    changes = {name: here / value if value else None for name, value in given.items()}
    inputs = Inputs.load(grid(here, **changes))
    x_train, x_test = blobs(N_TRAIN, 0)[0], blobs(N_TEST, 1)[0]
    train, test = inputs.guidance
    np.testing.assert_array_equal(train, encode("pixels", x_train))
    np.testing.assert_array_equal(test, encode("pixels", x_test, fit_on=x_train))
    near = {"features": TRAIN.astype(np.float32), "map": train}.get(next(iter(given), ""))
    np.testing.assert_array_equal(inputs.features, x_train[:, :2] if near is None else near)


def test_they_reach_the_training(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    train_cell = run_module.train_cell

    def watched(work: Any) -> str:
        seen.append((work.key.method, work.features, work.guidance))
        return train_cell(work)

    monkeypatch.setattr(run_module, "train_cell", watched)
    wanted = grid(here, methods=["standard", "snls:k=3", "lra-diffusion:k=3"])
    run_benchmark(wanted, here / "run", workers=1)
    inputs = Inputs.load(wanted)
    found = {method: (features, guidance) for method, features, guidance in seen}
    assert found["standard"][0] is None
    assert found["standard"][1] == found["snls:k=3"][1] == (None, None)
    np.testing.assert_array_equal(found["snls:k=3"][0], inputs.given_map)
    features, guidance = found["lra-diffusion:k=3"]
    np.testing.assert_array_equal(features, inputs.given_map)
    for one, other in zip(guidance, inputs.guidance, strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_features_of_the_test_examples_are_another_run(here: Path) -> None:
    files = {"features": here / "train.npy", "test_features": here / "test.npy"}
    first = run_benchmark(grid(here, **files), here / "run", workers=1)
    assert numbers(run_benchmark(grid(here, **files), here / "run", workers=1)) == numbers(first)
    np.save(here / "test.npy", TEST[::-1])
    with pytest.raises(InputError, match="holds a run with test_features_sha256"):
        run_benchmark(grid(here, **files), here / "run", workers=1)
    other = run_benchmark(grid(here, **files), here / "other", workers=1)
    [(_, one)], [(_, two)] = numbers(first).items(), numbers(other).items()
    assert one[0]["train_loss"] == two[0]["train_loss"]


def test_cells_are_named_by_what_they_predict_from(here: Path) -> None:
    """The same run folder (the encoder is part of its identity), so only the cell can tell."""
    settings = []
    for features in ({}, {"features": here / "train.npy", "test_features": here / "test.npy"}):
        inputs = Inputs.load(grid(here, **features))
        settings.append(run_module._training(inputs, "lra-diffusion:k=3"))
        assert "guidance_sha256" not in run_module._training(inputs, "snls:k=3")
    for name in ("guidance_sha256", "test_features_sha256"):
        assert settings[0][name] != settings[1][name]


def test_what_is_refused(here: Path) -> None:
    test = here / "test.npy"
    rule = "goes with features of the training set; give features"
    assert refusal(here, test_features=test) == f"test_features={str(test)!r}: {rule}"
    files = {"features": here / "train.npy", "test_features": test}
    np.save(test, TEST[:9])
    rule = f"must have one row per test example: {N_TEST}"
    assert refusal(here, **files) == f"test_features='9 rows': {rule}"
    np.save(test, TEST[:, :2])
    assert refusal(here, **files) == "test_features='2 columns': must have 3, as features"
    test.unlink()
    assert refusal(here, **files) == f"test_features={str(test)!r}: no such file"
