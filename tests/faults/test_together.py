"""Two commands in one folder at the same time: the same twice, and two of different size."""

from pathlib import Path

import pytest
from fixtures import Record, Undisturbed
from kinds import BENCHMARK, STRESS, STUDY, Kind
from test_killed import said
from undertaking import Undertaking, content, hidden, run


def together(
    first: list[str], second: list[str], place: Path, undertaken: list[Undertaking]
) -> tuple[Undertaking, Undertaking]:
    """Two commands at work at once, ended well."""
    one, two = Undertaking(first, place / "one"), Undertaking(second, place / "two")
    undertaken += [one, two]
    assert (one.wait(), two.wait()) == (0, 0), [*one.lines, *two.lines]
    assert one.leaves_nobody() and two.leaves_nobody()
    return one, two


@pytest.fixture
def place(inputs: Path, request: pytest.FixtureRequest) -> Path:
    """A folder for two commands, with the code under test in it."""
    folder = inputs / str(abs(hash(request.node.name)))
    folder.mkdir()
    (folder / "mine.py").write_bytes((inputs / "mine.py").read_bytes())
    return folder


def test_the_same_command_twice(
    kind: Kind, inputs: Path, place: Path, undisturbed: Undisturbed, tries: int, record: Record,
    undertaken: list[Undertaking],
) -> None:  # fmt: skip
    expected, there = undisturbed(kind)
    tries = max(1, tries // 10)
    for number in range(tries):
        out = place / f"out{number}"
        words = kind.words(inputs, out)
        for one in together(words, words, place, undertaken):
            assert said(one, out) == said(expected, inputs / f"{kind.name}-out")
        assert content(out) == there and hidden(out) == []
    record("the same command twice at the same time", kind.title, tried=tries,
           outcome="both end well and tell the same; results as undisturbed")  # fmt: skip


def test_two_commands_of_one_folder(
    kind: Kind, inputs: Path, place: Path, tries: int, record: Record,
    undertaken: list[Undertaking],
) -> None:  # fmt: skip
    """What both find is as if one had come after the other."""
    tries = max(1, tries // 10)
    alone = place / "alone"
    for words in variants(kind, inputs, alone):
        assert run(words, place / "first").process.exitcode == 0
    wanted = {n: v for n, v in content(alone).items() if n.startswith(("cells", "runs", "labels"))}
    for number in range(tries):
        out = place / f"out{number}"
        one, two = together(*variants(kind, inputs, out), place, undertaken)
        found = content(out)
        assert {n: v for n, v in found.items() if n in wanted} == wanted
        assert found.keys() == content(alone).keys() and hidden(out) == []
        if kind is BENCHMARK:
            grid = found["run.json"]["grid"]
            assert sorted(grid["methods"]) == ["gce", "standard"] and len(grid["seeds"]) == 4
            assert found["run.json"]["trainings"].keys() == {"standard", "gce"}
        if kind is STRESS:  # each tells its own verdict, whosever the folder is in the end
            told = [u.said.count("symmetric") for u in (one, two)]
            assert "2 seeds" in one.said or told[0] > 0
    record("two commands of different size at the same time", kind.title, tried=tries,
           outcome="both end well; the folder holds what both found")  # fmt: skip


def variants(kind: Kind, inputs: Path, out: Path) -> tuple[list[str], list[str]]:
    """A command, and another that shares some of its runs."""
    words = kind.words(inputs, out)
    other = list(words)
    if kind is BENCHMARK:
        other[other.index("standard")] = "gce"
        other[other.index("--seeds") + 1] = "3"
    elif kind is STUDY:
        other[other.index("--runs") + 1] = "4:10"
    else:
        suite = inputs / "larger.yaml"
        suite.write_text("seeds: 3\nnoises:\n  - symmetric:0.2\n")
        other[other.index("--suite") + 1] = str(suite)
    return words, other
