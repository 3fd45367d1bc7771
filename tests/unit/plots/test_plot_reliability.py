import numpy as np
import pytest
from layout import all_text
from matplotlib.axes import Axes

from flare.errors import VerificationInvalid
from flare.plots.reliability import reliability_diagram
from flare.plots.reliability_bins import bin_edges, consistency_band, reliability_bins
from flare.verification.bootstrap import region_weights
from flare.verification.reliability import reliability_curve

generator = np.random.default_rng(0)
PROBABILITY = np.round(generator.beta(0.3, 4, 400), 3)
OBSERVED = generator.random(400) < PROBABILITY


def points(axes: Axes) -> np.ndarray:
    return next(line.get_xydata() for line in axes.lines if line.get_label() == "forecasts, by bin")


def test_bins_of_equal_width_are_those_of_the_reliability_curve() -> None:
    curve = reliability_curve(OBSERVED, PROBABILITY)
    bins = reliability_bins(
        OBSERVED, PROBABILITY, n_bins=10, bins="width", weights=None, level=0.95
    )
    np.testing.assert_allclose(bins.observed.value, curve.observed_frequency)
    np.testing.assert_allclose(bins.mean_probability, curve.mean_probability)


def test_bins_of_equal_counts_hold_a_tenth_each() -> None:
    distinct = np.linspace(0.001, 0.2, 400)
    edges = bin_edges(distinct, n_bins=10, bins="count")
    assert np.histogram(distinct, edges)[0].tolist() == [40] * 10


def test_forecasts_that_are_the_same_number_stay_in_one_bin() -> None:
    probability = np.array([0.0] * 60 + [0.1] * 30 + [0.5] * 10)
    edges = bin_edges(probability, n_bins=10, bins="count")
    counts = np.histogram(probability, edges)[0]
    assert counts[counts > 0].tolist() == [60, 30, 10]
    assert bin_edges(np.full(5, 0.3), n_bins=10, bins="count").tolist() == [0.3, 0.3]


def test_the_consistency_band_of_independent_samples_is_about_binomial() -> None:
    chance = np.full(500, 0.2)
    low, high = consistency_band(chance, np.zeros(500, dtype=np.intp), n_bins=1, level=0.95)
    # Binomial: 0.2 +- 1.96 sqrt(0.2 * 0.8 / 500) = 0.165, 0.235
    assert (low[0], high[0]) == pytest.approx((0.165, 0.235), abs=0.006)


def test_a_bin_without_forecasts_has_no_band() -> None:
    low, _ = consistency_band(np.full(9, 0.1), np.zeros(9, dtype=np.intp), n_bins=2, level=0.95)
    assert np.isnan(low).tolist() == [False, True]


def test_a_bin_without_events_still_has_an_interval() -> None:
    weights = region_weights(np.arange(10), n_resamples=50, seed=0)
    bins = reliability_bins(
        np.zeros(10, dtype=np.bool_), np.full(10, 0.01), n_bins=1, bins="width", weights=weights,
        level=0.95,
    )  # fmt: skip
    # Wilson's upper end for 0 of 10.
    assert bins.observed.high[0] == pytest.approx(0.2775, abs=1e-4)


def test_samples_that_share_a_region_widen_the_intervals() -> None:
    happened = np.repeat(np.arange(20) % 4 == 0, 10)  # 20 regions of 10 samples that are alike
    weights = region_weights(np.arange(200) // 10, n_resamples=300, seed=0)
    wide, narrow = (
        reliability_bins(
            happened, np.full(200, 0.3), n_bins=1, bins="width", weights=one, level=0.95
        ).observed
        for one in (weights, None)
    )
    assert wide.high[0] - wide.low[0] > 2 * (narrow.high[0] - narrow.low[0])


def test_rare_forecasts_are_spread_over_logarithmic_axes_that_have_a_place_for_zero() -> None:
    upper, lower = reliability_diagram(OBSERVED, PROBABILITY, event="X1.0", bins="count").axes
    assert upper.get_yscale() == lower.get_xscale() == "symlog"
    low, high = upper.get_ylim()
    assert np.all((low < points(upper)[:, 1]) & (points(upper)[:, 1] < high))


def test_the_histogram_under_logarithmic_axes_counts_every_forecast() -> None:
    _, lower = reliability_diagram(OBSERVED, PROBABILITY, event="X1.0", bins="count").axes
    heights = [sum(bar.get_height() for bar in bars) for bars in lower.containers]
    assert heights == [400, OBSERVED.sum()]


def test_each_bar_of_equal_width_has_its_count_written_on_it() -> None:
    _, lower = reliability_diagram(OBSERVED, PROBABILITY, event="M1.0").axes
    counts = reliability_curve(OBSERVED, PROBABILITY).counts
    assert [text.get_text() for text in lower.texts] == [str(n) for n in counts if n]


def test_the_legend_names_the_event_rate_and_the_line_of_no_skill() -> None:
    text = all_text(reliability_diagram(OBSERVED, PROBABILITY, event="M1.0"))
    assert f"event rate {OBSERVED.mean():.3g}" in text
    assert "no skill" in text
    assert f"{OBSERVED.sum()} events in 400" in text


def test_the_line_of_no_skill_is_half_way_between_forecast_and_event_rate() -> None:
    upper = reliability_diagram(OBSERVED, PROBABILITY, event="M1.0").axes[0]
    line = next(line for line in upper.lines if line.get_label() == "no skill")
    np.testing.assert_allclose(line.get_ydata(), (line.get_xdata() + OBSERVED.mean()) / 2)


def test_no_bins_are_refused() -> None:
    with pytest.raises(VerificationInvalid, match="0 bins"):
        bin_edges(PROBABILITY, n_bins=0, bins="width")
