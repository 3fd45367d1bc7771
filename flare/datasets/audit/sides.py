"""Check two sides of a split for what they share: regions, siblings, neighbours, ids.

Tables have the columns of `read_table` except ``folder``. Cases are counted on the right side, the
one that is scored or used for selection.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from flare.datasets.audit.checks import AuditFinding, Verdict, audit_finding
from flare.datasets.splits import MAX_GROUP, neighbours, region_groups
from flare.sample import FORECAST_WINDOW_HOURS


@dataclass(frozen=True)
class Sides:
    """Two tables. ``place`` names the right one, ``test`` or ``validation``."""

    place: str
    left: pd.DataFrame
    right: pd.DataFrame


def audit_sides(sides: Sides) -> list[AuditFinding]:
    """Make all checks that need the tables alone."""
    checks = (shared_regions, siblings_apart, neighbours_apart, same_ids)
    return [check(sides) for check in checks]


def shared_regions(sides: Sides) -> AuditFinding:
    """Count active regions on both sides."""
    right = set(sides.right["active_region"].tolist())
    shared = sorted(right.intersection(sides.left["active_region"]))
    return audit_finding("shared_regions", sides.place, map(str, shared), total=len(right))


def siblings_apart(sides: Sides) -> AuditFinding:
    """Count samples of one range, or with overlapping 36 h of one region, on different sides."""
    pairs = (f"{left} | {right}" for left, right in _siblings(sides.left, sides.right))
    return audit_finding("siblings_apart", sides.place, pairs, total=len(sides.right))


def _siblings(left: pd.DataFrame, right: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield each sample on the right that has a sibling on the left, with the first of these."""
    own = dict(iter(left.groupby("active_region")))
    ahead = np.timedelta64(FORECAST_WINDOW_HOURS, "h")
    for region, rows in right.groupby("active_region"):
        if region in own:
            others = own[region]
            begin, end = (
                [one[column].to_numpy() for one in (others, rows)] for column in ("start", "end")
            )
            common = (begin[0][:, None] < end[1] + ahead) & (begin[1] < end[0][:, None] + ahead)
            ranges = [one["id"].str.rpartition("_")[0].to_numpy() for one in (others, rows)]
            related = common | (ranges[0][:, None] == ranges[1])  # (left, right)
            for column in np.flatnonzero(related.any(axis=0)):
                first = int(related[:, column].argmax())
                yield str(others["id"].iloc[first]), str(rows["id"].iloc[column])


def neighbours_apart(sides: Sides) -> AuditFinding:
    """Count pairs of regions of close numbers, visible at the same time, on different sides.

    The published split has such pairs between training and test. Between training and validation
    there are only those that would make a group larger than ``MAX_GROUP``: any other pair means
    that `split_by_region` did not make the split.
    """
    table = pd.concat([sides.left, sides.right], ignore_index=True)
    left = set(sides.left["active_region"].tolist())
    right = set(sides.right["active_region"].tolist())
    known = list(neighbours(table))
    pairs = [
        (first, second)
        for _, _, first, second in known
        if (first in left) != (second in left) and (first in right) != (second in right)
    ]
    together = _same_group(table, pairs) if sides.place == "validation" else []
    return audit_finding(
        "neighbours_apart",
        sides.place,
        (f"{first} | {second}" for first, second in together or pairs),
        count=len(pairs),
        total=len(known),
        verdict=Verdict.INVALID if together else None,
        note=_group_note(len(together), len(pairs)) if sides.place == "validation" else "",
    )


def _same_group(table: pd.DataFrame, pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the pairs of regions that `split_by_region` puts on one side."""
    group_of = {one: group for group in region_groups(table) for one in group}
    return [(first, second) for first, second in pairs if second in group_of[first]]


def _group_note(together: int, apart: int) -> str:
    if not apart:
        return ""
    if together:
        return f"{together} of them belong together in this project's split: this is another one"
    return f"all {apart} would make groups of more than {MAX_GROUP} regions"


def same_ids(sides: Sides) -> AuditFinding:
    """Count samples on both sides."""
    both = sides.right["id"][sides.right["id"].isin(sides.left["id"])]
    return audit_finding("same_ids", sides.place, both, total=len(sides.right))
