import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, mean_absolute_error, root_mean_squared_error

from flare.errors import VerificationInvalid
from flare.verification import flux

generator = np.random.default_rng(4)
OBSERVED, FORECAST = generator.uniform(-9, -3, 50), generator.uniform(-9, -3, 50)
WEIGHTS = generator.integers(0, 4, 50)


def test_mean_absolute_error_equals_scikit_learns():
    theirs = mean_absolute_error(OBSERVED, FORECAST, sample_weight=WEIGHTS)
    assert flux.mean_absolute_error(OBSERVED, FORECAST, weights=WEIGHTS) == pytest.approx(theirs)


def test_root_mean_square_error_equals_scikit_learns():
    theirs = root_mean_squared_error(OBSERVED, FORECAST, sample_weight=WEIGHTS)
    assert flux.root_mean_square_error(OBSERVED, FORECAST, weights=WEIGHTS) == pytest.approx(theirs)


def test_the_mean_error_of_forecasts_that_are_too_high_is_positive():
    assert flux.mean_error(OBSERVED, OBSERVED + 0.25) == pytest.approx(0.25)


def test_an_observation_on_the_end_of_its_interval_is_covered():
    observed = np.array([-6.0, -5.0, -4.0, -3.0])
    lower, upper = np.full(4, -5.0), np.full(4, -4.0)
    assert flux.interval_coverage(observed, lower, upper) == 0.5


def test_the_mean_width_counts_each_interval_by_its_weight():
    width = flux.interval_width(np.zeros(2), np.array([1.0, 3.0]), weights=np.array([3, 1]))
    assert width == 1.5


def test_confusion_of_classes_has_observed_ones_in_rows():
    observed, forecast = 10**OBSERVED, 10**FORECAST
    edges = [1e-7, 1e-6, 1e-5, 1e-4]
    theirs = confusion_matrix(
        np.searchsorted(edges, observed, side="right"),
        np.searchsorted(edges, forecast, side="right"),
        labels=range(5),
    )
    np.testing.assert_array_equal(flux.class_confusion(observed, forecast), theirs)


@pytest.mark.parametrize(
    "error",
    [
        flux.mean_absolute_error,
        flux.root_mean_square_error,
        flux.mean_error,
        flux.interval_width,
        flux.class_confusion,
    ],
)
def test_forecasts_that_do_not_fit_the_observations_are_named(error):
    with pytest.raises(VerificationInvalid, match=r"shape \(1,\); wanted \(50,\)"):
        error(OBSERVED, FORECAST[:1])
    with pytest.raises(VerificationInvalid, match=r"\[2\] is nan"):
        error(OBSERVED, np.where(np.arange(50) == 2, np.nan, FORECAST))


def test_a_coverage_of_unequal_lengths_is_refused():
    with pytest.raises(VerificationInvalid, match=r"shape \(49,\)"):
        flux.interval_coverage(OBSERVED, OBSERVED, FORECAST[:49])


def test_no_samples_have_no_error():
    with pytest.raises(VerificationInvalid, match="no samples"):
        flux.mean_error(np.array([]), np.array([]))
