"""`pixels`: the examples themselves, flattened, standardised, reduced by PCA.

Each column is standardised (constant columns dropped) and the principal components that hold 95 %
of the variance are kept, 64 at most. No network and no labels are needed; good for digits and
tables, poor for natural images, where an embedding should be given.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.features.base import EncoderRecord, EncoderRun, Features
from mislabel.seeds import child_state


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """Standardised values, PCA to at most `components` that hold `variance` of the variance."""

    components: int = 64
    variance: float = 0.95
    seed: int = 0

    def key(self) -> dict[str, Any]:
        return asdict(self)

    def __call__(
        self,
        examples: NDArray[Any],
        *,
        fit_on: NDArray[Any] | None = None,
        run: EncoderRun | None = None,
    ) -> Features:
        """(N, k) float32, k at most `components`; whitened neither on nor off the axes."""
        from sklearn.decomposition import PCA

        given = examples if fit_on is None else fit_on
        rows = given.reshape(len(given), -1).astype(np.float32)
        mean, spread = rows.mean(axis=0), rows.std(axis=0)
        varies = (spread > 0) & (rows.max(axis=0) > rows.min(axis=0))
        if not varies.any():
            return np.zeros((len(examples), 1), dtype=np.float32)
        mean, spread = mean[varies], spread[varies]
        rows = (rows[:, varies] - mean) / spread
        count = min(self.components, *rows.shape)
        pca = PCA(count, svd_solver=_solver(rows.shape), random_state=child_state(self.seed, "pca"))
        projected = pca.fit_transform(rows)
        if fit_on is not None:
            others = examples.reshape(len(examples), -1).astype(np.float32)[:, varies]
            projected = pca.transform((others - mean) / spread)
        kept = int(np.searchsorted(np.cumsum(pca.explained_variance_ratio_), self.variance)) + 1
        return np.ascontiguousarray(projected[:, :kept], dtype=np.float32)


def _solver(shape: tuple[int, ...]) -> str:
    """Exact by the covariance matrix where that is small, randomised otherwise."""
    return "covariance_eigh" if shape[1] <= 1_000 else "randomized"


RECORD = EncoderRecord(
    name="pixels",
    title="Pixels (PCA)",
    paper="none; standardised values and principal components",
    build=Pixels,
    positional="components",
    example="pixels",
    fits=True,
    libraries=("numpy", "scikit-learn"),
)
