"""``mislabel memorize run``, ``scores``, ``influence``, ``merge``, ``export``, ``import``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mislabel.cli.memorize_estimate import read_labels
from mislabel.cli.options import (
    STORES,
    Data,
    Device,
    Encoder,
    Epochs,
    Executor,
    Features,
    GpusPerRun,
    ImageSize,
    Json,
    Map,
    Network,
    Recipe,
    Subset,
    TestFeatures,
    check_output,
    print_json,
    progress_bar,
    read_folder,
)

if TYPE_CHECKING:
    from mislabel.benchmark.inputs import Inputs
    from mislabel.labels import NoisyLabels
    from mislabel.memorization import MemorizationScores
    from mislabel.memorization.design import Design
    from mislabel.memorization.study import Forecast, StudyPlan

Study = Annotated[
    Path,
    typer.Argument(
        help=f"Folder of mislabel memorize run, {STORES}", parser=read_folder, metavar="STUDY"
    ),
]
Labels = Annotated[
    str,
    typer.Option(
        "--labels",
        help="Label file (.npy, .csv, .parquet, .pt), or noise to draw (human:random_label1, "
        "cluster:0.35).",
    ),
]
Column = Annotated[
    str | None, typer.Option("--column", help="Which labels of a file with several sets.")
]
HeldOut = Annotated[
    Path | None,
    typer.Option(
        "--held-out",
        help="Examples to hold out: .npy, or text with a position in the training set per line.",
    ),
]


def run(
    data: Data,
    labels: Labels,
    out: Annotated[
        str, typer.Option("--out", help=f"Folder of the study, {STORES} Resumed if it exists.")
    ],
    runs: Annotated[
        str | None,
        typer.Option("--runs", help="Number of runs (200), or which of them (500:1000)."),
    ] = None,
    until_se: Annotated[
        float | None,
        typer.Option(
            "--until-se",
            help="Run until all standard errors of memorization are at most this; --runs is then "
            "the most.",
        ),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help="Method: standard, standard:epochs=3, gce:q=0.7, ...")
    ] = "standard",
    design: Annotated[
        str,
        typer.Option(
            "--design",
            help="Held-out set: balanced (wrong labels and as many right ones), all, lim2025 "
            "(balanced, by the published study's own draws).",
        ),
    ] = "balanced",
    held_out: HeldOut = None,
    kept_share: Annotated[
        float, typer.Option("--kept-share", help="Share of it that a run trains on.")
    ] = 0.7,
    fixed: Annotated[
        list[str] | None,
        typer.Option(
            "--fixed",
            help="What is the same for all runs, again for each: initialisation, order, "
            "augmentation.",
        ),
    ] = None,
    keep: Annotated[
        str,
        typer.Option(
            "--keep", help="What is stored: correctness, predictions, probabilities (and classes)."
        ),
    ] = "probabilities",
    evaluate: Annotated[
        str,
        typer.Option(
            "--evaluate",
            help="Predict training images plain, or augmented (by one random crop and flip, as "
            "published).",
        ),
    ] = "plain",
    column: Column = None,
    recipe: Recipe = "auto",
    network: Network = None,
    epochs: Epochs = None,
    subset: Subset = None,
    image_size: ImageSize = None,
    map: Map = None,
    features: Features = None,
    test_features: TestFeatures = None,
    encoder: Encoder = "pixels",
    seed: Annotated[int, typer.Option("--seed", help="Of the study: held-out sets, runs.")] = 0,
    data_seed: Annotated[
        int, typer.Option("--data-seed", help="Of what is drawn before: subset, map, noise.")
    ] = 0,
    device: Device = "auto",
    workers: Annotated[
        int | None, typer.Option("--workers", help="Runs at a time; by default one per core.")
    ] = None,
    executor: Executor = "local",
    gpus_per_run: GpusPerRun = 0.0,
    json: Json = False,
) -> None:
    """Train many times, each time without a part of the examples, and keep what is predicted.

    Says first how many runs, how long and how much disk. A study that was stopped goes on where it
    was; folders made with the same options on several machines are brought together by merge.

    Example: mislabel memorize run --data cifar10:PATH --labels human:random_label1
    --method standard --recipe fast --runs 200 --out studies/human

    Example: mislabel memorize run --data digits --labels labels.csv --design all --until-se 0.1
    --out studies/digits
    """
    from mislabel.executor import make_executor
    from mislabel.memorization.study import forecast, run_study
    from mislabel.mirror import mirrored

    place = make_executor(executor, gpus=gpus_per_run)
    options = {"runs": _runs(runs), "until_se": until_se, "workers": workers}
    with mirrored(out) as store:
        with progress_bar("Training") as (say, _):
            inputs = _inputs(
                say, data=data, methods=(method,), subset=subset, image_size=image_size, map=map,
                features=features, test_features=test_features, encoder=encoder, seed=data_seed,
                recipe=recipe, network=network, epochs=epochs, device=device,
            )  # fmt: skip
            given = read_labels(inputs, labels, column)
            chosen = _design(inputs, given, design, held_out, kept_share, seed, fixed or ())
            plan = _plan(inputs, given, chosen, labels, keep=keep, evaluate=evaluate)
            say("Timing a few steps")
            ahead = forecast(plan, store.path, **options)  # type: ignore[arg-type]
        _tell(_ahead(plan, ahead, until_se))
        with progress_bar("Runs") as (_, count):
            folder = run_study(
                plan,
                store.path,
                executor=place,
                say=_tell,
                progress=store.after(count),
                **options,  # type: ignore[arg-type]
            )
    if json:
        print_json({"study": out, "runs": len(folder.runs())})
    else:
        print(f"{out}: {len(folder.runs()):,} runs; mislabel memorize scores {out} sums them up")


def scores(
    study: Study,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the scores: .npz.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write them as a table too: .csv.")
    ] = None,
    measure: Annotated[
        str,
        typer.Option(
            "--measure",
            help="correctness (was the label predicted), or probability (how probable it was).",
        ),
    ] = "correctness",
    threshold: Annotated[
        float, typer.Option("--threshold", help="Of incorrect learned and memorized labels.")
    ] = 0.6,
    json: Json = False,
) -> None:
    """Sum a study up: inclusion and exclusion probability and memorization, with errors.

    The study may still be running. Split-half reliability bounds how well any other estimate can
    agree with this one.

    Example: mislabel memorize scores studies/human -o human.npz --csv human.csv
    """
    from mislabel.memorization.aggregate import study_scores
    from mislabel.memorization.summary import summarise, write_csv

    for name, path, suffix in (("output", output, ".npz"), ("csv", csv, ".csv")):
        if path is not None:
            check_output(path, suffix, name)
    found = study_scores(study, measure=measure)
    if output is not None:
        found.save(output)
    if csv is not None:
        write_csv(found, csv, threshold)
    summary = summarise(found, threshold)
    if json:
        print_json(summary)
    else:
        _print_summary(found, summary)


def influence(
    study: Study,
    output: Annotated[Path, typer.Option("--output", "-o", help="Matrix of influences: .npy.")],
    test: Annotated[
        str | None,
        typer.Option("--test", help="Test examples: positions (3,17), or a range (0:100)."),
    ] = None,
    json: Json = False,
) -> None:
    """Write how much each held-out example helps or hurts the prediction of test examples.

    A float32 matrix, a row per test example, a column per example of the scores; NaN where an
    example was always in or always out. It is never in memory as a whole: open it with
    numpy.load(FILE, mmap_mode="r"). FILE.json names its rows and columns.

    Example: mislabel memorize influence studies/human --test 0:100 -o influence.npy
    """
    from mislabel.memorization.influence import study_influence
    from mislabel.memorization.store import StudyFolder
    from mislabel.outputs import check_file

    check_file(output, "output")
    folder = StudyFolder(study)
    n_test, held = len(folder.labels.test_labels), len(folder.labels.index)
    chosen = None if test is None else _positions(test)
    study_influence(folder, output, test=chosen)
    shape = [n_test if chosen is None else len(chosen), held]
    if json:
        print_json({"influence": str(output), "shape": shape})
    else:
        print(f"{output}: influence of {held:,} examples on {shape[0]:,} test examples")


def merge(
    studies: Annotated[list[Path], typer.Argument(help="Folders of one study.")],
    out: Annotated[Path, typer.Option("--out", help="New folder, or one of the study.")],
    json: Json = False,
) -> None:
    """Bring the runs of one study together that were made in several folders.

    Example: mislabel memorize merge first/human second/human --out studies/human
    """
    from mislabel.memorization.store import merge as merge_folders

    count = merge_folders(studies, out)
    if json:
        print_json({"study": str(out), "runs": count})
    else:
        print(f"{out}: {count:,} runs")


def export(
    study: Study,
    output: Annotated[Path, typer.Option("--output", "-o", help="File: .npz.")],
    runs_per_file: Annotated[
        int | None,
        typer.Option("--runs-per-file", help="Write shards of so many runs, not one file."),
    ] = None,
    influence: Annotated[
        bool, typer.Option("--influence", help="Compute and write the influence matrix too.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a study in the published layout: trainset_mask, trainset_correctness and so on.

    Example: mislabel memorize export studies/human -o human-infl-mem.npz
    """
    from mislabel.memorization.layout import export_study
    from mislabel.outputs import check_file

    check_file(output, "output")
    paths = export_study(study, output, runs_per_file=runs_per_file, influence=influence)
    if json:
        print_json({"files": [str(path) for path in paths]})
    else:
        print("\n".join(map(str, paths)))


