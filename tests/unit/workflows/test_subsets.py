import numpy as np
import pandas as pd
import pytest

from flare.workflows.evaluation.comparison import subsets_of

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
