"""Label files: every format out and in again, and every kind of broken file by its message."""

import gzip
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from mislabel.errors import InputError
from mislabel.files import hash_file
from mislabel.labels import NoisyLabels, Receipt, load_labels
from mislabel.labels.formats import receipt_path, save_labels

CLEAN = np.array([0, 1, 2, 2, 1, 0])
NOISY = np.array([0, 2, 2, 1, 1, 0])
SUFFIXES = [".npy", ".csv", ".csv.gz", ".parquet", ".pt"]
RECEIPT = Receipt(
    generator="symmetric",
    parameters={"rate": 0.35, "per_class": False},
    seed=7,
    versions={"numpy": "2.0"},
    inputs={"clean_labels": "ab" * 32},
)


def refusal(load: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        load()
    return str(caught.value)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, so that messages hold short paths."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, content: bytes | str) -> Path:
    path = Path(name)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


class Marker:
    """A pickle that writes a file when it is loaded by `pickle`."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("marker"),)


# Round trips


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("clean", [CLEAN, None])
def test_round_trip(here: Path, suffix: str, clean: np.ndarray | None) -> None:
    labels = NoisyLabels(NOISY, clean_labels=clean, n_classes=5, receipt=RECEIPT)
    path = Path(f"a{suffix}")
    labels.save(path)
    assert {p.name for p in here.iterdir()} == {path.name, f"{path.name}.receipt.json"}
    given = CLEAN if clean is not None and suffix == ".npy" else None
    loaded = NoisyLabels.load(path, clean_labels=given)
    assert loaded == labels
    assert loaded.receipt == RECEIPT and loaded.receipt_json() == labels.receipt_json()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_same_content_same_bytes(here: Path, suffix: str) -> None:
    labels = NoisyLabels(NOISY, clean_labels=CLEAN)
    for name in ("a", "b"):
        labels.save(f"{name}{suffix}")
    if suffix != ".pt":  # a zip archive holds the time
        assert Path(f"a{suffix}").read_bytes() == Path(f"b{suffix}").read_bytes()
    assert load_labels(f"a{suffix}") == load_labels(f"b{suffix}")


@pytest.mark.parametrize(
    ("layout", "filenames", "first_lines"),
    [
        ("pair", None, "given_label,noisy_label\n0,0\n1,2\n"),
        ("samples", None, "sample_id,filename,given_label,noisy_label\n0,,0,0\n1,,1,2\n"),
        ("samples", list("abcdef"),
         "sample_id,filename,given_label,noisy_label\n0,a,0,0\n1,b,1,2\n"),
        ("indexed", ['x,"1"', *"bcdef"],
         ',sample_id,filename,given_label,noisy_label\n0,0,"x,""1""",0,0\n1,1,"b",1,2\n'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_csv_layouts(
    here: Path, layout: str, filenames: list[str] | None, first_lines: str, suffix: str
) -> None:
    path = Path(f"a{suffix}")
    labels = NoisyLabels(NOISY, clean_labels=CLEAN, receipt=RECEIPT)
    save_labels(labels, path, csv_layout=layout, filenames=filenames)
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if suffix == ".csv.gz" else raw).decode()
    assert text.startswith(first_lines) and len(text.splitlines()) == 7
    assert load_labels(path) == labels


def test_csv_without_clean_labels(here: Path) -> None:
    save_labels(NoisyLabels(NOISY), Path("a.csv"), csv_layout="samples")
    assert Path("a.csv").read_text().startswith("sample_id,filename,noisy_label\n0,,0\n")
    assert load_labels("a.csv").clean_labels is None


def test_torch_reads_our_pt(here: Path) -> None:
    import torch

    NoisyLabels(NOISY, clean_labels=CLEAN).save("a.pt")
    content = torch.load("a.pt", weights_only=False)
    np.testing.assert_array_equal(content["noisy_label"], NOISY)
    np.testing.assert_array_equal(content["clean_label"], CLEAN)


def test_bad_arguments_of_saving(here: Path) -> None:
    labels = NoisyLabels(NOISY)
    assert refusal(lambda: save_labels(labels, Path("a.csv"), csv_layout="pairs")) == (
        "csv_layout='pairs': unknown layout; did you mean 'pair'? Known: indexed, pair, samples"
    )
    few = ["a", "b"]
    assert refusal(
        lambda: save_labels(labels, Path("a.csv"), csv_layout="samples", filenames=few)
    ) == ("filenames='2 names': must have length 6")
    assert refusal(lambda: labels.save("a.txt")) == (
        "path='a.txt': unknown format; use one of .npy, .csv, .parquet, .pt"
    )
    assert list(here.iterdir()) == []


