"""Cleaned labels: the value, its figures by hand, and files that agree with their receipts."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from pyarrow import parquet

from cleaned_examples import NAMES, C, N, by_hand, clean, cleaned, noisy, points, undetermined
from mislabel.cleaning import adaptive_targets, clean_labels, load_cleaned
from mislabel.cleaning.adaptive import STABLE
from mislabel.errors import InputError
from mislabel.files import hash_array
from mislabel.labels import NoisyLabels, load_labels
from mislabel.labels.formats import receipt_path

SUFFIXES = ("csv", "parquet", "npz")


def test_wrong_labels_in_far_clouds_are_found() -> None:
    found = cleaned()
    assert found.determined and found.warning is None
    assert_array_equal(found.corrected_labels, clean())
    assert_array_equal(found.changed, np.arange(N) % 10 == 0)
    assert found.n_changed == 30 and len(found) == N and found.n_classes == C
    quality = found.quality()
    assert quality is not None
    assert (quality.given_accuracy, quality.corrected_accuracy) == (0.9, 1.0)
    assert (quality.precision, quality.recall, quality.auc) == (1.0, 1.0, 1.0)


def test_the_value_is_that_of_adaptive_targets() -> None:
    found, ours = adaptive_targets(points(), noisy(), n_classes=C, seed=3), cleaned()
    assert_array_equal(ours.targets, found.targets)
    assert_array_equal(ours.noise_scores, found.noise_scores)
    assert_array_equal(ours.corrected_labels, found.corrected_labels)
    assert (ours.determined, ours.stability) == (found.determined, found.stability)
    assert (ours.patch_rate, ours.scattered_rate) == (found.patch_rate, found.scattered_rate)


def test_clean_labels_take_no_part() -> None:
    assert_array_equal(cleaned(known=False).targets, cleaned().targets)
    assert cleaned(known=False).quality() is None
    assert cleaned(known=False).summary()["known"] is None


def test_plain_labels_and_neighbors_that_are_known() -> None:
    from mislabel.features import nearest_neighbors

    neighbors = nearest_neighbors(points(), 60)[1]
    found = clean_labels(noisy().tolist(), points().tolist(), neighbors=neighbors, seed=3)
    assert found.class_names == ("0", "1", "2") and found.clean_labels is None
    assert_array_equal(found.targets, cleaned().targets)
    assert found.receipt["parameters"]["neighbors_given"] is True


def test_changes_against_a_plain_loop() -> None:
    counts: dict[tuple[int, int], int] = {}
    for given, corrected in zip(noisy().tolist(), clean().tolist(), strict=True):
        if given != corrected:
            counts[given, corrected] = counts.get((given, corrected), 0) + 1
    assert cleaned().changes() == [(a, b, n) for (a, b), n in sorted(counts.items())]
    many = by_hand(labels=np.array([1, 1, 1, 0]), corrected_labels=np.array([0, 0, 1, 1]))
    assert many.changes() == [(1, 0, 2), (0, 1, 1)]


def test_figures_by_hand() -> None:
    found = by_hand()
    np.testing.assert_allclose(found.noise_scores, [0.1, 0.8, 0.75, 0.35], rtol=1e-6)
    assert found.noise_rate == pytest.approx(0.5, rel=1e-6)
    assert_array_equal(found.surest(9), [1, 2])
    assert_array_equal(found.surest(1), [1])
    quality = found.quality()
    assert quality is not None
    assert (quality.given_accuracy, quality.corrected_accuracy) == (0.5, 0.5)
    assert (quality.precision, quality.recall) == (0.5, 0.5)
    assert quality.auc == 0.75  # of wrong 0.8, 0.35 and right 0.1, 0.75, three of four pairs
    expected = -np.log([0.9, 0.8, 0.25, 0.35]).mean()
    assert quality.log_loss == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("wrong", [True, False])
def test_shares_of_nothing_are_unknown(wrong: bool) -> None:
    labels = np.array([0, 1, 0, 0])
    known = 1 - labels if wrong else labels
    quality = by_hand(labels=labels, corrected_labels=labels, clean_labels=known).quality()
    assert quality is not None
    assert quality.precision is None and quality.auc is None
    assert quality.recall == (0.0 if wrong else None)


def test_summary_is_json() -> None:
    summary = cleaned().summary()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary | {
        "class_names": list(NAMES)
    }
    assert (summary["n_changed"], summary["share_changed"]) == (30, 0.1)
    assert summary["changes"][0] == {"given": 0, "corrected": 2, "count": 10}
    assert summary["stability_needed"] == STABLE


def test_where_labels_do_not_determine_the_classes_they_are_left() -> None:
    found = undetermined()
    assert not found.determined and found.n_changed == 0 and found.changes() == []
    assert_array_equal(found.corrected_labels, found.labels)
    warning = found.warning
    assert warning is not None
    assert warning.startswith("these labels do not determine the classes (stability 0.")
    assert warning.endswith(f"; {STABLE} is needed): labels are left as they are")
    nearly = dataclasses.replace(found, stability=STABLE - 1e-4)
    assert f"stability {STABLE - 0.01:.2f};" in str(nearly.warning)


def test_receipt_says_where_everything_comes_from() -> None:
    receipt = cleaned().receipt
    assert (receipt["format"], receipt["generator"], receipt["seed"]) == (1, "adaptive-targets", 3)
    assert receipt["parameters"]["stable"] == STABLE
    assert receipt["parameters"]["neighbors"] == 50 and not receipt["parameters"]["approximate"]
    assert receipt["inputs"] == {
        "labels": hash_array(noisy()),
        "features": hash_array(points()),
        "clean_labels": hash_array(clean()),
    }
    assert receipt["labels_receipt"]["generator"] == "by hand"
    assert receipt["labels_sha256"] == hash_array(clean())
    assert receipt["class_names"] == list(NAMES)
    assert {"python", "mislabel", "numpy", "scipy"} <= set(receipt["versions"])
    assert np.shape(receipt["noise_matrix"]) == (C, C)
    assert len(receipt["scales"]) == len(receipt["weights"])
    assert receipt["noise_rate"] == cleaned().noise_rate and receipt["n_changed"] == 30


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_come_back_the_same(suffix: str, known: bool, tmp_path: Path) -> None:
    path, ours = tmp_path / f"cleaned.{suffix}", cleaned(known)
    ours.save(path)
    found = load_cleaned(path)
    for name in ("labels", "corrected_labels", "targets", "noise_scores"):
        assert_array_equal(getattr(found, name), getattr(ours, name))
        assert getattr(found, name).dtype == getattr(ours, name).dtype
    assert (found.clean_labels is None) == (not known)
    assert found.summary() == ours.summary() and found.receipt == ours.receipt
    before = path.read_bytes(), receipt_path(path).read_bytes()
    found.save(path)
    assert (path.read_bytes(), receipt_path(path).read_bytes()) == before
    assert len(list(tmp_path.iterdir())) == 2


def test_undetermined_labels_come_back_the_same(tmp_path: Path) -> None:
    undetermined().save(tmp_path / "cleaned.csv")
    assert load_cleaned(tmp_path / "cleaned.csv").warning == undetermined().warning


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_is_a_label_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"cleaned.{suffix}"
    cleaned().save(path)
    read = load_labels(path, column="corrected_label", clean_labels=clean())
    assert_array_equal(read.labels, clean())
    assert_array_equal(read.clean_labels, clean())
    assert read.receipt.generator == "adaptive-targets" and read.n_classes == C
    as_given = load_labels(path, column="original_label", clean_labels=clean())
    assert_array_equal(as_given.labels, noisy())
    with pytest.raises(InputError, match="name one as column"):
        load_labels(path)


def test_columns_of_a_table(tmp_path: Path) -> None:
    cleaned(known=False).save(tmp_path / "cleaned.csv")
    lines = (tmp_path / "cleaned.csv").read_text().splitlines()
    assert lines[0] == (
        "sample_id,original_label,corrected_label,noise_score,target_0,target_1,target_2"
    )
    assert lines[1].startswith("0,1,0,0.") and len(lines) == 1 + N


def test_hostile_class_names_are_kept(tmp_path: Path) -> None:
    names = ('<b>"x"</b>', "a,b\nc", "\udcff\u202e=1+1")
    ours = clean_labels(noisy(), points(), class_names=names)
    for suffix in SUFFIXES:
        ours.save(tmp_path / f"cleaned.{suffix}")
        assert load_cleaned(tmp_path / f"cleaned.{suffix}").class_names == names


def rewritten(path: Path, **changes: Any) -> None:
    """Change arrays of a saved archive."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    kept = {k: v for k, v in (arrays | changes).items() if v is not None}
    np.savez(path, **kept)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": clean()}, "labels differ from the receipt: changed after they were written"),
        ({"corrected_labels": noisy()}, "corrected_labels differ from the receipt"),
        ({"targets": np.full((N, C), 1 / 3, np.float32)}, "targets differ from the receipt"),
        ({"targets": None}, "its arrays are not those of its receipt"),
        ({"clean_labels": noisy()}, "its arrays are not those of its receipt"),
        ({"clean_labels": None}, "its arrays are not those of its receipt"),
        ({"more": np.zeros(3)}, "its arrays are not those of its receipt"),
        ({"noise_scores": np.zeros(N, np.float32)}, "noise_scores are not those of the targets"),
        ({"class_names": np.array(["x", "y", "z"])}, "class names are not those of its receipt"),
        ({"labels": noisy() - 1}, "must be between 0 and 2"),
        ({"labels": np.array([None] * N)}, "Object arrays cannot be loaded"),
    ],
)
def test_changed_arrays_are_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "cleaned.npz"
    cleaned().save(path)
    rewritten(path, **changes)
    with pytest.raises(InputError, match=words) as raised:
        load_cleaned(path)
    assert "\n" not in str(raised.value) and raised.value.argument == "cleaned"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "not of adaptive-targets in format 1"),
        ({"generator": "file"}, "not of adaptive-targets in format 1"),
        ({"determined": 1}, "determined is 1"),
        ({"stability": 1.5}, "no share from 0 to 1"),
        ({"patch_rate": "much"}, "no share from 0 to 1"),
        ({"class_names": ["one"]}, "its class names are not|must be between 0 and 0"),
        ({"inputs": {}}, "labels"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "npz"])
