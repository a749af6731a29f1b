"""``mislabel train``: train one method on noisy labels; ``mislabel predict``: use what it left."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mislabel.cli.options import (
    Augment,
    Data,
    Device,
    Encoder,
    Epochs,
    Eta,
    Features,
    ImageSize,
    Json,
    Map,
    Network,
    Probabilities,
    Recipe,
    Subset,
    TestFeatures,
    progress_bar,
    warn,
)

if TYPE_CHECKING:
    from mislabel.benchmark import TrainedFolder

INTERRUPTED = 130
SHOWN = 10
"How many of the most suspicious labels are printed."


def train(
    data: Data,
    method: Annotated[
        str, typer.Option("--method", help="Method: standard, gce:q=0.7, snls:k=100, ...")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the results, new or empty.")],
    targets: Annotated[
        str | None,
        typer.Option(
            "--targets",
            help="What standard or lra-diffusion is trained on: labels, snls or adaptive (soft "
            "targets from neighbours).",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="Label file to train on: .npy, .csv, .parquet or .pt."),
    ] = None,
    column: Annotated[
        str | None, typer.Option("--column", help="Which labels of a file with several sets.")
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option("--noise", help="Noise to train under: cluster:0.35, human:random_label1."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a training that was stopped, or begin.")
    ] = False,
    recipe: Recipe = "auto",
    network: Network = None,
    epochs: Epochs = None,
    augment: Augment = "auto",
    selection: Annotated[
        str,
        typer.Option(
            "--selection",
            help="Epoch whose weights are kept: last, or noisy-validation (the best on a tenth of "
            "the noisy labels, held out).",
        ),
    ] = "last",
    subset: Subset = None,
    image_size: ImageSize = None,
    map: Map = None,
    features: Features = None,
    test_features: TestFeatures = None,
    probabilities: Probabilities = None,
    eta: Eta = "cross-fitted",
    encoder: Encoder = "pixels",
    seed: Annotated[int, typer.Option("--seed", help="Of the training.")] = 0,
    data_seed: Annotated[
        int, typer.Option("--data-seed", help="Of what is drawn before: subset, map, noise.")
    ] = 0,
    device: Device = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads", help="Threads of PyTorch; a resumed training keeps those it had."
        ),
    ] = None,
    checkpoint_seconds: Annotated[
        float, typer.Option("--checkpoint-seconds", help="Time between two checkpoints.")
    ] = 30.0,
    logger: Annotated[
        list[str] | None,
        typer.Option(
            "--logger", help="Log the curves, again for each: tensorboard, wandb, mlflow."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Train one method on noisy labels, and keep the model, its curves and a score per label.

    Labels come from --labels, from --noise, or, without both, from the data itself: then they are
    taken to be wrong in places, and scores.csv says where that is likeliest.

    The folder then has model.safetensors and model.json (mislabel.learning.load_method reads
    them), curves.csv, curves.png, scores.csv and receipt.json. A training that was stopped goes
    on with --resume and ends with the same bytes.

    Example: mislabel train --data cifar10:PATH --labels labels.csv --method gce --out runs/gce

    Example: mislabel train --data folder:photos --method elr --out runs/photos --resume

    Example: mislabel train --data digits --noise cluster:0.3 --method snls:k=20
    --selection noisy-validation --logger tensorboard --out runs/snls

    Example: mislabel train --data digits --noise cluster:0.2 --method standard --targets adaptive
    --out runs/adaptive
    """
    from mislabel.benchmark import InputOptions, TrainingPlan, train_to_folder
    from mislabel.learning import method_with_targets
    from mislabel.learning.adaptive import undetermined_line

    inputs = InputOptions(
        data=data,
        subset=subset,
        image_size=image_size,
        map=map,
        features=features,
        probabilities=probabilities,
        eta=eta,
        encoder=encoder,
        seed=data_seed,
        device=device,
    )
    plan = TrainingPlan(
        inputs=inputs,
        method=method_with_targets(method, targets),
        labels=labels,
        column=column,
        noise=noise,
        seed=seed,
        recipe=recipe,
        network=network,
        epochs=epochs,
        augment=augment,
        selection=selection,
        threads=threads,
        test_features=test_features,
    )
    with progress_bar() as (say, count):
        progress = _Progress(say, count)
        try:
            trained = train_to_folder(
                plan,
                out,
                resume=resume,
                loggers=logger or (),
                checkpoint_seconds=checkpoint_seconds,
                watch=progress.watch,
                say=say,
                begin=progress.begin,
            )
        except KeyboardInterrupt:
            stopped = True
        else:
            stopped = False
    if stopped:
        typer.echo("mislabel: stopped; the same command with --resume goes on from here", err=True)
        raise SystemExit(INTERRUPTED)
    warn(undetermined_line(trained.receipt["provenance"]))
    _finish(trained, json)


