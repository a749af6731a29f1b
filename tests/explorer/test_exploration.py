"""`Exploration`: what is ringed, what is counted, and what does not go together."""

from typing import Any

import numpy as np
import pytest
from explorer_examples import (
    SETS,
    C,
    N,
    bare,
    clean,
    cleaned,
    exploration,
    images,
    label_sets,
    memorization,
    places,
)

from cleaned_examples import by_hand
from memorization_examples import scores
from mislabel.data import Dataset
from mislabel.errors import InputError
from mislabel.explorer import RINGS, Exploration
from mislabel.labels import NoisyLabels
from mislabel.memorization import MemorizationScores

HIGH = {"inclusion": 0.6, "exclusion": 0.6, "memorization": 0.6, "noise": 0.5}
OTHERS = {"inclusion": 0.3, "exclusion": 0.9, "memorization": 0.3, "noise": 0.6}


def plain_rings(shown: Exploration, name: str, high: dict[str, float]) -> dict[str, list[bool]]:
    """The slow twin: example by example, in words."""
    found: dict[str, list[bool]] = {}
    inside = {int(i): row for row, i in enumerate(memorization().index)}
    for i in range(len(shown)):
        label = int(shown.labels[name].labels[i])
        flipped = label != int(clean()[i])
        found.setdefault("flipped", []).append(flipped)
        if name == SETS[0]:
            known = i in inside
            p = float(memorization().inclusion[inside[i]]) if known else float("nan")
            q = float(memorization().exclusion[inside[i]]) if known else float("nan")
            learned = p > high["inclusion"] and q > high["exclusion"]
            found.setdefault("incorrect-learned", []).append(flipped and learned)
            found.setdefault("memorized", []).append(p - q > high["memorization"])
        if name == SETS[1]:
            changed = label != int(cleaned().corrected_labels[i])
            found.setdefault("changed", []).append(changed)
            score = np.float32(1) - cleaned().targets[i, label]
            found.setdefault("noisy", []).append(bool(score > np.float32(high["noise"])))
    return found


@pytest.mark.parametrize("high", [HIGH, OTHERS], ids=["default", "others"])
@pytest.mark.parametrize("name", SETS)
def test_rings_are_those_of_the_slow_twin(name: str, high: dict[str, float]) -> None:
    shown = exploration()
    found = shown.rings(name, **high)
    wanted = plain_rings(shown, name, high)
    assert list(found) == list(wanted) == [ring for ring in RINGS if ring in wanted]
    for ring, mask in found.items():
        assert mask.dtype == bool and mask.tolist() == wanted[ring]
        assert 0 < mask.sum() < N
    if high == HIGH:
        default = shown.rings(name)
        assert all(np.array_equal(default[ring], mask) for ring, mask in found.items())


def test_rings_worked_by_hand() -> None:
    """Examples 0 and 1 lie exactly at a threshold, 5 is not known, 6 is right, 7 has no scores."""
    given = NoisyLabels([1, 1, 1, 1, 1, 1, 0, 1], clean_labels=np.zeros(8, dtype=int))
    found = MemorizationScores.of(
        given,
        index=np.arange(7),
        inclusion=np.array([0.6, 0.9, 0.61, 0.9, 1.0, 0.9, 0.9]),
        exclusion=np.array([0.9, 0.6, 0.61, 0.3, 0.4, np.nan, 0.9]),
        provenance={"estimator": "made-up"},
    )
    shown = Exploration.of(places()[:8], {"one": given}, scores=found)
    rings = shown.rings("one")
    assert np.flatnonzero(rings["flipped"]).tolist() == [0, 1, 2, 3, 4, 5, 7]
    assert np.flatnonzero(rings["incorrect-learned"]).tolist() == [2]
    assert np.flatnonzero(rings["memorized"]).tolist() == [3]  # 0.9 - 0.3 is above 0.6, just
    lower = shown.rings("one", inclusion=0.59, memorization=0.59)
    assert np.flatnonzero(lower["incorrect-learned"]).tolist() == [0, 2]
    assert np.flatnonzero(lower["memorized"]).tolist() == [3, 4]


