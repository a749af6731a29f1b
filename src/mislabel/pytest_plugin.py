"""The pytest plugin: a robustness test of a project's own training code in a few lines.

    @pytest.mark.mislabel(data="digits", suite="smoke")
    def test_robust(mislabel_stress):
        result = mislabel_stress(LogisticRegression(max_iter=200))
        result.require("accuracy >= 0.8 at human-like:0.2", "drop <= 0.1 at symmetric:0.2")

The marker and the fixture's function take the arguments of `mislabel.stress.run`; the function's
come first, then those of the closest marker. Ended trainings are kept in pytest's cache by the hash
of code, data, labels and seed, so a second run trains only what has changed, and tests of the same
training share it. ``--mislabel-report DIR`` writes a page per test; ``--mislabel-fresh`` trains
everything again. What failed is trained again each time, for the cause may be gone. Results of code
that is gone stay until ``--cache-clear``.

pytest imports this file whenever it starts, so nothing but pytest is imported at its top; it stands
outside of `mislabel.stress`, whose import loads scikit-learn and torch.

Pitfall: a function that stands in the test file is trained again whenever that file changes, its
thresholds included; one that stands in a module of its own is not.
"""

import contextlib
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from mislabel.stress import StressResults, StressTest
    from mislabel.stress.decisions import Verdict

SUITE = "smoke"
"The suite where neither marker nor call names one."
LOG_LINES = 12
"Lines of a failed training's output in a message."
STATES = {"pass": "passed", "fail": "failed", "undecided": "undecided"}
_ORDER = ("fail", "undecided", "pass")
PROPERTY = "mislabel"
"Name of the properties of a test, also in JUnit XML, which say how its stress tests ended."

