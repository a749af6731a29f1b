"""``mislabel memorize figures``, ``compare`` and ``list``: look at scores of memorization."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mislabel.cli.options import (
    DATA_HELP,
    Data,
    Encoder,
    Features,
    ImageSize,
    Json,
    Map,
    Seed,
    Subset,
    print_json,
    progress_bar,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mislabel.data import Dataset
    from mislabel.memorization import Agreement, MemorizationScores
    from mislabel.memorization.suspects import Suspects

PRINTED = 10
"Examples of each kind that `list` prints; the files have all."
SUFFIXES = ("pdf", "png")
DPI = 300
"Of pictures, and of clouds of points in a PDF; enough for print."
Folder = Annotated[Path, typer.Option("--output", "-o", help="Folder for the files.")]
Threshold = Annotated[
    float,
    typer.Option("--threshold", help="Above it a probability, or memorization, counts as high."),
]


def figures(
    output: Folder,
    human: Annotated[
        Path | None, typer.Option("--human", help="Scores under human labels, .npz.")
    ] = None,
    synthetic: Annotated[
        Path | None, typer.Option("--synthetic", help="Scores under synthetic labels, .npz.")
    ] = None,
    map: Map = None,
    data: Annotated[str | None, typer.Option("--data", help=DATA_HELP)] = None,
    subset: Subset = None,
    image_size: ImageSize = None,
    seed: Seed = 0,
    threshold: Threshold = 0.6,
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class", help="Clean class of figure 4; by default the one with most to show."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Draw the study's four figures from one or two score files, each as PDF and PNG.

    1 histograms of memorization; 2 exclusion against inclusion probability; 3 the map with
    incorrect learned labels ringed (needs --map); 4 incorrect learned images of a class that lie
    closest together (needs --map and --data). What cannot be drawn is left out, with a line.

    Example: mislabel memorize figures --human human.npz --synthetic cluster.npz
    --map map.parquet --data cifar10:PATH -o figures
    """
    from mislabel.outputs import check_folder
    from mislabel.report.figures import save_figure

    check_folder(output, "output")
    _check_threshold(threshold)
    studies = _studies(human, synthetic)
    dataset = None if data is None else _load_data(data, subset, image_size, seed)
    positions = _positions(map, dataset)
    if dataset is not None:
        from mislabel.memorization.suspects import on_dataset

        studies = {name: on_dataset(scores, dataset) for name, scores in studies.items()}
    written, left_out = [], []
    drawn = list(_figures(studies, positions, dataset, threshold, class_name))
    for name, made in drawn:
        if isinstance(made, str):
            left_out.append({"figure": name, "reason": made})
            print(f"mislabel: figure {name} is left out: {made}", file=sys.stderr)
            continue
        written += [save_figure(made, output / f"{name}.{suffix}", dpi=DPI) for suffix in SUFFIXES]
    if json:
        print_json({"written": [str(path) for path in written], "left_out": left_out})
    else:
        print("\n".join(str(path) for path in written))


def compare(
    a: Annotated[Path, typer.Argument(help="Scores, .npz.")],
    b: Annotated[Path, typer.Argument(help="Scores of the same labels, .npz.")],
    bootstrap: Annotated[
        int, typer.Option("--bootstrap", help="Resamples for the intervals; 0 for none.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Of the resamples.")] = 0,
    page: Annotated[
        Path | None, typer.Option("--page", help="Write a page with pictures, .html.")
    ] = None,
    json: Json = False,
) -> None:
    """How well two estimates of memorization agree, and how well they could.

    Spearman's correlation of inclusion, exclusion and memorization for all, wrong and right
    labels, over the examples that both have; with bootstrap intervals and, from split halves,
    the ceiling that noise sets.

    Example: mislabel memorize compare published.npz ours.npz --page agreement.html
    """
    from mislabel.memorization import compare as compare_scores
    from mislabel.memorization import load_scores
    from mislabel.outputs import check_file

    if page is not None:
        check_file(page, "page")
    first, second = load_scores(a, "a"), load_scores(b, "b")
    found = compare_scores(first, second, bootstrap=bootstrap, seed=seed)
    if page is not None:
        from mislabel.report.memorization_agreement import write_agreement_page

        write_agreement_page(first, second, found, page)
    if json:
        titles = {"a": first.title, "b": second.title}
        print_json(titles | {"agreement": [entry.to_json() for entry in found]})
        return
    _print_agreement(found, first.title, second.title)
    if page is not None:
        print(f"Page: {page.absolute().as_uri()}")


