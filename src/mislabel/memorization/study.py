"""Held-out studies: train many times on parts of the data, and see who is predicted without.

    plan = method_plan(dataset, labels, "standard:epochs=3", design=make_design(labels))
    run_study(plan, "runs/study", runs=200)
    scores = study_scores("runs/study")

A `StudyPlan` is a design, the labels, and a function that trains one run and predicts. That is any
learning method on any data by `method_plan`, or a function of your own, which must be importable
where several processes work, and whose `identity` says all that its predictions depend on.

A run's row is written when it is finished; a study that is killed loses the runs that were at work
and goes on with the others. What is measured is what the network predicts without augmentation;
``evaluate="augmented"`` predicts training images cropped and flipped once at random, as the study
of Lim, Larson & Leach 2025 did, which mixes the network's doubts about crops into its memory.
"""

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from mislabel.data import Dataset
from mislabel.errors import InputError, did_you_mean
from mislabel.executor import Executor, LocalExecutor, Workers
from mislabel.files import hash_array
from mislabel.labels import NoisyLabels, check_labels
from mislabel.learning import METHODS, NoisyLabelClassifier, Recipe, make_method
from mislabel.learning.base import Network
from mislabel.learning.problem import choose_device
from mislabel.learning.resident import Normalisation, PairedDraws, ResidentExamples
from mislabel.memorization.aggregate import study_sums
from mislabel.memorization.design import Design, Run, make_design
from mislabel.memorization.store import (
    KEEPS,
    MOST_RUNS,
    Answer,
    DamagedRow,
    StudyFolder,
    StudyLabels,
    pack_row,
)
from mislabel.seeds import child_seed
from mislabel.specs import canonical_spec, split_spec
from mislabel.versions import library_versions

Say = Callable[[str], None]
Progress = Callable[[int, int], None]
"Called with the number of finished runs and of all runs."
EVALUATIONS = ("plain", "augmented")
FIRST_ROUND = 20
"Runs after which the standard errors are looked at for the first time."
TIMED_BATCHES = 4
_NPZ_BYTES = 4000
"Of a row besides its arrays."


@runtime_checkable
class Timed(Protocol):
    """A trainer that can tell how long a run takes, by trying a few steps."""

    def seconds_of_run(self, run: Run) -> float | None:
        """Estimated seconds, None where that cannot be told."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyPlan:
    """What a study does. N training examples, M test examples.

    train: trains a run and predicts. design: of the N examples. labels: (N,) given, and clean
    ones if known. test_labels: (M,). identity: all that predictions depend on besides run and
    labels, JSON values. keep: what is stored, one of `KEEPS`. class_names: by default numbers.
    positions, n_total: where the examples stand in a larger training set. device: on which `train`
    works, for the choice of workers. title, about: for people.
    """

    train: Callable[[Run], Answer]
    design: Design
    labels: NoisyLabels
    test_labels: NDArray[np.int64]
    identity: Mapping[str, Any]
    keep: str = "probabilities"
    class_names: Sequence[str] | None = None
    positions: NDArray[np.int64] | None = None
    n_total: int | None = None
    device: str = "cpu"
    title: str = "study"
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.keep not in KEEPS:
            raise InputError("keep", self.keep, f"unknown choice; {did_you_mean(self.keep, KEEPS)}")
        if self.design.n_total != len(self.labels):
            rule = f"is of {self.design.n_total} examples; must be of {len(self.labels)}"
            raise InputError("design", self.design.name, rule)

    @cached_property
    def full_identity(self) -> dict[str, Any]:
        """What the folder is tied to."""
        clean = self.labels.clean_labels
        return {
            **self.identity,
            "labels_sha256": hash_array(self.labels.labels),
            "clean_labels_sha256": None if clean is None else hash_array(clean),
            "test_labels_sha256": hash_array(self.study_labels.test_labels),
            "n_train": len(self.labels),
            "n_test": len(self.test_labels),
            "design": self.design.to_json(),
            "keep": self.keep,
        }

    @cached_property
    def study_labels(self) -> StudyLabels:
        """Labels as the folder keeps them."""
        n, names = len(self.labels), self.class_names or range(self.labels.n_classes)
        where = np.arange(n) if self.positions is None else self.positions
        test = np.asarray(self.test_labels)
        return StudyLabels(
            labels=self.labels.labels,
            clean_labels=self.labels.clean_labels,
            test_labels=check_labels(test, name="test_labels") if len(test) else test.astype(int),
            index=self.design.index,
            positions=where,
            n_total=n if self.n_total is None else self.n_total,
            class_names=tuple(map(str, names)),
        )

    @property
    def row_bytes(self) -> int:
        """Size of a row on disk, about."""
        labels = self.study_labels
        nothing = Answer(
            train=np.zeros(len(labels.labels), dtype=int),
            test=np.zeros(len(labels.test_labels), dtype=int),
            probability=np.zeros(len(labels.labels)),
        )
        row = pack_row(np.ones(len(labels.labels), dtype=bool), nothing, labels, self.keep)
        return int(sum(array.nbytes for array in row.values())) + _NPZ_BYTES


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a study will take. seconds: None where it cannot be told.

    runs: all that are asked for, or the most that may be. done: that are finished. workers: at a
    time. bytes: of all runs together.
    """

    runs: int
    done: int
    workers: int
    seconds_per_run: float | None
    bytes: int

    @property
    def seconds(self) -> float | None:
        """Wall-clock seconds for what is left."""
        if self.seconds_per_run is None:
            return None
        return self.seconds_per_run * math.ceil((self.runs - self.done) / self.workers)


