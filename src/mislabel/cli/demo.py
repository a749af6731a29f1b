"""``mislabel demo``: the main job on embedded data, with nothing to download."""

from pathlib import Path
from typing import Annotated

import typer

from mislabel.cli.options import Device, Json, Seed, Workers, progress_bar

NOISES = (
    "clean",
    "symmetric:0.2",
    "symmetric:0.4",
    "pmd:0.2",
    "pmd:0.4",
    "cluster:0.2",
    "cluster:0.4",
)
METHODS = ("standard", "gce", "snls")
SEEDS = (1, 2, 3)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder of the run and its page.")] = Path(
        "runs/demo"
    ),
    seed: Seed = 0,
    device: Device = "auto",
    workers: Workers = None,
    json: Json = False,
) -> None:
    """How robust is training on handwritten digits to wrong labels? About a minute, no network.

    Three kinds of noise at 20 % and 40 %, beside clean labels; Standard, GCE and Standard + SNLS
    on each, with three seeds. Prints the table and where the page is. A second call only shows
    them again.

    Example: mislabel demo --out runs/demo
    """
    from mislabel.benchmark import Grid, run_benchmark
    from mislabel.cli.bench import show

    grid = Grid(
        data="digits", noises=NOISES, methods=METHODS, seeds=SEEDS, seed=seed, device=device
    )
    with progress_bar() as (say, count):
        results = run_benchmark(grid, out, workers=workers, say=say, progress=count)
    show(results, out, epoch="last", json=json)
