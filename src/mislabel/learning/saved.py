"""Trained methods on disk: weights in safetensors, everything else as JSON; nothing is unpickled.

    model.safetensors   weights and statistics of the network that predicts, by their names
    model.json          method, parameters, recipe, shape and classes, normalisation, seeds

`load_method` builds the network as the training did (`NoisyLabelClassifier._predictor`, with the
seeds of the training, so that what a network draws and does not store is the same too) and puts
the weights in. It predicts bit for bit as the trained one, on the same kind of device.

Pitfall: a network of your own is code, which no file holds; give it again as ``network=``.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from mislabel.errors import InputError
from mislabel.files import (
    UNREADABLE,
    atomic_path,
    error_line,
    hash_file,
)
from mislabel.learning.base import Network, NoisyLabelClassifier
from mislabel.learning.problem import choose_device
from mislabel.learning.recipes import Recipe
from mislabel.learning.resident import Normalisation
from mislabel.sealed import read_sealed, write_sealed
from mislabel.seeds import TrainingSeeds
from mislabel.shapes import check_shape

FORMAT = 1
MODEL, WEIGHTS = "model.json", "model.safetensors"
OWN = "own:"
"How a recipe calls a network that is the user's own."


def save_method(method: NoisyLabelClassifier, folder: str | Path) -> None:
    """Write a fitted method to ``model.safetensors`` and ``model.json`` in `folder`.

    Each file is written atomically, ``model.json`` last. Errors: `InputError` for a parameter or
    a class that JSON cannot hold.
    """
    check_is_fitted(method, "network_")
    folder = Path(folder)
    content = _content(method)
    _write_weights(method.network_, folder / WEIGHTS)
    content["weights_sha256"] = hash_file(folder / WEIGHTS)
    write_sealed(folder / MODEL, content)


def load_method(
    folder: str | Path, *, network: Network | None = None, device: str = "auto"
) -> NoisyLabelClassifier:
    """The fitted method that `save_method`, or ``mislabel train``, wrote to `folder`.

    network: your own network again, where the method was trained with one. device: "auto", "cpu"
    or "cuda". Errors: `InputError` for files that are missing, changed or none of ours.
    """
    folder = Path(folder)
    content = read_sealed(folder / MODEL, "model", format=FORMAT)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError("model", str(folder / MODEL), f"is not a model of format {FORMAT}")
    place = choose_device(device)
    with _as_broken(folder / MODEL):
        method = _restored(content, network)
        weights_hash = str(content["weights_sha256"])
    weights = _read_weights(folder / WEIGHTS, weights_hash)
    with _as_broken(folder / MODEL):
        _check_sizes(method, sum(tensor.nbytes for tensor in weights.values()))
        predictor = method._predictor(method._build, method.n_guidance_).to(place)
    if len(method.example_shape_) == 3:
        # Convolutions sum in another order in another layout, and the last bits would differ.
        predictor = predictor.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    _put_in(predictor, weights)
    method.network_ = predictor.eval()
    return method


def parameters_json(method: NoisyLabelClassifier) -> dict[str, Any]:
    """The parameters of a method as JSON values; networks of the user's own by their name."""
    found = method.get_params(deep=False)
    return {name: _json_value(name, value) for name, value in found.items()}


