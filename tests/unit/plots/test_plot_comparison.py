import math

import numpy as np
import pytest
from layout import all_text
from matplotlib.axes import Axes

from flare.forecast import Forecast
from flare.plots.comparison import paired_differences, skill_by_subset, skill_panels
from flare.plots.style import BLUE, GREY, VERMILLION
from flare.verification.inputs import Observations
from flare.verification.scorecard import Scorecard, score_forecasts
from flare.verification.scores import Score

EVENTS = ("M1.0",)


def card(probability: np.ndarray, flux: np.ndarray, regions: np.ndarray) -> Scorecard:
    log10_flux = np.log10(flux)
    forecast = Forecast(
        log10_flux, log10_flux, log10_flux, probability[:, None], EVENTS, {"M1.0": 0.5}
    )
    return score_forecasts(forecast, Observations(flux, regions), n_resamples=50)


@pytest.fixture(scope="module")
def cards() -> dict[str, Scorecard]:
    generator = np.random.default_rng(0)
    log10_flux = generator.uniform(-7, -4, 60)
    skilled = 1 / (1 + np.exp(-2 * (log10_flux + 5 + generator.normal(0, 1, 60))))
    of = (10**log10_flux, np.repeat(np.arange(12), 5))
    return {"model": card(skilled, *of), "climatology": card(np.full(60, 0.06), *of)}


def score(value: float, low: float, high: float, name: str = "brier_skill_score") -> Score:
    return Score("M1.0", name, value, low, high, 60, 7)


def subset(*scores: Score) -> Axes:
    """Draw one score on several subsets."""
    named = {f"{place}": one for place, one in enumerate(scores)}
    return skill_by_subset(named, forecaster="model").axes[0]


def marks(axes: Axes) -> dict[float, tuple[float, str]]:
    """By row, from the top, the place and colour of what stands for the value."""
    shown = [line for line in axes.lines if line.get_marker() in ("o", "<")]
    return {line.get_ydata()[0]: (line.get_xdata()[0], line.get_color()) for line in shown}


def test_each_forecaster_has_a_row_with_its_value_and_interval(cards):
    axes = skill_panels(cards, model="model").axes[0]
    shown = [line.get_xdata().tolist() for line in axes.lines[1:]]
    expected = []
    for one in cards.values():
        bss = one.get("M1.0", "brier_skill_score")
        expected += [[bss.low, bss.high], [bss.value]]
    assert shown == expected
    assert [label.get_text() for label in axes.get_yticklabels()] == list(cards)


def test_the_panels_say_no_skill_what_is_better_and_what_was_scored(cards):
    figure = skill_panels(cards, model="model")
    lines = [
        [line.get_xdata()[0] for line in axes.lines if line.get_color() == GREY
         and line.get_marker() == "None" and list(line.get_ydata()) == [0, 1]]
        for axes in figure.axes
    ]  # fmt: skip
    assert lines == [[0.0], [0.0], [0.5], []]
    assert [axes.get_xlabel() for axes in figure.axes[2:]] == [
        "higher is better", "lower is better"
    ]  # fmt: skip
    n_events = cards["model"].get("M1.0", "brier_score").n_events
    text = figure.get_supxlabel().replace("\n", " ")
    assert text.startswith(f"{n_events} events in 60 samples of 12 active regions.")


def test_a_reference_scored_on_fewer_samples_says_so(cards):
    fewer = card(np.full(20, 0.5), np.full(20, 2e-5), np.arange(20))
    axes = skill_panels({**cards, "persistence": fewer}, model="model").axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["model", "climatology", "persistence\n(of 20 samples)"]


def test_an_undefined_score_is_said_to_be_so_and_not_drawn_at_zero():
    axes = subset(score(0.2, 0.1, 0.3), score(*[math.nan] * 3))
    assert "undefined" in [text.get_text() for text in axes.texts]
    assert list(marks(axes)) == [1]


def test_a_difference_of_a_thousandth_is_not_printed_as_zero():
    assert "2.00e-04" in [text.get_text() for text in subset(score(2e-4, 0, 0.3)).texts]


def test_a_score_far_below_no_skill_does_not_hide_the_others():
    axes = subset(score(0.2, 0.1, 0.3), score(-40, -90, -2))
    left, right = axes.get_xlim()
    assert left > -2
    assert right < 1
    assert marks(axes)[0][0] == left
    assert "-40.000" in all_text(axes.figure)


def test_each_subset_says_its_events_and_samples():
    labels = subset(score(0.2, 0.1, 0.3)).get_yticklabels()
    assert [label.get_text() for label in labels] == ["0\n7 of 60"]


@pytest.mark.parametrize(
    ("name", "ends", "colour"),
    [
        ("brier_skill_score", (0.1, 0.3), BLUE),
        ("brier_skill_score", (-0.3, -0.1), VERMILLION),
        ("brier_skill_score", (-0.1, 0.3), GREY),
        ("log10_flux_mae", (0.1, 0.3), VERMILLION),
        ("log10_flux_mae", (-0.3, -0.1), BLUE),
        ("brier_skill_score", (math.nan, math.nan), GREY),
    ],
)
def test_the_colour_of_a_difference_says_who_is_better(name, ends, colour):
    differences = {"reference": score(0.05, *ends, f"{name}_difference")}
    axes = paired_differences(differences, model="model").axes[0]
    assert [shown for _, shown in marks(axes).values()] == [colour]
