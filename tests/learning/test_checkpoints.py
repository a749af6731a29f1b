"""Checkpoints: what is stored comes back, and a resumed training equals an uninterrupted one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from learning_examples import RECORDS, blobs, equal_weights, make, pictures

from mislabel.errors import InputError
from mislabel.learning import Evaluation, MethodRecord
from mislabel.learning.checkpoint import Checkpoint, load_state, save_state

every_method = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
EPOCHS = 5


class KilledError(Exception):
    """Stands for a process that ends between two epochs."""


def end_after(epoch: int) -> Any:
    def watch(number: int, _: Any) -> None:
        if number == epoch:
            raise KilledError

    return watch


def test_nested_values_come_back(tmp_path: Path) -> None:
    state = {
        "tensors": {"a": torch.arange(6).reshape(2, 3), "b": [torch.tensor(1.5), None]},
        "numbers": {0: 1, 1: {"x": 2.5, "y": True, "z": "text"}},
        "empty": {},
        "half": torch.ones(2, dtype=torch.bfloat16),
    }
    save_state(tmp_path / "state", state)
    found = load_state(tmp_path / "state")
    assert torch.equal(found["tensors"]["a"], state["tensors"]["a"])
    assert found["tensors"]["b"][0].item() == 1.5 and found["tensors"]["b"][1] is None
    assert found["numbers"] == state["numbers"] and found["empty"] == {}
    assert found["half"].dtype == torch.bfloat16


def test_what_cannot_be_stored_is_refused_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot hold a set"):
        save_state(tmp_path / "state", {"a": {1, 2}})
    assert list(tmp_path.iterdir()) == []


def test_a_broken_or_foreign_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"\x80\x04not a checkpoint")
    with pytest.raises(InputError, match="delete it to start afresh"):
        Checkpoint(path, {}).load()
    Checkpoint(path, {"labels": "a", "seed": 1}).save({"epochs_done": 1})
    with pytest.raises(InputError) as caught:
        Checkpoint(path, {"labels": "b", "seed": 1}).load()
    rule = "is of another training (different: labels)"
    assert str(caught.value) == f"checkpoint={str(path)!r}: {rule}"


@every_method
@pytest.mark.parametrize("kind", ["features", "images"])
@pytest.mark.parametrize("killed_after", [0, 2])
def test_resumed_equals_uninterrupted(
    record: MethodRecord, kind: str, killed_after: int, tmp_path: Path
) -> None:
    """Bit for bit, on one thread: weights, curves, scores, corrections, predictions."""
    x, y = blobs(60, 3) if kind == "features" else pictures(40, 3, 16, 3)
    y = np.where(np.arange(len(y)) % 5 == 0, (y + 1) % 3, y)
    options = {"epochs": EPOCHS, "augment": "crop-flip", "seed": 3}
    seen = Evaluation(x_test=x, y_test=y, clean_labels=y)
    whole = make(record, **options).fit(x, y, evaluation=seen)
    file = {"checkpoint": tmp_path / "state", "checkpoint_seconds": 0.0}
    with pytest.raises(KilledError):  # the epoch that is cut short is done again
        make(record, **options).fit(
            x, y, evaluation=seen, watch=end_after(killed_after + 1), **file
        )
    epochs = []
    resumed = make(record, **options).fit(
        x, y, evaluation=seen, watch=lambda epoch, _: epochs.append(epoch), **file
    )
    assert epochs == list(range(killed_after + 1, EPOCHS))
    assert equal_weights(whole, resumed) and whole.curves_ == resumed.curves_
    np.testing.assert_array_equal(whole.noise_scores_, resumed.noise_scores_)
    if whole.corrected_labels_ is not None:
        np.testing.assert_array_equal(whole.corrected_labels_, resumed.corrected_labels_)
    np.testing.assert_array_equal(whole.predict_proba(x), resumed.predict_proba(x))
    np.testing.assert_array_equal(whole.test_predictions_, resumed.test_predictions_)
    assert whole.provenance_ == resumed.provenance_


@every_method
def test_another_training_is_refused(record: MethodRecord, tmp_path: Path) -> None:
    x, y = blobs(40, 2)
    file = {"checkpoint": tmp_path / "state", "checkpoint_seconds": 0.0}
    make(record).fit(x, y, **file)
    before = (tmp_path / "state").read_bytes()
    for changed in ({"seed": 1}, {"epochs": 3}):
        with pytest.raises(InputError, match="is of another training"):
            make(record, **changed).fit(x, y, **file)
    with pytest.raises(InputError, match="labels_sha256"):
        make(record).fit(x, 1 - y, **file)
    assert (tmp_path / "state").read_bytes() == before


@pytest.mark.filterwarnings("ignore:these labels do not determine the classes")
@every_method
def test_an_epoch_selected_on_noisy_labels(record: MethodRecord, tmp_path: Path) -> None:
    """A tenth is held out; the weights are those of its best epoch, resumed or not."""
    x, y = blobs(60, 3, spread=4.0)
    options = {"epochs": 8, "selection": "noisy-validation", "seed": 2}
    seen = Evaluation(x_test=x, y_test=y)
    method = make(record, **options).fit(x, y, evaluation=seen)
    curve = method.curves_["validation_accuracy"]
    assert method.selected_epoch_ == int(np.argmax(curve))
    assert all(value is not None and round(value * 6, 4) % 1 == 0 for value in curve)  # of 6
    selected = method.curves_["test_accuracy"][method.selected_epoch_]
    assert (method.predict(x) == y).mean() == pytest.approx(selected, abs=2**-23)
    file = {"checkpoint": tmp_path / "state", "checkpoint_seconds": 0.0}
    with pytest.raises(KilledError):
        make(record, **options).fit(x, y, evaluation=seen, watch=end_after(5), **file)
    resumed = make(record, **options).fit(x, y, evaluation=seen, **file)
    assert equal_weights(method, resumed)
    assert resumed.selected_epoch_ == method.selected_epoch_
    assert method.noise_scores_.shape == (60,) and np.isfinite(method.noise_scores_).all()