def test_rings_of_cleaned_labels_worked_by_hand() -> None:
    """Noise scores are 0.1, 0.8, 0.75 and 0.35; 1 and 2 of the four labels are changed."""
    given = NoisyLabels(by_hand().labels, n_classes=2)
    shown = Exploration.of(places()[:4], {"one": given}, cleaned=by_hand())
    wrong = [False, True, True, False]
    assert {k: v.tolist() for k, v in shown.rings("one").items()} == {
        "changed": wrong,
        "noisy": wrong,
    }
    assert shown.rings("one", noise=0.75)["noisy"].tolist() == [False, True, False, False]


def test_what_is_not_known_is_not_ringed() -> None:
    assert bare().rings("labels") == {}
    assert bare().summary() == {
        "data": "the data",
        "n_examples": 5,
        "n_classes": 2,
        "images": False,
        "labels": {"labels": {"rate": None}},
    }
    with pytest.raises(InputError, match="scores=None: are needed for this"):
        bare().column("inclusion")


def test_summary_counts_the_rings() -> None:
    shown = exploration()
    found = shown.summary()
    assert (found["n_examples"], found["n_classes"], found["images"]) == (N, C, True)
    assert list(found["labels"]) == list(SETS)
    for name, row in found["labels"].items():
        assert row.pop("rate") == pytest.approx(label_sets()[name].rate)
        wanted = plain_rings(shown, name, HIGH)
        assert row == {ring: sum(mask) for ring, mask in wanted.items()}


def test_columns_of_scores_are_unknown_where_there_are_none() -> None:
    found = exploration().column("exclusion")
    assert np.isnan(found[-10:]).all() and np.isnan(found[:-10:9]).all()
    np.testing.assert_array_equal(found[:-10], memorization().exclusion)


def test_neighbors_come_from_the_map_or_from_features() -> None:
    shown = bare(neighbors=2)  # at 0, 1, 2.8, 5.2 and 8
    assert shown.neighbors.tolist() == [[1, 2], [0, 2], [1, 3], [2, 4], [3, 2]]
    assert shown.neighbors_in == "map" and shown.indices.tolist() == [0, 1, 2, 3, 4]
    features = [[0.0], [9], [1], [11], [3]]
    other = bare(neighbors=2, features=features)
    assert other.neighbors.tolist() == [[2, 4], [3, 4], [0, 4], [1, 4], [2, 0]]
    assert other.neighbors_in == "features"
    assert bare(3).neighbors.shape == (3, 2)  # there are no more others


def test_sets_are_found_by_their_labels() -> None:
    shown = exploration()
    assert (shown.scored, shown.cleaned_set) == (SETS[0], SETS[1])
    assert (bare().scored, bare().cleaned_set) == (None, None)


def test_classes_are_those_of_the_largest_set_or_of_the_names() -> None:
    sets = {"a": NoisyLabels([0, 1, 0]), "b": NoisyLabels([0, 1, 2])}
    assert Exploration.of(places()[:3], sets).class_names == ("0", "1", "2")
    named = Exploration.of(places()[:3], sets, class_names="wxyz")
    assert named.class_names == ("w", "x", "y", "z") and named.n_classes == 4


def test_clean_labels_of_one_set_are_those_of_all() -> None:
    sets = {"a": NoisyLabels([0, 1, 0]), "b": NoisyLabels([0, 1, 1], clean_labels=[1, 1, 1])}
    shown = Exploration.of(places()[:3], sets)
    assert shown.clean_labels is not None and shown.clean_labels.tolist() == [1, 1, 1]
    assert shown.rings("a")["flipped"].tolist() == [True, False, True]


