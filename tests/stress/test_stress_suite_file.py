"""Suites from YAML files: what they mean, and mistakes by line."""

import os
from pathlib import Path

import pytest

from mislabel.errors import InputError
from mislabel.stress.suite import make_suite
from mislabel.stress.suite_file import load_suite

WHOLE = """\
# of every night
name: nightly
version: 2
seeds: 3
noises:
  - symmetric: [0.1, 2e-1]
  - pair: 0.30
  - human-like:rate=0.2,effects=drawn
  - clean
  - pmd: ["0.2,type=2"]
thresholds:
  - accuracy >= 0.8 at symmetric:rate=0.1
  - drop <= 5%
about: one line
"""


def write(folder: Path, text: str, name: str = "my.yaml") -> Path:
    """A file of that text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def error(path: Path) -> str:
    """The text of the error that loading raises."""
    with pytest.raises(InputError) as caught:
        load_suite(path)
    assert caught.value.argument == "suite"
    return f"{Path(caught.value.value).name}: {caught.value.rule}"


def test_a_whole_file(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, WHOLE))
    assert suite.noises == (
        "clean",
        "symmetric:0.1",
        "symmetric:0.2",
        "pair:0.3",
        "human-like:0.2,effects=drawn",
        "pmd:0.2,type=2",
    )
    assert suite.seeds == (1, 2, 3)
    assert suite.thresholds == ("accuracy >= 0.8 at symmetric:rate=0.1", "drop <= 5%")
    assert (suite.title, suite.about) == ("nightly v2", "one line")


def test_what_may_be_left_out(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, "noises: [clean]\nseeds: [7, 5]\n", "tiny.yml"))
    assert (suite.title, suite.noises, suite.seeds) == ("tiny v1", ("clean",), (7, 5))
    assert (suite.thresholds, suite.about) == ((), "")


def test_a_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    text = "\ufeff" + WHOLE.replace("\n", "\r\n").replace("seeds: 3", "seed: 3")
    assert error(write(tmp_path, text)).startswith("my.yaml:4: unknown key 'seed'")


def test_make_suite_takes_the_file(tmp_path: Path) -> None:
    assert make_suite(write(tmp_path, WHOLE), seeds=[9]).seeds == (9,)
    assert make_suite(str(write(tmp_path, WHOLE))).name == "nightly"


def test_values_are_taken_as_written(tmp_path: Path) -> None:
    """YAML 1.1 takes these for a boolean, a date and a number to the base of 60."""
    text = "noises: [clean]\nseeds: 1\nname: {}\nabout: 1:30\n"
    assert load_suite(write(tmp_path, text.format("yes"))).name == "yes"
    suite = load_suite(write(tmp_path, text.format("2024-01-01")))
    assert (suite.name, suite.about) == ("2024-01-01", "1:30")


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("noises:", "noise:", "5: unknown key 'noise'; did you mean 'noises'? "
         "Known: about, name, noises, seeds, thresholds, version"),
        ("seeds: 3", "seeds: 3\nseeds: 4", "5: key 'seeds' is given twice"),
        ("seeds: 3\n", "", "2: needs seeds"),
        ("seeds: 3", "<<: 3", "4: unknown key '<<'; Known: about, name, noises, seeds, "
         "thresholds, version"),
        ("name: nightly", "name: standard", "2: 'standard' is a suite of mislabel's own; "
         "needs another name"),
        ("name: nightly", "name:", "2: name must be text on one line, of at most 200 characters"),
        ("name: nightly", "name: [a]", "2: name must be text on one line, of at most 200 "
         "characters"),
        ("name: nightly", 'name: "a\\e[31m"', "2: name must be text on one line, of at most 200 "
         "characters"),
        ("one line", "'a\n\n  b'", "14: about must be text on one line, of at most 200 characters"),
        ("version: 2", "version: 0", "3: version must be a whole number from 1 to 2**63 - 1"),
        ("version: 2", "version: 1.0", "3: version must be a whole number from 1 to 2**63 - 1"),
        ("seeds: 3", "seeds: 0", "4: seeds, where it is no list, must be a whole number from 1 to "
         "1000"),
        ("seeds: 3", "seeds: 1:30", "4: seeds, where it is no list, must be a whole number from 1 "
         "to 1000"),
        ("seeds: 3", "seeds: 0x10", "4: seeds, where it is no list, must be a whole number from 1 "
         "to 1000"),
        ("seeds: 3", "seeds: []", "4: seeds must be a list of at least one"),
        ("seeds: 3", "seeds: {a: 1}", "4: seeds must be a list of at least one"),
        ("seeds: 3", "seeds:\n  - 1\n  - -1", "6: a seed must be a whole number from 0 to "
         "2**63 - 1"),
        ("seeds: 3", "seeds:\n  - 1\n  - 9223372036854775808", "6: a seed must be a whole number "
         "from 0 to 2**63 - 1"),
        ("seeds: 3", "seeds:\n  - 1\n  - 1", "6: seed 1 is given twice"),
        ("  - pair: 0.30", "  - pear: 0.30", "7: noise='pear': unknown name; did you mean "
         "'pair'? Known: asymmetric, class-dependent, clean, cluster, file, human, human-like, "
         "hybrid, instance, pair, pmd, symmetric"),
        ("  - pair: 0.30", "  - pair:0.3:4", "7: rate='0.3:4': must be a number"),
        ("  - pair: 0.30", "  - pair: 30%", "7: rate='30%': must be a number"),
        ("  - pair: 0.30", "  - pair: 1.5", "7: rate=1.5: must be between 0 and 1"),
        ("  - pair: 0.30", "  - pair: .nan", "7: rate='.nan': must be a number"),
        ("  - pair: 0.30", "  - pair:", "7: a rate must be text on one line, of at most 200 "
         "characters"),
        ("  - pair: 0.30", "  - pair: []", "7: rates of pair must be a list of at least one"),
        ("  - pair: 0.30", "  - pair: [[0.1]]", "7: a rate must be text on one line, of at most "
         "200 characters"),
        ("  - pair: 0.30", "  - pair", "7: noise='pair': needs a rate, as in pair:rate=..."),
        ("  - pair: 0.30", "  - [pair]", "7: a noise that is no spec must have the form KEY: "
         "VALUE"),
        ("  - pair: 0.30", "  - symmetric:0.20", "7: noise 'symmetric:0.2' is given twice"),
        ("  - pair: 0.30", "  - pair:\n    - 0.1\n    - 7", "9: rate=7.0: must be between 0 and 1"),
        ("accuracy >=", "accuracy =>", "12: threshold='accuracy => 0.8 at symmetric:rate=0.1': "
         "must be FIGURE OP NUMBER [at NOISE], such as 'accuracy >= 0.8 at human-like:0.2', "
         "with >=, <=, > or <"),
        ("drop <= 5%", "drop <= 5% at clean", "13: threshold='drop <= 5% at clean': there is no "
         "drop on clean labels; Known: human-like:0.2,effects=drawn, pair:0.3, pmd:0.2,type=2, "
         "symmetric:0.1, symmetric:0.2"),
        ("drop <= 5%", "drop: 5%", "13: a threshold must be text on one line, of at most 200 "
         "characters"),
    ],
)  # fmt: skip
def test_mistakes_by_line(tmp_path: Path, old: str, new: str, found: str) -> None:
    assert WHOLE.count(old) == 1
    assert error(write(tmp_path, WHOLE.replace(old, new))) == f"my.yaml:{found}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "1: is empty; needs noises and seeds"),
        ("# nothing\n", "1: is empty; needs noises and seeds"),
        ("- a\n", "1: the file must have the form KEY: VALUE"),
        ("seeds: 1\n", "1: needs noises"),
        ("seeds: 1\n---\nseeds: 2\n", "2: is no YAML: but found another document"),
        ("seeds: 1\nnoises: [clean\n", "3: is no YAML: expected ',' or ']', but got "
         "'<stream end>'"),
        ("seeds: 1\n\tnoises: 3\n", "2: is no YAML: found character '\\t' that cannot start any "
         "token"),
        ("seeds: 1\nname: a\x07\n", "2: has a character that YAML does not allow"),
        ("a: &a 1\nb: *a\n", "1: anchors (&) and aliases (*) are not allowed"),
        ("a: 1\nb: *a\n", "2: anchors (&) and aliases (*) are not allowed"),
        ("a: 1\n<<: {b: &x [1]}\n", "2: anchors (&) and aliases (*) are not allowed"),
        ("a: 1\nb: !!python/object/apply:os.system [true]\n", "2: tags (!) are not allowed"),
        ("a: 1\nb: !mine 3\n", "2: tags (!) are not allowed"),
        ("a:\n " + "[" * 5000, "2: is nested too deeply"),
        ("? [a]\n: 1\n", "1: a key must be text on one line, of at most 200 characters"),
    ],
)  # fmt: skip
def test_what_is_no_plain_yaml(tmp_path: Path, text: str, found: str) -> None:
    assert error(write(tmp_path, text)) == f"my.yaml:{found}"


def test_no_text(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_bytes(b"seeds: 1\nname: \xff\n")
    assert error(path) == "my.yaml:2: must be text in UTF-8"


def test_the_files_own_name_may_be_taken(tmp_path: Path) -> None:
    path = write(tmp_path, "seeds: 1\nnoises: [clean]\n", "smoke.yaml")
    assert error(path) == "smoke.yaml:1: 'smoke' is a suite of mislabel's own; needs another name"


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    with path.open("wb") as file:
        file.write(b"seeds: 1\n")
        os.truncate(file.fileno(), 10**10)  # sparse
    assert error(path) == "my.yaml: must be at most 1,000,000 bytes"


def test_no_file(tmp_path: Path) -> None:
    assert error(tmp_path / "my.yaml") == "my.yaml: cannot be read (No such file or directory)"
    assert error(tmp_path).endswith("cannot be read (it is no plain file)")


def test_errors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_suite(write(tmp_path, "? |\n a\n b\n: 1\n"))
    assert str(caught.value).count("\n") == 0
    assert str(caught.value).endswith(
        "my.yaml:1': a key must be text on one line, of at most 200 characters"
    )
