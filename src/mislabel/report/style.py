"""How every figure looks: one sheet, colours that colour-blind readers can tell apart.

Figures are made with Matplotlib's object interface. `drawing` sets the sheet for the time of a
call and puts the user's settings back; pyplot and its global list of figures stay untouched.
"""

import contextlib
import itertools
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

Line: TypeAlias = str | tuple[float, tuple[float, ...]]
"A line style of Matplotlib: a name, or offset and lengths of dashes and gaps."

WIDTH = 3.96
"Inches: 380 px at the 96 px per inch of a browser."

INK, FAINT = "#24292f", "#d0d7de"

METHOD_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"The palette of Okabe and Ito without its yellow, which is too pale for lines on white."
METHOD_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
METHOD_LINES: tuple[Line, ...] = ("-", "--", "-.", (0, (1, 1.2)), (0, (5, 1, 1, 1, 1, 1)))

CLASS_COLOURS = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300",
                 "#b9ac70", "#717581", "#92dadd")  # fmt: skip
"Ten colours by Petroff (2021, arXiv 2107.02270), optimised for colour-vision deficiencies."

SHEET = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#8c959f",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "xtick.color": "#8c959f",
    "ytick.color": "#8c959f",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "text.parse_math": False,
    "text.usetex": False,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


@dataclass(frozen=True, kw_only=True)
class MethodStyle:
    """How one method is drawn in every figure."""

    colour: str
    marker: str
    line: Line


def method_styles(count: int) -> list[MethodStyle]:
    """Styles for `count` methods; colour, marker and line differ, and no combination returns
    within 315 methods."""
    cycles = zip(
        itertools.cycle(METHOD_COLOURS),
        itertools.cycle(METHOD_MARKERS),
        itertools.cycle(METHOD_LINES),
        strict=False,
    )
    chosen = itertools.islice(cycles, count)
    return [MethodStyle(colour=c, marker=m, line=line) for c, m, line in chosen]


def class_colours(n_classes: int) -> NDArray[np.float64]:
    """(C, 3) a colour per class: the ten of `CLASS_COLOURS`, beyond ten a cyclic map.

    The cyclic map is the hue circle of the perceptual space OKLCh; neighbours in it alternate
    between two lightnesses.
    """
    if n_classes <= len(CLASS_COLOURS):
        codes = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in CLASS_COLOURS[:n_classes]]
        return np.array(codes, dtype=float) / 255
    hue = np.arange(n_classes) * (2 * math.pi / n_classes)
    lightness = np.where(np.arange(n_classes) % 2, 0.72, 0.58)
    return _oklab_to_srgb(lightness, 0.13 * np.cos(hue), 0.13 * np.sin(hue))


def scale_colours(count: int) -> NDArray[np.float64]:
    """(count, 3) colours from low to high: cividis, made for colour-vision deficiencies."""
    import matplotlib

    colours: NDArray[np.float64] = matplotlib.colormaps["cividis"](np.linspace(0, 1, count))
    return colours[:, :3]


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """The sheet for the time of a ``with`` block or, as a decorator, of a call.

    A character that the font lacks is left to the reader's own fonts, without a warning.
    """
    with matplotlib.style.context(["default", SHEET]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(Glyph|natively)")
        yield


def new_figure(*, height: float, width: float = WIDTH) -> Figure:
    """An empty figure, in inches, whose parts are kept from overlapping."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)  # type: ignore[union-attr, call-arg]
    return figure


def _oklab_to_srgb(
    lightness: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Ottosson (2020), https://bottosson.github.io/posts/oklab, clipped to the gamut."""
    cones = np.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ]
    )
    matrix = [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
    linear = np.clip(np.array(matrix) @ cones**3, 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(srgb.T)
