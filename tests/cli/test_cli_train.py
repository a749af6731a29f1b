"""``mislabel train`` and ``mislabel predict``: what they write, refuse, and go on with."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_examples import Called, call, spell

from mislabel.benchmark import load_training
from mislabel.benchmark.training_folder import FILES, RESULTS
from mislabel.files import hash_array, hash_file, hash_json
from mislabel.labels import load_labels
from mislabel.learning import METHODS, Evaluation, load_method, make_method
from mislabel.noise import make_noise
from tiny_data import N_CLASSES, N_TEST, N_TRAIN, blobs, files, snapshot, write_data

TRAIN: dict[str, Any] = {
    "--data": "npz:tiny.npz",
    "--map": "map.npy",
    "--noise": "symmetric:0.25",
    "--method": "gce:q=0.5",
    "--epochs": "3",
    "--device": "cpu",
    "--threads": "1",
    "--out": "out",
}
FINISHED = sorted([*RESULTS, "curves.png", "receipt.json"])
X, CLEAN = blobs(N_TRAIN, 0)
X_TEST, Y_TEST = blobs(N_TEST, 1)
PATIENCE = 60.0
"Seconds until the test of a killed training gives up."


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with tiny data."""
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    return tmp_path


def train(capsys: pytest.CaptureFixture[str], *flags: str, **changes: Any) -> Called:
    return call(capsys, "train", *spell(TRAIN, **changes), *flags)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line of a refusal that writes nothing, without its beginning."""
    before, names = snapshot(Path.cwd()), files(Path.cwd())
    called = call(capsys, *words)
    assert called.status == 2 and called.out == ""
    assert snapshot(Path.cwd()) == before and files(Path.cwd()) == names
    (line,) = called.err.splitlines()
    return line.removeprefix("mislabel: error: ")


def results(out: str) -> dict[str, bytes]:
    """The files that a training always ends with the same bytes of."""
    return {name: (Path(out) / name).read_bytes() for name in (*RESULTS, "curves.png")}


def receipt(out: str = "out") -> Any:
    """Its content; the hash of that, which is as it should be, is taken off."""
    content = json.loads((Path(out) / "receipt.json").read_text())
    assert content.pop("sha256") == hash_json(content)
    return content


def test_the_folder_holds_what_the_estimator_found(capsys: pytest.CaptureFixture[str]) -> None:
    called = train(capsys, seed=4, data_seed=2)
    assert called.status == 0
    assert files(Path("out")) == FINISHED
    given = make_noise("symmetric:0.25").corrupt(CLEAN, n_classes=N_CLASSES, seed=2)
    method = make_method("gce:q=0.5", epochs=3, seed=4, device="cpu")
    seen = Evaluation(x_test=X_TEST, y_test=Y_TEST, clean_labels=CLEAN)
    method.fit(X, given.labels, classes=range(N_CLASSES), evaluation=seen)
    trained = load_training("out")
    assert trained.curves == method.curves_ and not trained.was_finished
    scores = trained.scores
    np.testing.assert_array_equal(scores["index"], np.arange(N_TRAIN))
    np.testing.assert_array_equal(scores["label"], given.labels)
    np.testing.assert_array_equal(scores["clean_label"], CLEAN)
    np.testing.assert_array_equal(scores["noise_score"], method.noise_scores_)
    np.testing.assert_array_equal(scores["predicted_label"], method.predict(X))
    assert "corrected_label" not in scores
    loaded = load_method("out", device="cpu")
    np.testing.assert_array_equal(loaded.predict_proba(X_TEST), method.predict_proba(X_TEST))
    np.testing.assert_array_equal(
        trained.method(device="cpu").predict_proba(X), loaded.predict_proba(X)
    )


def test_the_receipt_says_where_everything_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    train(capsys)
    found, trained = receipt(), load_training("out")
    assert found["files_sha256"] == {name: hash_file(Path("out") / name) for name in RESULTS}
    assert found["labels"]["labels_sha256"] == hash_array(trained.scores["label"])
    assert found["labels"]["generator"] == "symmetric" and found["labels"]["rate"] == 0.25
    assert found["identity"]["threads"] == 1 and found["identity"]["device"] == "cpu"
    assert len(set(found["provenance"]["seeds"].values())) == 3
    assert {"python", "mislabel", "numpy", "torch"} <= found["versions"].keys()
    curve = trained.curves["test_accuracy"]
    tested = found["figures"]["test_accuracy"]
    assert tested["last"] == curve[-1] and tested["best"] == max(curve)
    assert "selected" not in tested
    assert tested["last10"] == pytest.approx(np.mean(curve))
    assert found["meaning"]["best"] == "best epoch, selected on the test set (optimistic)"
    flipped = trained.scores["label"] != CLEAN
    score = trained.scores["noise_score"].astype(float)
    pairs = score[flipped][:, None] - score[~flipped]
    wanted = (pairs > 0).mean() + (pairs == 0).mean() / 2
    assert found["figures"]["noise_score_auc"] == pytest.approx(wanted)
    assert str(Path.cwd()) not in json.dumps(found)


def test_the_command_of_the_receipt_makes_the_same_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    train(capsys, seed=3, data_seed=5, selection="noisy-validation", method="snls:k=4")
    first = results("out")
    words = shlex.split(receipt()["command"].replace("RUN", "again"))[1:]
    assert call(capsys, *words, "--device", "cpu").status == 0
    assert results("again") == first


def test_the_summary_shows_the_most_suspicious_labels(capsys: pytest.CaptureFixture[str]) -> None:
    called = train(capsys)
    trained, found = load_training("out"), receipt()["figures"]
    assert "GCE on 60 labels, 25.0% of them wrong, epoch 3 of 3" in called.out
    assert f"train accuracy {found['train_accuracy']:.2%} (against the given labels)" in called.out
    best = f"best {found['test_accuracy']['best']:.2%} (selected on the test set)"
    assert best in called.out
    rows = [line.split("│")[1:3] for line in called.out.splitlines() if line.startswith("│")]
    order = trained.most_suspicious[:10]
    assert [int(index) for index, _ in rows] == order.tolist()
    shown = [float(score) for _, score in rows]
    assert shown == sorted(shown, reverse=True) and len(shown) == 10
    np.testing.assert_allclose(shown, trained.scores["noise_score"][order], atol=5e-4)
    assert [f"training {epoch}/3" for epoch in (1, 2, 3)] == called.err.splitlines()


def test_json_is_the_receipt(capsys: pytest.CaptureFixture[str]) -> None:
    called = train(capsys, "--json")
    assert json.loads(called.out) == {"out": "out", "was_finished": False} | receipt()


def test_labels_of_the_data_itself_are_not_called_clean(
    capsys: pytest.CaptureFixture[str],
) -> None:
    called = train(capsys, noise=None)
    assert called.status == 0 and "of them wrong" not in called.out
    trained = load_training("out")
    assert list(trained.scores) == ["index", "label", "noise_score", "predicted_label"]
    np.testing.assert_array_equal(trained.scores["label"], CLEAN)
    assert "wrong_fitted" not in trained.curves and "test_accuracy" in trained.curves
    assert receipt()["figures"]["noise_score_auc"] is None


@pytest.mark.parametrize("size", ["full", "subset"])
def test_labels_from_a_file_stay_aligned_in_a_subset(
    size: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = make_noise("symmetric:0.5").corrupt(CLEAN, n_classes=N_CLASSES, seed=1)
    given.save("full.csv")
    train(capsys, noise=None, labels="full.csv", subset=30)
    trained = load_training("out")
    chosen = trained.scores["index"]
    np.testing.assert_array_equal(trained.scores["label"], given.labels[chosen])
    np.testing.assert_array_equal(trained.scores["clean_label"], CLEAN[chosen])
    if size == "subset":  # the same labels, from a file of these examples alone
        given.take(chosen).save("subset.csv")
        before = results("out")
        train(capsys, noise=None, labels="subset.csv", subset=30, out="other")
        assert results("other") == before


def test_one_of_several_columns(capsys: pytest.CaptureFixture[str]) -> None:
    Path("two.csv").write_text(
        "first,second\n" + "".join(f"{c},{(c + 1) % N_CLASSES}\n" for c in CLEAN)
    )
    train(capsys, noise=None, labels="two.csv", column="second")
    np.testing.assert_array_equal(load_training("out").scores["label"], (CLEAN + 1) % N_CLASSES)


def test_scores_are_a_label_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Corrected labels can be trained on, or compared with the clean ones, as they are."""
    train(capsys, method="snls:k=4")
    scores = load_training("out").scores
    found = load_labels("out/scores.csv", clean_labels=CLEAN)
    np.testing.assert_array_equal(found.labels, scores["label"])
    corrected = load_labels("out/scores.csv", column="corrected_label")
    np.testing.assert_array_equal(corrected.labels, scores["corrected_label"])
    assert corrected.rate < found.rate
    assert call(capsys, "noise", "describe", "out/scores.csv").status == 0


