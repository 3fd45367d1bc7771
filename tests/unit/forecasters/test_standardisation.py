import numpy as np

from flare.features.table import FEATURE_NAMES
from flare.forecasters.standardisation import fit_standardisation

NAMES = FEATURE_NAMES[:2]


def table(*rows):
    """Return features of which the first two are given and the others are never looked at."""
    features = np.full((len(rows), len(FEATURE_NAMES)), np.nan)
    features[:, :2] = rows
    return features


def test_training_comes_out_with_mean_0_and_deviation_1():
    features = table([1, 5], [2, np.nan], [6, 7], [9, 1])
    scaled = fit_standardisation(features, NAMES)(features)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(axis=0), 1)


def test_a_gap_is_filled_with_the_median_and_flagged():
    fitted = fit_standardisation(table([1, 5], [2, np.nan], [6, 7], [9, 12]), NAMES)
    assert fitted.flagged == (NAMES[1],)
    gap = fitted(table([2, np.nan]))[0] * fitted.std + fitted.mean
    np.testing.assert_allclose(gap, [2, 7, 1])


def test_a_constant_is_moved_to_0_and_not_scaled():
    features = table(*[[0.1, k] for k in range(7)])
    assert features[:, 0].std() > 0  # rounded
    fitted = fit_standardisation(features, NAMES)
    assert fitted.std[0] == 1


def test_a_feature_that_training_never_had_is_filled_with_0_and_has_a_flag_that_says_nothing():
    fitted = fit_standardisation(table([1, np.nan], [2, np.nan]), NAMES)
    np.testing.assert_array_equal(fitted(table([1.5, np.nan])), [[0, 0, 0]])
