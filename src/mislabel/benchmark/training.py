"""One training with everything around it: data, labels, features, and a folder of results.

``train_to_folder(plan, "runs/gce")`` is what ``mislabel train`` does; `training_folder` says what
the folder then holds. A training that is killed goes on from its last checkpoint and ends with the
same bytes, on a CPU with as many threads; how many is written down when it begins.

Three kinds of labels: from a file, drawn from a noise model, or those of the data as they are. The
last are taken to be wrong in places, nobody knows where; with the other two the data's own labels
count as clean, and the receipt says how much of the noise was fitted and found.
"""

import contextlib
import secrets
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mislabel.benchmark.grid import canonical_method
from mislabel.benchmark.inputs import InputOptions, LabelInputs, Say
from mislabel.benchmark.results import EPOCH_CHOICES, reduce_curve
from mislabel.benchmark.training_folder import TrainedFolder, TrainingFolder
from mislabel.errors import InputError
from mislabel.features import encode, load_features
from mislabel.files import hash_array
from mislabel.labels import NoisyLabels, check_count
from mislabel.learning import (
    METHODS,
    Evaluation,
    NoisyLabelClassifier,
    Recipe,
    make_method,
)
from mislabel.learning.loggers import LoggedRun, check_logger, open_logger
from mislabel.learning.loop import EpochWatcher
from mislabel.learning.networks import check_network
from mislabel.learning.problem import choose_device
from mislabel.learning.recipes import check_augment
from mislabel.learning.saved import parameters_json
from mislabel.noise import canonical_noise
from mislabel.noise.human import FromFile
from mislabel.seeds import check_seed
from mislabel.specs import split_spec
from mislabel.versions import library_versions

