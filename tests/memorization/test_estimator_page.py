"""docs/memorization-estimates.md: its table is the registry, its Python and its commands run."""

import re
import shlex
from pathlib import Path

import pytest

from mislabel.memorization.estimators import ESTIMATORS
from thread_limits import one_thread  # noqa: F401

PAGE = Path(__file__).parents[2].joinpath("docs/memorization-estimates.md").read_text("utf-8")


def test_the_table_is_the_registry() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \| (.*) \| (.*) \| .* \|$", PAGE, flags=re.M)
    assert rows == [(record.name, record.title, record.uses) for record in ESTIMATORS]


def test_its_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    for example in re.findall(r"```python\n(.*?)```", PAGE, flags=re.S):
        exec(compile(example, "memorization-estimates.md", "exec"), {})  # our own text
    assert capsys.readouterr().out == "True\n"


def test_its_commands_parse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those on the digits run; the other gets as far as the data that it names."""
    from mislabel.cli import main

    monkeypatch.chdir(tmp_path)
    blocks = "".join(re.findall(r"```sh\n(.*?)```", PAGE, flags=re.S)).replace("\\\n", " ")
    commands = [line for line in blocks.splitlines() if line.startswith("mislabel")]
    assert len(commands) == 4
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(command)[1:])
        error = capsys.readouterr().err
        missing = "PATH" in error if "PATH" in command else "no such file" in error
        assert stop.value.code == 0 or missing, error
    assert {path.name for path in tmp_path.iterdir()} == {"votes.npz", "early.npz"}
