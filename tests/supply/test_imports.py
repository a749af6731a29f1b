"""Nothing reaches for a network, or for what is not installed by default, by being imported."""

import json
import pkgutil
import subprocess
import sys

import pytest

import mislabel

EXTRAS = {"ray", "fsspec", "transformers", "cleanlab", "tensorboard", "wandb", "mlflow"}
"What only extras bring; a module that is made for one may need it."
BLOCKED = """
import sys

def refuse(event, arguments):
    if event.startswith("socket.") or event == "urllib.Request":
        raise RuntimeError(f"{event} {arguments}")

sys.addaudithook(refuse)
"""
IMPORT_ALL = """
import importlib, json, pkgutil
import mislabel
missing = []
names = [found.name for found in pkgutil.walk_packages(mislabel.__path__, "mislabel.")]
for name in names:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing.append([name, error.name])
print(json.dumps([len(names), missing]))
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BLOCKED + code], capture_output=True, text=True)


def test_no_module_opens_a_socket_by_being_imported() -> None:
    found = run(IMPORT_ALL)
    assert found.returncode == 0, found.stderr
    count, missing = json.loads(found.stdout)
    assert count == len(list(pkgutil.walk_packages(mislabel.__path__, "mislabel."))) > 200
    assert {library for _, library in missing} <= EXTRAS


@pytest.mark.parametrize(
    "code",
    ["import mislabel", "from mislabel.cli import main\nmain(['--help'])"],
    ids=["package", "help"],
)
def test_package_and_help_need_neither_network_nor_pytorch(code: str) -> None:
    ending = "assert not {'torch', 'ssl'} & sys.modules.keys(), sorted(sys.modules)"
    found = run(f"try:\n    exec({code!r})\nexcept SystemExit:\n    pass\n{ending}")
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(
    "code",
    ["import socket\nsocket.socket()", "import socket\nsocket.getaddrinfo('localhost', 80)"],
)
def test_the_hook_refuses(code: str) -> None:
    found = run(code)
    assert found.returncode == 1 and "RuntimeError: socket." in found.stderr
