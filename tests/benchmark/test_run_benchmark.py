"""Running a grid: what is trained, what is stored, and what comes out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_examples import cells, numbers, tiny_grid

from mislabel.benchmark import BenchmarkResults, load_results, run_benchmark, summarise
from mislabel.benchmark import run as run_module
from mislabel.data import load_data
from mislabel.errors import InputError, LostRunsError
from mislabel.executor import LocalExecutor, Workers
from mislabel.labels import load_labels
from mislabel.learning import SNLS, Evaluation, Standard
from tiny_data import N_TEST, N_TRAIN, files, write_data


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny data and, below ``run``, the tiny grid's run."""
    folder = tmp_path_factory.mktemp("benchmark")
    write_data(folder)
    return folder


@pytest.fixture(scope="module")
def progress() -> list[tuple[int, int]]:
    return []


@pytest.fixture(scope="module")
def results(place: Path, progress: list[tuple[int, int]], one_thread: None) -> BenchmarkResults:
    return run_benchmark(
        tiny_grid(place), place / "run", workers=1, progress=lambda *count: progress.append(count)
    )


def test_one_cell_per_place_in_the_order_of_the_grid(
    results: BenchmarkResults, place: Path, progress: list[tuple[int, int]]
) -> None:
    grid = tiny_grid(place)
    order = [(n, m, s) for n in grid.noises for m in grid.methods for s in grid.seeds]
    assert [(c.noise, c.method, c.seed) for c in results.cells] == order
    assert len(order) == 8 and results.n_missing == 0
    assert [n.spec for n in results.noises] == list(grid.noises)
    assert [m.spec for m in results.methods] == list(grid.methods)
    assert [m.title for m in results.methods] == ["Standard", "Standard + SNLS (k=5)"]
    assert list(results.seeds) == [1, 2]
    assert progress == [(done, 8) for done in range(9)]


def test_cells_are_what_the_methods_give(results: BenchmarkResults, place: Path) -> None:
    """Each cell again, by hand: the method alone on the same data and labels."""
    data = load_data(f"npz:{place / 'tiny.npz'}")
    evaluation = Evaluation(x_test=data.x_test, y_test=data.y_test, clean_labels=data.y_train)
    position = np.load(place / "map.npy")
    labels = {noise.spec: noise.labels.labels for noise in results.noises}
    for found in results.cells:
        kind: Any = SNLS(k=5) if found.method == "snls:k=5" else Standard()
        method = kind.set_params(epochs=3, seed=found.seed, device="cpu")
        method.fit(
            data.x_train,
            labels[found.noise],
            classes=[0, 1, 2],
            features=position,  # a given map serves as features when none are given
            evaluation=evaluation,
        )
        assert found.curves == method.curves_
        answers = method.predict(data.x_test)
        per_class = [float((answers[data.y_test == c] == c).mean()) for c in range(3)]
        assert found.test_accuracy_per_class == pytest.approx(per_class, abs=1e-15)
        assert found.provenance == method.provenance_
        assert found.seconds > 0


def test_curves_have_one_value_per_epoch(results: BenchmarkResults) -> None:
    names = {"train_loss", "train_accuracy", "test_accuracy", "wrong_fitted", "wrong_corrected"}
    for found in results.cells:
        assert found.curves.keys() == names
        assert all(len(curve) == 3 for curve in found.curves.values())
        assert all(value is not None for curve in found.curves.values() for value in curve)


def test_summaries_are_numpys(results: BenchmarkResults) -> None:
    for noise in results.noises:
        for method in results.methods:
            group = results.select(noise=noise.spec, method=method.spec)
            curves = np.array([c.curves["test_accuracy"] for c in group], dtype=float)
            assert curves.shape == (2, 3)
            for epoch, values in {
                "last": curves[:, -1],
                "last10": curves.mean(axis=1),
                "best": curves.max(axis=1),
            }.items():
                found = summarise(group, epoch)
                assert found.mean == pytest.approx(values.mean(), abs=1e-15)
                assert found.deviation == pytest.approx(values.std(ddof=0), abs=1e-15)


