"""The events on other label scales, the published one, and skill over a named climatology."""

from dataclasses import replace

import numpy as np
import pytest

from flare.errors import VerificationInvalid
from flare.forecast import Forecast
from flare.verification.inputs import Observations
from flare.verification.probabilistic import RANKED_EVENTS
from flare.verification.scorecard import Scorecard, score_forecasts
from flare.verification.scores import PUBLISHED_EVENT, VS_CLIMATOLOGY

# Just below and at 1e-5 on the physical, raw and NOAA scale (there 0.7, 1 and 1 / 0.85 as labels).
LABELS = np.array([1e-9, 8.2e-6, 8.3e-6, 9.9e-6, 1e-5, 1.17e-5, 1.17647e-5, 1.18e-5])


def scored(scale: str, **options: object) -> Scorecard:
    """Score forecasts of M1.0 that rise with the label, alarms from the fifth on."""
    chance, flux = np.arange(8) / 8, np.full(8, -5.0)
    forecast = Forecast(flux, flux, flux, chance[:, None], ("M1.0",), {"M1.0": 0.5})
    labels = Observations(LABELS, np.arange(8))
    return score_forecasts(forecast, labels, n_resamples=20, scale=scale, **options)


@pytest.mark.parametrize(
    ("scale", "events", "recall", "precision"),
    [("raw", 4, 1, 1), ("noaa", 2, 1, 2 / 4), ("physical", 6, 4 / 6, 1)],
)
def test_m1_is_another_label_on_each_scale_and_the_published_event_the_same_on_all(
    scale, events, recall, precision
):
    card = scored(scale)
    assert card.get("M1.0", "recall").n_events == events
    assert card.value("M1.0", "recall") == pytest.approx(recall)
    assert card.value("M1.0", "precision") == pytest.approx(precision)
    assert card.get(PUBLISHED_EVENT, "recall").n_events == 4
    assert card.value(PUBLISHED_EVENT, "true_skill_statistic") == 1


@pytest.mark.parametrize(
    ("scale", "observed_class", "factor"),
    [("raw", 3, 1), ("noaa", 2, 0.85), ("physical", 3, 1.2143)],
)
def test_a_label_of_1e_5_is_a_c8_on_the_noaa_scale(scale, observed_class, factor):
    flux, labels = np.array([-9.0]), Observations(np.array([1e-5]), np.array([1]))
    forecast = Forecast(flux, flux, flux, np.zeros((1, 1)), ("M1.0",), {"M1.0": 0.5})
    card = score_forecasts(forecast, labels, n_resamples=1, scale=scale)
    assert card.confusion[observed_class].sum() == 1
    assert card.value("flux", "flux_mae") == pytest.approx((1e-5 - 1e-9) * factor, rel=1e-4)
    assert card.value("flux", "log10_flux_mae") == pytest.approx(4)  # dex do not change


def test_an_unknown_scale_is_answered_with_the_known_ones():
    with pytest.raises(VerificationInvalid, match=r"'goes'.*noaa"):
        scored("goes")


def test_on_the_raw_scale_the_published_event_has_the_scores_of_m1(forecast_with, observed):
    card = score_forecasts(forecast_with(0.5), observed, n_resamples=20, climatology={"M1.0": 0.06})
    as_m1 = [replace(s, event="M1.0") for s in card.scores if s.event == PUBLISHED_EVENT]
    # As texts, in which an undefined score equals another.
    assert [str(s) for s in as_m1] == [str(s) for s in card.scores if s.event == "M1.0"]


def test_without_m1_there_is_no_published_event(forecast_with, observed):
    whole = forecast_with(0.5)
    without = replace(whole, events=("C1.0", "X1.0"), probability=whole.probability[:, [0, 2]])
    card = score_forecasts(without, observed, n_resamples=2)
    with pytest.raises(VerificationInvalid, match=r"'published'; choose from \['C1.0', 'X1.0'"):
        card.get(PUBLISHED_EVENT, "recall")


def test_skill_over_a_climatology_is_one_minus_the_ratio_of_two_brier_scores():
    value = scored("noaa", climatology={"M1.0": 0.1}).value("M1.0", VS_CLIMATOLOGY)
    outcomes, chance = np.arange(8) >= 6, np.arange(8) / 8
    by_hand = 1 - np.sum((chance - outcomes) ** 2) / (2 * 0.9**2 + 6 * 0.1**2)
    assert value == pytest.approx(by_hand)


def test_only_events_with_a_reference_rate_have_skill_over_it(forecast_with, observed):
    card = score_forecasts(forecast_with(0.5), observed, n_resamples=2, climatology={"C1.0": 0.4})
    assert {s.event for s in card.scores if s.name == VS_CLIMATOLOGY} == {"C1.0"}
    # On another scale the published event is not M1.0.
    with pytest.raises(VerificationInvalid, match=f"no score '{VS_CLIMATOLOGY}' for 'published'"):
        scored("noaa", climatology={"M1.0": 0.1}).get("published", VS_CLIMATOLOGY)
    card = scored("noaa", climatology={"M1.0": 0.0, "published": 0.2})  # 0 is not None
    assert card.value("published", VS_CLIMATOLOGY) != card.value("M1.0", VS_CLIMATOLOGY)


@pytest.mark.parametrize("rate", [6.17, -0.1, np.nan])
def test_a_reference_rate_that_is_not_a_share_is_named(rate):
    with pytest.raises(VerificationInvalid, match=f"climatology of M1.0 .*{rate}"):
        scored("raw", climatology={"M1.0": rate})


@pytest.mark.parametrize(
    ("events", "scale", "score", "skill"),
    [
        (RANKED_EVENTS, "raw", 0, 1),
        (RANKED_EVENTS[::-1], "raw", 0, 1),  # columns are searched by name
        # A label of 1e-5 is a C8.5: one threshold too many in one of three samples.
        (RANKED_EVENTS, "noaa", 1 / 3, 5 / 8),
        (RANKED_EVENTS[1:], "raw", np.nan, np.nan),  # an event was not forecast
        (RANKED_EVENTS[:-1], "raw", np.nan, np.nan),
    ],
)
def test_ranked_scores_of_certain_forecasts_of_three_labels(events, scale, score, skill):
    labels = np.array([1e-9, 1e-5, 2e-4])
    reached = np.array([[0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1.0]])
    columns, flux = [RANKED_EVENTS.index(event) for event in events], np.log10(labels)
    forecast = Forecast(flux, flux, flux, reached[:, columns], events, dict.fromkeys(events, 0.5))
    truth = Observations(labels, np.arange(3))
    card = score_forecasts(forecast, truth, n_resamples=5, scale=scale)
    names = "ranked_probability_score", "ranked_probability_skill_score"
    values = [card.value("flux", name) for name in names]
    assert values == pytest.approx([score, skill], nan_ok=True)
