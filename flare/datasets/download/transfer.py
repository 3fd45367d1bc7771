"""Transfer one file over HTTP, going on where an earlier attempt or an earlier run broke off.

pooch calls it as its downloader: what pooch has itself starts every transfer from nothing. Bytes
that have arrived stay in a `Partial`; the rest is asked for by Range with If-Range, so that a
server whose file has changed answers with the whole new one (RFC 9110, 13.1.5 and 14.2).
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import requests
import urllib3

from flare import __version__
from flare.datasets.download.answers import (
    Broken,
    check_origin,
    check_refusal,
    is_whole,
    part_total,
    reason_of,
    whole_origin,
)
from flare.datasets.download.checksums import digests_of
from flare.datasets.download.partial import Origin, Partial
from flare.datasets.download.patience import Patience
from flare.datasets.download.sources import MOST_ARCHIVE_BYTES, MirrorFailed
from flare.datasets.download.space import size_text
from flare.datasets.download.stages import Report

log = logging.getLogger("flare")

_CHUNK = 128 * 2**10
_ROOM_EVERY = 256 * 2**20  # bytes of unknown total after which the disk is looked at again

#: A new piece of at least so many bytes shows that a mirror works, however often it breaks off.
GOOD_PIECE = 2**20

RoomCheck = Callable[[int | None, int], None]
"""Called with a file's size, None if unknown, and what of it is here; raises if it cannot fit."""


@dataclass
class Transfer:
    """A downloader as pooch wants one: ``transfer(url, output_file, pooch)``.

    After it, ``origin`` is what the server said of the file, and ``sha256`` what it has.
    """

    partial: Partial
    patience: Patience
    report: Report
    require_room: RoomCheck
    login: tuple[str, str] | None = field(default=None, repr=False)
    most_bytes: int = MOST_ARCHIVE_BYTES
    origin: Origin | None = None
    sha256: str = ""

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        """Transfer a file whole.

        Raises
        ------
        MirrorFailed
            The address has no such file, it broke off too often, or its MD5 is not the stated one.
        DiskTooSmall
            There is no room for it.
        """
        with requests.Session() as session:
            session.max_redirects = 10
            self._until_whole(session, url)
        self._check_stated()
        self.partial.finish(Path(output_file))

    def _check_stated(self) -> None:
        digests = digests_of(self.partial.path)
        stated = self.origin.md5 if self.origin is not None else ""
        if stated and digests.md5 != stated:
            self.partial.discard()
            raise MirrorFailed(
                f"it states the MD5 {stated} and sent {digests.md5}, which is deleted"
            )
        self.sha256 = digests.sha256

    def _until_whole(self, session: requests.Session, url: str) -> None:
        failures, furthest = 0, self.partial.size
        while True:
            try:
                self._attempt(session, url)
            except Broken as broken:
                size = self.partial.size
                if size >= furthest + GOOD_PIECE:
                    failures, furthest = 0, size
                failures += 1
                if failures >= self.patience.attempts:
                    tried = "1 attempt" if failures == 1 else f"{failures} attempts"
                    kept = f"; {size_text(size)} are kept" if size else ""
                    raise MirrorFailed(f"{broken.reason} ({tried}{kept})") from broken
                self._wait(broken, failures)
            else:
                return

    def _wait(self, broken: Broken, failures: int) -> None:
        seconds = 0.0 if broken.at_once else self.patience.pause(failures, broken.retry_after)
        log.info(
            "%s; attempt %d of %d %s",
            broken.reason,
            failures + 1,
            self.patience.attempts,
            f"in {seconds:.0f} s" if seconds else "now",
        )
        if seconds:
            self.patience.sleep(seconds)

    def _attempt(self, session: requests.Session, url: str) -> None:
        """Ask once for what is missing, and write it."""
        known = self.partial.origin(url)
        if known is None or not known.validator:
            self.partial.discard()  # nothing would tell whether the rest belongs to it
            known = None
        offset = self.partial.size
        headers = {"User-Agent": f"flare/{__version__}", "Accept-Encoding": "identity"}
        if known is not None and offset:
            headers |= {"Range": f"bytes={offset}-", "If-Range": known.validator}
        with _breaking(), closing(self._get(session, url, headers)) as response:
            check_origin(url, response)
            status = response.status_code
            if "Range" in headers and known is not None and status in (206, 416):
                if status == 416 and is_whole(response, offset, known):
                    self.origin = known
                    return
                self._go_on(response, offset, known)
            elif status == 200:
                self._start(response, url, offset)
            else:
                check_refusal(response)

    def _get(
        self, session: requests.Session, url: str, headers: dict[str, str]
    ) -> requests.Response:
        # requests drops the login by itself where a redirect leaves the host.
        return session.get(
            url,
            headers=headers,
            auth=self.login,
            stream=True,
            timeout=(self.patience.connect_s, self.patience.read_s),
        )

    def _start(self, response: requests.Response, url: str, offset: int) -> None:
        """Write a whole file from its beginning."""
        if offset:
            log.info("the server sends the file from its beginning: it changed, or cannot resume")
        self.origin = whole_origin(response, url)
        self.partial.begin(self.origin)
        self._write(response, 0, self.origin.total)

    def _go_on(self, response: requests.Response, offset: int, known: Origin) -> None:
        """Write the rest of a file, if the answer is just that."""
        try:
            total = part_total(response, offset, known)
        except Broken:
            self.partial.discard()
            raise
        self.origin = replace(known, total=total)
        log.info("going on at %s of %s", size_text(offset), size_text(total))
        self._write(response, offset, total)

    def _write(self, response: requests.Response, offset: int, total: int | None) -> None:
        self._check_size(total or 0)
        self.require_room(total, offset)
        done, looked = offset, offset
        self.report(done, total)
        with self.partial.path.open("ab" if offset else "wb") as file:
            # read1: what has come, and no waiting for a full chunk that a stalled server owes.
            while chunk := response.raw.read1(_CHUNK, decode_content=False):
                file.write(chunk)
                done += len(chunk)
                self._check_size(done)
                if total is None and done >= looked + _ROOM_EVERY:
                    self.require_room(None, done)
                    looked = done
                self.report(done, total)
        if total is not None and done != total:
            if done > total:
                self.partial.discard()
            raise Broken(f"{size_text(done)} came where {size_text(total)} were announced")

    def _check_size(self, n_bytes: int) -> None:
        if n_bytes > self.most_bytes:
            self.partial.discard()
            raise MirrorFailed(
                f"it sends more than {size_text(self.most_bytes)}, which is not SDOBenchmark"
            )


@contextmanager
def _breaking() -> Iterator[None]:
    """Turn what requests and urllib3 raise into Broken, or MirrorFailed where waiting is no use."""
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
        reason, hopeless = reason_of(error)
        if hopeless:
            raise MirrorFailed(reason) from error
        raise Broken(reason) from error
