"""Every reader of a file or folder that comes from elsewhere, with a small valid example of each.

A test that goes through `READERS` reaches all of them; a reader that is not here is not tested
against hostile input.
"""

import csv
import io
import json
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet

from mislabel.download import DownloadError
from mislabel.errors import InputError
from mislabel.files import check_plain, hash_array, hash_file
from mislabel.labels import NoisyLabels, load_labels
from mislabel.labels.formats import load_filenames, receipt_path, save_labels

N, C = 12, 3
CLEAN = np.arange(N) % C
NOISY = np.where(np.arange(N) % 4 == 1, (CLEAN + 1) % C, CLEAN)
POINTS = np.random.default_rng(0).normal(size=(N, 4)).astype(np.float32)


@dataclass(frozen=True)
class Reader:
    """One reader.

    make: writes the valid example into an empty folder. read: reads it, and does with the result
    what commands do. pattern: which files are made hostile. errors: what may come out.
    """

    name: str
    make: Callable[[Path], None]
    read: Callable[[Path], Any]
    pattern: str = "*"
    errors: tuple[type[Exception], ...] = (InputError,)

    def files(self, folder: Path) -> list[Path]:
        """The files to make hostile, in a fixed order."""
        return sorted(path for path in folder.rglob(self.pattern) if path.is_file())


def _unsealed(make: Callable[[Path], None]) -> Callable[[Path], None]:
    """Without the seals of its JSON files, which whoever writes a file can make or leave out."""

    def unsealed(folder: Path) -> None:
        make(folder)
        for path in folder.rglob("*.json"):
            content = json.loads(path.read_text())
            kept = {k: v for k, v in content.items() if k not in ("sha256", "files_sha256")}
            path.write_text(json.dumps(kept))

    return unsealed


# Labels


def _labels() -> NoisyLabels:
    return NoisyLabels(NOISY, clean_labels=CLEAN, n_classes=C)


def _label_file(suffix: str, layout: str = "pair") -> Reader:
    def make(folder: Path) -> None:
        path, names = folder / f"labels{suffix}", [f"{i}.png" for i in range(N)]
        save_labels(_labels(), path, csv_layout=layout, filenames=names)
        receipt_path(path).unlink()

    def read(folder: Path) -> None:
        load_labels(folder / f"labels{suffix}")
        load_filenames(folder / f"labels{suffix}")

    return Reader(f"labels {suffix} {layout}", make, read)


def _read_receipt(folder: Path) -> None:
    labels = load_labels(folder / "labels.npy")
    labels.save(folder / "again.npy")
    (folder / "again.npy").unlink()
    (folder / "again.npy.receipt.json").unlink()


def _make_receipt(folder: Path) -> None:
    save_labels(_labels(), folder / "labels.npy")


