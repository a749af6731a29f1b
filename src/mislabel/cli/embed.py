"""``mislabel embed``: features of the examples by an encoder, as a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mislabel.cli.options import Data, Device, ImageSize, Json, Subset, progress_bar

if TYPE_CHECKING:
    from mislabel.data import Dataset
    from mislabel.features import Encoding

SPLITS = ("train", "test")


def embed(
    data: Data,
    encoder: Annotated[
        str,
        typer.Option(
            "--encoder",
            help="pixels, clip:ViT-B/32, clip:ViT-L/14, clip:ID, hf:ID (an id on the Hub or a "
            "folder), simclr:epochs=100, patches:components=512.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Feature file: .npy or .safetensors.")
    ],
    split: Annotated[str, typer.Option("--split", help="train or test examples.")] = "train",
    subset: Subset = None,
    image_size: ImageSize = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help="Examples at a time; it changes no result.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the subset.")] = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Write features (N, d) of the examples, in their order, for --features and for noise.

    An embedding that was stopped goes on where it was, and one that was made before is taken
    from the cache. An encoder that learns (pixels, patches, simclr) learns from the training
    examples for either split.

    Example: mislabel embed --data cifar10:PATH --encoder clip:ViT-B/32 -o clip.npy
    """
    from mislabel.data import load_data
    from mislabel.features import EncoderRun, canonical_encoder, make_encoding
    from mislabel.features.base import check_choice
    from mislabel.features.output import check_features_file, save_features

    check_features_file(output, "output")
    check_choice("split", split, SPLITS)
    EncoderRun(batch_size=batch_size)
    spec = canonical_encoder(encoder)
    with progress_bar("Encoding") as (say, count):
        say(f"Loading {data}")
        dataset = load_data(data, subset=subset, seed=seed, image_size=image_size)
        examples = dataset.x_train if split == "train" else dataset.x_test
        fit_on = None if split == "train" else dataset.x_train
        say(f"Preparing {spec}")
        encoding = make_encoding(spec, examples, fit_on=fit_on, device=device)
        features = encoding.features(batch_size=batch_size, progress=count)
    receipt = save_features(output, features, _receipt(encoding, dataset, split, subset, seed))
    _print(output, receipt, json)


def _receipt(
    encoding: "Encoding", dataset: "Dataset", split: str, subset: int | None, seed: int
) -> dict[str, Any]:
    """Where the features come from."""
    return encoding.key | {
        "data": dataset.name,
        "data_sha256": dataset.fingerprint,
        "split": split,
        "subset": subset,
        "seed": seed,
    }


def _print(output: Path, receipt: dict[str, Any], json: bool) -> None:
    if json:
        import json as json_module

        print(json_module.dumps({"features": str(output)} | receipt, indent=2))
        return
    rows, columns = receipt["shape"]
    print(f"{output}: {rows:,} x {columns} features ({receipt['encoder']})")
