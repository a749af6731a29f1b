"""``mislabel memorize lift``: memorization from the exclusion probability alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mislabel.cli.options import Json

if TYPE_CHECKING:
    from mislabel.memorization import MemorizationScores


def lift(
    scores: Annotated[Path, typer.Argument(help="File of scores (.npz).")],
    value: Annotated[
        float | None,
        typer.Option("--lift", help="Added to the log-odds of exclusion; 0 to 30."),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option("--like", help="Take the lift that explains these scores best."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File of the lifted scores: .npz.")
    ] = None,
    json: Json = False,
) -> None:
    """What training on an example adds to the log-odds of its label, the same for all: the lift.

    Without --lift and --like it is fitted to the scores' own inclusion probabilities, and the
    table says how well that one number explains them. With -o the inclusion probabilities are
    replaced by the lifted ones, which makes memorization of any estimate of exclusion.

    Example: mislabel memorize lift published.npz

    Example: mislabel memorize lift quick.npz --like published.npz -o lifted.npz
    """
    from mislabel.errors import InputError
    from mislabel.memorization import apply_lift, fit_lift, load_scores
    from mislabel.outputs import check_file

    if value is not None and like is not None:
        raise InputError("like", str(like), "goes without --lift; give one")
    if output is not None:
        if output.suffix != ".npz":
            raise InputError("output", str(output), "must end in .npz")
        check_file(output, "output")
    found = load_scores(scores)
    taken = value if value is not None else fit_lift(load_scores(like, "like") if like else found)
    lifted = apply_lift(found, taken)
    if output is not None:
        lifted.save(output)
    _print(found, lifted, taken, output, json)


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
        import json as json_module

        about: dict[str, Any] = {"lift": taken, "output": None if output is None else str(output)}
        print(json_module.dumps(about | {"agreement": [row.to_json() for row in rows]}, indent=2))
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
