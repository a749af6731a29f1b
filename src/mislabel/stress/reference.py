"""Reference methods: learning methods of ours on the labels that the user's code gets."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.benchmark.grid import canonical_method
from mislabel.benchmark.inputs import LabelInputs
from mislabel.errors import InputError
from mislabel.learning import METHODS, make_method
from mislabel.specs import split_spec
from mislabel.stress.subjects import PythonCode


def check_reference(spec: str) -> str:
    """The spec in its one form; methods that predict from features are refused."""
    canonical = canonical_method(spec)
    record = METHODS[split_spec(canonical, "reference")[0]]
    if record.estimator.predicts_from_features:
        raise InputError("reference", spec, "predicts from features of its own; give another")
    make_method(canonical).check_parameters()
    return canonical


def reference_code(spec: str, inputs: LabelInputs) -> PythonCode:
    """A method of ours as code under test, by its canonical spec."""
    record = METHODS[split_spec(spec, "reference")[0]]
    features = inputs.features if record.uses_features else None
    extra: dict[str, Any] = {
        "spec": spec,
        "augment": inputs.dataset.augment,
        "n_classes": inputs.dataset.n_classes,
        "device": inputs.options.device,
    }
    if features is not None:
        extra["features"] = features
    _, parameters = split_spec(spec, "reference")
    title = f"{record.title} ({parameters})" if parameters else record.title
    return PythonCode(function=train_reference, title=title, extra=extra)


def train_reference(
    x: NDArray[Any],
    y: NDArray[np.int64],
    *,
    seed: int,
    spec: str,
    augment: str,
    n_classes: int,
    device: str,
    features: NDArray[np.float32] | None = None,
) -> Any:
    """Train a method of ours as the user's code is trained."""
    method = make_method(spec, seed=seed, augment=augment, device=device)
    return method.fit(x, y, classes=np.arange(n_classes), features=features)
