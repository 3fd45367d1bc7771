import numpy as np
import pytest
from small_forecasters import CUBES, ORIGIN, PEAK_FLUX, PRESENT, SPEC, describe

from flare.errors import DatasetInvalid, ForecasterInvalid, InputInvalid
from flare.forecasters.references.climatology import fit_climatology, fit_constant
from flare.forecasters.storage import load, save
from flare.goes import EVENTS, flux_of_class

#: Of the median 2e-6.
LABELS = np.array([1e-9, 1e-6, 2e-6, 5e-6, 3e-5])


def constant(peak_flux=LABELS, stated=None):
    return fit_constant(peak_flux, spec=SPEC, origin=ORIGIN, stated=stated)


def climatology(peak_flux=PEAK_FLUX):
    return fit_climatology(peak_flux, spec=SPEC, origin=ORIGIN)


def forecast(forecaster, n=1):
    return forecaster.predict(CUBES[:n], PRESENT[:n])


def test_the_probabilities_of_climatology_are_the_base_rates_for_every_sample():
    # Of TINY_LABELS 6 of 8 reach B1.0, 5 C1.0, 3 M1.0 and 1 X1.0.
    result = forecast(climatology(), 2)
    np.testing.assert_allclose(result.probability, [[6 / 8, 5 / 8, 3 / 8, 1 / 8]] * 2)
    assert len(np.unique(result.log10_flux)) == 1


@pytest.mark.parametrize("fit", [climatology, constant])
def test_the_flux_is_the_median_and_the_interval_nine_tenths_of_the_labels(fit):
    result = forecast(fit(10 ** np.linspace(-9, -4, 101)))
    ends = result.lower[0], result.log10_flux[0], result.upper[0]
    assert ends == pytest.approx((-8.75, -6.5, -4.25))


@pytest.mark.parametrize("fit", [climatology, constant])
def test_without_labels_there_is_neither(fit):
    with pytest.raises(DatasetInvalid, match="no training labels"):
        fit(np.array([]))


def test_the_mean_absolute_error_of_the_constant_is_that_of_the_median():
    error = np.abs(10 ** forecast(constant(), 5).log10_flux - LABELS).mean()
    # 1.999e-6 + 1e-6 + 0 + 3e-6 + 2.8e-5, over five samples
    assert error == pytest.approx(6.7998e-6)


@pytest.mark.parametrize("stated", [5.294e-7, 1e-6, 1e-5, 9.999e-6, 2e-4])
def test_an_event_is_certain_where_a_stated_flux_reaches_it_and_impossible_otherwise(stated):
    made = constant(stated=stated)
    assert made.peak_flux == stated
    reached = [float(stated >= flux_of_class(event)) for event in EVENTS]
    np.testing.assert_array_equal(forecast(made, 2).probability, [reached] * 2)


@pytest.mark.parametrize(("stated", "end"), [(1e-3, "upper"), (1e-10, "lower")])
def test_the_interval_is_widened_to_hold_a_stated_flux(stated, end):
    assert getattr(forecast(constant(stated=stated)), end)[0] == np.log10(stated)


@pytest.mark.parametrize("stated", [0.0, -1e-6, np.inf, np.nan])
def test_a_stated_flux_that_is_none_is_refused(stated):
    with pytest.raises(InputInvalid, match="is not a peak flux"):
        constant(stated=stated)


@pytest.mark.parametrize(
    ("flux", "interval"),
    [
        (0.0, [-9, -4]),
        (float("nan"), [-9, -4]),
        (1e-3, [-9, -4]),
        (1e-6, [-9, float("inf")]),
    ],
)
def test_a_saved_constant_that_makes_no_sense_is_refused(flux, interval, tmp_path):
    folder = save(constant(), tmp_path / "constant")
    describe(folder, parts={"peak_flux": flux, "log10_flux_interval": interval})
    with pytest.raises(ForecasterInvalid, match="the constant in"):
        load(folder)
