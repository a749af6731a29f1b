"""Run folders in object storage, with fsspec's store in memory as the one far away."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from mislabel.errors import InputError
from mislabel.mirror import Mirror, fetched, is_address, mirrored

ADDRESS = "memory://bucket/run"


@pytest.fixture
def far() -> Iterator[Any]:
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    filesystem.pseudo_dirs[:] = [""]
    yield filesystem
    filesystem.store.clear()


def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """From now on this is another machine: its cache is empty."""
    monkeypatch.setenv("MISLABEL_CACHE", str(tmp_path / name))


def _write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_json", ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _content(folder: Path) -> dict[str, str]:
    files = [
        p for p in folder.rglob("*") if p.is_file() and "/." not in f"/{p.relative_to(folder)}"
    ]
    return {p.relative_to(folder).as_posix(): p.read_text() for p in files}


@pytest.mark.parametrize("text", ["s3://b/x", "memory://b", "gs://b/x/y", "file:///x"])
def test_addresses(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize("text", ["runs/c10", "/runs", "C:\\runs", "c:/runs", "", "s3:/b", "://x"])
def test_paths(text: str) -> None:
    assert not is_address(text)


def test_a_path_is_used_as_it_is(tmp_path: Path) -> None:
    with mirrored(tmp_path / "run") as store:
        assert store.path == tmp_path / "run"
        store.after(lambda done, total: None)(1, 2)
    assert not (tmp_path / "run").exists()
    assert fetched(str(tmp_path)) == tmp_path


def test_what_one_machine_writes_another_finds(
    far: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _machine(monkeypatch, tmp_path, "a")
    with mirrored(ADDRESS) as store:
        _write(store.path, run_json="1", cells__x__result_json="2")
        half = store.path / "cells" / ".cell-1"  # what is being written
        half.mkdir()
        (half / "result.json").write_text("no")
        (store.path / "cells" / ".y.tmp").write_text("no")
    _machine(monkeypatch, tmp_path, "b")
    assert _content(fetched(ADDRESS)) == {"run.json": "1", "cells/x/result.json": "2"}
    with mirrored(ADDRESS) as store:
        _write(store.path, run_json="3", cells__y__result_json="4")
    _machine(monkeypatch, tmp_path, "a")
    assert _content(fetched(ADDRESS)) == {
        "run.json": "3", "cells/x/result.json": "2", "cells/y/result.json": "4",
    }  # fmt: skip


def test_nothing_is_sent_or_fetched_twice_and_results_are_sent_last(
    far: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _machine(monkeypatch, tmp_path, "a")
    sent: list[str] = []
    got: list[str] = []
    put, get = type(far).put_file, type(far).get_file

    def put_file(self: Any, local: str, name: str, **more: Any) -> None:
        sent.append(name.rpartition("/run/")[2])
        put(self, local, name, **more)

    def get_file(self: Any, name: str, local: str, **more: Any) -> None:
        got.append(name)
        get(self, name, local, **more)

    monkeypatch.setattr(type(far), "put_file", put_file)
    monkeypatch.setattr(type(far), "get_file", get_file)
    with mirrored(ADDRESS) as store:
        progress = store.after(lambda done, total: None)
        _write(store.path, run_json="1", cells__x__result_json="2", cells__x__zeros="3", labels="4")
        progress(1, 2)
        assert sent == ["cells/x/zeros", "labels", "cells/x/result.json", "run.json"]
        progress(2, 2)
        assert len(sent) == 4
    with mirrored(ADDRESS):
        pass
    assert len(sent) == 4 and not got


def test_to_look_for_what_is_new_takes_a_tenth_of_the_time(
    far: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A run ends every second and a look takes two: 2 + 20 seconds later is the next."""
    _machine(monkeypatch, tmp_path, "a")
    now, looks, look = [0.0], list[float](), Mirror._new

    def slow(self: Mirror) -> list[str]:
        looks.append(now[0])
        now[0] += 2
        return look(self)

    monkeypatch.setattr("mislabel.mirror.time.monotonic", lambda: now[0])
    monkeypatch.setattr(Mirror, "_new", slow)
    with mirrored(ADDRESS) as store:
        progress = store.after(lambda done, total: None)
        for run in range(50):
            _write(store.path, **{f"runs__{run}": "x"})
            progress(run + 1, 50)
            now[0] += 1
        assert looks == [0, 22, 44]
        assert len(far.find("/bucket/run")) == 41
    assert len(far.find("/bucket/run")) == 50