def predict(
    run: Annotated[Path, typer.Argument(help="Folder of mislabel train.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Probabilities: .npy (M, C) or .csv.")
    ],
    data: Annotated[
        str | None, typer.Option("--data", help="Data whose examples are predicted.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="test or train examples of it.")] = "test",
    images: Annotated[
        Path | None,
        typer.Option(
            "--images", help="In place of data: examples as an array, .npy (M, h, w, c) or (M, d)."
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            "--features", help="Features of the examples, if the method predicts from them."
        ),
    ] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Write class probabilities of examples by a trained method.

    Example: mislabel predict runs/gce --data cifar10:PATH -o probabilities.csv
    """
    from mislabel.benchmark import load_training
    from mislabel.benchmark.prediction import (
        check_probabilities_file,
        predict_array,
        predict_data,
        save_probabilities,
    )
    from mislabel.errors import InputError

    check_probabilities_file(output)
    if (data is None) == (images is None):
        raise InputError("data", data, "give data or images, one of them")
    trained = load_training(run)
    if data is not None:
        found = predict_data(trained, data, split=split, features=features, device=device)
    else:
        assert images is not None
        found = predict_array(trained, images, features=features, device=device)
    save_probabilities(output, found, tuple(trained.receipt["data"]["class_names"]))
    if json:
        import json as json_module

        print(json_module.dumps({"probabilities": str(output), "shape": list(found.shape)}))
    else:
        print(f"{output}: probabilities of {found.shape[0]:,} examples, {found.shape[1]} classes")


class _Progress:
    """Tells the progress bar the epoch, its loss and its accuracy."""

    def __init__(self, say: Any, count: Any) -> None:
        self._say, self._count, self._total = say, count, 0

    def begin(self, total: int) -> None:
        self._total = total
        self._count(0, total)

    def watch(self, epoch: int, values: dict[str, float | None]) -> None:
        self._count(epoch + 1, self._total)
        shown = [
            text.format(values[name])
            for name, text in (
                ("train_loss", "loss {:.3f}"),
                ("train_accuracy", "train {:.1%}"),
                ("test_accuracy", "test {:.1%}"),
            )
            if values.get(name) is not None
        ]
        self._say("Training: " + ", ".join(shown))


def _finish(trained: "TrainedFolder", json: bool) -> None:
    """Draw the curves and print what was found."""
    from mislabel.benchmark.training_folder import PICTURE
    from mislabel.report.figures import save_figure
    from mislabel.report.training import training_figure

    if not (trained.was_finished and (trained.path / PICTURE).is_file()):
        save_figure(training_figure(trained.curves), trained.path / PICTURE)
    if json:
        import json as json_module

        about = {"out": str(trained.path), "was_finished": trained.was_finished}
        print(json_module.dumps(about | dict(trained.receipt), indent=2))
        return
    if trained.was_finished:
        print(f"{trained.path}: this training is finished; nothing was done")
    _print_summary(trained)


def _print_summary(trained: "TrainedFolder") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    receipt, scores = trained.receipt, trained.scores
    for line in _figures(receipt):
        console.print(line, markup=False, soft_wrap=True)
    names = receipt["data"]["class_names"]
    columns = {"label": "label", "predicted_label": "predicted", "clean_label": "clean"}
    table = Table(title=f"the {SHOWN} most suspicious labels")
    for title in ("index", "score", *(t for n, t in columns.items() if n in scores)):
        table.add_column(title, justify="right" if title in ("index", "score") else "left")
    for row in trained.most_suspicious[:SHOWN]:
        words = [escape(str(names[scores[name][row]])) for name in columns if name in scores]
        table.add_row(str(scores["index"][row]), f"{scores['noise_score'][row]:.3f}", *words)
    console.print(table)
    console.print(
        f"{trained.path}: model, curves, scores and receipt", markup=False, soft_wrap=True
    )


def _figures(receipt: Any) -> list[str]:
    """Lines of figures; the best epoch is called what it is."""
    figures, labels = receipt["figures"], receipt["labels"]
    rate = labels["rate"]
    wrong = "" if rate is None else f", {rate:.1%} of them wrong"
    lines = [
        f"{receipt['method']['title']} on {labels['n_examples']:,} labels{wrong}, epoch "
        f"{receipt['selected_epoch']} of {receipt['identity']['recipe']['epochs']}",
    ]
    if receipt["noise_rate"] is not None:
        rate = receipt["noise_rate"]
        lines.append(f"  noise rate {rate['value']:.3f}, {rate['source']}")
    if figures["train_accuracy"] is not None:
        lines.append(f"  train accuracy {figures['train_accuracy']:.2%} (against the given labels)")
    if figures["test_accuracy"] is not None:
        tested = figures["test_accuracy"]
        chosen = f"selected {tested['selected']:.2%}, " if "selected" in tested else ""
        lines.append(
            f"  test accuracy {chosen}last {tested['last']:.2%}, last10 {tested['last10']:.2%}, "
            f"best {tested['best']:.2%} (selected on the test set)"
        )
    if figures["noise_score_auc"] is not None:
        lines.append(
            f"  a wrong label has the higher score in {figures['noise_score_auc']:.1%} of pairs"
        )
    return lines
