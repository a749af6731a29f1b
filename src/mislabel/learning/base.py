"""The contract for learning methods: scikit-learn estimators that share one training loop.

To add one: copy ``gce.py``, write the class and its ``RECORD``, and add the record to the list in
``mislabel/learning/__init__.py``. A method overrides `NoisyLabelClassifier._objective`, which
returns the loss for a problem; the rest is here.
"""

from abc import abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from mislabel.errors import InputError
from mislabel.learning.loop import (
    EpochWatcher,
    TrainingProblem,
    choose_device,
    initialisation_seed,
    predict_logits,
    train,
)
from mislabel.learning.networks import build_network
from mislabel.learning.objective import Objective
from mislabel.learning.recipes import Recipe, make_recipe
from mislabel.learning.resident import Normalisation, ResidentExamples
from mislabel.registry import Record
from mislabel.seeds import TrainingSeeds, check_seed
from mislabel.versions import library_versions


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What the curves are measured against; training never sees it.

    x_test, y_test: test examples and clean labels. clean_labels: (N,) of the training examples.
    """

    x_test: NDArray[Any] | None = None
    y_test: NDArray[Any] | None = None
    clean_labels: NDArray[Any] | None = None


class NoisyLabelClassifier(ClassifierMixin, BaseEstimator):
    """Base class of methods; see the module.

    recipe: a preset's name ("auto", "mlp", "fast", "lim2025") or a `Recipe`. network, epochs:
    replace the recipe's. seed: spawns the seeds of initialisation, order and augmentation.
    device: "auto", "cpu" or "cuda". augment: whether the recipe's "auto" augmentation crops and
    flips ("crop-flip") or not ("none").

    After `fit`: `classes_` (C,), `network_`, `curves_` (per epoch), `recipe_`, `seeds_`,
    `n_features_in_`.
    """

    name: ClassVar[str]
    example_shape_: tuple[int, ...]

    def __init__(
        self,
        *,
        recipe: str | Recipe = "auto",
        network: str | None = None,
        epochs: int | None = None,
        augment: str = "none",
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.recipe = recipe
        self.network = network
        self.epochs = epochs
        self.augment = augment
        self.seed = seed
        self.device = device

    def check_parameters(self) -> None:
        """Raise `InputError` for a parameter of this method that breaks its rule."""
        check_seed(self.seed)

    @abstractmethod
    def _objective(self, problem: TrainingProblem, n_classes: int, features: Any) -> Objective:
        """The loss for a problem. features: (N, d) as given to `fit`, or the examples flattened."""

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        classes: ArrayLike | None = None,
        features: ArrayLike | None = None,
        evaluation: Evaluation | None = None,
        watch: EpochWatcher | None = None,
    ) -> Self:
        """Train on examples `X` with noisy labels `y`.

        X: uint8 images (N, h, w, c) or float features (N, d). y: (N,) labels of any kind.
        classes: all classes, where some may not occur in `y`. features: (N, d) in which
        neighbours are looked for, by methods that do. evaluation: for the curves. watch: called
        after each epoch.
        """
        examples = self._check_examples(X, reset=True)
        encoded = self._encode(y, classes, len(examples))
        self.check_parameters()
        device = choose_device(self.device)
        self.recipe_ = make_recipe(
            self.recipe,
            example_shape=examples.shape[1:],
            network=self.network,
            epochs=self.epochs,
        )
        self.seeds_ = TrainingSeeds.spawn(self.seed)
        self.normalisation_ = Normalisation.of(examples)
        problem = self._problem(examples, encoded, evaluation, device)
        objective = self._objective(problem, len(self.classes_), _points(examples, features))
        with initialisation_seed(self.seeds_.initialisation):
            network = build_network(self.recipe_.network, examples.shape[1:], len(self.classes_))
        training = train(network, problem, objective, self.recipe_, self.seeds_, watch=watch)
        self.network_, self.curves_ = training.network, training.curves
        self.test_predictions_ = training.test_predictions
        self.provenance_ = {
            "seeds": asdict(self.seeds_),
            "device": str(device),
            "threads": torch.get_num_threads(),
            "versions": library_versions("numpy", "torch"),
        }
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:
        """(N, C) class probabilities, columns in the order of `classes_`."""
        check_is_fitted(self, "network_")
        examples = self._check_examples(X, reset=False)
        device = next(self.network_.parameters()).device
        resident = ResidentExamples(examples, self.normalisation_, device)
        logits = predict_logits(self.network_, resident, self.recipe_)
        probabilities: NDArray[np.float32] = torch.softmax(logits, dim=1).cpu().numpy()
        return probabilities

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """(N,) the most probable class of each example."""
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    def _problem(
        self,
        examples: NDArray[Any],
        encoded: NDArray[np.int64],
        evaluation: Evaluation | None,
        device: torch.device,
    ) -> TrainingProblem:
        augment = self.augment if self.recipe_.augment == "auto" else self.recipe_.augment
        resident = ResidentExamples(
            examples, self.normalisation_, device, augment=augment == "crop-flip"
        )
        seen = evaluation if evaluation is not None else Evaluation()
        test = None
        if seen.x_test is not None:
            x_test = self._check_examples(seen.x_test, reset=False)
            test = ResidentExamples(x_test, self.normalisation_, device)
        return TrainingProblem(
            examples=resident,
            labels=torch.from_numpy(encoded).to(device),
            clean_labels=self._positions("clean_labels", seen.clean_labels, resident),
            test_examples=test,
            test_labels=self._positions("y_test", seen.y_test, test),
        )

    def _positions(
        self, name: str, labels: ArrayLike | None, examples: ResidentExamples | None
    ) -> torch.Tensor | None:
        """Positions of labels in `classes_` on the examples' device; -1 for other classes."""
        if labels is None or examples is None:
            return None
        given = np.asarray(labels)
        if given.shape != (len(examples),):
            rule = f"must have one label per example: {len(examples)}"
            raise InputError(name, f"shape {given.shape}", rule)
        positions = np.searchsorted(self.classes_, given)
        positions[~np.isin(given, self.classes_)] = -1
        return torch.from_numpy(positions).to(examples.device)

    def _check_examples(self, X: ArrayLike, *, reset: bool) -> NDArray[Any]:
        """Images or features, checked; a shape other than in `fit` is an error."""
        array = np.asarray(X)
        if array.ndim == 4:
            if array.dtype != np.uint8:
                raise InputError("X", f"dtype {array.dtype}", "images must be uint8 (N, h, w, c)")
            if 0 in array.shape:
                raise InputError("X", f"shape {array.shape}", "must not be empty")
            if not reset and array.shape[1:] != self.example_shape_:
                rule = f"must have the shape seen in fit, {self.example_shape_}"
                raise InputError("X", array.shape[1:], rule)
        else:
            from sklearn.utils.validation import validate_data

            array = validate_data(self, X, reset=reset, dtype=np.float32)
        if reset:
            self.example_shape_ = array.shape[1:]
        return array

    def _encode(
        self, y: ArrayLike, classes: ArrayLike | None, n_examples: int
    ) -> NDArray[np.int64]:
        """Set `classes_` and return the labels as positions in it."""
        labels = column_or_1d(y, warn=True)
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            raise InputError("y", float(labels[~np.isfinite(labels)][0]), "must be finite")
        check_classification_targets(labels)
        if len(labels) != n_examples:
            raise InputError("y", f"{len(labels)} labels", f"must have length {n_examples}")
        self.classes_ = np.unique(labels if classes is None else np.asarray(classes))
        unknown = ~np.isin(labels, self.classes_)
        if unknown.any():
            raise InputError("y", labels[unknown][0], "is not one of the classes")
        if len(self.classes_) < 2:
            # scikit-learn asks for the words "1 class" in this message.
            raise InputError("y", self.classes_[0], "has 1 class; at least 2 are needed")
        encoded: NDArray[np.int64] = np.searchsorted(self.classes_, labels).astype(np.int64)
        return encoded


def _points(examples: NDArray[Any], features: ArrayLike | None) -> NDArray[Any]:
    """(N, d) features as given, or the examples flattened."""
    if features is None:
        return examples.reshape(len(examples), -1)
    points = np.asarray(features)
    if points.ndim != 2 or len(points) != len(examples):
        rule = f"must be a matrix (N, d) with one row per example: {len(examples)}"
        raise InputError("features", f"shape {points.shape}", rule)
    return points


@dataclass(frozen=True, kw_only=True)
class MethodRecord(Record):
    """A learning method in the registry.

    uses_features: whether it looks for neighbours in the features given to `fit`.
    """

    estimator: type[NoisyLabelClassifier]
    positional: str | None = None
    uses_features: bool = False
    example: str
    advice: str
