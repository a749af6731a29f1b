"""Files cut short, flipped by a bit, or of another version: found out, named, and never used.

Every kind of file of every kind of folder. What is read from a damaged folder must be refused with
a line that names the file, or be what was read before: then the bit means nothing (a blank, a time
in an archive, a file that nothing reads). The same command then mends the folder or refuses it.
"""

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import Record, Undisturbed
from kinds import BENCHMARK, KINDS, STRESS, STUDY, Kind
from test_ended import train_words
from undertaking import Undertaking, content, eventually, hidden, run

from mislabel.benchmark import load_results, load_training
from mislabel.errors import InputError
from mislabel.files import hash_json
from mislabel.labels import load_labels
from mislabel.learning import load_method
from mislabel.learning.checkpoint import load_state
from mislabel.memorization.aggregate import study_scores
from mislabel.memorization.store import DamagedRow, StudyFolder
from mislabel.stress.store import StressFolder

Reader = Callable[[Path], Any]
TRAINING = "training"


def read_benchmark(out: Path) -> Any:
    found = load_results(out)
    return [found.metadata, found.map, *found.cells, *(_labels(n.labels) for n in found.noises)]


def read_study(out: Path) -> Any:
    folder = StudyFolder(out)
    rows = [[folder.row(n, folder.kept), folder.about(n)] for n in folder.runs()]
    return [folder.metadata, vars(folder.labels), vars(study_scores(folder)), rows]


def read_stress(out: Path) -> Any:
    found = StressFolder(out).results()
    logs = [StressFolder(out).log_tail(cell) for cell in found.cells]
    labels = [_labels(load_labels(path)) for path in sorted((out / "labels").glob("*.parquet"))]
    return [vars(found), logs, labels]


def read_training(out: Path) -> Any:
    found = load_training(out)
    method = found.method()
    examples = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    probabilities = method.predict_proba(examples)
    return [found.receipt, found.curves, found.scores, method.get_params(), probabilities]


def _labels(labels: Any) -> Any:
    return [labels.labels, labels.clean_labels, labels.n_classes, labels.receipt]


READERS: dict[str, Reader] = {
    "benchmark": read_benchmark, "study": read_study, "stress": read_stress,
    TRAINING: read_training,
}  # fmt: skip


