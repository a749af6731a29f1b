"""Speed of learning, as ratios to plain twins and to bare steps timed in the same run.

    python benchmarks/learning.py                 # prints the table, writes learning.json and .md
    python benchmarks/learning.py --device cuda   # on a GPU
    python benchmarks/learning.py --skip neighbors

Features are 512 principal components of CIFAR-10's pixels where MISLABEL_DATA names the data
folder, else ten Gaussian clusters. Ours is the median of several calls after a warm-up; a twin that
would take minutes is timed on a share of its work, stated in the table, and scaled.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from mislabel.data import load_data
from mislabel.features import nearest_neighbors
from mislabel.features.pixels import Pixels
from mislabel.files import write_json, write_text
from mislabel.learning import METHODS, make_recipe, soft_neighbor_targets
from mislabel.learning.learner import SingleNetwork
from mislabel.learning.networks import build_network
from mislabel.learning.objective import CrossEntropy
from mislabel.learning.plc import correct_labels
from mislabel.learning.problem import TrainingProblem, autocast, choose_device
from mislabel.learning.recipes import Recipe
from mislabel.learning.resident import Normalisation, ResidentExamples
from mislabel.seeds import TrainingSeeds
from mislabel.versions import library_versions

HERE = Path(__file__).parent
N, C, K, WIDTH, QUERIES = 50_000, 10, 100, 512, 200
SHARE_OF_BATCHES, RECALL_SAMPLE = 20, 1_000
Row = dict[str, Any]


def seconds(call: Callable[[], Any], repeats: int = 7) -> float:
    """Median wall-clock seconds of a call, after one that does not count."""
    call()
    return float(np.median([once(call)[0] for _ in range(repeats)]))


def once(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one call, and what it returns."""
    start = time.perf_counter()
    found = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start, found


def row(what: str, ours: float, twin: str, theirs: float, **more: Any) -> Row:
    """One line of the table."""
    print(f"{what}: {1e3 * ours:.1f} ms; {twin}: {1e3 * theirs:.1f} ms; {theirs / ours:.2f}")
    found = {"what": what, "ms": 1e3 * ours, "twin": twin, "twin_ms": 1e3 * theirs}
    return found | {"ratio": theirs / ours} | more


def images_and_labels(n: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 32, 32, 3) noise and (n,) labels: what is in the images costs nothing."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(n, 32, 32, 3), dtype=np.uint8)
    return images, rng.integers(C, size=n)


def problem_of(n: int, device: torch.device) -> TrainingProblem:
    """`n` images under crop and flip."""
    images, labels = images_and_labels(n)
    examples = ResidentExamples(images, Normalisation.of(images), device, augment=True)
    return TrainingProblem(examples=examples, labels=torch.from_numpy(labels).to(device))


def bench_loading(device: torch.device) -> list[Row]:
    """Crop, flip and normalise 50,000 images, against PIL image by image."""
    problem = problem_of(N, device)
    images, _ = images_and_labels(N // 10)
    generator = torch.Generator(device).manual_seed(0)
    recipe = make_recipe("fast", example_shape=(32, 32, 3))

    def load() -> None:
        for index in torch.randperm(N).to(device).split(recipe.batch_size):
            problem.examples.batch(index, generator)

    def twin() -> None:
        for image in images:
            padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
            top, left = np.random.randint(9, size=2)  # noqa: NPY002 - as such pipelines do
            picture = Image.fromarray(padded).crop((left, top, left + 32, top + 32))
            if np.random.random() < 0.5:  # noqa: NPY002
                picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            (torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() - 120) / 60

    ours, theirs = seconds(load, 3), 10 * once(twin)[0]
    bare = bare_step(recipe, device)
    epoch = ours + N / recipe.batch_size * seconds(bare)
    share = ours / epoch
    print(f"loading is {100 * share:.1f} % of an epoch with the network of `fast`")
    what, how = "load and augment 50,000 images", "PIL, one by one (a tenth, x 10)"
    return [row(what, ours, how, theirs, share_of_epoch=share)]


def bare_step(recipe: Recipe, device: torch.device) -> Callable[[], None]:
    """Forward, backward and optimiser step of the recipe's network on one resident batch."""
    network = build_network(recipe.network, (32, 32, 3), C).to(device)
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, fused=True
    )
    inputs = torch.randn(recipe.batch_size, 3, 32, 32, device=device)
    inputs = inputs.to(memory_format=torch.channels_last)
    labels = torch.arange(recipe.batch_size, device=device) % C

    def step() -> None:
        with autocast(device, recipe):
            logits = network(inputs)
        loss = functional.cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def bench_steps(device: torch.device) -> list[Row]:
    """Steps of the training loop, everything included, against bare steps, by turns."""
    rows = []
    for preset, batches, turns in (("lim2025", 4, 5), ("fast", 40, 7)):
        recipe = make_recipe(preset, example_shape=(32, 32, 3))
        problem = problem_of(batches * recipe.batch_size, device)
        network = build_network(recipe.network, (32, 32, 3), C)
        seeds = TrainingSeeds.spawn(0)
        learner = SingleNetwork(network, problem, CrossEntropy(problem.labels), recipe, seeds)
        step = bare_step(recipe, device)

        def bare(step: Callable[[], None] = step, batches: int = batches) -> None:
            for _ in range(batches):
                step()

        def ours(learner: SingleNetwork = learner) -> None:
            learner.train_epoch(0)

        ours(), bare()
        times = [(once(ours)[0], once(bare)[0]) for _ in range(turns)]
        loop, alone = (float(np.median(t)) / batches for t in zip(*times, strict=True))
        rate = recipe.batch_size / loop
        what = f"a step of {recipe.network}, batch {recipe.batch_size}"
        rows.append(row(what, loop, "forward, backward, step alone", alone, images_per_s=rate))
    return rows


