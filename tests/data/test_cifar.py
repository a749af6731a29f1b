"""CIFAR in both layouts: the real files, small ones made here, and broken ones."""

import io
import json
import pickle
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from test_load_data import check_dataset

from mislabel.data import images as images_module
from mislabel.data import load_data
from mislabel.data.cifar_names import CIFAR10_NAMES, CIFAR100_COARSE_NAMES, CIFAR100_NAMES
from mislabel.errors import InputError
from mislabel.labels import load_labels
from mislabel.noise.asymmetric import CIFAR100_SUPERCLASSES

RNG = np.random.default_rng(0)


def pixels(n: int) -> np.ndarray:
    return RNG.integers(0, 256, size=(n, 32, 32, 3), dtype=np.uint8)


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def rule(spec: str) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        load_data(spec)
    assert caught.value.argument == "data"
    return str(caught.value.value), caught.value.rule


def short_id(value: object) -> str:
    return value[:30] if isinstance(value, str) else "-"


# ------------------------------------------------------------------ the real files


@pytest.mark.data
def test_real_cifar10(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_data(f"cifar10:{data_folder / 'cifar10'}")
    check_dataset(data)
    assert data.x_train.shape == (50_000, 32, 32, 3) and data.x_test.shape == (10_000, 32, 32, 3)
    assert (data.name, data.augment, data.class_names) == ("cifar10", "crop-flip", CIFAR10_NAMES)
    given = np.load(data_folder / "published" / "cifar10-given-labels.npy")
    np.testing.assert_array_equal(data.y_train, given)
    assert np.bincount(data.y_test).tolist() == [1000] * 10
    shard = pq.read_table(data_folder / "cifar10" / "train-00000-of-00001.parquet")
    for i in (0, 255, 256, 31_415, 49_999):
        plain = Image.open(io.BytesIO(shard["img"][i]["bytes"].as_py()))
        np.testing.assert_array_equal(data.x_train[i], np.asarray(plain))
    monkeypatch.setenv("MISLABEL_DATA", str(data_folder))
    start = time.perf_counter()
    again = load_data("cifar10")
    assert time.perf_counter() - start < 1
    assert isinstance(again.x_train, np.memmap) and again.fingerprint == data.fingerprint


@pytest.mark.data
def test_a_subset_of_real_cifar10_lines_up(data_folder: Path) -> None:
    data = load_data(f"cifar10:{data_folder / 'cifar10'}", subset=1000, seed=3)
    assert np.bincount(data.y_train).tolist() == [100] * 10
    given = np.load(data_folder / "published" / "cifar10-given-labels.npy")
    np.testing.assert_array_equal(data.align(given, "labels"), data.y_train)


# ------------------------------------------------------------------ the Hub's layout


def write_shard(
    path: Path,
    images: list[Any],
    labels: Any,
    *,
    columns: tuple[str, str] = ("img", "label"),
    names: list[str] | None = None,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [i if i is None else {"bytes": i, "path": None} for i in images]
    image_type = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table({columns[0]: pa.array(rows, image_type), columns[1]: pa.array(labels)})
    if names is not None:
        features = {columns[1]: {"names": names, "_type": "ClassLabel"}}
        metadata = json.dumps({"info": {"features": features}}).encode()
        table = table.replace_schema_metadata({b"huggingface": metadata})
    pq.write_table(table, path)


def write_hub(folder: Path, n: int = 4, **options: Any) -> np.ndarray:
    x = pixels(n)
    write_shard(folder / "train-00000-of-00001.parquet", list(map(png, x)), range(n), **options)
    write_shard(folder / "test-00000-of-00001.parquet", list(map(png, x[:2])), [0, 1], **options)
    return x


@pytest.mark.parametrize("below", [".", "plain_text", "data"])
def test_shards_are_read_in_order(tmp_path: Path, below: str) -> None:
    x = pixels(6)
    for k in (2, 0, 1):
        path = tmp_path / below / f"train-0000{k}-of-00003.parquet"
        write_shard(path, [png(i) for i in x[2 * k : 2 * k + 2]], [2 * k, 2 * k + 1])
    write_shard(tmp_path / below / "test-00000-of-00001.parquet", [png(x[0])], [9])
    data = load_data(f"cifar10:{tmp_path}")
    check_dataset(data)
    np.testing.assert_array_equal(data.x_train, x)
    assert data.y_train.tolist() == [0, 1, 2, 3, 4, 5] and data.y_test.tolist() == [9]
    assert data.class_names == CIFAR10_NAMES


def test_cifar100_on_the_hub(tmp_path: Path) -> None:
    write_hub(tmp_path / "cifar100", columns=("img", "fine_label"))
    data = load_data(f"cifar100:{tmp_path}")
    check_dataset(data)
    assert data.class_names == CIFAR100_NAMES and data.name == "cifar100"


def test_class_names_from_the_schema(tmp_path: Path) -> None:
    names = [f"class {i}" for i in range(10)]
    write_hub(tmp_path / "a", columns=("image", "label"), names=names)
    assert load_data(f"cifar10:{tmp_path / 'a'}").class_names == tuple(names)
    write_hub(tmp_path / "b", names=["too", "few"])
    assert load_data(f"cifar10:{tmp_path / 'b'}").class_names == CIFAR10_NAMES


def test_without_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISLABEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MISLABEL_DATA", str(tmp_path / "data"))
    places = [tmp_path / "data" / "cifar10", tmp_path / "cache" / "cifar10"]
    expected = (
        f"not found in {places[0]} or {places[1]}; download the Parquet files of "
        "https://huggingface.co/datasets/uoft-cs/cifar10 into the last of these, "
        "or give their folder: cifar10:PATH"
    )
    assert rule("cifar10") == ("cifar10", expected)
    in_cache = write_hub(places[1])
    np.testing.assert_array_equal(load_data("cifar10").x_train, in_cache)
    in_data = write_hub(places[0])
    np.testing.assert_array_equal(load_data("cifar10").x_train, in_data)
    monkeypatch.delenv("MISLABEL_DATA")
    np.testing.assert_array_equal(load_data("cifar10").x_train, in_cache)


def test_images_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = write_hub(tmp_path)
    load_data(f"cifar10:{tmp_path}")
    monkeypatch.setattr(images_module, "_open", None)  # decoding would fail
    data = load_data(f"cifar10:{tmp_path}")
    np.testing.assert_array_equal(data.x_train, x)
    assert isinstance(data.x_train, np.memmap)


GOOD = png(pixels(1)[0])


@pytest.mark.parametrize(
    ("images", "labels", "where", "text"),
    [
        ([GOOD, GOOD[:900]], [0, 1], ", row 1", "is not a readable image (OSError)"),
        ([b"", GOOD], [0, 1], ", row 0", "is not a readable image (UnidentifiedImageError)"),
        ([GOOD, None], [0, 1], "", "row 1 holds no encoded image"),
        ([png(pixels(1)[0, :8])], [0], ", row 0", "is 32x8 pixels; must be 32x32"),
        ([GOOD, GOOD], [0, 10], "", "label=10 at index 1; must be between 0 and 9"),
        ([GOOD, GOOD], [-1, 0], "", "label=-1 at index 0; must be between 0 and 9"),
        ([GOOD, GOOD], [0, None], "", "label=nan at index 1; must be a whole number"),
        ([GOOD], ["cat"], "", "label=dtype object must be whole numbers"),
        ([], pa.array([], pa.int64()), "", "label=[] must not be empty"),
    ],
    ids=short_id,
)
def test_broken_rows(tmp_path: Path, images: Any, labels: Any, where: str, text: str) -> None:
    write_hub(tmp_path)
    path = tmp_path / "train-00000-of-00001.parquet"
    write_shard(path, images, labels)
    assert rule(f"cifar10:{tmp_path}") == (f"{path}{where}", text)


def test_missing_columns_and_files(tmp_path: Path) -> None:
    write_hub(tmp_path, columns=("picture", "label"))
    train, test = sorted(tmp_path.iterdir(), reverse=True)
    expected = "has no column 'img' or 'image'; its columns are picture, label"
    assert rule(f"cifar10:{tmp_path}") == (str(train), expected)
    write_hub(tmp_path, columns=("img", "coarse_label"))
    expected = "has no column 'fine_label' or 'label'; its columns are img, coarse_label"
    assert rule(f"cifar100:{tmp_path}") == (str(train), expected)
    write_hub(tmp_path)
    test.unlink()
    assert rule(f"cifar10:{tmp_path}") == (str(tmp_path), "has no test-*.parquet")
    train.unlink()
    expected = "holds neither train-*.parquet nor the files of cifar-10-batches-py"
    assert rule(f"cifar10:{tmp_path}") == (str(tmp_path), expected)


def test_cut_parquet(tmp_path: Path) -> None:
    write_hub(tmp_path)
    path = tmp_path / "test-00000-of-00001.parquet"
    good = path.read_bytes()
    for size in (0, 4, 100, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:size])
        value, text = rule(f"cifar10:{tmp_path}")
        assert value == str(path) and text.startswith("cannot be read as Parquet (")


def test_damaged_parquet_is_an_input_error_or_read(tmp_path: Path) -> None:
    write_hub(tmp_path)
    path = tmp_path / "train-00000-of-00001.parquet"
    good = path.read_bytes()
    for start in range(0, len(good), max(1, len(good) // 40)):
        path.write_bytes(good[:start] + bytes(16) + good[start + 16 :])
        try:
            load_data(f"cifar10:{tmp_path}")
        except InputError as error:
            assert error.argument == "data" and str(path) in str(error.value)


# ------------------------------------------------------------------ the original layout


def python2_string(text: bytes) -> bytes:
    """A str as Python 2 pickles it: SHORT_BINSTRING or BINSTRING."""
    if len(text) < 256:
        return b"U" + bytes([len(text)]) + text
    return b"T" + struct.pack("<i", len(text)) + text


def python2_array(array: np.ndarray) -> bytes:
    """A two-dimensional uint8 array as Python 2 pickles it, its content as a str."""
    shape = b"".join(b"J" + struct.pack("<i", n) for n in array.shape) + b"\x86"
    minus_one = b"J\xff\xff\xff\xff"
    state = b"(K\x03U\x01|NNN" + minus_one + minus_one + b"K\x00tb"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R" + state
    start = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    return start + b"(K\x01" + shape + dtype + b"\x89" + python2_string(array.tobytes()) + b"tb"


def python2_batch(array: np.ndarray, labels: list[int], key: bytes = b"labels") -> bytes:
    numbers = b"](" + b"".join(b"K" + bytes([n]) for n in labels) + b"e"
    entries = {
        b"batch_label": python2_string(b"a batch"),
        key: numbers,
        b"data": python2_array(array),
    }
    pairs = b"".join(python2_string(name) + value for name, value in entries.items())
    return b"\x80\x02}(" + pairs + b"u."


def bytes_batch(array: np.ndarray, labels: list[int], key: bytes = b"labels") -> bytes:
    """As Python 3 writes what it read with ``encoding="bytes"``."""
    content = {b"data": array, key: labels, b"filenames": [b"a.png"] * len(labels)}
    return pickle.dumps(content, protocol=2)


def rows(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)).reshape(len(x), -1)


def write_original10(folder: Path, batch: Any = python2_batch) -> tuple[np.ndarray, np.ndarray]:
    folder.mkdir(parents=True)
    x, y = pixels(12), np.arange(12) % 10
    for k in range(6):
        name = "test_batch" if k == 5 else f"data_batch_{k + 1}"
        part = slice(2 * k, 2 * k + 2)
        (folder / name).write_bytes(batch(rows(x[part]), y[part].tolist()))
    meta = {b"label_names": [n.encode() for n in CIFAR10_NAMES], b"num_vis": 3072}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))
    return x, y


