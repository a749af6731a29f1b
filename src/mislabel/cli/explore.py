"""``mislabel explore``: a page on which to look at labels, noise and memorization."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    Subset,
    print_json,
    progress_bar,
    warn,
)

if TYPE_CHECKING:
    from mislabel.benchmark.inputs import LabelInputs
    from mislabel.explorer import Exploration
    from mislabel.labels import NoisyLabels


def explore(
    data: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the page; one of before is replaced.")
    ],
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--labels",
            help="Label file, FILE:COLUMN, or noise to draw (human:random_label1, cluster:0.35); "
            "give it several times to compare. Without it, the data's own labels.",
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="Name of each --labels, in their order; by default as given."),
    ] = None,
    scores: Annotated[
        Path | None, typer.Option("--scores", help="Scores of mislabel memorize, .npz.")
    ] = None,
    targets: Annotated[
        Path | None,
        typer.Option("--targets", help="Cleaned labels of mislabel clean (.csv, .parquet, .npz)."),
    ] = None,
    map: Map = None,
    features: Features = None,
    subset: Subset = None,
    image_size: ImageSize = None,
    encoder: Encoder = "pixels",
    seed: Seed = 0,
    device: Device = "auto",
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve the page on this machine until Ctrl-C.")
    ] = False,
    port: Annotated[int, typer.Option("--port", help="Of --serve; 0 takes a free one.")] = 0,
    json: Json = False,
) -> None:
    """Look at labels: every example on a map, with its image, labels, scores and neighbours.

    The page opens from the disk or any static host, without network. Colour, ring, filter, lasso
    and compare; mark labels as right or wrong, and export them as a label file. Scores and cleaned
    labels must be of one of the sets of labels that are shown.

    Example: mislabel explore --data cifar10:PATH --labels human:random_label1 --labels cluster:0.35
    --map map.parquet --scores scores.npz -o page

    Example: mislabel explore --data digits --labels noisy.csv -o page --serve
    """
    from mislabel.benchmark.inputs import InputOptions, LabelInputs
    from mislabel.errors import InputError
    from mislabel.explorer import write_explorer
    from mislabel.explorer.page import check_explorer_folder

    check_explorer_folder(output)
    titles = _titles(labels or [], name or [])
    if not 0 <= port < 2**16:
        raise InputError("port", port, "must be from 0 to 65535")
    if port and not serve:
        raise InputError("port", port, "goes with --serve")
    options = InputOptions(
        data=data,
        subset=subset,
        image_size=image_size,
        map=map,
        features=features,
        encoder=encoder,
        seed=seed,
        device=device,
    )
    with progress_bar("Exploring") as (say, _):
        inputs = LabelInputs.load(options, say)
        sets = {t: _read(inputs, text) for t, text in zip(titles, labels or [], strict=True)}
        exploration = _explore(inputs, sets, scores, targets)
        say("Writing the page")
        page = write_explorer(exploration, output)
    _print(exploration, page, json)
    if serve:
        _serve(output, port)


def _titles(labels: list[str], names: list[str]) -> list[str]:
    """Names of the sets of labels, all of them different."""
    from mislabel.errors import InputError

    if names and len(names) != len(labels):
        raise InputError("name", names, f"must be as many as sets of labels: {len(labels)}")
    files = [Path(text).is_file() for text in labels]
    short = [Path(t).stem if file else t for t, file in zip(labels, files, strict=True)]
    titles = names or (short if len(set(short)) == len(short) else labels)
    for title in titles:
        if titles.count(title) > 1:
            raise InputError("labels", title, "is there twice; give each a --name of its own")
    return titles


def _read(inputs: "LabelInputs", text: str) -> "NoisyLabels":
    """Labels of a file, of a file's column, or of a noise."""
    from mislabel.errors import InputError

    path, _, column = text.rpartition(":")
    if path and not Path(text).is_file() and Path(path).is_file():
        if not column:
            raise InputError("labels", text, "must name a column after the colon")
        return read_labels(inputs, path, column)
    return read_labels(inputs, text, None)


def _explore(
    inputs: "LabelInputs",
    sets: "dict[str, NoisyLabels]",
    scores: Path | None,
    targets: Path | None,
) -> "Exploration":
    from mislabel.cleaning import load_cleaned
    from mislabel.explorer import Exploration
    from mislabel.memorization import load_scores

    found = None if scores is None else load_scores(scores)
    cleaned = None if targets is None else load_cleaned(targets, "targets")
    place = inputs.map
    inputs.say("Finding neighbours")
    return Exploration.of_dataset(
        inputs.dataset,
        place,
        sets or {"labels": inputs.own_labels},
        features=inputs.given_features,
        scores=found,
        cleaned=cleaned,
    )


def _print(exploration: "Exploration", page: Path, json: bool) -> None:
    summary = exploration.summary()
    if json:
        print_json({"page": str(page), **summary})
        return
    if exploration.cleaned is not None:
        warn(exploration.cleaned.warning)
    print(f"{exploration.name}: {len(exploration):,} examples, {exploration.n_classes} classes")
    for name, row in summary["labels"].items():
        counts = [f"{row[ring]:,} {ring.replace('-', ' ')}" for ring in row if ring != "rate"]
        print(f"  {name}: {', '.join(counts) or 'clean labels are not known'}")
    print(f"Page: {page.absolute().as_uri()}")


def _serve(folder: Path, port: int) -> None:
    from mislabel.explorer import serve

    with serve(folder, port) as server:
        print(f"Serving http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
