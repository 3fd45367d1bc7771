"""The body of a request: in memory as it arrives, never on disk, and at a minimum pace."""

import asyncio
from dataclasses import dataclass

from fastapi import Request
from starlette.requests import ClientDisconnect

from serving.uploads.buffers import Upload
from serving.uploads.rejections import UploadRejected


@dataclass(frozen=True)
class Pace:
    """The slowest upload: ``seconds`` for all of it, and a rate within each ``grace`` seconds."""

    seconds: float
    grace: float
    bytes_per_second: float

    @property
    def step(self) -> float:
        """Bytes that must arrive within each grace period."""
        return self.grace * self.bytes_per_second


async def read_body(request: Request, upload: Upload, *, pace: Pace) -> bytes:
    """Read the body; memory follows what arrives, whatever length is claimed.

    `BodyLimit` refuses bodies that are too long.

    Raises
    ------
    UploadRejected
        408 where it is too slow; 400 where the client went away.
    Busy
        All uploads together have too much in memory.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    body, due, more = bytearray(), pace.step, True
    try:
        async with asyncio.timeout_at(start + min(pace.grace, pace.seconds)) as limit:
            while more:
                chunk, more = await _next(request)
                upload.add(len(chunk))
                body += chunk
                del chunk  # not to be held while the next one is waited for
                if len(body) >= due:
                    due = len(body) + pace.step
                    limit.reschedule(min(loop.time() + pace.grace, start + pace.seconds))
    except TimeoutError:
        raise _too_slow(pace, took=loop.time() - start) from None
    except ClientDisconnect:
        raise UploadRejected(400, "cut_off", "the upload broke off", hint="send it again") from None
    return bytes(body)


def _too_slow(pace: Pace, *, took: float) -> UploadRejected:
    if took >= pace.seconds:
        detail = f"the upload took longer than {pace.seconds:g} s (FLARE_UPLOAD_SECONDS)"
    else:
        detail = (
            f"fewer than {pace.step:.0f} bytes of the upload arrived within {pace.grace:g} s "
            "(FLARE_UPLOAD_GRACE_SECONDS, FLARE_MIN_UPLOAD_RATE)"
        )
    return UploadRejected(408, "too_slow", detail, hint="send it over a faster line")


async def _next(request: Request) -> tuple[bytes, bool]:
    """Return a piece of the body, and whether there are more.

    `Request.stream` would do, but keeps each piece until the next one comes, and a piece may be a
    whole sample.
    """
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)
