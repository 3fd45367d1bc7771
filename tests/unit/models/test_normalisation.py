from dataclasses import replace

import numpy as np
import pytest
import torch

from flare.errors import ForecasterInvalid
from flare.models.normalisation import (
    ChannelNormalisation,
    Normaliser,
    fit_normalisation,
    fit_standardisation,
)
from flare.sample import MAGNETOGRAM, physical_values

RNG = np.random.default_rng(0)
CUBES = RNG.integers(0, 256, (6, 4, 10, 8, 8), dtype=np.uint8)
PRESENT = RNG.random((6, 4, 10)) < 0.7
ROWS = np.array([0, 2, 3, 5])


def normalised(normalisation: ChannelNormalisation, cubes=CUBES, present=PRESENT) -> np.ndarray:
    return normalisation(torch.from_numpy(cubes), torch.from_numpy(present)).numpy()


def without_channel(channel: int) -> np.ndarray:
    present = PRESENT.copy()
    present[:, :, channel] = False
    return present


def uniform_channel(channel: int) -> np.ndarray:
    cubes = CUBES.copy()
    cubes[:, :, channel] = 200
    return cubes


def test_mean_and_deviation_are_those_of_the_present_images_of_the_rows():
    normalisation = fit_normalisation(CUBES, PRESENT, ROWS)
    for channel in range(MAGNETOGRAM):
        pixels = CUBES[ROWS][:, :, channel][PRESENT[ROWS][:, :, channel]]
        np.testing.assert_allclose(normalisation.mean[channel], pixels.mean(), rtol=1e-6)
        np.testing.assert_allclose(normalisation.std[channel], pixels.std(), rtol=1e-6)
        values = normalised(normalisation)[ROWS][:, :, channel][PRESENT[ROWS][:, :, channel]]
        np.testing.assert_allclose([values.mean(), values.std()], [0, 1], atol=1e-5)


def test_the_order_of_the_rows_other_rows_and_missing_images_change_no_digit():
    expected = fit_normalisation(CUBES, PRESENT, ROWS)
    assert fit_normalisation(CUBES, PRESENT, ROWS[::-1]) == expected
    cubes = CUBES.copy()
    cubes[[1, 4]] = 255
    cubes[~PRESENT] = 255
    assert fit_normalisation(cubes, PRESENT, ROWS) == expected


def test_a_magnetogram_becomes_gauss_in_units_of_the_root_mean_square():
    here = PRESENT[:, :, MAGNETOGRAM]
    gauss = physical_values(CUBES[:, :, MAGNETOGRAM], "magnetogram")[here].astype(np.float64)
    values = normalised(fit_normalisation(CUBES, PRESENT, np.arange(6)))[:, :, MAGNETOGRAM][here]
    np.testing.assert_allclose(values, gauss / np.sqrt((gauss**2).mean()), atol=1e-5)


@pytest.mark.parametrize(
    ("cubes", "present", "channel", "expected"),
    [
        (uniform_channel(MAGNETOGRAM), PRESENT, MAGNETOGRAM, (127.5, 72.5)),  # of one polarity
        (CUBES, without_channel(MAGNETOGRAM), MAGNETOGRAM, (127.5, 1.0)),
        (CUBES, without_channel(4), 4, (0.0, 1.0)),
        (uniform_channel(4), PRESENT, 4, (200.0, 1.0)),
    ],
)
def test_a_magnetogram_is_centred_at_0_gauss_and_nothing_is_divided_by_zero(
    cubes, present, channel, expected
):
    normalisation = fit_normalisation(cubes, present, ROWS)
    assert (normalisation.mean[channel], normalisation.std[channel]) == expected


def test_features_of_training_come_out_with_mean_0_and_deviation_1():
    features = np.array([[1, 5], [2, np.nan], [6, 7], [9, 1]])
    scaled = fit_standardisation(features)(features)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-6)


def test_a_feature_that_is_missing_is_filled_with_the_median_or_0_if_training_never_had_it():
    scale = fit_standardisation(np.array([[1, 5], [2, np.nan], [6, 7], [9, 12]]))
    np.testing.assert_array_equal(scale(np.array([[2, np.nan]])), scale(np.array([[2, 7]])))
    scale = fit_standardisation(np.array([[1, np.nan], [2, np.nan]]))
    np.testing.assert_array_equal(scale(np.array([[1.5, np.nan]])), [[0, 0]])


def test_a_constant_feature_is_moved_to_0_and_not_scaled():
    constant = np.full((7, 1), 0.1)
    assert constant.std() > 0  # rounded
    assert fit_standardisation(constant).std == (1.0,)


def test_features_far_from_training_count_as_five_deviations():
    scale = fit_standardisation(np.array([[-1.0], [1.0]]))
    np.testing.assert_array_equal(scale(np.array([[1e9], [-1e9]])), [[5], [-5]])


@pytest.mark.parametrize(
    "damage", [{"std": (0.0,)}, {"std": (-1.0,)}, {"mean": (np.nan,)}, {"median": (np.inf,)}]
)
def test_scales_of_a_damaged_folder_are_refused(damage):
    scale = fit_standardisation(np.array([[-1.0], [1.0]]))
    with pytest.raises(ForecasterInvalid, match="fetch it again"):
        replace(scale, **damage)


IMAGES, THERE = torch.from_numpy(CUBES), torch.from_numpy(PRESENT)
NORMALISATION = ChannelNormalisation(tuple(range(40, 140, 10)), tuple(range(3, 33, 3)))


def by_definition() -> torch.Tensor:
    """Return the distance from the mean in deviations, and zero for missing images."""
    mean, std = (
        torch.tensor(some, dtype=torch.float64)[:, None, None]
        for some in (NORMALISATION.mean, NORMALISATION.std)
    )
    return ((IMAGES.double() - mean) / std * THERE[..., None, None]).float()


def test_a_normaliser_gives_the_same_from_one_buffer_for_batches_of_any_size():
    assert NORMALISATION(IMAGES, THERE).dtype == torch.float32
    torch.testing.assert_close(NORMALISATION(IMAGES, THERE), by_definition())
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
