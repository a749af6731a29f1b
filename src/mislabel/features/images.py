"""Preprocessing of images for pretrained networks, in batches on the device.

Resize (antialiased), centre crop, rescale and normalise, by the settings of the model's own image
processor but without Pillow or torchvision: one call does a batch. Values are rounded to whole
steps of 1/255 after each pass of a resize, as Pillow does, which leaves a difference of a step at
a few pixels in a thousand (at one in five where Pillow takes columns before rows). `check`
compares a batch of one with the image processor itself, so that a processor with steps of its
own is refused, not done wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mislabel.errors import InputError

FILTERS = {0: "nearest-exact", 2: "bilinear", 3: "bicubic"}
"Pillow's numbers of filters."
TOLERANCE = 4
"Largest difference to the image processor, in steps of 1/255."
WARPED_FROM = 384
"Side from which on ConvNeXT's processor resizes without cropping."


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What is done to each image.

    size: (height, width) to resize to, or the length of the shortest edge, or None.
    crop: (height, width) of the centre crop, padded with black where needed, or None.
    scale: factor after resizing; then `mean` is subtracted and `deviation` divided by.
    """

    size: tuple[int, int] | int | None
    crop: tuple[int, int] | None
    filter: str
    scale: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) float32 of uint8 images (B, h, w, 3 or 1), on their device."""
        pixels = images.permute(0, 3, 1, 2).float()
        pixels = self._resize(pixels, *self._target(pixels.shape[2], pixels.shape[3]))
        if self.crop is not None:
            pixels = _centre(pixels, self.crop)
        mean, deviation = (
            torch.tensor(values, device=pixels.device)[:, None, None]
            for values in (self.mean, self.deviation)
        )
        return (pixels * self.scale - mean) / deviation

    def _resize(self, pixels: Tensor, height: int, width: int) -> Tensor:
        """Rows first, then columns, each rounded to whole steps, as Pillow does."""
        smooth = self.filter in ("bilinear", "bicubic")
        for size in ((pixels.shape[2], width), (height, width)):
            if size != tuple(pixels.shape[2:]):
                pixels = functional.interpolate(pixels, size, mode=self.filter, antialias=smooth)
                pixels = pixels.add_(0.5).floor_().clamp_(0, 255)
        return pixels

    def _target(self, height: int, width: int) -> tuple[int, int]:
        if self.size is None:
            return height, width
        if isinstance(self.size, tuple):
            return self.size
        long = int(self.size * max(height, width) / min(height, width))
        return (self.size, long) if height <= width else (long, self.size)

    def check(self, processor: Any, shape: tuple[int, int], source: str) -> None:
        """Raise `InputError` where the image processor does something else to images (h, w)."""
        probe = _probe(*shape)
        expected = np.asarray(
            processor(images=[probe], return_tensors="np", input_data_format="channels_last")[
                "pixel_values"
            ]
        )
        found = self(torch.from_numpy(probe[None])).numpy()
        allowed = TOLERANCE * self.scale / min(self.deviation)
        if expected.shape != found.shape or np.abs(expected - found).max() > allowed:
            rule = f"its image processor ({type(processor).__name__}) has steps not known here"
            raise InputError("encoder", source, rule)


def read_preprocessing(settings: Mapping[str, Any], source: str) -> Preprocessing:
    """Preprocessing by the settings of an image processor (its ``to_dict()``)."""
    resample = int(settings.get("resample") or 0)
    if resample not in FILTERS:
        raise InputError("encoder", source, f"resizes by a filter not known here ({resample})")
    size, crop = settings.get("size"), settings.get("crop_size")
    target = _size(size, source) if settings.get("do_resize") else None
    cropped = _pair(_size(crop, source)) if settings.get("do_center_crop") else None
    share = settings.get("crop_pct")
    if share and isinstance(target, int):  # ConvNeXT
        warped = target >= WARPED_FROM
        cropped = cropped if warped else _pair(target)
        target = _pair(target) if warped else int(target / share)
    normalised = bool(settings.get("do_normalize"))
    rescaled = bool(settings.get("do_rescale", True))
    return Preprocessing(
        size=target,
        crop=cropped,
        filter=FILTERS[resample],
        scale=float(settings.get("rescale_factor", 1 / 255)) if rescaled else 1.0,
        mean=_three(settings["image_mean"]) if normalised else (0.0, 0.0, 0.0),
        deviation=_three(settings["image_std"]) if normalised else (1.0, 1.0, 1.0),
    )


def _size(size: Any, source: str) -> tuple[int, int] | int:
    """(height, width), or the length of the shortest edge."""
    if isinstance(size, int):
        return size
    given = {k: v for k, v in dict(size or {}).items() if v is not None}
    if set(given) == {"height", "width"}:
        return int(given["height"]), int(given["width"])
    if set(given) == {"shortest_edge"}:
        return int(given["shortest_edge"])
    raise InputError("encoder", source, f"resizes to a size not known here ({given})")


def _pair(size: tuple[int, int] | int) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _three(values: float | Sequence[float]) -> tuple[float, ...]:
    return (float(values),) * 3 if isinstance(values, int | float) else tuple(map(float, values))


def _centre(pixels: Tensor, crop: tuple[int, int]) -> Tensor:
    """The centre (height, width) of (B, c, H, W); black around where that is larger."""
    padding: list[int] = []
    for side, wanted in ((pixels.shape[3], crop[1]), (pixels.shape[2], crop[0])):
        before = (side - wanted) // 2
        padding += [-before, wanted - (side - before)]
    return functional.pad(pixels, padding)


def _probe(height: int, width: int) -> NDArray[np.uint8]:
    """A colour image (h, w, 3) of waves and edges that no flip or swap leaves as it is."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    waves = np.stack(
        [
            np.sin(rows / 3) + columns / width,
            np.cos(columns / 4) - rows / height,
            (rows > height / 3) + np.sin((rows + columns) / 5),
        ],
        axis=-1,
    )
    low, high = waves.min(), waves.max()
    scaled: NDArray[np.float64] = 255 * (waves - low) / max(high - low, 1e-9)
    return np.asarray(np.rint(scaled), dtype=np.uint8)
