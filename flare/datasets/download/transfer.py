"""Transfer a file over HTTP, and resume by Range where an earlier attempt or run broke off.

The bytes received so far are in ``NAME.partial``; ``NAME.partial.json`` says which file they are a
part of. With If-Range a server whose file has changed sends the whole new file
(RFC 9110, 13.1.5 and 14.2).
"""

import http.client
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import TypedDict
from urllib.parse import urlsplit

import requests
import urllib3

from flare import __version__
from flare.datasets.download.sources import MAX_ARCHIVE_BYTES, MirrorFailed
from flare.files import require_space, size_text

log = logging.getLogger("flare")

Report = Callable[[int, int | None], None]
"""Called with the amount done and the total; None if the total is unknown."""

#: What to do about a disk that is too small, besides making room.
INSTEAD = "or choose a dest on another disk"

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


class _Interrupted(Exception):
    """An attempt ended early; the next one may succeed."""

    def __init__(self, reason: str, retry_after: float = 0.0):
        super().__init__(reason)
        self.retry_after = retry_after


class _Origin(TypedDict):
    """The file that the received bytes are a part of.

    ``validator`` is its strong ETag or else its Last-Modified, empty if the server sent neither.
    """

    url: str
    validator: str
    total: int | None


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

        Raises
        ------
        MirrorFailed
            The address has no such file, or the transfer broke off too often.
        DiskTooSmall
            There is no room for the file and its contents.
        """
        with requests.Session() as session:
            session.max_redirects = 10
            failures, furthest = 0, self.received
            while True:
                try:
                    self._attempt(session)
                    break
                except _Interrupted as error:
                    if self.received >= furthest + GOOD_PIECE_BYTES:
                        failures, furthest = 0, self.received
                    failures += 1
                    if failures >= self.attempts:
                        times = "1 attempt" if failures == 1 else f"{failures} attempts"
                        saved = f"; {size_text(self.received)} saved" if self.received else ""
                        raise MirrorFailed(f"{error} ({times}{saved})") from error
                    self._pause(error, failures)
        self.partial.replace(self.path)
        self._origin_file.unlink()

    def discard(self) -> None:
        """Delete the received bytes and their records."""
        self.partial.unlink(missing_ok=True)
        self._origin_file.unlink(missing_ok=True)

    @property
    def _origin_file(self) -> Path:
        return self.path.with_name(f"{self.path.name}.partial.json")

    def _origin(self) -> _Origin | None:
        """Return what the received bytes are a part of, or None if that is unknown."""
        try:
            stored = json.loads(self._origin_file.read_text(encoding="utf-8"))
            url, validator, total = stored["url"], stored["validator"], stored["total"]
        except (OSError, ValueError, TypeError, KeyError):
            return None
        if url != self.url or not validator or not isinstance(validator, str):
            return None
        return {"url": url, "validator": validator, "total": total}

    def _pause(self, error: _Interrupted, failures: int) -> None:
        backoff: float = min(_MAX_PAUSE, 2.0 ** (failures - 1))
        seconds = max(backoff, min(error.retry_after, _MAX_RETRY_AFTER))
        log.info("%s; attempt %d of %d in %.0f s", error, failures + 1, self.attempts, seconds)
        sleep(seconds)

    def _attempt(self, session: requests.Session) -> None:
        origin = self._origin()
        offset = self.received if origin else 0
        if origin and origin["total"] == offset:
            return  # the last run ended between the last byte and the rename
        # One file needs one request; an idle connection stays open until garbage collection.
        headers = {
            "User-Agent": f"flare/{__version__}",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        if origin and offset:
            headers |= {"Range": f"bytes={offset}-", "If-Range": origin["validator"]}
        with _transient_errors(self.timeout):
            # requests drops the login by itself where a redirect leaves the host.
            response = session.get(
                self.url,
                headers=headers,
                auth=self.login,
                stream=True,
                timeout=(_CONNECT_TIMEOUT, self.timeout),
            )
            with closing(response):
                _check_redirects(self.url, response)
                if response.status_code == 206 and origin and offset:
                    self._resume(response, origin, offset)
                elif response.status_code == 200:
                    self._start(response)
                else:
                    if response.status_code == 416:
                        self.discard()
                    raise _refusal(response)

    def _start(self, response: requests.Response) -> None:
        """Write a whole file from its beginning."""
        if response.headers.get("Content-Type", "").lower().startswith("text/html"):
            raise MirrorFailed("it answered with a web page, not with an archive")
        if self.received:
            log.info("the server sends the file from its beginning: it changed, or cannot resume")
        self.discard()  # first: old bytes are not part of the new file
        etag = response.headers.get("ETag", "")
        strong = etag if etag.startswith('"') else ""  # a weak one may stay when bytes change
        total = response.raw.length_remaining
        origin = _Origin(
            url=self.url, validator=strong or response.headers.get("Last-Modified", ""), total=total
        )
        self._origin_file.write_text(json.dumps(origin), encoding="utf-8")
        self._write(response, 0, total)

    def _resume(self, response: requests.Response, origin: _Origin, offset: int) -> None:
        """Append the rest of the file, if the response is exactly that."""
        part = response.headers.get("Content-Range", "").strip()
        match = re.fullmatch(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})", part)
        etag = response.headers.get("ETag", "")
        changed = origin["validator"].startswith('"') and etag not in ("", origin["validator"])
        if (
            match is None
            or (int(match[1]), int(match[2])) != (offset, int(match[3]) - 1)
            or origin["total"] not in (None, int(match[3]))
            or changed
        ):
            self.discard()
            raise _Interrupted("the server sent a part of another file")
        total = int(match[3])
        log.info("resuming at %s of %s", size_text(offset), size_text(total))
        self._write(response, offset, total)

    def _write(self, response: requests.Response, offset: int, total: int | None) -> None:
        self._check_size(total or 0)
        if total is not None:  # images do not compress: the contents are about as large
            n_bytes = 2 * total - offset
            what = "the archive with its unpacked files"
            require_space(self.path.parent, n_bytes, what, instead=INSTEAD)
        self.report(offset, total)
        with self.partial.open("ab" if offset else "wb") as file:
            # read1 returns what has arrived, and does not wait for a full chunk.
            while chunk := response.raw.read1(_CHUNK, decode_content=False):
                file.write(chunk)
                self._check_size(file.tell())
                self.report(file.tell(), total)
            size = file.tell()
        if total is not None and size != total:
            self.discard()
            raise _Interrupted(f"received {size_text(size)} instead of {size_text(total)}")

    def _check_size(self, n_bytes: int) -> None:
        if n_bytes > self.max_bytes:
            self.discard()
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
    try:
        retry_after = urllib3.Retry().get_retry_after(response.raw) or 0.0
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        retry_after = 0.0
    return _Interrupted(reason, retry_after)


@contextmanager
def _transient_errors(timeout: float) -> Iterator[None]:
    """Turn errors of requests and urllib3 into _Interrupted, or MirrorFailed if permanent."""
    try:
        yield
    except _PERMANENT as error:
        raise MirrorFailed(str(error).splitlines()[0]) from error
    except (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError) as error:
        raise _Interrupted(f"the server sent nothing for {timeout:g} s") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        first = error.args[0] if error.args else None
        if isinstance(first, urllib3.exceptions.MaxRetryError):
            cause = str(first.reason).rpartition("): ")[2]
            raise _Interrupted(f"no connection ({cause})") from error
        raise _Interrupted("the connection broke off") from error
