"""The process of one training of a Python function: this file, run as a script with a job.

It reads the job (JSON), loads the function, calls it with labels and examples of its own, and
leaves what `mislabel.stress.outcome` reads. What goes wrong is a traceback in the log and an exit
status, as of any other program. The examples are mapped copy-on-write: the function may write into
what it gets, and nothing of it reaches the file.

The function comes as cloudpickle's bytes, which only the calling process writes. Nothing heavy is
imported here; what the function needs, loading it imports.
"""

import inspect
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Predict = Callable[[Any], Any]


def main(job: Path) -> None:
    """Run the job in the JSON file `job`."""
    given = json.loads(job.read_text("utf-8"))
    sys.path[:] = given["sys_path"]  # before anything of mislabel, which may come from there
    function, extra = _load(Path(given["function"]))
    _seed_global_generators(given["seed"])
    examples = _examples(given["x_train"])
    labels = np.load(given["labels"])
    classes = None if given["classes"] is None else np.load(given["classes"])
    y = labels if classes is None else classes[labels]
    model = train(function, examples, y, seed=given["seed"], extra=extra)
    out = Path(given["out"])
    out.mkdir()
    predict = predictor(model)
    todo = {"predictions": "x_test"}
    if given["predict_train"]:
        todo["train_predictions"] = "x_train"
    for name, x in todo.items():  # read anew: the function may have written into its own
        np.save(out / name, _numbers(predict(_as_given(function, _examples(given[x]))), classes))


def train(
    function: Any, x: NDArray[Any], y: NDArray[Any], *, seed: int, extra: dict[str, Any]
) -> Any:
    """What the function under test returns, or the fitted estimator."""
    if not is_estimator(function):
        return function(x, y, seed=seed, **extra)
    return seeded(function, seed).fit(_as_given(function, x), y)


def is_estimator(value: Any) -> bool:
    """Whether a value is an estimator in scikit-learn's sense, to be fitted, not called."""
    return not inspect.isclass(value) and hasattr(value, "fit") and hasattr(value, "get_params")


def seeded(estimator: Any, seed: int) -> Any:
    """A clone whose seeds that are not set come from `seed`, each part with its own.

    ``random_state`` of the estimator and of the steps of a pipeline where it is None, and ``seed``
    of mislabel's own methods.
    """
    from sklearn.base import clone

    from mislabel.seeds import child_state

    copy = clone(estimator)
    parameters = copy.get_params(deep=True)
    changes = {
        name: child_state(seed, "stress", name)
        for name, value in parameters.items()
        if name.rpartition("__")[2] == "random_state" and value is None
    }
    if _is_ours(copy):
        changes["seed"] = seed
    return copy.set_params(**changes)


def predictor(model: Any) -> Predict:
    """How what a training returned predicts: its own `predict`, or itself."""
    found = model.predict if hasattr(model, "predict") else model
    if not callable(found) or (found is model and _is_torch_module(model)):
        shown = type(model).__name__
        message = f"train returned {shown}; must be a model with predict(x), or a function of x"
        raise TypeError(message)
    return found  # type: ignore[no-any-return]


def _is_torch_module(model: Any) -> bool:
    """Whether a model is called with tensors, which examples are not."""
    return any(kind.__module__ == "torch.nn.modules.module" for kind in type(model).__mro__)


def _as_given(function: Any, x: NDArray[Any]) -> NDArray[Any]:
    """Examples as a function gets them; flattened for an estimator, which wants (N, d)."""
    flat = is_estimator(function) and not _is_ours(function)
    return x.reshape(len(x), -1) if flat and x.ndim > 2 else x


def _is_ours(estimator: Any) -> bool:
    """Whether an estimator is one of mislabel's methods, which take images and have a `seed`."""
    return any(kind.__name__ == "NoisyLabelClassifier" for kind in type(estimator).__mro__)


def _examples(path: str) -> NDArray[Any]:
    """Examples of a file, as an array that may be written to without changing the file."""
    return np.asarray(np.load(path, mmap_mode="c"))


def _numbers(predictions: Any, classes: NDArray[Any] | None) -> NDArray[Any]:
    """Predictions as an array of numbers, those of the user's classes as their places."""
    if hasattr(predictions, "detach"):  # a tensor
        predictions = predictions.detach().cpu().numpy()
    array = np.asarray(predictions)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if classes is not None and array.ndim == 1:
        return _places(array, classes)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"predictions are of type {array.dtype}; must be numbers")
    return array


def _places(predictions: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.int64]:
    """Places of predictions among the sorted classes that the labels were given as."""
    known = np.isin(predictions, classes)
    if not known.all():
        bad = predictions[int(np.argmin(known))]
        raise ValueError(f"predictions hold {str(bad)[:40]!r}, which is no class of y_train")
    return np.searchsorted(classes, predictions.astype(classes.dtype))


def _load(path: Path) -> tuple[Any, dict[str, Any]]:
    """The function and the further keyword arguments that it gets."""
    import cloudpickle

    function, extra = cloudpickle.loads(path.read_bytes())
    return function, extra


def _seed_global_generators(seed: int) -> None:
    """Seed what code without a seed of its own draws from; this process does nothing else."""
    from mislabel.seeds import child_state

    state = child_state(seed, "stress", "global")
    random.seed(state)
    np.random.seed(state)  # noqa: NPY002 - the generator of the code under test
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(state)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
