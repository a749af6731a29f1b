"""Bad inputs of learning methods, with their exact messages."""

from typing import Any

import numpy as np
import pytest
import torch
from learning_examples import RECORDS, blobs, make, pictures
from sklearn.exceptions import NotFittedError

from mislabel.errors import InputError
from mislabel.learning import (
    GCE,
    METHODS,
    NETWORKS,
    RECIPES,
    SNLS,
    Evaluation,
    MethodRecord,
    Recipe,
    Standard,
    make_method,
)
from mislabel.registry import Registry
from mislabel.seeds import TrainingSeeds

every_method = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
X, Y = blobs(12, 2)


def names(registry: Registry[Any]) -> str:
    """The known names as errors list them."""
    return ", ".join(sorted(record.name for record in registry))


IMAGES, IMAGE_LABELS = pictures(12, 2, 8, 1)


@every_method
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epochs": 0}, "epochs=0: must be a whole number, at least 1"),
        ({"epochs": 1.5}, "epochs=1.5: must be a whole number, at least 1"),
        (
            {"recipe": "fats"},
            "recipe='fats': unknown; did you mean 'fast'? Known: "
            + ", ".join(sorted(["auto", *RECIPES])),
        ),
        (
            {"network": "resnet"},
            "network='resnet': unknown name; did you mean 'resnet34'? Known: " + names(NETWORKS),
        ),
        ({"network": "cnn"}, "network='cnn': takes images; for feature vectors use 'mlp'"),
        ({"device": "gpu"}, "device='gpu': must be auto, cpu or cuda"),
        ({"device": "cuda"}, "device='cuda': PyTorch finds no CUDA device here"),
        ({"seed": -1}, "seed=-1: must be a whole number from 0 to 2**63 - 1"),
        ({"seed": 1.0}, "seed=1.0: must be a whole number from 0 to 2**63 - 1"),
    ],
    ids=str,
)
def test_parameters_that_all_share(
    record: MethodRecord, parameters: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    method = make(record, **parameters)
    with pytest.raises(InputError) as caught:
        method.fit(X, Y)
    assert str(caught.value) == message
    assert not hasattr(method, "network_")


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (GCE(q=0), "q=0: must be above 0 and at most 1"),
        (GCE(q=1.5), "q=1.5: must be above 0 and at most 1"),
        (GCE(q=-0.1), "q=-0.1: must be above 0 and at most 1"),
        (GCE(q=float("nan")), "q=nan: must be above 0 and at most 1"),
        (SNLS(k=0), "k=0: must be a whole number of at least 1"),
        (SNLS(k=2.5), "k=2.5: must be a whole number of at least 1"),
        (SNLS(alpha=2), "alpha=2: must be between 0 and 1"),
        (SNLS(alpha=-0.5), "alpha=-0.5: must be between 0 and 1"),
        (SNLS(alpha=float("nan")), "alpha=nan: must be between 0 and 1"),
    ],
    ids=str,
)
def test_parameters_of_one_method(method: Any, message: str) -> None:
    for attempt in (method.check_parameters, lambda: method.fit(X, Y)):
        with pytest.raises(InputError) as caught:
            attempt()
        assert str(caught.value) == message


