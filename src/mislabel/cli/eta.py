"""``mislabel noise eta``: class probabilities by an eta source, as a file to keep."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mislabel.cli.options import (
    Data,
    Device,
    Encoder,
    Eta,
    Features,
    ImageSize,
    Json,
    Map,
    Seed,
    Subset,
    progress_bar,
)

if TYPE_CHECKING:
    from mislabel.benchmark.inputs import LabelInputs


def eta(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file: .npy or .safetensors.")],
    eta: Eta = "cross-fitted",
    subset: Subset = None,
    image_size: ImageSize = None,
    map: Map = None,
    features: Features = None,
    encoder: Encoder = "pixels",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Write the class probabilities (N, C) that pmd is made of, for --probabilities.

    They are those that the commands for noise use with the same options, so that the file makes
    the same labels. cross-fitted reads the features (or the map), network the examples.

    Example: mislabel noise eta --data cifar10:PATH --eta network:cnn -o eta.npy
    """
    from mislabel.benchmark.inputs import InputOptions, LabelInputs
    from mislabel.features.output import check_features_file, save_features

    check_features_file(output, "output")
    options = InputOptions(
        data=data,
        subset=subset,
        image_size=image_size,
        map=map,
        features=features,
        eta=eta,
        encoder=encoder,
        seed=seed,
        device=device,
    )
    with progress_bar() as (say, _):
        inputs = LabelInputs.load(options, say)
        probabilities = inputs.probabilities
    receipt = save_features(output, probabilities.astype("float32"), _receipt(inputs))
    _print(inputs, output, receipt, json)


def _receipt(inputs: "LabelInputs") -> dict[str, Any]:
    """Where the probabilities come from."""
    return inputs.eta_key() | {
        "eta": inputs.options.eta,
        "data": inputs.dataset.name,
        "data_sha256": inputs.dataset.fingerprint,
        "subset": inputs.options.subset,
    }


def _print(inputs: "LabelInputs", output: Path, receipt: dict[str, Any], json: bool) -> None:
    from mislabel.noise.eta import describe_probabilities

    found = describe_probabilities(inputs.probabilities, inputs.dataset.y_train)
    if json:
        import json as json_module

        print(json_module.dumps({"probabilities": str(output)} | receipt | found, indent=2))
        return
    rows, columns = receipt["shape"]
    print(
        f"{output}: {rows:,} x {columns} probabilities ({receipt['eta']}); the likeliest class is "
        f"right for {found['accuracy']:.1%}, mean margin {found['mean_margin']:.3f}"
    )
