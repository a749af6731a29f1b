"""docs/learning.md: its table is the registry, its Python runs, its commands parse."""

import re
import shlex
from pathlib import Path

import pytest
from learning_examples import RECORDS, blobs, make

from mislabel.learning import MethodRecord

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/learning.md").read_text(encoding="utf-8")


def table() -> dict[str, list[str]]:
    """Cells of the table of methods by spec."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", PAGE, flags=re.M)
    return {name: rest.split(" | ") for name, rest in rows}


def test_the_table_is_the_registry() -> None:
    found = table()
    assert list(found) == [record.name for record in RECORDS]
    for record in RECORDS:
        title, paper, needs, corrects = found[record.name]
        assert (title, paper) == (record.title, record.paper)
        assert ("features" in needs) is record.uses_features
        assert ("in prediction too" in needs) is record.estimator.predicts_from_features
        assert ("noise rate" in needs) is ("noise_rate" in record.estimator().get_params())
        assert corrects in ("yes", "no")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_the_table_says_which_methods_correct_labels(record: MethodRecord) -> None:
    x, y = blobs(40, 2)
    method = make(record, epochs=1).fit(x, y)
    corrects = table()[record.name][-1] == "yes"
    assert corrects is (method.corrected_labels_ is not None)


def test_its_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    for example in re.findall(r"```python\n(.*?)```", PAGE, flags=re.S):
        exec(compile(example, "learning.md", "exec"), scope)  # our own text
    found, corrected = map(float, capsys.readouterr().out.splitlines()[0].split())
    assert found >= 0.8  # of the ten most suspicious labels; by chance 0.3
    assert corrected > 0.7  # of all labels; as given 0.7


def test_its_commands_parse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each gets as far as the data or files it names, which are not here."""
    from mislabel.cli import main

    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.S)
    commands = [c for c in block.replace("\\\n", " ").splitlines() if c.startswith("mislabel")]
    assert len(commands) == 5
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(command)[1:])
        error = capsys.readouterr().err
        assert stop.value.code == 2 and re.search(r"no such|holds no training|PATH", error), error
