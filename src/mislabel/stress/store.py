"""The folder of a stress test.

    stress.json                   what was tested: identity, suite, subjects, cells by their hash
    labels/<spec>-<hash>.parquet  labels of each noise and seed, with receipts
    cells/<hash>/                 one ended training: config.json, result.json, log.txt and, where
                                  it succeeded with predictions, predictions.npy

A cell's folder is named by the hash of what it depends on (data, labels, seed, code) and appears in
one rename, so it is complete or absent; stress.json says which cells make up the test. A folder
with other things, or a test on other data, is refused.
"""

import contextlib
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.files import check_links, hash_json, locked, reading, write_json
from mislabel.labels import NoisyLabels, load_labels
from mislabel.labels.formats import receipt_path
from mislabel.leftovers import new_folder, remove_leftovers
from mislabel.outputs import check_own_folder
from mislabel.sealed import FILES, read_sealed, write_sealed
from mislabel.shapes import check_shape, needed_keys
from mislabel.stress.results import StressCell, StressNoise, StressResults, Subject
from mislabel.words import one_line

FORMAT = 1
FILE = "stress.json"
SLACK_SECONDS = 600.0
"How long after its time is over a training's working folder may be there."
LOG_SHOWN = 4000
"Characters of a log's end that are shown."
SHAPE: dict[str, Any] = {
    "identity": {"data": str, "data_sha256": str, "seed": int, "subset": (int, None)},
    "code_sha256": str,
    "subjects": [{"name": str, "title": str}],
    "suite": {"name": str, "version": int, "seeds": [int]},
    "metric": str,
    "lower_is_better": bool,
    "thresholds": [str],
    "data": {
        "name": str, "class_names": [str], "n_test": int, "n_train?": int,
        "n_train_total?": int, "subset?": (int, None),
    },
    "versions?": {...: (str, None)},
    "noises": [{"spec": str, "kind": str, "family": str, "title": str, "rate": float}],
    "cells": [
        {"cell": str, "subject": str, "noise": str, "seed": int, "rate": float,
         "labels_sha256": str}
    ],
}  # fmt: skip
"What stress.json must have to be read."
CELL: dict[str, Any] = {
    "failure": (str, None), "metrics": {...: float}, "accuracy_per_class": [(float, None)],
    "seconds": float,
}  # fmt: skip
"What the result.json of a cell holds."


