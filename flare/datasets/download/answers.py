"""What a server's answer to a request for a file, or for the rest of one, amounts to."""

import re
from http import HTTPStatus
from urllib.parse import urlsplit

import requests
import urllib3

from flare.datasets.download.checksums import stated_md5
from flare.datasets.download.partial import Origin
from flare.datasets.download.patience import retry_after_seconds
from flare.datasets.download.sources import MirrorFailed

_WORTH_WAITING = {408, 425, 429, 500, 502, 503, 504}

#: Failures that the same request would meet again.
_HOPELESS = (
    requests.exceptions.SSLError,
    requests.exceptions.TooManyRedirects,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    UnicodeError,
)


class Broken(Exception):
    """An attempt ended early, and another one may not."""

    def __init__(self, reason: str, *, retry_after: float | None = None, at_once: bool = False):
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.at_once = at_once


def check_origin(url: str, response: requests.Response) -> None:
    """Raise MirrorFailed if any redirect led from https to http, where anybody may answer.

    One that comes back to https counts too: whoever answered in between chose where to.
    """
    if urlsplit(url).scheme != "https":
        return
    for answer in (*response.history, response):
        place = urlsplit(answer.url or url)
        if place.scheme != "https":
            raise MirrorFailed(f"it redirects to {place.hostname} without encryption")


def check_refusal(response: requests.Response) -> None:
    """Raise what an answer without the file means: Broken, or MirrorFailed where it is final."""
    status = response.status_code
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "unknown status"
    reason = f"the server answered {status} {phrase}"
    if status in _WORTH_WAITING:
        raise Broken(reason, retry_after=retry_after_seconds(response.headers.get("Retry-After")))
    raise MirrorFailed(reason)


def whole_origin(response: requests.Response, url: str) -> Origin:
    """Describe a whole file by the headers of its answer."""
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise MirrorFailed("it answered with a web page, not with an archive")
    tag = response.headers.get("ETag", "")
    strong = tag if tag.startswith('"') else ""  # W/"..." may stay when the bytes change
    length = response.headers.get("Content-Length", "")
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    known = length.isascii() and length.isdigit() and not chunked
    return Origin(
        url=url,
        validator=strong or response.headers.get("Last-Modified", ""),
        total=int(length) if known else None,
        md5=stated_md5(response.headers),
    )


def part_total(response: requests.Response, offset: int, known: Origin) -> int:
    """Return the whole file's size if an answer is the rest of it from ``offset`` on.

    Raises
    ------
    Broken
        It is something else; the bytes that are here must not be added to.
    """
    if response.status_code == 416:
        raise Broken("the server's file has changed", at_once=True)
    text = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})", text.strip())
    if match is None or int(match[1]) != offset or int(match[2]) != int(match[3]) - 1:
        raise Broken(f"the server sent another part than was asked for ({text or 'unnamed'})")
    total = int(match[3])
    if known.total is not None and total != known.total:
        raise Broken("the server's file has another size by now", at_once=True)
    tag = response.headers.get("ETag", "")
    if known.validator.startswith('"') and tag and tag != known.validator:
        raise Broken("the server's file has changed", at_once=True)
    return total


def is_whole(response: requests.Response, offset: int, known: Origin) -> bool:
    """Tell whether a 416 means that nothing is missing: what is here is the whole file."""
    size = response.headers.get("Content-Range", "").strip()
    return known.total == offset and size == f"bytes */{offset}"


def reason_of(error: Exception) -> tuple[str, bool]:
    """Say in a few words why a request failed, and whether it would fail again."""
    first = error.args[0] if error.args else None
    inner = first.reason if isinstance(first, urllib3.exceptions.MaxRetryError) else error
    if isinstance(error, requests.exceptions.SSLError):
        return f"its certificate is not accepted ({inner})", True
    if isinstance(error, _HOPELESS):
        return str(error).splitlines()[0], True
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no connection within the time-out", False
    if isinstance(error, requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return "the server fell silent", False
    if isinstance(error, requests.exceptions.ProxyError):
        return "no connection to the proxy", False
    if isinstance(inner, urllib3.exceptions.NameResolutionError):
        return "its host name is not known here", False
    if isinstance(inner, urllib3.exceptions.NewConnectionError):
        return "no connection", False
    return "the connection broke off", False
