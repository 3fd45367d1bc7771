import numpy as np
import pytest
from layout import all_text
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection

from flare.plots.reliability import reliability_diagram
from flare.plots.roc import roc_curve, skill_against_threshold
from flare.plots.style import save
from flare.verification.bootstrap import interval, region_weights
from flare.verification.contingency import contingency_table, tables_at, true_skill_statistic
from flare.verification.probabilistic import roc_area

generator = np.random.default_rng(0)
PROBABILITY = np.round(generator.beta(0.5, 3, 300), 3)
OBSERVED = generator.random(300) < PROBABILITY


def line(axes: object, label: str) -> np.ndarray:
    return next(
        result.get_xydata() for result in axes.lines if result.get_label().startswith(label)
    )


def test_the_area_under_the_drawn_curve_is_the_roc_area():
    axes = roc_curve(OBSERVED, PROBABILITY, event="M1.0").axes[0]
    pofd, pod = line(axes, "area")[::-1].T
    assert np.trapezoid(pod, pofd) == pytest.approx(float(roc_area(OBSERVED, PROBABILITY)))


def test_the_roc_curve_ends_in_both_corners():
    curve = line(roc_curve(OBSERVED, PROBABILITY, event="M1.0").axes[0], "area")
    np.testing.assert_array_equal(curve[[0, -1]], [[1, 1], [0, 0]])


def test_the_marked_threshold_lies_on_the_roc_curve():
    axes = roc_curve(OBSERVED, PROBABILITY, event="M1.0", threshold=0.2).axes[0]
    alarms = PROBABILITY >= 0.2
    expected = [alarms[~OBSERVED].mean(), alarms[OBSERVED].mean()]
    np.testing.assert_allclose(line(axes, "threshold 0.2"), [expected])


def test_the_bars_of_the_reliability_diagram_count_all_forecasts_and_events():
    _, counts = reliability_diagram(OBSERVED, PROBABILITY, event="M1.0", n_bins=5).axes
    heights = [sum(bar.get_height() for bar in bars) for bars in counts.containers]
    assert heights == [300, OBSERVED.sum()]


def test_reliability_is_drawn_where_there_are_forecasts_only():
    observed, probability = np.array([True, False]), np.array([0.05, 0.95])
    axes = reliability_diagram(observed, probability, event="M1.0").axes[0]
    np.testing.assert_allclose(line(axes, "forecasts"), [[0.05, 1], [0.95, 0]])


def test_the_skill_at_a_threshold_is_that_of_its_alarms():
    axes = skill_against_threshold(OBSERVED, PROBABILITY, event="M1.0", threshold=0.1).axes[0]
    threshold, tss = line(axes, "TSS")[250]
    alarms = np.greater_equal(PROBABILITY, threshold)
    assert tss == pytest.approx(alarms[OBSERVED].mean() - alarms[~OBSERVED].mean())


@pytest.mark.parametrize("threshold", [0.0, 1e-5, 1.0, None])
def test_any_threshold_can_be_marked(threshold, tmp_path):
    figure = skill_against_threshold(OBSERVED, PROBABILITY, event="M1.0", threshold=threshold)
    low, high = figure.axes[0].get_xlim()
    marked = [line.get_xdata()[0] for line in figure.axes[0].lines if "thr" in line.get_label()]
    assert all(low <= value <= high for value in marked)
    save(figure, tmp_path / "figure.png")


@pytest.mark.parametrize("outcomes", [True, False])
def test_an_event_that_always_or_never_occurred_is_drawn_without_complaint(outcomes, tmp_path):
    observed = np.full(300, outcomes)
    save(reliability_diagram(observed, PROBABILITY, event="X1.0"), tmp_path / "reliability.png")
    save(roc_curve(observed, PROBABILITY, event="X1.0", threshold=0.5), tmp_path / "roc.png")
    save(skill_against_threshold(observed, PROBABILITY, event="X1.0"), tmp_path / "skill.png")


