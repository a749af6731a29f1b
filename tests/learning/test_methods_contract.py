"""The contract of every learning method in the registry."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from learning_examples import RECORDS, blobs, equal_weights, make, pictures
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from mislabel.learning import METHODS, MethodRecord, make_method
from mislabel.registry import Registry
from mislabel.seeds import TrainingSeeds

every_method = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
PROBLEMS = {
    "features": (blobs(60, 3), {}),
    "tiny images": (pictures(60, 3, 8, 1), {}),
    "colour images": (pictures(40, 3, 16, 3), {"augment": "crop-flip"}),
}
undetermined = pytest.mark.filterwarnings("ignore:these labels do not determine the classes")
"For features or labels that are drawn at random."
every_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())


@every_method
@every_problem
def test_shapes_and_probabilities(record: MethodRecord, problem: Any) -> None:
    (x, y), options = problem
    method = make(record, **options)
    assert method.fit(x, y) is method
    probabilities, answers = method.predict_proba(x[:7]), method.predict(x[:7])
    assert probabilities.shape == (7, 3) and probabilities.dtype == np.float32
    assert probabilities.min() >= 0
    # Exponential, sum and division round three times, each by half an ulp of float32 at most.
    np.testing.assert_allclose(probabilities.sum(axis=1, dtype=float), 1, atol=3 * 2**-23)
    np.testing.assert_array_equal(answers, method.classes_[probabilities.argmax(axis=1)])
    assert method.recipe_.network == ("cnn" if x.shape[1:] == (16, 16, 3) else "mlp")


@every_method
@every_problem
def test_the_seed_decides_everything(record: MethodRecord, problem: Any) -> None:
    (x, y), options = problem
    torch.manual_seed(1)
    first = make(record, seed=3, **options).fit(x, y)
    torch.manual_seed(2)
    again = make(record, seed=3, **options).fit(x, y)
    other = make(record, seed=4, **options).fit(x, y)
    assert equal_weights(first, again) and first.curves_ == again.curves_
    np.testing.assert_array_equal(first.predict_proba(x), again.predict_proba(x))
    assert not equal_weights(first, other)
    assert not np.array_equal(first.predict_proba(x), other.predict_proba(x))


@every_method
@every_problem
def test_an_example_is_predicted_alone_as_among_others(record: MethodRecord, problem: Any) -> None:
    (x, y), options = problem
    method = make(record, **options).fit(x, y)
    alone = np.concatenate([method.predict_proba(x[i : i + 1]) for i in range(4)])
    # Sums in another order: a few hundred float32 roundings of values around 1.
    np.testing.assert_allclose(alone, method.predict_proba(x)[:4], atol=300 * 2**-24)


@every_method
def test_fitting_again_starts_afresh(record: MethodRecord) -> None:
    x, y = blobs(40, 2)
    once, twice = make(record).fit(x, y), make(record).fit(x, y)
    assert equal_weights(once, twice.fit(x, y))
    assert len(twice.curves_["train_loss"]) == 2


@every_method
def test_the_seeds_are_separate_and_recorded(record: MethodRecord) -> None:
    x, y = blobs(40, 2)
    method = make(record, seed=11).fit(x, y)
    seeds = method.seeds_
    assert seeds == TrainingSeeds.spawn(11)
    assert len({seeds.initialisation, seeds.order, seeds.augmentation}) == 3
    assert method.provenance_["seeds"] == {
        "initialisation": seeds.initialisation,
        "order": seeds.order,
        "augmentation": seeds.augmentation,
    }
    assert method.provenance_["device"] == "cpu" and method.provenance_["threads"] == 1
    assert {"python", "mislabel", "numpy", "torch"} <= method.provenance_["versions"].keys()


@every_method
def test_global_random_state_is_left_alone(record: MethodRecord) -> None:
    x, y = pictures(40, 3, 16, 3)
    torch.manual_seed(5)
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    make(record, augment="crop-flip").fit(x, y).predict(x)
    assert torch.equal(before[0], torch.get_rng_state())
    after = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(before[1][1], after[1])
    assert before[1][2:] == after[2:] and before[2] == random.getstate()


@every_method
def test_parameters_are_kept_and_cloned(record: MethodRecord) -> None:
    method = make(record, seed=9, epochs=1)
    before = dict(method.get_params())
    x, y = blobs(40, 2)
    method.fit(x, y)
    assert method.get_params() == before and method.epochs == 1
    copy = clone(method)
    assert copy.get_params() == before and not hasattr(copy, "network_")
    assert copy.set_params(epochs=3).fit(x, y).recipe_.epochs == 3


@every_method
def test_labels_may_be_strings(record: MethodRecord) -> None:
    x, y = blobs(40, 2)
    names = np.array(["zebra", "ant"])
    method = make(record, seed=1, epochs=8).fit(x, names[y])
    numbers = make(record, seed=1, epochs=8).fit(x, 1 - y)  # ant, zebra: sorted
    assert method.classes_.tolist() == ["ant", "zebra"]
    assert method.predict(x).tolist() == names[1 - numbers.predict(x)].tolist()
    assert set(method.predict(x)) == {"ant", "zebra"}


@every_method
def test_classes_may_be_absent_from_the_labels(record: MethodRecord) -> None:
    x, y = blobs(40, 2)
    method = make(record, epochs=30).fit(x, 2 * y, classes=[3, 0, 1, 2])
    assert method.classes_.tolist() == [0, 1, 2, 3]
    assert method.predict_proba(x).shape == (40, 4)
    np.testing.assert_array_equal(method.predict(x), 2 * y)


@every_method
def test_methods_learn(record: MethodRecord) -> None:
    """Blobs six deviations apart: the midpoint rule errs on 3 % of a pair (0.1 % each way)."""
    x, y = blobs(120, 3)
    fresh, truth = blobs(120, 3, seed=1)
    assert (make(record, epochs=30).fit(x, y).predict(fresh) == truth).mean() >= 0.9


@every_method
def test_records_say_what_is_true(record: MethodRecord) -> None:
    assert METHODS[record.name] is record
    assert record.estimator.name == record.name
    assert isinstance(make_method(record.example), record.estimator)
    assert record.title and record.paper and record.advice
    if record.positional is not None:
        assert record.positional in record.estimator().get_params()


@undetermined
@every_method
def test_features_are_used_or_ignored(record: MethodRecord) -> None:
    x, y = blobs(60, 3)
    other = np.random.default_rng(0).normal(size=(60, 2))
    without, given = make(record).fit(x, y), make(record).fit(x, y, features=other)
    assert equal_weights(without, given) is not record.uses_features


def test_a_name_registers_once() -> None:
    registry = Registry[MethodRecord]("method", RECORDS)
    with pytest.raises(ValueError) as caught:
        registry.register(RECORDS[0])
    assert str(caught.value) == "method='standard': this name is registered already"


def test_specs_make_methods() -> None:
    method = make_method("snls:20,alpha=0.5,epochs=7", seed=3, epochs=2, augment="crop-flip")
    found = method.get_params()
    wanted = {"k": 20, "alpha": 0.5, "epochs": 7, "seed": 3, "augment": "crop-flip"}
    assert wanted.items() <= found.items()
    with pytest.raises(ValueError) as caught:
        make_method("gce:seed=3")
    assert str(caught.value) == (
        "method='gce:seed=3': unknown parameter 'seed'; "
        "Known: epochs, network, precision, q, recipe, selection"
    )


@undetermined
@parametrize_with_checks([record.estimator(epochs=12, device="cpu") for record in RECORDS])
def test_scikit_learn_takes_them_for_its_own(estimator: Any, check: Any) -> None:
    """Checks that need pandas or SCIPY_ARRAY_API skip themselves without them."""
    check(estimator)
