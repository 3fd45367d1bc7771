import numpy as np
import pytest
from small_forecasters import CUBES, ORIGIN, PEAK_FLUX, PRESENT, SPEC
from test_forecaster_folder import describe

from flare.errors import DatasetInvalid, ForecasterInvalid, InputInvalid
from flare.forecasters.references.climatology import fit_climatology, fit_constant
from flare.forecasters.storage import load, save
from flare.goes import EVENTS, flux_of_class


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


#: Of the median 2e-6.
LABELS = np.array([1e-9, 1e-6, 2e-6, 5e-6, 3e-5])


def fitted_constant(peak_flux=LABELS, stated=None):
    labels = np.asarray(peak_flux, dtype=float)
    return fit_constant(labels, spec=SPEC, origin=ORIGIN, stated=stated)


def forecast(n=1, **options):
    return fitted_constant(**options).predict(CUBES[:n], PRESENT[:n])


def test_it_says_the_median_of_the_labels_of_every_sample():
    np.testing.assert_allclose(10 ** forecast(3).log10_flux, [2e-6] * 3)


def test_its_mean_absolute_error_is_that_of_the_median():
    error = np.abs(10 ** forecast(5).log10_flux - LABELS).mean()
    # 1.999e-6 + 1e-6 + 0 + 3e-6 + 2.8e-5, over five samples
    assert error == pytest.approx(6.7998e-6)


@pytest.mark.parametrize("stated", [5.294e-7, 1e-6, 1e-5, 9.999e-6, 2e-4])
def test_an_event_is_certain_where_its_flux_is_reached_and_impossible_otherwise(stated):
    reached = [float(stated >= flux_of_class(event)) for event in EVENTS]
    np.testing.assert_array_equal(forecast(2, stated=stated).probability, [reached] * 2)


def test_a_stated_flux_is_chosen_instead_of_the_median():
    assert fitted_constant(stated=5.294e-7).peak_flux == 5.294e-7


def test_its_interval_holds_nine_tenths_of_the_labels():
    result = forecast(peak_flux=10 ** np.linspace(-9, -4, 101))
    assert (result.lower[0], result.upper[0]) == pytest.approx((-8.75, -4.25))


@pytest.mark.parametrize(("stated", "end"), [(1e-3, "upper"), (1e-10, "lower")])
def test_the_interval_is_widened_to_hold_a_stated_flux(stated, end):
    assert getattr(forecast(stated=stated), end)[0] == np.log10(stated)


def test_without_labels_there_is_no_median():
    with pytest.raises(DatasetInvalid, match="no training labels"):
        fitted_constant([])


@pytest.mark.parametrize("stated", [0.0, -1e-6, np.inf, np.nan])
def test_a_stated_flux_that_is_none_is_refused(stated):
    with pytest.raises(InputInvalid, match="is not a peak flux"):
        fitted_constant(stated=stated)


@pytest.mark.parametrize(
    "parts",
    [
        {"peak_flux": 0.0, "log10_flux_interval": [-9, -4]},
        {"peak_flux": float("nan"), "log10_flux_interval": [-9, -4]},
        {"peak_flux": 1e-3, "log10_flux_interval": [-9, -4]},
        {"peak_flux": 1e-6, "log10_flux_interval": [-9, float("inf")]},
    ],
)
def test_a_saved_constant_that_makes_no_sense_is_refused(parts, tmp_path):
    folder = save(fitted_constant(), tmp_path / "constant")
    describe(folder, parts=parts)
    with pytest.raises(ForecasterInvalid, match="the constant in"):
        load(folder)
