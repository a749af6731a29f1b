"""Calling the command in this process, and words of commands that work."""

from dataclasses import dataclass
from typing import Any

import pytest

from mislabel.cli import main

RUN: dict[str, Any] = {
    "--data": "npz:tiny.npz",
    "--map": "map.npy",
    "--noise": "clean",
    "--method": "standard",
    "--seeds": "1",
    "--epochs": "1",
    "--device": "cpu",
    "--workers": "1",
    "--out": "run",
}
"Options of a small ``bench run`` on the data of `tiny_data.write_data`."

MAKE: dict[str, Any] = {"--data": "npz:tiny.npz", "--map": "map.npy", "-o": "out.csv"}
"Options of ``noise KIND`` on the same data."


@dataclass(frozen=True)
class Called:
    """How a command ended."""

    status: int
    out: str
    err: str


def call(capsys: pytest.CaptureFixture[str], *words: str) -> Called:
    """Call ``mislabel WORDS`` in this process."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    printed = capsys.readouterr()
    code = ended.value.code
    return Called(code if isinstance(code, int) else 0, printed.out, printed.err)


def spell(options: dict[str, Any], **changes: Any) -> list[str]:
    """Words of `options` with changes (``seeds="2"`` for ``--seeds``); None takes one out."""
    named = {f"--{name.replace('_', '-')}" if len(name) > 1 else f"-{name}": value
             for name, value in changes.items()}  # fmt: skip
    chosen = {**options, **named}
    words: list[str] = []
    for option, value in chosen.items():
        for single in value if isinstance(value, list) else [value]:
            words += [] if single is None else [option, str(single)]
    return words


def run_words(**changes: Any) -> list[str]:
    """Words of a ``bench run``; see `spell`."""
    return ["bench", "run", *spell(RUN, **changes)]
