"""Addresses of an explorer, as the links of a page spell them."""

import os
from pathlib import Path
from urllib.parse import quote, urlencode


def explorer_address(folder: Path, page: Path) -> str:
    """Where the explorer in `folder` is from `page`: ``labels/index.html``, percent-encoded.

    Relative, so that both can be moved together; names of folders are not resolved, as a browser
    does not.
    """
    parts = Path(os.path.relpath(folder / "index.html", page.parent)).parts
    return "/".join(quote(os.fsencode(part), safe="") for part in parts)


def view_link(explorer: str | None, **view: str | int) -> str:
    """The address at which an explorer shows a view, by the names in its address; "" without one.

    explorer: of its ``index.html``. view: ``at=17`` or ``labels=1, ring="flipped"``.
    """
    return "" if explorer is None else f"{explorer}#{urlencode(view)}"
