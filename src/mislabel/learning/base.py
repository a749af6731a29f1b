"""The contract for learning methods: scikit-learn estimators that share one training loop.

To add one: copy ``gce.py``, write the class and its ``RECORD``, and add the record to the list in
``mislabel/learning/__init__.py``. A method that changes the loss of one network overrides
`NoisyLabelClassifier._objective`; one with several networks, or that changes what a batch is,
overrides `NoisyLabelClassifier._learner`; the rest is here.
"""

import copy
import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from mislabel.errors import InputError, did_you_mean
from mislabel.files import hash_array
from mislabel.learning.checkpoint import Checkpoint, tensor_bytes
from mislabel.learning.learner import Learner, SingleNetwork
from mislabel.learning.loop import EpochWatcher, predictions_of, train
from mislabel.learning.networks import build_network, check_output
from mislabel.learning.objective import Objective
from mislabel.learning.problem import (
    BatchObserver,
    HeldOut,
    Part,
    TrainingProblem,
    choose_device,
    predict_logits,
    random_state,
)
from mislabel.learning.recipes import Recipe, make_recipe
from mislabel.learning.resident import Normalisation, PairedDraws, ResidentExamples
from mislabel.registry import Record
from mislabel.seeds import TrainingSeeds, check_seed, child_seed, generator
from mislabel.versions import library_versions