@contextlib.contextmanager
def _as_broken(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except UNREADABLE as error:
        rule = f"is broken ({type(error).__name__}: {error_line(error)[:120]})"
        raise InputError("model", str(path), rule) from error


def _check_sizes(method: NoisyLabelClassifier, n_bytes: int) -> None:
    """Raise `ValueError` where shapes do not go together, or no such weights could be of them."""
    shape, moments = method.example_shape_, method.normalisation_
    if len(shape) not in (1, 3) or not all(0 < n <= n_bytes for n in shape):
        raise ValueError(f"examples of shape {shape}")
    if not 0 <= method.n_guidance_ <= n_bytes:
        raise ValueError(f"{method.n_guidance_} columns of features")
    if not moments.mean.shape == moments.deviation.shape == shape[-1:]:
        raise ValueError("the normalisation is not of such examples")
    if method.classes_.ndim != 1 or len(np.unique(method.classes_)) < len(method.classes_):
        raise ValueError("classes are no list, or one is there twice")


def _json_value(name: str, value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Recipe):
        return value.to_json()
    if name == "network" and not (value is None or isinstance(value, str)):
        title = type(value).__name__ if isinstance(value, nn.Module) else None
        return OWN + str(title or getattr(value, "__name__", type(value).__name__))
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(name, value, "cannot be stored; only numbers, texts, true, false and none can")


def _content(method: NoisyLabelClassifier) -> dict[str, Any]:
    """Everything but the weights."""
    classes = method.classes_
    if classes.dtype.kind not in "biufUO" or not all(
        isinstance(c, bool | int | float | str) for c in classes.tolist()
    ):
        raise InputError("classes", classes, "cannot be stored; only numbers and texts can")
    names = getattr(method, "feature_names_in_", None)
    return {
        "format": FORMAT,
        "method": method.name,
        "parameters": parameters_json(method),
        "recipe": method.recipe_.to_json(),
        "example_shape": list(method.example_shape_),
        "feature_names": None if names is None else names.tolist(),
        "classes": {"dtype": classes.dtype.str, "values": classes.tolist()},
        "normalisation": {
            "mean": method.normalisation_.mean.tolist(),
            "deviation": method.normalisation_.deviation.tolist(),
        },
        "n_guidance": method.n_guidance_,
        "seeds": asdict(method.seeds_),
        "selected_epoch": method.selected_epoch_,
        "provenance": method.provenance_,
    }


def _restored(content: Mapping[str, Any], network: Network | None) -> NoisyLabelClassifier:
    """The method as it was after `fit`, but for its network."""
    from mislabel.learning import METHODS

    parameters = dict(content["parameters"])
    parameters["network"] = _chosen_network(parameters["network"], network)
    if isinstance(parameters["recipe"], dict):
        parameters["recipe"] = _recipe(parameters["recipe"])
    method = METHODS[content["method"]].estimator(**parameters)
    method.check_parameters()
    method.recipe_ = _recipe(content["recipe"])
    method.seeds_ = TrainingSeeds(**content["seeds"])
    method.example_shape_ = tuple(map(int, content["example_shape"]))
    method.classes_ = _classes(content["classes"])
    moments = {k: np.array(v, dtype=np.float32) for k, v in content["normalisation"].items()}
    method.normalisation_ = Normalisation(**moments)
    method.n_guidance_ = int(content["n_guidance"])
    method.selected_epoch_ = int(content["selected_epoch"])
    method.provenance_ = dict(content["provenance"])
    if len(method.example_shape_) == 1:
        method.n_features_in_ = method.example_shape_[0]
    if content["feature_names"] is not None:
        check_shape(content["feature_names"], [str], "feature_names")
        method.feature_names_in_ = np.array(content["feature_names"], dtype=object)
    return method


def _recipe(content: Mapping[str, Any]) -> Recipe:
    """The recipe; of a method's own kind where it has more settings than `Recipe`."""
    kinds: list[type[Any]] = [Recipe, *Recipe.__subclasses__()]
    known = [kind for kind in kinds if content.keys() <= {field.name for field in fields(kind)}]
    kind: Any = known[0] if known else Recipe
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
    recipe: Recipe = kind(**values)
    return recipe


def _classes(content: Mapping[str, Any]) -> NDArray[Any]:
    kind = np.dtype(content["dtype"])
    return np.array(content["values"], dtype=kind)


def _chosen_network(stored: str | None, given: Network | None) -> Network | None:
    own = stored is not None and stored.startswith(OWN)
    if own and given is None:
        raise InputError("network", stored, "is your own; give it to load_method as network=")
    if given is not None and not own:
        rule = "the method was trained with a network of ours; leave it out"
        raise InputError("network", given if isinstance(given, str) else type(given).__name__, rule)
    return given if own else stored


def _write_weights(network: nn.Module, path: Path) -> None:
    from safetensors.torch import save_file

    tensors = {}
    for name, value in network.state_dict().items():
        if not isinstance(value, Tensor):
            raise InputError("network", type(network).__name__, f"its state {name!r} is no tensor")
        tensors[name] = value.detach().cpu().contiguous().clone()  # tied weights twice
    with atomic_path(path) as temporary:
        save_file(tensors, temporary)


def _read_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise InputError("model", str(path), "no such file")
    if hash_file(path) != sha256:
        raise InputError("model", str(path), f"is not the one that {MODEL} was written with")
    try:
        found: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError("model", str(path), f"cannot be read ({error})") from error
    return found


def _put_in(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        line = " ".join(str(error).split())[:200]
        raise InputError(
            "network", type(network).__name__, f"the weights do not fit: {line}"
        ) from (error)
