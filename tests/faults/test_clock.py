"""Clocks that are set back or forward while a command is stopped, or while another is at work."""

import os
import shutil
import time
from pathlib import Path

import pytest
from fixtures import Record, Undisturbed
from kinds import Kind
from undertaking import content, hidden, run

from mislabel.leftovers import tag

DAYS = 86400.0


@pytest.mark.parametrize("ahead", [30 * DAYS, -30 * DAYS], ids=["set back", "set forward"])
def test_files_of_another_time(
    kind: Kind, ahead: float, inputs: Path, undisturbed: Undisturbed, record: Record
) -> None:
    """Files that seem to be of the future, or of long ago; one run is missing, one at work."""
    _, there = undisturbed(kind)
    place = inputs / f"clock-{kind.name}-{ahead:.0f}"
    out = Path(shutil.copytree(inputs / f"{kind.name}-out", place / "out"))
    runs = sorted([*out.glob("cells/[!.]*"), *out.glob("runs/[!.]*.npz")])
    (shutil.rmtree if runs[0].is_dir() else os.remove)(runs[0])
    for path in out.rglob("*"):
        os.utime(path, (time.time() + ahead,) * 2)
    before = {p: p.stat().st_mtime_ns for p in runs[1:]}
    at_work = runs[1].parent / f".until-{time.time() + ahead:.0f}-{tag()}x.tmp"
    at_work.write_bytes(b"half")  # of this process, which is there
    os.utime(at_work, (time.time() + ahead,) * 2)
    again = run(kind.words(inputs, out), place)
    assert again.process.exitcode == 0, again.lines
    assert at_work.read_bytes() == b"half"
    at_work.unlink()
    assert content(out) == there and hidden(out) == []
    assert before == {p: p.stat().st_mtime_ns for p in runs[1:]}
    how = "set back" if ahead > 0 else "set forward"
    outcome = "what was finished stays, what is at work is left alone, the rest is done"
    record(f"a clock {how} by 30 days", kind.title, tried=1, outcome=outcome)