def points(n: int) -> tuple[np.ndarray, str]:
    """(n, 512) features and what they are."""
    folder = os.environ.get("MISLABEL_DATA")
    if folder:
        data = load_data(f"cifar10:{Path(folder) / 'cifar10'}")
        found = Pixels(components=WIDTH, variance=1.0)(data.x_train)
        return np.ascontiguousarray(found[:n, :WIDTH]), "principal components of CIFAR-10's pixels"
    rng = np.random.default_rng(0)
    centres, labels = rng.normal(size=(10, WIDTH)), rng.integers(10, size=n)
    found = centres[labels] + rng.normal(size=(n, WIDTH))
    return found.astype(np.float32), "ten Gaussian clusters"


def bench_neighbors() -> list[Row]:
    """100 neighbours of 50,000 x 512, once, against looking for them batch by batch."""
    features, kind = points(N)
    everything = torch.from_numpy(features)

    def batch(start: int) -> None:
        distances = torch.cdist(everything[start : start + QUERIES], everything)
        distances.topk(K + 1, largest=False)

    batches = N // QUERIES // SHARE_OF_BATCHES
    batch(0)
    epoch = SHARE_OF_BATCHES * once(lambda: [batch(i * QUERIES) for i in range(batches)])[0]
    exact, (_, true) = once(lambda: nearest_neighbors(features, K))
    close, (_, found) = once(lambda: nearest_neighbors(features, K, approximate=True))
    rows = np.random.default_rng(0).permutation(N)[:RECALL_SAMPLE]
    recall = float(np.mean([len(np.intersect1d(true[i], found[i])) for i in rows])) / K
    print(f"recall of the approximate search: {recall:.4f}, over 200 epochs {200 * epoch / exact}")
    twin = f"batches of {QUERIES}, an epoch (1/{SHARE_OF_BATCHES} of it, scaled)"
    labels = np.random.default_rng(0).integers(C, size=N)
    targets = seconds(lambda: soft_neighbor_targets(labels, true, C))
    slow, twin_targets = once(lambda: targets_twin(labels, true))
    assert np.allclose(twin_targets, soft_neighbor_targets(labels, true, C), atol=1e-5)
    return [
        row(f"{K} neighbours of {N:,} x {WIDTH}, exact; {kind}", exact, twin, epoch,
            over_200_epochs=200 * epoch / exact),
        row(f"the same, approximate, recall {recall:.3f}", close, twin, epoch, recall=recall),
        row(f"SNLS targets from {N:,} x {K} neighbours", targets, "two loops", slow),
        bench_map(),
    ]  # fmt: skip


def bench_map() -> Row:
    """100 neighbours of 50,000 points of a map, against FAISS, which looks at all pairs."""
    import faiss

    spots = np.random.default_rng(0).normal(size=(N, 2)).astype(np.float32)
    ours = seconds(lambda: nearest_neighbors(spots, K), 3)
    theirs = once(lambda: faiss.knn(spots, spots, K + 1))[0]
    return row(f"{K} neighbours of {N:,} points of a map", ours, "FAISS, all pairs", theirs)


