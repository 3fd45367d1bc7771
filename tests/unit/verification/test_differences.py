import pytest

from flare.errors import VerificationInvalid
from flare.verification.resampling import paired_differences
from flare.verification.scorecard import score_forecasts
from flare.verification.scores import Score

WANTED = [
    ("M1.0", "brier_skill_score"),
    ("C1.0", "roc_area"),
    ("flux", "log10_flux_mae"),
    ("M1.0", "true_skill_statistic"),
    ("published", "brier_score"),
]


def difference_of(one, other, observed, event="C1.0", name="brier_score", **options) -> Score:
    (result,) = paired_differences(one, other, observed, wanted=[(event, name)], **options)
    return result


def test_several_differences_are_those_that_one_at_a_time_gives(forecast_with, observed):
    a, b = forecast_with(0.3), forecast_with(1.0)
    at_once = paired_differences(a, b, observed, wanted=WANTED, n_resamples=50)
    assert at_once == [difference_of(a, b, observed, *one, n_resamples=50) for one in WANTED]
    assert paired_differences(a, b, observed, wanted=[], n_resamples=5) == []


def test_skill_over_a_climatology_has_a_difference_where_the_rates_are_given(
    forecast_with, observed
):
    wanted = (
        forecast_with(0.3),
        forecast_with(1),
        observed,
        "M1.0",
        "brier_skill_score_vs_climatology",
    )
    assert difference_of(*wanted, n_resamples=5, climatology={"M1.0": 0.06}).value > 0
    with pytest.raises(VerificationInvalid, match="no score 'brier_skill_score_vs_climatology'"):
        difference_of(*wanted, n_resamples=5)


def test_the_difference_of_two_forecasts_is_that_of_their_scores(forecast_with, observed):
    good, bad = forecast_with(0.3), forecast_with(2.0)
    difference = difference_of(good, bad, observed)
    values = [score_forecasts(i, observed).value("C1.0", "brier_score") for i in (good, bad)]
    assert difference.value == pytest.approx(values[0] - values[1])
    assert difference.name == "brier_score_difference"


def test_the_paired_interval_is_narrower_than_the_two_intervals_apart(forecast_with, observed):
    one, other = forecast_with(0.30), forecast_with(0.32)
    difference = difference_of(one, other, observed)
    alone = score_forecasts(one, observed).get("C1.0", "brier_score")
    assert difference.high - difference.low < (alone.high - alone.low) / 2


def test_a_forecast_does_not_differ_from_itself(forecast_with, observed):
    one = difference_of(
        forecast_with(0.5), forecast_with(0.5), observed, "flux", "flux_mae", n_resamples=20
    )
    assert (one.value, one.low, one.high) == (0, 0, 0)


@pytest.mark.parametrize(
    ("event", "name", "message"),
    [("M5.0", "roc_area", r"no event 'M5\.0'"), ("M1.0", "tss", "no score 'tss'")],
)
def test_a_difference_of_what_was_not_forecast_is_refused(
    forecast_with, observed, event, name, message
):
    with pytest.raises(VerificationInvalid, match=message):
        difference_of(forecast_with(1), forecast_with(2), observed, event, name, n_resamples=2)
