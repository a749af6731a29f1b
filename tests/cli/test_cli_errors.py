"""Bad input: one exact line on stderr, status 2, nothing on stdout, nothing written."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_examples import MAKE, call, run_words, spell

from mislabel.cli import main
from mislabel.errors import InputError
from tiny_data import N_TRAIN, blobs, files, snapshot, write_data

CLEAN = blobs(N_TRAIN, 0)[1]


class Dangerous:
    """Unpickling this makes a file called ``executed``."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


def changed(value: float) -> np.ndarray:
    """The clean labels, but for one at index 4."""
    return np.where(np.arange(N_TRAIN) == 4, value, CLEAN)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with good data and all kinds of bad files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MISLABEL_DATA", raising=False)
    write_data(tmp_path)
    lonely = np.where(np.arange(N_TRAIN) == np.flatnonzero(CLEAN == 2)[0], 3, CLEAN)
    write_data(tmp_path, "single.npz", y_train=lonely, class_names=np.array(list("abcd")))
    np.save("short.npy", CLEAN[:50])
    np.save("range.npy", changed(3).astype(int))
    np.save("negative.npy", changed(-1).astype(int))
    np.save("fraction.npy", changed(0.5))
    np.save("nan.npy", changed(np.nan))
    np.save("good.npy", CLEAN)
    np.save("object.npy", np.array([Dangerous()], dtype=object), allow_pickle=True)
    np.savez("object.npz", **dict.fromkeys(("x_train", "y_train", "x_test", "y_test"),
                                           np.array([Dangerous()], dtype=object)))  # fmt: skip
    torch.save({"noisy_label": Dangerous()}, "code.pt")
    Path("plain.pt").write_bytes(pickle.dumps(Dangerous()))
    for name in ("good.npy", "tiny.npz"):
        Path(f"cut{Path(name).suffix}").write_bytes(Path(name).read_bytes()[:200])
        Path(f"empty{Path(name).suffix}").touch()
    Path("labels.txt").write_text("1\n")
    Path("two.csv").write_text("first,second\n1,2\n")
    Path("file").write_text("a file")
    Path("full").mkdir()
    Path("full/thesis.tex").write_text("years of work")
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line of a refusal, without its beginning."""
    folder = Path.cwd()
    before, names = snapshot(folder), files(folder)
    called = call(capsys, *words)
    assert called.status == 2 and called.out == ""
    assert snapshot(folder) == before and files(folder) == names
    lines = called.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("mislabel: error: ")
    return lines[0].removeprefix("mislabel: error: ")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("short.npy", "labels='50 labels': must have length 60"),
        ("range.npy", "labels=3: at index 4; must be between 0 and 2"),
        ("negative.npy", "labels=-1: at index 4; must be between 0 and 2"),
        ("fraction.npy", "labels=0.5: at index 4; must be a whole number"),
        ("nan.npy", "labels=nan: at index 4; must be a whole number"),
        ("missing.npy", "labels='missing.npy': no such file"),
        ("empty.npy", "labels='empty.npy': is empty"),
        ("cut.npy", "labels='cut.npy': is not a complete .npy file of numbers ("),
        ("object.npy", "labels='object.npy': is not a complete .npy file of numbers "
         "(it holds pickled objects, which are never loaded)"),
        ("code.pt", "labels='code.pt': is a pickle that refers to posix.system; "
         "only plain arrays are read, nothing is executed"),
        ("plain.pt", "labels='plain.pt': cannot be read as an archive of torch.save "
         "(File is not a zip file)"),
        ("labels.txt",
         "labels='labels.txt': unknown format; use one of .npy, .csv, .parquet, .pt"),
        ("two.csv",
         "labels=['first', 'second']: holds several sets of labels; name one as column"),
        ("two.csv,column=frist",
         "labels='frist': unknown labels; did you mean 'first'? Known: first, second"),
    ],
)  # fmt: skip
def test_label_files(file: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = refused(capsys, *run_words(noise=f"file:{file}"))
    assert found.startswith(message) if message.endswith("(") else found == message
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "digts"}, "data='digts': unknown name; did you mean 'digits'? Known: "),
        ({"noise": "clustr:0.2"}, "noise='clustr': unknown name; did you mean 'cluster'? Known: "),
        ({"method": "standrad"},
         "method='standrad': unknown name; did you mean 'standard'? Known: "),
        ({"encoder": "pixls"}, "encoder='pixls': unknown name; did you mean 'pixels'? Known: "),
        ({"network": "nlp"}, "network='nlp': unknown name; did you mean 'mlp'? Known: "),
        ({"recipe": "fats"}, "recipe='fats': unknown; did you mean 'fast'? Known: "),
        ({"epoch": "bset"}, "epoch='bset': unknown choice; did you mean 'best'? Known: "),
        ({"noise": "human:random_lable1"},
         "which='random_lable1': unknown human labels; did you mean 'random_label1'? Known: "),
        ({"noise": "symmetric:rat=0.2"},
         "noise='symmetric:rat=0.2': unknown parameter 'rat'; did you mean 'rate'? Known: "),
    ],
    ids=str,
)  # fmt: skip
def test_unknown_names_come_with_the_nearest(
    changes: Any, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, *run_words(**changes)).startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "npz:nope.npz"}, "data='nope.npz': no such file"),
        ({"data": "npz:cut.npz"}, "data='cut.npz': is not an .npz file, or it is cut short"),
        ({"data": "npz:empty.npz"}, "data='empty.npz': is not an .npz file, or it is cut short"),
        ({"data": "npz:object.npz"}, "data='object.npz': its x_train cannot be read "
         "(it holds pickled objects, which are never loaded)"),
        ({"data": "npz"}, "data='npz': needs a path, such as npz:arrays.npz"),
        ({"data": "digits:x"}, "data='digits:x': digits takes no path"),
        ({"data": "npz:single.npz", "noise": "pmd:0.3"}, "labels='class 3': has 1 example; "
         "cross-fitted probabilities need at least 2 of each class"),
        ({"noise": "symmetric:-0.1"}, "rate=-0.1: must be between 0 and 1"),
        ({"noise": "symmetric:1.2"}, "rate=1.2: must be between 0 and 1"),
        ({"noise": "symmetric"}, "noise='symmetric': needs a rate, as in symmetric:rate=..."),
        ({"noise": "symmetric:x"}, "rate='x': must be a number"),
        ({"noise": "pmd:-0.1"}, "rate=-0.1: must be between 0 and 1"),
        ({"noise": "cluster:n=9999,r=2"},
         "n=9999: class 0 has 20 examples; at most as many centres"),
        ({"method": "gce:q=2"}, "q=2.0: must be above 0 and at most 1"),
        ({"method": "snls:k=0"}, "k=0: must be a whole number of at least 1"),
        ({"network": "cnn"}, "network='cnn': takes images; for feature vectors use 'mlp'"),
        ({"map": "short.npy"}, "map='short.npy': must hold a matrix of numbers (N, d), "
         "not int64 (50,)"),
        ({"map": "nope.npy"}, "map='nope.npy': no such file"),
        ({"features": "nope.npy"}, "features='nope.npy': no such file"),
        ({"subset": "2"}, "subset=2: must be a whole number from 3 (classes) to 60 (examples)"),
        ({"image_size": "8"},
         "image_size=8: is for image folders; the examples of npz are taken as they are"),
        ({"epochs": "0"}, "epochs=0: must be a whole number, at least 1"),
        ({"workers": "0"}, "workers=0: must be at least 1"),
        ({"device": "gpu"}, "device='gpu': must be auto, cpu or cuda"),
        ({"seed": "-1"}, "seed=-1: must be a whole number from 0 to 2**63 - 1"),
        ({"seeds": "0"}, "seeds='0': must be between 1 and 10000"),
        ({"seeds": "10001"}, "seeds='10001': must be between 1 and 10000"),
        ({"seeds": "x"}, "seeds='x': must be a number of seeds (3) or seeds with commas (4,5)"),
        ({"seeds": ","}, "seeds=',': must be a number of seeds (3) or seeds with commas (4,5)"),
        ({"seeds": "1,-2"}, "seed=-2: must be a whole number from 0 to 2**63 - 1"),
        ({"out": "full"},
         "out='full': holds other things; give a new or empty folder, or one with a run"),
        ({"out": "file"}, "out='file': is a file; must be a folder"),
        ({"out": "file/run"}, "out='file/run': cannot be written"),
    ],
    ids=str,
)  # fmt: skip
def test_runs(changes: Any, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, *run_words(**changes)) == message


def test_cuda_without_a_gpu(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = refused(capsys, *run_words(device="cuda"))
    assert found == "device='cuda': PyTorch finds no CUDA device here"


def test_a_rate_that_cannot_be_reached_says_what_can(capsys: pytest.CaptureFixture[str]) -> None:
    """The range is the truth: its ends can be had, one example further cannot."""
    found = refused(capsys, *run_words(noise="pmd:0.99"))
    start, end = "cannot be reached with these probabilities; between ", " can"
    assert start in found and found.endswith(end)
    low, high = map(float, found.partition(start)[2].removesuffix(end).split(" and "))
    assert 0 <= low < high < 0.99
    below = np.floor(high * N_TRAIN) / N_TRAIN
    assert call(capsys, "noise", "pmd", *spell(MAKE, rate=below)).status == 0
    words = spell(MAKE, rate=(np.floor(high * N_TRAIN) + 2) / N_TRAIN, o="more.csv")
    assert start in refused(capsys, "noise", "pmd", *words)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("symmetric", {"rate": "2"}, "rate=2.0: must be between 0 and 1"),
        ("pmd", {}, "rate=None: give either rate or factor, not both"),
        ("cluster", {"n": None, "r": None}, "rate=None: give either rate or r (with n), not both"),
        ("symmetric", {"rate": "0.2", "o": "labels.xyz"},
         "output='labels.xyz': unknown format; use one of .npy, .csv, .parquet, .pt"),
        ("symmetric", {"rate": "0.2", "o": "file/x.csv"}, "output='file/x.csv': cannot be written"),
        ("symmetric", {"rate": "0.2", "o": "out", "data": "npz:nope.npz"},
         "output='out': unknown format; use one of .npy, .csv, .parquet, .pt"),
        ("symmetric", {"rate": "0.2", "data": "npz:nope.npz"}, "data='nope.npz': no such file"),
    ],
    ids=str,
)  # fmt: skip
def test_noise(kind: str, changes: Any, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "noise", kind, *spell(MAKE, **changes)) == message


def test_outputs_are_checked_before_anything_is_computed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("computed")

    Path("folder.csv").mkdir()
    monkeypatch.setattr("mislabel.benchmark.inputs.load_data", never)
    for output, message in {
        "x.xyz": "output='x.xyz': unknown format; use one of .npy, .csv, .parquet, .pt",
        "file/x.csv": "output='file/x.csv': cannot be written",
        "folder.csv": "output='folder.csv': is a folder; must be a file",
    }.items():
        words = spell(MAKE, rate="0.2", o=output)
        assert refused(capsys, "noise", "symmetric", *words) == message
    monkeypatch.setattr("mislabel.benchmark.load_results", never)
    for command in ("table", "report"):
        found = refused(capsys, "bench", command, "full", "-o", "file/x")
        assert found == "output='file/x': cannot be written"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("noise describe nope.csv", "file='nope.csv': no such file"),
        ("noise describe good.npy",
         "clean=None: the file has no clean labels; name a file that has"),
        ("noise describe good.npy --clean short.npy", "file='60 labels': must have length 50"),
        ("noise describe two.csv --column c", "file='c': unknown labels; Known: first, second"),
        ("bench table nope", "run='nope': holds no run (no run.json)"),
        ("bench table full", "run='full': holds no run (no run.json)"),
        ("bench report full", "run='full': holds no run (no run.json)"),
        ("nope", "No such command 'nope'."),
        ("bench rnu", "No such command 'rnu'. Did you mean 'run'?"),
        ("noise symmetrc", "No such command 'symmetrc'."),
        ("--nope", "No such option: --nope"),
        ("bench table", "Missing argument"),
        ("noise describe", "Missing argument"),
        ("noise symmetric --rate", "Option '--rate' requires an argument."),
    ],
)  # fmt: skip
def test_other_commands(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What Typer complains of is worded by Typer: its beginning counts."""
    assert refused(capsys, *words.split()).startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seedz": "1"}, "No such option: --seedz"),
        ({"noise": None}, "Missing option '--noise'."),
        ({"data": None}, "Missing option '--data'."),
        ({"method": None}, "Missing option '--method'."),
        ({"out": None}, "Missing option '--out'."),
        ({"epochs": "x"}, "Invalid value for '--epochs'"),
        ({"subset": "1.5"}, "Invalid value for '--subset'"),
    ],
    ids=str,
)
def test_complaints_of_typer_are_one_line_too(
    changes: Any, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, *run_words(**changes)).startswith(message)