def test_key_changes_with_labels_and_data_alone() -> None:
    shown = exploration()
    assert exploration(scores=None, images=None).key == shown.key
    keys = {shown.key, exploration(fingerprint="other").key}
    keys.add(Exploration.of(places(), {"pmd": label_sets()["pmd"]}).key)
    assert len(keys) == 3


def of(**changes: Any) -> Exploration:
    content: dict[str, Any] = {"positions": places(), "labels": label_sets()}
    return Exploration.of(**content | changes)


SHORT = NoisyLabels([0, 1])
OTHER = NoisyLabels(np.zeros(N, dtype=int), clean_labels=(clean() + 1) % C)
UNFINISHED = places().copy()
UNFINISHED[7, 0] = np.nan


@pytest.mark.parametrize(
    ("changes", "argument", "rule"),
    [
        ({"labels": {}}, "labels", "must be one set at least"),
        ({"positions": places()[:9]}, "map", "must have"),
        ({"positions": np.zeros(N)}, "map", "must be"),
        ({"positions": np.zeros((N, 3))}, "map", "must have two"),
        ({"positions": UNFINISHED}, "map", "must be finite"),
        ({"labels": label_sets() | {"short": SHORT}}, "labels", f"must have {N} labels"),
        ({"class_names": ("a", "b")}, "labels", "must be of 2 classes"),
        ({"labels": label_sets() | {"other": OTHER}}, "labels", "has other clean labels"),
        ({"images": images()[:9]}, "images", f"must be ({N}, height, width, channels)"),
        ({"images": images()[..., 0]}, "images", f"must be ({N}, height, width, channels)"),
        ({"features": np.zeros((9, 3))}, "features", "must have"),
        ({"scores": scores([0.5] * N, [0.5] * N)}, "scores", "are of other labels than all"),
        ({"cleaned": by_hand()}, "targets", "were cleaned from other labels than all"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(changes: dict[str, Any], argument: str, rule: str) -> None:
    with pytest.raises(InputError) as caught:
        of(**changes)
    assert caught.value.argument == argument and rule in caught.value.rule


def test_scores_of_more_examples_are_refused() -> None:
    sets = {"few": label_sets()[SETS[0]].take(np.arange(20))}
    with pytest.raises(InputError, match="are of other labels than all that are shown"):
        Exploration.of(places()[:20], sets, scores=memorization())


def dataset(n_total: int, indices: Any) -> Dataset:
    rows = np.asarray(indices)
    return Dataset(
        name="toy",
        x_train=np.zeros((len(rows), 4, 4, 3), dtype=np.uint8),
        y_train=rows % 2,
        x_test=np.zeros((2, 4, 4, 3), dtype=np.uint8),
        y_test=np.array([0, 1]),
        class_names=("a", "b"),
        train_indices=rows,
        n_train_total=n_total,
    )


def test_scores_of_all_examples_serve_a_subset_of_them() -> None:
    inclusion = np.linspace(0, 1, 10)
    labels = np.arange(10) % 2
    whole = scores(inclusion, 1 - inclusion, labels=labels, class_names=("a", "b"))
    data = dataset(10, [1, 4, 7, 9])
    sets = {"own": NoisyLabels(data.y_train, n_classes=2)}
    shown = Exploration.of_dataset(data, places()[:4], sets, scores=whole)
    np.testing.assert_array_equal(shown.column("inclusion"), inclusion[[1, 4, 7, 9]])
    assert shown.indices.tolist() == [1, 4, 7, 9] and shown.images is not None
    assert (shown.name, shown.class_names) == ("toy", ("a", "b"))
    assert shown.fingerprint == data.fingerprint
    with pytest.raises(InputError, match="map='5 rows': must have one row per example: 4"):
        Exploration.of_dataset(data, places()[:5], sets)
    with pytest.raises(InputError, match="has 10 training examples; the scores are of 4"):
        Exploration.of_dataset(dataset(10, range(10)), places()[:10],
                               {"own": NoisyLabels(np.arange(10) % 2)},
                               scores=scores([0.5] * 4, [0.5] * 4))  # fmt: skip
