"""Held-out studies: designs, folders, runs that are killed, damaged or merged."""

import json
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from study_examples import TOY, flipped, noise, noise_plan, rows, tiny_dataset

from mislabel.data import Dataset
from mislabel.errors import InputError
from mislabel.labels import NoisyLabels, load_labels
from mislabel.learning import METHODS, make_method
from mislabel.memorization import study as study_module
from mislabel.memorization.aggregate import study_scores
from mislabel.memorization.design import DESIGNS, STREAMS, load_index, make_design
from mislabel.memorization.store import KEEPS, Answer, StudyFolder, merge
from mislabel.memorization.study import augmented, forecast, method_plan, most_runs, run_study

LABELS = flipped(tiny_dataset())


# Designs


@pytest.mark.parametrize("name", DESIGNS)
def test_designs_hold_out_what_they_say(name: str) -> None:
    design = make_design(LABELS, name, seed=4)
    wrong = np.flatnonzero(LABELS.flipped)
    if name == "all":
        np.testing.assert_array_equal(design.index, np.arange(60))
    else:
        assert len(design.index) == 2 * len(wrong) == 24 and np.isin(wrong, design.index).all()
        assert (~LABELS.flipped[design.index]).sum() == 12
    always = np.setdiff1d(np.arange(60), design.index)
    for number in range(5):
        mask = design.mask(number)
        assert mask[always].all() and mask[design.index].sum() == design.n_kept
        np.testing.assert_array_equal(mask, design.mask(number))
    assert design.n_kept == {"all": 42, "balanced": 17, "lim2025": 16}[name]  # 16.8 of 24
    assert not np.array_equal(design.mask(0), design.mask(1))


def test_each_example_is_kept_as_often_as_it_should_be() -> None:
    """17 of 24 in 2,000 runs: binomial; 7 deviations are passed once in 1e-11."""
    design = make_design(LABELS, seed=1)
    share, runs = 17 / 24, 2000
    counts = sum(design.mask(number)[design.index].astype(int) for number in range(runs))
    assert np.abs(counts - share * runs).max() <= 7 * np.sqrt(runs * share * (1 - share))


def test_runs_have_seeds_of_their_own() -> None:
    seeds = [
        getattr(make_design(LABELS, seed=seed).run(number).seeds, stream)
        for seed in (0, 1) for number in range(20) for stream in STREAMS
    ]  # fmt: skip
    assert len(set(seeds)) == 2 * 20 * 3
    held = make_design(LABELS, fixed=["order", "initialisation"])
    assert held.fixed == ("initialisation", "order")
    first, second = held.run(3).seeds, held.run(4).seeds
    assert (first.initialisation, first.order) == (second.initialisation, second.order)
    assert first.augmentation != second.augmentation
    assert make_design(LABELS, seed=1).mask(0).tolist() != make_design(LABELS).mask(0).tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"design": "balance"},
            "design='balance': unknown choice; did you mean 'balanced'?",
        ),
        ({"keep": 1.0}, "keep=1.0: must be above 0 and below 1"),
        ({"design": "lim2025", "keep": 0.5}, "keep=0.5: is 0.7 in the design lim2025"),
        (
            {"fixed": ["orders"]},
            "fixed='orders': unknown choice; did you mean 'order'?",
        ),
        ({"held_out": [3]}, "held_out='1 examples': a study holds out at least 2"),
        ({"held_out": [3, 3, 4]}, "held_out=3: is there twice"),
        ({"held_out": [3, 60]}, "held_out=60: at index 1; must be between 0 and 59"),
        ({"seed": -1}, "seed=-1: must be a whole number from 0 to 2**63 - 1"),
    ],
)
def test_bad_designs(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_design(LABELS, **options)
    assert str(caught.value).startswith(message)


def test_a_design_that_labels_do_not_serve() -> None:
    with pytest.raises(InputError, match="needs clean labels to know the wrong ones"):
        make_design(NoisyLabels([0, 1, 0]))
    with pytest.raises(InputError, match="there are no wrong labels to hold out"):
        make_design(NoisyLabels([0, 1, 0], clean_labels=[0, 1, 0]))
    assert make_design(NoisyLabels([0, 1, 0]), "all").index.tolist() == [0, 1, 2]


def test_held_out_positions_from_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([5, 3], dtype=np.int32))
    (tmp_path / "a.txt").write_text("5\n3\n")
    (tmp_path / "b.txt").write_text("index\n3\n")
    for name in ("a.npy", "a.txt"):
        design = make_design(LABELS, held_out=load_index(tmp_path / name))
        assert design.index.tolist() == [3, 5] and design.name == "file" and design.n_kept == 1
    with pytest.raises(InputError, match="is no file of positions"):
        load_index(tmp_path / "b.txt")


