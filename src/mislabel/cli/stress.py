"""``mislabel stress``: what wrong labels do to your own training code."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mislabel.cli.explorer_option import (
    ExplorerFolder,
    RunData,
    check_explorer,
    examples_again,
    print_pages,
    write_explorer_beside,
)
from mislabel.cli.options import (
    STORES,
    Data,
    Device,
    Encoder,
    Eta,
    Executor,
    Features,
    GpusPerRun,
    ImageSize,
    Json,
    Map,
    Probabilities,
    Seed,
    Subset,
    Workers,
    parse_seeds,
    print_json,
    progress_bar,
    read_folder,
    warn,
)
from mislabel.errors import InputError

if TYPE_CHECKING:
    from mislabel.explorer import Exploration
    from mislabel.stress import StressResults, StressTest
    from mislabel.stress.decisions import Verdict
    from mislabel.stress.planning import Plan

Train = Annotated[
    str,
    typer.Option(
        "--train",
        help="Your code: module:function, for train(x, y, *, seed) that returns a model; or a "
        "command with {labels}, {out} and, best, {seed} in it, also {x_train}, {x_test} and "
        "{indices}.",
    ),
]
SuiteOption = Annotated[
    str, typer.Option("--suite", help="smoke, human-like, standard, or a .yaml file of yours.")
]
Seeds = Annotated[
    str | None,
    typer.Option("--seeds", help="In place of the suite's: how many (5), or which (4,5 or 4,)."),
]
Thresholds = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        help="What must hold, again for each: 'accuracy >= 0.8 at human-like:0.2', 'drop <= 5% at "
        "symmetric:0.1', 'area >= 0.7 at symmetric'; without 'at': under every noise.",
    ),
]
References = Annotated[
    list[str] | None,
    typer.Option("--reference", help="Method to compare with, again for each: standard, elr."),
]
Metric = Annotated[
    str,
    typer.Option(
        "--metric",
        help="The figure that counts: accuracy, balanced_accuracy, macro_f1, worst_class, one that "
        "your command reports, or module:function of clean classes and predictions.",
    ),
]
Junit = Annotated[
    Path | None, typer.Option("--junit", help="Also write the verdict as JUnit XML to this file.")
]
Run = Annotated[
    Path,
    typer.Argument(help=f"Folder of a stress test, {STORES}", parser=read_folder, metavar="RUN"),
]
TestSubset = Annotated[
    int | None, typer.Option("--test-subset", help="Class-balanced number of test examples.")
]
Lower = Annotated[bool, typer.Option("--lower-is-better", help="Of the metric.")]
Timeout = Annotated[float, typer.Option("--timeout", help="Seconds that a training may take.")]
Shell = Annotated[bool, typer.Option("--shell", help="Run the command in a shell (/bin/sh).")]
LabelsFormat = Annotated[
    str, typer.Option("--labels-format", help="Of {labels}: npy, csv, parquet or pt.")
]
CodeFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--code",
        help="File or folder that results depend on, again for each, besides the files that the "
        "code names and their imports.",
    ),
]
Fitted = Annotated[
    bool,
    typer.Option(
        "--fitted/--no-fitted",
        help="Also let a Python model predict the training examples: which wrong labels it fits.",
    ),
]


def build_app() -> typer.Typer:
    """The commands of ``mislabel stress``."""
    app = typer.Typer(
        help="Test your own training code under label noise.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        epilog="Example: mislabel stress run --data digits --train mymodule:train --suite smoke "
        "--threshold 'drop <= 0.05 at human-like:0.2' --out runs/mine",
    )
    app.command()(run)
    app.command("plan")(plan_)
    app.command()(check)
    app.command()(diff)
    app.command()(report)
    app.command()(suites)
    return app


def run(
    data: Data,
    train: Train,
    out: Annotated[
        str, typer.Option("--out", help=f"Folder of the test, {STORES} Resumed when it exists.")
    ],
    suite: SuiteOption = "standard",
    seeds: Seeds = None,
    threshold: Thresholds = None,
    reference: References = None,
    metric: Metric = "accuracy",
    lower_is_better: Lower = False,
    timeout: Timeout = 3600.0,
    shell: Shell = False,
    labels_format: LabelsFormat = "npy",
    code: CodeFiles = None,
    fitted: Fitted = True,
    replace: Annotated[
        bool, typer.Option("--replace", help="Test changed code in the folder of the old.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Train again what failed.")
    ] = False,
    subset: Subset = None,
    test_subset: TestSubset = None,
    image_size: ImageSize = None,
    map: Map = None,
    features: Features = None,
    probabilities: Probabilities = None,
    eta: Eta = "cross-fitted",
    encoder: Encoder = "pixels",
    seed: Seed = 0,
    device: Device = "auto",
    workers: Workers = None,
    executor: Executor = "local",
    gpus_per_run: GpusPerRun = 0.0,
    junit: Junit = None,
    json: Json = False,
) -> None:
    """Train your code on clean labels and under every noise of a suite; print the verdict.

    Exit status 0: passed; 1: failed (a threshold, or a training); 3: undecided, more seeds needed.
    A test that was stopped goes on where it was. Every training is a process of its own; what goes
    wrong in one is recorded with its output, and the others go on.

    Example: mislabel stress run --data cifar10:PATH --subset 5000 --suite human-like
    --train "python train.py --labels {labels} --seed {seed} --out {out}" --reference standard
    --threshold "accuracy >= 0.6 at human-like:0.2" --out runs/mine
    """
    from mislabel.executor import make_executor
    from mislabel.mirror import mirrored
    from mislabel.outputs import check_file
    from mislabel.stress import run_test

    place = make_executor(executor, gpus=gpus_per_run)
    if junit is not None:
        check_file(junit, "junit")
    with mirrored(out) as store:
        with progress_bar() as (say, count):
            test = _make_test(locals())
            results = run_test(
                test,
                store.path,
                workers=workers,
                executor=place,
                replace=replace,
                retry_failed=retry_failed,
                progress=store.after(count),
            )
        _show(results, store.path, None, junit=junit, json=json)


def plan_(
    data: Data,
    train: Train,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the test, in which the timed training is kept."),
    ] = None,
    suite: SuiteOption = "standard",
    seeds: Seeds = None,
    threshold: Thresholds = None,
    reference: References = None,
    metric: Metric = "accuracy",
    lower_is_better: Lower = False,
    timeout: Timeout = 3600.0,
    shell: Shell = False,
    labels_format: LabelsFormat = "npy",
    code: CodeFiles = None,
    fitted: Fitted = True,
    timing: Annotated[
        bool, typer.Option("--timing/--no-timing", help="Train once, on clean labels, to time it.")
    ] = True,
    subset: Subset = None,
    test_subset: TestSubset = None,
    image_size: ImageSize = None,
    map: Map = None,
    features: Features = None,
    probabilities: Probabilities = None,
    eta: Eta = "cross-fitted",
    encoder: Encoder = "pixels",
    seed: Seed = 0,
    device: Device = "auto",
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Say what would run, how many trainings and about how long, from one timed training.

    Exit status 1 where that training fails: its reason is shown, before a long run finds it out.

    Example: mislabel stress plan --data digits --train mymodule:train --suite standard
    """
    from mislabel.stress.planning import plan

    with progress_bar() as (say, count):
        test = _make_test(locals())
        found = plan(test, out, workers=workers, timed=timing, progress=count)
    if json:
        print_json(found.to_json())
    else:
        _print_plan(found)
    if any(s.timed is not None and s.timed.failure is not None for s in found.subjects):
        raise typer.Exit(1)