def test_changed_receipts_are_refused(
    suffix: str, changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = tmp_path / f"cleaned.{suffix}"
    cleaned(known=False).save(path)
    content = json.loads(receipt_path(path).read_text())
    receipt_path(path).write_text(json.dumps(content | changes))
    with pytest.raises(InputError, match=words):
        load_cleaned(path)


def test_broken_and_missing_files(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        path = tmp_path / f"cleaned.{suffix}"
        with pytest.raises(InputError, match="no such file"):
            load_cleaned(path)
        cleaned().save(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match="is no file of cleaned labels") as raised:
            load_cleaned(path)
        assert "\n" not in str(raised.value)
        receipt_path(path).unlink()
        with pytest.raises(InputError, match=r"receipt\.json.*no such file"):
            load_cleaned(path)
    with pytest.raises(InputError, match=r"must end in \.csv, \.parquet, \.npz"):
        load_cleaned(tmp_path / "cleaned.npy")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda t: t.rename_columns(["sample_id", *("x" * k for k in range(1, 8))]),
            "arrays|unknown",
        ),
        (lambda t: t.set_column(0, "sample_id", pa.array(np.arange(N) + 1)), "must count 0, 1, 2"),
        (lambda t: t.drop_columns(["sample_id"]), "sample_id"),
        (lambda t: t.append_column("target_9", t["target_0"]), "unknown columns among"),
        (lambda t: t.append_column("target_0", t["target_0"]), "has a column twice"),
        (lambda t: t.drop_columns(["noise_score"]), "noise_scores"),
        (lambda t: t.slice(0, 10), "its arrays are not those of its receipt"),
    ],
)
def test_other_tables_are_refused(change: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / "cleaned.parquet"
    cleaned().save(path)
    parquet.write_table(change(parquet.read_table(path)), path)
    with pytest.raises(InputError, match=words):
        load_cleaned(path)


def test_a_column_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cleaned.csv"
    cleaned().save(path)
    lines = [f"{line},{line.rpartition(',')[2]}" for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="it has a column twice"):
        load_cleaned(path)


@pytest.mark.parametrize("name", ["cleaned.npy", "cleaned", "cleaned.csv.gz"])
def test_other_suffixes_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.csv, \.parquet, \.npz"):
        cleaned().save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": [0.5, 1]}, "labels=0.5: at index 0; must be a whole number"),
        ({"labels": noisy()[:-1]}, "must have one row per label: 299"),
        ({"features": np.full((N, 2), np.nan)}, "features='row 0': must be finite"),
        ({"class_names": ["a", "b"]}, "labels=2: at index 2; must be between 0 and 1"),
        ({"seed": -1}, "seed=-1"),
        ({"neighbors": np.zeros((3, 3), int)}, "neighbors="),
    ],
)
def test_bad_input(changes: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"labels": noisy(), "features": points()} | changes
    with pytest.raises(InputError, match=words):
        clean_labels(**given)


def test_names_must_be_one_per_class() -> None:
    with pytest.raises(InputError, match="class_names='2 names': must be 3, one per class"):
        clean_labels(NoisyLabels(noisy()), points(), class_names=["a", "b"])
