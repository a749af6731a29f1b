"""Make docs/reliability.md from docs/reliability.json, which the suite of faults writes.

    MISLABEL_FAULTS=50 MISLABEL_FAULTS_DATA=docs/reliability.json make test-faults
    python tests/faults/report.py

Several files of data can be given; the page has what all of them found.
"""

import json
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
HEAD = """# Reliability: what was tried, and what was lost

Made by `python tests/faults/report.py` from [reliability.json](reliability.json), which the suite
itself writes: `MISLABEL_FAULTS=50 MISLABEL_FAULTS_DATA=docs/reliability.json make test-faults`.
CI runs the same suite with three random moments or places of each kind
([tests/faults](../tests/faults)).

Trainings are tiny here, so that hundreds of runs can be killed in minutes; the code that starts,
stores and resumes them is the same for any size. Moments and places are random, with seed {seed}.
Last made with Python {python} on {system}.

**{tried:,} faults, {lost} finished runs lost.** A row is in this table only where every try of it
ended as told; the suite fails otherwise.
"""
SECTIONS = {
    "Killed": ("kill -9",),
    "Stopped by SIGTERM and Ctrl-C": ("SIGTERM", "Ctrl-C"),
    "Full disks": ("a disk", "a limit"),
    "Two commands in one folder": ("the same command", "two commands"),
    "Clocks": ("a clock",),
    "Too little memory": ("no memory", "a run's"),
    "Damaged files: what is read from the folder": ("a bit flipped:", "a file cut short:"),
    "Damaged files: the same command again": ("a bit flipped, then", "a file cut short, then"),
    "Files of another version": ("another format",),
}
RULES = """
## What the rules are

- **A run is finished when its folder or file appears**, in one rename, after it was written to the
  disk (`fsync`). Before that it does not exist, after that it is never trained again.
- **What a killed process left half written is told by its maker**, which is in its name: on the
  same machine the next command removes it at once, whatever the clock says; of other machines it is
  removed when it is an hour old, by the clock that dates the files.
- **Files of JSON are sealed**: they hold the SHA-256 of their content, and of the files that belong
  to them. Rows of studies have the checksums of their archives, labels the hashes in their
  receipts, checkpoints a hash of their own. Folders of earlier versions, without seals, can still
  be read.
- **A damaged result is named and made again** by the same command. Damaged labels or a damaged
  `run.json`, `study.json` or `stress.json` are refused: what the results rest on is not made up
  anew. Pages (`report.html`) and pictures are never read.
- **SIGTERM does what Ctrl-C does**: workers and trainings end, working folders are removed, one
  line says how to go on; exit status 143 and 130. Serving an explorer ends with 0 at Ctrl-C.
- **A run that is killed or has no memory is lost alone**: the others are finished, the last line
  names it, exit status 1; in a stress run it is a failed cell with its reason.
- **A training that fails while the disk is full** is not stored as a failure of the code.

What is not promised: two commands at once on a disk that cannot lock (some network file systems)
may each leave out of `run.json` what the other added; the cells of both are there, and repeating
either command brings it back.
"""


def main(paths: list[Path]) -> None:
    """Write the page from files of data."""
    data = [json.loads(path.read_text("utf-8")) for path in paths]
    rows = [row for one in data for row in one["found"]]
    totals = {"tried": sum(r["tried"] for r in rows), "lost": sum(r["lost"] for r in rows)}
    about = data[0]["about"]
    text = HEAD.format(**about, tried=totals["tried"], lost=totals["lost"] or "no")
    left = list(rows)
    for title, starts in SECTIONS.items():
        chosen = [row for row in left if row["fault"].startswith(starts)]
        left = [row for row in left if row not in chosen]
        if chosen:
            text += f"\n## {title}\n\n{table(merged(chosen))}"
    assert not left, left
    (DOCS / "reliability.md").write_text(text + RULES, encoding="utf-8")
    if paths != [DOCS / "reliability.json"]:
        content = {"about": about, "found": rows}
        (DOCS / "reliability.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def merged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that tell the same of the same, as one."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row["fault"], row["where"], row["outcome"])
        if key in found:
            found[key]["tried"] += row["tried"]
            found[key]["lost"] += row["lost"]
        else:
            found[key] = dict(row)
    return list(found.values())


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["| fault | of | tried | what came of it | lost |", "|---|---|---|---|---|"]
    for row in rows:
        cells = [row["fault"], row["where"], row["tried"], row["outcome"], row["lost"] or "nothing"]
        lines.append("| " + " | ".join(str(cell).replace("*", "\\*") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]] or [DOCS / "reliability.json"])
