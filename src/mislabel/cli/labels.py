"""``mislabel noise describe``, ``convert`` and ``compare``: look at label files and change them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mislabel.cli.options import (
    Data,
    Device,
    Encoder,
    Eta,
    Features,
    ImageSize,
    Json,
    Map,
    Probabilities,
    Seed,
    Subset,
    progress_bar,
)

if TYPE_CHECKING:
    from mislabel.labels import NoisyLabels

MOST_CLASSES = 20
LabelFile = Annotated[Path, typer.Argument(help="Label file: .npy, .csv, .parquet or .pt.")]
Clean = Annotated[
    Path | None, typer.Option("--clean", help="File of clean labels, where FILE has none.")
]
Column = Annotated[
    str | None, typer.Option("--column", help="Which labels of a file with several sets.")
]


def describe(
    file: LabelFile,
    clean: Clean = None,
    column: Column = None,
    map: Map = None,
    features: Features = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Draw it to this file: .png, .svg, .pdf.")
    ] = None,
    json: Json = False,
) -> None:
    """Rate, rate per class, transition matrix, entropy and clustering of a label file.

    The clustering index (how much likelier a neighbour of a flipped example is flipped than any
    example) needs a map or features.

    Example: mislabel noise describe CIFAR-10_human.pt --column random_label1 --map map.parquet
    """
    from mislabel.features import load_features, load_map
    from mislabel.noise.base import check_matrix
    from mislabel.realism import describe_labels

    labels = _load(file, clean, column)
    drawn = None if map is None else load_map(map)
    positions = load_features(features) if features is not None else drawn
    for name, points in (("map", drawn), ("features", positions)):
        if points is not None:
            check_matrix(points, name, len(labels))
    if picture is not None:
        from mislabel.report.figures import description_figure, save_figure

        names = tuple(str(label) for label in range(labels.n_classes))
        save_figure(description_figure(labels, names, drawn), picture)
    print_description(labels, describe_labels(labels, positions), json)


def convert(
    source: LabelFile,
    target: Annotated[Path, typer.Argument(help="The file to write; its suffix is the format.")],
    clean: Clean = None,
    column: Column = None,
    layout: Annotated[
        str,
        typer.Option(
            "--layout", help="Of a CSV: pair, or samples or indexed (the published ones)."
        ),
    ] = "pair",
    json: Json = False,
) -> None:
    """Write a label file in another format; the receipt goes along.

    Clean labels are kept where the format has a place for them (.npy has none), and file names
    from one published CSV to another.

    Example: mislabel noise convert cifar10-cluster-0.35.csv labels.parquet
    """
    from mislabel.labels import load_labels
    from mislabel.labels.formats import check_label_file, load_filenames, save_labels

    check_label_file(target, "target")
    known = None if clean is None else load_labels(clean, argument="clean").labels
    labels = load_labels(source, clean_labels=known, column=column, argument="source")
    save_labels(labels, target, csv_layout=layout, filenames=load_filenames(source))
    if json:
        import json as json_module

        print(json_module.dumps(labels.receipt_json() | {"target": str(target)}, indent=2))
    else:
        print(target)


def compare(
    noises: Annotated[
        list[str], typer.Argument(help="Noise specs (cluster:0.35, human:random_label1) or files.")
    ],
    data: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The picture: .png, .svg or .pdf.")
    ],
    subset: Subset = None,
    image_size: ImageSize = None,
    map: Map = None,
    features: Features = None,
    probabilities: Probabilities = None,
    eta: Eta = "cross-fitted",
    encoder: Encoder = "pixels",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Draw several noises side by side on the map: right labels pale, wrong ones in colour.

    To compare kinds, give them the same rate; the realised rate stands over each picture.

    Example: mislabel noise compare cluster:0.35 pmd:0.35 --data digits -o compare.png
    """
    from mislabel.benchmark.inputs import InputOptions, LabelInputs
    from mislabel.noise import canonical_noise
    from mislabel.outputs import check_file
    from mislabel.report.figures import check_figure_path, comparison_figure, save_figure

    check_file(check_figure_path(output, "output"), "output")
    options = InputOptions(
        data=data,
        subset=subset,
        image_size=image_size,
        map=map,
        features=features,
        probabilities=probabilities,
        eta=eta,
        encoder=encoder,
        seed=seed,
        device=device,
    )
    specs = dict.fromkeys(canonical_noise(_as_spec(noise)) for noise in noises)
    with progress_bar() as (say, _):
        inputs = LabelInputs.load(options, say)
        drawn = [(spec, inputs.draw(spec)) for spec in specs]
        save_figure(comparison_figure(inputs.map, drawn), output, dpi=100)
    if json:
        import json as json_module

        found = {"picture": str(output), "rates": {spec: labels.rate for spec, labels in drawn}}
        print(json_module.dumps(found, indent=2))
    else:
        print(output)


def _as_spec(noise: str) -> str:
    """The spec of a noise, which may be given as the path of a label file."""
    from mislabel.specs import format_spec

    return format_spec("file", {"path": noise}, "path") if Path(noise).is_file() else noise


def _load(file: Path, clean: Path | None, column: str | None) -> "NoisyLabels":
    """A label file whose clean labels are known, from itself or from another file."""
    from mislabel.errors import InputError
    from mislabel.labels import load_labels

    known = None if clean is None else load_labels(clean, argument="clean").labels
    labels = load_labels(file, clean_labels=known, column=column, argument="file")
    if labels.clean_labels is None:
        raise InputError("clean", None, "the file has no clean labels; name a file that has")
    return labels


def print_description(labels: "NoisyLabels", found: dict[str, Any], json: bool) -> None:
    """A profile (`mislabel.realism.describe_labels`), for people or for scripts."""
    if json:
        import json as json_module

        print(json_module.dumps(found, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    index = found["clustering_index"]
    console.print(
        f"{len(labels)} labels, {found['n_flipped']} wrong: rate {labels.rate:.4f}, "
        f"row entropy {found['row_entropy_bits']:.2f} bits"
        + ("" if index is None else f", clustering index {index:.2f}")
    )
    table = Table(title="share of noisy labels (columns) by clean label (rows), percent")
    shown = min(labels.n_classes, MOST_CLASSES)
    for name in ("class", "rate", *map(str, range(shown))):
        table.add_column(name, justify="right")
    for label in range(shown):
        row = labels.transition_matrix[label, :shown]
        rate = f"{100 * labels.rate_per_class[label]:.1f}"
        table.add_row(str(label), rate, *(f"{100 * v:.0f}" if v else "·" for v in row))
    console.print(table)
    if labels.n_classes > shown:
        console.print(f"... {labels.n_classes - shown} more classes; --json prints all")
