"""The examples run, at small size; the tutorial shows what they print."""

import importlib
import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import nested_sessions  # noqa: F401
import numpy as np
import pytest
import yaml

from mislabel.cli import main
from mislabel.data import load_data
from mislabel.stress import Command, Suite, run
from thread_limits import one_thread

__all__ = ["one_thread"]
ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
TUTORIAL = (ROOT / "docs" / "stress-tutorial.md").read_text("utf-8")
UNKEPT = shutil.ignore_patterns("runs", "__pycache__", ".pytest_cache")
TINY = Suite(name="tiny", version=1, noises=["clean"], seeds=[1])
TRAIN = "python train.py --x-train {x_train} --x-test {x_test} --labels {labels} --seed {seed}"


@pytest.fixture
def example(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A copy of an example's folder, which is the current one."""
    folder = tmp_path / request.param
    shutil.copytree(EXAMPLES / request.param, folder, ignore=UNKEPT)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    importlib.invalidate_caches()


def printed(example: str) -> list[tuple[str, str, int]]:
    """Commands that a script ran, what each printed, and its exit status."""
    text = (EXAMPLES / example / "output.txt").read_text("utf-8")
    found = re.findall(r"^\$ ([^\n]*)\n(.*?)\[exit status (\d+)\]$", text, re.M | re.S)
    return [(command, output, int(status)) for command, output, status in found]


def scripted(example: str) -> list[str]:
    """Commands of an example's script."""
    return re.findall(r"^say_and_do '(.*)'$", (EXAMPLES / example / "run.sh").read_text(), re.M)


def shape(output: str) -> list[str]:
    """What the verdict and the rows of the tables say, without their numbers."""
    verdict = re.split(r"\n\s*\n", output.strip())[0]
    rows = re.findall(r"^ [A-Za-z][-\w:. ]*?(?=\s{2,}|$)", output, re.MULTILINE)
    return re.sub(r"[-−]?\d[\d.]*", "0", " ".join([verdict, *rows])).split()


@pytest.mark.parametrize("example", ["tutorial", "cifar10_pytorch"])
def test_outputs_are_of_the_commands_that_the_script_has(example: str) -> None:
    assert [command for command, _, _ in printed(example)] == scripted(example)
    assert str(ROOT) not in (EXAMPLES / example / "output.txt").read_text("utf-8")


@pytest.mark.parametrize("example", ["tutorial"], indirect=True)
def test_the_tutorials_commands_print_what_it_shows(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    statuses = []
    for command, output, status in printed("tutorial"):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(command)[1:])
        assert (ended.value.code or 0) == status, command
        assert shape(capsys.readouterr().out) == shape(output), command
        statuses.append(status)
    assert statuses[1:3] == [1, 0]  # it fails, and is mended
    assert (example / "runs/mended/report.html").is_file()


def test_the_tutorial_quotes_the_files() -> None:
    output = (EXAMPLES / "tutorial" / "output.txt").read_text("utf-8")
    shown = re.findall(r"```text\n(.*?)```", TUTORIAL, re.DOTALL)
    assert len(shown) == len(scripted("tutorial"))
    assert all(block in output for block in shown)
    code = re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL)
    assert code[0] == (EXAMPLES / "tutorial" / "nearest.py").read_text("utf-8")
    diff = re.search(r"```diff\n(.*?)```", TUTORIAL, re.DOTALL)
    assert diff is not None
    for mark, name in (("-", "nearest.py"), ("+", "mended.py")):
        text = (EXAMPLES / "tutorial" / name).read_text("utf-8")
        for hunk in re.split(r"^@@.*\n", diff[1], flags=re.MULTILINE)[1:]:
            lines = [line[1:] for line in hunk.splitlines() if line[:1] in (" ", mark)]
            assert "\n".join(lines) in text


@pytest.mark.parametrize("example", ["digits_sklearn"], indirect=True)
def test_the_pipeline_runs(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("tiny.yaml").write_text("noises: [symmetric:0.1]\nseeds: 1\n")
    monkeypatch.setattr(sys, "argv", ["stress.py", "tiny.yaml"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path("stress.py", run_name="__main__")
    assert ended.value.code == 3  # one seed decides nothing
    assert capsys.readouterr().out.startswith("undecided: drop <= 0.1 at symmetric:0.1: drop 0.")
    assert (example / "runs/digits/stress.json").is_file()


@pytest.mark.parametrize("example", ["cifar10_pytorch"], indirect=True)
def test_the_script_trains_on_any_small_images(example: Path) -> None:
    data = load_data("digits", subset=300, test_subset=60)
    command = f"{TRAIN} --out {{out}} --epochs 6 --mend"
    results = run(Command(command), data, suite=TINY, workers=1)
    (cell,) = results.cells
    assert cell.failure is None
    assert cell.metrics["accuracy"] > 0.3  # chance is 0.1, and 60 examples deviate by 0.04
    assert command.startswith(TRAIN)
    assert all(TRAIN in given for given in scripted("cifar10_pytorch")[:2])


@pytest.mark.data
@pytest.mark.parametrize("example", ["cifar10_pytorch"], indirect=True)
def test_the_script_trains_on_cifar10(example: Path, data_folder: Path) -> None:
    spec = f"cifar10:{data_folder / 'cifar10'}"
    results = run(
        Command(f"{TRAIN} --out {{out}} --epochs 2"), spec,
        subset=500, test_subset=200, suite=TINY, workers=1,
    )  # fmt: skip
    assert results.cells[0].failure is None
    assert np.isfinite(results.cells[0].metrics["accuracy"])


def test_the_projects_workflow_runs_its_tests_and_keeps_what_it_names(
    pytester: pytest.Pytester,
) -> None:
    shutil.copytree(EXAMPLES / "pytest_project", pytester.path, dirs_exist_ok=True, ignore=UNKEPT)
    workflow = yaml.safe_load((pytester.path / ".github/workflows/test.yml").read_text("utf-8"))
    steps = workflow["jobs"]["test"]["steps"]
    (command,) = [step["run"] for step in steps if step.get("run", "").startswith("pytest")]
    words = shlex.split(command.replace(" -n auto", ""))[1:]
    ended = pytester.runpytest(*words)
    ended.assert_outcomes(passed=2)
    ended.stdout.fnmatch_lines(
        ["*passed; 9 trainings, 0 from the cache*", "*passed; 9 trainings, 9 from the cache*"]
    )
    named = [step["with"]["path"].split() for step in steps if "path" in step.get("with", {})]
    assert all((pytester.path / name).exists() for names in named for name in names)
