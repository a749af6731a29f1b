"""Registries: frozen records by name, in a fixed order, without duplicates.

A family (noise models, methods, encoders, data sources) is one `Registry` in its package's
``__init__``. Adding a member is one new file that defines a record, and one line there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from mislabel.errors import InputError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Record:
    """What every registered thing states about itself."""

    name: str
    title: str
    paper: str
    "Where the method is published, or what it stands on."


R = TypeVar("R", bound=Record)


class Registry(Generic[R]):
    """Records of one family. `argument` is how the family is called in error messages."""

    def __init__(self, argument: str, records: Iterable[R]) -> None:
        self.argument = argument
        self._records: dict[str, R] = {}
        for record in records:
            self.register(record)

    def register(self, record: R) -> R:
        """Add a record; a name that is taken is an error."""
        if record.name in self._records:
            raise InputError(self.argument, record.name, "this name is registered already")
        self._records[record.name] = record
        return record

    def __getitem__(self, name: str) -> R:
        try:
            return self._records[name]
        except KeyError:
            hint = did_you_mean(name, self._records)
            raise InputError(self.argument, name, f"unknown name; {hint}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._records

    def __iter__(self) -> Iterator[R]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    @property
    def names(self) -> list[str]:
        return list(self._records)
