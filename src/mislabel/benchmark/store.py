"""The run folder: what is in it, who may write there, and how it is read again.

    run.json                      identity, grid, data, versions
    map.npy                       (N, 2) map of the training examples
    labels/<spec>-<hash>.npy      labels of each noise, with receipts
    cells/<hash>/                 one finished training: config.json, result.json,
                                  test_predictions.npy

A cell's folder is named by the hash of its configuration and appears in one rename, so it is
either complete or absent. A folder that holds anything else, or a run on other data, is refused.
"""

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.benchmark.results import BenchmarkResults, CellResult, MethodRow, NoiseColumn
from mislabel.errors import InputError
from mislabel.files import (
    atomic_path,
    check_links,
    hash_array,
    hash_json,
    locked,
    read_json,
    read_npy,
    reading,
    write_json,
)
from mislabel.labels import NoisyLabels, load_labels
from mislabel.labels.formats import receipt_path
from mislabel.learning import METHODS
from mislabel.leftovers import new_folder, remove_leftovers
from mislabel.noise import NOISE, canonical_noise
from mislabel.outputs import ELSEWHERE, check_own_folder
from mislabel.sealed import FILES, read_sealed, write_sealed
from mislabel.shapes import check_shape, needed_keys
from mislabel.specs import split_spec

FORMAT = 1
GRID_LISTS = ("noises", "methods", "seeds")
BY_METHOD = ("trainings", "known_rate")
MAP = "map_array_sha256"
"Of map.npy, which other versions of a library draw a little differently."
SHAPE: dict[str, Any] = {
    "identity": {"data": str, "data_sha256": str, "seed": int, "subset": (int, None)},
    "grid": {"noises": [str], "methods": [str], "seeds": [int]},
    "trainings": {...: dict},
    "data": {
        "name": str,
        "class_names": [str],
        "n_test": int,
        "n_train?": int,
        "n_train_total?": int,
        "subset?": (int, None),
    },
    "known_rate?": {...: bool},
    "versions?": {...: (str, None)},
}
"What run.json must hold to be read again."
CELL: dict[str, Any] = {
    "noise": str, "method": str, "seed": int,
    "curves": {"test_accuracy": [float], ...: [(float, None)]},
    "test_accuracy_per_class": [(float, None)], "seconds": float, "provenance": dict,
}  # fmt: skip
"What the result.json of a cell holds."


@dataclass(frozen=True)
class CellKey:
    """One training: its place in the grid and everything its result depends on."""

    noise: str
    method: str
    seed: int
    configuration: Mapping[str, Any]

    @property
    def folder(self) -> str:
        """Name of the cell's folder: the hash of its configuration."""
        return hash_json(
            {"noise": self.noise, "method": self.method, "seed": self.seed}
            | dict(self.configuration)
        )[:20]


