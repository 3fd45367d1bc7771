import gc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy import N, readers, toy_batches

from flare.sample import MAGNETOGRAM
from flare.training.batches import Batch, Batches, mirror

TOY = toy_batches()
LOG10_FLUX = np.log10(TOY.peak_flux).astype(np.float32)
CUBE = np.random.default_rng(1).integers(0, 256, (4, 10, 6, 6), dtype=np.uint8)


def order(batches) -> list[int]:
    """Return the rows that batches hold, recognised by their labels."""
    fluxes = torch.cat([batch.log10_flux for batch in batches]).numpy()
    return [int(np.flatnonzero(flux == LOG10_FLUX)[0]) for flux in fluxes]


def of_labels(n: int, batch_size: int, seed: int = 0) -> Batches:
    """Return batches of n rows that have next to no pixels."""
    cubes = np.ones((n, 4, 10, 1, 1), dtype=np.uint8)
    flux = 10.0 ** -np.arange(4, 4 + n)
    return Batches(cubes, cubes[..., 0, 0] > 0, flux, np.arange(n), batch_size, seed)


@given(st.integers(1, 40), st.integers(2, 12), st.integers(0, 5))
def test_every_row_appears_once_an_epoch_but_for_one_left_alone(n, batch_size, epoch):
    sizes, seen = [], []
    for batch in of_labels(n, batch_size).shuffled(epoch):
        sizes.append(len(batch.log10_flux))
        seen += batch.log10_flux.round().int().tolist()
    alone = n > batch_size and n % batch_size == 1
    assert len(seen) == len(set(seen)) == n - alone
    assert sizes[:-1] == [batch_size] * (len(sizes) - 1)


@given(st.integers(1, 40), st.integers(2, 12))
def test_in_order_every_row_comes_as_it_stands(n, batch_size):
    batches = of_labels(n, batch_size)
    found = [batch.log10_flux.round().int().tolist() for batch in batches.in_order()]
    assert sum(found, []) == [-k for k in range(4, 4 + n)]  # noqa: RUF017 - a few short lists
    assert len(found) == len(batches)


def test_only_the_rows_of_the_split_are_used():
    rows = np.array([3, 5, 7, 11])
    batches = toy_batches(rows=rows)
    assert order(batches.in_order()) == rows.tolist()
    assert sorted(order(batches.shuffled(0))) == rows.tolist()


def test_the_order_is_that_of_seed_and_epoch():
    one = order(toy_batches(seed=5).shuffled(2))
    np.random.default_rng().random(100)
    torch.rand(100)
    assert order(toy_batches(seed=5).shuffled(2)) == one
    assert order(toy_batches(seed=5, mirror=True).shuffled(2)) == one
    assert order(toy_batches(seed=5, batch_size=6).shuffled(2)) == one


def test_another_seed_and_another_epoch_have_other_orders():
    orders = [order(toy_batches(seed=seed).shuffled(epoch)) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(found) for found in orders}) == 4


def test_a_batch_holds_what_belongs_to_its_rows():
    for batch in TOY.shuffled(0):
        rows = order([batch])
        np.testing.assert_array_equal(batch.cubes, TOY.cubes[rows])
        np.testing.assert_array_equal(batch.present, TOY.present[rows])
        flux = TOY.peak_flux[rows]
        np.testing.assert_array_equal(
            batch.events, np.stack([flux >= 1e-7, flux >= 1e-6, flux >= 1e-5, flux >= 1e-4], 1)
        )
        assert (batch.cubes.dtype, batch.present.dtype) == (torch.uint8, torch.bool)
        assert batch.log10_flux.dtype == batch.events.dtype == torch.float32


def mirrors_of(cube: np.ndarray) -> list[np.ndarray]:
    """Return the four that the Sun's symmetry allows, the cube itself first."""
    found = []
    for east_west in (False, True):
        for north_south in (False, True):
            copy = cube.copy()
            mirror(copy, east_west=east_west, north_south=north_south)
            found.append(copy)
    return found


def test_mirrored_batches_hold_all_four_mirrors_and_nothing_else():
    counts = np.zeros(4, dtype=int)
    for epoch in range(4):
        for batch in toy_batches(mirror=True).shuffled(epoch):
            for cube, row in zip(batch.cubes.numpy(), order([batch]), strict=True):
                same = [np.array_equal(cube, other) for other in mirrors_of(TOY.cubes[row])]
                assert sum(same) == 1
                counts[same.index(True)] += 1
    # 96 draws, 24 of each expected; a fair draw leaves 8..44 less than once in 10,000 times.
    assert ((counts > 8) & (counts < 44)).all()


def test_the_same_epoch_is_mirrored_the_same():
    one, two = (
        torch.cat([batch.cubes for batch in toy_batches(mirror=True).shuffled(3)]) for _ in range(2)
    )
    assert torch.equal(one, two)


def test_mirroring_leaves_the_pack_as_it_was():
    batches = toy_batches(mirror=True)
    before = batches.cubes.copy()
    list(batches.shuffled(0))
    np.testing.assert_array_equal(batches.cubes, before)


def test_nothing_is_mirrored_in_order():
    batches = toy_batches(mirror=True)
    found = torch.cat([batch.cubes for batch in batches.in_order()])
    np.testing.assert_array_equal(found, batches.cubes)


def test_an_east_west_mirror_turns_columns_around_and_keeps_polarities():
    cube = CUBE.copy()
    mirror(cube, east_west=True, north_south=False)
    np.testing.assert_array_equal(cube, CUBE[..., ::-1])


def test_a_north_south_mirror_turns_rows_around_and_reverses_polarities():
    cube = CUBE.copy()
    mirror(cube, east_west=False, north_south=True)
    expected = CUBE[..., ::-1, :].copy()
    expected[:, MAGNETOGRAM] = 255 - expected[:, MAGNETOGRAM]
    np.testing.assert_array_equal(cube, expected)


@pytest.mark.parametrize("east_west", [False, True])
@pytest.mark.parametrize("north_south", [False, True])
def test_a_mirror_of_a_mirror_is_the_image(east_west, north_south):
    cube = CUBE.copy()
    mirror(cube, east_west=east_west, north_south=north_south)
    assert np.array_equal(cube, CUBE) == (not east_west and not north_south)
    mirror(cube, east_west=east_west, north_south=north_south)
    np.testing.assert_array_equal(cube, CUBE)


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_leaving_the_batches_ends_the_thread_that_reads_them(taken):
    batches = toy_batches(batch_size=2).shuffled(0)
    for _ in range(taken):
        next(batches)
    assert len(readers()) == min(taken, 1)
    del batches
    gc.collect()
    assert readers() == []


def test_a_pack_that_cannot_be_read_says_so_where_the_batches_are_taken():
    batches = toy_batches(rows=np.arange(N + 1))
    with pytest.raises(IndexError, match=f"{N} is out of bounds"):
        list(batches.in_order())
    gc.collect()
    assert readers() == []


def test_a_read_only_pack_raises_no_warning():
    batches = toy_batches()
    batches.cubes.flags.writeable = batches.present.flags.writeable = False
    assert all(isinstance(batch, Batch) for batch in batches.in_order())
