"""Specs: what is written is read back, types are converted, and errors say what is wrong."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mislabel.errors import InputError
from mislabel.noise import NOISE, Cluster, make_noise
from mislabel.specs import canonical_spec, convert, format_spec, parse_parameters, split_spec

modest = settings(deadline=None, derandomize=True, max_examples=100)


@dataclass(frozen=True, kw_only=True)
class Thing:
    rate: float
    count: int = 3
    share: float | None = None
    size: int | None = None
    flag: bool = False
    word: str = "a"
    note: str | None = None
    path: Path | None = None
    secret: int = 0


def parse(text: str, **changes: Any) -> dict[str, Any]:
    given = {"positional": "rate", "argument": "noise", "spec": f"thing:{text}", **changes}
    return parse_parameters(text, Thing, **given)


def refusal(text: str, **changes: Any) -> str:
    with pytest.raises(InputError) as caught:
        parse(text, **changes)
    return str(caught.value)


words = st.text('abcXYZ019._-/, "=', min_size=1, max_size=12)
things = st.fixed_dictionaries(
    {"rate": st.floats(allow_nan=False, allow_infinity=False)},
    optional={
        "count": st.integers(),
        "share": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "size": st.none() | st.integers(-(10**9), 10**9),
        "flag": st.booleans(),
        "word": words,
        "note": st.none() | words.filter(lambda w: w.lower() != "none"),
        "path": st.none() | words.filter(lambda w: w.lower() != "none").map(Path),
        "secret": st.integers(0, 9),
    },
)


@modest
@given(values=things, named=st.booleans())
def test_round_trip(values: dict[str, Any], named: bool) -> None:
    spec = format_spec("thing", values, None if named else "rate")
    name, rest = split_spec(spec, "noise")
    found = parse(rest)
    assert name == "thing" and found == values
    assert {k: type(v) for k, v in found.items()} == {k: type(v) for k, v in values.items()}


@dataclass(frozen=True, kw_only=True)
class Reader:
    path: Path
    column: str | None = None


@modest
@given(
    path=st.text('abc=./-," ', min_size=1).map(Path),
    column=st.sampled_from([None, "a=b", "x", 'a,"b"', ' "', ""]),
)
def test_round_trip_of_paths_with_odd_characters(path: Path, column: str | None) -> None:
    values = {"path": path, "column": column}
    spec = format_spec("file", values, "path")
    rest = split_spec(spec, "noise")[1]
    found = parse_parameters(rest, Reader, positional="path", argument="noise", spec=spec)
    assert found == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('1,path="a,b.npy"', {"rate": 1.0, "path": Path("a,b.npy")}),
        ('1, path = "a,b.npy" , word="c=d"', {"rate": 1, "path": Path("a,b.npy"), "word": "c=d"}),
        ('"1",word="say ""no"", twice"', {"rate": 1.0, "word": 'say "no", twice'}),
        ('1,word=5"', {"rate": 1.0, "word": '5"'}),
        ('1,word=a"b,note=c"', {"rate": 1.0, "word": 'a"b', "note": 'c"'}),
        ('1,word=""', {"rate": 1.0, "word": ""}),
        ('1,word=" a "', {"rate": 1.0, "word": " a "}),
    ],
)
def test_quotes_by_hand(text: str, values: dict[str, Any]) -> None:
    assert parse(text) == values


def test_the_positional_value_may_be_quoted() -> None:
    model = make_noise('file:"a=1,b.npy",column=x')
    assert model.parameters() == {"path": "a=1,b.npy", "column": "x"}
    assert make_noise("file:a.b = c.npy").parameters()["path"] == "a.b = c.npy"


@pytest.mark.parametrize("text", ['1,word="a', '1,word="a"b', '"1" 2', '1,word="a"""b"c', '"'])
def test_quotes_that_do_not_end(text: str) -> None:
    assert refusal(text) == (
        f"noise={f'thing:{text}'!r}: has a quote that is not closed, or more behind it; "
        'must be "VALUE"'
    )


def test_names_and_spaces() -> None:
    assert split_spec("  cluster:0.35 ", "noise") == ("cluster", "0.35")
    assert split_spec("clean", "noise") == ("clean", "")
    assert split_spec("file:C:/a.npy", "noise") == ("file", "C:/a.npy")
    assert parse(" 0.5 , count = 4") == {"rate": 0.5, "count": 4}
    assert parse("note=a=b,rate=1") == {"note": "a=b", "rate": 1.0}


