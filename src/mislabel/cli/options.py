"""Options that several commands share, and how they print."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from mislabel.errors import InputError

DATA_HELP = (
    "Where examples come from: digits, cifar10, cifar10:PATH, cifar100, cifar100:PATH, "
    "cifar100-coarse:PATH, folder:PATH or npz:PATH."
)

Data = Annotated[str, typer.Option("--data", help=DATA_HELP)]
Subset = Annotated[
    int | None, typer.Option("--subset", help="Class-balanced number of training examples.")
]
ImageSize = Annotated[
    int | None, typer.Option("--image-size", help="Side that images of a folder are resized to.")
]
Map = Annotated[
    Path | None,
    typer.Option(
        "--map", help="2-D map of the full training set (.npy, .npz, .parquet with x, y)."
    ),
]
Features = Annotated[
    Path | None,
    typer.Option("--features", help="Features of the full training set (.npy, .npz, .parquet)."),
]
TestFeatures = Annotated[
    Path | None,
    typer.Option(
        "--test-features",
        help="Features of the test set, for methods that predict from features, beside --features; "
        "without them such a method predicts from the encoder's.",
    ),
]
Probabilities = Annotated[
    Path | None,
    typer.Option(
        "--probabilities",
        help="Class probabilities of the full training set, one column per class, for pmd "
        "(.npy, .npz, .parquet, .safetensors).",
    ),
]
Eta = Annotated[
    str,
    typer.Option(
        "--eta",
        help="Where probabilities come from that are not given: cross-fitted (a quick classifier "
        "on the features), network (a PreAct ResNet-34 as published; hours without a GPU), "
        "network:cnn, network:epochs=5.",
    ),
]
Encoder = Annotated[str, typer.Option("--encoder", help="Encoder of features that are not given.")]
Seed = Annotated[int, typer.Option("--seed", help="Of everything drawn once: subset, map, noise.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Recipe = Annotated[
    str, typer.Option("--recipe", help="Training recipe: auto, mlp, fast, lim2025, pmd-eta.")
]
Network = Annotated[
    str | None,
    typer.Option(
        "--network", help="In place of the recipe's: mlp, cnn, resnet34, preact_resnet34, ..."
    ),
]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Epochs, in place of the recipe's.")]
Augment = Annotated[
    str,
    typer.Option(
        "--augment",
        help="auto (crop and flip where that keeps a class), none or crop-flip.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Epoch = Annotated[
    str,
    typer.Option(
        "--epoch",
        help="Figure to show: last, last10, best (selected on test data), or selected (on held-out "
        "noisy labels, by methods with selection=noisy-validation).",
    ),
]
Workers = Annotated[
    int | None, typer.Option("--workers", help="Trainings at a time; by default one per core.")
]


def read_folder(text: str) -> Path:
    """The folder of a path, or of an address in object storage, whose content is fetched."""
    from mislabel.mirror import fetched

    try:
        return fetched(text)
    except InputError as error:
        raise typer.BadParameter(f"{error.value!r}: {error.rule}") from error


STORES = "or an address in object storage (s3://BUCKET/RUN)."
Executor = Annotated[
    str,
    typer.Option(
        "--executor",
        help="Where trainings are done: local (processes of this machine), ray (a Ray of this "
        "machine) or ray://HOST:PORT (a cluster).",
    ),
]
GpusPerRun = Annotated[
    float,
    typer.Option("--gpus-per-run", help="GPUs of each training on Ray; 0.25: four share one."),
]


def print_json(value: Any) -> None:
    """A result on stdout, for scripts."""
    import json

    print(json.dumps(value, indent=2))


def warn(line: str | None) -> None:
    """Print a warning, if there is one, on stderr."""
    if line is not None:
        print(f"mislabel: warning: {line}", file=sys.stderr)


def check_output(path: Path, suffix: str, argument: str = "output") -> None:
    """Raise `InputError` where no file of that suffix can be written, before any work."""
    from mislabel.outputs import check_file

    if path.suffix != suffix:
        raise InputError(argument, str(path), f"must end in {suffix}")
    check_file(path, argument)


def check_results(output: Path | None, picture: Path | None) -> None:
    """Raise `InputError` where JSON or a picture cannot be written, before any work."""
    from mislabel.outputs import check_file

    if output is not None:
        check_output(output, ".json")
    if picture is not None:
        from mislabel.report.figures import check_figure_path

        check_file(check_figure_path(picture, "picture"), "picture")


def parse_seeds(text: str) -> list[int]:
    """``3`` means seeds 1, 2, 3; ``4,5`` means seeds 4 and 5; ``4,`` means seed 4."""
    try:
        numbers = [int(part) for part in text.removesuffix(",").split(",")]
    except ValueError:
        rule = "must be a number of seeds (3) or seeds with commas (4,5)"
        raise InputError("seeds", text, rule) from None
    if len(numbers) == 1 and "," not in text:
        if not 1 <= numbers[0] <= 10_000:
            raise InputError("seeds", text, "must be between 1 and 10000")
        return list(range(1, numbers[0] + 1))
    return numbers


@contextlib.contextmanager
def progress_bar(
    work: str = "Training",
) -> Iterator[tuple[Callable[[str], None], Callable[[int, int], None]]]:
    """Progress on stderr: a function that says what is done, one that counts `work`.

    Where stderr is no terminal, only the count is printed, ten times at most: what is prepared
    before may end in an error, which is to be the only line.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("Preparing", total=None)
        tenths = 0

        def say(text: str) -> None:
            bar.update(task, description=escape(text))

        def count(done: int, total: int) -> None:
            nonlocal tenths
            bar.update(task, description=work, completed=done, total=total)
            if hidden and done * 10 // total > tenths:
                print(f"{work.lower()} {done}/{total}", file=sys.stderr, flush=True)
            tenths = done * 10 // total

        yield say, count
