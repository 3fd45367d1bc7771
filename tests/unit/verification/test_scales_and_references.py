"""The events on other label scales, the published one, and skill over a named climatology."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from flare.errors import VerificationInvalid
from flare.forecast import Forecast
from flare.verification.inputs import Observations
from flare.verification.probabilistic import RANKED_EVENTS
from flare.verification.scorecard import Scorecard, score_forecasts
from flare.verification.scores import PUBLISHED_EVENT

Issue = Callable[[float], Forecast]

# Just below and at 1e-5 on the physical, raw and NOAA scale (there 0.7, 1 and 1 / 0.85 as labels).
LABELS = np.array([1e-9, 8.2e-6, 8.3e-6, 9.9e-6, 1e-5, 1.17e-5, 1.17647e-5, 1.18e-5])


def scored(scale: str, **options: object) -> Scorecard:
    """Score forecasts of M1.0 that rise with the label, alarms from the fifth on."""
    chance = np.arange(8) / 8
    forecast = np.full(8, -5.0)
    given_forecast = Forecast(
        forecast, forecast, forecast, chance[:, None], ("M1.0",), {"M1.0": 0.5}
    )
    return score_forecasts(
        given_forecast, Observations(LABELS, np.arange(8)), n_resamples=20, scale=scale, **options
    )


@pytest.mark.parametrize(
    ("scale", "events", "recall", "precision"),
    [("raw", 4, 1, 1), ("noaa", 2, 1, 2 / 4), ("physical", 6, 4 / 6, 1)],
)
def test_a_flare_of_m1_is_another_label_on_each_scale(scale, events, recall, precision):
    card = scored(scale)
    assert card.get("M1.0", "recall").n_events == events
    assert card.value("M1.0", "recall") == pytest.approx(recall)
    assert card.value("M1.0", "precision") == pytest.approx(precision)


@pytest.mark.parametrize(
    ("scale", "observed_class", "factor"),
    [("raw", 3, 1), ("noaa", 2, 0.85), ("physical", 3, 1.2143)],
)
def test_a_label_of_1e_5_is_a_c8_on_the_noaa_scale(scale, observed_class, factor):
    forecast = np.array([-9.0])
    given_forecast = Forecast(
        forecast, forecast, forecast, np.zeros((1, 1)), ("M1.0",), {"M1.0": 0.5}
    )
    observed = Observations(np.array([1e-5]), np.array([1]))
    card = score_forecasts(given_forecast, observed, n_resamples=1, scale=scale)
    assert card.confusion[observed_class].sum() == 1
    assert card.value("flux", "flux_mae") == pytest.approx((1e-5 - 1e-9) * factor, rel=1e-4)


@pytest.mark.parametrize("scale", ["raw", "noaa", "physical"])
def test_the_published_event_is_a_label_of_1e_5_on_every_scale(scale):
    card = scored(scale)
    assert card.get(PUBLISHED_EVENT, "recall").n_events == 4
    assert card.value(PUBLISHED_EVENT, "true_skill_statistic") == 1
    assert (card.value("M1.0", "true_skill_statistic") == 1) == (scale == "raw")


def test_on_the_raw_scale_the_published_event_has_the_scores_of_m1(issue, observed):
    card = score_forecasts(issue(0.5), observed, n_resamples=20, climatology={"M1.0": 0.06})
    as_m1 = [replace(s, event="M1.0") for s in card.scores if s.event == PUBLISHED_EVENT]
    # As texts, in which an undefined score equals another.
    assert [str(s) for s in as_m1] == [str(s) for s in card.scores if s.event == "M1.0"]


def test_without_m1_there_is_no_published_event(issue, observed):
    whole = issue(0.5)
    without = replace(whole, events=("C1.0", "X1.0"), probability=whole.probability[:, [0, 2]])
    card = score_forecasts(without, observed, n_resamples=2)
    assert {score.event for score in card.scores} == {"C1.0", "X1.0", "flux"}
    with pytest.raises(VerificationInvalid, match=r"'published'; choose from \['C1.0', 'X1.0'"):
        card.get(PUBLISHED_EVENT, "recall")


def test_forecasting_the_reference_rate_has_no_skill_over_it(issue, observed):
    constant = replace(issue(0.5), probability=np.full((120, 3), 0.06))
    card = score_forecasts(constant, observed, n_resamples=20, climatology={"M1.0": 0.06})
    score = card.get("M1.0", "brier_skill_score_vs_climatology")
    assert (score.value, score.low, score.high) == pytest.approx((0, 0, 0))
    assert card.value("M1.0", "brier_skill_score") < 0


def test_skill_over_a_climatology_is_one_minus_the_ratio_of_two_brier_scores():
    value = scored("noaa", climatology={"M1.0": 0.1}).value(
        "M1.0", "brier_skill_score_vs_climatology"
    )
    outcomes, chance = np.arange(8) >= 6, np.arange(8) / 8
    by_hand = 1 - np.sum((chance - outcomes) ** 2) / (2 * 0.9**2 + 6 * 0.1**2)
    assert value == pytest.approx(by_hand)


def test_events_without_a_reference_rate_have_no_skill_over_it(issue, observed):
    card = score_forecasts(issue(0.5), observed, n_resamples=2, climatology={"C1.0": 0.4})
    named = {s.event for s in card.scores if s.name == "brier_skill_score_vs_climatology"}
    assert named == {"C1.0"}


def test_on_another_scale_the_published_event_needs_a_rate_of_its_own():
    name = "brier_skill_score_vs_climatology"
    with pytest.raises(VerificationInvalid, match=f"no score '{name}' for 'published'"):
        scored("noaa", climatology={"M1.0": 0.1}).get("published", name)
    card = scored("noaa", climatology={"M1.0": 0.1, "published": 0.2})
    assert card.value("published", name) != card.value("M1.0", name)


def test_a_reference_rate_of_0_is_not_mistaken_for_none():
    card = scored("raw", climatology={"M1.0": 0})
    assert np.isfinite(card.value("M1.0", "brier_skill_score_vs_climatology"))


@pytest.mark.parametrize("rate", [6.17, -0.1, np.nan])
def test_a_reference_rate_that_is_not_a_share_is_named(rate):
    with pytest.raises(VerificationInvalid, match=f"climatology of M1.0 .*{rate}"):
        scored("raw", climatology={"M1.0": rate})


def ranked_card(events: tuple[str, ...], scale: str = "raw") -> Scorecard:
    """Score certain forecasts of three labels: all right on the raw scale."""
    labels = np.array([1e-9, 1e-5, 2e-4])
    reached = np.array([[0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1.0]])
    columns = [RANKED_EVENTS.index(event) for event in events]
    flux = np.log10(labels)
    given_forecast = Forecast(
        flux, flux, flux, reached[:, columns], events, dict.fromkeys(events, 0.5)
    )
    return score_forecasts(
        given_forecast, Observations(labels, np.arange(3)), n_resamples=20, scale=scale
    )


@pytest.mark.parametrize("events", [RANKED_EVENTS, RANKED_EVENTS[::-1]])
def test_ranked_scores_find_their_columns_in_any_order_of_events(events):
    card = ranked_card(events)
    assert card.value("flux", "ranked_probability_score") == 0
    assert card.value("flux", "ranked_probability_skill_score") == 1


def test_ranked_scores_are_on_the_scale_of_the_events():
    # A label of 1e-5 is a C8.5: one threshold too many in one of three samples.
    card = ranked_card(RANKED_EVENTS, "noaa")
    assert card.value("flux", "ranked_probability_score") == pytest.approx(1 / 3)


@pytest.mark.parametrize("missing", RANKED_EVENTS)
def test_ranked_scores_are_undefined_where_an_event_was_not_forecast(missing):
    card = ranked_card(tuple(event for event in RANKED_EVENTS if event != missing))
    assert np.isnan(card.value("flux", "ranked_probability_score"))
    assert np.isnan(card.value("flux", "ranked_probability_skill_score"))
