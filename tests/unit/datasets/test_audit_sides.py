"""Leaks between two sides that the tables show: each one planted, and none where none is."""

import pandas as pd
import pytest
from audit_tables import regions, sample, table_of

from flare.datasets.audit.checks import AuditFinding, Verdict
from flare.datasets.audit.sides import (
    Sides,
    audit_sides,
    neighbours_apart,
    same_ids,
    shared_regions,
    siblings_apart,
)
from flare.datasets.splits import MAX_GROUP, split_by_region


def sides(left: list[dict], right: list[dict], *, place: str = "test") -> Sides:
    return Sides(place, table_of(left), table_of(right))


def summary(finding: AuditFinding) -> tuple[Verdict, int, int, tuple[str, ...]]:
    return finding.verdict, finding.count, finding.total, finding.examples


@pytest.mark.parametrize("place", ["test", "validation"])
def test_sides_of_different_regions_are_clean(place):
    findings = audit_sides(Sides(place, regions(11000, 6), regions(12000, 4)))
    assert [(one.verdict, one.count, one.examples) for one in findings] == [(Verdict.OK, 0, ())] * 4
    assert [one.total for one in findings] == [4, 12, 0, 12]


def test_a_region_on_both_sides_is_invalid_and_named():
    both = sides([sample(11000, 0), sample(11010, 0)], [sample(11010, 90), sample(12000, 0)])
    assert summary(shared_regions(both)) == (Verdict.INVALID, 1, 2, ("11010",))


def test_samples_of_one_range_on_different_sides_are_siblings_however_far_in_time():
    first = sample(11010, 0, index=0, range_day=0)
    late = sample(11010, 5, index=3, range_day=0)
    finding = siblings_apart(sides([first], [late, sample(12000, 0)]))
    assert summary(finding) == (
        Verdict.INVALID,
        1,
        2,
        ("11010_2014_01_01_00_00_00_0 | 11010_2014_01_01_00_00_00_3",),
    )


@pytest.mark.parametrize(("days", "count"), [(1.4, 1), (1.5, 0), (-1.4, 1), (-1.5, 0)])
def test_windows_of_one_region_are_siblings_while_their_36_hours_overlap(days, count):
    assert siblings_apart(sides([sample(11010, 10)], [sample(11010, 10 + days)])).count == count


def test_overlapping_windows_of_two_regions_are_not_siblings():
    assert siblings_apart(sides([sample(11010, 0)], [sample(11500, 0)])).count == 0


def test_the_published_split_has_neighbours_apart_which_is_a_warning():
    finding = neighbours_apart(sides([sample(11967, 0)], [sample(11968, 0.2), sample(12000, 0)]))
    assert summary(finding) == (Verdict.WARNING, 1, 1, ("11967 | 11968",))


@pytest.mark.parametrize(("region", "day"), [(11971, 0.2), (11968, 0.5)])
def test_far_numbers_or_windows_that_only_touch_are_not_neighbours(region, day):
    assert neighbours_apart(sides([sample(11967, 0)], [sample(region, day)])).count == 0


def test_neighbours_on_one_side_are_not_apart():
    finding = neighbours_apart(sides([sample(11967, 0), sample(11968, 0)], [sample(12000, 0)]))
    assert summary(finding) == (Verdict.OK, 0, 1, ())


def test_neighbours_that_the_splitter_keeps_together_are_invalid_apart_in_validation():
    finding = neighbours_apart(sides([sample(11967, 0)], [sample(11968, 0.2)], place="validation"))
    assert summary(finding) == (Verdict.INVALID, 1, 1, ("11967 | 11968",))
    assert finding.note.startswith("1 of them belong together")


def test_neighbours_apart_because_groups_are_bounded_are_a_warning_in_validation():
    # Twelve in a row at the same time: two groups of six, whose last and first are neighbours.
    rows = [sample(11000 + k, 0.5 if k >= MAX_GROUP else 0.0) for k in range(2 * MAX_GROUP)]
    rows += [sample(11000 + MAX_GROUP - 1, 0.5, index=1)]
    left = [row for row in rows if row["active_region"] < 11000 + MAX_GROUP]
    right = [row for row in rows if row["active_region"] >= 11000 + MAX_GROUP]
    finding = neighbours_apart(sides(left, right, place="validation"))
    assert finding.verdict is Verdict.WARNING
    assert finding.count == 3
    assert finding.note == "all 3 would make groups of more than 6 regions"


def test_the_projects_own_division_keeps_its_promise_in_crowded_years():
    table = table_of([sample(11000 + k, k / 4 + d, index=d) for k in range(60) for d in range(3)])
    split = split_by_region(table, validation_share=0.25)
    parts = [table.iloc[rows].reset_index(drop=True) for rows in (split.train, split.validation)]
    findings = {one.check: one for one in audit_sides(Sides("validation", *parts))}
    assert findings["neighbours_apart"].count > 0
    assert {one.verdict for one in findings.values()} == {Verdict.OK, Verdict.WARNING}
    assert findings["neighbours_apart"].verdict is Verdict.WARNING


def test_an_id_on_both_sides_is_invalid_and_named():
    again = sample(11010, 0)
    finding = same_ids(sides([again], [again, sample(12000, 0)]))
    assert summary(finding) == (Verdict.INVALID, 1, 2, (again["id"],))


def test_at_most_three_examples_are_stored():
    table = regions(11000, 5)
    assert len(same_ids(Sides("test", table, table)).examples) == 3


def test_a_table_with_another_index_is_audited_by_its_rows():
    left, right = regions(11000, 2), regions(11000, 2)
    right.index = pd.Index(range(100, 100 + len(right)))
    assert siblings_apart(Sides("test", left, right)).count == len(right)