generator = np.random.default_rng(1)
TIED = np.round(generator.beta(0.5, 3, 200), 2)  # with ties
TIED_EVENTS = generator.random(200) < TIED
WEIGHTS = region_weights(np.arange(200) // 5, n_resamples=60, seed=0)


def test_resampled_tables_are_those_of_the_contingency_table():
    thresholds = np.array([0.0, 0.07, 0.3, 1.0])
    tables = tables_at(TIED_EVENTS, TIED, thresholds, weights=WEIGHTS)
    for k, threshold in enumerate(thresholds):
        one = contingency_table(TIED_EVENTS, threshold <= TIED, weights=WEIGHTS)
        for entry in ("hits", "misses", "false_alarms", "correct_negatives"):
            np.testing.assert_allclose(getattr(tables, entry)[:, k], getattr(one, entry))


def test_the_band_of_the_tss_is_its_interval_at_each_threshold():
    axes = skill_against_threshold(
        TIED_EVENTS, TIED, event="M1.0", threshold=0.1, weights=WEIGHTS
    ).axes[0]
    band = next(c for c in axes.collections if isinstance(c, FillBetweenPolyCollection))
    corners = band.get_paths()[0].vertices
    threshold = np.unique(corners[:, 0])[60]
    shown = sorted(set(corners[corners[:, 0] == threshold, 1].tolist()))
    tables = tables_at(TIED_EVENTS, TIED, np.array([threshold]), weights=WEIGHTS)
    assert shown == pytest.approx(interval(true_skill_statistic(tables)[:, 0]))


def test_without_weights_there_is_no_band():
    axes = skill_against_threshold(TIED_EVENTS, TIED, event="M1.0").axes[0]
    assert not axes.collections


@pytest.mark.parametrize("draw", [roc_curve, skill_against_threshold])
@pytest.mark.parametrize(("outcomes", "why"), [(True, "nothing but events"), (False, "no events")])
def test_an_event_that_always_or_never_occurred_is_said_to_have_no_score(draw, outcomes, why):
    figure = draw(np.full(200, outcomes), TIED, event="X1.0", threshold=0.1)
    assert f"undefined:\n{why}" in all_text(figure)
    assert "nan" not in all_text(figure)


def test_the_roc_figure_says_the_interval_of_the_area():
    figure = roc_curve(TIED_EVENTS, TIED, event="M1.0", weights=WEIGHTS)
    low, high = interval(roc_area(TIED_EVENTS, TIED, weights=WEIGHTS))
    area = float(roc_area(TIED_EVENTS, TIED))
    assert f"area {area:.3f} [{low:.3f}, {high:.3f}]" in all_text(figure)


def test_each_reference_has_a_curve_of_its_own_with_its_area():
    references = {f"reference {k}": np.roll(TIED, k) for k in range(1, 9)}
    axes = roc_curve(TIED_EVENTS, TIED, event="M1.0", references=references).axes[0]
    shown = [line for line in axes.lines if line.get_label().startswith("reference")]
    areas = [f"{name}: {roc_area(TIED_EVENTS, chance):.3f}" for name, chance in references.items()]
    assert [line.get_label() for line in shown] == areas
    assert len({(line.get_color(), line.get_linestyle()) for line in shown}) == 8


generator = np.random.default_rng(0)
RARE = np.round(generator.beta(0.3, 4, 400), 3)
RARE_EVENTS = generator.random(400) < RARE


def points(axes: Axes) -> np.ndarray:
    return next(line.get_xydata() for line in axes.lines if line.get_label() == "forecasts, by bin")


def test_rare_forecasts_are_spread_over_logarithmic_axes_that_have_a_place_for_zero():
    upper, lower = reliability_diagram(RARE_EVENTS, RARE, event="X1.0").axes
    assert upper.get_yscale() == lower.get_xscale() == "symlog"
    low, high = upper.get_ylim()
    assert np.all((low < points(upper)[:, 1]) & (points(upper)[:, 1] < high))


def test_the_legend_names_the_event_rate_and_the_line_of_no_skill():
    text = all_text(reliability_diagram(RARE_EVENTS, RARE, event="M1.0"))
    assert f"event rate {RARE_EVENTS.mean():.3g}" in text
    assert "no skill" in text
    assert f"{RARE_EVENTS.sum()} events in 400" in text


def test_the_line_of_no_skill_is_half_way_between_forecast_and_event_rate():
    upper = reliability_diagram(RARE_EVENTS, RARE, event="M1.0").axes[0]
    line = next(line for line in upper.lines if line.get_label() == "no skill")
    np.testing.assert_allclose(line.get_ydata(), (line.get_xdata() + RARE_EVENTS.mean()) / 2)
