"""Types of fixtures; a module of its own, since every folder of tests has a conftest."""

from collections.abc import Callable
from typing import Any

from kinds import Kind
from undertaking import Undertaking

Record = Callable[..., None]
Undisturbed = Callable[[Kind], tuple[Undertaking, dict[str, Any]]]
