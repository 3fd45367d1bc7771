import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flare.errors import InputInvalid
from flare.sample import (
    CHANNELS,
    CUBE_SHAPE,
    MAGNETOGRAM,
    N_CHANNELS,
    N_STEPS,
    PIXEL_SCALES,
    STEP_NAMES,
    cube_of_planes,
    grey_levels,
    physical_values,
    plane_sums,
    present_of_cube,
    reduce_cubes,
)

LEVELS = np.arange(256, dtype=np.uint8)


@given(st.sampled_from([(4, 2), (6, 3), (8, 1), (8, 8), (12, 4), (34, 2)]), st.data())
def test_reducing_is_the_mean_over_blocks_rounded_half_up(sizes, data):
    edge, size = sizes
    cubes = data.draw(hnp.arrays(np.uint8, (2, 3, edge, edge)))
    block = edge // size
    blocks = cubes.reshape(2, 3, size, block, size, block)
    expected = np.floor(blocks.mean(axis=(3, 5)) + 0.5)
    reduced = reduce_cubes(cubes, size)
    assert reduced.dtype == np.uint8
    np.testing.assert_array_equal(reduced, expected)


def test_white_stays_white_however_far_it_is_reduced_and_the_same_size_is_not_copied():
    white = np.full((1, 256, 256), 255, dtype=np.uint8)
    assert (reduce_cubes(white, 8) == 255).all()
    assert reduce_cubes(white, 256) is white


@pytest.mark.parametrize("shape", [(10, 10), (4, 4), (8, 16), (16, 8), (0, 0)])
def test_what_is_not_a_square_of_whole_blocks_is_not_reduced(shape):
    with pytest.raises(InputInvalid, match=f"{shape[0]} x {shape[1]} pixels"):
        reduce_cubes(np.zeros((1, *shape), dtype=np.uint8), 8)


def test_planes_are_the_channels_of_the_first_step_first():
    planes = np.zeros((40, 8, 8), dtype=np.uint8)
    planes[:] = np.arange(40)[:, None, None]
    cube = cube_of_planes(planes)
    assert cube[0, :, 0, 0].tolist() == list(range(10))
    assert cube[3, MAGNETOGRAM, 0, 0] == 39
    assert cube_of_planes(cube).shape == (4, 10, 8, 8)


@pytest.mark.parametrize("shape", [(39, 8, 8), (40, 8, 9), (10, 4, 8, 8), (4, 10, 8, 9), (40, 8)])
def test_an_array_of_another_shape_is_not_a_sample(shape):
    with pytest.raises(InputInvalid, match="is not a sample; send"):
        cube_of_planes(np.zeros(shape, dtype=np.uint8))


def test_a_plane_is_missing_if_it_has_a_single_value_as_such_an_image_file_is():
    cubes = np.random.default_rng(0).integers(0, 256, (2, 4, 10, 8, 8), dtype=np.uint8)
    for channel, value in enumerate((0, 1, 128, 255)):
        cubes[1, 2, channel] = value
    cubes[0, 0, 4:7] = 0
    cubes[0, 0, [4, 5, 6], [0, 4, 7], 7] = 1  # one pixel of another value is enough
    missing = np.argwhere(~present_of_cube(cubes)).tolist()
    assert missing == [[1, 2, channel] for channel in range(4)]


def test_channels_steps_and_images_make_up_the_shape_of_a_sample():
    assert CUBE_SHAPE == (N_STEPS, N_CHANNELS, 256, 256) == (4, 10, 256, 256)
    assert tuple(PIXEL_SCALES) == CHANNELS


@pytest.mark.parametrize("channel", CHANNELS)
def test_physical_values_span_the_range_of_a_channel_and_can_be_inverted(channel):
    scale = PIXEL_SCALES[channel]
    values = physical_values(LEVELS, channel).astype(np.float64)
    np.testing.assert_allclose(values[[0, 255]], [scale.low, scale.high], rtol=1e-6)
    if scale.log10:
        fraction = np.log10(values / scale.low) / np.log10(scale.high / scale.low)
    else:
        fraction = (values - scale.low) / (scale.high - scale.low)
    np.testing.assert_array_equal(np.rint(255 * fraction), LEVELS)  # SDOBenchmark's pipeline
    np.testing.assert_allclose(grey_levels(values, channel), LEVELS, atol=1e-3)


def test_steps_are_called_by_their_time_before_the_forecast_window():
    assert STEP_NAMES == ("12 h", "5 h", "1.5 h", "10 min")


def test_a_magnetogram_reaches_150_gauss_at_grey_204_and_51():
    gauss = physical_values(LEVELS, "magnetogram")
    assert np.flatnonzero(gauss >= 150)[0] == 204
    assert np.flatnonzero(gauss <= -150)[-1] == 51


@pytest.mark.parametrize("shape", [(3, 2, 256, 256), (2, 257, 257), (5, 7), (1, 300, 300)], ids=str)
def test_sums_of_grey_levels_and_of_their_squares_are_exact(shape):
    cubes = np.random.default_rng(0).integers(200, 256, shape, dtype=np.uint8)
    cubes[0] = 255
    whole = cubes.astype(np.int64)
    wanted = np.stack([whole.sum((-2, -1)), (whole**2).sum((-2, -1))], axis=-1)
    np.testing.assert_array_equal(plane_sums(cubes), wanted)