# Receipts


def test_a_file_without_receipt_names_itself(here: Path) -> None:
    np.save("a.npy", NOISY)
    receipt = load_labels("a.npy").receipt
    assert receipt.generator == "file" and receipt.seed is None
    assert receipt.parameters == {"name": "a.npy", "column": "noisy_label"}
    assert receipt.inputs == {"file": hash_file(Path("a.npy"))}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_labels_changed_after_writing(here: Path, suffix: str) -> None:
    labels = NoisyLabels(NOISY, clean_labels=CLEAN)
    labels.save(f"a{suffix}")
    changed = NOISY.copy()
    changed[3] = 0
    NoisyLabels(changed, clean_labels=CLEAN).save(f"b{suffix}")
    Path(f"b{suffix}").replace(f"a{suffix}")
    assert refusal(lambda: load_labels(f"a{suffix}")) == (
        f"labels='a{suffix}': differs from its receipt: it was changed after it was written"
    )


@pytest.mark.parametrize(("suffix", "column"), [(".parquet", "clean_label"), (".pt", "clean_label"),
                                                (".csv", "given_label")])  # fmt: skip
def test_a_receipt_is_that_of_the_noisy_labels(here: Path, suffix: str, column: str) -> None:
    """Clean labels are read, and not taken for what the receipt is about."""
    labels = NoisyLabels(NOISY, clean_labels=CLEAN, n_classes=5, receipt=RECEIPT)
    labels.save(f"a{suffix}")
    found = load_labels(f"a{suffix}", column=column)
    assert found == NoisyLabels(CLEAN, n_classes=5)
    assert found.receipt.generator == "file" and found.receipt.seed is None
    assert found.receipt.parameters == {"name": f"a{suffix}", "column": column}
    NoisyLabels(NOISY[::-1], clean_labels=CLEAN).save(f"b{suffix}")
    Path(f"b{suffix}").replace(f"a{suffix}")
    assert refusal(lambda: load_labels(f"a{suffix}", column=column)) == (
        f"labels='a{suffix}': differs from its receipt: it was changed after it was written"
    )


@pytest.mark.parametrize("content", [{}, [], {"format": 1}, "other format"])
def test_what_is_no_receipt(here: Path, content: Any) -> None:
    labels = NoisyLabels(NOISY)
    labels.save("a.npy")
    beside = receipt_path(Path("a.npy"))
    if content == "other format":
        content = {**labels.receipt_json(), "format": 2}
    beside.write_text(json.dumps(content))
    assert refusal(lambda: load_labels("a.npy")) == (
        "labels receipt='a.npy.receipt.json': is not a receipt of format 1"
    )


def test_broken_receipt(here: Path) -> None:
    NoisyLabels(NOISY).save("a.npy")
    receipt_path(Path("a.npy")).write_text('{"format": 1')
    message = refusal(lambda: load_labels("a.npy"))
    assert message.startswith("labels receipt='a.npy.receipt.json': cannot be read as JSON (")


def test_number_of_classes_comes_from_the_receipt(here: Path) -> None:
    NoisyLabels([0, 1], n_classes=7).save("a.npy")
    assert load_labels("a.npy").n_classes == 7
    assert load_labels("a.npy", n_classes=9).n_classes == 9
    receipt_path(Path("a.npy")).unlink()
    assert load_labels("a.npy").n_classes == 2


# Choice and alignment


def columns(**arrays: Any) -> Path:
    parquet.write_table(pa.table(arrays), "a.parquet")
    return Path("a.parquet")


def test_choice_of_column(here: Path) -> None:
    path = columns(clean_label=CLEAN, aggre_label=NOISY, worse_label=CLEAN)
    assert refusal(lambda: load_labels(path)) == (
        "labels=['aggre_label', 'worse_label']: holds several sets of labels; name one as column"
    )
    assert refusal(lambda: load_labels(path, column="worst_label")) == (
        "labels='worst_label': unknown labels; did you mean 'worse_label'? "
        "Known: aggre_label, clean_label, worse_label"
    )
    loaded = load_labels(path, column="aggre_label")
    assert loaded == NoisyLabels(NOISY, clean_labels=CLEAN)
    assert loaded.receipt.parameters["column"] == "aggre_label"
    assert load_labels(path, column="clean_label").clean_labels is None


def test_names_of_columns(here: Path) -> None:
    assert load_labels(columns(label=NOISY)).labels.tolist() == NOISY.tolist()
    only = load_labels(columns(crowd=NOISY, given_label=CLEAN))
    assert only == NoisyLabels(NOISY, clean_labels=CLEAN)
    assert refusal(lambda: load_labels(columns(clean_label=CLEAN))) == (
        "labels=['clean_label']: has no column noisy_label"
    )


