"""Plain arrays in an ``.npz`` file."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_load_data import check_dataset

from mislabel.data import Dataset, load_data
from mislabel.errors import InputError

RNG = np.random.default_rng(0)


def arrays(**changes: Any) -> dict[str, Any]:
    """A good set of arrays, with changes; None takes an entry out."""
    good = {
        "x_train": RNG.normal(size=(6, 3)),
        "y_train": np.array([0, 1, 2, 0, 1, 2]),
        "x_test": RNG.normal(size=(3, 3)),
        "y_test": np.array([0, 1, 2]),
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not None}


def load(tmp_path: Path, **changes: Any) -> Dataset:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **arrays(**changes))
    return load_data(f"npz:{path}")


def images(n: int, *shape: int) -> np.ndarray:
    return RNG.integers(0, 256, size=(n, *shape), dtype=np.uint8)


def test_features(tmp_path: Path) -> None:
    x = RNG.normal(size=(6, 3))
    data = load(tmp_path, x_train=x, class_names=np.array(["a", "b", "c", "d"]))
    check_dataset(data)
    assert (data.name, data.augment, data.n_classes) == ("npz", "none", 4)
    np.testing.assert_array_equal(data.x_train, x.astype(np.float32))


@pytest.mark.parametrize(
    ("shape", "augment"),
    [((32, 32, 3), "crop-flip"), ((32, 32, 1), "none"), ((32, 32), "none"), ((23, 32, 3), "none")],
)
def test_images(tmp_path: Path, shape: tuple[int, ...], augment: str) -> None:
    x = images(6, *shape)
    data = load(tmp_path, x_train=x, x_test=images(3, *shape))
    check_dataset(data)
    assert data.augment == augment and data.class_names == ("0", "1", "2")
    np.testing.assert_array_equal(data.x_train.reshape(x.shape), x)
    assert data.x_train.ndim == 4


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"x_test": None}, "has no x_test; it holds x_train, y_train, y_test"),
        (dict.fromkeys(arrays(), None) | {"z": [1]}, None),
        ({"x_train": RNG.normal(size=(5, 3))}, "y_train=6 labels must have length 5"),
        ({"y_test": np.array([0, 1])}, "y_test=2 labels must have length 3"),
        ({"y_test": np.array([0, 1, 3])}, "y_test=3 at index 2; must be between 0 and 2"),
        ({"y_train": np.array([0, 1, 2, 0, -1, 2])}, "y_train=-1 at index 4; must be between"),
        ({"y_train": np.array([0, 1, 2, 0, 1.5, 2])}, "y_train=1.5 at index 4; must be a whole"),
        ({"y_train": np.zeros((6, 1), int)}, "y_train=shape (6, 1) must be one-dimensional"),
        ({"y_train": np.array(list("abcabc"))}, "y_train=dtype <U1 must be whole numbers"),
        ({"y_train": np.zeros(6, int)}, "y_train has 1 class; must have at least 2"),
        (
            {"x_test": np.zeros((3, 4))},
            "x_train (6, 3) and x_test (3, 4) must agree but for the length",
        ),
        (
            {"x_train": np.zeros((6, 3, 8, 8), np.uint8)},
            "x_train has shape (6, 3, 8, 8); images are (N, height, width, 1 or 3 channels)",
        ),
        (
            {"x_train": np.zeros((6, 8, 8, 3), np.float32)},
            "x_train is float32 of shape (6, 8, 8, 3); "
            "must be images (uint8, N first) or features (numbers, (N, d))",
        ),
        ({"x_train": np.zeros((0, 3))}, "x_train is float64 of shape (0, 3); must be"),
        ({"x_train": np.array([["a"] * 3] * 6)}, "x_train is <U1 of shape (6, 3); must be"),
        ({"class_names": np.array(["a", "b"])}, "has 2 class_names for 3 classes in y_train"),
        ({"class_names": np.array(["a", "b", "a"])}, "class_names must differ from one another"),
        ({"class_names": np.array([1, 2, 3])}, "class_names must be a vector of strings"),
    ],
)
def test_bad_arrays(tmp_path: Path, changes: dict[str, Any], rule: str | None) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, **changes)
    assert caught.value.argument == "data" and caught.value.value == str(tmp_path / "a.npz")
    expected = rule or "has no x_train, y_train, x_test, y_test; it holds z"
    assert caught.value.rule.startswith(expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_features_must_be_finite(tmp_path: Path, value: float) -> None:
    x = np.zeros((6, 3))
    x[4, 1] = value
    with pytest.raises(InputError) as caught:
        load(tmp_path, x_train=x)
    assert caught.value.rule == f"x_train has {value} at (4, 1); must be finite"


class Evil:
    """Unpickling this makes the folder that `marker` names."""

    marker = Path("marker")

    def __reduce__(self) -> Any:
        return Path.mkdir, (self.marker,)


def npy(array: Any, **how: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **how)
    return buffer.getvalue()


def with_entry(tmp_path: Path, key: str, content: bytes, before: bytes = b"") -> str:
    """What is said of a good archive in which the entry `key` is `content`, after other bytes."""
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays().items():
            archive.writestr(f"{name}.npy", content if name == key else npy(array))
        if key not in arrays():
            archive.writestr(f"{key}.npy", content)
    path.write_bytes(before + path.read_bytes())
    with pytest.raises(InputError) as caught:
        load_data(f"npz:{path}")
    assert caught.value.argument == "data" and caught.value.value == str(path)
    return caught.value.rule


@pytest.mark.parametrize("key", ["x_train", "y_test", "class_names"])
def test_no_pickle_is_read(tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "marker"
    monkeypatch.setattr(Evil, "marker", marker)
    pickle.loads(pickle.dumps(Evil()))  # noqa: S301
    assert marker.is_dir(), "the payload would do something"
    marker.rmdir()
    evil = np.array([Evil()] * 6, dtype=object)
    nested = np.array([(Evil(),)], dtype=[("a", object)])
    rule = f"its {key} cannot be read (it holds pickled objects, which are never loaded)"
    for array in (evil, nested):
        assert with_entry(tmp_path, key, npy(array, allow_pickle=True)) == rule
    none = f"its {key} cannot be read ({key} is no array)"
    assert with_entry(tmp_path, key, pickle.dumps(Evil())) == none
    assert not marker.exists()


def test_the_first_bytes_do_not_choose_the_reader(tmp_path: Path) -> None:
    """An archive is read as one, whatever stands before it; NumPy's own `load` would not."""
    path = tmp_path / "a.npz"
    np.savez(path, **arrays())
    whole = path.read_bytes()
    for before in (npy(np.zeros(3)), pickle.dumps(Evil())):
        path.write_bytes(before + whole)
        assert load_data(f"npz:{path}").y_train.tolist() == [0, 1, 2, 0, 1, 2]


def header(text: str) -> bytes:
    padded = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999,), }",
            "Unable to alloc",
        ),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (-3,), }", "negative dimensions"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (6,3", ""),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (6L,3), }", "Reading `.npy`"),
        ("{'descr': 'xx', 'fortran_order': False, 'shape': (6,3), }", "descr is not a valid"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (6,3), }", "EOF"),
    ],
)
def test_damaged_headers(tmp_path: Path, text: str, said: str) -> None:
    rule = with_entry(tmp_path, "x_test", header(text))
    assert rule.startswith(f"its x_test cannot be read ({said}") and "\n" not in rule


def test_broken_files(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **arrays())
    good = path.read_bytes()
    for size in (0, 4, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:size])
        with pytest.raises(InputError) as caught:
            load_data(f"npz:{path}")
        assert caught.value.rule == "is not an .npz file, or it is cut short"
    damaged = bytearray(good)
    damaged[60:90] = bytes(30)
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="its x_train cannot be read"):
        load_data(f"npz:{path}")
