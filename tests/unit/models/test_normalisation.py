import numpy as np
import torch

from flare.models.normalisation import (
    ChannelNormalisation,
    fit_normalisation,
    normalisation_from_sums,
)
from flare.sample import plane_sums

RNG = np.random.default_rng(0)
CUBES = RNG.integers(0, 256, (6, 4, 10, 8, 8), dtype=np.uint8)
PRESENT = RNG.random((6, 4, 10)) < 0.7
ROWS = np.array([0, 2, 3, 5])


def normalised(normalisation: ChannelNormalisation, cubes=CUBES, present=PRESENT) -> np.ndarray:
    return normalisation(torch.from_numpy(cubes), torch.from_numpy(present)).numpy()


def test_mean_and_deviation_are_those_of_the_present_images_of_the_rows():
    normalisation = fit_normalisation(CUBES, PRESENT, ROWS)
    for channel in range(10):
        pixels = CUBES[ROWS][:, :, channel][PRESENT[ROWS][:, :, channel]]
        np.testing.assert_allclose(normalisation.mean[channel], pixels.mean(), rtol=1e-6)
        np.testing.assert_allclose(normalisation.std[channel], pixels.std(), rtol=1e-6)


def test_the_order_and_the_division_of_the_rows_change_no_digit():
    sums = plane_sums(CUBES)
    one = normalisation_from_sums(sums[ROWS], PRESENT[ROWS], pixels=64)
    back = normalisation_from_sums(sums[ROWS[::-1]], PRESENT[ROWS[::-1]], pixels=64)
    assert one == back == fit_normalisation(CUBES, PRESENT, ROWS)


def test_other_rows_and_missing_images_do_not_count():
    cubes = CUBES.copy()
    cubes[[1, 4]] = 255
    cubes[~PRESENT] = 255
    assert fit_normalisation(cubes, PRESENT, ROWS) == fit_normalisation(CUBES, PRESENT, ROWS)


def test_normalised_images_have_mean_0_and_deviation_1():
    normalisation = fit_normalisation(CUBES, PRESENT, np.arange(6))
    for channel in range(10):
        values = normalised(normalisation)[:, :, channel][PRESENT[:, :, channel]]
        np.testing.assert_allclose([values.mean(), values.std()], [0, 1], atol=1e-5)


def test_a_missing_image_becomes_zero_whatever_lies_under_the_mask():
    values = normalised(fit_normalisation(CUBES, PRESENT, ROWS))
    assert values.dtype == np.float32
    assert (values[~PRESENT] == 0).all()


def test_a_channel_that_is_missing_everywhere_gets_mean_0_and_deviation_1():
    present = PRESENT.copy()
    present[:, :, 4] = False
    normalisation = fit_normalisation(CUBES, present, ROWS)
    assert (normalisation.mean[4], normalisation.std[4]) == (0.0, 1.0)


def test_a_channel_of_one_grey_level_is_not_divided_by_zero():
    cubes = CUBES.copy()
    cubes[:, :, 4] = 200
    normalisation = fit_normalisation(cubes, PRESENT, ROWS)
    assert normalisation.std[4] == 1.0
    assert (normalised(normalisation, cubes)[:, :, 4] == 0).all()
