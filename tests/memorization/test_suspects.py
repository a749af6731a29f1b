"""The examples that matter: which are listed, in which order, with what beside them."""

import csv
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from memorization_examples import drawn, scores
from mislabel.data import Dataset
from mislabel.errors import InputError
from mislabel.memorization import MemorizationScores
from mislabel.memorization.suspects import (
    Suspects,
    find_suspects,
    on_dataset,
    relabelled,
    vote,
)
from mislabel.words import safe_cell

LINE = np.arange(8, dtype=np.float32)[:, None] ** 1.5
"Features on a line with growing gaps: the neighbours of each are the nearest numbers, left first."


def eight(**more: Any) -> MemorizationScores:
    """Of eight examples 1, 3 and 6 have wrong labels; 1 and 6 are memorized, 3 is learned.

    Right labels: 5 is memorized too, 0, 2 and 4 are learned, 7 is neither.
    """
    known: dict[str, Any] = {
        "labels": [0, 1, 0, 2, 0, 1, 2, 1],
        "clean_labels": [0, 0, 0, 0, 0, 1, 1, 1],
    }
    inclusion = [1, 0.8, 1, 0.9, 1, 0.9, 1.0, 0.6]
    exclusion = [1, 0.1, 1, 0.7, 1, 0.2, 0.1, 0.6]
    return scores(inclusion, exclusion, **(known | more))


def indices(found: Suspects, kind: str) -> list[int]:
    return [suspect.index for suspect in found.of(kind)]


def test_known_clean_labels_say_what_is_wrong() -> None:
    found = find_suspects(eight())
    assert indices(found, "memorized") == [6, 1]  # 0.9 before 0.7
    assert indices(found, "learned") == [3]
    assert found.totals == {"memorized": 2, "learned": 1}
    assert found.judged_by == "clean labels"
    first = found.examples[0]
    assert (first.label, first.clean_label, first.suggested_label) == (2, 1, None)
    assert (first.neighbors, first.neighbor_labels) == ((), ())
    assert first.memorization == pytest.approx(0.9)
    assert first.memorization_error is None


def test_without_clean_labels_neighbours_say_what_looks_wrong() -> None:
    found = find_suspects(
        eight(clean_labels=None), features=LINE, labels=np.zeros(8, np.int64), neighbors=2
    )
    assert found.judged_by == "suggested labels"
    # The labels of the two neighbours; where they differ, that of the nearer one, on the left.
    # 0: 1, 0. 1: 0, 0. 2: 1, 2. 3: 0, 0. 4: 2, 1. 5: 0, 2. 6: 1, 1.
    suggested = {s.index: s.suggested_label for s in found.examples}
    assert suggested == {0: 1, 1: 0, 2: 1, 3: 0, 4: 2, 5: 0, 6: 1}
    assert indices(found, "memorized") == [6, 1, 5]
    assert indices(found, "learned") == [0, 2, 4, 3]


def test_neither_clean_nor_suggested_labels_leave_the_memorized() -> None:
    found = find_suspects(eight(clean_labels=None))
    assert found.judged_by == "exclusion"
    assert indices(found, "memorized") == [6, 1, 5]
    assert found.totals == {"memorized": 3, "learned": 0}


def test_probabilities_suggest_labels() -> None:
    probabilities = np.full((8, 3), 0.1)
    probabilities[:, 1] = 0.8
    found = find_suspects(eight(clean_labels=None), probabilities=probabilities)
    assert indices(found, "memorized") == [6]
    assert indices(found, "learned") == [0, 2, 4, 3]  # ties by index, then the lower one
    assert {s.suggested_label for s in found.examples} == {1}
    assert found.examples[0].suggested_share == 0.8
    assert found.examples[0].label_share == 0.1


def test_neighbours_and_probabilities_count_alike() -> None:
    probabilities = np.tile([0.2, 0.3, 0.5], (8, 1))
    found = find_suspects(
        eight(), features=LINE, labels=np.zeros(8, np.int64), probabilities=probabilities,
        neighbors=2,
    )  # fmt: skip
    one = found.of("memorized")[1]
    assert one.index == 1 and one.neighbor_labels == (0, 0)
    assert (one.suggested_label, one.suggested_share, one.label_share) == (0, 0.6, 0.15)


