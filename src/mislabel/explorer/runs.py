"""Explorations of what folders hold: the labels of a benchmark, and those of a stress test.

A folder holds labels but no examples; `load_again` loads those, and makes sure that they are the
same.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from mislabel.benchmark.results import BenchmarkResults
from mislabel.data import Dataset, load_data
from mislabel.errors import InputError
from mislabel.explorer.exploration import Exploration
from mislabel.labels import NoisyLabels

if TYPE_CHECKING:
    from mislabel.stress import StressResults


def load_again(
    metadata: Mapping[str, Any], data: str | None = None, *, image_size: int | None = None
) -> Dataset:
    """The data of a benchmark or a stress test, loaded again.

    metadata: of its results. data: where the examples come from, by default the recorded name,
    which is enough for what needs no path. image_size: as it was given then.
    Errors: `InputError` where they cannot be loaded, or are others than then.
    """
    identity = metadata["identity"]
    name, seed, n_test = identity["data"], identity["seed"], metadata["data"]["n_test"]
    spec = name if data is None else data
    dataset = load_data(spec, subset=identity["subset"], seed=seed, image_size=image_size)
    if len(dataset.y_test) > n_test:
        dataset = dataset.test_subset(n_test, seed=seed)
    if dataset.fingerprint != identity["data_sha256"]:
        raise InputError("data", spec, f"holds other examples than those of {name} in the run")
    return dataset


def explore_benchmark(results: BenchmarkResults, dataset: Dataset | None = None) -> Exploration:
    """The labels of every noise of a benchmark but clean ones, on its map.

    dataset: the same data (`load_again`), for images; without it the page has none.
    Errors: `InputError` for a run without a map.
    """
    from mislabel.report.text import noise_names

    if results.map is None:
        raise InputError("explorer", None, "needs a map, and the run has none")
    names = noise_names(results)
    noisy = [column for column in results.noises if column.kind != "clean"] or results.noises
    sets = {names[column.spec]: column.labels for column in noisy}
    return _explore(results, results.map, sets, dataset)


def explore_stress(
    results: "StressResults", folder: Path, positions: ArrayLike, dataset: Dataset | None = None
) -> Exploration:
    """The labels of every noise of a stress test but clean ones, of its first seed.

    folder: of the test, which holds the labels. positions: (N, 2) map of the training examples.
    dataset: the same data, for images. Errors: `InputError` where labels are missing, or the map
    has another length.
    """
    from mislabel.stress.store import StressFolder
    from mislabel.stress.wording import noise_titles

    store, titles = StressFolder(folder, "run"), noise_titles(results)
    identity, seed = results.metadata["identity"], results.seeds[0]
    sets = {}
    for noise in results.rates or results.noises:
        labels = store.labels(noise.spec, seed, identity)
        if labels is None:
            rule = f"has no labels for {noise.spec!r} and seed {seed}"
            raise InputError("run", str(folder), rule)
        sets[f"{titles[noise.spec]}, seed {seed}"] = labels
    return _explore(results, positions, sets, dataset)


def _explore(
    results: "BenchmarkResults | StressResults",
    positions: ArrayLike,
    sets: Mapping[str, NoisyLabels],
    dataset: Dataset | None,
) -> Exploration:
    from mislabel.report.receipts import data_name

    if dataset is not None:
        return Exploration.of_dataset(dataset, positions, sets)
    return Exploration.of(
        positions,
        sets,
        name=data_name(results.metadata),
        class_names=results.class_names,
        fingerprint=results.metadata["identity"]["data_sha256"],
    )
