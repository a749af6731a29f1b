"""The page of the examples that matter: each with its image, labels, neighbours and probabilities.

One HTML file that loads nothing and runs no script; images are small PNGs inside it.
"""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from mislabel.files import write_text
from mislabel.memorization.suspects import KINDS, Suspect, Suspects
from mislabel.report.template import render
from mislabel.report.text import MISSING, NO_BREAK, one_line, percent

SIDE = 96
"Pixels of the longer side that larger images are brought to; smaller ones stay as they are."
SHOWN = 6
"Neighbours that are shown of each example."
JUDGED = {
    "clean labels": "A label is wrong where it differs from the clean one.",
    "suggested labels": "Clean labels are not known: a label looks wrong where it differs from "
    "the suggested one.",
    "exclusion": "Neither clean nor suggested labels are known: every memorized label looks wrong, "
    "since it is hardly predicted without having been trained on, and no other does.",
}
Thumbnail = Callable[[int], Markup | None]


def write_list_page(
    suspects: Suspects,
    path: Path,
    *,
    images: NDArray[np.uint8] | None = None,
    positions: NDArray[np.int64] | None = None,
) -> Path:
    """Write the listed examples as a page.

    images: (N, height, width, channels) uint8, or None where there are none. positions: (N,) of
    the images in the full training set, ascending; by default 0 to N - 1.
    """
    path = Path(path)
    write_text(path, render_list_page(suspects, images=images, positions=positions))
    return path


def render_list_page(
    suspects: Suspects,
    *,
    images: NDArray[np.uint8] | None = None,
    positions: NDArray[np.int64] | None = None,
) -> str:
    """The page as text; see `write_list_page`."""

    def thumbnail(index: int) -> Markup | None:
        if images is None:
            return None
        row = index if positions is None else int(np.searchsorted(positions, index))
        return image_markup(images[row], alt=f"Example {index}")

    sections = [
        {
            "ident": kind,
            "title": title.capitalize(),
            "total": suspects.totals[kind],
            "cards": [_card(s, suspects.class_names, thumbnail) for s in suspects.of(kind)],
        }
        for kind, title in KINDS.items()
    ]
    return render(
        "memorization_list.html.j2",
        title=one_line(suspects.title, 80),
        threshold=f"{suspects.threshold:g}",
        judged=JUDGED[suspects.judged_by],
        sections=sections,
    )


def image_markup(image: NDArray[np.uint8], *, alt: str) -> Markup:
    """An image (height, width, channels) as ``<img>`` with a PNG inside, at most `SIDE` pixels."""
    height, width, channels = image.shape
    single = channels not in (3, 4)
    picture = Image.fromarray(np.ascontiguousarray(image[..., 0] if single else image))
    if max(height, width) > SIDE:
        picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    data = Markup(base64.b64encode(buffer.getvalue()).decode())
    return Markup('<img src="data:image/png;base64,{}" alt="{}">').format(data, alt)


def _card(suspect: Suspect, names: tuple[str, ...], thumbnail: Thumbnail) -> dict[str, Any]:
    """What the template shows of one example."""
    near = list(zip(suspect.neighbors, suspect.neighbor_labels, strict=True))[:SHOWN]
    measured = ("inclusion", "exclusion", "memorization")
    return {
        "index": suspect.index,
        "image": thumbnail(suspect.index),
        "label": one_line(names[suspect.label], 60),
        "facts": _facts(suspect, names),
        "scores": [
            (name, _measured(suspect, name), _bar(getattr(suspect, name))) for name in measured
        ],
        "neighbors": [
            (index, thumbnail(index), one_line(names[label], 40), label == suspect.label)
            for index, label in near
        ],
    }


def _facts(suspect: Suspect, names: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Clean and suggested label, as far as they are known: term, name, share."""
    facts = []
    if suspect.clean_label is not None:
        facts.append(("clean", one_line(names[suspect.clean_label], 60), ""))
    if suspect.suggested_label is not None:
        shares = (suspect.suggested_share, suspect.label_share)
        first, given = (f"{percent(share, 0)}{NO_BREAK}%" for share in shares)
        same = suspect.suggested_label == suspect.label
        text = first if same else f"{first}; as labelled {given}"
        facts.append(("suggested", one_line(names[suspect.suggested_label], 60), text))
    return facts


def _measured(suspect: Suspect, name: str) -> str:
    """A score with its standard error."""
    value, error = getattr(suspect, name), getattr(suspect, f"{name}_error")
    if value is None:
        return MISSING
    return f"{value:.2f}" if error is None else f"{value:.2f} ± {error:.2f}"


def _bar(value: float | None) -> str:
    """Length of a bar in percent."""
    return f"{100 * min(max(value or 0.0, 0.0), 1.0):.0f}"
