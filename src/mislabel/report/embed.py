"""Figures inside a page: inline SVG for lines, PNG as a data address for clouds of points.

Matplotlib numbers the parts of every figure alike, so two figures in one page would share ids.
Here ids that nothing refers to are dropped and the others get the figure's own prefix.
"""

import base64
import io
import re
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from PIL import Image

from mislabel.report.style import drawing

_REFERENCE = re.compile(r"(?:(?<=url\()|^)#([\w.-]+)")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_XLINK = "{http://www.w3.org/1999/xlink}"
_PNG_DPI = 192
"Two pixels for one of a common screen."


def svg_markup(figure: Figure, *, ident: str, alt: str) -> Markup:
    """The figure as an inline ``<svg>``; `ident` is unique in the page."""
    buffer = io.BytesIO()
    with drawing(), matplotlib.rc_context({"svg.hashsalt": ident}):
        figure.savefig(buffer, format="svg", dpi=_PNG_DPI, transparent=True)
    root = ElementTree.fromstring(buffer.getvalue())
    _strip(root)
    _rename(root, ident)
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    box = root.get("viewBox", "")
    root.attrib.clear()
    root.attrib.update({"viewBox": box, "width": str(width), "height": str(height),
                        "role": "img", "aria-label": alt})  # fmt: skip
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def png_markup(figure: Figure, *, alt: str) -> Markup:
    """The figure as an ``<img>`` with a palette PNG of at most 128 colours inside."""
    drawn, buffer = io.BytesIO(), io.BytesIO()
    with drawing():
        figure.savefig(drawn, format="png", dpi=_PNG_DPI, pil_kwargs={"compress_level": 1})
    image = Image.open(drawn).convert("RGB")
    image.quantize(128, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Markup('<img src="data:image/png;base64,{}" width="{}" height="{}" alt="{}">').format(
        Markup(data), width, height, escape(alt)
    )


def _strip(root: ElementTree.Element) -> None:
    """Drop metadata, styles for the whole document and namespaces; shorten numbers."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for name, value in list(element.attrib.items()):
            if name.startswith(_XLINK):
                element.attrib["href"] = element.attrib.pop(name)
            elif name in ("d", "x", "y", "points"):
                element.set(name, _LONG_NUMBER.sub(_rounded, value))


def _rename(root: ElementTree.Element, ident: str) -> None:
    """Drop ids without references, and put `ident` before the others."""
    used: set[str] = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            used.update(_REFERENCE.findall(value))
            element.set(name, _REFERENCE.sub(rf"#{ident}-\1", value))
    for element in root.iter():
        own = element.attrib.pop("id", None)
        if own in used:
            element.set("id", f"{ident}-{own}")


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match.group()):.2f}"
