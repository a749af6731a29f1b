"""Files of features: ``.npy`` or ``.safetensors``, written atomically, with a receipt beside.

The receipt of ``features.npy`` is ``features.npy.receipt.json``; it says by which encoder, from
which data and with which versions the features were made.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mislabel.errors import InputError
from mislabel.features.base import Features
from mislabel.features.weights import extra
from mislabel.files import atomic_path, hash_array, write_json
from mislabel.outputs import check_file

SUFFIXES = (".npy", ".safetensors")


def check_features_file(path: Path, argument: str) -> None:
    """Raise `InputError` where features cannot be written at `path`, before any work."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(argument, str(path), f"unknown format; use {' or '.join(SUFFIXES)}")
    check_file(path, argument)
    if path.suffix.lower() == ".safetensors":
        extra("safetensors.numpy")


def save_features(path: Path, features: Features, receipt: Mapping[str, Any]) -> dict[str, Any]:
    """Write features (N, d) and their receipt, which is returned with shape and hash."""
    check_features_file(path, "output")
    with atomic_path(path) as temporary:
        if path.suffix.lower() == ".npy":
            with temporary.open("wb") as file:
                np.save(file, features, allow_pickle=False)
        else:
            content = extra("safetensors.numpy").save({"features": np.ascontiguousarray(features)})
            temporary.write_bytes(content)
    whole = {
        "format": 1,
        **receipt,
        "shape": list(features.shape),
        "dtype": str(features.dtype),
        "features_sha256": hash_array(features),
    }
    write_json(path.with_name(f"{path.name}.receipt.json"), whole)
    return whole
