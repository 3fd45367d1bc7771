from collections.abc import Callable

import numpy as np
import pytest

from flare.errors import VerificationInvalid
from flare.forecast import Forecast
from flare.verification.inputs import Observations
from flare.verification.scorecard import score_forecasts

Issue = Callable[[float], Forecast]


def test_row_numbers_and_booleans_take_the_same_samples(
    issue: Issue, observed: Observations
) -> None:
    wanted = observed.active_region >= 11406
    for rows in (wanted, np.flatnonzero(wanted), list(wanted)):
        subset, labels = issue(0.5).take(rows), observed.take(rows)
        np.testing.assert_array_equal(subset.log10_flux, issue(0.5).log10_flux[60:])
        np.testing.assert_array_equal(subset.lower, issue(0.5).lower[60:])
        np.testing.assert_array_equal(subset.upper, issue(0.5).upper[60:])
        np.testing.assert_array_equal(subset.probability, issue(0.5).probability[60:])
        np.testing.assert_array_equal(labels.peak_flux, observed.peak_flux[60:])
        np.testing.assert_array_equal(labels.active_region, observed.active_region[60:])


def test_events_and_thresholds_stay_with_the_rows_that_were_chosen(issue: Issue) -> None:
    whole, subset = issue(0.5), issue(0.5).take([3, 1])
    assert (subset.events, subset.thresholds) == (whole.events, whole.thresholds)


def test_rows_come_in_the_order_in_which_they_were_asked_for(observed: Observations) -> None:
    subset = observed.take([7, 2, -1])
    np.testing.assert_array_equal(subset.peak_flux, observed.peak_flux[[7, 2, 119]])


def test_a_subset_is_scored_like_samples_that_never_had_others_next_to_them(
    issue: Issue, observed: Observations
) -> None:
    half = np.arange(120) < 60
    card = score_forecasts(issue(0.5).take(half), observed.take(half), n_resamples=5)
    assert card.n_active_regions == 6
    assert card.get("M1.0", "recall").n_events == (observed.peak_flux[:60] >= 1e-5).sum()


def test_no_rows_are_an_empty_split_when_they_are_scored(
    issue: Issue, observed: Observations
) -> None:
    with pytest.raises(VerificationInvalid, match="the split is empty"):
        score_forecasts(issue(0.5).take([]), observed.take(np.zeros(120, dtype=bool)))
