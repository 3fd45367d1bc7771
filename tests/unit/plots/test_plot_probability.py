import numpy as np
import pytest
from layout import all_text
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.figure import Figure

from flare.plots.reliability import error_against_missing, reliability_diagram
from flare.plots.roc import roc_curve, skill_against_threshold
from flare.verification.bootstrap import interval, region_weights
from flare.verification.contingency import contingency_table, tables_at, true_skill_statistic
from flare.verification.probabilistic import roc_area

generator = np.random.default_rng(0)
PROBABILITY = np.round(generator.beta(0.3, 3, 300), 2)  # with ties
OBSERVED = generator.random(300) < PROBABILITY
WEIGHTS = region_weights(np.arange(300) // 5, n_resamples=60, seed=0)


def roc(observed: np.ndarray = OBSERVED, **given: object) -> Figure:
    settings = {"threshold": 0.1, "name": "own", "references": {}, "weights": WEIGHTS} | given
    return roc_curve(observed, PROBABILITY, event="M1.0", **settings)


def skill(observed: np.ndarray = OBSERVED, *, threshold: float = 0.1) -> Figure:
    return skill_against_threshold(
        observed, PROBABILITY, event="M1.0", threshold=threshold, weights=WEIGHTS
    )


def reliability(
    observed: np.ndarray = OBSERVED, probability: np.ndarray = PROBABILITY
) -> tuple[Axes, Axes]:
    weights = WEIGHTS[:, : len(observed)]
    return reliability_diagram(observed, probability, event="M1.0", weights=weights).axes


def line(axes: Axes, label: str) -> np.ndarray:
    return next(one.get_xydata() for one in axes.lines if one.get_label().startswith(label))


def test_the_roc_curve_has_the_roc_area_and_ends_in_both_corners():
    curve = line(roc().axes[0], "own")[::-1]
    assert np.trapezoid(curve[:, 1], curve[:, 0]) == pytest.approx(roc_area(OBSERVED, PROBABILITY))
    np.testing.assert_array_equal(curve[[0, -1]], [[0, 0], [1, 1]])


def test_the_marked_threshold_lies_on_the_roc_curve():
    alarms = PROBABILITY >= 0.2
    expected = [alarms[~OBSERVED].mean(), alarms[OBSERVED].mean()]
    np.testing.assert_allclose(line(roc(threshold=0.2).axes[0], "threshold 0.2"), [expected])


def test_the_roc_figure_says_the_interval_of_the_area():
    low, high = interval(roc_area(OBSERVED, PROBABILITY, weights=WEIGHTS))
    area = f"area {float(roc_area(OBSERVED, PROBABILITY)):.3f}"
    assert f"{area} [{low:.3f}, {high:.3f}]" in all_text(roc())
    assert f"{area} [" not in all_text(roc(weights=None))


def test_each_reference_has_a_curve_of_its_own_with_its_area():
    references = {f"reference {k}": np.roll(PROBABILITY, k) for k in range(1, 9)}
    axes = roc(references=references).axes[0]
    shown = [line for line in axes.lines if line.get_label().startswith("reference")]
    areas = [f"{name}: {roc_area(OBSERVED, chance):.3f}" for name, chance in references.items()]
    assert [line.get_label() for line in shown] == areas
    assert len({(line.get_color(), line.get_linestyle()) for line in shown}) == 8


def test_the_skill_at_a_threshold_is_that_of_its_alarms():
    threshold, tss = line(skill().axes[0], "TSS")[250]
    alarms = np.greater_equal(PROBABILITY, threshold)
    assert tss == pytest.approx(alarms[OBSERVED].mean() - alarms[~OBSERVED].mean())


def test_the_band_of_the_tss_is_its_interval_at_each_threshold():
    band = next(
        one for one in skill().axes[0].collections if isinstance(one, FillBetweenPolyCollection)
    )
    corners = band.get_paths()[0].vertices
    threshold = np.unique(corners[:, 0])[60]
    shown = sorted(set(corners[corners[:, 0] == threshold, 1].tolist()))
    tables = tables_at(OBSERVED, PROBABILITY, np.array([threshold]), weights=WEIGHTS)
    assert shown == pytest.approx(interval(true_skill_statistic(tables)[:, 0]))


def test_resampled_tables_are_those_of_the_contingency_table():
    thresholds = np.array([0.0, 0.07, 0.3, 1.0])
    tables = tables_at(OBSERVED, PROBABILITY, thresholds, weights=WEIGHTS)
    for k, threshold in enumerate(thresholds):
        one = contingency_table(OBSERVED, threshold <= PROBABILITY, weights=WEIGHTS)
        for entry in ("hits", "misses", "false_alarms", "correct_negatives"):
            np.testing.assert_allclose(getattr(tables, entry)[:, k], getattr(one, entry))


@pytest.mark.parametrize("threshold", [0.0, 1e-5, 1.0])
def test_any_threshold_can_be_marked(threshold):
    axes = skill(threshold=threshold).axes[0]
    low, high = axes.get_xlim()
    (marked,) = [line.get_xdata()[0] for line in axes.lines if "thr" in line.get_label()]
    assert low <= marked <= high


@pytest.mark.parametrize("draw", [roc, skill])
@pytest.mark.parametrize(("outcome", "why"), [(True, "nothing but events"), (False, "no events")])
def test_an_event_that_always_or_never_occurred_is_said_to_have_no_score(draw, outcome, why):
    text = all_text(draw(np.full(300, outcome)))
    assert f"undefined:\n{why}" in text
    assert "nan" not in text


@pytest.mark.parametrize("outcome", [True, False])
def test_the_reliability_of_an_event_that_always_or_never_occurred_is_drawn(outcome):
    upper, _ = reliability(np.full(300, outcome))
    upper.figure.draw_without_rendering()  # warnings are errors


def test_the_bars_of_the_reliability_diagram_count_all_forecasts_and_events():
    _, counts = reliability()
    heights = [sum(bar.get_height() for bar in bars) for bars in counts.containers]
    assert heights == [300, OBSERVED.sum()]


def test_reliability_is_drawn_where_there_are_forecasts_only():
    upper, _ = reliability(np.array([True, False]), np.array([0.05, 0.95]))
    np.testing.assert_allclose(line(upper, "forecasts"), [[0.05, 1], [0.95, 0]])


def test_rare_forecasts_are_spread_over_logarithmic_axes_that_have_a_place_for_zero():
    upper, lower = reliability()
    assert upper.get_yscale() == lower.get_xscale() == "symlog"
    low, high = upper.get_ylim()
    y = line(upper, "forecasts")[:, 1]
    assert np.all((low < y) & (y < high))


def test_the_reliability_diagram_has_the_event_rate_and_the_line_half_way_to_it():
    upper, _ = reliability()
    text = all_text(upper.figure)
    assert f"event rate {OBSERVED.mean():.3g}" in text
    assert f"{OBSERVED.sum()} events in 300" in text
    no_skill = line(upper, "no skill")
    np.testing.assert_allclose(no_skill[:, 1], (no_skill[:, 0] + OBSERVED.mean()) / 2)


N_MISSING = np.array([0, 0, 1, 2, 2, 40])
ERROR = np.array([0.1, 0.3, 0.5, 0.6, 0.7, 2.0])
BRIER = np.array([0.0, 0.1, 0.2, 0.2, 0.2, 1.0])


def draw_missing(n_missing: np.ndarray = N_MISSING) -> Figure:
    weights = region_weights(np.arange(6), n_resamples=200, seed=0)
    return error_against_missing(n_missing, ERROR, BRIER, event="M1.0", weights=weights)


def test_each_bin_shows_the_mean_error_and_the_number_of_its_samples():
    flux, brier, counts = draw_missing().axes
    np.testing.assert_allclose(flux.lines[1].get_xydata(), [[0, 0.2], [1, 0.6], [5, 2.0]])
    np.testing.assert_allclose(brier.lines[1].get_xydata(), [[0, 0.05], [1, 0.2], [5, 1.0]])
    assert [text.get_text() for text in counts.texts] == ["2", "3", "0", "0", "0", "1"]
    names = [label.get_text() for label in counts.get_xticklabels()]
    assert names == ["0", "1–2", "3–5", "6–10", "11–20", "21–40"]


def test_only_bins_of_several_regions_have_an_interval():
    bars = draw_missing().axes[0].collections[0].get_segments()
    assert [bar[0][0] for bar in bars] == [0, 1]
    assert bars[0][:, 1].tolist() == [0.1, 0.3]


def test_complete_samples_alone_are_said_to_be_nothing_to_compare():
    text = draw_missing(np.zeros(6, dtype=np.int64)).get_supxlabel()
    assert text.startswith("Nothing to compare")
