"""Thumbnails of all images, 16 x 16 to a sheet, so that a page loads few files."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mislabel.explorer.exploration import Exploration

ACROSS = 16
"Thumbnails in a row of a sheet, and rows."
PIXELS = 2**26
"Of all thumbnails together, at most; some 30 MB."
LARGEST, SMALLEST = 128, 16
"Pixels of a thumbnail's longer side."
QUALITY = 80
"Of WebP, 0 to 100."


@dataclass(frozen=True)
class Sheets:
    """Sizes of a thumbnail and number of sheets."""

    width: int
    height: int
    count: int

    def to_json(self) -> dict[str, int]:
        return {
            "width": self.width,
            "height": self.height,
            "across": ACROSS,
            "perSheet": ACROSS**2,
            "count": self.count,
        }


def write_sheets(exploration: Exploration, folder: Path) -> Sheets | None:
    """Write ``0.webp`` and so on, in the order of the examples; None where they are no images."""
    images = exploration.images
    if images is None:
        return None
    width, height = thumbnail_size(images.shape)
    starts = range(0, len(images), ACROSS**2)

    def write(sheet: int) -> None:
        part = images[starts[sheet] : starts[sheet] + ACROSS**2]
        picture = Image.fromarray(_tiled(_resized(part, width, height)))
        picture.save(folder / f"{sheet}.webp", quality=QUALITY, method=4)

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, range(len(starts))))
    return Sheets(width, height, len(starts))


def thumbnail_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Width and height of the thumbnails of images (N, height, width, channels), in pixels."""
    n_images, height, width = shape[:3]
    room = math.floor(math.sqrt(PIXELS / n_images))
    side = min(max(height, width), LARGEST, max(SMALLEST, room))
    scale = side / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _resized(images: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """(n, height, width, 3) the images in colour, of that size."""
    if images.shape[3] != 3:
        images = np.repeat(images[..., :1], 3, axis=3) if images.shape[3] < 3 else images[..., :3]
    if images.shape[1:3] == (height, width):
        return images
    small = [np.asarray(Image.fromarray(one).resize((width, height))) for one in images]
    return np.stack(small)


def _tiled(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(rows x height, 16 x width, 3) images side by side; the last row is filled up with black."""
    count, height, width = images.shape[:3]
    rows = -(-count // ACROSS)
    sheet = np.zeros((rows * ACROSS, height, width, 3), dtype=np.uint8)
    sheet[:count] = images
    by_row = sheet.reshape(rows, ACROSS, height, width, 3).swapaxes(1, 2)
    return np.ascontiguousarray(by_row).reshape(rows * height, ACROSS * width, 3)
