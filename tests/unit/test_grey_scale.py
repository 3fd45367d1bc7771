"""On which scale the numbers of an array are: never a silent factor of 255."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flare.errors import NpyRejected
from flare.images.grey_scale import to_grey_levels

LEVELS = np.random.default_rng(0).integers(0, 256, (40, 256, 256), dtype=np.uint8)
FLOATS = LEVELS.astype(np.float32)


def changed(array: np.ndarray, value: float, plane: int = 0) -> np.ndarray:
    copy = array.copy()
    copy[plane, 0, 0] = value
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


@pytest.mark.parametrize(("high", "plane"), [(1.0001, 0), (1.5, 39), (2.5, 0), (15.9, 39)])
def test_fractions_that_reach_above_one_are_refused(high, plane):
    assert refused(changed(FLOATS / 255, high, plane)) == "ambiguous_scale"


@pytest.mark.parametrize(("dtype", "high"), [("f2", 1.0), ("f4", 0.5), ("f8", 1.0)])
def test_fractions_up_to_one_are_read_as_fractions(dtype, high):
    assert to_grey_levels((LEVELS / 255 * high).astype(dtype))[1] == "fraction"


@pytest.mark.parametrize("high", [1.5, 7.25, 15.5])
def test_floats_that_are_all_dark_are_refused(high):
    assert refused(FLOATS / 255 * high) == "ambiguous_scale"


def test_floats_of_zero_and_one_alone_are_refused_and_integers_are_levels():
    two_values = (LEVELS > 127).astype(np.float64)
    assert refused(two_values) == "ambiguous_scale"
    grey, used = to_grey_levels(two_values.astype(np.int16))
    assert (used, grey.max()) == ("level", 1)


@pytest.mark.parametrize("plane", [0, 20, 39])
def test_one_plane_of_another_scale_is_refused(plane):
    fractions, levels = FLOATS / 255, FLOATS.copy()
    fractions[plane] *= 255
    levels[plane] /= 255
    assert refused(fractions) == refused(levels) == "ambiguous_scale"


@pytest.mark.parametrize(("filler", "plane"), [(0, 0), (0.5, 39), (1, 0), (200, 39)])
def test_a_plane_of_a_single_value_decides_nothing(filler, plane):
    array = FLOATS.copy()
    array[plane] = filler
    assert to_grey_levels(array)[1] == "level"


def test_whole_numbers_above_one_are_levels_however_dark():
    grey, used = to_grey_levels(np.minimum(FLOATS, 3))
    assert used == "level"
    np.testing.assert_array_equal(grey, np.minimum(LEVELS, 3))


@pytest.mark.parametrize("array", [changed(FLOATS / 255, 1.0001), np.minimum(FLOATS, 1) / 2])
def test_a_stated_level_is_used_without_a_check(array):
    grey, used = to_grey_levels(array, scale="level")
    assert used == "level"
    np.testing.assert_array_equal(grey, np.rint(array))


def test_a_stated_fraction_above_one_is_out_of_range():
    assert refused(changed(FLOATS / 255, 1.0001), scale="fraction") == "out_of_range"
    np.testing.assert_array_equal(to_grey_levels(FLOATS / 255, scale="fraction")[0], LEVELS)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u8"])
def test_integers_are_not_fractions(dtype):
    assert refused(LEVELS.astype(dtype), scale="fraction") == "wrong_dtype"
    assert to_grey_levels(LEVELS.astype(dtype), scale="level")[1] == "level"


def test_all_samples_of_an_array_have_one_scale():
    dark, bright = FLOATS / 255, FLOATS
    assert refused(np.stack([dark, bright]), batch=True) == "ambiguous_scale"


def test_a_bad_value_of_a_batch_names_its_sample():
    with pytest.raises(NpyRejected, match=r"^sample 1: the values of an image run from 0 to 300"):
        to_grey_levels(np.stack([FLOATS, changed(FLOATS, 300)]), batch=True)


@given(st.floats(0, 255))
def test_a_float_becomes_the_nearest_grey_level(value):
    array = changed(FLOATS, value)
    assert to_grey_levels(array)[0][0, 0, 0] == np.rint(np.float32(value))


@pytest.mark.parametrize("filler", [0, 0.5, 1, 255])
def test_a_single_value_means_missing_on_a_stated_scale_too(filler):
    array = FLOATS / 255
    array[7] = filler
    grey, used = to_grey_levels(array, scale="fraction")
    assert used == "fraction"
    assert len(np.unique(grey[7])) == 1
    np.testing.assert_array_equal(np.delete(grey, 7, axis=0), np.delete(LEVELS, 7, axis=0))


def test_a_value_a_little_above_one_is_shown_as_it_is():
    with pytest.raises(NpyRejected, match=r"to 1\.00000012"):
        to_grey_levels(changed(FLOATS / 255, np.nextafter(np.float32(1), 2)), scale="fraction")
