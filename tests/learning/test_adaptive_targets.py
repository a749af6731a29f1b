"""Training on adaptive targets, and which targets a method is trained on."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from learning_examples import blobs, equal_weights
from torch import Tensor

from mislabel.benchmark import load_results
from mislabel.cleaning import AdaptiveTargets, adaptive_targets
from mislabel.cli import main
from mislabel.data import digits
from mislabel.errors import InputError
from mislabel.learning import (
    METHODS,
    SIBLINGS,
    TARGETS,
    Adaptive,
    LRADiffusionAdaptive,
    NoisyLabelClassifier,
    Standard,
    UndeterminedWarning,
    load_method,
    method_with_targets,
    save_method,
)
from mislabel.learning.adaptive import undetermined_line
from mislabel.learning.lra_diffusion import DiffusionLearner
from mislabel.learning.objective import CrossEntropy
from mislabel.noise import make_noise
from mislabel.seeds import TrainingSeeds, child_seed
from tiny_data import write_data

BOTH: Any = pytest.mark.parametrize("method", [Adaptive, LRADiffusionAdaptive])
X, Y = blobs(90, 3, spread=2.0)
PLACES = blobs(90, 3, width=4, seed=0, spread=1.0)[0]
RANDOM = np.random.default_rng(0).normal(size=(90, 4))
UNDETERMINED = "these labels do not determine the classes"


def expected(features: Any, seed: int, labels: Any = Y, n_classes: int = 3) -> AdaptiveTargets:
    """What the targets of a training with `seed` must be."""
    own = child_seed(TrainingSeeds.spawn(seed).initialisation, "adaptive targets")
    return adaptive_targets(features, labels, n_classes=n_classes, seed=own)


class Plain(NoisyLabelClassifier):
    """The slow twin of `Adaptive`: cross-entropy against targets that are put in by hand."""

    name = "plain"
    targets: Tensor

    def _objective(self, problem: Any, n_classes: int, features: Any) -> CrossEntropy:
        return CrossEntropy(self.targets)


@pytest.mark.parametrize("places", [PLACES, None], ids=["features", "examples"])
def test_training_is_cross_entropy_against_adaptive_targets(places: Any) -> None:
    found = expected(X if places is None else places, 5)
    plain = Plain(epochs=3, device="cpu", seed=5)
    plain.targets = torch.from_numpy(found.targets)
    method = Adaptive(epochs=3, device="cpu", seed=5)
    assert equal_weights(method.fit(X, Y, features=places), plain.fit(X, Y))


def test_label_diffusion_diffuses_the_adaptive_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Themselves, each with the same weight."""
    drawn, made = [], []
    original = DiffusionLearner.drawn

    def kept(self: DiffusionLearner, rows: Tensor) -> tuple[Tensor, Tensor]:
        labels, weight = original(self, rows)
        drawn.append((rows, labels, weight))
        return labels, weight

    def counted(*arguments: Any, **options: Any) -> AdaptiveTargets:
        made.append(options)
        return adaptive_targets(*arguments, **options)

    monkeypatch.setattr(DiffusionLearner, "drawn", kept)
    monkeypatch.setattr("mislabel.learning.adaptive.adaptive_targets", counted)
    LRADiffusionAdaptive(epochs=2, device="cpu", seed=5).fit(X, Y, features=PLACES)
    targets = torch.from_numpy(expected(PLACES, 5).targets)
    assert len(made) == 1 and len(drawn) > 2  # once, not for every batch
    for rows, labels, weight in drawn:
        assert torch.equal(labels, targets[rows]) and weight.unique().numel() == 1


@BOTH
def test_what_fit_leaves_is_what_the_targets_say(method: Any, tmp_path: Path) -> None:
    names = np.array(["cat", "dog", "eel"])
    trained = method(epochs=1, device="cpu", seed=2).fit(X, names[Y], features=PLACES)
    found = expected(PLACES, 2)
    assert found.determined and trained.determined_ is True
    assert trained.stability_ == found.stability
    np.testing.assert_array_equal(trained.noise_scores_, found.noise_scores)
    np.testing.assert_array_equal(trained.corrected_labels_, names[found.corrected_labels])
    told = {"determined": True, "stability": found.stability}
    assert trained.provenance_["targets"] == told
    assert undetermined_line(trained.provenance_) is None
    save_method(trained, tmp_path)
    assert load_method(tmp_path).provenance_ == trained.provenance_


@BOTH
def test_nobody_trains_on_undetermined_classes_unknowingly(method: Any, tmp_path: Path) -> None:
    """Features that say nothing: the labels stay as given, and everything says so."""
    with pytest.warns(UndeterminedWarning, match=UNDETERMINED) as caught:
        trained = method(epochs=1, device="cpu").fit(X, Y, features=RANDOM)
    assert len(caught) == 1 and trained.determined_ is False
    np.testing.assert_array_equal(trained.corrected_labels_, Y)
    np.testing.assert_array_equal(trained.noise_scores_, expected(RANDOM, 0).noise_scores)
    save_method(trained, tmp_path)
    assert undetermined_line(load_method(tmp_path).provenance_) == str(caught[0].message)


def test_what_is_said_of_undetermined_classes() -> None:
    told = {"determined": False, "stability": 0.8399}
    assert undetermined_line({"targets": told}) == (
        f"{UNDETERMINED} (stability 0.83; 0.84 is needed): targets are a broad vote"
    )
    assert undetermined_line({"seeds": {}}) is None


