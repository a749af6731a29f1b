"""``mislabel bench audit``, and the epoch that held-out labels select."""

import json
from pathlib import Path

import pytest
from cli_examples import call, run_words

from tiny_data import snapshot, write_data


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    one_thread: None,
) -> Path:  # fmt: skip
    """The folder of a run with two methods and two seeds; one method selects its epoch."""
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    methods = ["standard", "gce:selection=noisy-validation"]
    assert call(capsys, *run_words(method=methods, seeds="2", epochs=2)).status == 0
    return Path("run")


def change(run: Path, **provenance: str | None) -> None:
    """Of both cells of Standard; None takes a key out."""
    for path in run.glob("cells/*/result.json"):
        content = json.loads(path.read_text())
        if content["method"] == "standard":
            changed = content["provenance"] | provenance
            content.pop("sha256", None)  # older versions wrote none
            content["provenance"] = {k: v for k, v in changed.items() if v is not None}
            path.write_text(json.dumps(content))


def test_audit(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(run)
    called = call(capsys, "bench", "audit", "run")
    expected = "Audited 4 trainings: no two seeds share initial weights or order.\n"
    assert (called.status, called.out, called.err) == (0, expected, "")
    called = call(capsys, "bench", "audit", "run", "--json")
    assert json.loads(called.out) == {"audited": 4, "unrecorded": 0, "findings": []}

    change(run, initial_weights_sha256="f" * 64, first_order_sha256="0" * 64)
    called = call(capsys, "bench", "audit", "run")
    assert (called.status, called.out) == (1, "")
    shared = "mislabel: standard under clean: seeds 1 and 2 share their"
    assert called.err.splitlines() == [
        f"{shared} initial weights (ffffffffffff)",
        f"{shared} order (000000000000)",
    ]
    called = call(capsys, "bench", "audit", "run", "--json")
    assert called.status == 1 and len(json.loads(called.out)["findings"]) == 2

    called = call(capsys, *run_words(seeds="2", epochs=2))
    assert called.status == 2 and called.out == ""
    assert called.err.splitlines()[-1] == (
        "mislabel: error: seeds=[1, 2]: share their initial weights in standard under clean; "
        "1 more with `mislabel bench audit`; the trainings are stored, but these are no "
        "independent draws"
    )
    assert snapshot(run).keys() == before.keys()


def test_older_trainings_are_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(run, initial_weights_sha256=None, first_order_sha256=None)
    line = (
        "mislabel: warning: 2 of 4 trainings record no hashes of initial weights and order; "
        "their seeds cannot be audited"
    )
    called = call(capsys, "bench", "audit", "run")
    assert called.status == 0 and called.err.splitlines() == [line]
    assert called.out.startswith("Audited 2 trainings: ")
    called = call(capsys, *run_words(seeds="2", epochs=2))
    assert called.status == 0 and called.err.splitlines()[-1] == line


def test_no_run_to_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    called = call(capsys, "bench", "audit", "nothing")
    assert called.status == 2
    assert called.err == "mislabel: error: run='nothing': holds no run (no run.json)\n"


def test_the_selected_epoch(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called = call(capsys, "bench", "table", "run", "--epoch", "selected", "--format", "markdown")
    assert called.status == 0
    assert "| Standard | – |" in called.out
    assert "epoch selected on held-out noisy labels" in called.out
    called = call(capsys, "bench", "report", "run", "--epoch", "selected")
    assert called.status == 0

    before = snapshot(Path())
    rule = "no training holds labels out; give a method selection=noisy-validation"
    called = call(capsys, *run_words(epoch="selected", out="other"))
    assert (called.status, called.out) == (2, "")
    assert called.err == f"mislabel: error: epoch='selected': {rule}\n"
    assert snapshot(Path()) == before
