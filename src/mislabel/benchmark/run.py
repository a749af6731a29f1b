"""Running a grid: prepare the inputs, train what is missing, return what was found.

A run that is killed and started again trains only the cells that are not finished, with the
labels that it drew the first time, and ends with the same numbers.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.benchmark.audit import check_seeds, unrecorded_line
from mislabel.benchmark.grid import Grid
from mislabel.benchmark.inputs import Inputs, Say
from mislabel.benchmark.results import (
    NOTHING_HELD_OUT,
    BenchmarkResults,
    CellResult,
    check_epoch,
)
from mislabel.benchmark.store import CellKey, RunFolder, missing_cells
from mislabel.data import Dataset
from mislabel.errors import InputError
from mislabel.executor import Executor, LocalExecutor, Workers
from mislabel.files import hash_array
from mislabel.labels import NoisyLabels
from mislabel.learning import METHODS, Evaluation, MethodRecord, NoisyLabelClassifier
from mislabel.learning.problem import choose_device
from mislabel.specs import split_spec
from mislabel.versions import library_versions

Progress = Callable[[int, int], None]
"Called with the number of finished cells and of all cells."


def run_benchmark(
    grid: Grid,
    out: str | Path,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    say: Say = lambda _: None,
    progress: Progress = lambda done, total: None,
) -> BenchmarkResults:
    """Run a grid in the folder `out` and return everything that the folder then holds.

    workers: processes at a time; by default one per core on a CPU, as far as memory goes, one on a
    GPU. executor: where trainings are done, by default on this machine
    (`mislabel.executor.make_executor`). say, progress: told what is being done.
    Errors: `InputError`, before anything is written; and at the end, when all is stored, where two
    seeds share initial weights or order (`mislabel.benchmark.audit`). `LostRunsError` at the end
    where trainings were killed or had too little memory.
    """
    folder = RunFolder(Path(out))
    folder.check_usable()
    choose_device(grid.device)
    Workers.check(workers)
    inputs = Inputs.load(grid, say)
    folder.check_identity(inputs.identity())
    stored = {spec: folder.labels(spec) for spec in grid.noises}
    labels = {spec: _labels(inputs, spec, found) for spec, found in stored.items()}
    keys = cell_keys(inputs, labels)
    executor = executor or LocalExecutor()
    device = choose_device(grid.device).type
    crew = executor.crew(workers, len(keys), device, _memory(inputs.dataset))
    folder.start(_metadata(inputs), inputs.map)
    for spec, found in stored.items():
        if found is None:
            folder.save_labels(spec, labels[spec])
    _train_missing(inputs, labels, keys, folder, (executor, crew), progress)
    results = folder.results()
    if (line := unrecorded_line(results)) is not None:
        say(line)
    check_seeds(results)
    return results


def check_shown(grid: Grid, epoch: str) -> None:
    """Raise `InputError` for an epoch that no training of the grid will have a figure for."""
    check_epoch(epoch)
    selections = [grid.method(spec, 0, "none").selection for spec in grid.methods]
    if epoch == "selected" and set(selections) == {"last"}:
        raise InputError("epoch", epoch, NOTHING_HELD_OUT)


def _labels(inputs: Inputs, spec: str, stored: NoisyLabels | None) -> NoisyLabels:
    """The stored labels of a noise, or new ones; a file that has changed since is an error."""
    if stored is not None and not inputs.grid.noise(spec).reads_file:
        return stored
    drawn = inputs.draw(spec)
    if stored is not None and drawn != stored:
        rule = "its labels are not those that the run folder has from it; use another folder"
        raise InputError("noise", spec, rule)
    return drawn


def load_results(path: str | Path, argument: str = "run") -> BenchmarkResults:
    """What a run folder holds."""
    return RunFolder(Path(path), argument).results()


def cell_keys(inputs: Inputs, labels: dict[str, NoisyLabels]) -> list[CellKey]:
    """One key per cell of the grid: for each seed all methods under all noises."""
    grid, dataset = inputs.grid, inputs.dataset
    trainings = {spec: _training(inputs, spec) for spec in grid.methods}
    hashes = {spec: hash_array(drawn.labels) for spec, drawn in labels.items()}
    return [
        CellKey(
            noise=noise,
            method=method,
            seed=seed,
            configuration={
                "data_sha256": dataset.fingerprint,
                "labels_sha256": hashes[noise],
                "training": trainings[method] | _known_rate(grid, method, labels[noise]),
            },
        )
        for seed in grid.seeds
        for noise in grid.noises
        for method in grid.methods
    ]


@dataclass(frozen=True, kw_only=True)
class CellWork:
    """Everything a worker needs for one cell."""

    key: CellKey
    grid: Grid
    folder: Path
    dataset: Dataset
    labels: NDArray[np.int64]
    features: NDArray[np.float32] | None
    guidance: tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]
    known: dict[str, Any]


Finished = tuple[CellKey, CellResult, NDArray[np.int64]]
"What `RunFolder.save_cell` stores."


def train_cell(work: CellWork) -> Finished | CellKey:
    """Train one cell and store its result, or return it where the run folder is out of reach."""
    dataset, key = work.dataset, work.key
    estimator = work.grid.method(key.method, key.seed, dataset.augment).set_params(**work.known)
    started = time.perf_counter()
    estimator.fit(
        dataset.x_train,
        work.labels,
        classes=np.arange(dataset.n_classes),
        features=work.features,
        guidance=work.guidance[0],
        evaluation=Evaluation(
            x_test=dataset.x_test,
            y_test=dataset.y_test,
            clean_labels=dataset.y_train,
            test_features=work.guidance[1],
        ),
    )
    answers = estimator.test_predictions_
    assert answers is not None
    result = CellResult(
        noise=key.noise,
        method=key.method,
        seed=key.seed,
        curves=estimator.curves_,
        test_accuracy_per_class=_accuracy_per_class(answers, dataset),
        seconds=time.perf_counter() - started,
        provenance=estimator.provenance_ | _rate_used(estimator),
    )
    folder = RunFolder(work.folder)
    if not folder.exists():
        return key, result, answers
    folder.save_cell(key, result, answers)
    return key


def _train_missing(
    inputs: Inputs,
    labels: dict[str, NoisyLabels],
    keys: Sequence[CellKey],
    folder: RunFolder,
    crew: tuple[Executor, Workers],
    progress: Progress,
) -> None:
    todo = missing_cells(folder, keys, inputs.say)
    done = len(keys) - len(todo)
    progress(done, len(keys))
    if not todo:
        return
    executor, workers = crew
    work = _work(inputs, labels, todo, folder)
    for finished in executor.run(train_cell, work, workers, name=_cell_name):
        if isinstance(finished, CellKey):
            folder.check_shared(finished)
        else:
            folder.save_cell(*finished)
        done += 1
        progress(done, len(keys))


def _memory(dataset: Dataset) -> int:
    """Bytes that a training takes beside its libraries: examples as numbers, and as they are."""
    return 5 * (dataset.x_train.size + dataset.x_test.size)


def _cell_name(work: CellWork) -> str:
    return f"{work.key.method} under {work.key.noise}, seed {work.key.seed}"


def _work(
    inputs: Inputs, labels: dict[str, NoisyLabels], keys: Sequence[CellKey], folder: RunFolder
) -> Iterator[CellWork]:
    for key in keys:
        record = _record(key.method)
        features = inputs.features if record.uses_features else None
        predicts = record.estimator.predicts_from_features
        yield CellWork(
            key=key,
            grid=inputs.grid,
            folder=folder.path.absolute(),
            dataset=inputs.dataset,
            labels=labels[key.noise].labels,
            features=features,
            guidance=inputs.guidance if predicts else (None, None),
            known=_known_rate(inputs.grid, key.method, labels[key.noise]),
        )


def _rate_used(estimator: NoisyLabelClassifier) -> dict[str, Any]:
    """The noise rate that a method went by and where it came from, if it goes by one."""
    if not hasattr(estimator, "noise_rate_"):
        return {}
    return {"noise_rate": estimator.noise_rate_, "noise_rate_source": estimator.noise_rate_source_}


def _known_rate(grid: Grid, method: str, labels: NoisyLabels) -> dict[str, float]:
    """The true noise rate as a parameter, for a method that is to be told."""
    return {"noise_rate": labels.rate} if _is_told(grid, method) else {}


def _is_told(grid: Grid, method: str) -> bool:
    """Whether a method takes a noise rate, was given none, and is to be told the true one."""
    parameters = grid.method(method, 0, "none").get_params()
    return grid.known_rate and parameters.get("noise_rate", 0) is None


def _training(inputs: Inputs, spec: str) -> dict[str, Any]:
    """Parameters and recipe of a method, as JSON values: what its training depends on."""
    estimator = inputs.grid.method(spec, 0, inputs.dataset.augment)
    recipe = estimator.resolve_recipe(inputs.dataset.x_train.shape[1:])
    settings: dict[str, Any] = estimator.get_params(deep=False)
    for name in ("recipe", "network", "epochs", "precision", "seed", "device"):
        del settings[name]
    settings["recipe"] = recipe.to_json()
    if _record(spec).uses_features:
        settings["features_sha256"] = hash_array(inputs.features)
    if _record(spec).estimator.predicts_from_features:
        settings["guidance_sha256"], settings["test_features_sha256"] = map(
            hash_array, inputs.guidance
        )
    return settings


def _record(spec: str) -> MethodRecord:
    return METHODS[split_spec(spec, "method")[0]]


def _accuracy_per_class(answers: NDArray[np.int64], dataset: Dataset) -> list[float | None]:
    """(C,) test accuracy of each class; None for a class without test examples."""
    totals = np.bincount(dataset.y_test, minlength=dataset.n_classes)
    right = np.bincount(dataset.y_test[answers == dataset.y_test], minlength=dataset.n_classes)
    return [float(r / t) if t else None for r, t in zip(right, totals, strict=True)]


def _metadata(inputs: Inputs) -> dict[str, Any]:
    """The content of run.json, but for its format."""
    grid, dataset = inputs.grid, inputs.dataset
    return {
        "identity": inputs.identity(),
        "grid": {
            "noises": list(grid.noises),
            "methods": list(grid.methods),
            "seeds": list(grid.seeds),
        },
        "trainings": {spec: _training(inputs, spec) for spec in grid.methods},
        "known_rate": {spec: _is_told(grid, spec) for spec in grid.methods},
        "data": {
            "name": dataset.name,
            "subset": grid.subset,
            "n_train": len(dataset),
            "n_train_total": dataset.n_train_total,
            "n_test": len(dataset.y_test),
            "example_shape": list(dataset.x_train.shape[1:]),
            "class_names": list(dataset.class_names),
        },
        "command": f"{grid.command()} --out RUN",
        "versions": library_versions("numpy", "torch", "scikit-learn", "openTSNE", "faiss-cpu"),
    }
