"""On which scale the numbers of an array are: never a silent factor of 255."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flare.errors import NpyRejected
from flare.images.grey_scale import to_grey_levels

LEVELS = np.random.default_rng(0).integers(0, 256, (40, 256, 256), dtype=np.uint8)
FLOATS = LEVELS.astype(np.float32)


def changed(array: np.ndarray, value: float, plane: int = 0) -> np.ndarray:
    copy = array.copy()
    copy[plane, 0, 0] = value
    return copy


def scaled(array: np.ndarray, factor: float, plane: int) -> np.ndarray:
    copy = array.copy()
    copy[plane] *= factor
    return copy


def refused(array: np.ndarray, **stated: object) -> str:
    with pytest.raises(NpyRejected) as rejected:
        to_grey_levels(array, **stated)
    return rejected.value.code


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_fractions_and_levels_of_one_sample_are_the_same_and_say_their_scale(dtype):
    for array, scale in ((LEVELS / 255, "fraction"), (LEVELS, "level")):
        grey, used = to_grey_levels(array.astype(dtype))
        assert used == scale
        np.testing.assert_array_equal(grey, LEVELS)
    assert to_grey_levels((LEVELS / 510).astype(dtype))[1] == "fraction"


@pytest.mark.parametrize(
    "array",
    [
        *(changed(FLOATS / 255, high, 39) for high in (1.0001, 2.5, 15.9)),
        *(FLOATS / 255 * high for high in (1.5, 15.5)),
        (LEVELS > 127).astype(np.float64),  # zero and one alone
        *(scaled(FLOATS / 255, 255, plane) for plane in (0, 39)),  # one plane of another scale
        *(scaled(FLOATS, 1 / 255, plane) for plane in (0, 39)),
        np.stack([FLOATS / 255, FLOATS]),  # one sample of another scale
    ],
)
def test_floats_that_could_be_on_either_scale_are_refused(array):
    assert refused(array, batch=array.ndim == 4) == "ambiguous_scale"


@pytest.mark.parametrize(("filler", "plane"), [(0, 0), (0.5, 39), (1, 0), (200, 39)])
def test_a_plane_of_a_single_value_decides_nothing(filler, plane):
    array = FLOATS.copy()
    array[plane] = filler
    assert to_grey_levels(array)[1] == "level"


@pytest.mark.parametrize("filler", [0, 0.5, 1, 255])
def test_a_single_value_means_missing_on_a_stated_scale_too(filler):
    array = FLOATS / 255
    array[7] = filler
    grey, used = to_grey_levels(array, scale="fraction")
    assert used == "fraction"
    assert len(np.unique(grey[7])) == 1
    np.testing.assert_array_equal(np.delete(grey, 7, axis=0), np.delete(LEVELS, 7, axis=0))


@pytest.mark.parametrize("array", [np.minimum(FLOATS, 3), (LEVELS > 127).astype(np.int16)])
def test_whole_numbers_above_one_and_integers_are_levels_however_dark(array):
    grey, used = to_grey_levels(array)
    assert used == "level"
    np.testing.assert_array_equal(grey, array)


@pytest.mark.parametrize("array", [changed(FLOATS / 255, 1.0001), np.minimum(FLOATS, 1) / 2])
def test_a_stated_level_is_used_without_a_check(array):
    grey, used = to_grey_levels(array, scale="level")
    assert used == "level"
    np.testing.assert_array_equal(grey, np.rint(array))


def test_a_stated_fraction_above_one_is_out_of_range_and_its_value_is_shown():
    high = np.nextafter(np.float32(1), 2)
    with pytest.raises(NpyRejected, match=r"to 1\.00000012") as rejected:
        to_grey_levels(changed(FLOATS / 255, high), scale="fraction")
    assert rejected.value.code == "out_of_range"


@pytest.mark.parametrize("dtype", ["u1", "i2", "u8"])
def test_integers_are_not_fractions(dtype):
    assert refused(LEVELS.astype(dtype), scale="fraction") == "wrong_dtype"
    assert to_grey_levels(LEVELS.astype(dtype), scale="level")[1] == "level"


def test_a_bad_value_of_a_batch_names_its_sample():
    with pytest.raises(NpyRejected, match=r"^sample 1: the values of an image run from 0 to 300"):
        to_grey_levels(np.stack([FLOATS, changed(FLOATS, 300)]), batch=True)


@settings(max_examples=25)
@given(st.floats(0, 255))
def test_a_float_becomes_the_nearest_grey_level(value):
    assert to_grey_levels(changed(FLOATS, value))[0][0, 0, 0] == np.rint(np.float32(value))