@pytest.mark.data
def test_the_design_of_the_published_study(data_folder: Path) -> None:
    """Its held-out set, and the denominators of its probabilities after 1,500 runs.

    They are float32: a numerator of at most 1,101 is off a whole number by 1,101 2^-25 at most.
    """
    labels = load_labels(data_folder / "cifar-n/CIFAR-10_human.pt", column="random_label1")
    design = make_design(labels, "lim2025")
    published = np.load(data_folder / "published/heldout_rand1_indices.npy")
    np.testing.assert_array_equal(design.index, published)
    rows = np.loadtxt(
        data_folder / "published/memorization_rand1_dev.csv", delimiter=",", skiprows=1
    )
    index = rows[:, 0].astype(int)
    inside = sum(design.mask(number)[index].astype(int) for number in range(1500))
    for probability, count in ((rows[:, 3], inside), (rows[:, 4], 1500 - inside)):
        hits = probability * count
        assert np.abs(hits - np.round(hits)).max() <= 1101 * 2**-25


# Folders


@pytest.mark.parametrize("keep", KEEPS)
def test_rows_hold_what_was_asked_for(tmp_path: Path, keep: str) -> None:
    plan = noise_plan(keep=keep)
    folder = run_study(plan, tmp_path / "study", runs=2, workers=1)
    row, run = folder.row(1, folder.kept), plan.design.run(1)
    answer = noise(run)
    labels = plan.labels.labels
    assert np.unpackbits(row["mask"], count=21).tolist() == run.mask.astype(int).tolist()
    assert np.unpackbits(row["train"])[:21].tolist() == (answer.train == labels).tolist()
    assert np.unpackbits(row["test"])[:10].tolist() == (answer.test == np.arange(10) % 3).tolist()
    if keep != "correctness":
        assert row["train_classes"].dtype == np.uint8
        np.testing.assert_array_equal(row["train_classes"], answer.train)
        np.testing.assert_array_equal(row["test_classes"], answer.test)
    if keep == "probabilities":
        np.testing.assert_array_equal(row["train_probability"], answer.probability)
    assert len(row) == {"correctness": 3, "predictions": 5, "probabilities": 6}[keep]
    about = folder.about(1)
    assert about["run"] == 1 and about["seeds"]["order"] == run.seeds.order


@pytest.mark.slow
def test_several_workers_give_the_same(tmp_path: Path) -> None:
    plan = TOY.plan(seed=2)
    one = run_study(plan, tmp_path / "one", runs=6, workers=1)
    two = run_study(plan, tmp_path / "two", runs=6, workers=2)
    assert rows(one) == rows(two)


