"""Running a stress test: draw the labels, train what is missing, return what was found.

Every training, of a function or of a program, is a process of its own under supervision
(`mislabel.stress.supervise`), started by a worker of the house's executor. What goes wrong in it is
a failed cell with its reason and log; the others go on. A test that is killed and started again
trains only what is missing. Cells are kept by the hash of data, labels, seed and code
(`mislabel.stress.code`), so a change of the code trains again, and only it.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mislabel.benchmark.inputs import LabelInputs, Say
from mislabel.data import Dataset
from mislabel.errors import InputError, did_you_mean
from mislabel.executor import Executor, LocalExecutor, Workers
from mislabel.files import hash_array, hash_json
from mislabel.labels import NoisyLabels
from mislabel.leftovers import temporary_folder
from mislabel.noise import NOISE
from mislabel.specs import split_spec
from mislabel.stress.cell import CellWork, SharedFiles, train_cell
from mislabel.stress.code import callable_code
from mislabel.stress.data import make_inputs
from mislabel.stress.metrics import FITTED, METRICS, Metric
from mislabel.stress.reference import check_reference, reference_code
from mislabel.stress.results import YOURS, StressResults
from mislabel.stress.store import FORMAT, StressFolder, suite_json
from mislabel.stress.subjects import (
    Code,
    Command,
    Launcher,
    PythonCode,
    load_function,
    make_code,
)
from mislabel.stress.suite import Suite, family, make_suite
from mislabel.stress.supervision import Supervision
from mislabel.stress.thresholds import AREA, DROPS, Threshold, check_thresholds
from mislabel.versions import library_versions

TIMEOUT = 3600.0
"Seconds after which a training has failed, by default."
MAX_TIMEOUT = 1e8
Progress = Callable[[int, int], None]
"Called with the number of ended cells and of all cells."
Data = str | Dataset | tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]


@dataclass(frozen=True, kw_only=True)
class StressTest:
    """What to test and how. The parameters are those of `run`, brought into one form."""

    inputs: LabelInputs
    code: "Command | PythonCode"
    suite: Suite
    references: Sequence[str] = ()
    thresholds: Sequence[str] = ()
    metric: str = "accuracy"
    metric_function: Metric | None = None
    lower_is_better: bool = False
    timeout: float = TIMEOUT
    command: str = ""

    def subjects(self) -> dict[str, Code]:
        """The code under test and the references, by name."""
        own: dict[str, Code] = {YOURS: self.code}
        return own | {spec: reference_code(spec, self.inputs) for spec in self.references}

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a folder is tied to, as JSON values; made once, since it hashes what was given."""
        options, inputs = self.inputs.options, self.inputs
        given = {
            "map": inputs.given_map,
            "features": inputs.given_features,
            "probabilities": inputs.given_probabilities,
        }
        hashes = {f"{k}_sha256": None if v is None else hash_array(v) for k, v in given.items()}
        return {
            "data": inputs.dataset.name,
            "data_sha256": inputs.dataset.fingerprint,
            "subset": options.subset,
            "seed": options.seed,
            "encoder": options.encoder,
            "eta": options.eta,
        } | hashes


