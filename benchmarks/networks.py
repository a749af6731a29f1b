"""Many networks: small ones at once against one at a time, and a study's run against bare training.

    python benchmarks/networks.py              # prints the tables, writes networks.json and .md

Features are 256 numbers in ten Gaussian clusters, images are noise: what is in them costs nothing.
The twin of many at once is the same perceptron as PyTorch writes it (layers, cross-entropy, SGD),
one network after the other, with the same batches; a few of them are timed and scaled. A run of a
held-out study is timed against a bare loop of forward, backward and step on as many batches, and
the prediction of all training and test images that both do.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from memorization import processor
from mislabel.data.dataset import Dataset
from mislabel.files import write_json, write_text
from mislabel.labels import NoisyLabels
from mislabel.learning.networks import build_network
from mislabel.learning.recipes import fast
from mislabel.memorization import make_design, make_estimator, method_plan, run_study
from mislabel.versions import library_versions

HERE = Path(__file__).parent
N, D, C = 20_000, 256, 10
MEMBERS, EPOCHS, TIMED = 50, 5, 3
IMAGES, TESTED = 4_000, 1_000
Row = dict[str, Any]


def timed(call: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def small_networks() -> list[Row]:
    """Perceptrons of several widths, many at once and one at a time."""
    rng = np.random.default_rng(0)
    clean = rng.integers(C, size=N)
    features = rng.normal(size=(C, D))[clean] + 2 * rng.normal(size=(N, D))
    features = features.astype(np.float32)
    labels = NoisyLabels(clean, n_classes=C)
    one(features, clean, 8, seed=0)
    make_estimator("mlps:members=2,width=8,epochs=1")(labels, features)
    rows = []
    for width in (32, 64, 128):
        spec = f"mlps:members={MEMBERS},width={width},epochs={EPOCHS}"
        ours = timed(lambda spec=spec: make_estimator(spec)(labels, features))
        twin = timed(lambda w=width: [one(features, clean, w, seed) for seed in range(TIMED)])
        rows.append(
            {
                "width": width,
                "together": 60 * MEMBERS / ours,
                "one_at_a_time": 60 * TIMED / twin,
                "ratio": (twin / TIMED) / (ours / MEMBERS),
            }
        )
        print(rows[-1], flush=True)
    return rows


def one(features: np.ndarray, labels: np.ndarray, width: int, seed: int) -> None:
    """One perceptron on a random 70 %, as one would write it, and its predictions of all."""
    torch.manual_seed(seed)
    x, y = torch.from_numpy(features), torch.from_numpy(labels)
    x = (x - x.mean(0)) / x.std(0)
    mine = torch.randperm(N)[: round(0.7 * N)]
    network = nn.Sequential(nn.Linear(D, width), nn.ReLU(), nn.Linear(width, C))
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * -(-len(mine) // 175))
    for _ in range(EPOCHS):
        for index in torch.split(mine[torch.randperm(len(mine))], 175):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[index]), y[index]).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        torch.softmax(network(x), dim=1)


def study_run() -> Row:
    """A run of a held-out study of the network of `fast`, one epoch, against the bare loop."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(IMAGES + TESTED, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(C, size=len(images))
    data = Dataset(
        name="noise",
        x_train=images[:IMAGES],
        y_train=labels[:IMAGES],
        x_test=images[IMAGES:],
        y_test=labels[IMAGES:],
        class_names=tuple(map(str, range(C))),
        train_indices=np.arange(IMAGES),
        n_train_total=IMAGES,
        augment="crop-flip",
    )
    given = NoisyLabels(data.y_train, clean_labels=data.y_train, n_classes=C)
    design = make_design(given, "all", keep=0.7)
    plan = method_plan(data, given, "standard:epochs=1", design=design)
    network = build_network(fast().network, (32, 32, 3), C)
    batches = round(0.7 * IMAGES) // 64

    def bare() -> None:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True)
        inputs = torch.randn(64, 3, 32, 32).contiguous(memory_format=torch.channels_last)
        network.train().to(memory_format=torch.channels_last)
        for _ in range(batches):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(inputs), torch.zeros(64).long()).backward()
            optimizer.step()
        network.eval()
        with torch.inference_mode():
            for _ in range(len(images) // 250):
                network(torch.randn(250, 3, 32, 32).contiguous(memory_format=torch.channels_last))

    with tempfile.TemporaryDirectory() as folder:
        bare()
        run_study(plan, Path(folder) / "warm", runs=1, workers=1)
        ours = [
            timed(lambda i=i: run_study(plan, Path(folder) / f"study{i}", runs=1, workers=1))
            for i in range(3)
        ]
    twin = [timed(bare) for _ in range(3)]
    found = {"ours": float(np.median(ours)), "bare": float(np.median(twin))}
    return found | {"ratio": found["ours"] / found["bare"]}


def to_markdown(content: Row) -> str:
    """The page that shows the results."""
    run = content["run"]
    lines = [
        "# Many networks",
        "",
        f"`python benchmarks/networks.py` on {content['processor']}, {content['cores']} cores, "
        f"{content['threads']} threads, load {content['load'][0]:.1f} at the start and "
        f"{content['load'][1]:.1f} at the end. "
        f"Versions: {', '.join(f'{k} {v}' for k, v in content['versions'].items())}.",
        "",
        f"Perceptrons on {N:,} x {D} features, {EPOCHS} epochs, batches of 250 of which each has "
        f"70 %; `mlps` trains {MEMBERS} as one program, the twin one after the other "
        f"({TIMED} timed):",
        "",
        "| hidden width | together, models a minute | one at a time, models a minute | ratio |",
        "|---:|---:|---:|---:|",
        *[
            f"| {r['width']} | {r['together']:.0f} | {r['one_at_a_time']:.0f} | {r['ratio']:.1f} |"
            for r in content["networks"]
        ],
        "",
        f"A run of a held-out study (the network of `fast`, one epoch of 70 % of {IMAGES:,} "
        f"images, all predicted, row written) takes {run['ours']:.2f} s, bare training and "
        f"prediction {run['bare']:.2f} s: {run['ratio']:.2f} times as long, loading, augmentation, "
        "curves and the start of the study included.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run everything and write the results beside this file."""
    load = os.getloadavg()[0]
    content = {
        "networks": small_networks(),
        "run": study_run(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processor": processor(),
        "load": [load, os.getloadavg()[0]],
        "versions": library_versions("numpy", "torch"),
    }
    write_json(HERE / "networks.json", content)
    write_text(HERE / "networks.md", to_markdown(content))


if __name__ == "__main__":
    main()