def test_many_are_fetched_together(
    far: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _machine(monkeypatch, tmp_path, "a")
    with mirrored(ADDRESS) as store:
        _write(store.path, **{f"runs__{run}": str(run) for run in range(7)})
    _machine(monkeypatch, tmp_path, "b")
    calls, get = [], type(far).get

    def together(self: Any, names: list[str], locals_: list[str], **more: Any) -> None:
        calls.append(len(names))
        get(self, names, locals_, **more)

    monkeypatch.setattr(type(far), "get", together)
    monkeypatch.setattr("mislabel.mirror.AT_ONCE", 3)
    assert _content(fetched(ADDRESS)) == {f"runs/{run}": str(run) for run in range(7)}
    assert calls == [3, 3, 1]


def test_an_interrupted_run_is_sent_too(
    far: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _machine(monkeypatch, tmp_path, "a")
    with pytest.raises(KeyboardInterrupt), mirrored(ADDRESS) as store:
        _write(store.path, run_json="1")
        raise KeyboardInterrupt
    _machine(monkeypatch, tmp_path, "b")
    assert _content(fetched(ADDRESS)) == {"run.json": "1"}


def test_names_that_lead_outside_are_refused(
    far: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _machine(monkeypatch, tmp_path, "a")
    far.store.clear()
    monkeypatch.setattr(
        type(far), "find", lambda self, root, detail: {f"{root}/../../evil": {"size": 1}}
    )
    with pytest.raises(InputError, match="is no name of a file below the store"):
        fetched(ADDRESS)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("address", "rule"), [("nosuch://b/x", "cannot be opened"), (ADDRESS, "holds nothing")]
)
def test_stores_that_cannot_be(
    far: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str, rule: str
) -> None:
    _machine(monkeypatch, tmp_path, "a")
    with pytest.raises(InputError, match=rule):
        fetched(address)


def test_a_store_that_fails_is_one_line(
    far: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _machine(monkeypatch, tmp_path, "a")

    def fail(*_: Any, **__: Any) -> None:
        raise PermissionError("access\ndenied")

    monkeypatch.setattr(type(far), "find", fail)
    with pytest.raises(InputError) as caught, mirrored(ADDRESS):
        raise AssertionError
    assert str(caught.value) == f"out={ADDRESS!r}: cannot be reached (access denied)"


def test_a_benchmark_on_two_machines(tmp_path: Path) -> None:
    """From the command line; a local folder by its address stands for the store."""
    address = f"file://{tmp_path / 'store'}"

    def command(machine: str, *words: str) -> str:
        found = subprocess.run(
            [sys.executable, "-m", "mislabel", "bench", *words],
            capture_output=True,
            text=True,
            env=os.environ | {"MISLABEL_CACHE": str(tmp_path / machine)},
            timeout=300,
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    grid = ["run", "--data", "digits", "--subset", "100", "--noise", "symmetric:0.2", "--method",
            "standard", "--epochs", "1", "--workers", "1", "--out", address, "--json"]  # fmt: skip
    first = command("a", *grid, "--seeds", "1,")
    cells = tmp_path / "store" / "cells"
    (cell,) = cells.iterdir()
    before = (cell / "result.json").stat().st_mtime_ns
    second = command("b", *grid, "--seeds", "1,2")
    assert len(list(cells.iterdir())) == 2
    assert (cell / "result.json").stat().st_mtime_ns == before  # not trained again, nor sent
    assert json.loads(first) != json.loads(second)
    assert "2" in command("c", "table", address)
