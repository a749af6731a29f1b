"""``mislabel realism test``: can a classifier tell generated labels from human ones?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mislabel.cli.label_sets import load_label_sets, load_points
from mislabel.cli.options import Features, Json, Map, check_results, print_json, progress_bar

if TYPE_CHECKING:
    from mislabel.realism.two_sample_result import TwoSampleResult

ABOVE = 1
"Exit status when the AUC is above --at-most."
MOST_CLASSES = 20


def test(
    reference: Annotated[
        str,
        typer.Option(
            "--reference",
            help="What to compare with, human labels say: a label file, FILE:COLUMN of a file with "
            "several sets, or a noise spec (human:random_label1).",
        ),
    ],
    candidate: Annotated[
        str, typer.Option("--candidate", help="What is tested, given in the same ways.")
    ],
    clean: Annotated[
        Path | None,
        typer.Option("--clean", help="File of clean labels, for label files that have none."),
    ] = None,
    map: Map = None,
    features: Features = None,
    discriminator: Annotated[
        str, typer.Option("--discriminator", help="boosting (the standard) or strong (slower).")
    ] = "boosting",
    permutations: Annotated[
        int, typer.Option("--permutations", help="Exchanges of blocks, for the p-value.")
    ] = 999,
    importance: Annotated[
        bool, typer.Option(help="Find out which groups of features give the candidate away.")
    ] = True,
    at_most: Annotated[
        float | None,
        typer.Option("--at-most", help="Exit with status 1 if the AUC is above; for scripts."),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Draw it to this file: .png, .svg, .pdf.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File of the result: .json.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of folds, training and resampling.")] = 0,
    json: Json = False,
) -> None:
    """Can a classifier tell the candidate's labels from the reference's?

    It sees, per example, the class, the label, and the noise among the nearest neighbours, learns
    on some blocks of the map or of the features, and is tested on others. AUC 0.5: it cannot.
    A candidate with a higher rate is thinned to the reference's. Neighbours come from the features
    where both are given; a noise that is drawn takes the map.

    Example: mislabel realism test --reference human:random_label1 --candidate cluster.csv
    --map map.parquet --picture test.png
    """
    from mislabel.errors import InputError
    from mislabel.files import write_json

    check_results(output, picture)
    _check_bound(at_most)
    with progress_bar("Training") as (say, count):
        say("Reading labels")
        from mislabel.realism.two_sample import two_sample_test

        points = load_points(map, features)
        if not points:
            raise InputError("map", None, "give --map or --features")
        names = ["reference", "candidate"]
        people, made = load_label_sets(
            [reference, candidate], clean, names, points, seed, options=names
        )
        say("Finding neighbours")
        result = two_sample_test(
            people.labels,
            made.labels,
            next(iter(points.values())),
            discriminator=discriminator,
            n_permutations=permutations,
            importance=importance,
            seed=seed,
            progress=count,
        )
    if output is not None:
        write_json(output, result.to_json())
    if picture is not None:
        from mislabel.report.figures import save_figure
        from mislabel.report.realism_test_figure import two_sample_figure

        save_figure(two_sample_figure(result), picture)
    if json:
        print_json(result.to_json())
    else:
        _print(result)
    if at_most is not None and result.auc > at_most:
        raise typer.Exit(ABOVE)


def _check_bound(at_most: float | None) -> None:
    from mislabel.errors import InputError

    if at_most is not None and not 0 <= at_most <= 1:
        raise InputError("at-most", at_most, "must be between 0 and 1")


def _print(result: "TwoSampleResult") -> None:
    """The result, for people."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(result.verdict)
    thinned = (
        f", {result.n_thinned:,} of the candidate's flips set back" if result.n_thinned else ""
    )
    console.print(
        f"p = {result.p_value:.3g}; {result.n_examples:,} labels, {result.n_blocks} blocks in "
        f"{result.n_folds} folds, rate {result.reference_rate:.4f}{thinned}"
    )
    if result.importance is not None:
        table = Table("what it looks at", title="how much the AUC drops when it is shuffled")
        table.add_column("drop", justify="right")
        table.add_column("standard error", justify="right")
        for name, value in result.importance.items():
            table.add_row(name, f"{value.drop:.3f}", f"{value.standard_error:.3f}")
        console.print(table)
    classes = Table("class", title="AUC by class")
    classes.add_column("AUC", justify="right")
    for label, auc in enumerate(result.auc_per_class[:MOST_CLASSES]):
        classes.add_row(str(label), "none" if auc != auc else f"{auc:.3f}")
    console.print(classes)
    if len(result.auc_per_class) > MOST_CLASSES:
        print(f"... {len(result.auc_per_class) - MOST_CLASSES} more classes; --json prints all")
