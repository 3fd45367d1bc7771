import json
import math
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from flare.errors import VerificationInvalid
from flare.forecast import Forecast
from flare.goes import EVENTS
from flare.verification.inputs import Observations
from flare.verification.scorecard import (
    HEADLINE_SCORES,
    Scorecard,
    score_forecasts,
    why_not_learned,
)
from flare.verification.scores import SCORES, VS_CLIMATOLOGY, Score

#: The events of `forecast_with`.
THREE = ("C1.0", "M1.0", "X1.0")
#: Undefined where B1.0 was not forecast, or where the POD or POFD is 0 or 1.
OFTEN_UNDEFINED = {
    "ranked_probability_score",
    "ranked_probability_skill_score",
    "log_loss",
    "symmetric_extremal_dependence_index",
}


@pytest.fixture
def card(forecast_with: Callable[[float], Forecast], observed: Observations) -> Scorecard:
    return score_forecasts(forecast_with(0.5), observed, n_resamples=100)


def ends(card: Scorecard, event: str, name: str) -> tuple[float, float, float]:
    score = card.get(event, name)
    return score.value, score.low, score.high


def test_perfect_forecasts_have_perfect_scores_with_perfect_intervals(forecast_with, observed):
    perfect = score_forecasts(forecast_with(0.0), observed, n_resamples=50)
    for name in ("roc_area", "true_skill_statistic_at_0.5", "heidke_skill_score_at_0.5"):
        assert ends(perfect, "M1.0", name) == (1, 1, 1)
    assert perfect.value("flux", "log10_flux_mae") == 0
    assert perfect.value("flux", "interval_coverage") == 1
    np.testing.assert_array_equal(perfect.confusion, np.diag(np.diag(perfect.confusion)))


def test_a_constant_forecast_has_no_skill_in_any_resample(forecast_with, observed):
    constant = replace(forecast_with(0.5), probability=np.full((120, 3), 0.06))
    card = score_forecasts(constant, observed, n_resamples=50, climatology={"M1.0": 0.06})
    for name in ("true_skill_statistic", "heidke_skill_score", VS_CLIMATOLOGY):
        assert ends(card, "M1.0", name) == pytest.approx((0, 0, 0))
    assert ends(card, "M1.0", "roc_area") == (0.5, 0.5, 0.5)
    assert card.value("M1.0", "brier_skill_score") < 0


def test_exactly_the_declared_scores_are_computed_with_their_samples_and_events(card, observed):
    computed = {(score.name, score.event == "flux") for score in card.scores}
    declared = {(name, info.of_flux) for name, info in SCORES.items() if name != VS_CLIMATOLOGY}
    assert computed == declared
    assert {score.n for score in card.scores} == {120}
    assert card.get("M1.0", "roc_area").n_events == (observed.peak_flux >= 1e-5).sum()
    assert card.get("X1.0", "roc_area").n_events == 0
    assert card.get("flux", "flux_mae").n_events == 80


def test_every_score_has_a_value_inside_its_interval(card):
    # The calibration error is biased upwards in every resample, so its interval need not hold it.
    for score in card.scores:
        if score.name != "expected_calibration_error" and not math.isnan(score.low):
            assert score.low <= score.value <= score.high, score


def test_where_every_sample_is_an_event_only_scores_without_non_events_are_defined(
    forecast_with, observed
):
    flaring = replace(observed, peak_flux=np.full(120, 3e-5))
    card = score_forecasts(forecast_with(0.5), flaring, n_resamples=5)
    undefined = {s.name for s in card.scores if s.event == "M1.0" and math.isnan(s.value)}
    assert undefined == {
        "true_skill_statistic",
        "true_skill_statistic_at_0.5",
        "probability_of_false_detection",
        "appleman_skill_score",
        "brier_skill_score",
        "roc_area",
        "symmetric_extremal_dependence_index",
    }


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_the_chosen_threshold_and_one_half_are_both_scored(forecast_with, observed, threshold):
    at_own = score_forecasts(forecast_with(1.0), observed, n_resamples=5)
    forecast = replace(forecast_with(1.0), thresholds=dict.fromkeys(THREE, threshold))
    card = score_forecasts(forecast, observed, n_resamples=5)
    assert card.thresholds["M1.0"] == threshold
    tss, at_half = (card.value("M1.0", f"true_skill_statistic{end}") for end in ("", "_at_0.5"))
    assert at_half == at_own.value("M1.0", "true_skill_statistic_at_0.5")
    assert (
        tss == (at_half if threshold == 0.5 else 0) != at_own.value("M1.0", "true_skill_statistic")
    )


