"""The page of cleaned labels: the verdict first, then what changes, where, and how surely.

One HTML file that loads nothing and runs no script; class names are escaped, and control characters
written out. The same labels give the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from mislabel.cleaning import CleanedLabels, Quality
from mislabel.cleaning.adaptive import MISLED, MISPLACED
from mislabel.cleaning.cleaned import ADVICE
from mislabel.errors import InputError
from mislabel.files import write_text
from mislabel.report.links import view_link
from mislabel.report.receipts import json_text
from mislabel.report.template import render
from mislabel.words import MISSING, join, one_line, percent, plural

CARDS = 48
"Labels that are shown one by one."
ROWS = 20
"Kinds of changes in the table."
FREQUENT = 5
"Kinds of changes in the sentence."


def write_cleaning_page(
    cleaned: CleanedLabels,
    path: Path,
    *,
    data: str = "the data",
    positions: NDArray[np.floating] | None = None,
    images: NDArray[np.uint8] | None = None,
    command: str = "",
    explorer: str | None = None,
) -> Path:
    """Write what cleaning changed as one self-contained HTML file, and return its path.

    data: its name. positions: (N, 2) map, or None for a page without. images: (N, height, width,
    channels) uint8, or None where the examples are none. command: that made the labels.
    explorer: address, from the page, of the ``index.html`` of an explorer of these labels, to which
    the page links.
    Errors: `InputError` for a map or images that do not go with the labels.
    """
    page = render_cleaning_page(
        cleaned, data=data, positions=positions, images=images, command=command, explorer=explorer
    )
    path = Path(path)
    write_text(path, page)
    return path


def render_cleaning_page(
    cleaned: CleanedLabels,
    *,
    data: str = "the data",
    positions: NDArray[np.floating] | None = None,
    images: NDArray[np.uint8] | None = None,
    command: str = "",
    explorer: str | None = None,
) -> str:
    """The page as text; see `write_cleaning_page`."""
    if images is not None and (images.ndim != 4 or len(images) != len(cleaned)):
        rule = f"must be ({len(cleaned)}, height, width, channels)"
        raise InputError("images", f"shape {images.shape}", rule)
    changes, quality = cleaned.changes(), cleaned.quality()
    return render(
        "cleaning.html.j2",
        explorer=explorer,
        data=one_line(data, 80),
        sizes=f"{plural(len(cleaned), 'label')}, {cleaned.n_classes:,} classes",
        determined=cleaned.determined,
        headlines=headlines(cleaned),
        small_rates=f"{percent(MISPLACED, 0)} % of scattered noise and {percent(MISLED, 0)} % of "
        "patches",
        known=[] if quality is None else known_facts(quality),
        maps=_map_panels(cleaned, positions, explorer),
        class_key=_class_key(cleaned) if positions is not None else [],
        change_panel=_change_panel(cleaned) if changes else [],
        rows=_change_rows(cleaned, changes[:ROWS]),
        n_kinds=len(changes),
        score_panels=_score_panels(cleaned),
        cards=_cards(cleaned, images, explorer),
        n_changed=f"{cleaned.n_changed:,}",
        facts=_facts(cleaned),
        command=command,
        receipt=json_text({k: v for k, v in cleaned.receipt.items() if k != "noise_matrix"}),
    )


def headlines(cleaned: CleanedLabels) -> list[str]:
    """What was found, in sentences, for page and terminal."""
    if cleaned.warning is not None:
        return [f"{_capital(cleaned.warning)}.", f"What to do: {ADVICE}."]
    count, total = cleaned.n_changed, plural(len(cleaned), "label")
    share = percent(count / len(cleaned), 1)
    found = [f"{count:,} of {total} change ({share} %)." if count else f"None of {total} changes."]
    scattered, patches = (percent(r, 1) for r in (cleaned.scattered_rate, cleaned.patch_rate))
    found.append(
        f"Estimated noise rate {percent(cleaned.noise_rate, 1)} % (the mean noise score). Kind of "
        f"noise amid the classes: scattered {scattered} %, in patches {patches} %."
    )
    if count:
        found.append(f"Most frequent: {_frequent(cleaned)}.")
    found.append(f"The labels determine the classes (stability {cleaned.stability:.2f}).")
    return found


def known_facts(quality: Quality) -> list[tuple[str, str]]:
    """Name and figure of what is known since clean labels are given."""

    def share(value: float | None) -> str:
        return MISSING if value is None else f"{percent(value, 1)} %"

    return [
        ("labels right as given", share(quality.given_accuracy)),
        ("labels right after correction", share(quality.corrected_accuracy)),
        ("changed labels that were wrong (precision)", share(quality.precision)),
        ("wrong labels that were changed (recall)", share(quality.recall)),
        ("noise score, area under the curve", _decimals(quality.auc)),
        ("targets, log-loss", _decimals(quality.log_loss)),
    ]


def _decimals(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _names(cleaned: CleanedLabels, limit: int = 40) -> list[str]:
    return [one_line(name, limit) for name in cleaned.class_names]


def _frequent(cleaned: CleanedLabels) -> str:
    names = _names(cleaned, 20)
    shown = cleaned.changes()[:FREQUENT]
    return join([f"{names[a]} to {names[b]} ({count:,})" for a, b, count in shown])


def _change_rows(
    cleaned: CleanedLabels, changes: Sequence[tuple[int, int, int]]
) -> list[tuple[str, str, str, str]]:
    """Given and corrected label, how many, and their share of the labels given so."""
    names, totals = _names(cleaned), np.bincount(cleaned.labels)
    return [
        (names[a], names[b], f"{count:,}", f"{percent(count / totals[a], 1)} %")
        for a, b, count in changes
    ]


def _map_panels(
    cleaned: CleanedLabels, positions: NDArray[np.floating] | None, explorer: str | None
) -> list[Any]:
    from mislabel.report.cleaning_figures import cleaned_map_figure
    from mislabel.report.embed import png_markup
    from mislabel.report.panels import Panel

    if positions is None:
        return []
    panels = []
    for corrected, title in ((False, "Labels as given"), (True, "Corrected labels")):
        figure = cleaned_map_figure(cleaned, positions, corrected=corrected)
        alt = f"Map of the examples, coloured by {title.lower()}; changed ones stand out."
        colour = "corrected" if corrected else "given"
        link = view_link(explorer, colour=colour, ring="changed")
        panels.append(Panel(title=title, note="", image=png_markup(figure, alt=alt), link=link))
    return panels


def _change_panel(cleaned: CleanedLabels) -> list[Any]:
    from mislabel.report.cleaning_figures import change_figure

    alt = "Matrix of changes: labels as given in rows, corrected labels in columns."
    return [_svg(change_figure(cleaned), "What becomes of each label", "changes", alt)]


def _score_panels(cleaned: CleanedLabels) -> list[Any]:
    from mislabel.report.cleaning_figures import reliability_figure, score_figure

    alt = "Histogram of the noise scores of kept and changed labels."
    panels = [_svg(score_figure(cleaned), "Noise scores of kept and changed labels", "scores", alt)]
    if cleaned.clean_labels is not None:
        alt = "Reliability diagram: stated probabilities against the share that is so."
        title = "Are the probabilities what they say?"
        panels.append(_svg(reliability_figure(cleaned), title, "reliability", alt))
    return panels


def _svg(figure: Any, title: str, ident: str, alt: str) -> Any:
    from mislabel.report.embed import svg_markup
    from mislabel.report.panels import Panel

    return Panel(title=title, note="", image=svg_markup(figure, ident=ident, alt=alt))


def _class_key(cleaned: CleanedLabels) -> list[tuple[str, str]]:
    """Colour and name of each class; empty for more than a reader can tell apart."""
    from matplotlib.colors import to_hex

    from mislabel.report.labelling import FEW_CLASSES
    from mislabel.report.style import class_colours

    if cleaned.n_classes > FEW_CLASSES:
        return []
    colours = class_colours(cleaned.n_classes)
    return [(to_hex(c), name) for c, name in zip(colours, _names(cleaned), strict=True)]


def _cards(
    cleaned: CleanedLabels, images: NDArray[np.uint8] | None, explorer: str | None
) -> list[dict[str, Any]]:
    """The most surely wrong labels, the surest first."""
    from mislabel.report.memorization_list import image_markup

    def image(index: int) -> Markup | None:
        return None if images is None else image_markup(images[index], alt=f"Example {index}")

    names, clean = _names(cleaned), cleaned.clean_labels
    return [
        {
            "index": index,
            "link": view_link(explorer, at=index),
            "image": image(index),
            "given": names[cleaned.labels[index]],
            "corrected": names[cleaned.corrected_labels[index]],
            "clean": None if clean is None else names[clean[index]],
            "score": f"{cleaned.noise_scores[index]:.3f}",
        }
        for index in cleaned.surest(CARDS).tolist()
    ]


def _facts(cleaned: CleanedLabels) -> list[tuple[str, str]]:
    """Method, seed, versions and hashes."""
    receipt = cleaned.receipt
    facts = [("Method", str(receipt["generator"])), ("Seed", str(receipt["seed"]))]
    versions = sorted(receipt["versions"].items())
    facts.append(("Versions", ", ".join(f"{name} {version}" for name, version in versions)))
    hashes = sorted(receipt["inputs"].items())
    facts.append(("SHA-256", ", ".join(f"{name} {digest[:16]}…" for name, digest in hashes)))
    return facts
