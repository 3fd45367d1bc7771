"""Hand-made forecasts side by side: which is better."""

import numpy as np
import pandas as pd
import pytest
from hand_made import TRUTH, hand_made

from flare.errors import VerificationInvalid
from flare.verification.scorecard import score_forecasts
from flare.workflows.evaluation.comparison import ALL, COMPARED, Comparison, compare, subsets_of

FORECASTS = {"good": hand_made(0.9), "fair": hand_made(0.3), "climatology": hand_made(0.0)}
LATE = TRUTH.active_region >= 11006


def compared(forecasts=None, truth=TRUTH, *, scale="raw", **subsets) -> Comparison:
    forecasts = FORECASTS if forecasts is None else forecasts
    return compare(
        forecasts,
        truth,
        resamples=100,
        scale=scale,
        subsets={ALL: np.ones(len(truth.peak_flux), dtype=np.bool_), **subsets},
        in_subsets=[next(iter(forecasts)), "climatology"],
    )


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compared(late=LATE)


def test_the_first_is_the_model_and_is_compared_with_all_others(comparison):
    assert comparison.model == "good"
    assert list(comparison.scorecards) == list(FORECASTS)
    assert list(comparison.against) == ["fair", "climatology"]
    assert list(comparison.above_climatology) == ["good", "fair"]
    for scores in comparison.against.values():
        named = [(one.event, one.name.removesuffix("_difference")) for one in scores]
        assert named == list(COMPARED)


def test_the_better_forecaster_beats_the_worse_by_the_difference_of_the_scores(comparison):
    for reference in ("fair", "climatology"):
        assert comparison.against[reference][0].low > 0
    assert comparison.above_climatology["good"].low > 0
    good, fair = (
        comparison.scorecards[name].value("M1.0", "brier_skill_score") for name in ("good", "fair")
    )
    assert comparison.against["fair"][0].value == pytest.approx(good - fair)


def test_the_worse_forecaster_is_below_the_better_by_as_much(comparison):
    turned = compared({name: FORECASTS[name] for name in ("fair", "good", "climatology")})
    one, other = turned.against["good"][0], comparison.against["fair"][0]
    assert one.high < 0
    assert one.value == pytest.approx(-other.value)


def test_equal_forecasters_differ_by_nothing_at_all():
    good, climatology = FORECASTS["good"], FORECASTS["climatology"]
    even = compared({"good": good, "twin": good, "climatology": climatology})
    for score in even.against["twin"]:
        assert (score.value, score.low, score.high) == (0, 0, 0)


def test_a_subset_is_scored_on_its_own_samples_by_those_asked_for(comparison):
    assert list(comparison.subsets) == [ALL, "late"]
    for name, card in comparison.subsets[ALL].items():
        assert card.as_dict() == comparison.scorecards[name].as_dict()
    assert list(comparison.subsets["late"]) == ["good", "climatology"]
    alone = score_forecasts(FORECASTS["good"].take(LATE), TRUTH.take(LATE), n_resamples=100)
    assert comparison.subsets["late"]["good"].as_dict() == alone.as_dict()


def test_the_label_scale_is_that_of_all_scores():
    noaa = compared(scale="noaa", late=LATE)
    cards = [*noaa.scorecards.values(), *noaa.subsets["late"].values()]
    assert {card.scale for card in cards} == {"noaa"}


def test_the_lines_say_who_beats_climatology_and_whom_the_model_beats(comparison):
    lines = comparison.lines()
    assert len(lines) == 3
    assert lines[0].startswith("good: M1.0 BSS above climatology's by +0.9")
    assert lines[2].startswith("good - fair: M1.0 BSS +0.")


def test_a_difference_of_what_never_occurred_is_undefined():
    quiet = TRUTH.peak_flux < 1e-5
    never = compared({name: one.take(quiet) for name, one in FORECASTS.items()}, TRUTH.take(quiet))
    assert never.lines()[0] == "good: M1.0 BSS above climatology's by undefined"


def test_forecasts_of_other_samples_are_refused():
    with pytest.raises(VerificationInvalid, match="log10_flux"):
        compared(FORECASTS | {"fair": FORECASTS["fair"].take(LATE)})


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


def test_subsets_are_of_clean_and_complete_samples_classes_and_years_of_the_issue_time():
    subsets = {name: rows.tolist() for name, rows in subsets_of(TABLE, PRESENT).items()}
    assert subsets == {  # without those that have no sample
        "all": [True] * 4,
        "forecast_clean": [True, False, True, False],  # flaring samples of index 1 and above
        "complete": [True, False, True, True],
        "class_quiet": [False, False, True, False],
        "class_C": [True, True, False, False],
        "class_M": [False, False, False, True],
        "year_2012": [True, True, True, False],
        "year_2013": [False, False, False, True],
    }


def test_classes_follow_the_label_scale():
    result = subsets_of(TABLE, PRESENT, scale="noaa")
    assert "class_M" not in result  # a label of 1.1e-5 is NOAA C9.3
    assert result["class_C"].tolist() == [True, True, False, True]
