"""The seed audit, on results made up by hand and at the end of a run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmark_examples import cell, made_up, tiny_grid

from mislabel.benchmark import BenchmarkResults, load_results, run_benchmark
from mislabel.benchmark.audit import (
    Finding,
    audit_seeds,
    check_seeds,
    unrecorded,
    unrecorded_line,
)
from mislabel.errors import InputError
from mislabel.seeds import TrainingSeeds
from tiny_data import write_data

FIRST, SECOND = "symmetric:0.25", "file:a_b&c|d.npy"


def with_hashes(**changes: Any) -> BenchmarkResults:
    """Two noises, two methods, seeds 1 and 2; weights and order differ by seed and by nothing else.

    changes: provenance by place, ``{(noise, method, seed): {...}}`` as `cells`.
    """
    results = made_up()
    changed = changes.pop("cells", {})
    cells = []
    for found in results.cells:
        provenance = {
            "initial_weights_sha256": f"weights of seed {found.seed}",
            "first_order_sha256": f"order of seed {found.seed}",
        }
        place = (found.noise, found.method, found.seed)
        cells.append(replace(found, provenance=provenance | changed.get(place, {})))
    return replace(results, cells=cells, **changes)


def test_seeds_that_differ_pass() -> None:
    """The same seed agrees across methods and noises: that is what pairs them."""
    results = with_hashes()
    assert audit_seeds(results) == [] and unrecorded(results) == []
    assert unrecorded_line(results) is None
    check_seeds(results)


@pytest.mark.parametrize(
    ("key", "what"),
    [("initial_weights_sha256", "initial weights"), ("first_order_sha256", "order")],
)
def test_two_seeds_that_share_are_found(key: str, what: str) -> None:
    results = with_hashes(cells={(FIRST, "gce:q=0.5", 2): {key: f"{what.split()[-1]} of seed 1"}})
    shared = f"{what.split()[-1]} of seed 1"
    assert audit_seeds(results) == [
        Finding(noise=FIRST, method="gce:q=0.5", seeds=(1, 2), what=what, sha256=shared)
    ]
    with pytest.raises(InputError) as caught:
        check_seeds(results)
    assert str(caught.value) == (
        f"seeds=[1, 2]: share their {what} in gce:q=0.5 under symmetric:0.25; "
        "the trainings are stored, but these are no independent draws"
    )


def test_every_group_that_shares_is_one_finding() -> None:
    """Five seeds: 1, 3 and 4 share, and 2 and 5; in one method under one noise."""
    weights = {1: "a" * 64, 2: "b" * 64, 3: "a" * 64, 4: "a" * 64, 5: "b" * 64}
    cells = [
        replace(
            cell(FIRST, "standard", seed, [0.5]),
            provenance={"initial_weights_sha256": sha, "first_order_sha256": str(seed)},
        )
        for seed, sha in reversed(weights.items())
    ]
    results = replace(made_up(), cells=cells, seeds=list(weights))
    assert [str(finding) for finding in audit_seeds(results)] == [
        f"standard under {FIRST}: seeds 1, 3 and 4 share their initial weights (aaaaaaaaaaaa)",
        f"standard under {FIRST}: seeds 2 and 5 share their initial weights (bbbbbbbbbbbb)",
    ]
    with pytest.raises(InputError, match=r"^seeds=\[1, 3, 4\]: share .*; 1 more with `mislabel"):
        check_seeds(results)


def test_findings_are_json() -> None:
    results = with_hashes(
        cells={(SECOND, "standard", 2): {"first_order_sha256": "order of seed 1"}}
    )
    (finding,) = audit_seeds(results)
    assert json.loads(json.dumps(finding.to_json())) == {
        "noise": SECOND,
        "method": "standard",
        "seeds": [1, 2],
        "what": "order",
        "sha256": "order of seed 1",
    }


def test_trainings_without_hashes_are_counted_and_not_compared() -> None:
    nothing = made_up()
    assert audit_seeds(nothing) == [] and len(unrecorded(nothing)) == 8
    assert unrecorded_line(nothing) == (
        "8 of 8 trainings record no hashes of initial weights and order; "
        "their seeds cannot be audited"
    )
    check_seeds(nothing)
    results = with_hashes()
    older = replace(results.cells[0], provenance={"initial_weights_sha256": "weights of seed 2"})
    results = replace(results, cells=[older, *results.cells[1:]])
    assert unrecorded(results) == [older]
    assert [finding.what for finding in audit_seeds(results)] == ["initial weights"]


@pytest.mark.parametrize(("n_train", "count"), [(9, 0), (10, 1)])
def test_few_examples_may_be_ordered_alike(n_train: int, count: int) -> None:
    results = with_hashes(
        cells={(FIRST, "standard", 2): {"first_order_sha256": "order of seed 1"}},
        metadata={"data": {"n_train": n_train}},
    )
    assert len(audit_seeds(results)) == count


def test_a_run_passes_and_records_hashes(tmp_path: Path, one_thread: None) -> None:
    write_data(tmp_path)
    said: list[str] = []
    grid = tiny_grid(tmp_path, epochs=1)
    results = run_benchmark(grid, tmp_path / "run", workers=1, say=said.append)
    assert len(results.cells) == 8
    assert audit_seeds(results) == [] and unrecorded(results) == []
    assert not [line for line in said if "audited" in line]
    for key in ("initial_weights_sha256", "first_order_sha256"):
        assert len({cell.provenance[key] for cell in results.cells}) == 2  # one for each seed
    for path in (tmp_path / "run/cells").glob("*/result.json"):  # as an older version left them
        content = json.loads(path.read_text())
        del content["sha256"]
        path.write_text(json.dumps(content | {"provenance": {}}))
    run_benchmark(grid, tmp_path / "run", workers=1, say=said.append)
    assert said[-1].startswith("8 of 8 trainings record no hashes")


@pytest.mark.parametrize("defect", ["initial weights", "order"])
def test_a_run_whose_seeds_share_fails_when_all_is_stored(
    defect: str, tmp_path: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in code that resets the seed in a data set's constructor."""
    write_data(tmp_path)
    spawn = TrainingSeeds.spawn

    def reset(seed: int) -> TrainingSeeds:
        field = "initialisation" if defect == "initial weights" else "order"
        return replace(spawn(seed), **{field: 7})

    monkeypatch.setattr(TrainingSeeds, "spawn", reset)
    grid = tiny_grid(tmp_path, epochs=1, methods=["standard"], noises=["clean"])
    for _ in range(2):  # and again, where nothing is left to train
        with pytest.raises(InputError) as caught:
            run_benchmark(grid, tmp_path / "run", workers=1)
        assert str(caught.value).startswith(f"seeds=[1, 2]: share their {defect} in standard under")
    results = load_results(tmp_path / "run")
    assert results.n_missing == 0
    assert [finding.what for finding in audit_seeds(results)] == [defect]
