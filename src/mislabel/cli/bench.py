"""``mislabel bench``: run a grid of noises, methods and seeds; print its table; write its page."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mislabel.cli.explorer_option import (
    ExplorerFolder,
    RunData,
    check_explorer,
    examples_again,
    print_pages,
    write_explorer_beside,
)
from mislabel.cli.options import (
    STORES,
    Augment,
    Data,
    Device,
    Encoder,
    Epoch,
    Epochs,
    Eta,
    Executor,
    Features,
    GpusPerRun,
    ImageSize,
    Json,
    Map,
    Network,
    Probabilities,
    Recipe,
    Seed,
    Subset,
    TestFeatures,
    Workers,
    parse_seeds,
    progress_bar,
    read_folder,
    warn,
)

if TYPE_CHECKING:
    from mislabel.benchmark import BenchmarkResults

app = typer.Typer(
    help="Compare learning methods under label noise.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    epilog="Example: mislabel bench run --data digits --noise cluster:0.3 --method standard "
    "--method snls --seeds 3 --out runs/digits",
)
Run = Annotated[
    Path,
    typer.Argument(help=f"Folder of a run, {STORES}", parser=read_folder, metavar="RUN"),
]


@app.command()
def run(
    data: Data,
    noise: Annotated[
        list[str],
        typer.Option(
            "--noise",
            help="Noise, again for each: clean, symmetric:0.2, pmd:0.35, "
            "cluster:0.35, cluster:n=57,r=2, human:random_label1, file:labels.npy.",
        ),
    ],
    method: Annotated[
        list[str],
        typer.Option("--method", help="Method, again for each: standard, gce:q=0.7, snls:k=100."),
    ],
    out: Annotated[
        str, typer.Option("--out", help=f"Folder of the run, {STORES} Resumed when it exists.")
    ],
    seeds: Annotated[
        str,
        typer.Option("--seeds", help="Number of seeds (3: seeds 1, 2, 3), or seeds (4,5 or 4,)."),
    ] = "3",
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--targets",
            help="What standard or lra-diffusion is trained on, again for each: labels, snls, "
            "adaptive (soft targets from neighbours).",
        ),
    ] = None,
    subset: Subset = None,
    test_subset: Annotated[
        int | None,
        typer.Option("--test-subset", help="Class-balanced number of test examples."),
    ] = None,
    image_size: ImageSize = None,
    map: Map = None,
    features: Features = None,
    test_features: TestFeatures = None,
    probabilities: Probabilities = None,
    eta: Eta = "cross-fitted",
    encoder: Encoder = "pixels",
    recipe: Recipe = "auto",
    network: Network = None,
    epochs: Epochs = None,
    augment: Augment = "auto",
    known_rate: Annotated[
        bool,
        typer.Option(
            "--known-rate",
            help="Tell methods that take a noise rate the labels' true one; else they estimate it.",
        ),
    ] = False,
    epoch: Epoch = "last",
    seed: Seed = 0,
    device: Device = "auto",
    workers: Workers = None,
    executor: Executor = "local",
    gpus_per_run: GpusPerRun = 0.0,
    json: Json = False,
) -> None:
    """Train every method under every noise with every seed, and print the table.

    A run that was stopped goes on where it was; methods, noises and seeds may be added to a run.

    Example: mislabel bench run --data cifar10:PATH --subset 5000 --noise human:random_label1
    --noise cluster:0.35 --method standard --method gce --seeds 2 --out runs/c10

    Example: mislabel bench run --data digits --noise cluster:0.2 --method standard
    --method lra-diffusion --targets snls --targets adaptive --out runs/targets

    Example: mislabel bench run --data cifar10:PATH --noise cluster:0.35 --method standard
    --seeds 20 --executor ray://head:10001 --gpus-per-run 0.25 --out /shared/runs/c10
    """
    from mislabel.benchmark import Grid, run_benchmark
    from mislabel.benchmark.audit import unrecorded_line
    from mislabel.benchmark.results import check_epoch
    from mislabel.benchmark.run import check_shown
    from mislabel.executor import make_executor
    from mislabel.learning import method_with_targets
    from mislabel.learning.adaptive import undetermined_line
    from mislabel.mirror import mirrored

    check_epoch(epoch)
    wanted: Sequence[str | None] = targets or [None]
    grid = Grid(
        data=data,
        noises=noise,
        methods=[method_with_targets(m, t) for m in method for t in wanted],
        seeds=parse_seeds(seeds),
        subset=subset,
        test_subset=test_subset,
        image_size=image_size,
        map=map,
        features=features,
        test_features=test_features,
        probabilities=probabilities,
        eta=eta,
        encoder=encoder,
        seed=seed,
        recipe=recipe,
        network=network,
        epochs=epochs,
        augment=augment,
        known_rate=known_rate,
        device=device,
    )
    check_shown(grid, epoch)
    place = make_executor(executor, gpus=gpus_per_run)
    with mirrored(out) as store:
        with progress_bar() as (say, count):
            results = run_benchmark(
                grid,
                store.path,
                workers=workers,
                executor=place,
                say=say,
                progress=store.after(count),
            )
        warn(unrecorded_line(results))
        for cell in results.cells:
            if (line := undetermined_line(cell.provenance)) is not None:
                warn(f"{cell.method} under {cell.noise}, seed {cell.seed}: {line}")
        show(results, store.path, epoch=epoch, json=json)


@app.command()
def table(
    run: Run,
    format: Annotated[
        str, typer.Option("--format", help="terminal, markdown, latex, csv or json.")
    ] = "terminal",
    epoch: Epoch = "last",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file, not to stdout.")
    ] = None,
    json: Json = False,
) -> None:
    """Print the table of a run: mean ± population deviation of test accuracy over seeds.

    Example: mislabel bench table runs/c10 --format latex --epoch last10
    """
    from mislabel.benchmark import format_table, load_results
    from mislabel.files import write_text
    from mislabel.outputs import check_file

    if output is not None:
        check_file(output, "output")
    text = format_table(load_results(run), "json" if json else format, epoch=epoch)
    if output is None:
        print(text, end="")
    else:
        write_text(output, text)


@app.command()
def report(
    run: Run,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page; RUN/report.html by default.")
    ] = None,
    epoch: Epoch = "last",
    explorer: ExplorerFolder = None,
    data: RunData = None,
    image_size: ImageSize = None,
    json: Json = False,
) -> None:
    """Write the page of a run: one HTML file that opens from disk.

    Example: mislabel bench report runs/c10 -o page.html --explorer labels --data cifar10:PATH
    """
    from mislabel.benchmark import load_results
    from mislabel.benchmark.results import check_epoch
    from mislabel.outputs import check_file
    from mislabel.report import write_benchmark_page

    if output is not None:
        check_file(output, "output")
    page = run / "report.html" if output is None else output
    check_explorer(explorer, page, data=data, image_size=image_size)
    results = load_results(run)
    check_epoch(epoch, results)
    address = None
    if explorer is not None:
        address = _write_explorer(results, explorer, page, data, image_size)
    write_benchmark_page(results, page, epoch=epoch, explorer=address)
    print_pages(page, explorer, json)


def _write_explorer(
    results: "BenchmarkResults", folder: Path, page: Path, data: str | None, image_size: int | None
) -> str:
    from mislabel.explorer.runs import explore_benchmark

    with progress_bar("Exploring") as (say, _):
        say("Loading the examples")
        dataset = examples_again(results.metadata, data, image_size)
        say("Writing the explorer")
        return write_explorer_beside(explore_benchmark(results, dataset), folder, page)


@app.command()
def audit(run: Run, json: Json = False) -> None:
    """Check that no two seeds of a method share initial weights or order.

    Where seeds do, one line on stderr for each, and exit status 1.

    Example: mislabel bench audit runs/c10
    """
    from mislabel.benchmark import load_results
    from mislabel.benchmark.audit import audit_seeds, unrecorded, unrecorded_line

    results = load_results(run)
    findings = audit_seeds(results)
    warn(unrecorded_line(results))
    for finding in findings:
        print(f"mislabel: {finding}", file=sys.stderr)
    missing = len(unrecorded(results))
    audited = len(results.cells) - missing
    if json:
        import json as json_module

        shown = [finding.to_json() for finding in findings]
        print(json_module.dumps({"audited": audited, "unrecorded": missing, "findings": shown}))
    elif not findings:
        print(f"Audited {audited} trainings: no two seeds share initial weights or order.")
    if findings:
        raise typer.Exit(1)


def show(results: "BenchmarkResults", out: Path, *, epoch: str, json: bool) -> None:
    """Write the page, print the table and where the page is."""
    from rich.console import Console

    from mislabel.benchmark import format_table
    from mislabel.benchmark.tables import rich_table
    from mislabel.report import write_benchmark_page

    page = write_benchmark_page(results, out / "report.html", epoch=epoch)
    if json:
        print(format_table(results, "json", epoch=epoch), end="")
        return
    Console().print(rich_table(results, epoch))
    print(f"Page: {page.absolute().as_uri()}")