def plain(value: Any) -> str:
    """A value as text, arrays with all their bits."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {value.tobytes().hex()}"
    if isinstance(value, dict):
        return str({str(k): plain(v) for k, v in value.items()})
    return str([plain(v) for v in value]) if isinstance(value, list | tuple) else repr(value)


def groups(out: Path) -> dict[str, list[Path]]:
    """Files of a folder by what they are: names of cells, runs and noises are left out."""
    found: dict[str, list[Path]] = {}
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        name = str(path.relative_to(out))
        name = re.sub(r"cells/\w+/", "cells/*/", name)
        name = re.sub(r"labels/.*?parquet", "labels/*.parquet", name)
        found.setdefault(re.sub(r"runs/\d+", "runs/*", name), []).append(path)
    return {n: paths for n, paths in found.items() if not n.endswith((".html", ".png"))}


def flipped(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(8 * len(content))
    changed = bytearray(content)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


@pytest.fixture(scope="session")
def trained(inputs: Path) -> Path:
    """The folder of a finished training."""
    out = inputs / "a-training"
    words = train_words(inputs, out)
    words[words.index("400")] = "3"
    assert run(words, inputs / "trains").process.exitcode == 0
    return out


@pytest.mark.parametrize("how", [flipped, cut], ids=["a flipped bit", "cut short"])
@pytest.mark.parametrize("name", READERS)
def test_damage_is_found_out(
    name: str, how: Callable[[bytes, random.Random], bytes], inputs: Path, trained: Path,
    undisturbed: Undisturbed, tmp_path: Path, tries: int, rng: random.Random, record: Record,
) -> None:  # fmt: skip
    for kind in KINDS:
        if kind.name == name:
            undisturbed(kind)
    source = trained if name == TRAINING else inputs / f"{name}-out"
    out = Path(shutil.copytree(source, tmp_path / "out"))
    read = READERS[name]
    before = plain(read(out))
    title = {k.name: k.title for k in KINDS}.get(name, name)
    for group, paths in groups(out).items():
        refused = 0
        for _ in range(tries):
            path = rng.choice(paths)
            whole = path.read_bytes()
            if not whole:
                continue
            path.write_bytes(how(whole, rng))
            message = problem(read, out)
            if message is None:
                assert plain(read(out)) == before, f"{path} was used"
            else:
                refused += 1
                assert path.name in message or path.parent.name in message
                assert "\n" not in message
            path.write_bytes(whole)
        assert plain(read(out)) == before
        fault = "a bit flipped" if how is flipped else "a file cut short"
        record(f"{fault}: {group}", title, tried=tries, outcome=f"{refused} refused, named; "
               f"{tries - refused} without meaning: read the same")  # fmt: skip


def problem(read: Reader, out: Path) -> str | None:
    try:
        read(out)
    except (InputError, DamagedRow) as error:
        return str(error)
    return None


@pytest.mark.parametrize("how", [flipped, cut], ids=["a flipped bit", "cut short"])
def test_the_same_command_mends_or_refuses(
    kind: Kind, how: Callable[[bytes, random.Random], bytes], inputs: Path,
    undisturbed: Undisturbed, rng: random.Random, record: Record,
) -> None:  # fmt: skip
    """Trainings are done again, what they rest on is not: it is refused, and named."""
    _, there = undisturbed(kind)
    place = inputs / f"mended-{kind.name}"
    source, read = inputs / f"{kind.name}-out", READERS[kind.name]
    before, outcomes = plain(read(source)), dict[str, str]()
    for group, paths in groups(source).items():
        shutil.rmtree(place, ignore_errors=True)
        out = Path(shutil.copytree(source, place / "out"))
        path = out / rng.choice(paths).relative_to(source)
        if not (whole := path.read_bytes()):
            continue
        while problem(read, out) is None:
            path.write_bytes(how(whole, rng))
        again = run(kind.words(inputs, out), place)
        text = (again.folder / "stderr").read_text()
        if again.process.exitcode == 0:
            outcomes[group] = "made again by the same command"
            assert content(out) == there and hidden(out) == [] and plain(read(out)) != ""
        else:
            outcomes[group] = "refused"
            assert again.process.exitcode == 2 and "Traceback" not in text
            assert path.name in text or path.parent.name in text, text
    assert all(
        outcome.startswith("made again") == group.startswith(("cells", "runs", "map.npy"))
        for group, outcome in outcomes.items()
    ), outcomes
    assert before == plain(read(source))
    fault = "a bit flipped" if how is flipped else "a file cut short"
    for group, outcome in outcomes.items():
        record(f"{fault}, then the same command: {group}", kind.title, tried=1, outcome=outcome)


@pytest.mark.parametrize("how", [flipped, cut], ids=["a flipped bit", "cut short"])
def test_a_damaged_checkpoint(
    how: Callable[[bytes, random.Random], bytes], inputs: Path, tries: int, rng: random.Random,
    tmp_path: Path, record: Record, undertaken: list[Undertaking],
) -> None:  # fmt: skip
    place = inputs / f"checkpoint-{how.__name__}"
    out = place / "out"
    undertaking = Undertaking(train_words(inputs, out), place)
    undertaken.append(undertaking)
    assert eventually((out / "checkpoint.safetensors").exists)
    undertaking.end()
    path = out / "checkpoint.safetensors"
    whole, before, refused = path.read_bytes(), plain(load_state(path)), 0
    for _ in range(tries):
        path.write_bytes(how(whole, rng))
        try:
            assert plain(load_state(path)) == before, "it was used"
        except InputError as error:
            refused += 1
            assert str(path) in str(error)
    while True:
        path.write_bytes(how(whole, rng))
        try:
            load_state(path)
        except InputError:
            break
    again = run(train_words(inputs, out, "--resume"), place)
    assert again.process.exitcode == 2 and "checkpoint.safetensors" in again.lines[-1]
    path.unlink()
    assert run(train_words(inputs, out, "--resume"), place).process.exitcode == 0
    fault = "a bit flipped" if how is flipped else "a file cut short"
    record(f"{fault}: checkpoint.safetensors", TRAINING, tried=tries,
           outcome=f"{refused} refused, named; {tries - refused} without meaning: read the same; "
           "without the file the training starts afresh")  # fmt: skip


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("benchmark", "run.json"), ("benchmark", "labels/*.json"), ("study", "study.json"),
        ("stress", "stress.json"), ("stress", "labels/*.json"), (TRAINING, "receipt.json"),
        (TRAINING, "model.json"),
    ],
)  # fmt: skip
def test_another_version(
    name: str, pattern: str, inputs: Path, trained: Path, undisturbed: Undisturbed,
    tmp_path: Path, record: Record,
) -> None:  # fmt: skip
    """Whole, with a seal of its own, and of a format that is not known here."""
    kinds = {kind.name: kind for kind in (BENCHMARK, STUDY, STRESS)}
    if name in kinds:
        undisturbed(kinds[name])
    source = trained if name == TRAINING else inputs / f"{name}-out"
    out = Path(shutil.copytree(source, tmp_path / "out"))
    path = sorted(out.glob(pattern))[0]
    found = json.loads(path.read_text())
    del found["sha256"]
    found["format"] = 2
    path.write_text(json.dumps(found | {"sha256": hash_json(found)}))
    message = problem(load_method if pattern == "model.json" else READERS[name], out)
    assert message is not None and path.name in message and "format 1" in message
    if name in kinds:
        again = run(kinds[name].words(inputs, out), inputs / "again")
        assert again.process.exitcode == 2 and path.name in again.lines[-1]
    title = kinds[name].title if name in kinds else name
    record(f"another format version: {pattern}", title, tried=1, outcome="refused, named")