_PAGES = pytest.StashKey[Path | None]()
_ABOUT = (
    "mislabel(data, suite='smoke', seeds, references, metric, timeout, workers, ...): arguments of "
    "mislabel_stress, as of mislabel.stress.run; seeds may be a number"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's options."""
    group = parser.getgroup("mislabel", "stress tests under label noise")
    group.addoption("--mislabel-report", metavar="DIR", help="write a page per stress test to DIR")
    group.addoption(
        "--mislabel-fresh", action="store_true", help="train everything again, use no kept results"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and fix the folder of the pages before a test changes folders."""
    config.addinivalue_line("markers", _ABOUT)
    given = config.getoption("mislabel_report")
    folder = None if given is None else Path(given).absolute()
    if folder is not None and folder.exists() and not folder.is_dir():
        raise pytest.UsageError(f"--mislabel-report={given}: is a file; must be a folder")
    config.stash[_PAGES] = folder


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line per stress test, from whichever process ran it."""
    lines: dict[str, list[str]] = {}
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        found = [text for name, text in getattr(report, "user_properties", ()) if name == PROPERTY]
        if found:
            lines[report.nodeid] = found
    if lines:
        terminalreporter.section("mislabel stress tests")
        for nodeid, texts in lines.items():
            for text in texts:
                terminalreporter.write_line(f"{nodeid}: {text}")


@pytest.fixture
def mislabel_stress(
    request: pytest.FixtureRequest, _mislabel_store: "_Store"
) -> Iterator[Callable[..., "StressCheck"]]:
    """Put training code through a suite of label noises: ``mislabel_stress(train, data="digits")``.

    Takes the arguments of `mislabel.stress.run`, over those of the mark `mislabel`; returns a
    `StressCheck`. suite is "smoke" by default; seeds may be a number of them.
    """
    checks: list[StressCheck] = []
    marked = _marked(request.node)

    def stress(train: Any, **arguments: Any) -> StressCheck:
        __tracebackhide__ = True
        command = f"pytest {shlex.quote(request.node.nodeid)}"
        with _plain_errors():
            check = _run(train, {**marked, **arguments}, _mislabel_store, command)
        checks.append(check)
        return check

    yield stress
    for number, check in enumerate(checks, start=1):
        page = _write_page(check, request, number)
        shown = f"{check}; page: {page}" if page else str(check)
        request.node.user_properties.append((PROPERTY, shown))


class StressCheck:
    """A stress test that has run, to be held against thresholds.

    results: every training. n_trained, n_kept: trainings done now and taken from the cache. logs:
    the end of the output of failed trainings, by `StressCell.log`.
    """

    def __init__(
        self, results: "StressResults", *, n_trained: int, n_kept: int, logs: Mapping[str, str]
    ) -> None:
        self.results, self.n_trained, self.n_kept = results, n_trained, n_kept
        self.logs, self._asked = logs, tuple(results.thresholds)
        self._last: Verdict | None = None

    def verdict(self, *thresholds: str) -> "Verdict":
        """What the thresholds come to, with those of the suite or the marker and earlier ones."""
        __tracebackhide__ = True
        from mislabel.stress.thresholds import decide

        asked = tuple(dict.fromkeys([*self._asked, *thresholds]))
        with _plain_errors():
            self._last = decide(self.results, asked)
        self._asked = asked
        return self._last

    def require(
        self, *thresholds: str, undecided: Literal["fail", "skip", "pass"] = "fail"
    ) -> None:
        """Fail the test unless every training ended well and every threshold passes.

        undecided: what becomes of the test where the seeds are too few to tell.
        """
        __tracebackhide__ = True
        from mislabel.errors import InputError, did_you_mean

        with _plain_errors():
            if undecided not in ("fail", "skip", "pass"):
                hint = did_you_mean(str(undecided), ("fail", "skip", "pass"))
                raise InputError("undecided", undecided, f"unknown; {hint}")
        verdict = self.verdict(*thresholds)
        if verdict.state == "fail" or (verdict.state == "undecided" and undecided == "fail"):
            pytest.fail(self.explain(verdict), pytrace=False)
        if verdict.state == "undecided" and undecided == "skip":
            pytest.skip(self.explain(verdict))

    def explain(self, verdict: "Verdict") -> str:
        """The verdict in words: thresholds with their intervals, failed trainings, what to do."""
        from mislabel.words import one_line

        metadata = self.results.metadata
        suite = metadata["suite"]
        code = one_line(self.results.subjects[0].title, 80)
        where = f"{metadata['data']['name']}, suite {suite['name']} v{suite['version']}"
        lines = [f"Stress test {STATES[verdict.state]}: {code} on {where}; {self._trainings}"]
        for decision in sorted(verdict.decisions, key=lambda d: _ORDER.index(d.state)):
            lines.append(f"  {STATES[decision.state]:<9}  {one_line(decision.text)}")
            lines.append(f"             {one_line(decision.reason)}")
        return "\n".join([*lines, *self._failures(), *_advice(verdict)])

    def __str__(self) -> str:
        state = "not held against thresholds" if self._last is None else STATES[self._last.state]
        return f"{state}; {self._trainings}"

    @property
    def _trainings(self) -> str:
        from mislabel.words import plural

        return f"{plural(self.n_trained + self.n_kept, 'training')}, {self.n_kept:,} from the cache"

    def _failures(self) -> Iterator[str]:
        """Failed trainings by reason, and how the output of the first one ended."""
        from mislabel.stress.results import YOURS
        from mislabel.stress.view import failure_groups, listed
        from mislabel.words import one_line, plural, visible

        for subject in self.results.subjects:
            cells = [cell for cell in self.results.failures if cell.subject == subject.name]
            whose = "" if subject.name == YOURS else f" of {one_line(subject.title, 80)}"
            for reason, places in failure_groups(cells):
                yield f"  {plural(len(places), 'training')}{whose} failed: {reason}"
                yield f"             at {listed(places)}"
            log = self.logs.get(cells[0].log, "").rstrip() if cells else ""
            if log:
                yield f"  output at {cells[0].noise} seed {cells[0].seed}:"
                yield from (f"    | {line}" for line in visible(log).splitlines()[-LOG_LINES:])


def _advice(verdict: "Verdict") -> list[str]:
    """How many seeds would decide what is undecided."""
    needed = verdict.seeds_needed
    if verdict.state != "undecided" or needed is None:
        return []
    return [f"With seeds={needed} it would be decided, if the figures stay as they are."]


@dataclass(frozen=True, kw_only=True)
class _Store:
    """Where trainings are kept. sharing: pytest processes at work. fresh: use nothing from before
    this session; `renewed` are the folders that hold nothing from before."""

    root: Path
    sharing: int
    fresh: bool
    renewed: set[Path] = field(default_factory=set)

    def folder(self, test: "StressTest") -> Path:
        """The folder of a training on some data; changed code takes the place of the old."""
        from mislabel.files import hash_json

        return self.root / hash_json([test.identity, test.code.title])[:20]

    def renew(self, folder: Path) -> None:
        """Remove what an earlier session left, if that is wanted."""
        if self.fresh and folder not in self.renewed:
            shutil.rmtree(folder, ignore_errors=True)
        self.renewed.add(folder)


@pytest.fixture(scope="session")
def _mislabel_store(pytestconfig: pytest.Config) -> Iterator[_Store]:
    """pytest's cache, or without one a folder that goes with the session."""
    sharing = getattr(pytestconfig, "workerinput", {}).get("workercount", 1)
    fresh = pytestconfig.getoption("mislabel_fresh")
    kept = _cache_folder(pytestconfig)
    if kept is not None:
        yield _Store(root=kept, sharing=sharing, fresh=fresh)
        return
    with tempfile.TemporaryDirectory(prefix="mislabel-pytest-") as folder:
        yield _Store(root=Path(folder), sharing=sharing, fresh=fresh)


def _cache_folder(config: pytest.Config) -> Path | None:
    """Our folder in pytest's cache; None where there is none, or it cannot be written."""
    if not hasattr(config, "cache") or config.cache is None:
        return None
    with contextlib.suppress(OSError):
        folder = config.cache.mkdir("mislabel")
        with _held(folder / "any"):
            return folder
    return None


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Wait until no other process uses a folder, and keep it meanwhile."""
    with folder.with_suffix(".lock").open("ab") as file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(train: Any, arguments: dict[str, Any], store: _Store, command: str) -> StressCheck:
    """Run a stress test in its folder of the store."""
    from mislabel.errors import InputError
    from mislabel.stress import make_test, run_test
    from mislabel.stress.store import StressFolder

    _check_names(arguments)
    if "data" not in arguments:
        raise InputError("data", None, "must be given, in the mark or to mislabel_stress")
    if isinstance(arguments.get("seeds"), int):
        arguments["seeds"] = range(1, arguments["seeds"] + 1)
    retry_failed = arguments.pop("retry_failed", True)
    given_workers = arguments.pop("workers", None)
    test = make_test(train, command=command, **{"suite": SUITE, **arguments})
    counts: list[tuple[int, int]] = []
    with _fair_share(store.sharing) as workers, _held(folder := store.folder(test)):
        store.renew(folder)
        results = run_test(
            test,
            folder,
            workers=workers if given_workers is None else given_workers,
            replace=True,
            retry_failed=retry_failed,
            progress=lambda done, total: counts.append((done, total)),
        )
        stored = StressFolder(folder)
        logs = {cell.log: stored.log_tail(cell) for cell in results.failures}
    kept, total = counts[0]
    return StressCheck(results, n_trained=total - kept, n_kept=kept, logs=logs)


@contextlib.contextmanager
def _fair_share(sharing: int) -> Iterator[int | None]:
    """How many trainings at a time: the engine's default (None), or 1 beside other processes.

    Those cores that are this process's share are all that its trainings then see.
    """
    if sharing == 1:
        yield None
        return
    from joblib import cpu_count

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOKY_MAX_CPU_COUNT", str(max(1, cpu_count() // sharing)))
        yield 1


def _marked(node: Any) -> dict[str, Any]:
    """Arguments of a test's marks, the closest first."""
    from mislabel.errors import InputError

    arguments: dict[str, Any] = {}
    with _plain_errors():
        for mark in reversed(list(node.iter_markers("mislabel"))):
            if mark.args:
                raise InputError("mark", mark.args, "takes arguments by name, as in data='digits'")
            _check_names(mark.kwargs)
            arguments |= mark.kwargs
    return arguments


def _check_names(arguments: Mapping[str, Any]) -> None:
    """Raise `InputError` for arguments that a stress test in pytest does not have."""
    from dataclasses import fields
    from inspect import signature

    from mislabel.benchmark.inputs import InputOptions
    from mislabel.errors import InputError, did_you_mean
    from mislabel.stress import make_test

    known = {*signature(make_test).parameters} - {"train", "command", "say", "options"}
    known |= {"workers", "retry_failed"} | {option.name for option in fields(InputOptions)}
    for name, value in arguments.items():
        if name not in known:
            raise InputError(name, value, f"unknown argument; {did_you_mean(name, known)}")


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Bad input fails the test with its one line, without a traceback."""
    __tracebackhide__ = True
    from mislabel.errors import InputError

    problem = ""
    try:
        yield
    except InputError as error:
        problem = str(error)
    if problem:
        pytest.fail(f"mislabel: error: {problem}", pytrace=False)


def _write_page(check: StressCheck, request: pytest.FixtureRequest, number: int) -> Path | None:
    """Write the page of a stress test, if pages are wanted; returns its path."""
    folder = request.config.stash[_PAGES]
    if folder is None:
        return None
    import re

    from mislabel.files import hash_json
    from mislabel.report.stress_page import write_stress_page

    nodeid = request.node.nodeid
    slug = re.sub(r"[^A-Za-z0-9]+", "-", nodeid).strip("-")[-60:]
    path = folder / f"{slug}-{hash_json([nodeid, number])[:6]}.html"
    folder.mkdir(parents=True, exist_ok=True)
    return write_stress_page(check.results, check.verdict(), path, logs=check.logs)
