"""Registries: fixed order, no duplicates, and a hint for what is nearly right."""

from dataclasses import FrozenInstanceError

import pytest

from mislabel.errors import InputError, did_you_mean
from mislabel.registry import Record, Registry


def record(name: str) -> Record:
    return Record(name=name, title=name.title(), paper="none")


@pytest.fixture
def registry() -> Registry[Record]:
    return Registry("noise", [record("symmetric"), record("cluster"), record("asymmetric")])


def test_order_and_look_up(registry: Registry[Record]) -> None:
    assert registry.names == ["symmetric", "cluster", "asymmetric"]
    assert [r.name for r in registry] == registry.names and len(registry) == 3
    assert registry["cluster"].title == "Cluster"
    assert "cluster" in registry and "Cluster" not in registry and 3 not in registry
    added = registry.register(record("pmd"))
    assert registry["pmd"] is added and registry.names[-1] == "pmd"


def test_names_are_a_copy(registry: Registry[Record]) -> None:
    registry.names.clear()
    assert len(registry) == 3


def test_duplicates_are_an_error(registry: Registry[Record]) -> None:
    kept = registry["cluster"]
    with pytest.raises(InputError) as caught:
        registry.register(record("cluster"))
    assert str(caught.value) == "noise='cluster': this name is registered already"
    assert registry["cluster"] is kept and len(registry) == 3
    with pytest.raises(InputError) as caught:
        Registry("method", [record("gce"), record("gce")])
    assert str(caught.value) == "method='gce': this name is registered already"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("clutser", "did you mean 'cluster'? "),
        ("SYMMETRIC", "did you mean 'symmetric'? "),
        ("asymetric", "did you mean 'asymmetric'? "),
        ("xyz", ""),
        ("", ""),
    ],
)
def test_unknown_names(registry: Registry[Record], name: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        registry[name]
    assert str(caught.value) == (
        f"noise={name!r}: unknown name; {hint}Known: asymmetric, cluster, symmetric"
    )
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_records_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        record("a").name = "b"  # type: ignore[misc]


def test_hints() -> None:
    assert did_you_mean("nois", ["noise", "data"]) == "did you mean 'noise'? Known: data, noise"
    assert did_you_mean("q", ["noise", "data"]) == "Known: data, noise"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.5, "0.5"),
        ("a\nb\x1b[31m", r"'a\nb\x1b[31m'"),
        (ValueError("two\nlines"), "two lines"),
        ("x" * 400, "'" + "x" * 119 + "..." + "x" * 29 + "'"),
    ],
)
def test_errors_fit_on_one_line(value: object, shown: str) -> None:
    error = InputError("rate", value, "is wrong")
    assert str(error) == f"rate={shown}: is wrong"
    assert isinstance(error, ValueError)
    assert (error.argument, error.value, error.rule) == ("rate", value, "is wrong")
