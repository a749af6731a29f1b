"""Figures of cleaned labels: what changes, where it lies, and how far the scores are to be trusted.

Kept and changed labels differ in colour and hatching, lines in colour, marker and dashes, so that
the figures can be read in black and white.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from numpy.typing import NDArray

from mislabel.cleaning import CleanedLabels
from mislabel.errors import InputError
from mislabel.labels import NoisyLabels
from mislabel.report.labelling import map_figure, transition_figure
from mislabel.report.style import INK, drawing, method_styles, new_figure

SCORE_BINS = 25
RELIABILITY_BINS = 10
FEWEST = 10
"Examples that a bin of the reliability diagram needs."
_KEPT, _CHANGED = "#0072B2", "#D55E00"
"Of Okabe and Ito."


def cleaned_map_figure(
    cleaned: CleanedLabels, positions: NDArray[np.floating], *, corrected: bool
) -> Figure:
    """The map (N, 2) in the colours of the given or of the corrected labels.

    Kept labels are pale; changed ones lie on top in the full colour of the label they had, or of
    the one they have now. Where none changes all have their full colour.
    """
    before, after = cleaned.labels, cleaned.corrected_labels
    shown, other = (after, before) if corrected else (before, after)
    labels = NoisyLabels(shown, clean_labels=other, n_classes=cleaned.n_classes)
    return map_figure(positions, labels, cleaned.class_names)


def change_figure(cleaned: CleanedLabels) -> Figure:
    """Shares of the labels as given (rows) by corrected label, and how many of each change."""
    corrected = NoisyLabels(
        cleaned.corrected_labels, clean_labels=cleaned.labels, n_classes=cleaned.n_classes
    )
    figure = transition_figure(corrected, cleaned.class_names)
    heat, bars = figure.axes
    heat.set(xlabel="corrected label", ylabel="label as given")
    bars.set_xlabel("changed, %", loc="left", fontsize=6.5)
    return figure


@drawing()
def score_figure(cleaned: CleanedLabels) -> Figure:
    """Histogram of the noise scores of kept and of changed labels, counts on a logarithmic axis."""
    figure = new_figure(height=2.8)
    axes = figure.subplots()
    edges = np.linspace(0, 1, SCORE_BINS + 1)
    for name, chosen in (("kept", ~cleaned.changed), ("changed", cleaned.changed)):
        counts = np.histogram(cleaned.noise_scores[chosen], edges)[0]
        label = f"{name} ({int(chosen.sum()):,})"
        if name == "changed":
            axes.stairs(counts, edges, fill=True, facecolor=(*to_rgb(_CHANGED), 0.25),
                        edgecolor=_CHANGED, hatch="////", linewidth=0.8, label=label)  # fmt: skip
        else:
            axes.stairs(counts, edges, color=_KEPT, linewidth=1.8, label=label)
    axes.set_yscale("log", nonpositive="clip")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set(xlabel="noise score", ylabel="labels", xlim=(0, 1))
    axes.set_ylim(0.7, 2 * len(cleaned))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return figure


@drawing()
def reliability_figure(cleaned: CleanedLabels) -> Figure:
    """Stated probabilities against what is true, in bins of a tenth with 10 examples or more.

    On the dotted diagonal probabilities are what they say. Error: `InputError` without clean
    labels.
    """
    if cleaned.clean_labels is None:
        raise InputError("clean_labels", None, "are needed for this and were not given")
    likeliest: NDArray[np.int64] = cleaned.targets.argmax(axis=1)
    shown = {
        "the likeliest class is the clean one": (
            cleaned.targets.max(axis=1),
            likeliest == cleaned.clean_labels,
        ),
        "the given label is wrong (noise score)": (
            cleaned.noise_scores,
            cleaned.labels != cleaned.clean_labels,
        ),
    }
    figure = new_figure(height=3.4)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], linestyle=":", linewidth=0.9, color=INK)
    for (name, (stated, true)), style in zip(shown.items(), method_styles(2), strict=True):
        x, y = reliability(stated, true)
        axes.plot(x, y, color=style.colour, marker=style.marker, linestyle=style.line, label=name)
    _square(axes)
    axes.set(xlabel="stated probability", ylabel="share that is so")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


def reliability(
    stated: NDArray[np.floating], true: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean stated probability and share that is true, of each bin with `FEWEST` examples."""
    place = np.minimum((stated * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)
    counts, stated_sums, true_sums = (
        np.bincount(place, weights=weights, minlength=RELIABILITY_BINS)
        for weights in (None, stated, true)
    )
    enough = counts >= FEWEST
    return stated_sums[enough] / counts[enough], true_sums[enough] / counts[enough]


def _square(axes: Axes) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), box_aspect=0.8)