def forecast(
    plan: StudyPlan,
    out: str | Path,
    *,
    runs: int | range | None = None,
    until_se: float | None = None,
    workers: int | None = None,
) -> Forecast:
    """What `run_study` with these arguments will take; nothing is written.

    The time is the mean of the finished runs, or else that of a few real steps, scaled.
    Errors: as `run_study`, and where the disk is too small.
    """
    folder = StudyFolder(out, "out")
    folder.check_usable(plan.full_identity)
    numbers = _numbers(runs, until_se, plan.design)
    crew = _crew(plan, workers, runs, until_se, LocalExecutor())
    there = [number for number in folder.runs() if number in numbers] if folder.exists() else []
    found = Forecast(
        runs=len(numbers),
        done=len(there),
        workers=crew.count,
        seconds_per_run=_seconds_per_run(plan, folder, there, crew),
        bytes=len(numbers) * plan.row_bytes,
    )
    needed = found.bytes - len(there) * plan.row_bytes
    if until_se is None and needed > shutil.disk_usage(_existing(folder.path)).free:
        rule = f"has no room for {math.ceil(needed / 1e6):,} MB of runs"
        raise InputError("out", str(folder.path), rule)
    return found


def run_study(
    plan: StudyPlan,
    out: str | Path,
    *,
    runs: int | range | None = None,
    until_se: float | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    say: Say = lambda _: None,
    progress: Progress = lambda done, total: None,
) -> StudyFolder:
    """Do the runs of a study that are missing in the folder `out`.

    runs: how many, or which (``range(500, 1000)`` on one of several machines). until_se: go on in
    rounds until the largest standard error of memorization is at most this, by the bound of
    `Sums.bound`, or `runs` are done. workers: processes at a time. executor: where runs are done,
    by default on this machine. say: told of damaged rows, which are done again, and of rounds.
    Errors: `InputError`, before anything is written; `LostRunsError` at the end where runs were
    killed or had too little memory.
    """
    executor = executor or LocalExecutor()
    folder = StudyFolder(out, "out")
    folder.check_usable(plan.full_identity)
    numbers = _numbers(runs, until_se, plan.design)
    crew = _crew(plan, workers, runs, until_se, executor)
    about = {"title": plan.title, "about": dict(plan.about)}
    folder.start(plan.full_identity, plan.study_labels, about)
    _remove_damaged(folder, numbers, say)
    if until_se is None:
        _do_runs(plan, folder, numbers, (executor, crew), progress)
        return folder
    total = min(len(numbers), max(FIRST_ROUND, crew.count))
    while True:
        _do_runs(plan, folder, numbers[:total], (executor, crew), progress)
        done = folder.runs()
        bound = study_sums(folder, done).bound()
        say(f"after {len(done):,} runs the largest standard error is {bound:.4f}")
        if bound <= until_se or total == len(numbers):
            return folder
        wanted = math.ceil(len(done) * (bound / until_se) ** 2)
        total = min(len(numbers), max(total + crew.count, min(wanted, 2 * total)))


