"""Labels that somebody marked on the explorer's page: right, wrong, unsure, or another label.

The page exports a label file, with a receipt, that every reader of labels takes: ::

    sample_id,original_label,mark,noisy_label
    0,3,,3
    1,5,new,2
    2,2,right,2

``noisy_label`` is the label after the marks; ``mark`` is empty where nobody looked. `read_marks`
gives the examples that were looked at, which are a sample for a human-like fit if they were chosen
at random.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.labels import NoisyLabels, load_labels

MARKS = ("right", "wrong", "unsure", "new")
GENERATOR = "explorer-marks"


@dataclass(frozen=True, kw_only=True, eq=False)
class Marks:
    """M marked examples; all arrays are (M,).

    index: ascending rows of the file. marks: of `MARKS`. labels: as given. marked_labels: after the
    marks, another than the given one where the mark is "new". n_classes: C.
    """

    index: NDArray[np.int64]
    marks: NDArray[np.str_]
    labels: NDArray[np.int64]
    marked_labels: NDArray[np.int64]
    n_classes: int

    def __len__(self) -> int:
        return len(self.index)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(M,) whether the mark says what the right label is: "right" or "new"."""
        return np.isin(self.marks, ("right", "new"))

    def sample(self) -> tuple[NDArray[np.int64], NoisyLabels]:
        """Rows whose right label is known now, and their given labels with it as the clean one."""
        rows = self.index[self.known]
        if not len(rows):
            raise InputError("marks", f"{len(self)} marks", "must have a right or a new label")
        clean = self.marked_labels[self.known]
        given = self.labels[self.known]
        return rows, NoisyLabels(given, clean_labels=clean, n_classes=self.n_classes)


def read_marks(path: str | Path, argument: str = "marks") -> Marks:
    """The marked examples of a file that the explorer exported.

    Errors: `InputError` for a file that is none, was changed since, or has no mark.
    """
    import pyarrow as pa
    from pyarrow import csv

    path = Path(path)
    after = load_labels(path, argument=argument)
    if after.receipt.generator != GENERATOR:
        raise InputError(argument, str(path), "is no file of marks, or its receipt is missing")
    before = load_labels(path, column="original_label", argument=argument)
    options = csv.ConvertOptions(include_columns=["mark"], column_types={"mark": pa.string()})
    try:
        marks = csv.read_csv(path, convert_options=options)["mark"].to_numpy().astype(np.str_)
    except (pa.ArrowException, KeyError) as error:
        raise InputError(argument, str(path), "has no column mark") from error
    unknown = sorted(set(marks.tolist()) - {"", *MARKS})
    if unknown:
        raise InputError(argument, unknown[0], f"must be one of {', '.join(MARKS)}")
    index = np.flatnonzero(marks != "")
    if not len(index):
        raise InputError(argument, str(path), "has no marks")
    return Marks(
        index=index,
        marks=marks[index],
        labels=before.labels[index],
        marked_labels=after.labels[index],
        n_classes=after.n_classes,
    )
