"""The noise context, against hand-worked values and a slow plain twin."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mislabel.features import Neighborhood
from mislabel.realism.context import Context, label_context, noise_context, place_context

# Five examples on a line, two classes. Nearest others, nearest first (ties as the tree has them):
# of 0: 1, 3, 6, 10; of 1: 0, 3, 6, 10; of 3: 1, 0, 6, 10; of 6: 3, 10, 1, 0; of 10: 6, 3, 1, 0.
LINE = np.array([[0.0], [1.0], [3.0], [6.5], [10.0]])
CLEAN = np.array([0, 0, 0, 1, 1])
LABELS = np.array([1, 0, 1, 1, 0])  # flipped: 0, 2, 4


def column(context: Context, name: str) -> np.ndarray:
    return context.values[:, context.names.index(name)]


def place(k: int = 100) -> Neighborhood:
    return Neighborhood.of(LINE, CLEAN, 2, k=k)


def random_case(n: int = 300, n_classes: int = 4) -> tuple[np.ndarray, Neighborhood]:
    rng = np.random.default_rng(0)
    clean = np.arange(n) % n_classes
    points = rng.normal(size=(n, 2)) + clean[:, None]
    labels = np.where(rng.random(n) < 0.3, rng.integers(n_classes, size=n), clean)
    return labels, Neighborhood.of(points, clean, n_classes)


def test_by_hand() -> None:
    found = noise_context(LABELS, place())
    assert found.values.dtype == np.float32 and found.values.shape == (5, len(found.names))
    assert_array_equal(column(found, "clean class"), CLEAN)
    assert_array_equal(column(found, "flipped"), [1, 0, 1, 0, 1])
    assert_array_equal(column(found, "noisy label"), LABELS)
    assert_array_equal(column(found, "closeness rank"), [1, 0, 1, 0, 1])
    # of all four others: 2, 3, 2, 3, 2 are flipped
    assert_allclose(column(found, "flipped among 4"), [0.5, 0.75, 0.5, 0.75, 0.5])
    # label 1 at 0, 2, 3; label 0 at 1, 4
    assert_allclose(column(found, "same label among 4"), [0.5, 0.25, 0.5, 0.5, 0.25])
    assert_allclose(column(found, "share among 30 of class 1"), [0.5, 0.5, 0.5, 0.25, 0.25])


def test_own_block_only() -> None:
    block = np.array([0, 0, 1, 1, 2])
    found = label_context(LABELS, place(), block=block)
    # 0 and 1 see each other, 2 and 3 likewise, 4 nobody
    assert_allclose(column(found, "flipped among 4"), [0, 1, 0, 1, 0])
    assert_allclose(column(found, "same label among 4"), [0, 0, 1, 1, 0])


def test_labels_of_other_blocks_do_not_count() -> None:
    """Whatever they become, the context stays; so folds of blocks share nothing."""
    labels, near = random_case()
    block = np.arange(len(labels)) % 3
    other = np.where(block == 0, labels, (near.clean_labels + 1) % 4)
    for rich in (False, True):
        one, two = (label_context(x, near, block=block, rich=rich) for x in (labels, other))
        assert_array_equal(one.values[block == 0], two.values[block == 0])


def plain_context(
    labels: np.ndarray, near: Neighborhood, i: int, block: np.ndarray
) -> Iterator[tuple[str, float]]:
    """The context of one example, looked up neighbour by neighbour."""
    clean = near.clean_labels
    yield "clean class", clean[i]
    for c in range(near.n_classes):
        yield (
            f"share among 30 of class {c}",
            np.mean([clean[j] == c for j in near.neighbors[i, :30]]),
        )
    yield "flipped", labels[i] != clean[i]
    yield "noisy label", labels[i]
    yield "closeness rank", near.closeness_rank[clean[i], labels[i]]
    for k in (5, 10, 30, 100):
        seen = [j for j in near.neighbors[i, :k] if block[j] == block[i]]
        yield f"flipped among {k}", np.mean([labels[j] != clean[j] for j in seen] or [0])
        yield f"same label among {k}", np.mean([labels[j] == labels[i] for j in seen] or [0])


@pytest.mark.parametrize("n_blocks", [1, 4])
def test_plain_twin(n_blocks: int) -> None:
    labels, near = random_case()
    block = np.random.default_rng(1).integers(n_blocks, size=len(labels))
    found = noise_context(labels, near, block=block)
    for i in range(len(labels)):
        wanted = dict(plain_context(labels, near, i, block))
        assert tuple(wanted) == found.names
        assert_allclose(found.values[i], list(wanted.values()), atol=1e-6)


def test_rich_by_hand() -> None:
    found = noise_context(LABELS, place(), rich=True)
    assert_allclose(column(found, "other classes among 4"), [0.5, 0.5, 0.5, 0.75, 0.75])
    # own class: 0 sees 1, 2 (2 flipped, to the same label); 1 sees 0, 2, both flipped, not alike
    assert_allclose(column(found, "flipped among own class of 4"), [0.5, 1, 0.5, 1, 0])
    assert_allclose(column(found, "flipped alike among own class of 4"), [0.5, 0, 0.5, 0, 0])
    assert_allclose(column(found, "flipped alike among 4"), [0.25, 0.25, 0.25, 0.5, 0])
    assert_allclose(column(found, "clean class is the label of 4"), [0.5, 0.5, 0.5, 0.25, 0.75])
    assert_array_equal(column(found, "nearest flipped 0"), [0, 1, 0, 1, 0])
    assert_array_equal(column(found, "nearest with same label 1"), [1, 0, 1, 0, 0])
    assert_allclose(np.exp(column(found, "place of the first flipped")), [2, 1, 2, 1, 2], rtol=1e-6)
    # labels 1 among the others less class 1 among them
    assert_allclose(column(found, "excess among 30 of class 1"), [0, 0.25, 0, 0.25, 0.5])
    assert_allclose(column(found, "largest excess"), [0, 0.25, 0, 0.25, 0.5])


def test_parts_and_groups() -> None:
    labels, near = random_case()
    for rich in (False, True):
        both = noise_context(labels, near, rich=rich)
        there, given = place_context(near, rich=rich), label_context(labels, near, rich=rich)
        assert_array_equal(both.values, np.hstack([there.values, given.values]))
        assert sorted(c for columns in both.groups.values() for c in columns) == list(
            range(len(both.names))
        )
        assert len(set(both.names)) == len(both.names)
        assert [both.names[c] for c in both.categorical] == ["clean class", "noisy label"]
        assert np.isfinite(both.values).all()


def test_many_classes_are_summarised() -> None:
    _, near = random_case(n=400, n_classes=60)
    found = place_context(near)
    assert len(found.names) == 4
    mix = near.class_shares(30)
    own, other, entropy = found.values[:, 1:].T
    for i in range(0, 400, 37):
        shares = mix[i]
        assert own[i] == pytest.approx(shares[near.clean_labels[i]])
        assert other[i] == pytest.approx(np.delete(shares, near.clean_labels[i]).max())
        positive = shares[shares > 0]
        assert entropy[i] == pytest.approx(-(positive * np.log2(positive)).sum(), rel=1e-5)


def test_beyond_255_classes_trees_take_numbers() -> None:
    _, near = random_case(n=600, n_classes=300)
    assert place_context(near).categorical == ()