@dataclass(frozen=True, kw_only=True)
class _Work:
    """A run for a worker."""

    plan: StudyPlan
    folder: Path
    number: int


Row = tuple[int, NDArray[np.bool_], Answer, dict[str, Any]]
"What `StudyFolder.save` stores."


def do_run(work: _Work) -> Row | int:
    """Do one run and write its row, unless another worker did meanwhile.

    Returns the row where the study's folder is out of reach.
    """
    folder, plan = StudyFolder(work.folder), work.plan
    if not folder.row_path(work.number).is_file():
        run = plan.design.run(work.number)
        started, worked = time.perf_counter(), time.process_time()
        answer = plan.train(run)
        about = {
            "seeds": asdict(run.seeds),
            "seconds": time.perf_counter() - started,
            "processor_seconds": time.process_time() - worked,
            "device": choose_device(plan.device).type,
            "threads": torch.get_num_threads(),
            "versions": library_versions("numpy", "torch"),
        }
        if not folder.exists():
            return work.number, run.mask, answer, about
        folder.save(work.number, run.mask, answer, about)
    return work.number


def _do_runs(
    plan: StudyPlan,
    folder: StudyFolder,
    numbers: range,
    crew: tuple[Executor, Workers],
    progress: Progress,
) -> None:
    there = set(folder.runs())
    todo = [number for number in numbers if number not in there]
    done = len(numbers) - len(todo)
    progress(done, len(numbers))
    path = folder.path.absolute()
    work = (_Work(plan=plan, folder=path, number=number) for number in todo)
    executor, workers = crew
    for row in executor.run(do_run, work, workers, name=_run_name) if todo else ():
        if isinstance(row, int):
            folder.check_shared(row)
        else:
            folder.save(*row)
        done += 1
        progress(done, len(numbers))


def _run_name(work: _Work) -> str:
    return f"run {work.number}"


def _remove_damaged(folder: StudyFolder, numbers: range, say: Say) -> None:
    for number in folder.runs():
        try:
            folder.check_row(number)
        except DamagedRow as damage:
            again = "and is done again" if number in numbers else "and is removed"
            say(f"{damage} {again}")
            folder.row_path(number).unlink(missing_ok=True)


def _numbers(runs: int | range | None, until_se: float | None, design: Design) -> range:
    """The runs that may be done."""
    if until_se is not None:
        if not 0 < until_se < 1:
            raise InputError("until_se", until_se, "must be above 0 and below 1")
        if isinstance(runs, range):
            raise InputError("runs", f"{runs.start}:{runs.stop}", "goes without until_se")
        runs = most_runs(until_se, design) if runs is None else runs
    if runs is None:
        raise InputError("runs", None, "give a number of runs, or until_se")
    numbers = runs if isinstance(runs, range) else range(runs)
    if not len(numbers) or numbers.start < 0 or numbers.step != 1 or numbers.stop > MOST_RUNS:
        rule = f"must be at least 1 run, from 0 to below {MOST_RUNS:,}"
        raise InputError("runs", f"{numbers.start}:{numbers.stop}", rule)
    return numbers


def most_runs(until_se: float, design: Design) -> int:
    """Runs after which no standard error of memorization should be above `until_se`.

    The worst is p = 1/2 on both sides: 1 / (4 n_in) + 1 / (4 n_out) is at most se^2. An example is
    left out of a random number of runs; 6 deviations fewer than expected are allowed for.
    """
    share = design.n_kept / len(design.drawn)

    def worst(runs: int) -> float:
        slack = 6 * math.sqrt(runs * share * (1 - share))
        counts = [max(0.0, runs * part - slack) for part in (share, 1 - share)]
        return math.sqrt(sum(0.25 / (count + 3) for count in counts))

    low, high = 1, MOST_RUNS
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if worst(middle) > until_se else (low, middle)
    return low


