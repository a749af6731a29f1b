"""Processes of this machine: results, errors, and what is lost."""

import time
from pathlib import Path

import pytest
from pieces import die, die_once, fail, no_memory, square, threads

from mislabel.errors import InputError, LostRunsError
from mislabel.executor import LocalExecutor, Workers, make_executor
from mislabel.executor.crew import MEMORY_SHARE, PROCESS_BYTES

TWO = Workers(count=2, threads=1)
ONE = Workers(count=1, threads=2)


@pytest.mark.parametrize("workers", [ONE, TWO])
def test_all_pieces_are_done(workers: Workers) -> None:
    found = list(LocalExecutor().run(square, range(20), workers))
    assert sorted(found) == [n**2 for n in range(20)]


def test_one_worker_is_this_process_and_keeps_the_order() -> None:
    assert list(LocalExecutor().run(str, range(3), ONE)) == ["0", "1", "2"]


def test_threads_are_divided() -> None:
    assert set(LocalExecutor().run(threads, range(4), TWO)) == {"1"}


@pytest.mark.parametrize("workers", [ONE, TWO])
def test_an_exception_comes_out_as_it_was(workers: Workers) -> None:
    with pytest.raises(KeyError):
        list(LocalExecutor().run(fail, range(5), workers))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (no_memory, "there was too little memory for it"),
        (die, "its process was killed; was there too little memory?"),
    ],
)
def test_a_lost_piece_is_named_at_the_end_and_all_others_are_done(
    function: object, reason: str
) -> None:
    found: list[int] = []
    with pytest.raises(LostRunsError) as caught:
        for result in LocalExecutor().run(function, range(8), TWO, name="piece {}".format):  # type: ignore[arg-type]
            found.append(result)
    assert sorted(found) == [0, 1, 2, 4, 5, 6, 7]
    assert str(caught.value).startswith(f"1 of 8 runs were lost: piece 3 ({reason}). ")


def test_a_piece_whose_process_dies_once_is_done_again(tmp_path: Path) -> None:
    work = [(tmp_path, number) for number in range(8)]
    assert sorted(LocalExecutor().run(die_once, work, TWO)) == list(range(8))
    assert (tmp_path / "died").exists()


@pytest.mark.filterwarnings(
    # loky's own thread may stumble over a piece that was cancelled while a worker answered
    "ignore::pytest.PytestUnhandledThreadExceptionWarning"
)
def test_who_stops_early_leaves_nothing_behind() -> None:
    results = LocalExecutor().run(time.sleep, [0.0] * 4, TWO)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert sorted(LocalExecutor().run(square, range(3), TWO)) == [0, 1, 4]


def test_the_number_of_workers_goes_by_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    run = 2**30
    memory = int(3.5 * (PROCESS_BYTES + run) / MEMORY_SHARE)
    monkeypatch.setattr("joblib.cpu_count", lambda: 8)
    monkeypatch.setattr("mislabel.executor.crew.machine_memory", lambda: memory)
    assert Workers.choose(None, 100, "cpu", run) == Workers(count=3, threads=2)
    assert Workers.choose(None, 100, "cpu") == Workers(count=8, threads=1)
    assert Workers.choose(6, 100, "cpu", run) == Workers(count=6, threads=1)  # as asked
    assert Workers.choose(None, 100, "cpu", 100 * run) == Workers(count=1, threads=8)


@pytest.mark.parametrize(
    ("text", "gpus", "argument"),
    [
        ("rai", 0, "executor"),
        ("local://here", 0, "executor"),
        ("", 0, "executor"),
        ("local", 0.5, "gpus_per_run"),
        ("ray", -1, "gpus_per_run"),
        ("ray", float("nan"), "gpus_per_run"),
    ],
)
def test_an_executor_that_cannot_be(text: str, gpus: float, argument: str) -> None:
    with pytest.raises(InputError) as caught:
        make_executor(text, gpus=gpus)
    assert caught.value.argument == argument
