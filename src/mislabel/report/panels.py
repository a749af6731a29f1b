"""The figures of a benchmark page: each with a title, a note and its markup."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mislabel.benchmark.results import BenchmarkResults, NoiseColumn
from mislabel.labels import NoisyLabels
from mislabel.realism import row_entropy
from mislabel.report.embed import png_markup, svg_markup
from mislabel.report.figures import (
    curves_figure,
    dots_figure,
    line_kinds,
    map_figure,
    rate_figure,
    transition_figure,
)
from mislabel.report.labelling import FEW_CLASSES, map_names
from mislabel.report.links import view_link
from mislabel.report.style import class_colours
from mislabel.report.text import join, noise_names, one_line, percent, visible


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One figure of the page; `note` is a line of figures under its title, `link` an address at
    which an explorer shows the same."""

    title: str
    note: str
    image: Markup
    link: str = ""


def rate_panels(results: BenchmarkResults, epoch: str) -> list[Panel]:
    """A line figure per noise kind with several rates, one dot figure for all others."""
    panels, lines = [], line_kinds(results)
    for number, kind in enumerate(lines):
        title = one_line(_kind_title(results, kind), 60)
        alt = f"Test accuracy against the rate of wrong labels, {title}: a line per method."
        figure = rate_figure(results, kind, epoch)
        panels.append(_svg(figure, title=title, ident=f"rate{number}", alt=alt))
    single = [c for c in results.noises if c.kind not in lines]
    if any(column.kind != "clean" for column in single) or (single and not lines):
        title = "Noises at a single rate" if lines else "Accuracy by noise"
        figure = dots_figure(results, epoch, [column.spec for column in single])
        names = join([noise_names(results)[column.spec] for column in single])
        alt = f"Test accuracy by noise ({names}): a dot per method."
        panels.append(_svg(figure, title=title, ident="dots", alt=alt))
    return panels


def map_panels(results: BenchmarkResults, explorer: str | None = None) -> list[Panel]:
    """The map with the clean classes, then with the wrong labels of each noise.

    explorer: address of one of the noises other than clean, in their order.
    """
    if results.map is None:
        return []
    panels = []
    known = (c.labels.clean_labels for c in results.noises)
    clean = next((labels for labels in known if labels is not None), None)
    if clean is not None:
        labels = NoisyLabels(clean, clean_labels=clean, n_classes=len(results.class_names))
        named = len(results.class_names) <= FEW_CLASSES
        figure = map_figure(results.map, labels, results.class_names, names=named)
        alt = "Map of the training examples, coloured by clean class."
        image, link = png_markup(figure, alt=alt), view_link(explorer, colour="clean", ring="none")
        panels.append(Panel(title="Clean classes", note="", image=image, link=link))
    for number, (column, name) in enumerate(_noisy(results)):
        figure = map_figure(results.map, column.labels, results.class_names)
        alt = visible(f"Map of the training examples with the wrong labels of {name}.")
        image, link = (
            png_markup(figure, alt=alt),
            view_link(explorer, labels=number, ring="flipped"),
        )
        panels.append(Panel(title=name, note=_flips(column.labels), image=image, link=link))
    return panels


def class_key(results: BenchmarkResults) -> list[tuple[str, str]]:
    """Colour and name of each class, with its number where that stands on the map instead.

    Empty for more classes than a reader can tell apart.
    """
    names = results.class_names
    if results.map is None or len(names) > FEW_CLASSES:
        return []
    shown = map_names(names)
    return [
        (to_hex(colour), name if one_line(name, 16) == shown[k] else f"{shown[k]}: {name}")
        for k, (name, colour) in enumerate(zip(names, class_colours(len(names)), strict=True))
    ]


def transition_panels(results: BenchmarkResults) -> list[Panel]:
    """A heat map per noise whose clean labels are known."""
    panels = []
    for number, (column, name) in enumerate(_noisy(results)):
        labels = column.labels
        if labels.clean_labels is None:
            continue
        figure = transition_figure(labels, results.class_names)
        note = f"Rate {percent(labels.rate)} %; mean row entropy {row_entropy(labels):.2f} bits; "
        note += _rate_range(labels, results.class_names)
        alt = f"Transition matrix of {name}: clean classes in rows, given labels in columns."
        panels.append(_svg(figure, title=name, note=note, ident=f"matrix{number}", alt=alt))
    return panels


def curve_panels(results: BenchmarkResults) -> list[Panel]:
    """Learning curves per noise that has a finished cell."""
    panels, names = [], noise_names(results)
    done = {cell.noise for cell in results.cells}
    for number, column in enumerate(results.noises):
        if column.spec in done:
            name = names[column.spec]
            figure = curves_figure(results, column.spec)
            alt = f"Learning curves under {name}: test accuracy and wrong labels fitted, by epoch."
            panels.append(_svg(figure, title=name, ident=f"curves{number}", alt=alt))
    return panels


def _svg(figure: Figure, *, title: str, ident: str, alt: str, note: str = "") -> Panel:
    image = svg_markup(figure, ident=ident, alt=visible(alt))
    return Panel(title=title, note=note, image=image)


def _noisy(results: BenchmarkResults) -> Iterator[tuple[NoiseColumn, str]]:
    names = noise_names(results)
    return ((c, names[c.spec]) for c in results.noises if c.kind != "clean")


def _kind_title(results: BenchmarkResults, kind: str) -> str:
    """The title that all columns of the kind share, else the kind."""
    titles = {column.title for column in results.noises if column.kind == kind}
    return titles.pop() if len(titles) == 1 else kind


def _flips(labels: NoisyLabels) -> str:
    if labels.clean_labels is None:
        return "The clean labels are not known, so wrong ones cannot be marked."
    return f"{int(labels.flipped.sum()):,} of {len(labels):,} labels are wrong."


def _rate_range(labels: NoisyLabels, class_names: tuple[str, ...]) -> str:
    rates = labels.rate_per_class
    low, high = int(np.nanargmin(rates)), int(np.nanargmax(rates))
    ends = [f"{percent(rates[k], 1)} % ({one_line(class_names[k], 40)})" for k in (low, high)]
    return f"by class from {ends[0]} to {ends[1]}."
