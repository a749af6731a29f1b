"""``mislabel noise``: make label noise of any kind, and describe label files.

The commands for the kinds are made from the registry: the parameters of a noise model are the
options of its command.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from mislabel.cli.options import Data, Features, ImageSize, Json, Map, Seed, Subset
from mislabel.noise import NOISE, NoiseRecord
from mislabel.specs import parameter_types


def build_app() -> typer.Typer:
    """The group, with one command per noise model and ``describe``."""
    app = typer.Typer(
        help="Make label noise, and describe label files.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        epilog="Example: mislabel noise cluster --data digits --rate 0.3 -o labels.csv",
    )
    for record in NOISE:
        if record.name != "clean":
            app.command(record.name, help=_help(record))(_command(record))
    app.command("describe")(describe)
    return app


def make(
    data: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Label file: .npy, .csv, .parquet or .pt.")
    ],
    subset: Subset = None,
    image_size: ImageSize = None,
    map: Map = None,
    features: Features = None,
    seed: Seed = 0,
    json: Json = False,
    **parameters: Any,
) -> None:
    """What every command for a noise model does."""
    from mislabel.benchmark.grid import Grid
    from mislabel.benchmark.inputs import Inputs
    from mislabel.cli.options import progress_bar
    from mislabel.specs import format_spec

    name = parameters.pop("kind")
    defaults = inspect.signature(NOISE[name].model).parameters
    given = {key: v for key, v in parameters.items() if v != defaults[key].default}
    grid = Grid(
        data=data,
        noises=[format_spec(name, given)],
        methods=["standard"],
        seeds=[1],
        subset=subset,
        image_size=image_size,
        map=map,
        features=features,
        seed=seed,
    )
    with progress_bar() as (say, _):
        labels = Inputs.load(grid, say).draw(grid.noises[0])
    labels.save(output)
    _print(labels, json)


def describe(
    file: Annotated[Path, typer.Argument(help="Label file: .npy, .csv, .parquet or .pt.")],
    clean: Annotated[
        Path | None, typer.Option("--clean", help="File of clean labels, where FILE has none.")
    ] = None,
    column: Annotated[
        str | None, typer.Option("--column", help="Which labels of a file with several sets.")
    ] = None,
    json: Json = False,
) -> None:
    """Rate, rate per class and transition matrix of a label file.

    Example: mislabel noise describe CIFAR-10_human.pt --column random_label1
    """
    from mislabel.errors import InputError
    from mislabel.labels import load_labels

    known = None if clean is None else load_labels(clean, argument="clean").labels
    labels = load_labels(file, clean_labels=known, column=column, argument="file")
    if labels.clean_labels is None:
        raise InputError("clean", None, "the file has no clean labels; name a file that has")
    _print(labels, json)


def _command(record: NoiseRecord) -> Callable[..., None]:
    """`make` with the parameters of a noise model as keyword options."""

    def command(**options: Any) -> None:
        make(kind=record.name, **options)

    own = [_option(record, name, kind) for name, kind in parameter_types(record.model).items()]
    shared = [
        parameter
        for parameter in inspect.signature(make).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *shared)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _option(record: NoiseRecord, name: str, kind: Any) -> inspect.Parameter:
    default = inspect.signature(record.model).parameters[name].default
    required = default is inspect.Parameter.empty
    text = _parameter_help(record, name)
    annotation = Annotated[kind, typer.Option(f"--{name.replace('_', '-')}", help=text)]
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else default,
        annotation=annotation,
    )


def _parameter_help(record: NoiseRecord, name: str) -> str:
    """The sentence of the model's docstring that begins with the parameter's name."""
    text = " ".join(inspect.getdoc(record.model).split())  # type: ignore[union-attr]
    start = text.find(f"{name}: ")
    if start < 0:
        return ""
    sentence = text[start + len(name) + 2 :]
    stops = [sentence.find(mark) for mark in (". ", "; or ") if mark in sentence]
    sentence = sentence[: min(stops)] if stops else sentence.rstrip(".")
    return sentence[:1].upper() + sentence[1:] + "."


def _help(record: NoiseRecord) -> str:
    """Title, advice, source and an example for ``--help``."""
    name, _, value = record.example.partition(":")
    example = f"mislabel noise {name} --data digits --{record.positional} {value} -o labels.csv"
    if name == "human":
        example = example.replace("digits", "cifar10:PATH")
    return f"{record.title}: {record.advice}. Source: {record.paper}.\n\nExample: {example}"


def _print(labels: Any, json: bool) -> None:
    """Rates and transition matrix, for people or for scripts."""
    if json:
        import json as json_module

        matrix = [[None if v != v else v for v in row] for row in labels.transition_matrix.tolist()]
        print(json_module.dumps(labels.receipt_json() | {"transition_matrix": matrix}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    flips = int(labels.flipped.sum())
    console.print(f"{len(labels)} labels, {flips} wrong: rate {labels.rate:.4f}", highlight=False)
    table = Table(title="share of noisy labels (columns) by clean label (rows), percent")
    shown = min(labels.n_classes, 20)
    for name in ("class", "rate", *map(str, range(shown))):
        table.add_column(name, justify="right")
    for label in range(shown):
        row = labels.transition_matrix[label, :shown]
        rate = f"{100 * labels.rate_per_class[label]:.1f}"
        table.add_row(str(label), rate, *(f"{100 * v:.0f}" if v else "·" for v in row))
    console.print(table)
    if labels.n_classes > shown:
        console.print(f"... {labels.n_classes - shown} more classes; --json prints all")
