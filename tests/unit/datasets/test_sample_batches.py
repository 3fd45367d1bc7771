"""Samples decoded in batches are those of the reader, in any number of processes."""

import shutil
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from flare.datasets.sample_batches import SampleBatch, Source, decode_batches
from flare.datasets.sdobenchmark.labels import read_table
from flare.datasets.sdobenchmark.sample_images import read_sample
from flare.sample import reduce_cubes


@pytest.fixture(scope="module")
def batches(tiny_dataset: Path) -> list[list[Source]]:
    table = read_table(tiny_dataset, "test")
    starts = [start.to_pydatetime() for start in table["start"]]
    sources = list(zip(table["folder"], starts, strict=True))
    return [sources[:3], sources[3:6], sources[6:]]


def read(batches: list[list[Source]], processes: int) -> list[SampleBatch]:
    with closing(decode_batches(batches, image_size=64, processes=processes)) as result:
        return list(result)


def test_what_is_read_is_the_reader_s_sample_averaged_down(batches):
    result = read(batches, 1)
    assert [len(batch.cubes) for batch in result] == [3, 3, 2]
    for some, batch in zip(batches, result, strict=True):
        for row, (folder, start) in enumerate(some):
            assert start is not None
            sample = read_sample(folder, start)
            assert np.array_equal(batch.cubes[row], reduce_cubes(sample.cube, 64))
            assert np.array_equal(batch.present[row], sample.present)
            assert batch.ends[row] == start + timedelta(hours=12)


def test_processes_give_the_same_in_the_same_order(batches):
    for one, two in zip(read(batches, 1), read(batches, 2), strict=True):
        assert np.array_equal(one.cubes, two.cubes)
        assert (one.digests, one.ends, one.rejected) == (two.digests, two.ends, two.rejected)


def test_a_start_that_is_not_known_is_worked_out_from_the_images(batches):
    unknown: list[list[Source]] = [[(folder, None) for folder, _ in some] for some in batches]
    for given, result in zip(read(batches, 1), read(unknown, 1), strict=True):
        assert given.ends == result.ends
        assert np.array_equal(given.cubes, result.cubes)


def test_a_damaged_image_is_masked_and_named(tmp_path, batches):
    folder, start = batches[1][0]
    copy = shutil.copytree(folder, tmp_path / "copy")
    image = sorted(copy.iterdir())[0]
    image.write_bytes(b"no image")
    (batch,) = read([[(copy, start)]], 1)
    assert batch.rejected == (((image.name, "unreadable"),),)
    assert (~batch.present).sum() == 1
