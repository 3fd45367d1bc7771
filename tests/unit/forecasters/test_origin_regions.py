"""When a number means the same active region, and so when a forecaster has seen it."""

import pytest

from flare.forecasters.base import Origin, Regions

NUMBERS = frozenset({11000, 11010, 11020})


def origin(*, synthetic: bool, seed: int | None = None) -> Origin:
    return Origin("a" * 64, "set", synthetic, (11010, 11020, 12000), 9, synthetic_seed=seed)


def regions(*, synthetic: bool, seed: int | None = None, fingerprint: str = "b" * 64) -> Regions:
    return Regions(NUMBERS, synthetic, seed, fingerprint)


def test_a_real_number_is_the_same_region_in_another_copy_of_the_data():
    assert origin(synthetic=False).shared(regions(synthetic=False)) == (11010, 11020)


def test_a_real_and_an_invented_region_of_one_number_are_two():
    assert origin(synthetic=False).shared(regions(synthetic=True, seed=0)) == ()
    assert origin(synthetic=True, seed=0).shared(regions(synthetic=False)) == ()


@pytest.mark.parametrize(
    ("own", "other", "seen"),
    [(0, 0, True), (0, 1, False), (None, 1, True), (0, None, True), (None, None, True)],
)
def test_invented_regions_are_the_same_unless_their_seeds_are_known_to_differ(own, other, seen):
    result = origin(synthetic=True, seed=own).shared(regions(synthetic=True, seed=other))
    assert result == ((11010, 11020) if seen else ())


def test_the_very_same_data_are_known_by_their_fingerprint_whatever_they_say():
    copy = regions(synthetic=False, fingerprint="a" * 64)
    assert origin(synthetic=True, seed=0).shared(copy) == (11010, 11020)


def test_no_common_number_means_no_overlap():
    other = Regions(frozenset({1, 2}), synthetic=False, seed=None)
    assert origin(synthetic=False).shared(other) == ()