def test_intervals_are_over_regions_and_not_over_samples(forecast_with, observed):
    # Ten samples of a region have the same error, so only the twelve regions are independent.
    error = np.repeat(np.random.default_rng(2).normal(0, 1, 12), 10)
    forecasts = replace(forecast_with(0.5), log10_flux=np.log10(observed.peak_flux) + error)

    def width(samples: Observations) -> float:
        _, low, high = ends(score_forecasts(forecasts, samples), "flux", "log10_flux_bias")
        return high - low

    naive = width(replace(observed, active_region=np.arange(120)))
    assert width(observed) == pytest.approx(np.sqrt(10) * naive, rel=0.15)


def test_the_interval_is_made_of_the_resamples_alone(forecast_with, observed):
    card = score_forecasts(forecast_with(0.5), observed, n_resamples=1)
    value, low, high = ends(card, "flux", "log10_flux_mae")
    assert low == high != value


def test_the_floored_error_does_not_care_how_quiet_quiet_was_forecast():
    observed = Observations(np.array([1e-9, 1e-9, 1e-5]), np.array([1, 2, 3]))
    flux = np.array([-8.0, -7.5, -5.0])
    forecast = Forecast(flux, flux, flux, np.full((3, 1), 0.5), ("M1.0",), {"M1.0": 0.5})
    card = score_forecasts(forecast, observed, n_resamples=10)
    assert card.value("flux", "log10_flux_mae_floored") == 0
    assert card.value("flux", "log10_flux_mae") == pytest.approx(2.5 / 3)


def test_a_scorecard_comes_back_from_its_json_with_nan_for_what_is_undefined(
    forecast_with, observed
):
    rates = {"C1.0": 0.4, "M1.0": 0.1, "X1.0": 0.01}
    card = score_forecasts(forecast_with(0.5), observed, n_resamples=20, climatology=rates)
    values = json.loads(json.dumps(card.as_dict(), allow_nan=False))
    undefined = [score for score in values["scores"] if score["value"] is None]
    assert {s["event"] for s in undefined if s["name"] not in OFTEN_UNDEFINED} == {"X1.0"}
    restored = Scorecard.of_dict(values)
    assert restored.reliability == card.reliability != ()
    assert restored.climatology == card.climatology == rates
    assert repr(restored) == repr(card)  # as text NaN equals itself
    for part in ("scores", "confusion", "thresholds", "climatology"):
        others = {name: value for name, value in values.items() if name != part}
        with pytest.raises((KeyError, TypeError), match=part):
            Scorecard.of_dict(others)


def test_metrics_are_the_headline_named_split_event_score_without_what_is_undefined(card):
    metrics, score = card.metrics("test"), card.get("M1.0", "true_skill_statistic")
    assert metrics["test/M1.0/true_skill_statistic"] == score.value
    assert metrics["test/M1.0/true_skill_statistic_low"] == score.low
    assert metrics["test/M1.0/true_skill_statistic_high"] == score.high
    assert metrics["test/M1.0/n_events"] == score.n_events
    values = {name for name in metrics if not name.endswith(("_low", "_high", "n_events"))}
    assert values <= {f"test/{event}/{name}" for event, name in HEADLINE_SCORES}
    undefined = Score("M1.0", "roc_area", 0.5, float("nan"), 0.75, 9, 3)
    assert undefined.metrics("test", of="forest") == {
        "test/M1.0/roc_area/forest": 0.5,
        "test/M1.0/roc_area_high/forest": 0.75,
    }


def test_an_unknown_score_is_answered_with_the_known_ones(card):
    with pytest.raises(VerificationInvalid, match=r"no score 'tss' for 'M1.0'.*roc_area"):
        card.get("M1.0", "tss")
    with pytest.raises(VerificationInvalid, match=r"'M5.0'.*C1.0"):
        card.get("M5.0", "roc_area")


