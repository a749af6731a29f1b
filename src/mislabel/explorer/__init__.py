"""The explorer: a page on which to look at labels, noise and memorization, and to mark labels.

`Exploration` is what is shown; `write_explorer` makes a folder of it that opens from the disk or
any static host; `serve` shows it on loopback; `read_marks` reads the labels that were marked there.
"""

from mislabel.explorer.exploration import RINGS, Exploration
from mislabel.explorer.marks import Marks, read_marks
from mislabel.explorer.page import write_explorer
from mislabel.explorer.serve import serve

__all__ = ["RINGS", "Exploration", "Marks", "read_marks", "serve", "write_explorer"]