def import_(
    files: Annotated[
        list[Path], typer.Argument(help="Published scores (.csv, .npz), or shards of runs (.npz).")
    ],
    labels: Labels,
    output: Annotated[Path, typer.Option("--output", "-o", help="File of scores: .npz.")],
    column: Column = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Data that --labels draws noise for.")
    ] = None,
    held_out: HeldOut = None,
    runs: Annotated[
        int | None,
        typer.Option(
            "--runs", help="Runs of the published design behind a table; tells its errors."
        ),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="Name in figures.")] = None,
    json: Json = False,
) -> None:
    """Read scores or runs of the published study, or in its layout, as a file of scores.

    Example: mislabel memorize import memorization.csv --labels CIFAR-10_human.pt
    --column random_label1 --runs 1500 -o published.npz
    """
    from mislabel.errors import InputError
    from mislabel.memorization.design import load_index
    from mislabel.memorization.layout import import_csv, import_npz

    check_output(output, ".npz")
    given = _read_labels(labels, column, data)
    if files[0].suffix == ".csv":
        if len(files) > 1 or held_out is not None:
            rule = "a table goes alone, and tells which examples are held out"
            raise InputError("file", str(files[0]), rule)
        found = import_csv(files[0], given, runs=runs, title=title)
    else:
        if runs is not None:
            raise InputError("runs", runs, "goes with a table; files of runs tell themselves")
        index = None if held_out is None else load_index(held_out)
        found = import_npz(files, given, index=index, title=title)
    found.save(output)
    if json:
        print_json({"scores": str(output), "examples": len(found)})
    else:
        print(f"{output}: scores of {len(found):,} examples")


