from collections.abc import Callable

import pytest
from rich.console import Console

from flare.errors import VerificationInvalid
from flare.forecast import Forecast
from flare.verification.inputs import Observations
from flare.verification.scorecard import Scorecard, score_forecasts
from flare.verification.table import score_markdown, score_tables


@pytest.fixture
def cards(issue: Callable[[float], Forecast], observed: Observations) -> dict[str, Scorecard]:
    return {
        "solar-flare v12 (CNN)": score_forecasts(issue(0.4), observed, n_resamples=50),
        "forest": score_forecasts(issue(0.9), observed, n_resamples=50),
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


def test_the_title_has_the_number_of_events_samples_and_regions(cards):
    n_events = cards["forest"].get("M1.0", "recall").n_events
    assert f"{n_events} events in 120 samples of 12 active regions" in printed(cards)


def test_the_title_says_when_the_data_are_synthetic(cards):
    assert "SYNTHETIC" in printed(cards, synthetic=True)
    assert "SYNTHETIC" not in printed(cards)
    assert "SYNTHETIC" in score_markdown(cards, synthetic=True)


def test_flux_errors_are_in_the_unit_of_their_heading(cards):
    micro = cards["forest"].value("flux", "flux_mae") / 1e-6
    assert f"| {micro:.2f} [" in score_markdown(cards)


def test_markdown_rows_have_as_many_cells_as_their_headings(cards):
    rows = [line for line in score_markdown(cards).splitlines() if line.startswith("|")]
    widths = [row.count("|") for row in rows]
    assert widths == [6] * 8


def test_an_undefined_score_is_a_dash(cards):
    forest = next(
        line
        for line in score_markdown(cards, event="X1.0").splitlines()
        if line.startswith("| forest")
    )
    assert forest.startswith("| forest | - |")


def test_a_name_with_a_bar_does_not_break_the_markdown(cards):
    assert "| a\\|b |" in score_markdown({"a|b": cards["forest"]})


def test_scorecards_of_different_samples_are_not_put_side_by_side(cards, issue, observed):
    other = score_forecasts(issue(0.4), observed, n_resamples=50, scale="noaa")
    with pytest.raises(VerificationInvalid, match="same samples"):
        score_tables({**cards, "other": other})


def test_a_table_of_nothing_is_refused():
    with pytest.raises(VerificationInvalid, match="one or more"):
        score_markdown({})
