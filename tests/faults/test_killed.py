"""kill -9 at random moments: the same command goes on, and ends as if nothing had happened."""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures import Record, Undisturbed
from kinds import BENCHMARK, STRESS, STUDY, Kind
from undertaking import Undertaking, content, eventually, hidden, run, stamps

CHANGES = frozenset(
    {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "open"}
)
"Audit events by which a folder changes."
FAILED = 1
"Exit status of a stress run with a failed training."


def kill_at_change(out: Path, number: int, told: Path | None = None) -> None:
    """In a process: kill it just before it changes the folder for the `number`-th time.

    Its process group, that is; what is started in groups of their own has to find out. told: a
    file that gets their number.
    """
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event not in CHANGES or not isinstance(arguments[0], str | Path):
            return
        if event == "open" and not set(str(arguments[1])) & set("wax+"):
            flags = arguments[2]
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR):
                return
        if not Path(arguments[0]).is_relative_to(out):
            return
        seen += 1
        if told is not None:
            told.write_text(str(seen))
        if seen == number:
            os.killpg(os.getpgrp(), signal.SIGKILL)

    sys.addaudithook(hook)


def whole(kind: Kind, out: Path) -> set[str]:
    """Names of the finished runs in a folder."""
    if kind is STUDY:
        return {path.stem for path in out.glob("runs/[!.]*.npz")}
    return {path.parent.name for path in out.glob("cells/[!.]*/result.json")}


def failures(out: Path) -> dict[str, str]:
    """Why cells of a stress run failed, by the names of their folders."""
    found = {}
    for path in out.glob("cells/[!.]*/result.json"):
        if text := json.loads(path.read_text())["failure"]:
            found[path.parent.name] = text
    return found


def is_killed(failure: str) -> bool:
    """Whether a training, or the process that watches it, was killed with -9."""
    return "was killed by SIGKILL" in failure or "ended with status -9" in failure


def resume_and_check(
    kind: Kind, inputs: Path, place: Path, workers: int, undisturbed: Undisturbed, *more: str
) -> int:
    """The same command again: what was finished stays, and all is as undisturbed.

    more: words of the command besides. Returns how many runs had been finished before.
    """
    out = place / "out"
    failed = failures(out) if kind is STRESS else {}
    before = {n: s for n, s in stamps(out).items() if Path(n).parent.name not in failed}
    done = whole(kind, out) - failed.keys()
    again = run([*kind.words(inputs, out, workers), *more], place)
    assert again.process.exitcode == 0, again.lines
    assert again.leaves_nobody()
    expected, there = undisturbed(kind)
    assert content(out) == there
    assert hidden(out) == [] and [p.name for p in again.scratch.iterdir()] == []
    assert said(again, out) == said(expected, inputs / f"{kind.name}-out")
    after = stamps(out)
    assert before.items() <= after.items(), "what was finished was done again"
    return len(done)


def said(undertaking: Undertaking, out: Path) -> list[str]:
    """What a command printed, but for where."""
    text = undertaking.said.replace(str(out), "OUT")
    return [" ".join(line.split()) for line in text.splitlines() if "OUT" not in line]


