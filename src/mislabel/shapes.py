"""The shape of JSON values that others wrote: what must be there, and of which kind.

A shape is written as the value would be::

    {"name": str, "seeds": [int], "rate": (float, None), "curves": {...: [float]}}

| shape | value |
|---|---|
| ``str``, ``bool``, ``None``, ``dict``, ``list`` | of that kind |
| ``int`` | a whole number that 64 bits hold; true and false are none |
| ``float`` | a finite number |
| ``(a, b)`` | of either shape |
| ``[a]`` | a list, all of that shape |
| ``{"key": a}`` | an object with at least these keys; ``...`` stands for every other key |
| ``{"key?": a}`` | an object in which the key may be missing |
"""

import math
from typing import Any


def check_shape(value: Any, shape: Any, where: str = "it") -> None:
    """Raise `ValueError`, which names the place, where `value` is not of the shape."""
    if isinstance(shape, dict):
        _check_object(value, shape, where)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise ValueError(f"{where} must be a list")
        for place, item in enumerate(value):
            check_shape(item, shape[0], f"{where}[{place}]")
    elif isinstance(shape, tuple):
        if not any(_fits(value, one) for one in shape):
            raise ValueError(f"{where} must be {' or '.join(map(_name, shape))}")
    elif not _fits(value, shape):
        raise ValueError(f"{where} must be {_name(shape)}")


def needed_keys(shape: dict[Any, Any]) -> set[str]:
    """The keys that an object of this shape must have."""
    return {key for key in shape if key is not ... and not key.endswith("?")}


def _check_object(value: Any, shape: dict[Any, Any], where: str) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be an object")
    if missing := sorted(needed_keys(shape) - value.keys()):
        raise ValueError(f"{where} has no {missing[0]}")
    for key, inner in value.items():
        known = next((name for name in (key, f"{key}?", ...) if name in shape), None)
        if known is not None:
            check_shape(inner, shape[known], f"{where}.{key}")


def _fits(value: Any, shape: Any) -> bool:
    if isinstance(shape, dict | list):
        try:
            check_shape(value, shape)
        except ValueError:
            return False
        return True
    if shape is None:
        return value is None
    if isinstance(value, bool):
        return shape is bool
    if shape is float:
        return isinstance(value, int | float) and abs(value) < 2**63 and math.isfinite(value)
    return isinstance(value, shape) and (shape is not int or abs(value) < 2**63)


def _name(shape: Any) -> str:
    names: dict[Any, str] = {
        str: "text", bool: "true or false", int: "a whole number", float: "a finite number",
        dict: "an object", list: "a list", None: "null",
    }  # fmt: skip
    if isinstance(shape, dict | list):
        return names[type(shape)]
    return names[shape]
