"""mislabel tests deep learning under human label noise.

The parts, lowest first (each imports only those before it): `labels`, `data`, `features`,
`noise`, `learning`, `memorization`, `realism`, `benchmark`,
`stress`, `report`, `cli`. See docs/architecture.md.

The names below are loaded when first used, so that ``import mislabel`` stays fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "NoisyLabels": "mislabel.labels",
    "load_labels": "mislabel.labels",
    "Dataset": "mislabel.data",
    "load_data": "mislabel.data",
    "make_noise": "mislabel.noise",
    "make_method": "mislabel.learning",
    "run_benchmark": "mislabel.benchmark",
    "InputError": "mislabel.errors",
}
__all__ = ["Dataset", "InputError", "NoisyLabels", "__version__", "load_data", "load_labels",
           "make_method", "make_noise", "run_benchmark"]  # fmt: skip

if TYPE_CHECKING:
    from mislabel.benchmark import run_benchmark
    from mislabel.data import Dataset, load_data
    from mislabel.errors import InputError
    from mislabel.labels import NoisyLabels, load_labels
    from mislabel.learning import make_method
    from mislabel.noise import make_noise


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'mislabel' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