@pytest.mark.parametrize(
    ("text", "wanted", "value"),
    [
        ("3", int, 3),
        ("-3", int, -3),
        ("3", float, 3.0),
        ("1e-3", float, 0.001),
        ("3", int | None, 3),
        ("none", int | None, None),
        ("None", float | None, None),
        ("NONE", str | None, None),
        ("none", str, "none"),
        ("0.5", int | float, 0.5),
        ("3", int | float, 3),
        ("True", bool, True),
        ("false", bool, False),
        ("x", str, "x"),
        ("3", str, "3"),
        ("a/b", Path, Path("a/b")),
        ("a/b", Path | None, Path("a/b")),
    ],
)
def test_conversions(text: str, wanted: Any, value: Any) -> None:
    found = convert(text, wanted, "p")
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "wanted", "rule"),
    [
        ("3.0", int, "must be a whole number"),
        ("x", int, "must be a whole number"),
        ("", int | None, "must be a whole number"),
        ("x", float, "must be a number"),
        ("none", float, "must be a number"),
        ("nan", float, "must be finite"),
        ("inf", float | None, "must be finite"),
        ("1e999", int | float, "must be finite"),
        ("yes", bool, "must be true or false"),
        ("1", bool, "must be true or false"),
    ],
)
def test_bad_conversions(text: str, wanted: Any, rule: str) -> None:
    with pytest.raises(InputError) as caught:
        convert(text, wanted, "p")
    assert str(caught.value) == f"p={text!r}: {rule}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.5,4", "noise='thing:0.5,4': '4' must be KEY=VALUE"),
        ("0.5,", "noise='thing:0.5,': '' must be KEY=VALUE"),
        ("count=2,0.5", "noise='thing:count=2,0.5': '0.5' must be KEY=VALUE"),
        ("rate=1,cuont=2",
         "noise='thing:rate=1,cuont=2': unknown parameter 'cuont'; did you mean 'count'? "
         "Known: count, flag, note, path, rate, secret, share, size, word"),
        ("0.5,rate=0.6", "noise='thing:0.5,rate=0.6': parameter 'rate' is given twice"),
        ("1,count=1,count=2",
         "noise='thing:1,count=1,count=2': parameter 'count' is given twice"),
        ("", "noise='thing:': needs a rate, as in thing:rate=..."),
        ("count=1", "noise='thing:count=1': needs a rate, as in thing:rate=..."),
        ("x", "rate='x': must be a number"),
        ("1,count=1.5", "count='1.5': must be a whole number"),
    ],
)  # fmt: skip
def test_bad_parameters(text: str, message: str) -> None:
    assert refusal(text) == message


def test_hidden_parameters_and_no_positional() -> None:
    assert parse("1,secret=2") == {"rate": 1.0, "secret": 2}
    assert refusal("1,secret=2", hidden=frozenset({"secret"})) == (
        "noise='thing:1,secret=2': unknown parameter 'secret'; did you mean 'share'? "
        "Known: count, flag, note, path, rate, share, size, word"
    )
    assert refusal("1", positional=None) == "noise='thing:1': '1' must be KEY=VALUE"


@pytest.mark.parametrize("spec", ["", "  ", ":0.5"])
def test_specs_without_a_name(spec: str) -> None:
    with pytest.raises(InputError) as caught:
        split_spec(spec, "method")
    assert str(caught.value) == f"method={spec!r}: must be NAME or NAME:VALUE,KEY=VALUE"


@pytest.mark.parametrize(
    ("spec", "named", "canonical"),
    [
        ("thing:rate=0.350", False, "thing:0.35"),
        ("thing: 0.35 ", False, "thing:0.35"),
        ("thing:0.35", True, "thing:rate=0.35"),
        ("thing:size=2,count=+4,rate=1", False, "thing:1.0,count=4,size=2"),
        ("thing:1,flag=TRUE,share=None", False, "thing:1.0,flag=true"),
        ("thing:1,count=3,flag=false,word=a,note=none,secret=0", False, "thing:1.0"),
        ('thing:"1", path = "a,b" ', False, 'thing:1.0,path="a,b"'),
        ('thing:1,word=b"c,path="b"', False, 'thing:1.0,word=b"c,path=b'),
        ("thing:1,path=./a/../a", False, "thing:1.0,path=a/../a"),
    ],
)
def test_canonical_specs(spec: str, named: bool, canonical: str) -> None:
    found = canonical_spec(spec, Thing, positional="rate", argument="noise", named=named)
    assert found == canonical
    again = canonical_spec(found, Thing, positional="rate", argument="noise", named=named)
    assert again == canonical


def test_no_value_for_the_positional_parameter() -> None:
    found = canonical_spec("cluster:none,r=2,n=57", Cluster, positional="rate", argument="noise")
    assert found == "cluster:n=57,r=2.0"
    assert make_noise(found) == Cluster(n=57, r=2.0)


def test_a_default_stays_where_leaving_it_out_means_something_else() -> None:
    given = {"positional": "rate", "argument": "noise"}
    kept = frozenset({"count", "share"})
    found = canonical_spec("thing:1,count=3,size=none", Thing, kept=kept, **given)
    assert found == "thing:1.0,count=3"
    assert canonical_spec("thing:1", Thing, kept=kept, **given) == "thing:1.0"
    found = canonical_spec("thing:1,count=3,word=b", Thing, kept=kept, **given)
    assert found == "thing:1.0,word=b,count=3", "and it comes last"


@pytest.mark.parametrize("record", list(NOISE), ids=NOISE.names)
def test_examples_of_the_registry_are_specs(record: Any) -> None:
    model = make_noise(record.example)
    form = canonical_spec(
        record.example, record.model, positional=record.positional, argument="noise"
    )
    assert make_noise(form) == model
