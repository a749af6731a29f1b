"""Whole tests of code that fails in every way, is stopped, resumed, changed; and of commands."""

import dataclasses
import errno
import json
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import user_code
from processes import eventually, is_gone, start

from mislabel.errors import InputError
from mislabel.labels import load_labels
from mislabel.stress import Command, StressResults, Suite, load_stress, run
from mislabel.stress.supervise import LOG_HEAD, LOG_TAIL
from tiny_data import N_TEST, N_TRAIN, blobs, files, snapshot

DATA = (*blobs(N_TRAIN, 0), *blobs(N_TEST, 1))
CLEAN = Suite(name="clean", version=1, noises=["clean"], seeds=[1])
NOISY = Suite(name="noisy", version=1, noises=["symmetric:0.4"], seeds=[1, 2])


@pytest.fixture
def count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many trainings there were."""
    path = tmp_path / "count"
    monkeypatch.setenv(user_code.COUNT, str(path))
    return lambda: len(path.read_text().splitlines()) if path.exists() else 0


def test(train: Any, suite: Suite = CLEAN, **given: Any) -> StressResults:
    return run(train, given.pop("data", DATA), suite=suite, **{"workers": 1} | given)


test.__test__ = False  # type: ignore[attr-defined]


def failure(train: Any, **given: Any) -> str | None:
    (cell,) = test(train, **given).cells
    return cell.failure


def log_of(found: StressResults, out: Path) -> str:
    return (out / found.cells[0].log).read_text(errors="replace")


FAILURES: dict[str, tuple[Any, str]] = {
    "raises": (user_code.raises, "exit status 1: second line"),
    "killed": (user_code.kills_itself, "was killed by SIGKILL, as where memory runs out"),
    "leaves": (user_code.leaves, "exit status 3"),
    "leaves well": (user_code.leaves_well, "left no result at {out}"),
    "crashes": (user_code.crashes, "was killed by SIGSEGV"),
    "garbage": (user_code.prints_garbage, "exit status 1: ValueError: after the garbage"),
    "NaN": (user_code.returns_nan, "predictions are not finite, first in row 0"),
    "shape": (user_code.returns_too_many, "predictions have 7 columns; must have one per class: 3"),
    "number": (
        user_code.returns_one_number,
        f"predictions have shape (); must have one row per example: {N_TEST}",
    ),
    "constant": (
        user_code.returns_constant,
        "predictions are constant: class '1' for every test example",
    ),
    "words": (
        user_code.returns_words,
        "exit status 1: ValueError: predictions hold 'a', which is no class of y_train",
    ),
    "unknown": (
        user_code.returns_unknown_class,
        "exit status 1: ValueError: predictions hold '3', which is no class of y_train",
    ),
    "none": (
        user_code.returns_none,
        "exit status 1: TypeError: train returned NoneType; must be a model with predict(x), or a "
        "function of x",
    ),
    "folder": (user_code.removes_its_folder, "exit status 1: FileNotFoundError: [Errno 2] No such"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_the_code_does_wrong_is_recorded(name: str, tmp_path: Path) -> None:
    train, reason = FAILURES[name]
    found = test(train, out=tmp_path / "out")
    (cell,) = found.failures
    assert cell.failure is not None
    assert cell.failure == reason or (name == "folder" and cell.failure.startswith(reason))
    assert cell.metrics == {}
    assert found.n_missing == 0
    assert load_stress(tmp_path / "out").cells == found.cells
    size = (tmp_path / "out" / cell.log).stat().st_size
    assert size < LOG_HEAD + LOG_TAIL + 100
    if name == "raises":
        log = log_of(found, tmp_path / "out")
        assert "about to fail\n" in log
        assert "ValueError: no good\x1b[31m\nsecond line" in log


def test_a_failure_while_the_disk_is_full_is_not_the_code_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2**16 - 1))
    with pytest.raises(OSError, match="No space left on device") as caught:
        test(user_code.raises, out=tmp_path / "out")
    assert caught.value.errno == errno.ENOSPC
    assert not load_stress(tmp_path / "out").cells
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2**16))
    assert failure(user_code.raises, out=tmp_path / "out") == "exit status 1: second line"


def test_it_hangs_and_gets_more_time(tmp_path: Path, count: Callable[[], int]) -> None:
    def again(**given: Any) -> str | None:
        return failure(user_code.hangs, out=tmp_path / "out", **given)

    message = "was not done after {} seconds and was ended"
    assert again(timeout=0.4) == message.format("0.4")
    assert again(timeout=0.4) == message.format("0.4")
    once = count()
    assert again(timeout=0.5) == message.format("0.5")
    assert count() == once + 1
    assert again(timeout=0.5, retry_failed=True) == message.format("0.5")
    assert count() == once + 2
    assert all(is_gone(int(pid)) for pid in (tmp_path / "count").read_text().split())


def test_a_failure_stops_nobody_and_what_is_there_is_kept(
    tmp_path: Path, count: Callable[[], int]
) -> None:
    """A seed fails, the other is finished; then the code changes; then a folder of other data."""
    out, program = tmp_path / "out", tmp_path / "program.py"
    program.write_text(PROGRAM)
    (tmp_path / "fail").write_text("1")
    command = Command(f"{python(program)} {{labels}} {{out}}.csv {{seed}}")
    found = test(command, NOISY, out=out, workers=2)
    assert [cell.seed for cell in found.failures] == [1, 1]
    assert {cell.failure for cell in found.failures} == {"exit status 1: told to"}
    assert [set(cell.metrics) >= {"accuracy"} for cell in found.cells] == [False, False, True, True]
    assert count() == 4
    before = snapshot(out)
    assert test(command, NOISY, out=out).cells == found.cells
    assert count() == 4
    kept = {name: value for name, value in before.items() if name != "stress.json"}
    assert kept.items() <= snapshot(out).items()

    (tmp_path / "fail").unlink()
    assert not test(command, NOISY, out=out, retry_failed=True).failures
    assert count() == 6
    whole = test(command, NOISY, out=tmp_path / "whole")
    again = load_stress(out).cells
    assert [dataclasses.replace(c, seconds=0) for c in whole.cells] == [
        dataclasses.replace(c, seconds=0) for c in again
    ]

    program.write_text(PROGRAM + "\n# changed")
    before = snapshot(tmp_path)
    with pytest.raises(InputError) as caught:
        test(command, NOISY, out=out)
    rule = (
        "holds the test of other code; give another folder and compare the two with mislabel "
        "stress diff, or say replace"
    )
    assert str(caught.value) == f"out={str(out)!r}: {rule}"
    with pytest.raises(InputError, match="holds a test with data_sha256"):
        test(command, NOISY, out=out, data=(*DATA[:2], -DATA[2], DATA[3]))
    assert snapshot(tmp_path) == before
    n = count()
    assert not test(command, NOISY, out=out, replace=True).failures
    assert count() == n + 4


PROGRAM = """
import os, sys
from pathlib import Path
labels, out, seed = sys.argv[1:]
with open(os.environ["MISLABEL_TEST_COUNT"], "a") as file:
    file.write("x\\n")