def run(
    train: Any,
    data: Data,
    *,
    suite: str | Path | Suite = "standard",
    out: str | Path | None = None,
    seeds: Sequence[int] | None = None,
    thresholds: Sequence[str] = (),
    references: Sequence[str] = (),
    metric: str | Metric = "accuracy",
    lower_is_better: bool = False,
    workers: int | None = None,
    timeout: float = TIMEOUT,
    predict_train: bool = True,
    code_files: Sequence[str | Path] = (),
    replace: bool = False,
    retry_failed: bool = False,
    executor: Executor | None = None,
    say: Say = lambda _: None,
    progress: Progress = lambda done, total: None,
    **options: Any,
) -> StressResults:
    """Test training code under label noise, and return what was found.

    train: a function ``train(x, y, *, seed)`` that returns a model with ``predict`` or a function
        of x; an unfitted estimator; ``"module:function"``; or a `Command`. x are examples as the
        data has them (an estimator gets them flattened), y (N,) labels; both are the function's
        own to change. Predictions are classes (M,), or a row of C probabilities or scores each.
    data: a data spec, a `Dataset`, or x_train, y_train, x_test, y_test as arrays; y of any kind.
    suite: a name of `SUITES`, a .yaml file, or a `Suite`. seeds: in place of the suite's.
    out: folder of the test, resumed where it exists; by default nothing is kept.
    thresholds: beside the suite's own; see `mislabel.stress.decide`. references: specs of learning
        methods to train on the same labels.
    metric: the figure that counts: one of `METRICS`, one that a command reports, or a function of
        clean classes and predictions. lower_is_better: of the metric.
    workers: trainings at a time, by default one per core; 1 for code that fills a machine.
    timeout: seconds per training. predict_train: also predict the training examples, to see which
        wrong labels are fitted. code_files: files that results depend on, besides those that the
        code names and imports.
    replace: put the test of changed code in the place of the one that `out` holds. retry_failed:
        train again what failed; what ran out of time is tried again whenever it is given more.
    executor: where trainings are done, by default on this machine; on several, `out` must be on a
        disk that all of them share.
    options: fields of `InputOptions` (subset, map, features, encoder, seed, ...).

    Errors: `InputError` for bad arguments, before anything is written. What the code does wrong is
    no error: see `StressResults.failures`.
    """
    test = make_test(
        train, data, suite=suite, seeds=seeds, thresholds=thresholds, references=references,
        metric=metric, lower_is_better=lower_is_better, timeout=timeout,
        predict_train=predict_train, code_files=code_files, say=say, **options,
    )  # fmt: skip
    with temporary_folder("mislabel-stress") as folder:
        return run_test(
            test,
            folder if out is None else Path(out),
            workers=workers,
            replace=replace,
            retry_failed=retry_failed,
            executor=executor,
            progress=progress,
        )


def make_test(
    train: Any,
    data: Data,
    *,
    suite: str | Path | Suite = "standard",
    seeds: Sequence[int] | None = None,
    thresholds: Sequence[str] = (),
    references: Sequence[str] = (),
    metric: str | Metric = "accuracy",
    lower_is_better: bool = False,
    timeout: float = TIMEOUT,
    predict_train: bool = True,
    code_files: Sequence[str | Path] = (),
    command: str = "",
    say: Say = lambda _: None,
    **options: Any,
) -> StressTest:
    """Check the arguments of `run` and load the data; nothing is trained or written."""
    chosen = make_suite(suite, seeds)
    texts = tuple(dict.fromkeys([*chosen.thresholds, *thresholds]))
    parsed = dict(zip(texts, check_thresholds(texts, chosen), strict=True))
    if not 0 < timeout <= MAX_TIMEOUT:
        raise InputError("timeout", timeout, f"must be above 0 and at most {MAX_TIMEOUT:g} seconds")
    inputs, classes = make_inputs(data, options, say)
    files = [Path(file) for file in code_files]
    code = make_code(train, classes=classes, predict_train=predict_train, code_files=files)
    if isinstance(code, Command) and files:
        code = _with_files(code, files)
    function = metric if callable(metric) else None
    if isinstance(metric, str) and ":" in metric:
        function = load_function(metric, "metric")
    name = str(metric if function is None else getattr(function, "__name__", "metric"))
    if isinstance(code, PythonCode):
        _check_figures(code, name, function, parsed)
    for spec in chosen.noises:
        inputs.options.noise(spec)
    return StressTest(
        inputs=inputs,
        code=code,
        suite=chosen,
        references=tuple(dict.fromkeys(map(check_reference, references))),
        thresholds=texts,
        metric=name,
        metric_function=function,
        lower_is_better=lower_is_better,
        timeout=float(timeout),
        command=command,
    )


