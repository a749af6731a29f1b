"""What labels are drawn from: data, features, map and class probabilities.

`InputOptions` says which; they are the options that the commands share. `LabelInputs` computes
each when it is first asked for, and draws labels. `Inputs` are those of a whole grid.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from mislabel.cache import cache_folder, cached_array
from mislabel.data import Dataset, load_data
from mislabel.errors import InputError
from mislabel.features import canonical_encoder, encode, load_features, load_map, tsne_map
from mislabel.files import hash_array, hash_json
from mislabel.labels import NoisyLabels, Receipt
from mislabel.noise import EtaSource, Human, NoiseModel, canonical_eta, make_eta, make_noise
from mislabel.noise.base import check_probabilities
from mislabel.noise.eta import EtaRun
from mislabel.noise.eta_sources import DEFAULT_ETA
from mislabel.noise.human import HUMAN_SETS, find_human_file
from mislabel.outputs import check_folder
from mislabel.seeds import check_seed
from mislabel.specs import split_spec

if TYPE_CHECKING:
    from mislabel.benchmark.grid import Grid

Say = Callable[[str], None]
"Called with what is being done, for progress."


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """What labels are drawn from.

    data: a data spec ("digits", "cifar10:PATH"). subset, test_subset: class-balanced sizes of the
    training and the test set.
    map, features: files that stand in for the computed map and for the encoder's features; a
    given map also serves methods and probabilities when no features are given.
    probabilities: file of class probabilities (N, C), for noise that reads them. eta: where they
    come from otherwise, "cross-fitted" or "network:epochs=25".
    seed: of everything drawn once, subset, map, probabilities and noise.
    device: "auto", "cpu" or "cuda".
    """

    data: str
    subset: int | None = None
    test_subset: int | None = None
    image_size: int | None = None
    map: Path | None = None
    features: Path | None = None
    probabilities: Path | None = None
    eta: str = DEFAULT_ETA
    encoder: str = "pixels"
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        check_seed(self.seed)
        object.__setattr__(self, "encoder", canonical_encoder(self.encoder))
        object.__setattr__(self, "eta", canonical_eta(self.eta))
        if self.probabilities is not None and self.eta != DEFAULT_ETA:
            raise InputError("eta", self.eta, "goes without a file of probabilities; give one")

    @property
    def data_path(self) -> Path | None:
        """The path in the data spec, if there is one."""
        _, path = split_spec(self.data, "data")
        return Path(path) if path else None

    def noise(self, noise: str | NoiseModel) -> NoiseModel:
        """The noise model of a spec; human label files are looked for beside the data too."""
        model = make_noise(noise) if isinstance(noise, str) else noise
        if isinstance(model, Human) and model.file is None and model.which in HUMAN_SETS:
            near = [] if self.data_path is None else [self.data_path]
            return replace(model, file=find_human_file(HUMAN_SETS[model.which], *near))
        return model


@dataclass(frozen=True)
class LabelInputs:
    """The inputs of draws, each computed when first asked for and then kept.

    say: told what is being done when it may take a while.
    """

    options: InputOptions
    dataset: Dataset
    say: Say

    @classmethod
    def load(cls, options: InputOptions, say: Say = lambda _: None) -> Self:
        """Load the data; the files that the options name are read and checked at once."""
        say(f"Loading {split_spec(options.data, 'data')[0]}")
        dataset = load_data(
            options.data,
            subset=options.subset,
            test_subset=options.test_subset,
            seed=options.seed,
            image_size=options.image_size,
        )
        inputs = cls(options, dataset, say)
        _ = inputs.given_map, inputs.given_features, inputs.given_probabilities
        make_eta(options.eta).check(dataset.x_train.shape[1:])
        return inputs

    @property
    def own_labels(self) -> NoisyLabels:
        """The data's labels as they are, of which nobody knows which are wrong."""
        own = Receipt(generator="data", inputs={"data": self.dataset.fingerprint})
        return NoisyLabels(self.dataset.y_train, n_classes=self.dataset.n_classes, receipt=own)

    @cached_property
    def given_map(self) -> NDArray[np.float32] | None:
        """(N, 2) map from the user's file."""
        path = self.options.map
        return None if path is None else self.dataset.align(load_map(path), "map")

    @cached_property
    def given_features(self) -> NDArray[np.float32] | None:
        """(N, d) features from the user's file."""
        path = self.options.features
        return None if path is None else self.dataset.align(load_features(path), "features")

    @cached_property
    def given_probabilities(self) -> NDArray[np.float64] | None:
        """(N, C) class probabilities from the user's file, checked as a draw would."""
        path, name = self.options.probabilities, "probabilities"
        if path is None:
            return None
        rows = self.dataset.align(load_features(path, name), name)
        return check_probabilities(rows, len(self.dataset), self.dataset.n_classes)

    @cached_property
    def encoded(self) -> NDArray[np.float32]:
        """(N, d) features by the encoder."""
        self.say(f"Encoding {len(self.dataset)} examples ({self.options.encoder})")
        return encode(self.options.encoder, self.dataset.x_train, device=self.options.device)

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
        return tsne_map(features, seed=self.options.seed)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """(N, C) the given class probabilities, or those of the eta source, from the cache."""
        if self.given_probabilities is not None:
            return self.given_probabilities
        source, key = make_eta(self.options.eta), self.eta_key()
        rows, kept = self._eta_rows(source), _checkpoint(f"eta-{hash_json(key)[:32]}.kept")
        run = replace(self._eta_run(), checkpoint=kept)
        found = cached_array(
            "eta", key, lambda: source.probabilities(rows, self.dataset.y_train, run)
        )
        if kept is not None:
            kept.unlink(missing_ok=True)
        return found

    def eta_key(self) -> dict[str, Any]:
        """Everything that the eta source's probabilities depend on, as JSON values."""
        source = make_eta(self.options.eta)
        rows = self._eta_rows(source)
        return {
            "eta": split_spec(self.options.eta, "eta")[0],
            "settings": source.key(rows.shape[1:], self._eta_run()),
            "rows": hash_array(rows),
            "labels": hash_array(self.dataset.y_train),
            "n_classes": self.dataset.n_classes,
            "seed": self.options.seed,
        }

    def _eta_rows(self, source: EtaSource) -> NDArray[Any]:
        return self.features if source.reads == "features" else self.dataset.x_train

    def _eta_run(self) -> EtaRun:
        return EtaRun(
            n_classes=self.dataset.n_classes,
            seed=self.options.seed,
            augment=self.dataset.augment,
            device=self.options.device,
            say=self.say,
        )

    def draw(self, noise: str | NoiseModel, *, seed: int | None = None) -> NoisyLabels:
        """The labels of a noise, by its spec or its model; by default drawn with the own seed."""
        model = self.options.noise(noise)
        sources = {"positions": "map", "probabilities": "probabilities", "features": "features"}
        given = {name: getattr(self, sources[name]) for name in model.used_inputs()}
        self.say(f"Drawing {noise if isinstance(noise, str) else noise.name}")
        return model.corrupt(
            self.dataset.y_train,
            n_classes=self.dataset.n_classes,
            indices=self.dataset.train_indices,
            n_total=self.dataset.n_train_total,
            seed=self.options.seed if seed is None else seed,
            **given,
        )


