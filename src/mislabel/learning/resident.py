"""Examples resident on the device, normalised and augmented a batch at a time.

Images stay uint8 on the device in (N, height, width, channels); a batch is cut out, shifted and
mirrored by one gather, then normalised, and comes out channels-last. Random crop pads with black
by an eighth of the side (4 pixels of 32), as is usual for CIFAR; flips are horizontal.

Random numbers come from a generator, in the order of the batch; or, where trainings on parts of
the same examples are to be paired, from `PairedDraws`, which depend on no other example.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PADDING_SHARE = 8
_GOLDEN = 0x9E3779B97F4A7C15
_BITS = 21
"Random bits that an offset is made of: places differ in probability by a relative 2^-15 at most."


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


class PairedDraws:
    """Random numbers of an example by seed, position in the full set, and times drawn before.

    A counter-based hash, SplitMix64 (Steele, Lea and Flood 2014), in wrapping int64 arithmetic:
    what an example gets does not depend on the batch it is in, nor on which others are trained on.

    positions: (n,) of the examples in the full set. `counts` (n,), how often each was drawn so
    far, is all the state there is.
    """

    def __init__(self, seed: int, positions: Tensor) -> None:
        self.streams = _mixed(_signed(seed) + (positions + 1) * _signed(_GOLDEN))
        self.counts = torch.zeros_like(self.streams)

    def draw(self, index: Tensor) -> Tensor:
        """(B,) 64 random bits each as int64, for the examples at `index` (B,)."""
        turns = self.counts[index] + _times_before(index)
        self.counts.index_add_(0, index, torch.ones_like(index))
        return _mixed(self.streams[index] + (turns + 1) * _signed(_GOLDEN))


def _mixed(state: Tensor) -> Tensor:
    """SplitMix64's output function."""
    state = (state ^ _shifted(state, 30)) * _signed(0xBF58476D1CE4E5B9)
    state = (state ^ _shifted(state, 27)) * _signed(0x94D049BB133111EB)
    return state ^ _shifted(state, 31)


def _shifted(bits: Tensor, by: int) -> Tensor:
    """Logical shift to the right; that of int64 copies the sign."""
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _signed(bits: int) -> int:
    """64 bits as the int64 that has them."""
    return bits - 2**64 if bits >= 2**63 else bits


def _times_before(index: Tensor) -> Tensor:
    """(B,) how often the same example stands earlier in `index` (B,)."""
    order = index.argsort(stable=True)
    ascending = index[order]
    first = torch.searchsorted(ascending, ascending)
    found = torch.empty_like(index)
    found[order] = torch.arange(len(index), device=index.device) - first
    return found


class ResidentExamples:
    """Examples on a device, from which batches are taken by position.

    paired: where the random numbers of augmentation come from, in place of a generator.
    """

    def __init__(
        self,
        examples: NDArray[Any],
        normalisation: Normalisation,
        device: torch.device,
        *,
        augment: bool = False,
        paired: PairedDraws | None = None,
    ) -> None:
        self.is_image = examples.ndim == 4
        self.augment = augment and self.is_image
        self.paired = paired
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
        """Normalised float batch of the examples at `index` (B,).

        Images come as (B, c, h, w) in channels-last memory, augmented where a generator is given;
        features as (B, d).
        """
        if not self.is_image:
            return (self._rows[index] - self._mean) * self._scale
        images = self.images(index, generator)
        return ((images.float() - self._mean) * self._scale).permute(0, 3, 1, 2)

    def images(self, index: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(B, h, w, c) uint8 images at `index` (B,), augmented where a generator is given."""
        if self.augment and generator is not None:
            return self._cropped_and_flipped(index, generator)
        p, (height, width) = self.padding, self.size
        return self._rows[index][:, p : p + height, p : p + width]

    def slice(self, start: int, stop: int) -> Tensor:
        """Normalised batch of the examples from `start` to `stop`, not augmented."""
        return self.batch(torch.arange(start, min(stop, len(self)), device=self.device))

    def _cropped_and_flipped(self, index: Tensor, generator: torch.Generator) -> Tensor:
        height, width = self.size
        top, left, mirrored = self._offsets(index, generator)
        device = self.device
        rows = top + torch.arange(height, device=device)
        columns = torch.arange(width, device=device)
        columns = left + torch.where(mirrored, width - 1 - columns, columns)
        return self._rows[index[:, None, None], rows[:, :, None], columns[:, None, :]]

    def _offsets(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 1) each: where a window begins, and whether it is mirrored."""
        count, device, places = len(index), self.device, 2 * self.padding + 1
        if self.paired is not None:
            bits = self.paired.draw(index)[:, None]
            parts = [_shifted(bits, by) & (2**_BITS - 1) for by in (0, _BITS)]
            top, left = (part * places >> _BITS for part in parts)
            return top, left, bits < 0
        top = torch.randint(places, (count, 1), generator=generator, device=device)
        left = torch.randint(places, (count, 1), generator=generator, device=device)
        mirrored = torch.randint(2, (count, 1), generator=generator, device=device).bool()
        return top, left, mirrored