@pytest.mark.parametrize("below", [".", "cifar-10-batches-py"])
@pytest.mark.parametrize("batch", [python2_batch, bytes_batch])
def test_original_cifar10(tmp_path: Path, below: str, batch: Any) -> None:
    x, y = write_original10(tmp_path / "root" / below, batch)
    data = load_data(f"cifar10:{tmp_path / 'root'}")
    check_dataset(data)
    np.testing.assert_array_equal(data.x_train, x[:10])
    np.testing.assert_array_equal(data.x_test, x[10:])
    assert data.y_train.tolist() == y[:10].tolist() and data.y_test.tolist() == y[10:].tolist()
    assert data.class_names == CIFAR10_NAMES and data.augment == "crop-flip"


def test_what_python_2_wrote_is_read_by_pickle_too() -> None:
    x = pixels(2)
    found = pickle.loads(python2_batch(rows(x), [3, 4]), encoding="latin1")  # noqa: S301
    np.testing.assert_array_equal(found["data"], rows(x))


def write_original100(folder: Path, fine: list[int], coarse: list[int]) -> np.ndarray:
    """Training images with these labels, and the same ones for testing."""
    folder.mkdir()
    x = pixels(len(fine))
    batch = {b"data": rows(x), b"fine_labels": fine, b"coarse_labels": coarse}
    for name in ("train", "test"):
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    meta = {
        b"fine_label_names": [n.encode() for n in CIFAR100_NAMES],
        b"coarse_label_names": [n.encode() for n in CIFAR100_COARSE_NAMES],
    }
    (folder / "meta").write_bytes(pickle.dumps(meta, protocol=2))
    return x