def _inputs(say: Any, **options: Any) -> "Inputs":
    """Data, features and noise, as for a benchmark of one method."""
    from mislabel.benchmark import Grid
    from mislabel.benchmark.inputs import Inputs

    return Inputs.load(Grid(noises=("clean",), seeds=(0,), **options), say)


def _design(
    inputs: "Inputs",
    labels: "NoisyLabels",
    name: str,
    held_out: Path | None,
    kept_share: float,
    seed: int,
    fixed: Any,
) -> "Design":
    """Positions in a file are those of the full training set."""
    import numpy as np

    from mislabel.errors import InputError
    from mislabel.memorization.design import load_index, make_design

    index = None
    if held_out is not None:
        if name != "balanced":
            raise InputError("design", name, "goes without a file of held-out examples")
        given, here = load_index(held_out), inputs.dataset.train_indices
        index = np.searchsorted(here, given)
        missing = ~np.isin(given, here)
        if missing.any():
            raise InputError("held_out", int(given[missing][0]), "is not in the training set")
    return make_design(labels, name, held_out=index, keep=kept_share, seed=seed, fixed=fixed)


def _plan(
    inputs: "Inputs", given: "NoisyLabels", design: "Design", labels: str, **options: Any
) -> "StudyPlan":
    from mislabel.learning import METHODS
    from mislabel.memorization.study import method_plan
    from mislabel.specs import split_spec

    grid = inputs.grid
    (method,) = grid.methods
    record = METHODS[split_spec(method, "method")[0]]
    return method_plan(
        inputs.dataset,
        given,
        method,
        design=design,
        recipe=grid.recipe,
        network=grid.network,
        epochs=grid.epochs,
        device=grid.device,
        features=inputs.features if record.uses_features else None,
        guidance=inputs.guidance if record.estimator.predicts_from_features else None,
        about={"data": inputs.dataset.name, "labels": _shown(labels)},
        **options,
    )