def test_the_folder_holds_what_it_says(results: BenchmarkResults, place: Path) -> None:
    run = place / "run"
    names = files(run)
    assert [n for n in names if "/" not in n] == ["cells", "labels", "map.npy", "run.json"]
    assert len([n for n in names if n.startswith("cells/") and n.endswith("/config.json")]) == 8
    assert not [n for n in names if n.rpartition("/")[2].startswith(".")]
    np.testing.assert_array_equal(np.load(run / "map.npy"), np.load(place / "map.npy"))
    truth = load_data(f"npz:{place / 'tiny.npz'}").y_test
    for path in run.glob("cells/*"):
        config, result = (
            json.loads((path / f"{n}.json").read_text()) for n in ("config", "result")
        )
        predictions = np.load(path / "test_predictions.npy")
        assert predictions.shape == (N_TEST,) and predictions.dtype == np.uint8
        accuracy = result["curves"]["test_accuracy"][-1]
        assert accuracy == pytest.approx((predictions == truth).mean(), abs=2**-24)
        assert config["configuration"]["training"]["recipe"]["epochs"] == 3
        assert [config[k] for k in ("noise", "method", "seed")] == [
            result[k] for k in ("noise", "method", "seed")
        ]


def test_labels_are_drawn_once_for_all(results: BenchmarkResults, place: Path) -> None:
    clean = load_data(f"npz:{place / 'tiny.npz'}").y_train
    for noise, rate in zip(results.noises, (0.2, 0.3), strict=True):
        np.testing.assert_array_equal(noise.labels.clean_labels, clean)
        assert noise.labels.rate == pytest.approx(rate, abs=0.5 / N_TRAIN)
        assert noise.labels.receipt.seed == 0
        assert noise.labels.receipt.generator == noise.kind == noise.spec.split(":")[0]
    stored = {load_labels(p).receipt.generator for p in (place / "run/labels").glob("*.parquet")}
    assert stored == {"symmetric", "cluster"}


def test_metadata_says_what_was_run(results: BenchmarkResults, place: Path) -> None:
    found = results.metadata
    assert found["format"] == 1
    assert found["grid"] == {
        "noises": ["symmetric:0.2", "cluster:0.3"],
        "methods": ["standard", "snls:k=5"],
        "seeds": [1, 2],
    }
    assert found["data"] == {
        "name": "npz",
        "subset": None,
        "n_train": N_TRAIN,
        "n_train_total": N_TRAIN,
        "n_test": N_TEST,
        "example_shape": [4],
        "class_names": ["0", "1", "2"],
    }
    assert found["command"] == f"{tiny_grid(place).command()} --out RUN"
    assert {"python", "mislabel", "torch", "numpy"} <= found["versions"].keys()
    assert results.class_names == ("0", "1", "2")


def test_loading_is_what_running_returned(results: BenchmarkResults, place: Path) -> None:
    loaded = load_results(place / "run")
    assert numbers(loaded) == numbers(results)
    assert loaded.metadata == results.metadata
    assert results.map is not None
    np.testing.assert_array_equal(loaded.map, results.map)
    assert [n.labels for n in loaded.noises] == [n.labels for n in results.noises]


def test_two_workers_give_the_numbers_of_one(results: BenchmarkResults, place: Path) -> None:
    """With as many threads each; `one_thread` gives this process one, a core has one."""
    assert {cell.provenance["threads"] for cell in results.cells} == {1}
    grid = tiny_grid(place, seeds=[1])
    both = run_benchmark(grid, place / "two", workers=2)
    threads = {cell.provenance["threads"] for cell in both.cells}
    if threads != {1}:
        pytest.skip(f"two workers have {threads} threads each here")
    one = {key: value for key, value in numbers(results).items() if key[2] == 1}
    assert numbers(both) == one
    ours = {key: cell for key, cell in cells(place / "run").items() if key[2] == 1}
    assert {k: c["provenance"] for k, c in cells(place / "two").items()} == {
        k: c["provenance"] for k, c in ours.items()
    }