def _check_figures(
    code: PythonCode, metric: str, function: Metric | None, thresholds: Mapping[str, Threshold]
) -> None:
    """Raise `InputError` for figures that a Python function's trainings will not have."""
    made = {*METRICS, *(FITTED if code.predict_train else ())}
    if function is None and metric not in made:
        raise InputError("metric", metric, f"unknown metric; {did_you_mean(metric, made)}")
    known = {*made, metric, *DROPS, AREA}
    for text, threshold in thresholds.items():
        if threshold.figure not in known:
            hint = did_you_mean(threshold.figure, known)
            raise InputError("threshold", text, f"unknown figure {threshold.figure!r}; {hint}")


def run_test(
    test: StressTest,
    out: Path,
    *,
    workers: int | None = None,
    replace: bool = False,
    retry_failed: bool = False,
    only: Sequence[tuple[str, int]] | None = None,
    executor: Executor | None = None,
    progress: Progress = lambda done, total: None,
) -> StressResults:
    """Run a test in the folder `out`; see `run`. only: noises and seeds to train now, or all."""
    executor = executor or LocalExecutor()
    folder = StressFolder(out)
    folder.check_usable()
    Workers.check(workers)
    subjects = test.subjects()
    codes = {name: _code_hash(subject, test) for name, subject in subjects.items()}
    folder.check_identity(test.identity, codes[YOURS], replace=replace)
    labels = _draw_labels(test, folder)
    plan = _plan(test, codes, labels)
    shown = [p for p in plan if only is None or (p["noise"], p["seed"]) in only]
    todo = [
        p
        for p in shown
        if not _is_ended(_sound(folder, p["cell"], test), test.timeout, retry_failed)
    ]
    crew = executor.crew(workers, len(plan), "cpu")
    with _scratch(folder, executor) as scratch:
        launchers = {
            name: subject.launcher(_new_folder(scratch / str(number)))
            for number, (name, subject) in enumerate(subjects.items())
            if any(p["subject"] == name for p in todo)
        }
        metadata = json.loads(json.dumps(_metadata(test, subjects, codes, labels, plan)))
        folder.start(metadata)
        for (spec, seed), (drawn, is_new) in labels.items():
            if is_new:
                folder.save_labels(drawn, spec, seed, test.identity)
        files = SharedFiles(test.inputs.dataset, scratch) if todo else None
        done = len(shown) - len(todo)
        progress(done, len(shown))
        supervision = Supervision()
        work = _work(test, folder, todo, launchers, files, labels, crew, supervision)
        try:
            for _ in executor.run(train_cell, work, crew, waits=True, name=_cell_name):
                done += 1
                progress(done, len(shown))
        finally:
            supervision.stop()
    return folder.results({"format": FORMAT, **metadata})


@contextlib.contextmanager
def _scratch(folder: StressFolder, executor: Executor) -> Iterator[Path]:
    """A folder for what all trainings share: beside the test's where other machines train too."""
    here = isinstance(executor, LocalExecutor)
    parent = None if here else folder.path.absolute().parent
    with temporary_folder(".mislabel-stress", parent) as path:
        yield path


def _cell_name(work: CellWork) -> str:
    return f"{work.config['subject']} under {work.config['noise']}, seed {work.seed}"


def _draw_labels(
    test: StressTest, folder: StressFolder
) -> dict[tuple[str, int], tuple[NoisyLabels, bool]]:
    """Labels of every noise and seed, and whether they were drawn now."""
    identity, found = test.identity, {}
    for spec in test.suite.noises:
        keeps = folder.exists() and not test.inputs.options.noise(spec).reads_file
        for seed in test.suite.seeds:
            stored = folder.labels(spec, seed, identity) if keeps else None
            drawn = test.inputs.draw(spec, seed=seed) if stored is None else stored
            found[spec, seed] = (drawn, stored is None)
    return found


def _code_hash(subject: Code, test: StressTest) -> str:
    metric = {} if test.metric_function is None else callable_code(test.metric_function)
    return hash_json({"code": subject.code(), "metric": metric})


