"""``mislabel memorize lift`` and ``match``: memorization from exclusion probabilities."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mislabel.cli.options import Json, check_output, print_json

if TYPE_CHECKING:
    from mislabel.memorization import MemorizationScores


def lift(
    scores: Annotated[Path, typer.Argument(help="File of scores (.npz).")],
    value: Annotated[
        float | None,
        typer.Option("--lift", help="Added to the log-odds of exclusion; 0 to 30."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File of the lifted scores: .npz.")
    ] = None,
    json: Json = False,
) -> None:
    """What training on an example adds to the log-odds of its label, the same for all: the lift.

    Without --lift it is fitted to the scores' own inclusion probabilities, and the table says how
    well that one number explains them. With -o the inclusion probabilities are replaced by the
    lifted ones, which makes memorization of any estimate of exclusion.

    Example: mislabel memorize lift published.npz

    Example: mislabel memorize lift ridge.npz --lift 3.4 -o lifted.npz
    """
    from mislabel.memorization import apply_lift, fit_lift, load_scores

    if output is not None:
        check_output(output, ".npz")
    found = load_scores(scores)
    taken = fit_lift(found) if value is None else value
    lifted = apply_lift(found, taken)
    if output is not None:
        lifted.save(output)
    _print(found, lifted, taken, output, json)


def match(
    scores: Annotated[list[Path], typer.Argument(help="Files of scores (.npz), cheap ones.")],
    like: Annotated[
        Path, typer.Option("--like", help="Scores of a study, of some of the examples.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File of scores: .npz.")],
    json: Json = False,
) -> None:
    """Bring cheap estimates together, on the scale of a study that was measured on some examples.

    Their exclusion probabilities are weighted, as log-odds, so that they explain the study's best;
    inclusion follows by the study's lift. The result covers all examples that they have.

    Example: mislabel memorize match network.npz votes.npz --like published.npz -o matched.npz
    """
    from mislabel.memorization import load_scores
    from mislabel.memorization import match as matched

    check_output(output, ".npz")
    reference = load_scores(like, "like")
    found = matched([load_scores(path) for path in scores], reference)
    found.save(output)
    about = found.provenance
    if json:
        print_json(about | {"output": str(output), "examples": len(found)})
        return
    for title, weight in zip(about["estimates"], about["weights"], strict=True):
        print(f"{weight:8.3f} x log-odds of {title}")
    print(f"{about['constant']:8.3f} constant; then a lift of {about['lift']:.3f}")
    print(f"{output}: scores of {len(found):,} examples")


def _print(
    found: "MemorizationScores",
    lifted: "MemorizationScores",
    taken: float,
    output: Path | None,
    json: bool,
) -> None:
    """The lift, and how well the lifted scores agree with those that were measured."""
    from mislabel.memorization import compare

    rows = [row for row in compare(found, lifted, bootstrap=0) if row.score != "exclusion"]
    if json:
        about: dict[str, Any] = {"lift": taken, "output": None if output is None else str(output)}
        print_json(about | {"agreement": [row.to_json() for row in rows]})
        return
    print(f"lift {taken:.3f}: the odds of the given label times {2.718281828459045**taken:.3g}")
    for row in rows:
        shown = "no correlation" if row.spearman is None else f"Spearman {row.spearman:.3f}"
        means = f"mean {_number(row.mean_a)} as measured, {_number(row.mean_b)} lifted"
        print(f"  {row.score}, {row.group} ({row.count:,}): {shown}, {means}")
    if output is not None:
        print(f"{output}: scores with the lifted inclusion probabilities")


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
