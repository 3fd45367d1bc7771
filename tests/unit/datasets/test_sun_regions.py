"""SWPC's list of regions: which rows, where, and what is refused."""

import json
from datetime import UTC, datetime

import pytest

from flare.datasets.sun.regions import parse_regions
from flare.errors import DatasetInvalid, FlareError, InputInvalid

from sun_images import region_row

NOON = datetime(2026, 4, 4, 12, tzinfo=UTC)


def parse(*rows: dict[str, object], time: datetime = NOON) -> list[tuple[int, float, float]]:
    regions = parse_regions(json.dumps(rows).encode(), time, name="list")
    return [(one.number, one.latitude, one.longitude) for one in regions]


def test_four_digits_become_five_and_east_becomes_negative() -> None:
    row = region_row(14397, -19, -87, "2026-04-03") | {"location": None}
    assert row["longitude"] == 87  # SWPC: positive to the east
    assert parse(row) == [(14397, -19.0, -87.0)]


def test_the_location_counts_where_the_sign_of_the_longitude_would_contradict_it() -> None:
    row = region_row(14397, -19, 87, "2026-04-03") | {"longitude": 87}
    assert parse(row) == [(14397, -19.0, 87.0)]


def test_a_position_holds_at_the_end_of_its_day() -> None:
    content = json.dumps([region_row(14397, 10, 0, "2026-04-03")]).encode()
    (region,) = parse_regions(content, NOON, name="list")
    assert region.time == datetime(2026, 4, 4, tzinfo=UTC)


def test_only_regions_of_the_newest_day_at_the_issue_time_are_listed() -> None:
    rows = [
        region_row(14397, 10, 20, "2026-04-04"),  # of the evening to come
        region_row(14397, 10, 7, "2026-04-03"),
        region_row(14397, 10, 8, "2026-04-03") | {"status": "r"},
        region_row(14390, 12, 80, "2026-04-02"),  # set since
        region_row(14398, -5, -30, "2026-04-03"),
    ]
    assert parse(*rows) == [(14397, 10.0, 7.0), (14398, -5.0, -30.0)]


def test_rows_without_number_or_place_are_left_out() -> None:
    nowhere = {"location": None, "latitude": None}
    rows = [
        region_row(14397, 10, 7, "2026-04-03"),
        region_row(14398, 10, 7, "2026-04-03") | {"region": None},
        region_row(14399, 10, 7, "2026-04-03") | nowhere,
        region_row(14400, 10, 7, "2026-04-03") | nowhere | {"latitude": float("nan")},
    ]
    assert parse(*rows) == [(14397, 10.0, 7.0)]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"<html>", DatasetInvalid, "not JSON"),
        (b'{"region": 1}', DatasetInvalid, "not a list"),
        (b'[{"region": 1}]', DatasetInvalid, "observed_date None"),
        (b"[]", InputInvalid, "newest: none"),
        (json.dumps([region_row(4397, 10, 7, "2026-04-01")]).encode(), InputInvalid, "2026-04-02"),
        (
            json.dumps([region_row(4397, 10, 7, "2026-04-03") | {"region": "x"}]).encode(),
            DatasetInvalid,
            "region 'x'",
        ),
    ],
)
def test_a_list_that_cannot_be_used_gets_one_line(
    content: bytes, error: type[FlareError], message: str
) -> None:
    with pytest.raises(error, match=message):
        parse_regions(content, NOON, name="list")