fail = Path(__file__).with_name("fail")
if fail.exists() and fail.read_text() == seed:
    sys.exit("told to")
with open(out, "w") as file:
    file.write("0\\n1\\n2\\n" * 10)
"""


def python(*words: str | Path) -> str:
    return shlex.join([sys.executable, *map(str, words)])


SCRIPT = """
import sys
sys.path[:0] = sys.argv[2:]
import user_code
from pathlib import Path
from mislabel.stress import Suite, run
from tiny_data import N_TEST, N_TRAIN, blobs
run(
    user_code.hangs_at_seed_2, (*blobs(N_TRAIN, 0), *blobs(N_TEST, 1)), out=sys.argv[1], workers=2,
    suite=Suite(name="noisy", version=1, noises=["symmetric:0.4"], seeds=[1, 2]),
)
"""


def check_stopped_and_resume(out: Path, told: Path) -> None:
    """Seed 1 was done and seed 2 hung with both workers; nothing of it is left, and it goes on."""
    lines = [int(line) for line in told.read_text().split()]
    pids = [line for line in lines if line != 1]
    assert len(lines) - len(pids) == len(pids) == 2
    assert all(eventually(lambda pid=pid: is_gone(pid)) for pid in pids)  # type: ignore[misc]
    assert [cell.seed for cell in load_stress(out).cells] == [1, 1]
    told.with_name("go").write_text("")
    found = test(user_code.hangs_at_seed_2, NOISY, out=out, workers=2)
    assert told.read_text().split()[4:] == ["2", "2"]
    assert not found.failures
    assert found.n_missing == 0


def test_killed_and_resumed(tmp_path: Path, count: Callable[[], int]) -> None:
    out, script = tmp_path / "out", tmp_path / "script.py"
    script.write_text(SCRIPT)
    here = Path(__file__).parent
    with start(script, out, here, here.parent) as process:
        assert eventually(lambda: count() == 4)
        process.kill()
        process.communicate()
    check_stopped_and_resume(out, tmp_path / "count")


@pytest.mark.parametrize("workers", [1, 2])
def test_interrupted_and_resumed(workers: int, tmp_path: Path, count: Callable[[], int]) -> None:
    """Ctrl-C in this process: it is heard at once, though trainings hang."""

    main = threading.main_thread().ident

    def interrupt() -> None:
        assert eventually(lambda: count() == 2 + workers)
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        test(user_code.hangs_at_seed_2, NOISY, out=tmp_path / "out", workers=workers)
    thread.join()
    if workers == 2:
        check_stopped_and_resume(tmp_path / "out", tmp_path / "count")
        assert eventually(lambda: not list((tmp_path / "out").glob("cells/.*")))
    else:
        assert not list((tmp_path / "out").glob("cells/.*"))
        assert is_gone(int((tmp_path / "count").read_text().split()[-1]))


def test_labels_and_examples_are_the_code_s_own(tmp_path: Path) -> None:
    """A function that ruins what it gets is trained as one that does not."""
    suite = dataclasses.replace(NOISY, seeds=[1])
    found = test(user_code.writes_into_its_data, suite, workers=2)
    plain = test(user_code.nearest, suite, workers=2)
    assert [c.metrics for c in found.cells] == [c.metrics for c in plain.cells]


@pytest.mark.parametrize(
    "ruin",
    [
        "chmod u+w {x_train} && printf ruined > {x_train}",
        "rm -f {x_train} && mkdir {x_train}",
        "rm -f {x_train} {x_test}",
        "cp {x_train} {x_train}.x && mv -f {x_train}.x {x_train} && chmod u+w {x_train} && "
        "dd if=/dev/zero of={x_train} bs=1 count=4 seek=200 conv=notrunc && "
        "touch -d @1 {x_train}",
    ],
)
def test_the_shared_examples_are_put_right(ruin: str, tmp_path: Path) -> None:
    """Seed 1 ruins them, seed 2 only reads what it gets."""
    seen = tmp_path / "seen"
    answer = f"{ANSWER}"
    template = f"if [ {{seed}} = 1 ]; then {ruin}; else cat {{x_train}} >> {seen}; fi; {answer}"
    suite = dataclasses.replace(CLEAN, seeds=[1, 2])
    found = test(Command(template + " # {labels}", shell=True), suite)
    first, second = found.cells
    assert first.failure == "the examples, which all trainings share, were changed meanwhile"
    assert second.failure is None
    np.testing.assert_array_equal(np.load(seen), DATA[0])


ANSWER = "for i in 1 2 3 4 5 6 7 8 9 10; do echo 0; echo 1; echo 2; done > {out}.csv"


def test_a_command_is_no_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "import sys; open(sys.argv[1], 'w').write('0 1 2 '.replace(' ', chr(10)) * 10)"
    template = f"{python('-c', code)} {{out}}.csv {{labels}}; touch executed $(touch executed)"
    assert failure(Command(template), out=tmp_path / "a 'hostile' \"name\"; touch executed") is None
    assert not list(tmp_path.rglob("executed"))


@pytest.mark.parametrize("suffix", ["npy", "csv", "parquet", "pt"])
def test_a_command_gets_labels_and_no_clean_ones(suffix: str, tmp_path: Path) -> None:
    """Everything in its folder is copied, and does not tell which labels are wrong."""
    kept = tmp_path / "kept"
    template = f"cp -r $(dirname {{labels}}) {kept}-{{seed}} && {ANSWER}"
    suite = Suite(name="one", version=1, noises=["symmetric:0.4"], seeds=[1])
    out = tmp_path / "out"
    found = test(Command(template, shell=True, labels_format=suffix), suite, out=out)
    assert [cell.failure for cell in found.cells] == [None, None]
    folder = tmp_path / "kept-1" / "work"
    folder = folder if folder.is_dir() else tmp_path / "kept-1"
    (stored,) = (out / "labels").glob("symmetric*.parquet")
    drawn = load_labels(stored)
    given = sorted(folder.rglob(f"labels.{suffix}"))[-1]
    assert len(files(folder)) >= 1
    if suffix == "npy":
        np.testing.assert_array_equal(np.load(given), drawn.labels)
    else:
        loaded = load_labels(given)
        np.testing.assert_array_equal(loaded.labels, drawn.labels)
        assert loaded.clean_labels is None
    for path in folder.rglob("*"):
        assert path.is_dir() or b"clean" not in path.read_bytes()


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        ("mkfifo {out}", "left no result at {out}"),
        ("ln -s /dev/zero {out}.csv", "left no result at {out}"),
        ("mkdir {out} && truncate -s 10G {out}/predictions.csv && echo 0 > {out}/metrics.json",
         "predictions.csv is larger than 16 MiB"),
        ("echo '{{\"f1\": 0.5}}' > {out}.json; exit 4", "exit status 4"),
        ("echo '{{\"f1\": 0.5}}' > {out}.json", "gave no metric 'accuracy', only f1"),
        ("chmod 000 . ; rm -rf $(dirname {labels})", "left no result at {out}"),
        ("kill -9 $PPID", "its supervisor ended with status -9"),
    ],
)  # fmt: skip
def test_what_a_command_leaves(
    left: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    found = test(Command(f"{left} # {{labels}} {{out}}", shell=True), out=tmp_path / "out")
    assert [cell.failure for cell in found.cells] == [reason]


def test_other_metric_of_the_same_trainings(tmp_path: Path, count: Callable[[], int]) -> None:
    """A metric that a command does not give is a failure, and no training is lost by it."""
    out = tmp_path / "out"
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace('"0\\n1\\n2\\n" * 10', '\'{"loss": \' + seed + "}"'))
    command = Command(f"{python(program)} {{labels}} {{out}}.csv {{seed}}")
    assert failure(command, out=out) == "gave no metric 'accuracy', only loss"
    found = test(command, out=out, metric="loss", lower_is_better=True)
    assert not found.failures
    assert found.values("loss", "clean") == {1: 1.0}
    assert found.lower_is_better
    assert found.cells[0].accuracy_per_class == []
    assert count() == 1


def test_metrics_of_the_user() -> None:
    found = test(user_code.nearest, metric=user_code.wrong_share, lower_is_better=True)
    assert found.metric == "wrong_share"
    (cell,) = found.cells
    assert cell.metrics["wrong_share"] == pytest.approx(1 - cell.metrics["accuracy"], abs=1e-15)
    answer = Command(f"{ANSWER} # {{labels}}", shell=True)
    reason = failure(answer, metric=user_code.raising_metric)
    assert reason == "metric raising_metric raised SystemExit: no figure"
    reason = failure(answer, metric=user_code.nan_metric)
    assert reason == "metric nan_metric is nan; must be finite"


@pytest.mark.parametrize("kind", [np.str_, object, np.float64])
def test_classes_of_any_kind(kind: Any) -> None:
    """The same accuracy as with whole numbers."""
    names = np.array([3.5, 7.5, 11.0] if kind is np.float64 else ["cat", "dog", "a long owl"])
    x_train, y_train, x_test, y_test = DATA
    data = (x_train, names[y_train].astype(kind), x_test, names[y_test].astype(kind))
    found = test(user_code.nearest, data=data)
    assert found.class_names == tuple(map(str, np.unique(names).tolist()))
    plain = test(user_code.nearest)
    assert found.cells[0].metrics == plain.cells[0].metrics


def test_seeds_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed repeats, another does not, for code that draws from everything there is."""
    suite = dataclasses.replace(CLEAN, seeds=[1, 2])
    one, again = (test(user_code.notes, suite, out=None) for _ in range(2))
    assert [c.metrics for c in one.cells] == [c.metrics for c in again.cells]
    assert one.cells[0].metrics != one.cells[1].metrics