class RunFolder:
    """A run folder at `path`; see the module for its layout."""

    def __init__(self, path: Path, argument: str = "out") -> None:
        self.path = Path(path)
        self.argument = argument

    @property
    def _run_file(self) -> Path:
        return self.path / "run.json"

    def exists(self) -> bool:
        """Whether there is a run here."""
        return self._run_file.is_file()

    def check_usable(self) -> None:
        """Raise `InputError` where a run cannot be written; nothing is changed."""
        check_own_folder(
            self.path, self.argument, exists=self.exists, leftover=_is_ours, kind="a run"
        )

    def check_identity(self, identity: Mapping[str, Any]) -> None:
        """Raise `InputError` when the folder holds a run on other data or with another seed."""
        if not self.exists():
            return
        there = self.metadata()["identity"]
        for name, value in identity.items():
            if there.get(name) != value:
                rule = f"holds a run with {name} {there.get(name)!r}, not {value!r}"
                raise InputError(self.argument, str(self.path), rule)

    def metadata(self) -> dict[str, Any]:
        """The content of run.json."""
        if not self.exists():
            raise InputError(self.argument, str(self.path), "holds no run (no run.json)")
        content = read_sealed(self._run_file, self.argument, format=FORMAT)
        parts = content if isinstance(content, dict) else {}
        if parts.get("format") != FORMAT or not parts.keys() >= needed_keys(SHAPE):
            rule = f"is not a run of format {FORMAT}"
            raise InputError(self.argument, str(self._run_file), rule)
        with reading(self.argument, self._run_file):
            check_shape(parts, SHAPE)
        return parts

    def start(self, metadata: dict[str, Any], map_: NDArray[np.float32]) -> dict[str, Any]:
        """Create the folder, or widen the grid of the run that is there; returns run.json."""
        with self._named_errors(), locked(self.path):
            self.check_identity(metadata["identity"])
            merged = {"format": FORMAT, **metadata, MAP: hash_array(map_)}
            if self.exists():
                there = self.metadata()
                merged["grid"] = {
                    name: list(dict.fromkeys([*there["grid"][name], *metadata["grid"][name]]))
                    for name in GRID_LISTS
                }
                for name in BY_METHOD:
                    merged[name] = there.get(name, {}) | metadata[name]
            # the first file, by which the folder is ours
            write_sealed(self._run_file, merged)
            (self.path / "cells").mkdir(exist_ok=True)
            remove_leftovers(self.path, self.path / "cells", self.path / "labels")
            with atomic_path(self.path / "map.npy") as temporary, temporary.open("wb") as file:
                np.save(file, map_, allow_pickle=False)
        return merged

    def labels(self, spec: str) -> NoisyLabels | None:
        """The stored labels of a noise, or None; the receipt is written last."""
        path = self._labels_path(spec)
        stored = path.is_file() and receipt_path(path).is_file()
        return load_labels(path, argument=self.argument) if stored else None

    def save_labels(self, spec: str, labels: NoisyLabels) -> None:
        """Store the labels of a noise, clean labels included."""
        with self._named_errors():
            labels.save(self._labels_path(spec))

    def _labels_path(self, spec: str) -> Path:
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", spec)[:40].strip("-.")
        return self.path / "labels" / f"{slug}-{hash_json(spec)[:8]}.parquet"

    def has(self, key: CellKey) -> bool:
        """Whether a cell is finished."""
        return (self.path / "cells" / key.folder / "result.json").is_file()

    def check_shared(self, key: CellKey) -> None:
        """Raise `InputError` where a worker stored a cell that is not here."""
        if not self.has(key):
            raise InputError(self.argument, str(self.path), ELSEWHERE)

    def save_cell(
        self, key: CellKey, result: CellResult, test_predictions: NDArray[np.int64]
    ) -> None:
        """Store a finished cell in one rename. A cell that is there already is kept."""
        cells = self.path / "cells"
        with new_folder(".cell-", cells) as temporary:
            write_json(temporary / "config.json", asdict(key))
            kind = np.min_scalar_type(int(test_predictions.max()))
            np.save(temporary / "test_predictions.npy", test_predictions.astype(kind))
            write_sealed(
                temporary / "result.json",
                asdict(result),
                files=("config.json", "test_predictions.npy"),
            )
            with contextlib.suppress(OSError):
                temporary.rename(cells / key.folder)
        if not self.has(key):
            raise InputError(self.argument, str(cells / key.folder), "cannot be written")

    def results(self) -> BenchmarkResults:
        """Everything that is finished, in the order of the grid."""
        metadata = self.metadata()
        self._check_links()
        grid = metadata["grid"]
        columns = [self._column(spec) for spec in grid["noises"]]
        cells = {
            (cell.noise, cell.method, cell.seed): cell for cell in self._cells(metadata, columns)
        }
        wanted = [(n, m, s) for n in grid["noises"] for m in grid["methods"] for s in grid["seeds"]]
        return BenchmarkResults(
            metadata=metadata,
            class_names=tuple(metadata["data"]["class_names"]),
            noises=columns,
            methods=[_row(spec) for spec in grid["methods"]],
            seeds=list(grid["seeds"]),
            cells=[cells[place] for place in wanted if place in cells],
            map=self._map(metadata.get(MAP)),
        )

    def damage(self, key: CellKey) -> str:
        """What is wrong with the folder of a cell, empty where nothing is."""
        folder = self.path / "cells" / key.folder
        if not folder.exists():
            return ""
        try:
            self._result(folder)
        except InputError as error:
            return str(error)
        return ""

    def remove_cell(self, key: CellKey) -> None:
        """Remove what is there of a cell."""
        shutil.rmtree(self.path / "cells" / key.folder, ignore_errors=True)

    def _result(self, folder: Path) -> dict[str, Any]:
        """The content of a cell's result.json; `InputError` where a file of it is damaged."""
        path = folder / "result.json"
        content = read_sealed(path, self.argument)
        with reading(self.argument, path):
            found = {name: value for name, value in content.items() if name != FILES}
            check_shape(found, CELL)
        return found

    def _cells(
        self, metadata: Mapping[str, Any], columns: Sequence[NoiseColumn]
    ) -> Iterator[CellResult]:
        """Finished cells; those of an earlier recipe or of other labels are passed over."""
        hashes = {column.spec: hash_array(column.labels.labels) for column in columns}
        rates = {column.spec: column.labels.rate for column in columns}
        for folder in sorted((self.path / "cells").glob("[!.]*")):
            check_links(folder, self.argument)
            content = self._result(folder)
            config = read_json(folder / "config.json", self.argument)
            with reading(self.argument, folder):
                made_with = config["configuration"]
                noise, method = config["noise"], config["method"]
                if made_with["labels_sha256"] != hashes.get(noise):
                    continue
                told = metadata.get("known_rate", {}).get(method)
                known = {"noise_rate": rates[noise]} if told else {}
                if made_with["training"] != metadata["trainings"][method] | known:
                    continue
                if {len(curve) for curve in content["curves"].values()} - {
                    len(content["curves"]["test_accuracy"]) or None
                }:
                    raise ValueError("its curves are empty or differ in length")
                cell = CellResult(**content)
            yield cell

    def _column(self, spec: str) -> NoiseColumn:
        labels = self.labels(spec)
        if labels is None:
            raise InputError(self.argument, str(self.path), f"has no labels for {spec!r}")
        record = NOISE[split_spec(canonical_noise(spec), "noise")[0]]
        return NoiseColumn(spec=spec, kind=record.name, title=record.title, labels=labels)

    def _check_links(self) -> None:
        for folder in (self.path, self.path / "labels", self.path / "cells"):
            if folder.is_dir():
                check_links(folder, self.argument)

    def _map(self, sha256: str | None) -> NDArray[np.float32] | None:
        path = self.path / "map.npy"
        if not path.is_file():
            return None
        with reading(self.argument, path):
            found: NDArray[np.float32] = read_npy(path)
            if sha256 is not None and hash_array(found) != sha256:
                raise ValueError("it is not what was written; the same command writes it again")
            if found.ndim != 2 or found.shape[1] != 2 or found.dtype != np.float32:
                raise ValueError(f"it holds {found.dtype} {found.shape}, no map")
        return found

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            rule = f"cannot be written ({error.strerror or error})"
            raise InputError(self.argument, str(self.path), rule) from error


def _row(spec: str) -> MethodRow:
    name = split_spec(spec, "method")[0]
    title = METHODS[name].title
    _, parameters = split_spec(spec, "method")
    return MethodRow(spec=spec, name=name, title=f"{title} ({parameters})" if parameters else title)


def _is_ours(path: Path) -> bool:
    """Whether a file is what a run leaves that was killed while it wrote its first one."""
    return path.name.startswith(".run.json.") and path.suffix == ".tmp"


def missing_cells(
    folder: RunFolder, keys: Sequence[CellKey], say: Callable[[str], None] = lambda _: None
) -> list[CellKey]:
    """The cells that are not finished. say: told of damaged ones, which are removed."""
    for key in keys:
        if damage := folder.damage(key):
            say(f"{damage}; it is trained again")
            folder.remove_cell(key)
    return [key for key in keys if not folder.has(key)]
