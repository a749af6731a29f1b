"""The contract of estimators, for every record of the registry."""

import inspect
import json
import random
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from estimator_examples import SMALL, N, estimate, features, noisy_labels

from mislabel.errors import InputError
from mislabel.labels import NoisyLabels
from mislabel.memorization import load_scores
from mislabel.memorization.estimator import EstimatorRecord
from mislabel.memorization.estimators import ESTIMATORS, make_estimator
from mislabel.registry import Registry
from thread_limits import one_thread  # noqa: F401

TRAINED = {"early", "mlps"}
"Networks: initial weights belong to classes."
DRAWN = TRAINED | {"subsets"}
"Those with something to draw, for each place."


def every_record_but(names: set[str]) -> pytest.MarkDecorator:
    """Parametrises a test over the other records."""
    records = [record for record in ESTIMATORS if record.name not in names]
    return pytest.mark.parametrize("record", records, ids=lambda record: record.name)


every_record = every_record_but(set())


# What comes out


@every_record
def test_scores_of_all_examples(record: EstimatorRecord) -> None:
    labels, found = noisy_labels(), estimate(record.name, class_names=("ant", "bee", "cat"))
    np.testing.assert_array_equal(found.index, np.arange(N))
    np.testing.assert_array_equal(found.labels, labels.labels)
    np.testing.assert_array_equal(found.clean_labels, labels.clean_labels)
    assert found.n_total == N and found.class_names == ("ant", "bee", "cat")
    for values in (found.inclusion, found.exclusion):
        assert values.shape == (N,) and values.dtype == np.float64
        assert ((values >= 0) & (values <= 1)).all()
    for errors in (found.inclusion_error, found.exclusion_error):
        assert (np.isnan(errors) | (errors >= 0)).all()


@every_record
def test_wrong_labels_are_excluded_more(record: EstimatorRecord) -> None:
    """The classes are 1.5 deviations from the centre, so that right labels are likelier by far."""
    found = estimate(record.name)
    assert found.exclusion[found.wrong].mean() < found.exclusion[~found.wrong].mean()


