"""The hash of code under test: it changes with the code, and with nothing else."""

import copy
import functools
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mislabel.errors import InputError
from mislabel.files import hash_json
from mislabel.stress import code
from mislabel.stress.code import callable_code, command_code

PROJECT = {
    "train.py": """
        import numpy
        import helper
        import data
        from pack import inner
        def train(x, y, *, seed):
            from late import something
            return helper.fit(x, y)
    """,
    "helper.py": "import deeper\ndef fit(x, y): return deeper",
    "deeper.py": "A = 1",
    "late.py": "something = 1",
    "data.py": "B = 1",
    "data/readme.txt": "a folder without code, called as the module",
    "pack/__init__.py": "C = 1",
    "pack/inner.py": "from . import beside\nfrom .. import never\nfrom .sub import leaf, NAME",
    "pack/beside.py": "D = 1",
    "pack/unused.py": "E = 1",
    "pack/sub/__init__.py": "NAME = 1",
    "pack/sub/leaf.py": "F = 1",
    "other.py": "G = 1",
    "conf.yaml": "rate: 0.1",
    "run.sh": "python train.py",
}
MATTERS = (
    "train.py", "helper.py", "deeper.py", "late.py", "data.py", "pack/__init__.py",
    "pack/inner.py", "pack/beside.py", "pack/sub/__init__.py", "pack/sub/leaf.py",
)  # fmt: skip
COMMAND = "python train.py --labels {labels} --out {out}"


def write(folder: Path) -> Path:
    for name, content in PROJECT.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line[8:] if line[:8] == " " * 8 else line
                                  for line in content.split("\n")))  # fmt: skip
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write(tmp_path / "project")


@pytest.fixture
def train(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The project's function, as an import finds it; it is not run."""
    monkeypatch.syspath_prepend(project)
    module = ModuleType("train")
    module.__file__ = str(project / "train.py")
    source = "def train(x, y, *, seed): pass"
    exec(compile(source, module.__file__, "exec"), vars(module))
    monkeypatch.setitem(sys.modules, "train", module)
    return module.train


def change(path: Path) -> None:
    path.write_text(path.read_text() + "\n# changed\n")


@pytest.mark.parametrize("name", PROJECT)
def test_files_of_a_function(name: str, project: Path, train: Any) -> None:
    before = callable_code(train)
    assert callable_code(train) == before
    change(project / name)
    assert (callable_code(train) != before) == (name in MATTERS)


@pytest.mark.parametrize("name", PROJECT)
def test_files_of_a_command(name: str, project: Path) -> None:
    before = command_code(COMMAND, project)
    change(project / name)
    assert (command_code(COMMAND, project) != before) == (name in MATTERS)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python train.py --conf conf.yaml", "conf.yaml"),
        ("python train.py --conf=conf.yaml", "conf.yaml"),
        ("sh run.sh", "run.sh"),
        ("./run.sh", "run.sh"),
        ("python -m train", "train.py"),
        ("python -m train", "deeper.py"),
        ("python -m pack.sub.leaf", "pack/sub/leaf.py"),
        ("python -m pack.sub.leaf", "pack/__init__.py"),
        ("torchrun -m helper", "deeper.py"),
        ("python 'it is broken", None),
        (f"python -c '{'x' * 5000}'", None),
        ("python missing.py", None),
    ],
)
def test_what_a_command_names(command: str, name: str | None, project: Path) -> None:
    before = command_code(command, project)
    assert command_code(command + " -v", project) != before
    if name is not None:
        change(project / name)
        assert command_code(command, project) != before


def test_a_package_is_run_by_its_main(project: Path) -> None:
    (project / "pack" / "__main__.py").write_text("")
    before = command_code("python -m pack", project)
    change(project / "pack" / "__main__.py")
    assert command_code("python -m pack", project) != before


@pytest.mark.parametrize("extra", ["other.py", "conf.yaml", "data"])
def test_further_files_and_folders(extra: str, project: Path) -> None:
    paths = [project / extra]
    before = command_code(COMMAND, project, extra=paths)
    assert before != command_code(COMMAND, project)
    if paths[0].is_dir():
        change(project / "data" / "readme.txt")
    else:
        change(paths[0])
    assert command_code(COMMAND, project, extra=paths) != before


