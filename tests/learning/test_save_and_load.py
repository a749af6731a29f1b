"""Saved methods: loaded, they predict bit for bit as trained; bad files are one line."""

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from learning_examples import RECORDS, blobs, equal_weights, make, pictures, recipe
from sklearn.exceptions import NotFittedError
from torch import Tensor, nn

from mislabel.errors import InputError
from mislabel.learning import GCE, MethodRecord, Standard, load_method, save_method

every_method = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
PROBLEMS = {
    "features": (blobs(60, 3), {}),
    "tiny images": (pictures(60, 3, 8, 1), {}),
    "colour images": (pictures(40, 3, 16, 3), {"augment": "crop-flip"}),
}


class Own(nn.Module):
    """A network of the user's with tied weights and a buffer that no file holds."""

    def __init__(self, width: int, n_classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.second.weight = self.first.weight
        self.last = nn.Linear(width, n_classes)
        self.register_buffer("shift", torch.full((width,), 0.25), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.second(torch.relu(self.first(x))) + self.shift))


def own(shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Makes `Own` for a problem."""
    return Own(shape[0], n_classes)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with a small model of features."""
    x, y = blobs(40, 2)
    save_method(GCE(q=0.5, epochs=1, device="cpu").fit(x, y), tmp_path / "model")
    return tmp_path / "model"


@every_method
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_loaded_predicts_bit_for_bit_as_trained(
    record: MethodRecord, problem: Any, tmp_path: Path
) -> None:
    (x, y), options = problem
    method = make(record, seed=5, **options).fit(x, np.array(["cat", "dog", "eel"])[y])
    save_method(method, tmp_path)
    loaded = load_method(tmp_path, device="cpu")
    assert type(loaded) is type(method) and loaded.get_params() == method.get_params()
    assert equal_weights(method, loaded)
    for examples in (x, x[:1], x[:7]):
        np.testing.assert_array_equal(
            loaded.predict_proba(examples), method.predict_proba(examples)
        )
    np.testing.assert_array_equal(loaded.predict(x), method.predict(x))
    assert loaded.classes_.dtype == method.classes_.dtype
    assert (loaded.recipe_, loaded.seeds_) == (method.recipe_, method.seeds_)
    assert loaded.selected_epoch_ == method.selected_epoch_
    assert loaded.provenance_ == method.provenance_


@pytest.mark.filterwarnings("ignore:these labels do not determine the classes")
@every_method
def test_loaded_predicts_from_features_too(record: MethodRecord, tmp_path: Path) -> None:
    """With features beside the examples, for the methods that read them in prediction."""
    x, y = blobs(60, 3)
    features = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    method = make(record).fit(x, y, features=features)
    save_method(method, tmp_path)
    loaded = load_method(tmp_path, device="cpu")
    np.testing.assert_array_equal(
        loaded.predict_proba(x, features=features), method.predict_proba(x, features=features)
    )


def test_loaded_checks_examples_as_trained(saved: Path) -> None:
    loaded = load_method(saved)
    with pytest.raises(ValueError, match="X has 3 features, but GCE is expecting 5 features"):
        loaded.predict(np.zeros((2, 3)))


def test_another_process_predicts_the_same(saved: Path, tmp_path: Path) -> None:
    x, _ = blobs(40, 2)
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy as np, torch\n"
        "torch.set_num_threads(1)\n"
        "from mislabel.learning import load_method\n"
        "loaded = load_method(sys.argv[1], device='cpu')\n"
        "np.save(sys.argv[2] + '/p.npy', loaded.predict_proba(np.load(sys.argv[2] + '/x.npy')))\n"
    )
    subprocess.run([sys.executable, "-c", code, saved, tmp_path], check=True)
    wanted = load_method(saved, device="cpu").predict_proba(x)
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), wanted)


@pytest.mark.parametrize("labels", [[0, 1], [7, -3], [False, True], ["b", "a"], [2.0, 1.0]])
def test_classes_of_any_kind_come_back(labels: list[Any], tmp_path: Path) -> None:
    x, y = blobs(40, 2)
    given = np.array(labels)[y]
    method = Standard(epochs=1, device="cpu").fit(x, given)
    save_method(method, tmp_path)
    loaded = load_method(tmp_path)
    assert loaded.classes_.tolist() == sorted(labels)
    assert loaded.classes_.dtype == method.classes_.dtype
    np.testing.assert_array_equal(loaded.predict(x), method.predict(x))