def test_threads_are_shared_out_and_the_user_s_word_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONHASHSEED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    monkeypatch.setattr("joblib.cpu_count", lambda: 6)
    told = tmp_path / "told"
    say = f"echo $OMP_NUM_THREADS $MKL_NUM_THREADS $PYTHONHASHSEED >> {told} # {{labels}} {{out}}"
    suite = dataclasses.replace(CLEAN, seeds=[1, 2])
    test(Command(say, shell=True), suite, workers=2)
    assert told.read_text() == "3 7 0\n" * 2


def test_estimators() -> None:
    """Images are flattened for them; their scores of seeds differ through their own seed alone."""
    from sklearn.linear_model import SGDClassifier

    x_train, y_train, x_test, y_test = DATA
    data = (x_train.reshape(-1, 2, 2), y_train, x_test.reshape(-1, 2, 2), y_test)
    (cell,) = test(SGDClassifier(), data=data).cells
    assert cell.failure is None
    assert cell.metrics["accuracy"] > 0.5


REFERENCE = "snls:epochs=1,k=5"


@pytest.mark.slow
def test_reference_methods() -> None:
    """A method that needs features, beside the user's code, on the same labels."""
    found = test(
        user_code.nearest, data="digits", subset=100, test_subset=50, references=[REFERENCE]
    )
    assert not found.failures
    yours, reference = found.subjects
    assert not yours.is_reference
    assert reference.is_reference
    ours, theirs = (found.select(noise="clean", subject=s.name)[1] for s in found.subjects)
    assert ours.labels_sha256 == theirs.labels_sha256
    assert ours.metrics != theirs.metrics


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "timeout": ({"timeout": 0}, "timeout=0: must be above 0 and at most 1e+08 seconds"),
    "NaN": (
        {"timeout": float("nan")},
        "timeout=nan: must be above 0 and at most 1e+08 seconds",
    ),
    "for ever": (
        {"timeout": float("inf")},
        "timeout=inf: must be above 0 and at most 1e+08 seconds",
    ),
    "workers": ({"workers": 0}, "workers=0: must be at least 1"),
    "suite": ({"suite": "smok"}, "suite='smok': unknown suite, and no .yaml file; did you"),
    "option": ({"subsett": 5}, "subsett=5: unknown option; did you mean 'subset'?"),
    "size": ({"subset": 5}, "subset=5: goes with a data spec; cut the data yourself"),
    "reference": ({"references": ["standrad"]}, "method='standrad': "),
    "threshold": ({"thresholds": ["accuracy > high"]}, "threshold='accuracy > high': "),
    "three": ({"data": DATA[:3]}, "data='tuple': must be a data spec, a Dataset, or (x_train"),
    "lengths": (
        {"data": (DATA[0], DATA[1][:5], *DATA[2:])},
        "y_train=(5,): must be x (n, ...) and y (n,) of one length; x_train has (60, 4)",
    ),
    "objects": (
        {"data": (DATA[0].astype(object), *DATA[1:])},
        "x_train='dtype object': must be an array of numbers",
    ),
    "no class": (
        {"data": (*DATA[:3], DATA[3] + 1)},
        "y_test=3: is a class that y_train does not have",
    ),
    "one class": (
        {"data": (DATA[0], DATA[1] * 0, DATA[2], DATA[3] * 0)},
        "y_train=1: must have at least 2 classes",
    ),
    "NaN class": (
        {"data": (DATA[0], DATA[1] + np.nan, *DATA[2:])},
        "y_train='dtype float64': must be finite numbers or text",
    ),
    "code": ({"code_files": ["none"]}, "code='none': no such file or folder"),
    "unsendable": ({"train": user_code.Trainer(threading.Lock())}, "train="),
}


@pytest.mark.parametrize("name", BAD)
def test_nothing_is_written_for_bad_input(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given, message = BAD[name]
    with pytest.raises(InputError) as caught:
        run(**{"train": user_code.nearest, "data": DATA, "suite": CLEAN, "out": "out"} | given)
    assert str(caught.value).startswith(message)
    assert files(tmp_path) == []


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(InputError) as caught:
        test(user_code.nearest, out=tmp_path)
    rule = "holds other things; give a new or empty folder, or one with a stress test"
    assert str(caught.value) == f"out={str(tmp_path)!r}: {rule}"
    (tmp_path / "stress.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(InputError) as caught:
        test(user_code.nearest, out=tmp_path)
    assert str(caught.value) == f"out={str(tmp_path / 'stress.json')!r}: is no test of format 1"
