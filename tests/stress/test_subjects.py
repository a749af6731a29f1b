"""Code under test in all its forms: what is refused, and the command that it becomes."""

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import user_code

from mislabel.errors import InputError
from mislabel.stress import Command
from mislabel.stress import child as child_module
from mislabel.stress.child import is_estimator, predictor, seeded
from mislabel.stress.subjects import LABEL_FORMATS, Place, PythonCode, make_code

NEEDED = "--labels {labels} --out {out}"
HOSTILE = "a b'c\"d;$(touch executed)"


def place(folder: Path, seed: int = 5) -> Place:
    names = ("labels", "x_train", "x_test", "indices")
    paths = {name: folder / f"{name}.npy" for name in names}
    return Place(**paths, out=folder / "out", folder=folder, seed=seed)


@pytest.mark.parametrize(
    ("template", "rule"),
    [
        ("p {lables} {out}", "unknown name {lables}; did you mean 'labels'? Known: "
         "indices, labels, out, seed, x_test, x_train"),
        ("p {out}", "must name {labels}: the file of labels to train on"),
        ("p {labels} {{out}}", "must name {out}: where to leave predictions or metrics: OUT, "
         "OUT.npy, OUT.csv, OUT.json or a folder OUT"),
        ("p '{labels} {out}", "cannot be split (No closing quotation)"),
        ("p \0 {labels} {out}", "must be text without NUL"),
    ],
)  # fmt: skip
def test_commands_that_are_refused(template: str, rule: str) -> None:
    with pytest.raises(InputError) as caught:
        Command(template)
    assert str(caught.value) == f"train={template!r}: {rule}"


def test_unknown_label_format() -> None:
    with pytest.raises(InputError) as caught:
        Command(f"p {NEEDED}", labels_format="cvs")
    known = ", ".join(sorted(LABEL_FORMATS))
    rule = f"unknown format; did you mean 'csv'? Known: {known}"
    assert str(caught.value) == f"labels_format='cvs': {rule}"


def test_words_of_a_command(tmp_path: Path) -> None:
    folder = tmp_path / HOSTILE
    where = place(folder)
    template = 'p "two words" --s={seed} {{x}} {labels} {out}.npy {} $HOME; {x_train}'
    assert Command(template).words(where) == [
        "p", "two words", "--s=5", "{x}", str(where.labels), f"{where.out}.npy", "{}", "$HOME;",
        str(where.x_train),
    ]  # fmt: skip


def test_a_shell_gets_paths_as_one_word_each(tmp_path: Path) -> None:
    folder = tmp_path / HOSTILE
    folder.mkdir()
    (folder / "labels.npy").write_text("labels")
    words = Command("cat {labels} > {out} && echo {{a}} >> {out}", shell=True).words(place(folder))
    subprocess.run(words, cwd=tmp_path, check=True)
    assert (folder / "out").read_text() == "labels{a}\n"
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("template", "takes"), [("p {labels} {out} {seed}", True), ("p {labels} {out} {{seed}}", False)]
)
def test_takes_seed(template: str, takes: bool) -> None:
    assert Command(template).takes_seed is takes


def takes_no_seed(x: Any, y: Any) -> Any: ...


def takes_more(x: Any, y: Any, z: Any, *, seed: int) -> Any: ...