def test_a_recipe_of_your_own_comes_back(tmp_path: Path) -> None:
    x, y = blobs(40, 2)
    chosen = recipe(schedule="step", milestones=(1, 2))
    save_method(Standard(recipe=chosen, device="cpu").fit(x, y), tmp_path)
    loaded = load_method(tmp_path)
    assert loaded.recipe == chosen and loaded.recipe_ == chosen


@pytest.mark.parametrize("network", [own, Own(5, 3)], ids=["function", "module"])
def test_a_network_of_your_own_is_given_again(network: Any, tmp_path: Path) -> None:
    x, y = blobs(60, 3)
    method = Standard(network=network, recipe="mlp", epochs=2, device="cpu").fit(x, y)
    save_method(method, tmp_path)
    loaded = load_method(tmp_path, network=network)
    np.testing.assert_array_equal(loaded.predict_proba(x), method.predict_proba(x))
    title = "own" if network is own else "Own"
    with pytest.raises(InputError) as caught:
        load_method(tmp_path)
    rule = "is your own; give it to load_method as network="
    assert str(caught.value) == f"network='own:{title}': {rule}"
    with pytest.raises(InputError, match="the weights do not fit: Error"):
        load_method(tmp_path, network=nn.Linear(5, 3))


def test_a_network_of_ours_is_not_given_again(saved: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_method(saved, network="mlp")
    rule = "the method was trained with a network of ours; leave it out"
    assert str(caught.value) == f"network='mlp': {rule}"


def test_only_what_json_holds_is_stored(tmp_path: Path) -> None:
    x, y = blobs(40, 2)
    with pytest.raises(NotFittedError):
        save_method(Standard(), tmp_path / "model")
    method = Standard(epochs=1, device="cpu").fit(x, y)
    method.set_params(augment=[1])
    with pytest.raises(InputError, match=r"augment=\[1\]: cannot be stored"):
        save_method(method, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_nothing_is_pickled(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == ["model.json", "model.safetensors"]
    for path in saved.iterdir():
        with pytest.raises(pickle.UnpicklingError):
            pickle.loads(path.read_bytes())  # noqa: S301 - our own file


def changed(saved: Path, **changes: Any) -> None:
    content = json.loads((saved / "model.json").read_text())
    del content["sha256"]
    (saved / "model.json").write_text(json.dumps(content | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "is not a model of format 1"),
        ({"method": "gec"}, "method='gec': unknown name; did you mean 'gce'?"),
        ({"parameters": {"network": None, "recipe": "auto", "p": 1}}, "is broken (TypeError: "),
        ({"parameters": {"network": None, "recipe": "auto", "q": 3}}, "q=3: must be above 0"),
        ({"parameters": 3}, "is broken (TypeError: "),
        ({"recipe": {"network": "mlp"}}, "is broken (TypeError: "),
        ({"classes": {"dtype": "strange", "values": [0, 1]}}, "is broken (TypeError: "),
        ({"example_shape": ["x"]}, "is broken (ValueError: "),
        ({"normalisation": {}}, "is broken (TypeError: "),
        ({"classes": {"dtype": "<i8", "values": [0, 1, 2]}}, "the weights do not fit: "),
        ({"weights_sha256": "0"}, "is not the one that model.json was written with"),
    ],
    ids=str,
)
def test_broken_models_are_one_line(changes: Any, message: str, saved: Path) -> None:
    changed(saved, **changes)
    with pytest.raises(InputError) as caught:
        load_method(saved)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_missing_and_foreign_files_are_one_line(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as JSON"):
        load_method(tmp_path)
    weights = saved / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:100])
    with pytest.raises(InputError, match="is not the one that"):
        load_method(saved)
    weights.unlink()
    with pytest.raises(InputError, match="no such file"):
        load_method(saved)
    (saved / "model.json").write_text("[]")
    with pytest.raises(InputError, match="is not a model of format 1"):
        load_method(saved)


def test_weights_that_are_a_pickle_are_not_read(saved: Path) -> None:
    import hashlib

    content = pickle.dumps({"weights": 1})
    (saved / "model.safetensors").write_bytes(content)
    changed(saved, weights_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(InputError, match=r"model\.safetensors.*: cannot be read \("):
        load_method(saved)
