"""Leaks that tables show: between two sides, in labels and in time stamps; and clean ones."""

import numpy as np
import pandas as pd
import pytest
from audit_tables import BEGIN, QUIET, C, M, regions, sample, table_of

from flare.datasets.audit.checks import AuditFinding, Verdict
from flare.datasets.audit.tables import (
    audit_sides,
    contradicting_labels,
    duplicate_samples,
    nowcasts,
    timestamp_columns,
    timestamps_tell_label,
)
from flare.datasets.sdobenchmark.labels import read_table
from flare.datasets.splits import MAX_GROUP, split_by_region

from tiny import write_table


def checked(left: list[dict], right: list[dict], *, place: str = "test") -> dict[str, AuditFinding]:
    findings = audit_sides(table_of(left), table_of(right), place=place)
    return {one.check: one for one in findings}


def summary(finding: AuditFinding) -> tuple[Verdict, int, int, tuple[str, ...]]:
    return finding.verdict, finding.count, finding.total, finding.examples


@pytest.mark.parametrize("place", ["test", "validation"])
def test_sides_of_different_regions_are_clean(place):
    findings = audit_sides(regions(11000, 6), regions(12000, 4), place=place)
    assert [(one.verdict, one.count, one.examples) for one in findings] == [(Verdict.OK, 0, ())] * 4
    assert [one.total for one in findings] == [4, 12, 0, 12]


def test_a_region_and_an_id_on_both_sides_are_invalid_and_named():
    again = sample(11010, 0)
    both = checked([sample(11000, 0), again], [again, sample(12000, 0)])
    assert summary(both["shared_regions"]) == (Verdict.INVALID, 1, 2, ("11010",))
    assert summary(both["same_ids"]) == (Verdict.INVALID, 1, 2, (again["id"],))


def test_samples_of_one_range_on_different_sides_are_siblings_however_far_in_time():
    first = sample(11010, 0, index=0, range_day=0)
    late = sample(11010, 5, index=3, range_day=0)
    example = "11010_2014_01_01_00_00_00_0 | 11010_2014_01_01_00_00_00_3"
    finding = checked([first], [late, sample(12000, 0)])["siblings_apart"]
    assert summary(finding) == (Verdict.INVALID, 1, 2, (example,))


@pytest.mark.parametrize(
    ("region", "days", "count"),
    [(11010, 1.4, 1), (11010, 1.5, 0), (11010, -1.4, 1), (11010, -1.5, 0), (11500, 0, 0)],
)
def test_windows_of_one_region_are_siblings_while_their_36_hours_overlap(region, days, count):
    finding = checked([sample(11010, 10)], [sample(region, 10 + days)])["siblings_apart"]
    assert finding.count == count


@pytest.mark.parametrize(
    ("left", "right", "verdict", "count"),
    [
        ([(11967, 0)], [(11968, 0.2), (12000, 0)], Verdict.WARNING, 1),  # as the published split
        ([(11967, 0)], [(11971, 0.2)], Verdict.OK, 0),  # far numbers
        ([(11967, 0)], [(11968, 0.5)], Verdict.OK, 0),  # windows that only touch
        ([(11967, 0), (11968, 0)], [(12000, 0)], Verdict.OK, 0),  # on one side
    ],
)
def test_neighbours_on_different_sides_of_training_and_test_are_a_warning(
    left, right, verdict, count
):
    sides = ([sample(*one) for one in left], [sample(*one) for one in right])
    finding = checked(*sides)["neighbours_apart"]
    assert (finding.verdict, finding.count) == (verdict, count)
    assert finding.examples == ("11967 | 11968",) * count


def test_neighbours_that_the_splitter_keeps_together_are_invalid_apart_in_validation():
    both = checked([sample(11967, 0)], [sample(11968, 0.2)], place="validation")
    finding = both["neighbours_apart"]
    assert summary(finding) == (Verdict.INVALID, 1, 1, ("11967 | 11968",))
    assert finding.note.startswith("1 of them belong together")


def test_neighbours_apart_because_groups_are_bounded_are_a_warning_in_validation():
    # Twelve in a row at the same time: two groups of six, whose last and first are neighbours.
    rows = [sample(11000 + k, 0.5 if k >= MAX_GROUP else 0.0) for k in range(2 * MAX_GROUP)]
    rows += [sample(11000 + MAX_GROUP - 1, 0.5, index=1)]
    left = [row for row in rows if row["active_region"] < 11000 + MAX_GROUP]
    right = [row for row in rows if row["active_region"] >= 11000 + MAX_GROUP]
    finding = checked(left, right, place="validation")["neighbours_apart"]
    assert finding.verdict is Verdict.WARNING
    assert finding.count == 3
    assert finding.note == "all 3 would make groups of more than 6 regions"


def test_the_projects_own_split_keeps_its_promise_in_crowded_years():
    table = table_of([sample(11000 + k, k / 4 + d, index=d) for k in range(60) for d in range(3)])
    split = split_by_region(table, validation_share=0.25)
    parts = [table.iloc[rows].reset_index(drop=True) for rows in (split.train, split.validation)]
    findings = {one.check: one for one in audit_sides(*parts, place="validation")}
    neighbours = findings.pop("neighbours_apart")
    assert neighbours.count > 0
    assert neighbours.verdict is Verdict.WARNING
    assert {one.verdict for one in findings.values()} == {Verdict.OK}


def test_a_table_with_another_index_is_audited_by_its_rows_with_three_examples():
    left, right = regions(11000, 5), regions(11000, 5)
    right.index = pd.Index(range(100, 100 + len(right)))
    siblings = audit_sides(left, right, place="test")[1]
    assert siblings.count == len(right)
    assert len(siblings.examples) == 3


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
