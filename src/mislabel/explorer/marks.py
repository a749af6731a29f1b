"""Labels that somebody marked on the explorer's page: right, wrong, unsure, or another label.

The page exports a label file, with a receipt, that every reader of labels takes: ::

    sample_id,original_label,mark,noisy_label
    0,3,,3
    1,5,new,2
    2,2,right,2

``noisy_label`` is the label after the marks; ``mark`` is empty where nobody looked. What was looked
at is a sample for a human-like fit if it was chosen at random: the page can order its list so.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mislabel.errors import InputError
from mislabel.files import UNREADABLE, hash_array
from mislabel.labels import NoisyLabels, load_labels
from mislabel.tables import read_csv

MARKS = ("right", "wrong", "unsure", "new")
GENERATOR = "explorer-marks"


@dataclass(frozen=True, kw_only=True, eq=False)
class Marks:
    """N examples, some of which somebody looked at; all arrays are (N,).

    marks: of `MARKS`, or empty. labels: as given. marked_labels: after the marks, another than the
    given one where the mark is "new". n_classes: C.
    """

    marks: NDArray[np.str_]
    labels: NDArray[np.int64]
    marked_labels: NDArray[np.int64]
    n_classes: int

    def __len__(self) -> int:
        return len(self.marks)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(N,) whether the mark says what the right label is: "right" or "new"."""
        return np.isin(self.marks, ("right", "new"))

    @property
    def noisy_labels(self) -> NoisyLabels:
        """The given labels, with those after the marks as the clean ones.

        With ``used=marks.known`` that is what `mislabel.noise.fit_human_like` learns from; where
        nobody looked the given label stands in for the clean one.
        """
        clean = self.marked_labels
        return NoisyLabels(self.labels, clean_labels=clean, n_classes=self.n_classes)


def read_marks(path: str | Path, argument: str = "marks") -> Marks:
    """The marked examples of a file that the explorer exported.

    Errors: `InputError` for a file that is none, was changed since, or has no mark.
    """
    import pyarrow as pa
    from pyarrow.csv import ConvertOptions

    path = Path(path)
    after = load_labels(path, argument=argument)
    if after.receipt.generator != GENERATOR:
        raise InputError(argument, str(path), "is no file of marks, or its receipt is missing")
    before = load_labels(path, column="original_label", argument=argument)
    options = ConvertOptions(include_columns=["mark"], column_types={"mark": pa.string()})
    try:
        marks = read_csv(path, options)["mark"].to_numpy().astype(np.str_)
    except UNREADABLE as error:
        raise InputError(argument, str(path), "has no column mark") from error
    _check(marks, before.labels, after, argument, path)
    return Marks(
        marks=marks,
        labels=before.labels,
        marked_labels=after.labels,
        n_classes=after.n_classes,
    )


def _check(
    marks: NDArray[np.str_],
    given: NDArray[np.int64],
    after: NoisyLabels,
    argument: str,
    path: Path,
) -> None:
    """Raise `InputError` where marks do not go with labels and receipt."""
    unknown = sorted(set(marks.tolist()) - {"", *MARKS})
    if unknown:
        raise InputError(argument, unknown[0], f"must be one of {', '.join(MARKS)}")
    if (marks == "").all():
        raise InputError(argument, str(path), "has no marks")
    bad = np.flatnonzero((marks == "new") != (given != after.labels))
    if len(bad):
        rule = f"a label changes where the mark is new and only there; not so in row {bad[0]}"
        raise InputError(argument, str(path), rule)
    if after.receipt.inputs.get("labels") != hash_array(given):
        rule = "its original_label differs from its receipt: it was changed after it was written"
        raise InputError(argument, str(path), rule)
    found = {mark: int((marks == mark).sum()) for mark in MARKS}
    if after.receipt.parameters.get("marks") != found:
        rule = "its marks differ from its receipt: it was changed after it was written"
        raise InputError(argument, str(path), rule)