def _make_marks(folder: Path) -> None:
    rows = [[i, label, "right" if i % 2 else "", label] for i, label in enumerate(NOISY.tolist())]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [["sample_id", "original_label", "mark", "noisy_label"], *rows]
    )
    (folder / "marked.csv").write_text(text.getvalue())
    save_labels(_labels(), folder / "labels.npy")
    receipt = json.loads((folder / "labels.npy.receipt.json").read_text())
    receipt["generator"] = "explorer-marks"
    receipt["inputs"] = {"labels": hash_array(NOISY)}
    receipt["parameters"] = {"marks": {"right": N // 2, "wrong": 0, "unsure": 0, "new": 0}}
    (folder / "marked.csv.receipt.json").write_text(json.dumps(receipt))
    (folder / "labels.npy").unlink()
    (folder / "labels.npy.receipt.json").unlink()


def _read_marks(folder: Path) -> None:
    from mislabel.explorer.marks import read_marks

    read_marks(folder / "marked.csv")


def _index_file(suffix: str) -> Reader:
    def make(folder: Path) -> None:
        if suffix == ".npy":
            np.save(folder / "index.npy", np.arange(4))
        else:
            (folder / "index.txt").write_text("0\n1\n5\n")

    def read(folder: Path) -> None:
        from mislabel.memorization.design import load_index

        load_index(folder / f"index{suffix}")

    return Reader(f"held-out set {suffix}", make, read)


# Features, scores, cleaned labels


def _features(suffix: str, read_map: bool = False) -> Reader:
    def make(folder: Path) -> None:
        path, points = folder / f"x{suffix}", POINTS[:, :2] if read_map else POINTS
        if suffix == ".npy":
            np.save(path, points)
        elif suffix == ".npz":
            np.savez_compressed(path, features=points, other=CLEAN)
        elif suffix == ".parquet":
            names = "xyzw"[: points.shape[1]]
            parquet.write_table(pa.table(dict(zip(names, points.T, strict=True))), path)
        else:
            from safetensors.numpy import save_file

            save_file({"features": points, "other": CLEAN}, path)

    def read(folder: Path) -> None:
        from mislabel.features import load_features
        from mislabel.features.base import load_map

        (load_map if read_map else load_features)(folder / f"x{suffix}")

    return Reader(f"{'map' if read_map else 'features'} {suffix}", make, read)


def _make_scores(folder: Path) -> None:
    from memorization_examples import drawn

    drawn(N).save(folder / "scores.npz")


def _read_scores(folder: Path) -> None:
    from mislabel.memorization.scores import load_scores
    from mislabel.memorization.summary import summarise

    summarise(load_scores(folder / "scores.npz"))


def _make_published(folder: Path) -> None:
    mask = np.random.default_rng(0).random((4, N)) < 0.7
    np.savez(folder / "runs.npz", trainset_mask=mask, trainset_correctness=mask)
    half = np.full(N, 0.5)
    np.savez(
        folder / "sums.npz", memorization_inclusion_prob=half, memorization_exclusion_prob=half
    )
    rows = [f"{i},{CLEAN[i]},{NOISY[i]},0.5,0.25" for i in range(0, N, 2)]
    head = "index,clean_label,noisy_label,inclusion_prob,exclusion_prob"
    (folder / "table.csv").write_text("\n".join([head, *rows, ""]))


def _read_published(folder: Path) -> None:
    from mislabel.memorization.layout import import_csv, import_npz

    import_npz([folder / "runs.npz"], _labels())
    import_npz([folder / "sums.npz"], _labels(), index=np.arange(N))
    import_csv(folder / "table.csv", _labels())


def _cleaned(suffix: str) -> Reader:
    def make(folder: Path) -> None:
        from cleaned_examples import cleaned

        cleaned().save(folder / f"cleaned{suffix}")

    def read(folder: Path) -> None:
        from mislabel.cleaning.formats import load_cleaned
        from mislabel.report.cleaning_page import headlines

        headlines(load_cleaned(folder / f"cleaned{suffix}"))

    return Reader(f"cleaned labels {suffix}", make, read)


# Data


def _make_npz(folder: Path) -> None:
    names = np.array(["ant", "bee", "cat"])
    arrays = {"x_train": POINTS, "y_train": CLEAN, "x_test": POINTS, "y_test": CLEAN}
    np.savez_compressed(folder / "data.npz", class_names=names, **arrays)


def _load(spec: str, **options: Any) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        from mislabel.data import load_data

        load_data(spec.format(folder=folder), **options)

    return read


def _image(kind: str) -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    image = image.convert("P") if kind == "GIF" else image
    image.save(stream, kind, **({"exif": _exif()} if kind == "JPEG" else {}))
    return stream.getvalue()


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def _make_images(folder: Path) -> None:
    for name in ("ant", "bee"):
        (folder / name).mkdir()
        for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "PPM"):
            suffix = {"JPEG": "jpg"}.get(kind, kind.lower())
            (folder / name / f"{kind}.{suffix}").write_bytes(_image(kind))


def cifar_batch(labels: Any = None, **more: Any) -> bytes:
    """A batch of CIFAR-10 as pickled today: six black images."""
    batch = {"data": np.zeros((6, 3072), np.uint8), "labels": labels or [0, 1, 2, 3, 4, 5]}
    return pickle.dumps(batch | more, protocol=2)


def make_cifar(folder: Path) -> None:
    """CIFAR-10 in the original layout, six images a file."""
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        (folder / name).write_bytes(cifar_batch())
    names = {"label_names": [f"class {i}" for i in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names, protocol=2))


def _make_hub(folder: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (32, 32)).save(stream, "PNG")
    rows = [{"bytes": stream.getvalue(), "path": None}] * 3
    for split in ("train", "test"):
        table = pa.table({"img": rows, "label": [0, 1, 2]})
        parquet.write_table(table, folder / f"{split}-00000-of-00001.parquet")


# What is read from YAML and JSON

SUITE = """name: mine
version: 2
seeds: [1, 2]
noises:
  - symmetric: [0.1, 0.2]
  - pair:0.2
thresholds:
  - accuracy >= 0.8 at pair:0.2
about: one line
"""


def _read_suite(folder: Path) -> None:
    from mislabel.stress.suite_file import load_suite

    load_suite(folder / "suite.yaml")


def _make_human(folder: Path) -> None:
    from mislabel.noise.human_like import HumanParameters

    HumanParameters.preset("random_label1").save(folder / "human.json")


def _read_human(folder: Path) -> None:
    from mislabel.noise.human_like import HumanParameters

    HumanParameters.load(folder / "human.json").noise(0.2).check_parameters()


def _outcome(name: str, content: bytes) -> Reader:
    from mislabel.stress.outcome import OutcomeError

    def read(folder: Path) -> None:
        from mislabel.stress.outcome import read_outcome

        names = ("ant", "bee", "cat")
        read_outcome(folder / "out", n_test=N, n_train=N, class_names=names)

    def make(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return Reader(f"outcome {name}", make, read, errors=(OutcomeError,))


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _make_record(folder: Path) -> None:
    entry = {
        "key": "CIFAR-10_human.pt", "size": 5, "checksum": "md5:" + "0" * 32,
        "links": {"self": "https://zenodo.org/x"},
    }  # fmt: skip
    (folder / "zenodo.json").write_text(json.dumps({"files": [entry]}))


def _read_record(folder: Path) -> None:
    from mislabel.download import _from_record
    from mislabel.labels.published import PublishedFile

    file = PublishedFile(
        name="CIFAR-10_human.pt", source="", url="https://zenodo.org/api/records/1"
    )
    _from_record(file, (folder / "zenodo.json").read_bytes())


# Folders of ours


def _tiny(folder: Path) -> Path:
    """The data of `tiny_data`, beside the folder."""
    from tiny_data import write_data

    return write_data(folder.with_name(f"{folder.name}-data"))


def _make_run(folder: Path) -> None:
    from mislabel.benchmark import Grid, run_benchmark

    data = _tiny(folder)
    grid = Grid(
        data=f"npz:{data}", noises=["clean", "symmetric:0.2"], methods=["standard"], seeds=[1],
        map=data.with_name("map.npy"), epochs=1, device="cpu",
    )  # fmt: skip
    run_benchmark(grid, folder, workers=1)


def _read_run(folder: Path) -> None:
    from mislabel.benchmark.audit import audit_seeds
    from mislabel.benchmark.store import RunFolder
    from mislabel.benchmark.tables import format_table
    from mislabel.report.page import _data_line, _receipts
    from mislabel.report.receipts import json_text, run_command, run_facts
    from mislabel.report.verdict import write_verdict

    results = RunFolder(folder, "run").results()
    audit_seeds(results)
    for form in ("markdown", "csv", "json", "latex"):
        format_table(results, form)
    write_verdict(results)
    # what the page shows besides figures
    run_facts(results.metadata, results.seeds, [cell.seconds for cell in results.cells])
    run_command(results.metadata), json_text(results.metadata)
    _data_line(results), _receipts(results)


class _Guess:
    """A training that learns nothing."""

    def predict(self, x: Any) -> Any:
        return np.arange(len(x)) % 3


def _guess(x: Any, y: Any, *, seed: int) -> _Guess:
    return _Guess()


def _make_stress(folder: Path) -> None:
    from mislabel.stress import Suite, run

    suite = Suite(name="tiny", version=1, noises=["clean", "symmetric:0.2"], seeds=[1, 2])
    run(_guess, f"npz:{_tiny(folder)}", suite=suite, out=folder, workers=1)


def _read_stress(folder: Path) -> None:
    from mislabel.report.stress_page import LOG_LINES, _facts, _test_line, failed_rows
    from mislabel.report.stress_tables import area_rows, stress_rows
    from mislabel.stress import decide
    from mislabel.stress.junit import junit_xml, verdict_json
    from mislabel.stress.store import StressFolder, load_stress

    results = load_stress(folder)
    verdict = decide(results, results.thresholds)
    junit_xml(verdict, results), json.dumps(verdict_json(verdict, results))
    _facts(results), _test_line(results), stress_rows(results), area_rows(results)
    failed_rows(results), LOG_LINES
    for cell in results.cells:
        StressFolder(folder).log_tail(cell)


def _answer(run: Any) -> Any:
    from mislabel.memorization.store import Answer

    rng = np.random.default_rng(run.seed)
    return Answer(
        train=rng.integers(C, size=N), test=rng.integers(C, size=6), probability=rng.random(N)
    )


def _make_study(folder: Path) -> None:
    from mislabel.memorization.design import make_design
    from mislabel.memorization.study import StudyPlan, run_study

    plan = StudyPlan(
        train=_answer, design=make_design(_labels(), "balanced", seed=3), labels=_labels(),
        test_labels=np.arange(6) % C, identity={"method": "noise"},
        positions=np.arange(N) * 2 + 1, n_total=50, class_names=("ant", "bee", "cat"),
    )  # fmt: skip
    run_study(plan, folder, runs=2, workers=1)


def _read_study(folder: Path) -> None:
    from mislabel.memorization.aggregate import study_scores
    from mislabel.memorization.store import DamagedRow, StudyFolder

    study = StudyFolder(folder)
    study.check_usable(study.identity)
    for number in study.runs():
        try:
            study.check_row(number)
        except DamagedRow:
            continue
    study_scores(study)


def _make_training(folder: Path) -> None:
    from mislabel.benchmark.inputs import InputOptions
    from mislabel.benchmark.training import TrainingPlan, train_to_folder

    options = InputOptions(data=f"npz:{_tiny(folder)}", device="cpu")
    plan = TrainingPlan(inputs=options, method="standard", noise="symmetric:0.2", epochs=1)
    train_to_folder(plan, folder)


def _read_training(folder: Path) -> None:
    from mislabel.benchmark.training_folder import load_training

    trained = load_training(folder)
    assert len(trained.most_suspicious)
    load_labels(folder / "scores.csv", column="predicted_label")


def _make_model(folder: Path) -> None:
    from mislabel.learning import METHODS, save_method

    method = METHODS["standard"].estimator(network="mlp", epochs=1, device="cpu")
    save_method(method.fit(POINTS, NOISY), folder)


def _read_model(folder: Path) -> None:
    from mislabel.learning import load_method

    model = folder / "model.json"
    try:
        check_plain(model)
        check_plain(folder / "model.safetensors")
        content = json.loads(model.read_bytes())
        content["weights_sha256"] = hash_file(folder / "model.safetensors")
        model.write_text(json.dumps(content))
    except (OSError, ValueError, TypeError, RecursionError):
        pass  # as it is
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of scikit-learn, for names of columns
        load_method(folder, device="cpu").predict(POINTS)


def _make_checkpoint(folder: Path) -> None:
    import torch

    from mislabel.learning.checkpoint import save_state

    state = {"identity": {"a": 1}, "state": {"network": {"w": torch.zeros(3)}, "epoch": [1, 2.5]}}
    save_state(folder / "checkpoint.safetensors", state)


def _read_checkpoint(folder: Path) -> None:
    from mislabel.learning.checkpoint import Checkpoint

    Checkpoint(folder / "checkpoint.safetensors", {"a": 1}).load()


READERS = [
    *[_label_file(suffix) for suffix in (".npy", ".csv", ".csv.gz", ".parquet", ".pt")],
    _label_file(".csv", "indexed"),
    Reader("receipt", _unsealed(_make_receipt), _read_receipt, "*.json"),
    Reader("marks", _unsealed(_make_marks), _read_marks),
    *[_index_file(suffix) for suffix in (".npy", ".txt")],
    *[_features(suffix) for suffix in (".npy", ".npz", ".parquet", ".safetensors")],
    _features(".parquet", read_map=True),
    Reader("scores", _make_scores, _read_scores),
    Reader("published study", _make_published, _read_published),
    *[_cleaned(suffix) for suffix in (".csv", ".parquet", ".npz")],
    Reader("data npz", _make_npz, _load("npz:{folder}/data.npz")),
    Reader("folder of images", _make_images, _load("folder:{folder}", image_size=8)),
    Reader("cifar pickles", make_cifar, _load("cifar10:{folder}")),
    Reader("cifar parquet", _make_hub, _load("cifar10:{folder}")),
    Reader("suite", lambda f: (f / "suite.yaml").write_text(SUITE) and None, _read_suite),
    Reader("human-like", _make_human, _read_human),
    _outcome("out.npy", _npy(CLEAN)),
    _outcome("out.csv", b"prediction\n" + b"\n".join(b"%d" % i for i in CLEAN)),
    _outcome("out.json", json.dumps({"predictions": CLEAN.tolist(), "f1": 0.5}).encode()),
    Reader("run", _unsealed(_make_run), _read_run),
    Reader("stress test", _unsealed(_make_stress), _read_stress),
    Reader("training", _unsealed(_make_training), _read_training, "[!m]*"),
    Reader("record of downloads", _make_record, _read_record, errors=(DownloadError,)),
    Reader("study", _unsealed(_make_study), _read_study),
    Reader("model", _make_model, _read_model),
    Reader("checkpoint", _make_checkpoint, _read_checkpoint),
]
