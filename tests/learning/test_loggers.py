"""Loggers: what each service is told, by the service where it is installed and by a stand-in.

A stand-in is a module that records calls, with the names that ours uses; the real libraries are
extras, and the tests of them are skipped where they are missing.
"""

import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from learning_examples import blobs

from mislabel.errors import InputError
from mislabel.learning import Evaluation, Standard
from mislabel.learning.loggers import LOGGERS, LoggedRun, check_logger, open_logger

SETTINGS = {"method": "standard", "recipe": {"network": "mlp"}, "long": "x" * 600}
VALUES = [{"loss": 0.5, "test": None}, {"loss": 0.25, "test": 1.0}]


class Calls:
    """Records calls of its methods, with their arguments; an object that is anything."""

    def __init__(self, log: list[Any], name: str, **answers: Any) -> None:
        self._log, self._name, self._answers = log, name, answers

    def __getattr__(self, name: str) -> Any:
        def called(*given: Any, **named: Any) -> Any:
            self._log.append((f"{self._name}.{name}", given, named))
            return self._answers.get(name)

        return called


@pytest.fixture
def run(tmp_path: Path) -> LoggedRun:
    return LoggedRun(title="first", folder=tmp_path / "run", settings=SETTINGS, key="abc")


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    module = ModuleType(name)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)


def log_all(name: str, run: LoggedRun, start: int = 0) -> None:
    with open_logger(name, run) as logger:
        for epoch, values in enumerate(VALUES[start:], start):
            logger(epoch, values)


def test_tensorboard_gets_scalars_from_where_the_training_resumed(
    monkeypatch: pytest.MonkeyPatch, run: LoggedRun
) -> None:
    log: list[Any] = []

    def writer(**named: Any) -> Calls:
        log.append(("SummaryWriter", (), named))
        return Calls(log, "writer")

    stand_in(monkeypatch, "tensorboard")
    stand_in(monkeypatch, "torch.utils.tensorboard", SummaryWriter=writer)
    log_all("tensorboard", run)
    folder = str(run.folder / "tensorboard")
    assert log[0] == ("SummaryWriter", (), {"log_dir": folder, "purge_step": 1})
    scalars = [given for name, given, _ in log if name == "writer.add_scalar"]
    assert scalars == [("loss", 0.5, 1), ("loss", 0.25, 2), ("test", 1.0, 2)]
    assert log[-1] == ("writer.close", (), {})
    log.clear()
    log_all("tensorboard", run, start=1)
    assert log[0][2]["purge_step"] == 2


def test_weights_and_biases_get_one_run_that_goes_on(
    monkeypatch: pytest.MonkeyPatch, run: LoggedRun
) -> None:
    log: list[Any] = []
    made = Calls(log, "run")
    module = Calls(log, "wandb", init=made)
    stand_in(
        monkeypatch, "wandb", init=module.init, errors=SimpleNamespace(Error=ZeroDivisionError)
    )
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    log_all("wandb", run)
    assert log[0][0] == "wandb.init"
    assert log[0][2] == {
        "project": "mislabel",
        "name": "first",
        "id": "abc",
        "resume": "allow",
        "dir": str(run.folder),
        "config": SETTINGS,
    }
    assert log[1:] == [
        ("run.log", ({"loss": 0.5},), {"step": 1}),
        ("run.log", ({"loss": 0.25, "test": 1.0},), {"step": 2}),
        ("run.finish", (), {}),
    ]
    log.clear()
    monkeypatch.setenv("WANDB_PROJECT", "thesis")
    log_all("wandb", run, start=1)
    assert (log[0][2]["project"], log[0][2]["id"]) == ("thesis", "abc")


@pytest.mark.parametrize("stopped_before", [False, True])
def test_mlflow_gets_one_run_that_goes_on(
    stopped_before: bool, monkeypatch: pytest.MonkeyPatch, run: LoggedRun
) -> None:
    log: list[Any] = []
    info = SimpleNamespace(info=SimpleNamespace(run_id="run-7"))
    client = Calls(
        log,
        "client",
        get_experiment_by_name=SimpleNamespace(experiment_id="3") if stopped_before else None,
        create_experiment="3",
        search_runs=[info] if stopped_before else [],
        create_run=info,
    )
    errors = SimpleNamespace(MlflowException=ZeroDivisionError)
    stand_in(monkeypatch, "mlflow", MlflowClient=lambda: client, exceptions=errors)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    log_all("mlflow", run)
    found = dict.fromkeys(name for name, _, _ in log)
    assert ("client.create_run" in found) is ("client.create_experiment" in found)
    assert ("client.create_run" in found) is not stopped_before
    query = {"filter_string": "tags.mislabel_training = 'abc'"}
    assert ("client.search_runs", (["3"],), query) in log
    if not stopped_before:
        parameters = {given[1]: given[2] for name, given, _ in log if name == "client.log_param"}
        assert parameters["recipe"] == '{"network": "mlp"}' and len(parameters["long"]) == 500
    metrics = [(given, named) for name, given, named in log if name == "client.log_metric"]
    assert metrics == [
        (("run-7", "loss", 0.5), {"step": 1}),
        (("run-7", "loss", 0.25), {"step": 2}),
        (("run-7", "test", 1.0), {"step": 2}),
    ]
    assert log[-1] == ("client.set_terminated", ("run-7",), {})


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_what_a_service_refuses_is_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch, run: LoggedRun
) -> None:
    def refuse(**_: Any) -> None:
        raise ConnectionError("no key;\n log in first")

    stand_in(monkeypatch, "wandb", init=refuse, errors=SimpleNamespace(Error=ConnectionError))
    errors = SimpleNamespace(MlflowException=ConnectionError)
    stand_in(monkeypatch, "mlflow", MlflowClient=refuse, exceptions=errors)
    with pytest.raises(InputError) as caught:
        open_logger(name, run)
    assert str(caught.value) == f"logger={name!r}: no key; log in first"
    assert not run.folder.exists()


