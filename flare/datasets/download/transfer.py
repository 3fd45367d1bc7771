"""Transfer a file over HTTP, and resume by Range where an earlier attempt or run broke off.

The bytes received so far are in ``NAME.partial``, and ``NAME.validator`` holds the strong ETag, or
else Last-Modified, of the file that they are a part of. With If-Range a server whose file has
changed sends the whole new file (RFC 9110, 13.1.5 and 14.2).
"""

import http.client
import logging
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from urllib.parse import urlsplit

import requests
import urllib3

from flare import __version__
from flare.files import require_space, size_text

log = logging.getLogger("flare")

Report = Callable[[int, int | None], None]
"""Called with the amount done and the total; None if the total is unknown."""

#: What to do about a disk that is too small, besides making room.
INSTEAD = "or choose a dest on another disk"

#: The largest archive that is accepted: several times the full set.
MAX_ARCHIVE_BYTES = 20_000_000_000

#: An attempt that adds at least so many bytes resets the count of failures.
GOOD_PIECE_BYTES = 2**20

_CHUNK = 128 * 2**10
_CONNECT_TIMEOUT = 15.0  # seconds
_MAX_PAUSE, _MAX_RETRY_AFTER = 60.0, 300.0  # seconds
_WORTH_RETRYING = {408, 416, 425, 429, 500, 502, 503, 504}

#: Errors that the same request would meet again.
_PERMANENT = (
    requests.exceptions.SSLError,
    requests.exceptions.TooManyRedirects,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    UnicodeError,
)


class MirrorFailed(Exception):
    """One mirror did not deliver the archive; the message says why. The next one may."""


