"""Human noise and labels from files: read, never drawn, and always aligned."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mislabel.errors import InputError
from mislabel.noise import FromFile, Human, NoiseModel, make_noise
from mislabel.noise.human import HUMAN_SETS, find_human_file

CLEAN = np.array([0, 1, 2, 0, 1, 2, 0, 1])
NOISY = np.array([0, 1, 1, 0, 1, 2, 2, 1])


def refusal(model: NoiseModel, clean: Any = CLEAN, **changes: Any) -> str:
    with pytest.raises(InputError) as caught:
        model.corrupt(clean, **changes)
    return str(caught.value)


@pytest.fixture
def human_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small file in CIFAR-N's layout, where it is looked for."""
    monkeypatch.setenv("MISLABEL_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "cifar-n" / "CIFAR-10_human.pt"
    path.parent.mkdir()
    torch.save({"clean_label": CLEAN, "random_label1": NOISY, "aggre_label": CLEAN}, path)
    return path


def test_labels_are_those_of_the_file(human_file: Path) -> None:
    for model in (
        make_noise("human:random_label1"),
        Human(which="random_label1", file=human_file),
        FromFile(path=human_file, column="random_label1"),
    ):
        noisy = model.corrupt(CLEAN, seed=4)
        np.testing.assert_array_equal(noisy.labels, NOISY)
        assert noisy.receipt.generator == model.name
    assert Human(which="random_label1", file=human_file).parameters() == {
        "which": "random_label1",
        "file": "CIFAR-10_human.pt",
    }


def test_a_subset_is_aligned_by_indices(human_file: Path) -> None:
    rows = np.array([6, 2, 5])
    noisy = make_noise("human:random_label1").corrupt(
        CLEAN[rows], n_classes=3, indices=rows, n_total=8
    )
    assert noisy.labels.tolist() == [2, 1, 2] and noisy.flipped.tolist() == [True, True, False]
    message = refusal(Human(which="random_label1"), CLEAN[rows], n_classes=3,
                      indices=rows + 1, n_total=8)  # fmt: skip
    assert message == "labels=1: its clean label at index 0 is not the data's, 0: not aligned"


def test_a_file_for_the_subset_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", NOISY[:3])
    noisy = FromFile(path=tmp_path / "a.npy").corrupt(
        CLEAN[:3], n_classes=3, indices=[5, 1, 0], n_total=8
    )
    assert noisy.labels.tolist() == NOISY[:3].tolist()


def test_misaligned_clean_labels(human_file: Path) -> None:
    other = CLEAN.copy()
    other[5] = 1
    for model in (Human(which="random_label1"), FromFile(path=human_file, column="aggre_label")):
        assert refusal(model, other, n_classes=3) == (
            "labels=2: its clean label at index 5 is not the data's, 1: not aligned"
        )


def test_wrong_length(human_file: Path) -> None:
    model = Human(which="random_label1")
    assert refusal(model, CLEAN[:6]) == "labels='8 labels': must have length 6"
    assert refusal(model, CLEAN[:6], indices=range(6), n_total=10) == (
        "labels='8 labels': must have length 6 or 10"
    )


def test_more_classes_in_the_file_than_in_the_data(human_file: Path) -> None:
    assert refusal(Human(which="random_label1"), CLEAN % 2) == (
        "labels=2: at index 5; must be between 0 and 1"
    )


def test_unknown_set(human_file: Path) -> None:
    known = ", ".join(sorted(HUMAN_SETS))
    assert refusal(Human(which="random_label4")) == (
        f"which='random_label4': unknown human labels; did you mean 'random_label3'? Known: {known}"
    )
    assert refusal(make_noise("human:worse_label")) == (
        "labels='worse_label': unknown labels; did you mean 'aggre_label'? "
        "Known: aggre_label, clean_label, random_label1"
    )


def test_missing_files(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MISLABEL_DATA", "nowhere")
    message = refusal(Human(which="worse_label"))
    looked = f"nowhere/cifar-n, {own_cache}/cifar-n; mislabel noise fetch gets it"
    assert message == f"human='CIFAR-10_human.pt': not found; looked in {looked}"
    monkeypatch.delenv("MISLABEL_DATA")
    with pytest.raises(InputError) as caught:
        find_human_file("CIFAR-100_human.pt", Path("data"))
    assert caught.value.rule == (
        f"not found; looked in data, cifar-n, ., {own_cache}/cifar-n; mislabel noise fetch gets it"
    )
    named = Human(which="worse_label", file=Path("missing.pt"))
    assert refusal(named) == "labels='missing.pt': no such file"
    assert refusal(FromFile(path=Path("missing.npy"))) == "labels='missing.npy': no such file"


def test_where_files_are_looked_for(human_file: Path, tmp_path: Path) -> None:
    name = human_file.name
    assert find_human_file(name) == human_file
    near = tmp_path / "cifar-10-batches-py"
    near.mkdir()
    assert find_human_file(name, near) == tmp_path / "cifar-n" / name
    (near / name).touch()
    assert find_human_file(name, near) == near / name


# The real files


@pytest.mark.data
@pytest.mark.parametrize(
    ("which", "rate"),
    [("aggre_label", 0.0901), ("random_label1", 0.1723), ("random_label2", 0.1812),
     ("random_label3", 0.1764), ("worse_label", 0.4021)],
)  # fmt: skip
def test_cifar_10n_rates(data_folder: Path, which: str, rate: float) -> None:
    clean = np.load(data_folder / "published" / "cifar10-given-labels.npy")
    noisy = make_noise(f"human:{which}").corrupt(clean)
    assert round(noisy.rate, 4) == rate and noisy.n_classes == 10


@pytest.mark.data
def test_cifar_10n_on_a_subset(data_folder: Path) -> None:
    clean = np.load(data_folder / "published" / "cifar10-given-labels.npy")
    rows = np.random.default_rng(0).choice(50_000, 2_000, replace=False)
    model = make_noise("human:worse_label")
    whole = model.corrupt(clean)
    part = model.corrupt(clean[rows], n_classes=10, indices=rows, n_total=50_000)
    np.testing.assert_array_equal(part.labels, whole.labels[rows])
    shifted = refusal(model, clean[rows], n_classes=10, indices=(rows + 1) % 50_000,
                      n_total=50_000)  # fmt: skip
    assert shifted.endswith("not aligned")
