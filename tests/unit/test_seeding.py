import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flare.seeding import Stream, integer_seed, stream

SEEDS = st.integers(0, 2**31 - 1)
COUNTERS = st.lists(st.integers(0, 2**31 - 1), max_size=3)


def numbers(seed: int, name: Stream, *counters: int) -> list[int]:
    return stream(seed, name, *counters).integers(2**62, size=4).tolist()


@given(SEEDS, COUNTERS)
def test_every_name_has_its_own_numbers(seed, counters):
    assert len({tuple(numbers(seed, name, *counters)) for name in Stream}) == len(Stream)


@given(SEEDS, SEEDS, COUNTERS, COUNTERS)
def test_another_seed_or_counter_has_other_numbers(seed, other_seed, counters, others):
    same = (seed, counters) == (other_seed, others)
    here = numbers(seed, Stream.SHUFFLE, *counters)
    assert (here == numbers(other_seed, Stream.SHUFFLE, *others)) == same
    assert numbers(seed, Stream.SHUFFLE) != numbers(seed, Stream.SHUFFLE, 0)


def test_neither_what_was_drawn_before_nor_the_process_matters():
    fresh = numbers(3, Stream.AUGMENT, 7)
    stream(3, Stream.SHUFFLE, 7).random(1000)
    np.random.default_rng().random()
    assert numbers(3, Stream.AUGMENT, 7) == fresh
    code = (
        "from flare.seeding import *;"
        "print(stream(3, Stream.AUGMENT, 7).integers(2**62, size=4).tolist())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(fresh)


def test_the_numbers_of_the_streams_never_change():
    assert sorted(int(name) for name in Stream) == list(range(1, 14))
    assert Stream.SPLIT == 1
    assert Stream.SYNTHETIC_LABEL == 10
    assert Stream.FOLDS == 11
    assert Stream.LINEAR_FOLDS == 12


@given(SEEDS, st.sampled_from(Stream))
def test_an_integer_seed_is_one_that_every_library_takes(seed, name):
    number = integer_seed(seed, name, 4)
    assert 0 <= number < 2**31
    assert number == integer_seed(seed, name, 4)


@pytest.mark.parametrize("wrong", [(-1, Stream.SPLIT), (0, Stream.SPLIT, -1)])
def test_seeds_and_counters_below_zero_are_refused(wrong):
    with pytest.raises(ValueError):
        stream(*wrong)
