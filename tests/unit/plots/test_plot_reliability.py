import numpy as np
from layout import all_text
from matplotlib.axes import Axes

from flare.plots.reliability import reliability_diagram

generator = np.random.default_rng(0)
PROBABILITY = np.round(generator.beta(0.3, 4, 400), 3)
OBSERVED = generator.random(400) < PROBABILITY


def points(axes: Axes) -> np.ndarray:
    return next(line.get_xydata() for line in axes.lines if line.get_label() == "forecasts, by bin")


def test_rare_forecasts_are_spread_over_logarithmic_axes_that_have_a_place_for_zero() -> None:
    upper, lower = reliability_diagram(OBSERVED, PROBABILITY, event="X1.0").axes
    assert upper.get_yscale() == lower.get_xscale() == "symlog"
    low, high = upper.get_ylim()
    assert np.all((low < points(upper)[:, 1]) & (points(upper)[:, 1] < high))


def test_the_histogram_under_logarithmic_axes_counts_every_forecast() -> None:
    _, lower = reliability_diagram(OBSERVED, PROBABILITY, event="X1.0").axes
    heights = [sum(bar.get_height() for bar in bars) for bars in lower.containers]
    assert heights == [400, OBSERVED.sum()]


def test_the_legend_names_the_event_rate_and_the_line_of_no_skill() -> None:
    text = all_text(reliability_diagram(OBSERVED, PROBABILITY, event="M1.0"))
    assert f"event rate {OBSERVED.mean():.3g}" in text
    assert "no skill" in text
    assert f"{OBSERVED.sum()} events in 400" in text


def test_the_line_of_no_skill_is_half_way_between_forecast_and_event_rate() -> None:
    upper = reliability_diagram(OBSERVED, PROBABILITY, event="M1.0").axes[0]
    line = next(line for line in upper.lines if line.get_label() == "no skill")
    np.testing.assert_allclose(line.get_ydata(), (line.get_xdata() + OBSERVED.mean()) / 2)