def test_alignment_with_given_clean_labels(here: Path) -> None:
    path = columns(clean_label=CLEAN, noisy_label=NOISY)
    assert load_labels(path, clean_labels=CLEAN).rate == 2 / 6
    other = CLEAN.copy()
    other[4] = 2
    assert refusal(lambda: load_labels(path, clean_labels=other)) == (
        "labels=1: its clean label at index 4 is not the data's, 2: not aligned"
    )
    assert refusal(lambda: load_labels(path, clean_labels=CLEAN[:5])) == (
        "labels='6 labels': must have length 5"
    )
    np.save("a.npy", NOISY)
    assert load_labels("a.npy", clean_labels=CLEAN).rate == 2 / 6
    assert refusal(lambda: load_labels("a.npy", clean_labels=CLEAN[:5])) == (
        "labels='6 labels': must have length 5"
    )


def test_rows_out_of_order(here: Path) -> None:
    path = write("a.csv", "sample_id,filename,given_label,noisy_label\n1,a,0,0\n0,b,1,1\n")
    assert refusal(lambda: load_labels(path)) == (
        "labels='a.csv': column sample_id must count 0, 1, 2, ... so that rows stay aligned"
    )


# Broken files


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 0.5], "labels=0.5: at index 1; must be a whole number"),
        ([0.0, np.nan], "labels=nan: at index 1; must be a whole number"),
        ([0, -1], "labels=-1: at index 1; must be between 0 and 2"),
        ([0, 3], "labels=3: at index 1; must be between 0 and 2"),
        (["a", "b"], "labels='dtype {text}': must be whole numbers"),
    ],
)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_bad_values_in_every_format(
    here: Path, suffix: str, values: list[Any], message: str
) -> None:
    path = Path(f"a{suffix}")
    array = np.array(values)
    if suffix == ".npy":
        np.save(path, array)
    elif suffix == ".parquet":
        parquet.write_table(pa.table({"noisy_label": values}), path)
    elif suffix == ".pt":
        import torch

        torch.save({"noisy_label": array if array.dtype.kind != "U" else values}, path)
    else:
        text = ("noisy_label\n" + "".join(f"{v}\n" for v in values)).encode()
        path.write_bytes(gzip.compress(text) if suffix == ".csv.gz" else text)
    text_type = "<U1" if suffix in (".npy", ".pt") else "object"
    assert refusal(lambda: load_labels(path, n_classes=3)) == message.format(text=text_type)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_and_empty_files(here: Path, suffix: str) -> None:
    path = Path(f"a{suffix}")
    assert refusal(lambda: load_labels(path)) == f"labels='a{suffix}': no such file"
    path.touch()
    assert refusal(lambda: load_labels(path, argument="given")) == f"given='a{suffix}': is empty"


