"""``mislabel noise``: make label noise of any kind; look at label files, and fetch them.

The commands for the kinds are made from the registry: the parameters of a noise model are the
options of its command.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from mislabel.cli.eta import eta
from mislabel.cli.fetch import fetch
from mislabel.cli.labels import compare, convert, describe, print_description
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
)
from mislabel.noise import NOISE, NoiseRecord
from mislabel.specs import parameter_types


def build_app() -> typer.Typer:
    """The group: one command per noise model, and those for label files."""
    app = typer.Typer(
        help="Make label noise; describe, convert, compare and fetch label files; keep "
        "class probabilities.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        epilog="Example: mislabel noise cluster --data digits --rate 0.3 -o labels.csv",
    )
    for record in NOISE:
        if record.name != "clean":
            app.command(record.name, help=_help(record))(_command(record))
    for command in (describe, convert, compare, eta, fetch):
        app.command(command.__name__)(command)
    return app


def make(
    kind: str,
    parameters: dict[str, Any],
    *,
    data: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Label file: .npy, .csv, .parquet or .pt.")
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
    """What every command for a noise model does. parameters: those of the model."""
    from mislabel.benchmark.inputs import InputOptions, LabelInputs
    from mislabel.cli.options import progress_bar
    from mislabel.labels.formats import check_label_file
    from mislabel.realism import describe_labels

    check_label_file(output, "output")
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
    model = NOISE[kind].model(**parameters)
    with progress_bar() as (say, _):
        labels = LabelInputs.load(options, say).draw(model)
    labels.save(output)
    print_description(labels, describe_labels(labels), json)


def _command(record: NoiseRecord) -> Callable[..., None]:
    """`make` with the parameters of a noise model as options, before shared ones of that name."""
    types = parameter_types(record.model)

    def command(**options: Any) -> None:
        make(record.name, {name: options.pop(name) for name in types}, **options)

    own = [_option(record, name, kind) for name, kind in types.items()]
    shared = [
        parameter
        for name, parameter in inspect.signature(make).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name not in types
    ]
    parameters = [*own, *shared]
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