def check(
    run: Run,
    threshold: Thresholds = None,
    junit: Junit = None,
    json: Json = False,
) -> None:
    """Hold a finished test against thresholds again: its own, or those given. Trains nothing.

    Example: mislabel stress check runs/mine --threshold "drop <= 0.1 at human-like:0.4"
    """
    from mislabel.outputs import check_file
    from mislabel.stress import load_stress

    if junit is not None:
        check_file(junit, "junit")
    _show(load_stress(run), None, threshold, junit=junit, json=json)


def diff(
    before: Annotated[Path, typer.Argument(help="Folder of the test of the older code.")],
    after: Annotated[Path, typer.Argument(help="Folder of the test of the newer code.")],
    json: Json = False,
) -> None:
    """Compare two versions of your code, cell by cell, with a paired test.

    Exit status 1 where the newer is worse under some noise (by a t-test paired by seed, corrected
    for the number of noises), or where a training fails that did not.

    Example: mislabel stress diff runs/before runs/after
    """
    from rich.console import Console

    from mislabel.report.stress_terminal import comparison_terminal
    from mislabel.stress import compare, load_stress

    found = compare(load_stress(before, "before"), load_stress(after, "after"))
    if json:
        print_json(found.to_json())
    else:
        Console().print(comparison_terminal(found))
    raise typer.Exit(found.exit_status)


