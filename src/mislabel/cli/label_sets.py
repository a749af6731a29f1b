"""Sets of labels on the command line: files, columns of files, or noise specs.

A set is given as a label file, as FILE:COLUMN of a file with several sets, or as the spec of a
noise, which is drawn on the points that are given: human:random_label1, symmetric:0.2.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mislabel.labels import NoisyLabels
    from mislabel.noise import NoiseModel


@dataclass(frozen=True)
class LabelSet:
    """One set of labels: how it was given, its name, and the labels with their clean labels."""

    given: str
    name: str
    labels: "NoisyLabels"


def load_points(map: Path | None, features: Path | None) -> "dict[str, NDArray[np.float32]]":
    """Map and features that are given, by name."""
    from mislabel.features import load_features, load_map

    found = {} if features is None else {"features": load_features(features)}
    return found if map is None else found | {"map": load_map(map)}


def load_label_sets(
    given: list[str],
    clean: Path | None,
    names: list[str],
    points: "dict[str, NDArray[np.float32]]",
    seed: int,
    *,
    options: list[str] | None = None,
) -> list[LabelSet]:
    """The sets, all with the same clean labels and the same number of classes.

    names: of the sets, or none. points: map and features by name, for noise that is drawn.
    options: which options they were given by, for errors; else they were arguments.
    """
    from mislabel.labels import NoisyLabels
    from mislabel.noise.base import check_matrix

    asked = options or ["labels"] * len(given)
    sources = [_source(text, name) for text, name in zip(given, asked, strict=True)]
    titles = _names(given, sources, names)
    shown = options or given
    known = _clean_labels(sources, shown, clean)
    for kind, values in points.items():
        check_matrix(values, kind, len(known))
    loaded = [_load(*pair, known, points, seed) for pair in zip(shown, sources, strict=True)]
    n_classes = max(one.n_classes for one in loaded)
    return [
        LabelSet(text, title, NoisyLabels(
            one.labels, clean_labels=known, n_classes=n_classes, receipt=one.receipt
        ))
        for text, title, one in zip(given, titles, loaded, strict=True)
    ]  # fmt: skip


def _source(text: str, argument: str) -> "tuple[Path, str | None] | NoiseModel":
    """File and column, or the noise model of a spec."""
    from mislabel.errors import InputError
    from mislabel.noise import NOISE, FromFile, Human, make_noise

    path, _, column = text.rpartition(":")
    if Path(text).is_file():
        return Path(text), None
    if path and Path(path).is_file():
        return Path(path), column
    if text.partition(":")[0].strip() not in NOISE.names:
        rule = "is neither a file, nor FILE:COLUMN, nor a noise such as human:random_label1"
        raise InputError(argument, text, rule)
    model = make_noise(text)
    model.check_parameters()
    if isinstance(model, Human):
        return model.found(), model.which
    return (model.path, model.column) if isinstance(model, FromFile) else model


def _clean_labels(
    sources: "list[tuple[Path, str | None] | NoiseModel]", given: list[str], clean: Path | None
) -> "NDArray[np.int64]":
    """(N,) those of a file of their own, or of the first set whose file has them."""
    from mislabel.errors import InputError
    from mislabel.labels import load_labels

    if clean is not None:
        return load_labels(clean, argument="clean").labels
    for text, source in zip(given, sources, strict=True):
        if isinstance(source, tuple):
            found = load_labels(source[0], column=source[1], argument=text).clean_labels
            if found is not None:
                return found
    raise InputError("clean", None, "no file has clean labels; name one that has")


def _load(
    text: str,
    source: "tuple[Path, str | None] | NoiseModel",
    clean: "NDArray[np.int64]",
    points: "dict[str, NDArray[np.float32]]",
    seed: int,
) -> "NoisyLabels":
    """The labels of a file, or drawn by a noise model."""
    from mislabel.labels import load_labels

    if isinstance(source, tuple):
        path, column = source
        return load_labels(path, clean_labels=clean, column=column, argument=text)
    place, features = points.get("map"), points.get("features", points.get("map"))
    return source.corrupt(clean, positions=place, features=features, seed=seed)


def _names(
    given: list[str], sources: "list[tuple[Path, str | None] | NoiseModel]", names: list[str]
) -> list[str]:
    """Names of the sets: the given ones, else column, file name or spec; all of them different."""
    from mislabel.errors import InputError

    if names and len(names) != len(given):
        raise InputError("name", names, f"must be as many as sets of labels: {len(given)}")
    short = [
        (source[1] or Path(source[0].name.removesuffix(".gz")).stem)
        if isinstance(source, tuple)
        else text
        for text, source in zip(given, sources, strict=True)
    ]
    chosen = names or (short if len(set(short)) == len(short) else given)
    for one in chosen:
        if chosen.count(one) > 1:
            raise InputError("name", one, "is the name of two sets")
    return list(chosen)
