"""The pytest plugin, run by pytest on small projects; each training leaves a line in a file."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree

import nested_sessions  # noqa: F401
import pytest
from stress_examples import stress_results

from mislabel.pytest_plugin import LOG_LINES, StressCheck

TRAINING = """
from pathlib import Path

import numpy as np

COUNT = Path(__file__).with_name("count.txt")


def count(name):
    with COUNT.open("a") as file:
        file.write(f"{name}\\n")


def centroids(x, y, *, seed):
    count("centroids")
    means = np.stack([x[y == c].mean(axis=0) for c in range(3)])
    return lambda new: ((new[:, None] - means) ** 2).sum(axis=-1).argmin(axis=1)


def lucky(x, y, *, seed):
    count("lucky")
    return lambda new: np.where(np.arange(len(new)) < (30 if seed == 1 else 6), new[:, 2], 0)


def broken(x, y, *, seed):
    count("broken")
    print(f"about to fail with {len(y)} labels")
    raise ValueError("no \\x1b[31m convergence")
"""
CONFTEST = """
import numpy as np
import pytest


@pytest.fixture(scope="session")
def blobs():
    y = np.arange(90) % 3
    x = np.random.default_rng(0).normal(size=(90, 3)) / 9 + np.eye(3)[y]
    x[:, 2] = y
    return x[:60], y[:60], x[60:], y[60:]
"""
HEAD = """
import pytest
from training import broken, centroids, lucky

