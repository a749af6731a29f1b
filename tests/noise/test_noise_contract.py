"""The contract of noise models, for every record of the registry."""

import json
import random
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from noise_examples import (
    CLASS_SIZES,
    READ_NOT_DRAWN,
    C,
    N,
    all_inputs,
    clean_labels,
    example,
    needed_inputs,
    write_label_files,
)

from mislabel.errors import InputError
from mislabel.files import hash_array, hash_file
from mislabel.labels import NoisyLabels
from mislabel.noise import NOISE, NoiseModel, NoiseRecord, make_noise
from mislabel.noise.rates import flip_count

LABELS = clean_labels()
every_record = pytest.mark.parametrize("record", list(NOISE), ids=NOISE.names)
with_rate = [r for r in NOISE if "rate" in {f.name for f in fields(r.model)}]
every_rated = pytest.mark.parametrize("record", with_rate, ids=[r.name for r in with_rate])


@pytest.fixture(autouse=True)
def label_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that the examples name."""
    write_label_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MISLABEL_DATA", str(tmp_path))
    return tmp_path


def draw(record: NoiseRecord, seed: int = 0, **changes: Any) -> NoisyLabels:
    given = {"clean_labels": LABELS, "n_classes": C, "seed": seed, **needed_inputs(record)}
    return example(record).corrupt(**{**given, **changes})


def refusal(record: NoiseRecord, **changes: Any) -> str:
    with pytest.raises(InputError) as caught:
        draw(record, **changes)
    return str(caught.value)


def with_rate_of(record: NoiseRecord, rate: Any) -> NoiseModel:
    return replace(example(record), rate=rate)  # type: ignore[call-arg]


# What comes out


@every_record
def test_shape_type_and_range(record: NoiseRecord) -> None:
    noisy = draw(record)
    assert noisy.labels.shape == (N,) and noisy.labels.dtype == np.int64
    assert noisy.labels.min() >= 0 and noisy.labels.max() < C and noisy.n_classes == C
    np.testing.assert_array_equal(noisy.clean_labels, LABELS)
    assert noisy.rate == 0 if record.name == "clean" else 0 < noisy.rate < 1


@every_record
def test_same_seed_same_labels(record: NoiseRecord) -> None:
    as_lists = {name: value.tolist() for name, value in needed_inputs(record).items()}
    again = draw(record, seed=5, clean_labels=LABELS.astype(np.uint8).tolist(), **as_lists)
    assert draw(record, seed=5) == again


@every_record
def test_other_seed_other_labels(record: NoiseRecord) -> None:
    draws = {draw(record, seed=s).labels.tobytes() for s in range(4)}
    assert len(draws) == (1 if record.name in READ_NOT_DRAWN else 4)


@every_record
def test_inputs_are_left_as_they_are(record: NoiseRecord) -> None:
    given = {"clean_labels": LABELS.copy(), **needed_inputs(record)}
    before = {name: value.copy() for name, value in given.items()}
    noisy = example(record).corrupt(**given, n_classes=C, seed=1)
    for name, value in given.items():
        np.testing.assert_array_equal(value, before[name])
        assert value.flags.writeable
        assert not np.shares_memory(value, noisy.labels)
        value.flags.writeable = False
    assert example(record).corrupt(**given, n_classes=C, seed=1) == noisy


def global_states() -> tuple[Any, ...]:
    state = np.random.get_state(legacy=False)  # noqa: NPY002
    return repr(state["state"]["key"].tolist()), state["state"]["pos"], random.getstate(), (
        torch.get_rng_state().tolist()
    )  # fmt: skip


@pytest.fixture
def kept_global_state() -> Iterator[None]:
    """Put the global random states back after a test that changes them."""
    state = np.random.get_state(), torch.get_rng_state(), random.getstate()  # noqa: NPY002
    yield
    np.random.set_state(state[0])  # noqa: NPY002
    torch.set_rng_state(state[1])
    random.setstate(state[2])


@pytest.mark.usefixtures("kept_global_state")
@every_record
def test_no_global_random_state(record: NoiseRecord) -> None:
    before = global_states()
    first = draw(record)
    assert global_states() == before
    np.random.seed(99)  # noqa: NPY002
    torch.manual_seed(99)
    random.seed(99)
    assert global_states() != before
    assert draw(record) == first


@every_record
def test_more_classes_than_occur(record: NoiseRecord) -> None:
    inputs = needed_inputs(record)
    kept = LABELS != 3
    given = {name: value[kept] for name, value in inputs.items()}
    rows = {"indices": np.flatnonzero(kept), "n_total": N}
    noisy = example(record).corrupt(LABELS[kept], n_classes=C, **given, **rows)
    assert noisy.n_classes == C and len(noisy) == N - CLASS_SIZES[3]
    assert np.isnan(noisy.rate_per_class[3])


# Receipts


@every_record
def test_receipt_is_complete(record: NoiseRecord) -> None:
    noisy = draw(record, seed=11)
    receipt = json.loads(json.dumps(noisy.receipt_json(), allow_nan=False))
    seed = None if record.model.reads_file else 11
    assert receipt["generator"] == record.name and receipt["seed"] == seed
    assert {"python", "mislabel", "numpy"} <= receipt["versions"].keys()
    assert receipt["parameters"].keys() == {f.name for f in fields(record.model)}
    inputs = {"clean_labels": LABELS, **needed_inputs(record)}
    hashes = {name: hash_array(value) for name, value in inputs.items()}
    assert {name: receipt["inputs"][name] for name in hashes} == hashes
    assert receipt["labels_sha256"] == hash_array(noisy.labels)
    assert receipt["rate"] == noisy.rate and len(receipt["rate_per_class"]) == C


@every_record
def test_labels_can_be_made_again_from_the_receipt(record: NoiseRecord) -> None:
    noisy = draw(record, seed=12)
    receipt = json.loads(json.dumps(noisy.receipt_json()))
    given = {k: Path(v) if k == "path" else v for k, v in receipt["parameters"].items()}
    model = NOISE[receipt["generator"]].model(**given)
    seed = 99 if model.reads_file else receipt["seed"]  # nothing is drawn: any seed will do
    again = model.corrupt(
        LABELS, n_classes=receipt["n_classes"], seed=seed, **needed_inputs(record)
    )
    assert again == noisy and again.receipt == noisy.receipt


@pytest.mark.parametrize(("name", "file"), [("human", "cifar-n/CIFAR-10_human.pt"),
                                            ("file", "labels.npy")])  # fmt: skip
def test_receipt_holds_the_hash_of_the_file(name: str, file: str) -> None:
    assert draw(NOISE[name]).receipt.inputs["file"] == hash_file(Path(file))


@every_record
def test_receipt_survives_saving(record: NoiseRecord) -> None:
    noisy = draw(record)
    noisy.save("saved.parquet")
    loaded = NoisyLabels.load("saved.parquet")
    assert loaded == noisy and loaded.receipt_json() == noisy.receipt_json()


# Records


@every_record
def test_record_is_whole(record: NoiseRecord) -> None:
    names = {f.name for f in fields(record.model)}
    assert record.model.name == record.name
    assert record.title and record.paper and record.advice
    assert record.positional is None or record.positional in names
    assert set(example(record).used_inputs()) <= all_inputs().keys()
    assert type(make_noise(record.example)) is record.model


@every_record
def test_models_are_frozen_and_equal_by_value(record: NoiseRecord) -> None:
    model = example(record)
    assert model == example(record)
    with pytest.raises(FrozenInstanceError):
        model.seed = 1  # type: ignore[attr-defined]


# Bad input


@every_record
def test_missing_inputs(record: NoiseRecord) -> None:
    for name in example(record).used_inputs():
        message = f"{name}=None: noise {record.name!r} needs them"
        assert refusal(record, **{name: None}) == message


@pytest.mark.parametrize(
    ("clean", "message"),
    [
        ([], "clean_labels='[]': must not be empty"),
        (LABELS.reshape(10, -1), f"clean_labels='shape (10, {N // 10})': must be one-dimensional"),
        ([0.0, 1.5], "clean_labels=1.5: at index 1; must be a whole number"),
        ([0.0, np.nan], "clean_labels=nan: at index 1; must be a whole number"),
        (["cat", "dog"], "clean_labels='dtype <U3': must be whole numbers"),
        ([0, -1], "clean_labels=-1: at index 1; must be between 0 and 9"),
        ([0, 10], "clean_labels=10: at index 1; must be between 0 and 9"),
    ],
)
@every_record
def test_bad_clean_labels(record: NoiseRecord, clean: Any, message: str) -> None:
    assert refusal(record, clean_labels=clean) == message


@pytest.mark.parametrize("n_classes", [0, -3, 2.5, "10", True])
@every_record
def test_bad_number_of_classes(record: NoiseRecord, n_classes: Any) -> None:
    message = f"n_classes={n_classes!r}: must be a whole number of at least 1"
    assert refusal(record, n_classes=n_classes) == message


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True, None, 2**63, float("nan")])
@every_record
def test_bad_seeds(record: NoiseRecord, seed: Any) -> None:
    message = f"seed={seed!r}: must be a whole number from 0 to 2**63 - 1"
    assert refusal(record, seed=seed) == message


def changed(array: np.ndarray, row: int, values: Any) -> np.ndarray:
    array = array.copy()
    array[row] = values
    return array


GIVEN = all_inputs()


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (GIVEN["positions"][:-1], f"positions='{N - 1} rows': must have one row per label: {N}"),
        (changed(GIVEN["positions"], 7, np.nan), "positions='row 7': must be finite"),
        (changed(GIVEN["positions"], 8, [0, np.inf]), "positions='row 8': must be finite"),
        (GIVEN["positions"][:, 0],
         f"positions='float64 ({N},)': must be a matrix of numbers (N, d)"),
        (np.empty((N, 0)), f"positions='float64 ({N}, 0)': must be a matrix of numbers (N, d)"),
        ([["a", "b"]] * N, f"positions='<U1 ({N}, 2)': must be a matrix of numbers (N, d)"),
        ([[True, False]] * N, f"positions='bool ({N}, 2)': must be a matrix of numbers (N, d)"),
    ],
)  # fmt: skip
@every_record
def test_bad_positions(record: NoiseRecord, positions: Any, message: str) -> None:
    assert refusal(record, positions=positions) == message


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (GIVEN["probabilities"][1:],
         f"probabilities='{N - 1} rows': must have one row per label: {N}"),
        (GIVEN["probabilities"][:, 1:], "probabilities='9 columns': must have one per class: 10"),
        (GIVEN["probabilities"] * 1.01, "probabilities='row 0': must be at least 0 and sum to 1"),
        (changed(GIVEN["probabilities"], 4, [-0.1, 1.1] + [0] * 8),
         "probabilities='row 4': must be at least 0 and sum to 1"),
        (changed(GIVEN["probabilities"], 5, np.nan), "probabilities='row 5': must be finite"),
        (GIVEN["probabilities"][:, 0],
         f"probabilities='float64 ({N},)': must be a matrix of numbers (N, d)"),
    ],
)  # fmt: skip
@every_record
def test_bad_probabilities(record: NoiseRecord, probabilities: Any, message: str) -> None:
    assert refusal(record, probabilities=probabilities) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"indices": np.arange(N - 1)}, f"indices='{N - 1} labels': must have length {N}"),
        ({"indices": np.arange(N) + 1}, f"indices={N}: at index {N - 1}; "
                                        f"must be between 0 and {N - 1}"),
        ({"indices": np.arange(N) / 2}, "indices=0.5: at index 1; must be a whole number"),
        ({"n_total": 2 * N}, f"indices=None: are needed: n_total is {2 * N}, "
                             f"and there are {N} labels"),
        ({"n_total": 0}, "n_total=0: must be a whole number of at least 1"),
        ({"n_total": "many"}, "n_total='many': must be a whole number of at least 1"),
    ],
)  # fmt: skip
@every_record
def test_bad_alignment(record: NoiseRecord, changes: dict[str, Any], message: str) -> None:
    assert refusal(record, **changes) == message


@pytest.mark.parametrize(
    ("rate", "rule"),
    [("x", "must be a number"), (True, "must be a number"), ([0.1], "must be a number")],
)
@every_rated
def test_rates_that_are_no_numbers(record: NoiseRecord, rate: Any, rule: str) -> None:
    with pytest.raises(InputError) as caught:
        with_rate_of(record, rate).corrupt(LABELS, n_classes=C, **needed_inputs(record))
    assert str(caught.value) == f"rate={rate!r}: {rule}"


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan"), float("inf")])
@every_rated
def test_rates_out_of_range(record: NoiseRecord, rate: float) -> None:
    """The message states the range; a model that cannot flip everything states a smaller one."""
    with pytest.raises(InputError) as caught:
        with_rate_of(record, rate).corrupt(LABELS, n_classes=C, **needed_inputs(record))
    head, _, top = str(caught.value).rpartition(" and ")
    assert head == f"rate={rate!r}: must be between 0"
    assert 0 < float(top) <= 1


@pytest.mark.parametrize("rate", [0.0, 0.004, 0.1, 0.125, 0.2])
@every_rated
def test_rates_are_met_exactly(record: NoiseRecord, rate: float) -> None:
    model = with_rate_of(record, rate)
    for seed in range(3):
        noisy = model.corrupt(LABELS, n_classes=C, seed=seed, **needed_inputs(record))
        assert noisy.flipped.sum() == flip_count(rate, N)


@every_record
def test_one_class(record: NoiseRecord) -> None:
    """Where there is nowhere to go: an error, except where labels are read and fit."""
    zeros = np.zeros(4, dtype=int)
    given: dict[str, Any] = {"positions": np.eye(4), "probabilities": np.ones((4, 1))}
    given = {k: v for k, v in given.items() if k in example(record).used_inputs()}
    given |= {"features": np.eye(4)} if "features" in example(record).used_inputs() else {}
    if record.name in READ_NOT_DRAWN:
        np.save("labels.npy", zeros)
        content = {"clean_label": zeros, "random_label1": zeros}
        torch.save(content, "cifar-n/CIFAR-10_human.pt")
        assert example(record).corrupt(zeros, **given).labels.tolist() == [0, 0, 0, 0]
        return
    with pytest.raises(InputError) as caught:
        example(record).corrupt(zeros, **given)
    assert str(caught.value) == "n_classes=1: label noise needs at least 2 classes"


@pytest.mark.parametrize("spec", ["symmetrical:0.2", "Symmetric:0.2"])
def test_unknown_names(spec: str) -> None:
    with pytest.raises(InputError) as caught:
        make_noise(spec)
    known = ", ".join(sorted(NOISE.names))
    name = spec.split(":")[0]
    assert str(caught.value) == (
        f"noise={name!r}: unknown name; did you mean 'symmetric'? Known: {known}"
    )
