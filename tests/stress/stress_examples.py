"""Stress results of given numbers, without any training."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from mislabel.noise import NOISE, make_noise
from mislabel.specs import split_spec
from mislabel.stress.results import YOURS, StressCell, StressNoise, StressResults, Subject
from mislabel.stress.suite import CLEAN, family

Ending = float | str | None | Mapping[str, float]
"How a cell ended: the metric, why it failed, not yet, or all of its metrics."
Table = Mapping[str, Sequence[Ending]]
"Endings of the seeds 1, 2, ... by noise."

METADATA: dict[str, Any] = {
    "data": {"spec": "digits", "name": "digits", "fingerprint": "d" * 64},
    "suite": {"name": "example", "version": 1},
    "versions": {"mislabel": "0.0"},
    "command": "mislabel stress run --data digits --suite example",
}


def stress_results(
    yours: Table,
    references: Mapping[str, Table] | None = None,
    *,
    class_names: Sequence[str] = ("cat", "dog", "owl"),
    class_losses: Sequence[float] = (),
    metadata: Mapping[str, Any] | None = None,
    metric: str = "accuracy",
    seeds: Sequence[int] | None = None,
    **changes: Any,
) -> StressResults:
    """Results with these endings of the user's code and of reference methods by their spec.

    ``stress_results({"clean": [0.9, 0.8], "symmetric:0.2": [0.7, "killed after 3 s"]})``: two
    seeds, one training failed. Realised rates are the nominal ones. class_losses: (C,) by how much
    each class is less accurate than the metric, at every noise but clean. changes: other fields of
    `StressResults`.
    """
    tables = {YOURS: yours, **(references or {})}
    seeds = seeds or range(
        1, max(len(row) for table in tables.values() for row in table.values()) + 1
    )
    losses = class_losses or [0.0] * len(class_names)
    cells = [
        stress_cell(subject, noise, seed, ending, metric=metric, class_losses=losses)
        for subject, table in tables.items()
        for noise, row in table.items()
        for seed, ending in zip(seeds, row, strict=False)
        if ending is not None
    ]
    given = {
        "metadata": METADATA if metadata is None else metadata,
        "class_names": tuple(class_names),
        "noises": [stress_noise(spec) for spec in dict.fromkeys([CLEAN, *yours])],
        "subjects": [subject(name) for name in tables],
        "seeds": tuple(seeds),
        "cells": cells,
        "metric": metric,
        "n_test": 1000,
    }
    return StressResults(**{**given, **changes})


def stress_cell(
    subject: str,
    noise: str,
    seed: int,
    ending: Ending,
    *,
    metric: str = "accuracy",
    class_losses: Sequence[float] = (0.0, 0.0, 0.0),
) -> StressCell:
    """One cell of given ending."""
    metrics = ending if isinstance(ending, Mapping) else {metric: ending}
    failure = ending if isinstance(ending, str) else None
    value = None if failure else metrics.get(metric)
    losses = [0.0 if noise == CLEAN else loss for loss in class_losses]
    return StressCell(
        subject=subject,
        noise=noise,
        seed=seed,
        rate=nominal_rate(noise),
        failure=failure,
        metrics={} if failure else {name: float(v) for name, v in metrics.items()},  # type: ignore[arg-type]
        accuracy_per_class=[] if value is None else [float(value) - loss for loss in losses],  # type: ignore[arg-type]
        seconds=1.5,
        log=f"cells/{subject}-{noise}-{seed}/log.txt".replace(":", "-"),
        labels_sha256=hashlib.sha256(f"{noise} {seed}".encode()).hexdigest(),
    )


def stress_noise(spec: str) -> StressNoise:
    """The noise of a spec at its nominal rate."""
    kind, _ = split_spec(spec, "noise")
    return StressNoise(
        spec=spec,
        kind=kind,
        family=family(spec),
        title=NOISE[kind].title,
        rate=nominal_rate(spec),
    )


def nominal_rate(spec: str) -> float:
    """The rate in a spec; 0 of clean."""
    return float(getattr(make_noise(spec), "rate", None) or 0.0)


def subject(name: str) -> Subject:
    """Your code, or a reference method."""
    return Subject(name=name, title="Your code" if name == YOURS else name.capitalize())