pytestmark = pytest.mark.mislabel(suite="tiny.yaml")
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose suite is two trainings on clean labels."""
    pytester.makepyfile(training=TRAINING)
    pytester.makeconftest(CONFTEST)
    pytester.path.joinpath("tiny.yaml").write_text("noises: [clean]\nseeds: 2\n")
    return pytester


def write(project: pytest.Pytester, *bodies: str) -> None:
    """Write a test file of tests ``test_0``, ``test_1`` ... with these bodies."""
    tests = [f"def test_{i}(mislabel_stress, blobs):\n    {b}\n" for i, b in enumerate(bodies)]
    project.path.joinpath("test_robust.py").write_text("\n\n".join([HEAD, *tests]))


def trained(project: pytest.Pytester) -> list[str]:
    """What has been trained so far."""
    path = project.path / "count.txt"
    return path.read_text().split() if path.exists() else []


CENTROIDS = "mislabel_stress(centroids, data=blobs).require('accuracy >= 0.9')"


def test_pytest_finds_the_plugin() -> None:
    (found,) = entry_points(group="pytest11", name="mislabel")
    assert found.value == "mislabel.pytest_plugin"


def test_its_import_costs_next_to_nothing() -> None:
    code = (
        "import pytest, sys; before = set(sys.modules); import mislabel.pytest_plugin; "
        "print(*{m.partition('.')[0] for m in set(sys.modules) - before})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "scipy", "sklearn", "torch", "joblib", "yaml"} & set(run.stdout.split())
    assert "mislabel" in run.stdout


def test_finished_trainings_are_kept_and_changed_code_is_trained_again(
    project: pytest.Pytester,
) -> None:
    write(project, CENTROIDS)
    first = project.runpytest()
    first.assert_outcomes(passed=1)
    first.stdout.fnmatch_lines(["*test_0: passed; 2 trainings, 0 from the cache"])
    assert len(trained(project)) == 2

    write(project, CENTROIDS.replace("0.9", "0.8"))  # another threshold, the same training
    second = project.runpytest()
    second.stdout.fnmatch_lines(["*test_0: passed; 2 trainings, 2 from the cache"])
    assert len(trained(project)) == 2

    project.makepyfile(training=TRAINING.replace("mean(axis=0)", "mean(axis=0) + 0.001"))
    third = project.runpytest()
    third.stdout.fnmatch_lines(["*test_0: passed; 2 trainings, 0 from the cache"])
    assert len(trained(project)) == 4

    write(project, CENTROIDS, CENTROIDS)
    fresh = project.runpytest("--mislabel-fresh")  # but not twice in a session
    fresh.stdout.fnmatch_lines(["*test_0: *, 0 from the cache", "*test_1: *, 2 from the cache"])
    assert len(trained(project)) == 6


def test_more_seeds_train_only_what_is_new(project: pytest.Pytester) -> None:
    write(project, CENTROIDS, CENTROIDS.replace("blobs", "blobs, seeds=3"))
    run = project.runpytest()
    run.assert_outcomes(passed=2)
    run.stdout.fnmatch_lines(["*test_1: passed; 3 trainings, 2 from the cache"])
    assert len(trained(project)) == 3


def test_without_the_cache_plugin_nothing_is_kept(project: pytest.Pytester) -> None:
    write(project, CENTROIDS, CENTROIDS)
    before = {path.name for path in project.path.iterdir()}
    project.runpytest("-p", "no:cacheprovider").assert_outcomes(passed=2)
    assert len(trained(project)) == 2  # within a session they are shared all the same
    left = {path.name for path in project.path.iterdir()} - before
    assert left <= {"count.txt", "__pycache__"}


@pytest.mark.filterwarnings("ignore::pytest.PytestCacheWarning")
def test_a_cache_that_cannot_be_written_is_done_without(project: pytest.Pytester) -> None:
    write(project, CENTROIDS)
    project.path.joinpath("file").write_text("")
    project.runpytest("-o", "cache_dir=file/cache").stdout.fnmatch_lines(["*test_0: passed*"])


def test_a_failure_says_which_threshold_why_and_what_the_others_are(
    project: pytest.Pytester,
) -> None:
    write(
        project,
        "mislabel_stress(lucky, data=blobs, thresholds=['worst_class <= 9'])"
        ".require('accuracy <= 9', 'accuracy >= 80%')",
        "mislabel_stress(centroids, data=blobs).require('accuracy < 0.9', 'accuracy > 0.5')",
    )
    run = project.runpytest()
    run.assert_outcomes(failed=2)
    run.stdout.fnmatch_lines(
        [
            "Stress test undecided: lucky on arrays, suite tiny v1; 2 trainings, 0 from the cache",
            "  undecided  accuracy >= 80% at clean",
            "             accuracy * (*, 2 seeds) is not clearly above or below 80%; about *",
            "  passed     accuracy <= 9 at clean",
            "With seeds=* it would be decided, if the figures stay as they are.",
            "Stress test failed: centroids on arrays, *",
            "  failed     accuracy < 0.9 at clean",
            "             accuracy * (*, 2 seeds) is at least 0.9",
            "  passed     accuracy > 0.5 at clean",
            "*test_0: undecided; 2 trainings*",
            "*test_1: failed; 2 trainings*",
        ]
    )
    assert "worst_class <= 9 at clean" in run.stdout.str()  # asked for beside require
    assert "Traceback" not in run.stdout.str()


def test_undecided_may_skip_or_pass(project: pytest.Pytester) -> None:
    asked = "mislabel_stress(lucky, data=blobs).require('accuracy >= 0.8', undecided='{}')"
    write(project, asked.format("skip"), asked.format("pass"))
    run = project.runpytest()
    run.assert_outcomes(skipped=1, passed=1)
    run.stdout.fnmatch_lines(["*test_0: undecided; *", "*test_1: undecided; *"])


def test_a_failed_training_fails_with_its_output_and_is_tried_again(
    project: pytest.Pytester,
) -> None:
    write(project, "mislabel_stress(broken, data=blobs).require()")
    for count in (2, 4):
        run = project.runpytest()
        run.assert_outcomes(failed=1)
        run.stdout.fnmatch_lines(
            [
                "  2 trainings failed: exit status 1: ValueError: no \\x1b[[]31m convergence",
                "             at clean seed 1 and clean seed 2",
                "    | *ValueError(*",
                "    | ValueError: no \\x1b[[]31m convergence",
                "*test_0: failed; 2 trainings, 0 from the cache",
            ]
        )
        assert len(trained(project)) == count


MISTAKES = {
    "mislabel_stress(centroids)": "data=None: must be given, in the mark or to mislabel_stress",
    "mislabel_stress(3, data=blobs)": "train=3: must be a function train(x, y, [*], seed)*",
    "mislabel_stress(centroids, dta=3)": "dta=3: unknown argument; did you mean 'data'?*",
    "mislabel_stress(centroids, data='nope')": "data='nope': *",
    "mislabel_stress(centroids, data=blobs, suite='smok')": "suite='smok': *'smoke'*",
    "mislabel_stress(centroids, data=blobs, workers=0)": "workers=0: must be at least 1",
    CENTROIDS.replace(">= 0.9", "0.9"): "threshold='accuracy 0.9': must be FIGURE *",
    CENTROIDS.replace("0.9'", "0.9', undecided='no'"): "undecided='no': unknown; *",
}


def test_the_failures_of_a_reference_are_told_but_do_not_fail() -> None:
    places = {"clean": [0.9, 0.9], "symmetric:0.2": [0.8, 0.8]}
    failing = {"clean": [0.9, 0.9], "symmetric:0.2": ["was killed by signal 9", 0.7]}
    results = stress_results(places, {"elr": failing})
    (failed,) = results.failures
    lines = [f"line {i}" for i in range(30)]
    logs = {failed.log: "\n".join([*lines, "\x1b[31mred"])}
    check = StressCheck(results, n_trained=1, n_kept=7, logs=logs)
    check.require("accuracy >= 0.5")
    assert str(check) == "passed; 8 trainings, 7 from the cache"
    text = check.explain(check.verdict()).splitlines()
    start = text.index("  1 training of Elr failed: was killed by signal 9")
    assert text[start + 1].strip() == "at symmetric:0.2 seed 1"
    assert text[start + 3 :] == [f"    | {x}" for x in lines[1 - LOG_LINES :]] + [
        r"    | \x1b[31mred"
    ]


def test_bad_input_is_one_line(project: pytest.Pytester) -> None:
    write(project, *MISTAKES)
    run = project.runpytest("--tb=long")
    run.assert_outcomes(failed=len(MISTAKES))
    run.stdout.fnmatch_lines([f"mislabel: error: {message}" for message in MISTAKES.values()])
    assert "Traceback" not in run.stdout.str()
    assert "mislabel_stress(" not in run.stdout.str()  # no line of code


def test_bad_marks_are_one_line(project: pytest.Pytester) -> None:
    write(project, CENTROIDS, CENTROIDS)
    path = project.path / "test_robust.py"
    text = path.read_text().replace("def test_0", "@pytest.mark.mislabel(suit='smoke')\ndef test_0")
    path.write_text(text.replace("def test_1", "@pytest.mark.mislabel('digits')\ndef test_1"))
    run = project.runpytest("--strict-markers", "--tb=long")
    run.assert_outcomes(errors=2)
    run.stdout.fnmatch_lines(
        [
            "mislabel: error: suit='smoke': unknown argument; did you mean 'suite'?*",
            "mislabel: error: mark=('digits',): takes arguments by name, as in data='digits'",
        ]
    )
    assert "Traceback" not in run.stdout.str()
    assert not trained(project)


def test_the_closest_mark_and_the_call_come_first(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest
        from training import centroids

        pytestmark = pytest.mark.mislabel(suite="smoke", seeds=7)

        @pytest.mark.mislabel(suite="tiny.yaml", metric="macro_f1")
        class TestRobust:
            @pytest.mark.mislabel(seeds=[5])
            def test_it(self, mislabel_stress, blobs):
                check = mislabel_stress(centroids, data=blobs, metric="worst_class")
                assert check.results.metadata["suite"]["name"] == "tiny"
                assert list(check.results.seeds) == [5]
                assert check.results.metric == "worst_class"
                assert check.verdict("accuracy >= 0.5").state == "undecided"  # of one seed
                assert "::test_it" in check.results.metadata["command"]
        """
    )
    run = project.runpytest("--strict-markers")
    run.assert_outcomes(passed=1)
    run.stdout.fnmatch_lines(["*test_it: undecided; 1 training, 0 from the cache"])


