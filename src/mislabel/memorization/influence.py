"""Influence of training examples on test examples, from the rows of a study.

    infl(i, j) = P[h(x_j) = y_j | i in the training set] - P[h(x_j) = y_j | i not in it]

(Feldman & Zhang 2020). With T_j the runs right on test example j, A_ji those of them that had
example i, and n_in, n_out as in `aggregate`: ``infl = A / n_in - (T - A) / n_out``.

A is a product of the matrix of correctness and the masks, both zeros and ones. It is computed in
float32, in which sums of ones are exact below 2^24 runs, so that influence differs from exact
arithmetic only by its last few roundings. Rows stay packed in memory, 8 runs a byte; a block of
test examples at a time is multiplied and written to the file, which is never in memory as a whole.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mislabel.errors import InputError
from mislabel.files import atomic_path, write_json
from mislabel.labels import check_labels
from mislabel.memorization.aggregate import read_row
from mislabel.memorization.store import StudyFolder, unpack

Matrix = NDArray[np.float32]
BLOCK_BYTES = 2**26
"Of a block of the result; the masks unpacked at a time take an eighth, so as to stay in a cache."
_ABOUT = "influence[test, train] on whether the test example is predicted right"


def study_influence(
    study: str | Path | StudyFolder, out: str | Path, *, test: ArrayLike | None = None
) -> Path:
    """Write the influence of the held-out set on test examples to an ``.npy`` file.

    test: (m,) positions of test examples; by default all. The file holds float32 (m, H), rows in
    the order of `test`, columns in that of the scores; NaN where an example was in all runs or in
    none. It may be opened with ``numpy.load(out, mmap_mode="r")``. Beside it, ``<out>.json`` names
    rows and columns. Errors: `InputError`, before anything is written.
    """
    folder = study if isinstance(study, StudyFolder) else StudyFolder(study)
    out = Path(out)
    if out.suffix != ".npy":
        raise InputError("output", str(out), "must end in .npy")
    n_test = len(folder.labels.test_labels)
    chosen = np.arange(n_test) if test is None else _chosen(test, n_test)
    runs = folder.runs()
    if not runs or not len(chosen):
        what = "finished run" if not runs else "test example"
        raise InputError(folder.argument, str(folder.path), f"has no {what}")
    masks, right = packed(folder, runs, chosen)
    counts = Counts.of(masks, len(folder.labels.index), len(runs))
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        shape = (len(chosen), len(folder.labels.index))
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, header)
        for block in influence_blocks(masks, right, counts, len(chosen)):
            file.write(block.data)
    labels = folder.labels
    about = {
        "about": _ABOUT, "runs": len(runs), "test": chosen.tolist(),
        "train": labels.positions[labels.index].tolist(), "study": folder.identity,
    }  # fmt: skip
    write_json(out.with_name(out.name + ".json"), about)
    return out


def packed(
    folder: StudyFolder, runs: Sequence[int], test: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(R, H / 8) masks of the held-out set and (R, m / 8) correctness of test examples, as bits."""
    labels = folder.labels
    n_train, n_test = len(labels.labels), len(labels.test_labels)
    masks = np.empty((len(runs), -(-len(labels.index) // 8)), dtype=np.uint8)
    right = np.empty((len(runs), -(-len(test) // 8)), dtype=np.uint8)
    for place, number in enumerate(runs):
        row = read_row(folder, number, ("mask", "test"))
        masks[place] = np.packbits(unpack(row["mask"], n_train)[labels.index])
        right[place] = np.packbits(unpack(row["test"], n_test)[test])
    return masks, right


class Counts:
    """Per held-out example, what a number of right runs is multiplied with.

    1 / n_in + 1 / n_out and 1 / n_out, (H,) float32; NaN where one of them is 0.
    """

    def __init__(self, inside: NDArray[np.int64], n_runs: int) -> None:
        counts = np.stack([inside, n_runs - inside]).astype(np.float64)
        shares = np.full_like(counts, np.nan)
        np.divide(1, counts, out=shares, where=counts > 0)
        self.both = shares.sum(axis=0).astype(np.float32)
        self.outside = (shares[1] + 0 * shares[0]).astype(np.float32)

    @classmethod
    def of(cls, masks: NDArray[np.uint8], n_examples: int, n_runs: int) -> "Counts":
        inside = np.zeros(n_examples, dtype=np.int64)
        for row in masks:
            inside += unpack(row, n_examples)
        return cls(inside, n_runs)


def influence_blocks(
    masks: NDArray[np.uint8], right: NDArray[np.uint8], counts: Counts, n_test: int
) -> Any:
    """Yield influence, (b, H) float32 for b test examples at a time, in order."""
    n_runs, n_examples = len(masks), len(counts.both)
    rows = _whole_bytes(BLOCK_BYTES // (4 * n_examples), n_test)
    columns = _whole_bytes(BLOCK_BYTES // (8 * 5 * n_runs), n_examples)
    result: Matrix = np.empty((rows, n_examples), dtype=np.float32)
    for start in range(0, n_test, rows):
        block = _unpacked(right, start, min(rows, n_test - start)).T
        found, total = result[: len(block)], block.sum(axis=1, dtype=np.float32)[:, None]
        for left in range(0, n_examples, columns):
            part = _unpacked(masks, left, min(columns, n_examples - left))
            among = slice(left, left + part.shape[1])
            product = block @ part
            product *= counts.both[among]
            np.subtract(product, total * counts.outside[among], out=found[:, among])
        yield found


def _unpacked(bits: NDArray[np.uint8], start: int, count: int) -> Matrix:
    """(R, count) zeros and ones from column `start`, a whole byte, on."""
    whole = bits[:, start // 8 : -(-(start + count) // 8)]
    return np.unpackbits(whole, axis=1, count=count).astype(np.float32)


def _whole_bytes(count: int, most: int) -> int:
    """A number of columns to unpack at a time, a multiple of 8 unless it is all."""
    return most if count >= most else max(8, count // 8 * 8)


def _chosen(test: ArrayLike, n_test: int) -> NDArray[np.int64]:
    return check_labels(test, name="test", n_classes=max(1, n_test))
