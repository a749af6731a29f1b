"""Representations of examples: encoders, nearest neighbours and two-dimensional maps.

Adding an encoder: one new file with a `RECORD` and one line in `ENCODERS`.
"""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from mislabel.features import clip, hf, patches, pixels, simclr
from mislabel.features.base import (
    Encoder,
    EncoderRecord,
    EncoderRun,
    Encoding,
    Features,
    load_features,
    load_map,
)
from mislabel.features.maps import tsne_map
from mislabel.features.neighborhood import Neighborhood
from mislabel.features.neighbors import nearest_neighbors
from mislabel.registry import Registry
from mislabel.specs import canonical_spec, parse_parameters, split_spec

ENCODERS = Registry[EncoderRecord](
    "encoder", [pixels.RECORD, patches.RECORD, clip.RECORD, hf.RECORD, simclr.RECORD]
)
"All encoders. A new one is a new file and one line here."


def make_encoder(spec: str) -> Encoder:
    """The encoder of a spec: ``pixels``, ``clip:ViT-L/14``, ``hf:OWNER/NAME``, ``simclr:50``."""
    name, rest = split_spec(spec, "encoder")
    record = ENCODERS[name]
    parameters = parse_parameters(
        rest, record.build, positional=record.positional, argument="encoder", spec=spec
    )
    return record.build(**parameters)


def canonical_encoder(spec: str) -> str:
    """The spec in its one form; an `InputError` where there is no such encoder."""
    record = ENCODERS[split_spec(spec, "encoder")[0]]
    return canonical_spec(spec, record.build, positional=record.positional, argument="encoder")


def encode(
    spec: str,
    examples: NDArray[Any],
    *,
    fit_on: NDArray[Any] | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Features:
    """(N, d) float32 features of N examples by a spec's encoder, from the cache when there.

    fit_on: examples from which an encoder that learns (`pixels`, `simclr`) learns; by default
    the examples themselves. A computation that was killed goes on where it was.
    """
    encoding = make_encoding(spec, examples, fit_on=fit_on, device=device)
    return encoding.features(batch_size=batch_size, progress=progress)


def make_encoding(
    spec: str,
    examples: NDArray[Any],
    *,
    fit_on: NDArray[Any] | None = None,
    device: str = "auto",
) -> Encoding:
    """What `encode` computes, before it does: its key says what the features depend on."""
    return Encoding(
        record=ENCODERS[split_spec(spec, "encoder")[0]],
        encoder=make_encoder(spec),
        examples=examples,
        fit_on=fit_on,
        device=device,
    )


__all__ = [
    "ENCODERS",
    "Encoder",
    "EncoderRecord",
    "EncoderRun",
    "Encoding",
    "Neighborhood",
    "canonical_encoder",
    "encode",
    "load_features",
    "load_map",
    "make_encoder",
    "make_encoding",
    "nearest_neighbors",
    "tsne_map",
]