def test_a_function_in_the_test_file_works_whatever_the_import_mode(
    project: pytest.Pytester,
) -> None:
    write(project, CENTROIDS)
    path = project.path / "test_robust.py"
    path.write_text(path.read_text().replace("from training import broken, centroids, lucky", ""))
    path.write_text(TRAINING.replace("__file__", repr(str(path))) + path.read_text())
    for mode in ("prepend", "importlib"):
        project.runpytest(f"--import-mode={mode}").assert_outcomes(passed=1)
    assert len(trained(project)) in (2, 4)


def test_pages_and_junit_say_how_it_ended(project: pytest.Pytester) -> None:
    write(project, CENTROIDS, "mislabel_stress(broken, data=blobs)")
    run = project.runpytest("--mislabel-report=pages", "--junitxml=junit.xml")
    run.assert_outcomes(passed=2)  # the second asks for nothing
    run.stdout.fnmatch_lines(["*test_0: passed; *; page: */pages/test-robust-py-test-0-*.html"])
    passed, failed = sorted((project.path / "pages").iterdir())
    assert "centroids" in passed.read_text("utf-8")
    assert "about to fail with 60 labels" in failed.read_text("utf-8")
    found = ElementTree.parse(project.path / "junit.xml").iter("property")
    values = [p.get("value", "") for p in found if p.get("name") == "mislabel"]
    assert [value.partition(";")[0] for value in values] == ["passed", "failed"]


def test_pages_need_a_folder(project: pytest.Pytester) -> None:
    run = project.runpytest("--mislabel-report=tiny.yaml")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["*--mislabel-report=tiny.yaml: is a file; must be a folder*"])


def test_processes_of_xdist_share_and_do_not_disturb_each_other(project: pytest.Pytester) -> None:
    one = "assert mislabel_stress(centroids, data=blobs).results.subjects[0].title == 'centroids'"
    other = "assert mislabel_stress(lucky, data=blobs).results.subjects[0].title == 'lucky'"
    write(project, one, other, one, other)
    run = project.runpytest_subprocess("-n", "2", "--strict-markers", "--mislabel-report=pages")
    run.assert_outcomes(passed=4)
    lines = [line for line in run.outlines if "from the cache" in line]
    assert len(lines) == 4
    assert sum("0 from the cache" in line for line in lines) == 2
    assert sorted(trained(project)) == ["centroids"] * 2 + ["lucky"] * 2
    assert len(list(Path(project.path / "pages").iterdir())) == 4