class StressFolder:
    """The folder of a stress test at `path`; see the module for its layout."""

    def __init__(self, path: Path, argument: str = "out") -> None:
        self.path = Path(path)
        self.argument = argument

    @property
    def _file(self) -> Path:
        return self.path / FILE

    def exists(self) -> bool:
        """Whether there is a test here."""
        return self._file.is_file()

    def check_usable(self) -> None:
        """Raise `InputError` where a test cannot be written; nothing is changed."""
        check_own_folder(
            self.path, self.argument, exists=self.exists, leftover=_is_ours, kind="a stress test"
        )

    def check_identity(self, identity: Mapping[str, Any], code: str, *, replace: bool) -> None:
        """Raise `InputError` where the folder has a test on other data, or of other code.

        replace: let the test of new code take the place of the old one.
        """
        if not self.exists():
            return
        there = self.metadata()
        for name, value in identity.items():
            if there["identity"].get(name) != value:
                rule = f"holds a test with {name} {there['identity'].get(name)!r}, not {value!r}"
                raise InputError(self.argument, str(self.path), rule)
        if there["code_sha256"] != code and not replace:
            rule = (
                "holds the test of other code; give another folder and compare the two with "
                "mislabel stress diff, or say replace"
            )
            raise InputError(self.argument, str(self.path), rule)

    def metadata(self) -> dict[str, Any]:
        """The content of stress.json."""
        if not self.exists():
            raise InputError(self.argument, str(self.path), f"holds no stress test (no {FILE})")
        content = read_sealed(self._file, self.argument, format=FORMAT)
        found = content if isinstance(content, dict) else {}
        if found.get("format") != FORMAT or not found.keys() >= needed_keys(SHAPE):
            raise InputError(self.argument, str(self._file), f"is no test of format {FORMAT}")
        with reading(self.argument, self._file):
            check_shape(found, SHAPE)
            if not all(re.fullmatch("[0-9a-f]+", place["cell"]) for place in found["cells"]):
                raise ValueError("a cell has a name that is no hash")
        return found

    def start(self, metadata: Mapping[str, Any]) -> None:
        """Create the folder, or put this test in the place of the one that is there."""
        try:
            with locked(self.path):
                write_sealed(self._file, {"format": FORMAT, **metadata})
            (self.path / "cells").mkdir(exist_ok=True)
        except OSError as error:
            rule = f"cannot be written ({error.strerror or error})"
            raise InputError(self.argument, str(self.path), rule) from error
        remove_leftovers(self.path, self.path / "cells", self.path / "labels")

    def labels(self, spec: str, seed: int, identity: Mapping[str, Any]) -> NoisyLabels | None:
        """Stored labels of a noise and seed, drawn from the same inputs, or None."""
        path = self._labels_path(spec, seed, identity)
        stored = path.is_file() and receipt_path(path).is_file()
        return load_labels(path, argument=self.argument) if stored else None

    def save_labels(
        self, labels: NoisyLabels, spec: str, seed: int, identity: Mapping[str, Any]
    ) -> None:
        """Store the labels of a noise and seed, clean labels included."""
        labels.save(self._labels_path(spec, seed, identity))

    def _labels_path(self, spec: str, seed: int, identity: Mapping[str, Any]) -> Path:
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", spec)[:40].strip("-.")
        name = hash_json([spec, seed, dict(identity)])[:12]
        return self.path / "labels" / f"{slug}-seed{seed}-{name}.parquet"

    def cell(self, name: str) -> dict[str, Any] | None:
        """The result of an ended cell, or None."""
        path = self._cell_path(name) / "result.json"
        if not path.is_file():
            return None
        check_links(path.parent, self.argument)
        content = read_sealed(path, self.argument)
        with reading(self.argument, path):
            check_shape(content, CELL)
        return {name: value for name, value in content.items() if name != FILES}

    def remove_cell(self, name: str) -> None:
        """Remove what is there of a cell."""
        shutil.rmtree(self._cell_path(name), ignore_errors=True)

    def working_folder(self, timeout: float) -> AbstractContextManager[Path]:
        """A new folder to train in; it is gone afterwards."""
        until = time.time() + timeout + SLACK_SECONDS
        return new_folder(f".until-{until:.0f}-", self.path / "cells")

    def save_cell(
        self,
        name: str,
        *,
        config: Mapping[str, Any],
        result: Mapping[str, Any],
        predictions: NDArray[np.int64] | None,
        log: Path,
    ) -> None:
        """Store an ended cell in one rename; a failed one that is there is replaced."""
        with self.working_folder(0.0) as temporary:
            if log.is_file():
                shutil.copyfile(log, temporary / "log.txt")
            write_json(temporary / "config.json", dict(config))
            if predictions is not None:
                kind = np.min_scalar_type(int(predictions.max()))
                np.save(temporary / "predictions.npy", predictions.astype(kind))
            beside = sorted(path.name for path in temporary.iterdir())
            write_sealed(temporary / "result.json", result, files=beside)
            there = self.cell(name)
            if there is not None and there["failure"] is not None:
                self.remove_cell(name)
            with contextlib.suppress(OSError):
                temporary.rename(self._cell_path(name))
        if self.cell(name) is None:
            raise InputError(self.argument, str(self._cell_path(name)), "cannot be written")

    def results(self, metadata: Mapping[str, Any] | None = None) -> StressResults:
        """The test with every cell of it that has ended.

        metadata: of a test of which another process may have replaced stress.json meanwhile.
        """
        metadata = self.metadata() if metadata is None else metadata
        self._check_links()
        cells = []
        for place in metadata["cells"]:
            found = self.cell(place["cell"])
            if found is not None:
                where = {key: place[key] for key in ("subject", "noise", "seed", "rate")}
                log = f"cells/{place['cell']}/log.txt"
                known = dict.fromkeys(("labels_sha256",), place["labels_sha256"])
                cells.append(
                    StressCell(**where, **known, log=log, **_kept(found, metadata["metric"]))
                )
        return StressResults(
            metadata=metadata,
            class_names=tuple(metadata["data"]["class_names"]),
            noises=[StressNoise(**noise) for noise in metadata["noises"]],
            subjects=[Subject(**subject) for subject in metadata["subjects"]],
            seeds=list(metadata["suite"]["seeds"]),
            cells=cells,
            metric=metadata["metric"],
            lower_is_better=metadata["lower_is_better"],
            n_test=metadata["data"]["n_test"],
            thresholds=metadata["thresholds"],
        )

    def log_tail(self, cell: StressCell) -> str:
        """The end of the output of a training."""
        path = self.path / cell.log
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_SHOWN))
            return file.read().decode("utf-8", errors="replace")

    def _check_links(self) -> None:
        for folder in (self.path, self.path / "labels", self.path / "cells"):
            if folder.is_dir():
                check_links(folder, self.argument)

    def _cell_path(self, name: str) -> Path:
        return self.path / "cells" / name


def load_stress(path: str | Path, argument: str = "run") -> StressResults:
    """What a folder of a stress test holds."""
    return StressFolder(Path(path), argument).results()


def suite_json(suite: Any) -> dict[str, Any]:
    """A suite as JSON values."""
    return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(suite).items()}


def _kept(found: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """What a cell's result says in a test that counts `metric`, which it may not have."""
    names = ("failure", "metrics", "accuracy_per_class", "seconds")
    kept = {name: found[name] for name in names}
    if kept["failure"] is None and metric not in kept["metrics"]:
        given = ", ".join(sorted(kept["metrics"]))
        failure = one_line(f"gave no metric {metric!r}, only {given}")
        kept |= {"failure": failure, "metrics": {}, "accuracy_per_class": []}
    return kept


def _is_ours(path: Path) -> bool:
    """Whether a file is what a test leaves that was killed while it wrote its first one."""
    return path.name.startswith(f".{FILE}.") and path.suffix == ".tmp"
