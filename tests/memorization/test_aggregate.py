"""Scores and influence from rows equal their plain twins."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from study_examples import noise_plan

from mislabel.errors import InputError
from mislabel.memorization import influence
from mislabel.memorization.aggregate import Sums, study_scores
from mislabel.memorization.influence import study_influence
from mislabel.memorization.store import StudyFolder
from mislabel.memorization.study import run_study

RUNS = 13


@pytest.fixture(scope="module", params=["balanced", "all"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    path = tmp_path_factory.mktemp("study") / "study"
    return run_study(noise_plan(design=request.param), path, runs=RUNS, workers=1)


def dense(folder: StudyFolder) -> dict[str, Any]:
    """The plain twin: whole matrices in float64, (R, N) and (R, M)."""
    labels, n, m = folder.labels, 21, 10
    found: dict[str, list[Any]] = {"mask": [], "train": [], "test": [], "chance": []}
    for number in folder.runs():
        row = folder.row(number, folder.kept)
        found["mask"].append(np.unpackbits(row["mask"])[:n])
        found["train"].append(row["train_classes"] == labels.labels)
        found["test"].append(row["test_classes"] == labels.test_labels)
        found["chance"].append(row["train_probability"])
        np.testing.assert_array_equal(np.unpackbits(row["train"])[:n], found["train"][-1])
        np.testing.assert_array_equal(np.unpackbits(row["test"])[:m], found["test"][-1])
    return {name: np.array(rows, dtype=float) for name, rows in found.items()}


@pytest.mark.parametrize("measure", ["correctness", "probability"])
def test_scores_equal_their_plain_twin(folder: StudyFolder, measure: str) -> None:
    matrices, found = dense(folder), study_scores(folder, measure=measure)
    values = matrices["train" if measure == "correctness" else "chance"]
    index = folder.labels.index
    np.testing.assert_array_equal(found.index, 2 * index + 1)  # places in the full set
    assert found.n_total == 50 and found.class_names == ("ant", "bee", "cat")
    np.testing.assert_array_equal(found.labels, folder.labels.labels[index])
    for name, among in (("inclusion", matrices["mask"] == 1), ("exclusion", matrices["mask"] == 0)):
        for place, example in enumerate(index):
            chosen = values[among[:, example], example]
            n = len(chosen)
            assert getattr(found, f"{name}_count")[place] == n
            wanted = [np.mean(chosen) if n else np.nan, np.nan]
            if n > 1:
                wanted[1] = np.std(chosen, ddof=1) / np.sqrt(n)
                if measure == "correctness":
                    p = wanted[0]
                    assert wanted[1] == pytest.approx(np.sqrt(p * (1 - p) / (n - 1)), abs=1e-15)
            got = [getattr(found, name)[place], getattr(found, f"{name}_error")[place]]
            # Variances are differences of sums of at most R squares: off by 2 R half ulp of 1.
            np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=np.sqrt(2 * RUNS * 2**-53))
            for half in (0, 1):
                chosen = values[half::2][among[half::2, example], example]
                part = getattr(found, f"{name}_halves")[half, place]
                wanted_half = np.mean(chosen) if len(chosen) else np.nan
                np.testing.assert_allclose(part, wanted_half, rtol=1e-12)


def test_errors_worked_by_hand() -> None:
    """In 4 runs with an example it was right 3 times: sqrt(3/4 1/4 / 3) = 1/4. Out of one: NaN."""
    masks = np.array([[1], [1], [0], [1], [1]], dtype=bool)
    right = np.array([[1], [0], [1], [1], [1]])
    sums = Sums.of(zip(masks, right, strict=True), 1)
    np.testing.assert_array_equal(sums.means(), [[1], [0.75]])
    np.testing.assert_array_equal(sums.counts(), [[1], [4]])
    np.testing.assert_allclose(sums.errors(), [[np.nan], [0.25]])
    # q = 2/3 of 1 run: 2/9 / 4; q = 4/6 of 4 runs: 2/9 / 7.
    assert sums.bound() == pytest.approx(np.sqrt(2 / 36 + 2 / 63), rel=1e-12)


def test_the_bound_is_not_fooled_by_runs_that_agree() -> None:
    """After n runs all right, p = 1 has the standard error 0, and the bound is about 1 / n."""
    masks = np.tile([[True], [False]], (50, 1))
    sums = Sums.of(((mask, np.ones(1)) for mask in masks), 1)
    assert sums.errors().tolist() == [[0], [0]]
    each = 51 / 52 * (1 / 52) / 53
    assert sums.bound() == pytest.approx(np.sqrt(2 * each), rel=1e-12)
    assert Sums.of([], 1).bound() == pytest.approx(np.sqrt(2 * 0.25 / 3), rel=1e-12)


def dense_influence(folder: StudyFolder) -> Any:
    """(M, H), NaN where an example was never left out, or always."""
    matrices = dense(folder)
    mask, right = matrices["mask"][:, folder.labels.index], matrices["test"]
    inside, outside = mask.sum(axis=0), (1 - mask).sum(axis=0)
    shares = []
    for among, count in ((mask, inside), (1 - mask, outside)):
        shares.append(right.T @ among / np.where(count == 0, np.nan, count))
    return shares[0] - shares[1]


@pytest.mark.parametrize("block", [2**26, 1])
def test_influence_equals_its_plain_twin(
    folder: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    """In one block, and in the smallest: 8 test and 8 training examples at a time.

    Counts are exact; 1/n, the product of a count with it and the difference round to float32, and
    values are up to 2, so the difference is below 6 ulp of 2 (2^-22).
    """
    monkeypatch.setattr(influence, "BLOCK_BYTES", block)
    out = study_influence(folder, tmp_path / "influence.npy")
    found, wanted = np.load(out, mmap_mode="r"), dense_influence(folder)
    assert found.dtype == np.float32 and found.shape == (10, len(folder.labels.index))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=6 * 2**-22)
    assert np.isfinite(found).any()
    chosen = study_influence(folder, tmp_path / "chosen.npy", test=[7, 2])
    np.testing.assert_array_equal(np.load(chosen), found[[7, 2]])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "chosen.npy", "chosen.npy.json", "influence.npy", "influence.npy.json",
    ]  # fmt: skip


def test_what_was_never_left_out_is_unknown(tmp_path: Path) -> None:
    """After one run every example has either no inclusion or no exclusion probability."""
    study = run_study(noise_plan(), tmp_path / "study", runs=1, workers=1)
    found, mask = study_scores(study), dense(study)["mask"][0, study.labels.index] == 1
    assert mask.any() and (~mask).any()
    np.testing.assert_array_equal(np.isnan(found.exclusion), mask)
    np.testing.assert_array_equal(np.isnan(found.inclusion), ~mask)
    assert np.isnan(found.inclusion_error).all() and np.isnan(found.memorization).all()
    assert np.isnan(np.load(study_influence(study, tmp_path / "i.npy"))).all()


def test_its_own_output_is_not_read_back(tmp_path: Path) -> None:
    study = run_study(noise_plan(), tmp_path / "study", runs=5, workers=1)
    before = study_scores(study)
    before.save(study.path / "scores.npz")
    before.save(study.path / "runs" / "scores.npz")
    study_influence(study, study.path / "influence.npy")
    after = study_scores(study.path)
    np.testing.assert_array_equal(before.inclusion, after.inclusion)
    assert after.provenance == before.provenance and after.provenance["runs"] == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "odds"}, "measure='odds': unknown choice; Known: correctness, probability"),
        ({"measure": "probability"},
         "measure='probability': this study keeps predictions; only probabilities tell"),
    ],
)  # fmt: skip
def test_bad_measures(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    study = run_study(noise_plan(keep="predictions"), tmp_path / "study", runs=1, workers=1)
    with pytest.raises(InputError) as caught:
        study_scores(study, **options)
    assert str(caught.value) == message


def test_bad_influence(folder: StudyFolder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^test=10: at index 0; must be between 0 and 9$"):
        study_influence(folder, tmp_path / "a.npy", test=[10])
    with pytest.raises(InputError, match=r"must end in \.npy$"):
        study_influence(folder, tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())


def test_a_study_without_runs_has_no_scores(folder: StudyFolder, tmp_path: Path) -> None:
    empty = StudyFolder(tmp_path / "empty")
    empty.start(folder.identity, folder.labels, {})
    for ask in (study_scores, lambda study: study_influence(study, tmp_path / "a.npy")):
        with pytest.raises(InputError, match=r"has no finished run$"):
            ask(empty)
    with pytest.raises(InputError, match=r"holds no study \(no study\.json\)$"):
        study_scores(tmp_path)
