"""The published layout, written and read, and the published table."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from study_examples import noise_plan

from mislabel.errors import InputError
from mislabel.labels import NoisyLabels, load_labels
from mislabel.memorization import load_scores
from mislabel.memorization.aggregate import study_scores
from mislabel.memorization.design import make_design
from mislabel.memorization.influence import study_influence
from mislabel.memorization.layout import export_study, import_csv, import_npz
from mislabel.memorization.store import StudyFolder
from mislabel.memorization.study import run_study

PLAN = noise_plan()
SHARED = ("inclusion", "exclusion", "inclusion_error", "exclusion_error", "inclusion_count",
          "exclusion_count", "inclusion_halves", "exclusion_halves")  # fmt: skip
SHARD = {"trainset_mask", "trainset_correctness", "trainset_predictions", "testset_correctness",
         "testset_predictions"}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return run_study(PLAN, tmp_path_factory.mktemp("a") / "study", runs=23, workers=1)


def read(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def test_the_layout_is_the_published_one(study: StudyFolder, tmp_path: Path) -> None:
    (path,) = export_study(study, tmp_path / "all.npz", influence=True)
    found = read(path)
    more = {"total_runs", "memorization", "memorization_inclusion_prob",
            "memorization_exclusion_prob", "influence"}  # fmt: skip
    assert set(found) == SHARD | more and found["total_runs"] == 23
    for number in range(23):
        row, answer = study.row(number, study.kept), PLAN.train(PLAN.design.run(number))
        np.testing.assert_array_equal(found["trainset_mask"][number], PLAN.design.mask(number))
        np.testing.assert_array_equal(found["trainset_predictions"][number], answer.train)
        np.testing.assert_array_equal(found["testset_predictions"][number], row["test_classes"])
        right = answer.test == PLAN.test_labels
        np.testing.assert_array_equal(found["testset_correctness"][number], right)
        right = answer.train == PLAN.labels.labels
        np.testing.assert_array_equal(found["trainset_correctness"][number], right)
    assert found["trainset_mask"].dtype == bool and found["trainset_predictions"].dtype == np.uint8
    scores, index = study_scores(study), PLAN.design.index
    np.testing.assert_array_equal(found["memorization_inclusion_prob"][index], scores.inclusion)
    np.testing.assert_array_equal(found["memorization"][index], scores.memorization)
    always = np.setdiff1d(np.arange(21), index)
    assert np.isnan(found["memorization_exclusion_prob"][always]).all()
    share = found["trainset_correctness"][:, always].mean(axis=0)
    np.testing.assert_allclose(found["memorization_inclusion_prob"][always], share, rtol=1e-15)
    expected = np.load(study_influence(study, tmp_path / "influence.npy"))
    np.testing.assert_array_equal(found["influence"][:, index], expected)
    assert np.isnan(found["influence"][:, always]).all()


@pytest.mark.parametrize("runs_per_file", [None, 9])
def test_what_is_written_is_read_again(
    study: StudyFolder, tmp_path: Path, runs_per_file: int | None
) -> None:
    paths = export_study(study, tmp_path / "out.npz", runs_per_file=runs_per_file)
    if runs_per_file:
        assert [path.name for path in paths] == ["out-000.npz", "out-001.npz", "out-002.npz"]
        assert set(read(paths[0])) == SHARD
        assert [len(read(path)["trainset_mask"]) for path in paths] == [9, 9, 5]
    found, scores = import_npz(paths, PLAN.labels, title="ours"), study_scores(study)
    np.testing.assert_array_equal(found.index, PLAN.design.index)
    for name in SHARED:
        np.testing.assert_array_equal(getattr(found, name), getattr(scores, name), err_msg=name)
    assert found.title == "ours" and found.provenance["runs"] == 23
    found.save(tmp_path / "scores.npz")
    assert len(load_scores(tmp_path / "scores.npz")) == len(found)


def test_aggregated_arrays_alone(study: StudyFolder, tmp_path: Path) -> None:
    """Of all examples, or of the held-out set; both need to be told which that is."""
    (path,) = export_study(study, tmp_path / "all.npz")
    whole, scores, index = read(path), study_scores(study), PLAN.design.index
    names = ("memorization_inclusion_prob", "memorization_exclusion_prob")
    for chosen in (slice(None), index):
        np.savez(tmp_path / "few.npz", **{name: whole[name][chosen] for name in names})
        found = import_npz([tmp_path / "few.npz"], PLAN.labels, index=index[::-1])
        np.testing.assert_array_equal(found.inclusion, scores.inclusion)
        np.testing.assert_array_equal(found.exclusion, scores.exclusion)
        assert np.isnan(found.inclusion_error).all() and found.title == "few.npz"
    with pytest.raises(InputError, match=r"few\.npz has no masks to tell it; give it$"):
        import_npz([tmp_path / "few.npz"], PLAN.labels)


def test_a_study_of_correctness_has_no_predictions(tmp_path: Path) -> None:
    study = run_study(noise_plan(keep="correctness"), tmp_path / "s", runs=2, workers=1)
    (path,) = export_study(study, tmp_path / "out.npz", runs_per_file=9)
    assert set(read(path)) == {name for name in SHARD if "predictions" not in name}


def test_bad_files(study: StudyFolder, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "text.npz").write_text("no archive")
    (path,) = export_study(study, tmp_path / "all.npz")
    objects = np.array([{}], dtype=object)
    np.savez(tmp_path / "pickle.npz", trainset_mask=objects, trainset_correctness=objects)
    few = NoisyLabels(PLAN.labels.labels[:20])
    for names, labels, message in (
        ([], PLAN.labels, "give at least one file"),
        (["none.npz"], PLAN.labels, "is no archive of arrays"),
        (["text.npz"], PLAN.labels, "is no archive of arrays"),
        (["other.npz"], PLAN.labels, "must have trainset_mask and trainset_correctness, or"),
        (["pickle.npz"], PLAN.labels, "cannot be read (Object arrays cannot be loaded"),
        (["all.npz"], few, "trainset_mask is (23, 21) and trainset_correctness (23, 21); must be"),
    ):
        with pytest.raises(InputError) as caught:
            import_npz([tmp_path / name for name in names], labels)
        assert message in str(caught.value)
    with pytest.raises(InputError, match=r"^held_out=21: at index 0; must be between 0 and 20$"):
        import_npz([path], PLAN.labels, index=[21])
    for options, message in (
        ({"runs_per_file": 0}, "runs_per_file=0: must be at least 1"),
        ({"runs_per_file": 2, "influence": True}, "influence=2: is in the aggregated file"),
    ):
        with pytest.raises(InputError) as caught:
            export_study(study, path, **options)  # type: ignore[arg-type]
        assert str(caught.value).startswith(message)


# The table


def write_table(path: Path, rows: list[tuple[Any, ...]]) -> Path:
    header = "index,clean_label,noisy_label,inclusion_prob,exclusion_prob"
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows), ""]))
    return path


LABELS = NoisyLabels([0, 1, 1, 0, 0, 0], clean_labels=[0, 0, 1, 0, 1, 0], n_classes=2)


def test_a_table_is_read(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.csv", [(4, 1, 0, 0.5, 0.25), (0, 0, 0, 1.0, 1)])
    found = import_csv(path, LABELS)
    assert found.index.tolist() == [0, 4] and found.n_total == 6
    assert found.inclusion.tolist() == [1, 0.5] and found.exclusion.tolist() == [1, 0.25]
    assert found.wrong.tolist() == [False, True] and found.inclusion_count.tolist() == [0, 0]
    unknown = import_csv(path, NoisyLabels(LABELS.labels, n_classes=2))
    assert unknown.wrong.tolist() == [False, True]


def test_counts_follow_from_the_design(tmp_path: Path) -> None:
    """Probabilities written as float32 are the fractions of hits that they were made of."""
    runs, design = 40, make_design(LABELS, "lim2025")
    inside = sum(design.mask(number).astype(int) for number in range(runs))
    rows, hits = [], {}
    for example in design.index:
        counts = np.array([inside[example], runs - inside[example]])
        hits[example] = counts // 3, counts
        shares = (hits[example][0] / counts).astype(np.float32)
        rows.append((example, LABELS.clean_labels[example], LABELS.labels[example],
                     *map(float, shares)))  # fmt: skip
    path = write_table(tmp_path / "a.csv", rows)
    found = import_csv(path, LABELS, runs=runs)
    for place, example in enumerate(found.index):
        (some, few), (n_in, n_out) = hits[example]
        assert found.inclusion_count[place] == n_in and found.exclusion_count[place] == n_out
        assert found.inclusion[place] == some / n_in and found.exclusion[place] == few / n_out
        p = few / n_out
        wanted = np.sqrt(p * (1 - p) / (n_out - 1))
        assert found.exclusion_error[place] == pytest.approx(wanted, rel=1e-14)
    with pytest.raises(InputError, match="the probabilities are no fractions of so many runs"):
        import_csv(path, LABELS, runs=41)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(6, 0, 0, 0.5, 0.5)], "index=6: at index 0; must be between 0 and 5"),
        ([(0, 0, 0, 0.5, 0.5), (0, 0, 0, 0.5, 0.5)], "index=0: is there twice"),
        ([(0, 0, 1, 0.5, 0.5)], "1 of its noisy_labels are not those of labels"),
        ([(0, 1, 0, 0.5, 0.5)], "1 of its clean_labels are not those of labels"),
        ([(0, 0, 0, 1.5, 0.5)], "its probabilities must be from 0 to 1"),
        ([(0, 0, 0, "x", 0.5)], "its column inclusion_prob is object"),
        ([(0, 0.5, 0, 1, 0.5)], "its column clean_label is float64"),
    ],
)
def test_bad_tables(tmp_path: Path, rows: list[Any], message: str) -> None:
    path = write_table(tmp_path / "a.csv", rows)
    with pytest.raises(InputError) as caught:
        import_csv(path, LABELS)
    assert message in str(caught.value)


def test_other_files_are_no_tables(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    for name in ("a.csv", "none.csv"):
        with pytest.raises(InputError, match="is no table with the columns index, clean_label"):
            import_csv(tmp_path / name, LABELS)


@pytest.mark.data
def test_the_published_table(data_folder: Path) -> None:
    labels = load_labels(data_folder / "cifar-n/CIFAR-10_human.pt", column="random_label1")
    path = data_folder / "published/memorization_rand1_dev.csv"
    found = import_csv(path, labels, runs=1500, title="published")
    assert len(found) == 8547 and found.title == "published"
    assert (found.inclusion_count + found.exclusion_count == 1500).all()
    np.testing.assert_allclose(found.inclusion, import_csv(path, labels).inclusion, atol=2**-24)
