"""Intervals: published values, plain twins, and how often they cover the truth."""

import numpy as np
import pytest
from scipy.stats import binom

from mislabel.realism.intervals import BlockSums, wilson

BLOCKS = np.array([3, 3, 3, 7, 7, 9, 9, 9, 9, 12])
"Numbers of blocks need not be in a row."
VALUES = np.array([1.0, 0, 1, 1, 1, 0, 0, 1, 0, 0])


def sums(level: float = 0.9, n_resamples: int = 50) -> BlockSums:
    return BlockSums.of(BLOCKS, n_resamples=n_resamples, level=level, seed=4)


def test_wilson_is_as_published() -> None:
    """Newcombe 1998, table I, the score method without correction."""
    found = wilson(np.array([81, 15, 0, 1]), np.array([263, 148, 20, 29]), 0.95)
    np.testing.assert_allclose(found.low, [0.2553, 0.0624, 0, 0.0061], atol=5e-5)
    np.testing.assert_allclose(found.high, [0.3662, 0.1605, 0.1611, 0.1718], atol=5e-5)
    np.testing.assert_array_equal(found.value, [81 / 263, 15 / 148, 0, 1 / 29])


def test_wilson_of_all_and_of_none() -> None:
    found = wilson(np.array([5, 0]), np.array([5, 0]), 0.95)
    assert (found.value[0], found.high[0]) == (1, 1)
    assert np.isnan([found.value[1], found.low[1], found.high[1]]).all()
    assert found.to_json()["low"][1] is None


def test_sums_and_counts_of_blocks_by_hand() -> None:
    np.testing.assert_array_equal(sums().sums(VALUES), [2, 2, 1, 0])
    chosen = VALUES == 0
    np.testing.assert_array_equal(sums().sums(np.arange(5.0), chosen), [0, 0, 6, 4])
    bins = np.arange(10) % 2
    np.testing.assert_array_equal(sums().counts(bins, 2), [[2, 1], [1, 1], [2, 2], [0, 1]])
    np.testing.assert_array_equal(
        sums().counts(bins[chosen], 2, chosen), [[0, 1], [0, 0], [2, 1], [0, 1]]
    )


def test_resamples_equal_a_plain_twin() -> None:
    """Examples of the drawn blocks put one behind the other, and the figure computed anew."""
    blocks = sums()
    members = [np.flatnonzero(number == BLOCKS) for number in np.unique(BLOCKS)]
    drawn = []
    for weights in blocks.weights.astype(int):
        taken = [members[b] for b, times in enumerate(weights) for _ in range(times)]
        drawn.append(VALUES[np.concatenate(taken)].mean())
    found = blocks.figure(np.divide, blocks.sums(VALUES), blocks.sums(np.ones(10)))
    assert found.value == 0.5
    np.testing.assert_allclose([found.low, found.high], np.quantile(drawn, [0.05, 0.95]))
    assert (blocks.weights.sum(axis=1) == 4).all()


def test_resamples_without_a_figure_are_left_out_and_one_block_has_no_interval() -> None:
    blocks = sums()
    rare = np.arange(10) == 9  # in the last block only, which many resamples lack
    found = blocks.figure(np.divide, blocks.sums(rare), blocks.sums(rare))
    assert (found.value, found.low, found.high) == (1, 1, 1)
    none = np.zeros(10)
    found = blocks.figure(np.divide, blocks.sums(none), blocks.sums(none))
    assert np.isnan([found.value, found.low, found.high]).all()
    single = BlockSums.of(np.zeros(10, np.int64), n_resamples=9, level=0.9, seed=0)
    found = single.figure(np.divide, single.sums(VALUES), single.sums(np.ones(10)))
    assert found.value == 0.5 and np.isnan([found.low, found.high]).all()


def test_share_by_hand() -> None:
    """Shares 2/3, 2/2, 1/4, 0/1 of blocks: the variance over blocks is 0.0267 by hand."""
    blocks = sums(level=0.95)
    found = blocks.share(blocks.sums(VALUES), blocks.sums(np.ones(10)))
    spread = ((2 - 1.5) ** 2 + (2 - 1) ** 2 + (1 - 2) ** 2 + (0 - 0.5) ** 2) * 4 / 3 / 100
    effect = spread / (0.5 * 0.5 / 10)
    assert effect == pytest.approx(4 / 3)
    expected = wilson(np.asarray(5 / effect), np.asarray(10 / effect), 0.95)
    assert found.value == 0.5
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_share_is_never_surer_than_independent_examples() -> None:
    blocks = BlockSums.of(np.repeat(np.arange(5), 2), n_resamples=2, level=0.95, seed=0)
    even = np.arange(10) % 2.0  # one of two in every block: no variance between blocks
    found = blocks.share(blocks.sums(even), blocks.sums(np.ones(10)))
    assert found.low == wilson(np.asarray(5), np.asarray(10), 0.95).low


def test_intervals_of_clustered_shares_cover_the_truth() -> None:
    """40 blocks of 10 examples that share a probability, 300 times.

    A calibrated interval misses in 5 % of 300; more than the binomial bound happens once in a
    million. Wilson's interval that knows nothing of blocks breaks it.
    """
    rng = np.random.default_rng(0)
    of_example = np.repeat(np.arange(40), 10)
    blocks = BlockSums.of(of_example, n_resamples=199, level=0.95, seed=0)
    bound = binom.ppf(1 - 1e-6, 300, 0.05)
    misses = np.zeros(3)
    for _ in range(300):
        wrong = rng.random(400) < rng.beta(1, 3, 40)[of_example]
        parts, wholes = blocks.sums(wrong), blocks.sums(np.ones(400))
        plain = wilson(np.asarray(wrong.sum()), np.asarray(400), 0.95)
        for kind, found in enumerate(
            (blocks.share(parts, wholes), blocks.figure(np.divide, parts, wholes), plain)
        ):
            misses[kind] += not found.low <= 0.25 <= found.high
    assert misses[0] <= bound and misses[1] <= bound < misses[2]
