"""A cache on disk for arrays that are costly to compute, keyed by content.

The key is the name of the computation and everything it depends on (parameters, the hashes of
its inputs, the versions of the libraries that compute it), so a stale value cannot be found.
The folder is ``$MISLABEL_CACHE`` or the user's cache folder; deleting it is always safe.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.files import atomic_path, hash_json, read_npy
from mislabel.leftovers import remove_leftovers


def cache_folder() -> Path:
    """The cache's folder: ``$MISLABEL_CACHE``, or the platform's place for caches."""
    if folder := os.environ.get("MISLABEL_CACHE"):
        return Path(folder)
    from platformdirs import user_cache_path

    return user_cache_path("mislabel")


def cached_array(
    name: str, key: dict[str, Any], compute: Callable[[], NDArray[Any]], *, mapped: bool = False
) -> NDArray[Any]:
    """The array that `compute()` returns, from the cache when it is there.

    name: name of the computation, part of the file's name.
    key: everything the result depends on, as JSON values.
    mapped: memory-map the file read-only instead of reading it.

    A cache that cannot be written is no error: the array is then computed each time.
    """
    path = cache_folder() / f"{name}-{hash_json(key)[:32]}.npy"
    found = _read(path, mapped)
    if found is not None:
        return found
    array = compute()
    remove_leftovers(path.parent)
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, array, allow_pickle=False)
    except OSError:
        return array
    found = _read(path, mapped)
    return array if found is None else found


def _read(path: Path, mapped: bool) -> NDArray[Any] | None:
    try:
        return read_npy(path, mapped=mapped)
    except (OSError, ValueError):
        return None
