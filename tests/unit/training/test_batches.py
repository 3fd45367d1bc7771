import gc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy import N, readers, toy_batches

from flare.errors import ConfigInvalid
from flare.training.batches import Batches, part_of, upload

TOY = toy_batches()
LOG10_FLUX = np.log10(TOY.peak_flux).astype(np.float32)


def order(batches) -> list[int]:
    """Return the rows that batches hold, recognised by their labels."""
    fluxes = torch.cat([batch.log10_flux for batch in batches]).numpy()
    return [int(np.flatnonzero(flux == LOG10_FLUX)[0]) for flux in fluxes]


def of_labels(n: int, batch_size: int) -> Batches:
    """Return batches of n rows that have next to no pixels."""
    cubes = np.ones((n, 4, 10, 1, 1), dtype=np.uint8)
    flux = 10.0 ** -np.arange(4, 4 + n)
    return Batches(cubes, cubes[..., 0, 0] > 0, flux, np.arange(n), batch_size)


@given(st.integers(1, 40), st.integers(2, 12), st.integers(0, 5))
def test_every_row_appears_once_an_epoch_but_for_one_left_alone(n, batch_size, epoch):
    sizes, seen = [], []
    for batch in of_labels(n, batch_size).shuffled(epoch):
        sizes.append(len(batch.log10_flux))
        seen += batch.log10_flux.round().int().tolist()
    alone = n > batch_size and n % batch_size == 1
    assert len(seen) == len(set(seen)) == n - alone
    assert sizes[:-1] == [batch_size] * (len(sizes) - 1)


def test_only_the_rows_of_the_split_are_used():
    rows = np.array([3, 5, 7, 11])
    assert sorted(order(toy_batches(rows=rows, batch_size=2).shuffled(0))) == rows.tolist()


def test_seed_and_epoch_alone_decide_the_order():
    one = order(toy_batches(seed=5).shuffled(2))
    np.random.default_rng().random(100)
    torch.rand(100)
    assert order(toy_batches(seed=5, batch_size=6).shuffled(2)) == one
    orders = [order(toy_batches(seed=seed).shuffled(epoch)) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(result) for result in orders}) == 4


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


@given(st.integers(1, 40), st.integers(1, 5), st.integers(2, 6))
def test_the_parts_of_all_processes_are_a_batch_of_their_size_and_differ_by_one_at_most(
    n, processes, size
):
    batches = of_labels(n, size)
    if n < processes:
        with pytest.raises(ConfigInvalid, match=f"{n} samples cannot be divided among {processes}"):
            batches.plan(0, processes=processes)
        return
    plan = batches.plan(0, processes=processes)
    assert len(plan[0]) == min(n, size * processes)
    for rows in plan:
        parts = [rows[part_of(rows, rank, processes)] for rank in range(processes)]
        np.testing.assert_array_equal(np.concatenate(parts), rows)
        lengths = [len(part) for part in parts]
        assert 1 <= max(lengths) <= size
        assert max(lengths) - min(lengths) <= 1 <= min(lengths)


def test_a_sampler_chooses_the_rows_of_an_epoch_with_the_epochs_own_stream():
    batches = toy_batches(sampler=lambda rng: rng.choice(6, 20), batch_size=6)
    epochs = [np.concatenate(batches.plan(epoch)).tolist() for epoch in (1, 1, 2)]
    assert len(epochs[0]) == 20
    assert set(epochs[0]) <= set(range(6))
    assert epochs[0] == epochs[1] != epochs[2]


def test_cubes_in_a_devices_memory_give_the_same_batches():
    rows = np.array([1, 4, 5, 9, 16, 23])
    outside = toy_batches(rows=rows, batch_size=4)
    resident = upload(outside.cubes, rows, torch.device("cpu"))
    assert resident.cubes.shape == (6, 4, 10, 32, 32)
    inside = replace(outside, cubes=resident)
    for one, two in zip(outside.shuffled(0), inside.shuffled(0), strict=True):
        np.testing.assert_array_equal(one.rows, two.rows)
        for name in ("cubes", "present", "log10_flux", "events"):
            assert torch.equal(getattr(one, name), getattr(two, name))


def test_samples_are_named_by_their_ids_and_without_them_by_their_rows():
    assert TOY.names_of(np.array([3, 5])) == "rows 3, 5"
    named = toy_batches(ids=[f"s{k}" for k in range(N)])
    assert named.names_of(np.arange(10)) == "samples s0, s1, s2, s3, s4, s5, s6, s7 and 2 more"


@pytest.mark.parametrize("n_batches", [0, 1, 2])
def test_leaving_the_batches_ends_the_thread_that_reads_them(n_batches):
    batches = toy_batches(batch_size=2).shuffled(0)
    for _ in range(n_batches):
        next(batches)
    assert len(readers()) == min(n_batches, 1)
    del batches
    gc.collect()
    assert readers() == []


def test_a_row_that_cannot_be_read_is_an_error_where_the_batches_are_read():
    with pytest.raises(IndexError, match=f"{N} is out of bounds"):
        list(TOY.read([np.arange(N + 1)]))
    gc.collect()
    assert readers() == []


def test_rows_of_a_read_only_memmap_are_read_in_the_order_asked_for(tmp_path):
    TOY.cubes.tofile(tmp_path / "cubes.u8")
    mapped = np.memmap(tmp_path / "cubes.u8", dtype=np.uint8, mode="r", shape=TOY.cubes.shape)
    parts = [np.array([3, 0, 5, 0]), *TOY.plan(0)]
    for batch in replace(TOY, cubes=mapped).read(parts):  # warnings are errors here
        np.testing.assert_array_equal(batch.cubes, TOY.cubes[batch.rows])
