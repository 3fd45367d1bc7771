"""How long to wait for a server: time-outs, attempts, and the pauses between them."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_LONGEST_PAUSE = 60.0
_LONGEST_RETRY_AFTER = 300.0  # a server that asks for hours is one to come back to, not to wait for


@dataclass(frozen=True)
class Patience:
    """Bounds of a transfer.

    Parameters
    ----------
    attempts
        Failures in a row, without a good piece more of the file, after which a mirror is given up.
    connect_s, read_s
        Seconds without a connection, and without a byte, that count as a failure.
    sleep, jitter
        What pauses, and gives a number in [0, 1) so that many clients do not come back at once.
    """

    attempts: int = 6
    connect_s: float = 15.0
    read_s: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def pause(self, failures: int, retry_after: float | None = None) -> float:
        """Return the seconds to wait after so many failures in a row.

        Twice as long each time, up to a minute, of which half is left to chance; and not less than
        a server asks for, up to five minutes.
        """
        backoff: float = min(_LONGEST_PAUSE, 2.0 ** (failures - 1))
        seconds = backoff * (0.5 + 0.5 * self.jitter())
        return max(seconds, min(retry_after or 0.0, _LONGEST_RETRY_AFTER))


def retry_after_seconds(header: str | None, now: datetime | None = None) -> float | None:
    """Read a Retry-After header: seconds, or a date (RFC 9110, 10.2.3); None if it is neither."""
    if not header:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a number that no date can have
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())