def report(
    run: Run,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page; RUN/report.html by default.")
    ] = None,
    threshold: Thresholds = None,
    explorer: ExplorerFolder = None,
    map: Map = None,
    data: RunData = None,
    image_size: ImageSize = None,
    json: Json = False,
) -> None:
    """Write the page of a test: one HTML file that opens from disk, the verdict first.

    The explorer shows the labels of the first seed, on a map that is given or drawn of the data.

    Example: mislabel stress report runs/mine -o page.html --explorer labels --data cifar10:PATH
    --map map.parquet
    """
    from mislabel.outputs import check_file
    from mislabel.stress import decide, load_stress

    if output is not None:
        check_file(output, "output")
    page = run / "report.html" if output is None else output
    check_explorer(explorer, page, map=map, data=data, image_size=image_size)
    results = load_stress(run)
    verdict = decide(results, results.thresholds if threshold is None else threshold)
    address = None
    if explorer is not None:
        with progress_bar("Exploring") as (say, _):
            exploration = _explore(results, run, map, data, image_size, say)
            say("Writing the explorer")
            address = write_explorer_beside(exploration, explorer, page)
    _write_page(results, verdict, run, page, explorer=address)
    print_pages(page, explorer, json)


def _explore(
    results: "StressResults",
    run: Path,
    map: Path | None,
    data: str | None,
    image_size: int | None,
    say: Callable[[str], None],
) -> "Exploration":
    """The labels of a test on the given map, or on one that is drawn as for its noise."""
    from mislabel.benchmark.inputs import InputOptions, LabelInputs
    from mislabel.explorer.runs import explore_stress
    from mislabel.features import load_map

    say("Loading the examples")
    dataset = examples_again(results.metadata, data, image_size)
    if map is not None:
        rows = load_map(map)
        aligned = rows if dataset is None else dataset.align(rows, "map")
        return explore_stress(results, run, aligned, dataset)
    if dataset is None:
        rule = "is needed by --explorer, as the test keeps none; give it, or --data to draw one of"
        raise InputError("map", None, rule)
    identity = results.metadata["identity"]
    options = InputOptions(data=dataset.name, encoder=identity["encoder"], seed=identity["seed"])
    return explore_stress(results, run, LabelInputs(options, dataset, say).map, dataset)


def suites(json: Json = False) -> None:
    """List the named suites: their noises, seeds and number of trainings.

    Example: mislabel stress suites
    """
    from mislabel.stress import SUITES
    from mislabel.stress.store import suite_json

    if json:
        print_json([suite_json(suite) for suite in SUITES.values()])
        return
    for suite in SUITES.values():
        print(f"{suite.title}: {suite.about}")
        print(f"  {suite.n_trainings} trainings: {len(suite.seeds)} seeds of each of")
        print(f"  {' '.join(suite.noises)}")


def _make_test(given: dict[str, Any]) -> "StressTest":
    """The test of a command's parameters, by their names; nothing is trained or written."""
    from mislabel.stress import Command, make_test

    same = (
        "subset", "test_subset", "image_size", "map", "features", "probabilities", "eta", "encoder",
        "seed", "device", "suite", "metric", "lower_is_better", "timeout", "say",
    )  # fmt: skip
    test = make_test(
        _code(given["train"], shell=given["shell"], labels_format=given["labels_format"]),
        given["data"],
        seeds=None if given["seeds"] is None else parse_seeds(given["seeds"]),
        thresholds=given["threshold"] or (),
        references=given["reference"] or (),
        predict_train=given["fitted"],
        code_files=given["code"] or (),
        command=_words(given),
        **{name: given[name] for name in same},
    )
    if isinstance(test.code, Command) and not test.code.takes_seed:
        warn("the command has no {seed}: between seeds only the labels differ, clean ones not even")
    return test


