"""Examples resident on the device, normalised and augmented a batch at a time.

Images stay uint8 on the device in (N, height, width, channels); a batch is cut out, shifted and
mirrored by one gather, then normalised, and comes out channels-last. Random crop pads with black
by an eighth of the side (4 pixels of 32), as is usual for CIFAR; flips are horizontal.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PADDING_SHARE = 8


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """Mean and deviation per channel (images) or per feature, of the training examples."""

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @classmethod
    def of(cls, examples: NDArray[Any]) -> "Normalisation":
        """Of training examples: uint8 images (N, h, w, c) or features (N, d)."""
        if examples.ndim == 4:
            mean, deviation = _channel_moments(examples)
        else:
            mean = examples.mean(axis=0, dtype=np.float64)
            deviation = examples.std(axis=0, dtype=np.float64)
        deviation = np.where(deviation > 0, deviation, 1.0)
        return cls(mean=mean.astype(np.float32), deviation=deviation.astype(np.float32))


def _channel_moments(images: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Exact mean and deviation per channel from a histogram of the 256 values."""
    values = np.arange(256.0)
    counts = [np.bincount(images[..., c].ravel(), minlength=256) for c in range(images.shape[3])]
    share = np.array(counts) / max(1, images[..., 0].size)
    mean = share @ values
    return mean, np.sqrt(np.maximum(share @ values**2 - mean**2, 0))


class ResidentExamples:
    """Examples on a device, from which batches are taken by position."""

    def __init__(
        self,
        examples: NDArray[Any],
        normalisation: Normalisation,
        device: torch.device,
        *,
        augment: bool = False,
    ) -> None:
        self.is_image = examples.ndim == 4
        self.augment = augment and self.is_image
        self.size = examples.shape[1:3]
        kind = np.uint8 if self.is_image else np.float32
        rows = torch.from_numpy(np.array(examples, dtype=kind)).to(device)
        self.padding = max(1, min(self.size) // PADDING_SHARE) if self.augment else 0
        if self.augment:
            p = self.padding
            rows = torch.nn.functional.pad(rows, (0, 0, p, p, p, p))
        self._rows = rows
        self._mean = torch.from_numpy(normalisation.mean).to(device)
        self._scale = torch.from_numpy(1 / normalisation.deviation).to(device)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def device(self) -> torch.device:
        return self._rows.device

    def raw(self) -> NDArray[Any]:
        """(N, ...) the examples as they were given, uint8 images or float32 features."""
        p, (height, width) = self.padding, (self.size if self.is_image else (0, 0))
        rows = self._rows[:, p : p + height, p : p + width] if self.is_image else self._rows
        return rows.cpu().numpy()

    def batch(self, index: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Normalised float batch of the examples at `index` (B,), augmented by `generator`.

        Images come as (B, c, h, w) in channels-last memory, features as (B, d).
        """
        if not self.is_image:
            return (self._rows[index] - self._mean) * self._scale
        if self.augment and generator is not None:
            images = self._cropped_and_flipped(index, generator)
        else:
            p, (height, width) = self.padding, self.size
            images = self._rows[index][:, p : p + height, p : p + width]
        return ((images.float() - self._mean) * self._scale).permute(0, 3, 1, 2)

    def slice(self, start: int, stop: int) -> Tensor:
        """Normalised batch of the examples from `start` to `stop`, not augmented."""
        return self.batch(torch.arange(start, min(stop, len(self)), device=self.device))

    def _cropped_and_flipped(self, index: Tensor, generator: torch.Generator) -> Tensor:
        count, (height, width) = len(index), self.size
        places = 2 * self.padding + 1
        device = self.device
        top = torch.randint(places, (count, 1), generator=generator, device=device)
        left = torch.randint(places, (count, 1), generator=generator, device=device)
        mirrored = torch.randint(2, (count, 1), generator=generator, device=device).bool()
        rows = top + torch.arange(height, device=device)
        columns = torch.arange(width, device=device)
        columns = left + torch.where(mirrored, width - 1 - columns, columns)
        return self._rows[index[:, None, None], rows[:, :, None], columns[:, None, :]]