def test_neighbours_without_scores_vote_with_the_labels_given() -> None:
    some = eight().select(np.array([6]))
    given = np.array([0, 0, 0, 0, 0, 2, 0, 2])
    [suspect] = find_suspects(some, features=LINE, labels=given, neighbors=2).examples
    assert (suspect.index, suspect.label) == (6, 2)
    assert set(suspect.neighbors) == {5, 7} and suspect.neighbor_labels == (2, 2)
    assert suspect.suggested_label == 2
    assert given.tolist() == [0, 0, 0, 0, 0, 2, 0, 2]  # left as it was


def test_more_neighbours_than_examples_are_all_others() -> None:
    found = find_suspects(eight(), features=LINE, labels=np.zeros(8, np.int64), neighbors=99)
    assert all(len(s.neighbors) == 7 and s.index not in s.neighbors for s in found.examples)


def plain_vote(labels: Any, neighbors: Any, n_classes: int) -> tuple[list[int], list[float]]:
    """Most frequent label of each row, the one of the nearest among equal ones, and its share."""
    best, shares = [], []
    for row in neighbors:
        given = [int(labels[n]) for n in row]
        most = max(given.count(c) for c in range(n_classes))
        best.append(next(c for c in given if given.count(c) == most))
        shares.append(most / len(row))
    return best, shares


@pytest.mark.parametrize("k", [1, 2, 5, 10])
def test_vote_equals_its_plain_twin(k: int) -> None:
    rng = np.random.default_rng(k)
    labels, neighbors = rng.integers(4, size=50), rng.integers(50, size=(200, k))
    found = vote(labels, neighbors, 4)
    best, shares = plain_vote(labels, neighbors, 4)
    assert found.argmax(axis=1).tolist() == best
    assert_allclose(found.max(axis=1), shares, rtol=1e-6)
    assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_only_the_top_are_listed_and_all_counted() -> None:
    found = find_suspects(eight(), top=1)
    assert (indices(found, "memorized"), indices(found, "learned")) == ([6], [3])
    assert found.totals == {"memorized": 2, "learned": 1}


def test_unknown_scores_are_never_listed() -> None:
    nan = np.nan
    found = find_suspects(scores([1, nan, 0.9], [nan, 0.1, 0.8], labels=[1, 1, 1],
                                 clean_labels=[0, 0, 0]))  # fmt: skip
    assert [s.index for s in found.examples] == [2]
    nothing = find_suspects(drawn(4).select(np.zeros(0, np.int64)))
    assert nothing.examples == () and nothing.totals == {"memorized": 0, "learned": 0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": LINE}, "features=None: and labels are needed together"),
        (
            {"features": LINE[:3], "labels": np.zeros(8, np.int64)},
            "features='3 rows': must have one row per training example: 8",
        ),
        ({"labels": np.zeros(8, np.int64)}, "and labels are needed together, for neighbours"),
        (
            {"probabilities": np.ones((8, 2))},
            "probabilities='2 columns': must have a column per class: 3",
        ),
        ({"probabilities": np.ones((1, 3))}, "probabilities='1 rows': must have one row per"),
        ({"threshold": 1.0}, "threshold=1.0: must be from 0 to below 1"),
        ({"threshold": np.nan}, "threshold=nan: must be from 0 to below 1"),
        ({"top": 0}, "top=0: must be a whole number of at least 1"),
        ({"neighbors": 1.5}, "neighbors=1.5: must be a whole number of at least 1"),
    ],
)
def test_bad_input_is_an_input_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        find_suspects(eight(), **changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1", "'＝1"),
        (" =1", "'=1"),
        ("\t=1", "'=1"),
        ("a\nb\r=c", "a b =c"),
        ("a-b", "a-b"),
        ("", ""),
    ],
)
def test_cells_are_no_formulas(name: str, cell: str) -> None:
    assert safe_cell(name) == cell


