"""Hybrid noise: any two or more kinds in sequence, ``hybrid:pmd:0.35+symmetric:0.3``.

Source: the PLC paper (Zhang et al. 2021) follows PMD noise by uniform or asymmetric noise at a
second rate. Each stage takes the labels of the one before as if they were clean, and its rate is
exact with respect to them; a later stage may turn a wrong label right again, so the rate overall
is less than the sum. The realised rate is in the receipt.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from mislabel.errors import InputError
from mislabel.noise.base import IntArray, NoiseModel, NoiseRecord, Problem
from mislabel.seeds import generator


@dataclass(frozen=True, kw_only=True)
class Hybrid(NoiseModel):
    """Noise models in sequence.

    stages: two or more specs joined by "+", in order, "pmd:0.35+symmetric:0.3" say. Within a
    stage ";" stands for ",", as in "pmd:0.35;type=2+symmetric:0.3".
    """

    name: ClassVar[str] = "hybrid"
    stages: str

    @cached_property
    def models(self) -> tuple[NoiseModel, ...]:
        """The stages as noise models."""
        from mislabel.noise import make_noise

        specs = [part.strip().replace(";", ",") for part in self.stages.split("+")]
        if len(specs) < 2 or not all(specs):
            raise InputError("stages", self.stages, "must be two or more specs joined by +")
        models = tuple(make_noise(spec) for spec in specs)
        if any(isinstance(model, Hybrid) for model in models):
            raise InputError("stages", self.stages, "must not hold a hybrid")
        return models

    def check_parameters(self) -> None:
        for model in self.models:
            model.check_parameters()

    def used_inputs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for m in self.models for name in m.used_inputs()))

    def _corrupt(self, problem: Problem) -> IntArray:
        labels = problem.clean_labels
        for number, model in enumerate(self.models):
            rng = generator(problem.seed, "noise", self.name, str(number), model.name)
            labels = model._corrupt(replace(problem, clean_labels=labels, rng=rng))
        return labels

    def _input_hashes(self, problem: Problem) -> dict[str, str]:
        hashes: dict[str, str] = {}
        for number, model in enumerate(self.models):
            for name, value in model._input_hashes(problem).items():
                hashes[f"file {number}" if name == "file" else name] = value
        return hashes


RECORD = NoiseRecord(
    name=Hybrid.name,
    title="Hybrid",
    paper="Zhang et al. 2021 (PLC)",
    model=Hybrid,
    positional="stages",
    example="hybrid:pmd:0.2+symmetric:0.2",
    advice="one kind of noise on top of another, as data that passed through several hands",
)
