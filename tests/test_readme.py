"""The README's Python runs, and its commands are commands."""

import re
import shlex
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


def test_python_examples_run_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = blocks("python")
    assert len(examples) >= 3
    scope: dict[str, object] = {}
    for example in examples:
        exec(compile(example, "README.md", "exec"), scope)  # our own text
    assert (tmp_path / "wine.csv.receipt.json").is_file()
    assert (tmp_path / "runs/small/report.html").stat().st_size > 10_000
    assert "| Standard + SNLS (k=20) |" in capsys.readouterr().out


def test_commands_in_the_readme_parse(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command gets as far as the data or files it names, which are not here."""
    from mislabel.cli import main

    commands = [
        line
        for block in blocks("sh")
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("mislabel")
    ]
    assert len(commands) >= 5
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(command)[1:])
        error = capsys.readouterr().err
        assert stop.value.code == 2
        assert re.search(r"no such|holds no run|PATH", error), error
