"""Specs: ``name:value,key=value,...`` for noise models and methods, as on the command line.

``cluster:0.35`` is the noise model `cluster` with its positional parameter (rate) at 0.35;
``snls:k=20,alpha=0.5`` is the method `snls` with two parameters.

A value may stand in double quotes, and must where it holds a comma: ``file:"a,b.npy",column=x``. A
quote inside is doubled, as in CSV files; a quote that does not come first is an ordinary character.
"""

import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mislabel.errors import InputError, did_you_mean

_HEAD = re.compile(r'(?:(?P<key>[^,="]*)=)?\s*')
_VALUE = re.compile(r'(?:"(?P<quoted>(?:[^"]|"")*)"\s*|(?P<plain>(?!")[^,]*))(?=,|\Z)')
"""A part of a spec: a key, perhaps, and space; then a value, up to the comma behind it. Two, since
possessive quantifiers, which one expression needs, are wrong in Python 3.11.2."""


def split_spec(spec: str, argument: str) -> tuple[str, str]:
    """The name before the first colon and the rest."""
    name, _, rest = spec.strip().partition(":")
    if not name:
        raise InputError(argument, spec, "must be NAME or NAME:VALUE,KEY=VALUE")
    return name, rest


def parse_parameters(
    text: str,
    factory: Callable[..., Any],
    *,
    positional: str | None,
    argument: str,
    spec: str,
    hidden: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """Parameters of `factory` from the part of a spec after the colon.

    positional: the parameter that stands first without a name, if any.
    hidden: parameters that a spec may not set. Errors name `argument` and `spec`.
    """
    fields = {n: t for n, t in parameter_types(factory).items() if n not in hidden}
    values: dict[str, Any] = {}
    for number, (key, value, whole) in enumerate(_split_parts(text, argument, spec)):
        if number == 0 and positional is not None and key is not None and not key.isidentifier():
            key, value = None, whole
        if key is None:
            if number or positional is None:
                raise InputError(argument, spec, f"{value!r} must be KEY=VALUE")
            key = positional
        if key not in fields:
            raise InputError(
                argument, spec, f"unknown parameter {key!r}; {did_you_mean(key, fields)}"
            )
        if key in values:
            raise InputError(argument, spec, f"parameter {key!r} is given twice")
        values[key] = convert(value, fields[key], key)
    _check_required(factory, values, argument, spec)
    return values


def _split_parts(text: str, argument: str, spec: str) -> Iterator[tuple[str | None, str, str]]:
    """Of each part between commas: key (None where there is none), value without quotes, whole."""
    end = -1 if text else len(text)
    while end < len(text):
        start = end + 1
        head = _HEAD.match(text, start)
        found = head and _VALUE.match(text, head.end())
        if head is None or found is None:
            rule = 'has a quote that is not closed, or more behind it; must be "VALUE"'
            raise InputError(argument, spec, rule)
        end, quoted = found.end(), found["quoted"]
        value = found["plain"].strip() if quoted is None else quoted.replace('""', '"')
        yield head["key"] and head["key"].strip(), value, text[start:end].strip()


def parameter_types(factory: Callable[..., Any]) -> dict[str, Any]:
    """Names and types of the parameters that `factory` takes."""
    target = factory.__init__ if inspect.isclass(factory) else factory
    hints = typing.get_type_hints(target)
    return {n: hints.get(n, str) for n in inspect.signature(factory).parameters}


def convert(text: str, wanted: Any, name: str) -> Any:
    """`text` as a bool, int, float, path or string; ``none`` where the type allows None."""
    options = typing.get_args(wanted) if _is_union(wanted) else (wanted,)
    if type(None) in options and text.lower() == "none":
        return None
    if bool in options and text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind, word in ((int, "a whole number"), (float, "a number")):
        if kind in options:
            return _number(text, kind, word, name, fallback=float in options or str in options)
    if bool in options:
        raise InputError(name, text, "must be true or false")
    return Path(text) if Path in options else text


def format_spec(name: str, parameters: Mapping[str, Any], positional: str | None = None) -> str:
    """The spec that `parse_parameters` reads back; parameters in the given order."""
    text = _text(parameters.get(positional)) if positional else ""
    if "=" in text and not text.startswith('"'):
        positional = None  # a path with an equals sign needs its name before it
    first = [_text(parameters[positional])] if positional and positional in parameters else []
    rest = [f"{k}={_text(v)}" for k, v in parameters.items() if k != positional]
    body = ",".join(first + rest)
    return f"{name}:{body}" if body else name


def _number(text: str, kind: type, word: str, name: str, *, fallback: bool) -> Any:
    try:
        value = kind(text)
    except ValueError:
        if kind is int and fallback:
            return _number(text, float, "a number", name, fallback=False)
        raise InputError(name, text, f"must be {word}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(name, text, "must be finite")
    return value


def _check_required(
    factory: Callable[..., Any], values: Mapping[str, Any], argument: str, spec: str
) -> None:
    for name, parameter in inspect.signature(factory).parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in values:
            raise InputError(
                argument, spec, f"needs a {name}, as in {spec.split(':')[0]}:{name}=..."
            )


def _is_union(wanted: Any) -> bool:
    return typing.get_origin(wanted) in (typing.Union, types.UnionType)


def _text(value: Any) -> str:
    """A value as a spec has it, in quotes where it could be taken for something else."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    text = str(value)
    if "," in text or text.startswith('"') or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text


def canonical_spec(
    spec: str,
    factory: Callable[..., Any],
    *,
    positional: str | None,
    argument: str,
    named: bool = False,
    kept: frozenset[str] = frozenset(),
    hidden: frozenset[str] = frozenset(),
) -> str:
    """The spec in one form for equal content: ``cluster:rate=0.350`` is ``cluster:0.35``.

    Parameters stand in the order of the factory, and those that have their default are left out.
    named: write the name of the positional parameter too, ``snls:k=20`` for ``snls:20``.
    kept: parameters that stay when they are given, since leaving them out means something else;
    they come last. hidden: parameters that no spec may set.
    """
    name, rest = split_spec(spec, argument)
    values = parse_parameters(
        rest, factory, positional=positional, argument=argument, spec=spec, hidden=hidden
    )
    defaults = inspect.signature(factory).parameters
    ordered = {
        key: values[key]
        for key in sorted(parameter_types(factory), key=kept.__contains__)
        if key in values and (key in kept or values[key] != defaults[key].default)
    }
    return format_spec(name, ordered, None if named else positional)