def test_any_order_gives_the_same(tmp_path: Path) -> None:
    plan = TOY.plan(seed=2)
    one = run_study(plan, tmp_path / "one", runs=6, workers=1)
    late = run_study(plan, tmp_path / "late", runs=range(3, 6), workers=1)
    assert late.runs() == [3, 4, 5]
    run_study(plan, tmp_path / "late", runs=6, workers=1)
    assert rows(one) == rows(late)
    first, second = study_scores(one), study_scores(late)
    for name in ("inclusion", "exclusion_error", "inclusion_halves"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_finished_runs_are_not_done_again(tmp_path: Path, monkeypatch: Any) -> None:
    plan = noise_plan()
    folder = run_study(plan, tmp_path / "study", runs=3, workers=1)
    before = {number: folder.row_path(number).stat().st_mtime_ns for number in range(3)}
    counted: list[tuple[int, int]] = []
    run_study(plan, folder.path, runs=4, workers=1, progress=lambda *now: counted.append(now))
    assert counted == [(3, 4), (4, 4)]
    assert before == {n: folder.row_path(n).stat().st_mtime_ns for n in range(3)}


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from study_examples import TOY
from mislabel.memorization import store
from mislabel.memorization.study import run_study

def replace(self, target, before=type(store.Path()).replace):
    if target.name == "000002.npz":
        os.kill(os.getpid(), signal.SIGKILL)
    before(self, target)

type(store.Path()).replace = replace
run_study(TOY.plan(seed=2), {out!r}, runs=5, workers=1)
"""


def test_a_killed_study_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    """Killed when run 2 is written but not in its place."""
    out, tests = str(tmp_path / "study"), str(Path(__file__).parent)
    script = textwrap.dedent(KILLED).format(tests=tests, out=out)
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    assert ended.returncode == -signal.SIGKILL
    folder = StudyFolder(out)
    assert folder.runs() == [0, 1]
    resumed = run_study(TOY.plan(seed=2), out, runs=5, workers=1)
    whole = run_study(TOY.plan(seed=2), tmp_path / "whole", runs=5, workers=1)
    assert rows(resumed) == rows(whole)


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "flipped":
        where = content.index(b"mask.npy") + 150
        path.write_bytes(content[:where] + bytes([content[where] ^ 255]) + content[where + 1 :])
    elif how == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif how == "other":
        with np.load(path) as archive:
            arrays = {name: archive[name] for name in archive.files}
        with path.open("wb") as file:
            np.savez(file, **arrays | {"train": np.zeros(99, np.uint8)})


@pytest.mark.parametrize("how", ["cut", "empty", "flipped", "array", "other"])
def test_a_damaged_row_is_found_and_done_again(tmp_path: Path, how: str) -> None:
    plan = noise_plan()
    folder = run_study(plan, tmp_path / "study", runs=3, workers=1)
    whole = rows(folder)
    damage(folder.row_path(1), how)
    with pytest.raises(InputError, match=r"000001\.npz is damaged .*; run the study again to rep"):
        study_scores(folder)
    with pytest.raises(InputError, match="is damaged"):
        merge([folder.path], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    told: list[str] = []
    run_study(plan, folder.path, runs=3, workers=1, say=told.append)
    assert rows(folder) == whole
    assert len(told) == 1 and "000001.npz is damaged" in told[0]
    assert told[0].endswith("and is done again")


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (lambda: noise_plan(keep="correctness"), "keep 'probabilities', not 'correctness'"),
        (lambda: noise_plan(design="all"), "design.held_out 10, not 21"),
        (lambda: noise_plan(identity={"method": "other"}), "method 'noise', not 'other'"),
        (lambda: noise_plan(identity={"method": "noise", "recipe": {"epochs": 3}}),
         "recipe.epochs None, not 3"),
        (lambda: noise_plan(test_labels=np.zeros(10, dtype=int)), "test_labels_sha256 "),
    ],
)  # fmt: skip
def test_a_folder_of_another_study_is_refused(tmp_path: Path, plan: Any, message: str) -> None:
    folder = run_study(noise_plan(), tmp_path / "study", runs=1, workers=1)
    before = sorted(folder.path.rglob("*"))
    with pytest.raises(InputError, match=f"holds a study with {message}"):
        run_study(plan(), folder.path, runs=2, workers=1)
    assert before == sorted(folder.path.rglob("*"))


def test_folders_of_other_things_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="holds other things"):
        run_study(noise_plan(), tmp_path, runs=1)
    with pytest.raises(InputError, match="is a file; must be a folder"):
        run_study(noise_plan(), tmp_path / "notes.txt", runs=1)


def test_merging(tmp_path: Path) -> None:
    """Disjoint folders, the same runs, the target among the sources; conflicts are refused."""
    plan = noise_plan()
    parts = [
        run_study(plan, tmp_path / name, runs=runs, workers=1)
        for name, runs in (("a", range(2)), ("b", range(1, 4)), ("whole", range(4)))
    ]
    assert merge([parts[0].path, parts[1].path], tmp_path / "merged") == 4
    merged = StudyFolder(tmp_path / "merged")
    assert rows(merged) == rows(parts[2])
    np.testing.assert_array_equal(study_scores(merged).exclusion, study_scores(parts[2]).exclusion)
    assert merge([parts[0].path, parts[1].path], parts[0].path) == 4
    assert rows(StudyFolder(parts[0].path)) == rows(parts[2])

    def other(run: Any) -> Answer:
        answer = noise(run)
        return Answer(train=1 - answer.train % 2, test=answer.test, probability=answer.probability)

    clash = run_study(noise_plan(train=other), tmp_path / "clash", runs=range(3, 5), workers=1)
    with pytest.raises(InputError, match="its run 3 has another train than that in"):
        merge([parts[2].path, clash.path], tmp_path / "new")
    different = run_study(noise_plan(keep="correctness"), tmp_path / "d", runs=1, workers=1)
    with pytest.raises(InputError, match="holds a study with keep 'correctness'"):
        merge([parts[2].path, different.path], tmp_path / "new")
    with pytest.raises(InputError, match="give at least one folder"):
        merge([], tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"train": np.zeros(20, int)}, "train='int64 (20,)': must be classes, one per train"),
        ({"test": np.full(10, 3)}, "test='classes': must be from 0 to 2"),
        ({"probability": None}, "probability='float64 ()': must be numbers from 0 to 1"),
        ({"probability": np.full(21, 1.1)}, "must be numbers from 0 to 1"),
    ],
)
def test_bad_answers_are_not_stored(tmp_path: Path, answer: Any, message: str) -> None:
    good = {"train": np.zeros(21, int), "test": np.zeros(10, int), "probability": np.zeros(21)}
    plan = noise_plan(train=lambda run: Answer(**good | answer))
    with pytest.raises(InputError) as caught:
        run_study(plan, tmp_path / "study", runs=1, workers=1)
    assert message in str(caught.value)
    assert StudyFolder(tmp_path / "study").runs() == []


def test_no_row_is_a_pickle(tmp_path: Path) -> None:
    folder = run_study(noise_plan(), tmp_path / "study", runs=1, workers=1)
    for path in folder.path.rglob("*.npz"):
        with np.load(path, allow_pickle=False) as archive:
            assert all(archive[name].dtype.kind in "iufU" for name in archive.files)
    assert json.loads((folder.path / "study.json").read_text())["format"] == 1


# How many runs


def test_rounds_until_the_errors_are_small(tmp_path: Path) -> None:
    plan, told = TOY.plan(seed=1), list[str]()
    folder = run_study(plan, tmp_path / "study", until_se=0.12, workers=1, say=told.append)
    count = len(folder.runs())
    assert told[-1].startswith(f"after {count:,} runs the largest standard error is 0.1")
    assert float(told[-1].split()[-1]) <= 0.12 < float(told[-2].split()[-1])
    assert study_scores(folder).memorization_error.max() <= 0.12 * 1.2
    assert study_module.FIRST_ROUND < count <= most_runs(0.12, plan.design)
    stopped = run_study(plan, tmp_path / "few", until_se=0.12, runs=25, workers=1)
    assert len(stopped.runs()) == 25


def test_the_most_runs_that_errors_take() -> None:
    """Half of two examples: 1 / (4 n) twice, so n is 0.5 / se^2 on each side at least."""
    design = make_design(LABELS, held_out=[0, 1], keep=0.5)
    count = most_runs(0.05, design)
    assert 2 * 0.5 / 0.05**2 < count < 2 * 0.5 / 0.05**2 + 6 * np.sqrt(count) + 1


def test_a_forecast(tmp_path: Path) -> None:
    plan = noise_plan()
    first = forecast(plan, tmp_path / "study", runs=10, workers=1)
    assert (first.runs, first.done, first.workers, first.seconds) == (10, 0, 1, None)
    folder = run_study(plan, tmp_path / "study", runs=4, workers=1)
    later = forecast(plan, folder.path, runs=10, workers=1)
    assert later.done == 4 and later.seconds is not None
    about = [folder.about(number)["seconds"] for number in range(4)]
    assert later.seconds == pytest.approx(6 * np.mean(about))
    size = folder.row_path(0).stat().st_size
    assert size <= later.bytes / 10 <= size + 4000
    until = forecast(plan, tmp_path / "other", until_se=0.1, workers=1)
    assert until.runs == most_runs(0.1, plan.design) and not (tmp_path / "other").exists()


def test_a_forecast_for_a_disk_that_is_too_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage, needed = shutil.disk_usage(tmp_path), 10 * noise_plan().row_bytes
    for free in (needed, needed - 1):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: usage._replace(free=free))
        if free == needed:
            forecast(noise_plan(), tmp_path / "study", runs=10, workers=1)
            continue
        with pytest.raises(InputError, match="study': has no room for 1 MB of runs"):
            forecast(noise_plan(), tmp_path / "study", runs=10, workers=1)
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "runs=None: give a number of runs, or until_se"),
        ({"runs": 0}, "runs='0:0': must be at least 1 run, from 0 to below 1,000,000"),
        ({"runs": range(-1, 3)}, "runs='-1:3': must be at least 1 run"),
        ({"until_se": 0}, "until_se=0: must be above 0 and below 1"),
        ({"until_se": 0.1, "runs": range(3)}, "runs='0:3': goes without until_se"),
        ({"runs": 2, "workers": 0}, "workers=0: must be at least 1"),
    ],
)
def test_bad_numbers_of_runs(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        run_study(noise_plan(), tmp_path / "study", **options)
    assert str(caught.value).startswith(message) and not (tmp_path / "study").exists()


# Learning methods


@pytest.mark.parametrize("name", [record.name for record in METHODS])
def test_every_method_can_be_studied(name: str, tmp_path: Path) -> None:
    """A row holds what a method predicts that is fitted by hand with the run's seeds."""
    data = tiny_dataset()
    labels = flipped(data)
    spec = f"{name}:epochs=1"
    guidance = (
        (data.x_train, data.x_test) if METHODS[name].estimator.predicts_from_features else None
    )
    plan = method_plan(data, labels, spec, device="cpu", guidance=guidance)
    assert plan.train.seconds_of_run(plan.design.run(0)) > 0  # type: ignore[attr-defined]
    folder = run_study(plan, tmp_path / "study", runs=1, workers=1)
    run = plan.design.run(0)
    method = make_method(spec, seed=run.seed, device="cpu")
    guide, tested = guidance or (None, None)
    method.fit(
        data.x_train, labels.labels, classes=[0, 1, 2], subset=run.mask, seeds=run.seeds,
        guidance=guide,
    )  # fmt: skip
    chance = method.predict_proba(data.x_train, features=guide)
    row = folder.row(0, folder.kept)
    np.testing.assert_array_equal(row["train_classes"], chance.argmax(axis=1))
    np.testing.assert_array_equal(row["test_classes"], method.predict(data.x_test, features=tested))
    given = chance[np.arange(60), labels.labels]
    np.testing.assert_array_equal(row["train_probability"], given.astype(np.float16))


def test_networks_memorize_wrong_labels(tmp_path: Path) -> None:
    """Trained long in many dimensions: wrong labels are fitted, and not predicted when left out."""
    data = tiny_dataset(noise=20)
    plan = method_plan(data, flipped(data), "standard:epochs=150", device="cpu")
    found = study_scores(run_study(plan, tmp_path / "study", runs=8, workers=1))
    wrong = found.wrong
    assert (found.inclusion[wrong] == 1).all()
    assert np.nanmean(found.exclusion[wrong]) < 0.5 < np.nanmean(found.exclusion[~wrong])
    assert found.title == "standard:epochs=150 (mlp, 150 epochs), 8 runs"


def test_augmented_evaluation() -> None:
    """Each image is a crop of itself padded, by seed and position; sizes as the blocks want."""
    rng = np.random.default_rng(0)
    images = rng.integers(1, 255, size=(1003, 8, 8, 1), dtype=np.uint8)
    found = augmented(images, 5)
    assert found.shape == images.shape and found.dtype == np.uint8
    np.testing.assert_array_equal(found, augmented(images, 5))
    np.testing.assert_array_equal(found[:10], augmented(images[:10], 5))
    assert not np.array_equal(found, augmented(images, 6))
    for one, image in zip(found[:50], images, strict=False):
        padded = np.pad(image[..., 0], 1)
        windows = [padded[y : y + 8, x : x + 8] for y in range(3) for x in range(3)]
        assert any(
            np.array_equal(one[..., 0], w) or np.array_equal(one[..., 0], w[:, ::-1])
            for w in windows
        )


def test_a_study_measures_augmented_images_if_asked(tmp_path: Path) -> None:
    """The same trainings, by the test predictions; other predictions of the training images."""
    rng = np.random.default_rng(0)
    clean = np.arange(40) % 2
    images = (rng.integers(0, 200, (40, 16, 16, 1)) + 50 * clean[:, None, None, None]) % 256
    data = Dataset(
        name="pictures", x_train=images.astype(np.uint8), y_train=clean,
        x_test=images[::-1].astype(np.uint8), y_test=clean[::-1], class_names=("a", "b"),
        train_indices=np.arange(40), n_train_total=40, augment="crop-flip",
    )  # fmt: skip
    labels = NoisyLabels(clean ^ (np.arange(40) % 5 == 0), clean_labels=clean, n_classes=2)
    plain, other = (
        run_study(
            method_plan(data, labels, "standard:network=mlp,epochs=2", device="cpu", evaluate=how),
            tmp_path / how, runs=1, workers=1,
        )
        for how in ("plain", "augmented")
    )  # fmt: skip
    first, second = rows(plain), rows(other)
    assert first[0, "test_classes"] == second[0, "test_classes"]
    assert first[0, "train_probability"] != second[0, "train_probability"]
    with pytest.raises(InputError, match="holds a study with evaluate 'plain', not 'augmented'"):
        plain.check_usable(other.identity)


def test_bad_plans() -> None:
    data = tiny_dataset()
    labels = flipped(data)
    for options, message in (
        ({"evaluate": "plane"}, "evaluate='plane': unknown choice; did you mean 'plain'?"),
        ({"evaluate": "augmented"},
         "evaluate='augmented': training on these data does not augment; take plain"),
        ({"method": "standart"}, "method='standart': unknown name; did you mean 'standard'?"),
        ({"method": "lra-diffusion"}, "guidance=None: needs features of training and test"),
        ({"keep": "all"}, "keep='all': unknown choice; Known: correctness, predictions"),
        ({"design": make_design(NoisyLabels([0, 1]), "all")},
         "design='all': is of 2 examples; must be of 60"),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            method_plan(data, labels, **options)
        assert str(caught.value).startswith(message)
    with pytest.raises(InputError, match="must have length 60"):
        method_plan(data, NoisyLabels([0, 1, 2], clean_labels=[0, 1, 1]))