@dataclass(frozen=True)
class Inputs(LabelInputs):
    """Everything that a grid needs before its first training."""

    options: "Grid"

    @cached_property
    def given_test_features(self) -> NDArray[np.float32] | None:
        """(M, d) features of the test examples from the user's file."""
        path, name = self.options.test_features, "test_features"
        if path is None or self.given_features is None:
            return None
        rows, width = load_features(path, name), self.given_features.shape[1]
        if len(rows) != len(self.dataset.y_test):
            rule = f"must have one row per test example: {len(self.dataset.y_test)}"
            raise InputError(name, f"{len(rows)} rows", rule)
        if rows.shape[1] != width:
            raise InputError(name, f"{rows.shape[1]} columns", f"must have {width}, as features")
        return rows

    @cached_property
    def guidance(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(N, d) and (M, d) features of training and test examples, for methods that predict from
        features: those given for both, or else the encoder's, which learns from the training ones.
        """
        if self.given_features is not None and self.given_test_features is not None:
            return self.given_features, self.given_test_features
        options, dataset = self.options, self.dataset
        self.say(f"Encoding {len(dataset.y_test)} test examples ({options.encoder})")
        test = encode(
            options.encoder, dataset.x_test, fit_on=dataset.x_train, device=options.device
        )
        return self.encoded, test

    @property
    def grid(self) -> "Grid":
        """The grid whose inputs these are."""
        return self.options

    @classmethod
    def load(cls, options: InputOptions, say: Say = lambda _: None) -> Self:
        """As for labels; the parameters of the grid's methods are checked for these examples."""
        inputs = super().load(options, say)
        _ = inputs.given_test_features
        inputs.grid.check_methods(inputs.dataset.x_train.shape[1:])
        return inputs

    def identity(self) -> dict[str, Any]:
        """What a run folder is tied to, as JSON values; other values belong in another folder.

        What is None was not given; folders of earlier versions lack some of these.
        """
        options = self.options
        return {
            "data": self.dataset.name,
            "data_sha256": self.dataset.fingerprint,
            "subset": options.subset,
            "seed": options.seed,
            "map_sha256": _hash(self.given_map),
            "features_sha256": _hash(self.given_features),
            "test_features_sha256": _hash(self.given_test_features),
            "probabilities_sha256": _hash(self.given_probabilities),
            "encoder": options.encoder,
            "eta": None if options.eta == DEFAULT_ETA else options.eta,
        }


def _checkpoint(name: str) -> Path | None:
    """Where a long computation may be kept; None where the cache cannot be written."""
    try:
        check_folder(cache_folder(), "cache")
    except InputError:
        return None
    return cache_folder() / name


def _hash(array: NDArray[Any] | None) -> str | None:
    return None if array is None else hash_array(array)
