import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, mean_absolute_error, root_mean_squared_error

from flare.errors import VerificationInvalid
from flare.verification import flux
from flare.verification.contingency import contingency_table, true_skill_statistic
from flare.verification.flux import class_table, gandin_murphy_gerrity_score

generator = np.random.default_rng(4)
OBSERVED, FORECAST = generator.uniform(-9, -3, 50), generator.uniform(-9, -3, 50)
WEIGHTS = generator.integers(0, 4, 50)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (flux.mean_absolute_error, mean_absolute_error),
        (flux.root_mean_square_error, root_mean_squared_error),
    ],
)
def test_errors_equal_those_of_scikit_learn(ours, theirs):
    expected = theirs(OBSERVED, FORECAST, sample_weight=WEIGHTS)
    assert ours(OBSERVED, FORECAST, weights=WEIGHTS) == pytest.approx(expected)


def test_bias_coverage_and_width_are_what_a_pencil_gives():
    assert flux.mean_error(OBSERVED, OBSERVED + 0.25) == pytest.approx(0.25)  # too high
    observed = np.array([-6.0, -5.0, -4.0, -3.0])  # two at the ends of the interval
    assert flux.interval_coverage(observed, np.full(4, -5.0), np.full(4, -4.0)) == 0.5
    widths, weights = np.array([1.0, 3.0]), np.array([3, 1])
    assert flux.interval_width(np.zeros(2), widths, weights=weights) == 1.5


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


def test_a_coverage_of_unequal_lengths_and_no_samples_are_refused():
    with pytest.raises(VerificationInvalid, match=r"shape \(49,\)"):
        flux.interval_coverage(OBSERVED, OBSERVED, FORECAST[:49])
    with pytest.raises(VerificationInvalid, match="no samples"):
        flux.mean_error(np.array([]), np.array([]))


def test_for_two_classes_gmgs_is_the_tss():
    observed, forecast = OBSERVED > -5, FORECAST > -6
    table = class_table(observed.astype(int), forecast.astype(int), n_classes=2)
    expected = true_skill_statistic(contingency_table(observed, forecast))
    assert float(gandin_murphy_gerrity_score(table)) == pytest.approx(float(expected))


def test_gmgs_of_a_perfect_forecast_is_1_and_of_a_constant_one_0():
    observed = np.array([0, 0, 0, 1, 1, 2, 3])
    perfect = class_table(observed, observed, n_classes=4)
    assert float(gandin_murphy_gerrity_score(perfect)) == pytest.approx(1)
    for constant in range(4):
        table = class_table(observed, np.full(7, constant), n_classes=4)
        assert float(gandin_murphy_gerrity_score(table)) == pytest.approx(0)
