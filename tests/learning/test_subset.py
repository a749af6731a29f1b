"""Training on a subset: what is left out has no influence, and all else stays paired."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from learning_examples import CPU, RECORDS, as_they_are, blobs, equal_weights, make, pictures

from mislabel.errors import InputError
from mislabel.learning import MethodRecord
from mislabel.learning.problem import Part
from mislabel.learning.resident import PairedDraws, ResidentExamples
from mislabel.seeds import TrainingSeeds

every_method = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
FULL = 2**64


def plain_bits(seed: int, position: int, turn: int) -> int:
    """The slow twin: SplitMix64 in whole numbers, seeded by SplitMix64 of seed and position."""
    golden = 0x9E3779B97F4A7C15

    def mixed(state: int) -> int:
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % FULL
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % FULL
        return state ^ (state >> 31)

    stream = mixed((seed + (position + 1) * golden) % FULL)
    return mixed((stream + (turn + 1) * golden) % FULL)


def test_the_hash_is_splitmix64() -> None:
    """Published first outputs for the state 1234567 (Rosetta Code's test vectors)."""
    draws = PairedDraws(0, torch.zeros(1, dtype=torch.long))
    draws.streams = torch.tensor([1234567])
    found = [int(draws.draw(torch.tensor([0]))[0]) % FULL for _ in range(3)]
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(
    seed=st.integers(0, 2**63 - 1),
    positions=st.lists(st.integers(0, 10**6), min_size=1, max_size=5, unique=True),
    data=st.data(),
)
def test_draws_equal_their_plain_twin(seed: int, positions: list[int], data: Any) -> None:
    """Batches of any composition, with the same example several times."""
    draws = PairedDraws(seed, torch.tensor(positions))
    turns = [0] * len(positions)
    for _ in range(3):
        index = data.draw(st.lists(st.integers(0, len(positions) - 1), min_size=1, max_size=8))
        found = draws.draw(torch.tensor(index)).tolist()
        for place, bits in zip(index, found, strict=True):
            assert bits % FULL == plain_bits(seed, positions[place], turns[place])
            turns[place] += 1
    assert draws.counts.tolist() == turns


def test_paired_windows_are_uniform() -> None:
    """18 windows from n = 18,000 draws: binomial counts within 6.5 deviations, once in 1e-9."""
    n = 18_000
    image = (np.arange(1, 65, dtype=np.uint8) * 3).reshape(1, 8, 8, 1).repeat(2, axis=0)
    paired = PairedDraws(5, torch.tensor([3, 8]))
    examples = ResidentExamples(image, as_they_are(1), CPU, augment=True, paired=paired)
    index = torch.arange(2).repeat(n // 2)
    shown = examples.images(index, torch.Generator()).numpy()
    _, counts = np.unique(shown[:, 2:6, 2:6, 0].reshape(n, -1), axis=0, return_counts=True)
    assert len(counts) == 18
    assert np.abs(counts - 1000).max() <= 6.5 * np.sqrt(n * 17 / 18**2)


def test_the_order_is_that_of_all_less_the_others() -> None:
    part = Part(positions=torch.tensor([1, 4, 5]), n_total=6)
    assert part.among(torch.tensor([5, 0, 1, 3, 2, 4])).tolist() == [2, 0, 1]


def masks(n: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(4)
    while True:
        yield rng.random(n) < 0.7


def test_order_and_augmentation_stay_paired() -> None:
    """With batches of one, an example gets the same images in the same order with any others."""
    x, y = pictures(12, 2, 16, 3)
    seen: dict[bytes, list[tuple[int, bytes]]] = {}
    kept = next(masks(12))
    for mask in (np.ones(12, dtype=bool), kept):
        log: list[tuple[int, bytes]] = []
        original = ResidentExamples.batch
        positions = np.flatnonzero(mask)

        def recorded(self: Any, index: Any, *more: Any, log: Any = log, at: Any = positions,
                     original: Any = original) -> Any:  # fmt: skip
            batch = original(self, index, *more)
            if more and self.augment:
                log += [(at[i], b.numpy().tobytes()) for i, b in zip(index, batch, strict=True)]
            return batch

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ResidentExamples, "batch", recorded)
            make(RECORDS[0], augment="crop-flip", network="mlp", seed=3).fit(x, y, subset=mask)
        seen[mask.tobytes()] = log
    whole, part = seen.values()
    assert len(whole) == 24 and len({image for _, image in whole}) == 24
    assert part == [entry for entry in whole if kept[entry[0]]]


@every_method
@pytest.mark.parametrize("selection", ["last", "noisy-validation"])
def test_what_is_left_out_has_no_influence(record: MethodRecord, selection: str) -> None:
    """Other labels, and other places of features with the same mean, change nothing learnt."""
    x, y = blobs(60, 3)
    kept = next(masks(60))
    other = y.copy()
    other[~kept] = (y[~kept] + 1) % 3
    options = {"seed": 5, "selection": selection}
    first = make(record, **options).fit(x, y, subset=kept)
    second = make(record, **options).fit(x, other, subset=kept)
    assert equal_weights(first, second) and first.curves_ == second.curves_
    np.testing.assert_array_equal(first.noise_scores_[kept], second.noise_scores_[kept])
    chance = first.predict_proba(x)
    given = chance[np.arange(60), y]
    np.testing.assert_allclose(first.noise_scores_[~kept], 1 - given[~kept], atol=300 * 2**-24)
    assert (first.noise_scores_ >= 0).all() and first.noise_scores_.shape == (60,)
    assert not equal_weights(first, make(record, **options).fit(x, y, subset=~kept))


@every_method
def test_a_paired_training_is_resumed_bit_for_bit(record: MethodRecord, tmp_path: Path) -> None:
    x, y = pictures(40, 3, 16, 3)
    kept = next(masks(40))
    seeds = TrainingSeeds(initialisation=1, order=2, augmentation=3)
    options: dict[str, Any] = {"subset": kept, "seeds": seeds}

    def method() -> Any:
        return make(record, augment="crop-flip", network="mlp", epochs=3)

    whole = method().fit(x, y, **options)
    assert whole.seeds_ == seeds

    def stop(epoch: int, _: Any) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    more = {"checkpoint": tmp_path / "a", "checkpoint_seconds": 0}
    with pytest.raises(KeyboardInterrupt):
        method().fit(x, y, watch=stop, **more, **options)
    resumed = method().fit(x, y, **more, **options)
    assert equal_weights(whole, resumed) and whole.curves_ == resumed.curves_
    np.testing.assert_array_equal(whole.noise_scores_, resumed.noise_scores_)
    with pytest.raises(InputError, match=r"is of another training .*subset_sha256\)"):
        method().fit(x, y, subset=~kept, seeds=seeds, **more)


def test_initial_weights_do_not_depend_on_the_subset() -> None:
    x, y = blobs(60, 3)
    found = [
        make(RECORDS[0]).fit(x, y, subset=kept)
        for kept, _ in zip(masks(60), range(2), strict=False)
    ]
    hashes = [method.provenance_["initial_weights_sha256"] for method in found]
    assert hashes[0] == hashes[1] and not equal_weights(*found)


@pytest.mark.parametrize(
    ("subset", "message"),
    [
        ([True] * 59, r"subset='bool \(59,\)': must be a mask, one bool per example: 60"),
        ([1] * 60, r"subset='int64 \(60,\)': must be a mask, one bool per example: 60"),
        ([False] * 60, "subset='no examples': must keep at least one"),
    ],
)
def test_bad_subsets(subset: list[Any], message: str) -> None:
    x, y = blobs(60, 3)
    with pytest.raises(InputError, match=f"^{message}$"):
        make(RECORDS[0]).fit(x, y, subset=subset)


def test_a_subset_needs_examples_to_validate_on() -> None:
    x, y = blobs(60, 3)
    kept = np.zeros(60, dtype=bool)
    kept[:2] = True
    with pytest.raises(InputError, match="must leave examples to train on and to validate on"):
        make(RECORDS[0], selection="noisy-validation", seed=1).fit(x, y, subset=kept)
