"""``mislabel stress``: every command, on arrays and code that cost next to nothing."""

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from cli_examples import Called, call, spell

from page_reader import check_self_contained, explorer_about, follow
from tiny_data import files

N = 90
CODE = """
import numpy as np

def train(x, y, *, seed):
    means = np.stack([x[y == c].mean(axis=0) for c in range(3)])
    return lambda z: ((z[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)

def nearest(x, y, *, seed):
    return lambda z: y[((z[:, None] - x) ** 2).sum(axis=2).argmin(axis=1)]

def broken(x, y, *, seed):
    raise RuntimeError("no [bold]luck[/bold] today")

def share(clean, predicted):
    return (clean == predicted).mean()
"""
PROGRAM = """
import json, sys
import numpy as np
labels, out, seed = sys.argv[1:]
json.dump({"loss": float(seed) / 10, "n": len(np.load(labels))}, open(out, "w"))
"""
SUITE = """
name: tiny
seeds: 2
noises:
  - symmetric: 0.2
thresholds:
  - accuracy >= 0.1
"""
RUN: dict[str, Any] = {
    "--data": "npz:tiny.npz",
    "--train": "code_under_test:train",
    "--suite": "tiny.yaml",
    "--out": "run",
    "--workers": "1",
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays of three classes far apart, code, a program and a suite, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "code_under_test", raising=False)
    rng = np.random.default_rng(0)
    y = np.arange(N) % 3
    x = (rng.normal(size=(N, 2)) + 8 * np.eye(3)[y, :2]).astype(np.float32)
    np.savez("tiny.npz", x_train=x, y_train=y, x_test=x + 0.1, y_test=y)
    Path("code_under_test.py").write_text(CODE)
    Path("program.py").write_text(PROGRAM)
    Path("tiny.yaml").write_text(SUITE)


def run(capsys: pytest.CaptureFixture[str], *more: str, **changes: Any) -> Called:
    return call(capsys, "stress", "run", *spell(RUN, **changes), *more)


def test_run_passes_and_writes_everything(capsys: pytest.CaptureFixture[str]) -> None:
    called = run(capsys, "--junit", "verdict.xml")
    assert called.status == 0, called.err
    assert "PASS" in called.out and "accuracy >= 0.1 at symmetric:0.2" in called.out
    assert "training 4/4" in called.err
    assert ElementTree.parse("verdict.xml").getroot().tag in ("testsuite", "testsuites")
    page = Path("run/report.html").read_text()
    assert 'class="state pass"' in page and Path("run").absolute().as_uri() in called.out
    metadata = json.loads(Path("run/stress.json").read_text())
    assert metadata["command"] == (
        "mislabel stress run --data npz:tiny.npz --train code_under_test:train --suite tiny.yaml"
    )


def test_a_reference_stands_beside_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    called = run(capsys, "--json", reference="standard:epochs=1", seeds="1")
    assert called.status == 3 and "training 4/4" in called.err
    noisy = json.loads(called.out)["noises"][1]["subjects"]
    assert list(noisy) == ["yours", "standard:epochs=1"]
    assert noisy["standard:epochs=1"]["metrics"]["accuracy"]["count"] == 1