def _crew(
    plan: StudyPlan,
    workers: int | None,
    runs: int | range | None,
    until_se: float | None,
    executor: Executor,
) -> Workers:
    count = len(_numbers(runs, until_se, plan.design))
    return executor.crew(workers, count, choose_device(plan.device).type)


def _seconds_per_run(
    plan: StudyPlan, folder: StudyFolder, done: Sequence[int], crew: Workers
) -> float | None:
    try:
        if done:
            return float(np.mean([folder.about(number)["seconds"] for number in done[-20:]]))
    except (DamagedRow, KeyError):
        pass
    trainer: object = plan.train
    if not isinstance(trainer, Timed):
        return None
    before = torch.get_num_threads()
    try:
        if crew.count > 1:
            torch.set_num_threads(crew.threads)
        return trainer.seconds_of_run(plan.design.run(0))
    finally:
        torch.set_num_threads(before)


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


# Learning methods as trainers


def method_plan(
    dataset: Dataset,
    labels: NoisyLabels,
    method: str = "standard",
    *,
    design: Design | None = None,
    keep: str = "probabilities",
    evaluate: str = "plain",
    recipe: str | Recipe = "auto",
    network: Network | None = None,
    epochs: int | None = None,
    device: str = "auto",
    features: NDArray[Any] | None = None,
    guidance: tuple[NDArray[Any], NDArray[Any]] | None = None,
    about: Mapping[str, Any] | None = None,
) -> StudyPlan:
    """The plan of a study with a learning method.

    labels: of the training examples, in their order. method: a spec; what it sets goes before
    recipe, network and epochs. design: by default "balanced", with seed 0. evaluate: "plain" or
    "augmented". features: (N, d) for methods that look for neighbours. guidance: of training and
    test examples, for methods that predict from features. A network of your own is known to the
    folder by its name only. Errors: `InputError` before any work.
    """
    trainer = MethodTrainer(
        dataset=dataset,
        labels=labels.labels,
        method=method,
        recipe=recipe,
        network=network,
        epochs=epochs,
        device=device,
        evaluate=evaluate,
        features=features,
        guidance=guidance,
    )
    trainer.check()
    return StudyPlan(
        train=trainer,
        design=make_design(labels) if design is None else design,
        labels=labels,
        test_labels=dataset.y_test,
        identity=trainer.identity(),
        keep=keep,
        class_names=dataset.class_names,
        positions=dataset.train_indices,
        n_total=dataset.n_train_total,
        device=device,
        title=trainer.title,
        about=about or {},
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class MethodTrainer:
    """A learning method as what a study calls; see `method_plan`."""

    dataset: Dataset
    labels: NDArray[np.int64]
    method: str
    recipe: str | Recipe = "auto"
    network: Network | None = None
    epochs: int | None = None
    device: str = "auto"
    evaluate: str = "plain"
    features: NDArray[Any] | None = None
    guidance: tuple[NDArray[Any], NDArray[Any]] | None = None

    def __call__(self, run: Run) -> Answer:
        estimator = self._estimator(run.seed)
        train, test = self.guidance if self.guidance is not None else (None, None)
        data, seen = self.dataset, self.dataset.x_train
        estimator.fit(
            data.x_train,
            self.labels,
            classes=np.arange(data.n_classes),
            features=self.features,
            guidance=train,
            subset=run.mask,
            seeds=run.seeds,
        )
        if self.evaluate == "augmented":
            seen = augmented(seen, child_seed(run.seed, "evaluation"))
        chance = estimator.predict_proba(seen, features=train)
        answers = np.zeros(0, dtype=np.int64)
        if len(data.y_test):
            answers = estimator.predict_proba(data.x_test, features=test).argmax(axis=1)
        given = np.clip(chance[np.arange(len(chance)), self.labels], 0, 1)
        return Answer(train=chance.argmax(axis=1), test=answers, probability=given)

    def check(self) -> None:
        """Raise `InputError` for what can be known before training."""
        if self.evaluate not in EVALUATIONS:
            hint = did_you_mean(self.evaluate, EVALUATIONS)
            raise InputError("evaluate", self.evaluate, f"unknown choice; {hint}")
        if self.evaluate == "augmented" and not self._augments:
            rule = "training on these data does not augment; take plain"
            raise InputError("evaluate", self.evaluate, rule)
        if len(self.labels) != len(self.dataset):
            rule = f"must have length {len(self.dataset)}"
            raise InputError("labels", f"{len(self.labels)} labels", rule)
        estimator = self._estimator(0)
        estimator.check_parameters()
        if estimator.predicts_from_features and self.guidance is None:
            rule = f"needs features of training and test examples for {self.method!r}; give both"
            raise InputError("guidance", None, rule)
        choose_device(self.device)

    def identity(self) -> dict[str, Any]:
        """What predictions depend on, as JSON values."""
        estimator = self._estimator(0)
        settings = estimator.get_params(deep=False)
        for name in ("recipe", "network", "epochs", "precision", "seed", "device"):
            del settings[name]
        features = {} if self.features is None else {"features": self.features}
        if self.guidance is not None:
            features |= dict(zip(("guidance", "test_guidance"), self.guidance, strict=True))
        return {
            "data": self.dataset.name,
            "data_sha256": self.dataset.fingerprint,
            "method": estimator.name,
            "parameters": settings,
            "recipe": self._recipe.to_json(),
            "evaluate": self.evaluate,
            **{f"{name}_sha256": hash_array(value) for name, value in features.items()},
        }

    @property
    def title(self) -> str:
        """Method, network and epochs."""
        record = METHODS[split_spec(self.method, "method")[0]]
        spec = canonical_spec(
            self.method, record.estimator, positional=record.positional, argument="method",
            named=True,
        )  # fmt: skip
        return f"{spec} ({self._recipe.network}, {self._recipe.epochs} epochs)"

    def seconds_of_run(self, run: Run) -> float | None:
        """From training on 4 batches alone for 1 and for 3 epochs, and predicting these."""
        size, data = self._recipe.batch_size, self.dataset
        few = np.flatnonzero(run.mask)[: TIMED_BATCHES * size]
        features, guide = (
            None if rows is None else rows[few]
            for rows in (self.features, self.guidance and self.guidance[0])
        )
        estimator = self._estimator(run.seed).set_params(selection="last")

        def seconds(epochs: int) -> float:
            started = time.perf_counter()
            estimator.set_params(epochs=epochs).fit(
                data.x_train[few], self.labels[few], classes=np.arange(data.n_classes),
                features=features, guidance=guide,
            )  # fmt: skip
            return time.perf_counter() - started

        try:
            once = [seconds(1), seconds(1)][1]
            step = max(seconds(3) - once, once / 100) / (2 * math.ceil(len(few) / size))
        except InputError:
            return None
        started = time.perf_counter()
        estimator.predict_proba(data.x_train[few], features=guide)
        each = (time.perf_counter() - started) / len(few)
        steps = math.ceil(int(run.mask.sum()) / size) * self._recipe.epochs
        return step * steps + each * (2 * len(data) + len(data.y_test) - int(run.mask.sum()))

    def _estimator(self, seed: int) -> NoisyLabelClassifier:
        return make_method(
            self.method,
            seed=seed,
            augment=self.dataset.augment,
            recipe=self.recipe,
            network=self.network,
            epochs=self.epochs,
            device=self.device,
        )

    @cached_property
    def _recipe(self) -> Recipe:
        return self._estimator(0).resolve_recipe(self.dataset.x_train.shape[1:])

    @property
    def _augments(self) -> bool:
        chosen = self._recipe.augment
        kind = self.dataset.augment if chosen == "auto" else chosen
        return self.dataset.is_image and kind == "crop-flip"


def augmented(images: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """(N, h, w, c) images, each cropped and flipped once as in training, by seed and position."""
    device = torch.device("cpu")
    draws = PairedDraws(seed, torch.arange(len(images)))
    same = Normalisation.of(images[:1])
    resident = ResidentExamples(images, same, device, augment=True, paired=draws)
    return np.concatenate(list(_shown(resident)))


def _shown(resident: ResidentExamples, block: int = 1000) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(resident), block):
        index = torch.arange(start, min(start + block, len(resident)))
        yield resident.images(index, torch.Generator()).numpy()
