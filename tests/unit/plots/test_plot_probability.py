from pathlib import Path

import numpy as np
import pytest

from flare.plots.reliability import reliability_diagram
from flare.plots.roc import roc_curve, skill_against_threshold
from flare.plots.style import save
from flare.verification.probabilistic import roc_area

generator = np.random.default_rng(0)
PROBABILITY = np.round(generator.beta(0.5, 3, 300), 3)
OBSERVED = generator.random(300) < PROBABILITY


def line(axes: object, label: str) -> np.ndarray:
    return next(
        result.get_xydata() for result in axes.lines if result.get_label().startswith(label)
    )


def test_the_area_under_the_drawn_curve_is_the_roc_area() -> None:
    axes = roc_curve(OBSERVED, PROBABILITY, event="M1.0").axes[0]
    pofd, pod = line(axes, "area")[::-1].T
    assert np.trapezoid(pod, pofd) == pytest.approx(float(roc_area(OBSERVED, PROBABILITY)))


def test_the_roc_curve_ends_in_both_corners() -> None:
    curve = line(roc_curve(OBSERVED, PROBABILITY, event="M1.0").axes[0], "area")
    np.testing.assert_array_equal(curve[[0, -1]], [[1, 1], [0, 0]])


def test_the_marked_threshold_lies_on_the_roc_curve() -> None:
    axes = roc_curve(OBSERVED, PROBABILITY, event="M1.0", threshold=0.2).axes[0]
    alarms = PROBABILITY >= 0.2
    expected = [alarms[~OBSERVED].mean(), alarms[OBSERVED].mean()]
    np.testing.assert_allclose(line(axes, "threshold 0.2"), [expected])


def test_the_bars_of_the_reliability_diagram_count_all_forecasts_and_events() -> None:
    _, counts = reliability_diagram(OBSERVED, PROBABILITY, event="M1.0", n_bins=5).axes
    heights = [sum(bar.get_height() for bar in bars) for bars in counts.containers]
    assert heights == [300, OBSERVED.sum()]


def test_reliability_is_drawn_where_there_are_forecasts_only() -> None:
    observed, probability = np.array([True, False]), np.array([0.05, 0.95])
    axes = reliability_diagram(observed, probability, event="M1.0").axes[0]
    np.testing.assert_allclose(line(axes, "forecasts"), [[0.05, 1], [0.95, 0]])


def test_the_skill_at_a_threshold_is_that_of_its_alarms() -> None:
    axes = skill_against_threshold(OBSERVED, PROBABILITY, event="M1.0", threshold=0.1).axes[0]
    threshold, tss = line(axes, "TSS")[250]
    alarms = np.greater_equal(PROBABILITY, threshold)
    assert tss == pytest.approx(alarms[OBSERVED].mean() - alarms[~OBSERVED].mean())


@pytest.mark.parametrize("threshold", [0.0, 1e-5, 1.0, None])
def test_any_threshold_can_be_marked(threshold: float | None, tmp_path: Path) -> None:
    figure = skill_against_threshold(OBSERVED, PROBABILITY, event="M1.0", threshold=threshold)
    low, high = figure.axes[0].get_xlim()
    marked = [line.get_xdata()[0] for line in figure.axes[0].lines if "thr" in line.get_label()]
    assert all(low <= value <= high for value in marked)
    save(figure, tmp_path / "figure.png")


@pytest.mark.parametrize("outcomes", [True, False])
def test_an_event_that_always_or_never_occurred_is_drawn_without_complaint(
    outcomes: bool, tmp_path: Path
) -> None:
    observed = np.full(300, outcomes)
    save(reliability_diagram(observed, PROBABILITY, event="X1.0"), tmp_path / "reliability.png")
    save(roc_curve(observed, PROBABILITY, event="X1.0", threshold=0.5), tmp_path / "roc.png")
    save(skill_against_threshold(observed, PROBABILITY, event="X1.0"), tmp_path / "skill.png")