@every_record
def test_same_seed_same_scores(record: EstimatorRecord) -> None:
    first, again = (estimate(record.name, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.inclusion, again.inclusion)
    np.testing.assert_array_equal(first.exclusion, again.exclusion)


@every_record
def test_other_seed_other_scores_where_something_is_drawn(record: EstimatorRecord) -> None:
    first, other = (estimate(record.name, seed=s).exclusion for s in (0, 1))
    assert np.array_equal(first, other) == (record.name not in DRAWN)


@every_record
def test_chosen_examples_have_the_scores_they_have_among_all(record: EstimatorRecord) -> None:
    index = np.array([0, 7, 8, 40])
    found, whole = estimate(record.name, index=index), estimate(record.name)
    np.testing.assert_array_equal(found.index, index)
    np.testing.assert_array_equal(found.exclusion, whole.exclusion[index])
    np.testing.assert_array_equal(found.inclusion, whole.inclusion[index])


@every_record
def test_inputs_are_left_as_they_are(record: EstimatorRecord) -> None:
    given = features()
    given.flags.writeable = False
    found = estimate(record.name, features=given)
    np.testing.assert_array_equal(given, features())
    as_wide = estimate(record.name, features=given.astype(np.float64))
    np.testing.assert_array_equal(found.exclusion, as_wide.exclusion)


@every_record
def test_no_global_random_state(record: EstimatorRecord) -> None:
    def states() -> tuple[Any, ...]:
        legacy = np.random.get_state(legacy=False)  # noqa: NPY002
        return str(legacy), random.getstate(), torch.get_rng_state().tolist()

    before = states()
    estimate(record.name)
    assert states() == before


@every_record
def test_provenance_says_how_and_survives_a_file(record: EstimatorRecord, tmp_path: Path) -> None:
    found = estimate(record.name, seed=5)
    about = found.provenance
    assert about["estimator"] == record.name and found.title == record.title
    assert about["seed"] == 5 and set(about["inputs"]) == {"labels", "features"}
    assert about["parameters"].keys() == {f.name for f in fields(record.build)}  # type: ignore[arg-type]
    json.dumps(about, allow_nan=False)
    found.save(tmp_path / "scores.npz")
    loaded = load_scores(tmp_path / "scores.npz")
    np.testing.assert_array_equal(loaded.inclusion, found.inclusion)
    assert loaded.provenance == json.loads(json.dumps(about))


@every_record
def test_progress_only_rises(record: EstimatorRecord) -> None:
    seen: list[tuple[int, int]] = []
    estimate(record.name, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert not seen or seen[-1][0] == seen[-1][1]


# What must not matter


@every_record_but(TRAINED)
def test_names_of_classes_do_not_matter(record: EstimatorRecord) -> None:
    """Sums run over classes in another order: equal up to rounding of float64, or of a fit."""
    labels, swapped = noisy_labels(), np.array([2, 0, 1])
    assert labels.clean_labels is not None
    other = NoisyLabels(swapped[labels.labels], clean_labels=swapped[labels.clean_labels])
    found, renamed = estimate(record.name), estimate(record.name, labels=other)
    np.testing.assert_allclose(found.inclusion, renamed.inclusion, atol=1e-5)
    np.testing.assert_allclose(found.exclusion, renamed.exclusion, atol=1e-5)


@every_record_but(DRAWN)
def test_order_of_examples_does_not_matter(record: EstimatorRecord) -> None:
    order = np.random.default_rng(0).permutation(N)
    found = estimate(record.name)
    moved = estimate(record.name, labels=noisy_labels().take(order), features=features()[order])
    np.testing.assert_allclose(moved.inclusion, found.inclusion[order], atol=1e-5)
    np.testing.assert_allclose(moved.exclusion, found.exclusion[order], atol=1e-5)


@every_record
def test_classes_that_do_not_occur_get_nothing(record: EstimatorRecord) -> None:
    """Labels 0, 2, 4 of five classes are three classes."""
    labels = noisy_labels()
    spread = NoisyLabels(2 * labels.labels, n_classes=5)
    found, other = estimate(record.name), estimate(record.name, labels=spread)
    np.testing.assert_array_equal(found.exclusion, other.exclusion)
    np.testing.assert_array_equal(other.labels, spread.labels)
    assert other.clean_labels is None and len(other.class_names) == 5


@every_record
def test_a_class_of_one_and_duplicates(record: EstimatorRecord) -> None:
    labels = np.zeros(N, dtype=int)
    labels[1::2], labels[7] = 1, 2
    given = features()
    given[20:30] = given[20]
    found = estimate(record.name, labels=NoisyLabels(labels), features=given)
    assert ((found.inclusion >= 0) & (found.inclusion <= 1)).all()
    assert ((found.exclusion >= 0) & (found.exclusion <= 1)).all()
    assert found.exclusion[7] < 0.5


@every_record
def test_more_features_than_examples_and_constant_ones(record: EstimatorRecord) -> None:
    wide = np.random.default_rng(0).normal(size=(N, 60)).astype(np.float32)
    wide[:, 3] = 7.0
    found = estimate(record.name, features=wide)
    assert np.isfinite(found.inclusion).all() and np.isfinite(found.exclusion).all()


# Bad input

NAN = features()
NAN[4, 2] = np.nan
HUGE = features().astype(np.float64)
HUGE[6, 0] = 1e300
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "one class": (
        {"labels": NoisyLabels(np.full(N, 2))},
        "labels=2: has 1 class; at least 2 are needed",
    ),
    "rows": (
        {"features": features()[:40]},
        f"features='40 rows': must have one row per label: {N}",
    ),
    "not a number": ({"features": NAN}, "features='row 4': must be finite"),
    "too large": ({"features": HUGE}, "features='row 6': must be finite"),
    "constant": (
        {"features": np.ones((N, 2))},
        f"features='({N}, 2)': must not be the same for all examples",
    ),
    "outside": ({"index": [3, N]}, f"index={N}: must be between 0 and {N - 1}"),
    "negative": ({"index": [-1, 3]}, f"index=-1: must be between 0 and {N - 1}"),
    "order": (
        {"index": [3, 2]},
        "index='2 positions': must be ascending without repeats",
    ),
    "twice": ({"index": [2, 2]}, "index='2 positions': must be ascending without repeats"),
    "fractions": ({"index": [0.5]}, "index='float64 (1,)': must be a list of whole numbers"),
    "none": (
        {"index": np.zeros(0, dtype=int)},
        "index='int64 (0,)': must be a list of whole numbers",
    ),
    "seed": ({"seed": -1}, "seed=-1: must be a whole number from 0 to 2**63 - 1"),
}


def refusal(name: str, **changes: Any) -> str:
    with pytest.raises(InputError) as caught:
        estimate(name, **changes)
    return str(caught.value)


@pytest.mark.parametrize("changes, message", BAD.values(), ids=BAD.keys())
@every_record
def test_bad_input(record: EstimatorRecord, changes: dict[str, Any], message: str) -> None:
    assert refusal(record.name, **changes) == message


@pytest.mark.parametrize("shape", [(N,), (N, 4, 4, 3), (N, 0)])
@every_record
def test_features_that_are_no_matrix(record: EstimatorRecord, shape: tuple[int, ...]) -> None:
    also = " or uint8 images (N, h, w, c)" if record.build.takes_images else ""  # type: ignore[attr-defined]
    given = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    message = refusal(record.name, features=given)
    assert message == f"features='float64 {shape}': must be a matrix of numbers (N, d){also}"


@every_record
def test_too_few_examples(record: EstimatorRecord) -> None:
    few = {"labels": NoisyLabels([0, 1, 1]), "features": features()[:3]}
    assert refusal(record.name, **few) == "features='3 rows': must be at least 4"


# Records


@every_record
def test_record(record: EstimatorRecord) -> None:
    built = make_estimator(record.example)
    assert type(built) is record.build and built.name == record.name
    assert built.title == record.title and record.paper and record.cost
    assert record.uses in ("map", "features", "training")
    parameters = inspect.signature(record.build).parameters
    assert record.positional in parameters
    assert make_estimator(record.name) == record.build()
    with pytest.raises(FrozenInstanceError):
        built.name = "other"  # type: ignore[misc]


@every_record
def test_every_parameter_is_described(record: EstimatorRecord) -> None:
    text = inspect.getdoc(record.build) or ""
    words = text.replace(",", " ").replace(":", " ").split()
    assert {f.name for f in fields(record.build)} <= set(words)  # type: ignore[arg-type]


@every_record
def test_unknown_parameter(record: EstimatorRecord) -> None:
    with pytest.raises(InputError, match="unknown parameter 'nonsense'"):
        make_estimator(f"{record.name}:nonsense=1")


def test_unknown_estimator() -> None:
    with pytest.raises(InputError) as caught:
        make_estimator("rigde")
    assert str(caught.value).startswith("estimator='rigde': unknown name; did you mean 'ridge'?")


def test_a_name_is_taken_once() -> None:
    record = ESTIMATORS["ridge"]
    with pytest.raises(InputError, match="this name is registered already"):
        Registry[EstimatorRecord]("estimator", [record, record])


def test_small_specs_are_of_registered_estimators() -> None:
    assert all(make_estimator(spec).name == name for name, spec in SMALL.items())
    assert set(SMALL) <= set(ESTIMATORS.names)
