"""Rows of cubes are copied into an array that is used again."""

import numpy as np
import pytest

from flare.errors import InputInvalid
from flare.training.batches import read_rows

CUBES = np.random.default_rng(0).integers(0, 256, (6, 4, 10, 8, 8), dtype=np.uint8)


@pytest.fixture(params=["array", "memmap"])
def cubes(request, tmp_path):
    if request.param == "array":
        return CUBES
    CUBES.tofile(tmp_path / "cubes.u8")
    return np.memmap(tmp_path / "cubes.u8", dtype=np.uint8, mode="r", shape=CUBES.shape)


@pytest.mark.parametrize("rows", [[3, 0, 5], [2, 2], [-1, 1], [], range(6)])
def test_rows_are_those_of_the_cubes_in_the_order_asked_for(cubes, rows):
    rows = np.array(rows, dtype=np.intp)
    out = np.zeros((len(rows), *CUBES.shape[1:]), dtype=np.uint8)
    read_rows(cubes, rows, out)
    np.testing.assert_array_equal(out, CUBES[rows])


def test_what_follows_the_rows_stays_as_it_is(cubes):
    out = np.full(CUBES.shape, 7, dtype=np.uint8)
    read_rows(cubes, np.array([4, 1]), out)
    np.testing.assert_array_equal(out[:2], CUBES[[4, 1]])
    assert (out[2:] == 7).all()


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((1, 4, 10, 8, 8), dtype=np.uint8),
        np.zeros((2, 4, 10, 8, 9), dtype=np.uint8),
        np.zeros((2, 4, 10, 8, 8), dtype=np.float32),
    ],
)
def test_an_array_that_rows_do_not_fit_into_is_refused(cubes, out):
    with pytest.raises(InputInvalid, match=r"2 rows of uint8 \(6, 4, 10, 8, 8\) do not fit"):
        read_rows(cubes, np.array([0, 1]), out)


def test_a_row_that_is_not_there_is_an_error_and_not_another_row(cubes):
    with pytest.raises(IndexError):
        read_rows(cubes, np.array([6]), np.zeros((1, *CUBES.shape[1:]), dtype=np.uint8))
