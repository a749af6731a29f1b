"""The folder of an explorer: one page, its scripts, columns of numbers, and sheets of thumbnails.

It loads nothing from elsewhere. The scripts that draw are deck.gl's, from the installed package
pydeck; the same exploration gives the same files.
"""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mislabel import __version__
from mislabel.errors import InputError
from mislabel.explorer.columns import Column, label_type, write_column
from mislabel.explorer.exploration import RINGS, SUSPICIOUS, Exploration
from mislabel.explorer.sprites import write_sheets
from mislabel.files import hash_array
from mislabel.leftovers import temporary_folder
from mislabel.memorization.scores import THRESHOLD
from mislabel.outputs import check_own_folder
from mislabel.words import one_line, visible

FORMAT = 1
MARKER = "mislabel-explorer.json"
"By which a folder of ours is known, so that it may be replaced."
STATIC = (
    "index.html", "explorer.css", "columns.js", "state.js", "sets.js", "dots.js", "map.js",
    "marks.js", "panels.js", "explorer.js",
)  # fmt: skip
SCORES = ("inclusion", "exclusion", "inclusion_error", "exclusion_error")
SCALE_COLOURS = 256
"Colours of a scale."


def check_explorer_folder(folder: Path, argument: str = "output") -> None:
    """Raise `InputError` where no explorer can be written or replaced; nothing is changed."""
    _drawing_script()
    check_own_folder(
        folder,
        argument,
        exists=(folder / MARKER).is_file,
        leftover=lambda _: False,
        kind="an explorer",
    )


def write_explorer(exploration: Exploration, folder: str | Path) -> Path:
    """Write the page of an exploration, and return its ``index.html``.

    folder: a new or empty one, or one that holds an explorer, which is replaced; it appears in one
    rename. Errors: `InputError` where it holds other things or cannot be written.
    """
    folder = Path(folder)
    check_explorer_folder(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(f".{folder.name}", folder.parent) as temporary:
        page, old = temporary / "new", temporary / "old"
        page.mkdir()
        _write(exploration, page)
        try:
            if folder.exists():
                folder.replace(old)
            page.replace(folder)
        except BaseException:
            if old.exists() and not folder.exists():
                old.replace(folder)
            raise
    return folder / "index.html"


def _write(exploration: Exploration, folder: Path) -> None:
    from mislabel.report.template import stylesheet

    here = Path(__file__).parent / "static"
    for name in STATIC:
        shutil.copyfile(here / name, folder / name)
    (folder / "mislabel.css").write_text(stylesheet(), encoding="utf-8")
    shutil.copyfile(_drawing_script(), folder / "deck.gl.js")
    for name in ("data", "images"):
        (folder / name).mkdir()
    columns = _write_columns(exploration, folder / "data")
    sheets = write_sheets(exploration, folder / "images")
    described = _describe(exploration) | {
        "columns": {name: column.to_json() for name, column in columns.items()},
        "images": None if sheets is None else sheets.to_json(),
    }
    # JSON is JavaScript; what could end a line or be markup is escaped.
    text = json.dumps(described, allow_nan=False, indent=1).replace("<", "\\u003c")
    (folder / "data" / "about.js").write_text(f"mislabel.about({text});\n", encoding="ascii")
    about = {"format": FORMAT, "mislabel": __version__, "key": exploration.key}
    (folder / MARKER).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _write_columns(exploration: Exploration, folder: Path) -> dict[str, Column]:
    kind, columns = label_type(exploration.n_classes), {}

    def put(name: str, values: Any, kind: str, *, in_parts: bool = False) -> None:
        columns[name] = write_column(folder, name, values, kind, in_parts=in_parts)

    put("positions", exploration.positions, "f4")
    for number, one in enumerate(exploration.labels.values()):
        put(f"labels{number}", one.labels, kind)
    if exploration.clean_labels is not None:
        put("clean", exploration.clean_labels, kind)
    if not np.array_equal(exploration.indices, np.arange(len(exploration))):
        put("indices", exploration.indices, "u4")
    put("neighbors", exploration.neighbors, "u4", in_parts=True)
    if exploration.scores is not None:
        for name in SCORES:
            put(name, exploration.column(name), "f8")
    if exploration.cleaned is not None:
        put("noise", exploration.cleaned.noise_scores, "f4")
        put("corrected", exploration.cleaned.corrected_labels, kind)
        put("targets", exploration.cleaned.targets, "f4", in_parts=True)
    return columns


def _describe(exploration: Exploration) -> dict[str, Any]:
    """All but the numbers, as JSON values; names are made visible."""
    from mislabel.report.style import class_colours, scale_colours

    names = list(exploration.labels)
    cleaned = exploration.cleaned
    colours = np.rint(255 * class_colours(exploration.n_classes)).astype(int)
    return {
        "format": FORMAT,
        "version": __version__,
        "data": one_line(exploration.name, 80),
        "dataHash": exploration.fingerprint,
        "count": len(exploration),
        "classes": [one_line(visible(name), 60) for name in exploration.class_names],
        "classColours": colours.tolist(),
        "scale": np.rint(255 * scale_colours(SCALE_COLOURS)).astype(int).tolist(),
        "sets": [
            {
                "name": one_line(name, 60),
                "hash": hash_array(one.labels),
                "generator": one_line(one.receipt.generator, 60),
            }
            for name, one in exploration.labels.items()
        ],
        "scored": None if exploration.scored is None else names.index(exploration.scored),
        "scores": None if exploration.scores is None else one_line(exploration.scores.title, 80),
        "cleaned": None
        if exploration.cleaned_set is None
        else names.index(exploration.cleaned_set),
        "warning": None if cleaned is None else cleaned.warning,
        "neighbors": {"count": exploration.neighbors.shape[1], "in": exploration.neighbors_in},
        "rings": RINGS,
        "thresholds": {
            "inclusion": THRESHOLD,
            "exclusion": THRESHOLD,
            "memorization": THRESHOLD,
            "noise": SUSPICIOUS,
        },
    }


def _drawing_script() -> Path:
    """The file of deck.gl in the installed package pydeck."""
    found = find_spec("pydeck")
    places = [] if found is None else list(found.submodule_search_locations or [])
    for place in places:
        path = Path(place) / "nbextension" / "static" / "index.js"
        if path.is_file():
            return path
    rule = "is needed to draw the map and was not found; pip install 'pydeck>=0.9.2,<0.10'"
    raise InputError("pydeck", None, rule)
