import numpy as np
import pytest

from flare.plots.comparison import skill_comparison
from flare.verification.scorecard import Issued, Observed, Scorecard, score_forecasts

EVENTS = ("M1.0",)


@pytest.fixture
def cards() -> dict[str, Scorecard]:
    generator = np.random.default_rng(0)
    log10_flux = generator.uniform(-7, -4, 60)
    observed = Observed(10**log10_flux, np.repeat(np.arange(12), 5))
    skilled = 1 / (1 + np.exp(-2 * (log10_flux + 5 + generator.normal(0, 1, 60))))

    def card(probability: np.ndarray, threshold: float) -> Scorecard:
        issued = Issued(
            log10_flux, log10_flux, log10_flux, probability[:, None], EVENTS, {"M1.0": threshold}
        )
        return score_forecasts(issued, observed, n_resamples=50)

    return {"model": card(skilled, 0.5), "climatology": card(np.full(60, 0.06), 0.5)}


def test_each_forecaster_has_a_row_with_its_value_and_interval(
    cards: dict[str, Scorecard],
) -> None:
    name = "true_skill_statistic"
    axes = skill_comparison(cards, event="M1.0", score_name=name).axes[0]
    drawn = [line.get_xdata().tolist() for line in axes.lines[1:]]
    expected = []
    for card in cards.values():
        score = card.get("M1.0", name)
        expected += [[score.low, score.high], [score.value]]
    assert drawn == expected
    assert [label.get_text() for label in axes.get_yticklabels()] == list(cards)


def test_the_first_forecaster_is_on_top(cards: dict[str, Scorecard]) -> None:
    axes = skill_comparison(cards, event="M1.0", score_name="roc_area").axes[0]
    assert axes.get_yticks()[0] > axes.get_yticks()[1]


def test_an_undefined_score_is_said_to_be_so_and_not_drawn_at_zero(
    cards: dict[str, Scorecard],
) -> None:
    axes = skill_comparison(cards, event="M1.0", score_name="precision").axes[0]
    assert "undefined" in [text.get_text().strip() for text in axes.texts]
    assert len(axes.lines) == 1 + 2  # zero, and the interval and value of the model


def test_the_axis_says_how_many_events_are_behind_the_scores(cards: dict[str, Scorecard]) -> None:
    label = skill_comparison(cards, event="M1.0", score_name="recall").axes[0].get_xlabel()
    assert f"{cards['model'].get('M1.0', 'recall').n_events} events in 60 samples" in label


def test_a_flux_error_of_a_millionth_is_not_printed_as_zero(cards: dict[str, Scorecard]) -> None:
    bad = Issued(
        np.full(60, -5.0), np.full(60, -6.0), np.full(60, -4.0), np.full((60, 1), 0.5), EVENTS,
        {"M1.0": 0.5},
    )  # fmt: skip
    observed = Observed(np.full(60, 1.2e-5), np.arange(60))
    card = score_forecasts(bad, observed, n_resamples=10)
    axes = skill_comparison({"x": card}, event="flux", score_name="flux_mae").axes[0]
    assert [text.get_text() for text in axes.texts] == ["2.00e-06"]
