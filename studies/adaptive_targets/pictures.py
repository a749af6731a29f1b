"""Pictures of adaptive targets: reliability, rates, and what happens on the map."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from PIL import Image

from mislabel.cleaning import adaptive, adaptive_targets
from mislabel.features.graph import NeighborGraph
from mislabel.files import atomic_path
from mislabel.report.figures import save_figure
from mislabel.report.style import CLASS_COLOURS, INK, METHOD_COLOURS, drawing

HERE = Path(__file__).parent
DPI, COLOURS = 120, 64
DIAGRAMS = (
    ("CBN 35 %, published", 0), ("PMD 35 %, published", 0), ("random_label1", 0),
    ("worse_label", 0), ("symmetric:0.4", 1), ("cluster:0.2", 1),
)  # fmt: skip
LINES = (("given", "given labels", "#8c959f"), ("snls", "SNLS", METHOD_COLOURS[1]),
         ("best_vote", "best fixed k", METHOD_COLOURS[2]),
         ("adaptive", "adaptive", METHOD_COLOURS[0]))  # fmt: skip
WRONG = "#cf222e"
Row = dict[str, str]


@drawing()
def draw_all(place: Any, results: list[Row], bins: list[Row]) -> None:
    """All pictures; place: CIFAR-10's map, its clean labels and published sets."""
    kinds = {
        "reliability": ("snls", "adaptive"),
        "reliability-noise-score": ("snls noise score", "noise score"),
    }
    for name, whats in kinds.items():
        save(reliability(bins, whats), HERE / f"{name}.png")
    save(rates(results), HERE / "rates.png")
    patches = place.draw("CBN 35 %, published", 0)
    most = place.draw("cluster:0.7", 1)
    save(mended(place, patches), HERE / "map-cbn35.png")
    save(undetermined(place, patches, most), HERE / "map-undetermined.png")


def save(figure: Figure, path: Path) -> None:
    """A PNG of few colours, which takes a quarter of the bytes."""
    save_figure(figure, path, dpi=DPI)
    with Image.open(path) as drawn:
        few = drawn.convert("RGB").quantize(COLOURS)
    with atomic_path(path) as temporary:
        few.save(temporary, format="png", optimize=True)


def reliability(bins: list[Row], whats: tuple[str, str]) -> Figure:
    """Share that is true by what was said, SNLS beside adaptive targets, for six sets."""
    figure = Figure(figsize=(8.4, 5.8), layout="constrained")
    for axes, (noise, seed) in zip(figure.subplots(2, 3).flat, DIAGRAMS, strict=True):
        axes.plot([0, 1], [0, 1], color=INK, lw=0.7, ls=":")
        for what, label, colour in zip(
            whats, ("SNLS", "adaptive"), (METHOD_COLOURS[1], METHOD_COLOURS[0]), strict=True
        ):
            rows = [r for r in bins
                    if (r["noise"], r["seed"], r["what"]) == (noise, str(seed), what)]  # fmt: skip
            count, mean, share = (np.array([float(r[c]) for r in rows])
                                  for c in ("count", "mean", "share"))  # fmt: skip
            axes.plot(mean, share, color=colour, label=label, lw=1.2)
            axes.scatter(mean, share, s=2 + 120 * count / count.sum(), color=colour, lw=0)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.04), title=noise)
    said = "largest entry" if whats[0] == "snls" else "noise score"
    true = "is the clean label" if whats[0] == "snls" else "are wrong"
    figure.supxlabel(said, fontsize=9)
    figure.supylabel(f"share that {true}", fontsize=9)
    figure.axes[0].legend()
    return figure


