"""Figures of memorization: the four of Lim, Larson & Leach 2025, of any one or two score files.

1. `histogram_figure`: memorization of wrong and right labels, studies side by side.
2. `scatter_figure`: exclusion against inclusion probability; rows wrong and right labels.
3. `learned_map_figure`: the map in the colours of the classes, incorrect learned labels ringed.
4. `closest_figure`: the ten incorrect learned images of a class that lie closest together.

"Incorrect learned" is a wrong label with both probabilities above the threshold: the network
predicts it whether it was trained on it or not. Wrong and right labels differ in colour and in
hatching or marker, so that the figures can be read in black and white.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mislabel.errors import InputError, did_you_mean
from mislabel.labels import NoisyLabels
from mislabel.memorization import THRESHOLD, MemorizationScores
from mislabel.report.labelling import FEW_CLASSES, map_figure
from mislabel.report.style import INK, WIDTH, class_colours, drawing, new_figure
from mislabel.report.text import one_line

Studies = Sequence[tuple[str, MemorizationScores]]
"Titles and scores, one or two of them."

BINS = 20
CLOSEST = 10
GROUP_COLOURS = {"wrong": "#D55E00", "right": "#0072B2", "all": "#0072B2"}
"Of Okabe and Ito; with hatching and markers besides."
GROUP_NAMES = {"wrong": "wrong labels", "right": "right labels", "all": "all labels"}
_MARKERS = {"wrong": "^", "right": "o", "all": "o"}
_WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85}
"Behind words that stand among points."
_PANEL = 2.5
"Inches of a panel's height."
_VECTORS = 3000
"More points than so many are drawn as pixels in a PDF."


@drawing()
def histogram_figure(studies: Studies) -> Figure:
    """Memorization of wrong and right labels: 20 bins, percent of the group, shared y axis.

    Without clean labels all labels are one group. Bins span what any study has.
    """
    figure = new_figure(height=_PANEL + 0.5, width=_width(len(studies)))
    panels = figure.subplots(1, len(studies), sharey=True, squeeze=False)[0]
    edges = _bin_edges([scores.memorization for _, scores in studies])
    for axes, (title, scores) in zip(panels, studies, strict=True):
        axes.set_xlabel("memorization")
        for group, chosen in groups(scores):
            _draw_bins(axes, scores.memorization[chosen], edges, group)
        axes.legend(title=one_line(title, 40), loc="lower center", bbox_to_anchor=(0.5, 1),
                    ncols=2, handlelength=1.5, columnspacing=1)  # fmt: skip
    panels[0].set_ylabel("share of the labels, %")
    return figure


@drawing()
def scatter_figure(studies: Studies, *, threshold: float = THRESHOLD) -> Figure:
    """Exclusion (up) against inclusion probability (right): a row per group, a column per study.

    On the dotted diagonal nothing is memorized. In the dashed corner both probabilities are above
    the threshold; how many are there stands in it.
    """
    rows = max(len(list(groups(scores))) for _, scores in studies)
    width = len(studies) * (_PANEL + 0.15) + 0.45
    figure = new_figure(height=rows * _PANEL + 0.45, width=width)
    panels = figure.subplots(rows, len(studies), sharex=True, sharey=True, squeeze=False)
    for column, (title, scores) in enumerate(studies):
        panels[0, column].set_title(one_line(title, 40), fontsize=9)
        panels[-1, column].set_xlabel("inclusion probability")
        drawn = list(groups(scores))
        for axes, (group, chosen) in zip(panels[:, column], drawn, strict=False):
            _draw_scatter(axes, scores, group, chosen, threshold)
        for axes in panels[len(drawn) :, column]:
            axes.set_axis_off()
    for axes in panels[:, 0]:
        axes.set_ylabel("exclusion probability")
    return figure


@drawing()
def learned_map_figure(
    scores: MemorizationScores,
    positions: NDArray[np.floating],
    *,
    clean_labels: NDArray[np.int64] | None = None,
    class_names: tuple[str, ...] | None = None,
    threshold: float = THRESHOLD,
) -> Figure:
    """The map (n_total, 2) in the colours of the clean classes, incorrect learned labels ringed.

    A ringed point is filled with the colour of its wrong label. clean_labels: (n_total,) of the
    whole map; without them only the examples with scores are drawn.
    """
    names = class_names or scores.class_names
    where = check_positions(positions, scores)
    learned = scores.incorrect_learned(threshold)
    known = scores.clean_labels
    assert known is not None  # or there were no incorrect learned labels
    shown, classes = (where, known) if clean_labels is None else (positions, clean_labels)
    labels = NoisyLabels(classes, n_classes=len(names))
    figure = map_figure(shown, labels, names, names=len(names) <= FEW_CLASSES)
    [axes] = figure.axes
    for cloud in axes.collections:
        cloud.set_rasterized(len(shown) > _VECTORS)
    _draw_rings(axes, where[learned], class_colours(len(names))[scores.labels[learned]])
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.06 * (high - low), high)
    count = int(learned.sum())
    note = f"ringed: {count:,} incorrect learned, filled as labelled"
    axes.text(0.01, 0.01, note if count else f"no {_none(threshold)}", fontsize=7.5,
              transform=axes.transAxes, bbox=_WHITE)  # fmt: skip
    return figure


@drawing()
def closest_figure(
    scores: MemorizationScores,
    positions: NDArray[np.floating],
    images: NDArray[np.uint8],
    *,
    class_names: tuple[str, ...] | None = None,
    name: str | None = None,
    threshold: float = THRESHOLD,
    count: int = CLOSEST,
) -> Figure:
    """The incorrect learned images of a clean class that lie closest together on the map.

    images: (n_total, height, width, channels) uint8. name: of the class; by default the one with
    most incorrect learned labels. Each image is titled with its wrong label. A figure without any
    says so. Error: `InputError` for an unknown class.
    """
    names = class_names or scores.class_names
    where, learned = check_positions(positions, scores), scores.incorrect_learned(threshold)
    clean = scores.clean_labels
    assert clean is not None
    number = _class_number(name, names, clean[learned])
    members = np.flatnonzero(learned & (clean == number))
    chosen = members[closest_together(where[members], count)]
    columns = min(5, max(1, len(chosen)))
    rows = max(1, -(-len(chosen) // columns))
    figure = new_figure(height=0.45 + 1.05 * rows, width=WIDTH * 1.4)
    title = f"the {len(chosen)} closest together of {len(members):,} incorrect learned"
    title = title if len(members) else f"no {_none(threshold)}"
    figure.suptitle(f"{one_line(names[number], 40)}: {title}", fontsize=9)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, place in zip(panels, chosen, strict=False):
        draw_image(axes, images[scores.index[place]])
        axes.set_title(one_line(names[scores.labels[place]], 16), fontsize=8.5, pad=3)
    return figure


def closest_together(positions: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """Places of the `count` points (M, 2) whose distances to all others have the smallest sum."""
    from scipy.spatial.distance import cdist

    points = np.asarray(positions, dtype=np.float64)
    return np.argsort(cdist(points, points).sum(axis=1), kind="stable")[:count]


def groups(scores: MemorizationScores) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Wrong and right labels, or all of them where the clean labels are not known."""
    if scores.clean_labels is None:
        yield "all", np.ones(len(scores), dtype=bool)
    else:
        yield "wrong", scores.wrong
        yield "right", ~scores.wrong