def test_other_epochs_are_refused_by_table_and_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, *run_words()).status == 0
    hint = "unknown choice; did you mean 'best'? Known: best, last, last10, selected"
    for command in ("table", "report"):
        assert (
            refused(capsys, "bench", command, "run", "--epoch", "bset") == f"epoch='bset': {hint}"
        )
    found = refused(capsys, "bench", "table", "run", "--format", "tex")
    assert found.startswith("format='tex': unknown format; did you mean 'latex'? Known: csv, ")


def test_a_run_on_other_data_is_refused(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    assert call(capsys, *run_words()).status == 0
    assert refused(capsys, *run_words(seed="1")) == "out='run': holds a run with seed 0, not 1"
    write_data(here / "other", seed=7)
    found = refused(capsys, *run_words(data="npz:other/tiny.npz", map="other/map.npy"))
    assert found.startswith("out='run': holds a run with data_sha256 ")


def test_what_the_system_refuses_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up while the file is written, say."""
    assert call(capsys, *run_words()).status == 0

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", "table.csv")

    monkeypatch.setattr("mislabel.files.write_text", full)
    words = ("bench", "table", "run", "-o", "table.csv")
    assert refused(capsys, *words) == "table.csv: No space left on device"
    with pytest.raises(OSError, match="No space left on device"):
        main(["--debug", *words])


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["--debug", "noise", "describe", "x.csv"],
        ["noise", "describe", "x.csv", "--debug"],
    ):
        with pytest.raises(InputError) as caught:
            main(words)
        assert str(caught.value) == "file='x.csv': no such file"
    assert capsys.readouterr().err == ""


def test_in_a_process_of_its_own() -> None:
    words = [sys.executable, "-m", "mislabel", "noise", "describe", "x.csv"]
    plain = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (plain.returncode, plain.stdout) == (2, "")
    assert plain.stderr == "mislabel: error: file='x.csv': no such file\n"
    debug = subprocess.run([*words, "--debug"], capture_output=True, text=True, check=False)
    assert debug.returncode == 1 and debug.stderr.startswith("Traceback (most recent call last):")
    assert debug.stderr.endswith("mislabel.errors.InputError: file='x.csv': no such file\n")