def test_csv_has_a_line_per_example_and_no_formula() -> None:
    names = ('=HYPERLINK("evil")', 'a,"b"', "@c")
    found = find_suspects(
        eight(class_names=names), features=LINE, labels=np.zeros(8, np.int64), neighbors=2
    )
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [int(row["index"]) for row in rows] == [6, 1, 3]
    assert rows[0]["label"] == "'@c" and rows[0]["clean_label"] == 'a,"b"'
    assert rows[1]["neighbor_labels"] == '\'=HYPERLINK("evil")|=HYPERLINK("evil")'
    assert rows[1]["neighbors"].split() in (["0", "2"], ["2", "0"])
    assert rows[0]["memorization"] == "0.9" and rows[0]["memorization_error"] == ""
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_json_holds_all_that_is_known() -> None:
    found = find_suspects(eight(inclusion_error=np.full(8, 0.1)))
    value = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert value["totals"] == {"memorized": 2, "learned": 1}
    assert value["class_names"] == ["ant", "bee", "cat"] and value["scores"] == "made up"
    first = value["examples"][0]
    assert (first["index"], first["kind"], first["inclusion_error"]) == (6, "memorized", 0.1)
    assert first["exclusion_error"] is None


def dataset(n: int = 8, n_classes: int = 3, indices: Any = None, total: int = 8) -> Dataset:
    labels = np.arange(n) % n_classes
    return Dataset(
        name="made up", x_train=np.zeros((n, 2), np.float32), y_train=labels,
        x_test=np.zeros((1, 2), np.float32), y_test=np.zeros(1, np.int64),
        class_names=tuple("xyz")[:n_classes],
        train_indices=np.arange(n) if indices is None else np.array(indices), n_train_total=total,
    )  # fmt: skip


def test_scores_get_the_names_of_the_data() -> None:
    found = on_dataset(eight(), dataset())
    assert found.class_names == ("x", "y", "z")
    assert found.index.tolist() == list(range(8))


def test_scores_of_the_whole_set_meet_a_subset() -> None:
    subset = dataset(3, indices=[1, 5, 6])
    found = on_dataset(eight().select(np.array([0, 1, 6])), subset)
    assert found.index.tolist() == [0, 2] and found.n_total == 3
    listed = relabelled(find_suspects(found), subset.train_indices)
    assert indices(listed, "memorized") == [6, 1]


def test_scores_of_a_subset_meet_the_same_subset() -> None:
    subset = dataset(3, indices=[10, 50, 60], total=80)
    part = scores([1, 0, 1], [0, 0, 0], labels=[1, 1, 2], clean_labels=[0, 0, 0])
    listed = relabelled(
        find_suspects(
            on_dataset(part, subset), features=LINE[:3], labels=subset.y_train, neighbors=1
        ),
        subset.train_indices,
    )
    assert indices(listed, "memorized") == [10, 60]
    assert [s.neighbors for s in listed.examples] == [(50,), (50,)]


def test_other_data_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        on_dataset(eight(), dataset(9, total=9))
    assert str(caught.value) == "data='made up': has 9 training examples; the scores are of 8"
    with pytest.raises(InputError) as caught:
        on_dataset(eight(), dataset(n_classes=2))
    assert str(caught.value) == "data='made up': has 2 classes; the scores have a label 2"


def test_a_threshold_moves_both_lists() -> None:
    whole = drawn(300, seed=4)
    low, high = (find_suspects(whole, threshold=t, top=300) for t in (0.2, 0.8))
    for kind in ("memorized", "learned"):
        assert set(indices(high, kind)) < set(indices(low, kind))
        assert len(indices(low, kind)) == low.totals[kind]
    assert all(s.label != s.clean_label for s in low.examples)
    ranks = [s.memorization for s in low.of("memorized")]
    assert ranks == sorted(ranks, reverse=True) and min(ranks) > 0.2  # type: ignore[type-var]
    replaced = find_suspects(replace(whole, clean_labels=None), threshold=0.2, top=300)
    assert set(indices(low, "memorized")) < set(indices(replaced, "memorized"))
