"""Labels that mislead: nowcasts, duplicates, contradictions; and time stamps that tell them."""

import numpy as np
import pandas as pd
import pytest
from audit_tables import BEGIN, QUIET, C, M, regions, sample, table_of

from flare.datasets.audit.checks import AuditFinding, Verdict
from flare.datasets.audit.labels import (
    contradicting_labels,
    duplicate_samples,
    nowcasts,
    timestamp_columns,
    timestamps_tell_label,
)
from flare.datasets.sdobenchmark.labels import read_table

from tiny import write_table


def test_flaring_samples_of_index_1_are_a_warning_with_the_strongest_first():
    table = table_of(
        [
            sample(11000, 0, flux=M),
            sample(11000, 1, index=1, flux=C),
            sample(11010, 0, index=1, flux=M),
            sample(11020, 0, index=2, flux=QUIET),
        ]
    )
    finding = nowcasts(table, place="test_split")
    assert (finding.verdict, finding.count, finding.total) == (Verdict.WARNING, 2, 3)
    assert finding.examples[0] == "11010_2014_01_01_00_00_00_1"
    assert finding.figures == {"events": 1, "all_events": 2}
    assert finding.note == "1 of the 2 events of at least M1.0 among them"


def test_quiet_samples_of_index_1_and_flares_of_index_0_are_not_nowcasts():
    table = table_of([sample(11000, 0, flux=M), sample(11010, 0, index=1, flux=QUIET)])
    assert nowcasts(table, place="test_split").verdict is Verdict.OK


def test_a_window_under_two_ids_is_a_warning():
    one, other = sample(11000, 5, range_day=5), sample(11000, 5, index=1, range_day=4)
    finding = duplicate_samples(table_of([one, other, sample(11010, 5)]), place="test_split")
    assert (finding.verdict, finding.count, finding.total) == (Verdict.WARNING, 1, 3)
    assert finding.examples == (other["id"],)


def test_an_id_that_is_there_twice_with_two_windows_is_a_warning():
    rows = [sample(11000, 5, range_day=4), sample(11000, 6, range_day=4)]
    assert duplicate_samples(table_of(rows), place="test_split").count == 1


def test_two_labels_of_one_region_and_window_are_a_warning_across_tables():
    one, other = sample(11000, 5, range_day=5, flux=C), sample(11000, 5, range_day=4, flux=M)
    finding = contradicting_labels([table_of([one]), table_of([other])], place="dataset")
    assert (finding.verdict, finding.count, finding.total) == (Verdict.WARNING, 2, 2)
    assert finding.examples == (f"{one['id']} has 4e-06", f"{other['id']} has 3e-05")


def test_equal_labels_of_one_window_and_different_ones_of_two_do_not_contradict():
    twin = [sample(11000, 5, range_day=day, flux=C) for day in (4, 5)]
    other = [sample(11000, 6, flux=M), sample(11010, 5, flux=M)]
    finding = contradicting_labels([table_of(twin), table_of(other)], place="dataset")
    assert finding.verdict is Verdict.OK


def stamped(n_regions: int, *, leak: bool) -> pd.DataFrame:
    """Return regions of three samples; ids of flaring ones have seconds, quiet starts fractions."""
    rng = np.random.default_rng(0)
    rows = []
    for k in range(n_regions):
        for window in range(3):
            flaring = bool(rng.random() < 0.5)
            row = sample(11000 + k, 3 * k + window, index=window, flux=M if flaring else QUIET)
            if leak and flaring:
                row["id"] = str(row["id"]).replace(f"_00_{window}", f"_37_{window}")
            if leak and not flaring:
                row["start"] = row["start"] + pd.Timedelta("0.123456789s")
            rows.append(row)
    return table_of(rows)


def timestamp_finding(table: pd.DataFrame) -> AuditFinding:
    return timestamps_tell_label(table, place="training_split")


def test_seconds_and_fractions_that_mark_the_label_are_a_warning():
    finding = timestamp_finding(stamped(40, leak=True))
    assert finding.verdict is Verdict.WARNING
    assert (finding.count, finding.total, len(finding.examples)) == (120, 120, 3)
    assert finding.figures["roc_area_flaring"] == pytest.approx(1)
    assert finding.figures["accuracy_M1.0"] == 1
    assert finding.figures["log_flux_r2"] == pytest.approx(1)
    assert finding.figures["log_flux_mae"] == pytest.approx(0, abs=1e-9)
    assert finding.figures["log_flux_mae_constant"] > 1


def test_the_fraction_of_start_alone_is_enough_for_the_warning():
    table = stamped(40, leak=True)
    table["id"] = table["id"].str.replace("_37_", "_00_")
    assert timestamp_finding(table).figures["roc_area_flaring"] == pytest.approx(1)


def test_times_that_say_nothing_are_ok():
    finding = timestamp_finding(stamped(40, leak=False))
    assert (finding.verdict, finding.count) == (Verdict.OK, 0)
    assert finding.figures["roc_area_flaring"] < 0.6


def test_too_few_regions_for_the_folds_are_skipped():
    finding = timestamp_finding(regions(11000, 4))
    assert (finding.verdict, finding.note) == (Verdict.SKIPPED, "fewer than 5 active regions")


def test_labels_all_alike_have_no_roc_area_and_no_warning():
    finding = timestamp_finding(regions(11000, 8, flux=QUIET))
    assert finding.verdict is Verdict.OK
    assert "ROC area of nothing" in finding.note
    assert "log_flux_r2" not in finding.figures


def test_nanoseconds_of_a_table_on_disk_are_seen(tmp_path):
    rows = ["11000_2014_01_01_00_00_07_0,2014-01-01 00:00:00.000000001,2014-01-01 12:00,1e-9"]
    write_table(tmp_path, "training", rows)
    (stamp,) = timestamp_columns(read_table(tmp_path, "training")).itertuples(index=False)
    assert stamp.fraction == pytest.approx(1e-9)
    assert stamp.id_seconds == 7
    assert stamp.day_of_year == BEGIN.day_of_year
