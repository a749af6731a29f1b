"""``mislabel clean``: corrected labels, soft targets and noise scores from noisy labels alone."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mislabel.cli.explorer_option import (
    ExplorerFolder,
    check_explorer,
    write_explorer_beside,
)
from mislabel.cli.memorize_estimate import read_labels
from mislabel.cli.options import (
    Data,
    Device,
    Encoder,
    Features,
    ImageSize,
    Json,
    Map,
    Seed,
    check_output,
    print_json,
    progress_bar,
    warn,
)

if TYPE_CHECKING:
    from mislabel.benchmark.inputs import InputOptions, LabelInputs
    from mislabel.cleaning import CleanedLabels
    from mislabel.explorer import Exploration
    from mislabel.labels import NoisyLabels

UNDETERMINED = 1
"Exit status with --require-determined where the labels do not determine the classes."


def clean(
    data: Data,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="File of cleaned labels: .csv, .parquet or .npz."),
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            help="Label file (.npy, .csv, .parquet, .pt), or noise to draw (human:random_label1, "
            "cluster:0.35); without it the data's own labels.",
        ),
    ] = None,
    column: Annotated[
        str | None, typer.Option("--column", help="Which labels of a file with several sets.")
    ] = None,
    image_size: ImageSize = None,
    map: Map = None,
    features: Features = None,
    encoder: Encoder = "pixels",
    approximate: Annotated[
        bool, typer.Option("--approximate", help="Search neighbours approximately, for big data.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Page of what changed; by default beside the file, .html."),
    ] = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no page.")] = False,
    explorer: ExplorerFolder = None,
    require_determined: Annotated[
        bool,
        typer.Option(
            "--require-determined",
            help="Exit with status 1 if the labels do not determine the classes; for scripts.",
        ),
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Correct wrong labels: likeliest labels, soft targets and noise scores, and a page of changes.

    Clean labels are not needed; where they are known, what cleaning achieved is shown too.
    Neighbours come from the features; a map stands in for features that are not given, and is what
    the page is drawn on. The file has a row per example; train on its column corrected_label.
    Where the labels do not determine the classes they are left as they are, with a warning.

    Example: mislabel clean --data cifar10:PATH --labels human:random_label1 --map map.parquet
    -o cleaned.csv
    """
    from mislabel.benchmark.inputs import InputOptions, LabelInputs

    page = _check_outputs(output, labels, report, no_report)
    check_explorer(explorer, output, page)
    options = InputOptions(
        data=data,
        image_size=image_size,
        map=map,
        features=features,
        encoder=encoder,
        seed=seed,
        device=device,
    )
    with progress_bar("Cleaning") as (say, count):
        inputs = LabelInputs.load(options, say)
        given = read_labels(inputs, labels, column)
        rows = inputs.features
        say("Finding neighbours")
        from mislabel.cleaning import clean_labels

        cleaned = clean_labels(
            given,
            rows,
            class_names=inputs.dataset.class_names,
            approximate=approximate,
            seed=seed,
            progress=count,
        )
        exploration = None
        if explorer is not None:
            exploration = _explore(inputs, _title(labels, column), given, cleaned)
    cleaned.save(output)
    address = None
    if explorer is not None and exploration is not None:
        address = write_explorer_beside(exploration, explorer, page)
    if page is not None:
        words = {"labels": labels, "column": column, "approximate": approximate}
        _write_page(cleaned, page, inputs, _command(options, output, words), address)
    _print(cleaned, output, page, explorer, json)
    if require_determined and not cleaned.determined:
        raise typer.Exit(UNDETERMINED)


def _check_outputs(
    output: Path, labels: str | None, report: Path | None, no_report: bool
) -> Path | None:
    """The page's path, or None for no page; an `InputError` where anything cannot be written."""
    from mislabel.cleaning.formats import check_cleaned_file
    from mislabel.errors import InputError

    check_cleaned_file(output, "output")
    if labels is not None and Path(labels).exists() and Path(labels).resolve() == output.resolve():
        raise InputError("output", str(output), "is the file of labels; name another")
    if no_report:
        if report is not None:
            raise InputError("report", str(report), "goes without --no-report")
        return None
    page = output.with_suffix(".html") if report is None else report
    check_output(page, ".html", "report")
    return page


def _title(labels: str | None, column: str | None) -> str:
    """What the labels are called in the explorer."""
    if labels is None or not Path(labels).is_file():
        return labels or "labels"
    return Path(labels).stem if column is None else f"{Path(labels).stem}:{column}"


def _explore(
    inputs: "LabelInputs", title: str, labels: "NoisyLabels", cleaned: "CleanedLabels"
) -> "Exploration":
    from mislabel.explorer import Exploration

    place, features = inputs.map, inputs.given_features
    return Exploration.of_dataset(
        inputs.dataset, place, {title: labels}, features=features, cleaned=cleaned
    )


def _write_page(
    cleaned: "CleanedLabels",
    page: Path,
    inputs: "LabelInputs",
    command: str,
    explorer: str | None,
) -> None:
    from mislabel.report.cleaning_page import write_cleaning_page

    dataset = inputs.dataset
    write_cleaning_page(
        cleaned,
        page,
        data=dataset.name,
        positions=inputs.given_map if explorer is None else inputs.map,
        images=dataset.x_train if dataset.is_image else None,
        command=command,
        explorer=explorer,
    )


def _command(options: "InputOptions", output: Path, words: dict[str, Any]) -> str:
    """The command, with names of files without their folders."""
    name = options.data.partition(":")[0]
    path = options.data_path
    spelt = ["mislabel", "clean", "--data", f"{name}:{path.name}" if path else name]
    given = {key: getattr(options, key) for key in ("image_size", "map", "features", "encoder")}
    for key, value in (words | given | {"seed": options.seed}).items():
        option = f"--{key.replace('_', '-')}"
        if value is True:
            spelt.append(option)
        elif value not in (None, False) and value != getattr(type(options), key, None):
            is_file = isinstance(value, Path) or (key == "labels" and Path(value).is_file())
            spelt += [option, Path(value).name if is_file else str(value)]
    return shlex.join([*spelt, "-o", output.name])


def _print(
    cleaned: "CleanedLabels", output: Path, page: Path | None, explorer: Path | None, json: bool
) -> None:
    from mislabel.cleaning.cleaned import ADVICE
    from mislabel.report.cleaning_page import headlines, known_facts

    if cleaned.warning is not None:
        warn(f"{cleaned.warning}; {ADVICE}")
    if json:
        files = {"cleaned": str(output), "page": None if page is None else str(page)}
        if explorer is not None:
            files["explorer"] = str(explorer / "index.html")
        print_json(files | cleaned.summary())
        return
    print(f"{output}: cleaned labels of {len(cleaned):,} examples")
    if cleaned.determined:
        print("\n".join(headlines(cleaned)))
    quality = cleaned.quality()
    if quality is not None:
        print("Known, since clean labels are given:")
        facts = known_facts(quality)
        width = max(len(term) for term, _ in facts)
        print("\n".join(f"  {term:<{width}} {figure:>7}" for term, figure in facts))
    if page is not None:
        print(f"Page: {page.absolute().as_uri()}")
    if explorer is not None:
        print(f"Explorer: {(explorer / 'index.html').absolute().as_uri()}")