def rates(results: list[Row]) -> Figure:
    """Share right by the rate, for noise in patches and noise at the borders."""
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    for axes, kind in zip(figure.subplots(1, 2, sharey=True), ("cluster", "pmd"), strict=True):
        rows = [r for r in results if r["noise"].startswith(f"{kind}:") or r["noise"] == "clean"]
        found = sorted({float(r["noise"].partition(":")[2] or 0) for r in rows})
        for column, label, colour in LINES:
            means = [
                np.mean([float(r[column]) for r in rows
                         if float(r["noise"].partition(":")[2] or 0) == rate])
                for rate in found
            ]  # fmt: skip
            axes.plot(found, means, "o-", color=colour, label=label, ms=3.5)
        lost = [r for r in rows if r["determined"] == "False"]
        axes.plot([float(r["noise"].partition(":")[2]) for r in lost],
                  [float(r["adaptive"]) for r in lost], "o", mfc="white", ms=6,
                  color=METHOD_COLOURS[0], label="undetermined" if lost else None)  # fmt: skip
        axes.set(xlabel="rate of wrong labels", title=kind, ylim=(0.2, 1.01))
    figure.axes[0].set_ylabel("share right")
    figure.axes[0].legend(loc="lower left")
    return figure


def mended(place: Any, labels: np.ndarray) -> Figure:
    """Given labels, regions, corrected labels, and what is still wrong."""
    found = adaptive_targets(place.features, labels, n_classes=10, neighbors=place.neighbors)
    right = [np.mean(z == place.clean) for z in (labels, found.regions, found.corrected_labels)]
    return panels(place.features, {
        f"given: {right[0]:.1%} right": classes(labels),
        f"regions: {right[1]:.1%} right": classes(found.regions),
        f"corrected: {right[2]:.1%} right": classes(found.corrected_labels),
        f"still wrong: {1 - right[2]:.1%}": wrong(found.corrected_labels != place.clean),
    })  # fmt: skip


def undetermined(place: Any, patches: np.ndarray, most: np.ndarray) -> Figure:
    """Regions where most labels are in patches, and where wider ones differ; the same at 35 %."""
    differ, regions = unlike_wider(place, most)
    before, _ = unlike_wider(place, patches)
    right = [np.mean(z == place.clean) for z in (most, regions)]
    return panels(place.features, {
        f"70 % in patches: {right[0]:.1%} right": classes(most),
        f"their regions: {right[1]:.1%} right": classes(regions),
        f"wider regions differ at {differ.mean():.1%}": wrong(differ),
        f"35 % in patches: at {before.mean():.1%}": wrong(before),
    })  # fmt: skip


def unlike_wider(place: Any, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) where the wider region has another class, and the regions.

    As in `mislabel.cleaning.adaptive`, which returns the agreement alone.
    """
    n, c = len(labels), place.n_classes
    graph = NeighborGraph.of(place.neighbors)
    time, longer = (graph.time_for(size * n / c) for size in (adaptive.REGION, adaptive.WIDER))
    one_hot = np.eye(c, dtype=np.float32)[labels]
    regions, wider = (graph.diffuse(one_hot, t).argmax(axis=1)
                      for t in (time, min(longer, adaptive.FARTHEST * time)))  # fmt: skip
    return regions != wider, regions


def classes(labels: np.ndarray) -> Callable[[Axes, np.ndarray], Any]:
    return lambda axes, at: axes.scatter(
        *at.T, c=labels, cmap=ListedColormap(CLASS_COLOURS), vmin=-0.5, vmax=9.5, s=0.4, lw=0
    )


def wrong(mask: np.ndarray) -> Callable[[Axes, np.ndarray], Any]:
    colours = np.where(mask, WRONG, "#e5e5e5")
    order = np.argsort(mask, kind="stable")
    return lambda axes, at: axes.scatter(*at[order].T, c=colours[order], s=0.4, lw=0)


def panels(at: np.ndarray, drawn: dict[str, Callable[[Axes, np.ndarray], Any]]) -> Figure:
    """Four panels of the map."""
    figure = Figure(figsize=(6.4, 6.6), layout="constrained")
    for axes, (title, draw) in zip(figure.subplots(2, 2).flat, drawn.items(), strict=True):
        draw(axes, at)
        axes.set_title(title)
        axes.set_axis_off()
        axes.set_aspect("equal")
    return figure