def test_a_further_file_that_is_not_there(project: Path) -> None:
    with pytest.raises(InputError) as caught:
        command_code(COMMAND, project, extra=[project / "none"])
    assert str(caught.value) == f"code={str(project / 'none')!r}: no such file or folder"


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """Both are called a.py; neither may hide a change of the other."""
    files = [tmp_path / "one" / "a.py", tmp_path / "two" / "a.py"]
    for file in files:
        file.parent.mkdir()
        file.write_text("")
    before = command_code("x", tmp_path / "none", extra=files)
    for file in files:
        change(file)
        assert command_code("x", tmp_path / "none", extra=files) != before
        file.write_text("")


def test_a_project_may_be_moved(project: Path, tmp_path: Path) -> None:
    before = command_code("python pack/inner.py", project)
    shutil.move(project, tmp_path / "elsewhere")
    assert command_code("python pack/inner.py", tmp_path / "elsewhere") == before


def test_versions_of_packages_count(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = command_code(COMMAND, project)
    assert before["versions"] == {"numpy": np.__version__}
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0")
    assert command_code(COMMAND, project) != before


def outer(value: Any) -> Callable[..., Any]:
    def train(x: Any, y: Any, *, seed: int) -> Any:
        return value

    return train


def with_defaults(x: Any, y: Any, a: Any = 1, *, seed: int = 0, b: Any = 2) -> Any:
    return a, b


class Trainer:
    def __init__(self, **values: Any) -> None:
        vars(self).update(values)

    def __call__(self, x: Any, y: Any, *, seed: int) -> Any:
        return self

    def method(self, x: Any, y: Any, *, seed: int) -> Any:
        return self


class Estimator:
    def __init__(self, **values: Any) -> None:
        self.values = values

    def fit(self, x: Any, y: Any) -> Any:
        return self

    def get_params(self, deep: bool = True) -> Any:
        return self.values


def defaults(value: Any) -> Any:
    def train(x: Any, y: Any, *, seed: int, a: Any = value) -> Any:
        return a

    return train


WAYS: dict[str, Callable[[Any], Any]] = {
    "closure": outer,
    "default": defaults,
    "partial": lambda v: functools.partial(with_defaults, a=v),
    "partial of a partial": lambda v: functools.partial(functools.partial(with_defaults, b=v)),
    "positional": lambda v: functools.partial(with_defaults, v),
    "callable": lambda v: Trainer(a=v),
    "method": lambda v: Trainer(a=v).method,
    "estimator": lambda v: Estimator(a=v),
    "nested": lambda v: outer([{"a": (outer(v),)}]),
}
VALUES: tuple[tuple[Any, Any], ...] = (
    (1, 2),
    (1, 1.0),
    (1, True),
    (0.1, 0.2),
    ("a", "b"),
    ("1", 1),
    (None, 0),
    ((64, 32, 64), (64, 32, 32)),
    ((64, 32), [64, 32]),
    ([1, [2]], [[1], 2]),
    ({"a": 1}, {"a": 2}),
    ({"a": 1}, {"b": 1}),
    ({1: 1}, {"1": 1}),
    ({"x", "y"}, {"x", "z"}),
    (np.arange(3), np.arange(4)),
    (np.arange(3), np.arange(3.0)),
    (np.random.default_rng(1), np.random.default_rng(2)),
    (Path("a"), Path("b")),
    (len, max),
    (np.add, np.multiply),
    (np.mean, np.median),
    (lambda: 1, lambda: 2),
    (lambda x: x in {1, 2}, lambda x: x in {1, 3}),
    (Trainer, Estimator),
    (Trainer(a=1), Trainer(a=2)),
    (Trainer(a=1), Estimator(a=1)),
)


@pytest.mark.parametrize("values", VALUES, ids=map(str, range(len(VALUES))))
def test_values_that_it_carries(values: tuple[Any, Any]) -> None:
    one, other = (callable_code(outer(value)) for value in values)
    assert one != other
    again = values[0] if callable(values[0]) else copy.deepcopy(values[0])
    assert callable_code(outer(again)) == one


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_carry_values(way: str) -> None:
    one, same, other = (callable_code(WAYS[way](value)) for value in ([1, 2], [1, 2], [1, 3]))
    assert one == same
    assert one != other


def test_values_that_hold_themselves() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    trainer = Trainer(a=1)
    trainer.me = trainer  # type: ignore[attr-defined]
    for value in (loop, trainer, trainer.method):
        assert callable_code(outer(value)) == callable_code(outer(value))


def test_a_tensor_that_it_carries() -> None:
    import torch

    one, same, other = torch.arange(3), torch.arange(3), torch.arange(4)
    assert callable_code(outer(one)) == callable_code(outer(same))
    assert callable_code(outer(one)) != callable_code(outer(other))


def test_a_value_without_a_hash() -> None:
    lock = threading.Lock()
    with pytest.raises(InputError) as caught:
        callable_code(outer(lock))
    rule = "carries a value that cannot be hashed, so results could not be kept (TypeError)"
    assert str(caught.value) == f"train={lock!r}: {rule}"


SCRIPT = """
import importlib.util, json, sys
from dataclasses import dataclass
from enum import Enum
import numpy as np

spec = importlib.util.spec_from_file_location("code_alone", sys.argv[2])
code_alone = importlib.util.module_from_spec(spec)
spec.loader.exec_module(code_alone)

RATE = float(sys.argv[1])
NAMES = {"a", "b", "c", "d"}
UNUSED = object()

class Kind(Enum):
    A = 1

@dataclass
class Config:
    kind: Kind = Kind.A
    rates: tuple = (1, 2)

class Model:
    slope = RATE
    @property
    def twice(self): return 2 * helper()
    @classmethod
    def make(cls): return cls()

def helper():
    return sys.argv

def train(x, y, *, seed, names=frozenset(NAMES)):
    return (lambda: Model().twice), Config(), NAMES, Kind, np

print(json.dumps(code_alone.callable_code(train)))
"""


def of_script(script: Path, seed: str, *arguments: str) -> dict[str, Any]:
    words = [sys.executable, script.name, *arguments, code.__file__]
    env = os.environ | {"PYTHONHASHSEED": seed}
    found = subprocess.run(words, cwd=script.parent, env=env, check=True, capture_output=True)
    return dict(json.loads(found.stdout))


def test_functions_of_a_script_go_with_what_they_use(tmp_path: Path) -> None:
    """Such are sent by value, so a global value counts, though the file is the same."""
    script = tmp_path / "one" / "script.py"
    script.parent.mkdir()
    script.write_text(SCRIPT)
    first = of_script(script, "1", "0.1")
    assert of_script(script, "2", "0.2")["values"] != first["values"]
    moved = shutil.copytree(script.parent, tmp_path / "two") / script.name
    assert of_script(moved, "2", "0.1") == first


def in_console(source: str) -> Any:
    """A function as of a notebook: without a file, and of a module that nobody can import."""
    module = ModuleType("console")
    sys.modules["console"] = module
    exec(compile(source, "<console>", "exec"), vars(module))
    return module.train  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "changed",
    [
        ("return 1", "return 2"),
        ("a * 1", "a * 2"),
        ("GLOBAL = 1", "GLOBAL = 2"),
        ("in {1, 2}", "in {1, 3}"),
        ("attribute = 1", "attribute = 2"),
        ("Base: pass", "Base: more = 1"),
    ],
)
def test_functions_of_a_notebook(changed: tuple[str, str]) -> None:
    source = """
GLOBAL = 1
OTHER = 5
class Base: pass
class Model(Base):
    attribute = 1
    @staticmethod
    def predict(x): return 1
def helper(a): return a * 1 in {1, 2}
def train(x, y, *, seed): return helper(GLOBAL), Model
"""
    try:
        before = hash_json(callable_code(in_console(source)))
        assert hash_json(callable_code(in_console(source.replace("5", "6")))) == before
        assert hash_json(callable_code(in_console(source.replace(*changed)))) != before
    finally:
        del sys.modules["console"]
