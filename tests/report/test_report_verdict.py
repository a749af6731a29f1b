"""The verdict follows from the figures: scenes built by hand, sentences compared whole."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from mislabel.benchmark.results import BenchmarkResults, CellResult, MethodRow, NoiseColumn
from mislabel.labels import NoisyLabels
from mislabel.report.verdict import write_verdict

N = 100
Table = Mapping[tuple[str, str], Sequence[float]]


def scene(table: Table, *, n_seeds: int = 2, missing: int = 0) -> BenchmarkResults:
    """A benchmark whose accuracies are those of `table`, by (noise, method)."""
    noises = list(dict.fromkeys(noise for noise, _ in table))
    methods = list(dict.fromkeys(method for _, method in table))
    cells = [
        CellResult(noise=noise, method=method, seed=seed, curves={"test_accuracy": [value]},
                   test_accuracy_per_class=[value, value], seconds=1.0)
        for (noise, method), values in table.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip
    return BenchmarkResults(
        metadata={},
        class_names=("a", "b"),
        noises=[column(spec) for spec in noises],
        methods=[MethodRow(spec=m, name=m, title=m.title()) for m in methods],
        seeds=range(n_seeds),
        cells=cells[: len(cells) - missing],
    )


def column(spec: str) -> NoiseColumn:
    kind, _, rate = spec.partition(":")
    clean = np.arange(N) % 2
    labels = np.where(np.arange(N) < N * float(rate or 0), 1 - clean, clean)
    return NoiseColumn(spec=spec, kind=kind, title=kind.title(),
                       labels=NoisyLabels(labels, clean_labels=clean))  # fmt: skip


def words(results: BenchmarkResults) -> tuple[list[str], dict[str, str]]:
    verdict = write_verdict(results)
    lines = [line.replace("\xa0", " ") for line in verdict.headlines]
    return lines, {k.replace("\xa0", " "): v.replace("\xa0", " ") for k, v in verdict.noises}


def test_clear_differences() -> None:
    headlines, noises = words(scene({
        ("clean", "standard"): (0.95, 0.97), ("clean", "gce"): (0.93, 0.95),
        ("pmd:0.4", "standard"): (0.79, 0.81), ("pmd:0.4", "gce"): (0.84, 0.86),
        ("cluster:0.4", "standard"): (0.59, 0.61), ("cluster:0.4", "gce"): (0.69, 0.71),
    }))  # fmt: skip
    assert headlines == [
        "Cluster at 40.0 % costs Standard most: 36.00 points "
        "(96.00 ± 1.00 on clean labels, 60.00 ± 1.00 under it).",
        "Points lost by Standard at about 40 % wrong labels: 16.00 for Pmd and 36.00 for Cluster.",
        "Gce has the highest mean under both noises, "
        "separated from every other method in each of them.",
    ]
    assert noises["Cluster at 40.0 %"] == (
        "Highest mean: Gce, 70.00 ± 1.00 (24.00 points below its 94.00 on clean labels). "
        "Next: Standard (60.00 ± 1.00), 10.00 points lower, more than the deviations."
    )


def test_undetermined_classes_are_told_of() -> None:
    results = scene({("clean", "adaptive"): (0.9, 0.9), ("pmd:0.4", "adaptive"): (0.6, 0.6)})
    told = [
        replace(cell, provenance={"targets": {"determined": cell.seed == 0, "stability": 0.5}})
        for cell in results.cells
        if cell.noise != "clean"
    ]
    headlines, _ = words(replace(results, cells=[*results.cells[:2], *told]))
    assert (
        "The labels under Pmd at 40.0 % do not determine the classes for Adaptive, "
        "whose targets are a broad vote there (1 of 2 seeds)."
    ) in headlines
    assert not any("determine" in line for line in words(results)[0])


def test_differences_within_the_deviations_are_said_to_be_so() -> None:
    headlines, noises = words(scene({
        ("clean", "standard"): (0.80, 0.82), ("clean", "gce"): (0.75, 0.77),
        ("pmd:0.3", "standard"): (0.78, 0.82), ("pmd:0.3", "gce"): (0.79, 0.82),
    }))  # fmt: skip
    assert headlines == [
        "Pmd at 30.0 % costs Standard: 1.00 points (81.00 ± 1.00 on clean labels, "
        "80.00 ± 2.00 under it), which these 2 seeds do not separate from no cost."
    ]
    assert noises["Pmd at 30.0 %"] == (
        "Highest mean: Gce, 80.50 ± 1.50 (4.50 points above its 76.00 on clean labels). "
        "Not separated from it by these 2 seeds: Standard (80.00 ± 2.00)."
    )


def test_noises_that_are_not_separated() -> None:
    headlines, _ = words(scene({
        ("clean", "standard"): (0.9, 0.9),
        ("pmd:0.2", "standard"): (0.70, 0.74), ("cluster:0.4", "standard"): (0.70, 0.72),
    }))  # fmt: skip
    assert headlines == [
        "Cluster at 40.0 % costs Standard most: 19.00 points (90.00 ± 0.00 on clean labels, "
        "71.00 ± 1.00 under it); not separated from it by these 2 seeds: "
        "Pmd at 20.0 % (72.00 ± 2.00)."
    ]


def test_one_seed_separates_nothing() -> None:
    table = {("pmd:0.2", "standard"): (0.7,), ("pmd:0.2", "gce"): (0.8,)}
    headlines, noises = words(scene(table, n_seeds=1))
    assert headlines == ["Standard reaches, under Pmd at 20.0 %, 70.00."]
    assert noises == {
        "Pmd at 20.0 %": "Highest mean: Gce, 80.00. Next: Standard (70.00), 10.00 points lower; "
        "one seed does not tell whether that is chance."
    }


def test_noise_that_costs_nothing() -> None:
    headlines, _ = words(scene({
        ("clean", "standard"): (0.8, 0.8), ("pmd:0.2", "standard"): (0.8, 0.9),
    }))  # fmt: skip
    assert headlines == ["No noise takes Standard below its 80.00 ± 0.00 on clean labels."]


def test_without_standard_the_first_method_stands_for_it() -> None:
    headlines, _ = words(scene({
        ("pmd:0.2", "plc"): (0.8, 0.8), ("pmd:0.4", "plc"): (0.6, 0.6),
        ("pmd:0.2", "gce"): (0.7, 0.7), ("pmd:0.4", "gce"): (0.7, 0.7),
    }))  # fmt: skip
    assert headlines == [
        "Plc is lowest under Pmd at 40.0 %: 60.00 ± 0.00.",
        "No method leads alone: Plc and Gce have the highest mean under 1 noise each, of 2.",
    ]


def test_many_that_are_level_are_not_listed_with_figures() -> None:
    methods = ("standard", "b", "c", "d", "e", "f")
    table = {("pmd:0.2", m): (0.7, 0.8) for m in methods}
    _, noises = words(scene(table))
    assert noises["Pmd at 20.0 %"].endswith("Not separated from it by these 2 seeds: all 5 others.")
    table[("pmd:0.2", "f")] = (0.1, 0.1)
    _, noises = words(scene(table))
    assert noises["Pmd at 20.0 %"].endswith("by these 2 seeds: B, C, D and E.")


@pytest.mark.parametrize(
    ("missing", "start"), [(1, "1 of 4 cells of the grid is"), (2, "2 of 4 cells of the grid are")]
)
def test_missing_cells(missing: int, start: str) -> None:
    table = {("pmd:0.2", "standard"): (0.8, 0.8), ("pmd:0.4", "standard"): (0.6, 0.6)}
    headlines, _ = words(scene(table, missing=missing))
    assert headlines[-1].startswith(start)


def test_no_figure_is_not_a_number() -> None:
    table = {("pmd:0.2", "standard"): (float("nan"), 0.5), ("pmd:0.2", "gce"): (0.4, 0.6)}
    _, noises = words(scene(table))
    assert noises == {"Pmd at 20.0 %": "Gce, 50.00 ± 10.00."}