@pytest.mark.parametrize(
    ("suffix", "rule"),
    [
        (".npy", "is not a complete .npy file of numbers ("),
        (".csv.gz", "is not a CSV file ("),
        (".parquet", "is not a Parquet file ("),
        (".pt", "cannot be read as an archive of torch.save ("),
    ],
)
def test_truncated_at_any_place(here: Path, suffix: str, rule: str) -> None:
    rng = np.random.default_rng(0)
    labels = NoisyLabels(rng.integers(0, 10, 500), clean_labels=rng.integers(0, 10, 500))
    labels.save(f"whole{suffix}")
    whole = Path(f"whole{suffix}").read_bytes()
    for length in {1, 5, len(whole) // 3, len(whole) // 2, len(whole) - 1}:
        path = write(f"a{suffix}", whole[:length])
        assert refusal(lambda: load_labels(path)).startswith(f"labels='a{suffix}': {rule}")  # noqa: B023


@pytest.mark.parametrize("suffix", [".npy", ".csv.gz", ".parquet", ".pt"])
def test_garbage_and_archives_under_a_wrong_name(here: Path, suffix: str) -> None:
    archive = Path("x.npz")
    np.savez(archive, a=NOISY, b=CLEAN)
    for content in (b"PK\x03\x04 no zip", b"\x93NUMPY", bytes(range(256)), archive.read_bytes()):
        path = write(f"a{suffix}", content)
        assert refusal(lambda: load_labels(path)).startswith(f"labels='a{suffix}': ")  # noqa: B023


def test_npy_messages(here: Path) -> None:
    np.savez("x.npz", NOISY)
    path = write("a.npy", Path("x.npz").read_bytes())
    assert refusal(lambda: load_labels(path)) == (
        "labels='a.npy': is not a complete .npy file of numbers "
        "(it is an archive of arrays; a single .npy is expected)"
    )
    np.save(path, np.empty(0, dtype=int))
    assert refusal(lambda: load_labels(path)) == "labels='[]': must not be empty"
    np.save(path, NOISY.reshape(2, 3))
    assert refusal(lambda: load_labels(path)) == "labels='shape (2, 3)': must be one-dimensional"


def test_a_header_that_promises_more_than_memory(here: Path) -> None:
    np.save("a.npy", NOISY)
    raw = Path("a.npy").read_bytes()
    path = write("a.npy", raw.replace(b"(6,), }" + b" " * 12, b"(9999999999999,), }"))
    assert len(path.read_bytes()) == len(raw)
    message = refusal(lambda: load_labels(path))
    assert message.startswith("labels='a.npy': is not a complete .npy file of numbers (")


def test_pickled_payloads_are_refused_and_not_run(here: Path) -> None:
    write("raw.npy", pickle.dumps(Marker()))
    np.save("objects.npy", np.array([Marker(), 1], dtype=object), allow_pickle=True)
    write("raw.pt", pickle.dumps(Marker()))
    with zipfile.ZipFile("archive.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"noisy_label": Marker()}))
    pickle.loads(Path("raw.npy").read_bytes())  # noqa: S301
    assert Path("marker").exists(), "the payload would do something"
    Path("marker").unlink()
    assert refusal(lambda: load_labels("objects.npy")) == (
        "labels='objects.npy': is not a complete .npy file of numbers "
        "(it holds pickled objects, which are never loaded)"
    )
    for name in ("raw.npy", "raw.pt", "archive.pt"):
        assert refusal(lambda: load_labels(name)).startswith(f"labels='{name}': ")  # noqa: B023
    assert not Path("marker").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("given_label,noisy_label\n", "labels='a.csv': has no rows"),
        ("noisy_label,noisy_label\n0,1\n",
         "labels='a.csv': has several columns called 'noisy_label'"),
        ("given_label,noisy_label\n0,1\n1,\n", "labels=nan: at index 1; must be a whole number"),
        ("given_label,noisy_label\n0,1\n1\n",
         "labels='a.csv': is not a CSV file "
         "(CSV parse error: Expected 2 columns, got 1: 1)"),
        ("given_label,noisy_label\n,1\n1,1\n",
         "labels (clean)=nan: at index 0; must be a whole number"),
        ("given_label\n0\n1\n", "labels=['given_label']: has no column noisy_label"),
        ("a,b\n0,1\n", "labels=['a', 'b']: holds several sets of labels; name one as column"),
    ],
)  # fmt: skip
def test_bad_csv(here: Path, text: str, message: str) -> None:
    path = write("a.csv", text)
    assert refusal(lambda: load_labels(path)) == message


def test_parquet_without_rows_and_with_lists(here: Path) -> None:
    path = columns(noisy_label=pa.array([], pa.int64()))
    assert refusal(lambda: load_labels(path)) == "labels='a.parquet': has no rows"
    path = columns(noisy_label=[[0, 1], [1]], clean_label=[0, 1])
    assert refusal(lambda: load_labels(path)) == "labels=['clean_label']: has no column noisy_label"


def test_pt_that_holds_no_dictionary(here: Path) -> None:
    import torch

    torch.save([1, 2], "a.pt")
    assert refusal(lambda: load_labels("a.pt")) == (
        "labels='a.pt': must hold a dictionary of arrays, as CIFAR-N's"
    )


@pytest.mark.parametrize("name", ["a", "a.txt", "a.npz", "a.gz"])
def test_unknown_formats(here: Path, name: str) -> None:
    assert refusal(lambda: load_labels(name)) == (
        f"labels='{name}': unknown format; use one of .npy, .csv, .parquet, .pt"
    )


def test_clean_labels_of_the_file_are_checked_too(here: Path) -> None:
    path = columns(clean_label=[0, 9], noisy_label=[0, 1])
    assert refusal(lambda: load_labels(path, n_classes=3)) == (
        "labels (clean)=9: at index 1; must be between 0 and 2"
    )


def test_a_failed_save_leaves_the_old_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    NoisyLabels(NOISY).save("a.npy")
    before = {p.name: p.read_bytes() for p in here.iterdir()}

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(np, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        NoisyLabels(CLEAN).save("a.npy")
    assert {p.name: p.read_bytes() for p in here.iterdir()} == before