def list_examples(
    scores: Annotated[Path, typer.Argument(help="Scores, .npz.")],
    data: Data,
    output: Folder,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            help="Given labels of the full training set, with which neighbours without scores "
            "vote; by default those of the data.",
        ),
    ] = None,
    features: Features = None,
    map: Map = None,
    encoder: Encoder = "pixels",
    probabilities: Annotated[
        Path | None,
        typer.Option(
            "--probabilities",
            help="Class probabilities of the full training set, for the suggested label.",
        ),
    ] = None,
    neighbors: Annotated[
        int, typer.Option("--neighbors", help="Nearest neighbours that vote.")
    ] = 10,
    top: Annotated[int, typer.Option("--top", help="Examples of each kind.")] = 50,
    threshold: Threshold = 0.6,
    subset: Subset = None,
    image_size: ImageSize = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """The examples that matter: wrong-looking labels that are memorized, and that are learned.

    Each with its image, given and suggested label, nearest neighbours and probabilities, as
    examples.csv, examples.json and examples.html in the folder. A label looks wrong where it
    differs from the clean one or, where that is not known, from the suggested one.

    Example: mislabel memorize list scores.npz --data cifar10:PATH --map map.parquet -o suspects
    """
    from mislabel.benchmark.inputs import InputOptions, LabelInputs
    from mislabel.memorization import load_scores
    from mislabel.memorization.suspects import find_suspects, on_dataset, relabelled
    from mislabel.outputs import check_folder

    check_folder(output, "output")
    loaded = load_scores(scores)
    options = InputOptions(
        data=data,
        subset=subset,
        image_size=image_size,
        map=map,
        features=features,
        probabilities=probabilities,
        encoder=encoder,
        seed=seed,
    )
    with progress_bar() as (say, _):
        inputs = LabelInputs.load(options, say)
        dataset = inputs.dataset
        given = _given_labels(labels, dataset)
        aligned = on_dataset(loaded, dataset)
        say("Looking at neighbours")
        suspects = find_suspects(
            aligned,
            features=inputs.features,
            labels=given,
            probabilities=inputs.given_probabilities,
            neighbors=neighbors,
            threshold=threshold,
            top=top,
        )
        suspects = relabelled(suspects, dataset.train_indices)
        _write_list(suspects, output, dataset)
    if json:
        print_json(suspects.to_json())
    else:
        _print_list(suspects, output)


def _studies(human: Path | None, synthetic: Path | None) -> dict[str, "MemorizationScores"]:
    """The scores by name, human ones first."""
    from mislabel.errors import InputError
    from mislabel.memorization import load_scores

    given = {"human": human, "synthetic": synthetic}
    found = {n: load_scores(path, n) for n, path in given.items() if path is not None}
    if not found:
        raise InputError("human", None, "name at least one file of scores, or --synthetic one")
    return found


def _figures(
    studies: dict[str, "MemorizationScores"],
    positions: Any,
    dataset: "Dataset | None",
    threshold: float,
    class_name: str | None,
) -> Iterator[tuple[str, "Figure | str"]]:
    """Name and figure of each, or the reason why it cannot be drawn."""
    from mislabel.report.memorization_figures import histogram_figure, scatter_figure

    [single, *more] = studies.items()
    titled = list(studies.items()) if more else [(single[1].title, single[1])]
    yield "1-histograms", histogram_figure(titled)
    yield "2-scatter", scatter_figure(titled, threshold=threshold)
    for name, scores in studies.items():
        yield f"3-map-{name}", _map_figure(scores, positions, dataset, threshold)
        yield (
            f"4-closest-{name}",
            _closest_figure(scores, positions, dataset, threshold, class_name),
        )


