"""``mislabel realism fit``: the parameters of human-like noise, from labels people gave."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mislabel.cli.label_sets import load_label_sets, load_points
from mislabel.cli.options import Features, Json, Map, check_results, print_json, progress_bar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mislabel.labels import NoisyLabels
    from mislabel.noise.human_like import HumanParameters

MOST_CLASSES, MOST_PAIRS = 20, 10
"Rows of a table; the file has all."


def fit(
    labels: Annotated[
        str,
        typer.Argument(
            help="The labels that people gave, wrong ones among them: a label file, FILE:COLUMN of "
            "a file with several sets, or human:random_label1."
        ),
    ],
    clean: Annotated[
        Path | None,
        typer.Option("--clean", help="File of clean labels, for a label file that has none."),
    ] = None,
    marked: Annotated[
        bool,
        typer.Option(
            "--marked",
            help="LABELS is a file that mislabel explore exported: learn from the labels that were "
            "marked right or given anew there, which must be a random sample.",
        ),
    ] = False,
    map: Map = None,
    features: Features = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File of the parameters, for human-like noise: .json."),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Draw them to this file: .png, .svg, .pdf.")
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", help="Of the sample of pairs and the blocks of the errors.")
    ] = 0,
    json: Json = False,
) -> None:
    """Fit human-like noise to labels: where people err, to what, and how much together.

    The file goes to --like of mislabel noise human-like, which makes such noise on other data, at
    any rate. Give the kind of place that the noise will be made on: a map for a map.

    Example: mislabel realism fit human:random_label1 --map map.parquet -o human.json

    Example: mislabel realism fit marked.csv --marked --map map.parquet -o human.json
    """
    check_results(output, picture)
    with progress_bar() as (say, _):
        say("Reading labels")
        from mislabel.errors import InputError
        from mislabel.noise.human_like_fit import fit_human_like

        points = load_points(map, features)
        if len(points) != 1:
            raise InputError("map", None if map is None else str(map), "give --map or --features")
        given, used = _marked(labels, clean) if marked else (None, None)
        if given is None:
            given = load_label_sets([labels], clean, [], points, seed)[0].labels
        say(f"Fitting {len(given) if used is None else used.sum()} labels")
        human = fit_human_like(given, next(iter(points.values())), used=used, seed=seed)
    if output is not None:
        human.save(output)
    if picture is not None:
        from mislabel.report.figures import save_figure
        from mislabel.report.human_like_figure import human_like_figure

        save_figure(human_like_figure(human), picture)
    if json:
        print_json(human.to_json())
    else:
        _print(human)


def _marked(labels: str, clean: Path | None) -> "tuple[NoisyLabels, NDArray[np.bool_]]":
    """The labels of a file of marks, and which of them are known to be right or wrong."""
    from mislabel.errors import InputError
    from mislabel.explorer import read_marks

    if clean is not None:
        raise InputError("clean", str(clean), "goes without --marked: the marks say what is right")
    marks = read_marks(labels, "labels")
    return marks.noisy_labels, marks.known


def _print(human: "HumanParameters") -> None:
    """The parameters in words, the effects of classes, and the strongest of pairs."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    source = human.source
    console.print(
        f"{source['flips']:,} of {source['used']:,} labels are wrong ({100 * human.rate:.1f} %), "
        f"{source['n_classes']} classes, places of {source['dimensions']} dimensions."
    )
    table = Table("", box=SIMPLE_HEAD, show_edge=False)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("error", justify="right", no_wrap=True)
    table.add_column("in words", overflow="fold")
    for name, sentence in sentences(human).items():
        error = human.errors.get(name)
        shown = "" if error is None else f"{error:.3f}"
        table.add_row(name.replace("_", " "), f"{getattr(human, name):.3f}", shown, sentence)
    console.print(table)
    for title, rows in (
        ("Effects of classes", _classes(human)),
        ("Effects of pairs", _pairs(human)),
    ):
        console.print()
        console.print(title)
        for row in rows:
            console.print(f"  {row}")


def sentences(human: "HumanParameters") -> dict[str, str]:
    """What each parameter says about people, by name."""
    from math import exp

    from mislabel.noise.human_like import neighbor_count

    k = neighbor_count(human.source["n_examples"], human.source["n_classes"])
    near, far = (_share(human.near_reach), _share(human.far_reach))
    found = {
        "mixing": "An example all of whose neighbours are of other classes flips "
        f"{_times((k + 1) ** human.mixing)} as often as one with none.",
        "loneliness": "The loneliest example of a class flips "
        f"{_times(exp(human.loneliness))} as often as the most crowded.",
        "near_spread": f"Among neighbours within {near} of the data: where many err, they do "
        f"{_times(exp(human.near_spread))} as often as usual.",
        "far_spread": f"The same over wider places, of {far} of the data: "
        f"{_times(exp(human.far_spread))}.",
        "target_mixing": "A class that all neighbours are of is taken "
        f"{_times((k + 1) ** human.target_mixing)} as often as one that none is of.",
        "target_closeness": "A class that is ten times as common among the neighbours of the own "
        f"class is taken {_times(10**human.target_closeness)} as often.",
        "class_spread": "Classes differ: one a standard deviation above the mean flips "
        f"{_times(exp(human.class_spread))} as often.",
        "pair_spread": "Pairs of classes are confused more or less often than this explains, by "
        f"{100 * human.pair_spread:.0f} % (standard deviation).",
    }
    if human.target_absent:
        found["target_absent"] = (
            f"A class without examples is taken {_times(exp(human.target_absent))} as often as "
            "that says."
        )
    return found


def _classes(human: "HumanParameters") -> list[str]:
    """How often each class flips, against the mean; the strongest where there are many."""
    from math import exp

    order = sorted(range(len(human.class_effects)), key=lambda c: -abs(human.class_effects[c]))
    rows = [
        f"class {c} flips {_times(exp(human.class_effects[c]))} as often"
        for c in sorted(order[:MOST_CLASSES])
    ]
    more = len(order) - MOST_CLASSES
    return [*rows, f"... {more} more, which differ less"] if more > 0 else rows


def _pairs(human: "HumanParameters") -> list[str]:
    """The pairs whose factors are farthest from 1."""
    import numpy as np

    factors = np.array(human.pair_effects)
    apart = np.abs(np.log(np.maximum(factors, np.finfo(float).tiny)))
    order = np.argsort(-apart, axis=None, kind="stable")[:MOST_PAIRS]
    return [
        f"{own} is taken for {target} {_times(factors[own, target])} as often as expected"
        for own, target in (divmod(int(place), len(factors)) for place in order)
        if apart[own, target] > 0
    ] or ["no pair differs"]


def _times(factor: float) -> str:
    return f"{factor:.2f} times" if factor < 100 else f"{factor:.3g} times"


def _share(reach: float) -> str:
    return f"{100 * reach:g} %"
