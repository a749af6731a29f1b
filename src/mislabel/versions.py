"""Versions of the libraries that made a result."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "unknown"


def library_versions(*libraries: str) -> dict[str, str]:
    """Versions of Python, mislabel and the named libraries."""
    from mislabel import __version__

    own = {"python": platform.python_version(), "mislabel": __version__}
    return own | {library: _version(library) for library in libraries}
