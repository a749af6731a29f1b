"""``mislabel memorize estimate``: memorization without a held-out study of networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mislabel.benchmark.inputs import LabelInputs
    from mislabel.labels import NoisyLabels
    from mislabel.memorization import MemorizationScores


def estimate(
    estimator: Annotated[
        str,
        typer.Argument(
            help="Estimator: neighbors:k=100, ridge, logistic, early:epochs=10, subsets:runs=200."
        ),
    ],
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="File of scores: .npz.")],
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
    index: Annotated[
        Path | None,
        typer.Option(
            "--index",
            help="Examples to estimate: positions in the training set, .npy or text, one a line.",
        ),
    ] = None,
    image_size: ImageSize = None,
    map: Map = None,
    features: Features = None,
    encoder: Encoder = "pixels",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Estimate which labels a network would memorize, at a small part of the cost of a study.

    neighbors goes by the map, ridge, logistic and subsets by the features, early trains on the
    examples. A map stands in for features that are not given, and features for a map, or for the
    examples. The file is one of scores, as a study's, for all the other commands.

    Example: mislabel memorize estimate ridge --data cifar10:PATH --labels human:random_label1
    --features clip.npy -o ridge.npz

    Example: mislabel memorize estimate neighbors:k=100 --data digits --labels labels.csv
    -o scores.npz
    """
    import numpy as np

    from mislabel.benchmark.inputs import InputOptions, LabelInputs
    from mislabel.memorization.design import load_index
    from mislabel.memorization.estimators import make_estimator

    chosen = make_estimator(estimator)
    check_output(output, ".npz")
    options = InputOptions(
        data=data,
        image_size=image_size,
        map=map,
        features=features,
        encoder=encoder,
        seed=seed,
        device=device,
    )
    wanted = None if index is None else np.unique(load_index(index, "index"))
    with progress_bar("Estimating") as (say, count):
        inputs = LabelInputs.load(options, say)
        given = read_labels(inputs, labels, column)
        rows = _rows(inputs, chosen.name)
        say(f"Estimating ({chosen.name})")
        scores = chosen(
            given,
            rows,
            index=wanted,
            class_names=inputs.dataset.class_names,
            seed=seed,
            progress=count,
        )
    scores.save(output)
    _print(scores, output, json)


def read_labels(inputs: "LabelInputs", text: str | None, column: str | None) -> "NoisyLabels":
    """Labels of a file, of a noise, or of the data."""
    from mislabel.errors import InputError, did_you_mean
    from mislabel.noise import NOISE, FromFile
    from mislabel.specs import split_spec

    if text is not None and Path(text).is_file():
        return inputs.draw(FromFile(path=Path(text), column=column))
    if column is not None:
        raise InputError("column", column, "goes with a label file")
    if text is None:
        return inputs.own_labels
    name = split_spec(text, "labels")[0]
    if name not in NOISE:
        rule = f"is neither a file nor a noise; {did_you_mean(name, NOISE.names)}"
        raise InputError("labels", text, rule)
    return inputs.draw(text)


def _rows(inputs: "LabelInputs", name: str) -> "NDArray[Any]":
    """What the estimator goes by."""
    from mislabel.memorization.estimators import ESTIMATORS

    uses = ESTIMATORS[name].uses
    if uses == "map" and inputs.given_map is not None:
        return inputs.given_map
    if uses == "training" and inputs.given_features is None:
        return inputs.dataset.x_train
    return inputs.features


def _print(scores: "MemorizationScores", output: Path, json: bool) -> None:
    from mislabel.memorization.summary import summarise

    groups = summarise(scores)["groups"]
    if json:
        print_json({"scores": str(output), "provenance": scores.provenance, "groups": groups})
        return
    print(f"{output}: {scores.title}, {len(scores):,} of {scores.n_total:,} examples")
    for name, row in groups.items():
        means = ", ".join(
            f"{score} {'unknown' if row[score] is None else format(row[score], '.3f')}"
            for score in ("inclusion", "exclusion", "memorization")
        )
        print(f"  {name} labels ({row['count']:,}): mean {means}; {row['memorized']:,} memorized")