def test_original_cifar100(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    x = pixels(3)
    for name, labels in (("train", [0, 99, 5]), ("test", [1, 2, 3])):
        batch = python2_batch(rows(x), labels, b"fine_labels")
        (folder / name).write_bytes(batch)
    meta = {b"fine_label_names": [n.encode() for n in CIFAR100_NAMES]}
    (folder / "meta").write_bytes(pickle.dumps(meta, protocol=2))
    data = load_data(f"cifar100:{tmp_path}")
    check_dataset(data)
    np.testing.assert_array_equal(data.x_train, x)
    assert data.y_train.tolist() == [0, 99, 5] and data.class_names == CIFAR100_NAMES


def test_coarse_labels_of_the_original_cifar100(tmp_path: Path) -> None:
    x = write_original100(tmp_path / "cifar-100-python", [0, 99, 5], [4, 19, 6])
    data = load_data(f"cifar100-coarse:{tmp_path}")
    check_dataset(data)
    np.testing.assert_array_equal(data.x_train, x)
    assert data.y_train.tolist() == [4, 19, 6] and data.name == "cifar100-coarse"
    assert data.class_names == CIFAR100_COARSE_NAMES and data.n_classes == 20
    fine = load_data(f"cifar100:{tmp_path}")
    assert fine.y_train.tolist() == [0, 99, 5] and fine.fingerprint != data.fingerprint


def test_coarse_labels_of_the_hubs_cifar100(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the folder of CIFAR-100, where there are fine labels too."""
    folder = tmp_path / "cifar100"
    folder.mkdir()
    images = [png(image) for image in pixels(3)]
    for split in ("train", "test"):
        struct = pa.array([{"bytes": i, "path": None} for i in images])
        table = {"img": struct, "fine_label": [0, 99, 5], "coarse_label": [4, 19, 6]}
        pq.write_table(pa.table(table), folder / f"{split}-00000-of-00001.parquet")
    monkeypatch.setenv("MISLABEL_DATA", str(tmp_path))
    assert load_data("cifar100-coarse").y_train.tolist() == [4, 19, 6]
    assert load_data("cifar100").y_train.tolist() == [0, 99, 5]


def test_a_coarse_label_out_of_range(tmp_path: Path) -> None:
    write_original100(tmp_path / "root", [0, 99, 5], [4, 20, 6])
    expected = "coarse_labels=20 at index 1; must be between 0 and 19"
    path = str(tmp_path / "root" / "train")
    assert rule(f"cifar100-coarse:{tmp_path / 'root'}") == (path, expected)


@pytest.mark.data
def test_coarse_names_stand_for_the_superclasses(data_folder: Path) -> None:
    """In the order of CIFAR-N's own coarse labels: superclass by superclass, names sorted."""
    fine = load_labels(data_folder / "cifar-n/CIFAR-100_human.pt", column="clean_label").labels
    coarse = load_labels(
        data_folder / "cifar-n/CIFAR-100_human.pt", column="clean_coarse_label"
    ).labels
    for number, group in enumerate(CIFAR100_SUPERCLASSES):
        assert set(coarse[np.isin(fine, group)]) == {number}
    assert list(CIFAR100_COARSE_NAMES) == sorted(CIFAR100_COARSE_NAMES)
    names = [{CIFAR100_NAMES[i] for i in group} for group in CIFAR100_SUPERCLASSES]
    for name, member in {"fish": "shark", "people": "girl", "trees": "oak_tree",
                         "vehicles_1": "bus", "vehicles_2": "tank"}.items():  # fmt: skip
        assert member in names[CIFAR100_COARSE_NAMES.index(name)]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "no such file"),
        (b"", "is not a readable pickle (pickle exhausted before seeing STOP)"),
        (python2_batch(rows(pixels(2)), [0, 1])[:-500], "is not a readable pickle (expected"),
        (python2_batch(rows(pixels(2)), [0, 10]), "labels=10 at index 1; must be between 0 and 9"),
        (python2_batch(rows(pixels(2)), [0]), "labels=1 labels must have length 2"),
        (python2_batch(rows(pixels(2))[:, :99], [0, 1]), "its data must be uint8 of shape"),
        (python2_batch(rows(pixels(2)), [0, 1], b"fine_labels"),
         "has no entry 'labels'; its entries are batch_label, data, fine_labels"),
        (pickle.dumps([1]), "is no batch of CIFAR: its pickle holds no dictionary"),
        (pickle.dumps({"data": rows(pixels(2)), "labels": [0, [1]]}),
         "labels=ragged rows must have equal lengths"),
        (b"cos\nsystem\n(S'false'\ntR.",
         "is a pickle that refers to os.system; only plain arrays are read, nothing is executed"),
    ],
    ids=short_id,
)  # fmt: skip
def test_broken_batches(tmp_path: Path, content: bytes | None, text: str) -> None:
    write_original10(tmp_path / "root")
    path = tmp_path / "root" / "data_batch_3"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    value, found = rule(f"cifar10:{tmp_path / 'root'}")
    assert value == str(path) and found.startswith(text)


def test_broken_names(tmp_path: Path) -> None:
    write_original10(tmp_path / "root")
    path = tmp_path / "root" / "batches.meta"
    path.write_bytes(pickle.dumps({"label_names": ["a", "b"]}))
    expected = (str(path), "its label_names must be 10 names")
    assert rule(f"cifar10:{tmp_path / 'root'}") == expected
