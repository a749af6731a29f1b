"""SIGTERM and Ctrl-C: every long command ends in seconds, cleanly, and can go on from there."""

import signal
from pathlib import Path

import pytest
from fixtures import Record, Undisturbed
from kinds import Kind
from test_killed import resume_and_check, whole
from undertaking import Undertaking, eventually, hidden, run

SIGNALS = {signal.SIGTERM: 143, signal.SIGINT: 130}
NAMES = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}
SECONDS = 30.0
"In which it must have ended, though the machine be busy; by itself it would take minutes."


def ended(undertaking: Undertaking, number: signal.Signals, *, group: bool = True) -> None:
    """Send the signal, and check how the command ends."""
    undertaking.signal(number, group=group)
    assert eventually(lambda: not undertaking.process.is_alive(), SECONDS), "it goes on"
    assert undertaking.wait() == SIGNALS[number], undertaking.lines
    assert undertaking.leaves_nobody(), "processes outlive the command"
    assert "Traceback" not in (undertaking.folder / "stderr").read_text()
    assert [p.name for p in undertaking.scratch.iterdir()] == []


@pytest.mark.parametrize("number", SIGNALS, ids=NAMES.get)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_long_command_ends(
    kind: Kind, number: signal.Signals, workers: int, inputs: Path, undisturbed: Undisturbed,
    record: Record, undertaken: list[Undertaking],
) -> None:  # fmt: skip
    """Ctrl-C reaches the process group; SIGTERM the command alone, as a scheduler sends it."""
    place = inputs / f"ended-{kind.name}-{number}-{workers}"
    out = place / "out"
    undertaking = Undertaking(kind.words(inputs, out, workers), place)
    undertaken.append(undertaking)
    assert eventually(lambda: bool(whole(kind, out)) or not undertaking.process.is_alive())
    ended(undertaking, number, group=number == signal.SIGINT)
    assert undertaking.lines[-1] == "mislabel: stopped; the same command goes on from here"
    assert hidden(out) == []
    resume_and_check(kind, inputs, place, workers, undisturbed)
    record(NAMES[number], kind.title, tried=1, outcome=f"exit status {SIGNALS[number]}; "
           "no process left; resumed, results as undisturbed")  # fmt: skip


def train_words(inputs: Path, out: Path, *more: str) -> list[str]:
    return [
        "train", "--data", f"npz:{inputs / 'tiny.npz'}", "--noise", "symmetric:0.2", "--method",
        "standard", "--device", "cpu", "--epochs", "400", "--checkpoint-seconds", "0",
        "--threads", "1", "--out", str(out), *more,
    ]  # fmt: skip


@pytest.mark.parametrize("number", SIGNALS, ids=NAMES.get)
def test_a_training_ends(
    number: signal.Signals, inputs: Path, record: Record, undertaken: list[Undertaking]
) -> None:
    place = inputs / f"ended-train-{number}"
    out, whole = place / "out", place / "whole"
    undertaking = Undertaking(train_words(inputs, out), place)
    undertaken.append(undertaking)
    assert eventually((out / "checkpoint.safetensors").exists)
    ended(undertaking, number)
    assert hidden(out) == []
    line = "mislabel: stopped; the same command with --resume goes on from here"
    assert undertaking.lines == [line]
    assert sorted(p.name for p in out.glob("[!.]*")) == ["checkpoint.safetensors", "training.json"]
    assert run(train_words(inputs, out, "--resume"), place).process.exitcode == 0
    assert hidden(out) == []
    assert run(train_words(inputs, whole), place).process.exitcode == 0
    for name in ("model.safetensors", "curves.csv", "scores.csv"):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
    record(NAMES[number], "training", tried=1, outcome=f"exit status {SIGNALS[number]}; "
           "no process left; resumed from its checkpoint, results as undisturbed")  # fmt: skip


@pytest.mark.parametrize("number", SIGNALS, ids=NAMES.get)
def test_cleaning_ends(
    number: signal.Signals, inputs: Path, record: Record, undertaken: list[Undertaking]
) -> None:
    """It is short, so it is stopped in the middle by what it waits for."""
    place = inputs / f"ended-clean-{number}"
    words = ["clean", "--data", f"npz:{inputs / 'tiny.npz'}", "--labels", "symmetric:0.2",
             "--map", str(inputs / "map.npy"), "-o", str(place / "cleaned.npz")]  # fmt: skip
    undertaking = Undertaking(words, place, (stop_at_files_of, (place,)))
    undertaken.append(undertaking)
    assert eventually((place / "waits").exists), undertaking.lines
    ended(undertaking, number)
    assert not list(place.glob("*cleaned*"))
    assert run(words, place).process.exitcode == 0
    assert (place / "cleaned.npz").is_file()
    record(NAMES[number], "cleaning", tried=1, outcome=f"exit status {SIGNALS[number]}; "
           "no process and no half file left")  # fmt: skip


def stop_at_files_of(place: Path) -> None:
    """In a process: wait for ever when it writes the first file of a folder."""

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and str(arguments[0]).startswith(f"{place}/.cleaned"):
            (place / "waits").touch()
            while True:
                signal.pause()

    import sys

    sys.addaudithook(hook)


@pytest.mark.parametrize("number", SIGNALS, ids=NAMES.get)
def test_serving_ends(
    number: signal.Signals, inputs: Path, record: Record, undertaken: list[Undertaking]
) -> None:
    """Ctrl-C is the way to end it, so it ends well."""
    place = inputs / f"ended-explore-{number}"
    words = ["explore", "--data", f"npz:{inputs / 'tiny.npz'}", "--map", str(inputs / "map.npy"),
             "-o", str(place / "page"), "--serve"]  # fmt: skip
    undertaking = Undertaking(words, place)
    undertaken.append(undertaking)
    assert eventually(lambda: "Serving http" in undertaking.said)
    undertaking.signal(number)
    expected = 0 if number == signal.SIGINT else SIGNALS[number]
    assert undertaking.wait() == expected and undertaking.leaves_nobody()
    assert undertaking.lines == []
    record(NAMES[number], "explorer served", tried=1, outcome=f"exit status {expected}; "
           "no process left")  # fmt: skip
