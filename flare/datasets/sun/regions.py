"""The numbered active regions in NOAA SWPC's ``solar_regions.json``.

Source: https://services.swpc.noaa.gov/json/solar_regions.json. It has a row for each region and
day of about a month. Positions are those of the Solar Region Summary, which are rotated to 24 UT of
the day (SWPC, README of the SRS). ``region`` has four digits; ``longitude`` is positive to the
east, against the convention of Stonyhurst longitudes, so ``location`` (``S19W87``) is read first.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flare.errors import DatasetInvalid, InputInvalid

REGIONS_FILE = "solar_regions.json"

#: A list whose newest positions are older is not used: regions emerge within a day.
MAX_AGE = timedelta(hours=48)

_LOCATION = re.compile(r"([NS])(\d{1,2})([EW])(\d{1,3})")
_FIRST_OF_FIVE_DIGITS = 10_000  # NOAA's numbers passed it in 2002; SWPC writes four digits


@dataclass(frozen=True)
class SolarRegion:
    """A numbered region.

    ``latitude`` in degrees north and ``longitude`` in degrees west of the central meridian
    (Stonyhurst) hold at ``time``, in UTC.
    """

    number: int
    latitude: float
    longitude: float
    time: datetime


def parse_regions(content: bytes, issue_time: datetime, *, name: str) -> list[SolarRegion]:
    """Return the regions of the newest day whose positions hold at or before a time, by number.

    ``name`` is what messages call the list. Rows without a number or a position are left out.

    Raises DatasetInvalid: it is not a list of regions, or one value of it cannot be right;
    InputInvalid: there is no region of the last 48 hours, as the list is old or the Sun spotless.
    """
    try:
        rows = json.loads(content)
    except ValueError as error:
        raise DatasetInvalid(f"{name} is not JSON ({error}); fetch it again from SWPC") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DatasetInvalid(f"{name} is not a list of regions; fetch it again from SWPC")
    dated = [(_valid_at(row, name), row) for row in rows]
    usable = [time for time, _ in dated if issue_time - MAX_AGE <= time <= issue_time]
    if not usable:
        newest = max((time for time, _ in dated if time <= issue_time), default=None)
        raise InputInvalid(
            f"{name} has no region of the 48 hours before {issue_time:%Y-%m-%d %H:%M} UTC (newest: "
            f"{'none' if newest is None else f'{newest:%Y-%m-%d %H:%M}'}); the list is old or the "
            "Sun has no numbered region: fetch it again, or give another time"
        )
    regions: dict[int, SolarRegion] = {}
    for time, row in dated:
        region = _region(row, time, name) if time == max(usable) else None
        if region is not None:
            regions.setdefault(region.number, region)
    return [regions[number] for number in sorted(regions)]


def _valid_at(row: Mapping[str, Any], name: str) -> datetime:
    """Return the time of a row's position: 24 UT of the day it was observed."""
    text = row.get("observed_date")
    try:
        day = datetime.fromisoformat(str(text)).replace(tzinfo=UTC)
    except ValueError as error:
        raise DatasetInvalid(
            f"{name}: observed_date {text!r} is not a date; fetch it again from SWPC"
        ) from error
    return day.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _region(row: Mapping[str, Any], time: datetime, name: str) -> SolarRegion | None:
    number, place = row.get("region"), _place(row)
    if number is None or place is None:
        return None
    latitude, longitude = place
    digits = str(number).removesuffix(".0")
    if not re.fullmatch(r"\d{1,5}", digits, re.ASCII) or abs(latitude) > 90 or abs(longitude) > 180:
        raise DatasetInvalid(
            f"{name}: region {number!r} at {row.get('location') or place} cannot be right; fetch "
            "it again from SWPC"
        )
    whole = int(digits)
    whole += _FIRST_OF_FIVE_DIGITS if whole < _FIRST_OF_FIVE_DIGITS else 0
    return SolarRegion(whole, latitude, longitude, time)


def _place(row: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return latitude, and longitude positive to the west."""
    match = _LOCATION.fullmatch(str(row.get("location") or "").strip().upper())
    if match:
        north, west = (1 if match[1] == "N" else -1), (1 if match[3] == "W" else -1)
        return north * float(match[2]), west * float(match[4])
    try:
        latitude, longitude = float(row["latitude"]), -float(row["longitude"])
    except (KeyError, TypeError, ValueError):
        return None
    return (latitude, longitude) if math.isfinite(latitude + longitude) else None
