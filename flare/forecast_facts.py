"""What identifies a forecast besides its numbers: id, times, active region and input.

In the bottom row because ``predict`` and the server must agree on it. All times are UTC.
"""

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from flare.errors import InputInvalid
from flare.files import digest
from flare.sample import INPUT_WINDOW_HOURS

TIME_HINT = "write ISO 8601 with a zone, such as 2026-01-15T12:00:00Z"
_REGION_IN_PATH = re.compile(r"(?:^|/)(\d{5})(?=/|_\d{4}_)")


class Window(NamedTuple):
    """When a forecast was issued, and from when to when it is valid; None where unknown."""

    issue_time: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None


NO_WINDOW = Window()


@dataclass(frozen=True)
class SampleFacts:
    """What is known of a sample besides its pixels.

    ``input_digest`` is the SHA-256 of its input. The times of ``stated`` are of the forecast, as
    its source states them; ``active_region`` is the NOAA number, None where unknown.
    """

    input_digest: str = ""
    stated: Window = NO_WINDOW
    active_region: int | None = None

    def window(self, hours: int) -> Window:
        """Return all three times of a forecast for ``hours``; all None where none is stated.

        A forecast is issued when its window begins unless both times are stated.

        Raises InputInvalid: the window ends before it begins, is of another length, or is over when
        the forecast is issued.
        """
        issue_time, begin, end = self.stated
        length = timedelta(hours=hours)
        if begin is None:
            begin = issue_time if issue_time is not None or end is None else end - length
        if begin is None:
            return Window()
        issue_time = begin if issue_time is None else issue_time
        if end is not None and end <= begin:
            raise InputInvalid(
                f"valid_to, {utc_text(end)}, is not after valid_from, {utc_text(begin)}; swap them"
            )
        if end is not None and end - begin != length:
            raise InputInvalid(
                f"{utc_text(begin)} to {utc_text(end)} is not a window of {hours} h, which this "
                "model forecasts; leave valid_to out"
            )
        if issue_time >= begin + length:
            raise InputInvalid(
                f"issue_time, {utc_text(issue_time)}, is not before valid_to, "
                f"{utc_text(begin + length)}; a forecast is issued before its window is over"
            )
        return Window(issue_time, begin, begin + length)


def window_after_input(start: datetime) -> Window:
    """Return the times of a forecast whose input window begins at a time, UTC without a zone."""
    end = start.replace(tzinfo=UTC) + timedelta(hours=INPUT_WINDOW_HOURS)
    return Window(end, end)


def now() -> datetime:
    """Return the time in UTC, without what is below a millisecond."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def utc_text(time: datetime) -> str:
    """Return a time as ``2026-01-15T12:00:00Z``, with milliseconds where it has some."""
    kind = "milliseconds" if time.microsecond else "seconds"
    return time.astimezone(UTC).isoformat(timespec=kind).replace("+00:00", "Z")


def sortable(time: datetime) -> str:
    """Return a time as a text whose order is that of time."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds")


def parse_time(text: str, name: str) -> datetime:
    """Return a time in UTC; ``name`` is what the message calls it.

    Raises InputInvalid: it is not ISO 8601, or has no zone.
    """
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InputInvalid(f"{name}={text[:80]!r} is not a time; {TIME_HINT}") from error
    if time.tzinfo is None:
        raise InputInvalid(f"{name}={text[:80]!r} has no zone; {TIME_HINT}")
    try:
        time = time.astimezone(UTC)
    except OverflowError as error:
        raise InputInvalid(f"{name}={text[:80]!r} is out of range; {TIME_HINT}") from error
    if not 1900 <= time.year < 3000:
        raise InputInvalid(f"{name}={text[:80]!r} is out of range; {TIME_HINT}")
    return time


def parse_region(text: str) -> int:
    """Return a NOAA number; raise InputInvalid unless it is a whole number of 1 to 99999."""
    if not re.fullmatch(r"\d{1,5}", text.strip(), re.ASCII) or not int(text):
        raise InputInvalid(
            f"active_region={text[:80]!r} is not a NOAA number; write such as 12673, or leave it "
            "out"
        )
    return int(text)


def region_of_paths(*paths: str) -> int | None:
    """Return the NOAA number of folders such as ``12673/`` or ``12673_2017_09_06_00_00_00_0/``.

    None where the paths name none, or several.
    """
    numbers = {int(match[1]) for path in paths for match in _REGION_IN_PATH.finditer(f"{path}/")}
    return numbers.pop() if len(numbers) == 1 else None


def images_text(images: Iterable[Mapping[str, Any]]) -> str:
    """Return images with ``step`` and ``channel`` as a cell of a table: ``1:continuum 3:94``."""
    return " ".join(f"{one['step']}:{one['channel']}" for one in images)


def new_forecast_id() -> str:
    """Return an id that no other forecast has."""
    return uuid.uuid4().hex


def forecast_id_of(*parts: str) -> str:
    """Return an id made of what a forecast depends on: the same forecast again has the same."""
    return digest("\n".join(parts).encode())[:32]