def _plan(
    test: StressTest,
    codes: Mapping[str, str],
    labels: Mapping[tuple[str, int], tuple[NoisyLabels, bool]],
) -> list[dict[str, Any]]:
    """Every cell of the test: its place, and the hash by which it is kept."""
    data = test.inputs.dataset.fingerprint
    hashes = {place: hash_array(drawn.labels) for place, (drawn, _) in labels.items()}
    return [
        {
            "subject": subject,
            "noise": spec,
            "seed": seed,
            "rate": labels[spec, seed][0].rate,
            "labels_sha256": hashes[spec, seed],
            "cell": hash_json([data, hashes[spec, seed], seed, code])[:20],
        }
        for seed in test.suite.seeds
        for spec in test.suite.noises
        for subject, code in codes.items()
    ]


def _sound(folder: StressFolder, name: str, test: StressTest) -> Mapping[str, Any] | None:
    """The result of a cell; a damaged one is told, removed, and as if it had never been."""
    try:
        return folder.cell(name)
    except InputError as error:
        test.inputs.say(f"{error}; it is trained again")
        folder.remove_cell(name)
        return None


def _is_ended(cell: Mapping[str, Any] | None, timeout: float, retry_failed: bool) -> bool:
    """Whether a cell need not be trained."""
    if cell is None:
        return False
    if cell["failure"] is None:
        return True
    return not retry_failed and not (cell["timed_out"] and timeout > cell["timeout"])


def _work(
    test: StressTest,
    folder: StressFolder,
    todo: Sequence[Mapping[str, Any]],
    launchers: Mapping[str, Launcher],
    files: SharedFiles | None,
    labels: Mapping[tuple[str, int], tuple[NoisyLabels, bool]],
    crew: Workers,
    supervision: Supervision,
) -> Iterator[CellWork]:
    dataset = test.inputs.dataset
    for place in todo:
        assert files is not None
        yield CellWork(
            cell=place["cell"],
            config=dict(place),
            folder=folder.path.absolute(),
            launcher=launchers[place["subject"]],
            supervision=supervision,
            labels=labels[place["noise"], place["seed"]][0],
            seed=place["seed"],
            files=files,
            y_test=dataset.y_test,
            class_names=dataset.class_names,
            metric=(test.metric, test.metric_function),
            timeout=test.timeout,
            threads=crew.threads,
        )


def _metadata(
    test: StressTest,
    subjects: Mapping[str, Code],
    codes: Mapping[str, str],
    labels: Mapping[tuple[str, int], tuple[NoisyLabels, bool]],
    plan: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The content of stress.json, but for its format."""
    dataset = test.inputs.dataset
    names = list(subjects)
    return {
        "identity": test.identity,
        "code_sha256": codes[YOURS],
        "code": test.code.code(),
        "subjects": [{"name": n, "title": subjects[n].title} for n in names],
        "suite": suite_json(test.suite),
        "metric": test.metric,
        "lower_is_better": test.lower_is_better,
        "thresholds": list(test.thresholds),
        "timeout": test.timeout,
        "data": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "class_names": list(dataset.class_names),
            "n_train": len(dataset),
            "n_test": len(dataset.y_test),
        },
        "noises": [_noise_json(spec, test, labels) for spec in test.suite.noises],
        "cells": [dict(place) for place in plan],
        "command": test.command,
        "versions": library_versions("numpy", "scikit-learn", "torch"),
    }


def _noise_json(
    spec: str, test: StressTest, labels: Mapping[tuple[str, int], tuple[NoisyLabels, bool]]
) -> dict[str, Any]:
    record = NOISE[split_spec(spec, "noise")[0]]
    rates = [labels[spec, seed][0].rate for seed in test.suite.seeds]
    return {
        "spec": spec,
        "kind": record.name,
        "family": family(spec),
        "title": record.title,
        "rate": float(np.mean(rates)),
    }


def _with_files(code: Command, files: Sequence[Path]) -> Command:
    return replace(code, code_files=(*code.code_files, *files))


def _new_folder(path: Path) -> Path:
    path.mkdir()
    return path