@pytest.mark.parametrize("name", LOGGERS)
def test_a_missing_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError) as caught:
        check_logger(name)
    rule = f"is not installed; pip install 'mislabel[{name}]'"
    assert str(caught.value) == f"logger={name!r}: {rule}"


def test_every_logger_has_its_extra() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    for name, logger in LOGGERS.items():
        assert logger.extra == name
        assert project["optional-dependencies"][name][0].startswith(name)


def test_unknown_loggers() -> None:
    with pytest.raises(InputError) as caught:
        check_logger("tensorbord")
    hint = "did you mean 'tensorboard'? Known: mlflow, tensorboard, wandb"
    assert str(caught.value) == f"logger='tensorbord': unknown choice; {hint}"


def test_a_logger_is_closed_when_training_fails(
    monkeypatch: pytest.MonkeyPatch, run: LoggedRun
) -> None:
    log: list[Any] = []
    stand_in(monkeypatch, "tensorboard")
    stand_in(monkeypatch, "torch.utils.tensorboard", SummaryWriter=lambda **_: Calls(log, "writer"))
    with pytest.raises(KeyError), open_logger("tensorboard", run) as logger:
        logger(0, VALUES[0])
        raise KeyError
    assert log[-1] == ("writer.close", (), {})


def test_logging_changes_no_weight(monkeypatch: pytest.MonkeyPatch, run: LoggedRun) -> None:
    """`fit` takes a logger as ``watch``: each epoch, with the curves' values."""
    log: list[Any] = []
    stand_in(monkeypatch, "tensorboard")
    stand_in(monkeypatch, "torch.utils.tensorboard", SummaryWriter=lambda **_: Calls(log, "writer"))
    x, y = blobs(40, 2)
    seen = Evaluation(x_test=x, y_test=y)
    plain = Standard(epochs=3, device="cpu").fit(x, y, evaluation=seen)
    with open_logger("tensorboard", run) as logger:
        logged = Standard(epochs=3, device="cpu").fit(x, y, evaluation=seen, watch=logger)
    assert plain.curves_ == logged.curves_
    scalars = [given for name, given, _ in log if name == "writer.add_scalar"]
    wanted = [
        (name, logged.curves_[name][epoch], epoch + 1)
        for epoch in range(3)
        for name in ("train_loss", "train_accuracy", "test_accuracy")
    ]
    assert scalars == wanted


def call_real(name: str, tmp_path: Path, code: str, **environment: str) -> str:
    """Log with the real library in a process of its own, which may warn and leave threads.

    Twice, as a training that was stopped after its second epoch and resumed from its first.
    """
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"the extra {name} is not installed")
    log = f"""
        from pathlib import Path
        from mislabel.learning.loggers import LoggedRun, open_logger
        run = LoggedRun(title="first", folder=Path("run"), settings={{"a": 1}}, key="abc")
        for epochs in ((0, 1), (1, 2)):
            with open_logger({name!r}, run) as logger:
                for epoch in epochs:
                    logger(epoch, {{"loss": 1.0 / (epoch + 1), "test": None}})
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(log) + textwrap.dedent(code)],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_real_tensorboard(tmp_path: Path) -> None:
    read = """
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        events = EventAccumulator("run/tensorboard").Reload()
        print([(e.step, round(e.value, 3)) for e in events.Scalars("loss")])
    """
    found = call_real("tensorboard", tmp_path, read)
    assert found.splitlines()[-1] == "[(1, 1.0), (2, 0.5), (3, 0.333)]"


def test_the_real_weights_and_biases(tmp_path: Path) -> None:
    call_real("wandb", tmp_path, "", WANDB_MODE="offline", WANDB_SILENT="true")
    assert len(list((tmp_path / "run/wandb").glob("offline-run-*/run-abc.wandb"))) >= 1


def test_the_real_mlflow(tmp_path: Path) -> None:
    read = """
        from mlflow import MlflowClient
        client = MlflowClient()
        experiment = client.get_experiment_by_name("mislabel").experiment_id
        (found,) = client.search_runs([experiment])
        history = client.get_metric_history(found.info.run_id, "loss")
        print(found.info.status, found.data.params["a"], sorted({m.step for m in history}))
    """
    found = call_real("mlflow", tmp_path, read, MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    assert found.splitlines()[-1] == "FINISHED 1 [1, 2, 3]"
