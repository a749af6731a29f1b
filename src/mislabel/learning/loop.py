"""The one training loop: epochs, curves, selection of an epoch, checkpoints.

The data lie on the device, order and augmentation have seeds of their own, nothing waits for the
device inside an epoch, and the curves of training are made from the predictions that training
makes anyway. What an epoch does is the learner's (`mislabel.learning.learner`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from mislabel.learning.checkpoint import Checkpoint
from mislabel.learning.learner import Learner, Pass
from mislabel.learning.problem import random_state
from mislabel.seeds import child_seed

EpochWatcher = Callable[[int, dict[str, float | None]], None]
"Called after each epoch with its number, from 0, and the values of the curves."


@dataclass(kw_only=True)
class Training:
    """What a training leaves besides the learner: curves, one value per epoch.

    test_predictions: (M,) at the selected epoch. selected_epoch: counted from 0; the last, unless
    a validation part of the noisy labels selects.
    """

    curves: dict[str, list[float | None]] = field(default_factory=dict)
    test_predictions: Tensor | None = None
    selected_epoch: int = -1


def train(
    learner: Learner,
    *,
    watch: EpochWatcher | None = None,
    checkpoint: Checkpoint | None = None,
) -> Training:
    """Train `learner` to the end of its recipe and return the curves.

    With a validation part the predicting network ends with the weights of the epoch that is best
    there (the first such epoch). watch: told each epoch. checkpoint: where to go on from, if
    there is something, and where to save.
    """
    training, best, done = Training(), _Best(), 0
    with random_state(child_seed(learner.seeds.augmentation, "network")):
        if checkpoint is not None and (state := checkpoint.load()) is not None:
            done = _resume(state, learner, training, best)
        for epoch in range(done, learner.recipe.epochs):
            seen = learner.train_epoch(epoch)
            learner.end_epoch(epoch, seen)
            answers = _record(training, learner, seen)
            if best.is_it(training, learner):
                training.selected_epoch, training.test_predictions = epoch, answers
            if watch is not None:
                watch(epoch, {name: curve[-1] for name, curve in training.curves.items()})
            if checkpoint is not None and checkpoint.due(last=epoch + 1 == learner.recipe.epochs):
                checkpoint.save(_state(epoch + 1, learner, training, best))
    best.restore(learner)
    return training


class _Best:
    """The weights of the epoch that did best on the validation part."""

    def __init__(self) -> None:
        self.accuracy: float | None = None
        self.weights: dict[str, Tensor] = {}

    def is_it(self, training: Training, learner: Learner) -> bool:
        """Whether this epoch is selected so far; if by validation, its weights are kept."""
        if learner.problem.validation is None:
            return True
        accuracy = training.curves["validation_accuracy"][-1]
        assert accuracy is not None
        if self.accuracy is not None and accuracy <= self.accuracy:
            return False
        self.accuracy = accuracy
        self.weights = {k: v.detach().clone() for k, v in learner.network.state_dict().items()}
        return True

    def restore(self, learner: Learner) -> None:
        if self.weights:
            learner.network.load_state_dict(self.weights)


def _record(training: Training, learner: Learner, seen: Pass) -> Tensor | None:
    """Add one epoch to the curves; see `mislabel.benchmark.results.CURVES`."""
    problem = learner.problem
    came = seen.predicted >= 0
    right = seen.predicted == problem.labels
    values: dict[str, Tensor | None] = {
        "train_loss": seen.loss,
        "train_accuracy": _share(right, came),
    }
    if problem.clean_labels is not None:
        flipped = (problem.labels != problem.clean_labels) & came
        wrong = bool(flipped.any())
        corrected = seen.predicted == problem.clean_labels
        values["wrong_fitted"] = _share(right, flipped) if wrong else None
        values["wrong_corrected"] = _share(corrected, flipped) if wrong else None
    answers = None
    for name, held_out in (("validation", problem.validation), ("test", problem.test)):
        if held_out is not None:
            answers = learner.predict_logits(held_out).argmax(dim=1)
            values[f"{name}_accuracy"] = (answers == held_out.labels).float().mean()
    for name, value in values.items():
        number = None if value is None else float(value)
        training.curves.setdefault(name, []).append(number)
    return answers if problem.test is not None else None


def _share(hits: Tensor, among: Tensor) -> Tensor:
    return hits[among].float().mean()


def _state(done: int, learner: Learner, training: Training, best: _Best) -> dict[str, Any]:
    return {
        "epochs_done": done,
        "learner": learner.state(),
        "curves": training.curves,
        "selected_epoch": training.selected_epoch,
        "test_predictions": training.test_predictions,
        "best_accuracy": best.accuracy,
        "best_weights": best.weights,
        "random_state": torch.get_rng_state(),
        "cuda_states": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _resume(state: dict[str, Any], learner: Learner, training: Training, best: _Best) -> int:
    """Put everything back; returns the number of epochs done."""
    learner.load_state(state["learner"])
    training.curves = {name: list(curve) for name, curve in state["curves"].items()}
    training.selected_epoch = state["selected_epoch"]
    training.test_predictions = state["test_predictions"]
    best.accuracy, best.weights = state["best_accuracy"], state["best_weights"]
    torch.set_rng_state(state["random_state"])
    if state["cuda_states"]:
        torch.cuda.set_rng_state_all(state["cuda_states"])
    return int(state["epochs_done"])


def predictions_of(training: Training) -> NDArray[Any] | None:
    """The test predictions as an array."""
    answers = training.test_predictions
    return None if answers is None else answers.cpu().numpy()
