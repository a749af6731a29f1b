"""Resuming: nothing is repeated, nothing is lost, and other runs' folders are left alone."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_examples import cells, numbers, tiny_grid

from mislabel.benchmark import load_results, run_benchmark
from mislabel.benchmark import run as run_module
from mislabel.data import load_data
from mislabel.errors import InputError
from mislabel.files import hash_json
from tiny_data import snapshot, write_data

Done = tuple[Path, Path]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Done:
    """The folder of the data, and one with the tiny grid's run."""
    folder = tmp_path_factory.mktemp("resume")
    write_data(folder)
    run_benchmark(tiny_grid(folder), folder / "run", workers=1)
    return folder, folder / "run"


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """The cells that are trained during a test."""
    found: list[tuple[str, str, int]] = []
    train_cell = run_module.train_cell

    def counted(work: Any) -> str:
        found.append((work.key.noise, work.key.method, work.key.seed))
        return train_cell(work)

    monkeypatch.setattr(run_module, "train_cell", counted)
    return found


@pytest.fixture
def run(finished: Done, tmp_path: Path) -> Path:
    """A copy of the run, times of change included."""
    return Path(shutil.copytree(finished[1], tmp_path / "run"))


def refusal(action: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        action()
    return str(caught.value)


def remove_cells(run: Path, count: int) -> list[tuple[str, str, int]]:
    removed = []
    for path in sorted(run.glob("cells/*"))[:count]:
        cell = json.loads((path / "result.json").read_text())
        removed.append((cell["noise"], cell["method"], cell["seed"]))
        shutil.rmtree(path)
    return removed


def test_only_what_is_missing_is_trained(
    finished: Done, run: Path, trained: list[tuple[str, str, int]]
) -> None:
    removed = remove_cells(run, 3)
    before = snapshot(run)
    found = run_benchmark(tiny_grid(finished[0]), run, workers=1)
    assert sorted(trained) == sorted(removed)
    after = snapshot(run)
    kept = {name: value for name, value in before.items() if name.startswith(("cells", "labels"))}
    assert kept.items() <= after.items()
    assert numbers(found) == numbers(load_results(finished[1]))
    names = {name for name in snapshot(finished[1]) if name.startswith("cells")}
    assert names == {name for name in after if name.startswith("cells")}


def test_a_finished_run_trains_nothing(
    finished: Done, run: Path, trained: list[tuple[str, str, int]]
) -> None:
    before, progress = snapshot(run), []
    run_benchmark(tiny_grid(finished[0]), run, workers=1, progress=lambda *c: progress.append(c))
    assert trained == [] and progress == [(8, 8)]
    after = snapshot(run)
    assert {n: content for n, (_, content) in before.items()} == {
        n: content for n, (_, content) in after.items()
    }
    assert {n for n in before if before[n] != after[n]} <= {"run.json", "map.npy"}


def test_the_grid_may_grow(finished: Done, run: Path, trained: list[tuple[str, str, int]]) -> None:
    before = snapshot(run)
    wider = tiny_grid(
        finished[0], noises=["clean", "cluster:0.3"], methods=["standard", "gce"], seeds=[2, 3]
    )
    found = run_benchmark(wider, run, workers=1)
    assert len(trained) == 8 - 1  # standard under cluster with seed 2 was there
    assert ("cluster:0.3", "standard", 2) not in trained
    assert found.metadata["grid"] == {
        "noises": ["symmetric:0.2", "cluster:0.3", "clean"],
        "methods": ["standard", "snls:k=5", "gce"],
        "seeds": [1, 2, 3],
    }
    assert len(found.cells) == 8 + 7 and found.n_missing == 27 - 15
    kept = {name: value for name, value in before.items() if name.startswith(("cells", "labels"))}
    assert kept.items() <= snapshot(run).items()


def test_another_recipe_takes_the_place_of_the_first(
    finished: Done, run: Path, trained: list[tuple[str, str, int]]
) -> None:
    """The table never mixes recipes: other cells of the method are missing until trained again."""
    grid = tiny_grid(finished[0], methods=["standard"], noises=["symmetric:0.2"], epochs=2)
    found = run_benchmark(grid, run, workers=1)
    assert len(trained) == 2
    places = [(c.noise, c.method, c.seed, len(c.curves["train_loss"])) for c in found.cells]
    assert [p for p in places if p[1] == "standard"] == [
        ("symmetric:0.2", "standard", 1, 2),
        ("symmetric:0.2", "standard", 2, 2),
    ]
    assert len([p for p in places if p[1] == "snls:k=5"]) == 4 and found.n_missing == 2
    again = run_benchmark(tiny_grid(finished[0]), run, workers=1)
    assert len(trained) == 2 and numbers(again) == numbers(load_results(finished[1]))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"subset": 30}, "holds a run with subset None, not 30"),
        ({"seed": 1}, "holds a run with seed 0, not 1"),
        ({"map": None}, "holds a run with map_sha256 '{map}', not None"),
    ],
    ids=str,
)
def test_a_run_of_another_kind_is_refused(
    finished: Done, run: Path, changes: Any, rule: str, trained: list[Any]
) -> None:
    before = snapshot(run)
    identity = json.loads((run / "run.json").read_text())["identity"]
    if "subset" in changes:  # the data of a subset differ too, and are named first
        rule = "holds a run with data_sha256"
    message = refusal(lambda: run_benchmark(tiny_grid(finished[0], **changes), run, workers=1))
    assert message.startswith(f"out='{run}': {rule.format(map=identity['map_sha256'])}"[:150])
    assert snapshot(run) == before and trained == []


