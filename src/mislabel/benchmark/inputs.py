"""Everything a grid needs before the first training: data, features, map, labels."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.benchmark.grid import Grid
from mislabel.cache import cached_array
from mislabel.data import Dataset, load_data
from mislabel.features import encode, load_features, load_map, tsne_map
from mislabel.files import hash_array
from mislabel.labels import NoisyLabels
from mislabel.noise import cross_fitted_probabilities
from mislabel.specs import split_spec
from mislabel.versions import library_versions

Say = Callable[[str], None]
"Called with what is being done, for progress."


@dataclass(frozen=True)
class Inputs:
    """The inputs of a grid, each computed when first asked for and then kept.

    say: told what is being done when it may take a while.
    """

    grid: Grid
    dataset: Dataset
    say: Say

    @classmethod
    def load(cls, grid: Grid, say: Say = lambda _: None) -> "Inputs":
        """Load the data of a grid; the files it names are read and checked at once."""
        say(f"Loading {split_spec(grid.data, 'data')[0]}")
        dataset = load_data(
            grid.data, subset=grid.subset, seed=grid.seed, image_size=grid.image_size
        )
        inputs = cls(grid, dataset, say)
        _ = inputs.given_map, inputs.given_features
        grid.check_methods(dataset.x_train.shape[1:])
        return inputs

    @cached_property
    def given_map(self) -> NDArray[np.float32] | None:
        """(N, 2) map from the user's file."""
        return None if self.grid.map is None else self.dataset.align(load_map(self.grid.map), "map")

    @cached_property
    def given_features(self) -> NDArray[np.float32] | None:
        """(N, d) features from the user's file."""
        path = self.grid.features
        return None if path is None else self.dataset.align(load_features(path), "features")

    @cached_property
    def encoded(self) -> NDArray[np.float32]:
        """(N, d) features by the encoder."""
        self.say(f"Encoding {len(self.dataset)} examples ({self.grid.encoder})")
        return encode(self.grid.encoder, self.dataset.x_train, device=self.grid.device)

    @property
    def features(self) -> NDArray[np.float32]:
        """(N, d) features for methods and probabilities: given features, given map, encoder's."""
        if self.given_features is not None:
            return self.given_features
        return self.encoded if self.given_map is None else self.given_map

    @cached_property
    def map(self) -> NDArray[np.float32]:
        """(N, 2) the given map, or a t-SNE map of the features."""
        if self.given_map is not None:
            return self.given_map
        features = self.encoded if self.given_features is None else self.given_features
        self.say(f"Drawing the map of {len(features)} examples (t-SNE)")
        return tsne_map(features, seed=self.grid.seed)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """(N, C) cross-fitted class probabilities."""
        dataset, seed = self.dataset, self.grid.seed
        self.say("Estimating class probabilities (cross-fitted)")
        key = {
            "features": hash_array(self.features),
            "labels": hash_array(dataset.y_train),
            "n_classes": dataset.n_classes,
            "seed": seed,
            "versions": library_versions("numpy", "scikit-learn"),
        }
        return cached_array(
            "probabilities",
            key,
            lambda: cross_fitted_probabilities(
                self.features, dataset.y_train, n_classes=dataset.n_classes, seed=seed
            ),
        )

    def draw(self, spec: str) -> NoisyLabels:
        """The labels of one noise of the grid."""
        model = self.grid.noise(spec)
        sources = {"positions": "map", "probabilities": "probabilities", "features": "features"}
        given = {name: getattr(self, sources[name]) for name in model.used_inputs()}
        self.say(f"Drawing {spec}")
        return model.corrupt(
            self.dataset.y_train,
            n_classes=self.dataset.n_classes,
            indices=self.dataset.train_indices,
            n_total=self.dataset.n_train_total,
            seed=self.grid.seed,
            **given,
        )

    def identity(self) -> dict[str, Any]:
        """What a run folder is tied to, as JSON values; other values belong in another folder."""
        return {
            "data": self.dataset.name,
            "data_sha256": self.dataset.fingerprint,
            "subset": self.grid.subset,
            "seed": self.grid.seed,
            "map_sha256": _hash(self.given_map),
            "features_sha256": _hash(self.given_features),
            "encoder": self.grid.encoder,
        }


def _hash(array: NDArray[Any] | None) -> str | None:
    return None if array is None else hash_array(array)