def killed(
    kind: Kind,
    place: Path,
    start: Callable[[Path], Undertaking],
    disturb: Callable[[Undertaking], None],
) -> bool:
    """Whether a command was killed by what disturbs it, before its end; nobody is left."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    undertaking = start(place)
    try:
        disturb(undertaking)
        status = undertaking.wait()
        assert undertaking.leaves_nobody(), "processes outlive the command"
    finally:
        undertaking.end()
    assert status in (0, FAILED, -signal.SIGKILL), undertaking.lines
    return status < 0


def until_killed(tries: int, attempt: Callable[[], bool]) -> None:
    """Attempt until it was not too late `tries` times."""
    done = 0
    for _ in range(4 * tries):
        done += attempt()
        if done == tries:
            return
    raise AssertionError(f"ended before it could be killed in all but {done} of {4 * tries}")


def test_killed_at_a_random_moment(
    kind: Kind, inputs: Path, undisturbed: Undisturbed, tries: int, rng: random.Random,
    record: Record,
) -> None:  # fmt: skip
    """The whole process group, at a time of the clock."""
    undisturbed(kind)
    started = time.monotonic()
    run(kind.words(inputs, inputs / "timed"), inputs / "timing")
    seconds = time.monotonic() - started
    shutil.rmtree(inputs / "timed")
    kept = [0, 0]

    def attempt() -> bool:
        moment, place = rng.uniform(0, seconds), inputs / "at-a-moment"

        def disturb(undertaking: Undertaking) -> None:
            eventually(lambda: not undertaking.process.is_alive(), moment)
            undertaking.signal(signal.SIGKILL)

        if not killed(kind, place, lambda p: _start(kind, inputs, p), disturb):
            return False
        kept[0] += resume_and_check(kind, inputs, place, 1, undisturbed)
        kept[1] += kind.size
        return True

    until_killed(tries, attempt)
    record(
        "kill -9 of the process group at a random time", kind.title, tried=tries,
        outcome=f"resumed by the same command; {kept[0]} of {kept[1]} runs were finished before "
        "and not done again; results as undisturbed",
    )  # fmt: skip


def test_killed_at_a_random_change_of_its_folder(
    kind: Kind, inputs: Path, undisturbed: Undisturbed, tries: int, rng: random.Random,
    record: Record,
) -> None:  # fmt: skip
    """Just before a file is opened to be written, renamed or removed, at any of these places."""
    told = inputs / "changes"
    place = inputs / "at-a-change"
    assert not killed(
        kind, place, lambda p: _start(kind, inputs, p, 10**9, told), lambda _: None
    )  # fmt: skip
    total = int(told.read_text())
    assert total >= 4 * kind.size
    numbers = rng.sample(range(1, total + 1), min(tries, total))
    kept = 0
    for number in numbers:
        assert killed(kind, place, lambda p, n=number: _start(kind, inputs, p, n), lambda _: None)
        kept += resume_and_check(kind, inputs, place, 1, undisturbed)
    record(
        "kill -9 of the process group just before it changes a file", kind.title,
        tried=len(numbers),
        outcome=f"{total} such places; resumed by the same command; {kept} of "
        f"{len(numbers) * kind.size} runs were finished before and not done again; results as "
        "undisturbed",
    )  # fmt: skip


def _start(
    kind: Kind, inputs: Path, place: Path, change: int | None = None, told: Path | None = None
) -> Undertaking:
    out = place / "out"
    prepare = None if change is None else (kill_at_change, (out, change, told))
    return Undertaking(kind.words(inputs, out), place, prepare)


@pytest.mark.parametrize("who", ["only the command", "the process group", "only a worker"])
@pytest.mark.parametrize("kind", [BENCHMARK, STUDY, STRESS], ids=lambda kind: kind.name)
def test_killed_with_workers(
    kind: Kind, who: str, inputs: Path, undisturbed: Undisturbed, tries: int, rng: random.Random,
    record: Record,
) -> None:  # fmt: skip
    """Two workers, some of them killed: those that are left end too, or do the work themselves."""
    tries = max(1, tries // 10)
    kept, place = 0, inputs / "with-workers"
    for _ in range(tries):
        wanted, again = rng.randrange(kind.size - 2), list[str]()

        def disturb(undertaking: Undertaking, wanted: int = wanted) -> None:
            out = place / "out"
            assert eventually(
                lambda: (
                    (len(whole(kind, out)) >= wanted and bool(_workers(undertaking)))
                    or not undertaking.process.is_alive()
                )
            )
            if who == "only a worker":
                for pid in _workers(undertaking)[:1]:
                    undertaking.kill(pid)
            else:
                undertaking.signal(signal.SIGKILL, group=who == "the process group")

        def start(place: Path) -> Undertaking:
            return Undertaking(kind.words(inputs, place / "out", 2), place)

        was_killed = killed(kind, place, start, disturb)
        if who == "only a worker":
            assert not was_killed
            if kind is STRESS:  # its training was killed, which is its result
                found = failures(place / "out").values()
                assert len(found) <= 1 and all(is_killed(text) for text in found)
                again.append("--retry-failed")
        kept += resume_and_check(kind, inputs, place, 2, undisturbed, *again)
    total = tries * kind.size
    outcome = f"resumed by the same command; {kept} of {total} runs were finished before"
    if who == "only a worker":
        outcome = "the command ended well; what was at work was done again"
    if who == "only a worker" and kind is STRESS:
        outcome = "a killed training is a failed cell with its reason, done again with "
        outcome += "--retry-failed; all others finished"
    record(f"kill -9 of {who}, two at work", kind.title, tried=tries, outcome=outcome)


def _workers(undertaking: Undertaking) -> list[int]:
    """Processes that do the work."""
    return [pid for pid in undertaking.others() if _is_worker(pid)]


def _is_worker(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"popen_loky" in words or b"child.py" in words