def check_positions(
    positions: NDArray[np.floating], scores: MemorizationScores
) -> NDArray[np.floating]:
    """(M, 2) places of the scored examples on a map of the full training set."""
    if positions.shape != (scores.n_total, 2):
        rule = f"must be ({scores.n_total}, 2), one position per training example"
        raise InputError("map", f"shape {positions.shape}", rule)
    return positions[scores.index]


def draw_image(axes: Axes, image: NDArray[np.uint8]) -> None:
    """One image (height, width, channels); a single channel is grey."""
    grey: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255}
    single = image.shape[-1] == 1
    axes.imshow(image[..., 0] if single else image, interpolation="nearest",
                **(grey if single else {}))  # fmt: skip


def _width(columns: int) -> float:
    return WIDTH if columns == 1 else 0.82 * WIDTH * columns


def _bin_edges(values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    known = np.concatenate(values)
    known = known[np.isfinite(known)]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    return np.linspace(low, high if high > low else low + 1, BINS + 1)


def _draw_bins(
    axes: Axes, values: NDArray[np.float64], edges: NDArray[np.float64], group: str
) -> None:
    values = values[np.isfinite(values)]
    counts = np.histogram(values, edges)[0]
    share = 100 * counts / max(1, len(values))
    label, colour = f"{group} ({len(values):,})", GROUP_COLOURS[group]
    if group == "wrong":
        axes.stairs(share, edges, fill=True, facecolor=(*_rgb(colour), 0.25), edgecolor=colour,
                    hatch="////", linewidth=0.8, label=label)  # fmt: skip
    else:
        axes.stairs(share, edges, color=colour, linewidth=1.8, label=label)


def _rgb(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


def _draw_scatter(
    axes: Axes,
    scores: MemorizationScores,
    group: str,
    chosen: NDArray[np.bool_],
    threshold: float,
) -> None:
    x, y = scores.inclusion[chosen], scores.exclusion[chosen]
    both = np.isfinite(x) & np.isfinite(y)
    size = float(np.clip(9000 / max(1, both.sum()), 1.5, 14))
    axes.plot([0, 1], [0, 1], linestyle=":", linewidth=0.9, color=INK)
    axes.scatter(x[both], y[both], s=size, c=GROUP_COLOURS[group], marker=_MARKERS[group],
                 alpha=0.5, linewidths=0, rasterized=both.sum() > _VECTORS)  # fmt: skip
    axes.add_patch(Rectangle((threshold, threshold), 1 - threshold, 1 - threshold, fill=False,
                             edgecolor=INK, linestyle="--", linewidth=0.9))  # fmt: skip
    inside = int(scores.learned(threshold)[chosen].sum())
    axes.text(threshold, threshold - 0.02, f"{inside:,} inside", fontsize=8, va="top",
              bbox=_WHITE)  # fmt: skip
    axes.text(0.02, 0.98, f"{GROUP_NAMES[group]} ({int(both.sum()):,})", fontsize=8.5, va="top",
              bbox=_WHITE)  # fmt: skip
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), box_aspect=1)


def _draw_rings(axes: Axes, positions: NDArray[np.floating], colours: NDArray[np.float64]) -> None:
    """Dark rings in white ones, so that they show on any colour."""
    x, y = positions[:, 0], positions[:, 1]
    axes.scatter(x, y, s=34, c="white", linewidths=0, zorder=4)
    axes.scatter(x, y, s=20, c=colours, edgecolors="black", linewidths=1.1, zorder=5)


def _class_number(name: str | None, names: tuple[str, ...], learned: NDArray[np.int64]) -> int:
    """Of the class with that name, or of the one with most incorrect learned labels."""
    if name is None:
        return int(np.bincount(learned, minlength=len(names)).argmax())
    if name not in names:
        raise InputError("class", name, f"unknown class; {did_you_mean(name, names)}")
    return names.index(name)


def _none(threshold: float) -> str:
    return f"incorrect learned label at threshold {threshold:g}"
