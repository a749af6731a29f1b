"""Suites: named and versioned lists of noises and seeds that training code is put through.

A cell of a suite is one noise at one seed, and the seed is of both, the draw of the labels and the
training: what an interval over seeds then covers is "labels like these", not one draw of them. The
version goes up whenever the content of a named suite changes, so that figures which name a suite
can be compared. ``clean`` is in every suite, since a drop is measured against it.

To add one: an entry in `SUITES`. Files of the user's: `mislabel.stress.suite_file`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mislabel.errors import InputError, did_you_mean
from mislabel.noise import NOISE, canonical_noise, make_noise
from mislabel.seeds import check_seed
from mislabel.specs import format_spec, parse_parameters, split_spec

CLEAN = "clean"


@dataclass(frozen=True, kw_only=True)
class Suite:
    """What to put training code through.

    noises: specs, "human-like:0.2", brought into one form; clean comes first and is added where it
    is missing. seeds: one training per noise and seed. thresholds: texts such as ``drop <= 0.05 at
    symmetric:0.1`` (`mislabel.stress.thresholds`), for suites from files. about: one line.
    """

    name: str
    version: int
    noises: Sequence[str]
    seeds: Sequence[int]
    thresholds: Sequence[str] = ()
    about: str = ""

    def __post_init__(self) -> None:
        if not self.noises:
            raise InputError("noises", [], "needs at least one")
        if not self.seeds:
            raise InputError("seeds", [], "needs at least one")
        for seed in self.seeds:
            check_seed(seed)
        specs = [canonical_noise(spec) for spec in self.noises]
        for spec in specs:
            make_noise(spec).check_parameters()
        set_ = object.__setattr__
        set_(self, "noises", tuple(dict.fromkeys([CLEAN, *specs])))
        set_(self, "seeds", tuple(dict.fromkeys(self.seeds)))
        set_(self, "thresholds", tuple(self.thresholds))

    @property
    def n_trainings(self) -> int:
        """Trainings of one piece of code."""
        return len(self.noises) * len(self.seeds)

    @property
    def title(self) -> str:
        """Name and version, such as ``smoke v1``."""
        return f"{self.name} v{self.version}"


def grid(kinds: Sequence[str], rates: Sequence[float]) -> list[str]:
    """Specs of every kind at every rate."""
    return [f"{kind}:{rate}" for kind in kinds for rate in rates]


SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            name="smoke",
            version=1,
            noises=grid(["symmetric", "human-like"], [0.2]),
            seeds=range(1, 4),
            about="one rate of random and of human-like noise; for every change",
        ),
        Suite(
            name="human-like",
            version=1,
            noises=grid(["human-like"], [0.05, 0.1, 0.2, 0.3, 0.4]),
            seeds=range(1, 6),
            about="what people's errors cost, from few to many",
        ),
        Suite(
            name="standard",
            version=1,
            noises=grid(["symmetric", "pmd", "human-like", "cluster"], [0.1, 0.2, 0.4]),
            seeds=range(1, 6),
            about="four kinds at three rates, from random flips to whole clusters; for a release",
        ),
    )
}
"The named suites."


def make_suite(suite: "str | Path | Suite", seeds: Sequence[int] | None = None) -> Suite:
    """A suite by name, from a YAML file, or as it is; with other seeds where they are given."""
    found = suite if isinstance(suite, Suite) else _find(suite)
    return found if seeds is None else replace(found, seeds=tuple(seeds))


def _find(suite: str | Path) -> Suite:
    if str(suite) in SUITES:
        return SUITES[str(suite)]
    if Path(suite).suffix in (".yaml", ".yml"):
        from mislabel.stress.suite_file import load_suite

        return load_suite(Path(suite))
    rule = f"unknown suite, and no .yaml file; {did_you_mean(str(suite), SUITES)}"
    raise InputError("suite", str(suite), rule)


def family(spec: str) -> str:
    """The spec of a noise without its rate: noises of one family lie on one line of a figure."""
    name, rest = split_spec(spec, "noise")
    record = NOISE[name]
    values = parse_parameters(
        rest, record.model, positional=record.positional, argument="noise", spec=spec
    )
    values.pop("rate", None)
    return format_spec(name, values, record.positional)
