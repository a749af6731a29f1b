"""The grid: what a benchmark runs. Data x noise x method x seed."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from mislabel.errors import InputError
from mislabel.features import canonical_encoder
from mislabel.learning import METHODS, NoisyLabelClassifier, make_method, make_recipe
from mislabel.learning.networks import check_network
from mislabel.noise import NOISE, Human, NoiseModel, make_noise
from mislabel.noise.human import HUMAN_SETS, find_human_file
from mislabel.seeds import check_seed
from mislabel.specs import canonical_spec, split_spec


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What to run.

    data: a data spec ("digits", "cifar10:PATH"). noises, methods: specs, "cluster:0.35",
    "snls:k=20". seeds: one training per seed. subset: class-balanced size of the training set.
    map, features: files that stand in for the computed map and for the encoder's features; a
    given map also serves methods and probabilities when no features are given.
    seed: of everything drawn once, subset, map and noise; labels are the same for all methods
    and seeds. recipe, network, epochs: of all trainings, unless a method's spec says otherwise.
    device: "auto", "cpu" or "cuda".
    """

    data: str
    noises: Sequence[str]
    methods: Sequence[str]
    seeds: Sequence[int]
    subset: int | None = None
    image_size: int | None = None
    map: Path | None = None
    features: Path | None = None
    encoder: str = "pixels"
    seed: int = 0
    recipe: str = "auto"
    network: str | None = None
    epochs: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        for name in ("noises", "methods", "seeds"):
            if not getattr(self, name):
                raise InputError(name, [], "needs at least one")
        for seed in (self.seed, *self.seeds):
            check_seed(seed)
        set_ = object.__setattr__
        set_(self, "noises", _unique([canonical_noise(spec) for spec in self.noises]))
        set_(self, "methods", _unique([canonical_method(spec) for spec in self.methods]))
        set_(self, "seeds", _unique(list(self.seeds)))
        set_(self, "encoder", canonical_encoder(self.encoder))

    @property
    def data_path(self) -> Path | None:
        """The path in the data spec, if there is one."""
        _, path = split_spec(self.data, "data")
        return Path(path) if path else None

    def noise(self, spec: str) -> NoiseModel:
        """The noise model of a spec; human label files are looked for beside the data too."""
        model = make_noise(spec)
        if isinstance(model, Human) and model.file is None and model.which in HUMAN_SETS:
            near = [] if self.data_path is None else [self.data_path]
            return replace(model, file=find_human_file(HUMAN_SETS[model.which], *near))
        return model

    def method(self, spec: str, seed: int, augment: str) -> NoisyLabelClassifier:
        """The estimator of a method's spec for a seed."""
        return make_method(
            spec,
            seed=seed,
            augment=augment,
            device=self.device,
            recipe=self.recipe,
            network=self.network,
            epochs=self.epochs,
        )

    def check_methods(self, example_shape: tuple[int, ...]) -> None:
        """Raise `InputError` for parameters of methods that break their rule, before work."""
        for spec in self.methods:
            estimator = self.method(spec, self.seeds[0], "none")
            estimator.check_parameters()
            recipe = make_recipe(
                estimator.recipe,
                example_shape=example_shape,
                network=estimator.network,
                epochs=estimator.epochs,
            )
            check_network(recipe.network, example_shape)

    def command(self) -> str:
        """The command of this grid without ``--out``; names of files without their folders."""
        name, _ = split_spec(self.data, "data")
        path = self.data_path
        words = ["mislabel", "bench", "run", "--data", f"{name}:{path.name}" if path else name]
        for field in OPTIONS:
            value = getattr(self, field.name)
            if value != field.default:
                text = value.name if isinstance(value, Path) else str(value)
                words += [f"--{field.name.replace('_', '-')}", text]
        for option, specs in (("--noise", self.noises), ("--method", self.methods)):
            words += [word for spec in specs for word in (option, spec)]
        seeds = ",".join(map(str, self.seeds)) + ("," if len(self.seeds) == 1 else "")
        return shlex.join([*words, "--seeds", seeds, "--seed", str(self.seed)])


OPTIONS = tuple(
    field
    for field in fields(Grid)
    if field.name not in ("data", "noises", "methods", "seeds", "seed", "device")
)
"What a command names only where it is not the default; the device changes no meaning."


def canonical_noise(spec: str) -> str:
    """The spec of a noise model in its one form."""
    record = NOISE[split_spec(spec, "noise")[0]]
    return canonical_spec(spec, record.model, positional=record.positional, argument="noise")


def canonical_method(spec: str) -> str:
    """The spec of a method in its one form."""
    record = METHODS[split_spec(spec, "method")[0]]
    return canonical_spec(
        spec, record.estimator, positional=record.positional, argument="method", named=True
    )


def _unique(values: list[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))