RULE = "must be a function train(x, y, *, seed), an estimator with fit, or a Command"


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (5, f"train=5: {RULE}"),
        (takes_no_seed, f"train='takes_no_seed': {RULE} (got an unexpected keyword argument "
         "'seed')"),
        (takes_more, f"train='takes_more': {RULE} (missing a required argument: 'z')"),
        (Command, f"train='Command': {RULE} (got an unexpected keyword argument 'seed')"),
        ("no colon", "train='no colon': must be module:function, or a command that has {labels}"),
        ("a:b:c", "train='a:b:c': must be module:function, or a command that has {labels}"),
        ("no_module:f", "train='no_module:f': cannot be loaded (ModuleNotFoundError: No module "
         "named 'no_module')"),
        ("user_code:nothing", "train='user_code:nothing': cannot be loaded (AttributeError: module "
         "'user_code' has no attribute 'nothing')"),
    ],
)  # fmt: skip
def test_functions_that_are_refused(train: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_code(train)
    assert str(caught.value) == message


def test_what_cannot_be_sent() -> None:
    import threading

    lock = threading.Lock()

    def train(x: Any, y: Any, *, seed: int) -> Any:
        return lock

    with pytest.raises(InputError) as caught:
        make_code(train).launcher(Path())
    assert str(caught.value).startswith(
        "train='test_what_cannot_be_sent.<locals>.train': cannot be"
    )


def trained(train: Any, folder: Path, *, path: list[str] | None = None, **given: Any) -> Any:
    """Predictions of the test examples by the child's process; (predictions, of training)."""
    rng = np.random.default_rng(0)
    y = given.pop("y", np.arange(12) % 3)
    x = (9 * np.eye(3, 4)[np.arange(12) % 3] + rng.normal(size=(12, 4))).astype(np.float32)
    for name, array in (("x_train", x), ("x_test", x), ("labels", y)):
        np.save(folder / name, array)
    before = {name: (folder / f"{name}.npy").read_bytes() for name in ("x_train", "x_test")}
    code = make_code(train, **given)
    assert isinstance(code, PythonCode)
    launcher = code.launcher(folder)
    words = launcher.words(place(folder))
    job = json.loads((folder / "job.json").read_text())
    job["sys_path"] = path or job["sys_path"]
    (folder / "job.json").write_text(json.dumps(job))
    found = subprocess.run(words, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert {name: (folder / f"{name}.npy").read_bytes() for name in before} == before
    out = folder / "out"
    return [np.load(out / f"{n}.npy").tolist() for n in ("predictions", "train_predictions")
            if (out / f"{n}.npy").exists()]  # fmt: skip


RIGHT = [0, 1, 2] * 4


@pytest.mark.parametrize(
    "train",
    [
        user_code.nearest,
        "user_code:nearest",
        user_code.writes_into_its_data,
        functools.partial(user_code.nearest),
        lambda x, y, *, seed: user_code.nearest(x, y, seed=seed),
    ],
    ids=["function", "name", "writes", "partial", "lambda"],
)
def test_functions_are_trained(train: Any, tmp_path: Path) -> None:
    assert trained(train, tmp_path) == [RIGHT, RIGHT]


@pytest.mark.parametrize("train", [user_code.Trainer(1), user_code.Trainer(1).method, "Trainer"])
def test_objects_are_called(train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if train == "Trainer":
        monkeypatch.setattr(user_code, "made", user_code.Trainer(1), raising=False)
        train = functools.partial(user_code.made.method)  # type: ignore[attr-defined]
    (scores,) = trained(train, tmp_path, predict_train=False)
    assert np.argmax(scores, axis=1).tolist() == RIGHT


def test_classes_of_the_user(tmp_path: Path) -> None:
    """The function gets them, and what it predicts comes back as their places."""
    seen = tmp_path / "seen"

    def train(x: Any, y: Any, *, seed: int) -> Any:
        seen.write_text(" ".join(y))
        return user_code.nearest(x, y, seed=seed)

    found = trained(train, tmp_path, classes=np.array(["cat", "dog", "long owl"]))
    assert found == [RIGHT, RIGHT]
    assert seen.read_text() == " ".join(["cat dog long owl"] * 4)


def test_modules_that_nobody_else_can_import_go_along(tmp_path: Path) -> None:
    """As of pytest's ``importlib`` mode: the function, what it uses, and inside a partial."""
    import importlib.util

    folder = tmp_path / "hidden"
    folder.mkdir()
    (folder / "helper_x.py").write_text("import user_code\ndef fit(*a, **k): "
                                        "return user_code.nearest(*a, **k)")  # fmt: skip
    (folder / "train_x.py").write_text(
        "import sys\nhelper = sys.modules['helper_x']\nfrom helper_x import fit\n"
        "class T:\n  def train(self, x, y, *, seed): return fit(x, y, seed=seed)\n"
    )
    try:
        for name in ("helper_x", "train_x"):
            spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
        train = functools.partial(module.T().train)
        assert trained(train, tmp_path, predict_train=False) == [RIGHT]
    finally:
        for name in ("helper_x", "train_x"):
            sys.modules.pop(name, None)


def test_predictor() -> None:
    assert predictor(len) is len
    assert predictor(user_code.Model())(np.eye(3)) == np.eye(3).tolist()


@pytest.mark.parametrize("made", [user_code.returns_none, user_code.returns_bad_model,
                                  user_code.returns_module])  # fmt: skip
def test_no_predictor(made: Any) -> None:
    model = made(None, None, seed=0)
    with pytest.raises(TypeError) as caught:
        predictor(model)
    rule = "must be a model with predict(x), or a function of x"
    assert str(caught.value) == f"train returned {type(model).__name__}; {rule}"


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ([1, 2, 0], "predictions hold '0', which is no class of y_train"),
        ([1, np.nan, 2], "predictions hold 'nan', which is no class of y_train"),
        (["1", "2"], "predictions hold '1', which is no class of y_train"),
        ([[0.2], [0.7]], "predictions hold '0.2', which is no class of y_train"),
    ],
)
def test_predictions_that_are_no_class(predictions: Any, message: str) -> None:
    """Had 0 been taken as a place, every other prediction would be off by one."""
    with pytest.raises(ValueError, match="no class") as caught:
        child_module._numbers(predictions, np.array([1, 2, 3]))
    assert str(caught.value) == message


def test_seeds_of_estimators() -> None:
    from sklearn.ensemble import BaggingClassifier
    from sklearn.feature_selection import SelectFromModel
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline

    kept = SGDClassifier(random_state=7)
    pipeline = make_pipeline(SelectFromModel(SGDClassifier()), BaggingClassifier(kept))
    assert is_estimator(pipeline)
    assert not is_estimator(SGDClassifier)

    def states(seed: int) -> dict[str, Any]:
        found = seeded(pipeline, seed).get_params(deep=True)
        return {k: v for k, v in found.items() if k.endswith("random_state")}

    one, other = states(1), states(2)
    assert one == states(1)
    own = {k: v for k, v in one.items() if k != "baggingclassifier__estimator__random_state"}
    assert len(own) == 2
    assert len(set(own.values())) == 2
    assert all(other[name] != value for name, value in own.items())
    assert one["baggingclassifier__estimator__random_state"] == 7
    assert pipeline.get_params()["baggingclassifier__random_state"] is None
