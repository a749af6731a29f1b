"""`patches`: responses to random patches of the images themselves; one layer, no training.

``f(x) = pool(relu(w * x - t), relu(-w * x - t))``: the filters w are patches drawn from the images,
whitened (ZCA) and of length 1, the threshold t is a fixed number of standard deviations of the
responses, and the mean is taken over quarters of the image. Principal components, scaled to
variance 1, reduce the result.

Source: Coates, Lee & Ng, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning",
AISTATS 2011, and Coates & Ng, ICML 2011 (filters drawn from the data are as good as learned ones).
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.features.base import EncoderRecord, EncoderRun, Features
from mislabel.seeds import check_seed, generator

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SAMPLED = 100_000
"Patches from which whitening is learned."
BATCH = 20
"Images at a time; few, so that responses stay in the cache."


@dataclass(frozen=True, kw_only=True)
class Patches:
    """Random patch features.

    filters: patches drawn; each gives two responses in each of pool x pool parts. size: side of a
    patch. threshold: in standard deviations of a filter's response. components: principal
    components kept. whitening: added to the eigenvalues, as a share of their mean, in ZCA.
    """

    components: int = 512
    filters: int = 512
    size: int = 6
    pool: int = 2
    threshold: float = 0.5
    whitening: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)
        for name in ("components", "filters", "size", "pool"):
            if getattr(self, name) < 1:
                raise InputError(name, getattr(self, name), "must be at least 1")
        for name in ("threshold", "whitening"):
            if not getattr(self, name) >= 0:
                raise InputError(name, getattr(self, name), "must not be negative")

    def key(self) -> dict[str, Any]:
        return asdict(self)

    def __call__(
        self,
        examples: NDArray[Any],
        *,
        fit_on: NDArray[Any] | None = None,
        run: EncoderRun | None = None,
    ) -> Features:
        """(N, k) float32, k at most `components`."""
        from mislabel.features.hf import check_images
        from mislabel.learning.problem import choose_device

        run = run or EncoderRun()
        images = examples if fit_on is None else fit_on
        for array in (examples, images):
            check_images(array, "patches")
        device = choose_device(run.device)
        bank = _Filters.draw(self, images, device)
        total = len(examples) + (0 if fit_on is None else len(images))
        responses = bank.responses(images, run, 0, total)
        mean, axes = _components(responses, self.components)
        if fit_on is not None:
            responses = bank.responses(examples, run, len(images), total)
        return ((responses - mean) @ axes).cpu().numpy()


@dataclass(frozen=True)
class _Filters:
    """weights: (K, c, size, size) with the whitening in them. bias: (K,). thresholds: (K,)."""

    settings: Patches
    weights: "Tensor"
    bias: "Tensor"
    thresholds: "Tensor"

    @classmethod
    def draw(cls, settings: Patches, images: NDArray[Any], device: "torch.device") -> "_Filters":
        """Learn the whitening from sampled patches and take some of them as filters."""
        import torch

        rng = generator(settings.seed, "patches")
        patches = _normalised(_sample(images, settings.size, rng).reshape(SAMPLED, -1))
        mean = patches.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False))
        scale = 1 / np.sqrt(np.maximum(values, 0) + settings.whitening * values.mean())
        whitening = (vectors * scale) @ vectors.T
        white = (patches - mean) @ whitening
        chosen = white[rng.permutation(SAMPLED)[: settings.filters]]
        chosen /= np.linalg.norm(chosen, axis=1, keepdims=True) + 1e-8
        weights = chosen @ whitening
        bias = -weights @ mean
        weights -= weights.mean(axis=1, keepdims=True)
        deviation = (white @ chosen.T).std(axis=0)
        shape = (len(weights), settings.size, settings.size, images.shape[3])
        banked = torch.from_numpy(weights.reshape(shape).astype(np.float32)).permute(0, 3, 1, 2)
        return cls(
            settings,
            banked.contiguous().to(device),
            torch.from_numpy(bias.astype(np.float32)).to(device),
            torch.from_numpy((settings.threshold * deviation).astype(np.float32)).to(device),
        )

    def responses(self, images: NDArray[Any], run: EncoderRun, done: int, total: int) -> "Tensor":
        """(N, 2 K pool pool) pooled responses."""
        import torch

        size, found = run.batch_size or BATCH, []
        for start in range(0, len(images), size):
            found.append(self._batch(torch.tensor(images[start : start + size])))
            run.progress(done + min(start + size, len(images)), total)
        return torch.cat(found)

    def _batch(self, images: "Tensor") -> "Tensor":
        """Patches are normalised in brightness and contrast by means over their window."""
        import torch
        from torch.nn import functional

        pixels = images.to(self.weights.device).permute(0, 3, 1, 2).float()
        count = self.weights[0].numel()
        window = self.settings.size
        mean = functional.avg_pool2d(pixels.mean(1, keepdim=True), window, stride=1)
        square = functional.avg_pool2d((pixels**2).mean(1, keepdim=True), window, stride=1)
        spread = torch.sqrt((square - mean**2).clamp(min=0) * count / (count - 1) + _FLOOR)
        response = functional.conv2d(pixels, self.weights)  # filters of mean 0: of centred patches
        response.div_(spread).add_(self.bias[:, None, None])
        limit, pools = self.thresholds[:, None, None], self.settings.pool
        parts = [
            functional.adaptive_avg_pool2d(part.sub_(limit).relu_(), pools)
            for part in (-response, response)
        ]
        return torch.cat(parts[::-1], dim=1).flatten(1)


_FLOOR = 10.0
"Added to the variance of a patch, in grey levels, so that noise in flat patches stays small."


def _sample(images: NDArray[Any], size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(SAMPLED, size, size, c) patches at random places."""
    height, width = images.shape[1:3]
    if min(height, width) < size:
        raise InputError("size", size, f"must be at most the images' side, {min(height, width)}")
    which = rng.integers(len(images), size=SAMPLED)
    top = rng.integers(height - size + 1, size=SAMPLED)
    left = rng.integers(width - size + 1, size=SAMPLED)
    rows = top[:, None] + np.arange(size)
    columns = left[:, None] + np.arange(size)
    found = images[which[:, None, None], rows[:, :, None], columns[:, None, :]]
    return np.asarray(found, dtype=np.float64)


