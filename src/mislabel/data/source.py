"""`SourceRecord`: what every data source states about itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mislabel.data.dataset import Dataset
from mislabel.registry import Record


@dataclass(frozen=True, kw_only=True)
class SourceRecord(Record):
    """A source of examples, and how it is written in ``--data``.

    load: returns the `Dataset`; is given the path (None when there is none) and the image size
        that was asked for (None otherwise; always None unless `resizes`).
    path: whether the source takes a path after its name and a colon.
    example: a spec that shows the use.
    resizes: whether it brings images to a size that the user asks for.
    """

    load: Callable[[Path | None, int | None], Dataset]
    path: Literal["none", "optional", "required"]
    example: str
    resizes: bool = False

    @property
    def usage(self) -> str:
        """How the source is written, such as ``cifar10[:PATH]``."""
        forms = {"none": "", "optional": "[:PATH]", "required": ":PATH"}
        return self.name + forms[self.path]
