"""The README's Python runs, and its commands are commands."""

import re
import shlex
from pathlib import Path

import pytest

from thread_limits import one_thread

__all__ = ["one_thread"]
ROOT = Path(__file__).parents[1]


def blocks(language: str, page: str = "README.md") -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


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


def test_python_of_the_noise_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for example in blocks("python", "docs/noise.md"):
        exec(compile(example, "noise.md", "exec"), {})
        lines = capsys.readouterr().out.splitlines()
        outputs.append([line.split() for line in lines])
    sources, kinds = outputs
    assert [float(words[0]) for words in sources] == [62 / 178] * 2  # 35 % of 178, to the nearest
    assert all(0.9 < float(words[-1]) <= 1 for words in sources)
    rates = [float(words[1]) for words in kinds]
    assert rates == [57 / 569] * 4  # 10 % of 569 examples is 57 to the nearest


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("studies/*/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


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
        assert re.search(r"no such|holds no run|holds no study|PATH", error), error
