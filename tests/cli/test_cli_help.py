"""Help on every command, versions, and what is imported for them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_examples import call

from mislabel import __version__
from mislabel.cli import build_app
from mislabel.noise import NOISE


def commands(command: Any, *words: str) -> Iterator[tuple[str, ...]]:
    """The words of every command and group, found in the application itself."""
    yield words
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, *words, name)


COMMANDS = list(commands(typer.main.get_command(build_app())))


def test_all_commands_are_found() -> None:
    wanted = {("demo",), ("bench", "run"), ("bench", "table"), ("bench", "report")}
    wanted |= {("noise", "describe"), (), ("bench",), ("noise",)}
    wanted |= {("noise", name) for name in NOISE.names if name != "clean"}
    assert wanted <= set(COMMANDS)
    assert ("noise", "clean") not in COMMANDS


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_has_an_example(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    called = call(capsys, *words, "--help")
    assert called.status == 0 and called.err == ""
    assert "Example: mislabel" in " ".join(called.out.split())
    if words:
        assert f"{' '.join(words)} [OPTIONS]" in " ".join(called.out.split())


@pytest.mark.parametrize("words", [(), ("bench",), ("noise",)], ids=" ".join)
def test_a_group_alone_shows_its_help(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    called = call(capsys, *words)
    assert called.status == 2 and "mislabel: error" not in called.err
    assert "Commands" in called.out + called.err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    called = call(capsys, "--version")
    assert (called.status, called.out, called.err) == (0, f"{__version__}\n", "")


def test_the_command_is_installed() -> None:
    command = Path(sys.executable).with_name("mislabel")
    if not command.exists():
        pytest.skip("the package is not installed in this environment")
    found = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert found.stdout == f"{__version__}\n"


def imported(code: str) -> set[str]:
    """Top-level modules in memory after `code` ran in a fresh Python."""
    ending = "import sys, json; print(json.dumps(sorted(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", f"{code}\n{ending}"], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(found.stdout.splitlines()[-1])}


def test_importing_the_package_imports_nothing_large() -> None:
    found = imported("import mislabel")
    assert "mislabel" in found
    assert not found & {"torch", "sklearn", "matplotlib", "numpy", "scipy", "pandas", "typer"}


def test_help_imports_nothing_large() -> None:
    code = "from mislabel.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    found = imported(code)
    assert "typer" in found
    large = {"torch", "sklearn", "matplotlib", "faiss", "openTSNE", "scipy", "pyarrow", "joblib"}
    assert not found & large


def test_names_of_the_package_are_loaded_when_used() -> None:
    import mislabel

    assert mislabel.InputError.__name__ == "InputError"
    assert set(dir(mislabel)) >= {"run_benchmark", "make_noise", "make_method", "load_data"}
    for name in dir(mislabel):
        assert getattr(mislabel, name) is not None
    with pytest.raises(AttributeError, match="module 'mislabel' has no attribute 'nothing'"):
        _ = mislabel.nothing