def _code(train: str, *, shell: bool, labels_format: str) -> Any:
    """``module:function`` as it is, anything else as a command."""
    from mislabel.stress import Command

    is_function = "{" not in train and not any(map(str.isspace, train)) and ":" in train
    if not is_function:
        return Command(train, shell=shell, labels_format=labels_format)
    if shell:
        raise InputError("shell", shell, "goes with a command, and --train names a function")
    return train


def _words(given: dict[str, Any]) -> str:
    """The command that makes the test again; names of files without their folders."""
    import shlex
    from inspect import signature

    words = ["mislabel", "stress", "run"]
    for name, parameter in signature(run).parameters.items():
        value = given.get(name)
        if name in _UNSAID or value is None or (value == parameter.default and name != "suite"):
            continue
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, bool):
                words += [option, _bare(each) if name in _PATHS else str(each)]
    return shlex.join(words)


_UNSAID = frozenset(
    {
        "out",
        "replace",
        "retry_failed",
        "workers",
        "executor",
        "gpus_per_run",
        "device",
        "junit",
        "json",
    }
)
"Options that change nothing of what is found."
_PATHS = frozenset({"data", "suite", "code", "map", "features", "probabilities"})


def _bare(value: Any) -> str:
    """A path, or the path in a data spec, without its folder."""
    name, colon, path = str(value).rpartition(":")
    return f"{name}{colon}{Path(path).name}"


def _show(
    results: "StressResults",
    folder: Path | None,
    thresholds: list[str] | None,
    *,
    junit: Path | None,
    json: bool,
) -> None:
    """Decide, write page and JUnit XML, print, and exit with the verdict's status."""
    from dataclasses import asdict

    from mislabel.files import write_text
    from mislabel.stress import decide
    from mislabel.stress.advice import findings
    from mislabel.stress.junit import junit_xml, verdict_json

    verdict = decide(results, results.thresholds if thresholds is None else thresholds)
    if junit is not None:
        write_text(junit, junit_xml(verdict, results))
    page = None
    if folder is not None:
        page = _write_page(results, verdict, folder, folder / "report.html")
    if json:
        found = asdict(findings(results, verdict))
        print_json(verdict_json(verdict, results) | {"findings": found})
    else:
        _print_verdict(results, verdict)
        if page is not None:
            print(f"Page: {page.absolute().as_uri()}")
    raise typer.Exit(verdict.exit_status)


def _write_page(
    results: "StressResults",
    verdict: "Verdict",
    folder: Path,
    path: Path,
    *,
    explorer: str | None = None,
) -> Path:
    from mislabel.report.stress_page import write_stress_page
    from mislabel.stress.store import StressFolder

    tail: Callable[[Any], str] = StressFolder(folder).log_tail
    logs = {cell.log: tail(cell) for cell in results.failures}
    return write_stress_page(results, verdict, path, logs=logs, explorer=explorer)


def _print_verdict(results: "StressResults", verdict: "Verdict") -> None:
    from rich.console import Console

    from mislabel.report.stress_terminal import stress_terminal

    Console().print(stress_terminal(results, verdict))


def _print_plan(plan: "Plan") -> None:
    """The plan in a few lines."""
    print(f"Suite {plan.suite}: {len(plan.noises)} noises x {len(plan.seeds)} seeds")
    print(f"  {' '.join(plan.noises)}")
    for subject in plan.subjects:
        line = f"{subject.title}: {subject.n_trainings} trainings"
        if subject.n_ended:
            line += f", {subject.n_ended} of them there"
        if subject.timed is not None:
            each = f"{subject.timed.seconds:.1f} seconds each, by one on clean labels"
            line += f"; {subject.timed.failure or each}"
        print(line)
    about = "" if plan.seconds is None else f", about {_duration(plan.seconds)}"
    print(f"To run: {plan.n_missing} trainings, {plan.workers} at a time{about}")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
