"""Methods that take a noise rate are told the true one on request, and results say which it was."""

import json
from pathlib import Path

import pytest
from benchmark_examples import cells, tiny_grid

from mislabel.benchmark import load_results, run_benchmark
from tiny_data import write_data


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_data(tmp_path)
    return tmp_path


def test_the_true_rate_is_passed_on_and_recorded(place: Path, one_thread: None) -> None:
    grid = tiny_grid(
        place,
        noises=["symmetric:0.2", "cluster:0.3"],
        methods=["standard", "coteaching", "coteaching:noise_rate=0.1"],
        seeds=[1],
        known_rate=True,
    )
    results = run_benchmark(grid, place / "run", workers=1)
    assert results.n_missing == 0  # also under the first of two rates
    assert load_results(place / "run").n_missing == 0
    rates = {noise.spec: noise.labels.rate for noise in results.noises}
    assert len(set(rates.values())) == 2
    for (noise, method, _), cell in cells(place / "run").items():
        found = {k: v for k, v in cell["provenance"].items() if k.startswith("noise_rate")}
        if method == "standard":
            assert found == {}
        else:
            wanted = rates[noise] if method == "coteaching" else 0.1
            assert found == {"noise_rate": wanted, "noise_rate_source": "given"}


def test_otherwise_it_is_estimated_and_the_cells_are_others(place: Path, one_thread: None) -> None:
    """Cells trained with the true rate are not taken for those without."""
    settings = {"methods": ["coteaching"], "noises": ["symmetric:0.2"], "seeds": [1]}
    run_benchmark(tiny_grid(place, known_rate=True, **settings), place / "run", workers=1)
    found = run_benchmark(tiny_grid(place, **settings), place / "run", workers=1)
    assert [c.provenance["noise_rate_source"][:9] for c in found.cells] == ["estimated"]
    found = run_benchmark(tiny_grid(place, known_rate=True, **settings), place / "run", workers=1)
    assert [c.provenance["noise_rate_source"] for c in found.cells] == ["given"]
    results = [json.loads(p.read_text()) for p in (place / "run").glob("cells/*/result.json")]
    sources = sorted(cell["provenance"]["noise_rate_source"] for cell in results)
    assert len(sources) == 2 and sources[1] == "given"
    assert sources[0].startswith("estimated on ")


def test_the_command_names_the_flag(place: Path) -> None:
    assert " --known-rate " in tiny_grid(place, known_rate=True).command()
    assert "--known-rate" not in tiny_grid(place).command()