class _Interrupted(Exception):
    """An attempt ended early; the next one may succeed."""

    def __init__(self, reason: str, retry_after: float = 0.0):
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass
class Transfer:
    """The transfer of one file.

    The folder of ``path`` also holds the partial file. ``attempts`` and ``timeout`` are the
    failures in a row after which the mirror is given up, and the seconds without a byte after which
    a connection counts as broken. ``login``, user name and password, goes to the host of ``url``
    alone. A file above ``max_bytes`` is refused.
    """

    url: str
    path: Path
    attempts: int = 6
    timeout: float = 60.0
    login: tuple[str, str] | None = field(default=None, repr=False)
    report: Report = lambda _done, _total: None
    max_bytes: int = MAX_ARCHIVE_BYTES

    @property
    def partial(self) -> Path:
        """The file that grows."""
        return self.path.with_name(f"{self.path.name}.partial")

    @property
    def received(self) -> int:
        """Bytes received so far."""
        return self.partial.stat().st_size if self.partial.is_file() else 0

    def run(self) -> None:
        """Receive the whole file, in as many attempts as it takes, and move it to ``path``.

        Raises MirrorFailed: the address has no such file, or the transfer broke off too often;
        DiskTooSmall: there is no room for the file and its contents.
        """
        failures, furthest = 0, self.received
        while True:
            try:
                self._attempt()
                break
            except _PERMANENT as error:
                raise MirrorFailed(str(error).splitlines()[0]) from error
            except (_Interrupted, requests.RequestException, urllib3.exceptions.HTTPError) as error:
                if self.received >= furthest + GOOD_PIECE_BYTES:
                    failures, furthest = 0, self.received
                failures += 1
                reason = _reason(error, self.timeout)
                if failures >= self.attempts:
                    times = "1 attempt" if failures == 1 else f"{failures} attempts"
                    saved = f"; {size_text(self.received)} saved" if self.received else ""
                    raise MirrorFailed(f"{reason} ({times}{saved})") from error
                self._pause(reason, failures, getattr(error, "retry_after", 0.0))
        self.partial.replace(self.path)
        self._validator_file.unlink()

    def _pause(self, reason: str, failures: int, retry_after: float) -> None:
        seconds = max(min(_MAX_PAUSE, 2.0 ** (failures - 1)), retry_after)
        log.info("%s; attempt %d of %d in %.0f s", reason, failures + 1, self.attempts, seconds)
        sleep(seconds)

    @property
    def _validator_file(self) -> Path:
        return self.path.with_name(f"{self.path.name}.validator")

    def _validator(self) -> str:
        file = self._validator_file
        return file.read_text(encoding="utf-8") if file.is_file() else ""

    def _discard(self) -> None:
        """Delete the received bytes."""
        self.partial.unlink(missing_ok=True)
        self._validator_file.unlink(missing_ok=True)

    def _attempt(self) -> None:
        validator = self._validator()
        offset = self.received if validator else 0
        headers = {"User-Agent": f"flare/{__version__}", "Accept-Encoding": "identity"}
        if offset:
            headers |= {"Range": f"bytes={offset}-", "If-Range": validator}
        # requests drops the login by itself where a redirect leaves the host.
        response = requests.get(
            self.url,
            headers=headers,
            auth=self.login,
            stream=True,
            timeout=(_CONNECT_TIMEOUT, self.timeout),
        )
        with closing(response):
            _check_redirects(self.url, response)
            if response.status_code == 206 and offset:
                total: int | None = self._check_part(response, offset, validator)
            elif response.status_code == 200:
                offset, total = 0, self._start_over(response)
            else:
                if response.status_code == 416:
                    self._discard()
                raise _refusal(response)
            self._write(response, offset, total)

    def _start_over(self, response: requests.Response) -> int | None:
        """Record which file begins here, and return its size."""
        if response.headers.get("Content-Type", "").lower().startswith("text/html"):
            raise MirrorFailed("it answered with a web page, not with an archive")
        if self.received:
            log.info("the server sends the file from its beginning: it changed, or cannot resume")
        self._discard()  # first: old bytes are not part of the new file
        etag = response.headers.get("ETag", "")
        strong = etag if etag.startswith('"') else ""  # a weak one may stay when bytes change
        validator = strong or response.headers.get("Last-Modified", "")
        self._validator_file.write_text(validator, encoding="utf-8")
        total: int | None = response.raw.length_remaining
        return total

    def _check_part(self, response: requests.Response, offset: int, validator: str) -> int:
        """Return the size of the file, unless the response is not the rest of it."""
        part = response.headers.get("Content-Range", "").strip()
        match = re.fullmatch(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15})", part)
        etag = response.headers.get("ETag", "")
        changed = validator.startswith('"') and etag not in ("", validator)
        if match is None or int(match[1]) != offset or changed:
            self._discard()
            raise _Interrupted("the server sent a part of another file")
        log.info("resuming at %s of %s", size_text(offset), size_text(int(match[2])))
        return int(match[2])

    def _write(self, response: requests.Response, offset: int, total: int | None) -> None:
        self._check_size(total or 0)
        if total is not None:  # images do not compress: the contents are about as large
            what = "the archive with its unpacked files"
            require_space(self.path.parent, 2 * total - offset, what, instead=INSTEAD)
        self.report(offset, total)
        with self.partial.open("ab" if offset else "wb") as file:
            # read1 returns what has arrived, and does not wait for a full chunk.
            while chunk := response.raw.read1(_CHUNK, decode_content=False):
                file.write(chunk)
                self._check_size(file.tell())
                self.report(file.tell(), total)
            size = file.tell()
        if total is not None and size != total:
            self._discard()
            raise _Interrupted(f"received {size_text(size)} instead of {size_text(total)}")

    def _check_size(self, n_bytes: int) -> None:
        if n_bytes > self.max_bytes:
            self._discard()
            raise MirrorFailed(
                f"it sends more than {size_text(self.max_bytes)}, which is not SDOBenchmark"
            )


def _check_redirects(url: str, response: requests.Response) -> None:
    """Raise MirrorFailed if any redirect led from https to http, which anybody may answer.

    A chain that returns to https is refused too: the unencrypted answer chose where it leads.
    """
    for answer in (*response.history, response):
        place = urlsplit(answer.url or url)
        if urlsplit(url).scheme == "https" and place.scheme != "https":
            raise MirrorFailed(f"it redirects to {place.hostname} without encryption")


def _refusal(response: requests.Response) -> Exception:
    """Return the error for a response without the file: one to retry, or a permanent one."""
    status = response.status_code
    reason = f"the server answered {status} {http.client.responses.get(status, '')}".strip()
    if status not in _WORTH_RETRYING:
        return MirrorFailed(reason)
    wait = response.headers.get("Retry-After", "")  # a date is not understood
    return _Interrupted(reason, min(float(wait), _MAX_RETRY_AFTER) if wait.isdecimal() else 0.0)


def _reason(error: Exception, timeout: float) -> str:
    """Return why an attempt ended, in a few words."""
    if isinstance(error, _Interrupted):
        return str(error)
    if isinstance(error, requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return f"the server sent nothing for {timeout:g} s"
    cause = error.args[0] if error.args else None
    if isinstance(cause, urllib3.exceptions.MaxRetryError):
        return f"no connection ({str(cause.reason).rpartition('): ')[2]})"
    return "the connection broke off"
