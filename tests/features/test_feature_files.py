"""Files of features and maps: all formats, and what is wrong with the others."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from mislabel.errors import InputError
from mislabel.features import load_features, load_map

POINTS = np.random.default_rng(0).normal(size=(7, 3))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(name: str, argument: str = "features") -> str:
    with pytest.raises(InputError) as caught:
        load_features(Path(name), argument)
    return str(caught.value)


def save(name: str, array: Any) -> Path:
    """An array in the format of the suffix; a Parquet file gets a column per column."""
    path = Path(name)
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez_compressed(path, array)
    else:
        table = {f"c{i}": column for i, column in enumerate(np.asarray(array).T)}
        parquet.write_table(pa.table(table), path)
    return path


every_format = pytest.mark.parametrize("suffix", [".npy", ".npz", ".parquet"])


@every_format
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u1"])
def test_every_format(suffix: str, dtype: str) -> None:
    array = (POINTS * 50 + 128).astype(dtype)
    found = load_features(save(f"a{suffix}", array))
    assert found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_array_equal(found, array.astype(np.float32))


def test_columns_of_fortran_order_and_named_arrays() -> None:
    np.save("a.npy", np.asfortranarray(POINTS))
    np.testing.assert_array_equal(load_features(Path("a.npy")), POINTS.astype(np.float32))
    np.savez("b.npz", features=POINTS, labels=np.arange(7))
    np.testing.assert_array_equal(load_features(Path("b.npz")), POINTS.astype(np.float32))
    np.savez("c.npz", x=POINTS, labels=np.arange(7))
    assert refusal("c.npz") == "features='c.npz': has no array 'features', only ['x', 'labels']"


def test_columns_of_a_parquet_file() -> None:
    table = {"name": list("abcdefg"), "y": POINTS[:, 1], "x": POINTS[:, 0], "z": POINTS[:, 2]}
    parquet.write_table(pa.table(table), "a.parquet")
    found = load_features(Path("a.parquet"))
    np.testing.assert_array_equal(found, POINTS[:, :2].astype(np.float32))
    del table["x"]
    parquet.write_table(pa.table(table), "a.parquet")
    np.testing.assert_array_equal(load_features(Path("a.parquet")), POINTS[:, 1:].astype("f4"))
    parquet.write_table(pa.table({"name": list("ab")}), "a.parquet")
    assert refusal("a.parquet") == "features='a.parquet': has no numeric columns"
    parquet.write_table(pa.table([pa.array([1.0]), pa.array([2.0])], names=["a", "a"]), "a.parquet")
    assert refusal("a.parquet") == "features='a.parquet': has several columns called 'a'"


def test_maps() -> None:
    np.testing.assert_array_equal(
        load_map(save("a.npy", POINTS[:, :2])), POINTS[:, :2].astype("f4")
    )
    with pytest.raises(InputError) as caught:
        load_map(save("a.npy", POINTS))
    assert str(caught.value) == "map='a.npy': must have 2 columns, not 3"
    with pytest.raises(InputError) as caught:
        load_map(Path("b.npy"))
    assert str(caught.value) == "map='b.npy': no such file"


@every_format
def test_values_that_are_not_finite(suffix: str) -> None:
    for bad in (np.nan, np.inf, 1e300):
        array = POINTS.copy()
        array[4, 1] = bad
        name = str(save(f"a{suffix}", array))
        assert refusal(name) == f"features='{name}': must be finite in float32; row 4 is not"


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (POINTS[:, 0], "float64 (7,)"),
        (POINTS[None], "float64 (1, 7, 3)"),
        (np.empty((0, 3)), "float64 (0, 3)"),
        (np.empty((3, 0)), "float64 (3, 0)"),
        (np.array([["a", "b"]]), "<U1 (1, 2)"),
        (POINTS > 0, "bool (7, 3)"),
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_what_is_no_matrix_of_numbers(suffix: str, array: np.ndarray, found: str) -> None:
    name = str(save(f"a{suffix}", array))
    assert refusal(name) == f"features='{name}': must hold a matrix of numbers (N, d), not {found}"


def test_missing_files_and_unknown_formats() -> None:
    assert refusal("a.npy", "points") == "points='a.npy': no such file"
    Path("a.txt").write_text("1 2")
    assert (
        refusal("a.txt")
        == "features='a.txt': unknown format; use .npy, .npz, .parquet, .safetensors"
    )


@every_format
def test_truncated_and_foreign_files(suffix: str) -> None:
    whole = save(f"whole{suffix}", POINTS).read_bytes()
    others = [save(f"other{s}", POINTS).read_bytes() for s in (".npy", ".npz", ".parquet")
              if s != suffix]  # fmt: skip
    cuts = [whole[:n] for n in (0, 1, 8, len(whole) // 2, len(whole) - 1)]
    for content in [*cuts, *others, b"PK\x03\x04 no zip", bytes(range(256))]:
        Path(f"a{suffix}").write_bytes(content)
        assert refusal(f"a{suffix}").startswith(f"features='a{suffix}': cannot be read (")


def test_an_archive_of_other_files() -> None:
    import zipfile

    with zipfile.ZipFile("a.npz", "w") as archive:
        archive.writestr("features.txt", "1 2 3")
    assert refusal("a.npz") == "features='a.npz': cannot be read (features.txt is no array)"


class Marker:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("marker"),)


def test_pickled_payloads_are_refused_and_not_run() -> None:
    objects = np.array([[Marker()]], dtype=object)
    np.save("a.npy", objects, allow_pickle=True)
    np.savez("b.npz", objects)
    Path("c.npy").write_bytes(pickle.dumps(Marker()))
    for name in ("a.npy", "b.npz", "c.npy"):
        assert refusal(name).startswith(f"features='{name}': cannot be read (")
    assert not Path("marker").exists()
    pickle.loads(Path("c.npy").read_bytes())  # noqa: S301
    assert Path("marker").exists(), "the payload would do something"


@pytest.mark.data
def test_the_published_map(data_folder: Path) -> None:
    found = load_map(data_folder / "cifar10" / "clip_tsne_train.parquet")
    assert found.shape == (50_000, 2)
    table = parquet.read_table(data_folder / "cifar10" / "clip_tsne_train.parquet")
    np.testing.assert_array_equal(found[:, 1], table["y"].to_numpy().astype(np.float32))
