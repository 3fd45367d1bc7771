"""Reading forecasts and flares, outcomes, references and rules of ``verify``."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flare.config.verify import VerifyConfig
from flare.errors import InputInvalid
from flare.goes import flux_of_class
from flare.workflows.verifying.flares import FlareList, check_covers, read_flares
from flare.workflows.verifying.forecasts import read_forecasts
from flare.workflows.verifying.samples import (
    LONG_TERM,
    PERSISTENCE,
    Samples,
    make_samples,
    reference_forecasts,
)
from flare.workflows.verifying.scoring import (
    event_values,
    make_score,
    paired_scores,
    resample,
)
from flare.workflows.verifying.tables import read_table, times_of
from flare.workflows.verifying.verification import apply_missing_rule, screen

DAY = np.timedelta64(24 * 60, "m")


def days(n: int, first: str = "2016-01-01") -> np.ndarray:
    return np.datetime64(first, "ns") + np.arange(n) * DAY


def flares_of(
    *peaks: str, classes: tuple[str, ...] = ("M1.0",), regions: tuple[int, ...] = ()
) -> FlareList:
    times = np.array(peaks, dtype="datetime64[ns]")
    flux = np.resize([flux_of_class(one) for one in classes], len(times))
    return FlareList(times, flux, np.array(regions or [0] * len(times)), times.min(), times.max())


def read(path: Path, **given: object) -> pd.DataFrame:
    table, notes = read_forecasts([path], VerifyConfig(**given))
    assert notes == []
    return table


def samples_of(table: pd.DataFrame, flares: FlareList | None = None) -> Samples:
    return make_samples(table, flares, VerifyConfig())


def forecasts_of(n: int, *, first: str = "2016-01-01", **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"method": "A", "time": days(n, first), "region": 0, "p_M1.0": 0.5}).assign(
        **columns
    )


@pytest.mark.parametrize(
    "text",
    ["2016-01-02T03:04Z", "2016-01-02 03:04:00+00:00", "2016 01 02 03 04", "2016 01 02 0304",
     "201601020304", "20160102 0304"],
)  # fmt: skip
def test_a_time_is_read_in_the_forms_that_lists_have(text):
    time = times_of(pd.DataFrame({"time": [text]}), "time", Path("f.csv"), time_zone="UTC")
    assert time[0] == np.datetime64("2016-01-02T03:04")


def test_our_own_predictions_need_no_mapping(tmp_path):
    file = tmp_path / "predictions.csv"
    file.write_text(
        "id,active_region,issue_time,observed_peak_flux_w_m2,peak_flux_w_m2,mx_probability,"
        "synthetic,probability_C1.0,probability_M1.0\n"
        "a,12000,2014-01-01 01:36:00,2e-5,1e-6,0.3,True,0.8,0.3\n"
        "b,12001,2014-01-02 01:36:00,1e-9,1e-6,0.1,True,0.4,0.1\n"
    )
    samples = samples_of(read(file))
    assert samples.by_region
    assert samples.synthetic
    assert samples.outcomes["M1.0"].tolist() == [True, False]
    assert samples.probabilities["C1.0"]["predictions"].tolist() == [0.8, 0.4]


def test_an_export_of_the_history_needs_no_mapping(tmp_path):
    row = {"time": "2026-01-01T00:00:00.123+00:00", "model_name": "solar-flare",
           "model_version": "3", "mx_probability": 0.25}  # fmt: skip
    file = tmp_path / "history.json"
    file.write_text(json.dumps({"kept": 10, "forecasts": [row], "next": None}))
    table = read(file)
    assert table["method"].tolist() == ["solar-flare 3"]
    assert table["p_M1.0"].tolist() == [0.25]


def test_text_without_a_header_is_mapped_by_the_numbers_of_columns(tmp_path):
    file = tmp_path / "fcast.txt"
    file.write_text("2014 01 01 0059 60 20\n2014 01 02 0020 70 30\n")
    table = read(file, columns="time=1+2+3+4,p_M1.0=5,p_X1.0=6", time_zone="UTC", units="percent")
    assert table["p_M1.0"].tolist() == [0.6, 0.7]
    assert str(table["time"][0]) == "2014-01-01 00:59:00"


def test_a_column_of_each_method_is_read_with_a_star(tmp_path):
    file = tmp_path / "wide.csv"
    file.write_text("DATE,A,B,seen\n2016-01-01,0.1,NA,1\n2016-01-02,-1,0.4,0\n")
    samples = samples_of(read(file, columns="time=DATE,p_C1.0=*,o_C1.0=seen", time_zone="UTC"))
    assert samples.methods == ("A", "B")
    np.testing.assert_array_equal(samples.probabilities["C1.0"]["A"], [0.1, np.nan])
    assert samples.outcomes["C1.0"].tolist() == [True, False]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_parquet_and_json_lines_are_read_alike(tmp_path, suffix):
    frame = pd.DataFrame(
        {"time": pd.to_datetime(["2016-01-01", "2016-01-02"], utc=True), "p_M1.0": [0.25, None]}
    )
    file = tmp_path / f"table{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(file)
    else:
        frame.to_json(file, orient="records", lines=True, date_format="iso")
    assert read(file)["p_M1.0"].isna().tolist() == [False, True]


def test_a_table_of_another_kind_is_refused(tmp_path):
    with pytest.raises(InputInvalid, match=r"\.csv, \.parquet"):
        read_table(tmp_path / "table.xlsx")


def test_the_last_of_several_forecasts_for_a_window_counts_if_asked(tmp_path):
    path = tmp_path / "twice.csv"
    path.write_text("time,p_M1.0\n2016-01-01T00:00Z,0.1\n2016-01-02T00:00Z,0.2\n"
                    "2016-01-01T00:00Z,0.3\n")  # fmt: skip
    table, notes = read_forecasts([path], VerifyConfig(duplicates="last"))
    assert table["p_M1.0"].tolist() == [0.2, 0.3]
    assert notes == ["left out for a later one of the same time: 1 of the forecasts"]


def test_a_window_holds_its_beginning_and_not_its_end():
    flares = flares_of("2016-01-01T00:00", "2016-01-03T00:00")
    assert flares.outcomes("M1.0", days(3), DAY).tolist() == [True, False, True]
    assert flares.outcomes("X1.0", days(3), DAY).tolist() == [False] * 3


def test_the_strongest_flare_of_a_window_is_its_observed_flux():
    flares = flares_of(
        "2016-01-01T05:00", "2016-01-01T06:00", classes=("C2.0", "M3.0"), regions=(2480, 0)
    )
    np.testing.assert_allclose(flares.strongest(days(2), DAY), [3e-5, 1e-9])
    np.testing.assert_allclose(flares.strongest(days(1), DAY, np.array([12480])), [2e-6])


def test_only_flares_of_the_region_count_whether_written_with_four_digits_or_five():
    flares = flares_of("2016-01-01T05:00", "2016-01-01T06:00", regions=(2480, 0))
    regions = np.array([12480, 12481])
    assert flares.outcomes("M1.0", days(1).repeat(2), DAY, regions).tolist() == [True, False]


def test_a_peak_after_midnight_belongs_to_the_next_day(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("2014 01 02 2355 0003 0010 M1.2 1944\n")
    columns = "start=1+2+3+4,peak=1+2+3+5,class=7,region=8"
    flares = read_flares(file, VerifyConfig(event_columns=columns, time_zone="UTC"))
    assert flares.peak[0] == np.datetime64("2014-01-03T00:03")


def test_events_out_of_order_are_sorted_and_reported_in_one_line(tmp_path, caplog):
    file = tmp_path / "list.csv"
    file.write_text("peak_time,goes_class\n2016-01-03T00:00Z,C1.0\n2016-01-01T00:00Z,M2.0\n")
    flares = read_flares(file, VerifyConfig())
    assert (np.diff(flares.peak) > np.timedelta64(0)).all()
    (line,) = caplog.messages
    assert line.endswith("1 of 2 events are out of order; they were sorted")


@pytest.mark.parametrize(
    ("scale", "reached"), [("listed", False), ("science", True), ("operational", False)]
)
def test_classes_move_between_the_scales(tmp_path, scale, reached):
    file = tmp_path / "list.csv"
    file.write_text("peak_time,goes_class\n2016-01-01T00:00Z,C7.0\n")
    flares = read_flares(file, VerifyConfig(scale=scale))
    assert flares.outcomes("M1.0", days(1), DAY)[0] == reached


def test_a_list_that_ends_before_the_forecasts_is_refused_with_what_to_pass():
    flares = flares_of("2016-01-01T00:00", "2016-01-03T00:00")
    with pytest.raises(InputInvalid, match=r"before 2 of 4 windows end.*events_until=2016-01-05"):
        check_covers(flares, days(4), DAY)


def test_climatology_is_of_the_days_before_and_persistence_of_the_last_window():
    # Days 1 to 10 of January with events on 1, 2 and 9; forecasts from the 6th.
    flares = flares_of(
        "2016-01-01T00:00", "2016-01-02T01:00", "2016-01-09T01:00", "2016-01-30T00:00"
    )
    samples = samples_of(forecasts_of(5, first="2016-01-06"), flares)
    references = reference_forecasts(samples, "M1.0", flares, days=4)
    np.testing.assert_allclose(references["climatology 4 d"], [0.25, 0, 0, 0, 0.25])
    np.testing.assert_allclose(references[LONG_TERM], 0.4)
    np.testing.assert_allclose(references[PERSISTENCE], [0, 0, 0, 0, 1])


def test_what_is_known_of_a_forecast_is_not_its_own_outcome():
    samples = samples_of(forecasts_of(4, **{"o_M1.0": [1, 0, 1, 1]}))
    references = reference_forecasts(samples, "M1.0", None, days=120)
    np.testing.assert_allclose(references["climatology 120 d"], [0.75, 1, 0.5, 2 / 3])
    np.testing.assert_allclose(references[PERSISTENCE], [0.75, 1, 0, 1])


def test_the_three_rules_of_missing_forecasts():
    methods = {"A": np.array([0.1, np.nan, 0.3]), "B": np.array([0.2, 0.2, np.nan])}
    climatology = {"climatology": np.array([0.5, 0.6, 0.7])}
    drop, common, filled = (
        apply_missing_rule(methods, climatology, rule, "M1.0")
        for rule in ("drop", "common", "climatology")
    )
    assert [rows.tolist() for rows in drop.rows.values()] == [[0, 2], [0, 1], [0, 1, 2]]
    assert drop.missing == {"A": 1, "B": 1, "climatology": 0}
    assert {tuple(rows) for rows in common.rows.values()} == {(0,)}
    np.testing.assert_allclose(filled.probability["A"], [0.1, 0.6, 0.3])


def test_blocks_of_time_are_resampled_as_a_whole():
    samples = samples_of(forecasts_of(60, **{"o_M1.0": [1, 0] * 30}))
    resamples = resample(samples, VerifyConfig(resamples=100))
    assert resamples.counts.shape == (101, 3)
    assert resamples.group.tolist() == [0] * 27 + [1] * 27 + [2] * 6
    assert (resamples.counts.sum(axis=1) == 3).all()


def test_what_looks_too_good_is_named():
    observed = np.array([True] * 10 + [False] * 90)
    chance = np.linspace(1, 0, 100)
    assert "are the outcomes" in screen(observed, observed.astype(float), 0.5)[0]
    assert "without an error" in screen(observed, chance, 0.5)[0]
    assert "no quiet sample" in screen(observed[:10], chance[:10], 0.5)[0]
    honest = np.where(observed, 0.4, 0.1)
    honest[[0, 50]] = honest[[50, 0]]
    assert screen(observed, honest, 0.5) == []
    assert "chosen on them" in screen(observed, honest, 0.31234567)[0]


def test_a_difference_is_that_of_the_scores_on_every_resample():
    random = np.random.default_rng(2)
    observed = random.random(80) < 0.4
    chances = {name: random.random(80) for name in ("A", "B")}
    samples = samples_of(forecasts_of(80, **{"o_M1.0": observed.astype(float)}))
    resamples = resample(samples, VerifyConfig(block_days=9, resamples=100))
    climatology = np.full(80, 0.4)
    filled = apply_missing_rule(chances, {"climatology": climatology}, "drop", "M1.0")
    pairs = paired_scores("M1.0", observed, filled, resamples, 0.5)
    weights = resamples.counts[:, resamples.group]
    one, other = (
        event_values(observed, chances[name], climatology, threshold=0.5, weights=weights)
        for name in ("A", "B")
    )
    for score in pairs["A", "B"]:
        name = score.name.removesuffix("_difference")
        expected = make_score("M1.0", score.name, one[name] - other[name], observed)
        np.testing.assert_allclose(
            [score.value, score.low, score.high], [expected.value, expected.low, expected.high]
        )