def test_only_what_is_trained_on_has_a_say() -> None:
    """A class that is absent gets a column; examples held out by `subset` leave no trace."""
    kept = np.arange(90) < 75
    method = Adaptive(epochs=1, device="cpu", seed=1)
    method.fit(X, Y, features=PLACES, classes=range(4), subset=kept)
    found = expected(PLACES[kept], 1, Y[kept], n_classes=4)
    np.testing.assert_array_equal(method.noise_scores_[kept], found.noise_scores)
    np.testing.assert_array_equal(method.corrected_labels_[kept], found.corrected_labels)
    np.testing.assert_array_equal(method.corrected_labels_[~kept], Y[~kept])
    assert method.stability_ == found.stability


def test_digits_with_a_fifth_of_the_labels_wrong_in_patches() -> None:
    """Corrected labels are right more often than given ones, and training on them pays."""
    data = digits.load(None, None)
    flat = [x.reshape(len(x), -1).astype(np.float32) / 255 for x in (data.x_train, data.x_test)]
    given = make_noise("cluster:0.2").corrupt(data.y_train, features=flat[0], seed=0).labels
    options: Any = {"epochs": 10, "device": "cpu", "seed": 0}
    method = Adaptive(**options).fit(flat[0], given)
    standard = Standard(**options).fit(flat[0], given)
    right = (method.corrected_labels_ == data.y_train).mean()
    assert right > (given == data.y_train).mean()
    wrong = given != data.y_train
    assert method.noise_scores_[wrong].mean() > method.noise_scores_[~wrong].mean()
    assert method.score(flat[1], data.y_test) > standard.score(flat[1], data.y_test)


@pytest.mark.parametrize(
    ("spec", "targets", "wanted"),
    [
        ("gce:q=0.5", None, "gce:q=0.5"),
        ("standard", "labels", "standard"),
        ("standard", "snls", "snls"),
        ("standard:epochs=3,recipe=mlp", "adaptive", "adaptive:epochs=3,recipe=mlp"),
        ("lra-diffusion:7", "labels", "lra-diffusion:7"),
        ("lra-diffusion:7", "snls", "lra-diffusion-snls:7"),
        ("lra-diffusion", "adaptive", "lra-diffusion-adaptive"),
    ],
)
def test_targets_pick_the_sibling(spec: str, targets: str | None, wanted: str) -> None:
    assert method_with_targets(spec, targets) == wanted


def test_siblings_are_methods_on_the_same_targets() -> None:
    for name, siblings in SIBLINGS.items():
        assert tuple(siblings) == TARGETS and siblings["labels"] == name
        assert all(sibling in METHODS for sibling in siblings.values())


@pytest.mark.parametrize(
    ("spec", "targets", "message"),
    [
        (
            "gce:q=0.5",
            "snls",
            "targets='snls': method 'gce' takes none; methods that do: standard, lra-diffusion",
        ),
        (
            "snls",
            "adaptive",
            "targets='adaptive': method 'snls' takes none; methods that do: standard, "
            "lra-diffusion",
        ),
        (
            "standard",
            "adaptve",
            "targets='adaptve': unknown choice; did you mean 'adaptive'? "
            "Known: adaptive, labels, snls",
        ),
        ("gec", "snls", "method='gec': unknown name; did you mean 'gce'?"),
    ],
)
def test_targets_that_cannot_be(spec: str, targets: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        method_with_targets(spec, targets)
    assert str(caught.value).startswith(message)


def run(*words: str) -> int | None:
    """Call ``mislabel WORDS`` here, however it warns; its exit status, None for 0."""
    with pytest.raises(SystemExit) as ended, warnings.catch_warnings():
        warnings.simplefilter("ignore", UndeterminedWarning)
        data = ["--data", "npz:tiny.npz", "--map", "map.npy"]
        main([*words, *data, "--epochs", "1", "--device", "cpu"])
    return ended.value.code or None  # type: ignore[return-value]


def test_the_command_trains_on_targets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    assert run("train", "--method", "standard", "--targets", "adaptive", "--out", "a") is None
    assert run("train", "--method", "adaptive", "--out", "b") is None
    for name in ("model.safetensors", "model.json", "scores.csv"):
        assert Path("a", name).read_bytes() == Path("b", name).read_bytes()
    receipt = json.loads(Path("a/receipt.json").read_text())
    assert receipt["identity"]["method"] == "adaptive"
    assert receipt["provenance"]["targets"]["determined"] is True
    capsys.readouterr()
    assert run("train", "--method", "gce", "--targets", "adaptive", "--out", "c") == 2
    assert "method 'gce' takes none" in capsys.readouterr().err and not Path("c").exists()


def test_the_benchmark_compares_targets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    words = ["--method", "standard", "--targets", "labels", "--targets", "adaptive"]
    common = ["--noise", "clean", "--seeds", "1", "--workers", "1", "--out", "run"]
    assert run("bench", "run", *words, *common) is None
    found = load_results(Path("run"))
    assert [m.title for m in found.methods] == ["Standard", "Standard + adaptive"]
    assert UNDETERMINED not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "--method", "adaptive"], ""),
        (
            ["bench", "run", "--noise", "clean", "--method", "adaptive", "--seeds", "4,"],
            "adaptive under clean, seed 4: ",
        ),
    ],
    ids=["train", "bench"],
)
def test_commands_say_that_classes_are_undetermined(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    write_data(tmp_path, y_train=rng.integers(3, size=60))
    workers = ["--workers", "1"] if words[0] == "bench" else []
    assert run(*words, *workers, "--out", "out") is None
    assert f"mislabel: warning: {said}{UNDETERMINED} (stability 0." in capsys.readouterr().err
