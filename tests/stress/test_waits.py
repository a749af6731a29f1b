"""Work in threads, for functions that wait: everything is done, lazily, and errors come out."""

import threading
from collections.abc import Iterator

import pytest

from mislabel.executor import LocalExecutor, Workers

TWO = Workers(count=2, threads=1)


def test_all_work_is_done_two_at_a_time() -> None:
    """Each piece waits for the other of its pair, so one alone would not get on."""
    both = threading.Barrier(2, timeout=30)

    def square(number: int) -> int:
        both.wait()
        return number**2

    found = list(LocalExecutor().run(square, range(10), TWO, waits=True))
    assert sorted(found) == [n**2 for n in range(10)]


def test_no_work() -> None:
    assert list(LocalExecutor().run(abs, [], TWO, waits=True)) == []


def test_work_is_taken_when_there_is_someone_to_do_it() -> None:
    taken: list[int] = []

    def work() -> Iterator[int]:
        for number in range(10):
            taken.append(number)
            yield number

    results = LocalExecutor().run(abs, work(), TWO, waits=True)
    next(results)
    assert taken == [0, 1]
    results.close()  # type: ignore[attr-defined]
    assert taken == [0, 1]


def test_an_error_comes_out_and_what_waits_is_not_begun() -> None:
    begun: list[int] = []

    def fail(number: int) -> int:
        begun.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match=r"[01]"):
        list(LocalExecutor().run(fail, range(10), TWO, waits=True))
    assert set(begun) <= {0, 1}


def test_who_stops_early_need_not_wait() -> None:
    """As on Ctrl-C, when what runs is ended only after this."""
    hold = threading.Event()

    def work(number: int) -> int:
        if number:
            assert hold.wait(30)
        return number

    results = LocalExecutor().run(work, range(2), TWO, waits=True)
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    assert not hold.is_set()
    hold.set()
