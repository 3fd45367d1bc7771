import numpy as np
import pytest
from small_forecasters import CUBES, ORIGIN, PEAK_FLUX, PRESENT, SPEC

from flare.errors import DatasetInvalid
from flare.forecasters.references.climatology import fit_climatology


def fitted(peak_flux):
    return fit_climatology(np.asarray(peak_flux, dtype=float), spec=SPEC, origin=ORIGIN)


def test_its_probabilities_are_the_base_rates():
    # Of TINY_LABELS 6 of 8 reach B1.0, 5 C1.0, 3 M1.0 and 1 X1.0.
    probability = fitted(PEAK_FLUX).predict(CUBES[:2], PRESENT[:2]).probability
    np.testing.assert_allclose(probability, [[6 / 8, 5 / 8, 3 / 8, 1 / 8]] * 2)


def test_its_flux_is_the_median_and_its_interval_nine_tenths_of_the_labels():
    log10_flux = np.linspace(-9, -4, 101)
    forecast = fitted(10**log10_flux).predict(CUBES[:1], PRESENT[:1])
    assert forecast.log10_flux[0] == pytest.approx(-6.5)
    assert (forecast.lower[0], forecast.upper[0]) == pytest.approx((-8.75, -4.25))


def test_it_says_the_same_of_every_sample():
    forecast = fitted(PEAK_FLUX).predict(CUBES, PRESENT)
    assert len(np.unique(forecast.log10_flux)) == 1
    assert len(np.unique(forecast.probability, axis=0)) == 1


def test_without_labels_there_is_no_climatology():
    with pytest.raises(DatasetInvalid, match="no training labels"):
        fitted([])
