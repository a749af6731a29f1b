"""The Python of docs/memorization.md runs, and its commands are commands."""

import re
import shlex
from pathlib import Path

import pytest

from mislabel.cli import main

PAGE = Path(__file__).parents[2] / "docs/memorization.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)


def test_the_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, PAGE.name, "exec"), scope)  # our own text
    study, neighbour = capsys.readouterr().out.splitlines()
    assert study.startswith("standard:epochs=10 (mlp, 10 epochs), 10 runs 0.")
    assert neighbour == "1.0"


def test_the_commands_parse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets as far as the files that it names, which are not here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MISLABEL_DATA", raising=False)
    lines = [line for block in blocks("sh") for line in block.replace("\\\n", " ").splitlines()]
    assert len(lines) == 9
    for line in lines:
        with pytest.raises(SystemExit) as stopped:
            main([*shlex.split(line)[1:], "--debug"][:-1])
        assert stopped.value.code == 2, line
    assert not list(tmp_path.iterdir())
