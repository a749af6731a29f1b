"""Encoded images to arrays, in threads (Pillow releases the GIL while it decodes).

Only bitmap formats are opened, and never one that needs another program. An image's size is
read from its header before any pixel is decoded, so a decompression bomb costs nothing.
"""

import io
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mislabel.errors import InputError

MAX_PIXELS = 64 * 10**6
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "PPM")
_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}
_CHUNK = 256
_ORIENTATION = 0x0112  # EXIF tag; values from 5 on exchange height and width

T = TypeVar("T")
Read = Callable[[int], bytes]
"The encoded bytes of image i."
Source = Callable[[int], str]
"How image i is called in an error message."


class Header(NamedTuple):
    """What an image's header says, with the rotation that EXIF asks for."""

    height: int
    width: int
    grey: bool


def read_headers(n: int, read: Read, source: Source) -> list[Header]:
    """Headers of `n` images. Error: `InputError` for one that is broken or too large."""

    def header(i: int) -> Header:
        image = _open(read(i), source(i))
        width, height = image.size
        if _orientation(image) >= 5:
            width, height = height, width
        return Header(height, width, image.mode in ("L", "1"))

    return _in_threads(n, header, source)


def decode_images(
    n: int, read: Read, source: Source, *, shape: tuple[int, int, int], fit: bool = False
) -> NDArray[np.uint8]:
    """Images as uint8 (n, height, width, channels) for `shape` = (height, width, channels).

    fit: bring each image to this size (the shorter side is resized, the longer one cropped about
        its centre); otherwise an image of another size is an `InputError`.
    """
    height, width, channels = shape
    mode = "RGB" if channels == 3 else "L"
    images = np.empty((n, height, width, channels), dtype=np.uint8)

    def decode(i: int) -> None:
        image = _open(read(i), source(i))
        if _orientation(image) > 1:
            image = ImageOps.exif_transpose(image)
        if image.mode != mode:
            image = image.convert(mode)
        if fit:
            image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
        if image.size != (width, height):
            found = f"{image.width}x{image.height}"
            raise InputError("data", source(i), f"is {found} pixels; must be {width}x{height}")
        images[i] = np.asarray(image).reshape(height, width, channels)

    _in_threads(n, decode, source)
    return images


def _open(data: bytes, source: str) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError
    if image.mode not in _MODES:
        rule = f"has pixels of mode {image.mode}; save it with 8 bits per channel"
        raise InputError("data", source, rule)
    if image.mode in ("P", "PA") and "transparency" in image.info:
        return image.convert("RGBA")
    return image


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) where the header has none."""
    if "exif" not in image.info:
        return 1  # the common case, and `getexif` is slow
    value = image.getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) else 1


def _in_threads(n: int, work: Callable[[int], T], source: Source) -> list[T]:
    """`[work(0), ..., work(n - 1)]`, where what Pillow raises becomes an `InputError`."""

    def checked(i: int) -> T:
        try:
            return work(i)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            rule = f"has more than {MAX_PIXELS // 10**6} megapixels"
            raise InputError("data", source(i), rule) from None
        except InputError:
            raise
        except (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError) as error:
            rule = f"is not a readable image ({type(error).__name__})"
            raise InputError("data", source(i), rule) from error

    def chunk(start: int) -> list[T]:
        return [checked(i) for i in range(start, min(start + _CHUNK, n))]

    with warnings.catch_warnings(), ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore", UserWarning)  # of damaged EXIF, which then counts as none
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            chunks: Sequence[list[T]] = list(pool.map(chunk, range(0, n, _CHUNK)))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [result for part in chunks for result in part]
