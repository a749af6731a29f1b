"""Thumbnails: their size, and that each lies in its cell."""

from pathlib import Path

import numpy as np
import pytest
from explorer_examples import bare
from numpy.typing import NDArray
from PIL import Image

from mislabel.explorer.sprites import ACROSS, Sheets, thumbnail_size, write_sheets
from tiny_data import files

LOSS = 12
"""What WebP may change of a pixel in the middle of a large area of one colour, of 255.

Its colours are kept with 8 bits per channel as luma from 16 to 235 and chroma: rounding each costs
up to 2 (BT.601's largest coefficient, 2.02 x 0.5, and 1.16 x 0.5). At quality 80 the constant term
of a block is quantized in steps of at most 8 per pixel of luma and chroma, so by at most half of
that, times 2.02 for blue: 8. Both together, and 2 for the filter of edges at a distance: 12.
"""


def colours(count: int, channels: int) -> NDArray[np.uint8]:
    return np.random.default_rng(count).integers(0, 256, (count, channels), dtype=np.uint8)


def sheets(
    found: NDArray[np.uint8], height: int, width: int, folder: Path
) -> tuple[Sheets, list[NDArray[np.int64]]]:
    """Sheets of images of one colour each, written and read back."""
    images = np.tile(found[:, None, None], (1, height, width, 1))
    made = write_sheets(bare(len(images), images=images), folder)
    assert made is not None and files(folder) == sorted(f"{k}.webp" for k in range(made.count))
    read = []
    for k in range(made.count):
        with Image.open(folder / f"{k}.webp") as picture:
            assert (picture.format, picture.mode) == ("WEBP", "RGB")
            read.append(np.asarray(picture).astype(int))
    return made, read


@pytest.mark.parametrize(
    ("count", "height", "width"), [(520, 32, 32), (17, 24, 40), (256, 40, 24), (2, 32, 32)]
)
def test_each_image_is_in_its_cell(count: int, height: int, width: int, tmp_path: Path) -> None:
    wanted = colours(count, 3)
    made, read = sheets(wanted, height, width, tmp_path)
    assert (made.width, made.height, made.count) == (width, height, -(-count // 256))
    assert made.to_json() == {
        "width": width, "height": height, "across": 16, "perSheet": 256, "count": made.count,
    }  # fmt: skip
    for i, colour in enumerate(wanted):
        sheet, cell = divmod(i, 256)
        top, left = cell // 16 * height, cell % 16 * width
        middle = read[sheet][top + height // 2 - 2 : top + height // 2 + 2,
                             left + width // 2 - 2 : left + width // 2 + 2]  # fmt: skip
        assert np.abs(middle.mean(axis=(0, 1)) - colour).max() <= LOSS, i


def test_the_last_sheet_is_as_high_as_it_must_be(tmp_path: Path) -> None:
    _, read = sheets(colours(256 + 17, 3), 16, 32, tmp_path)
    assert [one.shape for one in read] == [(256, 512, 3), (32, 512, 3)]
    assert read[1][20:28, 48:].max() <= LOSS  # black where there is no image


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_images_of_other_channels_become_coloured(channels: int, tmp_path: Path) -> None:
    """Grey ones stay grey, whatever a second channel says; a fourth is left out."""
    given = colours(20, channels)
    _, [read] = sheets(given, 32, 32, tmp_path)
    for i, colour in enumerate(given):
        cell = read[i // 16 * 32 + 14 : i // 16 * 32 + 18, i % 16 * 32 + 14 : i % 16 * 32 + 18]
        wanted = colour[[0, 0, 0]] if channels < 3 else colour[:3]
        assert np.abs(cell.mean(axis=(0, 1)) - wanted).max() <= LOSS


def test_large_images_become_smaller(tmp_path: Path) -> None:
    """Red above blue, 200 x 100 pixels, becomes 128 x 64 and stays red above blue."""
    images = np.zeros((2, 100, 200, 3), dtype=np.uint8)
    images[:, :50, :, 0] = 255
    images[:, 50:, :, 2] = 255
    made = write_sheets(bare(2, images=images), tmp_path)
    assert made == Sheets(128, 64, 1)
    read = np.asarray(Image.open(tmp_path / "0.webp").convert("RGB")).astype(int)
    assert read.shape == (64, 16 * 128, 3)
    for left in (0, 128):
        upper, lower = read[8:24, left + 8 : left + 120], read[40:56, left + 8 : left + 120]
        assert np.abs(upper.mean(axis=(0, 1)) - (255, 0, 0)).max() <= LOSS
        assert np.abs(lower.mean(axis=(0, 1)) - (0, 0, 255)).max() <= LOSS


def test_no_images_no_sheets(tmp_path: Path) -> None:
    assert write_sheets(bare(), tmp_path) is None and files(tmp_path) == []


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((50_000, 32, 32, 3), (32, 32)),  # room for 36
        ((50_000, 64, 64, 3), (36, 36)),  # sqrt(2^26 / 50,000) = 36.6
        ((50_000, 64, 32, 3), (18, 36)),
        ((1_000, 300, 400, 3), (128, 96)),  # at most 128
        ((1_000_000, 28, 28, 1), (16, 16)),  # room for 8, but at least 16
        ((1_000_000, 9, 9, 1), (9, 9)),  # none is made larger
        ((10, 1, 1000, 3), (128, 1)),  # at least one pixel
    ],
)
def test_thumbnail_size_worked_by_hand(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    assert thumbnail_size(shape) == size
    assert ACROSS == 16
