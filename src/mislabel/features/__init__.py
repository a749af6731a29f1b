"""Representations of examples: encoders, nearest neighbours and two-dimensional maps.

Adding an encoder: one new file with a `RECORD` and one line in `ENCODERS`.
"""

from mislabel.features import pixels
from mislabel.features.base import Encoder, EncoderRecord, encode, load_features, load_map
from mislabel.features.maps import tsne_map
from mislabel.features.neighbors import nearest_neighbors
from mislabel.registry import Registry

ENCODERS = Registry[EncoderRecord]("encoder", [pixels.RECORD])
"All encoders. A new one is a new file and one line here."

__all__ = [
    "ENCODERS",
    "Encoder",
    "EncoderRecord",
    "encode",
    "load_features",
    "load_map",
    "nearest_neighbors",
    "tsne_map",
]
