"""All tests here are `faults`. What they try and find is gathered for docs/reliability.md.

``MISLABEL_FAULTS``: how often a test of random moments or places tries, 3 by default.
``MISLABEL_FAULTS_SEED``: of these. ``MISLABEL_FAULTS_DATA``: a JSON file for what was found.
"""

import json
import os
import platform
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures import Record, Undisturbed
from kinds import KINDS, Kind, write_inputs
from undertaking import Undertaking, content, run

SEED = int(os.environ.get("MISLABEL_FAULTS_SEED", "20261123"))
found: list[tuple[str, dict[str, Any]]] = []
"By the test that told it; several processes may run the suite, in any order."


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.faults)
            if sys.platform != "linux":
                item.add_marker(pytest.mark.skip(reason="processes are followed by /proc"))


def pytest_report_header() -> str:
    return f"faults: {attempts()} tries, seed {SEED}"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed:
        found.extend((report.nodeid, v) for name, v in report.user_properties if name == "fault")


def pytest_sessionfinish() -> None:
    path = os.environ.get("MISLABEL_FAULTS_DATA")
    if path and found and "PYTEST_XDIST_WORKER" not in os.environ:
        about = {"tries": attempts(), "seed": SEED, "python": platform.python_version()}
        about |= {"system": platform.system()}
        rows = [row for _, row in sorted(found, key=lambda pair: pair[0])]
        Path(path).write_text(json.dumps({"about": about, "found": rows}, indent=1) + "\n")


def attempts() -> int:
    return int(os.environ.get("MISLABEL_FAULTS", "3"))


@pytest.fixture
def tries() -> int:
    """How often a random moment or place is tried."""
    return attempts()


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Random moments and places, of the seed and the test's name."""
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture
def record(record_property: Callable[[str, object], None]) -> Record:
    """Tell what was tried, for the page. See `report.py` for the fields."""

    def record(fault: str, where: str, *, tried: int, outcome: str, lost: int = 0) -> None:
        row = {"fault": fault, "where": where, "tried": tried, "outcome": outcome, "lost": lost}
        record_property("fault", row)

    return record


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory, own_cache: Path) -> Path:
    """The folder with data and code, which is the current folder of all undertakings."""
    return write_inputs(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="session")
def undisturbed(inputs: Path) -> Undisturbed:
    """A command that nothing happened to, and what its folder holds."""
    done: dict[str, tuple[Undertaking, dict[str, Any]]] = {}

    def undisturbed(kind: Kind) -> tuple[Undertaking, dict[str, Any]]:
        if kind.name not in done:
            out = inputs / f"{kind.name}-out"
            undertaking = run(kind.words(inputs, out), inputs / kind.name)
            assert undertaking.process.exitcode == 0, undertaking.lines
            done[kind.name] = (undertaking, content(out))
        return done[kind.name]

    return undisturbed


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
def undertaken() -> Iterator[list[Undertaking]]:
    """Undertakings that are ended with the test."""
    started: list[Undertaking] = []
    yield started
    for undertaking in started:
        undertaking.end()
