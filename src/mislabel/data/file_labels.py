"""Labels out of a file: what is wrong with them is said about the file."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.errors import InputError
from mislabel.labels.check import check_labels


def check_file_labels(
    labels: ArrayLike, *, path: Path, column: str, **limits: Any
) -> NDArray[np.int64]:
    """`check_labels` with errors such as ``data='train.parquet': label=-1 at index 3; ...``."""
    try:
        return check_labels(labels, name=column, **limits)
    except InputError as error:
        rule = f"{error.argument}={error.value} {error.rule}"
        raise InputError("data", str(path), rule) from None