LIBRARIES = ("numpy", "torch", "scikit-learn", "faiss-cpu")


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What to train.

    inputs: data, features and so on; its seed is that of the subset, the map and the noise.
    method: a spec. labels, column: a label file, and which labels of a file with several.
    noise: a spec. Without labels and noise, the data's own labels. seed: of the training.
    recipe, network, epochs, selection: unless the method's spec says otherwise. augment: "auto"
    does what the data set says; "none" and "crop-flip" go before it. threads: of PyTorch; by
    default its own number, or that with which the training began.
    test_features: for methods that predict from features, beside those of training; without them
    such a method predicts from the encoder's, and given ones only say who is whose neighbour.
    """

    inputs: InputOptions
    method: str
    labels: Path | None = None
    column: str | None = None
    noise: str | None = None
    seed: int = 0
    recipe: str = "auto"
    network: str | None = None
    epochs: int | None = None
    augment: str = "auto"
    selection: str = "last"
    threads: int | None = None
    test_features: Path | None = None

    def __post_init__(self) -> None:
        check_seed(self.seed)
        check_augment(self.augment)
        if self.threads is not None:
            check_count(self.threads, "threads")
        if self.labels is not None and self.noise is not None:
            raise InputError("noise", self.noise, "goes without labels from a file; give one")
        if self.column is not None and self.labels is None:
            raise InputError("column", self.column, "goes with a label file; give labels")
        set_ = object.__setattr__
        set_(self, "method", canonical_method(self.method))
        if self.noise is not None:
            set_(self, "noise", canonical_noise(self.noise))
        choose_device(self.inputs.device)

    def estimator(self, augment: str) -> NoisyLabelClassifier:
        """The estimator to be trained."""
        return make_method(
            self.method,
            seed=self.seed,
            augment=augment if self.augment == "auto" else self.augment,
            device=self.inputs.device,
            recipe=self.recipe,
            network=self.network,
            epochs=self.epochs,
            selection=self.selection,
        )

    def command(self) -> str:
        """The command of this plan without ``--out``; names of files without their folders."""
        name, _ = split_spec(self.inputs.data, "data")
        path = self.inputs.data_path
        words = ["mislabel", "train", "--data", f"{name}:{path.name}" if path else name]
        for plan, renamed in ((self, {}), (self.inputs, {"seed": "data-seed"})):
            for option in fields(plan):
                value = getattr(plan, option.name)
                if option.name not in ("data", "inputs", "device") and value != option.default:
                    text = value.name if isinstance(value, Path) else str(value)
                    words += [f"--{renamed.get(option.name, option.name).replace('_', '-')}", text]
        return shlex.join(words)


def train_to_folder(
    plan: TrainingPlan,
    out: str | Path,
    *,
    resume: bool = False,
    loggers: Sequence[str] = (),
    checkpoint_seconds: float = 30.0,
    watch: EpochWatcher | None = None,
    say: Say = lambda _: None,
    begin: Callable[[int], None] = lambda _: None,
) -> TrainedFolder:
    """Train as planned and leave the results in the folder `out`.

    resume: go on with the training there; without it such a folder is refused. A folder where
    this same training is finished is only read. loggers: names in `LOGGERS`. watch: called after
    each epoch; say: told what is prepared; begin: told the number of epochs.
    Errors: `InputError`, before anything is written.
    """
    folder = TrainingFolder(Path(out))
    folder.check_usable(resume=resume)
    for name in loggers:
        check_logger(name)
    if not checkpoint_seconds >= 0:
        raise InputError("checkpoint_seconds", checkpoint_seconds, "must not be negative")
    with _threads(plan.threads or _threads_before(folder)) as threads:
        work = _Work(plan, LabelInputs.load(plan.inputs, say), threads)
        folder.check_identity(work.identity)
        if folder.is_finished():
            folder.clean_up()
            return folder.read(was_finished=True)
        key = str((folder.begun() or {}).get("key") or secrets.token_hex(8))
        with _opened(loggers, work, folder, key) as opened:
            folder.begin({"key": key, "identity": work.identity, "command": plan.command()})
            begin(work.recipe.epochs)
            watchers = [*opened, *([] if watch is None else [watch])]
            work.fit(folder.checkpoint, checkpoint_seconds, watchers)
        folder.finish(work.estimator, work.scores(), work.receipt())
    return folder.read()


@dataclass
class _Work:
    """A plan with its inputs: what is trained on, and what comes out."""

    plan: TrainingPlan
    inputs: LabelInputs
    threads: int
    seconds: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        dataset = self.inputs.dataset
        shape = dataset.x_train.shape[1:]
        self.estimator = self.plan.estimator(dataset.augment)
        self.estimator.check_parameters()
        self.recipe: Recipe = self.estimator.resolve_recipe(shape)
        check_network(self.recipe.network, shape)
        self.record = METHODS[split_spec(self.plan.method, "method")[0]]
        self.predicts_from_features = self.record.estimator.predicts_from_features
        self.labels = self._labels()
        self.features = None
        if self.record.uses_features or self.predicts_from_features:
            self.features = self.inputs.features

    def _labels(self) -> NoisyLabels:
        plan = self.plan
        if plan.labels is not None:
            return self.inputs.draw(FromFile(path=plan.labels, column=plan.column))
        if plan.noise is not None:
            return self.inputs.draw(plan.noise)
        return self.inputs.own_labels

    @cached_property
    def predicts_from_encoder(self) -> bool:
        """Whether the method predicts from features that the encoder makes."""
        return self.predicts_from_features and self.plan.test_features is None

    @cached_property
    def guidance(self) -> NDArray[np.float32] | None:
        """(N, g) features to predict from, for a method that does."""
        return self.inputs.encoded if self.predicts_from_encoder else self.features

    @cached_property
    def test_features(self) -> NDArray[np.float32] | None:
        """(M, g) features of the test examples, for a method that predicts from them."""
        options, dataset = self.plan.inputs, self.inputs.dataset
        if not self.predicts_from_features or not len(dataset.y_test):
            return None
        if self.plan.test_features is not None:
            return load_features(self.plan.test_features, "test_features")
        return encode(
            options.encoder, dataset.x_test, fit_on=dataset.x_train, device=options.device
        )

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What the result depends on, as JSON values."""
        dataset = self.inputs.dataset
        parameters = parameters_json(self.estimator)
        for name in ("recipe", "network", "epochs", "precision", "seed", "device"):
            del parameters[name]
        return {
            "data": dataset.name,
            "data_sha256": dataset.fingerprint,
            "labels_sha256": hash_array(self.labels.labels),
            "clean_labels": self.labels.clean_labels is not None,
            "features_sha256": _hash(self.features),
            "guidance_sha256": _hash(self.guidance) if self.predicts_from_features else None,
            "test_features_sha256": _hash(self.test_features),
            "method": self.record.name,
            "parameters": parameters,
            "recipe": self.recipe.to_json(),
            "seed": self.plan.seed,
            "device": choose_device(self.plan.inputs.device).type,
            "threads": self.threads,
        }

    def fit(self, checkpoint: Path, seconds: float, watchers: Sequence[EpochWatcher]) -> None:
        """Train, from the checkpoint on if there is one."""

        def watch(epoch: int, values: dict[str, float | None]) -> None:
            for watcher in watchers:
                watcher(epoch, values)

        dataset = self.inputs.dataset
        tested = len(dataset.y_test) > 0
        started = time.perf_counter()
        self.estimator.fit(
            dataset.x_train,
            self.labels.labels,
            classes=np.arange(dataset.n_classes),
            features=self.features,
            guidance=self.guidance if self.predicts_from_features else None,
            evaluation=Evaluation(
                x_test=dataset.x_test if tested else None,
                y_test=dataset.y_test if tested else None,
                clean_labels=self.labels.clean_labels,
                test_features=self.test_features,
            ),
            watch=watch,
            checkpoint=checkpoint,
            checkpoint_seconds=seconds,
        )
        self.seconds = time.perf_counter() - started

    def scores(self) -> dict[str, NDArray[Any]]:
        """The columns of scores.csv."""
        method, dataset = self.estimator, self.inputs.dataset
        columns: dict[str, NDArray[Any]] = {
            "index": dataset.train_indices,
            "label": self.labels.labels,
        }
        if self.labels.clean_labels is not None:
            columns["clean_label"] = self.labels.clean_labels
        columns["noise_score"] = method.noise_scores_
        if method.corrected_labels_ is not None:
            columns["corrected_label"] = method.corrected_labels_
        columns["predicted_label"] = method.predict(dataset.x_train, features=self.guidance)
        return columns

    def receipt(self) -> dict[str, Any]:
        """The content of receipt.json, but for its format."""
        dataset, options, method = self.inputs.dataset, self.plan.inputs, self.estimator
        return {
            "identity": self.identity,
            "command": f"{self.plan.command()} --out RUN",
            "method": {"spec": self.plan.method, "title": self.record.title},
            "data": {
                "name": dataset.name,
                "subset": options.subset,
                "image_size": options.image_size,
                "seed": options.seed,
                "encoder": options.encoder if self._encodes else None,
                "n_train": len(dataset),
                "n_train_total": dataset.n_train_total,
                "n_test": len(dataset.y_test),
                "class_names": list(dataset.class_names),
            },
            "labels": self.labels.receipt_json(),
            "provenance": method.provenance_,
            "versions": library_versions(*LIBRARIES),
            "selected_epoch": method.selected_epoch_ + 1,
            "noise_rate": self._noise_rate(),
            "figures": self.figures(),
            "meaning": dict(EPOCH_CHOICES),
            "seconds": round(self.seconds, 3),
        }

    @property
    def _encodes(self) -> bool:
        """Whether predictions can be made from the encoder's features alone, or need none."""
        given = self.plan.inputs.features is not None or self.plan.inputs.map is not None
        return self.predicts_from_encoder or not given

    def _noise_rate(self) -> dict[str, Any] | None:
        """The rate that the method worked with and where it has it from, if it needs one."""
        value = getattr(self.estimator, "noise_rate_", None)
        if value is None:
            return None
        return {"value": float(value), "source": str(self.estimator.noise_rate_source_)}

    def figures(self) -> dict[str, Any]:
        """Accuracies from 0 to 1, and how well the noise scores tell wrong labels from right."""
        curves, selected = self.estimator.curves_, self.estimator.selected_epoch_
        tested = None
        if "test_accuracy" in curves:
            curve = np.array(curves["test_accuracy"], dtype=float)
            tested = {name: reduce_curve(curve, name) for name in ("last", "last10", "best")}
            if "validation_accuracy" in curves:
                tested["selected"] = float(curve[selected])
        return {
            "train_accuracy": _finite(curves["train_accuracy"][selected]),
            "test_accuracy": tested,
            "noise_score_auc": self._auc(),
        }

    def _auc(self) -> float | None:
        """Chance that a wrong label has a higher noise score than a right one."""
        from sklearn.metrics import roc_auc_score

        if self.labels.clean_labels is None or len(np.unique(self.labels.flipped)) < 2:
            return None
        return float(roc_auc_score(self.labels.flipped, self.estimator.noise_scores_))


@contextlib.contextmanager
def _opened(
    names: Sequence[str], work: _Work, folder: TrainingFolder, key: str
) -> Iterator[list[EpochWatcher]]:
    """Loggers that are closed in the end, whatever happens."""
    hidden = ("guidance_sha256", "test_features_sha256")
    settings = {n: v for n, v in work.identity.items() if n not in hidden}
    run = LoggedRun(
        title=folder.path.absolute().name,
        folder=folder.path,
        settings=settings | {"command": work.plan.command()},
        key=key,
    )
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(open_logger(name, run)) for name in names]


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[int]:
    """PyTorch with so many threads for the time of the block."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def _threads_before(folder: TrainingFolder) -> int | None:
    """The number with which the training in a folder began."""
    begun = folder.begun()
    count = None if begun is None else begun["identity"].get("threads")
    return count if isinstance(count, int) and count > 0 else None


def _hash(array: NDArray[Any] | None) -> str | None:
    return None if array is None else hash_array(array)


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