def test_other_data_are_refused(
    finished: Done, run: Path, tmp_path: Path, trained: list[Any]
) -> None:
    write_data(tmp_path / "other", seed=5)
    before = snapshot(run)
    message = refusal(lambda: run_benchmark(tiny_grid(tmp_path / "other"), run, workers=1))
    assert message.startswith(f"out='{run}': holds a run with data_sha256 ")
    assert snapshot(run) == before and trained == []


def test_folders_with_other_content_are_refused(finished: Done, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    before = snapshot(out)
    rule = "holds other things; give a new or empty folder, or one with a run"
    assert refusal(lambda: run_benchmark(tiny_grid(finished[0]), out)) == f"out='{out}': {rule}"
    assert snapshot(out) == before


def test_folders_that_cannot_be(finished: Done, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    grid = tiny_grid(finished[0])
    assert (
        refusal(lambda: run_benchmark(grid, file)) == f"out='{file}': is a file; must be a folder"
    )
    below = file / "run"
    assert refusal(lambda: run_benchmark(grid, below)) == f"out='{below}': cannot be written"
    assert file.read_text() == "x"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_folder_that_the_system_does_not_make(finished: Done) -> None:
    """For root /proc looks as if it could be written."""
    grid = tiny_grid(finished[0], noises=["clean"], methods=["standard"], seeds=[1])
    message = refusal(lambda: run_benchmark(grid, "/proc/mislabel/run"))
    assert message.startswith("out='/proc/mislabel/run': cannot be written")


def test_loading_what_is_no_run(run: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    assert refusal(lambda: load_results(nothing)) == f"run='{nothing}': holds no run (no run.json)"
    file = run / "run.json"
    content = json.loads(file.read_text())
    for broken in ({**content, "format": 2}, {"format": 1}, [1]):
        file.write_text(json.dumps(broken))
        assert refusal(lambda: load_results(run)) == f"run='{file}': is not a run of format 1"
    file.write_text(json.dumps(content)[:50])
    assert refusal(lambda: load_results(run)).startswith(f"run='{file}': cannot be read as JSON (")


def test_killed_while_the_first_file_was_written(finished: Done, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / ".run.json.abc123.tmp").write_text('{"format"')
    grid = tiny_grid(finished[0], noises=["clean"], methods=["standard"], seeds=[1], epochs=1)
    assert len(run_benchmark(grid, out, workers=1).cells) == 1


def test_killed_before_the_labels_were_stored(
    finished: Done, run: Path, trained: list[tuple[str, str, int]]
) -> None:
    """Labels without a receipt count as not stored; they are drawn again, the same."""
    labels = sorted((run / "labels").glob("*.parquet"))
    assert len(labels) == 2
    labels[0].unlink()
    Path(f"{labels[1]}.receipt.json").unlink()
    (run / "map.npy").unlink()
    rule = "has no labels for 'symmetric:0.2'"
    assert refusal(lambda: load_results(run)) == f"run='{run}': {rule}"
    found = run_benchmark(tiny_grid(finished[0]), run, workers=1)
    assert trained == [] and numbers(found) == numbers(load_results(finished[1]))
    for name, (_, content) in snapshot(finished[1]).items():
        if name != "run.json":
            assert (run / name).read_bytes() == content, name


def test_half_written_cells_are_passed_over(
    finished: Done, run: Path, trained: list[tuple[str, str, int]]
) -> None:
    removed = remove_cells(run, 1)
    half = run / "cells" / ".cell-abc123"
    half.mkdir()
    (half / "result.json").write_text("{")
    assert load_results(run).n_missing == 1
    run_benchmark(tiny_grid(finished[0]), run, workers=1)
    assert trained == removed and half.is_dir()  # perhaps another process is writing it
    old = 1_000_000_000
    os.utime(half, (old, old))
    run_benchmark(tiny_grid(finished[0]), run, workers=1)
    assert not half.exists()


def test_cells_are_named_by_everything_they_depend_on(finished: Done) -> None:
    for path in finished[1].glob("cells/*"):
        config = json.loads((path / "config.json").read_text())
        place = {name: config[name] for name in ("noise", "method", "seed")}
        assert path.name == hash_json(place | config["configuration"])[:20]
        assert config["configuration"].keys() == {"data_sha256", "labels_sha256", "training"}
    assert len(cells(finished[1])) == 8


def test_a_folder_may_be_moved(finished: Done, run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "deep" / "elsewhere"
    moved.parent.mkdir()
    run.rename(moved)
    assert numbers(load_results(moved)) == numbers(load_results(finished[1]))


def test_features_of_methods_are_part_of_their_cells(
    finished: Done, tmp_path: Path, trained: list[tuple[str, str, int]]
) -> None:
    """Neighbours come from the given features, or from the map when there are none."""
    features = tmp_path / "features.npy"
    np.save(features, np.random.default_rng(0).normal(size=(60, 3)))
    grid = tiny_grid(finished[0], features=features, noises=["symmetric:0.2"])
    found = run_benchmark(grid, tmp_path / "run", workers=1)
    plain = numbers(load_results(finished[1]))
    for key, value in numbers(found).items():
        assert (value == plain[key]) is (key[1] == "standard")


def test_a_label_file_that_changes_between_starts_is_refused(tmp_path: Path) -> None:
    """The cells of the first file would stand for the second one's labels."""
    write_data(tmp_path)
    file, out = tmp_path / "labels.npy", tmp_path / "run"
    labels = load_data(f"npz:{tmp_path / 'tiny.npz'}").y_train.copy()
    np.save(file, labels)
    grid = tiny_grid(tmp_path, noises=[f"file:{file}"], methods=["standard"], seeds=[1], epochs=1)
    first = run_benchmark(grid, out, workers=1)
    assert numbers(run_benchmark(grid, out, workers=1)) == numbers(first)
    before = snapshot(out)
    labels[0] = (labels[0] + 1) % (labels.max() + 1)
    np.save(file, labels)
    with pytest.raises(InputError) as caught:
        run_benchmark(grid, out, workers=1)
    rule = "its labels are not those that the run folder has from it; use another folder"
    assert (caught.value.argument, caught.value.rule) == ("noise", rule)
    assert snapshot(out) == before
