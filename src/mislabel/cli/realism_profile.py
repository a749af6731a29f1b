"""``mislabel realism profile``: what a noise looks like, several sets of labels side by side."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mislabel.cli.label_sets import LabelSet, load_label_sets, load_points
from mislabel.cli.options import Features, Json, Map, check_results, print_json, progress_bar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mislabel.labels import NoisyLabels
    from mislabel.realism.intervals import Estimate
    from mislabel.realism.profile import Dependence, Profile, Spatial

MOST_ROWS = 20
"Of a table by class or by rank; --json has all."
MOST_WIDE = 3
"More sets of labels than so many have their intervals below the figures."
TARGETS = 3
"Most frequent wrong labels of a class that are printed."

Row = tuple[str, list[str]]


def profile(
    labels: Annotated[
        list[str],
        typer.Argument(
            help="Label files, FILE:COLUMN of a file with several sets, or noise specs "
            "(human:random_label1, symmetric:0.2)."
        ),
    ],
    clean: Annotated[
        Path | None,
        typer.Option(
            "--clean", help="File of clean labels; by default those of the first file that has."
        ),
    ] = None,
    map: Map = None,
    features: Features = None,
    name: Annotated[
        list[str] | None, typer.Option("--name", help="Name of a set; as many as sets, in order.")
    ] = None,
    resamples: Annotated[
        int, typer.Option("--resamples", help="Of blocks of the map, for the intervals.")
    ] = 999,
    seed: Annotated[
        int, typer.Option("--seed", help="Of blocks, resamples, and noise drawn from a spec.")
    ] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the figures to this file: .json.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Draw them to this file: .png, .svg, .pdf.")
    ] = None,
    json: Json = False,
) -> None:
    """What the errors of one or more sets of labels look like, side by side, with intervals.

    Rates, transitions and entropy; with a map or features also how clustered errors are, how close
    the wrong class is, and how the rate depends on how typical an example is and on how many of
    its neighbours are of other classes. Neighbours come from the features where both are given.

    Example: mislabel realism profile human:random_label1 symmetric:0.17 --map map.parquet
    """
    from mislabel.realism.profile import interval_blocks, profile_labels

    check_results(output, picture)
    with progress_bar() as (say, _):
        points = load_points(map, features)
        say("Reading labels")
        sets = load_label_sets(labels, clean, name or [], points, seed)
        place = _place(points, sets[0].labels, say)
        blocks = None if place is None else interval_blocks(place, seed=seed)
        found = {}
        for one in sets:
            say(f"Looking at {one.name}")
            found[one.name] = profile_labels(
                one.labels, place, blocks=blocks, n_resamples=resamples, seed=seed
            )
    content = _content(sets, found, points, resamples, seed)
    if output is not None:
        from mislabel.files import write_json

        write_json(output, content)
    if picture is not None:
        from mislabel.report.figures import save_figure
        from mislabel.report.realism_profile import profile_figure

        save_figure(profile_figure(found), picture)
    if json:
        print_json(content)
    else:
        _print(found)


def _place(
    points: "dict[str, NDArray[np.float32]]", labels: "NoisyLabels", say: Any
) -> Any:  # a Neighborhood, whose module is not imported for --help
    from mislabel.features.neighborhood import Neighborhood

    if not points or labels.clean_labels is None:
        return None
    say("Finding neighbours")
    return Neighborhood.of(next(iter(points.values())), labels.clean_labels, labels.n_classes)


def _content(
    sets: list[LabelSet],
    found: "dict[str, Profile]",
    points: "dict[str, NDArray[np.float32]]",
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """All of it as JSON values, with where it comes from."""
    from mislabel.files import hash_array

    kept = ("generator", "parameters", "seed", "inputs", "labels_sha256")
    receipts = {one.name: one.labels.receipt_json() for one in sets}
    return {
        "format": 1,
        "neighbors_from": next(iter(points), None),
        "inputs": {name: hash_array(values) for name, values in points.items()},
        "resamples": resamples,
        "seed": seed,
        "sets": {
            name: {"labels": {key: receipts[name][key] for key in kept}} | one.to_json()
            for name, one in found.items()
        },
    }


def _print(found: "dict[str, Profile]") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from mislabel.report.text import one_line

    console = Console(highlight=False)
    profiles, gap = list(found.values()), "\n" if len(found) > MOST_WIDE else " "
    for title, rows in _sections(profiles):
        table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False, title=title,
                      title_justify="left", title_style="bold")  # fmt: skip
        table.add_column("")
        for name in found:
            table.add_column(escape(one_line(name, 40)), justify="right", overflow="fold")
        for label, cells in rows[:MOST_ROWS]:
            table.add_row(label, *(cell.replace("\n", gap) for cell in cells))
        console.print(table)
        if len(rows) > MOST_ROWS:
            console.print(f"... {len(rows) - MOST_ROWS} more; --json prints all")
        console.print()
    console.print(f"After each figure: its interval at {100 * profiles[0].level:g} %.")


def _sections(profiles: "Sequence[Profile]") -> "Iterator[tuple[str, list[Row]]]":
    """Title and rows of each table; a cell per profile."""
    yield "Labels", _overview(profiles)
    places = [one.spatial for one in profiles if one.spatial is not None]
    if places:
        yield "Clustering index (1: errors fall anywhere)", _clustering(places)
        yield "Wrong labels by closeness of their class, %", _ranks(places)
        yield "Wrong by typicality within the class, %", _bins([s.typicality for s in places])
        title = f"Wrong by share of other classes among {places[0].n_neighbors} neighbours, %"
        yield title, _bins([s.other_share for s in places])
    classes = range(profiles[0].n_classes)
    rates = [[_percent(one.rate_per_class, c) for one in profiles] for c in classes]
    yield "Wrong by class, %", [(str(c), rates[c]) for c in classes]
    targets = [[_targets(one, c) for one in profiles] for c in classes]
    yield (
        "Most frequent wrong labels by class, % of the class",
        [(str(c), targets[c]) for c in classes],
    )


def _overview(profiles: "Sequence[Profile]") -> list[Row]:
    rows: list[Row] = [
        ("examples", [f"{one.n:,}" for one in profiles]),
        ("wrong", [f"{one.flips:,}" for one in profiles]),
        ("rate, %", [_percent(one.rate) for one in profiles]),
        ("entropy, bits", [f"{one.row_entropy:.2f}" for one in profiles]),
    ]
    places = [one.spatial for one in profiles if one.spatial is not None]
    if places:
        rows += [
            ("closeness rank", [_plain(s.mean_target_rank) for s in places]),
            ("class nearby, %", [_percent(s.target_nearby) for s in places]),
            ("more typical", [_plain(s.typicality.trend) for s in places]),
            ("more others", [_plain(s.other_share.trend) for s in places]),
        ]
    return rows


def _clustering(places: "list[Spatial]") -> list[Row]:
    ks = places[0].ks
    rows = [(f"k = {k}", [_plain(s.clustering, i) for s in places]) for i, k in enumerate(ks)]
    by_class = [_number(float(s.clustering_by_class[0])) for s in places]
    return [*rows, (f"by class, k = {ks[0]}", by_class)]


def _ranks(places: "list[Spatial]") -> list[Row]:
    count = len(places[0].target_rank.value)
    return [(str(r + 1), [_percent(s.target_rank, r) for s in places]) for r in range(count)]


def _bins(dependences: "list[Dependence]") -> list[Row]:
    edges = dependences[0].edges
    starts = [0.0, *edges[:-1]]
    names = [
        f"{100 * start:.0f} to {100 * end:.0f}" if end else "0"
        for start, end in zip(starts, edges, strict=True)
    ]
    return [(name, [_percent(d.rate, i) for d in dependences]) for i, name in enumerate(names)]


def _targets(one: "Profile", label: int) -> str:
    """The most frequent wrong labels of a class with their shares in percent."""
    row = one.transition_matrix[label].copy()
    row[label] = 0
    first = [int(c) for c in (-row).argsort(kind="stable")[:TARGETS] if row[c] > 0]
    return ", ".join(f"{c}:{100 * row[c]:.1f}" for c in first) or "–"


def _percent(estimate: "Estimate", at: int | tuple[()] = ()) -> str:
    return _plain(estimate, at, scale=100, digits=1)


def _plain(
    estimate: "Estimate", at: int | tuple[()] = (), *, scale: float = 1, digits: int = 2
) -> str:
    """Value and interval on two lines, which `_print` puts on one where there is space."""
    value, low, high = (float(getattr(estimate, name)[at]) for name in ("value", "low", "high"))
    text = _number(scale * value, digits)
    if low != low:
        return text
    return f"{text}\n{_number(scale * low, digits)}–{_number(scale * high, digits)}"


def _number(value: float, digits: int = 2) -> str:
    return "–" if value != value else f"{value:.{digits}f}"