@every_method
@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (X, Y[:3], {}, "y='3 labels': must have length 12"),
        (X, np.zeros(12, int), {}, "y=0: has 1 class; at least 2 are needed"),
        (X, np.where(Y, np.inf, 0), {}, "y=inf: must be finite"),
        (X, Y, {"classes": [1, 2]}, "y=0: is not one of the classes"),
        (IMAGES.astype(float), Y, {}, "X='dtype float64': images must be uint8 (N, h, w, c)"),
        (IMAGES[:0], Y[:0], {}, "X='shape (0, 8, 8, 1)': must not be empty"),
        (
            X,
            Y,
            {"features": X[:5]},
            "features='shape (5, 5)': must be a matrix (N, d) with one row per example: 12",
        ),
        (
            X,
            Y,
            {"features": X[:, 0]},
            "features='shape (12,)': must be a matrix (N, d) with one row per example: 12",
        ),
        (
            X,
            Y,
            {"evaluation": Evaluation(clean_labels=Y[:4])},
            "clean_labels='shape (4,)': must have one label per example: 12",
        ),
        (
            X,
            Y,
            {"evaluation": Evaluation(x_test=X[:5], y_test=Y[:4])},
            "y_test='shape (4,)': must have one label per example: 5",
        ),
        (
            IMAGES,
            Y,
            {"evaluation": Evaluation(x_test=IMAGES[:, :4], y_test=Y)},
            "X=(4, 8, 1): must have the shape seen in fit, (8, 8, 1)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_data_that_do_not_fit(
    record: MethodRecord, x: Any, y: Any, options: Any, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        make(record).fit(x, y, **options)
    assert str(caught.value) == message


@every_method
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.where(X > 5, np.nan, X), Y, "Input X contains NaN"),
        (X[0], Y, "Expected 2D array, got 1D array instead"),
        (IMAGES[..., 0], Y, "Found array with dim 3"),
        (X, np.linspace(0, 1, 12), "Unknown label type: continuous"),
    ],
    ids=str,
)
def test_what_scikit_learn_refuses(record: MethodRecord, x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(record).fit(x, y)


@every_method
def test_prediction_asks_for_the_shape_of_fit(record: MethodRecord) -> None:
    method = make(record, epochs=1)
    with pytest.raises(NotFittedError):
        method.predict(X)
    method.fit(IMAGES, IMAGE_LABELS)
    with pytest.raises(InputError) as caught:
        method.predict(np.zeros((2, 8, 8, 3), np.uint8))
    assert str(caught.value) == "X=(8, 8, 3): must have the shape seen in fit, (8, 8, 1)"
    method.fit(X, Y)
    with pytest.raises(ValueError, match=r"X has 3 features, but .* is expecting 5 features"):
        method.predict(X[:, :3])


def test_the_cnn_needs_room_to_pool() -> None:
    images, labels = pictures(12, 2, 7, 1)
    with pytest.raises(InputError) as caught:
        Standard(network="cnn").fit(images, labels)
    assert str(caught.value) == "network='cnn': takes images of at least 8 x 8, not 7 x 7"


def test_neighbours_need_company() -> None:
    with pytest.raises(InputError) as caught:
        SNLS().fit(X[:1], Y[:1], classes=[0, 1])
    assert str(caught.value) == "X='1 examples': soft neighbour targets need 2"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "adamw"}, "optimizer='adamw': unknown choice; did you mean 'adam'? "
                                 "Known: adam, sgd"),
        ({"schedule": "steps"}, "schedule='steps': unknown choice; did you mean 'step'? "
                                "Known: constant, cosine, linear, one-cycle, step"),
        ({"augment": "flip"}, "augment='flip': unknown choice; did you mean 'crop-flip'? "
                              "Known: auto, crop-flip, none"),
        ({"precision": "half"}, "precision='half': unknown choice; "
                                "Known: auto, bfloat16, float32"),
        ({"epochs": True}, "epochs=True: must be a whole number, at least 1"),
        ({"batch_size": 0}, "batch_size=0: must be a whole number, at least 1"),
        ({"learning_rate": 0.0}, "learning_rate=0.0: must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate=nan: must be positive"),
    ],
    ids=str,
)  # fmt: skip
def test_recipes(changes: Any, message: str) -> None:
    good = {"network": "mlp", "epochs": 1, "batch_size": 4, "learning_rate": 0.1}
    Recipe(**good)
    with pytest.raises(InputError) as caught:
        Recipe(**good | changes)
    assert str(caught.value) == message


def test_unknown_method_and_parameters() -> None:
    for spec, message in {
        "gec": "method='gec': unknown name; did you mean 'gce'? Known: " + names(METHODS),
        "gce:p=0.7": "method='gce:p=0.7': unknown parameter 'p'; "
        "Known: epochs, network, precision, q, recipe, selection",
        "gce:q=x": "q='x': must be a number",
        "snls:k=1.5": "k='1.5': must be a whole number",
        "standard:3": "method='standard:3': '3' must be KEY=VALUE",
        "": "method='': must be NAME or NAME:VALUE,KEY=VALUE",
    }.items():
        with pytest.raises(InputError) as caught:
            make_method(spec)
        assert str(caught.value) == message


def test_seeds_spawn_by_name() -> None:
    assert TrainingSeeds.spawn(0) != TrainingSeeds.spawn(1)
    assert TrainingSeeds.spawn(2**63 - 1) == TrainingSeeds.spawn(np.int64(2**63 - 1))
