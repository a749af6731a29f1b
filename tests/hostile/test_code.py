"""Nothing in a file is executed: pickles that would leave a mark, YAML that would build objects."""

import ast
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_readers import READERS, Reader, cifar_batch, make_cifar
from mutations import packed

import mislabel
from mislabel.data import load_data
from mislabel.errors import InputError
from mislabel.features import load_features
from mislabel.files import read_npy
from mislabel.labels import load_labels
from mislabel.stress.suite_file import load_suite


class Mark:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def mark(tmp_path: Path) -> Any:
    """A payload; at the end of the test it must not have run, and it does run if unpickled."""
    place = tmp_path / "executed"
    yield Mark(place)
    assert not place.exists()
    pickle.loads(pickle.dumps(Mark(place)))  # noqa: S301 - the payload is a real one
    assert place.exists()


def _refused(read: Callable[[], Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("file", ["data_batch_3", "test_batch", "batches.meta"])
def test_pickles_with_code_in_cifar_folders(
    tmp_path: Path, mark: Mark, file: str, protocol: int
) -> None:
    folder = tmp_path / "cifar"
    folder.mkdir()
    make_cifar(folder)
    content = pickle.loads((folder / file).read_bytes())  # noqa: S301 - our own
    (folder / file).write_bytes(pickle.dumps(content | {"more": mark}, protocol=protocol))
    _refused(lambda: load_data(f"cifar10:{folder}"), "nothing is executed")
    (folder / file).write_bytes(pickle.dumps(mark, protocol=protocol) + cifar_batch())
    _refused(lambda: load_data(f"cifar10:{folder}"), "nothing is executed")


def test_pickles_with_code_in_pt(tmp_path: Path, mark: Mark) -> None:
    path, payload = tmp_path / "labels.pt", pickle.dumps({"noisy_label": mark}, protocol=2)
    path.write_bytes(packed({"archive/data.pkl": payload, "archive/version": b"3\n"}))
    _refused(lambda: load_labels(path), "nothing is executed")
    path.write_bytes(payload)  # torch before 1.6 wrote no archive
    _refused(lambda: load_labels(path), "cannot be read as an archive")


@pytest.mark.parametrize("read", [load_labels, load_features])
def test_npy_with_object_arrays(tmp_path: Path, mark: Mark, read: Callable[[Path], Any]) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array([[mark, 1]], dtype=object), allow_pickle=True)
    _refused(lambda: read(path), "never loaded|Python objects")
    with pytest.raises(ValueError, match="never loaded"):
        read_npy(path, mapped=True)


ARCHIVES = [
    reader
    for reader in READERS
    if reader.name
    in ("features .npz", "scores", "published study", "cleaned labels .npz", "data npz", "study")
]


@pytest.mark.parametrize("reader", ARCHIVES, ids=lambda reader: reader.name.replace(" ", "-"))
def test_npz_with_object_arrays(tmp_path: Path, mark: Mark, reader: Reader) -> None:
    folder = tmp_path / "example"
    folder.mkdir()
    reader.make(folder)
    stream = io.BytesIO()
    np.save(stream, np.array([mark] * 12, dtype=object), allow_pickle=True)
    path = next(path for path in reader.files(folder) if path.suffix == ".npz")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    for payload in (stream.getvalue(), pickle.dumps(mark)):
        path.write_bytes(packed(dict.fromkeys(names, payload)))
        with pytest.raises(InputError):
            reader.read(folder)


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.mkdir ['{place}']",
        "!!python/object/new:os.mkdir ['{place}']",
        "!!python/name:os.mkdir",
        "!!python/module:os",
        "!<tag:yaml.org,2002:python/object/apply:os.mkdir> ['{place}']",
        "!local x",
        "!!binary aGVsbG8=",
    ],
)
@pytest.mark.parametrize("where", ["name: {tag}", "noises: [{tag}]", "{tag}: 1", "{tag}"])
def test_yaml_with_tags(tmp_path: Path, mark: Mark, tag: str, where: str) -> None:
    path = tmp_path / "suite.yaml"
    words = where.replace("{tag}", tag.replace("{place}", str(mark.path)))
    path.write_text(f"seeds: 2\n{words}\n" if ":" in where or where != "{tag}" else f"{words}\n")
    _refused(lambda: load_suite(path), r"tags \(!\) are not allowed|is no YAML|must be text")


FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "pickle.load", "pickle.loads", "pickle.Unpickler",
    "cloudpickle.load", "cloudpickle.loads", "marshal.loads", "dill.loads", "joblib.load",
    "torch.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "shelve.open", "os.system",
    "tarfile.open", "shutil.unpack_archive", "pd.read_pickle", "np.fromstring",
}  # fmt: skip
METHODS = {"extract", "extractall", "_extract_member"}
ALLOWED = {("stress/child.py", "cloudpickle.loads")}
"The function under test, which only the process that calls writes."


def test_no_code_of_ours_could_execute_a_file() -> None:
    """No call in the package that executes what it reads, or unpacks archives to disk."""
    root, found = Path(mislabel.__file__).parent, set()
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name, place = ast.unparse(node.func), path.relative_to(root).as_posix()
                if name in FORBIDDEN or name.rpartition(".")[2] in METHODS:
                    found.add((place, name))
                keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert keywords.get("allow_pickle", "False") == "False", place
                assert keywords.get("trust_remote_code", "False") == "False", place
                assert keywords.get("shell", "False") != "True", place
    assert found == ALLOWED