def targets_twin(labels: np.ndarray, neighbors: np.ndarray) -> list[list[float]]:
    """Soft neighbour targets by two loops."""
    found = []
    given = labels.tolist()
    for i, near in enumerate(neighbors.tolist()):
        target = [0.0] * C
        for j in near:
            target[given[j]] += 0.7 / len(near)
        target[given[i]] += 0.3
        found.append(target)
    return found


def bench_correction() -> list[Row]:
    """PLC's correction of 50,000 labels, against a loop."""
    generator = torch.Generator().manual_seed(0)
    mean = torch.softmax(3 * torch.randn(N, C, generator=generator), dim=1)
    labels = torch.randint(C, (N,), generator=generator)

    def twin() -> list[int]:
        found = []
        for f, z in zip(mean.numpy(), labels.tolist(), strict=True):
            found.append(int(f.argmax()) if f[z] / f.max() < 0.3 else z)
        return found

    ours = seconds(lambda: correct_labels(mean, labels, 0.3), 25)
    slow, wanted = once(twin)
    assert correct_labels(mean, labels, 0.3).tolist() == wanted
    return [row("PLC's correction of 50,000 labels", ours, "a loop", slow)]


def bench_methods(device: torch.device) -> list[Row]:
    """Seconds of each method's last epoch on 2,000 images, against Standard's."""
    images, labels = images_and_labels(2_000)
    features = np.random.default_rng(0).normal(size=(2_000, 32)).astype(np.float32)
    found: dict[str, float] = {}
    for record in METHODS:
        ends: list[float] = []
        estimator = record.estimator(epochs=4, recipe="fast", device=str(device))
        estimator.set_params(augment="crop-flip")
        estimator.fit(
            images,
            labels,
            features=features,
            watch=lambda *_, e=ends: e.append(time.perf_counter()),
        )
        found[record.name] = float(np.median(np.diff(ends[-3:])))
        print(f"{record.name}: {found[record.name]:.2f} s an epoch")
    return [
        {"method": name, "seconds": value, "ratio": value / found["standard"]}
        for name, value in found.items()
    ]


def page(content: dict[str, Any]) -> str:
    """The page that shows the results."""
    lines = [
        "# Speed of learning",
        "",
        f"`python benchmarks/learning.py` on {content['cores']} cores, device "
        f"{content['device']}. Versions: "
        f"{', '.join(f'{k} {v}' for k, v in content['versions'].items())}.",
        "",
        "| what | time, ms | against | its time, ms | ratio |",
        "|---|---:|---|---:|---:|",
    ]
    for entry in content["rows"]:
        lines.append(
            f"| {entry['what']} | {entry['ms']:.1f} | {entry['twin']} | {entry['twin_ms']:.1f} "
            f"| {entry['ratio']:.2f} |"
        )
        if "share_of_epoch" in entry:
            share = 100 * entry["share_of_epoch"]
            lines.append(f"| its share of an epoch with `fast` | {share:.1f} % | | | |")
        if "over_200_epochs" in entry:
            lines.append(f"| over 200 epochs | | | | {entry['over_200_epochs']:.0f} |")
        if "images_per_s" in entry:
            lines.append(f"| images/s | {entry['images_per_s']:.0f} | | | |")
    if content["methods"]:
        lines += [
            "",
            "An epoch of each method, 2,000 images, the network of `fast`, as a ratio to Standard:",
            "",
            "| method | seconds | ratio |",
            "|---|---:|---:|",
        ]
        for entry in content["methods"]:
            lines.append(f"| {entry['method']} | {entry['seconds']:.2f} | {entry['ratio']:.2f} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Run everything and write the results beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--skip", nargs="*", default=[], choices=("neighbors", "methods"))
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    rows = [*bench_loading(device), *bench_steps(device), *bench_correction()]
    if "neighbors" not in arguments.skip:
        rows += bench_neighbors()
    name = "learning" if device.type == "cpu" else f"learning-{device.type}"
    content = {
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "CPU",
        "versions": library_versions("numpy", "torch", "faiss-cpu"),
        "rows": rows,
        "methods": [] if "methods" in arguments.skip else bench_methods(device),
    }
    write_json(HERE / f"{name}.json", content)
    write_text(HERE / f"{name}.md", page(content))


if __name__ == "__main__":
    main()
