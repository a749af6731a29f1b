"""The grid: what a benchmark runs. Data x noise x method x seed."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mislabel.benchmark.inputs import InputOptions
from mislabel.errors import InputError
from mislabel.learning import METHODS, SHARED_PARAMETERS, NoisyLabelClassifier, make_method
from mislabel.learning.networks import check_network
from mislabel.learning.recipes import check_augment
from mislabel.noise import canonical_noise
from mislabel.seeds import check_seed
from mislabel.specs import canonical_spec, split_spec


@dataclass(frozen=True, kw_only=True)
class Grid(InputOptions):
    """What to run, on the inputs that `InputOptions` describes.

    noises, methods: specs, "cluster:0.35", "snls:k=20". seeds: one training per seed; labels are
    the same for all methods and seeds. recipe, network, epochs: of all trainings, unless a
    method's spec says otherwise. augment: "auto" crops and flips where the data set says that this
    keeps a class; "none" or "crop-flip" for all. known_rate: tell the methods that take a noise
    rate the rate that the labels really have, as papers often do; otherwise they estimate it.
    test_features: file of the test examples' features, beside `features`, for methods that predict
    from them; without it these take the encoder's features to predict from, of both, and the given
    features or map only to look for neighbours.
    """

    noises: Sequence[str]
    methods: Sequence[str]
    seeds: Sequence[int]
    recipe: str = "auto"
    network: str | None = None
    epochs: int | None = None
    augment: str = "auto"
    known_rate: bool = False
    test_features: Path | None = None

    def __post_init__(self) -> None:
        for name in ("noises", "methods", "seeds"):
            if not getattr(self, name):
                raise InputError(name, [], "needs at least one")
        if self.test_features is not None and self.features is None:
            rule = "goes with features of the training set; give features"
            raise InputError("test_features", str(self.test_features), rule)
        for seed in (self.seed, *self.seeds):
            check_seed(seed)
        check_augment(self.augment)
        set_ = object.__setattr__
        set_(self, "noises", _unique([canonical_noise(spec) for spec in self.noises]))
        set_(self, "methods", _unique([canonical_method(spec) for spec in self.methods]))
        set_(self, "seeds", _unique(list(self.seeds)))
        super().__post_init__()

    def method(self, spec: str, seed: int, augment: str) -> NoisyLabelClassifier:
        """The estimator of a method's spec for a seed."""
        return make_method(
            spec,
            seed=seed,
            augment=augment if self.augment == "auto" else self.augment,
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
            recipe = estimator.resolve_recipe(example_shape)
            check_network(recipe.network, example_shape)

    def command(self) -> str:
        """The command of this grid without ``--out``; names of files without their folders."""
        name, _ = split_spec(self.data, "data")
        path = self.data_path
        words = ["mislabel", "bench", "run", "--data", f"{name}:{path.name}" if path else name]
        for field in OPTIONS:
            value = getattr(self, field.name)
            if value is True:
                words.append(f"--{field.name.replace('_', '-')}")
            elif value != field.default:
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


def canonical_method(spec: str) -> str:
    """The spec of a method in its one form; what goes before the grid's own stays spelled out."""
    record = METHODS[split_spec(spec, "method")[0]]
    return canonical_spec(
        spec,
        record.estimator,
        positional=record.positional,
        argument="method",
        named=True,
        kept=frozenset({"recipe", "network", "epochs", "precision"}),
        hidden=SHARED_PARAMETERS,
    )


def _unique(values: list[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))