def nan_at(index: int) -> np.ndarray:
    return np.where(np.arange(120) == index, np.nan, -6.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"log10_flux": np.zeros(119)}, r"log10_flux has shape \(119,\)"),
        ({"log10_flux": nan_at(5)}, r"log10_flux\[5\] is nan"),
        ({"lower": np.full(120, 9.0)}, "lower end is above"),
        ({"probability": np.full((120, 3), np.nan)}, r"probability\[0, 0\] is nan"),
        ({"probability": np.full((120, 3), 1.5)}, "probability has the value 1.5"),
        ({"probability": np.full((120, 2), 0.5)}, r"\(120, 2\); wanted \(120, 3\)"),
        ({"thresholds": {"C1.0": 0.5}}, "no threshold for M1.0"),
        ({"thresholds": dict.fromkeys(THREE, np.nan)}, "threshold of C1.0 is nan"),
        ({"thresholds": dict.fromkeys(THREE, -0.1)}, "threshold of C1.0.*-0.1"),
        ({"peak_flux": np.array([]), "active_region": np.array([])}, "no samples"),
        ({"peak_flux": 10 ** nan_at(7)}, r"peak_flux\[7\] is nan"),
        ({"peak_flux": np.zeros(120)}, "peak_flux of 0.0"),
        ({"peak_flux": np.full(120, 1e-5, dtype=np.float32)}, "float32; wanted float64"),
        ({"active_region": np.zeros(3)}, r"active_region has shape \(3,\)"),
    ],
)
def test_forecasts_and_observations_that_cannot_be_scored_are_named(
    forecast_with, observed, changes, message
):
    of_labels = bool({"peak_flux", "active_region"} & set(changes))
    labels = replace(observed, **changes) if of_labels else observed
    forecast = forecast_with(0.5) if of_labels else replace(forecast_with(0.5), **changes)
    with pytest.raises(VerificationInvalid, match=message):
        score_forecasts(forecast, labels, n_resamples=2)


FLUX = np.array([1e-9, 1e-9, 2e-6, 3e-5])
RATES = {"B1.0": 0.5, "C1.0": 0.5, "M1.0": 0.25, "X1.0": 0.01}


def towards_outcomes(distance: float) -> np.ndarray:
    """Return probabilities that lie so far from 1/2 on the side of what happened."""
    outcomes = FLUX[:, None] >= np.array([1e-7, 1e-6, 1e-5, 1e-4])
    return np.where(outcomes, 0.5 + distance, 0.5 - distance)


@pytest.mark.parametrize(
    ("probability", "log10_flux", "message"),
    [
        (np.tile(list(RATES.values()), (4, 1)), np.full(4, -7.0), "same for all validation"),
        (towards_outcomes(-0.3), np.log10(FLUX)[::-1], r"not better .* climatology 0\."),
        (towards_outcomes(0.4), np.log10(FLUX), None),
    ],
)
def test_forecasts_that_are_no_better_than_the_rates_are_named(probability, log10_flux, message):
    forecast = Forecast(log10_flux, log10_flux, log10_flux, probability, EVENTS)
    reason = why_not_learned(forecast, Observations(FLUX, np.arange(4)), RATES)
    assert (reason is None) if message is None else re.search(message, reason)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [(np.arange(120) >= 60, slice(60, None)), ([7, 2, -1], [7, 2, 119])],
)
def test_row_numbers_and_booleans_take_samples_in_the_order_given(
    forecast_with, observed, rows, expected
):
    whole, subset, labels = forecast_with(0.5), forecast_with(0.5).take(rows), observed.take(rows)
    for name in ("log10_flux", "lower", "upper", "probability"):
        np.testing.assert_array_equal(getattr(subset, name), getattr(whole, name)[expected])
    np.testing.assert_array_equal(labels.peak_flux, observed.peak_flux[expected])
    np.testing.assert_array_equal(labels.active_region, observed.active_region[expected])
    assert (subset.events, subset.thresholds) == (whole.events, whole.thresholds)


def test_a_subset_is_scored_like_samples_that_never_had_others_next_to_them(
    forecast_with, observed
):
    half, none = np.arange(120) < 60, np.zeros(120, dtype=bool)
    card = score_forecasts(forecast_with(0.5).take(half), observed.take(half), n_resamples=5)
    assert card.n_active_regions == 6
    assert card.get("M1.0", "recall").n_events == (observed.peak_flux[:60] >= 1e-5).sum()
    with pytest.raises(VerificationInvalid, match="the split is empty"):
        score_forecasts(forecast_with(0.5).take(none), observed.take(none))
