"""Code under test: what users write, well and badly. Plain NumPy, so that a training is quick."""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

COUNT = "MISLABEL_TEST_COUNT"
"Names a file to which every training adds a line."


def nearest(x: Any, y: Any, *, seed: int) -> Any:
    """Predict the class with the nearest mean."""
    if COUNT in os.environ:
        with Path(os.environ[COUNT]).open("a") as file:
            file.write(f"{seed}\n")
    x = x.reshape(len(x), -1)
    classes = np.unique(y)
    means = np.stack([x[y == c].mean(axis=0) for c in classes])

    def predict(t: Any) -> Any:
        t = t.reshape(len(t), -1)
        return classes[((t[:, None] - means) ** 2).sum(axis=-1).argmin(axis=1)]

    return predict


class Model:
    """A fitted model that gives scores."""

    def predict(self, x: Any) -> Any:
        return x[:, :3].tolist()


class Trainer:
    """A callable object, and one with a method that trains."""

    def __init__(self, sign: float) -> None:
        self.sign = sign

    def __call__(self, x: Any, y: Any, *, seed: int) -> Any:
        return lambda t: self.sign * t[:, :3]

    def method(self, x: Any, y: Any, *, seed: int) -> Any:
        return self(x, y, seed=seed)


def writes_into_its_data(x: Any, y: Any, *, seed: int) -> Any:
    """Fits clean copies, then ruins what it got."""
    model = nearest(x.copy(), y.copy(), seed=seed)
    x[:] = -1e9
    y[:] = 0

    def predict(t: Any) -> Any:
        found = model(t.copy())
        t[:] = 1e9
        return found

    return predict


def notes(x: Any, y: Any, *, seed: int) -> Any:
    """Predictions that depend on all there is to draw from, and say nothing of the data."""
    import random

    drawn = random.random() + np.random.random() + seed  # noqa: NPY002
    order = hash("a text")
    return lambda t: np.random.default_rng([int(1e6 * drawn), abs(order)]).integers(0, 3, len(t))


def raises(x: Any, y: Any, *, seed: int) -> Any:
    print("about to fail")
    raise ValueError("no good\x1b[31m\nsecond line")


def hangs(x: Any, y: Any, *, seed: int) -> Any:
    tell_pid()
    time.sleep(600)


def tell_pid() -> None:
    """Add this process id to the file that the tests look into."""
    if COUNT in os.environ:
        with Path(os.environ[COUNT]).open("a") as file:
            file.write(f"{os.getpid()}\n")


def hangs_at_seed_2(x: Any, y: Any, *, seed: int) -> Any:
    if seed == 2 and not Path(os.environ[COUNT]).with_name("go").exists():
        tell_pid()
        time.sleep(600)
    return nearest(x, y, seed=seed)


def kills_itself(x: Any, y: Any, *, seed: int) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def leaves(x: Any, y: Any, *, seed: int) -> Any:
    os._exit(3)


def leaves_well(x: Any, y: Any, *, seed: int) -> Any:
    sys.exit(0)


def crashes(x: Any, y: Any, *, seed: int) -> Any:
    ctypes.string_at(0)


def prints_garbage(x: Any, y: Any, *, seed: int) -> Any:
    for _ in range(100):
        sys.stdout.buffer.write(b"\xff\x00\x1b" * 20_000)
    raise ValueError("after the garbage")


def returns_nan(x: Any, y: Any, *, seed: int) -> Any:
    return lambda t: np.full((len(t), 3), np.nan)


def returns_too_many(x: Any, y: Any, *, seed: int) -> Any:
    return lambda t: np.zeros((len(t), 7))


def returns_one_number(x: Any, y: Any, *, seed: int) -> Any:
    return lambda t: 0.9


def returns_constant(x: Any, y: Any, *, seed: int) -> Any:
    return lambda t: np.ones(len(t), dtype=int)


def returns_words(x: Any, y: Any, *, seed: int) -> Any:
    return lambda t: ["a"] * len(t)


def returns_objects(x: Any, y: Any, *, seed: int) -> Any:
    return lambda t: np.array([object()] * len(t))


def returns_unknown_class(x: Any, y: Any, *, seed: int) -> Any:
    return lambda t: np.arange(len(t))


def returns_none(x: Any, y: Any, *, seed: int) -> Any:
    return None


def returns_module(x: Any, y: Any, *, seed: int) -> Any:
    import torch

    class Net(torch.nn.Module):
        pass

    return Net()


def returns_bad_model(x: Any, y: Any, *, seed: int) -> Any:
    model = Model()
    model.predict = 3  # type: ignore[assignment, method-assign]
    return model


def removes_its_folder(x: Any, y: Any, *, seed: int) -> Any:
    import shutil

    shutil.rmtree(Path(sys.argv[1]).parent)
    return nearest(x, y, seed=seed)


def wrong_share(clean: Any, predicted: Any) -> float:
    """A metric of the user's."""
    return float((clean != predicted).mean())


def raising_metric(clean: Any, predicted: Any) -> float:
    raise SystemExit("no figure")


def nan_metric(clean: Any, predicted: Any) -> float:
    return float("nan")
