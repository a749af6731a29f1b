"""Links out of a folder: nothing of this machine is read, shown or written through them."""

import json
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_readers import READERS, Reader

from mislabel.data import load_data
from mislabel.errors import InputError
from mislabel.files import hash_json, write_json
from mislabel.outputs import check_own_folder
from mislabel.sealed import read_sealed
from tiny_data import snapshot

FOLDERS = [r for r in READERS if r.name in ("run", "stress test", "study", "training")]
OUT = "is a link that leads out of the folder"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The valid folders."""
    found = {}
    for reader in FOLDERS:
        found[reader.name] = tmp_path_factory.mktemp("valid") / "example"
        found[reader.name].mkdir()
        reader.make(found[reader.name])
    return found


@pytest.mark.parametrize("reader", FOLDERS, ids=lambda reader: reader.name.replace(" ", "-"))
def test_links_out_of_a_run_folder(reader: Reader, made: dict[str, Path], tmp_path: Path) -> None:
    """Every file and folder in turn, moved out and linked to; a link that stays inside is fine."""
    folder, outside = tmp_path / "example", tmp_path / "outside"
    shutil.copytree(made[reader.name], folder)
    reader.read(folder)
    linked = 0
    for path in sorted(folder.rglob("*")):
        path.rename(outside)
        path.symlink_to(outside)
        before = snapshot(tmp_path)
        with pytest.raises(InputError) as caught:
            reader.read(folder)
        assert caught.value.rule == OUT, path
        linked += 1
        assert snapshot(tmp_path) == before
        path.unlink()
        outside.rename(path)
    assert linked >= 3
    inside = next(path for path in sorted(folder.iterdir()) if path.suffix == ".json")
    inside.rename(folder / "moved")
    inside.symlink_to("moved")
    reader.read(folder)


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    folder, outside = tmp_path / "run", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "cells").symlink_to(outside)
    with pytest.raises(InputError, match=OUT):
        check_own_folder(folder, "out", exists=lambda: True, leftover=lambda _: False, kind="a run")


@pytest.mark.parametrize("name", ["../../secret", "..", "/etc", "a/../../x", "", "A" * 5, "\x00"])
def test_a_stress_test_names_no_cell_outside(
    made: dict[str, Path], tmp_path: Path, name: str
) -> None:
    from mislabel.stress import load_stress

    folder = tmp_path / "example"
    shutil.copytree(made["stress test"], folder)

    content = json.loads((folder / "stress.json").read_text())
    content["cells"][0]["cell"] = name
    (folder / "stress.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="a name that is no hash"):
        load_stress(folder)


@pytest.mark.parametrize(
    "files", [{"../x": "a"}, {"/etc/passwd": "a"}, {"": "a"}, {"a/b": "a"}, ["a"], 5, {"a": 1}]
)
def test_a_seal_names_only_files_beside_it(tmp_path: Path, files: Any) -> None:
    content = {"files_sha256": files}
    write_json(tmp_path / "a.json", content | {"sha256": hash_json(content)})
    with pytest.raises(InputError, match="is damaged"):
        read_sealed(tmp_path / "a.json", "run")


@pytest.mark.parametrize("what", ["file", "class"])
def test_links_out_of_a_folder_of_images(tmp_path: Path, what: str) -> None:
    from PIL import Image

    folder, outside = tmp_path / "images", tmp_path / "outside"
    for name in ("ant", "bee"):
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(folder / name / "0.png")
    (folder / "ant").rename(outside)
    if what == "class":
        (folder / "ant").symlink_to(outside)
    else:
        (folder / "ant").mkdir()
        (folder / "ant" / "0.png").symlink_to(outside / "0.png")
    with pytest.raises(InputError, match=OUT):
        load_data(f"folder:{folder}")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Any]:
    from mislabel.explorer.page import MARKER
    from mislabel.explorer.serve import serve

    folder = tmp_path / "page"
    folder.mkdir()
    (folder / MARKER).write_text("{}")
    (folder / "index.html").write_text("<!doctype html>")
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    running = serve(folder)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.mark.parametrize(
    "path",
    ["link", "up/secret", "../secret", "%2e%2e/secret", "..%2fsecret", "//etc/passwd", "up/../link",
     "%00", "link%00.html", "..%5csecret", "up/page/link", "a" * 5000],
)  # fmt: skip
def test_links_out_of_the_explorer(server: Any, path: str) -> None:
    address = f"http://127.0.0.1:{server.server_port}/{path}"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(address, timeout=10)
    with caught.value as error:
        assert error.code in (400, 404, 414) and b"secret" not in error.read()


def test_a_file_that_is_named_may_be_a_link(tmp_path: Path) -> None:
    """It is the user's own choice."""
    from mislabel.features import load_features

    np.save(tmp_path / "x.npy", np.zeros((3, 2)))
    (tmp_path / "link.npy").symlink_to(tmp_path / "x.npy")
    assert load_features(tmp_path / "link.npy").shape == (3, 2)