def test_a_threshold_that_is_not_met_is_status_one(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--threshold", "drop <= 0.01 at symmetric:0.2"]
    called = run(capsys, *words, "--json", train="code_under_test:nearest", seeds="3")
    assert called.status == 1
    found = json.loads(called.out)
    assert found["state"] == "fail"
    assert {"headlines", "advice"} <= found["findings"].keys()


def test_one_seed_decides_nothing_and_more_seeds_are_added(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = run(capsys, seeds="1")
    assert first.status == 3 and "UNDECIDED" in first.out
    made = {path.name for path in Path("run/cells").iterdir()}
    second = run(capsys, seeds="3")
    assert second.status == 0
    assert made < {path.name for path in Path("run/cells").iterdir()}


def test_a_failed_training_is_shown_with_its_log(capsys: pytest.CaptureFixture[str]) -> None:
    called = run(capsys, train="code_under_test:broken", seeds="1")
    assert called.status == 1
    assert "RuntimeError: no [bold]luck[/bold] today" in " ".join(called.out.split())
    assert "Traceback" in Path("run/report.html").read_text()
    assert "RuntimeError" in next(Path("run/cells").glob("*/log.txt")).read_text()


def test_a_command_with_a_metric_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    program = f"{sys.executable} program.py {{labels}} {{out}} {{seed}}"
    words = ["--metric", "loss", "--lower-is-better", "--threshold", "loss <= 0.5"]
    Path("tiny.yaml").write_text(SUITE.partition("thresholds")[0])
    called = run(capsys, *words, "--json", train=program)
    assert called.status == 3, called.err  # 0.1 and 0.2: two seeds are too few for 0.5
    again = json.loads(Path("run/stress.json").read_text())["command"]
    assert again.endswith("--threshold 'loss <= 0.5' --metric loss --lower-is-better")
    loose = call(capsys, "stress", "check", "run", "--threshold", "loss <= 5")
    assert loose.status == 0


def test_a_metric_function(capsys: pytest.CaptureFixture[str]) -> None:
    called = run(capsys, metric="code_under_test:share", threshold="share >= 0.5")
    assert called.status == 0, called.err


def test_check_report_and_diff(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys).status == 0
    changed = run(capsys, out="worse", train="code_under_test:nearest")
    assert changed.status in (0, 3)
    tight = call(capsys, "stress", "check", "run", "--threshold", "accuracy >= 1.1", "--json")
    assert tight.status == 1 and json.loads(tight.out)["state"] == "fail"
    page = call(capsys, "stress", "report", "run", "-o", "page.html", "--json")
    assert json.loads(page.out) == {"page": "page.html"} and Path("page.html").is_file()
    same = call(capsys, "stress", "diff", "run", "run")
    assert same.status == 0 and "no difference" in same.out
    other = call(capsys, "stress", "diff", "run", "worse", "--json")
    assert [d["noise"] for d in json.loads(other.out)["noises"]] == ["clean", "symmetric:0.2"]


def report(capsys: pytest.CaptureFixture[str], **options: Any) -> Called:
    return call(capsys, "stress", "report", "run", *spell({}, **options))


def check_explorer(folder: str, page: str) -> dict[str, Any]:
    """What the explorer knows, to whose one set of labels the page links."""
    text = Path(page).read_text()
    top, row = check_self_contained(text, f"{folder}/index.html").links()
    index = Path(folder, "index.html")
    assert follow(Path(page), top) == (index, {})
    assert follow(Path(page), row) == (index, {"labels": "0", "ring": "flipped"})
    about = explorer_about(Path(folder))
    assert [one["name"] for one in about["sets"]] == ["Symmetric at 20 %, seed 1"]
    return about


def test_report_with_an_explorer(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys).status == 0
    drawn = report(capsys, o="page.html", explorer="drawn", data="npz:tiny.npz")
    assert (drawn.status, drawn.err) == (0, "")
    assert drawn.out.splitlines() == ["page.html", "drawn/index.html"]
    np.save("map.npy", np.random.default_rng(0).normal(size=(N, 2)))
    given = report(capsys, o="given.html", explorer="given", map="map.npy")
    assert given.status == 0
    [line] = given.err.splitlines()
    assert line.startswith("mislabel: warning: the explorer has no images, for want of --data (")
    about, other = check_explorer("drawn", "page.html"), check_explorer("given", "given.html")
    assert about["dataHash"] == other["dataHash"] and about["count"] == other["count"] == N
    assert Path("drawn/data/labels0-0.js").read_bytes() == (
        Path("given/data/labels0-0.js").read_bytes()
    )
    assert Path("drawn/data/positions-0.js").read_bytes() != (
        Path("given/data/positions-0.js").read_bytes()
    )


def test_bad_explorers_are_one_line_and_nothing_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(capsys).status == 0
    np.save("short.npy", np.zeros((N - 1, 2)))
    x = np.zeros((N, 2), dtype=np.float32)
    y = np.arange(N) % 3
    np.savez("other.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    before = files(Path())
    for options, words in (
        ({"explorer": "x"}, "map=None: is needed by --explorer, as the test keeps none"),
        ({"explorer": "x", "map": "short.npy"}, "map="),
        ({"explorer": "x", "map": "none.npy"}, "map='none.npy'"),
        ({"explorer": "x", "data": "npz:other.npz"}, "data='npz:other.npz': holds other examples"),
        ({"explorer": "run"}, "explorer='run': holds other things"),
        ({"explorer": "x", "o": "x/page.html"}, "must be a folder apart from x/page.html"),
        ({"map": "short.npy"}, "map='short.npy': goes with --explorer"),
        ({"explorer": "x", "threshold": "nothing"}, "threshold='nothing'"),
    ):
        found = report(capsys, **options)
        assert (found.status, found.out) == (2, "")
        line = found.err.splitlines()[-1]
        assert line.startswith("mislabel: error: ") and words in line
        assert files(Path()) == before


def test_plan_counts_times_and_keeps(capsys: pytest.CaptureFixture[str]) -> None:
    words = spell(RUN, out=None)
    counted = call(capsys, "stress", "plan", *words, "--no-timing", "--json")
    assert counted.status == 0
    plan = json.loads(counted.out)
    assert plan["trainings"] == 4 and plan["seconds"] is None and plan["workers"] == 1
    assert not Path("run").exists()
    timed = call(capsys, "stress", "plan", *spell(RUN))
    assert timed.status == 0 and "To run: 3 trainings, 1 at a time, about" in timed.out
    kept = [path.name for path in Path("run/cells").iterdir()]
    assert len(kept) == 1
    assert run(capsys).status == 0
    assert kept[0] in {path.name for path in Path("run/cells").iterdir()}


def test_plan_finds_out_what_fails(capsys: pytest.CaptureFixture[str]) -> None:
    called = call(capsys, "stress", "plan", *spell(RUN, out=None, train="code_under_test:broken"))
    assert called.status == 1
    assert "exit status 1: RuntimeError: no [bold]luck[/bold] today" in called.out


def test_suites(capsys: pytest.CaptureFixture[str]) -> None:
    listed = call(capsys, "stress", "suites")
    assert "smoke v1" in listed.out and "65 trainings" in listed.out
    found = json.loads(call(capsys, "stress", "suites", "--json").out)
    assert [suite["name"] for suite in found] == ["smoke", "human-like", "standard"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": "code_under_test:trian"}, "train='code_under_test:trian': cannot be loaded"),
        ({"train": "python x.py {lables} {out}"}, "unknown name {lables}; did you mean 'labels'?"),
        ({"train": "python x.py {labels}"}, "must name {out}"),
        ({"train": "nothing"}, "must name {labels}"),
        ({"suite": "smok"}, "unknown suite, and no .yaml file; did you mean 'smoke'?"),
        ({"suite": "none.yaml"}, "suite='none.yaml'"),
        ({"threshold": "accuracy => 1"}, "must be FIGURE OP NUMBER"),
        ({"threshold": "drop <= 0 at symmetric:0.3"}, "symmetric:0.3"),
        ({"reference": "snsl"}, "did you mean 'snls'?"),
        ({"timeout": "0"}, "timeout=0.0: must be above 0"),
        ({"workers": "0"}, "workers=0: must be at least 1"),
        ({"labels-format": "txt", "train": "x {labels} {out}"}, "labels_format='txt'"),
        ({"seeds": "0"}, "seeds='0': must be between 1 and 10000"),
        ({"metric": "code_under_test:nothing"}, "metric='code_under_test:nothing'"),
        ({"metric": "acuracy"}, "unknown metric; did you mean 'accuracy'?"),
        ({"threshold": "accurcy >= 1"}, "unknown figure 'accurcy'; did you mean 'accuracy'?"),
        ({"junit": "."}, "junit='.': is a folder"),
        ({"code": "missing.py"}, "code='missing.py': no such file or folder"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str], changes: dict[str, str], message: str
) -> None:
    called = run(capsys, **{name.replace("-", "_"): value for name, value in changes.items()})
    assert called.status == 2
    assert message in called.err and called.err.count("\n") == 1
    assert not Path("run").exists()


def test_other_code_needs_another_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys).status == 0
    before = Path("run/stress.json").read_text()
    refused = run(capsys, train="code_under_test:nearest")
    assert refused.status == 2
    assert "holds the test of other code" in refused.err
    assert Path("run/stress.json").read_text() == before
    assert run(capsys, "--replace", train="code_under_test:nearest").status in (0, 3)


def test_a_command_that_is_not_told_the_seed_is_warned_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    program = f"{sys.executable} program.py {{labels}} {{out}} 1"
    words = ["stress", "plan", *spell(RUN, out=None, train=program), "--no-timing"]
    assert "warning: the command has no {seed}" in call(capsys, *words).err
    words[words.index(program)] = program.replace(" 1", " {seed}")
    assert "warning" not in call(capsys, *words).err