def _normalised(patches: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each (row) to mean 0 and about variance 1."""
    centred = patches - patches.mean(axis=1, keepdims=True)
    spread = np.sqrt(patches.var(axis=1, ddof=1, keepdims=True) + _FLOOR)
    return np.asarray(centred / spread)


def _components(rows: "Tensor", count: int) -> tuple["Tensor", "Tensor"]:
    """Mean (d,) and (d, k) axes, scaled to give components of variance 1, by the covariance."""
    import torch
    from scipy.linalg import eigh

    mean = rows.mean(dim=0)
    covariance = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64)
    for part in torch.split(rows, 5_000):
        centred = (part - mean).cpu()
        covariance += (centred.T @ centred).double()
    size = len(covariance)
    count = min(count, len(rows), size)
    values, vectors = eigh(
        covariance.numpy() / max(1, len(rows) - 1), subset_by_index=(size - count, size - 1)
    )
    axes = vectors[:, ::-1] / np.sqrt(np.maximum(values[::-1], 1e-12))
    return mean, torch.from_numpy(axes.astype(np.float32)).to(rows.device)


RECORD = EncoderRecord(
    name="patches",
    title="Random patches",
    paper="Coates, Lee & Ng 2011, An Analysis of Single-Layer Networks in Unsupervised Feature "
    "Learning",
    build=Patches,
    positional="components",
    example="patches:components=512",
    libraries=("numpy", "scipy", "torch"),
    fits=True,
    neural=True,
)
