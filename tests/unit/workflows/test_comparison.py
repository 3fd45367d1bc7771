"""Hand-made forecasts side by side: who beats whom."""

import numpy as np
import pandas as pd
import pytest
from hand_made import TRUTH, hand_made

from flare.errors import VerificationInvalid
from flare.verification.scorecard import score_forecasts
from flare.workflows.evaluation.comparison import (
    ALL,
    COMPARED,
    Comparison,
    ScoreSettings,
    compare,
    subsets_of,
)

FORECASTS = {
    "good": hand_made(0.9),
    "fair": hand_made(0.3),
    "climatology": hand_made(0.0),
}
LATE = TRUTH.active_region >= 11006
SETTINGS = ScoreSettings(resamples=200)


def compared(forecasts=None, *, settings=SETTINGS, **subsets) -> Comparison:
    forecasts = FORECASTS if forecasts is None else forecasts
    return compare(
        forecasts,
        TRUTH,
        settings=settings,
        subsets={ALL: np.ones(60, dtype=np.bool_), **subsets},
        in_subsets=[next(iter(forecasts)), "climatology"],
    )


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compared(late=LATE)


def test_the_first_is_the_model_that_it_is_about(comparison):
    assert comparison.model == next(iter(comparison.scorecards)) == "good"
    assert list(comparison.scorecards) == list(FORECASTS)


def test_the_model_is_compared_with_all_but_itself(comparison):
    assert list(comparison.against) == ["fair", "climatology"]
    for scores in comparison.against.values():
        named = [(one.event, one.name.removesuffix("_difference")) for one in scores]
        assert named == list(COMPARED)


def test_all_but_climatology_are_held_against_climatology(comparison):
    assert list(comparison.above_climatology) == ["good", "fair"]


def test_the_better_forecaster_beats_the_worse_beyond_its_interval(comparison):
    for reference in ("fair", "climatology"):
        assert comparison.against[reference][0].low > 0
    assert comparison.above_climatology["good"].low > 0


def test_the_worse_forecaster_is_below_the_better_by_as_much(comparison):
    turned = compared(
        {
            "fair": FORECASTS["fair"],
            "good": FORECASTS["good"],
            "climatology": FORECASTS["climatology"],
        }
    )
    one, other = turned.against["good"][0], comparison.against["fair"][0]
    assert one.high < 0
    assert one.value == pytest.approx(-other.value)


def test_equal_forecasters_differ_by_nothing_at_all():
    even = compared(
        {
            "good": FORECASTS["good"],
            "twin": FORECASTS["good"],
            "climatology": FORECASTS["climatology"],
        }
    )
    for score in even.against["twin"]:
        assert (score.value, score.low, score.high) == (0, 0, 0)


def test_a_difference_is_that_of_the_scores(comparison):
    cards = comparison.scorecards
    gained = cards["good"].value("M1.0", "brier_skill_score") - cards["fair"].value(
        "M1.0", "brier_skill_score"
    )
    assert comparison.against["fair"][0].value == pytest.approx(gained)


def test_the_subset_all_is_the_whole(comparison):
    assert list(comparison.subsets) == [ALL, "late"]
    for name, card in comparison.subsets[ALL].items():
        assert card.as_dict() == comparison.scorecards[name].as_dict()


def test_a_subset_is_scored_on_its_own_samples_by_those_asked_for(comparison):
    assert list(comparison.subsets["late"]) == ["good", "climatology"]
    alone = score_forecasts(FORECASTS["good"].take(LATE), TRUTH.take(LATE), n_resamples=200)
    assert comparison.subsets["late"]["good"].as_dict() == alone.as_dict()


def test_the_label_scale_is_that_of_all_scores(comparison):
    noaa = compared(settings=ScoreSettings(resamples=100, scale="noaa"), late=LATE)
    cards = [*noaa.scorecards.values(), *noaa.subsets["late"].values()]
    assert {card.scale for card in cards} == {"noaa"}


def test_the_lines_say_who_beats_climatology_and_whom_the_model_beats(comparison):
    lines = comparison.lines()
    assert len(lines) == 3
    assert lines[0].startswith("good: M1.0 BSS above climatology's by +0.9")
    assert lines[2].startswith("good - fair: M1.0 BSS +0.")


def test_a_difference_of_what_never_occurred_is_undefined():
    quiet = TRUTH.peak_flux < 1e-5
    never = compare(
        {name: one.take(quiet) for name, one in FORECASTS.items()},
        TRUTH.take(quiet),
        settings=SETTINGS,
        subsets={ALL: np.ones(int(quiet.sum()), dtype=np.bool_)},
        in_subsets=["good"],
    )
    assert never.lines()[0] == "good: M1.0 BSS above climatology's by undefined"


def test_forecasts_of_other_samples_are_refused():
    short = FORECASTS | {"fair": FORECASTS["fair"].take(LATE)}
    with pytest.raises(VerificationInvalid, match="log10_flux"):
        compared(short)


TABLE = pd.DataFrame(
    {
        "id": [
            "11402_2012_01_15_12_00_00_0",
            "11402_2012_01_15_12_00_00_1",
            "11500_2012_06_01_00_00_00_1",
            "11900_2013_10_01_03_20_07_12",
        ],
        "end": pd.to_datetime(
            ["2012-01-15T12:00", "2012-01-16T00:00", "2012-12-31T23:59", "2013-01-01T00:00"],
            utc=True,
        ),
        "peak_flux": [3e-6, 3e-6, 1e-9, 1.1e-5],
    }
)
PRESENT = np.ones((4, 4, 10), dtype=np.bool_)
PRESENT[1, 3, 4] = False


@pytest.fixture
def subsets():
    return {name: rows.tolist() for name, rows in subsets_of(TABLE, PRESENT).items()}


def test_all_holds_samples_that_lack_images(subsets):
    assert subsets["all"] == [True] * 4


def test_forecast_clean_drops_flaring_samples_of_index_1_and_above_only(subsets):
    assert subsets["forecast_clean"] == [True, False, True, False]


def test_complete_holds_samples_with_all_images(subsets):
    assert subsets["complete"] == [True, False, True, True]


def test_classes_part_the_samples_by_what_was_observed(subsets):
    classes = [rows for name, rows in subsets.items() if name.startswith("class_")]
    assert np.sum(classes, axis=0).tolist() == [1, 1, 1, 1]
    assert subsets["class_quiet"] == [False, False, True, False]
    assert subsets["class_M"] == [False, False, False, True]


def test_classes_follow_the_label_scale():
    result = subsets_of(TABLE, PRESENT, scale="noaa")
    assert "class_M" not in result  # a label of 1.1e-5 is NOAA C9.3
    assert result["class_C"].tolist() == [True, True, False, True]


def test_a_year_is_that_of_the_issue_time(subsets):
    assert subsets["year_2012"] == [True, True, True, False]
    assert subsets["year_2013"] == [False, False, False, True]


def test_a_subset_without_a_sample_is_left_out(subsets):
    assert "class_X" not in subsets
    assert "class_A" not in subsets