def _shown(labels: str) -> str:
    """Labels as they were given, of a path the file's name."""
    return Path(labels).name if Path(labels).is_file() else labels


def _read_labels(text: str, column: str | None, data: str | None) -> "NoisyLabels":
    """Labels of a file with all examples, or drawn for data."""
    from mislabel.benchmark.inputs import InputOptions, LabelInputs
    from mislabel.errors import InputError
    from mislabel.labels import load_labels

    if data is not None:
        return read_labels(LabelInputs.load(InputOptions(data=data)), text, column)
    if not Path(text).is_file():
        raise InputError("labels", text, "is no file; noise is drawn for data, give --data")
    return load_labels(Path(text), column=column)


def _runs(text: str | None) -> int | range | None:
    """``200`` runs, or those from 500 to below 1000: ``500:1000``."""
    from mislabel.errors import InputError

    if text is None:
        return None
    try:
        first, colon, last = text.partition(":")
        return range(int(first), int(last)) if colon else int(first)
    except ValueError:
        rule = "must be a number of runs (200), or which of them (500:1000)"
        raise InputError("runs", text, rule) from None


def _positions(text: str) -> list[int]:
    from mislabel.errors import InputError

    try:
        first, colon, last = text.partition(":")
        return list(range(int(first), int(last))) if colon else [int(t) for t in text.split(",")]
    except ValueError:
        rule = "must be positions (3,17), or a range (0:100)"
        raise InputError("test", text, rule) from None


def _ahead(plan: "StudyPlan", ahead: "Forecast", until_se: float | None) -> str:
    """The line that a study begins with."""
    design = plan.design
    most = f"at most {ahead.runs:,}" if until_se is not None else f"{ahead.runs:,}"
    done = f", {ahead.done:,} of them finished" if ahead.done else ""
    took = "an unknown time" if ahead.seconds is None else f"about {_duration(ahead.seconds)}"
    return (
        f"{most} runs of {plan.title} on {design.n_total:,} examples{done}; "
        f"{len(design.drawn):,} held out, {design.n_kept:,} of them in each run; "
        f"{took} with {ahead.workers} at a time; {_size(ahead.bytes)} of disk"
    )


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _tell(text: str) -> None:
    """A line on stderr that stays."""
    print(f"mislabel: {text}", file=sys.stderr, flush=True)


def _print_summary(found: "MemorizationScores", summary: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console, groups = Console(highlight=False), summary["groups"]
    table = Table(title=found.title)
    table.add_column("")
    for name in groups:
        table.add_column(name, justify="right")
    for row, text in (
        ("count", "{:,}"), ("inclusion", "{:.3f}"), ("exclusion", "{:.3f}"),
        ("memorization", "{:.3f}"), ("largest_error", "{:.3f}"), ("learned", "{:,}"),
        ("memorized", "{:,}"), ("reliability_inclusion", "{:.3f}"),
        ("reliability_exclusion", "{:.3f}"), ("reliability_memorization", "{:.3f}"),
    ):  # fmt: skip
        values = [group[row] for group in groups.values()]
        table.add_row(
            row.replace("_", " "), *("-" if v is None else text.format(v) for v in values)
        )
    console.print(table)
    console.print(
        f"learned: inclusion and exclusion above {summary['threshold']}; memorized: memorization "
        "above it; largest error: of memorization; reliability: split-half, which bounds agreement",
        soft_wrap=True,
    )
    if summary["incorrect_learned"] is not None:
        console.print(f"incorrect learned labels: {summary['incorrect_learned']:,}")