SELECTIONS = ("last", "noisy-validation")
VALIDATION_SHARE = 0.1
Network = str | nn.Module | Callable[[tuple[int, ...], int], nn.Module]
"""A name in `NETWORKS`; a function of example shape and number of classes; or a module, which is
copied and whose layers are drawn anew (`reset_parameters`) from the seed of initialisation, so
that two seeds never share weights. To keep trained weights, give a function that loads them."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What the curves are measured against; training never sees it.

    x_test, y_test: test examples and clean labels. clean_labels: (N,) of the training examples.
    test_features: (M, d) for methods that predict from features beside the examples.
    observe: told each batch of training.
    """

    x_test: NDArray[Any] | None = None
    y_test: NDArray[Any] | None = None
    clean_labels: NDArray[Any] | None = None
    test_features: NDArray[Any] | None = None
    observe: BatchObserver | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a method gets to make its learner of.

    features: (N, d) as given to `fit`, or the examples flattened. build: a network by the
    estimator's settings with fresh weights, from the seed of initialisation and the given name.
    """

    problem: TrainingProblem
    n_classes: int
    features: NDArray[Any]
    recipe: Recipe
    seeds: TrainingSeeds
    build: Callable[[str], nn.Module]


@dataclass(kw_only=True, eq=False, repr=False)
class NoisyLabelClassifier(ClassifierMixin, BaseEstimator):
    """Base class of methods; see the module.

    recipe: a preset's name ("auto", "mlp", "fast", "lim2025") or a `Recipe`. network: replaces
    the recipe's, by name, or a module or function of your own (see `Network`). epochs, precision:
    replace the recipe's ("float32", or "bfloat16" for mixed precision). seed: spawns the seeds of
    initialisation, order and augmentation. device: "auto", "cpu" or "cuda". augment: whether the
    recipe's "auto" augmentation crops and flips ("crop-flip") or not ("none"). selection: "last"
    keeps the last epoch; "noisy-validation" holds out a tenth of the examples and keeps the epoch
    that predicts their noisy labels best.

    After `fit`: `classes_` (C,), `network_`, `curves_` (per epoch), `noise_scores_` (N,) how
    likely each given label is wrong, `corrected_labels_` (N,) or None, `selected_epoch_`,
    `recipe_`, `seeds_`, `provenance_`, `n_features_in_`.
    """

    name: ClassVar[str]
    predicts_from_features: ClassVar[bool] = False
    "Whether `predict` takes features beside the examples."

    recipe: str | Recipe = "auto"
    network: Network | None = None
    epochs: int | None = None
    precision: str | None = None
    augment: str = "none"
    selection: str = "last"
    seed: int = 0
    device: str = "auto"

    def check_parameters(self) -> None:
        """Raise `InputError` for a parameter of this method that breaks its rule."""
        check_seed(self.seed)
        if self.selection not in SELECTIONS:
            hint = did_you_mean(str(self.selection), SELECTIONS)
            raise InputError("selection", self.selection, f"unknown choice; {hint}")

    def resolve_recipe(self, example_shape: tuple[int, ...]) -> Recipe:
        """The recipe for examples of that shape; methods with presets of their own override it."""
        named = self.network if isinstance(self.network, str) else None
        recipe = make_recipe(
            self.recipe,
            example_shape=example_shape,
            network=named,
            epochs=self.epochs,
            precision=self.precision,
        )
        if self.network is None or named is not None:
            return recipe
        own = self.network
        title = type(own).__name__ if isinstance(own, nn.Module) else _name_of(own)
        return replace(recipe, network=f"own:{title}")

    def _objective(self, problem: TrainingProblem, n_classes: int, features: Any) -> Objective:
        """The loss for a problem. features: (N, d) as given to `fit`, or the examples flattened."""
        raise NotImplementedError

    def _learner(self, task: Task) -> Learner:
        """What trains; by default one network with this method's objective."""
        objective = self._objective(task.problem, task.n_classes, task.features)
        network = task.build("network")
        return SingleNetwork(network, task.problem, objective, task.recipe, task.seeds)

    def _predictor(self, build: Callable[[str], nn.Module], n_features: int) -> nn.Module:
        """A network like the one that predicts; for loading weights. n_features: 0 or d."""
        return build("network")

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        classes: ArrayLike | None = None,
        features: ArrayLike | None = None,
        guidance: ArrayLike | None = None,
        subset: ArrayLike | None = None,
        seeds: TrainingSeeds | None = None,
        evaluation: Evaluation | None = None,
        watch: EpochWatcher | None = None,
        checkpoint: str | Path | None = None,
        checkpoint_seconds: float = 30.0,
    ) -> Self:
        """Train on examples `X` with noisy labels `y`.

        X: uint8 images (N, h, w, c) or float features (N, d). y: (N,) labels of any kind.
        classes: all classes, where some may not occur in `y`. features: (N, d) in which
        neighbours are looked for, by methods that do, and which some predict from. guidance:
        (N, g) to predict from in their place; then `predict` and `evaluation` take such too.
        subset: (N,) bool, examples to train on; the others serve only for the normalisation.
        Trainings on two subsets are paired: weights begin the same, the order is that of all
        examples less the others, and an example's augmentation depends on no other example
        (what methods draw per batch, such as the shares of mixup, is not paired). seeds: in place
        of those that `seed` spawns.
        evaluation: for the curves. watch: called after each epoch.
        checkpoint: a file to save to every `checkpoint_seconds` and to go on from; a resumed
        training equals an uninterrupted one, on a CPU with as many threads bit for bit.
        """
        examples = self._check_examples(X, reset=True)
        encoded = self._encode(y, classes, len(examples))
        self.check_parameters()
        device = choose_device(self.device)
        self.recipe_ = self.resolve_recipe(examples.shape[1:])
        self.seeds_ = TrainingSeeds.spawn(self.seed) if seeds is None else seeds
        self.normalisation_ = Normalisation.of(examples)
        points = _points(examples, features)
        guide = points if guidance is None else _points(examples, guidance, "guidance")
        self.n_guidance_ = guide.shape[1] if self.predicts_from_features else 0
        kept = None if subset is None else _check_subset(subset, len(examples))
        train_on, validate_on = self._split(len(examples), kept)
        problem = self._problem(
            examples, encoded, guide, train_on, validate_on, kept, evaluation, device
        )
        learner = self._learner(
            Task(
                problem=problem,
                n_classes=len(self.classes_),
                features=points[train_on],
                recipe=self.recipe_,
                seeds=self.seeds_,
                build=self._build,
            )
        )
        initial = learner.initial_hash()
        store = None
        if checkpoint is not None:
            identity = self._identity(examples, encoded, points, initial)
            if guidance is not None and self.predicts_from_features:
                identity["guidance_sha256"] = hash_array(guide)
            if kept is not None:
                identity["subset_sha256"] = hash_array(kept)
            if seeds is not None:
                identity["seeds"] = asdict(seeds)
            store = Checkpoint(Path(checkpoint), identity, every=checkpoint_seconds)
        training = train(learner, watch=watch, checkpoint=store)
        self._keep(learner, train_on, validate_on, encoded)
        self.curves_ = training.curves
        self.selected_epoch_ = training.selected_epoch
        self.test_predictions_ = predictions_of(training)
        assert learner.first_order is not None
        self.provenance_ = {
            "seeds": asdict(self.seeds_),
            "initial_weights_sha256": initial,
            "first_order_sha256": _hash(learner.first_order),
            "device": str(device),
            "threads": torch.get_num_threads(),
            "versions": library_versions("numpy", "torch"),
            **self._findings(),
        }
        return self

    def predict_proba(
        self, X: ArrayLike, *, features: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """(N, C) class probabilities, columns in the order of `classes_`.

        features: (N, d) as in `fit`, for methods that predict from them.
        """
        check_is_fitted(self, "network_")
        examples = self._check_examples(X, reset=False)
        device = next(self.network_.parameters()).device
        held_out = HeldOut(
            examples=ResidentExamples(examples, self.normalisation_, device),
            labels=torch.empty(0),
            features=self._guidance(examples, features, device),
        )
        with random_state(child_seed(self.seeds_.augmentation, "prediction")):
            logits = self._predict_logits(held_out)
        probabilities: NDArray[np.float32] = torch.softmax(logits, dim=1).cpu().numpy()
        return probabilities

    def predict(self, X: ArrayLike, *, features: ArrayLike | None = None) -> NDArray[Any]:
        """(N,) the most probable class of each example."""
        probabilities = self.predict_proba(X, features=features)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    def _predict_logits(self, held_out: HeldOut) -> Tensor:
        """(M, C) logits of `network_`; as the learner's."""
        return predict_logits(self.network_, held_out.examples, self.recipe_)

    def _build(self, name: str) -> nn.Module:
        """A network with fresh weights; each name has a seed of its own."""
        seed = self.seeds_.initialisation
        seed = seed if name == "network" else child_seed(seed, name)
        shape, n_classes = self.example_shape_, len(self.classes_)
        own: Any = self.network
        with random_state(seed):
            if own is None or isinstance(own, str):
                return build_network(self.recipe_.network, shape, n_classes)
            if isinstance(own, nn.Module):
                own = _drawn_anew(own)
            elif callable(own):
                own = own(shape, n_classes)
            return check_output(own, shape, n_classes)  # lazy layers draw their weights here

    def _split(
        self, n_examples: int, kept: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions to train on, in order, and those to select an epoch by; of those kept."""
        held = np.zeros(n_examples, dtype=bool)
        chosen = np.ones(n_examples, dtype=bool) if kept is None else kept
        if self.selection != "last":
            if n_examples < 2:
                raise InputError("X", f"{n_examples} examples", "a validation part needs 2")
            count = max(1, round(VALIDATION_SHARE * n_examples))
            held[generator(self.seed, "validation").permutation(n_examples)[:count]] = True
            if not (held & chosen).any() or not (~held & chosen).any():
                rule = "must leave examples to train on and to validate on; give more"
                raise InputError("subset", f"{chosen.sum()} examples", rule)
        return np.flatnonzero(chosen & ~held), np.flatnonzero(chosen & held)

    def _findings(self) -> dict[str, Any]:
        """What else a training is to be recorded with, JSON values by name."""
        return {}

    def _keep(
        self,
        learner: Learner,
        train_on: NDArray[np.int64],
        validate_on: NDArray[np.int64],
        encoded: NDArray[np.int64],
    ) -> None:
        """What a learner leaves: networks, scores and corrected labels of all examples."""
        self.network_ = learner.network
        self.networks_ = learner.networks
        scores = np.empty(len(encoded), dtype=np.float32)
        scores[train_on] = learner.noise_scores().float().cpu().numpy()
        corrected = learner.corrected_labels()
        labels = encoded.copy()
        if corrected is not None:
            labels[train_on] = corrected.cpu().numpy()
        excluded = _outside(len(encoded), train_on, validate_on)
        problem = learner.problem
        for held_out, where in ((problem.validation, validate_on), (problem.excluded, excluded)):
            if held_out is not None:
                chance = torch.softmax(learner.predict_logits(held_out), dim=1).cpu().numpy()
                scores[where] = 1 - chance[np.arange(len(where)), encoded[where]]
        self.noise_scores_ = np.clip(scores, 0, 1)
        self.corrected_labels_ = None if corrected is None else self.classes_[labels]

    def _identity(
        self,
        examples: NDArray[Any],
        encoded: NDArray[np.int64],
        points: NDArray[Any],
        initial: str,
    ) -> dict[str, Any]:
        """What a checkpoint is tied to."""
        settings = {
            key: value
            for key, value in self.get_params().items()
            if isinstance(value, bool | int | float | str) or value is None
        }
        return {
            "method": self.name,
            "parameters": settings,
            "recipe": self.recipe_.to_json(),
            "examples_sha256": hash_array(examples),
            "labels_sha256": hash_array(encoded),
            "features_sha256": hash_array(points),
            "initial_weights_sha256": initial,
            "versions": library_versions("torch"),
        }

    def _problem(
        self,
        examples: NDArray[Any],
        encoded: NDArray[np.int64],
        guide: NDArray[Any],
        train_on: NDArray[np.int64],
        validate_on: NDArray[np.int64],
        kept: NDArray[np.bool_] | None,
        evaluation: Evaluation | None,
        device: torch.device,
    ) -> TrainingProblem:
        augment = self.augment if self.recipe_.augment == "auto" else self.recipe_.augment
        seen = evaluation if evaluation is not None else Evaluation()
        labels = torch.from_numpy(encoded).to(device)
        clean = self._positions("clean_labels", seen.clean_labels, len(examples), device)
        everything = len(train_on) == len(examples)
        chosen = torch.from_numpy(train_on).to(device)
        resident = ResidentExamples(
            examples if everything else examples[train_on],
            self.normalisation_,
            device,
            augment=augment == "crop-flip",
            paired=None if kept is None else PairedDraws(self.seeds_.augmentation, chosen),
        )

        def aside(where: NDArray[np.int64]) -> HeldOut | None:
            if not len(where):
                return None
            return HeldOut(
                examples=ResidentExamples(examples[where], self.normalisation_, device),
                labels=labels[torch.from_numpy(where).to(device)],
                features=self._guidance(examples[where], guide[where], device),
            )

        return TrainingProblem(
            examples=resident,
            labels=labels[chosen],
            clean_labels=None if clean is None else clean[chosen],
            features=self._guidance(examples[train_on], guide[train_on], device),
            validation=aside(validate_on),
            test=self._test(seen, device),
            part=None if kept is None else Part(positions=chosen, n_total=len(examples)),
            excluded=aside(_outside(len(examples), train_on, validate_on)),
            observe=seen.observe,
        )

    def _test(self, seen: Evaluation, device: torch.device) -> HeldOut | None:
        if seen.x_test is None or seen.y_test is None:
            return None
        x_test = self._check_examples(seen.x_test, reset=False)
        labels = self._positions("y_test", seen.y_test, len(x_test), device)
        assert labels is not None
        return HeldOut(
            examples=ResidentExamples(x_test, self.normalisation_, device),
            labels=labels,
            features=self._guidance(x_test, seen.test_features, device),
        )

    def _guidance(
        self, examples: NDArray[Any], features: ArrayLike | None, device: torch.device
    ) -> Tensor | None:
        """(M, d) features that the method predicts from, or None where it does not."""
        if not self.predicts_from_features:
            return None
        points = _points(examples, features)
        if points.shape[1] != self.n_guidance_:
            rule = f"must have {self.n_guidance_} columns, as the features in fit"
            raise InputError("features", f"shape {points.shape}", rule)
        if not np.isfinite(points).all():
            bad = np.flatnonzero(~np.isfinite(points).all(axis=1))[0]
            raise InputError("features", f"row {bad}", "must be finite")
        return torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32)).to(device)

    def _positions(
        self, name: str, labels: ArrayLike | None, n_examples: int, device: torch.device
    ) -> Tensor | None:
        """Positions of labels in `classes_` on the device; -1 for other classes."""
        if labels is None:
            return None
        given = np.asarray(labels)
        if given.shape != (n_examples,):
            rule = f"must have one label per example: {n_examples}"
            raise InputError(name, f"shape {given.shape}", rule)
        positions = np.searchsorted(self.classes_, given)
        positions[~np.isin(given, self.classes_)] = -1
        return torch.from_numpy(positions).to(device)

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
            self.example_shape_: tuple[int, ...] = array.shape[1:]
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


def _points(
    examples: NDArray[Any], features: ArrayLike | None, name: str = "features"
) -> NDArray[Any]:
    """(N, d) features as given, or the examples flattened."""
    if features is None:
        return examples.reshape(len(examples), -1)
    points = np.asarray(features)
    if points.ndim != 2 or len(points) != len(examples):
        rule = f"must be a matrix (N, d) with one row per example: {len(examples)}"
        raise InputError(name, f"shape {points.shape}", rule)
    return points


def _check_subset(subset: ArrayLike, n_examples: int) -> NDArray[np.bool_]:
    """(N,) bool with something in it."""
    kept = np.asarray(subset)
    if kept.dtype != bool or kept.shape != (n_examples,):
        rule = f"must be a mask, one bool per example: {n_examples}"
        raise InputError("subset", f"{kept.dtype} {kept.shape}", rule)
    if not kept.any():
        raise InputError("subset", "no examples", "must keep at least one")
    return kept


def _outside(n_examples: int, *parts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ascending positions that are in none of the parts."""
    outside = np.ones(n_examples, dtype=bool)
    outside[np.concatenate(parts)] = False
    return np.flatnonzero(outside)


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _drawn_anew(module: nn.Module) -> nn.Module:
    """A copy of a user's module whose layers have drawn their weights again.

    Inner layers come first, as when the module was made: outer ones may set what they drew.
    """
    network = copy.deepcopy(module)
    for name, layer in reversed(list(network.named_modules())):
        reset = getattr(layer, "reset_parameters", getattr(layer, "_reset_parameters", None))
        if callable(reset):
            reset()
        elif kept := [key for key, own in layer.named_parameters(recurse=False) if _varies(own)]:
            rule = (
                f"its {'.'.join(filter(None, (name, kept[0])))} would be the same for every seed, "
                "for want of a reset_parameters; give a function that makes the module"
            )
            raise InputError("network", type(module).__name__, rule)
    return network


def _varies(weights: nn.Parameter) -> bool:
    """Whether weights were drawn: constant ones (a scale of 1) are right for every seed."""
    return (
        not is_lazy(weights)
        and weights.numel() > 1
        and bool((weights != weights.flatten()[0]).any())
    )


def _hash(tensor: Tensor) -> str:
    return hashlib.sha256(tensor_bytes(tensor)).hexdigest()


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