def test_the_seed_of_the_grid_is_the_seed_of_the_labels(place: Path) -> None:
    drawn = [
        run_benchmark(
            tiny_grid(place, seed=seed, methods=["standard"], seeds=[1], epochs=1),
            place / f"seed{seed}",
            workers=1,
        ).noises[0].labels.labels
        for seed in (0, 1)
    ]  # fmt: skip
    assert not np.array_equal(*drawn)


def test_a_class_without_test_examples_has_no_accuracy(tmp_path: Path) -> None:
    write_data(tmp_path, y_test=np.arange(N_TEST) % 2)
    grid = tiny_grid(tmp_path, noises=["clean"], methods=["standard"], seeds=[1], epochs=1)
    found = run_benchmark(grid, tmp_path / "run", workers=1)
    assert found.cells[0].test_accuracy_per_class[2] is None
    assert None not in found.cells[0].test_accuracy_per_class[:2]
    assert found.cells[0].curves["wrong_fitted"] == [None]


@pytest.mark.parametrize(
    ("cores", "count", "n_tasks", "device", "expected"),
    [
        (8, None, 100, "cpu", (8, 1)),
        (8, None, 3, "cpu", (3, 2)),
        (8, 2, 100, "cpu", (2, 4)),
        (8, 1, 100, "cpu", (1, 8)),
        (2, 5, 100, "cpu", (5, 1)),
        (8, None, 0, "cpu", (1, 8)),
        (8, None, 100, "cuda", (1, 1)),
        (8, 3, 100, "cuda", (3, 1)),
    ],
)
def test_workers_share_the_cores(
    cores: int, count: int | None, n_tasks: int, device: str, expected: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("joblib.cpu_count", lambda: cores)
    found = Workers.choose(count, n_tasks, device)
    assert (found.count, found.threads) == expected


def test_workers_must_be_at_least_one() -> None:
    with pytest.raises(InputError) as caught:
        Workers.choose(0, 3, "cpu")
    assert str(caught.value) == "workers=0: must be at least 1"


def test_what_is_resumed_gets_as_many_threads(
    results: BenchmarkResults, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One cell left of nine: still as many workers as for the whole grid, so as many threads."""
    asked: list[Workers] = []

    class Recorder(LocalExecutor):
        def run(self, function: Any, work: Any, workers: Workers, **more: Any) -> Any:
            asked.append(workers)
            return map(function, work)

    monkeypatch.setattr("joblib.cpu_count", lambda: 4)
    out = place / "threads"
    grid = tiny_grid(place, noises=["clean"], epochs=1)
    run_benchmark(grid, out, executor=Recorder())
    for path in list((out / "cells").iterdir())[:1]:
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    run_benchmark(grid, out, executor=Recorder())
    assert asked == [Workers(count=4, threads=1)] * 2


def test_an_error_in_a_training_is_raised_and_what_had_finished_stays(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_cell, calls = run_module.train_cell, []

    def fail_at_the_third(work: Any) -> str:
        calls.append(work)
        if len(calls) == 3:
            raise RuntimeError("a fault")
        return train_cell(work)

    monkeypatch.setattr(run_module, "train_cell", fail_at_the_third)
    with pytest.raises(RuntimeError, match="a fault"):
        run_benchmark(tiny_grid(place), place / "failed", workers=1)
    found = load_results(place / "failed")
    assert len(found.cells) == 2 and found.n_missing == 6


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_a_training_without_memory_is_lost_alone(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    train_cell, calls = run_module.train_cell, []

    def fail_at_the_third(work: Any) -> Any:
        calls.append(work.key)
        if len(calls) == 3:
            raise error
        return train_cell(work)

    monkeypatch.setattr(run_module, "train_cell", fail_at_the_third)
    with pytest.raises(LostRunsError) as caught:
        run_benchmark(tiny_grid(place), tmp_path / "lost", workers=1)
    key = calls[2]
    assert str(caught.value) == (
        f"1 of 8 runs were lost: {key.method} under {key.noise}, seed {key.seed} (there was too "
        "little memory for it). What is finished is kept; the same command tries them again"
    )
    assert load_results(tmp_path / "lost").n_missing == 1
    monkeypatch.setattr(run_module, "train_cell", train_cell)
    assert run_benchmark(tiny_grid(place), tmp_path / "lost", workers=1).n_missing == 0
