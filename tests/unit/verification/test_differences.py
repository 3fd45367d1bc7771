from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flare.errors import VerificationInvalid
from flare.forecast import Forecast
from flare.verification.inputs import Observations
from flare.verification.resampling import paired_differences
from flare.verification.scorecard import score_forecasts
from flare.verification.scores import Score

Issue = Callable[[float], Forecast]

WANTED = [
    ("M1.0", "brier_skill_score"),
    ("C1.0", "roc_area"),
    ("flux", "log10_flux_mae"),
    ("M1.0", "true_skill_statistic"),
    ("published", "brier_score"),
]


def difference_of(one, other, observed, *, event: str, score_name: str, **options) -> Score:
    return paired_differences(one, other, observed, wanted=[(event, score_name)], **options)[0]


def test_several_differences_are_those_that_one_at_a_time_gives(issue, observed):
    a, b = issue(0.3), issue(1.0)
    at_once = paired_differences(a, b, observed, wanted=WANTED, n_resamples=50)
    one_by_one = [
        difference_of(a, b, observed, event=event, score_name=name, n_resamples=50)
        for event, name in WANTED
    ]
    assert at_once == one_by_one


def test_skill_over_a_climatology_has_a_difference_where_the_rates_are_given(issue, observed):
    wanted = [("M1.0", "brier_skill_score_vs_climatology")]
    (score,) = paired_differences(
        issue(0.3), issue(1), observed, wanted=wanted, n_resamples=5, climatology={"M1.0": 0.06}
    )
    assert score.value > 0
    with pytest.raises(VerificationInvalid, match="no score 'brier_skill_score_vs_climatology'"):
        paired_differences(issue(0.3), issue(1), observed, wanted=wanted, n_resamples=5)


def test_no_wanted_difference_is_an_empty_list(issue, observed):
    assert paired_differences(issue(0.3), issue(1), observed, wanted=[], n_resamples=5) == []


def test_the_difference_of_two_forecasts_is_that_of_their_scores(issue, observed):
    good, bad = issue(0.3), issue(2.0)
    difference = difference_of(good, bad, observed, event="C1.0", score_name="brier_score")
    values = [score_forecasts(i, observed).value("C1.0", "brier_score") for i in (good, bad)]
    assert difference.value == pytest.approx(values[0] - values[1])
    assert difference.name == "brier_score_difference"


def test_the_paired_interval_is_narrower_than_the_two_intervals_apart(issue, observed):
    one, other = issue(0.30), issue(0.32)
    difference = difference_of(one, other, observed, event="C1.0", score_name="brier_score")
    alone = score_forecasts(one, observed).get("C1.0", "brier_score")
    assert difference.high - difference.low < (alone.high - alone.low) / 2


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_a_forecast_does_not_differ_from_itself(seed):
    generator = np.random.default_rng(seed)
    observed = Observations(10 ** generator.uniform(-7, -4, 20), np.repeat(np.arange(5), 4))
    log10_flux = generator.uniform(-7, -4, 20)
    forecast = Forecast(
        log10_flux, log10_flux, log10_flux, generator.random((20, 1)), ("C1.0",), {"C1.0": 0.5}
    )
    difference = difference_of(
        forecast, forecast, observed, event="flux", score_name="flux_mae", n_resamples=20, seed=seed
    )
    assert (difference.value, difference.low, difference.high) == (0, 0, 0)


def test_a_difference_of_what_was_not_forecast_is_refused(issue, observed):
    with pytest.raises(VerificationInvalid, match=r"no event 'M5\.0'"):
        difference_of(
            issue(1), issue(2), observed, event="M5.0", score_name="roc_area", n_resamples=2
        )
    with pytest.raises(VerificationInvalid, match="no score 'tss'"):
        difference_of(issue(1), issue(2), observed, event="M1.0", score_name="tss", n_resamples=2)