def _map_figure(
    scores: "MemorizationScores", positions: Any, dataset: "Dataset | None", threshold: float
) -> "Figure | str":
    from mislabel.report.memorization_figures import learned_map_figure

    if positions is None:
        return "needs --map"
    if scores.clean_labels is None:
        return "the scores have no clean labels"
    clean = None if dataset is None else dataset.y_train
    return learned_map_figure(scores, positions, clean_labels=clean, threshold=threshold)


def _closest_figure(
    scores: "MemorizationScores",
    positions: Any,
    dataset: "Dataset | None",
    threshold: float,
    class_name: str | None,
) -> "Figure | str":
    from mislabel.report.memorization_figures import closest_figure

    if positions is None or dataset is None:
        return "needs --map and --data"
    if scores.clean_labels is None:
        return "the scores have no clean labels"
    if not dataset.is_image:
        return f"the examples of {dataset.name} are no images"
    return closest_figure(scores, positions, dataset.x_train, name=class_name, threshold=threshold)


def _load_data(data: str, subset: int | None, image_size: int | None, seed: int) -> "Dataset":
    from mislabel.data import load_data

    return load_data(data, subset=subset, image_size=image_size, seed=seed)


def _positions(path: Path | None, dataset: "Dataset | None") -> Any:
    """The map, of the data's examples where there are data."""
    from mislabel.features import load_map

    if path is None:
        return None
    found = load_map(path)
    return found if dataset is None else dataset.align(found, "map")


def _given_labels(path: Path | None, dataset: "Dataset") -> Any:
    """Labels of the data's examples from a file, or those of the data."""
    from mislabel.labels import load_labels

    if path is None:
        return dataset.y_train
    given = load_labels(path, argument="labels", n_classes=dataset.n_classes).labels
    return dataset.align(given, "labels")


def _check_threshold(threshold: float) -> None:
    from mislabel.errors import InputError

    if not 0 <= threshold < 1:
        raise InputError("threshold", threshold, "must be from 0 to below 1")


def _write_list(suspects: "Suspects", output: Path, dataset: "Dataset") -> None:
    from mislabel.files import write_json, write_text
    from mislabel.report.memorization_list import write_list_page

    write_text(output / "examples.csv", suspects.to_csv())
    write_json(output / "examples.json", suspects.to_json())
    write_list_page(
        suspects,
        output / "examples.html",
        images=dataset.x_train if dataset.is_image else None,
        positions=dataset.train_indices,
    )


def _print_agreement(found: list["Agreement"], first: str, second: str) -> None:
    from mislabel.report.memorization_tables import agreement_rows
    from mislabel.report.text import one_line

    print(f"A: {one_line(first, 60)}\nB: {one_line(second, 60)}\n")
    table = _table()
    names = ("score", "labels", "count", "Spearman", "from", "to", "ceiling", "of it",
             "mean A", "mean B")  # fmt: skip
    for name in names:
        table.add_column(name, justify="left" if name in names[:2] else "right")
    for row in agreement_rows(found):
        table.add_row(*row)
    _console().print(table)


def _print_list(suspects: "Suspects", output: Path) -> None:
    from rich.markup import escape

    from mislabel.memorization.suspects import KINDS
    from mislabel.report.memorization_tables import number
    from mislabel.report.text import MISSING, one_line

    def name(label: int | None) -> str:
        return MISSING if label is None else escape(one_line(suspects.class_names[label], 20))

    for kind, title in KINDS.items():
        listed = suspects.of(kind)
        shown = listed[:PRINTED]
        total = suspects.totals[kind]
        if not listed:
            print(f"No {title}.")
            continue
        print(f"{title.capitalize()}: {len(shown)} of {total:,}\n")
        table = _table()
        for heading in ("index", "label", "clean", "suggested"):
            table.add_column(heading)
        for heading in ("inclusion", "exclusion", "memorization"):
            table.add_column(heading, justify="right")
        for s in shown:
            known = [name(label) for label in (s.label, s.clean_label, s.suggested_label)]
            values = (number(s.inclusion), number(s.exclusion), number(s.memorization))
            table.add_row(str(s.index), *known, *values)
        _console().print(table)
        print()
    print(f"Page: {(output / 'examples.html').absolute().as_uri()}")


def _table() -> Any:
    """An empty table that is narrow enough for 80 columns."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(box=SIMPLE_HEAD, padding=0, show_edge=False)


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)
