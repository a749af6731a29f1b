"""Seeds: streams by name that are independent, do not collide and never change."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mislabel.errors import InputError
from mislabel.seeds import (
    TrainingSeeds,
    check_seed,
    child_seed,
    child_sequence,
    child_state,
    generator,
)

modest = settings(deadline=None, derandomize=True, max_examples=50)


def test_values_never_change() -> None:
    """Stored results hang on these numbers."""
    assert child_seed(0, "noise") == 3_604_612_605_916_049_538
    assert child_seed(2**63 - 1, "a", "b") == 3_509_773_599_603_188_818
    assert child_state(0, "map") == 1_368_247_252
    assert generator(0, "noise", "cluster").integers(0, 10**6, 3).tolist() == [
        538889,
        584215,
        205988,
    ]
    assert TrainingSeeds.spawn(1) == TrainingSeeds(
        initialisation=5_623_367_998_979_719_463,
        order=1_337_125_933_647_366_104,
        augmentation=7_295_565_229_908_484_975,
    )


@modest
@given(st.integers(0, 2**63 - 1), st.lists(st.text(max_size=5), max_size=3))
def test_the_same_names_give_the_same_stream(seed: int, names: list[str]) -> None:
    assert child_seed(seed, *names) == child_seed(seed, *names)
    assert 0 <= child_seed(seed, *names) < 2**63 and 0 <= child_state(seed, *names) < 2**32
    first, second = generator(seed, *names), generator(np.int64(seed), *names)
    assert first.random(5).tolist() == second.random(5).tolist()


def test_no_collisions_in_a_range() -> None:
    """40,000 of 2**63 numbers: were they random, one in 10**10 ranges would hold a pair."""
    names = [(), ("order",), ("subset",), ("order", "subset"), ("subset", "order")]
    names += [("ordersubset",), ("",), ("order", "")]
    seeds = [*range(4_000), *range(2**32 - 500, 2**32 + 500)]
    assert len({child_seed(s, *n) for s in seeds for n in names}) == len(seeds) * len(names)


def test_streams_are_independent() -> None:
    """Signs of 20,000 normals agree half the time (Hoeffding, one failure in a million each)."""
    streams = [(0, "order"), (0, "subset"), (1, "order"), (0, "order", "1"), (2**32, "order")]
    bound = math.sqrt(math.log(2 * 10 / 1e-6) / (2 * 20_000))
    signs = [generator(*stream).standard_normal(20_000) > 0 for stream in streams]
    for i, first in enumerate(signs):
        for second in signs[:i]:
            assert abs((first == second).mean() - 0.5) <= bound


def test_training_seeds_differ() -> None:
    spawned = [TrainingSeeds.spawn(s) for s in range(200)]
    values = {v for s in spawned for v in (s.initialisation, s.order, s.augmentation)}
    assert len(values) == 600


def test_a_name_is_not_an_entropy() -> None:
    """A seed of two words, the second that of a name, is not the seed and the name."""
    names = [f"stream {i}" for i in range(20)]
    words = {name: child_sequence(5, name).spawn_key[0] for name in names}
    small = {name: word for name, word in words.items() if word < 2**31}
    assert len(small) > 2
    for name, word in small.items():
        assert child_seed(5, name) != child_seed(5 + (word << 32))


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1, np.int64(7), np.uint8(7)])
def test_good_seeds(seed: Any) -> None:
    assert check_seed(seed) == int(seed) and type(check_seed(seed)) is int


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, np.float64(1), "1", None, True, float("nan")])
def test_bad_seeds(seed: Any) -> None:
    shown = seed.item() if isinstance(seed, np.generic) else seed
    message = f"order={shown!r}: must be a whole number from 0 to 2**63 - 1"
    with pytest.raises(InputError) as caught:
        check_seed(seed, "order")
    assert str(caught.value) == message
    for use in (child_seed, child_state, generator, child_sequence):
        with pytest.raises(InputError, match=r"^seed="):
            use(seed, "a")


def test_no_global_state() -> None:
    before = np.random.get_state(legacy=False)["state"]["key"].tolist()  # noqa: NPY002
    generator(0, "a").random(10)
    TrainingSeeds.spawn(0)
    assert np.random.get_state(legacy=False)["state"]["key"].tolist() == before  # noqa: NPY002
