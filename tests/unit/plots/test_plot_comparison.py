import numpy as np
import pytest
from layout import all_text
from matplotlib.axes import Axes

from flare.errors import VerificationInvalid
from flare.forecast import Forecast
from flare.plots.comparison import (
    paired_differences,
    skill_by_subset,
    skill_panels,
)
from flare.plots.style import BLUE, GREY, VERMILLION
from flare.verification.inputs import Observations
from flare.verification.scorecard import Scorecard, score_forecasts
from flare.verification.scores import Score

EVENTS = ("M1.0",)


@pytest.fixture
def cards() -> dict[str, Scorecard]:
    generator = np.random.default_rng(0)
    log10_flux = generator.uniform(-7, -4, 60)
    observed = Observations(10**log10_flux, np.repeat(np.arange(12), 5))
    skilled = 1 / (1 + np.exp(-2 * (log10_flux + 5 + generator.normal(0, 1, 60))))

    def card(probability: np.ndarray, threshold: float) -> Scorecard:
        forecast = Forecast(
            log10_flux, log10_flux, log10_flux, probability[:, None], EVENTS, {"M1.0": threshold}
        )
        return score_forecasts(forecast, observed, n_resamples=50)

    return {"model": card(skilled, 0.5), "climatology": card(np.full(60, 0.06), 0.5)}


def test_each_forecaster_has_a_row_with_its_value_and_interval(cards):
    name = "true_skill_statistic"
    axes = skill_panels(cards, scores=[name]).axes[0]
    shown = [line.get_xdata().tolist() for line in axes.lines[1:]]
    expected = []
    for card in cards.values():
        score = card.get("M1.0", name)
        expected += [[score.low, score.high], [score.value]]
    assert shown == expected
    assert [label.get_text() for label in axes.get_yticklabels()] == list(cards)


def test_an_undefined_score_is_said_to_be_so_and_not_drawn_at_zero(cards):
    axes = skill_panels(cards, scores=["precision"]).axes[0]
    assert "undefined" in [text.get_text().strip() for text in axes.texts]
    assert len(axes.lines) == 2  # the interval and value of the model


def test_a_flux_error_of_a_millionth_is_not_printed_as_zero(cards):
    bad = Forecast(
        np.full(60, -5.0), np.full(60, -6.0), np.full(60, -4.0), np.full((60, 1), 0.5), EVENTS,
        {"M1.0": 0.5},
    )  # fmt: skip
    observed = Observations(np.full(60, 1.2e-5), np.arange(60))
    card = score_forecasts(bad, observed, n_resamples=10)
    axes = skill_panels({"x": card}, scores=["flux_mae"]).axes[0]
    assert [text.get_text() for text in axes.texts] == ["2.00e-06"]


def score(value: float, low: float, high: float, name: str = "brier_skill_score") -> Score:
    return Score("M1.0", name, value, low, high, 60, 7)


def marks(axes: Axes) -> dict[float, tuple[float, str]]:
    """By row, from the top, the place and colour of what stands for the value."""
    shown = [line for line in axes.lines if line.get_marker() in ("o", "<")]
    return {line.get_ydata()[0]: (line.get_xdata()[0], line.get_color()) for line in shown}


def test_the_line_of_no_skill_is_where_the_score_has_it(cards):
    bss, area, error = skill_panels(
        cards, scores=("brier_skill_score", "roc_area", "log10_flux_mae")
    ).axes
    lines = [
        [line.get_xdata()[0] for line in axes.lines if line.get_color() == GREY
         and line.get_marker() == "None" and list(line.get_ydata()) == [0, 1]]
        for axes in (bss, area, error)
    ]  # fmt: skip
    assert lines == [[0.0], [0.5], []]


def test_errors_say_that_lower_is_better(cards):
    figure = skill_panels(cards, scores=("brier_skill_score", "log10_flux_mae"))
    assert [axes.get_xlabel() for axes in figure.axes] == ["higher is better", "lower is better"]


def test_the_caption_counts_events_samples_and_regions(cards):
    n_events = cards["model"].get("M1.0", "brier_score").n_events
    text = skill_panels(cards).get_supxlabel().replace("\n", " ")
    assert text.startswith(f"{n_events} events in 60 samples of 12 active regions.")


def test_a_model_that_is_not_among_the_forecasters_is_refused(cards):
    with pytest.raises(VerificationInvalid, match="no forecaster 'other'"):
        skill_panels(cards, model="other")


def test_no_scorecards_are_refused():
    with pytest.raises(VerificationInvalid, match="no scorecards"):
        skill_panels({})


def test_a_reference_scored_on_fewer_samples_says_so(cards):
    observed = Observations(np.full(20, 2e-5), np.arange(20))
    forecast = Forecast(
        np.full(20, -5.0), np.full(20, -6.0), np.full(20, -4.0), np.full((20, 1), 0.5), EVENTS,
        {"M1.0": 0.5},
    )  # fmt: skip
    fewer = score_forecasts(forecast, observed, n_resamples=10)
    axes = skill_panels({**cards, "persistence": fewer}).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["model", "climatology", "persistence\n(of 20 samples)"]


def test_a_score_far_below_no_skill_does_not_hide_the_others():
    axes = skill_by_subset(
        {"all": score(0.2, 0.1, 0.3), "2012": score(-40, -90, -2)}, forecaster="model"
    ).axes[0]
    left, right = axes.get_xlim()
    assert left > -2
    assert right < 1
    assert marks(axes)[0][0] == left
    assert "-40.000" in all_text(axes.figure)


def test_each_subset_says_its_events_and_samples():
    axes = skill_by_subset({"all": score(0.2, 0.1, 0.3)}, forecaster="model").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["all\n7 of 60"]


def test_scores_of_different_subsets_are_refused():
    one = score(0.2, 0.1, 0.3)
    with pytest.raises(VerificationInvalid, match="the same ones"):
        skill_by_subset({"all": one}, {"2012": one}, forecaster="model")


@pytest.mark.parametrize(
    ("name", "ends", "colour"),
    [
        ("brier_skill_score", (0.1, 0.3), BLUE),
        ("brier_skill_score", (-0.3, -0.1), VERMILLION),
        ("brier_skill_score", (-0.1, 0.3), GREY),
        ("log10_flux_mae", (0.1, 0.3), VERMILLION),
        ("log10_flux_mae", (-0.3, -0.1), BLUE),
        ("brier_skill_score", (float("nan"), float("nan")), GREY),
    ],
)
def test_the_colour_of_a_difference_says_who_is_better(name, ends, colour):
    differences = {"reference": score(0.05, *ends, f"{name}_difference")}
    axes = paired_differences(differences, model="model").axes[0]
    assert [shown for _, shown in marks(axes).values()] == [colour]


def test_a_reference_without_a_difference_in_one_score_is_undefined_there():
    bss = {name: score(0.1, 0, 0.2, "brier_skill_score_difference") for name in ("a", "b")}
    area = {"b": score(0.1, 0, 0.2, "roc_area_difference")}
    first, second = paired_differences(bss, area, model="model").axes
    assert len(marks(first)) == 2
    assert [text.get_text() for text in second.texts if text.get_text() == "undefined"]
    assert list(marks(second)) == [0]


def test_no_differences_are_refused():
    with pytest.raises(VerificationInvalid, match="no differences"):
        paired_differences({}, model="model")
