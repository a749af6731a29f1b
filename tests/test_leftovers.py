"""What killed processes leave half written: found by who made it, never by a clock alone."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mislabel import leftovers
from mislabel.files import atomic_path
from mislabel.leftovers import LEFTOVER_SECONDS, new_folder, remove_leftovers, tag, temporary_folder


def made_by_a_killed_process(folder: Path) -> list[Path]:
    """A file and a folder that a process which has ended would have renamed."""
    code = "from mislabel.leftovers import tag; print(tag())"
    its = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    name = its.stdout.strip()
    (folder / f".cell-{name}x").mkdir()
    (folder / f".cell-{name}x" / "half").touch()
    (folder / f".a.json{name}x.tmp").touch()
    return sorted(folder.iterdir())


def other_machine(name: str) -> str:
    return re.sub(r"~[0-9a-f]{8}", "~ffffffff", name)


def test_of_this_machine_they_are_gone_at_once(tmp_path: Path) -> None:
    left = made_by_a_killed_process(tmp_path)
    for path in left:  # a clock that was set back
        os.utime(path, (time.time() + 10**6,) * 2)
    (tmp_path / ".git").mkdir()
    (tmp_path / "a.tmp").touch()
    remove_leftovers(tmp_path, tmp_path / "not there")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".git", "a.tmp"]


@pytest.mark.parametrize("ahead", [-(10**6), 0, 10**6])
def test_what_is_at_work_stays_whatever_the_clock_says(tmp_path: Path, ahead: int) -> None:
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("content")
        os.utime(temporary, (time.time() + ahead,) * 2)
        remove_leftovers(tmp_path)
        assert temporary.read_text() == "content"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("kind", [".a{tag}x.tmp", ".a.json.abc.tmp", ".cell-abc"])
@pytest.mark.parametrize(
    ("age", "stays"), [(LEFTOVER_SECONDS - 60, True), (LEFTOVER_SECONDS + 60, False), (-9e9, True)]
)
def test_of_others_the_age_tells(tmp_path: Path, kind: str, age: float, stays: bool) -> None:
    """By the clock that dates the files, not by this machine's."""
    name = kind.format(tag=other_machine(tag()))
    (tmp_path / name).touch()
    os.utime(tmp_path / name, (time.time() - age,) * 2)
    remove_leftovers(tmp_path)
    assert (tmp_path / name).exists() == stays


@pytest.mark.parametrize(("until", "stays"), [(600, True), (-600, False)])
def test_of_others_that_say_how_long(tmp_path: Path, until: int, stays: bool) -> None:
    path = tmp_path / f".until-{time.time() + until:.0f}-{other_machine(tag())}x"
    path.mkdir()
    os.utime(path, (time.time() - 2 * LEFTOVER_SECONDS,) * 2)
    remove_leftovers(tmp_path)
    assert path.exists() == stays


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_of_a_process_that_has_ended_and_was_not_asked_for(tmp_path: Path) -> None:
    code = "from mislabel.leftovers import tag; print(tag(), flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None and process.stdout is not None
        path = tmp_path / f".a{process.stdout.readline().decode().strip()}x.tmp"
        path.touch()
        remove_leftovers(tmp_path)
        assert path.exists()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
        remove_leftovers(tmp_path)
        assert not path.exists()


def test_ctrl_c_while_a_folder_or_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mkdir", "touch"):
        make = getattr(Path, name)

        def made(path: Path, *given: Any, make: Any = make, **options: Any) -> None:
            make(path, *given, **options)
            if path.parent == tmp_path:
                raise KeyboardInterrupt

        monkeypatch.setattr(Path, name, made)
    with pytest.raises(KeyboardInterrupt), new_folder(".cell-", tmp_path):
        pass
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "a.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_number_of_a_process_that_was_given_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path := tmp_path / f".a{tag()}x.tmp").touch()
    monkeypatch.setattr(leftovers, "_started", lambda pid: 12345)
    remove_leftovers(tmp_path)
    assert not path.exists()


def test_folders_of_killed_processes_are_removed_with_the_next(tmp_path: Path) -> None:
    (left,) = [p for p in made_by_a_killed_process(tmp_path) if p.is_dir()]
    with temporary_folder(".cell-", tmp_path) as one, temporary_folder(".cell-", tmp_path) as two:
        assert one.is_dir() and two.is_dir() and not left.exists()
    assert not one.exists() and not two.exists()
