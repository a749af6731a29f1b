"""Writes the golden file of noise, ``noise.json``; with ``--check`` it only compares.

    python tests/golden/make.py [--check]

What moved is named on the way; ``--check`` then ends with status 1. See ``docs/numbers.md`` for
when the file may be renewed.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from golden_draws import FILE, golden, moved, stored

from mislabel.files import write_json


def main() -> int:
    """Compare or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        found = golden(Path(folder))
    empty = {"inputs": {}, "labels": {}}
    lines = moved(found, stored() if FILE.exists() else empty)
    print("\n".join(["moved:", *lines] if lines else ["nothing moved"]))
    if not check:
        write_json(FILE, found)
    return int(check and bool(lines))


if __name__ == "__main__":
    sys.exit(main())
