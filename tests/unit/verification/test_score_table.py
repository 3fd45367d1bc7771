from collections.abc import Callable

import pytest
from rich.console import Console

from flare.errors import VerificationInvalid
from flare.forecast import Forecast
from flare.verification.inputs import Observations
from flare.verification.scorecard import Scorecard, score_forecasts
from flare.verification.table import score_markdown, score_tables


@pytest.fixture
def cards(
    forecast_with: Callable[[float], Forecast], observed: Observations
) -> dict[str, Scorecard]:
    return {
        "solar-flare v12 (CNN)": score_forecasts(forecast_with(0.4), observed, n_resamples=50),
        "forest": score_forecasts(forecast_with(0.9), observed, n_resamples=50),
    }


def printed(cards: dict[str, Scorecard], **options: object) -> str:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(score_tables(cards, **options))
    return capture.get()


def test_at_100_columns_every_value_has_its_interval_below_it(cards):
    lines = printed(cards).splitlines()
    row = next(index for index, line in enumerate(lines) if "solar-flare v12 (CNN)" in line)
    score = cards["solar-flare v12 (CNN)"].get("M1.0", "true_skill_statistic")
    assert f"{score.value:.3f}" in lines[row]
    assert f"[{score.low:.3f}, {score.high:.3f}]" in lines[row + 1]
    assert max(map(len, lines)) <= 100


def test_the_title_has_the_number_of_events_samples_and_regions_and_says_synthetic(cards):
    n_events = cards["forest"].get("M1.0", "recall").n_events
    plain, synthetic = printed(cards), printed(cards, synthetic=True)
    assert f"{n_events} events in 120 samples of 12 active regions" in plain
    assert "SYNTHETIC" not in plain
    assert "SYNTHETIC" in synthetic
    assert "SYNTHETIC" in score_markdown(cards, synthetic=True)


def test_markdown_has_a_cell_for_each_heading_flux_in_its_unit_and_dashes_for_undefined(cards):
    text = score_markdown({**cards, "a|b": cards["forest"]}, event="X1.0")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert [row.replace("\\|", "").count("|") for row in rows] == [6] * 10
    assert f"| {cards['forest'].value('flux', 'flux_mae') / 1e-6:.2f} [" in text
    assert "| forest | - |" in text
    assert "| a\\|b | - |" in text


def test_scorecards_of_different_samples_are_not_put_side_by_side(cards, forecast_with, observed):
    other = score_forecasts(forecast_with(0.4), observed, n_resamples=50, scale="noaa")
    with pytest.raises(VerificationInvalid, match="same samples"):
        score_tables({**cards, "other": other})


def test_a_table_of_nothing_is_refused():
    with pytest.raises(VerificationInvalid, match="one or more"):
        score_markdown({})
