"""Training on a CPU gives the same bits again: in another process, after an error, side by side."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from repeats import StopsAtTheSecond, Training, train

from mislabel.benchmark import BenchmarkResults, Grid, run_benchmark
from mislabel.benchmark.tables import format_table
from mislabel.data import load_data
from mislabel.executor import LocalExecutor, Workers
from mislabel.learning import METHODS
from mislabel.memorization.aggregate import study_scores
from mislabel.memorization.store import StudyFolder
from mislabel.memorization.study import StudyPlan, method_plan, run_study
from mislabel.noise import make_noise
from thread_limits import one_thread as one_thread
from tiny_data import write_data

pytestmark = pytest.mark.filterwarnings("ignore:these labels do not determine the classes")
TRAININGS = [Training(name, network) for network in ("mlp", "cnn") for name in METHODS.names]
TWO = Workers(count=2, threads=1)


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that two workers have a thread each, on any machine."""
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)


@pytest.fixture(scope="module")
def beside() -> dict[str, Any]:
    """What two workers, of one thread each, find."""
    found = LocalExecutor().run(_named, TRAININGS, TWO)
    return dict(found)


def _named(training: Training) -> tuple[str, Any]:
    return str(training), train(training)


@pytest.mark.parametrize("training", TRAININGS, ids=str)
def test_a_training_repeats_in_another_process(training: Training, beside: dict[str, Any]) -> None:
    here = train(training)
    assert here["threads"] == 1
    assert here == beside[str(training)]


# Benchmarks


def grid(folder: Path) -> Grid:
    return Grid(
        data=f"npz:{folder / 'tiny.npz'}",
        noises=["symmetric:0.2", "cluster:0.3"],
        methods=["standard", "snls:k=5"],
        seeds=[1, 2],
        map=folder / "map.npy",
        epochs=2,
        device="cpu",
    )


def tables(results: BenchmarkResults) -> list[Any]:
    """The table in all its forms, but for the time that it took."""
    content = json.loads(format_table(results, "json"))
    for entry in content["table"]:
        del entry["training_seconds"]
    return [content, *(format_table(results, s) for s in ("terminal", "markdown", "latex", "csv"))]


@pytest.mark.filterwarnings("ignore:.*Exception ignored")  # joblib: work has been cancelled
@pytest.mark.parametrize("workers", [1, 2])
def test_a_table_is_the_same_after_an_error(workers: int, tmp_path: Path) -> None:
    write_data(tmp_path)
    undisturbed = run_benchmark(grid(tmp_path), tmp_path / "whole", workers=1)
    with pytest.raises(RuntimeError, match="stopped"):
        run_benchmark(grid(tmp_path), tmp_path / "run", workers=workers,
                      executor=StopsAtTheSecond())  # fmt: skip
    done = len(list((tmp_path / "run/cells").glob("[!.]*")))
    assert 2 <= done <= (2 if workers == 1 else 8)
    resumed = run_benchmark(grid(tmp_path), tmp_path / "run", workers=3 - workers)
    assert resumed.n_missing == 0
    assert tables(resumed) == tables(undisturbed)


# Held-out studies


def plan() -> StudyPlan:
    digits = load_data("digits", subset=120)
    labels = make_noise("symmetric:0.2").corrupt(digits.y_train, n_classes=10, seed=3)
    return method_plan(digits, labels, "standard", network="mlp", epochs=2, device="cpu")


def test_a_study_is_the_same_after_an_error_and_with_two_workers(tmp_path: Path) -> None:
    one = run_study(plan(), tmp_path / "one", runs=4, workers=1)
    two = run_study(plan(), tmp_path / "two", runs=4, workers=2)
    with pytest.raises(RuntimeError, match="stopped"):
        run_study(plan(), tmp_path / "late", runs=4, workers=1, executor=StopsAtTheSecond())
    assert StudyFolder(tmp_path / "late").runs() == [0, 1]
    late = run_study(plan(), tmp_path / "late", runs=4, workers=2)
    for other in (two, late):
        assert other.runs() == one.runs() == [0, 1, 2, 3]
        for number in one.runs():
            first, second = (folder.row(number, folder.kept) for folder in (one, other))
            assert first.keys() == second.keys()
            for name, array in first.items():
                np.testing.assert_array_equal(second[name], array)
        np.testing.assert_array_equal(study_scores(other).inclusion, study_scores(one).inclusion)
