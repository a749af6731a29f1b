"""The figures of the report, each a Matplotlib `Figure` that is yours to change and save.

Nothing here touches pyplot: no figure stays open, and no global setting is left changed. ::

    figure = rate_figure(results, "cluster")
    save_figure(figure, "cluster.pdf")
"""

from pathlib import Path

from matplotlib.figure import Figure

from mislabel.errors import InputError
from mislabel.files import atomic_path
from mislabel.report.accuracy import curves_figure, dots_figure, line_kinds, rate_figure
from mislabel.report.comparison import comparison_figure, description_figure
from mislabel.report.labelling import map_figure, transition_figure
from mislabel.report.style import drawing

__all__ = [
    "comparison_figure",
    "curves_figure",
    "description_figure",
    "dots_figure",
    "line_kinds",
    "map_figure",
    "rate_figure",
    "save_figure",
    "transition_figure",
]

_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 200) -> Path:
    """Write a figure as the suffix says (``.png``, ``.svg``, ``.pdf``), the same bytes each time.

    dpi: pixels per inch of a PNG and of the point clouds in the other two.
    """
    path = check_figure_path(Path(path), "path")
    kind = path.suffix.lower().removeprefix(".")
    import matplotlib

    with atomic_path(path) as temporary, drawing(), matplotlib.rc_context({"svg.hashsalt": "m"}):
        figure.savefig(temporary, format=kind, dpi=dpi, metadata=_METADATA[kind])
    return path


def check_figure_path(path: Path, argument: str) -> Path:
    """`path`, or an `InputError` where its suffix is no format of `save_figure`."""
    if path.suffix.lower().removeprefix(".") not in _METADATA:
        raise InputError(argument, str(path), "must end in .png, .svg or .pdf")
    return path
