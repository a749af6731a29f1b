"""A disk that is full at any moment: one line, status 2, and the same command goes on with room."""

import random
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fixtures import Record, Undisturbed
from kinds import Kind
from test_ended import train_words
from test_killed import said
from undertaking import content, hidden, run

PAGE = 4096
ROOM = "size=64m"


class Disk:
    """A small disk in memory, mounted at a folder."""

    def __init__(self, path: Path, options: str) -> None:
        self.path = path
        path.mkdir(parents=True)
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
        self.mounted = subprocess.run(words, capture_output=True).returncode == 0

    def enlarge(self) -> None:
        subprocess.run(["mount", "-o", f"remount,{ROOM}", str(self.path)], check=True)

    def remove(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.path)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Disk]]:
    made: list[Disk] = []

    def disk(options: str) -> Disk:
        made.append(Disk(tmp_path / f"disk{len(made)}", options))
        if not made[-1].mounted:
            pytest.skip("mounting a disk in memory needs root")
        return made[-1]

    yield disk
    for one in made:
        one.remove()


def pages(out: Path) -> int:
    """Pages of memory that a folder takes on such a disk."""
    return sum(-(-path.stat().st_size // PAGE) for path in out.rglob("*") if path.is_file())


def check_full(words: list[str], place: Path) -> None:
    """The command ends with one line that says why, and status 2."""
    full = run(words, place)
    text = (full.folder / "stderr").read_text()
    assert full.process.exitcode == 2, text
    (line,) = [x for x in text.splitlines() if "error" in x.lower()]
    assert line.startswith("mislabel: error: ")
    assert "No space left on device" in line or "has no room for" in line
    assert "Traceback" not in text and full.leaves_nobody()


def test_a_full_disk(
    kind: Kind, inputs: Path, undisturbed: Undisturbed, disk: Callable[[str], Disk], tries: int,
    rng: random.Random, record: Record,
) -> None:  # fmt: skip
    """Full at a random size, also below that of the first file."""
    expected, there = undisturbed(kind)
    most = pages(inputs / f"{kind.name}-out")
    tries = min(tries, 20)
    for _ in range(tries):
        full = disk(f"size={PAGE * rng.randrange(1, most)}")
        out, place = full.path / "out", inputs / "on-a-full-disk"
        check_full(kind.words(inputs, out), place)
        full.enlarge()
        again = run(kind.words(inputs, out), place)
        assert again.process.exitcode == 0, again.lines
        assert content(out) == there and hidden(out) == []
        assert said(again, out) == said(expected, inputs / f"{kind.name}-out")
    record("a disk that is full at a random size", kind.title, tried=tries,
           outcome="one line, exit status 2; with room resumed, as undisturbed")  # fmt: skip


def test_a_training_on_a_full_disk(
    inputs: Path, disk: Callable[[str], Disk], tries: int, rng: random.Random, record: Record
) -> None:
    whole = inputs / "whole-training"
    assert run(train_words(inputs, whole), inputs / "trained").process.exitcode == 0
    tries = min(tries, 20)
    for _ in range(tries):
        full = disk(f"size={PAGE * rng.randrange(1, pages(whole))}")
        out, place = full.path / "out", inputs / "trains-on-a-full-disk"
        check_full(train_words(inputs, out), place)
        full.enlarge()
        assert run(train_words(inputs, out, "--resume"), place).process.exitcode == 0
        for name in ("model.safetensors", "curves.csv", "scores.csv"):
            assert (out / name).read_bytes() == (whole / name).read_bytes(), name
        assert hidden(out) == []
    record("a disk that is full at a random size", "training", tried=tries,
           outcome="one line, exit status 2; with room resumed, as undisturbed")  # fmt: skip


def test_files_that_may_not_be_as_large(
    kind: Kind, inputs: Path, undisturbed: Undisturbed, record: Record
) -> None:
    """A limit of the process in place of a full disk: needs no rights."""
    _, there = undisturbed(kind)
    place = inputs / f"limited-{kind.name}"
    out = place / "out"
    limited = run(kind.words(inputs, out), place, prepare=(limit_files, (700,)))
    text = (limited.folder / "stderr").read_text()
    assert limited.process.exitcode == 2, text
    assert "File too large" in text and "Traceback" not in text
    assert run(kind.words(inputs, out), place).process.exitcode == 0
    assert content(out) == there and hidden(out) == []
    record("a limit on the size of files", kind.title, tried=1,
           outcome="one line, exit status 2; without it resumed, as undisturbed")  # fmt: skip


def limit_files(size: int) -> None:
    """In a process: no file may get larger."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
