"""The wheel: all that the package needs is in it, nothing else, and it is the same every time."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="hatchling is not installed (mislabel[dev])")

ROOT = Path(__file__).parents[2]
SOURCES = ("src", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*_cache", "*.egg-info")
EPOCH = "1700000000"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a wheel is built from."""
    folder = tmp_path_factory.mktemp("tree") / "mislabel"
    folder.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(tree: Path) -> Path:
    """The wheel of that copy."""
    return build(tree, tree.parent / "first")


def build(tree: Path, out: Path, **environment: str) -> Path:
    """Build a wheel from `tree` in the folder `out`."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=tree, env=os.environ | {"SOURCE_DATE_EPOCH": EPOCH} | environment, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    (found,) = out.glob("*.whl")
    return found


def packed(wheel: Path) -> set[str]:
    """Names of the files of the package in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if name.startswith("mislabel/")}


def test_the_wheel_holds_the_package_and_nothing_else(tree: Path, wheel: Path) -> None:
    """Templates, static files and presets too."""
    source = tree / "src"
    there = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert packed(wheel) == there
    assert {Path(name).suffix for name in there} >= {".py", ".j2", ".css", ".js", ".json", ".typed"}


def test_the_wheel_has_its_licence_command_and_plugin(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {Path(name).name: name for name in archive.namelist() if ".dist-info/" in name}
        assert {"METADATA", "RECORD", "WHEEL", "LICENSE", "entry_points.txt"} == names.keys()
        entries = archive.read(names["entry_points.txt"]).decode()
    assert "mislabel = mislabel.cli:main" in entries
    assert "[pytest11]\nmislabel = mislabel.pytest_plugin" in entries


def test_a_wheel_builds_to_the_same_bytes(tree: Path, wheel: Path, tmp_path: Path) -> None:
    """From another folder, with other dates and permissions, in another time zone."""
    copy = Path(shutil.copytree(tree, tmp_path / "elsewhere", copy_function=shutil.copy))
    for path in copy.rglob("*"):
        os.utime(path, (1_234_567_890, 1_234_567_890))
        path.chmod(0o700 if path.is_dir() else 0o600)
    again = build(copy, tmp_path / "out", TZ="Asia/Kathmandu", PYTHONHASHSEED="5", LC_ALL="C")
    first, second = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (wheel, again))
    assert again.name == wheel.name and second == first