def test_the_selected_epoch_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    train(capsys, selection="noisy-validation", epochs=8)
    found, curves = receipt(), load_training("out").curves
    epoch = int(np.argmax(curves["validation_accuracy"]))
    assert found["selected_epoch"] == epoch + 1
    assert found["figures"]["test_accuracy"]["selected"] == curves["test_accuracy"][epoch]
    right = load_method("out").predict(X_TEST) == Y_TEST
    assert right.mean() == pytest.approx(curves["test_accuracy"][epoch], abs=2**-23)


def test_the_noise_rate_that_a_method_works_with_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    called = train(capsys, method="coteaching:noise_rate=0.25")
    assert receipt()["noise_rate"] == {"value": 0.25, "source": "given"}
    assert "noise rate 0.250, given" in called.out
    train(capsys, out="plain")
    assert receipt("plain")["noise_rate"] is None


@pytest.mark.filterwarnings("ignore:these labels do not determine the classes")  # few, random
@pytest.mark.parametrize(
    "name", [r.name for r in METHODS if r.estimator.predicts_from_features] or [None]
)
def test_methods_that_predict_from_features(
    name: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if name is None:
        pytest.skip("no method predicts from features")
    np.save("features.npy", X[:, :3])
    np.save("test_features.npy", X_TEST[:, :3])
    options = {"method": name, "features": "features.npy"}
    assert train(capsys, **options, test_features="test_features.npy").status == 0
    assert train(capsys, method=name, map=None, out="encoded").status == 0
    assert train(capsys, **options, out="guided").status == 0  # neighbours given, encoder predicts
    kept = [receipt(run)["identity"] for run in ("encoded", "guided")]
    assert kept[0]["features_sha256"] != kept[1]["features_sha256"]
    for hashed in ("guidance_sha256", "test_features_sha256"):
        assert kept[0][hashed] == kept[1][hashed]
    assert kept[1]["guidance_sha256"] != kept[1]["features_sha256"]
    words = ["predict", "out", "--data", "npz:tiny.npz", "-o", "p.npy", "--device", "cpu"]
    assert refused(capsys, *words).startswith("features=None: ")
    assert call(capsys, *words, "--features", "test_features.npy").status == 0
    wanted = load_method("out", device="cpu").predict_proba(X_TEST, features=X_TEST[:, :3])
    np.testing.assert_array_equal(np.load("p.npy"), wanted)
    right = (wanted.argmax(axis=1) == Y_TEST).mean()
    assert right == pytest.approx(receipt()["figures"]["test_accuracy"]["last"], abs=2**-23)
    for run in ("encoded", "guided"):
        assert call(capsys, *(w.replace("out", run) for w in words)).status == 0


def kill_while_it_trains(out: Path, words: list[str]) -> None:
    """Start the command, and end it by SIGKILL once it has saved a checkpoint."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "mislabel", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        end = time.monotonic() + PATIENCE
        while not (out / "checkpoint.safetensors").exists() and time.monotonic() < end:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was finished before it could be killed"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")
def test_killed_and_resumed_is_as_uninterrupted(capsys: pytest.CaptureFixture[str]) -> None:
    options = {"epochs": 400, "selection": "noisy-validation"}
    words = ["train", *spell(TRAIN, **options, out="killed"), "--checkpoint-seconds", "0"]
    kill_while_it_trains(Path("killed"), words)
    assert not (Path("killed") / "receipt.json").exists()
    rule = "holds a training that is not finished; --resume goes on with it"
    assert refused(capsys, *words) == f"out='killed': {rule}"
    changed = [*words, "--resume", "--seed", "1"]
    rule = "holds another training (different: seed)"
    assert refused(capsys, *changed) == f"out='killed': {rule}"
    (left := Path("killed") / ".curves.csv.abc.tmp").touch()  # half written, long ago
    os.utime(left, (0, 0))
    assert call(capsys, *words, "--resume").status == 0
    train(capsys, **options, out="whole")
    assert results("killed") == results("whole")
    assert files(Path("killed")) == files(Path("whole")) == FINISHED
    one, other = receipt("killed"), receipt("whole")
    assert one | {"seconds": 0} == other | {"seconds": 0}


def test_stopped_by_ctrl_c_it_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: Any, epoch: int, values: Any) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mislabel.cli.train._Progress.watch", stop)
        called = train(capsys, checkpoint_seconds=0)
    assert called.status == 130 and called.out == ""
    line = "mislabel: stopped; the same command with --resume goes on from here"
    assert called.err.splitlines() == [line]
    assert files(Path("out")) == ["checkpoint.safetensors", "training.json"]
    called = train(capsys, "--resume", checkpoint_seconds=0)
    assert called.err.splitlines() == ["training 2/3", "training 3/3"]
    train(capsys, out="whole")
    assert results("out") == results("whole")


def test_killed_while_results_are_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receipt comes last: without it a training is not finished, and nothing is lost."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", "scores.csv")

    with monkeypatch.context() as patch:
        patch.setattr("mislabel.benchmark.training_folder._scores_csv", full)
        assert train(capsys).err.endswith("mislabel: error: scores.csv: No space left on device\n")
    assert (Path("out") / "checkpoint.safetensors").exists()
    assert train(capsys, "--resume").status == 0
    train(capsys, out="whole")
    assert results("out") == results("whole") and files(Path("out")) == FINISHED


def test_resume_of_nothing_begins(capsys: pytest.CaptureFixture[str]) -> None:
    train(capsys, "--resume")
    train(capsys, out="plain")
    assert results("out") == results("plain")


def test_a_finished_training_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    first = train(capsys)
    before = snapshot(Path("out"))
    for flags in ([], ["--resume"], ["--json"]):
        again = train(capsys, *flags)
        assert again.status == 0 and snapshot(Path("out")) == before
        if flags == ["--json"]:
            assert json.loads(again.out)["was_finished"] is True
        else:
            notice = "out: this training is finished; nothing was done"
            assert again.out.splitlines() == [notice, *first.out.splitlines()]
    (Path("out") / "curves.png").unlink()
    train(capsys)
    assert (Path("out") / "curves.png").read_bytes() == before["curves.png"][1]


def test_threads_are_those_that_the_training_had(capsys: pytest.CaptureFixture[str]) -> None:
    """The last bits depend on them, so that a training goes on with as many."""
    import torch

    before = torch.get_num_threads()
    train(capsys, threads=2)
    assert receipt()["provenance"]["threads"] == 2 and torch.get_num_threads() == before
    assert train(capsys, threads=None).out.startswith("out: this training is finished")
    rule = "holds another training (different: threads)"
    assert refused(capsys, "train", *spell(TRAIN)) == f"out='out': {rule}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "gec"}, "method='gec': unknown name; did you mean 'gce'?"),
        ({"method": "gce:q=2"}, "q=2.0: must be above 0 and at most 1"),
        ({"labels": "l.csv"}, "noise='symmetric:0.25': goes without labels from a file; give one"),
        ({"column": "x"}, "column='x': goes with a label file; give labels"),
        ({"noise": None, "labels": "l.csv"}, "labels='l.csv': no such file"),
        ({"noise": "symetric:0.2"}, "noise='symetric': unknown name; did you mean 'symmetric'?"),
        ({"data": "npz:no.npz"}, "data='no.npz': no such file"),
        ({"epochs": "0"}, "epochs=0: must be a whole number, at least 1"),
        ({"network": "cnn"}, "network='cnn': takes images; for feature vectors use 'mlp'"),
        ({"recipe": "fats"}, "recipe='fats': unknown; did you mean 'fast'?"),
        (
            {"selection": "best"},
            "selection='best': unknown choice; did you mean 'last'? Known: last, ",
        ),
        ({"seed": "-1"}, "seed=-1: must be a whole number from 0 to 2**63 - 1"),
        ({"data_seed": "-1"}, "seed=-1: must be a whole number from 0 to 2**63 - 1"),
        ({"threads": "0"}, "threads=0: must be a whole number of at least 1"),
        ({"device": "gpu"}, "device='gpu': must be auto, cpu or cuda"),
        ({"checkpoint_seconds": "-1"}, "checkpoint_seconds=-1.0: must not be negative"),
        ({"logger": "wandbb"}, "logger='wandbb': unknown choice; did you mean 'wandb'?"),
        ({"out": "file"}, "out='file': is a file; must be a folder"),
        ({"out": "thesis"}, "out='thesis': holds other things; give a new or empty folder"),
        ({"out": "alien"}, "out='alien/receipt.json': is not of a training; give a new or"),
        ({"out": "file/out"}, "out='file/out': cannot be written"),
        ({"method": None}, "Missing option '--method'."),
    ],
    ids=str,
)
def test_bad_input_is_one_line_and_writes_nothing(
    changes: Any, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    Path("thesis").mkdir()
    Path("thesis/thesis.tex").touch()
    Path("alien").mkdir()
    Path("alien/receipt.json").write_text("[]")
    assert refused(capsys, "train", *spell(TRAIN, **changes)).startswith(message)
    resumed = refused(capsys, "train", *spell(TRAIN, **changes), "--resume")
    assert resumed.startswith(message)


def test_a_missing_extra_is_said_before_anything_is_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    found = refused(capsys, "train", *spell(TRAIN, logger="wandb", data="npz:no.npz"))
    assert found == "logger='wandb': is not installed; pip install 'mislabel[wandb]'"


def test_loggers_are_told_every_epoch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mislabel.learning import loggers

    log: list[Any] = []

    class Listing(loggers.Logger):
        extra = "json"

        def __init__(self, run: loggers.LoggedRun) -> None:
            super().__init__(run)
            log.append((run.title, run.settings["method"], run.settings["seed"]))

        def log(self, step: int, values: dict[str, float]) -> None:
            log.append((step, values["test_accuracy"]))

        def close(self) -> None:
            log.append("closed")

    monkeypatch.setitem(loggers.LOGGERS, "listing", Listing)
    assert train(capsys, logger=["listing", "listing"]).status == 0
    curve = load_training("out").curves["test_accuracy"]
    told = [(step, value) for step, value in enumerate(curve, 1) for _ in range(2)]
    assert log == [*[("out", "gce", 0)] * 2, *told, *["closed"] * 2]


@pytest.mark.parametrize("split", ["test", "train"])
def test_predict_data(split: str, capsys: pytest.CaptureFixture[str]) -> None:
    train(capsys)
    words = ["predict", "out", "--data", "npz:tiny.npz", "--split", split, "--device", "cpu"]
    called = call(capsys, *words, "-o", "p.npy")
    n_examples = N_TEST if split == "test" else N_TRAIN
    line = f"p.npy: probabilities of {n_examples} examples, {N_CLASSES} classes\n"
    assert (called.status, called.out) == (0, line)
    wanted = load_method("out", device="cpu").predict_proba(X_TEST if split == "test" else X)
    np.testing.assert_array_equal(np.load("p.npy"), wanted)
    called = call(capsys, *words, "-o", "p.csv", "--json")
    assert json.loads(called.out) == {"probabilities": "p.csv", "shape": [n_examples, N_CLASSES]}
    names, *rows = [line.split(",") for line in Path("p.csv").read_text().splitlines()]
    assert names == ["index", "predicted_label", "0", "1", "2"]
    found = np.array(rows)
    np.testing.assert_array_equal(found[:, 0].astype(int), np.arange(n_examples))
    np.testing.assert_array_equal(found[:, 1].astype(int), wanted.argmax(axis=1))
    np.testing.assert_array_equal(found[:, 2:].astype(np.float32), wanted)


def test_predict_an_array(capsys: pytest.CaptureFixture[str]) -> None:
    train(capsys)
    np.save("new.npy", X_TEST[:5])
    words = ["predict", "out", "--images", "new.npy", "-o", "p.npy", "--device", "cpu"]
    assert call(capsys, *words).status == 0
    wanted = load_method("out", device="cpu").predict_proba(X_TEST[:5])
    np.testing.assert_array_equal(np.load("p.npy"), wanted)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("out -o p.npy", "data=None: give data or images, one of them"),
        ("out --data digits --images x.npy -o p.npy", "data='digits': give data or images"),
        ("out --data npz:tiny.npz -o p.txt", "output='p.txt': unknown format; use .npy or .csv"),
        ("nowhere --data npz:tiny.npz -o p.npy", "run='nowhere': holds no training (no receipt"),
        ("out --images no.npy -o p.npy", "images='no.npy': no such file"),
        ("out --images tiny.npz -o p.npy", "images='tiny.npz': is not a complete .npy file"),
        ("out --data npz:tiny.npz --split tset -o p.npy", "split='tset': unknown choice; did you"),
        ("out --data npz:no.npz -o p.npy", "data='no.npz': no such file"),
    ],
)
def test_predict_refuses(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    train(capsys)
    assert refused(capsys, "predict", *words.split()).startswith(message)


def test_help_imports_nothing_large() -> None:
    code = (
        "import sys\nfrom mislabel.cli import main\n"
        "try: main(['train', '--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_every_file_is_known() -> None:
    """What a killed process leaves half written is told by the names of the files."""
    assert set(FINISHED) < set(FILES)
