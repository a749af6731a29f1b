"""``mislabel demo``, the real one: about forty seconds on two cores."""

import json
from pathlib import Path

import pytest
from cli_examples import call

from mislabel.benchmark import load_results, summarise
from mislabel.cli.demo import METHODS, NOISES, SEEDS
from tiny_data import snapshot

pytestmark = pytest.mark.slow


def test_demo_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    called = call(capsys, "demo")
    assert called.status == 0
    n_cells = len(NOISES) * len(METHODS) * len(SEEDS)
    results = load_results("runs/demo")
    assert len(results.cells) == n_cells == 63 and results.n_missing == 0
    page = Path("runs/demo/report.html").absolute()
    assert called.out.splitlines()[-1] == f"Page: {page.as_uri()}" and page.is_file()
    for noise in NOISES:
        assert any(line.startswith(f"│ {noise} ") for line in called.out.splitlines())
    assert called.err.splitlines()[-1] == f"training {n_cells}/{n_cells}"
    assert all(line.startswith("training ") for line in called.err.splitlines())

    for column in results.noises:
        rate = float(column.spec.partition(":")[2] or 0)
        assert column.labels.rate == pytest.approx(rate, abs=0.5 / len(column.labels))
    clean, patches = (
        summarise(results.select(noise=noise, method="standard")).mean
        for noise in ("clean", "cluster:0.4")
    )
    assert clean is not None and patches is not None
    assert patches < clean - 0.1  # half of all patches are learned as if they were right

    before = snapshot(Path("runs/demo/cells"))
    again = call(capsys, "demo", "--json")
    assert again.status == 0 and again.err == f"training {n_cells}/{n_cells}\n"
    assert len(json.loads(again.out)["table"]) == len(NOISES) * len(METHODS)
    assert snapshot(Path("runs/demo/cells")) == before
