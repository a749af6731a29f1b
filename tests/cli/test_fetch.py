"""``mislabel noise fetch``: what it prints, where files land, and its one-line errors."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopback import Server, redirect, running
from mislabel.cli import main
from mislabel.labels.published import PUBLISHED_FILES, PublishedFile

FILES = {"one.npy": b"1" * 1000, "two.csv": b"2" * 2000}


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        server.files = {f"/{name}": data for name, data in FILES.items()}
        yield server


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MISLABEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def known(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two published files on the loopback server."""
    files = [
        PublishedFile(
            name=name,
            alias=name.partition(".")[0],
            source="a test",
            url=f"{server.base}/{name}",
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        for name, data in FILES.items()
    ]
    monkeypatch.setattr("mislabel.labels.published.PUBLISHED_FILES", tuple(files))


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["noise", "fetch", *map(str, arguments)])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def error(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line on stderr of a command that fails."""
    assert run(*arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("mislabel: error: ")
    return lines[0].removeprefix("mislabel: error: ")


@pytest.mark.usefixtures("known")
def test_two_at_once(server: Server, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("one", "two.csv", "one.npy") == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        f"{cache}/published/one.npy: verified, from {server.base}/one.npy",
        f"{cache}/published/two.csv: verified, from {server.base}/two.csv",
    ]
    assert captured.err == ""
    assert (cache / "published/one.npy").read_bytes() == FILES["one.npy"]
    assert run("one") == 0
    assert "verified, in the cache already" in capsys.readouterr().out
    assert len(server.requests) == 2


@pytest.mark.usefixtures("known")
def test_json_and_a_copy(
    server: Server, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("one", "--json", "--to", tmp_path / "here") == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "name": "one.npy",
            "path": str(cache / "published/one.npy"),
            "copy": str(tmp_path / "here/one.npy"),
            "origin": f"{server.base}/one.npy",
            "bytes": 1000,
            "sha256": hashlib.sha256(FILES["one.npy"]).hexdigest(),
        }
    ]
    assert (tmp_path / "here/one.npy").read_bytes() == FILES["one.npy"]


@pytest.mark.usefixtures("known")
def test_a_mirror(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.npy").write_bytes(FILES["one.npy"])
    assert run("one", "--mirror", tmp_path) == 0
    assert f"from {tmp_path}/one.npy" in capsys.readouterr().out


@pytest.mark.usefixtures("known")
def test_a_bar_on_a_terminal_only_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert run("one") == 0
    captured = capsys.readouterr()
    assert "one.npy" in captured.err
    assert captured.out.count("\n") == 1
    assert "\x1b" not in captured.out


def test_the_list(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = cache / "cifar-n/CIFAR-10_human.pt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"1")
    assert run("--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(PUBLISHED_FILES) + 1
    row = next(line.split() for line in lines if line.startswith("CIFAR-10_human.pt"))
    assert row[1:4] == ["cifar-10n", "2401007", "partial"]


def test_the_list_as_json_of_some(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list", "--json", "cifar-100n") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row == {
        "name": "CIFAR-100_human.pt",
        "alias": "cifar-100n",
        "source": "github.com/UCSC-REAL/cifar-10-100n @ 49df7d8",
        "url": "https://raw.githubusercontent.com/UCSC-REAL/cifar-10-100n/"
        "49df7d8a69e355470c77c1c2f2424916325a394b/data/CIFAR-100_human.pt",
        "bytes": 1000959,
        "sha256": "bd2d80409754d420292d622e15e25248ba21e37d27429efac49c8da723f44394",
        "cache": "absent",
        "path": str(cache / "cifar-n/CIFAR-100_human.pt"),
    }
    assert not cache.exists()


@pytest.mark.usefixtures("known")
def test_errors_are_one_line(
    server: Server, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files["/one.npy"] = b"3" * 1000
    wrong, right = (hashlib.sha256(c * 1000).hexdigest() for c in (b"3", b"1"))
    assert error(capsys, "one") == (
        f"name='one.npy': {server.base}/one.npy has SHA-256 {wrong}; {right} is published; "
        f"nothing was written; try again, give --mirror FOLDER_OR_URL, or put the file at "
        f"{cache}/published/one.npy"
    )
    assert "answers 404 Not Found" in error(capsys, "one", "--mirror", f"{server.base}/none")
    server.script = [redirect("http://example.com/\x1b[31m")]
    assert "redirects to http://example.com/" in error(capsys, "one")
    assert error(capsys, "one", "--mirror", "http://example.com") == (
        "mirror='http://example.com': must be https (plain http only to this machine)"
    )
    assert "no such folder" in error(capsys, "one", "--mirror", tmp_path / "none")


@pytest.mark.usefixtures("known")
def test_nothing_is_fetched_when_a_name_is_wrong(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    text = error(capsys, "one", "twoo")
    assert text == "name='twoo': no published file; did you mean 'two'? Known: one, two"
    assert error(capsys) == "name=None: name a published file; --list shows them"
    assert error(capsys, "--list", "--to", "x") == "to='x': cannot be combined with --list"
    assert server.requests == []
