from dataclasses import replace

import numpy as np
import pytest
import torch

from flare.errors import ForecasterInvalid
from flare.models.blocks import frames
from flare.models.normalisation import (
    ChannelNormalisation,
    Normaliser,
    fit_normalisation,
    fit_standardisation,
    normalisation_from_sums,
)
from flare.sample import MAGNETOGRAM, physical_values, plane_sums

RNG = np.random.default_rng(0)
CUBES = RNG.integers(0, 256, (6, 4, 10, 8, 8), dtype=np.uint8)
PRESENT = RNG.random((6, 4, 10)) < 0.7
ROWS = np.array([0, 2, 3, 5])


def normalised(normalisation: ChannelNormalisation, cubes=CUBES, present=PRESENT) -> np.ndarray:
    return normalisation(torch.from_numpy(cubes), torch.from_numpy(present)).numpy()


def test_mean_and_deviation_are_those_of_the_present_images_of_the_rows():
    normalisation = fit_normalisation(CUBES, PRESENT, ROWS)
    for channel in range(MAGNETOGRAM):
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
    for channel in range(MAGNETOGRAM):
        values = normalised(normalisation)[:, :, channel][PRESENT[:, :, channel]]
        np.testing.assert_allclose([values.mean(), values.std()], [0, 1], atol=1e-5)


def test_a_magnetogram_becomes_gauss_in_units_of_the_root_mean_square():
    here = PRESENT[:, :, MAGNETOGRAM]
    gauss = physical_values(CUBES[:, :, MAGNETOGRAM], "magnetogram")[here].astype(np.float64)
    values = normalised(fit_normalisation(CUBES, PRESENT, np.arange(6)))[:, :, MAGNETOGRAM][here]
    np.testing.assert_allclose(values, gauss / np.sqrt((gauss**2).mean()), atol=1e-5)


def test_magnetograms_of_one_polarity_are_not_centred_at_their_mean():
    cubes = CUBES.copy()
    cubes[:, :, MAGNETOGRAM] = 200
    normalisation = fit_normalisation(cubes, PRESENT, ROWS)
    assert normalisation.mean[MAGNETOGRAM] == 127.5
    assert normalisation.std[MAGNETOGRAM] == 200 - 127.5


def test_a_magnetogram_that_is_missing_everywhere_is_centred_at_no_field():
    present = PRESENT.copy()
    present[:, :, MAGNETOGRAM] = False
    normalisation = fit_normalisation(CUBES, present, ROWS)
    assert (normalisation.mean[MAGNETOGRAM], normalisation.std[MAGNETOGRAM]) == (127.5, 1.0)


def test_frames_hold_the_unsigned_field_of_each_image():
    normalisation = fit_normalisation(CUBES, PRESENT, np.arange(6))
    inputs = normalisation(torch.from_numpy(CUBES), torch.from_numpy(PRESENT))
    unsigned = frames(inputs.flatten(0, 1))[:, -1].numpy().reshape(6, 4, 8, 8)
    gauss = physical_values(CUBES[:, :, MAGNETOGRAM], "magnetogram")
    gauss[~PRESENT[:, :, MAGNETOGRAM]] = 0
    per_unit = 500 / 255 * normalisation.std[MAGNETOGRAM]
    np.testing.assert_allclose(unsigned * per_unit, np.abs(gauss), atol=1e-3)


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


def test_features_of_training_come_out_with_mean_0_and_deviation_1():
    features = np.array([[1, 5], [2, np.nan], [6, 7], [9, 1]])
    scaled = fit_standardisation(features)(features)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-6)


def test_a_feature_that_is_missing_is_filled_with_the_median():
    scale = fit_standardisation(np.array([[1, 5], [2, np.nan], [6, 7], [9, 12]]))
    np.testing.assert_array_equal(scale(np.array([[2, np.nan]])), scale(np.array([[2, 7]])))


def test_a_constant_feature_is_moved_to_0_and_not_scaled():
    constant = np.full((7, 1), 0.1)
    assert constant.std() > 0  # rounded
    assert fit_standardisation(constant).std == (1.0,)


def test_a_feature_that_training_never_had_is_0():
    scale = fit_standardisation(np.array([[1, np.nan], [2, np.nan]]))
    np.testing.assert_array_equal(scale(np.array([[1.5, np.nan]])), [[0, 0]])


def test_features_far_from_training_count_as_five_deviations():
    scale = fit_standardisation(np.array([[-1.0], [1.0]]))
    np.testing.assert_array_equal(scale(np.array([[1e9], [-1e9]])), [[5], [-5]])


@pytest.mark.parametrize(
    "damage", [{"std": (0.0,)}, {"std": (-1.0,)}, {"mean": (np.nan,)}, {"median": (np.inf,)}]
)
def test_scales_that_nothing_can_be_divided_by_are_refused(damage):
    scale = fit_standardisation(np.array([[-1.0], [1.0]]))
    with pytest.raises(ForecasterInvalid, match="fetch it again"):
        replace(scale, **damage)


RNG = np.random.default_rng(0)
IMAGES = torch.from_numpy(RNG.integers(0, 256, (6, 4, 10, 8, 8), dtype=np.uint8))
THERE = torch.from_numpy(RNG.random((6, 4, 10)) < 0.7)
NORMALISATION = ChannelNormalisation(tuple(range(40, 140, 10)), tuple(range(3, 33, 3)))


def by_definition(cubes=IMAGES, present=THERE) -> torch.Tensor:
    mean, std = (
        torch.tensor(some, dtype=torch.float64)[:, None, None]
        for some in (NORMALISATION.mean, NORMALISATION.std)
    )
    return ((cubes.double() - mean) / std * present[..., None, None]).float()


def test_it_is_the_distance_from_the_mean_in_deviations():
    torch.testing.assert_close(NORMALISATION(IMAGES, THERE), by_definition())


def test_a_reused_buffer_is_written_and_returned():
    out = torch.full(IMAGES.shape, torch.nan)
    assert NORMALISATION(IMAGES, THERE, out=out) is out
    torch.testing.assert_close(out, by_definition())


def test_a_normaliser_gives_the_same_from_one_memory_for_batches_of_any_size():
    normaliser = Normaliser(NORMALISATION)
    memory = set()
    for n in (6, 2, 5, 6):
        result = normaliser(IMAGES[:n], THERE[:n])
        torch.testing.assert_close(result, by_definition()[:n])
        memory.add(result.data_ptr())
    assert len(memory) == 1


def test_a_normaliser_that_began_without_gradients_may_be_used_with_them():
    normaliser = Normaliser(NORMALISATION)
    with torch.inference_mode():
        normaliser(IMAGES, THERE)
    weight = torch.ones((), requires_grad=True)
    (normaliser(IMAGES, THERE) * weight).sum().backward()
    torch.testing.assert_close(weight.grad, by_definition().sum(), rtol=1e-4, atol=1e-2)
